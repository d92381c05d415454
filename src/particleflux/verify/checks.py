"""Checks that a dataset is a forecast that can be scored."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.names import VARIABLES, require

FLUENCE = "fluence_gt2mev"
DIMS = ("init_time", "lead_time", "quantile")
DAY = np.timedelta64(86_400_000_000_000, "ns")


def lead_days(forecast: xr.Dataset) -> npt.NDArray[np.int64]:
    """Give the lead times of a forecast.

    Parameters
    ----------
    forecast : Dataset, dims (init_time, lead_time, ...)
        With lead times as lengths of time, or as numbers with the unit d.

    Returns
    -------
    array of int, shape (lead_time,)
        Days.

    Raises
    ------
    AxisError
        If they are no whole days from 1 on, each once.
    """
    lead = forecast["lead_time"]
    values = lead.to_numpy()
    days = np.array([])
    if values.dtype.kind == "m":
        days = values / DAY
    elif values.dtype.kind in "iuf" and str(lead.attrs.get("units", "")).lower() in {"d", "day", "days"}:
        days = values.astype(np.float64)
    if not days.size or not (days >= 1).all() or (days % 1).any() or len(np.unique(days)) < len(days):
        found = f"{values.tolist()} {lead.attrs.get('units', '')}".strip()
        msg = f"lead_time holds {found}; expected whole days from 1 on, each once: lead 1 begins at init_time"
        raise AxisError(msg)
    return days.astype(np.int64)


def verified_span(forecast: xr.Dataset) -> tuple[np.datetime64, np.datetime64]:
    """Give the first and the last day that a forecast covers at all of its lead times.

    Lead times differ in their first and last valid days: with the same days for all, they can be compared, and a
    hindcast issued on the days of a year is not scored on the first two days of the next.

    Parameters
    ----------
    forecast : Dataset, dims (init_time, lead_time, ...)
        What `check_forecast` lets pass.

    Returns
    -------
    first, last : datetime64[ns]
        Starts of the days.

    Raises
    ------
    MissingDataError
        If there is no such day.
    """
    leads, issued = lead_days(forecast), forecast["init_time"].to_numpy().astype("datetime64[ns]")
    if not issued.size or issued.max() - issued.min() < (leads.max() - leads.min()) * DAY:
        msg = (
            f"{issued.size} issue times with lead times of {np.sort(leads).tolist()} days: no day lies in the span of "
            "all lead times; give issue times over more days, or select one lead time"
        )
        raise MissingDataError(msg)
    return issued.min() + (leads.max() - 1) * DAY, issued.max() + (leads.min() - 1) * DAY


def check_forecast(forecast: xr.Dataset, name: str = "forecast") -> None:
    """Check that a dataset is a forecast that can be scored.

    Parameters
    ----------
    forecast : Dataset
        `fluence_gt2mev` (init_time, lead_time, quantile), cm-2 sr-1 d-1, and what else a forecast holds.
    name : str
        What to call it in messages.

    Raises
    ------
    AxisError
        If a variable, dimension or coordinate is absent or not as it must be.
    UnitError
        If a unit is absent or another one.
    DataError
        If a value cannot be a fluence or a probability.
    """
    try:
        require(forecast, FLUENCE)
        _check_axes(forecast)
        _check_values(forecast)
    except DataError as error:
        msg = f"{name}: {error}"
        raise type(error)(msg) from None


def _check_axes(forecast: xr.Dataset) -> None:
    found = forecast[FLUENCE].dims
    if set(found) != set(DIMS) or any(dim not in forecast.coords for dim in DIMS):
        msg = (
            f"variable {FLUENCE!r} has dimensions {found} and coordinates {sorted(map(str, forecast.coords))}, "
            f"expected {DIMS} with labels; give what a forecast method or `particleflux forecast` made"
        )
        raise AxisError(msg)
    for name in (FLUENCE, f"{FLUENCE}_mean", "probability", "quantile", "threshold"):
        if name in forecast.variables and forecast[name].dtype.kind not in "fiu":
            msg = f"variable {name!r} is of type {forecast[name].dtype}, expected numbers; write the file anew"
            raise DataError(msg)
    issued = forecast["init_time"].to_numpy()
    if issued.dtype.kind != "M" or np.isnat(issued).any():
        msg = f"init_time is of type {issued.dtype}, expected the UTC times of issue, none of them missing"
        raise AxisError(msg)
    times, n = np.unique(issued, return_counts=True)
    if (n > 1).any():
        twice = np.datetime_as_string(times[n > 1][0], unit="m")
        msg = f"init_time holds {twice} {n.max()} times; expected each issue time once: keep one of them"
        raise AxisError(msg)
    lead_days(forecast)
    levels = forecast["quantile"].to_numpy().astype(np.float64)
    if not np.isclose(levels, 0.5).any() or not ((levels > 0) & (levels < 1)).all() or (np.diff(levels) <= 0).any():
        msg = f"quantile holds {levels.tolist()}; expected levels between 0 and 1 in rising order, 0.5 among them"
        raise AxisError(msg)
    point = f"{FLUENCE}_mean"
    units = VARIABLES[FLUENCE].units
    if point in forecast and forecast[point].attrs.get("units") != units:
        msg = f"variable {point!r} has units {forecast[point].attrs.get('units')!r}, expected {units!r}; convert it"
        raise UnitError(msg)
    for variable, dims in ((point, DIMS[:2]), ("probability", (*DIMS[:2], "threshold"))):
        if variable in forecast and set(forecast[variable].dims) != set(dims):
            msg = f"variable {variable!r} has dimensions {forecast[variable].dims}, expected {dims}; transpose it"
            raise AxisError(msg)
    if "probability" in forecast and "threshold" not in forecast.coords:
        msg = f"variable 'probability' has no coordinate 'threshold'; expected the fluence to exceed, {units}"
        raise AxisError(msg)


def _check_values(forecast: xr.Dataset) -> None:
    for variable in (FLUENCE, f"{FLUENCE}_mean"):
        if variable in forecast:
            values = forecast[variable].to_numpy()
            bad = values[~np.isnan(values) & ~((values > 0) & np.isfinite(values))]
            if bad.size:
                msg = f"variable {variable!r} holds {bad.flat[0]:g} ({bad.size} values); expected fluences above 0 in "
                msg += f"{VARIABLES[FLUENCE].units}, not their logarithm, or NaN where there is none"
                raise DataError(msg)
    if "probability" in forecast:
        values = forecast["probability"].to_numpy()
        bad = values[~np.isnan(values) & ~((values >= 0) & (values <= 1))]
        if bad.size:
            msg = f"variable 'probability' holds {bad.flat[0]:g}; expected numbers from 0 to 1 (50 % is 0.5)"
            raise DataError(msg)
