from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import DataError
from particleflux.verify import bound, draw_weights, weighted_sum

RNG = np.random.default_rng(4)


def mean_interval(values: np.ndarray, **settings: int) -> tuple[float, float, float]:
    weights = draw_weights(len(values), **{"n_bootstrap": 2000, "seed": 1, **settings})
    summed = weighted_sum(xr.DataArray(values, dims="day"), weights) / weights.sum("day")
    value, lower, upper = bound(summed)
    return value.item(), lower.item(), upper.item()


def test_each_draw_has_as_many_days() -> None:
    """Every draw holds as many days as there are, in whole blocks but the last; row 0 is the days as they are."""
    weights = draw_weights(100, n_bootstrap=50, seed=1).to_numpy()
    assert weights.shape == (51, 100)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 100).all()
    # Days side by side are drawn together: few jumps, at most two per block.
    assert (np.count_nonzero(np.diff(weights, axis=1), axis=1) <= 2 * 4).all()


def test_every_day_is_as_likely() -> None:
    """Days at the ends are drawn as often as those in the middle."""
    drawn = draw_weights(108, n_bootstrap=20_000, seed=2).to_numpy()[1:].mean(axis=0)
    np.testing.assert_allclose(drawn, 1, atol=0.04)


def test_interval_of_a_mean_of_independent_days() -> None:
    """For independent days the interval of the mean is 1.96 standard errors to both sides."""
    values = RNG.standard_normal(2700)
    value, lower, upper = mean_interval(values)
    assert value == pytest.approx(values.mean())
    half = 1.96 * values.std() / np.sqrt(2700)
    assert upper - lower == pytest.approx(2 * half, rel=0.15)
    assert lower < value < upper


def test_memory_widens_the_interval() -> None:
    """Days that remember each other widen the interval, as blocks of one day cannot see."""
    noise = RNG.standard_normal(2700)
    values = np.convolve(noise, np.ones(9) / 3, mode="same")
    _, lower, upper = mean_interval(values)
    _, thin_lower, thin_upper = mean_interval(values, block=1)
    # The standard error of a moving sum over 9 days grows by 3.
    assert (upper - lower) / (thin_upper - thin_lower) == pytest.approx(3, rel=0.2)


def test_the_seed_decides() -> None:
    """The same seed gives the same draws, another one others."""
    first, again, other = (draw_weights(200, n_bootstrap=5, seed=seed) for seed in (7, 7, 8))
    assert first.equals(again)
    assert not first.equals(other)


def test_too_few_days_have_no_interval() -> None:
    """With fewer than three blocks, or no draws, there is the value alone."""
    for value, lower, upper in (mean_interval(np.arange(80.0)), mean_interval(np.arange(90.0), n_bootstrap=0)):
        assert np.isfinite(value)
        assert np.isnan(lower)
        assert np.isnan(upper)


def test_interval_is_that_of_numpy() -> None:
    """The ends are the quantiles of the draws that have a score; with too few of those there is none."""
    replicates = xr.DataArray(RNG.standard_normal((401, 3)), dims=("replicate", "method"))
    replicates[1:100, 1] = np.nan
    replicates[1:300, 2] = np.nan
    value, lower, upper = bound(replicates)
    np.testing.assert_array_equal(value, replicates[0])
    expected = np.nanquantile(replicates[1:, :2], (0.025, 0.975), axis=0)
    np.testing.assert_allclose([lower[:2], upper[:2]], expected)
    assert lower[2].isnull().item()


def test_wrong_settings_are_refused() -> None:
    """A negative number of draws, an empty block and a negative seed are refused."""
    for settings in ({"n_bootstrap": -1}, {"block": 0}, {"seed": -1}):
        with pytest.raises(DataError, match="expected 0 or more draws, blocks of 1 day or more"):
            draw_weights(100, **{"n_bootstrap": 10, "seed": 1, **settings})
