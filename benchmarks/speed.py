"""Speed and memory: spectra per second with their intervals, beside a plain loop of large networks in PyTorch.

Both sides run in processes of their own that live through the whole benchmark and take turns, so that what else the
machine does falls on both alike, and the memory of each is its own.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import arguments, load_model, table, write_result

if TYPE_CHECKING:
    import xarray as xr

CORES = 2
SEED = 20240515
WIDTHS = (512, 64, 1024, 512)
MEMBERS, N_OUTPUTS = 20, 3
GOAL_RATE, GOAL_MEMORY, GOAL_START = 40_000, 1000, 0.6
#: Does its work once; gives the seconds it took and what else is to be told.
Work = Callable[[], dict[str, float]]


def peak_memory() -> float:
    """Give this process' largest resident memory so far, MB."""
    # Not getrusage: what it gives includes, across fork and exec, the memory of the process that started this one.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None  # noqa: S101  the kernel's own format
    return int(found.group(1)) * 1024 / 1e6


def simulate(rows: int, path: Path) -> None:
    """Write counts and background of the instrument's own prior; in a process of its own, for its memory."""
    from particleflux.instruments import load_instrument
    from particleflux.simulate import Range, Simulation

    instrument = load_instrument("radem")
    simulation = Simulation.of_instrument(
        instrument, channels=instrument.ensemble.bins[-1], background_error=Range(0.02, 0.1), use_rate_table=True
    )
    wanted = ["counts", "exposure", "quality", "background_rate", "background_rate_std"]
    simulation.sample(rows, seed=SEED)[wanted].drop_dims("energy", errors="ignore").to_netcdf(path, engine="h5netcdf")


def prepare_ours(path: Path, model: str) -> Work:
    """Load what the package needs; the work is one call of `EnsembleUnfolder.unfold`."""
    import xarray as xr

    from particleflux.unfold.ensemble import EnsembleUnfolder

    with xr.open_dataset(path, engine="h5netcdf") as opened:
        counts = opened.load()
    method = EnsembleUnfolder.load(model)

    def work() -> dict[str, float]:
        began, used = time.perf_counter(), time.process_time()
        spectra = method.unfold(counts, counts)
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        return {
            "seconds": seconds,
            "cpu_seconds": cpu,
            "finite": float(spectra["flux"].notnull().all()),
            **shares(spectra),
        }

    return work


def shares(spectra: xr.Dataset) -> dict[str, float]:
    """Give the share of samples that each ensemble answered."""
    bins, number = np.unique(spectra["ensemble"].to_numpy(), return_counts=True)
    return {f"{name} bins": count / number.sum() for name, count in zip(bins.tolist(), number.tolist(), strict=True)}


def prepare_baseline(path: Path, _: str) -> Work:
    """Make the loop over 20 large networks an ensemble; rows are split between three ensembles as ours are."""
    import torch
    import xarray as xr

    torch.set_num_threads(CORES)
    torch.manual_seed(SEED)
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        rows = opened.sizes["time"]

    def network(n_inputs: int) -> torch.nn.Sequential:
        layers: list[torch.nn.Module] = []
        for n_in, n_out in zip((n_inputs, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTHS[-1], N_OUTPUTS))

    ensembles = [[network(n_inputs) for _ in range(MEMBERS)] for n_inputs in (3, 4, 5)]
    inputs = [torch.randn(part, n_inputs) for part, n_inputs in zip(split(rows), (3, 4, 5), strict=True)]

    def work() -> dict[str, float]:
        began = time.perf_counter()
        with torch.no_grad():
            for networks, features in zip(ensembles, inputs, strict=True):
                answers = torch.stack([member(features) for member in networks])
                answers.mean(0), answers.std(0)
        return {"seconds": time.perf_counter() - began}

    return work


def split(rows: int) -> tuple[int, int, int]:
    return rows - 2 * (rows // 3), rows // 3, rows // 3


def serve(connection: Connection, prepare: Callable[[Path, str], Work], path: Path, model: str) -> None:
    """Work whenever asked, until told to stop; tell the peak memory with every answer."""
    before = peak_memory()
    work = prepare(path, model)
    loaded = peak_memory()
    connection.send({"before": before, "loaded": loaded})
    while connection.recv():
        connection.send({**work(), "memory": peak_memory()})


class Side:
    """One side of the comparison, in a process of its own."""

    def __init__(self, prepare: Callable[[Path, str], Work], path: Path, model: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, prepare, path, model), daemon=True)
        self.process.start()
        theirs.close()
        self.start: dict[str, float] = self.connection.recv()

    def run(self) -> dict[str, float]:
        """Do the work once."""
        self.connection.send(True)
        answer: dict[str, float] = self.connection.recv()
        return answer

    def stop(self) -> None:
        """End the process."""
        self.connection.send(False)
        self.process.join()


