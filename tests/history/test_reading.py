from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.export import write_dataset
from particleflux.history import assemble, open_history
from particleflux.names import attributes

NAN = np.nan
FEW = ["fluence_gt2mev", "electron_flux_gt2mev", "kp", "dst", "dst_hourly", "satellite"]


@pytest.fixture
def write(tmp_path):
    """Give a function that writes lines of a CSV file."""

    def lines(*text: str, name: str = "history.csv"):
        path = tmp_path / name
        path.write_text("\n".join(text) + "\n")
        return path

    return lines


@pytest.fixture
def table(tmp_path):
    """Give a function that writes columns along a time axis of one step as CSV, after a change."""

    def columns(step: str, *, n: int = 96, start: str = "2016-05-01", change=lambda t: t, **values: object):
        time = pd.date_range(start, periods=n, freq=step).strftime("%Y-%m-%dT%H:%M:%SZ")
        frame = pd.DataFrame({"time": time, **values, "satellite": "GOES-13"})
        path = tmp_path / "history.csv"
        change(frame).to_csv(path, index=False)
        return path

    return columns


def test_a_table_of_hours_becomes_days(table):
    """Hourly flux, solar wind and indices give the canonical layout: days, hours, extremes, fluence, stand-off."""
    hours = np.arange(96.0)
    path = table(
        "1h", electron_flux_gt2mev=1000.0, solar_wind_speed=400 + hours, solar_wind_density=5.0, bz_gsm=-8.14, kp=2.0
    )
    history = open_history(path)
    assert history.sizes == {"time": 4, "hour": 24}
    np.testing.assert_allclose(history["fluence_gt2mev"], 8.64e7)
    np.testing.assert_allclose(history["kp_sum"], 16)
    assert history["solar_wind_speed_max"].to_numpy().tolist() == [423, 447, 471, 495]
    assert np.isfinite(history["standoff_hourly"]).all()
    assert history["satellite"].to_numpy().tolist() == ["GOES-13"] * 4
    assert history["calibration"].to_numpy().tolist() == [0] * 4
    assert history.attrs["reference"] == history.attrs["satellite"] == "GOES-13"
    assert history.attrs["cadence"] == "1D"


def test_a_table_of_days_is_taken_as_it_is(table):
    """Daily fluence and drivers stand on their days; the flux and the stand-off distance are derived."""
    path = table("1D", fluence_gt2mev=8.64e7, solar_wind_pressure=1.0, bz_gsm=-8.14, kp_sum=24.0, dst_min=-50.0)
    history = open_history(path)
    assert history.sizes == {"time": 96}
    np.testing.assert_allclose(history["electron_flux_gt2mev"], 1000)
    np.testing.assert_allclose(history["standoff"], 10.22)
    np.testing.assert_allclose(history["kp"], 3)
    assert (history["dst_min"] == -50).all()
    np.testing.assert_array_equal(history["fluence_gt2mev_measured"], history["fluence_gt2mev"])


def test_a_table_of_three_hours_is_one_of_hours(table):
    """At three hours a value stands for three."""
    history = open_history(table("3h", n=32, electron_flux_gt2mev=np.tile(np.arange(1.0, 9.0), 4), kp=1.0))
    assert history["electron_flux_gt2mev_hourly"].to_numpy()[0, :4].tolist() == [1, 1, 1, 2]
    np.testing.assert_allclose(history["fluence_gt2mev"], 4.5 * 86400)


def test_gaps_are_days_of_nan(table):
    """Rows that are missing are gaps: the day is there, NaN, with no satellite."""
    history = open_history(table("1D", n=9, fluence_gt2mev=1e7, change=lambda t: t.drop(index=[3, 4])))
    assert history.sizes["time"] == 9
    assert np.isnan(history["fluence_gt2mev"]).to_numpy().tolist() == [False] * 3 + [True] * 2 + [False] * 4
    assert history["satellite"].to_numpy()[3] == ""
    assert history["calibration"].to_numpy()[3] == -1


