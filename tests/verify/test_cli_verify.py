from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from particleflux import cli
from particleflux.export import Provenance, open_dataset, write_dataset

Make = Callable[..., xr.Dataset]
RNG = np.random.default_rng(8)
LOG = 7.6 + np.convolve(RNG.standard_normal(4 * 365 + 8), np.ones(9) / 3, mode="valid") * 0.7


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, make_forecast: Make, make_history: Make) -> tuple[Path, Path]:
    """Write a forecast of one year and a history of the four that end with it."""
    folder = tmp_path_factory.mktemp("verify")
    history = make_history(LOG, start="2005-01-01")
    mean = np.stack([LOG[3 * 365 + lead - 2 :][:360] for lead in (1, 2, 3)], axis=1)
    noisy = mean + 0.3 * RNG.standard_normal(mean.shape)
    forecast = make_forecast(noisy, 0.3, leads=(1, 2, 3), method="lstm", model="geo")
    return write_dataset(forecast, folder / "forecast.nc"), write_dataset(history, folder / "history.nc")


def test_verify_writes_a_report(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Forecast and history in; JSON with provenance, a figure, and a table on stdout of every lead and method."""
    out, plot = tmp_path / "scores.json", tmp_path / "scores.png"
    assert run("verify", *files, "-o", out, "--plot", plot, "--bootstrap", 30, "--seed", 7) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == [
        "lead",
        "forecaster",
        "PE",
        "RMSE",
        "skill",
        "CRPS",
        "cover68",
        "cover95",
        "HSS",
        "1e8",
        "HSS",
        "1e9",
    ]
    assert [line.split()[:2] for line in lines[1:6]] == [
        ["1", name] for name in ("lstm", "persistence", "recurrence", "climatology", "autoregressive")
    ]
    assert "prediction efficiency by year" in shown.out
    assert "days that count, from 2008-01-03 to 2008-12-25: 358 at lead 1" in shown.err
    assert "baselines fitted to the days before 2008-01-01 (1095 with flux)" in shown.err
    assert plot.read_bytes().startswith(b"\x89PNG")
    report = open_dataset(out)
    assert report["period"].to_numpy().tolist() == ["2008", "all"]
    provenance = Provenance.from_attributes(report.attrs)
    assert provenance is not None
    assert provenance.artefact == "geo"
    assert [item["name"] for item in provenance.input_files] == ["forecast.nc", "history.nc"]
    assert provenance.settings["seed"] == 7
    assert json.loads(out.read_text())["attributes"]["n_bootstrap"] == 30


def test_verify_writes_a_table(files: tuple[Path, Path], tmp_path: Path) -> None:
    """A .csv has a row per score, under comment lines that say how it was made; other thresholds are taken."""
    out = tmp_path / "scores.csv"
    options = ("--by", "all", "--bootstrap", 0, "--thresholds", "5e7", "--baselines", "persistence", "--quiet")
    assert run("verify", *files, "-o", out, *options) == 0
    head = out.read_text().splitlines()
    assert head[0].startswith("# particleflux scores 1")
    assert any(line.startswith("# provenance_command: particleflux verify") for line in head)
    table = pd.read_csv(out, comment="#")
    assert set(table["forecaster"]) == {"lstm", "persistence"}
    assert set(table["threshold"].dropna()) == {5e7}
    assert set(table["period"]) == {"all"}
    assert (table["n"] == 358).all()


def test_several_forecasts_without_baselines(
    files: tuple[Path, Path], tmp_path: Path, make_forecast: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several forecasts are scored on their common days; those of one method are told apart by their files."""
    other = write_dataset(make_forecast(LOG[1095:1195], method="lstm", leads=(1, 2, 3)), tmp_path / "other.json")
    options = ("--by", "all", "--bootstrap", 0, "--baselines", "none")
    assert run("verify", files[0], other, files[1], "-o", tmp_path / "scores.json", *options) == 0
    shown = capsys.readouterr()
    assert "lstm (forecast)" in shown.out
    assert "lstm (other)" in shown.out
    assert "98 at lead 1" in shown.err
    # No persistence to be better than.
    assert shown.out.splitlines()[1].split()[5] == "-"


def test_a_baseline_can_be_verified(files: tuple[Path, Path], tmp_path: Path, make_forecast: Make) -> None:
    """A forecast by a baseline's name keeps apart from the baseline that is fitted."""
    own = write_dataset(make_forecast(LOG[1095:1195], method="persistence"), tmp_path / "own.csv")
    out = tmp_path / "scores.json"
    options = ("--by", "all", "--bootstrap", 0, "--baselines", "persistence", "--baseline-training", "2006-2007")
    assert run("verify", own, files[1], "-o", out, *options) == 0
    report = open_dataset(out)
    assert report["forecaster"].to_numpy().tolist() == ["persistence (own)", "persistence"]
    assert "730 with flux" in json.loads(report.attrs["trained_on"])["persistence"]


@pytest.mark.parametrize(("years", "warned"), [("2007,2008", True), ("2005,2006", False), ("", False)])
def test_years_learnt_from_are_told(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], years: str, warned: bool
) -> None:
    """A model that is scored on years it learnt from is warned of; one that is not, is not."""
    forecast = open_dataset(files[0]).assign_attrs(trained_on=years)
    path = write_dataset(forecast, tmp_path / "learnt.nc")
    options = ("--by", "all", "--bootstrap", 0, "--baselines", "none")
    assert run("verify", path, files[1], "-o", tmp_path / "scores.json", *options) == 0
    assert ("lstm learnt from 100% of the days it is scored on" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "scores.xlsx"), "expected one of .json"),
        (("-o", "scores.json", "--plot", "scores.gif"), "expected one of .png"),
        (("-o", "scores.json", "--by", "month"), "--by: found 'month', expected 'year' or 'all'"),
        (("-o", "scores.json", "--thresholds", "high"), "--thresholds: found 'high', expected fluences"),
        (("-o", "scores.json", "--thresholds", "nan"), "expected fluences above 0"),
        (("-o", "scores.json", "--baselines", "luck"), "--baselines: found 'luck', expected 'all', 'none' or some of"),
        (("-o", "scores.json", "--baselines", "none", "--baseline-training", "2005"), "--baseline-training: found"),
        (("-o", "scores.json", "--baseline-training", "soon"), "period 'soon'"),
        (("-o", "scores.json", "--baseline-training", "2008"), "358 training days are verified"),
        (("-o", "scores.json", "--bootstrap", "-1"), "--bootstrap"),
    ],
)
def test_mistakes_are_one_message(
    options: tuple[str, ...],
    message: str,
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong option is one line on stderr and exit status 2; nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert run("verify", *files, *options) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert not list(tmp_path.iterdir())


def test_wrong_files_are_named(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A history in place of a forecast, a damaged file, the same forecast twice and no common day are told apart."""
    out = tmp_path / "scores.json"
    damaged = tmp_path / "damaged.json"
    damaged.write_text('{"format": "particleflux lab')
    assert run("verify", files[1], files[1], "-o", out) == 2
    assert "history.nc: variable 'fluence_gt2mev' has dimensions ('time',)" in capsys.readouterr().err
    assert run("verify", damaged, files[1], "-o", out) == 2
    assert "damaged.json: not JSON" in capsys.readouterr().err
    assert run("verify", files[0], files[0], files[1], "-o", out) == 2
    assert "found 'lstm (forecast)' twice" in capsys.readouterr().err
    late = open_dataset(files[0])
    late = late.assign_coords(init_time=late["init_time"] + np.timedelta64(5000, "D")).drop_vars("valid_time")
    write_dataset(late, tmp_path / "late.nc")
    assert run("verify", tmp_path / "late.nc", files[1], "-o", out, "--baselines", "none") == 2
    assert "no common day" in capsys.readouterr().err
