"""The axis of days, and what a series along time must be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError

HOUR, DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
_NS = np.timedelta64(1, "ns")
#: Most days one history may span: a wrong century in one time must not fill the memory.
MOST_DAYS = 80_000


@dataclass(frozen=True)
class Days:
    """A run of days, none left out.

    Attributes
    ----------
    start : datetime64[ns]
        First instant of the first day.
    n_days : int
        How many.
    """

    start: np.datetime64
    n_days: int

    @classmethod
    def spanning(cls, time: npt.NDArray[np.datetime64], day_start: float) -> Days:
        """Give the days that hold all of some instants.

        Parameters
        ----------
        time : array of datetime64[ns], shape (time,)
            At least one.
        day_start : float
            Hours from 00:00 UTC to the start of a day.

        Returns
        -------
        Days
            From the day of the first to that of the last.

        Raises
        ------
        DataError
            If they lie too far apart for one history.
        """
        offset = _offset(day_start)
        first, last = ((edge - offset).astype("datetime64[D]") for edge in (time.min(), time.max()))
        n_days = int((last - first) // DAY) + 1
        if n_days > MOST_DAYS:
            msg = f"times from {first} to {last} span {n_days} days, at most {MOST_DAYS} expected; correct the times"
            raise DataError(msg)
        return cls(first.astype("datetime64[ns]") + offset, n_days)

    @property
    def time(self) -> npt.NDArray[np.datetime64]:
        """The first instant of each day."""
        return self.start + np.arange(self.n_days) * DAY


def cadence_of(source: xr.Dataset) -> np.timedelta64:
    """Give the step between the samples of a source: its attribute `cadence`, or its most frequent step.

    Parameters
    ----------
    source : Dataset, dims (time, ...)
        Sorted by time.

    Returns
    -------
    timedelta64[ns]
        At most a day.

    Raises
    ------
    DataError
        If the attribute is no length of time up to a day, or there is neither an attribute nor two samples.
    """
    stated = source.attrs.get("cadence")
    if stated is None:
        steps = np.diff(source["time"].to_numpy().astype("datetime64[ns]"))
        if not len(steps):
            msg = "one sample states no cadence; set attrs['cadence'] to a length of time such as '1h' or '1D'"
            raise DataError(msg)
        values, counts = np.unique(steps, return_counts=True)
        step = values[counts.argmax()]
    else:
        try:
            step = pd.Timedelta(str(stated)).to_timedelta64().astype("timedelta64[ns]")
        except ValueError:
            step = np.timedelta64("NaT")
    if not 0 * _NS < step <= DAY:
        msg = f"cadence {stated or pd.Timedelta(step)}: expected a length of time up to a day, such as '1h'; correct it"
        raise DataError(msg)
    return np.timedelta64(step, "ns")


def check_series(source: xr.Dataset) -> tuple[str, ...]:
    """Check that a dataset is a series along time, and name what can be averaged.

    Parameters
    ----------
    source : Dataset
        What a caller handed over.

    Returns
    -------
    tuple of str
        Its variables of numbers.

    Raises
    ------
    AxisError
        If there is no time, or a variable has another dimension.
    MissingDataError
        If there is no sample.
    DataError
        If times are missing, unsorted or repeated.
    """
    if "time" not in source.coords or source["time"].dims != ("time",) or source["time"].dtype.kind != "M":
        msg = f"found coordinates {sorted(map(str, source.coords))}, expected `time` of datetime64 along itself"
        raise AxisError(msg)
    time = source["time"].to_numpy()
    if not len(time):
        msg = "a series holds no sample: expected at least one; give other data"
        raise MissingDataError(msg)
    if np.isnat(time).any() or not (time[1:] > time[:-1]).all():
        msg = "times are missing, unsorted or repeated; expected each once, in order: `source.sortby('time')` sorts"
        raise DataError(msg)
    wrong = [str(name) for name, array in source.data_vars.items() if array.dims != ("time",)]
    if wrong:
        msg = f"{wrong[0]} has dimensions {source[wrong[0]].dims}, expected time alone; select or average the others"
        raise AxisError(msg)
    return tuple(str(name) for name, array in source.data_vars.items() if array.dtype.kind in "iuf")


def _offset(day_start: float) -> np.timedelta64:
    if not -24 < day_start < 24:
        msg = f"day_start={day_start}: expected hours from 00:00 UTC to the start of a day, between -24 and 24"
        raise DataError(msg)
    return np.timedelta64(round(day_start * 3_600_000_000_000), "ns")
