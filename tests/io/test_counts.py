from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, ParticleFluxError, UnitError
from particleflux.instruments import load_instrument
from particleflux.io import open_counts, open_radem
from particleflux.names import Quality, attributes, require

CSV = """time,exposure,PDH1,PDH3,EDH8
2024-05-15T12:00:00Z,60,5,22,800
2024-05-15T12:01:00Z,60,6,23,810
2024-05-15T12:02:00Z,60,7,24,820
"""


@pytest.fixture
def csv(tmp_path):
    def write(text: str = CSV, name: str = "counts.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def netcdf(write_radem, tmp_path):
    def write(change=lambda counts: counts):
        path = tmp_path / "counts.nc"
        change(open_radem(write_radem())).to_netcdf(path, engine="h5netcdf")
        return path

    return write


def test_csv_becomes_counts(csv):
    """A CSV file becomes the dataset that every counts consumer takes, with the configuration looked up."""
    counts = open_counts(csv())
    require(counts, "counts", "exposure", "quality", "configuration")
    assert counts["counts"].sel(channel="PDH3").values.tolist() == [22, 23, 24]
    assert counts["time"].values[0] == np.datetime64("2024-05-15T12:00")
    assert counts["time"].dtype == "datetime64[ns]"
    assert (counts["configuration"] == 1).all()
    assert (counts["quality"] == 0).all()
    assert counts.attrs == {"instrument": "radem", "source_files": ["counts.csv"]}


def test_column_and_row_order_do_not_matter(csv):
    """Columns and rows in any order give the same dataset."""
    reference = open_counts(csv())
    head, *rows = [line.split(",") for line in CSV.split()]
    order = [4, 1, 3, 0, 2]
    shuffled = [head, rows[2], rows[0], rows[1]]
    text = "\n".join(",".join(row[index] for index in order) for row in shuffled)
    xr.testing.assert_identical(open_counts(csv(text)), reference)


@pytest.mark.parametrize("stamp", ["2024-05-15T12:00:00", "2024-05-15 14:00:00+02:00", "2024-05-15T12:00:00.000Z"])
def test_times_may_carry_a_zone(csv, stamp):
    """A time without a zone is UTC, another is converted, and one file may mix them."""
    counts = open_counts(csv(CSV.replace("2024-05-15T12:00:00Z", stamp)))
    assert counts["time"].values[0] == np.datetime64("2024-05-15T12:00")


def test_headings_may_carry_units_comments_and_a_mark(csv):
    """Units in headings, # comments, spaces and a byte-order mark are understood."""
    text = "\ufeff# made by hand\n" + CSV.replace("exposure", " exposure [s]").replace("PDH1", "PDH1 (counts)")
    xr.testing.assert_identical(open_counts(csv(text)), open_counts(csv()))


def test_empty_and_negative_values_are_flagged(csv):
    """An empty count is NaN and MISSING; a negative count and a zero exposure are INVALID; nothing is dropped."""
    text = CSV.replace("22", "").replace(",6,", ",-6,").replace("12:02:00Z,60", "12:02:00Z,0")
    counts = open_counts(csv(text))
    assert counts["quality"].values.tolist() == [Quality.MISSING, Quality.INVALID, Quality.INVALID]
    assert np.isnan(counts["counts"].values).sum() == 1


def test_a_cut_last_line_is_missing_not_zero(csv):
    """A last line without its last columns gives NaN there, flagged."""
    counts = open_counts(csv(CSV.rstrip().removesuffix(",24,820")))
    assert np.isnan(counts["counts"].values[2, 1:]).all()
    assert counts["quality"].values[2] == Quality.MISSING


def test_flags_and_configuration_may_be_given(csv):
    """Columns quality and configuration are taken over."""
    text = CSV.replace("EDH8", "quality").replace("PDH3", "configuration")
    counts = open_counts(csv(text))
    assert counts["quality"].values.tolist() == [800, 810, 820]
    assert counts["configuration"].values.tolist() == [22, 23, 24]


def test_equal_repeated_samples_are_kept_once(csv):
    """A line that occurs twice counts once."""
    xr.testing.assert_identical(open_counts(csv(CSV + CSV.splitlines()[1])), open_counts(csv()))


def test_flags_of_repeated_samples_are_joined(csv):
    """What one of two equal lines knows against the sample is not lost, whichever stands first."""
    text = CSV.replace("EDH8", "quality").replace(",800", ",1").replace(",810", ",0").replace(",820", ",0")
    again = text.splitlines()[1].removesuffix(",1") + ",4"
    for lines in (text + again, text.replace("PDH3,quality\n", f"PDH3,quality\n{again}\n")):
        assert open_counts(csv(lines))["quality"].values.tolist() == [5, 0, 0]


def test_repeated_samples_of_other_configuration_are_refused(csv):
    """Equal counts of one time in two configurations cannot both be right."""
    text = CSV.replace("EDH8", "configuration").replace(",800", ",1").replace(",810", ",1").replace(",820", ",1")
    with pytest.raises(DataError, match=r"two samples at .*12:00.* hold different configuration"):
        open_counts(csv(text + text.splitlines()[1].removesuffix(",1") + ",2"))


def test_only_a_needed_channel_makes_a_sample_missing(csv):
    """An empty count in a channel that no spectrum is read from stays NaN and flags nothing."""
    counts = open_counts(csv(CSV.replace(",810", ",")))
    assert np.isnan(counts["counts"].sel(channel="EDH8").values[1])
    assert (counts["quality"] == 0).all()


@pytest.mark.parametrize(
    ("old", "new", "error", "match"),
    [
        ("EDH8", "EDH9", AxisError, "unknown column 'EDH9'; expected time, exposure"),
        ("EDH8", "PDH1", AxisError, "repeats PDH1"),
        ("time,exposure", "time,PDH2", AxisError, "lacks exposure"),
        ("time,", "PDH2,", AxisError, "lacks time"),
        ("PDH1,PDH3,EDH8", "quality,configuration,", AxisError, "unknown column ''"),
        ("exposure", "exposure [min]", UnitError, "column exposure: unit 'min', expected 's'"),
        ("PDH1", "PDH1 [1/s]", UnitError, "column PDH1: unit '1/s', expected '1'"),
        ("810", "many", DataError, "sample 2, column EDH8: found 'many', expected a number"),
        ("810", "inf", DataError, "sample 2, column EDH8: found 'inf', expected a number"),
        ("2024-05-15T12:01:00Z", "noon", DataError, "sample 2, column time: found 'noon', expected ISO 8601"),
        ("2024-05-15T12:01:00Z", "", DataError, "sample 2, column time: found ''"),
        ("2024-05-15T12:01:00Z", "2024-05-15T12:00:00Z", DataError, "two samples at .* hold different counts"),
        (",810", ",810,1,1", DataError, "cannot be read as comma-separated text"),
    ],
)
def test_damaged_csv_is_refused(csv, old, new, error, match):
    """Each mistake in a CSV file raises its own error with the file, the place and what was found."""
    with pytest.raises(error, match=rf"counts.csv.*{match}"):
        open_counts(csv(CSV.replace(old, new)))


@pytest.mark.parametrize("value", ["-1", "0.5", "", "1e12"])
def test_flags_must_be_whole_numbers(csv, value):
    """A quality that is no whole number from 0 is refused."""
    with pytest.raises(DataError, match=r"column quality: found .*, expected a whole number"):
        open_counts(csv(CSV.replace("EDH8", "quality").replace("810", value)))


def test_csv_without_channels_or_samples_is_refused(csv):
    """A file with no channel is an AxisError; an empty one or a heading alone a MissingDataError."""
    with pytest.raises(AxisError, match="lacks every channel"):
        open_counts(csv("time,exposure\n2024-05-15,60\n"))
    with pytest.raises(MissingDataError, match=r"counts.csv is empty"):
        open_counts(csv(""))
    with pytest.raises(MissingDataError, match=r"counts.csv holds no sample"):
        open_counts(csv(CSV.splitlines()[0]))


def test_unequal_exposures_of_one_time_are_refused(csv):
    """Two samples of one time that differ in exposure alone cannot both be right."""
    with pytest.raises(DataError, match="hold different exposure"):
        open_counts(csv(CSV + CSV.splitlines()[3].replace("60", "30")))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    """A binary file named .csv is a DataError that names it."""
    (tmp_path / "counts.csv").write_bytes(b"time\xff\xfe,\x00\x01\n")
    with pytest.raises(DataError, match=r"counts.csv cannot be read as comma-separated text"):
        open_counts(tmp_path / "counts.csv")


def test_other_files_are_refused(csv, tmp_path):
    """An unknown suffix and a path without a file are refused by name."""
    with pytest.raises(DataError, match=r"counts.dat ends in '.dat': expected .csv or one of"):
        open_counts(csv(name="counts.dat"))
    with pytest.raises(MissingDataError, match=r"absent.nc does not exist"):
        open_counts(tmp_path / "absent.nc")


def test_unknown_instrument_is_refused(csv):
    """An instrument without a description is an error of this package that names it."""
    with pytest.raises(ParticleFluxError, match="geiger"):
        open_counts(csv(), instrument="geiger")


def test_netcdf_gives_back_what_was_written(netcdf, write_radem):
    """Counts written as NetCDF and opened again are the same, labels, flags and units included."""
    counts, written = open_counts(netcdf()), open_radem(write_radem())
    for name in ("counts", "exposure", "quality", "configuration"):
        xr.testing.assert_equal(counts[name], written[name])
        assert counts[name].attrs == written[name].attrs
    assert counts.attrs == written.attrs


def test_netcdf_order_does_not_matter(netcdf):
    """Channels and times in any order, and dimensions transposed, give the same dataset."""
    reference = open_counts(netcdf())
    shuffled = open_counts(
        netcdf(lambda counts: counts.isel(channel=slice(None, None, -1), time=[3, 0, 1, 4, 2]).transpose())
    )
    xr.testing.assert_equal(shuffled, reference)


def test_netcdf_without_flags_gets_them(netcdf):
    """Quality and configuration are optional in a file and filled in."""
    counts = open_counts(netcdf(lambda counts: counts.drop_vars(["quality", "configuration"])))
    require(counts, "quality", "configuration")
    assert (counts["configuration"] == 1).all()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda c: c.drop_vars("exposure"), AxisError, "no variable 'exposure'"),
        (lambda c: c.assign(counts=c["counts"].assign_attrs(units="s-1")), UnitError, "units 's-1', expected '1'"),
        (lambda c: c.assign(counts=c["counts"].isel(time=0)), AxisError, "has dimensions"),
        (lambda c: c.drop_attrs(deep=False), DataError, "attribute 'instrument' is None"),
        (lambda c: c.drop_vars("time"), AxisError, "dimension 'time' carries no labels"),
        (lambda c: c.assign_coords(time=range(5)), AxisError, "time is int64"),
        (lambda c: c.assign_coords(channel=[f"P{i}" for i in range(16)]), AxisError, "channels .*'P0'.*expected names"),
        (lambda c: c.isel(channel=[0, 0]), AxisError, "each once"),
        (lambda c: c.isel(time=[]), MissingDataError, "holds no sample"),
        (lambda c: c.assign_coords(time=c["time"].values[[0, 0, 1, 2, 3]]), DataError, "hold different counts"),
        (lambda c: c.assign(exposure=("time", list("abcde"), {"units": "s"})), DataError, "expected numbers"),
    ],
)
def test_damaged_netcdf_is_refused(netcdf, change, error, match):
    """Each mistake in a NetCDF file raises its own error with the file and what was found."""
    with pytest.raises(error, match=rf"counts.nc.*{match}"):
        open_counts(netcdf(change))


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_broken_netcdf_is_named(netcdf, size):
    """A NetCDF file cut short is a DataError that names it."""
    path = netcdf()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"counts.nc cannot be read as NetCDF-4"):
        open_counts(path)