def test_columns_of_three_hours_and_days_among_hours(table):
    """Kp every three hours and F10.7 once a day among hourly rows are read as what they are, not as gaps."""
    kp, f10p7, fluence = np.full((3, 96), NAN)
    kp[::3], f10p7[::24], fluence[::24] = 4.0, 70.0, 2e7
    history = open_history(table("1h", electron_flux_gt2mev=10.0, kp=kp, f10p7=f10p7, fluence_gt2mev=fluence))
    np.testing.assert_allclose(history["kp_sum"], 32)
    np.testing.assert_allclose(history["kp_hourly"], 4)
    np.testing.assert_allclose(history["f10p7"], 70)
    np.testing.assert_allclose(history["fluence_gt2mev"], 2e7)
    assert (history["calibration"] == 0).all()


def test_units_comments_blanks_and_zones_are_understood(write):
    """Headings with units, comment lines, empty cells and times with a zone are read."""
    path = write(
        "# from our archive",
        "time [UTC],electron_flux_gt2mev [cm-2 s-1 sr-1],kp [1],satellite",
        "2016-05-01T02:00:00+02:00,100,2,GOES-15",
        "2016-05-02,,2.7,GOES-15",
        "2016-05-03T00:00Z,300",
    )
    history = open_history(path)
    np.testing.assert_allclose(history["electron_flux_gt2mev"], [100, NAN, 300])
    np.testing.assert_allclose(history["kp"], [2, 2.7, NAN])
    assert history["satellite"].to_numpy().tolist() == ["GOES-15", "GOES-15", ""]


def test_the_satellite_may_be_named_beside_the_file(write):
    """A file that names no satellite is uncalibrated, with a warning; the caller may name it."""
    path = write("time,fluence_gt2mev", "2016-05-01,1e7", "2016-05-02,2e7")
    with pytest.warns(UserWarning, match="names no satellite: its flux is taken as uncalibrated"):
        history = open_history(path)
    assert history["calibration"].to_numpy().tolist() == [3, 3]
    assert history["satellite"].to_numpy().tolist() == ["", ""]
    named = open_history(path, satellite="GOES-16")
    assert named["satellite"].to_numpy().tolist() == ["GOES-16"] * 2
    assert named["calibration"].to_numpy().tolist() == [0, 0]
    with pytest.raises(DataError, match="satellite 'goes16', expected a name such as 'GOES-13'"):
        open_history(path, satellite="goes16")
    hourly = write("time,electron_flux_gt2mev", *(f"2016-05-01T{hour:02}:00,100" for hour in range(24)))
    with pytest.warns(UserWarning, match="names no satellite"):
        assert open_history(hourly)["calibration"].to_numpy().tolist() == [3]


def test_days_may_begin_at_another_hour(table, write):
    """Hourly rows fold into the day asked for; daily rows say themselves when their day begins."""
    hourly = table("1h", electron_flux_gt2mev=100.0)
    with pytest.warns(
        UserWarning, match="the rows end 2016-05-04T23:00, before their last day is over; it is left out"
    ):
        history = open_history(hourly, day_start=7)
    assert history["time"].to_numpy()[1] == np.datetime64("2016-05-01T07")
    assert history["time"].to_numpy()[-1] == np.datetime64("2016-05-03T07")
    daily = table("1D", start="2016-05-01T07:00", fluence_gt2mev=1e7)
    with pytest.warns(UserWarning, match="rows stand at 7 h UTC; each is taken as the day that begins then"):
        history = open_history(daily)
    assert history.attrs["day_start"] == 7
    assert history["time"].to_numpy()[0] == np.datetime64("2016-05-01T07")
    with pytest.raises(DataError, match="its days begin 7 h after 00:00 UTC, but 0 h is asked for"):
        open_history(daily, day_start=0)


def test_a_day_that_is_not_over_is_left_out(tmp_path):
    """Rows that end within a day give the days before it; rows of no whole day are refused."""
    heading = "time,electron_flux_gt2mev,satellite\n"
    rows = [f"2016-05-0{day}T{hour:02}:00,100,GOES-13\n" for day in (1, 2) for hour in range(24)]
    (tmp_path / "cut.csv").write_text(heading + "".join(rows[:42]))
    with pytest.warns(UserWarning, match="the rows end 2016-05-02T17:00, before their last day is over"):
        history = open_history(tmp_path / "cut.csv")
    assert history["time"].to_numpy().astype("datetime64[D]").astype(str).tolist() == ["2016-05-01"]
    (tmp_path / "short.csv").write_text(heading + "".join(rows[:10]))
    with (
        pytest.warns(UserWarning, match="it is left out"),
        pytest.raises(MissingDataError, match="holds no whole day"),
    ):
        open_history(tmp_path / "short.csv")


