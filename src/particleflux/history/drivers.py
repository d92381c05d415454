"""Sources of what drives the flux -> one value an hour or a day, and what can be derived from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.history.days import DAY, Days, cadence_of, check_series
from particleflux.history.folding import daily_values, hourly_means, summarise_days
from particleflux.history.layout import DRIVERS
from particleflux.magnetosphere import dynamic_pressure, standoff

Array = npt.NDArray[np.float64]

#: Alpha particles per proton where none were measured: what OMNI assumes.
ALPHA_RATIO = 0.05
_OWN_SOURCE = {"kp": "kp", "ap": "kp", "dst": "dst"}


@dataclass
class Drivers:
    """What drives the flux.

    Attributes
    ----------
    daily : dict of array, shape (day,)
        Means, extremes and `kp_sum`.
    hourly : dict of array, shape (day, hour)
        Hourly means.
    preference : dict of str
        For each driver the sources it was looked for in, in that order.
    """

    daily: dict[str, Array]
    hourly: dict[str, Array]
    preference: dict[str, str]


def merge_drivers(named: Mapping[str, xr.Dataset | None], others: Sequence[xr.Dataset], days: Days) -> Drivers:
    """Take each driver from the first source that has it, hour by hour, and derive pressure and stand-off distance.

    Parameters
    ----------
    named : mapping of str to Dataset or None
        With the keys kp, dst and omni.
    others : sequence of Dataset, dims (time,)
        Looked at after those.
    days : Days
        Days to cover.

    Returns
    -------
    Drivers
        NaN where no source has a value.
    """
    sources = {name: source for name, source in named.items() if source is not None}
    sources |= {f"other {number}": source for number, source in enumerate(others, start=1)}
    order = ["omni", *(name for name in sources if name.startswith("other ")), "kp", "dst"]
    hourly: dict[str, Array] = {}
    daily: dict[str, Array] = {}
    preference: dict[str, str] = {}
    blocks: dict[str, dict[str, Array]] = {}
    for name, source in sources.items():
        present = tuple(driver for driver in DRIVERS if driver in check_series(source))
        fold = daily_values if cadence_of(source) == DAY else hourly_means
        blocks[name] = fold(source, present, days)
    for driver in DRIVERS:
        own = _OWN_SOURCE.get(driver)
        ranked = sorted((name for name in order if driver in blocks.get(name, {})), key=lambda name: name != own)
        for name in ranked:
            kept = hourly if blocks[name][driver].ndim == 2 else daily
            kept[driver] = _first(kept.get(driver), blocks[name][driver])
        if ranked:
            preference[driver] = ", ".join(ranked)
    return Drivers(*derive(daily, hourly), preference)


def derive(daily: Mapping[str, Array], hourly: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Add dynamic pressure and stand-off distance, and the daily values of what is hourly.

    Parameters
    ----------
    daily : mapping of str to array, shape (day,)
        From sources of one value a day; used where the hours give none.
    hourly : mapping of str to array, shape (day, hour)
        Hourly means.

    Returns
    -------
    daily : dict of array, shape (day,)
        Means, with `_min` and `_max` where there are hours, and `kp_sum`.
    hourly : dict of array, shape (day, hour)
        With what was derived.
    """
    hourly = _derived(hourly)
    means = summarise_days(hourly)
    for name, values in daily.items():
        means[name] = _first(means.get(name), values)
    # Of daily values only where there are no hours to derive from: the mean of a product is not that of its means.
    means = _derived(means)
    if "kp" in means:
        means["kp_sum"] = 8 * means["kp"]
    return means, hourly


def _derived(values: Mapping[str, Array]) -> dict[str, Array]:
    made = dict(values)
    labelled = {name: xr.DataArray(array) for name, array in values.items() if name in DRIVERS}
    if {"solar_wind_density", "solar_wind_speed"} <= labelled.keys():
        pressure = dynamic_pressure(
            labelled["solar_wind_density"], labelled["solar_wind_speed"], alpha_ratio=ALPHA_RATIO
        )
        made["solar_wind_pressure"] = _first(values.get("solar_wind_pressure"), pressure.to_numpy())
    if "solar_wind_pressure" in made and "bz_gsm" in made:
        distance = standoff(labelled["bz_gsm"], xr.DataArray(made["solar_wind_pressure"])).to_numpy()
        made["standoff"] = _first(values.get("standoff"), distance)
    return made


def _first(preferred: Array | None, other: Array) -> Array:
    return np.array(other) if preferred is None else np.where(np.isfinite(preferred), preferred, other)
