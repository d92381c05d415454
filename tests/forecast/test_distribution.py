from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from particleflux.errors import AxisError, DataError
from particleflux.forecast.distribution import LEAST_SLOPE, QUANTILES, THRESHOLDS, as_forecast, exceedance, interpolate
from particleflux.names import ForecastQuality

NORMAL = 7.5 + 0.4 * ndtri(QUANTILES)
DAYS = np.array(["2010-04-05", "2010-04-06"], "datetime64[ns]")


def test_curve_of_a_normal_distribution_is_that_distribution() -> None:
    """Through quantiles of a normal distribution the curve is it, far into both tails."""
    levels = np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 0.999999])
    np.testing.assert_allclose(interpolate(NORMAL, levels), 7.5 + 0.4 * ndtri(levels), rtol=1e-12)
    values = np.array([5.0, 7.0, 7.5, 8.0, 10.0])
    np.testing.assert_allclose(exceedance(NORMAL, values), ndtr((7.5 - values) / 0.4), rtol=1e-9)


def test_curve_meets_its_quantiles() -> None:
    """At its own levels the curve gives the quantiles, and there the exceedance is one minus the level."""
    values = np.cumsum(np.random.default_rng(3).uniform(0.01, 0.5, (50, 9)), axis=-1)
    np.testing.assert_allclose(interpolate(values, QUANTILES), values, rtol=1e-12)
    at_quantiles = exceedance(values, values)
    np.testing.assert_allclose(at_quantiles, np.broadcast_to(1 - np.array(QUANTILES), values.shape), rtol=1e-9)


def test_curve_never_falls() -> None:
    """Values never decrease with the level nor probabilities increase with the threshold, also through ties."""
    rng = np.random.default_rng(4)
    values = np.sort(rng.choice(np.linspace(6, 9, 7), (200, 9)), axis=-1) + rng.choice([0, 1e-15], (200, 9))
    assert (np.diff(interpolate(values, np.linspace(1e-4, 1 - 1e-4, 999)), axis=-1) >= 0).all()
    assert (np.diff(exceedance(values, np.linspace(5, 10, 2001)), axis=-1) <= 0).all()


def test_exceedance_inverts_the_curve() -> None:
    """The probability of exceeding the value at a level is one minus the level."""
    values = np.cumsum(np.random.default_rng(5).uniform(0.05, 0.5, (20, 9)), axis=-1)
    levels = np.array([0.001, 0.1, 0.45, 0.8, 0.999])
    back = exceedance(values, interpolate(values, levels))
    np.testing.assert_allclose(back, np.broadcast_to(1 - levels, back.shape), rtol=1e-9)


def test_crossing_quantiles_are_sorted() -> None:
    """Quantiles in any order are the same distribution."""
    shuffled = np.random.default_rng(6).permutation(NORMAL)
    np.testing.assert_array_equal(exceedance(shuffled, [7.0, 8.0]), exceedance(NORMAL, [7.0, 8.0]))
    np.testing.assert_array_equal(interpolate(shuffled, [0.2]), interpolate(NORMAL, [0.2]))


def test_quantiles_that_coincide_are_a_step_with_thin_tails() -> None:
    """All quantiles at one value: nearly everything below lies under it, nearly nothing above, and nothing is NaN."""
    point = np.full(9, 7.0)
    np.testing.assert_allclose(exceedance(point, [6.9, 7.0, 7.1]), [1.0, 0.025, 0.0], atol=1e-12)
    expected = 7.0 + LEAST_SLOPE * (ndtri(0.999) - ndtri(0.975))
    np.testing.assert_allclose(interpolate(point, [0.5, 0.999]), [7.0, expected])


def test_missing_stays_missing() -> None:
    """NaN in one quantile makes that distribution NaN and no other; NaN as level or threshold gives NaN."""
    two = np.stack([NORMAL, NORMAL])
    two[0, 8] = np.nan
    for result in (interpolate(two, [0.1, np.nan]), exceedance(two, [8.0, np.nan])):
        assert np.isnan(result).tolist() == [[True, True], [False, True]]


def test_thresholds_may_differ_from_day_to_day() -> None:
    """With observations along the other axes, the result is one probability each."""
    values = np.stack([NORMAL, NORMAL + 1])
    result = exceedance(values, np.array([[7.5], [7.5]]))
    np.testing.assert_allclose(result, [[0.5], [ndtr(2.5)]], rtol=1e-9)


def test_mistakes_are_told() -> None:
    """Another number of quantiles, levels outside 0 to 1, and shapes that do not fit raise."""
    with pytest.raises(AxisError, match=r"shape \(8,\): expected 9 along the last axis"):
        exceedance(NORMAL[:8], [7.0])
    for level in (0.0, 1.0, -0.1, 50.0):
        with pytest.raises(DataError, match=f"level {level:g} of a quantile: expected a number above 0 and below 1"):
            interpolate(NORMAL, [0.5, level])
    with pytest.raises(AxisError, match=r"expected \(2, 3, 9\), \(2, 3\) and \(2,\) for 2 issue times"):
        as_forecast(np.zeros((2, 3, 9)), init_time=DAYS, lead_time=(1, 2, 3), quality=np.zeros(3), attrs={})


def test_forecast_is_labelled() -> None:
    """Dimensions, coordinates, units, flags and the day meant by a lead time are as agreed."""
    values = np.broadcast_to(NORMAL, (2, 3, 9)).copy()
    values[1] = np.nan
    forecast = as_forecast(
        values,
        init_time=DAYS,
        lead_time=(1, 2, 3),
        quality=[0, ForecastQuality.NO_FLUX.value],
        log_mean=np.where(np.isnan(values[..., 0]), np.nan, 7.6),
        attrs={"method": "mine"},
    )
    assert forecast["fluence_gt2mev"].dims == ("init_time", "lead_time", "quantile")
    assert forecast["probability"].dims == ("init_time", "lead_time", "threshold")
    assert forecast["fluence_gt2mev"].attrs["units"] == forecast["threshold"].attrs["units"] == "cm-2 sr-1 d-1"
    assert forecast["lead_time"].dtype == "timedelta64[ns]"
    assert forecast["quality"].dtype == np.int32
    assert forecast["quality"].to_numpy().tolist() == [0, ForecastQuality.NO_FLUX | ForecastQuality.NOT_FORECAST]
    assert "not_forecast" in forecast["quality"].attrs["flag_meanings"].split()
    assert forecast["valid_time"].to_numpy()[0].tolist() == (DAYS[0] + np.arange(3) * np.timedelta64(1, "D")).tolist()
    first = forecast.isel(init_time=0, lead_time=0)
    np.testing.assert_allclose(np.log10(first["fluence_gt2mev"]), NORMAL)
    np.testing.assert_allclose(first["fluence_gt2mev_mean"], 10**7.6)
    np.testing.assert_allclose(first["probability"], ndtr((7.5 - np.log10(THRESHOLDS)) / 0.4), rtol=1e-9)
    assert np.isnan(forecast.isel(init_time=1)["probability"]).all()
    assert forecast.attrs == {"method": "mine"}
    bare = as_forecast(values, init_time=DAYS, lead_time=(1, 2, 3), quality=np.zeros(2, int), attrs={})
    assert "fluence_gt2mev_mean" not in bare
