from __future__ import annotations

import datetime as dt
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.io import iter_radem_days, open_radem
from particleflux.io.paths import select_radem_files
from particleflux.io.times import TimeRange, format_days
from particleflux.names import EDH, PDH, Quality, require

FILL = 4294967295


def test_dataset_follows_the_contract(write_radem):
    """A file becomes counts, exposure, quality and configuration with their names, dimensions, units and attributes."""
    counts = open_radem(write_radem())
    require(counts, "counts", "exposure", "quality", "configuration")
    assert counts["counts"].dims == ("time", "channel")
    assert counts["counts"].dtype == np.float64
    assert counts["time"].dtype == "datetime64[ns]"
    assert list(counts["channel"].to_numpy()) == [*PDH, *EDH]
    assert counts.attrs == {"instrument": "radem", "source_files": ["radem_raw_sc_20231001__0_1.cdf"]}
    assert (counts["configuration"] == 1).all()
    assert (counts["exposure"] == 60).all()
    assert (counts["quality"] == 0).all()


def test_values_land_under_their_channel(write_radem):
    """PROTONS[k] is PDH(k+1) and ELECTRONS[k] is EDH(k+1)."""
    counts = open_radem(write_radem())["counts"]
    assert counts.sel(channel="PDH3").to_numpy().tolist() == [2, 18, 34, 50, 66]
    assert counts.sel(channel="EDH1").to_numpy().tolist() == [8, 24, 40, 56, 72]


def test_epoch_counts_leap_seconds(write_radem):
    """TT2000 zero points and all 37 leap seconds are applied: midnight is midnight."""
    assert open_radem(write_radem())["time"].to_numpy()[0] == np.datetime64("2023-10-01T00:00:00", "ns")


def test_fill_and_pad_are_nan_and_flagged(write_radem):
    """The fill and pad values become NaN, with MISSING on their sample only and where spectra need the channel."""
    table = np.ones((5, 16), dtype=np.int64)
    table[1, 2], table[3, 3], table[4, 15] = FILL, FILL - 1, FILL
    counts = open_radem(write_radem(counts=table))
    assert np.isnan(counts["counts"].to_numpy()).sum() == 3
    assert counts["quality"].to_numpy().tolist() == [0, Quality.MISSING, 0, Quality.MISSING, 0]


def test_missing_ignores_channels_left_out(write_radem):
    """A fill in a channel nobody asked for does not flag the sample."""
    table = np.ones((5, 16), dtype=np.int64)
    table[1, 2] = FILL
    assert (open_radem(write_radem(counts=table), channels=["PDH1", "EDH8"])["quality"] == 0).all()


def test_channels_come_in_the_order_asked(write_radem):
    """A choice of channels keeps its order and its values."""
    path = write_radem()
    chosen = open_radem(path, channels=["EDH2", "PDH5"])
    assert chosen["channel"].to_numpy().tolist() == ["EDH2", "PDH5"]
    xr.testing.assert_equal(chosen["counts"], open_radem(path)["counts"].sel(channel=["EDH2", "PDH5"]))


@pytest.mark.parametrize("channels", [["PDH9"], ["PDH1", "PDH1"], []])
def test_unknown_or_repeated_channels_are_refused(write_radem, channels):
    """A channel that does not exist, twice, or none at all is an AxisError that lists what exists."""
    with pytest.raises(AxisError, match=r"expected one or more of PDH1, .*EDH8"):
        open_radem(write_radem(), channels=channels)


def test_gap_flags_the_first_sample_after_it(write_radem):
    """A step beyond 1.5 accumulations sets GAP on the sample after it, and only there."""
    counts = open_radem(write_radem(seconds=[0, 60, 149, 240, 300]))
    assert counts["quality"].to_numpy().tolist() == [0, 0, 0, Quality.GAP, 0]


def test_gap_is_seen_across_files(write_radem, tmp_path):
    """The first sample of a file that follows an absent day carries GAP; days that join do not."""
    write_radem("2023-10-01", seconds=[86280, 86340])
    write_radem("2023-10-02", seconds=[0, 86340])
    write_radem("2023-10-04", seconds=[0, 60])
    with pytest.warns(UserWarning, match="no RADEM file for 2023-10-03"):
        counts = open_radem(tmp_path)
    assert counts["quality"].to_numpy().tolist() == [0, 0, 0, Quality.GAP, Quality.GAP, 0]


def test_exposure_that_is_zero_or_fill_is_invalid(write_radem):
    """A zero or fill TIME_RESOLUTION flags INVALID; the fill is NaN."""
    counts = open_radem(write_radem(resolution=[60, 0, 65535, 60, 60]))
    assert counts["quality"].to_numpy().tolist()[:4] == [0, Quality.INVALID, Quality.INVALID, 0]
    assert np.isnan(counts["exposure"].to_numpy()[2])


