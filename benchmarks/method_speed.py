"""Speed and memory of every method, on simulated counts of all forms, intervals included.

Each method lives in a process of its own through the whole benchmark and they take turns, as in `benchmarks/speed.py`,
so that what else the machine does falls on all alike and the memory of each is its own.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import arguments, load_model, table, write_result
from speed import CORES, Side, Work, span

from particleflux.reconstruct import METHODS
from particleflux.unfold.npe_targets import NPE_SHIPPED

SEED = 20240515
#: Spectra a run, enough for a second or more of work.
ROWS = {"npe": 100_000, "ensemble": 100_000, "bowtie": 100_000, "regularised": 2_000, "fit": 1_000, "bayes": 200}
#: Spectra per second, and MB for the rows of `npe`.
GOALS = {"npe": 20_000, "fit": 50, "bayes": 20}
GOAL_MEMORY = 1000
RESPONSE_ERROR = 0.05


def simulate(rows: int, path: Path) -> None:
    """Write counts and background of the mixture that `npe` is trained on; in a process of its own, for its memory."""
    import xarray as xr

    from particleflux.instruments import load_instrument
    from particleflux.names import attributes
    from particleflux.simulate import Mixture, Population, Range

    instrument = load_instrument("radem")
    number = instrument.configurations[0].number
    response = instrument.response("proton", number).select(list(instrument.reads["proton"]))
    population = Population(response, instrument.reads["proton"][0])
    mixture = Mixture((population,), instrument.quiet_rate, response_error=Range(RESPONSE_ERROR, RESPONSE_ERROR))
    drawn = mixture.draw(rows, np.random.default_rng(SEED), energies=[(10.0,)], thresholds=[(10.0,)])
    exposure = drawn.exposure[:, None]
    rates = {
        "background_rate": drawn.background / exposure,
        "background_rate_std": drawn.background_error * drawn.background / exposure,
        "background_rate_common_std": drawn.background_common * drawn.background / exposure,
    }
    time_axis = np.datetime64("2024-05-01", "ns") + np.arange(rows) * np.timedelta64(1, "m")
    xr.Dataset(
        {
            "counts": (("time", "channel"), drawn.counts, attributes("counts")),
            "exposure": ("time", drawn.exposure, attributes("exposure")),
            "quality": ("time", np.zeros(rows, dtype=np.int32), attributes("quality")),
            **{name: (("time", "channel"), values, attributes(name)) for name, values in rates.items()},
        },
        coords={"time": time_axis, "channel": list(mixture.channels)},
        attrs={"instrument": instrument.name},
    ).to_netcdf(path, engine="h5netcdf")


def prepare(name: str, rows: int, path: Path, model: str) -> Work:
    """Load what a method needs; the work is one call of its `unfold`."""
    import xarray as xr

    from particleflux.reconstruct import load_method

    with xr.open_dataset(path, engine="h5netcdf") as opened:
        counts = opened.isel(time=slice(rows)).load()
    method = load_method(name, model=model if name == "npe" else None, response_error=RESPONSE_ERROR)

    def work() -> dict[str, float]:
        began, used = time.perf_counter(), time.process_time()
        spectra = method.unfold(counts, counts)
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        answered = float(spectra["flux"].notnull().any("energy").mean())
        return {"seconds": seconds, "cpu_seconds": cpu, "answered": answered}

    return work


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.set_defaults(model=NPE_SHIPPED["proton"])
    parser.add_argument("--methods", nargs="+", default=list(ROWS), choices=METHODS, help="in this order")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows, for a trial")
    parser.add_argument("--repeats", type=int, default=3, help="rounds in which every method runs once")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    model = load_model(options.model)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    rows = {name: max(int(ROWS[name] * options.scale), 10) for name in options.methods}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.nc"
        maker = multiprocessing.get_context("spawn").Process(target=simulate, args=(max(rows.values()), path))
        maker.start()
        maker.join()
        if maker.exitcode:
            sys.exit("the simulation of the counts failed")
        sides = {
            name: Side(functools.partial(prepare, name, number), path, options.model) for name, number in rows.items()
        }
        for side in sides.values():
            side.run()  # the first call touches fresh memory; it counts for the peak and not for the speed
        for _ in range(options.repeats):
            for name, side in sides.items():
                runs[name].append(side.run())
        for side in sides.values():
            side.stop()
    rates = {name: [rows[name] / run["seconds"] for run in done] for name, done in runs.items()}
    memory = {name: done[-1]["memory"] for name, done in runs.items()}
    lines = [
        f"{CORES} cores; median and range of {options.repeats} rounds in which the methods take turns, on samples of",
        "the mixture of forms that `npe` is trained on: signals from a thousandth of the background to 1e5 times it,",
        f"accumulations of a minute to a day. Goals: {', '.join(f'{name} {goal:,}' for name, goal in GOALS.items())}",
        f"spectra per second, and less than {GOAL_MEMORY:,} MB for {ROWS['npe']:,} rows of `npe`. The machine's load "
        f"average was {load:.1f} on",
        f"{os.cpu_count()} cores when the benchmark started.",
        "",
        *table(
            (
                "method", "rows", "spectra per second", "processor time a spectrum (ms)", "peak memory (MB)",
                "of it before the work (MB)", "answered",
            ),
            [
                (
                    name,
                    f"{rows[name]:,}",
                    span(rates[name]),
                    f"{1e3 * float(np.median([run['cpu_seconds'] for run in runs[name]])) / rows[name]:.3g}",
                    f"{memory[name]:,.0f}",
                    f"{sides[name].start['loaded']:,.0f}",
                    f"{runs[name][-1]['answered']:.1%}",
                )
                for name in rows
            ],
        ),
    ]  # fmt: skip
    data = {
        name: {
            "rows": rows[name],
            "spectra_per_second": rates[name],
            "cpu_seconds": [run["cpu_seconds"] for run in runs[name]],
            "peak_memory_mb": memory[name],
            "loaded_memory_mb": sides[name].start["loaded"],
            "answered": runs[name][-1]["answered"],
        }
        for name in rows
    }
    write_result(
        "method_speed",
        "Speed and memory of the methods",
        lines,
        {"cores": CORES, "load_before": load, "methods": data},
        folder=options.results,
        model=model,
    )
    missed = [
        f"{name} {float(np.median(rates[name])):,.0f} spectra per second, goal {goal:,}"
        for name, goal in GOALS.items()
        if name in rates and float(np.median(rates[name])) < goal
    ]
    if memory.get("npe", 0.0) >= GOAL_MEMORY:
        missed.append(f"npe {memory['npe']:,.0f} MB, goal under {GOAL_MEMORY:,}")
    if missed:
        sys.exit(f"below the goal: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
