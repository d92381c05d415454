"""The canonical layout of a history: names, dimensions and attributes of its variables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.names import VARIABLES, attributes

Array = npt.NDArray[np.float64]

#: What drives the flux, in the order of the tables.
DRIVERS = (
    "solar_wind_speed", "solar_wind_density", "solar_wind_pressure", "b_total", "by_gsm", "bz_gsm", "standoff",
    "kp", "ap", "dst", "ae", "f10p7",
)  # fmt: skip
FLUXES = ("electron_flux_gt2mev", "electron_flux_gt0p8mev", "electron_flux_gt0p6mev")
SUFFIXES = {
    "_min": "least hourly mean of the day",
    "_max": "greatest hourly mean of the day",
    "_hourly": "hourly mean",
    "_measured": "before calibration",
}
CALIBRATION_MEANINGS = {
    0: "reference",
    1: "tied_by_overlap",
    2: "estimated_without_overlap",
    3: "uncalibrated",
    -1: "no_flux",
}
SECONDS_A_DAY = 86400.0
#: Fraction of the day's hours that lie below the detection limit.
CENSORED = "fluence_gt2mev_censored"
TEXT_COLUMNS = ("satellite",)
#: What a table of any cadence may hold, and what only one of days may.
SERIES_COLUMNS = ("time", *FLUXES, "fluence_gt2mev", *DRIVERS, *TEXT_COLUMNS)
DAILY_COLUMNS = (
    "kp_sum", "calibration", "fluence_gt2mev_measured", CENSORED,
    *(f"{name}{suffix}" for name in DRIVERS for suffix in ("_min", "_max")),
)  # fmt: skip
COLUMNS = (*SERIES_COLUMNS, *DAILY_COLUMNS)
BLOCKS = tuple(f"{name}_hourly" for name in (*FLUXES, *DRIVERS))


def attributes_of(name: str) -> dict[str, str]:
    """Give the attributes of a variable of the history.

    Parameters
    ----------
    name : str
        A name of `particleflux.names`, with a suffix of the layout or without.

    Returns
    -------
    dict of str
        `units` and `long_name`; nothing for a name that is not known.

    Examples
    --------
    >>> attributes_of("dst_min")
    {'units': 'nT', 'long_name': 'disturbance storm-time index Dst, least hourly mean of the day'}
    """
    if name in VARIABLES:
        return attributes(name)
    if name == CENSORED:
        return {"units": "1", "long_name": "fraction of the day's hours below the detection limit of the flux"}
    for suffix, meaning in SUFFIXES.items():
        if name.endswith(suffix) and name.removesuffix(suffix) in VARIABLES:
            known = attributes(name.removesuffix(suffix))
            return known | {"long_name": f"{known['long_name']}, {meaning}"}
    return {}


def dataset_of(
    time: npt.NDArray[np.datetime64],
    daily: Mapping[str, npt.NDArray[np.generic]],
    hourly: Mapping[str, Array],
    *,
    day_start: float,
) -> xr.Dataset:
    """Label arrays as a history.

    Parameters
    ----------
    time : array of datetime64[ns], shape (time,)
        Start of each day.
    daily : mapping of str to array, shape (time,)
        By their names.
    hourly : mapping of str to array, shape (time, hour)
        By the names without the suffix `_hourly`.
    day_start : float
        Hours from 00:00 UTC to the start of a day.

    Returns
    -------
    Dataset, dims (time[, hour])
        With units, long names and the attributes `cadence` and `day_start`.
    """
    variables: dict[str, tuple[object, ...]] = {
        name: ("time", values, attributes_of(name)) for name, values in daily.items()
    }
    coords: dict[str, object] = {"time": ("time", time, {"long_name": "start of the day, UTC"})}
    if hourly:
        coords["hour"] = (
            "hour",
            np.arange(24, dtype=np.int32),
            {"units": "h", "long_name": "hours after the day's start"},
        )
    for name, block in hourly.items():
        variables[f"{name}_hourly"] = (("time", "hour"), block, attributes_of(f"{name}_hourly"))
    return xr.Dataset(variables, coords, {"cadence": "1D", "day_start": float(day_start)})
