"""The time a method may learn from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.history.days import DAY
from particleflux.io.times import TimeLike, TimeRange

_YEARS = re.compile(r"(\d{4})(?:-(\d{4}))?")
_EXPECTED = "expected years and ranges with commas between, such as '1999-2007,2011-2016', or '2011-01-01/2012-06-30'"

Periods = str | Iterable[Sequence[TimeLike | None]]


def parse_periods(periods: Periods) -> tuple[TimeRange, ...]:
    """Read periods: years, ranges of years, ranges of days with a slash between, or pairs of start and stop.

    Parameters
    ----------
    periods : str or iterable of (start, stop)
        Years are whole; a stop that is a bare date is included whole, one that is an instant is not.

    Returns
    -------
    tuple of TimeRange
        In the order given.

    Raises
    ------
    DataError
        If there is no period, or one is not a period.

    Examples
    --------
    >>> [str(period) for period in parse_periods("1999-2007,2011")]
    ['[1999-01-01T00:00:00, 2008-01-01T00:00:00)', '[2011-01-01T00:00:00, 2012-01-01T00:00:00)']
    """
    if not isinstance(periods, str):
        parsed = []
        for pair in periods:
            if len(pair) != 2:
                msg = f"period {pair!r}: expected a pair of start and stop, such as ('1999-01-01', '2007-12-31')"
                raise DataError(msg)
            parsed.append(TimeRange.parse(*pair))
    else:
        parsed = [_period(item.strip()) for item in periods.split(",")]
    if not parsed:
        msg = f"no period: {_EXPECTED}"
        raise DataError(msg)
    return tuple(parsed)


def training_only(history: xr.Dataset, periods: Periods) -> xr.Dataset:
    """Blank everything outside some periods, so that nothing can be learnt from it.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        The canonical layout.
    periods : str or iterable of (start, stop)
        As `parse_periods` takes them.

    Returns
    -------
    Dataset, the same dims
        A copy with the same time axis; days that do not lie within a period with their whole length are NaN, name no
        satellite and have no calibration.

    Raises
    ------
    MissingDataError
        If no day lies within a period.
    """
    time = history["time"].to_numpy()
    ends = np.asarray(time + DAY - np.timedelta64(1, "ns"), dtype="datetime64[ns]")
    inside = np.zeros(len(time), dtype=bool)
    spans = parse_periods(periods)
    for span in spans:
        inside |= span.contains(time) & span.contains(ends)
    if not inside.any():
        msg = f"no day of the history lies in {', '.join(map(str, spans))}: it holds {time[0]} to {time[-1]}"
        raise MissingDataError(msg)
    kept = xr.DataArray(inside, dims="time")
    blanked = history.copy()
    for name, array in history.data_vars.items():
        if "time" in array.dims:
            nothing = {"U": "", "f": np.nan}.get(array.dtype.kind, -1)
            blanked[name] = array.where(kept, nothing).astype(array.dtype).transpose(*array.dims)
            blanked[name].attrs = array.attrs
    return blanked


def _period(text: str) -> TimeRange:
    years = _YEARS.fullmatch(text)
    if years:
        first, last = years.group(1), years.group(2) or years.group(1)
        return TimeRange.parse(f"{first}-01-01", f"{last}-12-31")
    start, slash, stop = text.partition("/")
    if not slash:
        msg = f"period {text!r}: {_EXPECTED}"
        raise DataError(msg)
    return TimeRange.parse(start.strip() or None, stop.strip() or None)
