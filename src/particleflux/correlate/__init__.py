"""Rank correlation of candidate inputs with the flux against offset time, and the inputs it suggests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.correlate._ranks import bound, centre_ranks, correlate_ranks, draw_blocks
from particleflux.correlate.suggestion import Suggestion, suggest
from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.names import VARIABLES, require

__all__ = ["CANDIDATES", "MINIMUM_PAIRS", "OFFSETS", "Suggestion", "correlate", "suggest"]

Array = npt.NDArray[np.float64]

#: What is tried when no candidates are named, where the history holds it; the electron flux itself comes first.
CANDIDATES = (
    "solar_wind_speed", "solar_wind_density", "solar_wind_pressure", "standoff", "b_total", "by_gsm", "bz_gsm",
    "kp", "ap", "dst", "ae", "f10p7",
)  # fmt: skip
#: Offsets that are tried when none are named, by their unit.
OFFSETS = {"d": range(31), "h": range(0, 193, 3)}
#: Fewer pairs than two solar rotations of days give no coefficient.
MINIMUM_PAIRS = 54

_STEPS = {"d": 1, "h": 24}
_FLUX = "electron_flux_gt2mev"


def correlate(
    history: xr.Dataset,
    *,
    candidates: Sequence[str] | None = None,
    offsets: Iterable[int] | None = None,
    unit: str = "d",
    target: str = "fluence_gt2mev",
    n_bootstrap: int = 200,
    block: int = 27,
    seed: int = 1,
) -> xr.Dataset:
    r"""Correlate the ranks of candidate inputs with those of the target, for each offset back in time.

    An offset of k days pairs the candidate's value of the day :math:`d - k` with the target of day :math:`d`; one of
    k hours pairs the hour that begins k hours before the target's day does. Only pairs without a missing value count,
    and the ranks are taken among them (equal values share their mean rank), so a coefficient is Spearman's

    .. math:: \rho = \frac{\overline{u v}}{\sqrt{\overline{u^2}\,\overline{v^2}}}, \qquad
        u = \frac{R(x) - 1/2}{n} - \frac{1}{2}, \quad v = \frac{R(y) - 1/2}{n} - \frac{1}{2}

    Intervals come from a circular block bootstrap of the target's days, pairs kept together and the same draws for all
    candidates and offsets. A replicate is linear in how often a day is drawn: each pair enters with its influence on
    the coefficient (the derivative with respect to its weight, through its own ranks and through those of all others),
    on the scale of artanh. That is what ranking each replicate anew gives to first order, at a hundredth of the work.

    To choose inputs, a history reduced to the training days (all else NaN) must be handed over.

    Parameters
    ----------
    history : Dataset, dims (time) or (time, hour)
        One row per day without a day left out, as `open_history` gives it; what is missing is NaN.
    candidates : sequence of str, optional
        Names of variables; by default the flux itself and those of `CANDIDATES` that are there. With hours, the names
        without `_hourly`.
    offsets : iterable of int, optional
        Days or hours, from 0 on, in rising order; by default `OFFSETS` of the unit.
    unit : {"d", "h"}
        Of the offsets: days, or hours.
    target : str
        Name of the daily variable to be forecast.
    n_bootstrap : int
        Replicates for the intervals.
    block : int
        Length of a block in days; one solar rotation keeps what recurs together.
    seed : int
        The same seed gives the same intervals.

    Returns
    -------
    Dataset, dims (candidate, offset)
        `correlation` with `correlation_lower` and `correlation_upper` (95 % interval); `added_correlation` with its
        bounds, the same for the part of the target that its own rank of the day before does not explain (the residual
        of a straight line between the ranks); `n`, the number of pairs; `candidate_correlation` (candidate, other) of
        the candidates with each other at the same time. All 1; NaN with fewer than `MINIMUM_PAIRS` pairs or where a
        variable is constant.

    Raises
    ------
    AxisError
        If the history has no such variable, or is no table of consecutive days.
    UnitError
        If a variable has another unit than its name promises.
    MissingDataError
        If the target is missing nearly everywhere, or no candidate is there.
    DataError
        If a setting cannot be used, or the history is too short for the blocks.

    References
    ----------
    Wei et al. (2018), Space Weather 16, 903, doi 10.1029/2018SW001829: rank correlation against offset time.
    Politis and Romano (1992), in Exploring the Limits of Bootstrap: the circular block bootstrap.
    """
    steps = _check_settings(unit, n_bootstrap, block)
    days = _check_days(history, block)
    lags = _check_offsets(OFFSETS[unit] if offsets is None else offsets, days * steps)
    names = _choose(history, candidates, unit, target)
    goal = _read(history, target, 1)
    if np.isfinite(goal).sum() < MINIMUM_PAIRS:
        msg = (
            f"{target!r} has {np.isfinite(goal).sum()} days with a value, expected {MINIMUM_PAIRS} at least; "
            "give a longer history or other periods"
        )
        raise MissingDataError(msg)
    series = np.stack([_read(history, name, steps) for name in names])
    unexplained = _residual(goal)
    weights = draw_blocks(days, block, n_bootstrap, seed)
    pieces = [_at_offsets(values, goal, unexplained, lags, steps, weights) for values in series]
    coords = {"candidate": names, "offset": ("offset", lags, {"units": unit, "long_name": "time before the target"})}
    dataset = xr.Dataset(coords=coords)
    long_names = ("rank correlation", "rank correlation with what the day before leaves unexplained")
    for index, name in enumerate(("correlation", "added_correlation")):
        for row, (suffix, bound_name) in enumerate(
            (("", ""), ("_lower", ", 2.5 % quantile"), ("_upper", ", 97.5 % quantile"))
        ):
            values = np.stack([piece[index][row] for piece in pieces])
            described = {"units": "1", "long_name": long_names[index] + bound_name}
            dataset[name + suffix] = (("candidate", "offset"), values, described)
    numbers = np.stack([piece[2] for piece in pieces])
    dataset["n"] = (("candidate", "offset"), numbers, {"units": "1", "long_name": "number of pairs"})
    described = {"units": "1", "long_name": "rank correlation of two candidates at the same time"}
    dataset["candidate_correlation"] = (("candidate", "other"), _mutual(series), described)
    return dataset.assign_coords(other=names).assign_attrs(
        target=target, n_bootstrap=n_bootstrap, block=block, seed=seed
    )


def _at_offsets(
    values: Array, goal: Array, unexplained: Array, lags: npt.NDArray[np.int64], steps: int, weights: Array
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    # The row of the value that lies the offset before the start of each target day; before the history there is none.
    position = np.arange(len(goal))[:, None] * steps - lags
    lagged = np.where(position >= 0, values[np.maximum(position, 0)], np.nan)
    made = []
    for against in (goal, unexplained):
        together = np.isfinite(lagged) & np.isfinite(against)[:, None]
        coefficient = np.full(len(lags), np.nan)
        influence = np.zeros(lagged.shape)
        for column in range(len(lags)):
            rows = together[:, column]
            if rows.sum() >= MINIMUM_PAIRS:
                coefficient[column], influence[rows, column] = correlate_ranks(lagged[rows, column], against[rows])
        lower, upper = bound(coefficient, influence, together, weights)
        made.append((np.stack([coefficient, lower, upper]), together.sum(axis=0)))
    return made[0][0], made[1][0], made[0][1]


def _residual(goal: Array) -> Array:
    """Give what the rank of the day before leaves of the target's rank; NaN where either is missing."""
    residual = np.full(len(goal), np.nan)
    rows = np.flatnonzero(np.isfinite(goal[1:]) & np.isfinite(goal[:-1])) + 1
    if len(rows):
        now, before = centre_ranks(goal[rows]), centre_ranks(goal[rows - 1])
        spread = before @ before
        residual[rows] = now - before * (now @ before / spread if spread else 0.0)
    return residual


