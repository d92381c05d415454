"""The joint draws of `npe`, and its judgement of the fit, on cases with known truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from coverage_cases import ENERGIES, SEED, STREAMS, TRUE_THRESHOLDS, Cases

from particleflux.products.integral import integrate
from particleflux.reconstruct.refold import fold_curves
from particleflux.response import Response
from particleflux.unfold.labels import DEFAULT_ENERGIES
from particleflux.unfold.npe import NpeUnfolder

Array = npt.NDArray[np.float64]

SAMPLES = 100
#: Draws that a truth is ranked among: 100 possible ranks, five to a bin.
RANKED, BINS = 99, 20
#: Cases that are folded back.
REFOLDED = 2000
LEVELS = (0.025, 0.16, 0.84, 0.975)
# Cases that get the same random numbers. One and the same set for all would leave its own chance in every histogram.
_TOGETHER = 8


def draws(method: NpeUnfolder, cases: Cases, energies: tuple[float, ...]) -> Iterator[tuple[slice, Array]]:
    """Give rows and their joint draws of the flux, shape (row, sample, energy); every few rows of other numbers."""
    sampling = replace(method, energies=energies, samples=SAMPLES)
    for start in range(0, len(cases.strength), _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        yield rows, sampling.predict(cases.observation[rows], seed=start).samples


def rank(method: NpeUnfolder, cases: Cases) -> tuple[npt.NDArray[np.intp], list[dict[str, Any]]]:
    """Rank the truth among joint draws, and test the intervals of integrals that are taken from the draws.

    Returns
    -------
    ranks : ndarray of int, shape (n, energy)
        Draws below the truth, 0 to `RANKED` (Talts et al. 2018, arXiv:1804.06788).
    integrals : list of dict
        For each threshold, shares of truths inside (%).
    """
    grid = np.array(sorted({*DEFAULT_ENERGIES, *ENERGIES}))
    columns = np.searchsorted(grid, ENERGIES)
    n = len(cases.strength)
    ranks = np.empty((n, len(ENERGIES)), dtype=np.intp)
    bounds = np.empty((n, len(LEVELS), len(TRUE_THRESHOLDS)))
    truth = np.exp(cases.log_flux)
    for rows, flux in draws(method, cases, tuple(grid.tolist())):
        ranks[rows] = (flux[:, :RANKED, columns] < truth[rows, None]).sum(axis=1)
        for index, threshold in enumerate(TRUE_THRESHOLDS):
            above = np.add(*integrate(flux, grid, threshold))
            bounds[rows, :, index] = np.quantile(above, LEVELS, axis=1).T
    narrow, wide = inside(bounds, np.exp(cases.log_integral))
    shares = zip(TRUE_THRESHOLDS, narrow.mean(axis=0), wide.mean(axis=0), strict=True)
    return ranks, [
        {"above MeV": level, "in 68 %": 100 * float(in_68), "in 95 %": 100 * float(in_95)}
        for level, in_68, in_95 in shares
    ]


def inside(bounds: Array, truth: Array) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which truths (n, target) the 68 % and the 95 % interval hold; bounds (n, 4, target) at `LEVELS`."""
    narrow = (bounds[:, 1] <= truth) & (truth <= bounds[:, 2])
    return narrow, (bounds[:, 0] <= truth) & (truth <= bounds[:, 3])


