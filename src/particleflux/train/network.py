"""Many small networks trained as one: every weight has a leading member dimension.

A network sees the features of `particleflux.features` and gives, for each target (log flux at the nodes, log integral
flux above the thresholds, the three parameters), five quantiles. Each quantile is what a rolling power law with the
network's own three best numbers would have, plus a width of the target times a number of the quantile. Where the data
pin the spectrum down the widths shrink and the formula carries all energies at once, to a fraction of a per cent; where
they do not, the quantiles are free of any formula.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from particleflux.unfold.targets import PARAMETERS, PIVOT_ENERGY, QUANTILE_SIGMAS, QUANTILES

N_CURVE = 3  # log flux at the pivot, its slope there, and the log inverse rollover energy
# Where training starts: slope and log inverse rollover energy of a typical spectrum, and the size of a step.
CURVE_START = ((0.0, 3.0), (3.0, 2.0), (-2.0, 1.0))
LOG_WIDTH_RANGE = (-9.0, 5.0)
WIDTH_FLOOR = 0.01
# The outer quantiles are seldom crossed: without a larger weight they would be learnt last.
_WEIGHTS = [1.0 / (level * (1.0 - level)) ** 0.5 for level in QUANTILES]
QUANTILE_WEIGHTS = tuple(weight * len(_WEIGHTS) / sum(_WEIGHTS) for weight in _WEIGHTS)


Outputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Head(Protocol):
    """How the numbers that the layers give become quantiles of the targets."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, inputs and outputs included."""
        ...

    @property
    def n_targets(self) -> int:
        """Quantities that are predicted."""
        ...

    @property
    def first_root(self) -> int:
        """Where, among the outputs, the roots of the steps between the quantiles begin."""
        ...

    def split(self, raw: torch.Tensor) -> Outputs:
        """Give centre, log width and numbers; see `quantiles_of`."""
        ...


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network.

    Attributes
    ----------
    n_features : int
        Inputs.
    nodes, thresholds : tuple of float, MeV
        Energies of the flux and of the integral flux.
    hidden : tuple of int
        Widths of the hidden layers.
    """

    n_features: int
    nodes: tuple[float, ...]
    thresholds: tuple[float, ...]
    hidden: tuple[int, ...] = (64, 64, 64)

    @property
    def n_targets(self) -> int:
        """Quantities that are predicted."""
        return len(self.nodes) + len(self.thresholds) + len(PARAMETERS)

    @property
    def n_outputs(self) -> int:
        """Numbers that the last layer gives: the curve, and per target a log width and five numbers."""
        return N_CURVE + 6 * self.n_targets

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, inputs and outputs included."""
        return (self.n_features, *self.hidden, self.n_outputs)

    @property
    def first_root(self) -> int:
        """Where the roots of the steps between the quantiles begin."""
        return N_CURVE + 2 * self.n_targets


@dataclass(frozen=True)
class CurveHead:
    """Quantiles about a rolling power law of the network's own three numbers.

    Attributes
    ----------
    architecture : Architecture
        Sizes.
    offset : float
        Typical log flux at the pivot energy.
    """

    architecture: Architecture
    offset: float

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, inputs and outputs included."""
        return self.architecture.sizes

    @property
    def n_targets(self) -> int:
        """Quantities that are predicted."""
        return self.architecture.n_targets

    @property
    def first_root(self) -> int:
        """Where the roots of the steps between the quantiles begin."""
        return self.architecture.first_root

    def split(self, raw: torch.Tensor) -> Outputs:
        """Give centre, log width and numbers; see `split_outputs`."""
        return split_outputs(self.architecture, raw, self.offset)


def initial_weights(head: Head | Architecture, n_members: int, seed: int) -> list[torch.Tensor]:
    """Draw the weights and biases of all members, each on its own.

    Parameters
    ----------
    head : Head or Architecture
        Sizes.
    n_members : int
        Networks.
    seed : int
        Of the draw.

    Returns
    -------
    list of Tensor
        Weights (member, in, out) and biases (member, 1, out), layer by layer.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = []
    sizes = head.sizes
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        gain = 0.1 if layer == len(sizes) - 2 else 1.0
        weight = torch.randn(n_members, n_in, n_out, generator=generator) * gain / n_in**0.5
        bias = torch.zeros(n_members, 1, n_out)
        if layer == len(sizes) - 2:
            # The four distances between neighbouring quantiles are squares: start them at a standard width of one.
            bias[..., head.first_root :] = 1.0
        tensors += [weight, bias]
    return tensors


