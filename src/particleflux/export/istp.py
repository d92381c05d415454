"""Labelled arrays to and from CDF files that follow the ISTP guidelines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
import xarray as xr
from cdflib.cdfwrite import CDF
from cdflib.epochs import CDFepoch

from particleflux.errors import DataError

EPOCH = "Epoch"
# Role of a variable that only numbers an axis, and is no part of the dataset.
_NUMBER = "number"

#: numpy type -> CDF type and the fill value the guidelines lay down for it.
TYPES: dict[str, tuple[str, float]] = {
    "int8": ("CDF_INT1", -(2**7)),
    "int16": ("CDF_INT2", -(2**15)),
    "int32": ("CDF_INT4", -(2**31)),
    "int64": ("CDF_INT8", -(2**63)),
    "uint8": ("CDF_UINT1", 2**8 - 1),
    "uint16": ("CDF_UINT2", 2**16 - 1),
    "uint32": ("CDF_UINT4", 2**32 - 1),
    "float32": ("CDF_REAL4", -1e31),
    "float64": ("CDF_REAL8", -1e31),
}

#: Attributes this module makes, so that reading back does not take them for the user's.
GLOBAL = (
    "Project", "Source_name", "Discipline", "Data_type", "Descriptor", "Data_version", "Instrument_type",
    "Logical_file_id", "Logical_source", "Logical_source_description", "Mission_group", "PI_name", "PI_affiliation",
    "TEXT", "Generated_by", "Generation_date", "Acknowledgement", "Time_resolution", "Rules_of_use",
)  # fmt: skip


def write_cdf(dataset: xr.Dataset, path: Path, name: str) -> None:
    """Write a dataset as ISTP CDF with a TT2000 epoch.

    Parameters
    ----------
    dataset : Dataset, dims (time, ...)
        Plain attributes; numbers, text and one time axis.
    path : Path
        The file to make; its suffix must be .cdf.
    name : str
        Name of the final file without its suffix: the guidelines want it inside the file.

    Raises
    ------
    DataError
        If there is no time, a time is missing, or a variable is of a type CDF cannot hold.
    """
    if "time" not in dataset.coords or dataset["time"].dtype.kind != "M" or not dataset.sizes.get("time"):
        msg = f"{name}.cdf: found coordinates {sorted(map(str, dataset.coords))}, expected times in 'time'; write .nc"
        raise DataError(msg)
    if np.isnat(dataset["time"].to_numpy()).any():
        msg = f"{name}.cdf: 'time' holds a missing time, which a CDF epoch may not; drop those samples"
        raise DataError(msg)
    # Row majority: numpy's own order, read alike by every CDF library.
    file = CDF(path, cdf_spec={"Majority": "row_major", "Checksum": True})
    try:
        file.write_globalattrs({key: {0: _to_ascii(value)} for key, value in _global_attributes(dataset, name).items()})
        _write_epoch(file, dataset)
        numbered = _number_axes(dataset)
        for variable in numbered.variables:
            if variable != "time":
                _write_variable(file, numbered, str(variable))
    finally:
        file.close()


def _number_axes(dataset: xr.Dataset) -> xr.Dataset:
    """Give numbers to axes without labels, such as that of draws: the guidelines want a variable for every axis."""
    planes = [array for array in dataset.data_vars.values() if array.ndim > 1 and "time" in array.dims]
    bare = sorted({str(dim) for array in planes for dim in array.dims if dim not in dataset.variables})
    labels = {"units": "1", "long_name": "number along an axis without labels", "ROLE": _NUMBER}
    return dataset.assign_coords({dim: (dim, np.arange(dataset.sizes[dim], dtype=np.int32), labels) for dim in bare})


def _global_attributes(dataset: xr.Dataset, name: str) -> dict[str, str]:
    attrs = {key: value if isinstance(value, str) else json.dumps(value) for key, value in dataset.attrs.items()}
    instrument = str(attrs.get("instrument", "")) or "unknown"
    # A file name ends with date and version by convention; the data set is what stands before them.
    source = re.sub(r"_\d{8}.*$", "", name)
    title = attrs.get("title", f"Particle spectra from {instrument}")
    made_by = attrs.get("source", "particleflux")
    istp = {
        "Project": attrs.get("project", "particleflux"),
        "Source_name": attrs.get("platform", instrument),
        "Discipline": "Space Physics>Interplanetary Studies",
        "Data_type": "L3>Derived Data",
        "Descriptor": f"{instrument}>{title}",
        "Data_version": attrs.get("data_version", "1"),
        "Instrument_type": "Particles (space)",
        "Logical_file_id": name,
        "Logical_source": source,
        "Logical_source_description": title,
        "Mission_group": attrs.get("platform", instrument),
        "PI_name": attrs.get("creator_name", "unknown"),
        "PI_affiliation": attrs.get("institution", "unknown"),
        "TEXT": attrs.get("summary", f"{title}. Times are the start of the accumulation, UTC."),
        "Generated_by": made_by,
        "Generation_date": attrs.get("provenance_created", "unknown"),
    }
    return istp | {key: value for key, value in attrs.items() if value}


def _write_epoch(file: CDF, dataset: xr.Dataset) -> None:
    attrs = {
        "FIELDNAM": EPOCH,
        "CATDESC": "Start of the accumulation, TT2000",
        "VAR_TYPE": "support_data",
        "UNITS": "ns",
        "LABLAXIS": "Time (UTC)",
        "TIME_BASE": "J2000",
        "TIME_SCALE": "Terrestrial Time",
        "REFERENCE_POSITION": "Rotating Earth Geoid",
        "BIN_LOCATION": [0.0, "CDF_REAL8"],
        "MONOTON": "INCREASE",
        "SCALETYP": "linear",
        "FILLVAL": [-(2**63), "CDF_TIME_TT2000"],
        "VALIDMIN": [_to_tt2000(np.array(["1990-01-01"], "datetime64[ns]")).tolist(), "CDF_TIME_TT2000"],
        "VALIDMAX": [_to_tt2000(np.array(["2099-12-31"], "datetime64[ns]")).tolist(), "CDF_TIME_TT2000"],
        "DIMENSIONS": "time",
    }
    kept = {key: value for key, value in dataset["time"].attrs.items() if key not in {"units", "calendar"} and value}
    spec = {"Variable": EPOCH, "Data_Type": 33, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": []}
    file.write_var(spec, attrs | kept, _to_tt2000(dataset["time"].to_numpy()))


def _write_variable(file: CDF, dataset: xr.Dataset, name: str) -> None:
    array = dataset[name]
    dims = [str(dim) for dim in array.dims]
    varies = "time" in dims
    if varies:
        dims = ["time", *(dim for dim in dims if dim != "time")]
    values = array.transpose(*dims).to_numpy()
    attrs: dict[str, Any] = {
        "FIELDNAM": name,
        "CATDESC": str(array.attrs.get("long_name", name))[:80],
        "UNITS": {"1": " "}.get(str(array.attrs.get("units", "1")), str(array.attrs.get("units", " "))),
        "LABLAXIS": name.replace("_", " "),
        "VAR_TYPE": "data" if varies and name in dataset.data_vars else "support_data",
        "DIMENSIONS": " ".join(dims) or " ",
        "DTYPE": "bool" if values.dtype.kind == "b" else " ",
        "ROLE": "coordinate" if name in dataset.coords else "variable",
    }
    attrs |= {"DEPEND_0": EPOCH} if varies else {}
    for number, dim in enumerate((dim for dim in dims if dim not in {"time", name}), start=1):
        if dim in dataset.coords and len(dims) > 1:
            attrs[f"LABL_PTR_{number}" if dataset[dim].dtype.kind in "UO" else f"DEPEND_{number}"] = dim
    if values.dtype.kind in "UO":
        _write_text(
            file, name, values.astype(np.str_), attrs | {key: item for key, item in array.attrs.items() if item}
        )
        return
    values = values.astype(np.uint8) if values.dtype.kind == "b" else values
    if values.dtype.name not in TYPES:
        msg = f"variable {name!r} is of type {values.dtype}, which CDF cannot hold; convert or drop it, or write .nc"
        raise DataError(msg)
    kind, fill = TYPES[values.dtype.name]
    low, high = _valid_range(name, values.dtype)
    attrs |= {"FILLVAL": [fill, kind], "VALIDMIN": [low, kind], "VALIDMAX": [high, kind]}
    attrs |= _display(name, varies and len(dims) > 1, values.dtype.kind == "f")
    attrs |= {key: value for key, value in array.attrs.items() if key not in {"units"} and value not in ("", None)}
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(fill), values)
    sizes = list(values.shape[1:] if varies else values.shape)
    spec = {"Variable": name, "Data_Type": CDF._datatype_token(kind), "Num_Elements": 1, "Rec_Vary": varies}
    attrs = {key: _to_ascii(value) for key, value in attrs.items()}
    file.write_var(spec | {"Dim_Sizes": sizes, "Compress": 6}, attrs, np.ascontiguousarray(values))


def _write_text(file: CDF, name: str, values: np.ndarray[Any, Any], attrs: dict[str, Any]) -> None:
    length = max((len(str(text).encode()) for text in values.flat), default=1) or 1
    varies = "DEPEND_0" in attrs
    attrs = attrs | {"VAR_TYPE": "metadata", "FORMAT": f"A{length}", "FILLVAL": " ", "UNITS": " "}
    sizes = list(values.shape[1:] if varies else values.shape)
    spec = {"Variable": name, "Data_Type": 51, "Num_Elements": length, "Rec_Vary": varies, "Dim_Sizes": sizes}
    file.write_var(spec, {key: _to_ascii(value) for key, value in attrs.items()}, values.tolist())


def _valid_range(name: str, dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return max(0, int(limits.min) + 1), int(limits.max) - 1
    return (0.0, 1e15) if re.search("flux|energy|threshold|rate|exposure|counts", name) else (-1e30, 1e30)


def _display(name: str, is_plane: bool, is_float: bool) -> dict[str, str]:
    is_log = bool(re.search("flux|energy|threshold|rate|intensity", name))
    return {
        "DISPLAY_TYPE": "spectrogram" if is_plane else "time_series",
        "SCALETYP": "log" if is_log else "linear",
        "FORMAT": "E14.6" if is_float else "I10",
    }


def open_cdf(path: Path) -> xr.Dataset:
    """Read a file made by `write_cdf`.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Dataset
        With the names, dimensions and units it was written with; fill values are NaN.

    Raises
    ------
    DataError
        If the file is no CDF, or was not made by this package.
    """
    try:
        file = cdflib.CDF(path)
    except Exception as error:  # cdflib raises whatever the damaged bytes led it to
        msg = f"{path}: cannot be read as CDF ({error}); give a file that particleflux wrote"
        raise DataError(msg) from error
    names = file.cdf_info().zVariables
    arrays = {}
    roles = {name: file.varattsget(name).get("ROLE") for name in names}
    for name in names:
        attrs = file.varattsget(name)
        if roles[name] == _NUMBER:
            continue
        if "DIMENSIONS" not in attrs:
            msg = f"{path}: variable {name!r} has no DIMENSIONS attribute; give a file that particleflux wrote"
            raise DataError(msg)
        dims = str(attrs["DIMENSIONS"]).split()
        arrays["time" if name == EPOCH else name] = (dims, _read(file, name, attrs), _labels(name, attrs))
    attributes = {
        key: _from_ascii(value[0]) for key, value in file.globalattsget().items() if key not in GLOBAL and value
    }
    dataset = xr.Dataset(arrays, attrs=attributes)
    return dataset.set_coords([name for name in names if roles[name] == "coordinate"])


def _read(file: Any, name: str, attrs: dict[str, Any]) -> np.ndarray[Any, Any]:
    values = np.asarray(file.varget(name))
    if name == EPOCH:
        return np.atleast_1d(np.asarray(CDFepoch.to_datetime(np.atleast_1d(values)))).astype("datetime64[ns]")
    if values.dtype.kind == "f":
        values = np.where(values == values.dtype.type(TYPES["float64"][1]), values.dtype.type(np.nan), values)
    return values.astype(bool) if attrs.get("DTYPE", " ").strip() == "bool" else values


def _labels(name: str, attrs: dict[str, Any]) -> dict[str, Any]:
    # Upper case is ISTP's; what the writer passed on from the dataset keeps its lower case.
    kept = {key: _from_ascii(value) for key, value in attrs.items() if not key.isupper()}
    if name != EPOCH and attrs["VAR_TYPE"] != "metadata":
        kept |= {"units": str(attrs["UNITS"]).strip() or "1"}
    return kept


def _to_ascii(value: Any) -> Any:
    r"""Spell characters beyond ASCII as \u escapes: the guidelines allow none, and cdflib would drop them."""
    if isinstance(value, str):
        return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], value)
    return value


def _from_ascii(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"(?:\\u[0-9a-f]{4})+", lambda found: str(json.loads(f'"{found[0]}"')), value)
    return value


def _to_tt2000(times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    nanoseconds = times.astype("datetime64[ns]")
    day = nanoseconds.astype("datetime64[D]")
    month, year = day.astype("datetime64[M]"), day.astype("datetime64[Y]")
    rest = (nanoseconds - day).astype(np.int64)
    parts = [year.astype(int) + 1970, month.astype(int) % 12 + 1, (day - month).astype(int) + 1]
    for size in (3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1):
        parts.append(rest // size)
        rest = rest % size
    return np.atleast_1d(np.asarray(CDFepoch.compute_tt2000(np.stack(parts, axis=-1).tolist()), np.int64))
