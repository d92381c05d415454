from __future__ import annotations

import numpy as np
import pytest

from particleflux.errors import DataError, MissingDataError, UnitError
from particleflux.io import open_dpd
from particleflux.names import require

HEADER = """:Product: Daily Particle Data        2008_DPD.txt
:Issued: 1800 UT 07 Jan 2009
#   {note}
#                          2008 Daily Particle Data
#              GOES-11 Proton Fluence     GOES-12 Electron Fluence     Neutron
#            --- Protons/cm2-day-sr ---  -- Electrons/cm2-day-sr --    Monitor
#  Date       >1 MeV  >10 MeV  >100 MeV  >0.6 MeV   >2 MeV           % of bkgd
#-------------------------------------------------------------------------------
"""
BARE = """:Product: Daily Particle Data        1997_DPD.txt
#
               GOES-9 Proton Fluence      GOES-9 Electron Fluence      Neutron
             --- Protons/cm2-day-sr ---  -- Electrons/cm2-day-sr --    Monitor
   Date       >1 MeV  >10 MeV  >100 MeV  >0.6 MeV   >2 MeV           % of bkgd

1997 01 01    2.9e+05  1.7e+04  3.7e+03   2.8e+09    2.3e+05          -999.99
"""


def row(day: str, low: str = "8.64e+09", high: str = "8.64e+07") -> str:
    return f"{day.replace('-', ' ')}    2.0e+06  2.0e+04  4.4e+03   {low}    {high}           100.06\n"


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file of 2008 with a note and some days."""

    def _write(*rows: str, note: str = "", name: str = "2008_DPD.txt", header: str = HEADER):
        path = tmp_path / name
        path.write_text(header.format(note=note) + "".join(rows))
        return path

    return _write


def test_fluence_becomes_flux_over_a_day(write):
    """8.64e7 per day are 1000 per second, and the low energy is the one in the heading."""
    daily = open_dpd(write(row("2008-01-01")))
    require(daily, "fluence_gt2mev", "electron_flux_gt2mev", "electron_flux_gt0p6mev", "satellite")
    assert daily["time"].values.tolist() == [np.datetime64("2008-01-01", "ns").astype(int)]
    assert daily["fluence_gt2mev"].item() == 8.64e7
    assert daily["electron_flux_gt2mev"].item() == pytest.approx(1e3)
    assert daily["electron_flux_gt0p6mev"].item() == pytest.approx(1e5)
    assert daily["satellite"].item() == "GOES-12"
    assert daily.attrs == {"cadence": "1D", "source_files": ["2008_DPD.txt"]}


def test_old_heading_without_marks(tmp_path):
    """The files of 1997 to 1999 write their heading without #."""
    path = tmp_path / "1997_DPD.txt"
    path.write_text(BARE)
    daily = open_dpd(path)
    assert daily["satellite"].item() == "GOES-9"
    assert daily["fluence_gt2mev"].item() == 2.3e5


def test_two_low_energies_keep_apart(write):
    """Files above 0.6 and above 0.8 MeV give two variables, each missing where the other was measured."""
    write(row("2008-12-31"))
    header = HEADER.replace(">0.6 MeV", ">0.8 MeV").replace("2008", "2009")
    folder = write(row("2009-01-01"), name="2009_DPD.txt", header=header).parent
    daily = open_dpd(folder)
    np.testing.assert_array_equal(np.isnan(daily["electron_flux_gt0p6mev"]), [False, True])
    np.testing.assert_array_equal(np.isnan(daily["electron_flux_gt0p8mev"]), [True, False])
    assert daily.attrs["source_files"] == ["2008_DPD.txt", "2009_DPD.txt"]


@pytest.mark.parametrize("missing", ["-1.0e+05", "-1", "0", "0.0e+00", "nan", "1e400"])
def test_what_is_not_positive_is_missing(write, missing):
    """Negative numbers and zeros are NaN, and a day without electrons has no satellite."""
    daily = open_dpd(write(row("2008-01-01", missing, missing), row("2008-01-02", missing)))
    assert np.isnan(daily["fluence_gt2mev"].values).tolist() == [True, False]
    assert np.isnan(daily["electron_flux_gt0p6mev"].values).all()
    assert daily["satellite"].values.tolist() == ["", "GOES-12"]


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("", ["GOES-12"] * 6),
        (
            "NOTE: Electron Fluence from GOES-11 Jan 1 - Mar 2 and Dec 1 - Dec 31",
            ["GOES-11", "GOES-11", "GOES-12", "GOES-12", "GOES-11", "GOES-11"],
        ),
        ("GOES-11 Jan 01 to Mar 31, then GOES-13", ["GOES-11"] * 3 + ["GOES-13"] * 3),
        ("GOES-11 Jan 1 - Feb 29; GOES-10 Mar 2 - Mar 2", ["GOES-11", "GOES-10"] + ["GOES-12"] * 4),
        ("NOTE: Proton Fluence from GOES-10 as of May 3", ["GOES-12"] * 6),
    ],
)
def test_notes_change_the_satellite(write, note, expected):
    """Both notes there are, and lists of spans, give each day its satellite; both ends of a span belong to it."""
    days = ["2008-01-01", "2008-03-02", "2008-03-03", "2008-11-30", "2008-12-01", "2008-12-31"]
    assert open_dpd(write(*map(row, days), note=note))["satellite"].values.tolist() == expected


