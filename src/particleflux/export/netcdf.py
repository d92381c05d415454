"""Labelled arrays to and from NetCDF-4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import xarray as xr

from particleflux.errors import AxisError, DataError

ROW = "time"
#: Samples that HDF5 stores and compresses together, where a file grows along time.
CHUNK = 10_000


def write_netcdf(dataset: xr.Dataset, path: Path, *, growing: bool = False) -> None:
    """Write a dataset as NetCDF-4, compressed without loss.

    Parameters
    ----------
    dataset : Dataset
        Any labelled arrays with plain attributes.
    path : Path
        The file to make.
    growing : bool
        Leave the time dimension open at its end, so that samples can be added.
    """
    encoding: dict[str, dict[str, Any]] = {}
    plain = dataset.copy()
    for name, variable in dataset.variables.items():
        settings: dict[str, Any] = {}
        kind = variable.dtype.kind
        if kind == "M":
            # xarray refuses an attribute it is to write itself.
            plain[name].attrs = {
                key: value for key, value in variable.attrs.items() if key not in {"units", "calendar"}
            }
            settings = {"units": _time_units(variable.to_numpy()), "calendar": "proleptic_gregorian", "dtype": "int64"}
        elif kind == "f":
            settings["_FillValue"] = np.array(np.nan, variable.dtype)
        if variable.ndim and kind in "fiuM":
            settings |= {"zlib": True, "complevel": 4, "shuffle": True}
        if growing and ROW in variable.dims:
            settings["chunksizes"] = tuple(CHUNK if dim == ROW else dataset.sizes[dim] for dim in variable.dims)
        encoding[str(name)] = settings
        plain[name].encoding = {}
    unlimited = [ROW] if growing else []
    plain.to_netcdf(path, engine="h5netcdf", format="NETCDF4", encoding=encoding, unlimited_dims=unlimited)


def write_pieces(pieces: Iterable[xr.Dataset], path: Path, progress: Callable[[int], None] | None = None) -> int:
    """Write pieces of one dataset one after the other along time; only one of them is in memory.

    Parameters
    ----------
    pieces : iterable of Dataset, dims (time, ...)
        Alike but for what varies along time; labels and attributes are those of the first.
    path : Path
        The file to make.
    progress : callable, optional
        Told the samples written so far.

    Returns
    -------
    int
        Samples written.

    Raises
    ------
    AxisError
        If a piece has no time, or other variables, dimensions or sizes than the first.
    DataError
        If there is no piece, or a piece cannot be stored as the first was.
    """
    rest = iter(pieces)
    first = next(rest, None)
    if first is None:
        msg = f"no piece to write; expected at least one with samples along {ROW!r}; ask for some"
        raise DataError(msg)
    if ROW not in first.dims:
        msg = f"piece 1 has dimensions {sorted(map(str, first.dims))}; expected {ROW!r} among them"
        raise AxisError(msg)
    write_netcdf(first, path, growing=True)
    written = first.sizes[ROW]
    if progress is not None:
        progress(written)
    layout = _layout(first)
    with h5netcdf.File(path, "r+") as file:
        for number, piece in enumerate(rest, start=2):
            _check_layout(_layout(piece), layout, f"piece {number}")
            start, written = written, written + piece.sizes[ROW]
            file.resize_dimension(ROW, written)
            for name in layout:
                stored = file.variables[name]
                values = _encode(piece[name].to_numpy(), stored, f"piece {number}, variable {name!r}")
                stored[tuple(slice(start, written) if dim == ROW else slice(None) for dim in piece[name].dims)] = values
            if progress is not None:
                progress(written)
    return written


def _layout(piece: xr.Dataset) -> dict[str, tuple[str, dict[str, int]]]:
    """Give type and dimensions of what varies along time."""
    return {
        str(name): (
            "text" if array.dtype.kind in "UO" else str(array.dtype),
            {str(dim): array.sizes[dim] for dim in array.dims if dim != ROW},
        )
        for name, array in piece.variables.items()
        if ROW in array.dims
    }


def _check_layout(found: Mapping[str, Any], expected: Mapping[str, Any], where: str) -> None:
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            there, before = (str(item.get(name, "nothing")) for item in (found, expected))
            msg = f"{where} holds {there} as {name!r}; expected {before} as in the pieces before it; make them alike"
            raise AxisError(msg)


def _encode(values: np.ndarray[Any, Any], stored: Any, where: str) -> np.ndarray[Any, Any]:
    """Turn values into what the file holds for the samples before them."""
    if values.dtype.kind in "UO":
        return values.astype(object)
    if values.dtype.kind != "M":
        return values.astype(stored.dtype)
    units = {"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
    name = str(stored.attrs["units"]).split()[0]
    counted = values.astype(f"datetime64[{units[name]}]")
    if not np.array_equal(counted, values):
        msg = f"{where} holds times between whole {name}, the unit of the times before them; round them"
        raise DataError(msg)
    return counted.astype(np.int64)


def _time_units(times: np.ndarray[Any, Any]) -> str:
    """Give the coarsest unit in which the times are whole numbers: exact, and readable where it can be."""
    known = times[~np.isnat(times)]
    for unit, name in (("s", "seconds"), ("ms", "milliseconds"), ("us", "microseconds")):
        if np.array_equal(known.astype(f"datetime64[{unit}]"), known):
            return f"{name} since 1970-01-01"
    return "nanoseconds since 1970-01-01"


def open_netcdf(path: Path) -> xr.Dataset:
    """Read a NetCDF-4 file whole.

    Parameters
    ----------
    path : Path
        A file made by `write_netcdf`, or any other NetCDF-4 file.

    Returns
    -------
    Dataset
        In memory; the file is closed.
    """
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        dataset = opened.load()
    for name, variable in list(dataset.variables.items()):
        if variable.dtype.kind == "O":
            dataset[name] = (variable.dims, variable.to_numpy().astype(np.str_), variable.attrs)
        elif variable.dtype.kind == "M" and variable.dtype != np.dtype("datetime64[ns]"):
            dataset[name] = (variable.dims, variable.to_numpy().astype("datetime64[ns]"), variable.attrs)
        dataset[name].encoding = {}
    dataset.encoding = {}
    return dataset