def import_times(repeats: int = 5) -> dict[str, float]:
    """Sum what `python -X importtime` says of importing the package and its parts, above an empty program; seconds."""

    def total(code: str) -> float:
        command = [sys.executable, "-X", "importtime", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  written just above
        # Each line: microseconds of the module itself | with what it imports | its name.
        return sum(int(own) for own in re.findall(r"^import time:\s+(\d+) \|", done.stderr, re.MULTILINE)) / 1e6

    empty = min(total("pass") for _ in range(repeats))
    modules = ("particleflux", "particleflux.cli", "particleflux.reconstruct", "particleflux.unfold.ensemble")
    return {name: float(np.median([total(f"import {name}") for _ in range(repeats)])) - empty for name in modules}


def help_times(repeats: int = 5) -> tuple[list[float], list[str]]:
    """Time `particleflux --help` from outside, and list what heavy modules it imports."""
    program, times = Path(sys.executable).with_name("particleflux"), []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([program, "--help"], capture_output=True, check=True)  # noqa: S603  our own program
        times.append(time.perf_counter() - began)
    code = "import sys; from particleflux.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    heavy = {"torch", "onnx", "onnxruntime", "matplotlib", "scipy", "xarray", "pandas", "numpy"}
    return times, sorted(heavy & set(done.stderr.split()))


def measure(options: Any, path: Path, n_repeats: int) -> tuple[list[dict[str, float]], list[dict[str, float]], Side]:
    """Alternate the two sides."""
    ours = Side(prepare_ours, path, options.model)
    theirs = Side(prepare_baseline, path, "") if importlib.util.find_spec("torch") else None
    ours.run()  # the first call touches fresh memory; it counts for the peak and not for the speed
    mine, other = [], []
    for _ in range(n_repeats):
        mine.append(ours.run())
        if theirs is not None:
            other.append(theirs.run())
    ours.stop()
    if theirs is not None:
        theirs.stop()
    return mine, other, ours


def span(values: list[float], form: str = ",.0f") -> str:
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    model = load_model(options.model)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "counts.nc"
        maker = multiprocessing.get_context("spawn").Process(target=simulate, args=(options.rows, path))
        maker.start()
        maker.join()
        if maker.exitcode:
            sys.exit("the simulation of the counts failed")
        mine, other, side = measure(options, path, options.repeats)
    rates = [options.rows / run["seconds"] for run in mine]
    theirs = [options.rows / run["seconds"] for run in other]
    memory = mine[-1]["memory"]
    imports = import_times()
    help_seconds, modules = help_times()
    rows = [
        ("particleflux, intervals included", span(rates), f"{memory:,.0f}"),
        (f"loop of {MEMBERS} networks of {'-'.join(map(str, WIDTHS))} in PyTorch, mean and standard deviation",)
        + ((span(theirs), f"{other[-1]['memory']:,.0f}") if other else ("skipped: torch is not installed", "")),
    ]
    ratio = [a / b for a, b in zip(rates, theirs, strict=False)]
    if ratio:
        rows.append(("ratio of each pair", span(ratio, ".1f"), ""))
    parts = ", ".join(f"{value:.0%} {key}" for key, value in mine[-1].items() if key.endswith(" bins"))
    lines = [
        f"{options.rows:,} rows on {CORES} cores; median and range of {options.repeats} alternating runs. The rows are",
        f"spread over the ensembles as the simulated prior gives them: {parts};",
        "the baseline's equally over networks of 3, 4 and 5 inputs, all rows at once. Goal: at least",
        f"{GOAL_RATE:,} spectra per second in less than {GOAL_MEMORY:,} MB.",
        "",
        *table(("", "spectra per second", "peak resident memory (MB)"), rows),
        "",
        f"particleflux takes {np.median([run['cpu_seconds'] for run in mine]):.2f} s of processor time a run; the",
        f"machine's load average was {load:.1f} on {os.cpu_count()} cores when the benchmark started.",
        f"Of that memory, {side.start['loaded']:,.0f} MB are taken by the libraries, the model and the counts.",
        "",
        "## Start",
        "",
        "Medians of 5; an import counts what it adds to an empty program.",
        "",
        *table(
            ("", "seconds"),
            [(f"`import {module}`, `-X importtime`", f"{value:.3f}") for module, value in imports.items()]
            + [("`particleflux --help`, wall (5 runs)", span(help_seconds, ".3f"))],
        ),
        "",
        f"`particleflux --help` imports of the large libraries: {', '.join(modules) or 'none'}; torch is "
        f"{'among them' if 'torch' in modules else 'not'}. Goal: under {GOAL_START} s without torch.",
    ]
    data = {
        "rows": options.rows,
        "cores": CORES,
        "spectra_per_second": rates,
        "baseline_spectra_per_second": theirs,
        "ratio": ratio,
        "cpu_seconds": [run["cpu_seconds"] for run in mine],
        "load_before": load,
        "peak_memory_mb": memory,
        "loaded_memory_mb": side.start["loaded"],
        "baseline_peak_memory_mb": other[-1]["memory"] if other else None,
        "all_finite": bool(mine[-1]["finite"]),
        "import_seconds": imports,
        "help_seconds": help_seconds,
        "help_imports": modules,
    }
    write_result("speed", "Speed and memory", lines, data, folder=options.results, model=model)
    missed = [
        text
        for text, failed in (
            ("spectra per second", float(np.median(rates)) < GOAL_RATE),
            ("memory", memory >= GOAL_MEMORY),
            ("start", float(np.median(help_seconds)) >= GOAL_START or "torch" in modules),
        )
        if failed
    ]
    if missed:
        sys.exit(f"below the goal: {', '.join(missed)}")


if __name__ == "__main__":
    main()
