"""What the readers of text tables share: finding the files and reading their cells."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from particleflux.errors import DataError, MissingDataError
from particleflux.io._join import Array, Times
from particleflux.io.paths import Paths

_BLANK = {"", "n/a", "na", "nan", "null", "none", "-"}
_SATELLITE = re.compile(r"GOES-[1-9]\d?")


def find_files(paths: Paths, names: re.Pattern[str], what: str) -> list[Path]:
    """List the files that paths stand for.

    Parameters
    ----------
    paths : path or iterable of paths
        Files and patterns with `*`, `?` or `[...]`, taken as they are; folders, searched with their subfolders.
    names : Pattern
        What a file found in a folder must be called.
    what : str
        Such files, for messages.

    Returns
    -------
    list of Path
        Each file once, folders and patterns in the order of names.

    Raises
    ------
    MissingDataError
        If a path does not exist or no file is found.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: dict[Path, Path] = {}
    for entry in given:
        path = Path(entry).expanduser()
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if names.fullmatch(file.name) and file.is_file()]
        elif path.is_file():
            files = [path]
        elif glob.has_magic(str(path)):
            files = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]
        else:
            msg = f"{path} does not exist: expected {what}, a folder of them or a pattern; check the path"
            raise MissingDataError(msg)
        for file in files:
            found.setdefault(file.resolve(), file)
    if not found:
        where = ", ".join(map(str, given[:3])) or "an empty list of paths"
        msg = f"no file in {where}: expected {what}; give the folder or the names of such files"
        raise MissingDataError(msg)
    return list(found.values())


def read_text(path: Path, what: str) -> str:
    """Read a file as text.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should be, for messages.

    Returns
    -------
    str
        Its text.

    Raises
    ------
    DataError
        If it cannot be read or is not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as text ({error}); expected {what}; give another file"
        raise DataError(msg) from error
    if "\0" in text:
        msg = f"{path} holds binary data; expected {what}; give another file"
        raise DataError(msg)
    return text


def read_table(path: Path, what: str) -> pd.DataFrame:
    """Read a comma-separated file with a heading line as text; lines that begin with # are comments.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should be, for messages.

    Returns
    -------
    DataFrame
        Text; the index is the line of each row in the file.

    Raises
    ------
    MissingDataError
        If it holds no row.
    DataError
        If it is not such a file.
    """
    lines = read_text(path, what).splitlines()
    kept = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if len(kept) < 2:
        msg = f"{path} holds no row; expected {what}; give another file"
        raise MissingDataError(msg)
    cells = [[cell.strip() for cell in line.split(",")] for _, line in kept]
    for (number, _), row in zip(kept, cells, strict=True):
        if len(row) != len(cells[0]):
            msg = f"{path}, line {number}: found {len(row)} columns, expected the first's {len(cells[0])}; correct it"
            raise DataError(msg)
    return pd.DataFrame(cells[1:], columns=cells[0], index=[number for number, _ in kept[1:]])


def to_numbers(column: pd.Series[str], path: Path) -> Array:
    """Read a column of text as numbers; blank cells and words such as N/A are missing.

    Parameters
    ----------
    column : Series of str
        The cells; the index is their line in the file.
    path : Path
        The file, for messages.

    Returns
    -------
    array of float64, shape (time,)
        NaN where missing.

    Raises
    ------
    DataError
        If a cell is something else.
    """
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    odd = np.flatnonzero(~np.isfinite(values))
    text = column.iloc[odd].fillna("").astype(str).str.strip()
    wrong = odd[~text.str.lower().isin(_BLANK).to_numpy()]
    if len(wrong):
        row = int(wrong[0])
        msg = (
            f"{path}, line {column.index[row]}, column {column.name}: found {column.iloc[row]!r}, expected a number or "
            "N/A; correct it"
        )
        raise DataError(msg)
    return values


def to_times(column: pd.Series[str], path: Path) -> Times:
    """Read a column of ISO 8601 times; those without a zone are UTC.

    Parameters
    ----------
    column : Series of str
        The cells; the index is their line in the file.
    path : Path
        The file, for messages.

    Returns
    -------
    array of datetime64[ns], shape (time,)
        UTC.

    Raises
    ------
    DataError
        If a cell is no such time.
    """
    text = column.fillna("").astype(str).str.strip()
    times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        msg = (
            f"{path}, line {column.index[row]}, time: found {text.iloc[row]!r}, expected ISO 8601 such as "
            "'2014-01-01T00:00:00Z'; correct it"
        )
        raise DataError(msg)
    return np.asarray(times.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]"))


def kp_in_thirds(tenfold: Array, path: Path) -> Array:
    """Read Kp written tenfold and rounded: 23 is 2+, which is 7/3.

    Parameters
    ----------
    tenfold : array of float64, shape (time,)
        0, 3, 7, 10, ... 87, 90; NaN where missing.
    path : Path
        The file, for messages.

    Returns
    -------
    array of float64, shape (time,)
        Kp, exactly n/3 with n from 0 to 27.

    Raises
    ------
    DataError
        If a number is none of these.
    """
    thirds = np.rint(0.3 * tenfold)
    wrong = np.flatnonzero((np.rint(thirds / 0.3) != tenfold) & np.isfinite(tenfold) | (thirds < 0) | (thirds > 27))
    if len(wrong):
        msg = (
            f"{path}, row {wrong[0] + 1}: found {tenfold[wrong[0]]:g} as ten times Kp, expected one of 0, 3, 7, 10, "
            "13, ..., 90; give the file as published"
        )
        raise DataError(msg)
    return thirds / 3.0


def check_satellite(name: str) -> str:
    """Check the name of a satellite.

    Parameters
    ----------
    name : str
        What a caller or a file calls it.

    Returns
    -------
    str
        The same.

    Raises
    ------
    DataError
        If it is not of the form GOES-13.
    """
    if _SATELLITE.fullmatch(name) is None:
        msg = f"satellite {name!r} is unknown: expected a name such as 'GOES-13'; write it so"
        raise DataError(msg)
    return name