def _mutual(series: Array) -> Array:
    matrix = np.full((len(series), len(series)), np.nan)
    for first in range(len(series)):
        for second in range(first, len(series)):
            rows = np.isfinite(series[first]) & np.isfinite(series[second])
            if rows.sum() >= MINIMUM_PAIRS:
                coefficient = correlate_ranks(series[first, rows], series[second, rows])[0]
                matrix[first, second] = matrix[second, first] = coefficient
    return matrix


def _choose(history: xr.Dataset, candidates: Sequence[str] | None, unit: str, target: str) -> list[str]:
    if candidates is None:
        ending = "_hourly" if unit == "h" else ""
        known = (_FLUX if unit == "h" else target, *CANDIDATES)
        names = [name for name in dict.fromkeys(known) if name + ending in history.variables]
        if not names:
            msg = "the history holds no hourly variable; make it from hourly sources, or take offsets in days"
            raise MissingDataError(msg)
        return names
    names = [str(name) for name in ([candidates] if isinstance(candidates, str) else candidates)]
    if not names or len(set(names)) < len(names):
        msg = f"candidates={names}: expected names of variables, each once"
        raise DataError(msg)
    return names


def _read(history: xr.Dataset, name: str, steps: int) -> Array:
    """Give one variable as one row of numbers, daily or hourly, with NaN for all that is no number."""
    full = name if steps == 1 else f"{name}_hourly"
    if full not in history.data_vars:
        dims = {"time"} if steps == 1 else {"time", "hour"}
        found = sorted(str(key) for key, value in history.data_vars.items() if set(value.dims) == dims)
        msg = f"the history has no variable {full!r} on {sorted(dims)}: found {found}; name one of those"
        raise AxisError(msg)
    array: xr.DataArray = history[full]
    dims_expected = ("time",) if steps == 1 else ("time", "hour")
    if set(array.dims) != set(dims_expected) or array.dtype.kind not in "fiu":
        msg = f"{full!r} has dimensions {array.dims} and type {array.dtype}, expected numbers on {dims_expected}"
        raise AxisError(msg)
    if steps > 1 and history.sizes["hour"] != steps:
        msg = f"{full!r} has {history.sizes['hour']} hours a day, expected {steps}"
        raise AxisError(msg)
    if full in VARIABLES:
        require(history, full)
    elif name in VARIABLES and array.attrs.get("units") != VARIABLES[name].units:
        msg = f"{full!r} has units {array.attrs.get('units')!r}, expected {VARIABLES[name].units!r}; convert it"
        raise UnitError(msg)
    values: Any = array.transpose(*dims_expected).to_numpy().astype(np.float64).reshape(-1)
    return np.where(np.isfinite(values), values, np.nan)


