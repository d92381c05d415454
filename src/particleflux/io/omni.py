"""OMNI2 hourly solar wind and indices of NASA's Space Physics Data Facility."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import DataError
from particleflux.io._join import Array, Part, Times, join
from particleflux.io._tables import find_files, kp_in_thirds
from particleflux.io.paths import Paths
from particleflux.io.times import TimeLike, TimeRange

_WHAT = "OMNI2 hourly data such as omni2_2008.dat"
_NAMES = re.compile(r"omni2_\d{4}\.dat", re.IGNORECASE)
_ADVICE = "give the file of 55 columns as NASA SPDF publishes it"
_N_COLUMNS = 55
# Word of the format description, counting from 1, and its fill value. None of these is negative but Dst and the
# components of the field.
_COLUMNS = {
    "b_total": (9, 999.9),
    "by_gsm": (16, 999.9),
    "bz_gsm": (17, 999.9),
    "solar_wind_density": (24, 999.9),
    "solar_wind_speed": (25, 9999.0),
    "solar_wind_pressure": (29, 99.99),
    "kp": (39, 99.0),
    "dst": (41, 99999.0),
    "ae": (42, 9999.0),
    "ap": (50, 999.0),
    "f10p7": (51, 999.9),
}
_SIGNED = {"by_gsm", "bz_gsm", "dst"}


def open_omni(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read hourly solar wind, interplanetary magnetic field and indices.

    Fill values are missing, and so is a value beyond its fill value or a negative one where no negative one exists.
    Kp is in thirds, exactly: 2.333..., where the file has 23. `f10p7` is the flux adjusted to 1 au; Dst of the latest
    years is the quick-look value, see `open_dst`.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders (searched for omni2_YYYY.dat) and patterns.
    start, stop : str, date, datetime, datetime64, Timestamp or None
        Half-open range of UTC instants; see `particleflux.io.times.TimeRange.parse`.

    Returns
    -------
    Dataset, dims (time,)
        `solar_wind_speed` (km s-1), `solar_wind_density` (cm-3), `solar_wind_pressure` (nPa), `b_total`, `by_gsm`,
        `bz_gsm` (nT), `kp` (1), `ap` (nT), `dst` (nT), `ae` (nT), `f10p7` (1e-22 W m-2 Hz-1), hourly.

    Raises
    ------
    MissingDataError
        If a path does not exist, no file is found, or nothing lies inside the range.
    DataError
        If a file has other than 55 columns of numbers, a time does not exist, Kp is not in thirds, or files disagree
        on an hour.
    """
    span = TimeRange.parse(start, stop)
    return join([_part(path) for path in find_files(paths, _NAMES, _WHAT)], span, cadence="1h")


def _part(path: Path) -> Part:
    try:
        with path.open(encoding="utf-8") as file:
            width = len(file.readline().split())
        if width != _N_COLUMNS:
            msg = f"{path}: found {width} columns in the first line, expected {_N_COLUMNS}; {_ADVICE}"
            raise DataError(msg)
        # All columns are read, though few are used: only then does the parser refuse a line with too many.
        table = pd.read_csv(path, sep=r"\s+", header=None, engine="c", dtype=np.float64)
    except (ValueError, OSError) as error:  # the parser's and the decoder's errors are ValueErrors
        if isinstance(error, DataError):
            raise
        msg = f"{path} cannot be read as {_N_COLUMNS} columns of numbers ({error}); {_ADVICE}"
        raise DataError(msg) from error
    table.columns = pd.RangeIndex(1, _N_COLUMNS + 1)
    damaged = np.flatnonzero(table.isna().any(axis="columns").to_numpy())
    if len(damaged):
        msg = f"{path}, line {damaged[0] + 1}: fewer than {_N_COLUMNS} numbers; {_ADVICE}"
        raise DataError(msg)
    values = {name: _screened(table[column].to_numpy(), name, fill) for name, (column, fill) in _COLUMNS.items()}
    values["kp"] = kp_in_thirds(values["kp"], path)
    return Part(path, _hours(table, path), dict(values))


def _screened(values: Array, name: str, fill: float) -> Array:
    bad = np.abs(values) >= fill
    if name not in _SIGNED:
        bad |= values < 0
    return np.where(bad, np.nan, values)


def _hours(table: pd.DataFrame, path: Path) -> Times:
    year, day, hour = (table[column].to_numpy() for column in (1, 2, 3))
    whole = (year == np.rint(year)) & (day == np.rint(day)) & (hour == np.rint(hour))
    wrong = ~whole | (year < 1963) | (year > 2200) | (day < 1) | (day > 366) | (hour < 0) | (hour > 23)
    first = np.where(wrong, 0, year - 1970).astype("datetime64[Y]")
    time = first.astype("datetime64[h]") + np.where(wrong, 0, 24 * (day - 1) + hour).astype("timedelta64[h]")
    wrong |= time.astype("datetime64[Y]") != first  # day 366 of a common year
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        msg = (
            f"{path}, line {row + 1}: year {year[row]:g}, day {day[row]:g}, hour {hour[row]:g} is no hour of a year; "
            f"{_ADVICE}"
        )
        raise DataError(msg)
    return np.asarray(time.astype("datetime64[ns]"))
