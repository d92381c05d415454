"""Counts of any known instrument from NetCDF or CSV."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.instruments import Instrument, load_instrument
from particleflux.io.cells import parse_numbers, parse_times
from particleflux.io.paths import PathLike
from particleflux.names import VARIABLES, Quality, attributes, require

Array = npt.NDArray[np.float64]

_NETCDF = {".nc", ".nc4", ".netcdf", ".h5"}
_HEADING = re.compile(r"(?P<name>[^\[(]*?)\s*(?:[\[(](?P<units>[^\])]*)[\])])?")
_UNITS = {"time": {"UTC"}, "exposure": {"s"}, "quality": {"1"}, "configuration": {"1"}}
_COUNT_UNITS = {"1", "counts", "count"}
_BACKGROUND = ("background_rate", "background_rate_std")


def open_counts(path: PathLike, *, instrument: str | Instrument = "radem") -> xr.Dataset:
    """Read counts from NetCDF (`.nc`, `.nc4`, `.netcdf`, `.h5`) or CSV (`.csv`).

    A CSV file has a heading line with `time` (ISO 8601, UTC unless it carries a zone), `exposure` in s, one column of
    counts per channel, and if wanted `quality` and `configuration`. A heading may carry its unit, "exposure [s]". An
    empty count is missing; lines that begin with # are comments.

    A NetCDF file may hold `background_rate` and `background_rate_std` (s-1) with dims (time, channel) or (channel);
    what else it holds is passed through.

    Parameters
    ----------
    path : path
        The file.
    instrument : str or Instrument
        The instrument of a CSV file, by name or file. A NetCDF file names its own in the attribute `instrument`; it is
        looked up among those that ship unless it has the name of the one given here.

    Returns
    -------
    Dataset, dims (time, channel)
        `counts` (1), `exposure` (s), `quality`, coordinate `configuration` (looked up where the file has none); sorted
        by time, channels in the instrument's order, repeated samples kept once with the flags of all. Flags known
        here are added: MISSING for NaN in a channel that spectra are read from, INVALID for a negative count or an
        exposure that is not positive.

    Raises
    ------
    MissingDataError
        If the file does not exist or holds no sample.
    AxisError
        If a column, variable or channel is missing or unknown.
    UnitError
        If a unit is another than its name promises.
    DataError
        If the file cannot be read, holds text where a number belongs, or two unlike samples of one time.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"{path} does not exist: expected a NetCDF or CSV file of counts; check the path"
        raise MissingDataError(msg)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        counts = _from_csv(path, _described(instrument))
    elif suffix in _NETCDF:
        counts = _from_netcdf(path, instrument)
    else:
        msg = f"{path} ends in {suffix!r}: expected .csv or one of {', '.join(sorted(_NETCDF))}; rename or convert it"
        raise DataError(msg)
    if counts.sizes["time"] == 0:
        msg = f"{path} holds no sample: expected at least one time; give another file"
        raise MissingDataError(msg)
    return _sorted_unique(counts, path)


def _described(instrument: str | Instrument) -> Instrument:
    return load_instrument(instrument) if isinstance(instrument, str) else instrument


def _from_csv(path: Path, instrument: Instrument) -> xr.Dataset:
    known = instrument.channels
    try:
        cells = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, comment="#", encoding="utf-8-sig")
    except pd.errors.EmptyDataError as error:
        msg = f"{path} is empty: expected a heading line with time, exposure and channels; give another file"
        raise MissingDataError(msg) from error
    except (ValueError, OSError) as error:  # the parser's and the decoder's errors are ValueErrors
        msg = f"{path} cannot be read as comma-separated text ({error}); expected one value per heading in each line"
        raise DataError(msg) from error
    names = [_column(str(heading), known, path) for heading in cells.iloc[0]]
    table = cells.iloc[1:].set_axis(names, axis="columns").reset_index(drop=True)
    repeated = sorted({name for name in names if names.count(name) > 1})
    channels = [name for name in known if name in names]
    absent = [name for name in ("time", "exposure") if name not in names]
    if repeated or absent or not channels:
        problem = f"repeats {', '.join(repeated)}" if repeated else f"lacks {', '.join(absent) or 'every channel'}"
        msg = (
            f"{path} {problem}: found columns {', '.join(names)}; expected time, exposure and at least one of "
            f"{', '.join(known)}; correct the heading line"
        )
        raise AxisError(msg)
    time = parse_times(table["time"], path, row_name="sample")
    coords: dict[str, object] = {"time": ("time", time), "channel": ("channel", channels)}
    quality = _flags(table["quality"], path) if "quality" in names else np.zeros(len(table), dtype=np.int32)
    configuration = _flags(table["configuration"], path) if "configuration" in names else None
    counts = xr.Dataset(
        {
            "counts": (
                ("time", "channel"),
                np.column_stack([parse_numbers(table[name], path, row_name="sample") for name in channels]),
            ),
            "exposure": ("time", parse_numbers(table["exposure"], path, row_name="sample")),
            "quality": ("time", quality),
        },
        coords=coords,
        attrs={"instrument": instrument.name, "source_files": [path.name]},
    )
    return _labelled(counts, configuration, instrument)


