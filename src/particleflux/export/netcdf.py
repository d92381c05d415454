"""Labelled arrays to and from NetCDF-4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as NetCDF-4, compressed without loss.

    Parameters
    ----------
    dataset : Dataset
        Any labelled arrays with plain attributes.
    path : Path
        The file to make.
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
        encoding[str(name)] = settings
        plain[name].encoding = {}
    plain.to_netcdf(path, engine="h5netcdf", format="NETCDF4", encoding=encoding)


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
