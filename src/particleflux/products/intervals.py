"""What the bounds or draws of a series say about an event, as intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from particleflux.products.detection import Reading, Span
from particleflux.products.integral import BOUNDS

Array = npt.NDArray[np.float64]
Value = float | str | None

_SUFFIXES = ("lower", "upper", "lower95", "upper95")
_MIRRORED = {"lower": "upper", "upper": "lower", "lower95": "upper95", "upper95": "lower95"}


@dataclass(frozen=True)
class Interval:
    """A quantity with its 68 and 95 % intervals; None where it is not known, such as the end of an event still on.

    Attributes
    ----------
    value : float, str or None
        The best value; instants are ISO 8601 text in UTC.
    lower, upper, lower95, upper95 : float, str or None
        Ends of the intervals.
    """

    value: Value
    lower: Value = None
    upper: Value = None
    lower95: Value = None
    upper95: Value = None


@dataclass(frozen=True)
class Curves:
    """A series on its grid.

    Attributes
    ----------
    time : ndarray of datetime64, shape (point,)
        Start of each point.
    step : float
        Length of a point, s.
    best : ndarray, shape (point,)
        Best values; NaN is missing.
    bounds : dict of ndarray, each shape (point,)
        The bounds there are: lower, upper, lower95, upper95.
    draws : ndarray or None, shape (point, sample)
        Joint draws.
    is_limit : ndarray of bool, shape (point,)
        Where nothing was detected.
    is_doubtful : ndarray of bool, shape (point,)
        Where a sample was left out because its flux cannot be trusted.
    """

    time: npt.NDArray[np.datetime64]
    step: float
    best: Array
    bounds: dict[str, Array]
    draws: Array | None
    is_limit: npt.NDArray[np.bool_]
    is_doubtful: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Teller:
    """Turns what other curves say about one event into intervals.

    Attributes
    ----------
    curves : Curves
        The series.
    span : Span
        The event in the best values.
    sampled : sequence of Reading or None
        What each draw says, where there are draws.
    bounds : dict of Reading
        What each bound says.
    """

    curves: Curves
    span: Span
    sampled: Sequence[Reading] | None
    bounds: dict[str, Reading]

    def number(self, name: str, value: float) -> Interval:
        """Give peak, fluence or duration, which grow with the flux.

        Parameters
        ----------
        name : str
            Which.
        value : float
            The best value.

        Returns
        -------
        Interval
            With what is known of its bounds.
        """
        return Interval(float(value), *(self._end(name, suffix, suffix) for suffix in _SUFFIXES))

    def instant(self, name: str, index: int) -> Interval:
        """Give the instant of the first, last or highest point; with more flux the first comes earlier.

        Parameters
        ----------
        name : str
            first, last or peak_at.
        index : int
            The best value.

        Returns
        -------
        Interval
            Text; None where a bound shows no event.
        """
        ends = [self._end(name, suffix, _MIRRORED[suffix] if name == "first" else suffix) for suffix in _SUFFIXES]
        if name == "peak_at" and self.sampled is None:  # no order in the flux: the earlier and the later of two curves
            for pair in (slice(0, 2), slice(2, 4)):
                known = [end for end in (*ends[pair], float(index)) if end is not None]
                ends[pair] = [min(known), max(known)] if None not in ends[pair] else [None, None]
        return Interval(self._text(index), *(None if end is None else self._text(int(end)) for end in ends))

    def _text(self, index: int) -> str:
        return format_instant(self.curves.time[index])

    def _end(self, name: str, suffix: str, curve: str) -> float | None:
        # A curve that shows no event has no onset, but what it holds over the time of the known one counts: without
        # it the lower ends would be those of the curves that happen to be high.
        needs_event = name not in ("peak", "fluence")
        # Where nothing was detected there may be nothing: a limit counts in the upper ends only.
        field = "floor" if name == "fluence" and suffix.startswith("lower") else name
        if self.sampled is not None:
            read = [_read(one, field, self.curves.step) for one in self.sampled if one.is_seen or not needs_event]
            values = [value for value in read if np.isfinite(value)]
            if not values:
                return None
            if name in ("first", "last", "peak_at"):  # a point, not a place between two: the outer one
                low = suffix.startswith("lower")
                place = BOUNDS[f"_{suffix}"] * (len(values) - 1)
                return sorted(values)[int(np.floor(place) if low else np.ceil(place))]
            return float(np.quantile(values, BOUNDS[f"_{suffix}"]))
        reading = self.bounds.get(curve)
        if reading is None or (needs_event and not reading.is_seen):
            return None
        value = _read(reading, field, self.curves.step)
        return value if np.isfinite(value) else None


def independent_fluence(curves: Curves, span: Span, value: float) -> Interval:
    """Give the fluence with errors that are independent from point to point, added in quadrature.

    Parameters
    ----------
    curves : Curves
        The series.
    span : Span
        The event in the best values.
    value : float
        Its fluence, in which limits count nothing.

    Returns
    -------
    Interval
        Between the same two points.
    """
    rows = slice(span.first, span.last + 1)
    limit = curves.is_limit[rows]
    best = np.where(limit, 0.0, curves.best[rows])
    ends: list[float | None] = []
    for suffix in _SUFFIXES:
        if curves.draws is not None:
            bound = np.quantile(curves.draws[rows], BOUNDS[f"_{suffix}"], axis=1)
        elif suffix in curves.bounds:
            bound = curves.bounds[suffix][rows]
        else:
            ends.append(None)
            continue
        if suffix.startswith("lower"):
            bound = np.where(limit, 0.0, bound)
        half = float(np.sqrt(np.nansum((bound - best) ** 2)) * curves.step)
        ends.append(max(0.0, value - half) if suffix.startswith("lower") else value + half)
    return Interval(float(value), *ends)


def crossing(curves: Curves, span: Span, threshold: float) -> str | None:
    """Give the instant at which the flux crosses the threshold on its way up.

    Parameters
    ----------
    curves : Curves
        The series.
    span : Span
        The event in the best values.
    threshold : float
        The flux to cross.

    Returns
    -------
    str or None
        Between the starts of the point before and of the onset, linear in the logarithm; None where the point before
        is missing or not below.
    """
    before = curves.best[span.first - 1] if span.first else np.nan
    at = curves.best[span.first]
    if not np.isfinite(before) or before >= threshold:
        return None
    low, high, level = (before, at, threshold) if before <= 0 else np.log([before, at, threshold])
    share = 1.0 if high <= low else (level - low) / (high - low)
    start = curves.time[span.first - 1]
    return format_instant(start + np.timedelta64(round(share * curves.step), "s"))


def format_instant(instant: np.datetime64) -> str:
    """Write an instant as ISO 8601 in UTC, to the second.

    Parameters
    ----------
    instant : datetime64
        The instant.

    Returns
    -------
    str
        Such as 2012-03-07T05:10:00Z.
    """
    return f"{np.datetime_as_string(instant, unit='s')}Z"


def _read(reading: Reading, name: str, step: float) -> float:
    if name == "duration":
        return (reading.last - reading.first + 1) * step / 3600
    return float(getattr(reading, name))
