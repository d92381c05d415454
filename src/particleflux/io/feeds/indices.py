"""The geomagnetic indices SWPC passes on: its estimated planetary Kp, and the quick-look Dst of WDC Kyoto."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, UnitError
from particleflux.io.feeds.document import read_feed
from particleflux.io.feeds.files import Paths, select_files
from particleflux.io.feeds.series import join_rows, label, settle
from particleflux.io.times import TimeLike, TimeRange

_KP_PATTERNS = ("kp*.json", "*planetary-k-index*.json")
_DST_PATTERNS = ("dst*.json", "kyoto-dst*.json")
#: In order of preference: in answers that have Kp_fraction, Kp is rounded to whole numbers.
_KP_KEYS = ("Kp_fraction", "estimated_kp", "Kp", "kp", "kp_index")
#: ap in units of 2 nT for Kp = 0, 1/3, 2/3, ... 9.
_AP = (0, 2, 3, 4, 5, 6, 7, 9, 12, 15, 18, 22, 27, 32, 39, 48, 56, 67, 80, 94, 111, 132, 154, 179, 207, 236, 300, 400)


def open_swpc_kp(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read saved answers of SWPC's feed of the estimated planetary Kp, `noaa-planetary-k-index.json`.

    Parameters
    ----------
    paths : path or iterable of paths
        Answers, folders (their `kp*.json` and `*planetary-k-index*.json`) or patterns. Where answers overlap, the one
        that reaches further counts. Of the forecast file only what was observed is read.
    start, stop : str, date, datetime or datetime64, optional
        First instant, and the first after the last; a bare date as stop is included whole.

    Returns
    -------
    Dataset, dims (time,)
        `kp` in exact thirds and `ap`, every 3 hours. ap follows from Kp by the definition of the two. NaN where the
        feed has nothing, two values that contradict, or a Kp of no station.

    Raises
    ------
    MissingDataError
        If there is no file, no row, or nothing in the range.
    DataError
        If a file holds HTML, half a document or another feed, such as the one-minute running estimates.
    UnitError
        If most values exceed 9.

    References
    ----------
    Kp and ap: J. Matzka et al., Space Weather 19, e2020SW002641 (2021), doi 10.1029/2020SW002641.
    """
    span = TimeRange.parse(start, stop)
    files = select_files(paths, _KP_PATTERNS, "the planetary K index")
    joined = join_rows([_read_kp(file) for file in files])
    thirds = np.rint(3 * joined["kp"].to_numpy())
    known = np.isfinite(thirds)
    ap = np.full(len(thirds), np.nan)
    ap[known] = np.array(_AP, dtype=np.float64)[thirds[known].astype(int)]
    frame = pd.DataFrame({"kp": thirds / 3, "ap": ap}, index=joined.index)
    return label(frame, files, span, "3h", "NOAA SWPC, estimated planetary K index, real time")


def open_swpc_dst(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read saved answers of SWPC's copy of the quick-look Dst index, `kyoto-dst.json`.

    The index is that of WDC Kyoto, whose rules hold: no commercial use, and ask before publishing quick-look values.

    Parameters
    ----------
    paths : path or iterable of paths
        Answers, folders (their `dst*.json` and `kyoto-dst*.json`) or patterns. Where answers overlap, the one that
        reaches further counts.
    start, stop : str, date, datetime or datetime64, optional
        First instant, and the first after the last; a bare date as stop is included whole.

    Returns
    -------
    Dataset, dims (time,)
        `dst`, nT, every hour; NaN where the feed has nothing or two values that contradict.

    Raises
    ------
    MissingDataError
        If there is no file, no row, or nothing in the range.
    DataError
        If a file holds HTML, half a document or another feed.
    """
    span = TimeRange.parse(start, stop)
    files = select_files(paths, _DST_PATTERNS, "the Dst index")
    frames = []
    for file in files:
        feed = read_feed(file, ("dst",))
        times = feed.times(np.timedelta64(1, "h"))
        frames.append(settle(pd.DataFrame({"dst": feed.numbers("dst", -2500, 500)}, index=times)))
    return label(join_rows(frames), files, span, "1h", "WDC Kyoto quick-look Dst, by NOAA SWPC")


def _read_kp(path: Path) -> pd.DataFrame:
    feed = read_feed(path, (), (*_KP_KEYS, "station_count", "observed"))
    keys = [key for key in _KP_KEYS if key in feed.columns]
    if not keys:
        msg = f"{path} lacks Kp: found the keys {feed.found}; give the feed noaa-planetary-k-index.json"
        raise DataError(msg)
    times = feed.times(np.timedelta64(3, "h"))
    kp = feed.numbers(keys[0], 0, 90)
    if np.isfinite(kp).any() and np.nanmedian(kp) > 9:
        msg = f"{path}: {keys[0]} has a median of {np.nanmedian(kp):g}, expected Kp from 0 to 9; divide 10 Kp by 10"
        raise UnitError(msg)
    kp[kp > 9] = np.nan
    if keys[0] == "Kp_fraction" and "Kp" in keys:
        kp[np.abs(kp - feed.numbers("Kp", 0, 9)) > 1] = np.nan
    if "station_count" in feed.columns:
        kp[feed.numbers("station_count", -1e9, 1e9) == 0] = np.nan
    # The forecast feed goes on after the present, and its running interval is an estimate that still changes.
    observed = np.array([value in (None, "observed") for value in feed.columns.get("observed", [None] * len(kp))])
    if not observed.any():
        msg = f"{path} holds no observed Kp, only estimates and predictions; give the feed noaa-planetary-k-index.json"
        raise DataError(msg)
    return settle(pd.DataFrame({"kp": kp}, index=times)[observed])
