"""Labelled arrays to and from one self-describing JSON document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from particleflux.errors import DataError
from particleflux.export.provenance import Provenance

FORMAT = "particleflux labelled arrays"
VERSION = 1


def write_json(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as strict JSON: times as ISO 8601 with Z, missing values as null.

    Parameters
    ----------
    dataset : Dataset
        Any labelled arrays with plain attributes; a provenance among them becomes an object of its own.
    path : Path
        The file to make.

    Raises
    ------
    DataError
        If a value is infinite, which JSON cannot say.
    """
    provenance = Provenance.from_attributes(dataset.attrs)
    document = {
        "format": FORMAT,
        "format_version": VERSION,
        "attributes": {key: value for key, value in dataset.attrs.items() if not key.startswith("provenance_")},
        "provenance": provenance.to_dict() if provenance else None,
        "dimensions": {str(name): size for name, size in dataset.sizes.items()},
        "coordinates": {str(name): encode_array(array) for name, array in dataset.coords.items()},
        "variables": {str(name): encode_array(array) for name, array in dataset.data_vars.items()},
    }
    with path.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, allow_nan=False, ensure_ascii=False)
        stream.write("\n")


def open_json(path: Path) -> xr.Dataset:
    """Read a document made by `write_json`.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Dataset
        With the names, dimensions, units and attributes it was written with.

    Raises
    ------
    DataError
        If the file is no such document.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path}: not JSON ({error}); give a file that particleflux wrote"
        raise DataError(msg) from error
    found = (document.get("format"), document.get("format_version")) if isinstance(document, dict) else None
    if found != (FORMAT, VERSION):
        msg = f"{path}: found format {found}, expected {(FORMAT, VERSION)}; give a file that particleflux wrote"
        raise DataError(msg)
    provenance = document["provenance"]
    if provenance:
        provenance = Provenance(**provenance | {"input_files": tuple(provenance["input_files"])}).to_attributes()
    return xr.Dataset(
        {name: decode_array(item) for name, item in document["variables"].items()},
        {name: decode_array(item) for name, item in document["coordinates"].items()},
        document["attributes"] | (provenance or {}),
    )


def encode_array(array: xr.DataArray) -> dict[str, Any]:
    """Give a labelled array as plain values.

    Parameters
    ----------
    array : DataArray
        Numbers, text or times.

    Returns
    -------
    dict
        Its `dims`, `dtype`, `attributes` and nested `data`.

    Raises
    ------
    DataError
        If a value is infinite.
    """
    values = array.to_numpy()
    data: Any
    if values.dtype.kind == "M":
        data = _with_none(format_times(values), np.isnat(values))
    elif values.dtype.kind == "m":
        values = _whole_days(values)
        data = _with_none(values.astype(np.int64), np.isnat(values))
    elif values.dtype.kind == "f":
        if np.isinf(values).any():
            msg = f"variable {array.name!r} holds infinite values, which text formats cannot say; write .nc or .cdf"
            raise DataError(msg)
        # Through text a float32 keeps its own short digits: 0.1 stays 0.1, not 0.10000000149.
        exact = values.astype(np.str_).astype(np.float64) if values.dtype.itemsize < 8 else values
        data = _with_none(exact, np.isnan(values))
    else:
        data = values.tolist()
    return {"dims": list(array.dims), "dtype": _type_name(values), "attributes": dict(array.attrs), "data": data}


def decode_array(item: dict[str, Any]) -> tuple[list[str], np.ndarray[Any, Any], dict[str, Any]]:
    """Turn what `encode_array` gave back into dimensions, values and attributes.

    Parameters
    ----------
    item : dict
        One array of a document.

    Returns
    -------
    tuple
        As xarray takes it: dims, values, attributes.
    """
    data = np.array(item["data"], dtype=object)
    if item["dtype"].startswith("datetime64"):
        times = [np.datetime64("NaT") if text is None else np.datetime64(text.removesuffix("Z")) for text in data.flat]
        values = np.array(times, item["dtype"]).reshape(data.shape)
    elif item["dtype"].startswith("timedelta64"):
        lengths = [np.timedelta64("NaT") if number is None else np.timedelta64(int(number)) for number in data.flat]
        values = np.array(lengths, item["dtype"]).astype("timedelta64[ns]").reshape(data.shape)
    elif item["dtype"].startswith("float"):
        values = data.astype(item["dtype"])  # None becomes NaN
    else:
        values = data.astype(item["dtype"])
    return item["dims"], values, item["attributes"]


def _whole_days(lengths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give lengths of time in days, which read better, where that is exact."""
    days = lengths.astype("timedelta64[D]")
    exact = bool((np.isnat(lengths) | (days == lengths)).all())
    return days if exact else lengths.astype("timedelta64[ns]")


def _with_none(values: np.ndarray[Any, Any], is_missing: np.ndarray[Any, Any]) -> Any:
    plain = values.astype(object)
    plain[is_missing] = None
    return plain.tolist()


def _type_name(values: np.ndarray[Any, Any]) -> str:
    return "str" if values.dtype.kind in "UO" else str(values.dtype)


def format_times(times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give times as ISO 8601 text in UTC, to the second where that is exact.

    Parameters
    ----------
    times : array of datetime64
        Times in UTC.

    Returns
    -------
    array of str
        Such as 2024-05-11T01:15:00Z; a missing time reads NaT.
    """
    known = times[~np.isnat(times)]
    whole = np.array_equal(known.astype("datetime64[s]"), known)
    text = np.datetime_as_string(times, unit="s" if whole else "ns")
    return np.where(np.isnat(times), "NaT", np.char.add(text, "Z"))
