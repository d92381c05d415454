from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import particleflux.cli.forecast  # registers the command
from particleflux import cli
from particleflux.export import Provenance, open_dataset
from particleflux.forecast import BASELINES, Forecaster
from particleflux.history import open_history
from particleflux.names import ForecastQuality

Make = Callable[..., xr.Dataset]


@pytest.fixture(scope="module")
def days(make_history: Make) -> xr.Dataset:
    """Eight hundred days from 2003-01-01 to 2005-03-10, of GOES-12 from 2004-09-01 on."""
    history = make_history(800)[["fluence_gt2mev", "dst", "satellite"]]
    history["satellite"] = history["satellite"].where(history["time"] < np.datetime64("2004-09-01"), "GOES-12")
    return history


@pytest.fixture(scope="module")
def history_file(days: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "history.csv"
    days.to_dataframe().to_csv(path)
    return path


def run(*arguments: object) -> int:
    return cli.main(["forecast", *map(str, arguments)])


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".json"])
@pytest.mark.parametrize("method", BASELINES)
def test_latest_forecast_in_every_format(
    history_file: Path, tmp_path: Path, suffix: str, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file holds the forecast that the library makes, with its provenance; stdout holds the table alone."""
    out = tmp_path / f"forecast{suffix}"
    assert run(history_file, "-o", out, "--method", method) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert len(lines) == 6
    assert "issued 2005-03-11 00:00 UTC" in lines[0]
    assert [line.split()[0] for line in lines[2:5]] == ["2005-03-11", "2005-03-12", "2005-03-13"]
    assert lines[5].startswith("flags: ")
    assert shown.err.splitlines()[-1] == f"written: {out}"
    history = open_history(history_file)
    made = open_dataset(out)
    xr.testing.assert_equal(made, BASELINES[method].fit(history).predict(history))
    provenance = Provenance.from_attributes(made.attrs)
    assert provenance is not None
    assert provenance.input_files[0]["name"] == "history.csv"
    assert provenance.settings["method"] == method
    assert provenance.command.startswith("particleflux forecast ")


def test_table_tells_the_forecast(history_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Median, 68 % interval and probabilities on stdout are those of the file."""
    assert run(history_file, "-o", tmp_path / "forecast.nc", "--method", "persistence", "-q") == 0
    row = capsys.readouterr().out.splitlines()[2].split()
    first = open_dataset(tmp_path / "forecast.nc").isel(init_time=0, lead_time=0)
    for place, level in ((2, 0.5), (3, 0.16), (5, 0.84)):
        assert float(row[place]) == pytest.approx(float(first["fluence_gt2mev"].sel(quantile=level)), rel=0.06)
    shown = [particleflux.cli.forecast._percent(float(value)) for value in first["probability"]]
    assert " ".join(row[6:]) == " ".join(shown)


def test_hindcast_of_a_range(history_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every day from the start to the stop has a forecast, by a method fitted to what came before the start."""
    out = tmp_path / "forecast.nc"
    assert (
        run(history_file, "-o", out, "--method", "autoregressive", "--start", "2004-03-01", "--stop", "2004-03-31") == 0
    )
    shown = capsys.readouterr()
    assert "issued 2004-03-31" in shown.out
    assert "31 of 31 issue times forecast" in shown.err
    made = open_dataset(out)
    history = open_history(history_file)
    times = np.arange("2004-03-01", "2004-04-01", dtype="datetime64[D]").astype("datetime64[ns]")
    np.testing.assert_array_equal(made["init_time"], times)
    fitted = BASELINES["autoregressive"].fit(history.sel(time=slice(None, "2004-02-29")))
    xr.testing.assert_equal(made, fitted.predict(history, init_time=times))


def test_hindcast_reads_nothing_later(days: xr.Dataset, history_file: Path, tmp_path: Path) -> None:
    """What the history holds from the last issue time on changes no number of the hindcast."""
    later = days.copy(deep=True)
    later["fluence_gt2mev"][days["time"].to_numpy() >= np.datetime64("2004-03-05")] = 3.3e9
    later.to_dataframe().to_csv(tmp_path / "later.csv")
    made = []
    for path in (history_file, tmp_path / "later.csv"):
        out = tmp_path / "forecast.nc"
        assert (
            run(path, "-o", out, "--method", "persistence", "--start", "2004-03-01", "--stop", "2004-03-05", "-q") == 0
        )
        made.append(open_dataset(out))
    xr.testing.assert_equal(*made)


def test_model_is_loaded_by_its_name(
    history_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: xr.Dataset
) -> None:
    """The method lstm is the default; it loads the model named, or the one that ships."""
    from particleflux.forecast.lstm import SHIPPED, LstmForecaster

    asked: list[Any] = []

    def load(model: Any) -> Forecaster:
        asked.append(model)
        return BASELINES["persistence"].fit(days)

    monkeypatch.setattr(LstmForecaster, "load", load)
    assert run(history_file, "-o", tmp_path / "forecast.nc") == 0
    assert run(history_file, "-o", tmp_path / "forecast.nc", "--model", "mine") == 0
    assert asked == [SHIPPED, "mine"]


def test_satellite_restricts_the_history(history_file: Path, tmp_path: Path) -> None:
    """With a satellite named, the days of the others are gaps: here only those since 2004-09-01 are read."""
    out = tmp_path / "forecast.nc"
    arguments = ["-o", out, "--method", "autoregressive"]
    assert run(history_file, *arguments, "--satellite", "GOES-11", "--start", "2004-09-11", "--stop", "2004-09-11") == 0
    quality = int(open_dataset(out)["quality"][0])
    assert quality == ForecastQuality.NO_FLUX | ForecastQuality.FLUX_GAP
    assert open_dataset(out).attrs["satellite"] == "GOES-11"
    assert run(history_file, *arguments, "--start", "2004-09-11", "--stop", "2004-09-11") == 0
    quality = int(open_dataset(out)["quality"][0])
    assert quality & ForecastQuality.SATELLITE_CHANGE.value


def test_satellite_names_flux_without_a_name(days: xr.Dataset, tmp_path: Path) -> None:
    """In a table that names no satellite the flux is of the one named."""
    path = tmp_path / "history.csv"
    days.drop_vars("satellite").to_dataframe().to_csv(path)
    out = tmp_path / "forecast.nc"
    assert run(path, "-o", out, "--method", "persistence", "--satellite", "GOES-13") == 0
    assert open_dataset(out).attrs["satellite"] == "GOES-13"
    assert int(open_dataset(out)["quality"][0]) & ForecastQuality.UNCALIBRATED.value == 0


def test_nothing_known_is_said(days: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing can be forecast, the table says none and names the flags; file and figure are still made."""
    gone = days.copy(deep=True)
    gone["fluence_gt2mev"][-7:] = np.nan
    gone.to_dataframe().to_csv(tmp_path / "history.csv")
    out, figure = tmp_path / "forecast.csv", tmp_path / "forecast.png"
    assert run(tmp_path / "history.csv", "-o", out, "--method", "persistence", "--plot", figure) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2:] for line in lines[2:5]] == [["none"]] * 3
    assert lines[5] == "flags: no flux, flux gap, not forecast"
    assert np.isnan(open_dataset(out)["fluence_gt2mev"]).all()
    assert figure.is_file()


