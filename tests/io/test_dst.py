from __future__ import annotations

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.io import open_dst
from particleflux.names import require

TEXT = """# Hourly Dst index, nT.
time,dst_nT
2014-01-01T00:00:00Z,4
2014-01-01T01:00:00Z,-12
2014-01-01T02:00:00Z,
2014-01-01T03:00:00Z,99999
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dst_2014.csv"


def test_dst_is_labelled(path):
    """Hours and values come back; blanks and fill values are missing."""
    path.write_text(TEXT)
    hourly = open_dst(path.parent)
    require(hourly, "dst")
    np.testing.assert_array_equal(hourly["dst"], [4, -12, np.nan, np.nan])
    assert hourly["time"].values[1] == np.datetime64("2014-01-01T01")
    assert hourly.attrs["cadence"] == "1h"
    assert open_dst(path, start="2014-01-01T01:00").sizes["time"] == 3


def test_a_zone_is_honoured(path):
    """A time with an offset is converted to UTC."""
    path.write_text("time,dst_nT\n2014-01-01T02:00:00+01:00,4\n")
    assert open_dst(path)["time"].values[0] == np.datetime64("2014-01-01T01")


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (TEXT.replace("dst_nT", "kp"), AxisError, "found columns time, kp; expected time, dst_nT"),
        (TEXT.replace("-12", "quiet"), DataError, "line 4, column dst_nT: found 'quiet', expected a number or N/A"),
        (TEXT.replace("-12", "inf"), DataError, "line 4, column dst_nT: found 'inf'"),
        (TEXT.replace("2014-01-01T01", "yesterday"), DataError, "line 4, time: found 'yesterday:00:00Z', expected ISO"),
        (TEXT.replace("T01:00:00Z,", "T00:00:00Z,"), DataError, "2014-01-01T00:00:00 hold different dst"),
        (TEXT.replace("T01:00:00Z", "T01:30:00Z"), DataError, "at 2014-01-01T01:30:00, expected one every 1 hour"),
        (TEXT.replace("-12", "-12,3"), DataError, "line 4: found 3 columns, expected the first's 2"),
        ("time,dst_nT\n", MissingDataError, "holds no row"),
        ("", MissingDataError, "holds no row"),
        ("<html>\n<body>", AxisError, "found columns <html>"),
    ],
)
def test_damaged_files_are_refused(path, text, error, match):
    """Other columns, text, times between hours and contradictions say where and what."""
    path.write_text(text)
    with pytest.raises(error, match=match):
        open_dst(path)


def test_the_real_file(shared_data):
    """Three years of Dst without a gap, down to -234 nT on 2015-03-17."""
    hourly = open_dst(shared_data / "geo" / "dst_2014-2016.csv")
    assert hourly.sizes["time"] == 26304
    assert (np.diff(hourly["time"].values) == np.timedelta64(1, "h")).all()
    assert hourly["dst"].min().item() == -234
    assert str(hourly["time"].values[np.argmin(hourly["dst"].values)])[:10] == "2015-03-17"
