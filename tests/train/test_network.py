"""The networks' parts: the loss against a plain loop, the quantiles' order, the curve against its form."""

import math

import numpy as np
import pytest
import torch

from particleflux.spectra import RollingPowerLaw
from particleflux.train.network import (
    QUANTILE_WEIGHTS,
    WIDTH_FLOOR,
    Architecture,
    QuantileLoss,
    curve_matrix,
    hidden_to_output,
    initial_weights,
    pooled_loss,
    pooled_quantiles,
    quantiles_of,
    split_outputs,
)
from particleflux.unfold.targets import PARAMETERS, PIVOT_ENERGY, QUANTILE_SIGMAS, QUANTILES

ARCHITECTURE = Architecture(n_features=5, nodes=(2.0, 10.0, 50.0, 200.0), thresholds=(10.0, 60.0), hidden=(6, 7))


def outputs(members: int = 2, batch: int = 3, targets: int = 4, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Draw centre, log width, numbers and truth in double precision."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (targets, targets, 5 * targets, targets)
    return tuple(torch.randn(members, batch, size, generator=generator, dtype=torch.float64) for size in shapes)


def plain_quantiles(centre: float, log_width: float, numbers: list[float]) -> list[float]:
    """Give the five quantiles of one target, one after the other."""
    width = math.exp(log_width)
    steps = [width * (root * root + WIDTH_FLOOR) for root in numbers[1:]]
    median = centre + width * numbers[0]
    return [median - steps[0] - steps[1], median - steps[0], median, median + steps[2], median + steps[2] + steps[3]]


def plain_loss(centre, log_width, numbers, truth) -> float:
    """Score one member, sample and target after the other."""
    total, n = 0.0, 0
    members, batch, targets = truth.shape
    for member in range(members):
        for row in range(batch):
            for target in range(targets):
                own = [float(numbers[member, row, number * targets + target]) for number in range(5)]
                log_w, y = float(log_width[member, row, target]), float(truth[member, row, target])
                loss = log_w
                quantiles = plain_quantiles(float(centre[member, row, target]), log_w, own)
                for quantile, level, weight in zip(quantiles, QUANTILES, QUANTILE_WEIGHTS, strict=True):
                    error = y - quantile
                    loss += weight * (level * error if error >= 0 else (level - 1) * error) / math.exp(log_w)
                total += loss
                n += 1
    return total / n


def test_loss_equals_a_plain_loop():
    """The loss is what its formula gives, element by element."""
    given = outputs()
    np.testing.assert_allclose(float(QuantileLoss.apply(*given)), plain_loss(*given), rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_loss_has_the_gradient_of_its_value(seed):
    """The written-out gradient is that of finite differences."""
    centre, log_width, numbers, truth = outputs(seed=seed)
    for tensor in (centre, log_width, numbers):
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(QuantileLoss.apply, (centre, log_width, numbers, truth))


def test_loss_is_least_at_the_quantiles_of_the_truth():
    """Of a normal truth, the loss is least where the quantiles are those of the distribution: a proper score."""
    truth = torch.randn(1, 200_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    roots = [math.sqrt(step - WIDTH_FLOOR) for step in (0.994458, 0.965506, 0.994458, 0.965506)]

    def loss(shift: float, stretch: float) -> float:
        numbers = torch.tensor([shift, *(root * stretch for root in roots)], dtype=torch.float64)
        zero = torch.zeros_like(truth)
        return float(QuantileLoss.apply(zero, zero, numbers.expand(1, len(truth[0]), 5), truth))

    best = loss(0.0, 1.0)
    assert all(loss(*other) > best for other in ((0.1, 1.0), (-0.1, 1.0), (0.0, 1.1), (0.0, 0.9)))


def test_quantiles_increase():
    """Whatever the network gives, the five quantiles increase."""
    centre, log_width, numbers, _ = outputs(batch=200)
    quantiles = torch.stack(quantiles_of(centre, log_width, 0 * numbers))
    assert (quantiles.diff(dim=0) > 0).all()
    assert (torch.stack(quantiles_of(centre, log_width, numbers)).diff(dim=0) > 0).all()
    assert (pooled_quantiles(centre, log_width, numbers).diff(dim=1) > 0).all()


def test_pooling_equal_members_changes_nothing():
    """Members that agree are pooled to what each of them says."""
    centre, log_width, numbers, _ = outputs(members=1)
    one = torch.stack(quantiles_of(centre, log_width, numbers), dim=-2)[0]
    three = pooled_quantiles(*(value.expand(3, -1, -1) for value in (centre, log_width, numbers)))
    np.testing.assert_allclose(three, one, rtol=1e-12)


def test_pooling_adds_the_scatter_of_the_members():
    """Members at -1 and 1 with hardly any width give normal quantiles of standard deviation 1 about 0."""
    centre = torch.tensor([-1.0, 1.0], dtype=torch.float64).reshape(2, 1, 1)
    narrow = torch.full((2, 1, 1), -20.0, dtype=torch.float64)
    pooled = pooled_quantiles(centre, narrow, torch.zeros(2, 1, 5, dtype=torch.float64))
    np.testing.assert_allclose(pooled[0, :, 0], QUANTILE_SIGMAS, atol=1e-6)


def test_pooled_loss_of_one_member_is_its_own():
    """With one member the pooled loss is the member's loss, in value and gradient."""
    given = [value.float() for value in outputs(members=1)]
    gradients = []
    for loss in (lambda *values: QuantileLoss.apply(*values), lambda *values: pooled_loss(*values[:3], values[3][0])):
        leaves = [value.clone().requires_grad_() for value in given[:3]]
        value = loss(*leaves, given[3])
        value.backward()
        gradients.append([value.detach(), *(leaf.grad for leaf in leaves)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def test_pooled_loss_rewards_the_pool():
    """Members that err in opposite directions have a lower pooled loss than the mean of their own losses."""
    centre = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1)
    log_width, truth = torch.full((2, 1, 1), -1.0), torch.zeros(1, 1)
    numbers = torch.zeros(2, 1, 5)
    alone = float(QuantileLoss.apply(centre, log_width, numbers, truth.expand(2, 1, 1)))
    assert float(pooled_loss(centre, log_width, numbers, truth)) < alone


def test_curve_is_the_rolling_power_law():
    """Log flux, slope and inverse rollover energy at the pivot give the form's log flux at all energies."""
    energies = (2.0, 5.0, 10.0, 37.0, 200.0)
    form = RollingPowerLaw(intensity=300.0, spectral_index=1.7, rollover_energy=23.0)
    curve = np.array([np.log(form.flux(PIVOT_ENERGY)), 1.7 + PIVOT_ENERGY / 23.0, 1 / 23.0])
    np.testing.assert_allclose(curve @ curve_matrix(energies), np.log(form.flux(np.array(energies))), rtol=1e-5)


def test_centre_is_the_rolling_power_law():
    """The centre holds the form's fluxes, its parameters, and its integral flux to a few per cent."""
    index, rollover, intensity = 2.0, 15.0, 100.0
    form = RollingPowerLaw(intensity, index, rollover)
    raw = torch.zeros(1, 1, ARCHITECTURE.n_outputs)
    # What the curve's three outputs must be: (value - start) / step, see CURVE_START.
    raw[..., 0] = math.log(float(form.flux(PIVOT_ENERGY))) / 3.0
    raw[..., 1] = (index + PIVOT_ENERGY / rollover - 3.0) / 2.0
    raw[..., 2] = math.log(1 / rollover) + 2.0
    centre = split_outputs(ARCHITECTURE, raw, 0.0)[0][0, 0].numpy()
    n_nodes, n_thresholds = len(ARCHITECTURE.nodes), len(ARCHITECTURE.thresholds)
    np.testing.assert_allclose(centre[:n_nodes], np.log(form.flux(np.array(ARCHITECTURE.nodes))), atol=1e-4)
    integral = np.exp(centre[n_nodes : n_nodes + n_thresholds])
    np.testing.assert_allclose(integral, form.integral(np.array(ARCHITECTURE.thresholds), np.inf), rtol=0.3)
    np.testing.assert_allclose(centre[-len(PARAMETERS) :], [index, np.log(rollover), np.log(intensity)], atol=1e-4)


def test_sizes_fit_together():
    """Outputs are a curve, and six numbers a target: each node, threshold and parameter."""
    assert ARCHITECTURE.n_targets == 4 + 2 + 3
    assert ARCHITECTURE.sizes == (5, 6, 7, 3 + 6 * 9)
    tensors = initial_weights(ARCHITECTURE, 3, seed=1)
    assert [tuple(tensor.shape) for tensor in tensors[:2]] == [(3, 5, 6), (3, 1, 6)]
    raw = hidden_to_output(tensors, torch.zeros(3, 4, 5))
    assert raw.shape == (3, 4, ARCHITECTURE.n_outputs)
    centre, log_width, numbers = split_outputs(ARCHITECTURE, raw, 0.0)
    assert centre.shape == log_width.shape == (3, 4, 9)
    assert numbers.shape == (3, 4, 45)


def test_members_start_apart():
    """Each member draws weights of its own, and the seed alone decides them."""
    once, again, other = (initial_weights(ARCHITECTURE, 3, seed) for seed in (1, 1, 2))
    assert all(torch.equal(one, same) for one, same in zip(once, again, strict=True))
    for layer in range(0, len(once), 2):
        assert not torch.equal(once[layer][0], once[layer][1])
        assert not torch.equal(once[layer], other[layer])


def test_members_do_not_see_each_other():
    """Another member's weights change nothing in a member's output."""
    tensors = initial_weights(ARCHITECTURE, 2, seed=1)
    features = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    before = hidden_to_output(tensors, features)[0]
    for tensor in tensors:
        tensor[1] += 1.0
    torch.testing.assert_close(hidden_to_output(tensors, features)[0], before, rtol=0, atol=0)