def test_what_comes_later_changes_nothing_before(tmp_path):
    """Neither a stray value of Kp nor another satellite after the issue time changes the days before it."""
    heading = "time,electron_flux_gt2mev,kp,satellite\n"
    rows = [
        f"2016-05-{day:02}T{hour:02}:00,100,{2 if hour % 3 == 0 else ''},GOES-12\n"
        for day in range(1, 11)
        for hour in range(24)
    ]
    (tmp_path / "before.csv").write_text(heading + "".join(rows[:120]))
    rows[150] = rows[150].replace(",100,,", ",100,5,").replace(",100,2,", ",100,5,")
    rows[151] = "2016-05-07T07:00,100,3,GOES-12\n"
    later = [row.replace("GOES-12", "GOES-13") for row in rows[192:]]
    (tmp_path / "whole.csv").write_text(heading + "".join([*rows[:192], *later]))
    before, whole = open_history(tmp_path / "before.csv"), open_history(tmp_path / "whole.csv")
    assert whole.attrs["reference"] == before.attrs["reference"] == "GOES-12"
    for name in before.data_vars:
        np.testing.assert_array_equal(whole[name].isel(time=slice(5)), before[name])


@pytest.mark.parametrize("stated", ['"x"', '{"a": 1}', "-5", "true"])
def test_a_detection_limit_that_is_none_is_refused(tmp_path, stated):
    """The attribute must be a flux above 0."""
    rows = [f"2016-05-01T{hour:02}:00,100,500,GOES-13\n" for hour in range(24)]
    heading = f"# attribute detection_limit: {stated}\ntime,electron_flux_gt2mev,electron_flux_gt0p8mev,satellite\n"
    (tmp_path / "limit.csv").write_text(heading + "".join(rows))
    with pytest.raises(DataError, match="detection_limit"):
        open_history(tmp_path / "limit.csv")


@pytest.mark.parametrize(("column", "value", "match"), [
    ("electron_flux_gt2mev", 5e4, "daily fluence"),
    ("fluence_gt2mev", 1e11, "per m2"),
])  # fmt: skip
def test_units_are_told_apart_in_quiet_times_too(tmp_path, column, value, match):
    """A fluence of empty weeks is no flux, and a fluence per m2 none per cm2."""
    rows = [f"2016-05-{day:02},{value * (1 + day / 10):g},GOES-13\n" for day in range(1, 21)]
    (tmp_path / "days.csv").write_text(f"time,{column},satellite\n" + "".join(rows))
    with pytest.raises(UnitError, match=match):
        open_history(tmp_path / "days.csv")


def test_hours_below_a_stated_limit_count_as_half_of_it(write):
    """With a stated limit blank hours of low flux count as half of it; without one they are gaps."""
    rows = [f"2016-05-01T{hour:02}:00,{100 if hour < 12 else ''},500,GOES-13" for hour in range(24)]
    heading = "time,electron_flux_gt2mev,electron_flux_gt0p8mev,satellite"
    assert np.isnan(open_history(write(heading, *rows))["fluence_gt2mev"]).all()
    history = open_history(write("# attribute detection_limit: 20.0", heading, *rows))
    np.testing.assert_allclose(history["fluence_gt2mev"], 55 * 86400)
    np.testing.assert_allclose(history["fluence_gt2mev_censored"], 0.5)


def test_what_comes_later_in_a_file_changes_nothing_before_it(table):
    """A table of hours cut at a midnight gives the same days, bit by bit."""
    rng = np.random.default_rng(9)
    softer = 10 ** rng.normal(4, 1, 40 * 24)
    flux = np.where(softer < 1000, NAN, softer / 50)
    columns = {"electron_flux_gt2mev": flux, "electron_flux_gt0p8mev": softer, "kp": rng.uniform(0, 9, 40 * 24)}
    whole = open_history(table("1h", n=960, **columns))
    cut = open_history(table("1h", n=960, **columns, change=lambda t: t.iloc[:480]))
    xr.testing.assert_identical(whole.isel(time=slice(20)), cut)


# What is wrong but can be read