def _check_settings(unit: str, n_bootstrap: int, block: int) -> int:
    if unit not in _STEPS:
        msg = f"unit={unit!r} of the offsets is unknown, expected 'd' (days) or 'h' (hours)"
        raise DataError(msg)
    if n_bootstrap < 20 or block < 1:
        msg = f"n_bootstrap={n_bootstrap} and block={block}: expected 20 replicates and blocks of 1 day at least"
        raise DataError(msg)
    return _STEPS[unit]


def _check_days(history: xr.Dataset, block: int) -> int:
    if "time" not in history.dims or history["time"].dtype.kind != "M":
        msg = f"the history has dimensions {sorted(map(str, history.dims))}, expected 'time' with the dates of its days"
        raise AxisError(msg)
    time = history["time"].to_numpy()
    wrong = np.flatnonzero(np.diff(time) != np.timedelta64(1, "D"))
    if len(wrong):
        first, second = np.datetime_as_string(time[wrong[0] : wrong[0] + 2], unit="h")
        msg = f"the history goes from {first} to {second}, expected one row for every day; read it with open_history"
        raise AxisError(msg)
    if len(time) < 4 * block:
        msg = f"the history covers {len(time)} days, expected 4 blocks of {block} at least; give a longer one"
        raise DataError(msg)
    return len(time)


def _check_offsets(offsets: Iterable[int], rows: int) -> npt.NDArray[np.int64]:
    given = np.asarray(list(offsets))
    if given.size == 0 or given.ndim != 1 or given.dtype.kind not in "iu" or given[0] < 0 or (np.diff(given) < 1).any():
        msg = f"offsets={given.tolist()}: expected whole numbers from 0 on in rising order"
        raise DataError(msg)
    if given[-1] >= rows:
        msg = f"an offset of {given[-1]} reaches beyond the history, which has {rows} rows; give smaller offsets"
        raise DataError(msg)
    return given.astype(np.int64)
