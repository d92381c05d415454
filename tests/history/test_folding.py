from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.history import fold_days

NAN = np.nan


def test_hours_keep_their_place_and_days_their_extremes(make):
    """Hour h of day d of an hourly source is entry (d, h); the day has its mean, least and greatest."""
    folded = fold_days(make("2016-05-01", "1h", {"dst": np.arange(48.0)}))
    np.testing.assert_array_equal(folded["dst_hourly"], np.arange(48.0).reshape(2, 24))
    assert folded["dst"].values.tolist() == [11.5, 35.5]
    assert folded["dst_min"].values.tolist() == [0, 24]
    assert folded["dst_max"].values.tolist() == [23, 47]
    assert folded["time"].values.tolist() == np.array(["2016-05-01", "2016-05-02"], "datetime64[ns]").tolist()
    assert folded["dst"].attrs["units"] == folded["dst_min"].attrs["units"] == "nT"
    assert folded.attrs == {"cadence": "1D", "day_start": 0.0}


@pytest.mark.parametrize(("step", "per_hour"), [("1m", 60), ("5m", 12), ("30m", 2)])
def test_fine_samples_are_averaged_to_hours(make, step, per_hour):
    """The mean of an hour is that of its samples, whatever their cadence."""
    values = np.repeat(np.arange(24.0), per_hour) + np.tile(np.linspace(-1, 1, per_hour), 24)
    folded = fold_days(make("2016-05-01", step, {"solar_wind_speed": values}))
    np.testing.assert_allclose(folded["solar_wind_speed_hourly"][0], np.arange(24.0), atol=1e-12)


def test_half_of_an_hour_is_an_hour_and_less_is_a_gap(make):
    """With 6 of 12 samples an hour has a mean, with 5 it has none."""
    values = np.ones(24 * 12)
    values[:6] = NAN
    values[12:19] = NAN
    hours = fold_days(make("2016-05-01", "5m", {"dst": values}))["dst_hourly"].values[0]
    assert hours[0] == 1
    assert np.isnan(hours[1])
    assert np.isfinite(hours[2:]).all()


def test_half_of_a_day_is_a_day_and_less_is_a_gap(make):
    """With 12 of 24 hours a day has a mean of those; with 11 it is NaN, its extremes too, and never 0."""
    values = np.full(48, 5.0)
    values[:12] = NAN
    values[24:37] = NAN
    folded = fold_days(make("2016-05-01", "1h", {"dst": values}))
    np.testing.assert_array_equal(folded["dst"], [5, NAN])
    np.testing.assert_array_equal(folded["dst_min"], [5, NAN])
    np.testing.assert_array_equal(folded["dst_max"], [5, NAN])


def test_missing_rows_are_gaps(make):
    """A day without a row between others is a row of NaN, not left out."""
    source = make("2016-05-01", "1h", {"dst": np.ones(72)}, cadence="1h")
    folded = fold_days(source.isel(time=np.r_[0:24, 48:72]))
    np.testing.assert_array_equal(folded["dst"], [1, NAN, 1])
    assert np.isnan(folded["dst_hourly"].values[1]).all()


def test_kp_is_repeated_and_summed(make):
    """The eight Kp of a day stand in three hours each, and their sum is the day's sum."""
    kp = np.array([1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9.0])
    folded = fold_days(make("2016-05-01", "3h", {"kp": kp}))
    np.testing.assert_array_equal(folded["kp_hourly"].values.ravel(), np.repeat(kp, 3))
    np.testing.assert_allclose(folded["kp_sum"], [36, 9])
    assert folded["kp_max"].values.tolist() == [8, 9]


