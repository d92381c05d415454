from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.forecast.issue import (
    check_leads,
    describe,
    input_flags,
    issue_times,
    log_fluence,
    rows_before,
    take_days,
)
from particleflux.names import ForecastQuality, attributes

Make = Callable[..., xr.Dataset]


@pytest.fixture
def history(make_history: Make) -> xr.Dataset:
    """Forty days from 2003-01-01."""
    return make_history(40)


def flags(history: xr.Dataset, day: int, window: int = 5, **options: object) -> ForecastQuality:
    found = input_flags(history, np.array([day]), window, **options)  # type: ignore[arg-type]
    return ForecastQuality(int(found[0]))


def spoil(history: xr.Dataset, name: str, *days: int) -> xr.Dataset:
    values = history[name].to_numpy().copy()
    values[list(days)] = np.nan
    return history.assign({name: (history[name].dims, values, history[name].attrs)})


def test_default_is_the_first_instant_after_the_last_day(history: xr.Dataset) -> None:
    """Without an issue time, the forecast is issued when the last day is over, and that day is the last one read."""
    issued = issue_times(history)
    assert issued.tolist() == issue_times(history, "2003-02-10").tolist()
    assert rows_before(history, issued).tolist() == [39]


def test_last_day_read_is_the_one_before(history: xr.Dataset) -> None:
    """The day before the issue time is the last that is read; outside the history days are NaN."""
    issued = issue_times(history, ["2003-01-01", "2003-01-02", "2003-02-12"])
    rows = rows_before(history, issued)
    assert rows.tolist() == [-1, 0, 41]
    taken = take_days(np.arange(40.0), rows[:, np.newaxis] - np.arange(3))
    np.testing.assert_array_equal(taken, [[np.nan] * 3, [0, np.nan, np.nan], [np.nan, np.nan, 39]])
    assert take_days(np.ones((40, 24)), rows).shape == (3, 24)


def test_days_may_begin_at_another_hour(history: xr.Dataset) -> None:
    """Issue times lie where the days of the history begin, whatever the hour, and nowhere else."""
    local = history.assign_coords(time=history["time"] + np.timedelta64(7, "h"))
    assert rows_before(local, issue_times(local, "2003-01-05T07:00")).tolist() == [3]
    with pytest.raises(DataError, match=r"2003-01-05 is not where a day of the history begins \(07:00:00 UTC\)"):
        issue_times(local, "2003-01-05")
    with pytest.raises(DataError, match=r"2003-01-05T07:00 is not where a day of the history begins \(00:00:00 UTC\)"):
        issue_times(history, "2003-01-05T07:00")


def test_issue_times_outside_the_history_are_told(history: xr.Dataset) -> None:
    """Before its first day, or more than five days after it ends, no forecast can be issued."""
    with pytest.raises(DataError, match="2002-12-31 lies before the history, which begins at 2003-01-01"):
        issue_times(history, "2002-12-31")
    assert issue_times(history, "2003-02-15").size == 1
    with pytest.raises(MissingDataError, match="2003-02-16: the history ends with the day of 2003-02-09, more than 5"):
        issue_times(history, "2003-02-16")
    with pytest.raises(MissingDataError, match="the history holds no day"):
        issue_times(history.isel(time=slice(0)))


@pytest.mark.parametrize(
    ("given", "message"),
    [("soon", "holds no times"), (["NaT"], "1 missing times"), ([["2003-01-05"]], r"shape \(1, 1\)")],
)
def test_what_is_no_list_of_times_is_told(history: xr.Dataset, given: object, message: str) -> None:
    """Text that is no time, missing times and tables of times are refused."""
    with pytest.raises(DataError, match=message):
        issue_times(history, given)  # type: ignore[arg-type]


def test_history_must_have_every_day_once(history: xr.Dataset) -> None:
    """A hole, a day twice, days out of order, hours, and no axis of time are refused, saying where."""
    for order in ([0, 2], [0, 0, 1], [1, 0]):
        with pytest.raises(AxisError, match=r"is followed by .*, expected every day once and in order"):
            issue_times(history.isel(time=order))
    hours = np.datetime64("2003-01-01", "ns") + np.arange(40) * np.timedelta64(1, "h")
    with pytest.raises(AxisError, match="2003-01-01 is followed by 2003-01-01T01:00"):
        issue_times(history.assign_coords(time=hours))
    with pytest.raises(AxisError, match=r"history has coordinates \[\]: expected 'time'"):
        issue_times(history.drop_vars("time"))


def test_what_is_no_positive_number_has_no_logarithm(history: xr.Dataset) -> None:
    """Zero, negative and infinite fluences are missing ones; a fluence by the hour is refused."""
    values = history["fluence_gt2mev"].to_numpy().copy()
    values[:4] = [0, -1e7, np.inf, 1e7]
    spoiled = history.assign(fluence_gt2mev=("time", values, attributes("fluence_gt2mev")))
    np.testing.assert_array_equal(log_fluence(spoiled)[:4], [np.nan, np.nan, np.nan, 7.0])
    with pytest.raises(AxisError, match=r"dimensions \('time', 'hour'\), expected \('time',\)"):
        log_fluence(history.assign(fluence_gt2mev=history["fluence_gt2mev"].expand_dims(hour=2, axis=1)))