def test_highest_version_wins(write_radem, tmp_path):
    """Of versions 2, 10 and 9 of a day, 10 is read: numbers, not text, are compared."""
    for version in (2, 10, 9):
        write_radem(version=version, counts=np.full((5, 16), version))
    (tmp_path / "radem_raw_sc_20231001__0_11.lblx").write_text("label")
    counts = open_radem(tmp_path)
    assert (counts["counts"] == 10).all()
    assert counts.attrs["source_files"] == ["radem_raw_sc_20231001__0_10.cdf"]


def test_files_folders_patterns_and_mixtures_are_equal(write_radem, tmp_path):
    """A folder, a pattern, a list, text or Path, and the same file named twice all give the same samples, once."""
    paths = [write_radem("2023-10-01"), write_radem("2023-10-02")]
    reference = open_radem(paths)
    (tmp_path / "radem_raw_sc_20231001__0_1.lblx").write_text("label")
    pattern = str(tmp_path / "*")
    for given in (tmp_path, str(tmp_path), pattern, reversed(paths), [pattern, tmp_path, *paths], tmp_path.iterdir()):
        xr.testing.assert_identical(open_radem(given, stop="2023-10-02T00:10"), reference)


def test_folders_are_searched_with_subfolders(write_radem, tmp_path):
    """A folder by month is found from the top."""
    write_radem(folder=tmp_path / "202310")
    assert open_radem(tmp_path).sizes["time"] == 5


def test_unlike_copies_of_one_version_warn(write_radem, tmp_path):
    """Two unlike files that claim the same version warn, and the one named later is used; equal copies are silent."""
    first = write_radem(folder=tmp_path / "a", counts=np.full((5, 16), 1))
    same = tmp_path / "b" / first.name
    same.parent.mkdir()
    shutil.copy(first, same)
    assert open_radem([first, same]).sizes["time"] == 5
    other = write_radem(folder=tmp_path / "c", counts=np.full((5, 16), 7))
    with pytest.warns(UserWarning, match="same version of the same day and differ"):
        counts = open_radem([first, other])
    assert (counts["counts"] == 7).all()


@pytest.mark.parametrize(
    ("stop", "last"),
    [
        ("2023-10-02", "2023-10-02T23:59"),
        ("20231002", "2023-10-02T23:59"),
        (dt.date(2023, 10, 2), "2023-10-02T23:59"),
        (np.datetime64("2023-10-02"), "2023-10-02T23:59"),
        ("2023-10-02T00:00", "2023-10-01T23:59"),
        (dt.datetime(2023, 10, 2), "2023-10-01T23:59"),
        (pd.Timestamp("2023-10-02"), "2023-10-01T23:59"),
        (np.datetime64("2023-10-02T00:01"), "2023-10-02T00:00"),
        ("2023-10-02T02:01+02:00", "2023-10-02T00:00"),
        (dt.datetime(2023, 10, 2, 0, 1, tzinfo=dt.UTC), "2023-10-02T00:00"),
        (None, "2023-10-03T23:59"),
    ],
)
def test_stop_is_exclusive_but_a_bare_date_is_a_whole_day(write_radem, tmp_path, stop, last):
    """An instant as stop is exclusive, in its own zone or UTC; a bare date keeps that day."""
    for day in (1, 2, 3):
        write_radem(f"2023-10-0{day}", seconds=[0, 60, 86340])
    counts = open_radem(tmp_path, start="2023-10-01", stop=stop)
    assert counts["time"].to_numpy()[-1] == np.datetime64(last)


def test_start_is_inclusive(write_radem):
    """The sample at `start` is kept, the one before is not."""
    counts = open_radem(write_radem(), start="2023-10-01T00:02", stop="2023-10-01T00:04")
    assert [str(time)[14:16] for time in counts["time"].to_numpy()] == ["02", "03"]


def test_files_outside_the_range_are_not_opened(write_radem, tmp_path):
    """A broken file on a day nobody asked for does no harm."""
    write_radem("2023-10-01")
    write_radem("2023-10-02").write_text("broken")
    assert open_radem(tmp_path, stop="2023-10-02T00:00").sizes["time"] == 5


@pytest.mark.parametrize(
    "value", ["yesterday", "2024", "2023-13-01", "5/6/24", np.datetime64("NaT"), 20231001, "2023-10-01T99:00"]
)
def test_what_is_no_time_is_refused(write_radem, value):
    """A start that is not clearly a date or time is a DataError that shows the form expected."""
    with pytest.raises(DataError, match=r"start=.*expected a UTC date or time such as"):
        open_radem(write_radem(), start=value)


def test_empty_range_is_refused(write_radem):
    """A start at or after the stop is a DataError."""
    with pytest.raises(DataError, match="is not before stop"):
        open_radem(write_radem(), start="2023-10-02", stop="2023-10-02T00:00")


