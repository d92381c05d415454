from __future__ import annotations

import json
import os
from pathlib import Path

import cdflib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, UnitError
from particleflux.export import (
    FORMATS,
    Provenance,
    check_writable,
    open_dataset,
    open_spectra,
    replacing,
    write_dataset,
    write_spectra,
    write_stream,
)
from particleflux.forecast import as_forecast
from particleflux.names import Quality, attributes

ENERGIES = np.geomspace(5.0, 100.0, 7)
BOUNDS = ("", "_lower", "_upper", "_lower95", "_upper95")


def make_spectra(n_time: int = 6) -> xr.Dataset:
    time = np.datetime64("2024-05-11T00:00:00", "ns") + np.arange(n_time) * np.timedelta64(15, "m")
    shape = np.geomspace(1.0, 50.0, n_time)[:, None]
    flux = (shape * ENERGIES**-2.5).astype(np.float32)
    flux[2] = np.nan
    integral = shape * np.array([10.0, 30.0]) ** -1.5
    scale = dict(zip(BOUNDS, (1.0, 0.8, 1.3, 0.5, 2.0), strict=True))
    dataset = xr.Dataset(coords={"time": time})
    dataset.coords["energy"] = ("energy", ENERGIES, attributes("energy"))
    dataset.coords["threshold"] = ("threshold", [10.0, 30.0], attributes("threshold"))
    for bound in BOUNDS:
        dataset[f"flux{bound}"] = (("time", "energy"), flux * np.float32(scale[bound]), attributes(f"flux{bound}"))
        name = f"integral_flux{bound}"
        dataset[name] = (("time", "threshold"), integral * scale[bound], attributes(name))
    quality = np.zeros(n_time, np.int32)
    quality[2] = Quality.MISSING | Quality.NOT_PROCESSED
    dataset["quality"] = ("time", quality, attributes("quality"))
    dataset["ensemble"] = ("time", np.full(n_time, 5, np.int16), attributes("ensemble"))
    dataset["energy_lower"] = ("energy", ENERGIES * 0.9, attributes("energy_lower"))
    dataset.attrs = {"instrument": "radem", "species": "proton"}
    return dataset


def make_counts() -> xr.Dataset:
    time = np.datetime64("2024-05-11T00:00:00.250", "ns") + np.arange(4) * np.timedelta64(60, "s")
    counts = np.arange(12.0).reshape(4, 3)
    counts[1, 1] = np.nan
    return xr.Dataset(
        {
            "counts": (("time", "channel"), counts, attributes("counts")),
            "exposure": ("time", np.full(4, 60.0), attributes("exposure")),
            "quality": ("time", np.array([0, 1, 0, 4], np.uint16), attributes("quality")),
        },
        {
            "time": time,
            "channel": ["PDH1", "PDH3", "EDH1"],
            "configuration": ("time", ["1", "1", "2", "2"], attributes("configuration")),
        },
        {"instrument": "radem"},
    )


def make_provenance(folder: Path) -> Provenance:
    source = folder / "day.cdf"
    source.write_bytes(b"abc")
    return Provenance.now(
        command="particleflux reconstruct day.cdf -o out.nc",
        instrument="radem",
        artefact="radem-proton-ensemble",
        artefact_sha256="0" * 64,
        input_files=[source],
        settings={"every": "15min", "response_error": 0.05, "energies": [5.0, 10.0], "start": None},
    )


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    assert set(found.data_vars) == set(expected.data_vars)
    assert set(found.coords) == set(expected.coords)
    for name in expected.variables:
        assert found[name].dims == expected[name].dims, name
        assert found[name].dtype == expected[name].dtype, name
        np.testing.assert_array_equal(found[name].to_numpy(), expected[name].to_numpy(), err_msg=str(name))
        if name != "time":
            assert found[name].attrs.get("units") == expected[name].attrs.get("units"), name
            assert found[name].attrs.get("long_name") == expected[name].attrs.get("long_name"), name
    assert expected.attrs.items() <= found.attrs.items()