def test_unsorted_rows_are_sorted_with_a_warning(table):
    """Rows out of order give the same history as in order, and a warning that says where."""
    values = np.arange(1.0, 10.0) * 1e6
    expected = open_history(table("1D", n=9, fluence_gt2mev=values))
    shuffled = table("1D", n=9, fluence_gt2mev=values, change=lambda t: t.iloc[[3, 1, 2, 0, 4, 5, 6, 8, 7]])
    with pytest.warns(UserWarning, match=r"times are not in order \(row 2, 2016-05-02T00:00:00\); the rows are sorted"):
        history = open_history(shuffled)
    xr.testing.assert_equal(history, expected)


def test_equal_rows_are_kept_once(table):
    """A row that is there twice counts once, with a warning; two unlike rows of one time raise."""
    path = table("1D", n=5, fluence_gt2mev=1e7, change=lambda t: pd.concat([t, t.iloc[[4]]]))
    with pytest.warns(UserWarning, match=r"1 repeated rows \(first at 2016-05-05T00:00:00\) are kept once"):
        assert open_history(path).sizes["time"] == 5
    path = table("1D", n=5, fluence_gt2mev=1e7, change=lambda t: pd.concat([t, t.iloc[[4]].assign(fluence_gt2mev=2e7)]))
    with pytest.raises(
        DataError, match=r"two rows at 2016-05-05T00:00:00 hold different fluence_gt2mev: .*remove the wrong"
    ):
        open_history(path)


@pytest.mark.parametrize(
    ("name", "fill"),
    [("kp", 99.0), ("kp", 9.9), ("dst", 99999.0), ("solar_wind_speed", 9999.0), ("solar_wind_density", 999.9),
     ("solar_wind_pressure", 99.99), ("bz_gsm", 999.9), ("ae", 9999.0), ("f10p7", 999.9), ("ap", 999.0),
     ("b_total", -1e31), ("electron_flux_gt0p8mev", -99999.0), ("standoff", -1.0)],
)  # fmt: skip
def test_fill_values_are_missing(table, name, fill):
    """The fill values of the archives are missing, with a warning that counts them."""
    values = np.full(20, 300.0 if name in ("solar_wind_speed", "f10p7") else 5.0)
    values[3] = fill
    with pytest.warns(UserWarning, match=f"column {name}: 1 fill values .* are taken as missing"):
        history = open_history(table("1D", n=20, fluence_gt2mev=1e7, **{name: values}))
    assert np.isnan(history[name]).to_numpy().tolist() == [index == 3 for index in range(20)]


def test_negative_flux_is_missing(table):
    """A negative flux is NaN, with a warning that counts them; a day of zero flux has no fluence."""
    flux = np.full(10, 100.0)
    flux[2:4], flux[7] = -3.5, 0.0
    with pytest.warns(UserWarning, match="column electron_flux_gt2mev: 2 negative values are taken as missing"):
        history = open_history(table("1D", n=10, electron_flux_gt2mev=flux))
    assert np.flatnonzero(np.isnan(history["fluence_gt2mev"])).tolist() == [2, 3, 7]


def test_a_driver_without_a_value_is_named(table):
    """A column of nothing is allowed, with a warning that names it."""
    with pytest.warns(UserWarning, match="column dst: holds no value; what needs it does without"):
        history = open_history(table("1D", n=5, fluence_gt2mev=1e7, dst=NAN))
    assert np.isnan(history["dst"]).all()


def test_a_gap_over_years_is_a_gap(table):
    """A table that stops for two years is read, with the two years as NaN."""
    history = open_history(table("1D", n=800, fluence_gt2mev=1e7, change=lambda t: t.iloc[np.r_[0:30, 770:800]]))
    assert history.sizes["time"] == 800
    assert np.isfinite(history["fluence_gt2mev"]).sum() == 60


