from __future__ import annotations

import json
import os
import re
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
from particleflux.cli.terminal import spread_values
from particleflux.demo import Event
from particleflux.export import Provenance, open_dataset, open_spectra, write_dataset
from particleflux.instruments import load_instrument
from particleflux.names import attributes
from particleflux.simulate import TRUTH_ENERGIES
from particleflux.unfold.targets import SHIPPED

RADEM = load_instrument("radem")
EVENT = Event(quiet_hours=30, event_hours=6)


class FlatUnfolder:
    """A method that finds the same flux everywhere."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def unfold(self, counts: xr.Dataset, background: xr.Dataset, *, progress: object = None) -> xr.Dataset:
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
    for command in (
        "demo", "reconstruct", "compare", "events", "dose", "simulate", "history", "forecast", "verify", "correlate",
        "fetch", "models", "train",
    ):  # fmt: skip
        assert command in shown
    assert run("train", "--help") == 0
    shown = capsys.readouterr().out
    for command in ("spectra", "forecast"):
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
        "name": None,
        "model": "mine",
        "species": "proton",
        "energies": (5.0, 30.0),
        "response_error": 0.1,
        "samples": 0,
        "response": None,
    }
    assert [{key: value for key, value in asked.items() if key != "instrument"} for asked in flat] == [expected]
    assert flat[0]["instrument"].name == "radem"
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


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--method", "magic"], "method 'magic' is not available; choose one of: ensemble, npe"),
        (["--method", "fit", "--model", "mine"], "method 'fit' works from the response itself and has none"),
        (["--method", "bowtie", "--samples", "10"], "method 'bowtie' has no joint distribution to draw from"),
        (["--method", "fit", "--species", "electron"], "method 'fit' has no model for species 'electron'"),
    ],
)
def test_unavailable_method_is_told(
    tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str], options: list[str], match: str
) -> None:
    """A method that does not exist, or lacks what is asked of it, is refused with those that can."""
    assert run("reconstruct", counts_file, "-o", tmp_path / "event.nc", *options) == 2
    assert match in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".nc", ".cdf", ".csv", ".json"])
def test_draws_and_assessment_reach_the_file(
    tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    """A method from the response, with draws, ends in every format; the summary says what the samples are good for."""
    out = tmp_path / f"event{suffix}"
    options = ["--method", "regularised", "--samples", "5", "--every", "3h", "--start", "2024-03-11T00:00"]
    assert run("reconstruct", counts_file, "-o", out, "--background", counts_file, *options) == 0
    assert "assessment: " in capsys.readouterr().err
    spectra = open_spectra(out)
    assert spectra["flux_sample"].dims == ("time", "sample", "energy")
    assert spectra.sizes["sample"] == 5
    assert spectra["assessment"].dtype == np.int8
    assert "fit_probability" in spectra


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
    """The list has a row a model; a name with --json gives its card; none at all is said on stderr."""
    card = {"format": 1, "name": "mine", "kind": "k", "created": "today", "particleflux": "0", "files": {}}
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({**card, "instrument": "radem", "species": "proton"}))
    monkeypatch.setattr("particleflux.artefact.list_artefacts", lambda: {"mine": folder})
    assert run("models") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "kind", "instrument", "species", "created"]
    assert row.split() == ["mine", "k", "radem", "proton", "today"]
    assert run("models", "mine", "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert run("models", "--json") == 2
    assert "name it" in capsys.readouterr().err
    assert run("models", "yours") == 2
    assert "no model 'yours'" in capsys.readouterr().err
    monkeypatch.setattr("particleflux.artefact.list_artefacts", dict)
    assert run("models") == 0
    assert "no model ships" in capsys.readouterr().err


def test_models_sums_up_the_shipped_card(capsys: pytest.CaptureFixture[str]) -> None:
    """The name of the shipped model gives its bins, its rule and how it was trained."""
    assert run("models", SHIPPED) == 0
    told = capsys.readouterr().out
    assert "PDH1+PDH3+PDH4; " in told
    assert "3 ensembles of 20" in told
    assert "particleflux train spectra" in told


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


@pytest.mark.usefixtures("flat")
def test_simulated_file_is_reconstructed_sample_by_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `simulate` writes goes straight into `reconstruct`: same samples, the file's background, no warning."""
    sim, out = tmp_path / "sim.nc", tmp_path / "spectra.nc"
    assert run("simulate", "-o", sim, "--n", "300", "--signal", "10,1e5") == 0
    assert run("reconstruct", sim, "-o", out) == 0
    shown = capsys.readouterr().err
    assert "warning" not in shown
    assert "300 of 300 samples reconstructed" in shown
    assert "background: the one that the file of counts holds" in shown
    spectra = open_spectra(out)
    assert (spectra["quality"] == 0).all()
    np.testing.assert_array_equal(spectra["time"], open_dataset(sim)["time"])
    provenance = Provenance.from_attributes(spectra.attrs)
    assert provenance is not None
    assert (provenance.settings["every"], provenance.settings["background"]) == ("native", ["file"])
    for option, message in (
        (("--every", "1h"), "the samples are independent"),
        (("--background", "auto"), "no quiet time can be found"),
        (("--plot", tmp_path / "a.png"), "--plot: .*no course in time"),
    ):
        assert run("reconstruct", sim, "-o", tmp_path / "no.nc", *option) == 2
        assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "no.nc").exists()