@pytest.mark.parametrize("suffix", FORMATS)
def test_spectra_come_back_as_they_went(tmp_path: Path, suffix: str) -> None:
    """Every format gives back the same values, types, names, dimensions, units and attributes."""
    spectra = make_spectra()
    path = write_spectra(spectra, tmp_path / f"event{suffix}")
    assert_same(open_spectra(path), spectra)


@pytest.mark.parametrize("suffix", FORMATS)
def test_counts_come_back_as_they_went(tmp_path: Path, suffix: str) -> None:
    """Counts with text coordinates, milliseconds and NaN survive every format."""
    counts = make_counts()
    assert_same(open_dataset(write_dataset(counts, tmp_path / f"counts{suffix}")), counts)


@pytest.mark.parametrize("suffix", FORMATS)
def test_single_sample_keeps_its_dimensions(tmp_path: Path, suffix: str) -> None:
    """One sample stays an array of one sample."""
    spectra = make_spectra(3).isel(time=[1])
    assert_same(open_spectra(write_spectra(spectra, tmp_path / f"one{suffix}")), spectra)


@pytest.mark.parametrize("suffix", FORMATS)
def test_provenance_comes_back(tmp_path: Path, suffix: str) -> None:
    """Every format keeps the whole provenance, hash of the inputs included."""
    provenance = make_provenance(tmp_path)
    path = write_spectra(make_spectra(), tmp_path / f"event{suffix}", provenance=provenance)
    found = Provenance.from_attributes(open_spectra(path).attrs)
    assert found == provenance
    assert found is not None
    assert found.input_files[0] == {
        "name": "day.cdf",
        "bytes": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


@pytest.mark.parametrize("suffix", FORMATS)
def test_writing_leaves_the_dataset_alone(tmp_path: Path, suffix: str) -> None:
    """Writing changes neither values nor attributes of what it is given."""
    spectra = make_spectra()
    before = spectra.copy(deep=True)
    write_spectra(spectra, tmp_path / f"event{suffix}", provenance=make_provenance(tmp_path))
    xr.testing.assert_identical(spectra, before)


@pytest.mark.parametrize("suffix", FORMATS)
def test_text_beyond_ascii_survives(tmp_path: Path, suffix: str) -> None:
    """Attributes in any script come back unchanged."""
    spectra = make_spectra().assign_attrs(title="Éruption du 11 mai, δ = 2 # first")
    assert open_spectra(write_spectra(spectra, tmp_path / f"event{suffix}")).attrs["title"] == spectra.attrs["title"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_axes_without_labels_survive(tmp_path: Path, suffix: str) -> None:
    """An axis without a coordinate, even one that a variable shares its name with, comes back with its values."""
    spectra = make_spectra()
    values = np.arange(18.0).reshape(6, 3)
    spectra["parameter"] = (("time", "parameter"), values, {"units": "1"})
    spectra["draw"] = (("time", "member"), values + 0.5, {"units": "1"})
    assert_same(open_spectra(write_spectra(spectra, tmp_path / f"event{suffix}")), spectra)


def test_csv_reads_with_plain_pandas(tmp_path: Path) -> None:
    """Pandas alone reads the table: one row per time, ISO 8601 with Z, empty cells as NaN."""
    path = write_spectra(make_spectra(), tmp_path / "event.csv", provenance=make_provenance(tmp_path))
    table = pd.read_csv(path, comment="#", parse_dates=["time"])
    assert len(table) == 6
    assert str(table["time"].dt.tz) == "UTC"
    assert {"flux_5.00MeV", "flux_lower95_100.00MeV", "integral_flux_gt10.00MeV", "quality"} <= set(table.columns)
    assert np.isnan(table["flux_5.00MeV"][2])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if not line.startswith("#")).startswith("time,")
    assert any(line.startswith("2024-05-11T00:15:00Z,") for line in lines)


def test_csv_tells_close_energies_apart(tmp_path: Path) -> None:
    """Energies that agree to two decimals get columns of their own and come back exact."""
    spectra = make_spectra().isel(energy=slice(2)).assign_coords(energy=[5.001, 5.002])
    spectra["energy"].attrs = attributes("energy")
    found = open_spectra(write_spectra(spectra, tmp_path / "event.csv"))
    np.testing.assert_array_equal(found["energy"], [5.001, 5.002])
    assert "flux_5.001MeV" in (tmp_path / "event.csv").read_text(encoding="utf-8")


def test_json_is_strict(tmp_path: Path) -> None:
    """The document holds no NaN token: missing is null, times carry Z."""

    def refuse(token: str) -> None:
        raise AssertionError(token)

    path = write_spectra(make_spectra(), tmp_path / "event.json", provenance=make_provenance(tmp_path))
    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert document["variables"]["flux"]["data"][2] == [None] * 7
    assert document["variables"]["flux"]["attributes"]["units"] == "cm-2 s-1 sr-1 MeV-1"
    assert document["coordinates"]["time"]["data"][1] == "2024-05-11T00:15:00Z"
    assert document["provenance"]["settings"]["energies"] == [5.0, 10.0]


def test_netcdf_carries_cf_metadata(tmp_path: Path) -> None:
    """A CF reader finds conventions, whole seconds since 1970, and what each flag means."""
    path = write_spectra(make_spectra(), tmp_path / "event.nc")
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as raw:
        assert raw.attrs["Conventions"].startswith("CF-")
        assert raw["time"].attrs["units"] == "seconds since 1970-01-01"
        masks = dict(
            zip(raw["quality"].attrs["flag_meanings"].split(), raw["quality"].attrs["flag_masks"], strict=True)
        )
    assert masks["missing"] == Quality.MISSING.value


@pytest.mark.parametrize("more", [False, True], ids=["spectra", "joint"])
def test_cdf_passes_the_istp_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: bool) -> None:
    """NASA's CDF library reads the file, and spacepy's ISTP checks find nothing against it."""
    monkeypatch.setenv("SPACEPY", str(tmp_path))
    pycdf = pytest.importorskip("spacepy.pycdf", exc_type=ImportError)
    istp = pytest.importorskip("spacepy.pycdf.istp", exc_type=ImportError)
    spectra = make_joint_spectra() if more else make_spectra()
    path = write_spectra(spectra, tmp_path / "radem_protons_20240511_v01.cdf", provenance=make_provenance(tmp_path))
    with pycdf.CDF(os.fspath(path)) as file:
        assert istp.FileChecks.all(file) == []
        assert [f"{name}: {fault}" for name in file for fault in istp.VariableChecks.all(file[name])] == []
        np.testing.assert_allclose(file["flux"][0, :], make_spectra()["flux"][0], rtol=1e-6)
        assert str(file["Epoch"][1]) == "2024-05-11 00:15:00"