# What is refused


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        (
            "electron_flux_gt2mev",
            3e7,
            "median of the values is 3e.07.*looks like a daily fluence.*name the column fluence",
        ),
        ("fluence_gt2mev", 300.0, "median of the values is 300.*looks like a mean flux in cm-2 s-1 sr-1"),
        ("kp", 27.0, "looks like ten times Kp: divide it by 10"),
        ("kp_sum", 240.0, "looks like ten times Kp"),
        ("solar_wind_speed", 4e5, "looks like m s-1"),
        ("solar_wind_density", 5e6, "looks like m-3"),
        ("solar_wind_pressure", 2e-9, "looks like Pa"),
        ("standoff", 64000.0, "looks like km: divide it by 6371.2"),
        ("bz_gsm", -5e-9, "looks like a field in T"),
        ("b_total", 5e-9, "looks like a field in T"),
        ("electron_flux_gt0p8mev", 3e9, "looks like a daily fluence"),
        ("f10p7", 7e5, "looks like W m-2"),
    ],
)
def test_other_units_are_refused_by_magnitude(table, name, value, match):
    """Values that only another unit explains raise, and say which unit it looks like."""
    values = {"fluence_gt2mev": 1e7, name: value}
    if name == "electron_flux_gt2mev":
        del values["fluence_gt2mev"]
    with pytest.raises(UnitError, match=rf"history.csv, column {name}: .*{match}"):
        open_history(table("1D", n=20, **values))


@pytest.mark.parametrize(
    ("name", "value"), [("dst", 700.0), ("ap", 480.0), ("ae", -3.0), ("solar_wind_density", -2.0), ("dst", -9998.0)]
)
def test_impossible_values_are_refused(table, name, value):
    """A value no quantity of the name can have, and that is no fill value, raises and is quoted with its time."""
    values = np.full(20, 5.0)
    values[4] = value
    with pytest.raises(DataError, match=f"column {name}: 1 values such as {value:g} at 2016-05-05T00:00:00; expected"):
        open_history(table("1D", n=20, fluence_gt2mev=1e7, **{name: values}))


def mixed(first: str, second: str) -> pd.DataFrame:
    one = pd.date_range("2016-05-01", periods=60, freq=first)
    two = pd.date_range(one[-1], periods=20, freq=second)[1:]
    return pd.DataFrame({"time": [*one.strftime("%FT%TZ"), *two.strftime("%FT%TZ")], "electron_flux_gt2mev": 100.0})


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        ("1h", "1D", r"from 0 days 01:00:00 to 1 days 00:00:00 at 2016-05-03T11:00:00 \(row 60\)"),
        ("1D", "1h", r"from 1 days 00:00:00 to 0 days 01:00:00 at 2016-06-29T00:00:00 \(row 60\)"),
        ("1h", "3h", r"to 0 days 03:00:00 at 2016-05-03T11:00:00"),
        ("1h", "25min", r"to 0 days 00:25:00 at 2016-05-03T11:00:00"),
    ],
)
def test_mixed_cadences_are_refused(tmp_path, first, second, where):
    """Rows of two cadences raise and say where the step changes."""
    mixed(first, second).to_csv(tmp_path / "history.csv", index=False)
    with pytest.raises(DataError, match=rf"the step changes {where}|the step changes from 0 days 01:00:00 {where}"):
        open_history(tmp_path / "history.csv", satellite="GOES-13")


@pytest.mark.parametrize("step", ["7h", "2D", "30s", "7min"])
def test_steps_that_do_not_divide_a_day_are_refused(table, step):
    """A cadence longer than a day, shorter than a minute or not dividing a day raises."""
    with pytest.raises(DataError, match=r"rows are .* apart; expected one cadence from a minute to a day"):
        open_history(table(step, n=50, electron_flux_gt2mev=100.0))


