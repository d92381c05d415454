from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.verify import bias, correlation, prediction_efficiency, rmse, skill

RNG = np.random.default_rng(1)
OBS = xr.DataArray(7 + 0.7 * RNG.standard_normal((2, 50)), {"lead_time": [1, 2]}, ("lead_time", "time"))
FCST = OBS + 0.3 * RNG.standard_normal((2, 50)) + 0.1
ALL = (prediction_efficiency, rmse, bias, correlation)


def test_perfect_forecast() -> None:
    """A forecast equal to what came has efficiency and correlation 1, and no error."""
    best = [score(OBS, OBS, dim="time") for score in ALL]
    for found, expected in zip(best, (1, 0, 0, 1), strict=True):
        np.testing.assert_allclose(found, [expected, expected], atol=1e-12)


def test_climatology_has_no_efficiency() -> None:
    """The mean of the observations has efficiency 0, an error of their standard deviation, and no correlation."""
    mean = OBS.mean("time") + 0 * OBS
    np.testing.assert_allclose(prediction_efficiency(mean, OBS, dim="time"), 0, atol=1e-12)
    np.testing.assert_allclose(rmse(mean, OBS, dim="time"), OBS.std("time"))
    assert correlation(mean, OBS, dim="time").isnull().all()


def test_scores_agree_with_numpy() -> None:
    """Scores of noisy forecasts are those of the textbook formulas."""
    error = (FCST - OBS).to_numpy()
    np.testing.assert_allclose(rmse(FCST, OBS, dim="time"), np.sqrt((error**2).mean(axis=1)))
    np.testing.assert_allclose(bias(FCST, OBS, dim="time"), error.mean(axis=1))
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(FCST.to_numpy(), OBS.to_numpy(), strict=True)]
    np.testing.assert_allclose(correlation(FCST, OBS, dim="time"), expected)
    expected = 1 - (error**2).mean(axis=1) / OBS.to_numpy().var(axis=1)
    np.testing.assert_allclose(prediction_efficiency(FCST, OBS, dim="time"), expected)


def test_a_shift_of_both_changes_nothing() -> None:
    """Scores do not depend on the unit of the fluence, which shifts its logarithm; not even far from 0."""
    for score in ALL:
        np.testing.assert_allclose(score(FCST + 1e4, OBS + 1e4, dim="time"), score(FCST, OBS, dim="time"), rtol=1e-7)


def test_missing_pairs_are_dropped() -> None:
    """A pair in which either is missing does not count: the scores are those without it."""
    fcst, obs = FCST.copy(), OBS.copy()
    fcst[:, 3] = np.nan
    obs[:, 7] = np.nan
    kept = np.delete(np.arange(50), [3, 7])
    for score in ALL:
        expected = score(FCST.isel(time=kept), OBS.isel(time=kept), dim="time")
        np.testing.assert_allclose(score(fcst, obs, dim="time"), expected)
        assert score(fcst * np.nan, obs, dim="time").isnull().all()


def test_labels_are_kept() -> None:
    """The dimension scored over goes, the others and their labels stay; several can go at once."""
    found = rmse(FCST, OBS, dim="time")
    assert found.dims == ("lead_time",)
    assert found["lead_time"].to_numpy().tolist() == [1, 2]
    assert rmse(FCST, OBS, dim=("time", "lead_time")).item() == pytest.approx(float(((FCST - OBS) ** 2).mean()) ** 0.5)


def test_skill() -> None:
    """Skill is 1 for a perfect forecast, 0 for the reference itself, and 1 - 1/4 for half of its error."""
    reference = OBS + 0.4
    np.testing.assert_allclose(skill(OBS, OBS, reference=reference, dim="time"), 1)
    np.testing.assert_allclose(skill(reference, OBS, reference=reference, dim="time"), 0, atol=1e-12)
    np.testing.assert_allclose(skill(OBS + 0.2, OBS, reference=reference, dim="time"), 0.75)
    assert skill(reference, OBS, reference=OBS, dim="time").isnull().all()


def test_skill_compares_the_same_days() -> None:
    """A day that the reference misses does not count for the forecast either."""
    fcst, reference = OBS + 0.2, OBS + 0.4
    fcst[:, 0], reference[:, 0] = 99.0, np.nan
    np.testing.assert_allclose(skill(fcst, OBS, reference=reference, dim="time"), 0.75)


def test_wrong_inputs_are_refused() -> None:
    """An absent dimension, other labels, infinite values and text are told apart."""
    with pytest.raises(AxisError, match=r"fcst has dimensions .*expected 'day'"):
        rmse(FCST, OBS, dim="day")
    with pytest.raises(AxisError, match=r"obs has dimensions .*expected 'time'"):
        rmse(FCST, OBS.isel(time=0), dim="time")
    with pytest.raises(AxisError, match="have other labels"):
        rmse(FCST, OBS.assign_coords(lead_time=[1, 3]), dim="time")
    with pytest.raises(DataError, match=r"obs holds infinite values, such as log10 of 0"):
        rmse(FCST, OBS.where(OBS > 7, -np.inf), dim="time")
    with pytest.raises(DataError, match="fcst is of type <U1"):
        rmse(xr.DataArray(["a", "b"], dims="time"), OBS, dim="time")
