"""Hourly Dst index from a comma-separated file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from particleflux.errors import AxisError
from particleflux.io._join import Part, join
from particleflux.io._tables import find_files, read_table, to_numbers, to_times
from particleflux.io.paths import Paths
from particleflux.io.times import TimeLike, TimeRange

_WHAT = "hourly Dst as CSV with the columns time,dst_nT"
_NAMES = re.compile(r"dst.*\.csv", re.IGNORECASE)
_COLUMNS = ["time", "dst_nT"]
_RANGE = (-3000.0, 500.0)


def open_dst(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read hourly Dst.

    Parameters
    ----------
    paths : path or iterable of paths
        CSV files with the columns `time` (ISO 8601, start of the hour, UTC) and `dst_nT`; lines that begin with # are
        comments, a blank is missing. Folders are searched for names that begin with dst.
    start, stop : str, date, datetime, datetime64, Timestamp or None
        Half-open range of UTC instants; see `particleflux.io.times.TimeRange.parse`.

    Returns
    -------
    Dataset, dims (time,)
        `dst` (nT), hourly. A value outside -3000 to 500 nT is a fill value and missing.

    Raises
    ------
    MissingDataError
        If a path does not exist, no file is found, a file holds no hour, or nothing lies inside the range.
    AxisError
        If the columns are others.
    DataError
        If a cell is no number or time, or files disagree on an hour.
    """
    span = TimeRange.parse(start, stop)
    return join([_part(path) for path in find_files(paths, _NAMES, _WHAT)], span, cadence="1h")


def _part(path: Path) -> Part:
    table = read_table(path, _WHAT)
    if list(table.columns) != _COLUMNS:
        msg = f"{path}: found columns {', '.join(map(str, table.columns))}; expected {', '.join(_COLUMNS)}; rename them"
        raise AxisError(msg)
    dst = to_numbers(table["dst_nT"], path)
    return Part(
        path, to_times(table["time"], path), {"dst": np.where((dst > _RANGE[0]) & (dst < _RANGE[1]), dst, np.nan)}
    )