def test_a_day_may_begin_at_another_hour(make):
    """With day_start=5 an hour of a day counts from 05:00 UTC, and `time` says so; -5 is 19:00 of the day before."""
    source = make("2016-05-01", "1h", {"dst": np.arange(48.0)})
    folded = fold_days(source, day_start=5)
    assert folded["time"].values[1] == np.datetime64("2016-05-01T05:00")
    assert folded["dst_hourly"].values[1].tolist() == list(range(5, 29))
    assert fold_days(source, day_start=-5)["time"].values[0] == np.datetime64("2016-04-30T19:00")
    assert folded.attrs["day_start"] == 5


def test_kp_may_lie_across_the_start_of_a_day(make):
    """The Kp of 03-06 UTC belongs with one hour to the day that ends at 04 UTC, with two to the next."""
    folded = fold_days(make("2016-05-01", "3h", {"kp": np.arange(16.0) / 2}), day_start=4)
    assert folded["kp_hourly"].values[0, -1] == 0.5
    assert folded["kp_hourly"].values[1, :3].tolist() == [0.5, 0.5, 1.0]


def test_daily_values_have_no_hours(make):
    """A daily source gives days only."""
    folded = fold_days(make("2016-05-01", "1D", {"f10p7": np.array([70.0, NAN, 72.0])}))
    assert list(folded.data_vars) == ["f10p7"]
    assert folded.sizes == {"time": 3}


def test_folding_agrees_with_a_plain_loop(make):
    """On random samples with gaps and another start of the day, the vectorised sums are those of a loop."""
    rng = np.random.default_rng(1)
    values = np.where(rng.random(5 * 288) < 0.45, NAN, rng.normal(size=5 * 288))
    source = make("2016-05-01T02:35", "5m", {"dst": values})
    folded = fold_days(source, day_start=7)
    for day, start in enumerate(folded["time"].values):
        for hour in range(24):
            first = start + np.timedelta64(hour, "h")
            inside = source["dst"].sel(time=slice(first, first + np.timedelta64(3599, "s"))).values
            known = inside[np.isfinite(inside)]
            expected = known.mean() if len(known) >= 6 else NAN
            np.testing.assert_allclose(folded["dst_hourly"].values[day, hour], expected, rtol=1e-12)


def far(source):
    return source.isel(time=[0]).assign_coords(time=[np.datetime64("1700-01-01", "ns")])


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda s: s.isel(time=[0, 0, 1]), DataError, "missing, unsorted or repeated"),
        (lambda s: s.isel(time=[1, 0]), DataError, "missing, unsorted or repeated"),
        (lambda s: s.isel(time=[]), MissingDataError, "holds no sample"),
        (lambda s: s.isel(time=[0]), DataError, "one sample states no cadence"),
        (lambda s: s.assign_attrs(cadence="often"), DataError, "cadence often: expected a length of time"),
        (lambda s: s.assign_attrs(cadence="27D"), DataError, "cadence 27D: expected a length of time up to a day"),
        (lambda s: s.rename(time="t"), AxisError, "expected `time`"),
        (lambda s: s.expand_dims(channel=2).transpose(), AxisError, "dst has dimensions"),
        (lambda s: s.assign_coords(time=s["time"] + np.timedelta64(1, "m")), DataError, "does not begin with an hour"),
        (
            lambda s: xr.concat([far(s), s], "time"),
            DataError,
            "span .* days, at most",
        ),
    ],
)
def test_what_is_no_series_is_refused(make, change, error, match):
    """Times that are not in order, an unknown cadence, another dimension or samples between hours raise."""
    with pytest.raises(error, match=match):
        fold_days(change(make("2016-05-01", "1h", {"dst": np.arange(48.0)})))


def test_days_cannot_be_divided(make):
    """A daily source with another start of the day raises, and so does a start that is none."""
    source = make("2016-05-01", "1D", {"dst": np.arange(4.0)})
    with pytest.raises(DataError, match=r"does not begin with a day counted from .*T05:00:00; samples of 1 days"):
        fold_days(source, day_start=5)
    with pytest.raises(DataError, match="day_start=24: expected hours"):
        fold_days(source, day_start=24)