def histogram(ranks: npt.NDArray[np.intp]) -> Array:
    """Count ranks in equal bins, over what is expected; shape (energy, bin)."""
    counts = np.stack([np.bincount(column * BINS // (RANKED + 1), minlength=BINS) for column in ranks.T])
    return np.asarray(counts * BINS / len(ranks))


def refold(method: NpeUnfolder, cases: Cases, response: Response) -> list[dict[str, Any]]:
    """Fold joint draws back into counts, and see whether they hold the true signals and the counts.

    The counts chose the draws, so that a 68 % interval of new counts holds more than 68 % of the old ones.
    """
    nodes = np.array(method.artefact.card["populations"][-1]["nodes"], dtype=float)
    rng = np.random.default_rng([SEED, STREAMS["replicas"]])
    n, n_channels = cases.signal.shape
    told = cases.observation
    of_signal, of_counts = np.empty((n, 4, n_channels)), np.empty((n, 4, n_channels))
    pull = np.empty((n, n_channels))
    for rows, flux in draws(method, cases, tuple(nodes.tolist())):
        part = told[rows]
        rate = fold_curves(nodes, flux.reshape(-1, len(nodes)), response).reshape(len(part), SAMPLES, n_channels)
        signal = rate * part.exposure[:, None, None]
        of_signal[rows] = np.quantile(signal, LEVELS, axis=1).transpose(1, 0, 2)
        shape = signal.shape
        common = part.background_common[:, None] * rng.standard_normal((*shape[:2], 1))
        drift = np.maximum(1.0 + common + part.background_own[:, None] * rng.standard_normal(shape), 0.05)
        gain = np.maximum(1.0 + part.response_error[:, None] * rng.standard_normal(shape), 0.0)
        again = rng.poisson(np.minimum(signal * gain + part.background[:, None] * drift, 1e15)).astype(float)
        # Small counts are tied: they are moved apart within half a count.
        blur = rng.uniform(-0.5, 0.5, (len(part), n_channels))
        again += rng.uniform(-0.5, 0.5, shape)
        of_counts[rows] = np.quantile(again, LEVELS, axis=1).transpose(1, 0, 2)
        middle, spread = np.median(again, axis=1), of_counts[rows, 2] - of_counts[rows, 1]
        pull[rows] = (part.counts + blur - middle) / (0.5 * spread)
        of_counts[rows] -= blur[:, None]
    matters = cases.signal > 0.1 * told.background
    result: list[dict[str, Any]] = []
    for index, name in enumerate(response.channels):
        chosen = matters[:, index]
        signal_in = [100 * float(item[chosen, index].mean()) for item in inside(of_signal, cases.signal)]
        counts_in = [100 * float(item[:, index].mean()) for item in inside(of_counts, told.counts)]
        low, middle, high = np.quantile(pull[:, index], (0.16, 0.5, 0.84))
        result.append(
            {
                "channel": name,
                "true signal in 68 %": signal_in[0],
                "true signal in 95 %": signal_in[1],
                "counts in 68 %": counts_in[0],
                "counts in 95 %": counts_in[1],
                "pull 16 %": float(low),
                "pull median": float(middle),
                "pull 84 %": float(high),
            }
        )
    return result


def judge(method: NpeUnfolder, cases: Cases, channels: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """Test the fit probability: alike often everywhere where the model holds, small where a channel counts wrong."""
    probability = method.predict(cases.observation).fit_probability
    edges = np.linspace(0, 1, 11)
    share = 100 * np.histogram(probability, edges)[0] / len(probability)
    rows: list[dict[str, Any]] = [
        {"fit probability": f"{low:.1f} to {high:.1f}", "cases %": float(value)}
        for low, high, value in zip(edges[:-1], edges[1:], share, strict=True)
    ]
    rows.append({"fit probability": "below 0.01", "cases %": 100 * float((probability < 0.01).mean())})
    strong = cases.strength > 10
    sharp = strong & (cases.observation.response_error.max(axis=1) <= 0.05)
    power: list[dict[str, Any]] = []
    for index, name in enumerate(channels):
        line: dict[str, Any] = {"channel counts too much": name}
        for factor in (1.5, 2.0):
            counts = cases.observation.counts.copy()
            counts[:, index] = np.round(counts[:, index] * factor)
            found = method.predict(cases.with_counts(counts).observation).fit_probability < 0.01
            for chosen, title in ((slice(None), "all"), (strong, "strong"), (sharp, "strong, response known to 5 %")):
                line[f"x {factor:g}, {title}"] = 100 * float(found[chosen].mean())
        power.append(line)
    return {"uniform": rows, "power": power}
