from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError
from particleflux.verify import day_before, dropouts, onsets

DAY = np.timedelta64(1, "D")


def series(values: list[float]) -> xr.DataArray:
    time = np.datetime64("2010-04-01", "ns") + np.arange(len(values)) * DAY
    return xr.DataArray(values, {"time": time}, ("time",))


def test_onsets_by_hand() -> None:
    """An onset is at or above the threshold after a day below; unknown after a missing day and on the first day."""
    found = onsets(series([8.5, 7.0, 7.5, 8.0, 8.4, np.nan, 8.2, 7.0, np.nan, 7.0, 9.0]), 8.0)
    nan = np.nan
    np.testing.assert_array_equal(found, [nan, nan, 0, 1, nan, nan, nan, nan, nan, nan, 1])


def test_onsets_of_several_thresholds() -> None:
    """A dimension of thresholds is added: one day can begin an event of both."""
    log = xr.DataArray([8.0, 9.0], {"threshold": [1e8, 1e9]}, ("threshold",))
    found = onsets(series([7.0, 9.5, 8.5]), log).transpose("threshold", "time")
    np.testing.assert_array_equal(found, [[np.nan, 1, np.nan], [np.nan, 1, np.nan]])


def test_dropouts_by_hand() -> None:
    """A dropout is a fall of 1 dex or more in one day; unknown where either day is missing."""
    found = dropouts(series([8.0, 7.0, 6.5, np.nan, 5.0, 4.0 + 1e-3]))
    np.testing.assert_array_equal(found, [np.nan, 1, 0, np.nan, np.nan, 0])
    assert dropouts(series([8.0, 7.4]), fall=0.5)[1].item() == 1


def test_a_hole_in_the_days_hides_the_day_before() -> None:
    """After days that are not there at all nothing is an onset or a dropout."""
    values = series([7.0, 7.0, 7.0, 9.0]).isel(time=[0, 1, 3])
    assert onsets(values, 8.0).isnull().to_numpy().tolist() == [True, False, True]
    assert dropouts(values).isnull().to_numpy().tolist() == [True, False, True]


def test_wrong_days_are_refused() -> None:
    """Days that do not increase, and values without days, are refused."""
    with pytest.raises(AxisError, match=r"do not increase at 2010-04-02T00:00 \(row 3\)"):
        day_before(series([1.0, 2.0, 3.0]).isel(time=[0, 2, 1]))
    with pytest.raises(AxisError, match="expected 'time' with the start of each day"):
        day_before(xr.DataArray([1.0, 2.0], dims="time"))
