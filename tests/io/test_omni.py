from __future__ import annotations

import time

import numpy as np
import pytest

from particleflux.errors import DataError, MissingDataError
from particleflux.io import open_omni
from particleflux.names import require

# What word of a line holds what, counting from 1, with a good value and the fill.
WORDS = {
    "b_total": (9, "5.7", "999.9"),
    "by_gsm": (16, "-13.4", "999.9"),
    "bz_gsm": (17, "0.1", "999.9"),
    "solar_wind_density": (24, "1.8", "999.9"),
    "solar_wind_speed": (25, "463.", "9999."),
    "solar_wind_pressure": (29, "0.79", "99.99"),
    "kp": (39, "60", "99"),
    "dst": (41, "-110", "99999"),
    "ae": (42, "686", "9999"),
    "ap": (50, "80", "999"),
    "f10p7": (51, "95.1", "999.9"),
}


def line(year="2016", day="1", hour="0", **change: str) -> str:
    words = ["1"] * 55
    words[:3] = year, day, hour
    for name, (word, good, _) in WORDS.items():
        words[word - 1] = change.get(name, good)
    return " ".join(words) + "\n"


@pytest.fixture
def write(tmp_path):
    """Return a function that writes lines to a file."""

    def _write(*lines: str, name: str = "omni2_2016.dat"):
        path = tmp_path / name
        path.write_text("".join(lines))
        return path

    return _write


def test_columns_get_their_names(write):
    """Every column is found at its place, with its unit."""
    hourly = open_omni(write(line()))
    require(hourly, *WORDS)
    assert {name: hourly[name].item() for name in WORDS} == {
        name: float(good) / (10 if name == "kp" else 1) for name, (_, good, _) in WORDS.items()
    }
    assert hourly.attrs == {"cadence": "1h", "source_files": ["omni2_2016.dat"]}


@pytest.mark.parametrize("name", WORDS)
def test_each_fill_value_is_missing(write, name):
    """The fill of a column is NaN there and nowhere else."""
    hourly = open_omni(write(line(**{name: WORDS[name][2]})))
    assert [other for other in WORDS if np.isnan(hourly[other].item())] == [name]


@pytest.mark.parametrize("name", ["by_gsm", "bz_gsm", "dst"])
def test_a_fill_with_a_sign_is_missing(write, name):
    """What may be negative is still bounded by its fill value."""
    assert np.isnan(open_omni(write(line(**{name: "-" + WORDS[name][2]})))[name].item())
    assert np.isnan(open_omni(write(line(**{name: "-inf"})))[name].item())


@pytest.mark.parametrize("name", sorted(set(WORDS) - {"by_gsm", "bz_gsm", "dst"}))
def test_a_negative_number_is_missing_where_none_can_be(write, name):
    """Only Dst and the components of the field may be negative."""
    hourly = open_omni(write(line(**{name: "-3"})))
    assert np.isnan(hourly[name].item())


def test_kp_is_in_thirds(write):
    """All 28 values of Kp come back as exact thirds."""
    tenfold = [round(10 * third / 3) for third in range(28)]
    hourly = open_omni(write(*(line(day=str(1 + k), kp=str(number)) for k, number in enumerate(tenfold))))
    assert hourly["kp"].values.tolist() == [third / 3 for third in range(28)]


def test_day_366_is_the_end_of_a_leap_year(write):
    """Day and hour of the year become a time; repeated equal hours are kept once, in order."""
    hourly = open_omni(write(line(day="366", hour="23"), line(day="61"), line(day="61")))
    assert hourly["time"].values.astype("datetime64[h]").astype(str).tolist() == ["2016-03-01T00", "2016-12-31T23"]


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ([line(year="2015", day="366")], "line 1: year 2015, day 366, hour 0 is no hour of a year"),
        ([line(), line(hour="24")], "line 2: year 2016, day 1, hour 24 is no hour of a year"),
        ([line(day="1.5")], "day 1.5, hour 0 is no hour of a year"),
        ([line(year="16")], "year 16, day 1"),
        ([line(kp="25")], "row 1: found 25 as ten times Kp"),
        ([line(kp="93")], "row 1: found 93 as ten times Kp"),
        ([line(), line()[:-3] + "\n"], "line 2: fewer than 55 numbers"),
        ([line(dst="x")], "cannot be read as 55 columns of numbers"),
        ([line(), line().strip() + " 1 1\n"], "cannot be read as 55 columns of numbers"),
        (["1 2 3\n"], "found 3 columns in the first line, expected 55"),
        (["<html>"], "found 1 columns in the first line, expected 55"),
        ([""], "found 0 columns in the first line"),
        ([line(dst="-1"), line(dst="-2")], "2016-01-01T00:00:00 hold different dst: -1.0 in .* and -2.0"),
    ],
)
def test_damaged_files_are_refused(write, lines, match):
    """Impossible hours, Kp that is none, cut or foreign lines say where and what."""
    with pytest.raises(DataError, match=match):
        open_omni(write(*lines))


def test_bytes_are_refused(tmp_path):
    """A file that is no text raises."""
    path = tmp_path / "omni2_2016.dat"
    path.write_bytes(b"\xff\xfe\x00\x01" * 50)
    with pytest.raises(DataError, match="cannot be read as 55 columns"):
        open_omni(path)


def test_a_folder_without_such_files_is_refused(tmp_path):
    """A folder is searched for omni2_YYYY.dat."""
    (tmp_path / "other.dat").write_text(line())
    with pytest.raises(MissingDataError, match=r"expected OMNI2 hourly data such as omni2_2008\.dat"):
        open_omni(tmp_path)


def test_the_real_files(shared_data):
    """19 years are read in a few seconds, without a gap in time and without any fill value."""
    begun = time.perf_counter()
    hourly = open_omni(shared_data / "geo" / "omni2")
    assert time.perf_counter() - begun < 10
    assert hourly.sizes["time"] == 166560
    assert (np.diff(hourly["time"].values) == np.timedelta64(1, "h")).all()
    assert hourly["solar_wind_speed"].max().item() == 1189
    assert hourly["dst"].min().item() == -422
    assert np.isnan(hourly["solar_wind_pressure"]).sum().item() == 1713
    storm = hourly.sel(time="2003-10-30T20:00")
    assert storm["kp"].item() == 9
