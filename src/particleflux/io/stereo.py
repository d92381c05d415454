"""STEREO HET and LET text files: measured particle spectra to compare with."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.io.paths import PathLike
from particleflux.names import attributes

Array = npt.NDArray[np.float64]

_FILL = -9999.0  # both instruments fill with values at or below this (-9999.9, -9999)
_HET_TIMES = ("yeari", "monthi", "dayi", "HHMMi", "yearf", "monthf", "dayf", "HHMMf")
_HET_COLUMN = re.compile(r"([ep])\[([\d.]+)-([\d.]+)\]")
_LET_COLUMN = re.compile(r"Column\s+(\d+):\s+([\d.]+)\s*-\s*([\d.]+) MeV proton intensity")
_LET_RANGE = re.compile(r"Column\s+(\d+)\s*-\s*\d+:\s+\d+ proton statistical uncertainties")
_LET_UNITS = "(1/(cm^2 s sr MeV/nuc))"
_ADVICE = "give the file as its team publishes it"


def open_stereo_het(path: PathLike, *, species: Literal["proton", "electron"] = "proton") -> xr.Dataset:
    """Read a STEREO HET file of 15-minute averages, semicolon-separated.

    Parameters
    ----------
    path : path
        The file; its header names the energy bins in MeV.
    species : {"proton", "electron"}
        Which of the two particle species to give.

    Returns
    -------
    Dataset, dims (time, energy)
        `flux` and `flux_std` (cm-2 s-1 sr-1 MeV-1), `exposure` (s, the length of the interval); coordinates `time`
        (start of the interval, UTC), `energy` (geometric centre), `energy_lower`, `energy_upper` (MeV); attribute
        `species`. Bins may overlap slightly, as the header gives them. A flux of 0 has a `flux_std` of 0 in the file:
        no particle was counted, which is no certainty.

    Raises
    ------
    MissingDataError
        If the file does not exist or holds no row.
    DataError
        If `species` is another or the file is laid out otherwise.
    """
    path = Path(path)
    if species not in ("proton", "electron"):
        msg = f"species={species!r}: expected 'proton' or 'electron'; HET measures these two"
        raise DataError(msg)
    text = _text(path)
    widths = [line.count(";") + 1 for line in text.splitlines()]
    if any(width != widths[0] for width in widths):
        line = next(number for number, width in enumerate(widths) if width != widths[0])
        msg = f"{path}, line {line + 1}: found {widths[line]} columns, expected the heading's {widths[0]}; {_ADVICE}"
        raise DataError(msg)
    try:
        table = pd.read_csv(io.StringIO(text), sep=";", dtype={name: str for name in _HET_TIMES})
    except ValueError as error:
        msg = f"{path} cannot be read as semicolon-separated HET data ({error}); {_ADVICE}"
        raise DataError(msg) from error
    columns = [(name, match) for name in table.columns if (match := _HET_COLUMN.fullmatch(str(name)))]
    columns = [(name, match) for name, match in columns if match.group(1) == species[0]]
    absent = [name for name in (*_HET_TIMES, *(f"{name}err" for name, _ in columns)) if name not in table.columns]
    if absent or not columns:
        msg = (
            f"{path} lacks the HET columns {', '.join(absent) or species + ' bins such as p[13.6-15.1]'}: "
            f"found {', '.join(map(str, table.columns[:12]))}...; {_ADVICE}"
        )
        raise DataError(msg)
    if table.empty:
        msg = f"{path} holds no row below its header: expected 15-minute averages; {_ADVICE}"
        raise MissingDataError(msg)
    start, end = (_het_time(table, side, path) for side in "if")
    names = [name for name, _ in columns]
    return _spectra(
        path,
        start,
        (end - start) / np.timedelta64(1, "s"),
        np.array([[float(match.group(2)), float(match.group(3))] for _, match in columns]),
        _numbers(table[names], path),
        _numbers(table[[f"{name}err" for name in names]], path),
        {"instrument": "stereo_het", "species": species},
    )


def open_stereo_let(path: PathLike) -> xr.Dataset:
    """Read a STEREO LET level 1 file of hourly proton intensities.

    Parameters
    ----------
    path : path
        The file; its header describes the columns.

    Returns
    -------
    Dataset, dims (time, energy)
        As `open_stereo_het` gives it; `exposure` is the live time in the file, and -9999.9 has become NaN.

    Raises
    ------
    MissingDataError
        If the file does not exist or holds no row.
    DataError
        If the header does not describe proton intensities in 1/(cm^2 s sr MeV/nuc), or a row is damaged.
    """
    path = Path(path)
    header, marker, body = _text(path).partition("BEGIN DATA")
    columns = [line for line in header.splitlines() if _LET_COLUMN.match(line)]
    spread = [match for line in header.splitlines() if (match := _LET_RANGE.match(line))]
    if not marker or not columns or not spread or any(_LET_UNITS not in line for line in columns):
        msg = (
            f"{path} has no LET level 1 proton header: expected lines 'Column 7: 1.8 - 2.2 MeV proton intensity "
            f"{_LET_UNITS}' with their uncertainties, and 'BEGIN DATA'; {_ADVICE}"
        )
        raise DataError(msg)
    if not body.strip():
        msg = f"{path} holds no row below BEGIN DATA: expected hourly averages; {_ADVICE}"
        raise MissingDataError(msg)
    matches = [match for line in columns if (match := _LET_COLUMN.match(line))]
    flux_columns = [int(match.group(1)) - 1 for match in matches]
    std_columns = [int(spread[0].group(1)) - 1 + offset for offset in range(len(matches))]
    try:
        values = np.loadtxt(io.StringIO(body), ndmin=2)
        flux, flux_std = values[:, flux_columns], values[:, std_columns]
        # The fractional day in the file is rounded to 0.1 s; hour, minute and second are exact.
        year = np.array([f"{int(number):04d}" for number in values[:, 0]], dtype="datetime64[Y]")
        seconds = (np.floor(values[:, 1]) - 1) * 86400 + values[:, 2] * 3600 + values[:, 3] * 60 + values[:, 4]
    except (ValueError, IndexError) as error:
        msg = f"{path} holds a damaged row ({error}); {_ADVICE}"
        raise DataError(msg) from error
    time = year.astype("datetime64[ns]") + np.rint(seconds).astype("timedelta64[s]")
    return _spectra(
        path,
        time,
        _missing(values[:, 5]),
        np.array([[float(match.group(2)), float(match.group(3))] for match in matches]),
        _missing(flux),
        _missing(flux_std),
        {"instrument": "stereo_let", "species": "proton"},
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        msg = f"{path} does not exist: expected a STEREO text file; check the path"
        raise MissingDataError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as text ({error}); {_ADVICE}"
        raise DataError(msg) from error


def _het_time(table: pd.DataFrame, side: str, path: Path) -> npt.NDArray[np.datetime64]:
    parts = [table[f"{name}{side}"].astype(str) for name in ("year", "month", "day")]
    clock = table[f"HHMM{side}"].astype(str).str.zfill(4)
    stamps = parts[0] + "-" + parts[1] + "-" + parts[2].str.zfill(2) + "T" + clock
    times = pd.to_datetime(stamps, format="%Y-%b-%dT%H%M", errors="coerce")
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0])
        msg = f"{path}, line {row + 2}: {stamps.iloc[row]!r} is not a time such as '2024-May-01T0015'; {_ADVICE}"
        raise DataError(msg)
    return np.asarray(times.to_numpy(dtype="datetime64[ns]"))


def _numbers(table: pd.DataFrame, path: Path) -> Array:
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    damaged = np.argwhere(np.isnan(values))
    if len(damaged):
        row, column = damaged[0]
        found, name = table.iloc[row, column], table.columns[column]
        msg = f"{path}, line {row + 2}, column {name}: found {found!r}, expected a number; {_ADVICE}"
        raise DataError(msg)
    return _missing(values)


def _missing(values: Array) -> Array:
    return np.where(values <= _FILL, np.nan, values)


def _spectra(
    path: Path,
    time: npt.NDArray[np.datetime64],
    exposure: Array,
    edges: Array,
    flux: Array,
    flux_std: Array,
    attrs: dict[str, str],
) -> xr.Dataset:
    if not (np.diff(time) > np.timedelta64(0, "ns")).all():
        row = int(np.flatnonzero(np.diff(time) <= np.timedelta64(0, "ns"))[0]) + 1
        msg = f"{path}: row {row + 1} at {time[row]} is not after the row before it; {_ADVICE}"
        raise DataError(msg)
    measured = {**attributes("flux"), "long_name": "differential flux, measured"}
    return xr.Dataset(
        {
            "flux": (("time", "energy"), flux, measured),
            "flux_std": (("time", "energy"), flux_std, attributes("flux_std")),
            "exposure": ("time", exposure, attributes("exposure")),
        },
        coords={
            "time": ("time", time, {"long_name": "start of the interval, UTC"}),
            "energy": ("energy", np.sqrt(edges[:, 0] * edges[:, 1]), attributes("energy")),
            "energy_lower": ("energy", edges[:, 0], attributes("energy_lower")),
            "energy_upper": ("energy", edges[:, 1], attributes("energy_upper")),
        },
        attrs={**attrs, "source_files": [path.name]},
    )
