"""Training a forecast from the command line, and showing what came of it."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from particleflux import cli
from particleflux.artefact import Artefact
from particleflux.forecast.lstm import LstmForecaster
from particleflux.history import open_history
from particleflux.names import attributes
from particleflux.train import forecast as training

N_DAYS = 800


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what the command line does not set small."""
    sizes: dict[str, Any] = {"blocks": 2, "hidden": 4, "epochs": 0.1, "least_steps": 15, "batch": 16}
    monkeypatch.setattr(training, "ForecastSettings", partial(training.ForecastSettings, **sizes))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write days as a table with three columns."""
    rng = np.random.default_rng(3)
    time = np.datetime64("2004-01-01") + np.arange(N_DAYS)
    rows = zip(time, 10.0 ** rng.normal(7.5, 0.5, N_DAYS), rng.normal(450.0, 80.0, N_DAYS), strict=True)
    path = tmp_path_factory.mktemp("history") / "days.csv"
    lines = [f"{day},{fluence:.4e},{speed:.1f},GOES-12" for day, fluence, speed in rows]
    path.write_text("\n".join(["time,fluence_gt2mev,solar_wind_speed,satellite", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def hourly_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write hours as NetCDF."""
    rng = np.random.default_rng(3)
    n_hours = 24 * 400
    variables = {
        "electron_flux_gt2mev": ("time", 10.0 ** rng.normal(2.5, 0.5, n_hours), attributes("electron_flux_gt2mev")),
        "kp": ("time", rng.integers(0, 7, n_hours).astype(float), attributes("kp")),
    }
    time = np.datetime64("2004-01-01", "ns") + np.arange(n_hours) * np.timedelta64(1, "h")
    path = tmp_path_factory.mktemp("history") / "hours.nc"
    xr.Dataset(variables, {"time": time}).to_netcdf(path, engine="h5netcdf")
    return path


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


def test_a_forecast_is_trained(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table in, a model out that can be loaded, with the command on its card; the scores are on stderr."""
    out = tmp_path / "geo"
    arguments = ("train", "forecast", table, "-o", out, "--members", 2, "--epochs", 0.2, "--seed", 5, "--commit", "abc")
    assert run(*arguments) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "days left out of training, forecast by the networks that did not see them:" in shown.err
    for lead in (1, 2, 3):
        assert f"  {lead} d ahead: prediction efficiency " in shown.err
    assert f"written: {out}" in shown.err
    artefact = Artefact.load(out)
    assert artefact.name == "geo"
    entry = artefact.card["training"]
    assert {key: entry[key] for key in ("members", "epochs", "seed", "inputs", "commit", "periods", "days")} == {
        "members": 2, "epochs": 0.2, "seed": 5, "inputs": "daily", "commit": "abc", "periods": "", "days": N_DAYS,
    }  # fmt: skip
    assert entry["command"] == f"particleflux train forecast {table} -o {out} " + " ".join(map(str, arguments[5:]))
    assert LstmForecaster.of(artefact).predict(open_history(table)).sizes["init_time"] == 1


def test_periods_name_and_quiet_are_kept_to(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the periods are learnt from; the model has the name asked for; quiet says but where it was written."""
    assert run("train", "forecast", table, "-o", tmp_path / "geo", "--periods", "2004", "--name", "mine", "-q",
               "--members", 2) == 0  # fmt: skip
    shown = capsys.readouterr()
    assert "left out" not in shown.out + shown.err
    artefact = Artefact.load(tmp_path / "geo")
    assert artefact.name == "mine"
    entry = artefact.card["training"]
    assert (entry["periods"], entry["years"], entry["days"]) == ("2004", [2004], 366)


def test_hours_are_read_where_asked(hourly_file: Path, tmp_path: Path) -> None:
    """With --inputs hourly the hours that the history holds are read."""
    out = tmp_path / "geo"
    assert run("train", "forecast", hourly_file, "-o", out, "--inputs", "hourly", "--members", 1, "-q") == 0
    assert LstmForecaster.load(out).spec.hourly == ("electron_flux_gt2mev", "kp")


def test_unknown_inputs_are_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another preset than those there are is refused with their names."""
    assert run("train", "forecast", table, "-o", tmp_path / "geo", "--inputs", "weekly") == 2
    assert "--inputs: found 'weekly'; expected one of daily, hourly" in capsys.readouterr().err
    assert not (tmp_path / "geo").exists()


def test_other_folders_are_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds something else is refused before anything is read, and stays."""
    (tmp_path / "notes.txt").write_text("mine")
    assert run("train", "forecast", tmp_path / "nowhere.csv", "-o", tmp_path) == 2
    assert "exists and holds no card.json" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        ("1999", "no day of the history lies in [1999-01-01T00:00:00, 2000-01-01T00:00:00)"),
        ("2005-01-01/2005-03-01", "60 days hold a fluence in the training periods, expected 365 at least"),
        ("spring", "period 'spring': expected years and ranges"),
    ],
)
def test_periods_without_days_are_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], periods: str, message: str
) -> None:
    """Periods of which the history holds nothing, or too little, or that are none."""
    assert run("train", "forecast", table, "-o", tmp_path / "geo", "--periods", periods) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "geo").exists()


def test_missing_history_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that leads nowhere is one message."""
    assert run("train", "forecast", tmp_path / "nowhere.csv", "-o", tmp_path / "geo") == 2
    assert "nowhere.csv does not exist: expected a history" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["torch", "onnx"])
def test_without_torch_the_extra_is_named(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Where the extra is not installed, the message names it."""
    for name in [name for name in sys.modules if name.startswith("particleflux.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert run("train", "forecast", table, "-o", tmp_path / "geo") == 2
    assert f"training needs {module}, which is not installed; install particleflux[train]" in capsys.readouterr().err


def test_models_shows_the_card_of_a_forecast(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`models DIR` sums up a forecast as its own kind does, with the hash; --json gives the card whole."""
    out = tmp_path / "geo"
    assert run("train", "forecast", table, "-o", out, "--members", 2, "-q") == 0
    capsys.readouterr()
    assert run("models", out) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line[:12].rstrip(): line[12:] for line in lines}
    assert shown["forecasts"] == "daily fluence of electrons above 2 MeV, cm-2 sr-1 d-1; 1, 2, 3 days ahead"
    assert shown["networks"] == "2 with LSTM cells"
    assert shown["learnt from"] == "800 days from 2004-01-01 to 2006-03-10"
    assert shown["SHA-256"] == Artefact.load(out).digest
    assert run("models", out, "--json") == 0
    assert json.loads(capsys.readouterr().out) == Artefact.load(out).card


def test_models_refuses_a_damaged_card(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A card of a forecast that lacks what is shown is one message."""
    out = tmp_path / "geo"
    assert run("train", "forecast", table, "-o", out, "--members", 1, "-q") == 0
    card = json.loads((out / "card.json").read_text())
    del card["left_out"]
    (out / "card.json").write_text(json.dumps(card))
    assert run("models", out) == 2
    assert "model 'geo': its card lacks or misstates 'left_out'" in capsys.readouterr().err