@pytest.mark.parametrize(
    "note",
    [
        "NOTE: Electron Fluence from GOES-11 as of March",
        "GOES-11 Jan 1 - Feb 30",
        "GOES-11 Mar 1 - Jan 1",
        "GOES-11 Jan 1 - Foo 3",
        "GOES-11 Jan 1, 2008 - Mar 2",
        "GOES-11",
        "GOES-11 Jan 1 - Mar 2 and GOES-13",
        "then GOES-11",
        "GOES-11 Jan 1 - Mar 2, then",
        "Goes 11 Jan 1 - Mar 2",
        "Proton Fluence from GOES-10 and Electron Fluence from GOES-12 Jan 1 - Jan 3",
        "GOES-11 Jan 1 - Mar 2, then GOES-13 Apr 1 - Dec 31",
    ],
)
def test_a_note_that_is_not_understood_is_refused(write, note):
    """A note that names satellites in another way raises rather than leave days with the wrong satellite."""
    with pytest.raises(DataError, match=r"2008_DPD.txt: the note .* names satellites in a way that is not understood"):
        open_dpd(write(row("2008-01-01"), note=note))


def test_a_note_needs_a_single_year(write):
    """Days of the year in a note mean nothing in a file of two years."""
    with pytest.raises(DataError, match="the file holds 2 years; split it by year"):
        open_dpd(write(row("2008-01-01"), row("2009-01-01"), note="GOES-11 Jan 1 - Mar 2"))


def test_days_are_sorted_and_equal_ones_kept_once(write):
    """Days in any order and a repeated equal day give a sorted axis."""
    daily = open_dpd(write(row("2008-01-03"), row("2008-01-01"), row("2008-01-03")))
    assert daily["time"].dt.day.values.tolist() == [1, 3]


def test_days_that_differ_are_refused(write):
    """Two fluences for one day are an error that names both files."""
    first = write(row("2008-01-01"))
    second = write(row("2008-01-01", high="2.0e+07"), name="copy_DPD.txt")
    with pytest.raises(
        DataError, match=r"2008-01-01T00:00:00 hold different electron_flux_gt2mev: 1000\.0 in .*2008_DPD"
    ):
        open_dpd([first, second])
    third = write(row("2008-01-01"), name="third_DPD.txt", note="GOES-11 Jan 1 - Mar 2")
    with pytest.raises(DataError, match=r"different satellite: GOES-12 in .*2008_DPD.txt and GOES-11 in .*third_DPD"):
        open_dpd([first, third])


def test_a_missing_day_is_filled_by_a_file_that_has_it(write):
    """A fill value does not contradict a measurement of the same day."""
    first = write(row("2008-01-01", "-1", "-1"))
    second = write(row("2008-01-01"), name="copy_DPD.txt")
    daily = open_dpd([first, second, first])
    assert daily["fluence_gt2mev"].item() == 8.64e7
    assert daily["satellite"].item() == "GOES-12"


