from __future__ import annotations

import time

import numpy as np
import pytest

from particleflux.errors import DataError, MissingDataError
from particleflux.io import open_kp
from particleflux.names import require

WDC = "0301012312231023271320131723147  4  9 12  5  7  5  6  9  70.42 31111.20\n"
BLANKS = "9711 22242271 1  3 0 0 3 7 0 33  4  5  2  0  0  3  3  0  20.00 53 96.20\n"
HEAD = "DATATYPE CssiSpaceWeather\nNUM_OBSERVED_POINTS 1\nBEGIN OBSERVED\n"
OBSERVED = (
    "2003 01 01 2312 23 10 23 27 13 20 13 17 23 147   4   9  12   5   7   5   6   9   7 0.4 2  31 111.2 0 "
    "163.7 166.8 115.0 167.9 171.3\n"
)
PREDICTED = OBSERVED.replace("2003 01 01", "2003 01 02")
SPACED = (
    "2003 01 01 25933 25933.5 2312 23  1.000  2.333  2.667  1.333  2.000  1.333 -1.000 -1.000    4    9   12    5    7"
    "    5   -1   -1     7  31    115.0    111.2 2\n"
)
THIRDS = [3, 7, 8, 4, 6, 4, 5, 7]
AP = [4, 9, 12, 5, 7, 5, 6, 9]


