"""Cells of a table, as text, turned into times and numbers; what cannot be is named by file, row and column."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from particleflux.errors import DataError

#: What an empty cell may hold, where a reader says nothing else.
BLANK = {"", "nan", "NaN", "NA"}


def parse_times(column: pd.Series[str], path: Path, *, row_name: str = "row") -> npt.NDArray[np.datetime64]:
    """Read ISO 8601 times.

    Parameters
    ----------
    column : Series of str, shape (row,)
        Times; UTC where they carry no zone.
    path : Path
        The file, for the message.
    row_name : str
        What the message calls a row.

    Returns
    -------
    array of datetime64[ns], shape (row,)
        UTC.

    Raises
    ------
    DataError
        If a cell is no time.
    """
    # Mixed zones are read one by one; `utc=True` takes a time without a zone as UTC.
    times = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        msg = (
            f"{path}, {row_name} {row + 1}, column time: found {column.iloc[row]!r}, expected ISO 8601 such as "
            "'2024-05-15T12:30:00Z'; correct it"
        )
        raise DataError(msg)
    return np.asarray(times.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]"))


def parse_numbers(
    column: pd.Series[str], path: Path, *, row_name: str = "row", blank: Collection[str] = BLANK
) -> npt.NDArray[np.float64]:
    """Read numbers; an empty cell is NaN.

    Parameters
    ----------
    column : Series of str, shape (row,)
        Numbers, named as the column.
    path : Path
        The file, for the message.
    row_name : str
        What the message calls a row.
    blank : collection of str
        What an empty cell may hold.

    Returns
    -------
    array of float, shape (row,)
        NaN where missing.

    Raises
    ------
    DataError
        If a cell is neither empty nor a finite number.
    """
    # A short last line leaves cells the parser fills with NaN rather than text.
    text = column.fillna("").str.strip()
    is_blank = text.isin(blank)
    values = pd.to_numeric(text.mask(is_blank, "nan"), errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values) & ~is_blank.to_numpy())
    if len(wrong):
        row = int(wrong[0])
        found = f"{path}, {row_name} {row + 1}, column {column.name}: found {text.iloc[row]!r}"
        msg = f"{found}, expected a number; correct it"
        raise DataError(msg)
    return values