def hidden_to_output(tensors: list[torch.Tensor], features: torch.Tensor) -> torch.Tensor:
    """Run the layers: features (member, batch, feature) to raw outputs (member, batch, output)."""
    value = features
    for layer in range(0, len(tensors), 2):
        value = torch.baddbmm(tensors[layer + 1], value, tensors[layer])
        if layer < len(tensors) - 2:
            value = torch.nn.functional.silu(value)
    return value


def curve_matrix(energies: tuple[float, ...]) -> np.ndarray:
    r"""Give the rolling power law as a product: log flux at energies = curve @ matrix.

    With :math:`x = \ln(E/E_p)`, :math:`\ln f = \ln f_p - s x - u (E - E_p - E_p x)` for the flux and the slope s at the
    pivot energy and the inverse rollover energy u: the last term and its slope vanish at the pivot, so that the three
    numbers can be learnt apart.

    Parameters
    ----------
    energies : tuple of float, MeV
        Where.

    Returns
    -------
    ndarray, shape (3, energy)
        Rows for log flux, slope and u.
    """
    energy = np.array(energies)
    distance = np.log(energy / PIVOT_ENERGY)
    return np.stack([np.ones_like(energy), -distance, -(energy - PIVOT_ENERGY - PIVOT_ENERGY * distance)]).astype(
        np.float32
    )


def split_outputs(architecture: Architecture, raw: torch.Tensor, offset: float) -> Outputs:
    """Turn raw outputs into what the quantiles are made of.

    Parameters
    ----------
    architecture : Architecture
        Sizes.
    raw : Tensor, shape (member, batch, output)
        What `hidden_to_output` gave.
    offset : float
        Typical log flux at the pivot energy.

    Returns
    -------
    centre : Tensor, shape (member, batch, target)
        What a rolling power law with the network's three numbers has for every target.
    log_width : Tensor, shape (member, batch, target)
        Logarithm of the width that scales the numbers.
    numbers : Tensor, shape (member, batch, 5 * target)
        Of the median, and the roots of the four steps from it: inner and outer below, inner and outer above.
    """
    curve, log_width, numbers = torch.split(raw, [N_CURVE, architecture.n_targets, 5 * architecture.n_targets], dim=-1)
    (f_start, f_step), (s_start, s_step), (u_start, u_step) = CURVE_START
    flux = curve[..., 0:1] * f_step + (f_start + offset)
    slope = curve[..., 1:2] * s_step + s_start
    log_inverse = curve[..., 2:3] * u_step + u_start
    inverse = torch.exp(log_inverse)
    linear = torch.cat([flux, slope, inverse], dim=-1)
    at_nodes = linear @ torch.from_numpy(curve_matrix(architecture.nodes))
    at_thresholds = linear @ torch.from_numpy(curve_matrix(architecture.thresholds))
    threshold = torch.tensor(architecture.thresholds)
    index = slope - PIVOT_ENERGY * inverse
    # Integral of a power law of the local slope, E f / (slope - 1), kept positive for flat spectra.
    excess = index + threshold * inverse - 1.0
    at_integral = at_thresholds + torch.log(threshold) - torch.log(0.5 * (excess + torch.sqrt(excess**2 + 1.0)))
    # The power law alone, carried from the pivot to 1 MeV.
    intensity = flux + PIVOT_ENERGY * inverse + index * float(np.log(PIVOT_ENERGY))
    centre = torch.cat([at_nodes, at_integral, index, -log_inverse, intensity], dim=-1)
    return centre, log_width.clamp(*LOG_WIDTH_RANGE), numbers


def quantiles_of(centre: torch.Tensor, log_width: torch.Tensor, numbers: torch.Tensor) -> list[torch.Tensor]:
    """Give the five quantiles, each of shape (member, batch, target), increasing; see `split_outputs`."""
    width = torch.exp(log_width)
    middle, *roots = torch.split(numbers, log_width.shape[-1], dim=-1)
    inner_lower, outer_lower, inner_upper, outer_upper = (width * (root**2 + WIDTH_FLOOR) for root in roots)
    median = centre + width * middle
    lower, upper = median - inner_lower, median + inner_upper
    return [lower - outer_lower, lower, median, upper, upper + outer_upper]


