"""Events in bare arrays: a regular grid of points, which of them make an event, and what a curve says about it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

#: Least share of a step's samples for their mean to count.
COVERAGE = 0.5


class Span(NamedTuple):
    """First and last point at or above the threshold, and whether the event is over."""

    first: int
    last: int
    is_over: bool


class Reading(NamedTuple):
    """What one curve says about an event; indices of points, flux, and fluence in flux times seconds.

    In `floor`, a fluence too, points at which nothing was detected count nothing. `is_seen` is false where the curve
    shows no event, and was read over the time of the known one.
    """

    first: int
    last: int
    is_over: bool
    peak: float
    peak_at: int
    fluence: float
    floor: float
    is_seen: bool = True


def regular_grid(time: Times, every: str) -> tuple[Times, npt.NDArray[np.intp], float]:
    """Lay a regular grid over instants: of `every`, or of their own cadence where that is coarser.

    Parameters
    ----------
    time : ndarray of datetime64, shape (time,)
        Rising instants, starts of their accumulations.
    every : str
        The step asked for.

    Returns
    -------
    grid : ndarray of datetime64[ns], shape (point,)
        Start of each step.
    index : ndarray of int, shape (time,)
        Point of each instant.
    n_expected : float
        Samples that a whole step has.
    """
    instants = np.asarray(time, dtype="datetime64[ns]").astype(np.int64)
    asked = pd.Timedelta(every).value
    own = int(np.median(np.diff(instants))) if len(instants) > 1 else asked
    if own < 0.99 * asked:
        begin = instants[0] - instants[0] % asked
        index = (instants - begin) // asked
        step, n_expected = asked, asked / own
    else:
        begin, step, n_expected = instants[0], own, 1.0
        index = np.rint((instants - begin) / own).astype(np.int64)
    grid = begin + step * np.arange(index[-1] + 1)
    return grid.astype("datetime64[ns]"), index.astype(np.intp), n_expected


def average(values: Array, index: npt.NDArray[np.intp], n_points: int, n_expected: float) -> Array:
    """Average samples to the points of a grid.

    Parameters
    ----------
    values : ndarray, shape (time, ...)
        Samples; NaN is missing.
    index : ndarray of int, shape (time,)
        Point of each.
    n_points : int
        Length of the grid.
    n_expected : float
        Samples of a whole point.

    Returns
    -------
    ndarray, shape (point, ...)
        Means; NaN where less than half of the samples are there.
    """
    finite = np.isfinite(values)
    total = np.zeros((n_points, *values.shape[1:]))
    number = np.zeros_like(total)
    np.add.at(total, index, np.where(finite, values, 0.0))
    np.add.at(number, index, finite)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number >= COVERAGE * n_expected, total / number, np.nan)


def detect(flux: Array, threshold: float, points: int, dwell: int, is_limit: Flags) -> list[Span]:
    """Find events in one curve.

    Parameters
    ----------
    flux : ndarray, shape (point,)
        Integral flux; NaN is missing, and neither above nor below.
    threshold : float
        What a point must reach.
    points : int
        Consecutive points it takes; a missing one between them breaks the row.
    dwell : int
        Points below that end it, missing ones between them not counted.
    is_limit : ndarray of bool, shape (point,)
        Points at which nothing was detected: their flux is an upper limit, and they are below.

    Returns
    -------
    list of Span
        In the order of time.
    """
    finite = np.isfinite(flux)
    above = finite & ~is_limit & (np.where(finite, flux, -np.inf) >= threshold)
    if len(flux) < points:
        return []
    rows = np.convolve(above, np.ones(points, dtype=np.intp), mode="valid")
    onsets = np.flatnonzero(rows == points)
    below = np.cumsum(finite & ~above)
    run: npt.NDArray[np.int64] = below - np.maximum.accumulate(np.where(above, below, 0))
    over = np.flatnonzero(run >= dwell)
    at_or_above = np.flatnonzero(above)
    spans: list[Span] = []
    position = 0
    while (found := np.searchsorted(onsets, position)) < len(onsets):
        first = int(onsets[found])
        end = np.searchsorted(over, first)
        is_over = bool(end < len(over))
        position = int(over[end]) if is_over else len(flux)
        last = int(at_or_above[np.searchsorted(at_or_above, position) - 1])
        spans.append(Span(first, last, is_over))
    return spans


def read_span(flux: Array, span: Span, step: float, is_limit: Flags) -> Reading:
    """Read peak and fluence off a curve between two points.

    Parameters
    ----------
    flux : ndarray, shape (point,)
        Integral flux; missing points inside are bridged for the fluence, linearly in the logarithm.
    span : Span
        The points.
    step : float
        Length of a point, s.
    is_limit : ndarray of bool, shape (point,)
        As in `detect`. They make no peak.

    Returns
    -------
    Reading
        Peak NaN where no point is there.
    """
    rows = slice(span.first, span.last + 1)
    part, limit = flux[rows], is_limit[rows]
    finite = np.flatnonzero(np.isfinite(part))
    if not len(finite):
        return Reading(span.first, span.last, span.is_over, np.nan, span.first, np.nan, np.nan)
    detected = finite[~limit[finite]]
    peak_at = int(detected[np.argmax(part[detected])]) if len(detected) else 0
    peak = float(part[peak_at]) if len(detected) else np.nan
    everywhere = np.arange(len(part))
    if (part[finite] > 0).all():
        bridged = np.exp(np.interp(everywhere, finite, np.log(part[finite])))
    else:
        bridged = np.interp(everywhere, finite, part[finite])
    # A bridge to a limit fades on its way there.
    counted = bridged * np.interp(everywhere, finite, np.where(limit[finite], 0.0, 1.0))
    fluence, floor = (float(values.sum() * step) for values in (bridged, counted))
    return Reading(span.first, span.last, span.is_over, peak, span.first + peak_at, fluence, floor)


def read_curve(
    flux: Array, nominal: Span, window: slice, threshold: float, rule: tuple[int, int], is_limit: Flags, step: float
) -> Reading:
    """Find a known event in another curve: a bound or a draw.

    Parameters
    ----------
    flux : ndarray, shape (point,)
        The other curve.
    nominal : Span
        The event in the curve of best values.
    window : slice
        Where to look: up to the events before and after.
    threshold : float
        What a point must reach.
    rule : tuple of two int
        Consecutive points, and points of dwell.
    is_limit : ndarray of bool, shape (point,)
        As in `detect`.
    step : float
        Length of a point, s.

    Returns
    -------
    Reading
        From the first to the last of its events that overlap the known one; where there is none, what the curve holds
        over the time of the known one, with `is_seen` false.
    """
    begin = window.start
    spans = [
        Span(span.first + begin, span.last + begin, span.is_over)
        for span in detect(flux[window], threshold, *rule, is_limit[window])
    ]
    spans = [span for span in spans if span.first <= nominal.last and span.last >= nominal.first]
    if not spans:
        return read_span(flux, nominal, step, is_limit)._replace(is_seen=False)
    # An event at the end of the window is over where the known one is: the next begins there.
    is_over = spans[-1].is_over or window.stop < len(flux)
    return read_span(flux, Span(spans[0].first, spans[-1].last, is_over), step, is_limit)
