"""One saved answer of a feed -> columns of checked values: nothing a server may send leaves here unchecked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from particleflux.errors import DataError, MissingDataError

Array = npt.NDArray[np.float64]

#: Most bytes of one file; the largest feed has 3 million.
MOST_BYTES = 32 * 2**20
ADVICE = "fetch it again, or give another file"

_TIME = re.compile(r"(19|20|21)\d{2}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|\+00:00)?", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_NO_NUMBER = ("", "null", "none", "nan")


@dataclass(frozen=True)
class Feed:
    """The columns of one answer that a reader asked for.

    Attributes
    ----------
    path : Path
        The file.
    columns : dict of list
        Values as found, by key; keys that no row has are left out.
    first : int
        Place of the first row in the JSON list, counting from 1: a row of headings takes the first.
    found : str
        The keys of the file, for messages.
    """

    path: Path
    columns: dict[str, list[object]]
    first: int
    found: str

    def times(self, step: np.timedelta64 | None = None) -> pd.DatetimeIndex:
        """Read the time of each row.

        Parameters
        ----------
        step : timedelta64, optional
            Times must be multiples of it.

        Returns
        -------
        DatetimeIndex
            UTC without a zone.

        Raises
        ------
        DataError
            If one is no time, or none of the grid.
        """
        tags = self.columns["time_tag"]
        for row, tag in enumerate(tags):
            if not (isinstance(tag, str) and _TIME.fullmatch(tag)):
                self.refuse(row, "time_tag", "a UTC time such as '2024-05-10T12:00:00Z'")
        times = pd.to_datetime(pd.Series(tags, dtype=object), utc=True, format="ISO8601", errors="coerce")
        if times.isna().any():
            self.refuse(int(times.isna().to_numpy().argmax()), "time_tag", "a time that exists")
        index = pd.DatetimeIndex(times).tz_localize(None).as_unit("ns")
        if step is not None:
            off = np.flatnonzero(index != index.floor(pd.Timedelta(step)))
            if len(off):
                self.refuse(int(off[0]), "time_tag", f"a multiple of {pd.Timedelta(step)}, the cadence of this feed")
        return index

    def numbers(self, key: str, low: float, high: float) -> Array:
        """Read a column of numbers.

        Parameters
        ----------
        key : str
            Its name.
        low, high : float
            Least and greatest value that can be; all else, such as -99999, stands for missing.

        Returns
        -------
        array, shape (row,)
            NaN where missing.

        Raises
        ------
        DataError
            If a value is neither a number nor empty.
        """
        values = np.array([self._number(row, key, value) for row, value in enumerate(self.columns[key])], np.float64)
        return np.where((values >= low) & (values <= high), values, np.nan)

    def refuse(self, row: int, key: str, expected: str) -> NoReturn:
        """Refuse a value.

        Parameters
        ----------
        row : int
            Which, counting from 0.
        key : str
            Its column.
        expected : str
            What it should have been.

        Raises
        ------
        DataError
            Always.
        """
        found = shorten(repr(self.columns[key][row]))
        msg = f"{self.path}, entry {row + self.first}: {key} is {found}, expected {expected}; {ADVICE}"
        raise DataError(msg)

    def _number(self, row: int, key: str, value: object) -> float:
        if value is None:
            return np.nan
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                return np.inf
        text = value.strip() if isinstance(value, str) else None
        if text is not None and text.lower() in _NO_NUMBER:
            return np.nan
        if text is None or not _NUMBER.fullmatch(text):
            self.refuse(row, key, "a number or null")
        return float(text)


def read_feed(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> Feed:
    """Read a JSON list of objects, or a list of lists that begins with one of headings.

    Parameters
    ----------
    path : Path
        The file.
    needed : sequence of str
        Keys without which it is another feed; `time_tag` is always needed.
    optional : sequence of str
        Keys to read where they are.

    Returns
    -------
    Feed
        Its columns; a key that a single object lacks is None there.

    Raises
    ------
    MissingDataError
        If the file does not exist or its list is empty.
    DataError
        If it is too large, no JSON, or laid out otherwise.
    """
    rows = _parse(path, _content(path), needed)
    headings = rows[0] if isinstance(rows[0], list) else None
    kind = dict if headings is None else list
    if headings is not None:
        if not all(isinstance(name, str) for name in headings) or len(set(headings)) < len(headings):
            _refuse_shape(path, rows[0], needed)
        rows = rows[1:]
        if not rows:
            msg = f"{path} holds headings and no row: expected rows below {shorten(repr(headings))}; {ADVICE}"
            raise MissingDataError(msg)
    first = 1 if headings is None else 2
    for place, row in enumerate(rows, start=first):
        if not isinstance(row, kind) or (headings is not None and len(row) != len(headings)):
            what = "an object like the first" if headings is None else f"a list of {len(headings)} values"
            msg = f"{path}, entry {place}: found {shorten(repr(row))}, expected {what}; {ADVICE}"
            raise DataError(msg)
    wanted = ("time_tag", *needed, *optional)
    columns: dict[str, list[object]] = {}
    if headings is None:
        columns = {key: [row.get(key) for row in rows] for key in wanted if any(key in row for row in rows)}
    else:
        columns = {key: [row[headings.index(key)] for row in rows] for key in wanted if key in headings}
    keys = list(rows[0]) if headings is None else headings
    found = shorten(", ".join(map(str, keys))) or "none"
    absent = [key for key in ("time_tag", *needed) if key not in columns]
    if absent:
        msg = f"{path} lacks {', '.join(absent)}: found the keys {found}; give the feed that holds it"
        raise DataError(msg)
    return Feed(path, columns, first, found)


def shorten(text: str, most: int = 80) -> str:
    """Cut a text that goes into a message.

    Parameters
    ----------
    text : str
        Of any length.
    most : int
        Characters to keep.

    Returns
    -------
    str
        On one line.
    """
    text = " ".join(text[: 2 * most].split())
    return text if len(text) <= most else text[: most - 3] + "..."


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        msg = f"{path} does not exist: expected a saved feed; check the path"
        raise MissingDataError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror or error}); check the path and its permissions"
        raise DataError(msg) from error
    if len(content) > MOST_BYTES:
        msg = f"{path} has more than {MOST_BYTES // 2**20} MiB: expected a feed of a few; {ADVICE}"
        raise DataError(msg)
    return content


def _parse(path: Path, content: bytes, needed: Sequence[str]) -> list[Any]:
    start = content[:400].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    shown = repr(shorten(start, 60))
    expected = f"expected a JSON list of objects with {', '.join(('time_tag', *needed))}"
    if not start:
        msg = f"{path} is empty: {expected}; {ADVICE}"
        raise MissingDataError(msg)
    if start.startswith("<"):
        msg = f"{path} holds HTML or XML ({shown}): {expected}; {ADVICE}"
        raise DataError(msg)
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else shorten(str(error))
        msg = f"{path} is no whole JSON document ({reason}; it begins {shown}): {expected}; {ADVICE}"
        raise DataError(msg) from error
    if not isinstance(rows, list):
        msg = f"{path} holds one JSON {type(rows).__name__} ({shown}): {expected}; {ADVICE}"
        raise DataError(msg)
    if not rows:
        msg = f"{path} holds an empty list: {expected}; {ADVICE}"
        raise MissingDataError(msg)
    if not isinstance(rows[0], (dict, list)) or not rows[0]:
        _refuse_shape(path, rows[0], needed)
    return rows


def _refuse_shape(path: Path, found: object, needed: Sequence[str]) -> NoReturn:
    msg = (
        f"{path}, entry 1: found {shorten(repr(found))}, expected an object, or a list of headings, with "
        f"{', '.join(('time_tag', *needed))}; {ADVICE}"
    )
    raise DataError(msg)