@pytest.mark.parametrize("span", [[], ["--start", "2004-06-01"]], ids=["latest", "hindcast"])
def test_plot_is_written(
    history_file: Path, tmp_path: Path, span: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The figure is written beside the file, and both are told."""
    figure = tmp_path / "forecast.png"
    assert run(history_file, "-o", tmp_path / "forecast.csv", "--method", "persistence", "--plot", figure, *span) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert f"written: {figure}" in capsys.readouterr().err


MISTAKES = {
    "method": (["--method", "magic"], "--method: found 'magic'; choose one of: lstm, persistence, recurrence"),
    "model": (["--method", "persistence", "--model", "mine"], "--model: found with --method persistence"),
    "unknown model": (["--model", "no-such-model"], "no model 'no-such-model'"),
    "satellite": (["--method", "persistence", "--satellite", "GOES-99"], "the history is of: GOES-11, GOES-12"),
    "short": (
        ["--method", "persistence", "--start", "2003-06-01"],
        "before the first issue time, 2003-06-01 00:00: found",
    ),
    "too late": (["--method", "persistence", "--start", "2019-01-01"], "no issue time in [2019-01-01T00:00:00, open)"),
    "range": (["--start", "2004-06-01", "--stop", "2004-05-01"], "is not before stop"),
    "time": (["--start", "soon"], "start='soon' is not a time"),
    "figure": (["--plot", "figure.bmp"], "expected one of .png"),
    "format": (["-o", "forecast.cdf"], "expected one of .nc (NetCDF-4), .csv (CSV table), .json (JSON)"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_message(
    history_file: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mistake is one line on stderr that says what to do, exit 2, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    assert run(history_file, "-o", "forecast.nc", *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert os.listdir(tmp_path) == []


def test_small_chances_are_no_certainty() -> None:
    """A probability near 0 or 1 is shown as less or more than, never as 0 or 100 %."""
    shown = [particleflux.cli.forecast._percent(value) for value in (0.0, 0.004, 0.3, 0.996)]
    assert shown == ["<1 %", "<1 %", "30 %", ">99 %"]