def test_overlapping_files_do_not_double_samples(write_radem, tmp_path):
    """Samples of a day repeated in the next day's file appear once, sorted, without a warning if equal."""
    write_radem("2023-10-01", seconds=[86280, 86340, 86400], counts=np.full((3, 16), 3))
    write_radem("2023-10-02", seconds=[-60, 0, 60], counts=np.full((3, 16), 3))
    counts = open_radem(tmp_path)
    assert counts["time"].to_index().is_monotonic_increasing
    assert counts.sizes["time"] == 4
    assert (counts["quality"] == 0).all()


def test_conflicting_samples_warn_and_the_later_file_wins(write_radem, tmp_path):
    """Where two files disagree about an instant, the later file's counts are kept and the instant is named."""
    write_radem("2023-10-01", seconds=[86340, 86400], counts=np.full((2, 16), 3))
    write_radem("2023-10-02", seconds=[0, 60], counts=np.full((2, 16), 4))
    with pytest.warns(UserWarning, match=r"2023-10-02T00:00:00.* hold different counts"):
        counts = open_radem(tmp_path)
    assert counts["counts"].sel(channel="PDH1").to_numpy().tolist() == [3, 4, 4]


def test_unsorted_samples_are_sorted(write_radem):
    """Samples out of order within a file are put in order with their counts."""
    table = np.repeat([[2], [0], [1]], 16, axis=1)
    counts = open_radem(write_radem(seconds=[120, 0, 60], counts=table))
    assert counts["counts"].sel(channel="PDH1").to_numpy().tolist() == [0, 1, 2]


def test_samples_without_a_time_are_left_out_with_a_warning(write_radem):
    """A fill EPOCH cannot be placed: the sample is dropped and counted in a warning."""
    with pytest.warns(UserWarning, match="1 samples without a time"):
        counts = open_radem(write_radem(untimed=[2]))
    assert counts.sizes["time"] == 4


def test_repeated_samples_of_other_exposure_are_told(write_radem):
    """Two samples of an instant with equal counts but other exposures disagree: the later is kept, and said so."""
    path = write_radem(seconds=[0, 60, 60], counts=np.ones((3, 16)), resolution=[60, 60, 30])
    with pytest.warns(UserWarning, match=r"00:01:00.* \(and 0 more instants\) hold different counts or exposures"):
        counts = open_radem(path)
    assert counts["exposure"].to_numpy().tolist() == [60, 30]


def test_days_iterated_are_the_days_opened(write_radem, tmp_path):
    """Streaming by file gives the same samples and flags as opening at once, one dataset per file."""
    write_radem("2023-10-01", seconds=[0, 60, 86340])
    write_radem("2023-10-02", seconds=[0, 600])
    days = list(iter_radem_days(tmp_path))
    assert [len(day["time"]) for day in days] == [3, 2]
    whole = open_radem(tmp_path)
    for name in ("counts", "quality", "exposure"):
        assert np.array_equal(np.concatenate([day[name].to_numpy() for day in days]), whole[name].to_numpy())


def test_iteration_refuses_a_bad_request_at_the_call(tmp_path):
    """A wrong request raises when the iterator is made, not when it is first used."""
    with pytest.raises(MissingDataError, match="no RADEM file in"):
        iter_radem_days(tmp_path)


def test_progress_counts_files(write_radem, tmp_path):
    """The hook hears of every file once, in order, with the total."""
    write_radem("2023-10-01")
    write_radem("2023-10-02")
    heard = []
    open_radem(tmp_path, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 2), (2, 2)]


def test_absent_days_are_named(write_radem, tmp_path):
    """Days of the range without a file are warned of, at its ends as inside, as compact runs."""
    write_radem("2023-10-03")
    with pytest.warns(UserWarning, match=r"2023-10-01 to 2023-10-02 \(2 days\), 2023-10-04 in"):
        open_radem(tmp_path, start="2023-10-01", stop="2023-10-04")


def test_no_file_in_range_names_folder_range_and_days(write_radem, tmp_path):
    """A range without a file says where was searched, what was asked and what is there."""
    write_radem()
    with pytest.raises(MissingDataError, match=r"\[2024-01-01T00:00:00, 2024-01-03.*holds 2023-10-01") as caught:
        open_radem(tmp_path, start="2024-01-01", stop="2024-01-02")
    assert str(tmp_path) in str(caught.value)


def test_no_sample_in_range_is_refused(write_radem):
    """A file of the right day without a sample in the range is a MissingDataError with the hours it does hold."""
    with pytest.raises(MissingDataError, match=r"hold 2023-10-01T00:00:00.* to 2023-10-01T00:04"):
        open_radem(write_radem(), start="2023-10-01T12:00")


