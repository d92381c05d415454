"""The recurrent network of the forecast, all members side by side: every weight has a leading member dimension.

One LSTM reads the days, another the hours where there are any; their last hidden states, and what was measured one
solar rotation before the day to forecast, go through one hidden layer to the mean and the quantiles of log10 fluence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from particleflux.forecast.distribution import LEADS, QUANTILES

MIDDLE = QUANTILES.index(0.5)
N_OUTPUTS = 1 + len(QUANTILES)
#: Size of the layer between the states and the outputs.
HEAD = 32
#: Least distance of neighbouring quantiles, scale of the others, and of the median's distance from the mean.
FLOOR, STEP, SKEW = 0.01, 0.5, 0.2
# The outer quantiles are seldom crossed: without a larger weight they would be learnt last.
WEIGHTS = tuple(1.0 / (level * (1.0 - level)) ** 0.5 / len(QUANTILES) for level in QUANTILES)
# Two and three days ahead the errors are larger, and without a smaller weight they alone would be learnt.
LEAD_WEIGHTS = (1.7, 0.8, 0.5)
NORMAL_SCORES = tuple(float(torch.special.ndtri(torch.tensor(level, dtype=torch.float64))) for level in QUANTILES)


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network.

    Attributes
    ----------
    n_days, n_daily : int
        Days read, and features of each.
    n_context : int
        Features read once for each lead time.
    n_hours, n_hourly : int
        Hours read, and features of each; 0 without hours.
    hidden : int
        Size of an LSTM's state.
    """

    n_days: int
    n_daily: int
    n_context: int
    n_hours: int
    n_hourly: int
    hidden: int


@dataclass(frozen=True)
class Batch:
    """Inputs of a step, all of shape (member, batch, ...); see `particleflux.forecast.inputs.Inputs`.

    Attributes
    ----------
    days, context, level, hours : Tensor
        As in `Inputs`, with a leading member dimension.
    """

    days: torch.Tensor
    context: torch.Tensor
    level: torch.Tensor
    hours: torch.Tensor


def initial_weights(sizes: Sizes, n_members: int, seed: int) -> dict[str, torch.Tensor]:
    """Draw the weights and biases of all members, each on its own.

    Parameters
    ----------
    sizes : Sizes
        Of each network.
    n_members : int
        Networks.
    seed : int
        Of the draw.

    Returns
    -------
    dict of str to Tensor
        Weights (member, in, out) and biases (member, 1, out); the gates of an LSTM stand side by side in the order
        input, forget, cell, output.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, gain: float = 1.0) -> torch.Tensor:
        return torch.randn(n_members, *shape, generator=generator) * gain / shape[-2] ** 0.5

    hidden = sizes.hidden
    weights: dict[str, torch.Tensor] = {}
    for name, n_inputs in (("days", sizes.n_daily), ("hours", sizes.n_hourly)):
        if n_inputs == 0:
            continue
        weights[f"{name}_input"] = draw(n_inputs, 4 * hidden)
        weights[f"{name}_state"] = draw(hidden, 4 * hidden)
        weights[f"{name}_bias"] = torch.zeros(n_members, 1, 4 * hidden)
        # A forget gate that starts open lets the first days reach the last state.
        weights[f"{name}_bias"][..., hidden : 2 * hidden] = 1.0
    n_states = hidden * (2 if sizes.n_hourly else 1)
    weights["context"] = draw(sizes.n_context, hidden)
    weights["context_bias"] = torch.zeros(n_members, 1, hidden)
    weights["head"] = draw(n_states + hidden, HEAD)
    weights["head_bias"] = draw(len(LEADS), HEAD, gain=0.1 * len(LEADS) ** 0.5)
    weights["output"] = draw(HEAD, N_OUTPUTS, gain=0.1)
    weights["output_bias"] = torch.zeros(n_members, len(LEADS), N_OUTPUTS)
    # Distances between neighbouring quantiles are squares: start them at a width that is about right.
    weights["output_bias"][..., 2:] = 0.5
    return weights


def predict(weights: dict[str, torch.Tensor], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Run all members.

    Parameters
    ----------
    weights : dict of str to Tensor
        What `initial_weights` gave, or trained ones.
    batch : Batch
        Inputs of the same number of members.

    Returns
    -------
    mean : Tensor, shape (member, batch, lead_time)
        Of scaled log10 fluence.
    quantiles : Tensor, shape (member, batch, lead_time, quantile)
        Increasing.
    """
    states = [_last_state(weights, "days", batch.days)]
    if "hours_input" in weights:
        states.append(_last_state(weights, "hours", batch.hours))
    state = torch.cat(states, dim=-1)
    means, quantiles = [], []
    for lead in range(len(LEADS)):
        ago = torch.tanh(torch.baddbmm(weights["context_bias"], batch.context[:, :, lead], weights["context"]))
        bias = weights["head_bias"][:, lead : lead + 1]
        hidden = torch.nn.functional.silu(torch.baddbmm(bias, torch.cat([state, ago], dim=-1), weights["head"]))
        raw = torch.baddbmm(weights["output_bias"][:, lead : lead + 1], hidden, weights["output"])
        mean = batch.level + raw[..., 0]
        steps = STEP * raw[..., 2:] ** 2 + FLOOR
        median = (mean + SKEW * raw[..., 1])[..., None]
        below = median - steps[..., :MIDDLE].cumsum(-1).flip(-1)
        above = median + steps[..., MIDDLE:].cumsum(-1)
        means.append(mean)
        quantiles.append(torch.cat([below, median, above], dim=-1))
    return torch.stack(means, dim=-1), torch.stack(quantiles, dim=-2)


