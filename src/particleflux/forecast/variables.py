"""Variables of a history as numbers for networks and regressions: one unit each, logarithms where they span decades."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, UnitError
from particleflux.forecast.issue import FLUENCE
from particleflux.names import VARIABLES

Array = npt.NDArray[np.float64]

#: Positive quantities that span decades are read as logarithms.
LOGARITHMIC = {
    FLUENCE,
    "electron_flux_gt2mev",
    "electron_flux_gt0p8mev",
    "electron_flux_gt0p6mev",
    "solar_wind_density",
    "solar_wind_pressure",
    "ae",
}
_SUFFIXES = ("_hourly", "_min", "_max")
# Below this an index or a density is its own noise, and its logarithm would be too.
_LEAST = {"ae": 1.0, "solar_wind_density": 0.05, "solar_wind_pressure": 0.02}


def read_variable(history: xr.Dataset, name: str) -> Array:
    """Read a variable of a history in the form that networks see.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        Days; a variable that is absent counts as missing.
    name : str
        A variable; `a|b` reads b where a is missing.

    Returns
    -------
    ndarray, shape (time,) or (time, hour)
        In the unit of its name, or its log10; NaN where missing.

    Raises
    ------
    AxisError
        If the variable has other dimensions.
    UnitError
        If its unit is another one.
    """
    first, _, rest = name.partition("|")
    values = _read_one(history, first)
    return np.where(np.isfinite(values), values, read_variable(history, rest)) if rest else values


def _read_one(history: xr.Dataset, name: str) -> Array:
    hourly = name.endswith("_hourly")
    if name not in history.variables:
        shape = (history.sizes["time"], 24) if hourly else (history.sizes["time"],)
        return np.full(shape, np.nan)
    array = history[name]
    expected = ("time", "hour") if hourly else ("time",)
    base = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
    if array.dims != expected:
        msg = f"variable {name!r} has dimensions {array.dims}, expected {expected}; see `particleflux history`"
        raise AxisError(msg)
    if hourly and array.sizes["hour"] != 24:
        msg = f"variable {name!r} has {array.sizes['hour']} hours a day, expected 24; see `particleflux history`"
        raise AxisError(msg)
    if array.attrs.get("units") != VARIABLES[base].units:
        msg = (
            f"variable {name!r} has units {array.attrs.get('units')!r}, expected {VARIABLES[base].units!r}; "
            f"convert it and set attrs['units'] = {VARIABLES[base].units!r}"
        )
        raise UnitError(msg)
    values = array.to_numpy().astype(np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    if base not in LOGARITHMIC:
        return values
    values = np.where(values >= 0 if base in _LEAST else values > 0, values, np.nan)
    return np.log10(np.maximum(values, _LEAST.get(base, 0.0)))