def _from_netcdf(path: Path, given: str | Instrument) -> xr.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)  # about times the checks below refuse
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                counts = opened.load()
    # HDF5 meets damage with OSError, KeyError or RuntimeError; decoding adds ValueError and TypeError.
    except Exception as error:
        msg = (
            f"{path} cannot be read as NetCDF-4 ({type(error).__name__}: {error}); write it again or give another file"
        )
        raise DataError(msg) from error
    name = counts.attrs.get("instrument")
    if not isinstance(name, str):
        msg = f"{path}: attribute 'instrument' is {name!r}; expected a name such as 'radem'; set it and write again"
        raise DataError(msg)
    instrument = given if isinstance(given, Instrument) and given.name == name else _named(name, path)
    known = instrument.channels
    present = [name for name in ("quality", "configuration") if name in counts.variables]
    if any(name in counts.variables for name in _BACKGROUND):
        present += _BACKGROUND
    try:
        require(counts, "counts", "exposure", *present)
    except (AxisError, UnitError) as error:
        msg = f"{path}: {error}"
        raise type(error)(msg) from error
    for name in ("time", "channel"):
        if name not in counts.coords:
            msg = (
                f"{path}: dimension {name!r} carries no labels; expected a coordinate {name!r}; add it and write again"
            )
            raise AxisError(msg)
    time = counts["time"].to_numpy()
    if time.dtype.kind != "M" or np.isnat(time).any():
        msg = (
            f"{path}: time is {time.dtype}, or a time is missing; expected datetime64 throughout; "
            "give it CF units such as 'seconds since 1970-01-01'"
        )
        raise AxisError(msg)
    channels = [str(name) for name in counts["channel"].to_numpy()]
    unknown = [name for name in channels if name not in known]
    if unknown or len(set(channels)) < len(channels):
        msg = f"{path}: channels {channels}: expected names out of {', '.join(known)}, each once; rename them"
        raise AxisError(msg)
    for name in ("counts", "exposure", *present):
        if counts[name].dtype.kind not in "iuf":
            msg = f"{path}: {name} is {counts[name].dtype}; expected numbers; write it again as such"
            raise DataError(msg)
        if name in _BACKGROUND and set(counts[name].dims) not in ({"channel"}, {"time", "channel"}):
            msg = (
                f"{path}: {name} has dimensions {counts[name].dims}; expected channel, or time and channel; average it"
            )
            raise AxisError(msg)
    counts = counts.assign_coords(channel=channels, time=counts["time"].astype("datetime64[ns]"))
    counts = counts.sel(channel=[name for name in known if name in channels]).transpose("time", "channel", ...)
    if "quality" not in counts:
        counts["quality"] = ("time", np.zeros(counts.sizes["time"], dtype=np.int32))
    counts["counts"] = counts["counts"].astype(np.float64)
    counts["exposure"] = counts["exposure"].astype(np.float64)
    # NetCDF gives a list of one text back as text.
    sources = counts.attrs.get("source_files", path.name)
    counts.attrs["source_files"] = [sources] if isinstance(sources, str) else [str(name) for name in sources]
    configuration = counts["configuration"].to_numpy() if "configuration" in present else None
    return _labelled(counts, configuration, instrument)


