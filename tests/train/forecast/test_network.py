"""The recurrent networks: against torch's own LSTM and plain loops, members apart from one another."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.special import ndtri

from particleflux.forecast.distribution import LEADS, QUANTILES
from particleflux.train.forecast.network import (
    FLOOR,
    HEAD,
    LEAD_WEIGHTS,
    MIDDLE,
    NORMAL_SCORES,
    SKEW,
    STEP,
    WEIGHTS,
    Batch,
    Sizes,
    initial_weights,
    loss_of,
    pool,
    predict,
)

DAILY = Sizes(n_days=5, n_daily=4, n_context=6, n_hours=0, n_hourly=0, hidden=7)
HOURLY = dataclasses.replace(DAILY, n_hours=9, n_hourly=2)
MEMBERS, SAMPLES = 3, 11
Weights = dict[str, torch.Tensor]


def draw_weights(sizes: Sizes, members: int = MEMBERS, seed: int = 0) -> Weights:
    """Draw weights far from the start, as after a training."""
    generator = torch.Generator().manual_seed(seed)
    weights = initial_weights(sizes, members, seed)
    return {name: value + 0.3 * torch.randn(value.shape, generator=generator) for name, value in weights.items()}


def draw_batch(sizes: Sizes, members: int = MEMBERS, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((sizes.n_days, sizes.n_daily), (len(LEADS), sizes.n_context), (), (sizes.n_hours, sizes.n_hourly))
    return Batch(*(torch.randn(members, SAMPLES, *shape, generator=generator) for shape in shapes))


def member_of(weights: Weights, member: int) -> Weights:
    return {name: value[member : member + 1] for name, value in weights.items()}


def batch_of(batch: Batch, member: int) -> Batch:
    return Batch(*(value[member : member + 1] for value in vars(batch).values()))


def torch_state(weights: Weights, name: str, member: int, steps: torch.Tensor) -> torch.Tensor:
    """Give the last state of torch's LSTM with the weights of a member."""
    into, state, bias = (weights[f"{name}_{part}"][member] for part in ("input", "state", "bias"))
    lstm = torch.nn.LSTM(into.shape[0], state.shape[0], batch_first=True)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(into.T)
        lstm.weight_hh_l0.copy_(state.T)
        lstm.bias_ih_l0.copy_(bias[0])
        lstm.bias_hh_l0.zero_()
        _, (last, _) = lstm(steps)
    return last[0]


def plain(weights: Weights, batch: Batch, member: int) -> tuple[np.ndarray, np.ndarray]:
    """Give mean (sample, lead) and quantiles (sample, lead, quantile) of a member, number by number."""
    names = [name for name in ("days", "hours") if f"{name}_input" in weights]
    state = torch.cat([torch_state(weights, name, member, getattr(batch, name)[member]) for name in names], dim=-1)
    own = {name: value[member].double().numpy() for name, value in weights.items()}
    means = np.empty((SAMPLES, len(LEADS)))
    quantiles = np.empty((SAMPLES, len(LEADS), len(QUANTILES)))
    for sample in range(SAMPLES):
        for lead in range(len(LEADS)):
            context = batch.context[member, sample, lead].double().numpy()
            ago = np.tanh(context @ own["context"] + own["context_bias"][0])
            hidden = np.concatenate([state[sample].double().numpy(), ago]) @ own["head"] + own["head_bias"][lead]
            raw = hidden / (1 + np.exp(-hidden)) @ own["output"] + own["output_bias"][lead]
            mean = float(batch.level[member, sample]) + raw[0]
            steps = [STEP * root**2 + FLOOR for root in raw[2:]]
            median = mean + SKEW * raw[1]
            means[sample, lead] = mean
            for index in range(len(QUANTILES)):
                # Both halves of the steps are counted from the median outwards.
                below, above = sum(steps[: max(MIDDLE - index, 0)]), sum(steps[MIDDLE:index])
                quantiles[sample, lead, index] = median - below + above
    return means, quantiles


