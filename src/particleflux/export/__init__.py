"""Labelled result -> NetCDF-4, ISTP CDF, CSV or JSON with its provenance, and back; the suffix chooses the format.

Every file is written whole or not at all: to a temporary file in the same folder, which then takes the name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.export.document import open_json, write_json
from particleflux.export.files import FORMATS, check_writable, choose_format, replacing
from particleflux.export.istp import open_cdf, write_cdf
from particleflux.export.netcdf import open_netcdf, write_netcdf, write_pieces
from particleflux.export.provenance import Provenance
from particleflux.export.table import open_csv, write_csv
from particleflux.names import VARIABLES, Quality, attributes, require

__all__ = [
    "FORMATS",
    "Provenance",
    "check_writable",
    "choose_format",
    "open_dataset",
    "open_spectra",
    "replacing",
    "write_dataset",
    "write_spectra",
    "write_stream",
]


def write_spectra(dataset: xr.Dataset, path: str | os.PathLike[str], *, provenance: Provenance | None = None) -> Path:
    """Write reconstructed spectra; the suffix chooses the format.

    Parameters
    ----------
    dataset : Dataset, dims (time, energy), with flux in cm-2 s-1 sr-1 MeV-1
        The spectra, by the names of `particleflux.names`.
    path : path-like
        A file ending in .nc, .cdf, .csv or .json; an existing one is replaced.
    provenance : Provenance, optional
        Where the spectra came from; kept in the file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the suffix is unknown, the file cannot be written, or the format cannot hold the data.
    AxisError
        If the dataset lacks flux, energy, or their dimensions.
    UnitError
        If their units are absent or others.
    """
    require(dataset, "flux", "energy")
    missing = {"time", "energy"} - set(dataset["flux"].dims)
    if missing:
        msg = f"flux has dimensions {dataset['flux'].dims}, expected time and energy; add {sorted(missing)}"
        raise AxisError(msg)
    return write_dataset(dataset, path, provenance=provenance)


def write_dataset(dataset: xr.Dataset, path: str | os.PathLike[str], *, provenance: Provenance | None = None) -> Path:
    """Write any labelled arrays, such as counts; the suffix chooses the format.

    Parameters
    ----------
    dataset : Dataset
        Numbers, text and times; for .csv along `time`, or along `init_time` and `lead_time`; for .cdf along `time`.
    path : path-like
        A file ending in .nc, .cdf, .csv or .json; an existing one is replaced.
    provenance : Provenance, optional
        Where the data came from; kept in the file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the suffix is unknown, the file cannot be written, or the format cannot hold the data.
    """
    path = Path(path)
    suffix = choose_format(path)
    described = _describe(dataset, provenance)
    with replacing(path) as temporary:
        if suffix == ".nc":
            write_netcdf(described, temporary)
        elif suffix == ".cdf":
            write_cdf(described, temporary, path.stem)
        elif suffix == ".csv":
            write_csv(described, temporary)
        else:
            write_json(described, temporary)
    return path


def write_stream(
    pieces: Iterable[xr.Dataset],
    path: str | os.PathLike[str],
    *,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write pieces of one dataset one after the other as NetCDF-4, in the memory of one piece.

    Parameters
    ----------
    pieces : iterable of Dataset, dims (time, ...)
        Alike but for what varies along time, such as `particleflux.simulate.Simulation.stream` gives them; labels and
        attributes are those of the first.
    path : path-like
        A file ending in .nc; an existing one is replaced once all pieces are written.
    provenance : Provenance, optional
        Where the data came from; kept in the file.
    progress : callable, optional
        Told the samples written so far.

    Returns
    -------
    Path
        The file, which `open_dataset` reads like any other.

    Raises
    ------
    DataError
        If the suffix is another, there is no piece, or the file cannot be written.
    AxisError
        If the pieces do not fit together.
    """
    path = Path(path)
    choose_format(path, (".nc",))
    with replacing(path) as temporary:
        write_pieces((_describe(piece, provenance) for piece in pieces), temporary, progress)
    return path


