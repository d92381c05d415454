"""Forecasts and observations of the same days, on one axis of valid days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.names import require
from particleflux.verify.checks import DAY, DIMS, FLUENCE, check_forecast, lead_days, verified_span
from particleflux.verify.events import day_before

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Samples:
    """What is scored: log10 fluence forecast and observed, per lead time and valid day.

    Parameters
    ----------
    point : DataArray, dims (forecaster, lead_time, day), dex
        Point forecasts: the mean of log10 where the method has one, else the median; NaN on days that do not count.
    quantiles : mapping of str to DataArray, dims (lead_time, day, quantile), dex
        By method; NaN on days that do not count.
    probability : DataArray, dims (forecaster, lead_time, day, threshold), 1
        What the forecasts give themselves; NaN where they give none for the threshold.
    obs : DataArray, dims (day), dex
        Observations.
    before : DataArray, dims (day), dex
        Observations of the day before.
    counts : Dataset, dims (forecaster, lead_time)
        `n_forecast`, days with a row in the file; `n_missing_forecast`, of those without a value; and
        (lead_time): `n_days`, days in the files of all; `n_missing_observation`, of those; `n`, days that count.
    """

    point: xr.DataArray
    quantiles: Mapping[str, xr.DataArray]
    probability: xr.DataArray
    obs: xr.DataArray
    before: xr.DataArray
    counts: xr.Dataset


def gather(forecasts: Mapping[str, xr.Dataset], history: xr.Dataset, thresholds: Array) -> Samples:
    """Bring forecasts and observations onto one axis of days, and keep the days that all of them have.

    Parameters
    ----------
    forecasts : mapping of str to Dataset
        By the name of the method.
    history : Dataset, dims (time, ...)
        `fluence_gt2mev` (time), cm-2 sr-1 d-1.
    thresholds : array, shape (threshold,)
        Fluences, cm-2 sr-1 d-1.

    Returns
    -------
    Samples
        For each lead time, days that are missing for one method or not observed are NaN for all.

    Raises
    ------
    AxisError
        If a forecast or the history lacks what is needed, or lead times differ.
    UnitError
        If a unit is absent or another one.
    DataError
        If there is no forecast, or one is of another scale than the history.
    MissingDataError
        If no day is left.
    """
    if not forecasts:
        msg = "no forecast to verify; give at least one"
        raise DataError(msg)
    leads = _common_leads(forecasts)
    observed = _observations(history)
    for name, forecast in forecasts.items():
        _check_scale(forecast, history, name)
    valid = {name: forecast["init_time"].to_numpy().astype("datetime64[ns]") for name, forecast in forecasts.items()}
    spans = [verified_span(forecast) for forecast in forecasts.values()]
    first, last = max(span[0] for span in spans), min(span[1] for span in spans)
    if first > last:
        spelt = ", ".join(f"{name} {_text(a)} to {_text(b)}" for name, (a, b) in zip(forecasts, spans, strict=True))
        msg = f"the forecasts have no common day: {spelt}; give forecasts of the same issue times"
        raise MissingDataError(msg)
    days = np.arange(first, last + DAY, DAY)
    _check_days(days, observed, valid)
    obs = observed.reindex(time=days).rename(time="day")
    before = day_before(observed).reindex(time=days).rename(time="day")
    pieces = {name: _place(forecast, leads, days, thresholds) for name, forecast in forecasts.items()}
    stacked = xr.concat(
        [piece[["point", "probability", "is_there"]] for piece in pieces.values()],
        xr.Variable("forecaster", list(pieces)),
        coords="minimal", compat="override", join="exact",
    )  # fmt: skip
    # A distribution that is missing, not only its point, takes the day out: all scores are of the same days.
    complete = xr.concat(
        [~piece["quantiles"].isnull().any("quantile") for piece in pieces.values()], stacked["forecaster"]
    )
    has_value = stacked["point"].notnull() & complete
    everywhere = stacked["is_there"].all("forecaster")
    keep = has_value.all("forecaster") & obs.notnull()
    counts = xr.Dataset({
        "n_forecast": stacked["is_there"].sum("day"),
        "n_missing_forecast": (stacked["is_there"] & ~has_value).sum("day"),
        "n_days": everywhere.sum("day"),
        "n_missing_observation": (everywhere & obs.isnull()).sum("day"),
        "n": keep.sum("day"),
    })  # fmt: skip
    if not int(counts["n"].sum()):
        lost = ", ".join(f"{name} {int(has_value.sel(forecaster=name).sum())}" for name in pieces)
        msg = (
            f"no day is forecast by all methods and observed: days with a forecast, over all leads: {lost}; days with "
            f"an observation: {int(obs.notnull().sum())}; give forecasts of the same issue times within the history"
        )
        raise MissingDataError(msg)
    return Samples(
        point=stacked["point"].where(keep),
        quantiles={name: piece["quantiles"].where(keep) for name, piece in pieces.items()},
        probability=stacked["probability"].where(keep),
        obs=obs,
        before=before,
        counts=counts,
    )


def _common_leads(forecasts: Mapping[str, xr.Dataset]) -> npt.NDArray[np.int64]:
    leads = {}
    for name, forecast in forecasts.items():
        check_forecast(forecast, name)
        leads[name] = np.sort(lead_days(forecast))
    first = next(iter(leads))
    for name, days in leads.items():
        if days.tolist() != leads[first].tolist():
            msg = (
                f"{name} has lead times of {days.tolist()} days, {first} of {leads[first].tolist()}; "
                "select the common ones with .sel(lead_time=...)"
            )
            raise AxisError(msg)
    return leads[first]


def _observations(history: xr.Dataset) -> xr.DataArray:
    require(history, FLUENCE)
    fluence = history[FLUENCE]
    if fluence.dims != ("time",) or "time" not in fluence.coords or fluence["time"].dtype.kind != "M":
        msg = f"history: {FLUENCE!r} has dimensions {fluence.dims}, expected ('time',) with the start of each day"
        raise AxisError(msg)
    values = fluence.to_numpy().astype(np.float64)
    # What is no positive number was not measured.
    log = np.log10(np.where((values > 0) & np.isfinite(values), values, np.nan))
    time = fluence["time"].to_numpy().astype("datetime64[ns]")
    observed = xr.DataArray(log, {"time": time}, ("time",))
    day_before(observed)  # refuses days that do not increase
    return observed


def _check_scale(forecast: xr.Dataset, history: xr.Dataset, name: str) -> None:
    own, other = (str(dataset.attrs.get("reference", "")) for dataset in (forecast, history))
    if own and other and own != other:
        msg = (
            f"{name} is on the scale of {own}, the history on that of {other}: the scores would be of the difference "
            "of the detectors; give the history the forecast was made from, or one with the same reference"
        )
        raise DataError(msg)


def _check_days(days: Times, observed: xr.DataArray, issued: Mapping[str, Times]) -> None:
    time = observed["time"].to_numpy()
    first = next(iter(issued.values()))[0]
    for name, times in issued.items():
        if ((times - first) % DAY != np.timedelta64(0, "ns")).any():
            odd = times[(times - first) % DAY != np.timedelta64(0, "ns")][0]
            msg = (
                f"{name}: issue time {_text(odd)} is not a whole number of days from {_text(first)}, the first one; "
                "expected all to begin at the same hour of the day"
            )
            raise DataError(msg)
    if np.isin(days, time).any():
        return
    if len(time) and (days[0] - time[0]) % DAY != np.timedelta64(0, "ns"):
        msg = (
            f"the forecasts are of days that begin as {_text(days[0])}, those of the history begin as "
            f"{_text(time[0])}; give the history they were made from, or one with the same start of the day"
        )
        raise DataError(msg)
    held = f"{_text(time[0])} to {_text(time[-1])}" if len(time) else "no day"
    msg = (
        f"the forecasts are of {_text(days[0])} to {_text(days[-1])}, the history holds {held}: no common day; "
        "give a history that reaches over the forecast days"
    )
    raise MissingDataError(msg)


def _place(forecast: xr.Dataset, leads: npt.NDArray[np.int64], days: Times, thresholds: Array) -> xr.Dataset:
    """Give one forecast by lead time and valid day, as log10."""
    issued = forecast["init_time"].to_numpy().astype("datetime64[ns]")
    order = np.argsort(lead_days(forecast))
    chosen = forecast.isel(lead_time=order)
    levels = forecast["quantile"].to_numpy().astype(np.float64)
    log = np.log10(chosen[FLUENCE].transpose(*DIMS).to_numpy().astype(np.float64))
    mean = f"{FLUENCE}_mean"
    if mean in chosen:
        point = np.log10(chosen[mean].transpose(*DIMS[:2]).to_numpy().astype(np.float64))
    else:
        point = log[..., int(np.argmin(np.abs(levels - 0.5)))]
    given = np.full((*point.shape, len(thresholds)), np.nan)
    if "probability" in chosen:
        known = chosen["threshold"].to_numpy().astype(np.float64)
        values = chosen["probability"].transpose(*DIMS[:2], "threshold").to_numpy()
        for column, threshold in enumerate(thresholds):
            for match in np.flatnonzero(np.isclose(known, threshold, rtol=1e-9)):
                given[..., column] = values[..., match]
    shape = (len(leads), len(days))
    placed = {"quantiles": np.full((*shape, len(levels)), np.nan), "point": np.full(shape, np.nan),
              "probability": np.full((*shape, len(thresholds)), np.nan)}  # fmt: skip
    is_there = np.zeros(shape, dtype=bool)
    for row, lead in enumerate(leads):
        at = (issued + (lead - 1) * DAY - days[0]) // DAY
        inside = (at >= 0) & (at < len(days))
        is_there[row, at[inside]] = True
        for name, values in (("quantiles", log), ("point", point), ("probability", given)):
            placed[name][row, at[inside]] = values[inside, row]
    dims = ("lead_time", "day")
    return xr.Dataset(
        {
            "point": (dims, placed["point"]),
            "quantiles": ((*dims, "quantile"), placed["quantiles"]),
            "probability": ((*dims, "threshold"), placed["probability"]),
            "is_there": (dims, is_there),
        },
        {"lead_time": leads, "day": days, "quantile": levels, "threshold": thresholds},
    )


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T00:00", "")