def _named(name: str, path: Path) -> Instrument:
    try:
        return load_instrument(name)
    except MissingDataError as error:
        msg = f"{path}: counts of {name!r}, which does not ship with this package; name its TOML file as the instrument"
        raise MissingDataError(msg) from error


def _labelled(counts: xr.Dataset, configuration: npt.NDArray[np.int32] | None, instrument: Instrument) -> xr.Dataset:
    if configuration is None:
        configuration = instrument.configuration_at(counts["time"].to_numpy()).astype(np.int32)
    counts = counts.assign_coords(configuration=("time", np.asarray(configuration, dtype=np.int32)))
    for name in ("counts", "exposure", "configuration"):
        counts[name].attrs = attributes(name)
    values, exposure = counts["counts"].to_numpy(), counts["exposure"].to_numpy()
    needed = np.isin(counts["channel"].to_numpy(), instrument.ensemble.bins[-1])
    valid = ~((values < 0) | np.isinf(values)).any(axis=1) & np.isfinite(exposure) & (exposure > 0)
    quality = counts["quality"].to_numpy().astype(np.int32)
    quality[np.isnan(values[:, needed]).any(axis=1)] |= Quality.MISSING
    quality[~valid] |= Quality.INVALID
    counts["quality"] = ("time", quality, attributes("quality"))
    counts["time"].attrs["long_name"] = "start of the accumulation, UTC"
    counts["channel"].attrs["long_name"] = "channel"
    return counts


def _column(heading: str, known: tuple[str, ...], path: Path) -> str:
    match = _HEADING.fullmatch(heading.strip())
    name = heading.strip() if match is None else match["name"]
    if name not in _UNITS and name not in known:
        more = name.startswith(_BACKGROUND[0])
        msg = f"{path}: unknown column {heading!r}; expected {', '.join(_UNITS)} and channels {', '.join(known)}; " + (
            "give counts with their background as NetCDF" if more else "rename or remove it"
        )
        raise AxisError(msg)
    units = None if match is None else match["units"]
    accepted = _UNITS.get(name, _COUNT_UNITS)
    if units is not None and units.strip() not in accepted:
        expected = VARIABLES[name if name in VARIABLES else "counts"].units if name != "time" else "UTC"
        msg = f"{path}, column {name}: unit {units!r}, expected {expected!r}; convert the column"
        raise UnitError(msg)
    return name


def _flags(column: pd.Series[str], path: Path) -> npt.NDArray[np.int32]:
    values = parse_numbers(column, path, row_name="sample")
    wrong = np.flatnonzero(~((values >= 0) & (values < 2**31) & (values == np.floor(values))))
    if len(wrong):
        row = int(wrong[0])
        msg = (
            f"{path}, sample {row + 1}, column {column.name}: found {column.iloc[row]!r}, expected a whole number from "
            "0; correct it"
        )
        raise DataError(msg)
    return values.astype(np.int32)


def _sorted_unique(counts: xr.Dataset, path: Path) -> xr.Dataset:
    time = counts["time"].to_numpy()
    step = np.diff(time)
    if (step > np.timedelta64(0, "ns")).all():
        return counts
    counts = counts.isel(time=np.argsort(time, kind="stable"))
    time = counts["time"].to_numpy()
    again = np.flatnonzero(time[1:] == time[:-1]) + 1
    for name in ("counts", "exposure", "configuration", *_BACKGROUND):
        if name not in counts.variables or "time" not in counts[name].dims:
            continue
        values = counts[name].transpose("time", ...).to_numpy()
        same = (values[again] == values[again - 1]) | (np.isnan(values[again]) & np.isnan(values[again - 1]))
        if not same.all():
            row = int(np.argwhere(~same)[0][0])
            msg = (
                f"{path}: two samples at {time[again[row]]} hold different {name}; expected each time once; "
                "remove the wrong one"
            )
            raise DataError(msg)
    # What is known against either of two equal samples is known against the one that is kept.
    starts = np.setdiff1d(np.arange(len(time)), again)
    quality = np.bitwise_or.reduceat(counts["quality"].to_numpy(), starts)
    return counts.isel(time=starts).assign(quality=("time", quality, counts["quality"].attrs))
