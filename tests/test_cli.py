from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from particleflux import __version__, cli
from particleflux._terminal import spread_values
from particleflux.demo import Event
from particleflux.export import Provenance, open_dataset, open_spectra, write_dataset
from particleflux.instruments import load_instrument
from particleflux.names import attributes

RADEM = load_instrument("radem")
EVENT = Event(quiet_hours=30, event_hours=6)


class FlatUnfolder:
    """A method that finds the same flux everywhere."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def unfold(self, counts: xr.Dataset, background: xr.Dataset) -> xr.Dataset:
        energies = self.settings.get("energies") or (5.0, 10.0, 20.0, 50.0, 100.0)
        dataset = xr.Dataset(
            coords={"time": counts["time"], "energy": ("energy", list(energies), attributes("energy"))}
        )
        shape = (counts.sizes["time"], len(energies))
        for suffix, value in (("", 1.0), ("_lower", 0.5), ("_upper", 2.0), ("_lower95", 0.2), ("_upper95", 5.0)):
            dataset[f"flux{suffix}"] = (("time", "energy"), np.full(shape, value), attributes(f"flux{suffix}"))
        dataset["quality"] = ("time", np.zeros(shape[0], np.int32), attributes("quality"))
        dataset["ensemble"] = ("time", np.full(shape[0], 3), attributes("ensemble"))
        return dataset.assign_attrs(model="flat", model_sha256="f" * 64)


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a method in the place of the trained one, and keep the settings it was asked for with."""
    asked: list[dict[str, Any]] = []

    def load(name: str = "ensemble", **settings: Any) -> FlatUnfolder:
        asked.append({"name": name, **settings})
        return FlatUnfolder(**settings)

    monkeypatch.setattr("particleflux.reconstruct.load_method", load)
    return asked


@pytest.fixture(scope="module")
def counts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = EVENT.simulate(RADEM)[["counts", "exposure", "quality"]]
    return write_dataset(counts, tmp_path_factory.mktemp("counts") / "counts.csv")


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


def test_import_is_light() -> None:
    """Importing the command line loads none of the libraries that make `--help` slow."""
    code = "import sys, particleflux.cli; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    assert "particleflux.cli" in loaded
    assert not {"torch", "xarray", "numpy", "pandas", "matplotlib", "onnxruntime", "scipy"} & set(loaded)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Help goes to stdout, names the commands, and is no error."""
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for command in ("demo", "reconstruct", "simulate", "models", "train"):
        assert command in shown
    assert run("reconstruct", "--help") == 0
    shown = capsys.readouterr().out
    for option in ("--background", "--every", "--response-error", "--plot"):
        assert option in shown


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is the package's."""
    assert run("--version") == 0
    assert capsys.readouterr().out == f"particleflux {__version__}\n"


