"""Daily files among folders, patterns and file names: the newest version of each day."""

from __future__ import annotations

import filecmp
import glob
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from particleflux.errors import DataError, MissingDataError
from particleflux.io.times import TimeRange, format_days

PathLike = str | os.PathLike[str]
Paths = PathLike | Iterable[PathLike]

_NAME = re.compile(r"radem_raw_sc_(\d{8})__(\d+)_(\d+)\.cdf", re.IGNORECASE)
_PATTERN = "radem_raw_sc_YYYYMMDD__0_V.cdf"


@dataclass(frozen=True)
class DailyFile:
    """One file of one UTC day, as its name tells them.

    Attributes
    ----------
    day : datetime64[D]
        The day in the file's name.
    version : tuple of int
        The two version numbers in the file's name; higher is newer.
    path : Path
        Where it lies.
    """

    day: np.datetime64
    version: tuple[int, int]
    path: Path


def select_radem_files(paths: Paths, span: TimeRange) -> list[DailyFile]:
    """Choose the RADEM files to read: one a day, the highest version, only days that overlap the range.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders (searched with their subfolders) and patterns with `*`, `?` or `[...]`. Labels (`.lblx`) beside
        the data are passed over.
    span : TimeRange
        What is asked for.

    Returns
    -------
    list of DailyFile
        Sorted by day.

    Raises
    ------
    MissingDataError
        If a path does not exist, no path holds a RADEM file, or no file overlaps the range.
    DataError
        If a file given by name is not named as a RADEM file.

    Warns
    -----
    UserWarning
        If days inside the range have no file, or two unlike files claim the same version of a day.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    where = ", ".join(map(str, given[:3])) + (f" and {len(given) - 3} more" if len(given) > 3 else "")
    newest: dict[np.datetime64, DailyFile] = {}
    for entry in given:
        for candidate in _expand(Path(entry)):
            known = newest.get(candidate.day)
            newest[candidate.day] = candidate if known is None else _newer(known, candidate)
    if not newest:
        msg = (
            f"no RADEM file in {where or 'an empty list of paths'}: expected {_PATTERN}; give the folder of such files"
        )
        raise MissingDataError(msg)
    available = np.sort(np.array(list(newest), dtype="datetime64[D]"))
    asked = span.days(available)
    chosen = [newest[day] for day in available[np.isin(available, asked)]]
    if not chosen:
        msg = (
            f"no RADEM file overlaps the range {span} asked for: {where} holds {format_days(available)}; "
            "give another folder or other start and stop"
        )
        raise MissingDataError(msg)
    absent = np.setdiff1d(asked, available)
    if len(absent):
        warnings.warn(f"no RADEM file for {format_days(absent)} in {where}", UserWarning, stacklevel=4)
    return chosen


def _expand(path: Path) -> list[DailyFile]:
    path = path.expanduser()
    if path.is_dir():
        return _named(sorted(path.rglob("*")))
    if path.is_file():
        if path.suffix.lower() == ".lblx":
            return []  # `folder/*` on a command line names the labels too
        named = _named([path])
        if not named:
            msg = f"{path} is not named as a RADEM file: expected {_PATTERN}; give it the name it has in the archive"
            raise DataError(msg)
        return named
    if glob.has_magic(str(path)):
        return _named([Path(found) for found in sorted(glob.glob(str(path), recursive=True))])
    msg = f"{path} does not exist: expected a RADEM file, a folder of them or a pattern; check the path"
    raise MissingDataError(msg)


def _named(paths: Iterable[Path]) -> list[DailyFile]:
    files = []
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        digits = match.group(1)
        try:
            day = np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", "D")
        except ValueError as error:
            msg = f"{path}: {digits} is not a date; expected {_PATTERN}; give the file the name it has in the archive"
            raise DataError(msg) from error
        files.append(DailyFile(day, (int(match.group(2)), int(match.group(3))), path))
    return files


def _newer(known: DailyFile, candidate: DailyFile) -> DailyFile:
    if candidate.version == known.version and candidate.path.resolve() != known.path.resolve():
        if filecmp.cmp(known.path, candidate.path, shallow=False):
            return known
        warnings.warn(
            f"{known.path} and {candidate.path} are the same version of the same day and differ; "
            f"the one named later, {candidate.path}, is used",
            UserWarning,
            stacklevel=5,
        )
    return candidate if candidate.version >= known.version else known