def test_the_range_is_half_open(write):
    """A bare stop date means that whole day; what lies outside is left out, and nothing inside is an error."""
    path = write(*(row(f"2008-01-0{day}") for day in range(1, 6)))
    assert open_dpd(path, start="2008-01-02", stop="2008-01-03")["time"].dt.day.values.tolist() == [2, 3]
    assert open_dpd(path, stop="2008-01-03T00:00")["time"].dt.day.values.tolist() == [1, 2]
    with pytest.raises(MissingDataError, match=r"no sample in the range \[2009-01-01T00:00:00, open\)"):
        open_dpd(path, start="2009-01-01")


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (HEADER, MissingDataError, "holds no day"),
        (HEADER + row("2008-02-30"), DataError, "line 9: .* is not a day and its fluences"),
        (HEADER + row("2008-02-03", "x"), DataError, "line 9: .* is not a day and its fluences"),
        (HEADER + row("2008-02-03")[:-30], DataError, "line 9: found 7 columns, expected the heading's 9"),
        (HEADER + row("2008-02-03") + "<html>", DataError, "line 10: found '<html>' among the days"),
        (HEADER + "20o8 02 03 1 2 3 4 5 6\n", DataError, "line 9: found '20o8 02 03 1 2 3 4 5 6' among the days"),
        (row("2008-02-03"), DataError, "0 headings 'GOES-n Electron Fluence' and 0 lines of energies"),
        (HEADER.replace(">0.6 MeV", ">0.7 MeV"), DataError, "the last energies are 0.7 and 2 MeV"),
        (HEADER.replace(">0.6 MeV", ">0.. MeV"), DataError, r"the last energies are 0.. and 2 MeV"),
        (
            HEADER.replace("Electrons/cm2-day-sr", "Electrons/cm2-s-sr"),
            UnitError,
            "electrons in 'Electrons/cm2-day-sr'",
        ),
        ("<!DOCTYPE html>\n<p>404</p>", DataError, "0 headings"),
        ("", DataError, "0 headings"),
    ],
)
def test_damaged_files_are_refused(tmp_path, text, error, match):
    """Cut lines, impossible days, another unit or another kind of file say where and what."""
    path = tmp_path / "2008_DPD.txt"
    path.write_text(text.replace("{note}", ""))
    with pytest.raises(error, match=match):
        open_dpd(path)


@pytest.mark.parametrize(("content", "match"), [(b"\xff\xfe\x00", "cannot be read as text"), (b"a\0b", "binary data")])
def test_what_is_no_text_is_refused(tmp_path, content, match):
    """Bytes that are no text raise."""
    path = tmp_path / "2008_DPD.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match):
        open_dpd(path)


def test_files_come_from_folders_patterns_and_lists(write, tmp_path):
    """A folder, a pattern and a list give the same; what is absent is an error."""
    write(row("2008-01-01"))
    write(row("2008-01-02"), name="2008b_DPD.txt")
    (tmp_path / "readme.txt").write_text("not read")
    daily = open_dpd(tmp_path)
    assert daily.identical(open_dpd(str(tmp_path / "*_DPD.txt")))
    assert daily.identical(open_dpd([tmp_path / "2008_DPD.txt", str(tmp_path / "2008b_DPD.txt")]))
    with pytest.raises(MissingDataError, match=r"nowhere\.txt does not exist"):
        open_dpd(tmp_path / "nowhere.txt")
    with pytest.raises(MissingDataError, match=r"no file in .*x\*\.txt: expected Daily Particle Data"):
        open_dpd(tmp_path / "x*.txt")
    with pytest.raises(MissingDataError, match="no file in an empty list of paths"):
        open_dpd([])


def test_what_stays_the_same_for_three_days_is_stuck(write):
    same = [row(f"2008 01 0{day}") for day in (1, 2, 3)]
    daily = open_dpd(write(*same, row("2008 01 04", high="1.0e+07"), row("2008 01 05", high="1.0e+07")))
    assert np.isnan(daily["fluence_gt2mev"][:3]).all()
    assert np.isfinite(daily["fluence_gt2mev"][3:]).all()


def test_the_real_files(shared_data):
    """1997 to 2014: one day of 2014, 36 fluences of 2003 and 85 stuck ones are missing."""
    daily = open_dpd(shared_data / "geo" / "dpd")
    assert daily.sizes["time"] == 6573
    days = np.arange("1997-01-01", "2015-01-01", dtype="datetime64[D]")
    assert np.setdiff1d(days, daily["time"].values.astype("datetime64[D]")).astype(str).tolist() == ["2014-03-31"]
    missing = daily["time"].values[np.isnan(daily["fluence_gt2mev"])]
    years, counts = np.unique(missing.astype("datetime64[Y]").astype(str), return_counts=True)
    assert dict(zip(years, counts, strict=True)) == {"2003": 36, "2005": 8, "2006": 54, "2007": 23}
    satellite = daily["satellite"].values
    changes = np.flatnonzero(satellite[1:] != satellite[:-1]) + 1
    begun = {str(daily["time"].values[k])[:10]: satellite[k] for k in changes if satellite[k]}
    assert begun == {
        "1999-01-01": "GOES-8",
        "2003-01-01": "GOES-12",
        "2003-05-14": "GOES-12",
        "2005-10-19": "GOES-12",
        "2006-11-24": "GOES-12",
        "2007-01-09": "GOES-12",
        "2007-05-22": "GOES-12",
        "2008-01-01": "GOES-11",
        "2008-03-03": "GOES-12",
        "2008-12-01": "GOES-11",
        "2010-04-01": "GOES-13",
    }
    assert daily["fluence_gt2mev"].max().item() == 9.3e9
    assert np.isfinite(daily["electron_flux_gt0p8mev"]).sum().item() == 1095
