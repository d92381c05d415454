"""Rows of several answers -> one series in time: repeated rows, rows that contradict, the newest answer first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import MissingDataError
from particleflux.io.times import TimeRange
from particleflux.names import attributes

SATELLITE = "satellite"


def settle(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the times of one answer unique: equal rows count once, values that contradict are missing.

    Parameters
    ----------
    frame : DataFrame
        Numbers by time, in any order.

    Returns
    -------
    DataFrame
        Sorted, each time once.
    """
    groups = frame.groupby(level=0)
    highest, lowest = groups.max(), groups.min()
    return highest.where(highest == lowest)


def newest_last(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Order answers by the last time they hold, whatever their files are called.

    Parameters
    ----------
    frames : sequence of DataFrame
        By time, sorted.

    Returns
    -------
    list of DataFrame
        Of equally old ones the one given later comes later.
    """
    return sorted(frames, key=lambda frame: frame.index[-1])


def join_rows(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join answers row by row: a row of the newest answer that has any number replaces those of the same time.

    Parameters
    ----------
    frames : sequence of DataFrame
        By time, sorted, each time once; all columns but `satellite` are numbers.

    Returns
    -------
    DataFrame
        The same columns, sorted by time.
    """
    joined = pd.concat(newest_last(frames))
    names = [name for name in joined.columns if name != SATELLITE]
    measured = joined[names].notna().any(axis="columns").to_numpy()
    # A gap in the newest answer does not hide what an older one had.
    order = np.lexsort((np.arange(len(joined)), measured, joined.index.to_numpy()))
    joined = joined.iloc[order]
    return joined[~joined.index.duplicated(keep="last")]


def join_columns(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join answers value by value, on the union of their times; the newest answer that has a value gives it.

    Parameters
    ----------
    frames : sequence of DataFrame
        Numbers by time, each time once; the columns may differ.

    Returns
    -------
    DataFrame
        All columns, sorted by time.
    """
    ordered = newest_last(frames)
    times = pd.DatetimeIndex(np.unique(np.concatenate([frame.index.to_numpy() for frame in ordered])))
    columns = {}
    for name in dict.fromkeys(name for frame in ordered for name in frame.columns):
        values = pd.concat([frame[name] for frame in ordered if name in frame.columns]).dropna()
        columns[name] = values[~values.index.duplicated(keep="last")].reindex(times)
    return pd.DataFrame(columns, index=times)


def label(
    frame: pd.DataFrame, files: Sequence[Path], span: TimeRange, cadence: str, source: str, **attrs: str
) -> xr.Dataset:
    """Make a source dataset of a joined series.

    Parameters
    ----------
    frame : DataFrame
        By time; its columns are names of the vocabulary.
    files : sequence of Path
        Where it came from.
    span : TimeRange
        What is asked for.
    cadence : str
        Step of the series.
    source : str
        What it is, for people.
    **attrs : str
        More attributes.

    Returns
    -------
    Dataset, dims (time,)
        Inside the range.

    Raises
    ------
    MissingDataError
        If nothing lies in the range.
    """
    time = frame.index.to_numpy().astype("datetime64[ns]")
    inside = span.contains(time)
    if not inside.any():
        first, last = time[[0, -1]].astype("datetime64[s]")
        msg = f"{files[0]}: no sample in {span}; it holds {first} to {last} UTC: give another start or stop"
        raise MissingDataError(msg)
    variables = {
        str(name): ("time", column.to_numpy()[inside], attributes(str(name))) for name, column in frame.items()
    }
    return xr.Dataset(
        variables,
        coords={"time": ("time", time[inside], {"long_name": "start of the interval, UTC"})},
        attrs={"cadence": cadence, "source": source, **attrs, "source_files": [file.name for file in files]},
    )
