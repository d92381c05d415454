"""All methods on the same cases: error relative to the exact posterior, and coverage."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from coverage_cases import ENERGIES, REFERENCE, SEED, THRESHOLDS, Cases, labelled

from particleflux.instruments import Instrument
from particleflux.simulate import Mixture
from particleflux.unfold import Unfolder
from particleflux.unfold.bayes import BayesUnfolder
from particleflux.unfold.bowtie import BowtieUnfolder
from particleflux.unfold.detector import Detector
from particleflux.unfold.ensemble import SHIPPED, EnsembleUnfolder
from particleflux.unfold.fit import FitUnfolder
from particleflux.unfold.npe import NpeUnfolder
from particleflux.unfold.observation import DETECTION_SIGMA
from particleflux.unfold.processors import n_processors
from particleflux.unfold.regularised import RegularisedUnfolder
from particleflux.unfold.targets import SUFFIXES

Array = npt.NDArray[np.float64]

#: Relative error of the response in the cases that all methods share.
RESPONSE_ERROR = 0.05
METHODS = ("bayes", "npe", "fit", "tikhonov", "mlem", "gravel", "bowtie", "ensemble")
#: What bootstrap samples the error of a ratio is taken of.
_BOOTSTRAPS = 200
#: A flux of nought has no logarithm.
_TINY = 1e-300


def make_bayes(instrument: Instrument, source: Mixture) -> BayesUnfolder:
    """Make the exact posterior under the prior that the cases come from."""
    population = source.populations[0]
    return BayesUnfolder(
        Detector(population.response, RESPONSE_ERROR),
        population,
        instrument.quiet_rate[REFERENCE],
        ENERGIES,
        THRESHOLDS,
    )


def make(name: str, instrument: Instrument, source: Mixture) -> Unfolder:
    """Make a method that knows of the instrument what the simulation has."""
    detector = Detector(source.populations[0].response, RESPONSE_ERROR)
    if name == "bayes":
        return make_bayes(instrument, source)
    if name == "fit":
        return FitUnfolder(detector, energies=ENERGIES, thresholds=THRESHOLDS)
    if name == "bowtie":
        return BowtieUnfolder.of_instrument(instrument, detector=detector, energies=ENERGIES, thresholds=THRESHOLDS)
    if name == "ensemble":
        return EnsembleUnfolder.load(SHIPPED, response_error=RESPONSE_ERROR, energies=ENERGIES)
    return RegularisedUnfolder(detector, algorithm=name, energies=ENERGIES, thresholds=THRESHOLDS)


def answer_labelled(method: Unfolder, cases: Cases, source: Mixture) -> Array:
    """Unfold cases by the public way; natural logarithm of the quantiles, shape (n, 5, target), NaN where none."""
    spectra = method.unfold(*labelled(cases, source.channels))
    parts = []
    for name, axis, values in (("flux", "energy", ENERGIES), ("integral_flux", "threshold", THRESHOLDS)):
        chosen = spectra.reindex({axis: list(values)}, method="nearest", tolerance=1e-6)
        parts.append(np.stack([chosen[f"{name}{suffix}"].to_numpy() for suffix in SUFFIXES], axis=1))
    return np.asarray(np.log(np.maximum(np.concatenate(parts, axis=2), _TINY)))


def answer_npe(npe: NpeUnfolder, cases: Cases) -> Array:
    """Unfold cases with the errors of each; as `answer_labelled`."""
    found = npe.predict(cases.observation)
    thresholds = [float(value) for value in npe.artefact.card["populations"][-1]["thresholds"]]
    above = [thresholds.index(level) for level in THRESHOLDS]
    return np.asarray(np.log(np.concatenate([found.flux, found.integral[..., above]], axis=2)))


def answer_bayes(method: BayesUnfolder, cases: Cases) -> Array:
    """Unfold cases with the errors of each; as `answer_labelled`."""
    rows = [np.array([row]) for row in range(len(cases.strength))]
    _ = method.posterior(cases.observation[rows[0]])  # what all samples share is made once
    with ThreadPoolExecutor(n_processors()) as pool:
        found = list(pool.map(lambda row: method.posterior(cases.observation[row]), rows))
    return np.stack([np.concatenate([item.log_flux, item.log_integral], axis=1) for item in found])


def compare(
    names: list[str], npe: NpeUnfolder, instrument: Instrument, source: Mixture, cases: Cases, *, own_errors: bool
) -> list[dict[str, Any]]:
    """Put methods side by side.

    Parameters
    ----------
    names : list of str
        Methods; `bayes` is the yardstick.
    npe : NpeUnfolder
        The networks, at `ENERGIES`.
    instrument : Instrument
        For the quiet rate.
    source : Mixture
        Where the cases come from; its population is the prior of `bayes`.
    cases : Cases
        Equal response errors, unless `own_errors`.
    own_errors : bool
        Tell the errors of each sample; only `npe` and `bayes` can be told.

    Returns
    -------
    list of dict
        One for each method.
    """
    answers: dict[str, Array] = {}
    seconds: dict[str, float] = {}
    for name in dict.fromkeys(["bayes", *names]):
        begin = time.perf_counter()
        if name == "npe":
            answers[name] = answer_npe(npe, cases)
        elif own_errors:
            answers[name] = answer_bayes(make_bayes(instrument, source), cases)
        else:
            answers[name] = answer_labelled(make(name, instrument, source), cases, source)
        seconds[name] = time.perf_counter() - begin
    detected = np.asarray((cases.observation.significance > DETECTION_SIGMA).any(axis=1))
    return [
        {"method": name, "s": seconds[name], **score(answers[name], answers["bayes"], cases.targets, detected)}
        for name in answers
    ]


def score(found: Array, exact: Array, truth: Array, detected: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Give error and coverage of one method, and its error over that of `bayes` where both answered."""
    error = np.abs(found[:, 2] - truth) / np.log(10.0)
    yardstick = np.abs(exact[:, 2] - truth) / np.log(10.0)
    both = np.isfinite(error) & np.isfinite(yardstick)
    n_energies = len(ENERGIES)
    narrow = (found[:, 1] <= truth) & (truth <= found[:, 3])
    wide = (found[:, 0] <= truth) & (truth <= found[:, 4])
    columns = range(truth.shape[1])
    flux_only = np.zeros_like(both)
    flux_only[:, :n_energies] = True
    seen = both & flux_only & detected[:, None]
    return {
        "answered %": [100 * float(both[:, column].mean()) for column in columns],
        "error": [median(error, both, column) for column in columns],
        "ratio": [ratio(error, yardstick, both, column) for column in columns],
        "ratio std": [spread(error, yardstick, both, column) for column in columns],
        "pooled ratio": ratio(error, yardstick, both & flux_only),
        "pooled ratio std": spread(error, yardstick, both & flux_only),
        "pooled ratio, detected": ratio(error, yardstick, seen),
        "pooled ratio, detected, std": spread(error, yardstick, seen),
        "in 68 %": [percent(narrow, both, column) for column in columns],
        "in 95 %": [percent(wide, both, column) for column in columns],
        "pooled in 68 %": percent(narrow, both & flux_only),
        "pooled in 95 %": percent(wide, both & flux_only),
    }


def median(values: Array, chosen: npt.NDArray[np.bool_], column: int | slice = slice(None)) -> float:
    picked = values[:, column][chosen[:, column]]
    return float(np.median(picked)) if picked.size else float("nan")


def percent(values: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_], column: int | slice = slice(None)) -> float:
    picked = values[:, column][chosen[:, column]]
    return 100 * float(picked.mean()) if picked.size else float("nan")


def ratio(error: Array, yardstick: Array, chosen: npt.NDArray[np.bool_], column: int | slice = slice(None)) -> float:
    """Median error over that of `bayes` on the same numbers."""
    return median(error, chosen, column) / median(yardstick, chosen, column)


def spread(error: Array, yardstick: Array, chosen: npt.NDArray[np.bool_], column: int | slice = slice(None)) -> float:
    """Bootstrap standard deviation of `ratio`, whole cases drawn anew."""
    rng = np.random.default_rng(SEED)
    rows = rng.integers(len(error), size=(_BOOTSTRAPS, len(error)))
    return float(np.std([ratio(error[row], yardstick[row], chosen[row], column) for row in rows]))
