"""Daily Particle Data (DPD) of NOAA's Space Weather Prediction Center: daily electron fluences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError, MissingDataError, UnitError
from particleflux.io._join import Array, Part, Times, join
from particleflux.io._tables import find_files, read_text
from particleflux.io.paths import Paths
from particleflux.io.times import TimeLike, TimeRange

_WHAT = "Daily Particle Data such as 2008_DPD.txt"
_NAMES = re.compile(r".*DPD\.txt", re.IGNORECASE)
_ADVICE = "give the file as NOAA publishes it"
_HEADING = re.compile(r"GOES-(\d+)\s+Electron\s+Fluence")
_ENERGY = re.compile(r">\s*([\d.]+)\s*MeV")
_UNITS = "Electrons/cm2-day-sr"
_ROW = re.compile(r"\s*\d{4}\s+\d{1,2}\s+\d{1,2}\s")
_LOW = {0.6: "electron_flux_gt0p6mev", 0.8: "electron_flux_gt0p8mev"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LAST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_TOKEN = re.compile(
    r"\s*(?:(?P<satellite>GOES-\d+)|(?P<date>[A-Z][a-z]{2}\s+\d{1,2})(?!\d)|(?P<to>-|to\b)|(?P<then>then\b)"
    r"|(?P<joint>and\b|,|;)|(?P<words>NOTE:?|Electron\s+Fluence|from\b)|(?P<rest>\S+))"
)
_SECONDS = 86400.0
# Two days may agree by chance to the two digits given (it happens once in two years), three never did.
_STUCK = 3


@dataclass(frozen=True)
class _Span:
    """A satellite and the days of the year a note gives it, both inside, written 100 * month + day."""

    satellite: str
    first: int
    last: int


def open_dpd(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read daily electron fluences and the satellite that measured them.

    The heading of a file names the satellite of its electrons and the lower of its two energies; a note in the header
    ("Electron Fluence from GOES-11 Jan 1 - Mar 2") changes the satellite for some days. A fluence that is not positive
    is missing, and so are both of three or more days in a row on which neither changes: what was stuck there is not the
    belt (54 days of 2006, 23 of 2007, 8 of 2005). Days that the files leave out stay out.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders (searched for names that end in DPD.txt) and patterns.
    start, stop : str, date, datetime, datetime64, Timestamp or None
        Half-open range of UTC instants; see `particleflux.io.times.TimeRange.parse`.

    Returns
    -------
    Dataset, dims (time,)
        `fluence_gt2mev` (cm-2 sr-1 d-1), `electron_flux_gt2mev` (cm-2 s-1 sr-1, the fluence over 86400 s),
        `electron_flux_gt0p6mev` and `electron_flux_gt0p8mev` (cm-2 s-1 sr-1) as far as the headings name them, and
        `satellite`, empty where no electrons were measured.

    Raises
    ------
    MissingDataError
        If a path does not exist, no file is found, a file holds no day, or nothing lies inside the range.
    UnitError
        If the electrons are in another unit.
    DataError
        If a heading, a note that names satellites, or a row cannot be understood, or files disagree on a day.
    """
    span = TimeRange.parse(start, stop)
    return join([_part(path) for path in find_files(paths, _NAMES, _WHAT)], span, cadence="1D")


def _part(path: Path) -> Part:
    lines = read_text(path, _WHAT).splitlines()
    header = [line for line in lines if _ROW.match(line) is None]
    rows = [(number, line) for number, line in enumerate(lines, 1) if _ROW.match(line)]
    satellite, low, column, n_columns = _heading(header, path)
    for number, line in enumerate(lines, 1):
        if _ROW.match(line) or not line.strip() or line.startswith(("#", ":")):
            continue
        if line.strip()[0].isdigit() or (rows and number > rows[0][0]):  # old files have a heading without #
            msg = f"{path}, line {number}: found {line.strip()[:40]!r} among the days; {_ADVICE}"
            raise DataError(msg)
    if not rows:
        msg = f"{path} holds no day: expected rows such as '2008 01 01 2.0e+06 ...'; {_ADVICE}"
        raise MissingDataError(msg)
    time, values = _days(rows, column, n_columns, path)
    values = np.where((values > 0) & np.isfinite(values), values, np.nan)
    values[_stuck(time, values)] = np.nan
    satellites = _satellites(time, satellite, _note(header, path), path)
    measured = np.isfinite(values).any(axis=1)
    return Part(
        path,
        time.astype("datetime64[ns]"),
        {
            "fluence_gt2mev": values[:, 1],
            "electron_flux_gt2mev": values[:, 1] / _SECONDS,
            low: values[:, 0] / _SECONDS,
            "satellite": np.where(measured, satellites, ""),
        },
    )