@pytest.mark.parametrize(
    ("method", "prior"),
    [
        ("ensemble", []),
        # Rolling power laws as the prior of `npe` has them, which is narrower than that of the ensembles.
        ("npe", ["--parameter", "spectral_index=0,4.5", "--parameter", "rollover_energy=7,300,log"]),
    ],
)
def test_intervals_hold_the_simulated_truth(tmp_path: Path, method: str, prior: list[str]) -> None:
    """Of simulated spectra, the 68 % interval of the shipped model holds the truth for about 68 %."""
    sim, out = tmp_path / "sim.nc", tmp_path / "spectra.nc"
    energies = [f"{value!r}" for value in TRUTH_ENERGIES if 4 < value < 60]
    simulated = ("--n", "2000", "--signal", "10,1e5", "--background-error", "0.03")
    assert run("simulate", "-o", sim, *simulated, *prior) == 0
    assert run("reconstruct", sim, "-o", out, "--method", method, "--energies", ",".join(energies), "-q") == 0
    truth = open_dataset(sim)["flux_true"].sel(energy=[float(value) for value in energies])
    spectra = open_spectra(out)
    inside = (spectra["flux_lower"] < truth) & (truth < spectra["flux_upper"])
    assert spectra["flux"].notnull().mean() > 0.99
    np.testing.assert_allclose(inside.mean("time"), 0.68, atol=0.1)


def test_simulation_takes_its_options(tmp_path: Path) -> None:
    """Each option bounds what it names, and the provenance keeps them all."""
    options = {
        "--channels": "PDH1,PDH3,PDH4", "--signal": "50,60", "--exposure": "900", "--background-level": "0,0",
        "--parameter": "spectral_index=2,3", "--response-error": "0.05", "--background-error": "0.02",
        "--family": "rolling-power-law", "--species": "proton",
    }  # fmt: skip
    given = [item for pair in options.items() for item in pair]
    assert run("simulate", "-o", tmp_path / "a.nc", "--n", "40", *given, "--parameter", "rollover_energy=5,50,log") == 0
    made = open_dataset(tmp_path / "a.nc")
    assert made["channel"].to_numpy().tolist() == ["PDH1", "PDH3", "PDH4"]
    assert (made["exposure"] == 900).all()
    assert (made["background_rate"] == 0).all()
    assert (made["response_error"] == 0.05).all()
    assert 2 <= made["spectral_index_true"].min() < made["spectral_index_true"].max() <= 3
    assert 5 <= made["rollover_energy_true"].min() < made["rollover_energy_true"].max() <= 50
    assert 40 < made["counts"].sel(channel="PDH1").mean() < 70
    provenance = Provenance.from_attributes(made.attrs)
    assert provenance is not None
    assert provenance.settings["signal"] == "50,60"
    assert provenance.settings["parameters"] == ["spectral_index=2,3", "rollover_energy=5,50,log"]


def test_samples_are_the_same_in_every_format(tmp_path: Path) -> None:
    """The seed alone decides the samples: neither the format nor how many are asked for."""
    whole = None
    for suffix in (".nc", ".json", ".cdf", ".csv"):
        assert run("simulate", "-o", tmp_path / f"a{suffix}", "--n", "12", "-q") == 0
        made = open_dataset(tmp_path / f"a{suffix}")
        whole = made if whole is None else whole
        np.testing.assert_array_equal(made["counts"], whole["counts"])
    assert run("simulate", "-o", tmp_path / "b.nc", "--n", "5", "-q") == 0
    assert whole is not None
    np.testing.assert_array_equal(open_dataset(tmp_path / "b.nc")["counts"], whole["counts"][:5])