@pytest.mark.parametrize(
    ("lines", "error", "match"),
    [
        (["electron_flux_gt2mev", "100"], AxisError, "lacks time: found columns electron_flux_gt2mev"),
        (["time,kp", "2016-05-01,2", "2016-05-02,2"], AxisError, "lacks the flux: found kp; expected electron"),
        (["time", "2016-05-01", "2016-05-02"], AxisError, "lacks the flux: found no column"),
        (["time,fluence_gt2mev,kp,kp", "2016-05-01,1e7,2,2"], AxisError, "repeats kp"),
        (["time,fluence_gt2mev,wind", "2016-05-01,1e7,2"], AxisError, "unknown column 'wind'; expected time, electron"),
        (["time,fluence_gt2mev [cm-2]", "2016-05-01,1e7"], UnitError, "unit 'cm-2', expected 'cm-2 sr-1 d-1'"),
        (["time,fluence_gt2mev", "2016-05-01,much"], DataError, "row 1, column fluence_gt2mev: found 'much'"),
        (["time,fluence_gt2mev", "2016-05-01,inf"], DataError, "row 1, column fluence_gt2mev: found 'inf'"),
        (["time,fluence_gt2mev", "2016-05-01,1e7", "yesterday,1e7"], DataError, "row 2, column time: found 'yester"),
        (["time,fluence_gt2mev", ",1e7"], DataError, "row 1, column time: found ''"),
        (["time,fluence_gt2mev"], MissingDataError, "holds no row"),
        (["time,fluence_gt2mev", "2016-05-01,1e7"], DataError, "one row states no cadence"),
        (["time,fluence_gt2mev,satellite", "2016-05-01,1e7,XMM", "2016-05-02,1e7,XMM"], DataError,
         "column satellite: satellite 'XMM', expected a name such as 'GOES-13'"),
        (["time,fluence_gt2mev", "2016-05-01,1e7,3,4"], DataError, "cannot be read as comma-separated text"),
        (["time,fluence_gt2mev", "1700-01-01,1e7", "2016-05-02,1e7"], DataError, "span 115539 days, at most"),
        (["# attribute day_start: 99", "time,fluence_gt2mev", "2016-05-01,1e7", "2016-05-02,1e7"], DataError,
         "attribute day_start is 99, expected hours"),
        (["# attribute reference: 5", "time,fluence_gt2mev", "2016-05-01,1e7", "2016-05-02,1e7"], DataError,
         "attribute reference: satellite '5', expected"),
        (["time,fluence_gt2mev,calibration", "2016-05-01,1e7,0", "2016-05-02,1e7,7"], DataError,
         "column calibration: found 7, expected one of 0, 1, 2, 3, -1"),
        (["# attribute reference: {broken", "time,fluence_gt2mev", "2016-05-02,1e7"], DataError, "cannot be read"),
    ],
)  # fmt: skip
def test_damaged_tables_are_refused(write, lines, error, match):
    """Each way a table can be wrong is one message that names the file, and the row where there is one."""
    with pytest.raises(error, match=rf"history.csv.*{match}"):
        open_history(
            write(*lines), satellite="GOES-13" if lines[0].startswith("#") or "calibration" in lines[0] else None
        )


def test_what_only_days_have_is_refused_among_hours(table):
    """An hourly table with a daily minimum raises: it is made from the hours."""
    with pytest.raises(AxisError, match="kp_sum, dst_min belong to a table of days, but its rows are 0 days 01:00:00"):
        open_history(table("1h", electron_flux_gt2mev=100.0, kp_sum=20.0, dst_min=-20.0))


def test_a_fluence_that_changes_within_a_day_is_refused(table):
    """An hourly table whose daily fluence is not one value a day raises."""
    with pytest.raises(DataError, match="column fluence_gt2mev changes within 2016-05-01; expected one value a day"):
        open_history(table("1h", fluence_gt2mev=1e7 + np.arange(96.0)))


