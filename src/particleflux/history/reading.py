"""A history from a file: the NetCDF this package writes, or a table by the contract's column names."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.export.netcdf import open_netcdf
from particleflux.history.checks import sort_times
from particleflux.history.layout import BLOCKS, COLUMNS, TEXT_COLUMNS, attributes_of
from particleflux.history.plausible import clean_values
from particleflux.history.series import history_of
from particleflux.io.cells import parse_numbers, parse_times
from particleflux.io.paths import PathLike

_NETCDF = (".nc", ".nc4", ".netcdf", ".h5")
_HEADING = re.compile(r"(?P<name>[^\[(]*?)\s*(?:[\[(](?P<units>[^\])]*)[\])])?")
_ATTRIBUTE = re.compile(r"# attribute (?P<key>\w+): (?P<value>.*)")
_KEPT = ("cadence", "satellite", "reference", "day_start", "detection_limit", "detection_limits")
_BLANK = {"", "nan", "NaN", "NA", "N/A", "null"}
_ADVICE = "give a file of `particleflux history`, or a table with the contract's column names"


def open_history(path: PathLike, *, satellite: str | None = None, day_start: float | None = None) -> xr.Dataset:
    """Read a history: a file this package wrote, or a table of one cadence from a minute to a day.

    A CSV file has a heading line with `time` (ISO 8601, UTC unless it carries a zone; the start of each accumulation),
    `electron_flux_gt2mev` or `fluence_gt2mev`, and drivers by the names of `particleflux.names`; a heading may carry
    its unit, "kp [1]". An empty cell is missing; lines that begin with # are comments. A NetCDF file holds the same
    names along `time`. A column of drivers that has a value every three hours or every day only is read as such.

    Fill values of the archives (-1, 999.9, 9999, 1e31 and so on) where no such value is possible are taken as missing,
    with a warning, and so are negative fluxes. Values that look like those of another unit are refused. Hours below a
    detection limit count as half of it if the file states one, `# attribute detection_limit: 20` in cm-2 s-1 sr-1;
    else blank hours are gaps.

    Parameters
    ----------
    path : path
        A file ending in .nc, .nc4, .netcdf, .h5 or .csv.
    satellite : str, optional
        Satellite of the electrons, such as "GOES-13", where the file does not name it.
    day_start : float, optional
        Hours from 00:00 UTC to the start of a day; by default as the file says, else 0.

    Returns
    -------
    Dataset, dims (time[, hour])
        The canonical layout, as `assemble` gives it: every day from the first to the last, NaN where there is nothing.

    Raises
    ------
    MissingDataError
        If the file does not exist, or holds no row.
    AxisError
        If a column is missing, repeated or unknown.
    UnitError
        If a unit is another than its name promises, stated or by magnitude.
    DataError
        If the file cannot be read, times conflict or have several steps, or text stands where a number belongs.

    Warns
    -----
    UserWarning
        If rows were sorted or dropped, values were taken as missing, or a column holds none.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"{path} does not exist: expected a history as .nc or .csv; check the path, or make one with `history`"
        raise MissingDataError(msg)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        table = _from_csv(path)
    elif suffix in _NETCDF:
        table = _from_netcdf(path)
    else:
        msg = f"{path} ends in {suffix!r}: expected .csv or one of {', '.join(_NETCDF)}; {_ADVICE}"
        raise DataError(msg)
    where = str(path)
    if table.sizes["time"] == 0:
        msg = f"{path} holds no row: expected at least one time; give another file"
        raise MissingDataError(msg)
    if not {"electron_flux_gt2mev", "fluence_gt2mev"} & set(map(str, table.data_vars)):
        found = ", ".join(map(str, table.data_vars))
        msg = (
            f"{path} lacks the flux: found {found or 'no column'}; expected electron_flux_gt2mev (cm-2 s-1 sr-1) or "
            "fluence_gt2mev (cm-2 sr-1 d-1); add one of them"
        )
        raise AxisError(msg)
    table = sort_times(table, where)
    time = table["time"].to_numpy()
    cleaned = {
        name: (array.dims, clean_values(array.to_numpy(), str(name), where, time), array.attrs)
        for name, array in table.data_vars.items()
        if array.dtype.kind == "f"
    }
    table = table.assign(cleaned)
    return history_of(table, where, satellite=satellite, day_start=day_start)


