"""Accuracy and coverage on simulated truth: the ensembles beside the exact posterior, case by case.

Run: python benchmarks/simulated_truth.py [--rows 20000] [--yardstick-rows 1000] [--model NAME_OR_FOLDER] [--tables DIR]

Index uniform in 0.5-5, rollover energy log-uniform in 1-100 MeV. Cases (b): no background, PDH1 expects 1e2, 1e3, 1e4
counts. Cases (c): the quiet background of October 2023, 900 s, the signal in PDH1 1, 10, 100 times its background.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr
from common import write_result
from posterior import Posterior

from particleflux.instruments import Instrument, load_instrument
from particleflux.response import Response
from particleflux.simulate import Draw, Range, RateTable, Simulation
from particleflux.unfold.ensemble import SHIPPED, EnsembleUnfolder

Array = npt.NDArray[np.float64]

ENERGIES = (5.0, 10.0, 20.0)
NOISE_FREE_ENERGIES = (5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0)
SEED = 20240101
# What is promised: error over that of the exact posterior, shares of truths inside the intervals, noise-free error (%).
MAX_RATIO, IN_68, IN_95, MAX_NOISE_FREE = 1.25, (63.0, 73.0), (92.0, 98.0), 1.0
EXPOSURE = 900.0


@dataclass(frozen=True)
class Case:
    """One of the six: how much signal, and whether there is background."""

    title: str
    signal_in_pdh1: float
    is_background: bool


CASES = (
    Case("b 1e2", 1e2, is_background=False),
    Case("b 1e3", 1e3, is_background=False),
    Case("b 1e4", 1e4, is_background=False),
    Case("c 1x", 1.0, is_background=True),
    Case("c 10x", 10.0, is_background=True),
    Case("c 100x", 100.0, is_background=True),
)


def simulate(
    case: Case, instrument: Instrument, response: Response, n: int, background_error: float, response_error: float
) -> Draw:
    expected = case.signal_in_pdh1
    if case.is_background:
        expected *= instrument.quiet_rate["PDH1"] * EXPOSURE
    level = 1.0 if case.is_background else 0.0
    simulation = Simulation(
        response,
        {name: instrument.quiet_rate[name] for name in response.channels},
        reference_channel="PDH1",
        signal_counts=Range(expected, expected),
        exposure=Range(EXPOSURE, EXPOSURE),
        background_level=Range(level, level),
        background_error=Range(background_error, background_error),
        response_error=Range(response_error, response_error),
        use_rate_table=True,
    )
    return simulation.draw(n, np.random.default_rng([SEED, round(1000 * expected)]))


def labelled(drawn: Draw, channels: tuple[str, ...], background_error: float) -> tuple[xr.Dataset, xr.Dataset]:
    time = np.datetime64("2024-01-01", "ns") + np.arange(len(drawn.exposure)) * np.timedelta64(1, "s")
    both = ("time", "channel")
    coordinates = {"time": time, "channel": list(channels)}
    counts = xr.Dataset(
        {
            "counts": (both, drawn.counts, {"units": "1"}),
            "exposure": ("time", drawn.exposure, {"units": "s"}),
        },
        coords=coordinates,
    )
    rate = drawn.background / drawn.exposure[:, None]
    background = xr.Dataset(
        {
            "background_rate": (both, rate, {"units": "s-1"}),
            "background_rate_std": (both, rate * background_error, {"units": "s-1"}),
        },
        coords=coordinates,
    )
    return counts, background


def _yardstick_row(row: tuple[Array, Array], *, posterior: Posterior, background_error: float) -> Array:
    return posterior.log_flux_quantiles(*row, background_error=background_error)


def yardstick(
    drawn: Draw, rows: int, response: Response, background_error: float, pool: multiprocessing.pool.Pool
) -> Array:
    """Exact posterior of the first rows: natural log flux, shape (row, quantile, energy)."""
    table = RateTable(response, Range(0.5, 5.0), Range(1.0, 100.0, log=True))
    task = partial(_yardstick_row, posterior=Posterior(table, ENERGIES), background_error=background_error)
    samples = list(zip(drawn.counts[:rows], drawn.background[:rows], strict=True))
    result = np.array(pool.map(task, samples, chunksize=20))
    return np.asarray(result - np.log(drawn.exposure[:rows, None, None]))


def log_quantiles(spectra: xr.Dataset) -> Array:
    """Natural log flux of a result, shape (row, quantile, energy)."""
    names = ("flux_lower95", "flux_lower", "flux", "flux_upper", "flux_upper95")
    return np.asarray(np.log(np.stack([spectra[name].values for name in names], axis=1)))


def median_error(quantiles: Array, truth: Array, rollover: Array) -> Array:
    """Median of abs(log10(flux / truth)) where E <= 3 E0, at each energy."""
    error = np.abs(quantiles[:, 2] - truth) / np.log(10.0)
    inside = np.array(ENERGIES) <= 3.0 * rollover[:, None]
    return np.array([np.median(error[inside[:, column], column]) for column in range(len(ENERGIES))])


def ratio_std(ours: Array, exact: Array, truth: Array, rollover: Array) -> Array:
    """Bootstrap standard deviation of the ratio of our median error to the exact one, at each energy."""
    rng = np.random.default_rng(SEED)
    ratios = []
    for _ in range(200):
        rows = rng.integers(0, len(truth), len(truth))
        ratios.append(
            median_error(ours[rows], truth[rows], rollover[rows])
            / median_error(exact[rows], truth[rows], rollover[rows])
        )
    return np.asarray(np.std(ratios, axis=0))


def check(what: str, values: npt.ArrayLike, limits: tuple[float, float]) -> list[str]:
    """Say which values lie outside the limits that this package holds itself to."""
    low, high = limits
    return [
        f"{what} {value:.3g} is outside {low:g} to {high:g}" for value in np.asarray(values) if not low <= value <= high
    ]


def coverage(quantiles: Array, truth: Array) -> tuple[Array, Array]:
    """Share of rows whose truth the 68 % and the 95 % interval hold, at each energy."""
    narrow = (quantiles[:, 1] < truth) & (truth < quantiles[:, 3])
    wide = (quantiles[:, 0] < truth) & (truth < quantiles[:, 4])
    return 100 * narrow.mean(axis=0), 100 * wide.mean(axis=0)


def run(
    title: str,
    unfolder: EnsembleUnfolder,
    instrument: Instrument,
    response: Response,
    n: int,
    *,
    background_error: float,
    response_error: float,
    yardstick_rows: int,
    pool: multiprocessing.pool.Pool,
    failures: list[str],
) -> list[dict[str, object]]:
    method = EnsembleUnfolder(unfolder.artefact, response_error=response_error, energies=ENERGIES)
    table: list[dict[str, object]] = []
    for case in CASES:
        if background_error and not case.is_background:
            continue
        drawn = simulate(case, instrument, response, n, background_error, response_error)
        spectra = method.unfold(*labelled(drawn, response.channels, background_error))
        quantiles, truth = log_quantiles(spectra), np.log(drawn.form.flux(np.array(ENERGIES)))
        rollover = drawn.shape["rollover_energy"]
        narrow, wide = coverage(quantiles, truth)
        line: dict[str, object] = {
            "setting": title,
            "case": case.title,
            "not finite": int((~np.isfinite(quantiles)).any(axis=(1, 2)).sum()),
            "error % (5/10/20 MeV)": _join(100 * (10 ** median_error(quantiles, truth, rollover) - 1)),
            "in 68 %": _join(narrow),
            "in 95 %": _join(wide),
            "3/4/5 bins %": _join([100 * float((spectra["ensemble"] == bins).mean()) for bins in (3, 4, 5)]),
        }
        if yardstick_rows:
            exact = yardstick(drawn, yardstick_rows, response, background_error, pool)
            first = slice(0, yardstick_rows)
            theirs = median_error(exact, truth[first], rollover[first])
            ours = median_error(quantiles[first], truth[first], rollover[first])
            line["rows"] = yardstick_rows
            line["error % on them"] = _join(100 * (10**ours - 1))
            line["exact error % on them"] = _join(100 * (10**theirs - 1))
            ratio, std = ours / theirs, ratio_std(quantiles[first], exact, truth[first], rollover[first])
            line["ratio to exact"] = _join(ratio, 2)
            line["its std"] = _join(std, 2)
            failures.extend(check(f"{title}, {case.title}: ratio", ratio, (0.0, MAX_RATIO)))
            line["exact in 68 %"] = _join(coverage(exact, truth[first])[0])
        failures.extend(check(f"{title}, {case.title}: in 68 %", narrow, IN_68))
        failures.extend(check(f"{title}, {case.title}: in 95 %", wide, IN_95))
        failures.extend(check(f"{title}, {case.title}: not finite", [(~np.isfinite(quantiles)).sum()], (0, 0)))
        print(line, flush=True)
        table.append(line)
    return table


def noise_free(
    unfolder: EnsembleUnfolder, instrument: Instrument, response: Response, n: int
) -> list[dict[str, object]]:
    """Median error where counts are their expectation, 1e7 in PDH1: what the networks themselves get wrong."""
    method = EnsembleUnfolder(unfolder.artefact, response_error=0.0, energies=NOISE_FREE_ENERGIES)
    drawn = simulate(Case("noise-free", 1e7, is_background=False), instrument, response, n, 0.0, 0.0)
    exact = Draw(**{**drawn.__dict__, "counts": drawn.signal})
    spectra = method.unfold(*labelled(exact, response.channels, 0.0))
    error = np.abs(np.log(spectra["flux"].values / drawn.form.flux(np.array(NOISE_FREE_ENERGIES))))
    inside = np.array(NOISE_FREE_ENERGIES) <= 3.0 * drawn.shape["rollover_energy"][:, None]
    table: list[dict[str, object]] = []
    for column, energy in enumerate(NOISE_FREE_ENERGIES):
        table.append(
            {
                "energy MeV": energy,
                "median error %, E <= 3 E0": round(100 * float(np.median(error[inside[:, column], column])), 3),
                "median error %, all rows": round(100 * float(np.median(error[:, column])), 3),
            }
        )
    return table


def _join(values: npt.ArrayLike, digits: int = 1) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in np.asarray(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--yardstick-rows", type=int, default=1000)
    parser.add_argument("--level-rows", type=int, default=200, help="yardstick rows where the level is free (slow)")
    parser.add_argument("--model", default=SHIPPED)
    parser.add_argument("--tables", help="simulate through these response tables, not the shipped model")
    parser.add_argument("--name", default="simulated_truth", help="name of the result files")
    arguments = parser.parse_args()
    instrument = load_instrument("radem")
    unfolder = EnsembleUnfolder.load(arguments.model)
    if arguments.tables:
        response = instrument.open_response(arguments.tables, species="proton").select(unfolder.channels)
    else:
        response = instrument.response("proton", 1).select(unfolder.channels)
    failures: list[str] = []
    common = {
        "failures": failures,
        "unfolder": unfolder,
        "instrument": instrument,
        "response": response,
        "n": arguments.rows,
    }
    with multiprocessing.Pool(2) as pool:
        tables = {
            "Response and background exact": run(
                "exact", **common, background_error=0.0, response_error=0.0,
                yardstick_rows=arguments.yardstick_rows, pool=pool,
            ),
            "Response error 5 %, in the truth and in the setting": run(
                "response 5 %", **common, background_error=0.0, response_error=0.05, yardstick_rows=0, pool=pool
            ),
            "Background error 5 %, in the truth and in the setting": run(
                "background 5 %", **common, background_error=0.05, response_error=0.0,
                yardstick_rows=arguments.level_rows, pool=pool,
            ),
        }  # fmt: skip
    tables["Noise-free"] = noise_free(unfolder, instrument, response, arguments.rows)
    for line in tables["Noise-free"]:
        failures.extend(
            check(
                f"noise-free, {line['energy MeV']} MeV",
                [float(str(line["median error %, all rows"]))],
                (0, MAX_NOISE_FREE),
            )
        )
    write_result(arguments.name, "Simulated truth", tables, model=unfolder.artefact)
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
