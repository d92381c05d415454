"""The real-time solar wind of SWPC: plasma and magnetic field upstream of Earth, every minute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.io.feeds.document import read_feed, shorten
from particleflux.io.feeds.files import Paths, select_files
from particleflux.io.feeds.series import join_columns, label, settle
from particleflux.io.times import TimeLike, TimeRange

_PATTERNS = ("solar-wind-*.json", "rtsw_wind*.json", "rtsw_mag*.json", "plasma-*.json", "mag-*.json")
#: Name in the vocabulary: keys of the feed, and what a value can be.
_COLUMNS: dict[str, tuple[tuple[str, ...], float, float]] = {
    "solar_wind_speed": (("proton_speed", "speed"), 50, 4000),
    "solar_wind_density": (("proton_density", "density"), 1e-3, 500),
    "b_total": (("bt",), 0, 500),
    "by_gsm": (("by_gsm",), -500, 500),
    "bz_gsm": (("bz_gsm",), -500, 500),
}


def open_swpc_solar_wind(paths: Paths, *, start: TimeLike | None = None, stop: TimeLike | None = None) -> xr.Dataset:
    """Read saved answers of SWPC's real-time solar wind: plasma, magnetic field, or both together.

    The feeds are `rtsw_wind_1m.json` and `rtsw_mag_1m.json`, which reach back one day and hold several spacecraft, of
    which one is the active one; until April 2026 also `plasma-7-day.json` and `mag-7-day.json`.

    Parameters
    ----------
    paths : path or iterable of paths
        Answers, folders (their `solar-wind-*.json`, `rtsw_*.json`, `plasma-*.json` and `mag-*.json`) or patterns.
        Where answers overlap, the one that reaches further counts, value by value.
    start, stop : str, date, datetime or datetime64, optional
        First instant, and the first after the last; a bare date as stop is included whole.

    Returns
    -------
    Dataset, dims (time,)
        Every minute, on the union of the times: `solar_wind_speed` km s-1 and `solar_wind_density` cm-3 where a plasma
        feed is given, `b_total`, `by_gsm` and `bz_gsm` nT where a field feed is. Only rows of the active spacecraft,
        which the attribute `spacecraft` names; NaN where the feed has nothing, calls the row suspect, or holds two
        values that contradict. Times are those at the spacecraft, not shifted to Earth.

    Raises
    ------
    MissingDataError
        If there is no file, no row of an active spacecraft, or nothing in the range.
    DataError
        If a file holds HTML, half a document or another feed.
    """
    span = TimeRange.parse(start, stop)
    files = select_files(paths, _PATTERNS, "the real-time solar wind")
    frames = []
    spacecraft: set[str] = set()
    for file in files:
        frame, names = _read(file)
        frames.append(frame)
        spacecraft |= names
    joined = join_columns(frames)
    joined = joined[[name for name in _COLUMNS if name in joined.columns]]
    named = {"spacecraft": ", ".join(sorted(spacecraft))} if spacecraft else {}
    return label(joined, files, span, "1min", "NOAA SWPC, solar wind, real time", **named)


def _read(path: Path) -> tuple[pd.DataFrame, set[str]]:
    keys = [key for options, _, _ in _COLUMNS.values() for key in options]
    feed = read_feed(path, (), (*keys, "active", "source", "overall_quality"))
    values: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    for name, (options, low, high) in _COLUMNS.items():
        key = next((option for option in options if option in feed.columns), None)
        if key is not None:
            values[name] = feed.numbers(key, low, high)
    if not values:
        msg = f"{path} lacks speed, density and field: found the keys {feed.found}; give a feed of the solar wind"
        raise DataError(msg)
    frame = pd.DataFrame(values, index=feed.times())
    if "overall_quality" in feed.columns:
        # 0 is normal, 1 suspect, 2 an error; negative is "not reported", which every row of some spacecraft is.
        frame[feed.numbers("overall_quality", -1e9, 1e9) > 0] = np.nan
    source = np.array([str(value) for value in feed.columns.get("source", [""] * len(frame))], dtype=object)
    if "active" in feed.columns:
        active = np.array([value in (True, "true", "True") for value in feed.columns["active"]])
        if not active.any():
            found = shorten(", ".join(sorted(set(source))))
            msg = f"{path}: no row of an active spacecraft, found inactive {found}; fetch the feed again later"
            raise MissingDataError(msg)
        frame, source = frame[active], source[active]
    frame = settle(frame)
    # Some spacecraft begin their minutes a few seconds late.
    return frame.groupby(pd.DatetimeIndex(frame.index).floor("min")).mean(), set(source) - {"", "None"}