def open_spectra(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read spectra written by `write_spectra`, whatever the format.

    Parameters
    ----------
    path : path-like
        A file ending in .nc, .cdf, .csv or .json.

    Returns
    -------
    Dataset
        With the names, dimensions and units of `particleflux.names`.

    Raises
    ------
    DataError
        If the file is missing, of an unknown format, damaged, or not made by this package.
    AxisError
        If it holds no flux along energy.
    UnitError
        If their units are absent or others.
    """
    dataset = open_dataset(path)
    require(dataset, "flux", "energy")
    return dataset


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read labelled arrays written by `write_dataset`, whatever the format.

    Parameters
    ----------
    path : path-like
        A file ending in .nc, .cdf, .csv or .json.

    Returns
    -------
    Dataset
        With the names, dimensions, units and attributes it was written with, in memory.

    Raises
    ------
    DataError
        If the file is missing, of an unknown format, damaged, or not made by this package.
    """
    path = Path(path)
    suffix = choose_format(path)
    if not path.is_file():
        msg = f"{path}: no such file; give the path of an existing result"
        raise DataError(msg)
    openers = {".nc": open_netcdf, ".cdf": open_cdf, ".csv": open_csv, ".json": open_json}
    try:
        return openers[suffix](path)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read as {FORMATS[suffix]} ({error}); give a file that particleflux wrote"
        raise DataError(msg) from error


def _describe(dataset: xr.Dataset, provenance: Provenance | None) -> xr.Dataset:
    """Add what a reader without this package needs: conventions, flag meanings, provenance."""
    # In the order of the vocabulary, so that a table begins with what matters.
    rank = {name: number for number, name in enumerate(VARIABLES)}
    names = sorted(dataset.data_vars, key=lambda name: rank.get(str(name), len(rank)))
    described = xr.Dataset({name: dataset[name].variable for name in names}, dataset.coords, dataset.attrs).copy()
    described.attrs = {"Conventions": "CF-1.11, ACDD-1.3"} | dict(dataset.attrs)
    if provenance is not None:
        described.attrs |= provenance.to_attributes()
        described.attrs["source"] = f"particleflux {provenance.particleflux_version}"
    if "time" in described.coords:
        described["time"].attrs = {"long_name": "start of the accumulation, UTC"} | dict(described["time"].attrs)
        described["time"].attrs["standard_name"] = "time"
    if "quality" in described:
        flags = [flag for flag in Quality if flag]
        described["quality"].attrs = {
            **attributes("quality"),
            "flag_masks": [flag.value for flag in flags],
            "flag_meanings": " ".join(str(flag.name).lower() for flag in flags),
            # Last: a dataset that names its flags, such as a forecast, has others.
            **described["quality"].attrs,
        }
    described.attrs = _plain(described.attrs)
    for variable in described.variables:
        dtype = described[variable].dtype
        if dtype.kind not in "biufMmUO":
            msg = f"variable {variable!r} is of type {dtype}; files hold numbers, text and times: convert or drop it"
            raise DataError(msg)
        described[variable].attrs = _plain(described[variable].attrs)
    return described


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn attributes into what every format can hold: text, numbers, and flat lists of whole numbers."""
    plain: dict[str, Any] = {}
    for key, value in attrs.items():
        item = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        if isinstance(item, bool):
            item = int(item)
        elif isinstance(item, os.PathLike):
            item = os.fspath(item)
        elif isinstance(item, list | tuple) and all(type(part) is int for part in item):
            item = list(item)
        elif item is None:
            item = ""
        elif not isinstance(item, str | int | float):
            try:
                item = json.dumps(item)
            except TypeError as error:
                msg = f"attribute {key!r} is a {type(value).__name__}; make it text, a number, or lists of those"
                raise DataError(msg) from error
        plain[str(key)] = item
    return plain