def _last_state(weights: dict[str, torch.Tensor], name: str, steps: torch.Tensor) -> torch.Tensor:
    """Run an LSTM over (member, batch, step, feature); gives its last hidden state (member, batch, hidden)."""
    gates_in, gates_state, bias = (weights[f"{name}_{part}"] for part in ("input", "state", "bias"))
    n_members, n_batch, n_steps, n_features = steps.shape
    hidden = gates_state.shape[1]
    # All steps at once where no state is needed yet.
    inputs = torch.baddbmm(bias, steps.reshape(n_members, n_batch * n_steps, n_features), gates_in)
    inputs = inputs.reshape(n_members, n_batch, n_steps, 4 * hidden)
    state = torch.zeros(n_members, n_batch, hidden)
    cell = torch.zeros(n_members, n_batch, hidden)
    for step in range(n_steps):
        gates = torch.baddbmm(inputs[:, :, step], state, gates_state)
        enter, forget, candidate, leave = gates.chunk(4, dim=-1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
        state = torch.sigmoid(leave) * torch.tanh(cell)
    return state


def pool(quantiles: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
    r"""Pool the members as a mixture would be, to second order.

    The mean of the medians, and each quantile's distance from it :math:`\sqrt{\bar{w}^2 + (z s)^2}` with the mean
    distance w from a member's own median, the scatter s of the medians between members and the normal score z.

    Parameters
    ----------
    quantiles : Tensor, shape (member, batch, lead_time, quantile)
        Of all members.
    keep : Tensor, shape (member, batch), optional
        1 for the members that count, 0 for the others, by sample.

    Returns
    -------
    Tensor, shape (batch, lead_time, quantile)
        Increasing.
    """
    weight = torch.ones(quantiles.shape[:2]) if keep is None else keep
    weight = (weight / weight.sum(dim=0))[..., None]
    median = quantiles[..., MIDDLE]
    middle = (weight * median).sum(dim=0)
    variance = (weight * (median - middle) ** 2).sum(dim=0)
    width = (weight[..., None] * (quantiles - median[..., None])).sum(dim=0)
    score = torch.tensor(NORMAL_SCORES, dtype=quantiles.dtype)
    size = torch.sqrt(width**2 + score**2 * variance[..., None])
    return middle[..., None] + torch.sign(score) * size


def loss_of(mean: torch.Tensor, quantiles: torch.Tensor, truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Score mean and quantiles of scaled log10 fluence: squared error, plus the check function of every quantile.

    Parameters
    ----------
    mean : Tensor, shape (member, batch, lead_time)
        Point forecasts.
    quantiles : Tensor, shape (member, batch, lead_time, quantile)
        Quantiles.
    truth : Tensor, shape (member, batch, lead_time)
        What came; any number where `known` is 0.
    known : Tensor, shape (member, batch, lead_time)
        1 where it is known what came.

    Returns
    -------
    Tensor
        Sum over the members of their mean losses, weighted by `LEAD_WEIGHTS`: each member's gradient is its own.
    """
    count = known.sum(dim=(1, 2)).clamp(min=1.0)
    weight = known * torch.tensor(LEAD_WEIGHTS)
    squared = ((mean - truth) ** 2 * weight).sum(dim=(1, 2)) / count
    error = truth[..., None] - quantiles
    level = torch.tensor(QUANTILES)
    check = (torch.maximum(level * error, (level - 1.0) * error) * torch.tensor(WEIGHTS)).sum(dim=-1)
    return (squared + (check * weight).sum(dim=(1, 2)) / count).sum()
