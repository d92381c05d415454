from __future__ import annotations

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.io import open_goes_hourly
from particleflux.names import require

HEADED = """# GOES-13 hourly mean integral electron flux, electrons/(cm2 s sr); blank = missing.
time,e_gt_0p8MeV,e_gt_2MeV
2011-01-01T00:00:00Z,690.0,10.5
2011-01-01T01:00:00Z,548.0,
2011-01-01T02:00:00Z,,N/A
"""
BARE = """2014-01-01 00:00:00.000   ,    1075.0000,    7.2708333,    107.91667,    15.5,    20.25,    110.9,    10.77
2014-01-01 01:00:00.000   ,    984.91667,       N/A    ,    102.75000,    13.5,    20.01,    105.6,    10.72
"""


def rows(low: list[float], high: list[float]) -> str:
    lines = [
        f"2011-01-{1 + k // 24:02d}T{k % 24:02d}:00:00Z,{a},{b}" for k, (a, b) in enumerate(zip(low, high, strict=True))
    ]
    return "# GOES-13\ntime,e_gt_0p8MeV,e_gt_2MeV\n" + "\n".join(lines) + "\n"


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file."""

    def _write(text: str, name: str = "hourly.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return _write


def test_a_heading_names_columns_and_satellite(write):
    """The comment names the satellite; blanks and N/A are missing."""
    hourly = open_goes_hourly(write(HEADED))
    require(hourly, "electron_flux_gt2mev", "electron_flux_gt0p8mev")
    np.testing.assert_array_equal(hourly["electron_flux_gt2mev"], [10.5, np.nan, np.nan])
    np.testing.assert_array_equal(hourly["electron_flux_gt0p8mev"], [690, 548, np.nan])
    assert hourly["time"].values[1] == np.datetime64("2011-01-01T01")
    assert hourly.attrs["satellite"] == "GOES-13"
    assert hourly.attrs["cadence"] == "1h"
    assert hourly.attrs["comment"].startswith("GOES-13 hourly mean")


def test_eight_columns_without_heading(write):
    """The first line is a row, not a heading, and the satellite is the one given."""
    hourly = open_goes_hourly(write(BARE).parent, satellite="GOES-15")
    np.testing.assert_array_equal(hourly["electron_flux_gt2mev"], [7.2708333, np.nan])
    np.testing.assert_array_equal(hourly["electron_flux_gt0p8mev"], [1075, 984.91667])
    assert hourly.attrs == {"cadence": "1h", "source_files": ["hourly.csv"], "satellite": "GOES-15"}


@pytest.mark.parametrize(
    ("text", "satellite", "match"),
    [
        (BARE, None, "does not name its satellite; expected one; give it, such as satellite='GOES-15'"),
        (HEADED.replace("mean", "mean, GOES-15 too"), None, "names GOES-13, GOES-15; expected one"),
        (HEADED, "GOES-15", r"hourly\.csv is of GOES-13, not of GOES-15"),
        (HEADED, "goes13", "satellite 'goes13' is unknown: expected a name such as 'GOES-13'"),
        (HEADED, "GOES-0", "satellite 'GOES-0' is unknown"),
        (HEADED, "Electro-L", "satellite 'Electro-L' is unknown"),
    ],
)
def test_the_satellite_must_be_known(write, text, satellite, match):
    """A satellite that is not named, not one or not of this family raises."""
    with pytest.raises(DataError, match=match):
        open_goes_hourly(write(text), satellite=satellite)


def test_one_satellite_at_a_time(write):
    """Files of two satellites are read apart."""
    first, second = write(HEADED), write(HEADED.replace("GOES-13", "GOES-15"), "other.csv")
    with pytest.raises(DataError, match="the files are of GOES-13, GOES-15; expected one satellite"):
        open_goes_hourly([first, second])


def test_what_is_not_positive_is_missing(write):
    """Zeros and negative numbers are NaN."""
    hourly = open_goes_hourly(write(rows([100, 0, -5, 100], [10, 10, 10, 0])))
    np.testing.assert_array_equal(hourly["electron_flux_gt0p8mev"], [100, np.nan, np.nan, 100])
    np.testing.assert_array_equal(hourly["electron_flux_gt2mev"], [10, 10, 10, np.nan])


def test_more_electrons_above_the_higher_energy_cannot_be(write):
    """Both integral fluxes are missing where the one above 2 MeV is the larger."""
    hourly = open_goes_hourly(write(rows([100, 20, 100], [10, 30, 10])))
    np.testing.assert_array_equal(hourly["electron_flux_gt2mev"], [10, np.nan, 10])
    np.testing.assert_array_equal(hourly["electron_flux_gt0p8mev"], [100, np.nan, 100])


@pytest.mark.parametrize(("n_equal", "n_missing"), [(5, 0), (6, 6), (18, 18)])
def test_a_stuck_flux_is_missing(write, n_equal, n_missing):
    """Six hours of exactly the same flux are no measurement; five may be."""
    hourly = open_goes_hourly(write(rows([100.0] * (n_equal + 2), [10, *[0.133] * n_equal, 11])))
    assert np.isnan(hourly["electron_flux_gt2mev"].values).sum() == n_missing
    assert np.isfinite(hourly["electron_flux_gt0p8mev"].values).all()


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (HEADED.replace("e_gt_2MeV", "e_gt_4MeV"), AxisError, "found columns time, e_gt_0p8MeV, e_gt_4MeV; expected"),
        (HEADED.replace("e_gt_0p8MeV", "e_gt_2MeV"), AxisError, "found columns time, e_gt_2MeV, e_gt_2MeV; expected"),
        (HEADED.replace("548.0", "low"), DataError, "line 4, column e_gt_0p8MeV: found 'low', expected a number"),
        (BARE.replace("10.77", "10.77,1"), DataError, "line 2: found 8 columns, expected the first's 9"),
        ("1,2,3\n4,5,6\n", AxisError, "found 3 columns without the heading .* or 8 columns: time, >0.8 MeV"),
        (
            HEADED.replace("T01:00", "T01:20"),
            DataError,
            "found a sample at 2011-01-01T01:20:00, expected one every 1 hour",
        ),
        (HEADED.replace("T01:00:00Z,548.0,", "T00:00:00Z,548.0,1"), DataError, "hold different electron_flux_gt2mev"),
        (rows([1, 2, 3], [10, 20, 30]), DataError, "median of 20, more than the 2 above 0.8 MeV"),
        ("time,e_gt_0p8MeV,e_gt_2MeV\n", MissingDataError, "holds no row"),
        ("<html>\n<body>\n", AxisError, "found 1 columns without the heading"),
    ],
)
def test_damaged_files_are_refused(write, text, error, match):
    """Other columns, text, exchanged columns, times between hours and contradictions say where and what."""
    with pytest.raises(error, match=match):
        open_goes_hourly(write(text), satellite="GOES-13")


def test_the_real_goes13(shared_data):
    """Six years of GOES-13: nothing but positive fluxes or NaN, and the one above 2 MeV never the larger."""
    hourly = open_goes_hourly(shared_data / "geo" / "goes13")
    assert hourly.attrs["satellite"] == "GOES-13"
    assert hourly.sizes["time"] == 51768
    assert np.isnan(hourly["electron_flux_gt2mev"]).sum().item() == 13308
    assert not (hourly["electron_flux_gt2mev"] > hourly["electron_flux_gt0p8mev"]).any()


def test_the_real_goes15(shared_data):
    """Three years of GOES-15: the floor of 2014-01-08 and the crossed hours of 2015-06-22 and 23 are missing."""
    hourly = open_goes_hourly(shared_data / "geo" / "goes15_hourly" / "flux", satellite="GOES-15")
    assert hourly.sizes["time"] == 26257
    high = hourly["electron_flux_gt2mev"]
    assert np.isnan(high).sum().item() == 116 + 18 + 13
    assert np.isnan(high.sel(time=slice("2014-01-08T03", "2014-01-08T20"))).all()
    assert high.min().item() > 0.133
    with pytest.raises(AxisError, match="found 9 columns without the heading"):
        open_goes_hourly(shared_data / "geo" / "goes15_hourly" / "solar_wind", satellite="GOES-15")