def test_cdf_has_the_required_attributes(tmp_path: Path) -> None:
    """The attributes the ISTP guidelines require are there, read without this package."""
    cdflib = pytest.importorskip("cdflib")
    file = cdflib.CDF(write_spectra(make_spectra(), tmp_path / "event.cdf"))
    required = {
        "Data_type", "Data_version", "Descriptor", "Discipline", "Instrument_type", "Logical_file_id", "Logical_source",
        "Logical_source_description", "Mission_group", "PI_affiliation", "PI_name", "Project", "Source_name", "TEXT",
    }  # fmt: skip
    assert required <= set(file.globalattsget())
    flux = file.varattsget("flux")
    assert (flux["DEPEND_0"], flux["DEPEND_1"], flux["VAR_TYPE"]) == ("Epoch", "energy", "data")
    assert {"FIELDNAM", "CATDESC", "FILLVAL", "VALIDMIN", "VALIDMAX", "UNITS", "DISPLAY_TYPE"} <= set(flux)
    assert file.varget("flux")[2, 0] == np.float32(-1e31)


@pytest.mark.parametrize("suffix", FORMATS)
def test_failure_leaves_the_old_file(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails, the existing file stays whole and no temporary file remains."""

    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / f"event{suffix}"
    path.write_text("precious")
    broken = make_spectra().assign_attrs(odd=object())
    with pytest.raises(DataError, match="attribute 'odd' is a object"):
        write_spectra(broken, path)
    broken = make_spectra().assign(odd=("time", np.full(6, 1 + 2j)))
    with pytest.raises(DataError, match="variable 'odd' is of type complex128"):
        write_spectra(broken, path)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataError, match=r"cannot be written \(Input/output error\)"):
        write_spectra(make_spectra(), path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == [path.name]


def test_interruption_leaves_the_old_file(tmp_path: Path) -> None:
    """Ctrl-C in the middle of writing leaves the old content and nothing else."""
    path = tmp_path / "event.nc"
    path.write_text("precious")

    def interrupt() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["event.nc"]


def test_full_disk_is_a_data_error(tmp_path: Path) -> None:
    """An error of the file system says which file, why, and what to do."""

    def fill() -> None:
        with replacing(tmp_path / "event.nc"):
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"event\.nc: cannot be written \(No space left on device\); check"):
        fill()


def test_result_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    """The file gets the permissions the user's umask gives, not those of a private temporary file."""
    (tmp_path / "plain").touch()
    path = write_spectra(make_spectra(), tmp_path / "event.nc")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_link_is_followed(tmp_path: Path) -> None:
    """Writing to a link replaces what it points to and keeps the link."""
    link = tmp_path / "latest.json"
    link.symlink_to(tmp_path / "real.json")
    write_spectra(make_spectra(), link)
    assert link.is_symlink()
    assert open_spectra(tmp_path / "real.json").sizes["time"] == 6


def test_check_writable_tells_early(tmp_path: Path) -> None:
    """The early check finds every obstacle, and leaves an existing file and the folder as they were."""
    existing = tmp_path / "event.nc"
    existing.write_text("precious")
    assert check_writable(existing) == existing
    assert existing.read_text() == "precious"
    assert os.listdir(tmp_path) == ["event.nc"]
    with pytest.raises(DataError, match=r"suffix '\.txt'.*expected one of \.nc \(NetCDF-4\), \.cdf"):
        check_writable(tmp_path / "event.txt")
    with pytest.raises(DataError, match="found no suffix"):
        check_writable(tmp_path / "event")
    with pytest.raises(DataError, match=r"there is no folder .*nowhere'.*create it"):
        check_writable(tmp_path / "nowhere" / "event.nc")
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(DataError, match="found a folder, expected a file"):
        check_writable(tmp_path / "folder.nc")


def test_read_only_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder one may not write to is a DataError naming the file."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(DataError, match=r"event\.nc: cannot be written \(Permission denied\)"):
        check_writable(tmp_path / "event.nc")


def test_spectra_without_flux_are_refused(tmp_path: Path) -> None:
    """What is not spectra is refused by name, dimension and unit."""
    with pytest.raises(AxisError, match="no variable 'flux'"):
        write_spectra(make_counts(), tmp_path / "event.nc")
    with pytest.raises(AxisError, match=r"flux has dimensions \('energy',\)"):
        write_spectra(make_spectra().isel(time=0), tmp_path / "event.nc")
    wrong = make_spectra()
    wrong["flux"].attrs["units"] = "m-2 s-1 sr-1 MeV-1"
    with pytest.raises(UnitError, match="flux"):
        write_spectra(wrong, tmp_path / "event.nc")
    with pytest.raises(AxisError, match="no variable 'flux'"):
        open_spectra(write_dataset(make_counts(), tmp_path / "counts.nc"))


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_infinity_is_refused_in_json(tmp_path: Path, suffix: str) -> None:
    """JSON cannot say infinity: refuse it rather than call it missing."""
    wrong = make_spectra()
    wrong["energy_lower"][0] = np.inf
    with pytest.raises(DataError, match="'energy_lower' holds infinite values"):
        write_spectra(wrong, tmp_path / f"event{suffix}")


def test_table_needs_a_time_and_unique_plain_columns(tmp_path: Path) -> None:
    """A table without rows in time, with a name twice, or with the comment sign is refused."""
    with pytest.raises(DataError, match="one row per time"):
        write_dataset(make_spectra().isel(time=0, drop=True), tmp_path / "event.csv")
    twice = make_spectra().assign({"flux_5.00MeV": make_spectra()["quality"]})
    with pytest.raises(DataError, match=r"two columns would be called 'flux_5\.00MeV'"):
        write_dataset(twice, tmp_path / "event.csv")
    marked = make_counts().assign_coords(channel=["a#1", "b", "c"])
    with pytest.raises(DataError, match="holds '#'"):
        write_dataset(marked, tmp_path / "event.csv")


def test_cdf_needs_times(tmp_path: Path) -> None:
    """A CDF without an epoch, with a missing time, or of a type CDF lacks is refused."""
    with pytest.raises(DataError, match="expected times in 'time'"):
        write_dataset(make_spectra().isel(time=0, drop=True), tmp_path / "event.cdf")
    gap = make_spectra()
    gap = gap.assign_coords(time=np.where(np.arange(6) == 1, np.datetime64("NaT"), gap["time"].to_numpy()))
    with pytest.raises(DataError, match="missing time"):
        write_dataset(gap, tmp_path / "event.cdf")
    with pytest.raises(DataError, match="type float16"):
        write_dataset(make_spectra().assign(odd=("time", np.zeros(6, np.float16))), tmp_path / "event.cdf")


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    """Missing, foreign and damaged files raise a DataError that names the file."""
    with pytest.raises(DataError, match=r"event\.nc: no such file"):
        open_spectra(tmp_path / "event.nc")
    for suffix, text in ((".nc", "x"), (".cdf", "x"), (".json", "{"), (".json", "[]"), (".csv", "time,a\n1,2\n")):
        path = tmp_path / f"bad{suffix}"
        path.write_text(text)
        with pytest.raises(DataError, match=f"bad{suffix}"):
            open_spectra(path)
    good = write_spectra(make_spectra(), tmp_path / "event.csv")
    good.write_text(good.read_text().replace("flux_upper_5.00MeV,", "another,"))
    with pytest.raises(DataError, match="do not agree"):
        open_spectra(good)


def test_leap_second_does_not_shift_the_cdf_epoch(tmp_path: Path) -> None:
    """Either side of the leap second of 2016 comes back to the nanosecond."""
    spectra = make_spectra().isel(time=slice(2))
    times = np.array(["2016-12-31T23:59:59.999999999", "2017-01-01T00:00:00.000000001"], "datetime64[ns]")
    found = open_spectra(write_spectra(spectra.assign_coords(time=times), tmp_path / "event.cdf"))
    np.testing.assert_array_equal(found["time"], times)


def test_provenance_needs_readable_files(tmp_path: Path) -> None:
    """A named input that is not there is an error, not an empty record."""
    with pytest.raises(DataError, match=r"gone\.cdf: cannot be read"):
        Provenance.now(input_files=[tmp_path / "gone.cdf"])
    assert Provenance.from_attributes({"instrument": "radem"}) is None


def pieces(counts: xr.Dataset, size: int = 1) -> list[xr.Dataset]:
    return [counts.isel(time=slice(start, start + size)) for start in range(0, counts.sizes["time"], size)]


@pytest.mark.parametrize("size", [1, 3, 4])
def test_stream_gives_the_file_that_the_whole_gives(tmp_path: Path, size: int) -> None:
    """Pieces written one after the other read back as the whole dataset, text, NaN and milliseconds included."""
    counts, told = make_counts(), list[int]()
    counts["level"] = ("channel", [1.0, 2.0, 3.0], attributes("background_rate"))
    counts["spectrum"] = (("channel", "time"), counts["counts"].to_numpy().T.astype(np.float32))
    provenance = make_provenance(tmp_path)
    path = write_stream(pieces(counts, size), tmp_path / "a.nc", provenance=provenance, progress=told.append)
    assert_same(open_dataset(path), counts)
    xr.testing.assert_identical(
        open_dataset(path), open_dataset(write_dataset(counts, tmp_path / "b.nc", provenance=provenance))
    )
    assert told == [*range(size, 4, size), 4]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda piece: piece.drop_vars("quality"), AxisError, "piece 2 holds nothing as 'quality'"),
        (lambda piece: piece.isel(channel=[0]), AxisError, "piece 2 holds .*'channel': 1.* as 'counts'"),
        (lambda piece: piece.assign(counts=piece["counts"].astype("float32")), AxisError, "piece 2 holds .*float32"),
        (
            lambda piece: piece.assign_coords(time=piece["time"] + np.timedelta64(1, "us")),
            DataError,
            "piece 2, variable 'time' holds times between whole milliseconds",
        ),
    ],
)
def test_pieces_that_do_not_fit_leave_no_file(tmp_path: Path, change, error, match) -> None:  # type: ignore[no-untyped-def]
    """A piece unlike the first is refused by its number, and nothing stays on disk."""
    first, second, *_ = pieces(make_counts())
    with pytest.raises(error, match=match):
        write_stream([first, change(second)], tmp_path / "a.nc")
    assert os.listdir(tmp_path) == []


