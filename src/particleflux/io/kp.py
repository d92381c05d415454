"""Kp and ap, every 3 hours: the daily records of GFZ Potsdam and the space weather file of CelesTrak."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.io._join import Array, Part, Times, join
from particleflux.io._tables import find_files, kp_in_thirds, read_text, to_numbers
from particleflux.io.paths import Paths
from particleflux.io.times import TimeLike, TimeRange

_WHAT = "Kp as GFZ (2008.txt) or CelesTrak (SpaceWeather-All-v1.2.txt) publishes it"
_NAMES = re.compile(
    r"\d{4}\.txt|kp\d{4}\.wdc|Kp_ap_Ap_SN_F107\w*\.txt|(SpaceWeather|SW)-(All|Last5Years)[\w.-]*\.txt", re.IGNORECASE
)
_ADVICE = "give the file as published"
_N_SPACED = 28
_OBSERVED = "BEGIN OBSERVED", "END OBSERVED"


@dataclass(frozen=True)
class _Layout:
    """Where the cells of a line begin and how wide they are; of Kp and ap the first of eight, side by side."""

    date: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    kp: tuple[int, int]
    ap: tuple[int, int]
    f10p7: tuple[int, int]
    width: int


_WDC = _Layout(date=((0, 2), (2, 2), (4, 2)), kp=(12, 2), ap=(31, 3), f10p7=(65, 5), width=55)
_CELESTRAK = _Layout(date=((0, 4), (5, 2), (8, 2)), kp=(18, 3), ap=(46, 4), f10p7=(93, 5), width=78)


def open_kp(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read 3-hourly Kp and ap, with the daily solar radio flux.

    Of the CelesTrak file only what lies between BEGIN OBSERVED and END OBSERVED is read, never what it predicts. Where
    both kinds of files give the same time, that of GFZ, which makes the index, is kept.

    Parameters
    ----------
    paths : path or iterable of paths
        GFZ files (fixed-width WDC format, or Kp_ap_Ap_SN_F107_since_1932.txt and the like), the CelesTrak file,
        folders of them (searched for names such as 2008.txt and SpaceWeather-All-v1.2.txt) and patterns.
    start, stop : str, date, datetime, datetime64, Timestamp or None
        Half-open range of UTC instants; see `particleflux.io.times.TimeRange.parse`.

    Returns
    -------
    Dataset, dims (time,)
        `kp` (1, in thirds, exactly), `ap` (nT) and `f10p7` (1e-22 W m-2 Hz-1, adjusted to 1 au, the same for the eight
        times of a day), every 3 hours.

    Raises
    ------
    MissingDataError
        If a path does not exist, no file is found, or nothing lies inside the range.
    DataError
        If a file is laid out otherwise or cut off, Kp is not in thirds, or files of one kind disagree.
    """
    span = TimeRange.parse(start, stop)
    issued, copied = [], []
    for path in find_files(paths, _NAMES, _WHAT):
        text = read_text(path, _WHAT)
        if _OBSERVED[0] in text:
            copied.append(_observed(path, text))
        elif text.startswith("#"):
            issued.append(_spaced(path, text))
        else:
            issued.append(_part(path, text.splitlines(), 1, _WDC))
    if issued:
        known = np.concatenate([part.time[np.isfinite(part.variables["kp"])] for part in issued])
        copied = [_without(part, known) for part in copied]
    return join([*issued, *copied], span, cadence="3h")


def _observed(path: Path, text: str) -> Part:
    lines = [line.rstrip() for line in text.splitlines()]
    if not {*_OBSERVED} <= {*lines} or lines.index(_OBSERVED[1]) < lines.index(_OBSERVED[0]):
        first, last = _OBSERVED
        msg = f"{path} has no line {last!r} after a line {first!r}: it is cut off, or another file; {_ADVICE}"
        raise DataError(msg)
    begin, end = (lines.index(mark) for mark in _OBSERVED)
    return _part(path, lines[begin + 1 : end], begin + 2, _CELESTRAK)


