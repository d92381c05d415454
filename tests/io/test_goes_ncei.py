from __future__ import annotations

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.io import open_goes_ncei
from particleflux.names import require

NAME = "g13_epead_e13ew_5m_20110101_20110131.csv"
HEADER = """File name: g13_epead_e13ew_5m_20110101_20110131
Metadata Description:
dimensions:
record = UNLIMITED; //(8928 currently)

float E2W_COR_FLUX(record);
E2W_COR_FLUX:units = "e/(cm^2 s sr)";
E2W_COR_FLUX:missing_value = "-99999";
data: 
"""
COLUMNS = (
    "time_tag,E1E_DQF,E1E_UNCOR_FLUX,E1E_COR_FLUX,E1W_DQF,E1W_UNCOR_FLUX,E1W_COR_FLUX,"
    "E2E_DQF,E2E_UNCOR_FLUX,E2E_COR_FLUX,E2W_DQF,E2W_UNCOR_FLUX,E2W_COR_FLUX\n"
)
ROWS = """2011-01-01 00:00:00.000,0,110,100,0,310,300,0,11,10,0,31,30
2011-01-01 00:05:00.000,0,110,100,0,310,300,1,11,10,0,31,30
2011-01-01 00:10:00.000,0,110,100,0,310,300,0,11,-99999,0,31,30
2011-01-01 00:15:00.000,0,110,100,0,310,300,0,0,0,0,0,0
"""
LATE = """2011-01-01 00:20:00.000,0,110,100,0,310,300,0,0,0,0,0,0
2011-01-01 00:25:01.000,0,110,100,0,310,300,0,0,0,0,0,0
"""
EPS = """File name: g11_eps_5m_20080101_20080131
data:
time_tag,e1_flux_ic,e2_flux_ic,e3_flux_ic,p1_flux
2008-01-01 00:00:00.000,1.0E+03,2.0E+01,1,1
2008-01-01 00:05:00.000,1.1E+03,-99999,1,1
"""


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file."""

    def _write(text: str = HEADER + COLUMNS + ROWS, name: str = NAME):
        path = tmp_path / name
        path.write_text(text)
        return path

    return _write


@pytest.mark.parametrize(
    ("sensors", "low", "high"),
    [
        ("mean", [200, 200, 200, 200], [20, np.nan, np.nan, 0]),
        ("east", [100, 100, 100, 100], [10, np.nan, np.nan, 0]),
        ("west", [300, 300, 300, 300], [30, 30, 30, 0]),
    ],
)
def test_good_sensors_are_averaged(write, sensors, low, high):
    """The mean needs both sensors good; a flag that is not 0 and the fill are missing, a flux of 0 is not."""
    flux = open_goes_ncei(write().parent, sensors=sensors)
    require(flux, "electron_flux_gt2mev", "electron_flux_gt0p8mev")
    np.testing.assert_array_equal(flux["electron_flux_gt0p8mev"], low)
    np.testing.assert_array_equal(flux["electron_flux_gt2mev"], high)
    assert flux.attrs == {
        "cadence": "5min",
        "source_files": [NAME],
        "satellite": "GOES-13",
        "sensors": "east, west" if sensors == "mean" else sensors,
        "corrected": "true",
    }


def test_uncorrected_flux_is_asked_for(write):
    """The uncorrected columns come only when they are wanted."""
    flux = open_goes_ncei(write(), sensors="west", corrected=False)
    assert flux["electron_flux_gt2mev"].values.tolist() == [31, 31, 31, 0]
    assert flux.attrs["corrected"] == "false"


def test_operational_flags_count_too(write):
    """QUAL_FLAG is a flag as DQF is."""
    flux = open_goes_ncei(write(HEADER + COLUMNS.replace("DQF", "QUAL_FLAG") + ROWS))
    assert np.isnan(flux["electron_flux_gt2mev"].values).tolist() == [False, True, True, False]


def test_a_file_without_flags_is_read(write):
    """Where there is no flag only the fill is missing; one minute is a cadence too."""
    text = "data:\ntime_tag,E2W_COR_FLUX\n2011-01-01 00:00:00,5\n2011-01-01 00:01:00,-99999\n"
    flux = open_goes_ncei(write(text, "g15_epead_e13w_1m_20110101_20110131.csv").parent)
    np.testing.assert_array_equal(flux["electron_flux_gt2mev"], [5, np.nan])
    assert (flux.attrs["cadence"], flux.attrs["satellite"]) == ("1min", "GOES-15")
    assert list(flux) == ["electron_flux_gt2mev"]


def test_older_satellites(write):
    """EPS files of GOES-8 to 12 give the flux above 0.6 and 2 MeV."""
    flux = open_goes_ncei(write(EPS, "g11_eps_5m_20080101_20080131.csv").parent)
    np.testing.assert_array_equal(flux["electron_flux_gt0p6mev"], [1000, 1100])
    np.testing.assert_array_equal(flux["electron_flux_gt2mev"], [20, np.nan])
    assert flux.attrs["satellite"] == "GOES-11"


def test_the_satellite_is_named_or_given(write):
    """Header or name say which satellite; otherwise the caller must, and may not contradict them."""
    text = (HEADER + COLUMNS + ROWS).replace("g13_epead_e13ew_5m", "electrons")
    path = write(text, "electrons.csv")
    assert open_goes_ncei(path, satellite="GOES-14").attrs["satellite"] == "GOES-14"
    with pytest.raises(DataError, match=r"electrons\.csv does not name its satellite"):
        open_goes_ncei(path)
    with pytest.raises(DataError, match="is of GOES-13, not of GOES-14"):
        open_goes_ncei(write(), satellite="GOES-14")
    with pytest.raises(DataError, match="satellite 'G13' is unknown"):
        open_goes_ncei(path, satellite="G13")


def test_files_must_be_of_one_kind(write):
    """Two satellites, or two cadences, are read apart."""
    write()
    folder = write(EPS, "g11_eps_5m_20080101_20080131.csv").parent
    with pytest.raises(DataError, match=r"files differ in satellite, sensors or cadence \(g11_eps.*GOES-11, 5min; g13"):
        open_goes_ncei(folder)


@pytest.mark.parametrize(
    ("text", "options", "error", "match"),
    [
        (None, {"sensors": "both"}, DataError, "sensors='both': expected 'mean', 'east' or 'west'"),
        (EPS, {"sensors": "east"}, AxisError, "no corrected flux above 2 MeV of sensors='east'"),
        (EPS, {"corrected": False}, AxisError, "no uncorrected flux above 2 MeV of .*ask for corrected=True"),
        (HEADER.replace("e/(cm^2 s sr)", "e/(cm^2 s sr keV)") + COLUMNS + ROWS, {}, UnitError, "E2W_COR_FLUX is in"),
        (COLUMNS + ROWS, {}, DataError, "has no line 'data:' between header and table"),
        ("<html></html>", {}, DataError, "has no line 'data:'"),
        (HEADER, {}, AxisError, "the table begins with ''; expected columns time_tag"),
        (HEADER + COLUMNS, {}, MissingDataError, "holds no sample below 'data:'"),
        (HEADER + COLUMNS.replace("E1E_DQF", "E1W_DQF") + ROWS, {}, AxisError, "each once"),
        (HEADER + COLUMNS.replace("E", "P") + ROWS, {}, AxisError, "give files of electrons"),
        (HEADER + COLUMNS + ROWS.replace("300", "high"), {}, DataError, "cannot be read as comma-separated numbers"),
        (HEADER + COLUMNS + ROWS + "2011-01-01,1,2\n", {}, DataError, "line 15: found 3 columns, expected 13"),
        (
            HEADER + COLUMNS + ROWS.replace("00:10:00", "00:70:00"),
            {},
            DataError,
            "line 13, time: found '2011-01-01 00:70",
        ),
        (
            HEADER + COLUMNS + ROWS + LATE,
            {},
            DataError,
            "found a sample at 2011-01-01T00:25:01, expected one every 5 min",
        ),
        (HEADER + COLUMNS + ROWS[:60], {}, DataError, "found samples NaT apart, expected averages over 1 or 5 minutes"),
    ],
)
def test_damaged_files_are_refused(write, text, options, error, match):
    """Options, columns, units, numbers, times and cadences that are others say where and what."""
    with pytest.raises(error, match=match):
        open_goes_ncei(write() if text is None else write(text), **options)


def test_protons_are_refused(shared_data):
    """A proton file of the same archive holds no electrons."""
    path = shared_data / "geo" / "goes15_protons_2012-03" / "g15_epead_p27w_32s_20120305_20120305.csv"
    with pytest.raises(AxisError, match=r"has no corrected flux above 2 MeV .*P2W_QUAL_FLAG"):
        open_goes_ncei(path)