def _heading(header: list[str], path: Path) -> tuple[str, str, int, int]:
    # Satellite, name of the low energy, which column it is in, and how many columns there are.
    text = "\n".join(header)
    satellites = _HEADING.findall(text)
    energies = [found for line in header if "Date" in line and (found := _ENERGY.findall(line))]
    if len(satellites) != 1 or len(energies) != 1:
        msg = (
            f"{path} has {len(satellites)} headings 'GOES-n Electron Fluence' and {len(energies)} lines of energies "
            f"'Date >1 MeV ...'; expected one of each; {_ADVICE}"
        )
        raise DataError(msg)
    try:
        low, high = (float(energy) for energy in energies[0][-2:])
    except ValueError:
        low, high = np.nan, np.nan
    if low not in _LOW or high != 2:
        msg = (
            f"{path}: the last energies are {' and '.join(energies[0][-2:])} MeV; expected >0.6 or >0.8, and >2; "
            f"{_ADVICE}"
        )
        raise DataError(msg)
    if _UNITS not in text:
        msg = f"{path}: the heading does not give the electrons in {_UNITS!r}; {_ADVICE}"
        raise UnitError(msg)
    n_columns = 3 + len(energies[0]) + ("%" in next(line for line in header if "Date" in line))
    return f"GOES-{satellites[0]}", _LOW[low], 1 + len(energies[0]), n_columns


def _days(rows: list[tuple[int, str]], column: int, n_columns: int, path: Path) -> tuple[Times, Array]:
    time = np.empty(len(rows), dtype="datetime64[D]")
    values = np.empty((len(rows), 2))
    for row, (number, line) in enumerate(rows):
        cells = line.split()
        if len(cells) != n_columns:
            msg = f"{path}, line {number}: found {len(cells)} columns, expected the heading's {n_columns}; {_ADVICE}"
            raise DataError(msg)
        try:
            time[row] = np.datetime64(f"{cells[0]}-{int(cells[1]):02d}-{int(cells[2]):02d}", "D")
            values[row] = float(cells[column]), float(cells[column + 1])
        except ValueError as error:
            msg = f"{path}, line {number}: {line.strip()[:60]!r} is not a day and its fluences ({error}); {_ADVICE}"
            raise DataError(msg) from error
    return time, values


def _stuck(time: Times, values: Array) -> npt.NDArray[np.bool_]:
    """Tell which rows belong to a run of at least `_STUCK` days in which both values repeat."""
    next_day = np.diff(time) == np.timedelta64(1, "D")
    repeats = np.concatenate([[False], next_day & (values[1:] == values[:-1]).all(axis=1)])
    number = np.cumsum(~repeats) - 1
    return np.asarray((np.bincount(number) >= _STUCK)[number])


def _note(header: list[str], path: Path) -> list[_Span]:
    spans: list[_Span] = []
    for line in header:
        if "GOES" not in line.upper() or _HEADING.search(line):
            continue
        if "Proton" in line and "Electron" not in line:
            continue
        spans += _spans(line.lstrip("# "), path)
    return spans


def _spans(note: str, path: Path) -> list[_Span]:
    # A note is "GOES-11 Jan 1 - Mar 2 and Dec 1 - Dec 31" or "GOES-11 Jan 01 to Mar 31, then GOES-13".
    tokens = [
        (str(match.lastgroup), match.group(str(match.lastgroup)))
        for match in _TOKEN.finditer(note)
        if match.lastgroup != "words"
    ]
    spans: list[_Span] = []
    satellite, position, follows = "", 0, False
    kinds = [kind for kind, _ in tokens]
    while position < len(tokens):
        kind, text = tokens[position]
        if kind == "satellite":
            satellite = text
            if follows:
                spans.append(_Span(satellite, spans[-1].last + 1, 1231))
            position += 1
        elif satellite and kinds[position : position + 3] == ["date", "to", "date"] and not follows:
            first, last = _date(text), _date(tokens[position + 2][1])
            if first is None or last is None or first > last:
                break
            spans.append(_Span(satellite, first, last))
            position += 3
        elif kind == "then" and spans and kinds[position + 1 : position + 2] == ["satellite"]:
            follows = True
            position += 1
        elif kind == "joint":
            position += 1
        else:
            break
    if position < len(tokens) or not spans or satellite != spans[-1].satellite:
        msg = (
            f"{path}: the note {note.strip()!r} names satellites in a way that is not understood; expected "
            "'GOES-11 Jan 1 - Mar 2 and Dec 1 - Dec 31' or 'GOES-11 Jan 01 to Mar 31, then GOES-13'; write it so"
        )
        raise DataError(msg)
    return spans


def _date(text: str) -> int | None:
    name, day = text[:3], int(text[3:])
    if name not in _MONTHS or not 1 <= day <= _LAST_DAYS[_MONTHS.index(name)]:
        return None
    return 100 * (_MONTHS.index(name) + 1) + day


def _satellites(time: Times, heading: str, spans: list[_Span], path: Path) -> npt.NDArray[np.str_]:
    years = np.unique(time.astype("datetime64[Y]"))
    if spans and len(years) > 1:
        msg = f"{path}: a note gives days of the year but the file holds {len(years)} years; split it by year"
        raise DataError(msg)
    months = time.astype("datetime64[M]")
    day = 100 * (months.astype(int) % 12 + 1) + (time - months.astype("datetime64[D]")).astype(int) + 1
    satellites = np.full(len(time), heading, dtype="U8")
    for span in spans:
        satellites[(day >= span.first) & (day <= span.last)] = span.satellite
    return satellites