def test_many_samples_are_streamed(tmp_path: Path) -> None:
    """More samples than a piece holds stand in one file, numbered through."""
    assert run("simulate", "-o", tmp_path / "a.nc", "--n", "10005", "--channels", "PDH1,PDH3", "-q") == 0
    made = open_dataset(tmp_path / "a.nc")
    assert made.sizes["time"] == 10005
    assert (np.diff(made["time"]) == np.timedelta64(1, "s")).all()
    assert made["counts"].notnull().all()


WRONG_SIMULATIONS = {
    "n": (["-o", "a.csv", "--n", "100001"], "--n: found 100001, but a .csv is made in memory"),
    "parameter": (
        ["--parameter", "colour=1,2"],
        "--parameter colour: unknown to rolling-power-law; its parameters are",
    ),
    "twice": (["--parameter", "spectral_index=1", "--parameter", "spectral_index=2"], "spectral_index: given twice"),
    "no value": (["--parameter", "spectral_index"], "found 'spectral_index', expected NAME=LOW,HIGH"),
    "word": (["--parameter", "spectral_index=1,2,lin"], "expected LOW,HIGH"),
    "more": (["--parameter", "spectral_index=1,2,log,3"], "expected LOW,HIGH or LOW,HIGH,log"),
    "negative": (["--parameter", "rollover_energy=-1,2"], "found '-1,2', expected numbers above 0"),
    "order": (["--parameter", "rollover_energy=9,2"], "range 9 to 2: expected finite bounds, the lower first"),
    "signal": (["--signal", "many"], "--signal: found 'many', expected LOW,HIGH"),
    "zero": (["--signal", "0,5"], "--signal: range 0 to 5 is logarithmic"),
    "exposure": (["--exposure", "0"], "--exposure: found '0', expected numbers above 0"),
    "level": (["--background-level=-1,1"], "--background-level: found '-1,1', expected numbers from 0 on"),
    "background error": (["--background-error", "3"], "--background-error: found 3, expected a fraction"),
    "response error": (["--response-error=-1"], "--response-error: found -1, expected a fraction"),
    "channels": (["--channels", "PDH1,PDH9"], "--channels: found 'PDH1,PDH9', expected names out of PDH1"),
    "same channel": (["--channels", "PDH1,PDH1"], "each once"),
    "species": (["--species", "muon"], "--species: found 'muon', expected one of proton, electron"),
    "family": (["--family", "flat"], "--family: found 'flat', expected one of power-law"),
    "bend": (["--family", "band", "--parameter", "spectral_index_low=5,6"], "Band: spectral_index_low is not below"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG_SIMULATIONS.values(), ids=WRONG_SIMULATIONS)
def test_mistakes_in_a_simulation_are_one_message(
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mistake is one line that names the option and what it takes, exit 2, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    assert run("simulate", *(["-o", "a.nc"] if "-o" not in arguments else []), *arguments) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert message in shown
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("flat")
def test_dates_without_a_response_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts after 2024-07-09 alone are an error; where a part is so, it is told and the rest is written."""
    counts = EVENT.simulate(RADEM)[["counts", "exposure", "quality"]].drop_vars("configuration")
    for name, start in (("late", "2024-08-01"), ("part", "2024-07-08")):
        time = np.datetime64(start, "ns") + np.arange(counts.sizes["time"]) * np.timedelta64(1, "m")
        write_dataset(counts.assign_coords(time=time), tmp_path / f"{name}.csv")
    assert run("reconstruct", tmp_path / "late.csv", "-o", tmp_path / "late.nc", "-q") == 2
    shown = capsys.readouterr().err
    assert "error: no response of radem is public for all 2160 samples of the counts, the first at 2024-08-01" in shown
    assert "configuration 2, multiple coincidence" in shown
    assert not (tmp_path / "late.nc").exists()
    assert run("reconstruct", tmp_path / "part.csv", "-o", tmp_path / "part.nc", "-q") == 0
    shown = capsys.readouterr().err
    assert "warning: no response of radem is public for 61 of the 2160 samples" in shown
    assert (tmp_path / "part.nc").exists()


@pytest.mark.usefixtures("flat")
def test_file_of_another_kind_is_refused(tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no input, and counts of another instrument than the one named, are refused by name."""
    (tmp_path / "notes.json").write_text("{}")
    assert run("reconstruct", tmp_path / "notes.json", "-o", tmp_path / "a.nc") == 2
    assert "notes.json: expected RADEM .cdf files" in capsys.readouterr().err
    other = open_dataset(counts_file).assign_attrs(instrument="tepc")
    write_dataset(other, tmp_path / "other.nc")
    assert run("reconstruct", tmp_path / "other.nc", "-o", tmp_path / "a.nc") == 2
    assert "other.nc: counts of 'tepc', which does not ship" in capsys.readouterr().err