def _from_csv(path: Path) -> xr.Dataset:
    attrs: dict[str, object] = {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for line in stream:
                if match := _ATTRIBUTE.match(line) if line.startswith("#") else None:
                    if match["key"] in _KEPT:
                        attrs[match["key"]] = json.loads(match["value"])
                elif not line.startswith("#"):
                    break
        cells = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, comment="#", encoding="utf-8-sig")
    except pd.errors.EmptyDataError as error:
        msg = f"{path} is empty: expected a heading line with time, a flux and drivers; {_ADVICE}"
        raise MissingDataError(msg) from error
    except (ValueError, OSError) as error:  # the parser's, the decoder's and json's errors are ValueErrors
        msg = f"{path} cannot be read as comma-separated text ({error}); {_ADVICE}"
        raise DataError(msg) from error
    names = [_column(str(heading), path) for heading in cells.iloc[0]]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or "time" not in names:
        problem = f"repeats {', '.join(repeated)}" if repeated else "lacks time"
        msg = (
            f"{path} {problem}: found columns {', '.join(names)}; expected time and each other column once; correct it"
        )
        raise AxisError(msg)
    table = cells.iloc[1:].set_axis(names, axis="columns").reset_index(drop=True)
    variables = {
        name: ("time", _texts(table[name]) if name in TEXT_COLUMNS else parse_numbers(table[name], path, blank=_BLANK))
        for name in names
        if name != "time"
    }
    attrs["source_files"] = [path.name]
    return xr.Dataset(variables, {"time": ("time", parse_times(table["time"], path))}, attrs)


def _from_netcdf(path: Path) -> xr.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)  # about times the checks below refuse
            table = open_netcdf(path)
    # HDF5 meets damage with OSError, KeyError or RuntimeError; decoding adds ValueError and TypeError.
    except Exception as error:
        msg = f"{path} cannot be read as NetCDF-4 ({type(error).__name__}: {error}); {_ADVICE}"
        raise DataError(msg) from error
    time = table.coords.get("time")
    if time is None or time.dims != ("time",) or time.dtype.kind != "M" or np.isnat(time.to_numpy()).any():
        found = sorted(map(str, table.coords))
        msg = f"{path}: found coordinates {found}; expected `time` of dates throughout, with CF units; write it again"
        raise AxisError(msg)
    unknown = [str(name) for name in table.data_vars if name not in COLUMNS and name not in BLOCKS]
    unknown += [str(name) for name in table.coords if name not in ("time", "hour")]
    if unknown:
        msg = f"{path}: unknown variables {', '.join(unknown)}; expected {', '.join(COLUMNS)}; rename or remove them"
        raise AxisError(msg)
    for name, array in table.data_vars.items():
        _check_variable(str(name), array, path)
    whole = (*TEXT_COLUMNS, "calibration")
    numbers = {name: array.astype(np.float64) for name, array in table.data_vars.items() if name not in whole}
    table = table.assign(numbers)
    if "hour" in table.dims and not np.array_equal(table["hour"].to_numpy(), np.arange(24)):
        msg = f"{path}: the dimension hour holds {table['hour'].to_numpy().tolist()}; expected 0 to 23; write it again"
        raise AxisError(msg)
    return table


def _check_variable(name: str, array: xr.DataArray, path: Path) -> None:
    dims = ("time", "hour") if name in BLOCKS else ("time",)
    if array.dims != dims:
        msg = f"{path}: {name} has dimensions {array.dims}, expected {dims}; select or transpose"
        raise AxisError(msg)
    text = name in TEXT_COLUMNS
    if array.dtype.kind not in ("U" if text else "iuf"):
        msg = f"{path}: {name} is {array.dtype}; expected {'text' if text else 'numbers'}; write it again as such"
        raise DataError(msg)
    units, expected = array.attrs.get("units"), attributes_of(name).get("units", "1")
    if units is not None and units != expected:
        msg = f"{path}: {name} has units {units!r}, expected {expected!r}; convert it"
        raise UnitError(msg)
    if not text and np.isinf(array.to_numpy()).any():
        msg = f"{path}: {name} holds an infinite value; expected numbers, NaN where missing; correct it"
        raise DataError(msg)


def _column(heading: str, path: Path) -> str:
    match = _HEADING.fullmatch(heading.strip())
    name = heading.strip() if match is None else match["name"]
    if name not in COLUMNS:
        msg = f"{path}: unknown column {heading!r}; expected {', '.join(COLUMNS)}; rename or remove it"
        raise AxisError(msg)
    units = None if match is None else match["units"]
    expected = attributes_of(name).get("units", "UTC" if name == "time" else "1")
    if units is not None and units.strip() != expected:
        msg = f"{path}, column {name}: unit {units!r}, expected {expected!r}; convert the column"
        raise UnitError(msg)
    return name


def _texts(column: pd.Series[str]) -> npt.NDArray[np.str_]:
    return column.fillna("").str.strip().to_numpy().astype(np.str_)
