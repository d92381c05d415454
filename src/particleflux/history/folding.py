"""Any cadence -> means of hours -> days: the arithmetic of the canonical layout, without a loop over samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import DataError
from particleflux.history.days import DAY, HOUR, Days, cadence_of, check_series
from particleflux.history.layout import dataset_of

Array = npt.NDArray[np.float64]

#: Fewest hours of a day that make a mean of the day.
LEAST_HOURS = 12


def hourly_means(source: xr.Dataset, names: tuple[str, ...], days: Days) -> dict[str, Array]:
    """Average samples to hours, or repeat those that last several hours.

    Parameters
    ----------
    source : Dataset, dims (time,)
        Samples shorter than a day, by the start of their accumulation, sorted.
    names : tuple of str
        Variables to average.
    days : Days
        Days to cover; samples outside are left out.

    Returns
    -------
    dict of array, shape (day, hour)
        NaN where fewer than half of the samples of an hour are present.

    Raises
    ------
    DataError
        If samples longer than an hour do not begin with the hours of the days.
    """
    cadence = cadence_of(source)
    hours = np.asarray((source["time"].to_numpy().astype("datetime64[ns]") - days.start) // HOUR, dtype=np.int64)
    repeats = max(1, round(cadence / HOUR))
    if cadence >= HOUR:
        _check_aligned(source["time"].to_numpy(), days.start, cadence)
        hours = (hours[:, None] + np.arange(repeats)).ravel()
    # Half of the samples, whatever their number: 31 of 60 minutes are an hour, 29 are a gap.
    least = max(1.0, HOUR / cadence / 2)
    inside = (hours >= 0) & (hours < 24 * days.n_days)
    folded = {}
    for name in names:
        values = np.repeat(source[name].to_numpy().astype(np.float64), repeats)
        chosen = inside & np.isfinite(values)
        count = np.bincount(hours[chosen], minlength=24 * days.n_days)
        total = np.bincount(hours[chosen], weights=values[chosen], minlength=24 * days.n_days)
        with np.errstate(invalid="ignore", divide="ignore"):
            folded[name] = np.where(count >= least, total / count, np.nan).reshape(days.n_days, 24)
    return folded


def daily_values(source: xr.Dataset, names: tuple[str, ...], days: Days) -> dict[str, Array]:
    """Place samples of a day's length on a run of days.

    Parameters
    ----------
    source : Dataset, dims (time,)
        One sample a day, sorted.
    names : tuple of str
        Variables to place.
    days : Days
        Days to cover.

    Returns
    -------
    dict of array, shape (day,)
        NaN where there is no sample.

    Raises
    ------
    DataError
        If the samples begin at another hour than the days.
    """
    _check_aligned(source["time"].to_numpy(), days.start, DAY)
    rows = np.asarray((source["time"].to_numpy().astype("datetime64[ns]") - days.start) // DAY, dtype=np.int64)
    inside = (rows >= 0) & (rows < days.n_days)
    placed = {}
    for name in names:
        placed[name] = np.full(days.n_days, np.nan)
        placed[name][rows[inside]] = source[name].to_numpy().astype(np.float64)[inside]
    return placed


def summarise_days(hourly: Mapping[str, Array]) -> dict[str, Array]:
    """Reduce hours to the mean, the least and the greatest of each day.

    Parameters
    ----------
    hourly : mapping of str to array, shape (day, hour)
        Hourly means; NaN is missing.

    Returns
    -------
    dict of array, shape (day,)
        `<name>`, `<name>_min` and `<name>_max`; NaN with fewer than half of the hours. With `kp` comes `kp_sum`, eight
        times the mean, which is the sum of the eight values of a whole day.
    """
    daily = {}
    for name, values in hourly.items():
        present = np.isfinite(values)
        count = present.sum(axis=1)
        enough = count >= LEAST_HOURS
        with np.errstate(invalid="ignore", divide="ignore"):
            daily[name] = np.where(enough, np.where(present, values, 0.0).sum(axis=1) / count, np.nan)
        daily[f"{name}_min"] = np.where(enough, np.where(present, values, np.inf).min(axis=1), np.nan)
        daily[f"{name}_max"] = np.where(enough, np.where(present, values, -np.inf).max(axis=1), np.nan)
    if "kp" in daily:
        daily["kp_sum"] = 8 * daily["kp"]
    return daily


def fold_days(source: xr.Dataset, *, day_start: float = 0.0) -> xr.Dataset:
    """Fold a series of any cadence up to a day into days of hours.

    Samples are averaged to hours where at least half of those of an hour are present; samples of several hours, such
    as Kp, are repeated. A day has a mean where at least half of its hours are present. Gaps stay gaps.

    Parameters
    ----------
    source : Dataset, dims (time,)
        By the names of `particleflux.names`; `time` is the start of each accumulation, UTC, sorted. The attribute
        `cadence` ("1min", "1h", "3h", "1D") is the most frequent step where it is absent.
    day_start : float
        Hours from 00:00 UTC to the start of a day.

    Returns
    -------
    Dataset, dims (time, hour)
        `<name>` (time) for each variable of numbers; from a source finer than a day also `<name>_min`, `<name>_max`
        (time) and `<name>_hourly` (time, hour); `kp_sum` (time) where there is `kp`. `time` is the start of each day.

    Raises
    ------
    MissingDataError
        If there is no sample.
    AxisError
        If there is no time, or a variable has another dimension.
    DataError
        If times are unsorted or repeated, or samples do not fit into the days.

    Examples
    --------
    >>> time = np.datetime64("2016-05-01") + np.arange(16) * np.timedelta64(3, "h")
    >>> kp = xr.Dataset({"kp": ("time", np.arange(16.0) % 8)}, {"time": time}, {"cadence": "3h"})
    >>> fold_days(kp)["kp_sum"].values
    array([28., 28.])
    """
    names = check_series(source)
    days = Days.spanning(source["time"].to_numpy().astype("datetime64[ns]"), day_start)
    if cadence_of(source) == DAY:
        return dataset_of(days.time, daily_values(source, names, days), {}, day_start=day_start)
    hourly = hourly_means(source, names, days)
    return dataset_of(days.time, summarise_days(hourly), hourly, day_start=day_start)


def _check_aligned(time: npt.NDArray[np.datetime64], start: np.datetime64, cadence: np.timedelta64) -> None:
    """Refuse samples of an hour or more that would have to be divided between hours or days."""
    step = DAY if cadence == DAY else HOUR
    off = np.flatnonzero((time.astype("datetime64[ns]") - start) % step)
    if len(off):
        what = "a day" if step == DAY else "an hour"
        msg = (
            f"the sample at {time[off[0]].astype('datetime64[s]')} does not begin with {what} counted from "
            f"{start.astype('datetime64[s]')}; samples of {pd.Timedelta(cadence)} cannot be divided: give "
            "finer samples, or another start of the day"
        )
        raise DataError(msg)
