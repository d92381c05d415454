"""Labelled arrays to and from one wide CSV table: a row per time, a column per quantity and energy.

A forecast has a row per issue time and lead time, and a column per quantity and level or threshold. The comment lines
above the table hold what a table cannot: units, exact energies, attributes, one `key: JSON` a line.
`pandas.read_csv(path, comment="#")` skips them.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import DataError
from particleflux.export.document import decode_array, encode_array, format_times
from particleflux.names import attributes

FIRST_LINE = (
    "# particleflux table 1: one row per time (start of the accumulation, UTC); an empty cell is a missing value"
)
FORECAST_LINE = (
    "# particleflux forecast table 1: one row per init_time (issue time, UTC) and lead_time (days; 1 is the day that "
    "begins at init_time); an empty cell is a missing value"
)
#: Dimensions that become rows, and the line that says so.
ROWS = {FIRST_LINE: ("time",), FORECAST_LINE: ("init_time", "lead_time")}
#: Column of a forecast that says in words what its flags mean; for readers, and not read back.
WORDS = "flags"


def write_csv(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as one table.

    Parameters
    ----------
    dataset : Dataset, dims (time, ...) or (init_time, lead_time, ...)
        Plain attributes. What does not vary from row to row goes into the comment lines.
    path : Path
        The file to make.

    Raises
    ------
    DataError
        If there is no time dimension, text would break the table, or two columns would have one name.
    """
    line = next((line for line, rows in ROWS.items() if set(rows) <= set(dataset.indexes)), None)
    if line is None:
        found = sorted(map(str, dataset.dims))
        msg = f"{path}: found dimensions {found}, but a CSV table has one row per time; write .nc"
        raise DataError(msg)
    rows = {dim: dataset.sizes[dim] for dim in ROWS[line]}
    if len(rows) > 1 and not all(dataset.indexes[dim].is_unique for dim in rows):
        msg = f"{path}: found a label of {' or '.join(rows)} twice, but each has its own rows in a CSV table; write .nc"
        raise DataError(msg)
    header = [line]
    header += [f"# attribute {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in dataset.attrs.items()]
    columns: dict[str, np.ndarray[Any, Any]] = {}
    # The labels of the rows come first, whatever the order of the coordinates.
    for name in [*rows, *(name for name in [*dataset.coords, *dataset.data_vars] if name not in rows)]:
        array = dataset[name]
        role = "coordinate" if name in dataset.coords else "variable"
        along = [dim for dim in rows if dim in array.dims]
        described = encode_array(array.isel({dim: slice(0) for dim in along}) if along else array)
        if along:
            others = [dim for dim in array.dims if dim not in rows]
            described |= {"dims": [*along, *others], "shape": [dataset.sizes[dim] for dim in others]}
            described["columns"] = [name] if name in rows else _columns(dataset, str(name), others)
            del described["data"]
            # What varies along one of the dimensions of the rows only is repeated along the other.
            values = array.variable.set_dims(rows | {dim: dataset.sizes[dim] for dim in others}).to_numpy()
            _add(columns, described["columns"], values.reshape(math.prod(rows.values()), -1), path)
        header.append(f"# {role} {name}: {json.dumps(described, ensure_ascii=False)}")
    if line == FORECAST_LINE and "quality" in columns and "flag_masks" in dataset["quality"].attrs:
        columns.setdefault(WORDS, _flags_in_words(columns["quality"], dataset["quality"].attrs))
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write("\n".join(header) + "\n")
        pd.DataFrame(columns).to_csv(stream, index=False, lineterminator="\n")


def _columns(dataset: xr.Dataset, name: str, dims: list[Hashable]) -> list[str]:
    """Name the columns of one variable: `flux_10.00MeV`, `PDH1`, `integral_flux_gt10.00MeV`."""
    labels = [_labels(dataset, dim) for dim in dims]
    if name == "counts" and dims == ["channel"]:  # the columns `open_counts` reads, and anyone would write by hand
        return labels[0]
    return ["_".join((name, *combination)) for combination in itertools.product(*labels)]


def _labels(dataset: xr.Dataset, dim: Hashable) -> list[str]:
    axis = dataset[dim]
    if dim == "quantile" and axis.dims == (dim,):
        return [f"q{level:.3f}".replace("0.", "") for level in axis.to_numpy()]
    if dim == "threshold" and axis.attrs.get("units") == attributes("fluence_gt2mev")["units"]:
        return [f"gt{value:.6g}".replace("e+0", "e").replace("e+", "e") for value in axis.to_numpy()]
    if axis.dims != (dim,):  # a variable that has the name of one of its dimensions: those carry no labels
        return [str(number) for number in range(dataset.sizes[dim])]
    values = axis.to_numpy()
    if values.dtype.kind != "f":
        return [str(value) for value in values]
    units, prefix = axis.attrs.get("units", ""), "gt" if axis.name == "threshold" else ""
    # As many decimals as it takes to tell neighbours apart, and two at least.
    for decimals in range(2, 17):
        labels = [f"{prefix}{value:.{decimals}f}{units}" for value in values]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{prefix}{value!r}{units}" for value in values.tolist()]


def _add(columns: dict[str, Any], names: Iterable[str], values: np.ndarray[Any, Any], path: Path) -> None:
    for name, column in zip(names, values.T, strict=True):
        if name in columns:
            msg = f"{path}: two columns would be called {name!r}; rename a variable or channel, or write .nc"
            raise DataError(msg)
        text = [name, *column] if column.dtype.kind in "UO" else [name]
        if any("#" in str(item) for item in text):
            msg = f"{path}: column {name!r} holds '#', which begins a comment in this table; rename it, or write .nc"
            raise DataError(msg)
        columns[name] = format_times(column) if column.dtype.kind == "M" else column
        if column.dtype.kind == "m":
            described = encode_array(xr.DataArray(column, name=name))
            if described["dtype"] != "timedelta64[D]" or None in described["data"]:
                msg = f"{path}: column {name!r} holds lengths of time other than whole days; write .nc or .json"
                raise DataError(msg)
            columns[name] = np.asarray(described["data"], dtype=np.int64)


def _flags_in_words(quality: np.ndarray[Any, Any], attrs: dict[str, Any]) -> np.ndarray[Any, Any]:
    meanings = list(zip(attrs["flag_masks"], str(attrs["flag_meanings"]).split(), strict=True))
    words = {value: " ".join(word for mask, word in meanings if value & mask) for value in set(quality.tolist())}
    return np.array([words[value] for value in quality.tolist()], dtype=object)


def open_csv(path: Path) -> xr.Dataset:
    """Read a table made by `write_csv`.

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
        If the comment lines are missing or do not belong to the table.
    """
    with path.open(encoding="utf-8") as stream:
        header = [line.rstrip("\n") for line in itertools.takewhile(lambda line: line.startswith("#"), stream)]
    if not header or header[0] not in ROWS:
        found = header[0] if header else "no comment line"
        msg = f"{path}: found {found!r}, expected {FIRST_LINE!r}; give a table of particleflux, comments and all"
        raise DataError(msg)
    try:
        table = pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)
        return _assemble(header[1:], table, ROWS[header[0]])
    except (KeyError, ValueError) as error:
        msg = f"{path}: the comment lines and the table do not agree ({error}); write the file anew"
        raise DataError(msg) from error