def test_folder_without_files_and_missing_path_are_refused(tmp_path):
    """An empty folder, a path that does not exist and an empty list are MissingDataErrors that name them."""
    with pytest.raises(MissingDataError, match=r"expected radem_raw_sc_YYYYMMDD__0_V.cdf"):
        open_radem(tmp_path)
    with pytest.raises(MissingDataError, match=r"absent.cdf does not exist"):
        open_radem(tmp_path / "absent.cdf")
    with pytest.raises(MissingDataError, match="an empty list of paths"):
        open_radem([])


def test_other_names_are_refused(tmp_path, write_radem):
    """A file named by hand must carry its archive name, and that name a date that exists."""
    with pytest.raises(DataError, match=r"storm.cdf is not named as a RADEM file"):
        open_radem(write_radem(name="storm.cdf"))
    with pytest.raises(DataError, match="20231345 is not a date"):
        open_radem(write_radem(name="radem_raw_sc_20231345__0_1.cdf"))


@pytest.mark.parametrize("size", [0, 10, 400, 1000, 1500, 2000])
def test_truncated_file_is_named(write_radem, size):
    """However short a file was cut, the error is a DataError that names it."""
    path = write_radem()
    os.truncate(path, size)
    with pytest.raises(DataError, match=path.name):
        open_radem(path)


@pytest.mark.slow
def test_any_truncation_raises_or_reads_the_same(write_radem):
    """Cut anywhere, a file is refused by name or, if only its tail is lost, read as it was."""
    path = write_radem()
    content, reference = path.read_bytes(), open_radem(path)
    for size in range(0, len(content), 61):
        path.write_bytes(content[:size])
        try:
            counts = open_radem(path)
        except DataError as error:
            assert path.name in str(error)  # noqa: PT017
        else:
            xr.testing.assert_identical(counts, reference)


def test_one_broken_file_among_many_is_an_error(write_radem, tmp_path):
    """A text file named .cdf between good files is not skipped but named."""
    write_radem("2023-10-01")
    write_radem("2023-10-02").write_text("<html>404</html>")
    write_radem("2023-10-03")
    with pytest.raises(DataError, match=r"20231002__0_1.cdf cannot be read as CDF"):
        open_radem(tmp_path)


@pytest.mark.parametrize("name", ["EPOCH", "PROTONS", "ELECTRONS", "TIME_RESOLUTION"])
def test_other_layout_is_refused(write_radem, name):
    """A CDF file that lacks a variable is a DataError that names file and variable."""
    with pytest.raises(DataError, match=rf"20231001__0_1.cdf lacks {name}: found"):
        open_radem(write_radem(leave_out=(name,)))


def test_unequal_lengths_are_refused(write_radem):
    """Variables of unlike length cannot be paired: a DataError with both shapes."""
    with pytest.raises(DataError, match=r"TIME_RESOLUTION is uint16 of shape \(4,\), expected integers of shape"):
        open_radem(write_radem(resolution=[60] * 4))


def test_days_are_written_compactly():
    """Long lists of days are cut off with a count."""
    days = np.arange("2024-01-01", "2024-01-31", 2, dtype="datetime64[D]")
    assert format_days(days, limit=2) == "2024-01-01, 2024-01-03, and 13 more days"
    assert format_days(days[:0]) == "none"


def test_range_is_written_in_utc():
    """A range shows itself half-open and in UTC."""
    assert str(TimeRange.parse("2024-05-01T02:00+02:00", None)) == "[2024-05-01T00:00:00, open)"


def test_real_october_is_complete(shared_data):
    """October 2023 holds 31 days and 44639 samples, increasing, without fill, all in configuration 1."""
    october = open_radem(shared_data / "radem" / "sc", start="2023-10-01", stop="2023-10-31")
    assert october.sizes["time"] == 44639
    assert len(october.attrs["source_files"]) == 31
    assert np.unique(october["time"].to_numpy().astype("datetime64[D]")).size == 31
    assert october["time"].to_index().is_monotonic_increasing
    assert (october["quality"] == 0).all()
    assert (october["configuration"] == 1).all()


def test_real_epoch_is_the_files_own_utc(shared_data):
    """Times agree with the files' TIME_UTC text to its millisecond."""
    path = shared_data / "radem" / "sc" / "radem_raw_sc_20240515__0_1.cdf"
    time = open_radem(path)["time"].to_numpy()
    assert str(time[0]).startswith("2024-05-15T00:00:00.885")
    assert str(time[-1]).startswith("2024-05-15T23:59:02.862")


def test_real_missing_months_are_warned_of(shared_data):
    """Between October 2023 and May 2024 the folder has a hole, and it is named."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files = select_radem_files(Path(shared_data) / "radem" / "sc", TimeRange.parse(None, None))
    assert len(files) == 62
    assert "2023-11-01 to 2024-04-30 (182 days)" in str(caught[0].message)