def with_background(counts, dims=("time", "channel")):
    sizes = [counts.sizes[dim] for dim in dims]
    for name, value in (("background_rate", 0.5), ("background_rate_std", 0.1)):
        counts[name] = (dims, np.full(sizes, value), attributes(name))
    return counts


@pytest.mark.parametrize("dims", [("time", "channel"), ("channel", "time"), ("channel",)])
def test_background_in_the_file_is_read_through(netcdf, dims):
    """A background along channel, or time and channel, comes with the counts, its channels in their order."""

    def change(counts):
        counts = with_background(counts, dims)
        counts["background_rate"].loc[{"channel": "PDH2"}] = 7.0
        return counts.isel(channel=slice(None, None, -1))

    counts = open_counts(netcdf(change))
    require(counts, "background_rate", "background_rate_std")
    assert (counts["background_rate"].sel(channel="PDH2") == 7.0).all()
    assert counts["background_rate"].dims == ("channel",) if len(dims) == 1 else ("time", "channel")


def test_repeated_samples_of_other_background_are_refused(netcdf):
    """Equal counts of one time with two backgrounds along time are refused; with one, or none along time, they pass."""

    def change(counts, dims, value):
        counts = with_background(xr.concat([counts, counts.isel(time=[0])], "time", data_vars="minimal"), dims)
        counts["background_rate"][{dims[0]: -1}] = value
        return counts

    assert open_counts(netcdf(lambda c: change(c, ("time", "channel"), 0.5))).sizes["time"] == 5
    assert open_counts(netcdf(lambda c: change(c, ("channel",), 0.7))).sizes["time"] == 5
    with pytest.raises(DataError, match="hold different background_rate"):
        open_counts(netcdf(lambda c: change(c, ("time", "channel"), 0.7)))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda c: with_background(c).drop_vars("background_rate_std"), AxisError, "no variable 'background_rate_std'"),
        (lambda c: with_background(c, ("time",)), AxisError, "background_rate has dimensions .*; expected channel"),
        (
            lambda c: with_background(c).assign(background_rate=c["counts"]),
            UnitError,
            "'background_rate' has units '1', expected 's-1'",
        ),
    ],
)
def test_background_that_cannot_be_used_is_refused(netcdf, change, error, match):
    """Half a background, one of other dimensions or of another unit is refused with the file."""
    with pytest.raises(error, match=rf"counts.nc.*{match}"):
        open_counts(netcdf(change))


def test_background_in_a_table_is_refused(csv):
    """A column of background rates says which format takes them."""
    with pytest.raises(AxisError, match=r"'background_rate_PDH1'.*give counts with their background as NetCDF"):
        open_counts(csv(CSV.replace("EDH8", "background_rate_PDH1")))


def test_instrument_of_ones_own_is_taken(netcdf, csv):
    """Counts of an instrument that does not ship are read where its description is given, and refused without."""
    own = dataclasses.replace(load_instrument("radem"), name="mine")
    assert open_counts(csv(), instrument=own).attrs["instrument"] == "mine"
    path = netcdf(lambda counts: counts.assign_attrs(instrument="mine"))
    assert open_counts(path, instrument=own).attrs["instrument"] == "mine"
    with pytest.raises(MissingDataError, match=r"counts.nc: counts of 'mine', which does not ship"):
        open_counts(path)
