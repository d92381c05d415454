"""Issue times: which days a forecast may read, and the flags for what is missing among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.forecast.distribution import DAY
from particleflux.names import ForecastQuality, require

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

FLUENCE = "fluence_gt2mev"
#: A forecast may be issued this many days after the first instant that the history does not cover.
MOST_DAYS_LATE = 5
#: Period of the Sun's rotation as seen from the Earth, days.
ROTATION = 27
#: `calibration` of a day whose flux is not tied to the scale of the history.
UNCALIBRATED = 3
#: Drivers whose absence on the last day has a flag of its own; a daily extreme or hourly value counts as its driver.
DRIVER_FLAGS = {
    **dict.fromkeys(
        ("solar_wind_speed", "solar_wind_density", "solar_wind_pressure", "b_total", "by_gsm", "bz_gsm", "standoff"),
        ForecastQuality.NO_SOLAR_WIND,
    ),
    **dict.fromkeys(("kp", "kp_sum", "ap"), ForecastQuality.NO_KP),
    "dst": ForecastQuality.NO_DST,
}


def issue_times(history: xr.Dataset, init_time: npt.ArrayLike | None = None) -> Times:
    """Give the issue times asked for, checked against the days of a history.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        Days, as `particleflux.history` lays them out.
    init_time : array of datetime64, shape (init_time,), optional
        Issue times, UTC; by default the first instant after the last day.

    Returns
    -------
    array of datetime64[ns], shape (init_time,)
        In the order given.

    Raises
    ------
    AxisError
        If the history has no sorted axis `time` of days without a hole.
    MissingDataError
        If the history holds no day, or ends too long before an issue time.
    DataError
        If an issue time is none, lies before the history, or is not where its days begin.
    """
    days = _days(history)
    if init_time is None:
        return days[-1:] + DAY
    try:
        asked: Times = np.atleast_1d(np.asarray(init_time, dtype="datetime64[ns]"))
    except (ValueError, TypeError) as error:
        msg = f"init_time={init_time!r} holds no times ({error}); give UTC times such as '2010-04-05'"
        raise DataError(msg) from error
    if asked.ndim != 1 or np.isnat(asked).any():
        msg = f"init_time has shape {asked.shape} and {np.isnat(asked).sum()} missing times; give a list of UTC times"
        raise DataError(msg)
    off = (asked - days[0]) % DAY != np.timedelta64(0, "ns")
    if off.any():
        clock = str(days[0].astype("datetime64[s]")).split("T")[1]
        msg = (
            f"issue time {_text(asked[off][0])} is not where a day of the history begins ({clock} UTC): the last day "
            f"before it would be incomplete; give a time at {clock}"
        )
        raise DataError(msg)
    if (asked < days[0]).any():
        msg = (
            f"issue time {_text(asked.min())} lies before the history, which begins at {_text(days[0])}; "
            "give a later issue time or a longer history"
        )
        raise DataError(msg)
    if (asked > days[-1] + (1 + MOST_DAYS_LATE) * DAY).any():
        msg = (
            f"issue time {_text(asked.max())}: the history ends with the day of {_text(days[-1])}, more than "
            f"{MOST_DAYS_LATE} days short of it; bring the history up to date or give an earlier issue time"
        )
        raise MissingDataError(msg)
    return asked


def rows_before(history: xr.Dataset, init_time: Times) -> Rows:
    """Give the position along time of the last complete day before each issue time.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        Days, as `particleflux.history` lays them out.
    init_time : array of datetime64[ns], shape (init_time,)
        What `issue_times` gave.

    Returns
    -------
    array of int, shape (init_time,)
        -1 where the history begins with the issue time; beyond the last position where the history ends earlier.
        `take_days` gives NaN for both.
    """
    return np.asarray((init_time - _days(history)[0]) // DAY - 1, dtype=np.int64)


def take_days(values: npt.ArrayLike, rows: Rows) -> Array:
    """Give the values of days, NaN for days outside the history.

    Parameters
    ----------
    values : array, shape (time, ...)
        Any numbers of a history.
    rows : array of int, any shape
        Positions along time.

    Returns
    -------
    array, shape of `rows`, then that of `values` after time
        In the unit of `values`.
    """
    source = np.asarray(values, dtype=np.float64)
    inside = (rows >= 0) & (rows < len(source))
    taken = source[np.where(inside, rows, 0)]
    return np.where(inside.reshape(inside.shape + (1,) * (source.ndim - 1)), taken, np.nan)


def log_fluence(history: xr.Dataset) -> Array:
    """Give log10 of the daily fluence; what is no positive number is NaN.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        `fluence_gt2mev` (time), cm-2 sr-1 d-1.

    Returns
    -------
    array, shape (time,)
        log10 of the fluence in cm-2 sr-1 d-1.

    Raises
    ------
    AxisError
        If the variable is absent or has other dimensions.
    UnitError
        If its unit is absent or another one.
    """
    require(history, FLUENCE)
    if history[FLUENCE].dims != ("time",):
        msg = f"variable {FLUENCE!r} has dimensions {history[FLUENCE].dims}, expected ('time',): one value per day"
        raise AxisError(msg)
    values = history[FLUENCE].to_numpy().astype(np.float64)
    return np.log10(np.where((values > 0) & np.isfinite(values), values, np.nan))


def input_flags(
    history: xr.Dataset,
    rows: Rows,
    window: int,
    *,
    drivers: Iterable[str] = (),
    recurrence: Sequence[int] = (),
) -> npt.NDArray[np.int32]:
    """Flag what the days that a forecast reads do not hold.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        `fluence_gt2mev` (time), the drivers named, and, where known, `calibration` and `satellite` (time). Without
        `calibration` the flux is taken to be on one scale.
    rows : array of int, shape (init_time,)
        The last day before each issue time, from `rows_before`.
    window : int
        Days that the method reads, the last one included.
    drivers : iterable of str
        Variables (time) or (time, hour) that the method reads beside the flux; one that the history does not hold
        counts as missing.
    recurrence : sequence of int
        Lead times, days, for which the method reads the flux one solar rotation before; none by default.

    Returns
    -------
    array of int32, shape (init_time,)
        `ForecastQuality` flags.
    """
    days = rows[:, np.newaxis] - np.arange(window)  # the last one first
    lacks_flux = np.isnan(take_days(log_fluence(history), days))
    flags = np.zeros(len(rows), dtype=np.int32)
    _raise(flags, ForecastQuality.NO_FLUX, lacks_flux[:, 0])
    _raise(flags, ForecastQuality.FLUX_GAP, lacks_flux[:, 1:].any(axis=1))
    lost: dict[str, list[npt.NDArray[np.bool_]]] = {}
    for name in drivers:
        gone: npt.NDArray[np.bool_] = np.ones(len(rows), dtype=bool)
        if name in history.variables:
            lacks = np.isnan(take_days(history[name].transpose("time", ...), days))
            lacks = lacks.reshape(len(rows), window, history[name].size // history.sizes["time"])
            # Of a last day given by the hour, some hours that are missing are a gap, not the loss of the day.
            gone = np.asarray(lacks[:, 0].all(axis=1))
            gap = lacks[:, 1:].any(axis=(1, 2)) | (lacks[:, 0].any(axis=1) & ~gone)
            _raise(flags, ForecastQuality.DRIVER_GAP, gap)
        lost.setdefault(_driver(name), []).append(gone)
    # A driver is lost with the last of its variables: without its hours or extremes there is still the mean.
    for base, each in lost.items():
        every = np.logical_and.reduce(each)
        _raise(flags, ForecastQuality.DRIVER_GAP, np.logical_or.reduce(each) & ~every)
        _raise(flags, DRIVER_FLAGS.get(base, ForecastQuality.DRIVER_GAP), every)
    if len(recurrence):
        before = take_days(log_fluence(history), rows[:, np.newaxis] + np.asarray(recurrence) - ROTATION)
        _raise(flags, ForecastQuality.NO_RECURRENCE, np.isnan(before).any(axis=1))
    if "calibration" in history.variables:
        codes = np.where(lacks_flux, np.nan, take_days(history["calibration"].to_numpy(), days))
        free = (codes == UNCALIBRATED).any(axis=1)
        _raise(flags, ForecastQuality.UNCALIBRATED, free)
        if "satellite" in history.variables:
            _, numbers = np.unique(history["satellite"].to_numpy().astype(np.str_), return_inverse=True)
            which = np.where(lacks_flux, np.nan, take_days(numbers, days))
            several = np.fmax.reduce(which, axis=1) > np.fmin.reduce(which, axis=1)
            _raise(flags, ForecastQuality.SATELLITE_CHANGE, free & several)
    return flags


def check_leads(lead_time: Sequence[int], known: Sequence[int]) -> tuple[int, ...]:
    """Check lead times against those a method forecasts.

    Parameters
    ----------
    lead_time, known : sequence of int
        Days, as asked for and as the method knows them.

    Returns
    -------
    tuple of int
        The same lead times.

    Raises
    ------
    DataError
        If there is none, one is twice there, or one is not known.
    """
    asked: list[Any] = list(np.atleast_1d(np.asarray(lead_time, dtype=object)))
    if not asked or len(set(asked)) < len(asked) or any(lead not in known for lead in asked):
        msg = f"lead times {asked}: expected some of {list(known)} days, each once, as whole numbers"
        raise DataError(msg)
    return tuple(int(lead) for lead in asked)


def describe(history: xr.Dataset, name: str) -> dict[str, Any]:
    """Give the attributes of a forecast that come from its method and its history.

    Parameters
    ----------
    history : Dataset
        What was read.
    name : str
        Name of the method.

    Returns
    -------
    dict
        `method`, and `satellite`, `reference` and `day_start` where the history has them.
    """
    kept = {key: history.attrs[key] for key in ("satellite", "reference", "day_start") if key in history.attrs}
    return {"method": name, **kept}


def _days(history: xr.Dataset) -> Times:
    if "time" not in history.coords or history["time"].dims != ("time",) or history["time"].dtype.kind != "M":
        msg = f"history has coordinates {sorted(map(str, history.coords))}: expected 'time' with the start of each day"
        raise AxisError(msg)
    days: Times = history["time"].to_numpy().astype("datetime64[ns]")
    if not len(days):
        msg = "the history holds no day; expected at least one before the issue time"
        raise MissingDataError(msg)
    steps = np.diff(days)
    if (steps != DAY).any():
        place = int(np.flatnonzero(steps != DAY)[0])
        msg = (
            f"history: {_text(days[place])} is followed by {_text(days[place + 1])}, expected every day once and in "
            "order; missing days are rows of NaN, as `particleflux.history` makes them"
        )
        raise AxisError(msg)
    return days


def _driver(name: str) -> str:
    for suffix in ("_min", "_max", "_hourly"):
        name = name.removesuffix(suffix)
    return name


def _raise(flags: npt.NDArray[np.int32], flag: ForecastQuality, where: Any) -> None:
    flags[where] |= flag.value


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T00:00", "")