def pooled_quantiles(centre: torch.Tensor, log_width: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    r"""Pool the members as a mixture would be, to second order, shape (batch, 5, target); see `split_outputs`.

    The mean of the medians, and each quantile's distance from it :math:`\sqrt{\bar{w}^2 + (z s)^2}` with the mean
    distance w from a member's own median, the scatter s of the medians between members and the quantile's normal score
    z. What the exported graph computes.

    Parameters
    ----------
    centre, log_width, numbers : Tensor
        Of all members.

    Returns
    -------
    Tensor, shape (batch, 5, target)
        Increasing along the second dimension.
    """
    quantiles = torch.stack(quantiles_of(centre, log_width, numbers), dim=-2)
    median = quantiles[..., len(QUANTILES) // 2, :]
    middle = median.mean(dim=0)
    variance = median.var(dim=0, correction=0)
    pooled = []
    for index, sigma in enumerate(QUANTILE_SIGMAS):
        if sigma == 0:
            # Left out of the root below, whose derivative is infinite at 0.
            pooled.append(middle)
            continue
        distance = (quantiles[..., index, :] - median).mean(dim=0)
        size = torch.sqrt(distance**2 + sigma**2 * variance)
        pooled.append(middle + float(np.sign(sigma)) * size)
    return torch.stack(pooled, dim=-2)


def pooled_loss(
    centre: torch.Tensor, log_width: torch.Tensor, numbers: torch.Tensor, truth: torch.Tensor
) -> torch.Tensor:
    """Score the pooled quantiles by the rule of `QuantileLoss`, with the members' mean log width.

    Parameters
    ----------
    centre, log_width, numbers : Tensor
        What `split_outputs` gave, all members on the same samples.
    truth : Tensor, shape (batch, target)
        What was simulated.

    Returns
    -------
    Tensor
        The mean loss.
    """
    error = truth.unsqueeze(-2) - pooled_quantiles(centre, log_width, numbers)
    level = torch.tensor(QUANTILES)[:, None]
    check = torch.maximum(level * error, (level - 1.0) * error) * torch.tensor(QUANTILE_WEIGHTS)[:, None]
    width = log_width.mean(dim=0)
    return (check.sum(dim=-2) * torch.exp(-width) + width).mean()


class QuantileLoss(torch.autograd.Function):  # type: ignore[misc]
    r"""Score quantiles by the asymmetric Laplace log score, a proper scoring rule that has no scale.

    .. math:: \sum_\tau w_\tau \frac{\rho_\tau(y - q_\tau)}{\sigma} + \ln \sigma

    with the check function rho and the width sigma. For each sample the best quantiles are those of the posterior
    whatever sigma is, and the best sigma is their mean loss: a spectrum known to 0.1 % weighs as much in training as
    one known to a decade. The gradient is written out, because taping five quantiles of every target costs twice what
    the networks themselves do.

    References
    ----------
    Koenker and Machado (1999), Goodness of fit and related inference processes for quantile regression, J. Am. Stat.
    Assoc. 94, 1296, doi:10.1080/01621459.1999.10473882.
    """

    @staticmethod
    def forward(
        context: Any, centre: torch.Tensor, log_width: torch.Tensor, numbers: torch.Tensor, truth: torch.Tensor
    ) -> torch.Tensor:
        """Score; all of shape (member, batch, target), `numbers` five times as wide; gives the mean loss."""
        inverse = torch.exp(-log_width)
        check = torch.zeros_like(truth)
        pulls = []
        quantiles = quantiles_of(centre, log_width, numbers)
        for quantile, level, weight in zip(quantiles, QUANTILES, QUANTILE_WEIGHTS, strict=True):
            error = truth - quantile
            # Derivative of the loss by the quantile, in widths: -w (tau - [y < q]).
            pull = (error < 0).to(truth.dtype).sub_(level).mul_(weight)
            check -= error.mul_(pull)
            pulls.append(pull)
        check *= inverse
        context.save_for_backward(inverse, numbers, check, *pulls)
        return (check + log_width).mean()

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Differentiate by centre, log width and numbers."""
        inverse, numbers, check, *pulls = context.saved_tensors
        middle, *roots = torch.split(numbers, inverse.shape[-1], dim=-1)
        by_median = pulls[0] + pulls[1] + pulls[2] + pulls[3] + pulls[4]
        by_step = (-(pulls[0] + pulls[1]), -pulls[0], pulls[3] + pulls[4], pulls[4])
        by_log_width = by_median * middle + 1.0 - check
        by_numbers = [by_median]
        for step, root in zip(by_step, roots, strict=True):
            by_log_width += step * (root**2 + WIDTH_FLOOR)
            by_numbers.append(2.0 * step * root)
        share = gradients[0] / inverse.numel()
        return share * by_median * inverse, share * by_log_width, share * torch.cat(by_numbers, dim=-1), None
