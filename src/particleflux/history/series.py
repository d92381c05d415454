"""One checked table -> history, whatever its cadence."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.history.assembly import combine, finish
from particleflux.history.checks import check_satellite, find_cadence
from particleflux.history.days import DAY, HOUR, Days
from particleflux.history.drivers import derive, merge_drivers
from particleflux.history.layout import (
    BLOCKS,
    CALIBRATION_MEANINGS,
    DAILY_COLUMNS,
    DRIVERS,
    FLUXES,
    SECONDS_A_DAY,
    TEXT_COLUMNS,
    dataset_of,
)
from particleflux.history.pieces import split_satellites

Array = npt.NDArray[np.float64]

_FLUENCE = "fluence_gt2mev"
#: First values of a column that tell how often it has one.
_DECIDE = 16
_KEPT = ("detection_limits", "source_files")


def history_of(table: xr.Dataset, where: str, *, satellite: str | None, day_start: float | None) -> xr.Dataset:
    """Bring a checked table into the canonical layout.

    Parameters
    ----------
    table : Dataset, dims (time[, hour])
        By the names of the contract, times in order.
    where : str
        The file, for messages.
    satellite : str, optional
        Of the electrons, where the table does not name it.
    day_start : float, optional
        Hours from 00:00 UTC to the start of a day; by default as the table says, else 0.

    Returns
    -------
    Dataset, dims (time[, hour])
        The history.

    Raises
    ------
    AxisError
        If a table finer than a day holds what only days have.
    DataError
        If the satellite or the start of the day does not fit.
    """
    time = table["time"].to_numpy()
    try:  # before steps between times centuries apart are taken, which do not fit a timedelta
        Days.spanning(time, 0.0)
    except DataError as error:
        msg = f"{where}: {error}"
        raise DataError(msg) from error
    stated = table.attrs.get("cadence") == "1D" and not (np.diff(time) % DAY).any()
    cadence = DAY if stated else find_cadence(time, where)
    table = _with_satellite(table, where, satellite)
    if table.attrs.get("reference"):
        check_satellite(str(table.attrs["reference"]), f"{where}, attribute reference")
    start = _day_start(table, where, day_start, daily=cadence == DAY)
    days = Days.spanning(time, start)
    if cadence == DAY:
        return _of_days(table, days, start, where)
    last = days.time[-1]
    if time[-1] + cadence < last + DAY:
        warnings.warn(
            f"{where}: the rows end {time[-1].astype('datetime64[m]')}, before their last day is over; it is left out",
            UserWarning,
            stacklevel=3,
        )
        table, days = table.isel(time=time < last), Days(days.start, days.n_days - 1)
        if not days.n_days:
            msg = f"{where} holds no whole day: expected the hours of one day at least; give more rows"
            raise MissingDataError(msg)
    extra = [str(name) for name in table.data_vars if name in DAILY_COLUMNS or name in BLOCKS]
    if extra:
        msg = (
            f"{where}: {', '.join(extra)} belong to a table of days, but its rows are {pd.Timedelta(cadence)} apart; "
            "remove them: they are made from the other columns"
        )
        raise AxisError(msg)
    return _of_hours(table, cadence, days, start, where)


def _with_satellite(table: xr.Dataset, where: str, satellite: str | None) -> xr.Dataset:
    """Name the satellite of each row, by what is known."""
    stated = str(table.attrs.get("satellite", ""))
    if "satellite" in table:
        for name in np.unique(table["satellite"].to_numpy()):
            if name:
                check_satellite(str(name), f"{where}, column satellite")
        return table
    if satellite is not None or (stated and "," not in stated):
        name = satellite if satellite is not None else stated
        check_satellite(name, where if satellite is None else "satellite")
        return table.assign_attrs(satellite=name)
    warnings.warn(
        f"{where} names no satellite: its flux is taken as uncalibrated; add a column satellite, such as GOES-13",
        UserWarning,
        stacklevel=4,
    )
    return table.assign_attrs(satellite="")


def _day_start(table: xr.Dataset, where: str, asked: float | None, *, daily: bool) -> float:
    stated = table.attrs.get("day_start")
    if stated is not None and not (isinstance(stated, (int, float)) and -24 < stated < 24):
        msg = f"{where}: the attribute day_start is {stated!r}, expected hours between -24 and 24; correct it"
        raise DataError(msg)
    if not daily:
        return float(asked if asked is not None else stated or 0.0)
    first = table["time"].to_numpy()[0]
    own = float((first - first.astype("datetime64[D]")) / HOUR)
    if stated is not None and (float(stated) - own) % 24 == 0:
        own = float(stated)  # -5 and 19 name the same instant of another day
    if asked is not None and asked != own:
        msg = (
            f"{where}: its days begin {own:g} h after 00:00 UTC, but {asked:g} h is asked for; days cannot be divided: "
            "give hourly data, or leave the start of the day out"
        )
        raise DataError(msg)
    if own and stated is None:
        warnings.warn(
            f"{where}: rows stand at {own:g} h UTC; each is taken as the day that begins then",
            UserWarning,
            stacklevel=4,
        )
    return own


def _of_days(table: xr.Dataset, days: Days, day_start: float, where: str) -> xr.Dataset:
    placed = table.drop_vars("hour", errors="ignore").reindex(time=days.time)
    given = {str(name): placed[name].to_numpy() for name in table.data_vars if name not in TEXT_COLUMNS}
    calibration = given.pop("calibration", None)
    blocks = {name.removesuffix("_hourly"): given.pop(name) for name in BLOCKS if name in given}
    fluence = given.get(_FLUENCE, np.full(days.n_days, np.nan))
    fluence = np.where(np.isfinite(fluence), fluence, given.get(FLUXES[0], np.nan) * SECONDS_A_DAY)
    given[_FLUENCE] = np.where(fluence > 0, fluence, np.nan)
    given[FLUXES[0]] = given[_FLUENCE] / SECONDS_A_DAY
    given.setdefault("fluence_gt2mev_measured", given[_FLUENCE])
    if "kp_sum" in given and "kp" not in given:
        given["kp"] = given["kp_sum"] / 8
    drivers, hourly = derive(
        {name: values for name, values in given.items() if name in DRIVERS},
        {name: values for name, values in blocks.items() if name in DRIVERS},
    )
    measured = np.isfinite(given[_FLUENCE])
    if FLUXES[0] in blocks:
        measured |= np.isfinite(blocks[FLUXES[0]]).any(axis=1)
    if "satellite" in placed:
        named = placed["satellite"].fillna("").to_numpy().astype(np.str_)
        names = np.where(named == "nan", "", named)
    else:
        names = np.where(measured, str(table.attrs["satellite"]), "")
    reference = str(table.attrs.get("reference") or _first(names[measured]))
    if calibration is None:
        codes = np.where(measured, np.where((names == reference) & (names != ""), 0, 3), -1)
    else:
        codes = np.where(np.isfinite(calibration), calibration, -1)
        if not np.isin(codes, list(CALIBRATION_MEANINGS)).all():
            known = ", ".join(map(str, CALIBRATION_MEANINGS))
            wrong = codes[~np.isin(codes, list(CALIBRATION_MEANINGS))][0]
            msg = f"{where}, column calibration: found {wrong:g}, expected one of {known}; correct it"
            raise DataError(msg)
    daily = {**drivers, **given, "satellite": names, "calibration": codes.astype(np.int8)}
    history = dataset_of(days.time, daily, {**blocks, **hourly}, day_start=day_start)
    for name in given:
        if name in table and "preference" in table[name].attrs:
            history[name].attrs["preference"] = table[name].attrs["preference"]
    history.attrs |= {
        key: table.attrs[key] for key in table.attrs if key in _KEPT or str(key).startswith("provenance_")
    }
    return finish(history, reference)


def _of_hours(table: xr.Dataset, cadence: np.timedelta64, days: Days, day_start: float, where: str) -> xr.Dataset:
    electrons = table[[name for name in (*FLUXES, *TEXT_COLUMNS) if name in table]]
    if FLUXES[0] not in electrons:
        electrons[FLUXES[0]] = ("time", np.full(table.sizes["time"], np.nan))
    electrons.attrs = {**table.attrs, "cadence": str(pd.Timedelta(cadence))}
    parts = split_satellites(electrons) if "satellite" in electrons else [electrons]
    groups: dict[np.timedelta64, list[str]] = {}
    for name in DRIVERS:
        if name in table:
            groups.setdefault(_own_cadence(table[name], cadence), []).append(name)
    sources = []
    for step, names in groups.items():
        rows = np.isfinite(table[names].to_array().to_numpy()).any(axis=0) if step > cadence else slice(None)
        if len(table["time"][rows]):
            sources.append(table[names].isel(time=rows).assign_attrs(cadence=str(pd.Timedelta(step))))
    history = combine(
        parts,
        merge_drivers({}, sources, days),
        days,
        day_start=day_start,
        reference=table.attrs.get("reference"),
        # What comes later in a file must not change what stands before it.
        find_limit=False,
    )
    if _FLUENCE in table:
        _place_fluence(history, table, days, where)
    history.attrs |= {key: table.attrs[key] for key in _KEPT if key in table.attrs}
    return history


def _first(names: npt.NDArray[np.str_]) -> str:
    """Give the first name; what comes later in a file must not change what stands before it."""
    return next((str(name) for name in names if name), "")


def _own_cadence(column: xr.DataArray, cadence: np.timedelta64) -> np.timedelta64:
    """Tell whether a column has a value every three hours or every day only, as Kp and F10.7 have."""
    # The first values decide: a later one must not change what stands before it.
    time = column["time"].to_numpy()[np.isfinite(column.to_numpy())][:_DECIDE]
    for step in (DAY, 3 * HOUR):
        if step > cadence and len(time) > 1 and not (np.diff(time) % step).any():
            return np.timedelta64(step, "ns")
    return cadence


def _place_fluence(history: xr.Dataset, table: xr.Dataset, days: Days, where: str) -> None:
    """Let the fluence a table states go before the one made of its fluxes."""
    column = table[_FLUENCE].to_numpy()
    rows = np.isfinite(column) & (column > 0)
    numbers = ((table["time"].to_numpy()[rows] - days.start) // DAY).astype(np.int64)
    least, most = np.full(days.n_days, np.inf), np.full(days.n_days, -np.inf)
    np.minimum.at(least, numbers, column[rows])
    np.maximum.at(most, numbers, column[rows])
    if (most > least).any():
        day = days.time[np.flatnonzero(most > least)[0]].astype("datetime64[D]")
        msg = f"{where}: column {_FLUENCE} changes within {day}; expected one value a day: give flux, or daily rows"
        raise DataError(msg)
    stated = np.isfinite(least)
    for name, scale in ((_FLUENCE, 1.0), ("fluence_gt2mev_measured", 1.0), (FLUXES[0], SECONDS_A_DAY)):
        history[name] = (("time",), np.where(stated, least / scale, history[name].to_numpy()), history[name].attrs)
    if "satellite" in table:
        names = table["satellite"].to_numpy()
        first = np.full(days.n_days, "", dtype="<U16")
        first[numbers[::-1]] = names[rows][::-1]
        satellite = np.where(stated, first, history["satellite"].to_numpy())
    else:
        satellite = np.where(stated, str(table.attrs["satellite"]), history["satellite"].to_numpy())
    reference = str(table.attrs.get("reference") or _first(satellite[np.isfinite(history[_FLUENCE].to_numpy())]))
    codes = np.where(satellite == "", np.where(stated, 3, -1), np.where(satellite == reference, 0, 3))
    history["satellite"] = ("time", satellite, history["satellite"].attrs)
    history["calibration"] = ("time", codes.astype(np.int8))
    finish(history, reference)
