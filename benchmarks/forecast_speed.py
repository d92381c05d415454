"""Speed of the forecast: raw files to history, start, ten years of issue times, size of the models, life without torch.

Every time is wall clock, on two cores. The command line is measured from outside, in processes of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from common import SHIPPED_FORECASTS, arguments, data_folder, history_command, load_model, make_history, write_result
from speed import CORES, help_times, span

from particleflux.artefact import Artefact
from particleflux.forecast.lstm import LstmForecaster
from particleflux.history import open_history

FIRST, LAST = "2004-01-01", "2013-12-31"
PROGRAM = Path(sys.executable).with_name("particleflux")
#: Goals, and their units.
HISTORY_S, HELP_S, HINDCAST_S, SIZE_MB, TRAINING_S = 60.0, 0.6, 10.0, 3.0, 900.0
#: Columns of a table of days, as a user would write it.
COLUMNS = ("satellite", "fluence_gt2mev", "solar_wind_speed", "solar_wind_density", "bz_gsm", "kp", "dst")
_DAYS = 120
# What stands in the way of an import: as on a machine that lacks the module.
_ABSENT = "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)\n"
Rows = list[dict[str, object]]


def run(command: Sequence[object], **environment: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run a program to its end; gives the seconds and what it wrote."""
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603  our own program
        [str(part) for part in command], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        msg = f"{Path(str(command[0])).name} {command[1]} ended with {done.returncode}: {done.stderr}"
        raise RuntimeError(msg)
    return seconds, done


def time_history(scratch: Path, repeats: int) -> list[float]:
    """Time the recorded command from raw files to history, calibration included."""
    geo = data_folder() / "geo"
    command = history_command(geo, scratch / "history.nc", scratch / "calibration.csv")
    return [run([PROGRAM, *command, "--quiet"])[0] for _ in range(repeats)]


def time_imports(repeats: int) -> dict[str, float]:
    """Time importing what a forecast needs, above an empty program."""

    def once(code: str) -> float:
        return min(run([sys.executable, "-c", code])[0] for _ in range(repeats))

    empty = once("pass")
    modules = ("particleflux.history", "particleflux.forecast", "particleflux.forecast.lstm")
    return {name: once(f"import {name}") - empty for name in modules}


def time_hindcast(model: Artefact, name: str, path: Path, scratch: Path, repeats: int) -> dict[str, Any]:
    """Time a forecast of every day of ten years: by the command line, and by the library with its parts."""
    out = scratch / "hindcast.nc"
    command = [PROGRAM, "forecast", path, "-o", out, "--model", name, "--start", FIRST, "--stop", LAST, "--quiet"]
    outside = [run(command)[0] for _ in range(repeats)]
    parts: dict[str, list[float]] = {"open_history": [], "load": [], "predict": []}
    issued = np.arange(FIRST, np.datetime64(LAST) + 1, dtype="datetime64[D]").astype("datetime64[ns]")
    for _ in range(repeats):
        began = time.perf_counter()
        history = open_history(path)
        opened = time.perf_counter()
        forecaster = LstmForecaster.of(model)
        loaded = time.perf_counter()
        made = forecaster.predict(history, init_time=issued)
        for part, seconds in zip(parts, np.diff([began, opened, loaded, time.perf_counter()]), strict=True):
            parts[part].append(float(seconds))
    return {
        "issue_times": len(issued),
        "forecast": int(made["fluence_gt2mev"].notnull().all(("lead_time", "quantile")).sum()),
        "command": outside,
        **parts,
    }


def forecast_without_torch(name: str, history: xr.Dataset, scratch: Path) -> dict[str, Any]:
    """Forecast from a CSV file of days in a process in which torch and onnx cannot be imported."""
    blocked = scratch / "blocked"
    blocked.mkdir(exist_ok=True)
    for module in ("torch", "onnx"):
        (blocked / f"{module}.py").write_text(_ABSENT, encoding="utf-8")
    last = int(np.flatnonzero(history["fluence_gt2mev"].notnull().to_numpy())[-1])
    days = history[list(COLUMNS)].isel(time=slice(last + 1 - _DAYS, last + 1))
    days.to_dataframe().to_csv(scratch / "days.csv", date_format="%Y-%m-%d")
    code = (
        "import sys; from particleflux.cli import main; status = main(sys.argv[1:]); "
        "sys.exit(status or ' '.join(sorted({'torch', 'onnx'} & set(sys.modules))) or 0)"
    )
    out = scratch / "forecast.csv"
    command = [sys.executable, "-c", code, "forecast", scratch / "days.csv", "-o", out, "--model", name]
    seconds, done = run(command, PYTHONPATH=str(blocked))
    refused = run(
        [sys.executable, "-c", "try: import torch\nexcept ImportError as e: print(e)"], PYTHONPATH=str(blocked)
    )
    return {
        "seconds": seconds,
        "rows": _DAYS,
        "import torch": refused[1].stdout.strip(),
        "shown": done.stdout.strip().splitlines(),
        "written": out.is_file(),
    }