def test_missing_flux_is_flagged_by_where_it_is_missing(history: xr.Dataset) -> None:
    """The last day, the days before it, and the day one rotation before have a flag each."""
    assert flags(history, 39, recurrence=(1, 2, 3)) == ForecastQuality.GOOD
    assert flags(spoil(history, "fluence_gt2mev", 39), 39) == ForecastQuality.NO_FLUX
    assert flags(spoil(history, "fluence_gt2mev", 36), 39) == ForecastQuality.FLUX_GAP
    assert flags(spoil(history, "fluence_gt2mev", 34), 39) == ForecastQuality.GOOD
    past = spoil(history, "fluence_gt2mev", 39 + 3 - 27)
    assert flags(past, 39, recurrence=(3,)) == ForecastQuality.NO_RECURRENCE
    assert flags(past, 39, recurrence=(2,)) == ForecastQuality.GOOD
    assert flags(history, 2) == ForecastQuality.FLUX_GAP
    assert flags(history, -1) == ForecastQuality.NO_FLUX | ForecastQuality.FLUX_GAP


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("solar_wind_speed", ForecastQuality.NO_SOLAR_WIND),
        ("standoff", ForecastQuality.NO_SOLAR_WIND),
        ("kp_sum", ForecastQuality.NO_KP),
        ("dst", ForecastQuality.NO_DST),
        ("ae", ForecastQuality.DRIVER_GAP),
    ],
)
def test_missing_drivers_are_flagged(history: xr.Dataset, name: str, flag: ForecastQuality) -> None:
    """A driver missing on the last day has its own flag, before it that of a gap; one that is not read has none."""
    assert flags(spoil(history, name, 39), 39, drivers=(name,)) == flag
    assert flags(spoil(history, name, 37), 39, drivers=(name,)) == ForecastQuality.DRIVER_GAP
    assert flags(spoil(history, name, 39), 39, drivers=("f10p7",)) == ForecastQuality.GOOD
    assert flags(history.drop_vars(name), 39, drivers=(name,)) == flag


def test_hours_missing_on_the_last_day_are_a_gap(history: xr.Dataset) -> None:
    """Of hourly values, a day without any is lost, one with some has a gap; extremes count as their driver."""
    hourly = history["dst"].expand_dims(hour=24, axis=1).copy()
    hourly[39, :5] = np.nan
    assert flags(history.assign(dst_hourly=hourly), 39, drivers=("dst_hourly",)) == ForecastQuality.DRIVER_GAP
    hourly[39] = np.nan
    assert flags(history.assign(dst_hourly=hourly), 39, drivers=("dst_hourly",)) == ForecastQuality.NO_DST
    assert flags(history, 39, drivers=("solar_wind_speed_max",)) == ForecastQuality.NO_SOLAR_WIND


def test_flux_off_the_scale_is_flagged(history: xr.Dataset) -> None:
    """Uncalibrated days are flagged, and a change of satellite with them; days without flux do not count."""
    codes = np.zeros(40, np.int8)
    codes[37:] = 3
    satellites = np.where(np.arange(40) < 38, "GOES-11", "GOES-13")
    free = history.assign(calibration=("time", codes))
    assert flags(free, 39) == ForecastQuality.UNCALIBRATED
    assert flags(free, 36) == ForecastQuality.GOOD
    mixed = free.assign(satellite=("time", satellites))
    assert flags(mixed, 39) == ForecastQuality.UNCALIBRATED | ForecastQuality.SATELLITE_CHANGE
    assert flags(mixed.assign(calibration=("time", 0 * codes + 1)), 39) == ForecastQuality.GOOD
    gone = spoil(mixed, "fluence_gt2mev", 35, 36, 37)
    assert flags(gone, 39) == ForecastQuality.UNCALIBRATED | ForecastQuality.FLUX_GAP
    assert flags(history.drop_vars(["calibration", "satellite"]), 39) == ForecastQuality.GOOD


@pytest.mark.parametrize("leads", [(), (1, 1), (0,), (4,), (1.5,), ("a",)])
def test_unknown_lead_times_are_told(leads: tuple[object, ...]) -> None:
    """Lead times that a method does not know, or that are there twice, are refused."""
    with pytest.raises(DataError, match=r"expected some of \[1, 2, 3\] days, each once"):
        check_leads(leads, (1, 2, 3))  # type: ignore[arg-type]


def test_lead_times_keep_their_order() -> None:
    """Any choice of known lead times is taken as it is."""
    assert check_leads([3, 1], (1, 2, 3)) == (3, 1)
    assert check_leads(np.array([2]), (1, 2, 3)) == (2,)  # type: ignore[arg-type]


def test_forecast_tells_its_origin(history: xr.Dataset) -> None:
    """Method, satellite and scale are told; what the history does not say is left out."""
    assert describe(history, "mine") == {
        "method": "mine", "satellite": "GOES-11", "reference": "GOES-11", "day_start": 0.0,
    }  # fmt: skip
    assert describe(history.drop_attrs(), "mine") == {"method": "mine"}
