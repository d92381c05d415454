"""RADEM, the radiation monitor of ESA's JUICE: raw daily CDF files to counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.instruments import load_instrument
from particleflux.io.paths import DailyFile, Paths, select_radem_files
from particleflux.io.times import TimeLike, TimeRange
from particleflux.names import EDH, PDH, Quality, attributes

CHANNELS = PDH + EDH

Progress = Callable[[int, int], None]

# The two largest values are the fill and the pad of the files' unsigned variables. The files call the fill valid too.
_COUNT_FILL = np.uint32(4294967294)
_SECONDS_FILL = np.uint16(65534)

#: A step longer than this many accumulations is a gap.
GAP_FACTOR = 1.5


@dataclass(frozen=True)
class _Table:
    """Samples of one day: time (n,), counts (n, channel), exposure (n,), quality (n,) and the files they came from."""

    time: npt.NDArray[np.datetime64]
    counts: npt.NDArray[np.float64]
    exposure: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int32]
    files: tuple[str, ...]

    def take(self, rows: npt.NDArray[Any]) -> _Table:
        return _Table(self.time[rows], self.counts[rows], self.exposure[rows], self.quality[rows], self.files)


def open_radem(
    paths: Paths,
    *,
    start: TimeLike | None = None,
    stop: TimeLike | None = None,
    channels: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Read RADEM raw science files: counts per accumulation, sorted, each instant once.

    Files are named `radem_raw_sc_YYYYMMDD__0_V.cdf`; of several versions of a day the highest is read, and only days
    that overlap the range are opened. `time` is the files' `EPOCH` in UTC. Neither the files nor their labels say
    whether it stamps the start or the end of the accumulation (the label's start and stop times are the first and last
    `EPOCH`); it is taken as the start, which may shift all times by one accumulation (60 s).

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders (searched with their subfolders) or patterns.
    start : str, date, datetime, datetime64, Timestamp or None
        First instant wanted, UTC unless it carries a zone.
    stop : str, date, datetime, datetime64, Timestamp or None
        First instant not wanted. A bare date ("2024-05-15", `datetime.date`) includes that whole day.
    channels : iterable of str, optional
        Channels wanted, in that order; all sixteen by default.
    progress : callable, optional
        Called as `progress(done, total)` after each file.

    Returns
    -------
    Dataset, dims (time, channel)
        `counts` (1, NaN where the file holds fill), `exposure` (s), `quality` with MISSING where a channel that
        spectra are read from is NaN, INVALID where the exposure is not positive, GAP on the first sample after a gap;
        coordinate `configuration` (0 where unknown); attributes `instrument` and `source_files`.

    Raises
    ------
    MissingDataError
        If no file or no sample lies in the range.
    DataError
        If a file cannot be read or is laid out otherwise, or the range is no range.
    AxisError
        If a channel is unknown or named twice.

    Warns
    -----
    UserWarning
        If days inside the range have no file, files disagree about an instant, or samples without a time are left out.
    """
    wanted, span = _channels(channels), TimeRange.parse(start, stop)
    files = select_radem_files(paths, span)
    tables = list(_tables(files, span, wanted, progress))
    return _dataset(_merged(tables), wanted)