def test_stream_of_nothing_is_refused(tmp_path: Path) -> None:
    """No piece, a piece without time, and a format that cannot grow are refused."""
    with pytest.raises(DataError, match="no piece to write"):
        write_stream([], tmp_path / "a.nc")
    with pytest.raises(AxisError, match=r"piece 1 has dimensions .*; expected 'time'"):
        write_stream([make_counts().isel(time=0)], tmp_path / "a.nc")
    with pytest.raises(DataError, match=r"found suffix '.csv'.*expected one of .nc"):
        write_stream([make_counts()], tmp_path / "a.csv")
    assert os.listdir(tmp_path) == []


def make_forecast() -> xr.Dataset:
    log = 7.5 + np.linspace(-1, 1, 9) * np.array([0.5, 1.0, 1.5])[:, np.newaxis]
    values = np.stack([log, log + 1, np.full((3, 9), np.nan), log - 0.2])
    return as_forecast(
        values,
        init_time=np.datetime64("2010-04-05", "ns") + np.arange(4) * np.timedelta64(1, "D"),
        lead_time=(1, 2, 3),
        quality=np.array([0, 1, 0, 66]),
        log_mean=values.mean(axis=-1),
        attrs={"method": "persistence", "satellite": "GOES-11", "model": ""},
    )


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".json"])
def test_forecast_survives(tmp_path: Path, suffix: str) -> None:
    """A forecast is read back with its dimensions, values, lead times, flags and provenance."""
    forecast = make_forecast()
    path = write_dataset(forecast, tmp_path / f"forecast{suffix}", provenance=make_provenance(tmp_path))
    again = open_dataset(path)
    xr.testing.assert_equal(again, forecast)
    assert again["fluence_gt2mev"].dims == ("init_time", "lead_time", "quantile")
    assert again["lead_time"].dtype == "timedelta64[ns]"
    assert again["quality"].dtype == np.int32
    assert list(again["quality"].attrs["flag_masks"]) == forecast["quality"].attrs["flag_masks"]
    for name in ("fluence_gt2mev", "probability", "threshold", "quality"):
        assert again[name].attrs["units"] == forecast[name].attrs["units"]
    assert again.attrs["method"] == "persistence"
    provenance = Provenance.from_attributes(again.attrs)
    assert provenance is not None
    assert provenance.input_files[0]["name"] == "day.cdf"


