"""The GOES integral electron flux of SWPC, 5-minute averages."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import DataError
from particleflux.io.feeds.document import Feed, read_feed, shorten
from particleflux.io.feeds.files import Paths, select_files
from particleflux.io.feeds.series import SATELLITE, join_rows, label, newest_last, settle
from particleflux.io.times import TimeLike, TimeRange

_PATTERNS = ("goes-electrons*.json", "integral-electrons*.json")
_STEP = np.timedelta64(5, "m")
_ENERGIES = {"2": "electron_flux_gt2mev", "0.8": "electron_flux_gt0p8mev"}
_ENERGY = re.compile(r">=?\s*(\d+(?:\.\d+)?)\s*MeV", re.IGNORECASE)
_SATELLITE = re.compile(r"(?:GOES-?|G)?0*([1-9]\d?)", re.IGNORECASE)
#: Counts of zero are not a flux of zero, and no belt gives more than the upper bound.
_FLUX = (1e-6, 1e8)


def open_swpc_electrons(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read saved answers of SWPC's feed of the integral electron flux, `goes/primary/integral-electrons-*.json`.

    Parameters
    ----------
    paths : path or iterable of paths
        Answers, folders (their `goes-electrons*.json` and `integral-electrons*.json`) or patterns. Where answers
        overlap, the one that reaches further counts.
    start, stop : str, date, datetime or datetime64, optional
        First instant, and the first after the last; a bare date as stop is included whole.

    Returns
    -------
    Dataset, dims (time,)
        `electron_flux_gt2mev`, and `electron_flux_gt0p8mev` where the feed holds it, cm-2 s-1 sr-1, every 5 minutes;
        integral fluxes above other energies are not read. NaN where the feed has nothing, a flux that is not positive,
        or two values that contradict. The attribute `satellite`, such as "GOES-18", or the variable `satellite` (time)
        where it changes: the primary satellite is another now and then, and its detector too.

    Raises
    ------
    MissingDataError
        If there is no file, no row, or nothing in the range.
    DataError
        If a file holds HTML, half a document or another feed, or mixes satellites at one time.

    Warns
    -----
    UserWarning
        If answers of different satellites overlap.
    """
    span = TimeRange.parse(start, stop)
    files = select_files(paths, _PATTERNS, "the GOES electron flux")
    frames = newest_last([_read(file) for file in files])
    _warn_overlap(frames)
    joined = join_rows(frames)
    dataset = label(joined, files, span, "5min", "NOAA SWPC, GOES integral electron flux, real time")
    names = sorted(set(dataset[SATELLITE].to_numpy()) - {""})
    if len(names) == 1:
        return dataset.drop_vars(SATELLITE).assign_attrs(satellite=names[0])
    return dataset


def _read(path: Path) -> pd.DataFrame:
    feed = read_feed(path, ("flux", "energy", "satellite"))
    times = feed.times(_STEP)
    columns = np.array([_column(feed, row) for row in range(len(times))])
    if "electron_flux_gt2mev" not in columns:
        found = shorten(", ".join(sorted({str(energy) for energy in feed.columns["energy"]})))
        msg = f"{path}: found the energies {found}, expected '>=2 MeV'; give the feed of the integral electron flux"
        raise DataError(msg)
    satellite = np.array([_satellite(feed, row) for row in range(len(times))], dtype=object)
    # A flux of nobody knows which satellite cannot be put on a scale.
    flux = pd.Series(np.where(satellite == "", np.nan, feed.numbers("flux", *_FLUX)), index=times)
    frame = pd.DataFrame({name: settle(flux[columns == name].to_frame())[0] for name in sorted(set(columns) - {""})})
    frame[SATELLITE] = _by_time(feed, times, satellite).reindex(frame.index, fill_value="")
    return frame


def _column(feed: Feed, row: int) -> str:
    energy = feed.columns["energy"][row]
    match = _ENERGY.fullmatch(energy.strip()) if isinstance(energy, str) else None
    return "" if match is None else _ENERGIES.get(f"{float(match.group(1)):g}", "")


def _satellite(feed: Feed, row: int) -> str:
    value = feed.columns["satellite"][row]
    if value is None:
        return ""
    match = _SATELLITE.fullmatch(str(value).strip()) if isinstance(value, (int, str)) else None
    if match is None or isinstance(value, bool):
        feed.refuse(row, "satellite", "the number of a GOES satellite such as 18")
    return f"GOES-{match.group(1)}"


def _by_time(
    feed: Feed, times: pd.DatetimeIndex, satellite: np.ndarray[tuple[int], np.dtype[np.object_]]
) -> pd.Series[Any]:
    names = pd.Series(satellite, index=times)[satellite != ""]
    names = names[~names.reset_index().duplicated().to_numpy()]
    twice = names.index.duplicated()
    if twice.any():
        when = names.index[twice][0]
        both = " and ".join(names[names.index == when])
        msg = f"{feed.path}: {both} both at {when}, expected one satellite; give primary and secondary feed apart"
        raise DataError(msg)
    return pd.Series(names)


def _warn_overlap(frames: list[pd.DataFrame]) -> None:
    known = frames[0][SATELLITE]
    for frame in frames[1:]:
        later = frame[SATELLITE]
        both = known.index.intersection(later.index)
        differ = both[((known[both] != later[both]) & (known[both] != "") & (later[both] != "")).to_numpy()]
        if len(differ):
            warnings.warn(
                f"{known[differ[0]]} and {later[differ[0]]} overlap from {differ[0]} to {differ[-1]}; "
                f"{later[differ[0]]}, in the file that reaches further, is used",
                UserWarning,
                stacklevel=3,
            )
        known = pd.concat([known.drop(both), later])