@pytest.mark.parametrize("sizes", [DAILY, HOURLY], ids=["daily", "hourly"])
def test_network_is_torch_s_lstm_and_a_plain_head(sizes: Sizes) -> None:
    """Each member gives what torch.nn.LSTM with its weights and a plain loop over the head give."""
    weights, batch = draw_weights(sizes), draw_batch(sizes)
    mean, quantiles = predict(weights, batch)
    assert mean.shape == (MEMBERS, SAMPLES, len(LEADS))
    assert quantiles.shape == (MEMBERS, SAMPLES, len(LEADS), len(QUANTILES))
    for member in range(MEMBERS):
        expected_mean, expected = plain(weights, batch, member)
        np.testing.assert_allclose(mean[member], expected_mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(quantiles[member], expected, rtol=1e-4, atol=1e-5)


def test_members_do_not_mix() -> None:
    """A member alone gives what it gives among others."""
    weights, batch = draw_weights(HOURLY), draw_batch(HOURLY)
    mean, quantiles = predict(weights, batch)
    for member in range(MEMBERS):
        alone = predict(member_of(weights, member), batch_of(batch, member))
        torch.testing.assert_close(alone[0][0], mean[member], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(alone[1][0], quantiles[member], rtol=1e-5, atol=1e-6)


def test_quantiles_increase() -> None:
    """Neighbouring quantiles are at least the floor apart, of members and pooled, whatever the weights."""
    for seed in range(4):
        weights = {name: 3.0 * value for name, value in draw_weights(HOURLY, seed=seed).items()}
        _, quantiles = predict(weights, draw_batch(HOURLY, seed=seed))
        assert (quantiles.diff(dim=-1) > 0.999 * FLOOR - 1e-5).all()
        assert (pool(quantiles).diff(dim=-1) > 0).all()


def test_level_carries_the_forecast() -> None:
    """A level higher by a number raises mean and quantiles by just that."""
    weights, batch = draw_weights(DAILY), draw_batch(DAILY)
    mean, quantiles = predict(weights, batch)
    raised = predict(weights, dataclasses.replace(batch, level=batch.level + 1.5))
    torch.testing.assert_close(raised[0], mean + 1.5)
    torch.testing.assert_close(raised[1], quantiles + 1.5)


def test_leads_read_their_own_context() -> None:
    """What was measured a rotation before one lead's day does not reach the others."""
    weights, batch = draw_weights(DAILY), draw_batch(DAILY)
    context = batch.context.clone()
    context[:, :, 1] += 1.0
    before, after = predict(weights, batch)[1], predict(weights, dataclasses.replace(batch, context=context))[1]
    assert torch.equal(before[:, :, [0, 2]], after[:, :, [0, 2]])
    assert not torch.isclose(before[:, :, 1], after[:, :, 1]).all()


def test_pool_of_one_is_that_one() -> None:
    """One member, or several that agree, are pooled to what each says."""
    _, quantiles = predict(draw_weights(DAILY, members=1), draw_batch(DAILY, members=1))
    torch.testing.assert_close(pool(quantiles), quantiles[0])
    torch.testing.assert_close(pool(quantiles.expand(5, -1, -1, -1)), quantiles[0])


def test_pool_is_a_mixture_to_second_order() -> None:
    """Closed form: normal members of spread w at medians a and -a have the spread sqrt(w^2 + a^2)."""
    score = torch.tensor(ndtri(QUANTILES), dtype=torch.float32)
    members = torch.stack([2.0 + 0.4 + 0.3 * score, 2.0 - 0.4 + 0.3 * score])[:, None, None]
    torch.testing.assert_close(pool(members)[0, 0], 2.0 + 0.5 * score)
    # Widths are averaged, medians too.
    members = torch.stack([1.0 + 0.2 * score, 1.0 + 0.6 * score])[:, None, None]
    torch.testing.assert_close(pool(members)[0, 0], 1.0 + 0.4 * score)


def test_pool_takes_the_members_kept() -> None:
    """Sample by sample, members with 0 do not count, whatever they say."""
    _, quantiles = predict(draw_weights(DAILY), draw_batch(DAILY))
    keep = torch.ones(MEMBERS, SAMPLES)
    keep[0, :4] = 0.0
    keep[1:, 4:8] = 0.0
    pooled = pool(quantiles, keep)
    torch.testing.assert_close(pooled[:4], pool(quantiles[1:, :4]))
    torch.testing.assert_close(pooled[4:8], quantiles[0, 4:8])
    torch.testing.assert_close(pooled[8:], pool(quantiles[:, 8:]))


def plain_loss(mean: np.ndarray, quantiles: np.ndarray, truth: np.ndarray, known: np.ndarray) -> float:
    total = 0.0
    for member in range(len(mean)):
        parts = []
        for place in np.ndindex(*truth.shape[1:]):
            if not known[member][place]:
                continue
            value = truth[member][place]
            part = (mean[member][place] - value) ** 2
            for quantile, level, weight in zip(quantiles[member][place], QUANTILES, WEIGHTS, strict=True):
                error = value - quantile
                part += weight * (level * error if error > 0 else (level - 1.0) * error)
            parts.append(LEAD_WEIGHTS[place[-1]] * part)
        total += sum(parts) / max(len(parts), 1)
    return total


def test_loss_is_what_a_plain_loop_gives() -> None:
    """Squared error of the mean and check function of every quantile, over what is known, summed over members."""
    generator = torch.Generator().manual_seed(2)
    mean, quantiles = predict(draw_weights(DAILY), draw_batch(DAILY))
    truth = torch.randn(mean.shape, generator=generator)
    known = (torch.rand(mean.shape, generator=generator) < 0.7).float()
    known[1] = 0.0
    expected = plain_loss(*(array.double().numpy() for array in (mean, quantiles, truth, known)))
    assert math.isclose(float(loss_of(mean, quantiles, truth, known)), expected, rel_tol=1e-5)
    # What is not known may be any number.
    other = torch.where(known > 0, truth, 1e6)
    torch.testing.assert_close(loss_of(mean, quantiles, other, known), loss_of(mean, quantiles, truth, known))
    assert float(loss_of(mean, quantiles, truth, torch.zeros_like(known))) == 0.0


def test_loss_is_least_at_mean_and_quantiles() -> None:
    """For a known distribution no quantile, and no mean, moved up or down lowers the loss."""
    truth = torch.tensor(ndtri((np.arange(4000) + 0.5) / 4000), dtype=torch.float32)[None, :, None].repeat(1, 1, 3)
    mean, known = torch.zeros_like(truth), torch.ones_like(truth)
    quantiles = torch.tensor(NORMAL_SCORES, dtype=torch.float32).expand(1, 4000, 3, -1)
    least = float(loss_of(mean, quantiles, truth, known))
    for step in (-0.1, 0.1):
        assert float(loss_of(mean + step, quantiles, truth, known)) > least
        for index in range(len(QUANTILES)):
            moved = quantiles.clone()
            moved[..., index] += step
            assert float(loss_of(mean, moved, truth, known)) > least


def gradients(weights: Weights, batch: Batch, truth: torch.Tensor, known: torch.Tensor) -> Weights:
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    loss_of(*predict(leaves, batch), truth, known).backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


def test_gradients_of_members_are_their_own() -> None:
    """What one member reads, and what came, touches the gradient of no other: not in one bit."""
    weights, batch = draw_weights(HOURLY), draw_batch(HOURLY)
    truth = torch.randn(MEMBERS, SAMPLES, len(LEADS), generator=torch.Generator().manual_seed(3))
    known = torch.ones_like(truth)
    before = gradients(weights, batch, truth, known)
    assert all(bool(gradient[member].any()) for gradient in before.values() for member in range(MEMBERS))
    values = {name: value.clone() for name, value in vars(batch).items()}
    for value in values.values():
        value[1] += 1.0
    truth[1] -= 2.0
    after = gradients(weights, Batch(**values), truth, known)
    for name, gradient in before.items():
        assert torch.equal(after[name][[0, 2]], gradient[[0, 2]]), name
        assert not torch.equal(after[name][1], gradient[1]), name
    known[1] = 0.0
    assert not any(bool(gradient[1].any()) for gradient in gradients(weights, batch, truth, known).values())


def test_weights_are_drawn_apart_and_again() -> None:
    """Members differ; a seed gives its weights again, another one others; the forget gates start open."""
    weights, again, other = (initial_weights(HOURLY, MEMBERS, seed) for seed in (4, 4, 5))
    assert all(torch.equal(value, again[name]) for name, value in weights.items())
    assert not torch.equal(weights["head"], other["head"])
    for name in ("days_input", "days_state", "hours_input", "hours_state", "context", "head", "head_bias", "output"):
        assert not torch.equal(weights[name][0], weights[name][1])
    hidden = HOURLY.hidden
    gates = weights["days_bias"].reshape(MEMBERS, 4, hidden)
    torch.testing.assert_close(gates, torch.tensor([0.0, 1.0, 0.0, 0.0])[None, :, None].expand_as(gates))
    assert weights["head"].shape == (MEMBERS, 3 * hidden, HEAD)
    assert not any(name.startswith("hours") for name in initial_weights(DAILY, 1, 0))