def test_forecast_table_is_for_reading(tmp_path: Path) -> None:
    """The table has a row per issue time and lead time, with speaking columns, and the flags in words."""
    table = pd.read_csv(write_dataset(make_forecast(), tmp_path / "forecast.csv"), comment="#")
    assert len(table) == 12
    assert list(table)[:3] == ["init_time", "lead_time", "valid_time"]
    assert {"fluence_gt2mev_q025", "fluence_gt2mev_q500", "fluence_gt2mev_q975", "fluence_gt2mev_mean"} <= set(table)
    assert {"probability_gt1e8", "probability_gt1e9", "quality"} <= set(table)
    assert table["lead_time"].tolist() == [1, 2, 3] * 4
    assert table["valid_time"].tolist()[1:4] == ["2010-04-06T00:00:00Z", "2010-04-07T00:00:00Z", "2010-04-06T00:00:00Z"]
    assert table["flags"].fillna("").tolist()[::3] == ["", "no_flux", "not_forecast", "flux_gap no_recurrence"]
    assert table["fluence_gt2mev_q500"][0] == pytest.approx(10**7.5)
    assert table["fluence_gt2mev_q500"].isna().tolist() == [False] * 6 + [True] * 3 + [False] * 3


def test_forecast_table_with_rows_gone_is_told(tmp_path: Path) -> None:
    """A forecast table that lacks a row is refused, and so is an issue time twice."""
    path = write_dataset(make_forecast(), tmp_path / "forecast.csv")
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(DataError, match="the comment lines and the table do not agree"):
        open_dataset(path)
    with pytest.raises(DataError, match="found a label of init_time or lead_time twice"):
        write_dataset(make_forecast().isel(init_time=[0, 0]), path)