def iter_radem_days(
    paths: Paths,
    *,
    start: TimeLike | None = None,
    stop: TimeLike | None = None,
    channels: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Iterator[xr.Dataset]:
    """Read RADEM raw science files one at a time, for ranges that do not fit in memory.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders or patterns, as `open_radem` takes them.
    start : str, date, datetime, datetime64, Timestamp or None
        First instant wanted.
    stop : str, date, datetime, datetime64, Timestamp or None
        First instant not wanted; a bare date includes that whole day.
    channels : iterable of str, optional
        Channels wanted, in that order; all sixteen by default.
    progress : callable, optional
        Called as `progress(done, total)` after each file.

    Returns
    -------
    iterator of Dataset, dims (time, channel)
        One dataset per file that holds samples in the range, as `open_radem` gives it; together they hold the same
        samples and flags.

    Raises
    ------
    MissingDataError, DataError, AxisError
        As `open_radem`: about the request at the call, about a file when its turn comes.
    """
    wanted, span = _channels(channels), TimeRange.parse(start, stop)
    files = select_radem_files(paths, span)
    return (_dataset(table, wanted) for table in _tables(files, span, wanted, progress))


def _channels(channels: Iterable[str] | None) -> tuple[str, ...]:
    wanted = CHANNELS if channels is None else tuple([channels] if isinstance(channels, str) else channels)
    unknown = [name for name in wanted if name not in CHANNELS]
    if unknown or not wanted or len(set(wanted)) < len(wanted):
        msg = f"channels {list(wanted)}: expected one or more of {', '.join(CHANNELS)}, each once; correct the list"
        raise AxisError(msg)
    return wanted


def _tables(
    files: list[DailyFile], span: TimeRange, channels: tuple[str, ...], progress: Progress | None
) -> Iterator[_Table]:
    """Yield clean tables in order of time. One file is held back, so that the next can correct its overlap."""
    needed = np.isin(channels, load_instrument("radem").ensemble.bins[-1])
    pending: _Table | None = None
    previous: tuple[np.datetime64, float] | None = None
    first = last = None
    found = False
    for done, file in enumerate(files, start=1):
        table = _sorted_unique(_read(file.path, channels), file.path)
        if progress is not None:
            progress(done, len(files))
        if len(table.time) == 0:
            continue
        first, last = table.time[0] if first is None else first, table.time[-1]
        if pending is not None:
            if len(table.time) and pending.time[-1] >= table.time[0]:
                table = _sorted_unique(_merged([pending, table]), file.path)
            else:
                yield from _finished(pending, previous, span, needed)
                previous = (pending.time[-1], pending.exposure[-1])
                found = found or bool(span.contains(pending.time).any())
        pending = table
    if pending is not None:
        yield from _finished(pending, previous, span, needed)
        found = found or bool(span.contains(pending.time).any())
    if not found:
        names = ", ".join(str(file.path) for file in files[:3])
        msg = f"no RADEM sample in the range {span}: {names} hold {first} to {last}; give other start and stop"
        raise MissingDataError(msg)


def _finished(
    table: _Table, previous: tuple[np.datetime64, float] | None, span: TimeRange, needed: npt.NDArray[np.bool_]
) -> Iterator[_Table]:
    """Set the flags a reader can know, cut to the range, and yield unless nothing is left."""
    before, accumulation = (table.time[0], np.nan) if previous is None else previous
    step = np.diff(np.concatenate([[before], table.time])) / np.timedelta64(1, "s")
    accumulations = np.concatenate([[accumulation], table.exposure[:-1]])
    # A sample whose own accumulation is not known is taken for a usual one.
    positive = table.exposure[table.exposure > 0]
    usual = np.median(positive) if len(positive) else np.inf
    accumulations = np.where(accumulations > 0, accumulations, usual)
    quality = np.where(step > GAP_FACTOR * accumulations, Quality.GAP, 0)
    quality |= np.where(np.isnan(table.counts[:, needed]).any(axis=1), Quality.MISSING, 0)
    quality |= np.where(table.exposure > 0, 0, Quality.INVALID)
    table = _Table(table.time, table.counts, table.exposure, quality.astype(np.int32), table.files)
    inside = span.contains(table.time)
    if inside.any():
        yield table.take(inside)


def _read(path: Path, channels: tuple[str, ...]) -> _Table:
    names = {"EPOCH": (), "PROTONS": (8,), "ELECTRONS": (8,), "TIME_RESOLUTION": ()}
    layout = f"expected a RADEM raw science file with the variables {', '.join(names)}"
    advice = "fetch the file again from the archive, or leave it out"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the reader warns about damage that makes its arrays wrong
            cdf = cdflib.CDF(path)
            present = set(cdf.cdf_info().zVariables)
            values = {name: cdf.varget(name) for name in names if name in present}
            time = cdflib.cdfepoch.to_datetime(values["EPOCH"]) if "EPOCH" in values else None
    # The CDF reader meets damage with whatever its parsing stumbles over: OSError, ValueError, IndexError...
    except Exception as error:
        msg = f"{path} cannot be read as CDF ({type(error).__name__}: {error}); {layout}; {advice}"
        raise DataError(msg) from error
    absent = [name for name in names if name not in present]
    if absent or time is None:
        found = ", ".join(sorted(present)) or "no variable"
        msg = f"{path} lacks {', '.join(absent)}: found {found}; {layout}; {advice}"
        raise DataError(msg)
    arrays = {name: np.asarray(values[name]) for name in names}
    length = arrays["EPOCH"].size
    for name, shape in names.items():
        array = arrays[name]
        if array.shape != (length, *shape) or array.dtype.kind not in "iu":
            msg = (
                f"{path}: {name} is {array.dtype} of shape {array.shape}, expected integers of shape "
                f"{(length, *shape)}; {advice}"
            )
            raise DataError(msg)
    both = np.concatenate([arrays["PROTONS"], arrays["ELECTRONS"]], axis=1)
    both = both[:, [CHANNELS.index(name) for name in channels]]
    # NaN, never the sentinel: a mean over 4294967295 would look like a storm.
    counts = np.where(both >= _COUNT_FILL, np.nan, both.astype(np.float64))
    seconds = arrays["TIME_RESOLUTION"]
    exposure = np.where(seconds >= _SECONDS_FILL, np.nan, seconds.astype(np.float64))
    return _Table(time, counts, exposure, np.zeros(length, dtype=np.int32), (path.name,))


def _sorted_unique(table: _Table, path: Path) -> _Table:
    """Sort by time and keep each instant once; where two samples of an instant differ, the later read wins."""
    timed = ~np.isnat(table.time)
    if not timed.all():
        warnings.warn(f"{path}: {(~timed).sum()} samples without a time are left out", UserWarning, stacklevel=5)
        table = table.take(timed)
    if (np.diff(table.time) > np.timedelta64(0, "ns")).all():
        return table
    table = table.take(np.argsort(table.time, kind="stable"))
    is_last = np.append(table.time[1:] != table.time[:-1], True)
    dropped = np.flatnonzero(~is_last)
    values = np.column_stack([table.counts, table.exposure])
    before, after = values[dropped], values[dropped + 1]
    differ = ~((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=1)
    if differ.any():
        warnings.warn(
            f"{path}: two samples at {table.time[dropped[differ][0]]} (and {differ.sum() - 1} more instants) hold "
            "different counts or exposures; the later file is kept",
            UserWarning,
            stacklevel=5,
        )
    return table.take(is_last)


def _merged(tables: list[_Table]) -> _Table:
    return _Table(
        np.concatenate([table.time for table in tables]),
        np.concatenate([table.counts for table in tables]),
        np.concatenate([table.exposure for table in tables]),
        np.concatenate([table.quality for table in tables]),
        tuple(name for table in tables for name in table.files),
    )


def _dataset(table: _Table, channels: tuple[str, ...]) -> xr.Dataset:
    configuration = load_instrument("radem").configuration_at(table.time)
    return xr.Dataset(
        {
            "counts": (("time", "channel"), table.counts, attributes("counts")),
            "exposure": ("time", table.exposure, attributes("exposure")),
            "quality": ("time", table.quality, attributes("quality")),
        },
        coords={
            "time": ("time", table.time, {"long_name": "start of the accumulation, UTC"}),
            "channel": ("channel", list(channels), {"long_name": "channel"}),
            "configuration": ("time", np.asarray(configuration, dtype=np.int32), attributes("configuration")),
        },
        attrs={"instrument": "radem", "source_files": list(table.files)},
    )
