"""Labelled arrays to and from one wide CSV table: a row per time, a column per quantity and energy.

The comment lines above the table hold what a table cannot: units, exact energies, attributes, one `key: JSON` a line.
`pandas.read_csv(path, comment="#")` skips them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.errors import DataError
from particleflux.export.document import decode_array, encode_array, format_times

FIRST_LINE = (
    "# particleflux table 1: one row per time (start of the accumulation, UTC); an empty cell is a missing value"
)
ROW = "time"


def write_csv(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as one table.

    Parameters
    ----------
    dataset : Dataset, dims (time, ...)
        Plain attributes. What does not vary with time goes into the comment lines.
    path : Path
        The file to make.

    Raises
    ------
    DataError
        If there is no time dimension, text would break the table, or two columns would have one name.
    """
    if ROW not in dataset.dims:
        found = sorted(map(str, dataset.dims))
        msg = f"{path}: found dimensions {found}, but a CSV table has one row per time; write .nc"
        raise DataError(msg)
    header = [FIRST_LINE]
    header += [f"# attribute {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in dataset.attrs.items()]
    columns: dict[str, np.ndarray[Any, Any]] = {ROW: format_times(dataset[ROW].to_numpy())}
    for name in [*dataset.coords, *dataset.data_vars]:
        array = dataset.variables[name]
        role = "coordinate" if name in dataset.coords else "variable"
        if ROW not in array.dims:
            described = encode_array(dataset[name])
        else:
            others = [dim for dim in array.dims if dim != ROW]
            described = encode_array(dataset[name].isel({ROW: slice(0)})) | {"dims": [ROW, *others]}
            del described["data"]
            if name != ROW:
                described["columns"] = _columns(dataset, str(name), others)
                described["shape"] = [dataset.sizes[dim] for dim in others]
                values = array.transpose(ROW, *others).to_numpy().reshape(dataset.sizes[ROW], -1)
                _add(columns, described["columns"], values, path)
        header.append(f"# {role} {name}: {json.dumps(described, ensure_ascii=False)}")
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
    if not header or header[0] != FIRST_LINE:
        found = header[0] if header else "no comment line"
        msg = f"{path}: found {found!r}, expected {FIRST_LINE!r}; give a table of `write_spectra`, comments and all"
        raise DataError(msg)
    try:
        table = pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)
        return _assemble(header[1:], table)
    except (KeyError, ValueError) as error:
        msg = f"{path}: the comment lines and the table do not agree ({error}); write the file anew"
        raise DataError(msg) from error


def _assemble(header: list[str], table: pd.DataFrame) -> xr.Dataset:
    attributes: dict[str, Any] = {}
    arrays: dict[str, dict[str, Any]] = {"coordinate": {}, "variable": {}}
    for line in header:
        key, text = line.removeprefix("# ").split(": ", 1)
        role, name = key.split(" ", 1)
        described = json.loads(text)
        if role == "attribute":
            attributes[name] = described
            continue
        if "data" not in described:
            columns = described.get("columns", [ROW])
            shape = (len(table), *described.get("shape", []))
            described["data"] = _values(table[columns], described["dtype"]).reshape(shape)
        arrays[role][name] = decode_array(described)
    return xr.Dataset(arrays["variable"], arrays["coordinate"], attributes)


def _values(columns: pd.DataFrame, dtype: str) -> np.ndarray[Any, Any]:
    # Read as text and converted here: pandas' own number parser may miss the last digit.
    values: np.ndarray[Any, Any] = columns.to_numpy(dtype=object)
    missing = values == ""
    if dtype.startswith("datetime64"):
        return np.array([None if text == "NaT" else text for text in values.flat], dtype=object)
    if dtype.startswith("float"):
        return np.where(missing, "nan", values).astype(np.float64)
    if dtype == "str":
        return values
    if missing.any():
        msg = f"empty cell in {columns.columns[int(missing.any(axis=0).argmax())]!r}, a column of whole numbers"
        raise ValueError(msg)
    return np.equal(values, "True") if dtype == "bool" else values.astype(dtype)
