"""Integral electron flux of GOES satellites as NOAA NCEI archives it: comma-separated averages under a header."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.io._join import Array, Part, join
from particleflux.io._tables import check_satellite, find_files, read_text, to_times
from particleflux.io.paths import Paths
from particleflux.io.times import TimeLike, TimeRange

_WHAT = "electron averages of NOAA NCEI such as g13_epead_e13ew_5m_20110101_20110131.csv"
_NAMES = re.compile(r"g\d\d_(epead_e\w*|eps)_[15]m_\d{8}_\d{8}.*\.csv", re.IGNORECASE)
_ADVICE = "give the file as NCEI publishes it"
_MARK = re.compile(r"^data:[ \t]*\r?$", re.MULTILINE)
_SATELLITE = re.compile(r"g(\d\d)_(?:epead|eps)_", re.IGNORECASE)
_FLUX_UNITS = re.compile(r"(e|electrons?)/\(?cm\^?2[ *-]s[ *-]sr\)?", re.IGNORECASE)
_FLAGS = ("DQF", "QUAL_FLAG")
_CADENCES = {np.timedelta64(60, "s"): "1min", np.timedelta64(300, "s"): "5min"}
# E1 is above 0.8 MeV in the EPEAD of GOES-13 to 15 and above 0.6 MeV in the EPS of GOES-8 to 12; E2 above 2 MeV.
_EPEAD = {"E1": "electron_flux_gt0p8mev", "E2": "electron_flux_gt2mev"}
_EPS = {"e1": "electron_flux_gt0p6mev", "e2": "electron_flux_gt2mev"}

Sensors = Literal["mean", "east", "west"]


@dataclass(frozen=True)
class _Column:
    """A column of flux, the column of its flag if there is one, and the way its sensor looks ("" where not told)."""

    flux: str
    flag: str | None
    sensor: str


def open_goes_ncei(
    paths: Paths,
    *,
    satellite: str | None = None,
    sensors: Sensors = "mean",
    corrected: bool = True,
    start: TimeLike | None = None,
    stop: TimeLike | None = None,
) -> xr.Dataset:
    """Read 1- or 5-minute averages of the electron flux above 2 MeV and above 0.6 or 0.8 MeV.

    Read are the EPEAD files of GOES-13 to 15 (`E2W_COR_FLUX` and the like, operational or science) and the EPS files of
    GOES-8 to 12 (`e2_flux_ic`). A sample is missing where its flag (`E2W_DQF` or `E2W_QUAL_FLAG`) is not 0 or its flux
    is negative (the fill is -99999). A flux of 0 is a measurement: no electron was counted.

    Parameters
    ----------
    paths : path or iterable of paths
        Files of one satellite and cadence, folders (searched for names as in the archive) and patterns.
    satellite : str or None
        Which satellite, "GOES-13"; needed where neither the header nor the name of a file says.
    sensors : {"mean", "east", "west"}
        Which of the two EPEAD sensors; "mean" is the mean of those a file has, missing unless all of them are good,
        because one of them is systematically higher.
    corrected : bool
        Whether to read the flux corrected for protons (and background); False reads the uncorrected one.
    start, stop : str, date, datetime, datetime64, Timestamp or None
        Half-open range of UTC instants; see `particleflux.io.times.TimeRange.parse`.

    Returns
    -------
    Dataset, dims (time,)
        `electron_flux_gt2mev` and `electron_flux_gt0p8mev` or `electron_flux_gt0p6mev` (cm-2 s-1 sr-1); attributes
        `satellite`, `sensors` and `corrected`.

    Raises
    ------
    MissingDataError
        If a path does not exist, no file is found, a file holds no sample, or nothing lies inside the range.
    AxisError
        If the columns asked for are absent.
    UnitError
        If the header gives a flux in another unit.
    DataError
        If an option is unknown, a file is laid out otherwise, or files differ in satellite, sensors or cadence.
    """
    span = TimeRange.parse(start, stop)
    if sensors not in ("mean", "east", "west"):
        msg = f"sensors={sensors!r}: expected 'mean', 'east' or 'west'; give one of these"
        raise DataError(msg)
    asked = None if satellite is None else check_satellite(satellite)
    parts: list[Part] = []
    kinds: dict[tuple[str, str, str], Path] = {}
    for path in find_files(paths, _NAMES, _WHAT):
        header, body = _split(read_text(path, _WHAT), path)
        columns = _columns(_names(body, path), sensors, corrected, path)
        _check_units(header, columns, path)
        part = _part(path, body, columns, header.count("\n"))
        looks = sorted({column.sensor for group in columns.values() for column in group} - {""})
        kinds[_satellite(header, asked, path), ", ".join(looks), _cadence(part)] = path
        parts.append(part)
    if len(kinds) > 1:
        found = "; ".join(f"{path.name}: {', '.join(filter(None, kind))}" for kind, path in kinds.items())
        msg = f"the files differ in satellite, sensors or cadence ({found}); expected one of each; read them apart"
        raise DataError(msg)
    name, faces, cadence = next(iter(kinds))
    return join(parts, span, cadence=cadence, satellite=name, sensors=faces, corrected=str(corrected).lower())


def _split(text: str, path: Path) -> tuple[str, str]:
    mark = _MARK.search(text)
    if mark is None:
        msg = f"{path} has no line 'data:' between header and table; expected {_WHAT}; {_ADVICE}"
        raise DataError(msg)
    return text[: mark.end() + 1], text[mark.end() + 1 :]


def _names(body: str, path: Path) -> list[str]:
    names = [name.strip() for name in body.partition("\n")[0].split(",")]
    if names[0] != "time_tag" or len(set(names)) < len(names):
        msg = f"{path}: the table begins with {body[:60]!r}; expected columns time_tag,..., each once; {_ADVICE}"
        raise AxisError(msg)
    return names


def _columns(names: list[str], sensors: Sensors, corrected: bool, path: Path) -> dict[str, list[_Column]]:
    # By name of the vocabulary, the columns to average.
    looks = ("east", "west") if sensors == "mean" else (sensors,)
    chosen: dict[str, list[_Column]] = {}
    for channel, name in _EPEAD.items():
        for look in looks:
            stem = channel + look[0].upper()
            flux = f"{stem}_COR_FLUX" if corrected else f"{stem}_UNCOR_FLUX"
            if flux in names:
                flag = next((f"{stem}_{word}" for word in _FLAGS if f"{stem}_{word}" in names), None)
                chosen.setdefault(name, []).append(_Column(flux, flag, look))
    if sensors == "mean":
        for channel, name in _EPS.items():
            flux = f"{channel}_flux_ic" if corrected else f"{channel}_flux_i"
            if flux in names:
                chosen.setdefault(name, []).append(_Column(flux, None, ""))
    if "electron_flux_gt2mev" not in chosen:
        other = "corrected=False" if corrected else "corrected=True"
        msg = (
            f"{path} has no {'corrected' if corrected else 'uncorrected'} flux above 2 MeV of sensors={sensors!r}: "
            f"found columns {', '.join(names[:12])}; expected E2E_COR_FLUX, E2W_COR_FLUX or e2_flux_ic (UNCOR, _i for "
            f"uncorrected); ask for {other} or another sensor, or give files of electrons"
        )
        raise AxisError(msg)
    return chosen


def _check_units(header: str, columns: dict[str, list[_Column]], path: Path) -> None:
    for column in (column for group in columns.values() for column in group):
        match = re.search(rf'^\s*{re.escape(column.flux)}:units\s*=\s*"([^"]*)"', header, re.MULTILINE)
        if match is not None and _FLUX_UNITS.fullmatch(match.group(1).strip()) is None:
            msg = (
                f"{path}: {column.flux} is in {match.group(1)!r}, expected 'e/(cm^2 s sr)'; give integral electron flux"
            )
            raise UnitError(msg)


def _part(path: Path, body: str, columns: dict[str, list[_Column]], first_line: int) -> Part:
    numbers = [name for group in columns.values() for column in group for name in (column.flux, column.flag) if name]
    types = {**dict.fromkeys(numbers, "float64"), "time_tag": "str"}
    width = len(_names(body, path))
    for number, line in enumerate(
        body.splitlines(), first_line + 1
    ):  # the parser passes over columns it is not asked for
        if line.count(",") != width - 1 and line.strip():
            msg = f"{path}, line {number}: found {line.count(',') + 1} columns, expected {width}; {_ADVICE}"
            raise DataError(msg)
    try:
        table = pd.read_csv(
            io.StringIO(body),
            header=0,
            names=_names(body, path),
            skipinitialspace=True,
            usecols=list(types),
            dtype=types,
        )
    except ValueError as error:  # the parser's errors are ValueErrors
        msg = f"{path} cannot be read as comma-separated numbers ({error}); {_ADVICE}"
        raise DataError(msg) from error
    if table.empty:
        msg = f"{path} holds no sample below 'data:'; expected {_WHAT}; {_ADVICE}"
        raise MissingDataError(msg)
    table.index += first_line + 2
    values = {name: np.mean([_good(table, column) for column in group], axis=0) for name, group in columns.items()}
    return Part(path, to_times(table["time_tag"], path), dict(values))


def _good(table: pd.DataFrame, column: _Column) -> Array:
    flux = table[column.flux].to_numpy()
    bad = ~(flux >= 0) | np.isinf(flux)
    if column.flag is not None:
        bad |= table[column.flag].to_numpy() != 0
    return np.where(bad, np.nan, flux)


def _cadence(part: Part) -> str:
    steps, counts = np.unique(np.diff(np.sort(part.time)), return_counts=True)
    step = steps[np.argmax(counts)] if len(steps) else np.timedelta64("NaT")
    for length, name in _CADENCES.items():
        if step == length:
            return name
    msg = f"{part.path}: found samples {pd.Timedelta(step)} apart, expected averages over 1 or 5 minutes; {_ADVICE}"
    raise DataError(msg)


def _satellite(header: str, asked: str | None, path: Path) -> str:
    match = _SATELLITE.search(header.partition("\n")[0]) or _SATELLITE.match(path.name)
    named = None if match is None else f"GOES-{int(match.group(1))}"
    if named is None and asked is None:
        msg = f"{path} does not name its satellite as g13_epead_... does; give it, such as satellite='GOES-13'"
        raise DataError(msg)
    if asked is not None and named not in (None, asked):
        msg = f"{path} is of {named}, not of {asked}; give other files or another satellite"
        raise DataError(msg)
    return str(asked or named)
