"""What a series that somebody else made may not hold: unknown satellites, repeated times, mixed cadences."""

from __future__ import annotations

import re
import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import DataError

_SATELLITE = re.compile(r"GOES-[1-9]\d?")
_DAY = np.timedelta64(1, "D")
#: So many equal steps in a row are another cadence; fewer are gaps that happen to be alike.
_RUN = 4


def check_satellite(name: str, where: str) -> None:
    """Refuse a satellite that is not named GOES-<number>.

    Parameters
    ----------
    name : str
        As given.
    where : str
        Where it was found, for the message.

    Raises
    ------
    DataError
        If it is another.
    """
    if not _SATELLITE.fullmatch(name):
        msg = f"{where}: satellite {name!r}, expected a name such as 'GOES-13'; correct it"
        raise DataError(msg)


def sort_times(table: xr.Dataset, where: str) -> xr.Dataset:
    """Sort rows by time and keep equal rows once.

    Parameters
    ----------
    table : Dataset, dims (time, ...)
        As found.
    where : str
        The file, for the message.

    Returns
    -------
    Dataset, dims (time, ...)
        Times in order, each once.

    Raises
    ------
    DataError
        If two rows of one time differ.

    Warns
    -----
    UserWarning
        If rows were not in order, or rows were repeated.
    """
    time = table["time"].to_numpy()
    if (time[1:] > time[:-1]).all():
        return table
    backward = time[1:] < time[:-1]
    if backward.any():
        row = int(np.flatnonzero(backward)[0]) + 1
        _warn(f"{where}: times are not in order (row {row + 1}, {_second(time[row])}); the rows are sorted")
        table = table.isel(time=np.argsort(time, kind="stable"))
        time = table["time"].to_numpy()
    again = np.flatnonzero(time[1:] == time[:-1]) + 1
    for name, array in table.data_vars.items():
        values = array.transpose("time", ...).to_numpy()
        same = values[again] == values[again - 1]
        if values.dtype.kind == "f":
            same |= np.isnan(values[again]) & np.isnan(values[again - 1])
        if not same.all():
            row = int(again[np.argwhere(~same)[0][0]])
            msg = (
                f"{where}: two rows at {_second(time[row])} hold different {name}: "
                f"{values[row - 1]} and {values[row]}; expected each time once; remove the wrong one"
            )
            raise DataError(msg)
    if len(again):
        _warn(f"{where}: {len(again)} repeated rows (first at {_second(time[again[0]])}) are kept once")
    return table.isel(time=np.setdiff1d(np.arange(len(time)), again))


def find_cadence(time: npt.NDArray[np.datetime64], where: str) -> np.timedelta64:
    """Give the one step of a series, in which rows may be missing.

    Parameters
    ----------
    time : array of datetime64[ns], shape (time,)
        In order, each once.
    where : str
        The file, for the message.

    Returns
    -------
    timedelta64[ns]
        From a minute to a day.

    Raises
    ------
    DataError
        If there is no such step, or another one.
    """
    steps = np.diff(time)
    if not len(steps):
        msg = f"{where}: one row states no cadence; expected at least two, an hour, three hours or a day apart"
        raise DataError(msg)
    values, counts = np.unique(steps, return_counts=True)
    step = np.timedelta64(values[counts.argmax()], "ns")
    expected = "expected one cadence from a minute to a day, where missing rows are gaps"
    if step > _DAY or step < np.timedelta64(1, "m") or _DAY % step:
        msg = f"{where}: rows are {pd.Timedelta(step)} apart; {expected} and a day is a whole number of steps"
        raise DataError(msg)
    other = np.flatnonzero(steps % step)
    if not len(other):
        other = _longer_run(steps, step)
    if len(other):
        row = int(other[0])
        msg = (
            f"{where}: the step changes from {pd.Timedelta(step)} to {pd.Timedelta(steps[row])} at "
            f"{_second(time[row])} (row {row + 1}); {expected}: bring the rows to one cadence, or give two files"
        )
        raise DataError(msg)
    return step


def _longer_run(steps: npt.NDArray[np.timedelta64], step: np.timedelta64) -> npt.NDArray[np.int64]:
    """Find where equal steps longer than the usual one follow each other: a coarser series, not gaps."""
    starts = np.flatnonzero(np.concatenate([[True], steps[1:] != steps[:-1]]))
    lengths = np.diff(np.append(starts, len(steps)))
    return starts[(steps[starts] > step) & (lengths >= _RUN)]


def _second(instant: np.datetime64) -> str:
    return str(instant.astype("datetime64[s]"))


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=5)