def size(model: Artefact, scratch: Path) -> float:
    """Give the size of a model's files, MB."""
    folder = scratch / model.name
    model.save(folder)
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


def main() -> None:
    parser = arguments(__doc__ or "", model=False)
    parser.add_argument(
        "--models", nargs="+", default=list(SHIPPED_FORECASTS), help="trained models, by name or folder"
    )
    parser.add_argument("--history", type=Path, help="history file; made of the raw files by default")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    models = {name: load_model(name) for name in options.models}
    path = options.history or make_history()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        history_seconds = time_history(scratch, options.repeats)
        imports = time_imports(options.repeats)
        help_seconds, heavy = help_times()
        hindcasts = {
            model.name: time_hindcast(model, name, path, scratch, options.repeats) for name, model in models.items()
        }
        history = open_history(path)
        torchless = {model.name: forecast_without_torch(name, history, scratch) for name, model in models.items()}
        sizes = {model.name: size(model, scratch) for model in models.values()}
    training = {model.name: float(model.card["training"]["seconds"]) for model in models.values()}

    start: Rows = [{"what": "`particleflux --help`", "seconds": span(help_seconds, ".2f"), "goal": f"{HELP_S:g}"}]
    for name, seconds in imports.items():
        start.append({"what": f"`import {name}`", "seconds": f"{seconds:.2f}"})
    cards: Rows = [
        {
            "model": model.name,
            "SHA-256": f"{model.digest[:16]}...",
            "MB": f"{sizes[model.name]:.2f}",
            "trained in (s)": f"{training[model.name]:.0f}",
        }
        for model in models.values()
    ]
    together = f"{sum(training.values()):.0f}"
    cards.append({"model": "together", "MB": f"{sum(sizes.values()):.2f}", "trained in (s)": together})
    cards.append({"model": "goal", "MB": f"{SIZE_MB:g}", "trained in (s)": f"{TRAINING_S:g}"})
    tables: dict[str, Rows] = {
        "About": [
            {"what": "times", "value": f"median (range) of {options.repeats} runs, seconds of wall clock"},
            {"what": "cores", "value": CORES},
            {"what": "load average at the start", "value": f"{load:.1f}"},
        ],
        "Raw files to history": [
            {"what": "recorded command", "seconds": span(history_seconds, ".1f"), "goal": f"{HISTORY_S:g}"}
        ],
        "Start": start,
        f"A forecast of every day from {FIRST} to {LAST}": [
            {
                "model": name,
                "issue times": one["issue_times"],
                "forecast": one["forecast"],
                "command line": span(one["command"], ".1f"),
                "goal": f"{HINDCAST_S:g}",
                **{f"`{part}`": span(one[part], ".2f") for part in ("open_history", "load", "predict")},
            }
            for name, one in hindcasts.items()
        ],
        "Models": cards,
        f"From a CSV file of {_DAYS} days, where torch and onnx cannot be imported": [
            {"model": name, "seconds": f"{one['seconds']:.1f}", "`import torch` says": one["import torch"]}
            for name, one in torchless.items()
        ],
    }
    data = {
        "cores": CORES, "load_before": load, "history_seconds": history_seconds, "import_seconds": imports,
        "help_seconds": help_seconds, "help_imports": heavy, "hindcast": hindcasts, "megabytes": sizes,
        "training_seconds": training, "without_torch": torchless,
        "models": {model.name: model.digest for model in models.values()},
    }  # fmt: skip
    write_result("forecast_speed", "Speed of the forecast", tables, {**data, "tables": tables}, folder=options.results)
    missed = [
        what
        for what, failed in (
            ("history", float(np.median(history_seconds)) >= HISTORY_S),
            ("start", float(np.median(help_seconds)) >= HELP_S or "torch" in heavy),
            ("hindcast", any(float(np.median(one["command"])) >= HINDCAST_S for one in hindcasts.values())),
            ("size", sum(sizes.values()) >= SIZE_MB),
            ("training", sum(training.values()) >= TRAINING_S),
            ("without torch", not all(one["written"] for one in torchless.values())),
        )
        if failed
    ]
    if missed:
        sys.exit(f"below the goal: {', '.join(missed)}")


if __name__ == "__main__":
    main()
