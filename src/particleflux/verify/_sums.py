"""Scores as functions of sums: a term per sample, the sums of the terms, and one formula from sums to score.

The scores over all samples and over every bootstrap replicate are one formula, given other sums.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

import numpy as np
import xarray as xr

from particleflux.errors import AxisError, DataError

Sums = Mapping[str, xr.DataArray]
Dim = str | Collection[Hashable]

#: Below this a variance is what rounding leaves of equal numbers.
LEAST_VARIANCE = 1e-12


def check_pair(fcst: xr.DataArray, obs: xr.DataArray, dim: Dim | None) -> tuple[xr.DataArray, xr.DataArray]:
    """Give both as real numbers with the same labels, and refuse what would be paired wrongly."""
    for name, array in (("fcst", fcst), ("obs", obs)):
        if array.dtype.kind not in "biuf":
            msg = f"{name} is of type {array.dtype}, expected numbers; convert it"
            raise DataError(msg)
        if np.isinf(array.to_numpy()).any():
            msg = f"{name} holds infinite values, such as log10 of 0; expected numbers, or NaN where one is missing"
            raise DataError(msg)
    dims = [] if dim is None else [dim] if isinstance(dim, str) else list(dim)
    for name, array in (("fcst", fcst), ("obs", obs)):
        absent = [item for item in dims if item not in array.dims]
        if absent:
            msg = f"{name} has dimensions {array.dims}, expected {absent[0]!r} among them: dim names what to score over"
            raise AxisError(msg)
    try:
        aligned = xr.align(fcst, obs, join="exact")
    except ValueError as error:
        msg = f"fcst and obs have other labels ({str(error).splitlines()[0]}); select the common ones with xarray.align"
        raise AxisError(msg) from error
    return aligned[0].astype(np.float64), aligned[1].astype(np.float64)


def total(terms: Sums, dim: Dim) -> Sums:
    return {name: term.sum(dim) for name, term in terms.items()}


def ratio(above: xr.DataArray, below: xr.DataArray) -> xr.DataArray:
    """Divide; NaN where there is nothing to divide by."""
    result: xr.DataArray = above / below.where(below > 0)
    return result


def mark(condition: xr.DataArray, known: xr.DataArray) -> xr.DataArray:
    """Give 1 where the condition holds and 0 elsewhere; NaN where that is not known."""
    return condition.astype(np.float64).where(known)


def count(terms: Sums) -> xr.DataArray:
    return terms["n"]


# Pairs of numbers.


def moments(fcst: xr.DataArray, obs: xr.DataArray) -> Sums:
    # About a number near the mean: sums of squares lose no digits.
    middle = float(obs.mean()) if obs.notnull().any() else 0.0
    good = fcst.notnull() & obs.notnull()
    f, o = ((array - middle).where(good, 0.0) for array in (fcst, obs))
    return {"n": good.astype(np.float64), "f": f, "o": o, "ff": f * f, "oo": o * o, "fo": f * o, "ee": (f - o) ** 2}


def errors(fcst: xr.DataArray, obs: xr.DataArray) -> Sums:
    """Give those of `moments` that squared errors and bias need."""
    good = fcst.notnull() & obs.notnull()
    error = (fcst - obs).where(good, 0.0)
    return {"n": good.astype(np.float64), "e": error, "ee": error**2}


def rmse(s: Sums) -> xr.DataArray:
    root: xr.DataArray = ratio(s["ee"], s["n"]) ** 0.5
    return root


def bias(s: Sums) -> xr.DataArray:
    return ratio(s["e"] if "e" in s else s["f"] - s["o"], s["n"])


def prediction_efficiency(s: Sums) -> xr.DataArray:
    variance = ratio(s["oo"], s["n"]) - ratio(s["o"], s["n"]) ** 2
    return 1 - ratio(s["ee"], s["n"]) / variance.where(variance > LEAST_VARIANCE)


def correlation(s: Sums) -> xr.DataArray:
    f, o = ratio(s["f"], s["n"]), ratio(s["o"], s["n"])
    varies = [ratio(s[square], s["n"]) - mean**2 for square, mean in (("ff", f), ("oo", o))]
    product = ratio(s["fo"], s["n"]) - f * o
    spread = (varies[0].where(varies[0] > LEAST_VARIANCE) * varies[1].where(varies[1] > LEAST_VARIANCE)) ** 0.5
    result: xr.DataArray = (product / spread).clip(-1, 1)
    return result


def skill(sum_of: xr.DataArray, sum_of_reference: xr.DataArray) -> xr.DataArray:
    result: xr.DataArray = 1 - ratio(sum_of, sum_of_reference)
    return result


def mean(s: Sums) -> xr.DataArray:
    return ratio(s["value"], s["n"])


def values(value: xr.DataArray) -> Sums:
    """Give what `mean` takes."""
    good = value.notnull()
    return {"n": good.astype(np.float64), "value": value.where(good, 0.0)}


# Probabilities and whether the event came.


def probabilities(fcst: xr.DataArray, obs: xr.DataArray) -> Sums:
    good = fcst.notnull() & obs.notnull()
    p, o = fcst.where(good, 0.0), obs.where(good, 0.0)
    return {"n": good.astype(np.float64), "p": p, "o": o, "bb": (p - o) ** 2}


def by_bin(fcst: xr.DataArray, obs: xr.DataArray, n_bins: int) -> Sums:
    """Give the terms of `probabilities` in the bin of the forecast, 0 in the others; the last bin holds 1."""
    bins = xr.DataArray(np.arange(n_bins), {"bin": (np.arange(n_bins) + 0.5) / n_bins}, ("bin",))
    # Rounded: 0.3 * 10 must be in the bin that begins at 0.3.
    inside = bins == np.clip(np.floor(np.round(fcst * n_bins, 9)), 0, n_bins - 1)
    terms = probabilities(fcst, obs)
    return {name: terms[name] * inside for name in ("n", "p", "o")}


def brier_score(s: Sums) -> xr.DataArray:
    return ratio(s["bb"], s["n"])


def brier_uncertainty(s: Sums) -> xr.DataArray:
    rate = ratio(s["o"], s["n"])
    return rate * (1 - rate)


def brier_reliability(b: Sums) -> xr.DataArray:
    shift = ratio(b["p"], b["n"]) - ratio(b["o"], b["n"])
    return ratio((b["n"] * shift**2).sum("bin"), b["n"].sum("bin"))


def brier_resolution(b: Sums) -> xr.DataArray:
    rate = ratio(b["o"].sum("bin"), b["n"].sum("bin"))
    return ratio((b["n"] * (ratio(b["o"], b["n"]) - rate) ** 2).sum("bin"), b["n"].sum("bin"))


# Yes or no, forecast and come.


def table(fcst: xr.DataArray, obs: xr.DataArray) -> Sums:
    good = fcst.notnull() & obs.notnull()
    yes, came = fcst.where(good, 0.0) > 0, obs.where(good, 0.0) > 0
    cells = {"hits": yes & came, "false_alarms": yes & ~came, "misses": ~yes & came, "correct_negatives": ~yes & ~came}
    return {name: (cell & good).astype(np.float64) for name, cell in cells.items()}


def pod(t: Sums) -> xr.DataArray:
    return ratio(t["hits"], t["hits"] + t["misses"])


def false_alarm_ratio(t: Sums) -> xr.DataArray:
    return ratio(t["false_alarms"], t["hits"] + t["false_alarms"])


def heidke_skill(t: Sums) -> xr.DataArray:
    a, b, c, d = (t[name] for name in ("hits", "false_alarms", "misses", "correct_negatives"))
    return 2 * ratio(a * d - b * c, (a + c) * (c + d) + (a + b) * (b + d))
