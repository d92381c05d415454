"""What the benchmarks share: where the data lie, and how a result is written down.

A result is a Markdown page for readers and a JSON file of the same name for programs, in `benchmarks/results/`. Both
say which version of the package and which trained model were measured, and when. Neither names a folder of the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import particleflux
from particleflux import cli
from particleflux.artefact import Artefact

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"
#: The ensembles that reconstruct spectra of one form.
SHIPPED = "radem-protons"
#: The networks of npe: protons, and electrons with protons.
SHIPPED_NPE = ("radem-protons-npe", "radem-electrons-npe")
#: The models that forecast, on daily and on hourly inputs.
SHIPPED_FORECASTS = ("geo-electrons-daily", "geo-electrons-hourly")
#: What trains each of the models that ship.
_TRAINED_BY = {
    SHIPPED: "train-spectra",
    **dict.fromkeys(SHIPPED_NPE, "train-npe"),
    **dict.fromkeys(SHIPPED_FORECASTS, "train-forecast"),
}


def data_folder() -> Path:
    """Find the measured data: the folder PARTICLEFLUX_DATA names, or `../shared/data` beside the repository.

    Without one the benchmark ends here, with the reason and success: the data are not the package's to ship.
    """
    named = os.environ.get("PARTICLEFLUX_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        what = f"PARTICLEFLUX_DATA={named!r} is no folder" if named else "neither PARTICLEFLUX_DATA nor ../shared/data"
        skip(f"no measured data: {what}")
    return folder


def radem_folder() -> Path:
    """Find the RADEM raw science files."""
    return data_folder() / "radem" / "sc"


def history_command(geo: Path | str, out: Path | str, calibration: Path | str | None) -> list[str]:
    """Give the recorded arguments of `particleflux` that make the history of the measured data; as `make history`.

    Without a table of calibrations every satellite stays as measured.
    """
    scale = [] if calibration is None else ["--reference", "GOES-13", "--calibration", f"{calibration}"]
    # These days of the Daily Particle Data carry the date of the day before (docs/forecast.md).
    return [
        "history", "-o", f"{out}", "--dpd", f"{geo}/dpd", "--electrons", f"GOES-13/science={geo}/goes13",
        "--electrons", f"GOES-15={geo}/goes15_hourly/flux", "--omni", f"{geo}/omni2", "--kp", f"{geo}/kp",
        "--dst", f"{geo}/dst_2014-2016.csv", *scale, "--exclude", "GOES-13=2014-01-31/2014-03-30",
    ]  # fmt: skip


def make_history(*, calibrated: bool = True) -> Path:
    """Give the history of the measured data, `out/history.nc` or `out/history_measured.nc`, made if it is not there."""
    path = ROOT / "out" / ("history.nc" if calibrated else "history_measured.nc")
    if not path.is_file():
        geo = data_folder() / "geo"
        if not geo.is_dir():
            skip("the measured data hold no folder geo")
        path.parent.mkdir(exist_ok=True)
        if cli.main(history_command(geo, path, path.with_name("calibration.csv") if calibrated else None)) != 0:
            msg = "the history could not be made of the measured data; the reason stands above"
            raise RuntimeError(msg)
    return path


def skip(reason: str) -> NoReturn:
    """End the benchmark with success and say why."""
    print(f"{Path(sys.argv[0]).name}: skipped, {reason}", file=sys.stderr)
    raise SystemExit(0)


def arguments(description: str, *, model: bool = True) -> argparse.ArgumentParser:
    """Give a parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    if model:
        parser.add_argument("--model", default=SHIPPED, help="trained model, by name or folder (default: %(default)s)")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder for the result (default: benchmarks/results)"
    )
    return parser


def load_model(name: str) -> Artefact:
    """Load a trained model, or end the benchmark where a shipped one is not there yet."""
    if name in _TRAINED_BY and not (ROOT / "src" / "particleflux" / "models" / name / "card.json").is_file():
        skip(f"the model {name} is not trained yet: run `make {_TRAINED_BY[name]}`, or give another with --model")
    return Artefact.load(name)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Give the lines of a Markdown table; numbers come formatted."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def sections(tables: Mapping[str, Sequence[Mapping[str, object]]]) -> list[str]:
    """Give the lines of a page with a table under each heading; rows map column to value, and may lack some."""
    lines: list[str] = []
    for heading, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        lines += [f"## {heading}", "", *table(columns, [[row.get(name, "") for name in columns] for row in rows]), ""]
    return lines[:-1]


def write_result(
    name: str,
    title: str,
    content: Sequence[str] | Mapping[str, Sequence[Mapping[str, object]]],
    data: Mapping[str, Any] | None = None,
    *,
    folder: Path = RESULTS,
    model: Artefact | None = None,
) -> None:
    """Write `name`.md and `name`.json with version, model and date, and print the page.

    Parameters
    ----------
    name : str
        Of the files.
    title : str
        Heading of the page.
    content : sequence of str, or mapping of str to rows
        Markdown below the heading; or tables by their headings, see `sections`.
    data : mapping, optional
        The same figures as JSON, by default the tables; NaN and infinity are written as null.
    folder : Path
        Where to.
    model : Artefact, optional
        The trained model that was measured.
    """
    if isinstance(content, Mapping):
        lines, data = sections(content), {"tables": content} if data is None else data
    else:
        lines = list(content)
    made = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "particleflux": particleflux.__version__,
        "model": None if model is None else model.name,
        "model_sha256": None if model is None else model.digest,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    by = f"Made on {made['date']} by `benchmarks/{Path(sys.argv[0]).name}` with particleflux {made['particleflux']}"
    by += f" and the model {model.name} (SHA-256 {model.digest[:16]}...)." if model else "."
    page = "\n".join([f"# {title}", "", by, "", *lines]) + "\n"
    document = json.dumps({"made": made, **_plain(data or {})}, indent=1, allow_nan=False) + "\n"
    for text in (page, document):
        for private in (str(ROOT), str(Path.home()) + os.sep):
            if private in text:
                msg = f"the result {name} names the folder {private} of this machine: leave it out"
                raise AssertionError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
    (folder / f"{name}.json").write_text(document, encoding="utf-8")
    print(page)


@contextlib.contextmanager
def recorded(name: str, title: str, *, folder: Path = RESULTS) -> Iterator[None]:
    """Print as usual, and write what was printed as the page of a result."""
    seen = io.StringIO()
    with contextlib.redirect_stdout(seen):
        yield
    write_result(name, title, ["```", seen.getvalue().strip("\n"), "```"], folder=folder)


def _plain(value: Any) -> Any:
    """Turn numbers of numpy into numbers of JSON, and what is not finite into null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        # Seven digits: more would pretend to a precision that no figure here has.
        return float(f"{value:.7g}") if abs(value) < float("inf") else None
    return value
