"""Electron sources -> what each product of each satellite says about each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.history.checks import check_satellite
from particleflux.history.days import DAY, Days, cadence_of, check_series
from particleflux.history.fluence import daily_fluence, detection_limit
from particleflux.history.folding import daily_values, hourly_means, summarise_days
from particleflux.history.layout import CENSORED, FLUXES, SECONDS_A_DAY
from particleflux.history.periods import Periods, parse_periods
from particleflux.names import attributes

Array = npt.NDArray[np.float64]

_SOFTER = ("electron_flux_gt0p8mev", "electron_flux_gt0p6mev")
_FLUENCE = "fluence_gt2mev"


@dataclass
class Piece:
    """What one product of one satellite says about each day.

    Attributes
    ----------
    satellite, product : str
        Which.
    daily : dict of array, shape (day,)
        `fluence_gt2mev`, `fluence_gt2mev_censored` and the softer fluxes.
    hourly : dict of array, shape (day, hour)
        The fluxes; empty for a daily product.
    limit : float or None
        Detection limit below which its hours are blank, cm-2 s-1 sr-1.
    """

    satellite: str
    product: str
    daily: dict[str, Array] = field(default_factory=dict)
    hourly: dict[str, Array] = field(default_factory=dict)
    limit: float | None = None

    @property
    def any_hour(self) -> npt.NDArray[np.bool_]:
        """Days of which at least one hour is known."""
        block = self.hourly.get(FLUXES[0], np.full((len(self.daily[_FLUENCE]), 24), np.nan))
        return np.asarray(np.isfinite(block).any(axis=1), dtype=np.bool_)


def split_satellites(source: xr.Dataset) -> list[xr.Dataset]:
    """Part a source into one dataset for each satellite that measured it.

    Parameters
    ----------
    source : Dataset, dims (time,)
        With a variable `satellite` (time), or the attribute of that name.

    Returns
    -------
    list of Dataset
        In the order of their first samples, each with the attribute `satellite`.

    Raises
    ------
    DataError
        If the source is no series, there is neither, or a satellite is not known by its name.
    """
    check_series(source)
    if "satellite" not in source.variables:
        check_satellite(source.attrs.get("satellite", ""), f"electrons from {_origin(source)}")
        return [source]
    names = source["satellite"].to_numpy().astype(np.str_)
    # One day of a satellite does not tell by itself that it is a day.
    cadence = str(pd.Timedelta(cadence_of(source)))
    found, first = np.unique(names, return_index=True)
    parts = []
    for name in found[np.argsort(first)]:
        part = source.isel(time=names == name).drop_vars("satellite")
        part = part.assign_attrs(satellite=str(name), cadence=cadence)
        measured = [np.isfinite(part[flux].to_numpy()) for flux in (_FLUENCE, FLUXES[0]) if flux in part]
        if name:
            check_satellite(str(name), f"electrons from {_origin(source)}")
            parts.append(part)
        elif any(present.any() for present in measured):
            row = int(next(present for present in measured if present.any()).argmax())
            time = part["time"].to_numpy()[row].astype("datetime64[s]")
            msg = f"electrons from {_origin(source)}: a flux at {time} names no satellite; name it, as in 'GOES-13'"
            raise DataError(msg)
    return parts


def read_piece(source: xr.Dataset, days: Days, *, find_limit: bool = True) -> Piece:
    """Fold the electrons of one satellite.

    Parameters
    ----------
    source : Dataset, dims (time,)
        Of one satellite; the attribute `detection_limit` (cm-2 s-1 sr-1) goes before an estimate.
    days : Days
        Days to cover.
    find_limit : bool
        Estimate the detection limit where none is stated. It is found from all hours there are, so that hours to come
        change it a little; without it only a stated limit is used.

    Returns
    -------
    Piece
        What it says about each of them.

    Raises
    ------
    DataError
        If it holds neither flux nor fluence above 2 MeV, or does not fit into the days.
    """
    names = check_series(source)
    piece = Piece(str(source.attrs["satellite"]), str(source.attrs.get("product", "")))
    fluxes = tuple(name for name in FLUXES if name in names)
    if FLUXES[0] not in names and _FLUENCE not in names:
        msg = f"electrons from {_origin(source)} hold {', '.join(names)}; expected {FLUXES[0]} or fluence_gt2mev"
        raise MissingDataError(msg)
    if cadence_of(source) == DAY:
        piece.daily = daily_values(source, tuple({*fluxes, _FLUENCE} & set(names)), days)
        flux = piece.daily.pop(FLUXES[0], np.full(days.n_days, np.nan)) * SECONDS_A_DAY
        fluence = piece.daily.get(_FLUENCE, flux)
        fluence = np.where(np.isfinite(fluence), fluence, flux)
        piece.daily[_FLUENCE] = np.where(fluence > 0, fluence, np.nan)
        return piece
    if FLUXES[0] not in names:
        msg = f"electrons from {_origin(source)} are finer than a day; expected {FLUXES[0]}, found a daily fluence"
        raise DataError(msg)
    piece.hourly = hourly_means(source, fluxes, days)
    softer = next((piece.hourly[name] for name in _SOFTER if name in piece.hourly), None)
    stated = source.attrs.get("detection_limit")
    if softer is not None and stated is not None:
        piece.limit = _stated_limit(stated)
    elif softer is not None and find_limit:
        piece.limit = detection_limit(piece.hourly[FLUXES[0]], softer)
    made = daily_fluence(piece.hourly[FLUXES[0]], softer, limit=piece.limit)
    piece.hourly[FLUXES[0]] = made.flux
    means = summarise_days({name: piece.hourly[name] for name in fluxes[1:]})
    piece.daily = {name: means[name] for name in fluxes[1:]}
    piece.daily |= {_FLUENCE: made.fluence, CENSORED: made.censored}
    return piece


def _stated_limit(stated: object) -> float:
    is_number = isinstance(stated, (int, float, np.number)) and not isinstance(stated, bool)
    limit = float(stated) if is_number else np.nan  # type: ignore[arg-type]
    if not 0 < limit < np.inf:
        msg = f"the attribute detection_limit is {stated!r}, expected a flux above 0 in cm-2 s-1 sr-1; correct it"
        raise DataError(msg)
    return limit


def daily_fluences(pieces: Sequence[Piece], days: Days) -> dict[str, xr.DataArray]:
    """Give what calibrations are fitted to: the daily fluence by satellite and product.

    Parameters
    ----------
    pieces : sequence of Piece
        In order of preference; the first of a name goes before the others.
    days : Days
        The axis.

    Returns
    -------
    dict of str to DataArray, dims (time,)
        cm-2 sr-1 d-1, by names such as "GOES-13/science". NaN where some of the hours are below the detection limit.
    """
    fluences: dict[str, xr.DataArray] = {}
    for piece in pieces:
        key = source_key(piece.satellite, piece.product)
        whole = piece.daily.get(CENSORED, np.zeros(days.n_days)) == 0
        values = xr.DataArray(np.where(whole, piece.daily[_FLUENCE], np.nan), {"time": days.time}, "time")
        fluences[key] = fluences[key].combine_first(values) if key in fluences else values
    return {key: values.assign_attrs(attributes(_FLUENCE)) for key, values in fluences.items()}


def leave_out(parts: Sequence[xr.Dataset], exclude: Mapping[str, Periods]) -> list[xr.Dataset]:
    """Drop the samples of some periods.

    Parameters
    ----------
    parts : sequence of Dataset, dims (time,)
        Electrons of one satellite each.
    exclude : mapping of str to periods
        By satellite, or by satellite and product.

    Returns
    -------
    list of Dataset
        Those that have samples left.

    Raises
    ------
    DataError
        If there is no such satellite.
    """
    keys = [source_key(str(part.attrs["satellite"]), str(part.attrs.get("product", ""))) for part in parts]
    for name in exclude:
        if name not in keys:
            msg = f"nothing to exclude of {name!r}: the electrons are of {', '.join(dict.fromkeys(keys))}; name one"
            raise DataError(msg)
    kept = []
    for key, part in zip(keys, parts, strict=True):
        if key not in exclude:
            kept.append(part)
            continue
        time = part["time"].to_numpy()
        left = ~np.any([span.contains(time) for span in parse_periods(exclude[key])], axis=0)
        if left.any():
            kept.append(part.assign_attrs(cadence=str(pd.Timedelta(cadence_of(part)))).isel(time=left))
    return kept


def source_key(satellite: str, product: str) -> str:
    """Name a product of a satellite as the calibrations do.

    Parameters
    ----------
    satellite : str
        Its name.
    product : str
        Which of its products; empty where it has one.

    Returns
    -------
    str
        For instance "GOES-13/science".
    """
    return f"{satellite}/{product}" if product else satellite


def _origin(source: xr.Dataset) -> str:
    files = source.attrs.get("source_files")
    names = [files] if isinstance(files, str) else list(files or [])
    return ", ".join(map(str, names[:2])) + (f" and {len(names) - 2} more" if len(names) > 2 else "") or "memory"
