"""The baselines that a forecast is measured against, fitted to days that are not verified."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.forecast import BASELINES, LEADS
from particleflux.io.times import TimeRange
from particleflux.names import require
from particleflux.verify.checks import DAY, FLUENCE, check_forecast, lead_days, verified_span

Times = npt.NDArray[np.datetime64]
Mask = npt.NDArray[np.bool_]

#: With this many days of flux before the first issue time, only those are used.
ENOUGH_BEFORE = 3 * 365


def baselines(
    history: xr.Dataset,
    forecast: xr.Dataset,
    *,
    names: Sequence[str] = tuple(BASELINES),
    training: Sequence[TimeRange] | None = None,
) -> dict[str, xr.Dataset]:
    """Forecast with the baselines at the issue times of a forecast.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        Days: `fluence_gt2mev` (time), cm-2 sr-1 d-1.
    forecast : Dataset, dims (init_time, lead_time, quantile, ...)
        The forecast to be verified.
    names : sequence of str
        Keys of `particleflux.forecast.BASELINES`.
    training : sequence of TimeRange, optional
        Ranges whose days to fit to, such as `particleflux.history.parse_periods` gives them. By default the days
        before the first issue time where three years of them hold flux, else all days before the first and after the
        last day that `verify` scores.

    Returns
    -------
    dict of str to Dataset
        A forecast by each baseline; its attribute `trained_on` tells the days it was fitted to.

    Raises
    ------
    MissingDataError
        If too few days hold flux to fit to.
    DataError
        If a name is unknown, the baselines do not know a lead time, or training days are verified.
    """
    check_forecast(forecast)
    require(history, FLUENCE)
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        msg = f"baseline {unknown[0]!r} is unknown; expected some of {list(BASELINES)}"
        raise DataError(msg)
    leads = np.sort(lead_days(forecast)).tolist()
    if not set(leads) <= set(LEADS):
        msg = f"forecast with lead times of {leads} days: the baselines know {list(LEADS)}; select those of them"
        raise DataError(msg)
    issued = np.sort(forecast["init_time"].to_numpy().astype("datetime64[ns]"))
    days = history["time"].to_numpy().astype("datetime64[ns]")
    known = np.isfinite(history[FLUENCE].to_numpy()) & (history[FLUENCE].to_numpy() > 0)
    inside, trained_on = _choose_days(days, known, forecast, training)
    reduced = history.assign({FLUENCE: history[FLUENCE].where(xr.DataArray(inside, dims="time"))})
    made = {}
    for name in names:
        try:
            method = BASELINES[name].fit(reduced)
        except MissingDataError as error:
            msg = f"{name} cannot be fitted to {trained_on}: {error}; or name other training days, or no baselines"
            raise MissingDataError(msg) from error
        predicted = method.predict(history, init_time=issued, lead_time=leads)
        made[name] = predicted.assign_attrs(trained_on=trained_on)
    return made


def _choose_days(
    days: Times,
    known: Mask,
    forecast: xr.Dataset,
    training: Sequence[TimeRange] | None,
) -> tuple[Mask, str]:
    """Give the days to fit to, and what to say of them."""
    first, last = verified_span(forecast)
    if training is not None:
        inside = np.zeros(len(days), dtype=bool)
        for span in training:
            inside |= span.contains(days) & span.contains(days + DAY - np.timedelta64(1, "ns"))
        verified = days[inside & (days >= first) & (days <= last)]
        if verified.size:
            msg = (
                f"{len(verified)} training days are verified, the first {_text(verified[0])}; give days outside "
                f"{_text(first)} to {_text(last)}"
            )
            raise DataError(msg)
        return inside, _tell(f"the days in {', '.join(map(str, training))}", inside & known)
    issued = forecast["init_time"].to_numpy().min()
    before = days < issued
    if (before & known).sum() >= ENOUGH_BEFORE:
        return before, _tell(f"the days before {_text(issued)}", before & known)
    outside = (days < first) | (days > last)
    return outside, _tell(f"all days outside {_text(first)} to {_text(last)}, also later ones", outside & known)


def _tell(which: str, used: Mask) -> str:
    return f"{which} ({int(used.sum())} with flux)"


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]"))
