"""Training `npe` from the command line."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from particleflux import cli
from particleflux.artefact import Artefact
from particleflux.train import npe as training

SIZES = ("--members", 1, "--steps", 3, "--tuning-steps", 2, "--copula-steps", 3, "--samples", 1000, "--held-out", 1000)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what the command line does not set small."""
    sizes: dict[str, Any] = {"hidden": (4,), "copula_hidden": (4,), "batch": 8, "copula_batch": 8, "n_factors": 2}
    monkeypatch.setattr(training, "NpeSettings", partial(training.NpeSettings, **sizes))


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


def test_a_model_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command gives a model with its settings, name and command on the card, and `models` sums it up."""
    out = tmp_path / "mine"
    arguments = ("train", "npe", "-o", out, *SIZES, "--seed", 5, "--commit", "abc")
    assert run(*arguments) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "mine" in shown.err
    artefact = Artefact.load(out)
    assert artefact.name == "mine"
    entry = artefact.card["training"]
    told = {name: entry[name] for name in ("members", "steps", "tuning_steps", "copula_steps", "samples", "seed")}
    assert told == {"members": 1, "steps": 3, "tuning_steps": 2, "copula_steps": 3, "samples": 1000, "seed": 5}
    assert entry["commit"] == "abc"
    assert entry["command"] == "particleflux " + " ".join(map(str, arguments))
    assert run("models", out) == 0
    told_of = capsys.readouterr().out
    assert "protons 2 to" in told_of
    assert "1 of 4" in told_of


def test_a_name_may_be_given(tmp_path: Path) -> None:
    """The name on the card is the one asked for, the folder's else."""
    assert run("train", "npe", "-o", tmp_path / "folder", *SIZES, "--name", "protons-b", "-q") == 0
    assert json.loads((tmp_path / "folder" / "card.json").read_text())["name"] == "protons-b"


def test_response_tables_are_used(shared_data: Path, tmp_path: Path) -> None:
    """With tables the card's response is that of the tables and not the instrument's own fit to them."""
    out, own = tmp_path / "tables", tmp_path / "own"
    assert run("train", "npe", "-o", out, *SIZES, "--response", shared_data / "radem" / "response", "-q") == 0
    assert run("train", "npe", "-o", own, *SIZES, "-q") == 0
    assert Artefact.load(out).card["response_sha256"] != Artefact.load(own).card["response_sha256"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--species", "muon"), "found 'muon'; expected one of proton, electron"),
        (("--samples", 10), "Invalid value for '--samples': Input should be greater than or equal to 1000"),
        (("--members", 0), "Invalid value for '--members': Input should be greater than or equal to 1"),
        (("--instrument", "nosuch"), "nosuch"),
    ],
)
def test_wrong_options_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], message: str
) -> None:
    """An option that cannot be is one message and exit 2, before anything is simulated."""
    assert run("train", "npe", "-o", tmp_path / "model", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_missing_tables_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without response tables is one message."""
    assert run("train", "npe", "-o", tmp_path / "model", "--response", tmp_path / "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_foreign_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with other files in it is not written into."""
    (tmp_path / "thesis.tex").write_text("mine")
    assert run("train", "npe", "-o", tmp_path, *SIZES) == 2
    assert "holds no card.json" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["torch", "onnx"])
def test_without_torch_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Where the extra is not installed, the message names it."""
    for name in [name for name in sys.modules if name.startswith("particleflux.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert run("train", "npe", "-o", tmp_path / "model") == 2
    assert f"training needs {module}, which is not installed; install particleflux[train]" in capsys.readouterr().err