def _spaced(path: Path, text: str) -> Part:
    # The present GFZ layout: year, month, day, 4 more, Kp with three decimals, ap, Ap, sunspots, F10.7 twice, a flag.
    lines = {number: line.split() for number, line in enumerate(text.splitlines(), 1) if line.strip(" ")[:1] != "#"}
    lines = {number: cells for number, cells in lines.items() if cells}
    if not lines:
        msg = f"{path} holds no day; expected {_WHAT}; {_ADVICE}"
        raise MissingDataError(msg)
    for number, cells in lines.items():
        if len(cells) != _N_SPACED:
            msg = f"{path}, line {number}: found {len(cells)} columns, expected {_N_SPACED}; {_ADVICE}"
            raise DataError(msg)
    days = np.array([_date(path, number, cells[:3]) for number, cells in lines.items()])
    table = pd.DataFrame(list(lines.values()), index=list(lines))
    values = np.stack([to_numbers(table[column], path) for column in range(_N_SPACED - 1)], axis=1)
    kp = np.where(values[:, 7:15] < 0, np.nan, values[:, 7:15])
    tenfold = np.where(np.abs(3 * kp - np.rint(3 * kp)) < 0.01, np.rint(np.rint(3 * kp) / 0.3), 10 * kp)
    return _daily(path, days, tenfold, values[:, 15:23], values[:, 26])


def _part(path: Path, lines: list[str], first_line: int, layout: _Layout) -> Part:
    kept = [(number, line) for number, line in enumerate(lines, first_line) if line.strip()]
    if not kept:
        msg = f"{path} holds no day; expected {_WHAT}; {_ADVICE}"
        raise MissingDataError(msg)
    days = np.array([_day(path, number, line, layout) for number, line in kept])
    rows = pd.Series([line for _, line in kept], index=[number for number, _ in kept])
    kp = np.stack([_cells(path, rows, layout.kp, slot, "Kp") for slot in range(8)], axis=1)
    ap = np.stack([_cells(path, rows, layout.ap, slot, "ap") for slot in range(8)], axis=1)
    f10p7 = _cells(path, rows, layout.f10p7, 0, "F10.7")
    return _daily(path, days, kp, ap, f10p7)


def _daily(path: Path, days: Times, tenfold: Array, ap: Array, f10p7: Array) -> Part:
    # tenfold (ten times Kp) and ap have shape (days, 8).
    time = days[:, np.newaxis] + 3 * np.arange(8).astype("timedelta64[h]")
    return Part(
        path,
        time.reshape(-1).astype("datetime64[ns]"),
        {
            "kp": kp_in_thirds(np.where(tenfold < 0, np.nan, tenfold).reshape(-1), path),
            "ap": np.where(ap < 0, np.nan, ap).reshape(-1),
            "f10p7": np.repeat(np.where(f10p7 > 0, f10p7, np.nan), 8),
        },
    )


def _day(path: Path, number: int, line: str, layout: _Layout) -> np.datetime64:
    if len(line.rstrip()) < layout.width:
        msg = f"{path}, line {number}: {line.strip()[:40]!r} is cut off, or not a day of {_WHAT}; {_ADVICE}"
        raise DataError(msg)
    return _date(path, number, [line[start : start + width].strip() for start, width in layout.date])


def _date(path: Path, number: int, cells: list[str]) -> np.datetime64:
    try:
        year, month, day = (int(cell) for cell in cells)
        if len(cells[0]) <= 2:  # the records begin in 1932
            year += 1900 if year >= 32 else 2000
        return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "D")
    except ValueError as error:
        msg = f"{path}, line {number}: {'-'.join(cells)!r} is no date ({error}); expected {_WHAT}; {_ADVICE}"
        raise DataError(msg) from error


def _cells(path: Path, rows: pd.Series[str], place: tuple[int, int], slot: int, name: str) -> Array:
    start, width = place[0] + slot * place[1], place[1]
    # Blanks count as zeros within a number, as FORTRAN wrote them: "1 " is 10 in the file of 1997.
    text = [row[start : start + width].lstrip().replace(" ", "0") for row in rows]
    cells = pd.Series(["" if set(cell) <= {"-", "."} else cell for cell in text], index=rows.index, name=name)
    return to_numbers(cells, path)


def _without(part: Part, known: Times) -> Part:
    keep = ~np.isin(part.time, known)
    return Part(part.path, part.time[keep], {name: values[keep] for name, values in part.variables.items()})