def celestrak(observed: str = OBSERVED, predicted: str = PREDICTED) -> str:
    return f"{HEAD}{observed}END OBSERVED\n\nBEGIN DAILY_PREDICTED\n{predicted}END DAILY_PREDICTED\n"


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file."""

    def _write(text: str, name: str = "2003.txt"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return _write


@pytest.mark.parametrize(("text", "n_good"), [(WDC, 8), (celestrak(), 8), ("# Kp\n\n" + SPACED, 6)])
def test_kp_is_in_thirds(write, text, n_good):
    """All layouts give the same eight values a day, Kp in exact thirds, and F10.7 at 1 au; -1 is missing."""
    three_hourly = open_kp(write(text))
    require(three_hourly, "kp", "ap", "f10p7")
    assert three_hourly.attrs["cadence"] == "3h"
    assert three_hourly["time"].dt.hour.values.tolist() == list(range(0, 24, 3))
    assert str(three_hourly["time"].values[0])[:10] == "2003-01-01"
    assert three_hourly["kp"].values[:n_good].tolist() == [third / 3 for third in THIRDS[:n_good]]
    assert three_hourly["ap"].values[:n_good].tolist() == AP[:n_good]
    assert np.isnan(three_hourly["kp"].values[n_good:]).all()
    assert np.isnan(three_hourly["ap"].values[n_good:]).all()
    assert three_hourly["f10p7"].values.tolist() == [111.2] * 8


def test_blanks_count_as_zeros_within_numbers(write):
    """GFZ wrote "9711 2" for 2 November and "1 " for Kp 1o in 1997."""
    three_hourly = open_kp(write(BLANKS, "1997.txt"))
    assert str(three_hourly["time"].values[0])[:10] == "1997-11-02"
    np.testing.assert_allclose(3 * three_hourly["kp"].values, [3, 3, 1, 0, 0, 1, 2, 0])


def test_what_is_not_given_is_missing(write):
    """Blanks and dashes are NaN."""
    text = WDC[:26] + "  " + WDC[28:65] + "---.-" + WDC[70:]
    three_hourly = open_kp(write(text))
    assert np.isnan(three_hourly["kp"].values).tolist() == [False] * 7 + [True]
    assert np.isnan(three_hourly["f10p7"].values).all()


def test_predictions_are_never_read(write):
    """What follows END OBSERVED stays out, and a file without that line is refused."""
    assert open_kp(write(celestrak()))["time"].dt.day.values.tolist() == [1] * 8
    for text in (
        celestrak().replace("END OBSERVED", ""),
        celestrak().replace("BEGIN O", "xBEGIN O"),
        "END OBSERVED\n" + celestrak(),
    ):
        with pytest.raises(DataError, match="has no line 'END OBSERVED' after a line 'BEGIN OBSERVED': it is cut"):
            open_kp(write(text))


def test_the_issuing_institute_is_kept(write):
    """Where GFZ and CelesTrak differ GFZ is kept; the other days come from CelesTrak."""
    write(WDC)
    other = OBSERVED.replace("10 23 27", "13 23 27") + PREDICTED
    folder = write(celestrak(other), "SpaceWeather-All-v1.2.txt").parent
    three_hourly = open_kp(folder)
    assert three_hourly["kp"].values.tolist() == [third / 3 for third in THIRDS] * 2
    assert three_hourly.attrs["source_files"] == ["2003.txt", "SpaceWeather-All-v1.2.txt"]


def test_files_of_one_kind_must_agree(write):
    """Two GFZ files that differ are an error."""
    first = write(WDC)
    second = write(WDC.replace("2310232713", "2313232713"), "copy.txt")
    with pytest.raises(DataError, match=r"2003-01-01T00:00:00 hold different kp: 1\.0 in .*2003\.txt and 1\.333"):
        open_kp([first, second])


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (WDC + WDC.replace("030101", "030231"), DataError, r"line 2: '03-02-31' is no date .*expected Kp as GFZ"),
        (WDC.replace("030101", "03x101"), DataError, "line 1: '03-x1-01' is no date"),
        (WDC[:50], DataError, "line 1: .* is cut off, or not a day"),
        (WDC.replace("2310232713", "2310252713"), DataError, "row 2: found 25 as ten times Kp"),
        (WDC.replace("2310232713", "2310x32713"), DataError, "line 1, column Kp: found 'x3', expected a number"),
        (celestrak(OBSERVED[:60] + "\n"), DataError, "line 4: .* is cut off"),
        (celestrak(""), MissingDataError, "holds no day"),
        ("# Kp\n" + SPACED[:-3] + "\n", DataError, "line 2: found 27 columns, expected 28"),
        ("# Kp\n" + SPACED.replace("2.667", "2.500"), DataError, "row 3: found 25 as ten times Kp"),
        ("# Kp\n", MissingDataError, "holds no day"),
        ("", MissingDataError, "holds no day"),
        (
            "<!DOCTYPE html><html><body>Sorry, this page was not found on this server</body></html>",
            DataError,
            "no date",
        ),
    ],
)
def test_damaged_files_are_refused(write, text, error, match):
    """Impossible dates, Kp that is none, cut or foreign lines say where and what."""
    with pytest.raises(error, match=match):
        open_kp(write(text))


def test_licences_beside_the_data_are_passed_over(write):
    """A folder is searched by name."""
    folder = write("Apache License", "License.txt").parent
    with pytest.raises(MissingDataError, match="expected Kp as GFZ"):
        open_kp(folder)


def test_the_real_files(shared_data):
    """GFZ 1995-2015 and CelesTrak to 2025 join without a gap, in a few seconds; GFZ and OMNI2 agree (June 2006)."""
    begun = time.perf_counter()
    three_hourly = open_kp(shared_data / "geo" / "kp")
    assert time.perf_counter() - begun < 15
    assert str(three_hourly["time"].values[0]) == "1957-10-01T00:00:00.000000000"
    assert str(three_hourly["time"].values[-1]) == "2025-03-20T21:00:00.000000000"
    assert (np.diff(three_hourly["time"].values) == np.timedelta64(3, "h")).all()
    assert np.isfinite(three_hourly["kp"]).all()
    assert three_hourly["kp"].max().item() == 9
    day = three_hourly.sel(time="2006-06-03")["kp"].values
    np.testing.assert_allclose(3 * day, [4, 2, 4, 2, 5, 3, 1, 2])
