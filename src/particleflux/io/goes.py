"""Hourly integral electron flux of one GOES satellite from comma-separated files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.io._join import Array, Part, join
from particleflux.io._tables import check_satellite, find_files, read_table, read_text, to_numbers, to_times
from particleflux.io.paths import Paths
from particleflux.io.times import TimeLike, TimeRange

_WHAT = "hourly GOES electrons as CSV"
_NAMES = re.compile(r".*\.csv", re.IGNORECASE)
_LOW, _HIGH = "electron_flux_gt0p8mev", "electron_flux_gt2mev"
_COLUMNS = {"time": "time", "e_gt_0p8MeV": _LOW, "e_gt_2MeV": _HIGH}
# Without a heading: time, >0.8 MeV, >2 MeV, three components and magnitude of the magnetic field, stand-off.
_N_BARE = 8
_STUCK = 6


def open_goes_hourly(
    paths: Paths, *, satellite: str | None = None, start: TimeLike | None = None, stop: TimeLike | None = None
) -> xr.Dataset:
    """Read hourly mean electron flux above 0.8 and 2 MeV.

    Two layouts are known: with the heading `time,e_gt_0p8MeV,e_gt_2MeV` under comments that name the satellite, and
    without a heading, in eight columns that begin with time, >0.8 MeV and >2 MeV. Blanks and N/A are missing, and so is
    what cannot be: a flux that is not positive, both fluxes where the one above 2 MeV exceeds the one above 0.8 MeV,
    and a >2 MeV flux that stays exactly the same for six hours or more.

    Parameters
    ----------
    paths : path or iterable of paths
        Files of one satellite, folders (searched for .csv) and patterns.
    satellite : str or None
        Which satellite, "GOES-15"; must be given where the files do not say.
    start, stop : str, date, datetime, datetime64, Timestamp or None
        Half-open range of UTC instants; see `particleflux.io.times.TimeRange.parse`.

    Returns
    -------
    Dataset, dims (time,)
        `electron_flux_gt2mev` and `electron_flux_gt0p8mev` (cm-2 s-1 sr-1), hourly; attribute `satellite`, and
        `comment` where the files have one.

    Raises
    ------
    MissingDataError
        If a path does not exist, no file is found, a file holds no hour, or nothing lies inside the range.
    AxisError
        If the columns are others.
    DataError
        If a cell is no number or time, the satellite is not known, not named or not the one asked for, or files
        disagree on an hour.
    """
    span = TimeRange.parse(start, stop)
    asked = None if satellite is None else check_satellite(satellite)
    parts: list[Part] = []
    names: set[str] = set()
    comments: dict[str, None] = {}
    for path in find_files(paths, _NAMES, _WHAT):
        text = read_text(path, _WHAT)
        comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
        names.add(_satellite(comment, asked, path))
        comments[comment] = None
        parts.append(_part(path))
    if len(names) > 1:
        msg = f"the files are of {', '.join(sorted(names))}; expected one satellite; read them apart"
        raise DataError(msg)
    comment = " ".join(filter(None, comments))
    return join(parts, span, cadence="1h", satellite=names.pop(), **({"comment": comment} if comment else {}))


def _satellite(comment: str, asked: str | None, path: Path) -> str:
    named: list[str] = sorted(set(re.findall(r"GOES-\d+", comment)))
    if asked is None and len(named) == 1:
        return named[0]
    if asked is None:
        problem = f"names {', '.join(named)}" if named else "does not name its satellite"
        msg = f"{path} {problem}; expected one; give it, such as satellite='GOES-15'"
        raise DataError(msg)
    if named and asked not in named:
        msg = f"{path} is of {', '.join(named)}, not of {asked}; give other files or another satellite"
        raise DataError(msg)
    return asked


def _part(path: Path) -> Part:
    table = read_table(path, _WHAT)
    if list(table.columns)[:1] != ["time"]:
        table = _bare(table, path)
    unknown = [str(name) for name in table.columns if name not in _COLUMNS]
    absent = [name for name in _COLUMNS if list(table.columns).count(name) != 1]
    if unknown or absent:
        msg = f"{path}: found columns {', '.join(map(str, table.columns))}; expected {', '.join(_COLUMNS)}; rename them"
        raise AxisError(msg)
    low, high = (to_numbers(table[name], path) for name in ("e_gt_0p8MeV", "e_gt_2MeV"))
    both = np.isfinite(low) & np.isfinite(high)
    if both.any() and np.median(high[both]) > np.median(low[both]):
        msg = (
            f"{path}: the flux above 2 MeV has a median of {np.median(high[both]):g}, more than the "
            f"{np.median(low[both]):g} above 0.8 MeV; expected less; the columns are in another order: correct them"
        )
        raise DataError(msg)
    low, high = _screened(low, high)
    return Part(path, to_times(table["time"], path), {_HIGH: high, _LOW: low})


def _bare(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if table.shape[1] != _N_BARE:
        msg = (
            f"{path}: found {table.shape[1]} columns without the heading {','.join(_COLUMNS)}; expected that heading, "
            f"or {_N_BARE} columns: time, >0.8 MeV, >2 MeV, three components and magnitude of the magnetic field, "
            "magnetopause stand-off; give files of electrons"
        )
        raise AxisError(msg)
    first = pd.DataFrame([list(map(str, table.columns))], index=[1])
    rows = pd.concat([first, table.set_axis(range(_N_BARE), axis="columns")])
    return rows.iloc[:, :3].set_axis(list(_COLUMNS), axis="columns")


def _screened(low: Array, high: Array) -> tuple[Array, Array]:
    low, high = np.where(low > 0, low, np.nan), np.where(high > 0, high, np.nan)
    # The corrections for protons end in a floor that is no measurement: 18 hours of 0.133 on 2014-01-08, GOES-15.
    run = np.cumsum(np.concatenate([[True], high[1:] != high[:-1]]))
    high = np.where(np.bincount(run)[run] >= _STUCK, np.nan, high)
    crossed = high > low
    return np.where(crossed, np.nan, low), np.where(crossed, np.nan, high)