def test_lengths_of_time_in_a_table_are_whole_days(tmp_path: Path) -> None:
    """Lead times of hours do not fit the days of a table; other formats hold them."""
    hours = make_forecast().assign_coords(lead_time=np.array([6, 12, 18], "timedelta64[h]").astype("timedelta64[ns]"))
    with pytest.raises(DataError, match="'lead_time' holds lengths of time other than whole days; write"):
        write_dataset(hours, tmp_path / "forecast.csv")
    for name in ("forecast.nc", "forecast.json"):
        again = open_dataset(write_dataset(hours, tmp_path / name))
        xr.testing.assert_equal(again, hours)


def make_joint_spectra() -> xr.Dataset:
    """Give spectra with all that the methods beyond the first add to them."""
    spectra = make_spectra()
    n_time = spectra.sizes["time"]
    flux = spectra["flux"].to_numpy().astype(float)
    draws = flux[:, None] * np.geomspace(0.5, 2.0, 4)[:, None]
    weight = np.broadcast_to([0.6, 0.3, 0.1], (n_time, 3)).copy()
    weight[2] = np.nan
    probability = np.linspace(0.01, 0.9, n_time)
    probability[2] = np.nan
    share = {"units": "1", "long_name": "weight of the spectral form"}
    assessment = {
        **attributes("assessment"), "flag_values": [0, 1, 2, 3, 4, 5],
        "flag_meanings": "good care mixed other_species outside background",
    }  # fmt: skip
    return spectra.assign(
        flux_sample=(("time", "sample", "energy"), draws, attributes("flux_sample")),
        fit_probability=("time", probability, attributes("fit_probability")),
        assessment=("time", np.array([0, 1, 4, 2, 3, 5], np.int8), assessment),
        form_weight=(("time", "form"), weight, share),
        effective_draws=("time", np.linspace(50.0, 900.0, n_time), {"units": "1", "long_name": "effective draws"}),
    ).assign_coords(form=("form", ["band", "power-law", "rolling-power-law"]))


@pytest.mark.parametrize("suffix", FORMATS)
def test_all_that_methods_add_comes_back(tmp_path: Path, suffix: str) -> None:
    """Draws, weights of forms, fit probability and assessment survive every format, with the levels' meanings."""
    spectra = make_joint_spectra()
    found = open_spectra(write_spectra(spectra, tmp_path / f"joint{suffix}"))
    assert_same(found, spectra)
    assert found["assessment"].attrs["flag_meanings"] == "good care mixed other_species outside background"
    assert np.ravel(found["assessment"].attrs["flag_values"]).tolist() == [0, 1, 2, 3, 4, 5]


def test_draws_in_a_cdf_name_their_axes(tmp_path: Path) -> None:
    """In a CDF the draws depend on time, sample and energy by variables of the file, as the guidelines ask."""
    path = write_spectra(make_joint_spectra(), tmp_path / "joint.cdf")
    file = cdflib.CDF(path)
    attrs = file.varattsget("flux_sample")
    assert [attrs[f"DEPEND_{number}"] for number in range(3)] == ["Epoch", "sample", "energy"]
    assert file.varget("sample").tolist() == [0, 1, 2, 3]
    assert file.varattsget("form_weight")["LABL_PTR_1"] == "form"
