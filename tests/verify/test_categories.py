from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import DataError
from particleflux.verify import contingency, exceeds, false_alarm_ratio, heidke_skill, pod


def days(hits: int, false_alarms: int, misses: int, correct_negatives: int) -> tuple[xr.DataArray, xr.DataArray]:
    numbers = (hits, false_alarms, misses, correct_negatives)
    fcst, obs = (np.repeat(cells, numbers) for cells in ([1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]))
    return xr.DataArray(fcst, dims="time"), xr.DataArray(obs, dims="time")


def test_the_tornado_forecasts_of_finley() -> None:
    """The table of Finley (1884) has its published scores: POD 0.549, FAR 0.720, HSS 0.355."""
    pair = days(28, 72, 23, 2680)
    assert pod(*pair, dim="time").item() == pytest.approx(0.549, abs=5e-4)
    assert false_alarm_ratio(*pair, dim="time").item() == pytest.approx(0.720, abs=5e-4)
    assert heidke_skill(*pair, dim="time").item() == pytest.approx(0.355, abs=5e-4)
    counted = contingency(*pair, dim="time")
    assert [int(counted[name]) for name in counted] == [28, 72, 23, 2680]


def test_chance_and_perfection() -> None:
    """Forecasts independent of the event have HSS 0, right ones 1, always wrong ones of an even event -1."""
    assert heidke_skill(*days(20, 20, 30, 30), dim="time").item() == 0
    assert heidke_skill(*days(20, 0, 0, 30), dim="time").item() == 1
    assert heidke_skill(*days(0, 25, 25, 0), dim="time").item() == -1


def test_nothing_to_tell() -> None:
    """Where no event came or none was forecast, the score is missing."""
    assert pod(*days(0, 3, 0, 5), dim="time").isnull().item()
    assert false_alarm_ratio(*days(0, 0, 3, 5), dim="time").isnull().item()
    assert heidke_skill(*days(0, 0, 0, 5), dim="time").isnull().item()


def test_missing_days_are_dropped() -> None:
    """A day with either missing does not count."""
    fcst, obs = days(2, 1, 1, 4)
    fcst[0], obs[-1] = np.nan, np.nan
    counted = contingency(fcst, obs, dim="time")
    assert [int(counted[name]) for name in counted] == [1, 1, 1, 3]


def test_exceeds_takes_several_thresholds() -> None:
    """A dimension of thresholds is added; the threshold itself is reached; what is missing stays so."""
    log = xr.DataArray([8.0, 9.0], {"threshold": [1e8, 1e9]}, ("threshold",))
    found = exceeds(xr.DataArray([8.0, 9.5, np.nan], dims="time"), log)
    np.testing.assert_array_equal(found.transpose("threshold", "time"), [[1, 1, np.nan], [0, 1, np.nan]])


def test_probabilities_are_refused() -> None:
    """A probability is no yes or no."""
    fcst, obs = days(1, 1, 1, 1)
    with pytest.raises(DataError, match=r"fcst holds 0\.5; expected 1 for yes, 0 for no"):
        pod(fcst / 2, obs, dim="time")