def test_files_that_are_none_are_refused(tmp_path, write):
    """Absent, empty, binary, foreign and damaged files raise, each with its name."""
    with pytest.raises(MissingDataError, match=r"absent.csv does not exist"):
        open_history(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"history.txt ends in '.txt': expected .csv or one of"):
        open_history(write("time", name="history.txt"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(MissingDataError, match=r"empty.csv is empty"):
        open_history(tmp_path / "empty.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81" * 40)
    with pytest.raises(DataError, match=r"binary.csv cannot be read as comma-separated text"):
        open_history(tmp_path / "binary.csv")
    (tmp_path / "page.nc").write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"page.nc cannot be read as NetCDF-4"):
        open_history(tmp_path / "page.nc")
    with pytest.raises(AxisError, match="unknown column '<html>'"):
        open_history(write("<html>", "<body>", "</body>"))


# NetCDF


@pytest.fixture
def history(make):
    flux = np.full(10 * 24, 100.0)
    flux[30:35], flux[100:140] = NAN, NAN
    columns = {
        "solar_wind_speed": 400.0,
        "solar_wind_density": 5.0,
        "bz_gsm": -2.0,
        "kp": 2.0,
        "dst": -np.arange(240.0),
    }
    electrons = make("2016-05-01", "1h", {"electron_flux_gt2mev": flux}, satellite="GOES-13")
    earlier = make("2016-04-25", "1D", {"fluence_gt2mev": np.full(4, 1e7)}, satellite="GOES-12")
    return assemble([earlier, electrons], omni=make("2016-04-25", "1h", columns), reference="GOES-13")


def test_what_was_written_is_read_back(history, tmp_path):
    """A history written as NetCDF is read back as it was, attributes and all, without a warning."""
    path = write_dataset(history, tmp_path / "history.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = open_history(path)
    xr.testing.assert_equal(again, history)
    for name in history.data_vars:
        assert again[name].attrs == history[name].attrs, name
    assert {key: again.attrs[key] for key in history.attrs} == history.attrs


def test_the_daily_table_is_read_back(history, tmp_path):
    """A history's days written as CSV are read back as they were, with reference and calibration."""
    days = history.drop_dims("hour")
    path = write_dataset(days, tmp_path / "history.csv")
    again = open_history(path)
    xr.testing.assert_equal(again, days)
    assert again.attrs["reference"] == "GOES-13"


def test_a_history_of_one_day_is_read_back(history, tmp_path):
    """One day is enough for a history that says it is one of days."""
    day = history.drop_dims("hour").isel(time=[8])
    xr.testing.assert_equal(open_history(write_dataset(day, tmp_path / "history.nc")), day)


def test_another_netcdf_is_folded(make, tmp_path):
    """A NetCDF of hours by the contract's names becomes days."""
    hours = make("2016-05-01", "1h", {"electron_flux_gt2mev": np.full(48, 100.0), "kp": np.full(48, 2)})
    write_dataset(hours.assign_attrs(satellite="GOES-13"), tmp_path / "hours.nc")
    history = open_history(tmp_path / "hours.nc")
    np.testing.assert_allclose(history["fluence_gt2mev"], 8.64e6)
    np.testing.assert_allclose(history["kp_sum"], 16)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda h: h.assign(wind=h["dst"]), AxisError, "unknown variables wind; expected time"),
        (lambda h: h.assign_coords(place=1), AxisError, "unknown variables place"),
        (lambda h: h.assign(dst=h["dst"].assign_attrs(units="T")), UnitError, "dst has units 'T', expected 'nT'"),
        (lambda h: h.assign(dst=h["dst_hourly"]), AxisError, "dst has dimensions"),
        (lambda h: h.assign(dst=("time", ["a"] * 16)), DataError, "dst is <U1; expected numbers"),
        (lambda h: h.assign(satellite=h["dst"]), DataError, "satellite is float64; expected text"),
        (lambda h: h.assign(dst=h["dst"] / 0), DataError, "dst holds an infinite value"),
        (lambda h: h.assign_coords(hour=np.arange(24) + 1), AxisError, "dimension hour holds"),
        (lambda h: h.rename(time="day").reset_coords(drop=True), AxisError, "expected `time` of dates throughout"),
        (lambda h: h.drop_vars(["fluence_gt2mev", "electron_flux_gt2mev"]), AxisError, "lacks the flux"),
        (lambda h: h.assign(kp=h["kp"] * 10), UnitError, "column kp: .*looks like ten times Kp"),
    ],
)
def test_damaged_netcdf_is_refused(history, tmp_path, change, error, match):
    """A NetCDF with an unknown variable, another unit, dimension or type raises and names it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        path = write_dataset(change(history[FEW]), tmp_path / "history.nc")
    with pytest.raises(error, match=rf"history.nc.*{match}"):
        open_history(path)


def test_garbage_never_ends_in_another_error(tmp_path, write):
    """Random damage to a table is a DataError, a warning or a history, and nothing else."""
    rng = np.random.default_rng(7)
    good = "time,fluence_gt2mev,kp,satellite\n" + "".join(
        f"2016-05-{day:02}T00:00:00Z,{day}e6,{day % 9},GOES-13\n" for day in range(1, 29)
    )
    for number in range(150):
        text = bytearray(good, "utf-8")
        for place in rng.integers(0, len(text), 4):
            text[place] = int(rng.choice(list(b',\n0-9e.#"Z \xffT:')))
        path = tmp_path / f"{number}.csv"
        path.write_bytes(bytes(text))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with contextlib.suppress(DataError):
                open_history(path)


def test_units_of_the_result_are_those_of_the_vocabulary(table):
    """A table's columns get the units and long names of the vocabulary."""
    history = open_history(table("1h", electron_flux_gt2mev=100.0, kp=2.0))
    assert {key: history["kp"].attrs[key] for key in ("units", "long_name")} == attributes("kp")
