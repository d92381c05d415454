"""The time range a caller asks for, and how days are named in messages."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from particleflux.errors import DataError

TimeLike = str | dt.date | dt.datetime | np.datetime64 | pd.Timestamp
Days = npt.NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_BARE_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")
_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}|\d{8})[T ]\d{2}.*")


@dataclass(frozen=True)
class TimeRange:
    """A half-open range of UTC instants; None leaves a side open.

    Attributes
    ----------
    start : datetime64 or None
        First instant inside.
    stop : datetime64 or None
        First instant after the range.
    """

    start: np.datetime64 | None
    stop: np.datetime64 | None

    @classmethod
    def parse(cls, start: TimeLike | None, stop: TimeLike | None) -> TimeRange:
        """Read the two ends a caller gave.

        A `stop` that is an instant is exclusive. A `stop` that is a bare date ("2024-05-15", `datetime.date`,
        `numpy.datetime64` in days) means that whole day: the range ends at the next midnight. A midnight written out
        ("2024-05-15T00:00", `datetime(2024, 5, 15)`, a pandas Timestamp) is an instant.

        Parameters
        ----------
        start, stop : str, date, datetime, datetime64, Timestamp or None
            ISO 8601 text or objects. Times without a zone are UTC; others are converted to UTC.

        Returns
        -------
        TimeRange
            The half-open range of UTC instants.

        Raises
        ------
        DataError
            If an end is no time, or the range is empty.

        Examples
        --------
        >>> TimeRange.parse("2024-05-14", "2024-05-15").stop
        np.datetime64('2024-05-16T00:00:00.000000000')
        >>> TimeRange.parse(None, "2024-05-15T00:00").stop
        np.datetime64('2024-05-15T00:00:00.000000000')
        """
        first = None if start is None else _instant(start, "start")
        last = None
        if stop is not None:
            last = _instant(stop, "stop")
            if _is_bare_date(stop):
                last = last + _DAY
        if first is not None and last is not None and first >= last:
            msg = f"start={start} is not before stop={stop}; give a start earlier than the stop (both UTC)"
            raise DataError(msg)
        return cls(first, last)

    def days(self, available: Days) -> Days:
        """List the UTC days the range asks for.

        Parameters
        ----------
        available : array of datetime64[D], shape (days,)
            Sorted days that exist; an open side ends with them.

        Returns
        -------
        array of datetime64[D], shape (days,)
            Every day that overlaps the range, whether it exists or not.
        """
        first = available[0] if self.start is None else self.start.astype("datetime64[D]")
        # The stop is exclusive, so a stop at midnight must not ask for the day that begins there.
        last = available[-1] if self.stop is None else (self.stop - np.timedelta64(1, "ns")).astype("datetime64[D]")
        return np.arange(first, last + _DAY)

    def contains(self, time: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
        """Tell which instants lie inside.

        Parameters
        ----------
        time : array of datetime64, shape (time,)
            UTC instants.

        Returns
        -------
        array of bool, shape (time,)
            True from `start` on and before `stop`.
        """
        inside = np.ones(time.shape, dtype=bool)
        if self.start is not None:
            inside &= time >= self.start
        if self.stop is not None:
            inside &= time < self.stop
        return inside

    def __str__(self) -> str:
        def side(instant: np.datetime64 | None) -> str:
            return "open" if instant is None else str(instant.astype("datetime64[s]"))

        return f"[{side(self.start)}, {side(self.stop)})"


def format_days(days: Days, limit: int = 8) -> str:
    """Write days compactly, runs of days as ranges.

    Parameters
    ----------
    days : array of datetime64[D], shape (days,)
        Sorted days.
    limit : int
        Most runs to write out; the rest is counted.

    Returns
    -------
    str
        For instance "2024-03-05, 2024-04-01 to 2024-04-03 (3 days)"; "none" for no day.

    Examples
    --------
    >>> format_days(np.array(["2024-03-05", "2024-04-01", "2024-04-02"], dtype="datetime64[D]"))
    '2024-03-05, 2024-04-01 to 2024-04-02 (2 days)'
    """
    if len(days) == 0:
        return "none"
    runs = np.split(days, np.flatnonzero(np.diff(days) > _DAY) + 1)
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]} ({len(run)} days)" for run in runs[:limit]]
    if len(runs) > limit:
        parts.append(f"and {sum(len(run) for run in runs[limit:])} more days")
    return ", ".join(parts)


def _is_bare_date(value: TimeLike) -> bool:
    if isinstance(value, str):
        return _BARE_DATE.fullmatch(value.strip()) is not None
    if isinstance(value, np.datetime64):
        return bool(np.datetime_data(value.dtype)[0] == "D")
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)


def _instant(value: object, name: str) -> np.datetime64:
    expected = "expected a UTC date or time such as '2024-05-15', '2024-05-15T12:30' or a datetime"
    # Text is matched first: pandas also reads '2024', 'now' or '5/6/24', whose meaning as an end is a guess.
    if isinstance(value, str) and not (_BARE_DATE.fullmatch(value.strip()) or _INSTANT.fullmatch(value.strip())):
        msg = f"{name}={value!r} is not a time; {expected}"
        raise DataError(msg)
    if not isinstance(value, (str, dt.date, np.datetime64)):
        msg = f"{name}={value!r} is a {type(value).__name__}; {expected}"
        raise DataError(msg)
    try:
        stamp = pd.Timestamp(value)
        if stamp.tzinfo is not None:
            stamp = stamp.tz_convert("UTC").tz_localize(None)
        instant = stamp.as_unit("ns").to_datetime64()
    except (ValueError, OverflowError) as error:
        msg = f"{name}={value!r} cannot be read as a time ({error}); {expected}"
        raise DataError(msg) from error
    if np.isnat(instant):
        msg = f"{name}={value!r} is not a time; {expected}"
        raise DataError(msg)
    return instant