@pytest.mark.usefixtures("flat")
@pytest.mark.parametrize("suffix", [".nc", ".cdf", ".csv", ".json"])
def test_reconstruct_writes_spectra(
    tmp_path: Path, counts_file: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts in, spectra out in the asked format, with provenance; stdout stays empty, the summary is on stderr."""
    out = tmp_path / f"event{suffix}"
    assert run("reconstruct", counts_file, "-o", out, "--every", "1h") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "36 of 36 samples reconstructed" in shown.err
    assert "answered by the ensemble of 3 channels" in shown.err
    assert "background: measured from quiet time in the data" in shown.err
    assert f"written: {out}" in shown.err
    spectra = open_spectra(out)
    assert spectra.sizes["time"] == 36
    provenance = Provenance.from_attributes(spectra.attrs)
    assert provenance is not None
    assert provenance.command == shlex.join(
        ["particleflux", "reconstruct", str(counts_file), "-o", str(out), "--every", "1h"]
    )
    assert provenance.artefact == "flat"
    assert provenance.input_files[0]["name"] == "counts.csv"
    assert provenance.settings["every"] == "1h"


def test_settings_reach_the_method(tmp_path: Path, counts_file: Path, flat: list[dict[str, Any]]) -> None:
    """Energies, response error, species and model are passed on as given."""
    options = ["--energies", "5,30", "--response-error", "0.1", "--model", "mine", "-q"]
    assert run("reconstruct", counts_file, "-o", tmp_path / "event.nc", *options) == 0
    expected = {
        "name": "ensemble",
        "model": "mine",
        "species": "proton",
        "energies": (5.0, 30.0),
        "response_error": 0.1,
    }
    assert flat == [expected]
    assert open_spectra(tmp_path / "event.nc")["energy"].to_numpy().tolist() == [5.0, 30.0]


@pytest.mark.usefixtures("flat")
def test_range_and_plot(tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Start and stop cut the samples, the plot is written, quiet leaves only the names of the files."""
    options = ["--start", "2024-03-11T00:00", "--stop", "2024-03-11T06:00", "--every", "native", "-q"]
    options += ["--background", str(counts_file), "--plot", str(tmp_path / "event.png")]
    assert run("reconstruct", counts_file, "-o", tmp_path / "event.nc", *options) == 0
    assert open_spectra(tmp_path / "event.nc").sizes["time"] == 360
    assert (tmp_path / "event.png").read_bytes().startswith(b"\x89PNG")
    assert all(line.startswith("written: ") for line in capsys.readouterr().err.splitlines())


@pytest.mark.usefixtures("flat")
def test_assumed_background_is_told(tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without quiet time the warning is one line, and the summary says whose level was used."""
    assert run("reconstruct", counts_file, "-o", tmp_path / "event.nc", "--start", "2024-03-11T03:00") == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("particleflux: warning: ") for line in lines) == 1
    assert any("the quiet level of the instrument file, for want of quiet data" in line for line in lines)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["f", "--background", "a", "b", "-o", "x"], ["f", "--background", "a", "--background", "b", "-o", "x"]),
        (
            ["--background", "a", "--background", "b", "c"],
            ["--background", "a", "--background", "b", "--background", "c"],
        ),
        (["--background", "auto", "f"], ["--background", "auto", "f"]),
        (["--background=a", "f"], ["--background=a", "f"]),
        (["--background", "a", "--", "f"], ["--background", "a", "--", "f"]),
        (["--background", "-o", "x"], ["--background", "-o", "x"]),
        (["f", "g", "-q"], ["f", "g", "-q"]),
    ],
)
def test_several_backgrounds_are_spread(given: list[str], expected: list[str]) -> None:
    """Values after --background belong to it up to the next option; all else stays in place."""
    assert spread_values(given, ["--background"], single=["auto"]) == expected


MISTAKES = {
    "suffix": (["{counts}", "-o", "event.txt"], r"event.txt: found suffix '.txt'"),
    "folder": (["{counts}", "-o", "gone/event.nc"], "there is no folder"),
    "plot": (["{counts}", "-o", "event.nc", "--plot", "event.gif"], "expected one of .png, .pdf, .svg"),
    "every": (["{counts}", "-o", "event.nc", "--every", "soon"], "--every: found 'soon', expected a length of time"),
    "energies": (["{counts}", "-o", "event.nc", "--energies", "5;6"], "--energies: found '5;6', expected numbers"),
    "instrument": (["{counts}", "-o", "event.nc", "--instrument", "tepc"], "no instrument 'tepc'"),
    "missing": (["gone.cdf", "-o", "event.nc"], "gone.cdf does not exist"),
    "mixed": (["{counts}", "a.cdf", "-o", "event.nc"], "found together with other files"),
    "both": (["{counts}", "-o", "event.nc", "--background", "a.cdf", "auto"], "'auto' and files together"),
    "range": (["{counts}", "-o", "event.nc", "--start", "2030-01-01"], "no sample in 2030-01-01"),
    "time": (["{counts}", "-o", "event.nc", "--start", "noon"], "noon"),
    "no out": (["{counts}"], "Missing option '--out' / '-o'; see `particleflux reconstruct --help`"),
    "no file": (["-o", "event.nc"], "Missing argument 'FILE"),
    "option": (["{counts}", "-o", "event.nc", "--colour", "red"], "No such option: --colour"),
}


@pytest.mark.usefixtures("flat")
@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_message(
    tmp_path: Path,
    counts_file: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mistake is one line on stderr that says what to do, exit 2, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    assert run("reconstruct", *[item.format(counts=counts_file) for item in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("particleflux: error: ")
    assert message in shown.err
    assert os.listdir(tmp_path) == []


def test_unavailable_method_is_told(tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A method that does not exist yet is refused with those that do."""
    assert run("reconstruct", counts_file, "-o", tmp_path / "event.nc", "--method", "npe") == 2
    assert "method 'npe' is not available; choose one of: ensemble" in capsys.readouterr().err


def test_mistake_in_the_name_of_the_output_shows_before_the_work(
    tmp_path: Path, counts_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output that cannot be written is told before any file is read."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("particleflux.io.open_counts", refuse)
    assert run("reconstruct", counts_file, "-o", tmp_path / "gone" / "event.nc") == 2


def test_unknown_command_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that is none is one message."""
    assert run("reconstuct") == 2
    assert "No such command 'reconstuct'" in capsys.readouterr().err


def test_errors_of_the_file_system_are_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An OSError about a path is the user's to mend; one without a path is a bug and shows itself."""

    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/data/day.cdf")

    monkeypatch.setattr("particleflux.artefact.list_artefacts", fail)
    assert run("models") == 2
    assert "/data/day.cdf: Permission denied" in capsys.readouterr().err

    def break_down() -> None:
        raise OSError

    monkeypatch.setattr("particleflux.artefact.list_artefacts", break_down)
    with pytest.raises(OSError, match=r"^$"):
        run("models")


def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is no user's mistake comes through with its traceback."""

    def break_down() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("particleflux.artefact.list_artefacts", break_down)
    with pytest.raises(ZeroDivisionError):
        run("models")


def test_interruption_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with status 130 and one line."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("particleflux.artefact.list_artefacts", interrupt)
    assert run("models") == 130
    assert capsys.readouterr().err == "particleflux: interrupted\n"


def test_warnings_are_shown_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning is one line however often it is given; what concerns programmers is not shown."""

    def warn() -> dict[str, Path]:
        for _ in range(2):
            warnings.warn("two\nlines", stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return {}

    monkeypatch.setattr("particleflux.artefact.list_artefacts", warn)
    assert run("models") == 0
    assert capsys.readouterr().err.splitlines()[0] == "particleflux: warning: two lines"
    assert run("models") == 0
    assert "old" not in capsys.readouterr().err


def test_simulate_writes_counts_with_truth(tmp_path: Path) -> None:
    """The file holds the samples asked for with their true flux, the same for the same seed."""
    for name in ("a.nc", "b.nc"):
        assert run("simulate", "-o", tmp_path / name, "--n", "7", "--seed", "5", "--family", "band") == 0
    first, second = open_dataset(tmp_path / "a.nc"), open_dataset(tmp_path / "b.nc")
    assert first.sizes["time"] == 7
    assert "flux_true" in first
    assert first.attrs["instrument"] == "radem"
    np.testing.assert_array_equal(first["counts"], second["counts"])


def test_unknown_family_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spectral form that is none lists those that are."""
    assert run("simulate", "-o", tmp_path / "a.nc", "--family", "flat") == 2
    assert "rolling-power-law" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_models_lists_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list has a row a model; a name gives its card as JSON; none at all is said on stderr."""
    card = {"format": 1, "name": "mine", "kind": "k", "created": "today", "particleflux": "0", "files": {}}
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({**card, "instrument": "radem", "species": "proton"}))
    monkeypatch.setattr("particleflux.artefact.list_artefacts", lambda: {"mine": folder})
    assert run("models") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "kind", "instrument", "species", "created"]
    assert row.split() == ["mine", "k", "radem", "proton", "today"]
    assert run("models", "mine") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert run("models", "yours") == 2
    assert "no model 'yours'" in capsys.readouterr().err
    monkeypatch.setattr("particleflux.artefact.list_artefacts", dict)
    assert run("models") == 0
    assert "no model ships" in capsys.readouterr().err


def test_training_without_torch_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing torch is one message with the extra to install."""
    for name in [name for name in sys.modules if name.startswith("particleflux.train.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run("train", "spectra", "-o", tmp_path / "model") == 2
    assert "training needs torch, which is not installed; install particleflux[train]" in capsys.readouterr().err


@pytest.mark.usefixtures("flat")
def test_demo_prints_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of agreement is all of stdout; the files are named on stderr and can be reconstructed again."""
    assert run("demo", "-o", tmp_path / "demo") == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split()[:2] == ["energy", "samples"]
    assert [line.split()[0] for line in lines[1:]] == ["5", "10", "20", "50"]
    assert sorted(os.listdir(tmp_path / "demo")) == ["counts.csv", "event.png", "spectra.nc"]
    assert run("reconstruct", tmp_path / "demo" / "counts.csv", "-o", tmp_path / "again.nc", "-q") == 0
    again, first = open_spectra(tmp_path / "again.nc"), open_spectra(tmp_path / "demo" / "spectra.nc")
    np.testing.assert_array_equal(again["time"], first["time"])


def test_closed_stdout_is_no_traceback() -> None:
    """A reader that goes away, such as `head`, does not make a traceback."""
    command = (
        f"{shlex.quote(sys.executable)} -c 'from particleflux.cli import main; raise SystemExit(main([\"--help\"]))'"
    )
    ended = subprocess.run(f"{command} | true", shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert "Traceback" not in ended.stderr
