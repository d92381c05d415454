from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtri
from scipy.stats import norm

from particleflux.errors import AxisError, DataError
from particleflux.forecast import QUANTILES
from particleflux.verify import coverage, crps, crps_skill
from particleflux.verify.quantiles import crps_of_each

RNG = np.random.default_rng(2)


def normal(mean: np.ndarray, std: float) -> xr.DataArray:
    quantiles = np.asarray(mean)[:, np.newaxis] + std * ndtri(QUANTILES)
    return xr.DataArray(quantiles, {"quantile": list(QUANTILES)}, ("time", "quantile"))


def labelled(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, dtype=float), dims="time")


@pytest.mark.parametrize("distance", [0.0, 0.5, -1.0, 2.0, 3.0])
def test_crps_of_a_normal_forecast(distance: float) -> None:
    """From nine quantiles the CRPS of a normal forecast is within 1 % of its closed form, also in the tails."""
    std = 0.4
    expected = std * (distance * (2 * norm.cdf(distance) - 1) + 2 * norm.pdf(distance) - 1 / np.sqrt(np.pi))
    found = crps_of_each(normal(np.array([7.0]), std), labelled(np.array([7.0 + distance * std])))
    assert found.item() == pytest.approx(expected, rel=0.01)


def test_crps_without_spread_is_the_absolute_error() -> None:
    """Quantiles that coincide give the mean absolute error."""
    fcst = normal(np.array([7.0, 8.0]), 0.0)
    assert crps(fcst, labelled([7.5, 7.0]), dim="time").item() == pytest.approx(0.75, abs=0.002)


def test_crps_drops_missing_days_and_takes_many() -> None:
    """A day without observation or with a quantile missing does not count; chunks change nothing."""
    n = 9001
    fcst, obs = normal(np.full(n, 7.0), 0.5), labelled(7 + 0.5 * RNG.standard_normal(n))
    each = crps_of_each(fcst, obs)
    assert each.dims == ("time",)
    assert each[8999].item() == pytest.approx(crps_of_each(fcst[8999:9000], obs[8999:9000]).item())
    fcst[5, 3] = np.nan
    obs[8] = np.nan
    kept = np.delete(np.arange(n), [5, 8])
    assert crps(fcst, obs, dim="time").item() == pytest.approx(each[kept].mean().item())
    # The mean CRPS of a normal forecast with the right spread is std / sqrt(pi).
    assert crps(fcst, obs, dim="time").item() == pytest.approx(0.5 / np.sqrt(np.pi), rel=0.03)


def test_crps_skill() -> None:
    """A forecast with the right spread has skill over a wider one, and none over itself."""
    obs = labelled(7 + 0.5 * RNG.standard_normal(400))
    right, wide = normal(np.full(400, 7.0), 0.5), normal(np.full(400, 7.0), 2.0)
    assert crps_skill(right, obs, reference=wide, dim="time").item() > 0.2
    assert crps_skill(right, obs, reference=right, dim="time").item() == pytest.approx(0)
    reference = wide.copy()
    reference[:10] = np.nan
    expected = 1 - crps(right[10:], obs[10:], dim="time") / crps(wide[10:], obs[10:], dim="time")
    assert crps_skill(right, obs, reference=reference, dim="time").item() == pytest.approx(expected.item())


def test_coverage_counts_both_ends() -> None:
    """An observation on an end of the interval is inside; one beyond it is not; a missing one does not count."""
    fcst = normal(np.full(5, 7.0), 1.0)
    low, high = (fcst.sel(quantile=level)[0].item() for level in (0.16, 0.84))
    obs = labelled([low, high, high + 1e-6, 7.0, np.nan])
    assert coverage(fcst, obs, interval=0.68, dim="time").item() == 0.75


@pytest.mark.parametrize("interval", [0.5, 0.68, 0.9, 0.95, 0.8])
def test_coverage_of_the_right_spread(interval: float) -> None:
    """Where the spread is right the interval holds its share, also one whose ends must be interpolated."""
    obs = labelled(7 + 0.5 * RNG.standard_normal(20_000))
    found = coverage(normal(np.full(20_000, 7.0), 0.5), obs, interval=interval, dim="time")
    assert found.item() == pytest.approx(interval, abs=0.01)


def test_wrong_inputs_are_refused() -> None:
    """No levels, levels out of order, and an interval in per cent are refused."""
    fcst, obs = normal(np.full(3, 7.0), 0.5), labelled([7.0, 7.0, 7.0])
    with pytest.raises(AxisError, match="expected 'quantile' among them with the level of each as label"):
        crps(fcst.drop_vars("quantile"), obs, dim="time")
    with pytest.raises(AxisError, match="in rising order"):
        crps(fcst.isel(quantile=slice(None, None, -1)), obs, dim="time")
    with pytest.raises(AxisError, match="two at least"):
        crps(fcst.sel(quantile=[0.5]), obs, dim="time")
    with pytest.raises(DataError, match=r"interval=68: expected a probability"):
        coverage(fcst, obs, interval=68, dim="time")
