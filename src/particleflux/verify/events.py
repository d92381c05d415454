"""Days on which something begins: the fluence reaches a threshold, or falls by a decade from one day to the next."""

from __future__ import annotations

import numpy as np
import xarray as xr

from particleflux.errors import AxisError
from particleflux.verify._sums import mark

_DAY = np.timedelta64(1, "D")
#: A fall of this many dex from one day to the next is a dropout.
FALL = 1.0


def day_before(values: xr.DataArray, *, dim: str = "time") -> xr.DataArray:
    """Give for each day the value of the day before it.

    Parameters
    ----------
    values : DataArray, dims (..., dim)
        One value per day.
    dim : str
        The dimension of days; its labels are their starts.

    Returns
    -------
    DataArray, dims (..., dim)
        NaN on the first day, and after a day that is missing.

    Raises
    ------
    AxisError
        If the dimension is absent, has no times, or they do not increase.
    """
    if dim not in values.dims or dim not in values.coords or values[dim].dtype.kind != "M":
        msg = f"found dimensions {values.dims}, expected {dim!r} with the start of each day; name the dimension of days"
        raise AxisError(msg)
    steps = np.diff(values[dim].to_numpy())
    if (steps <= np.timedelta64(0, "ns")).any():
        place = int(np.flatnonzero(steps <= np.timedelta64(0, "ns"))[0]) + 1
        at = np.datetime_as_string(values[dim].to_numpy()[place], unit="m")
        msg = f"the days along {dim!r} do not increase at {at} (row {place + 1}); sort them, each once"
        raise AxisError(msg)
    follows = xr.DataArray(np.concatenate([[False], steps == _DAY])[: values.sizes[dim]], dims=dim)
    return values.shift({dim: 1}).where(follows)


def onsets(values: xr.DataArray, threshold: xr.DataArray | float, *, dim: str = "time") -> xr.DataArray:
    """Tell the first days of events: the threshold is reached, and was not the day before.

    Parameters
    ----------
    values : DataArray, dims (..., dim)
        One value per day, such as log10 fluence.
    threshold : DataArray or float
        In the unit of the values; a further dimension is added to them.
    dim : str
        The dimension of days.

    Returns
    -------
    DataArray, dims (..., dim), 1
        1 on the first day of an event; 0 where the threshold was not reached although it was not the day before
        either: the days on which an event could have begun; NaN on all other days, and where either is missing.

    Raises
    ------
    AxisError
        If the dimension is absent or holds no increasing days.

    Examples
    --------
    >>> time = np.datetime64("2010-04-04", "ns") + np.arange(4) * np.timedelta64(1, "D")
    >>> onsets(xr.DataArray([7.0, 7.5, 8.5, 8.6], {"time": time}, "time"), 8.0).to_numpy()
    array([nan,  0.,  1., nan])
    """
    before = day_before(values, dim=dim)
    known = values.notnull() & (before < threshold)
    return mark(values >= threshold, known)


def dropouts(values: xr.DataArray, *, fall: float = FALL, dim: str = "time") -> xr.DataArray:
    """Tell the days of dropouts: a fall from the day before.

    Parameters
    ----------
    values : DataArray, dims (..., dim)
        log10 fluence of each day, dex.
    fall : float
        Least fall, dex.
    dim : str
        The dimension of days.

    Returns
    -------
    DataArray, dims (..., dim), 1
        1 where the value lies `fall` or more below that of the day before, 0 elsewhere; NaN where either is missing.

    Raises
    ------
    AxisError
        If the dimension is absent or holds no increasing days.
    """
    change = day_before(values, dim=dim) - values
    # The tolerance is for rounding: from 1e8 to 1e7 is a fall of 1 dex.
    return mark(change >= fall - 1e-9, change.notnull())