def _assemble(header: list[str], table: pd.DataFrame, rows: tuple[str, ...]) -> xr.Dataset:
    found: dict[str, Any] = {}
    arrays: dict[str, dict[str, Any]] = {"coordinate": {}, "variable": {}}
    sizes = [table[dim].nunique() for dim in rows] if len(rows) > 1 else [len(table)]
    for line in header:
        key, text = line.removeprefix("# ").split(": ", 1)
        role, name = key.split(" ", 1)
        described = json.loads(text)
        if role == "attribute":
            found[name] = described
            continue
        if "data" not in described:
            columns = described.get("columns", [name])
            values = _values(table[columns], described["dtype"]).reshape((*sizes, *described.get("shape", [])))
            # What does not vary along a dimension of the rows stands in each of them.
            described["data"] = values[tuple(slice(None) if dim in described["dims"] else 0 for dim in rows)]
        arrays[role][name] = decode_array(described)
    return xr.Dataset(arrays["variable"], arrays["coordinate"], found)


def _values(columns: pd.DataFrame, dtype: str) -> np.ndarray[Any, Any]:
    # Read as text and converted here: pandas' own number parser may miss the last digit.
    values: np.ndarray[Any, Any] = columns.to_numpy(dtype=object)
    missing = values == ""
    if dtype.startswith("datetime64"):
        return np.array([None if text == "NaT" else text for text in values.flat], dtype=object)
    if dtype.startswith("float"):
        return np.where(missing, "nan", values).astype(np.float64)
    if dtype.startswith("timedelta64"):
        return values.astype(np.int64)
    if dtype == "str":
        return values
    if missing.any():
        msg = f"empty cell in {columns.columns[int(missing.any(axis=0).argmax())]!r}, a column of whole numbers"
        raise ValueError(msg)
    return np.equal(values, "True") if dtype == "bool" else values.astype(dtype)
