"""Join what several files hold on one time axis: repeated rows, rows that contradict, the range asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.io.times import TimeRange
from particleflux.names import VARIABLES, attributes

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
Texts = npt.NDArray[np.str_]

_STEPS = {"1D": "1 day", "3h": "3 hours", "1h": "1 hour", "5min": "5 minutes", "1min": "1 minute"}


@dataclass(frozen=True)
class Part:
    """What one file holds, for `join`.

    Attributes
    ----------
    path : Path
        The file.
    time : array of datetime64[ns], shape (time,)
        Start of each sample, in the file's order.
    variables : dict of array, each shape (time,)
        By the names of the vocabulary; numbers with NaN for missing, text with "" for missing.
    """

    path: Path
    time: Times
    variables: dict[str, Array | Texts]


def join(parts: Sequence[Part], span: TimeRange, *, cadence: str, **attrs: str) -> xr.Dataset:
    """Join what several files hold on one time axis.

    A time that several rows have is kept once: a value that one of them lacks is taken from the other, and two values
    that differ are refused.

    Parameters
    ----------
    parts : sequence of Part
        What the files hold, in any order.
    span : TimeRange
        What is asked for.
    cadence : {"1D", "3h", "1h", "5min", "1min"}
        Step of the time axis; every time must be a multiple of it.
    **attrs : str
        More attributes of the dataset.

    Returns
    -------
    Dataset, dims (time,)
        Sorted, each time once, only inside the range; a variable that a file does not have is missing for its times.

    Raises
    ------
    DataError
        If two rows of one time differ, or a time is off the step.
    MissingDataError
        If nothing lies inside the range.
    """
    for part in parts:
        off = np.flatnonzero(part.time.astype("datetime64[ns]").astype(np.int64) % pd.Timedelta(cadence).value)
        if len(off):
            msg = (
                f"{part.path}: found a sample at {_instant(part.time[off[0]])}, expected one every {_STEPS[cadence]} "
                "from midnight; give data of this cadence"
            )
            raise DataError(msg)
    parts = [_inside(part, span) for part in parts]
    parts = [part for part in parts if len(part.time)]
    if not parts:
        msg = f"no sample in the range {span} asked for; give other files or other start and stop"
        raise MissingDataError(msg)
    time = np.concatenate([part.time for part in parts])
    source = np.repeat(np.arange(len(parts)), [len(part.time) for part in parts])
    order = np.argsort(time, kind="stable")
    time, source = time[order], source[order]
    starts = np.flatnonzero(np.concatenate([[True], time[1:] > time[:-1]]))
    names = [name for name in VARIABLES if any(name in part.variables for part in parts)]
    joined = {}
    for name in names:
        values = np.concatenate([part.variables.get(name, _absent(part, name)) for part in parts])[order]
        kept, conflict = _agreed(values, starts)
        if len(conflict):
            first, last = starts[conflict[0]], np.append(starts, len(time))[conflict[0] + 1] - 1
            msg = (
                f"two samples at {_instant(time[first])} hold different {name}: {values[first]} in "
                f"{parts[source[first]].path} and {values[last]} in {parts[source[last]].path}; expected each time "
                "once; remove the wrong one"
            )
            raise DataError(msg)
        joined[name] = ("time", kept, attributes(name))
    return xr.Dataset(
        joined,
        coords={"time": ("time", time[starts], {"long_name": "start of the accumulation, UTC"})},
        attrs={"cadence": cadence, "source_files": [part.path.name for part in parts], **attrs},
    )


def _inside(part: Part, span: TimeRange) -> Part:
    keep = span.contains(part.time)
    return Part(part.path, part.time[keep], {name: values[keep] for name, values in part.variables.items()})


def _absent(part: Part, name: str) -> Array | Texts:
    return np.full(len(part.time), "") if name == "satellite" else np.full(len(part.time), np.nan)


def _agreed(values: Array | Texts, starts: npt.NDArray[np.intp]) -> tuple[Array | Texts, npt.NDArray[np.intp]]:
    # One value per group of rows of equal time, and which groups hold two that differ.
    if values.dtype.kind == "f":
        highest, lowest = np.fmax.reduceat(values, starts), np.fmin.reduceat(values, starts)
        return highest, np.flatnonzero(highest > lowest)
    codes, texts = pd.factorize(values)
    numbers = np.where(values == "", np.nan, codes.astype(np.float64))
    highest, lowest = np.fmax.reduceat(numbers, starts), np.fmin.reduceat(numbers, starts)
    kept = np.where(np.isnan(highest), "", np.asarray(texts)[np.nan_to_num(highest).astype(int)].astype(str))
    return kept.astype(str), np.flatnonzero(highest > lowest)


def _instant(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]"))
