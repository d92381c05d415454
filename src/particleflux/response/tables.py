"""Response tables on disk: a folder of Monte-Carlo tables, one per channel, or one fitted model per species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.response.checks import SPECIES
from particleflux.response.folding import Response

_COLUMNS = ("EnergyLowerEdge", "EnergyWidth", "GF", "Energy")


def open_response(folder: str | Path, *, species: str = "proton", names: Mapping[str, str] | None = None) -> Response:
    """Read a folder of response tables, one CSV file per channel.

    A table is separated by semicolons, with the columns EnergyLowerEdge, EnergyWidth, Energy (MeV) and GF (cm2 sr). A
    first bin that starts below zero is cut at zero. Where the bins overlap but a tenth of their width about Energy
    adjoins, as in the public electron tables of RADEM, that is what they are taken to be.

    Parameters
    ----------
    folder : path
        Holds the tables, or the subfolders `proton` and `electron` that hold them.
    species : {"proton", "electron"}
        The particles the tables are for.
    names : mapping of str to str, optional
        File name without suffix -> channel. Every file named must be there; the response has the mapping's order.
        By default each `NAME.csv` is channel NAME, in the order of their names.

    Returns
    -------
    Response
        The response as tabulated, Monte-Carlo noise included.

    Raises
    ------
    MissingDataError
        If the folder, its tables or a table named in `names` is absent.
    AxisError
        If a table lacks a column, its bins do not adjoin, or two tables have different bins.
    DataError
        If a table cannot be parsed, or a geometric factor is negative or not finite.
    """
    if species not in SPECIES:
        msg = f"unknown species {species!r}: expected one of {SPECIES}"
        raise DataError(msg)
    root = Path(folder)
    if (root / species).is_dir():
        root = root / species
    found = {path.stem: path for path in sorted(root.glob("*.csv"))}
    if not found:
        msg = f"{root}: no response table (*.csv) there; give a folder that holds one table per channel"
        raise MissingDataError(msg)
    wanted = dict(names) if names is not None else {stem: stem for stem in found}
    absent = [f"{stem}.csv" for stem in wanted if stem not in found]
    if absent:
        msg = f"{root}: no table {', '.join(absent)}; expected one for each of {list(wanted)}: complete the folder"
        raise MissingDataError(msg)
    tables = {channel: _read_table(found[stem]) for stem, channel in wanted.items()}
    first_channel, first = next(iter(tables.items()))
    for channel, table in tables.items():
        same = table.shape == first.shape and np.allclose(
            table[["edge", "upper"]], first[["edge", "upper"]], rtol=1e-9, atol=1e-12
        )
        if not same:
            msg = (
                f"{root}: the tables of {first_channel} and {channel} have different energy bins, expected the same; "
                "rebin one of them"
            )
            raise AxisError(msg)
    edges = np.append(first["edge"].to_numpy(), first["upper"].iloc[-1])
    edges[0] = max(edges[0], 0.0)
    factors = np.stack([table["factor"].to_numpy() for table in tables.values()])
    return Response.from_arrays(list(tables), edges, factors, species=species, energy=first["energy"].to_numpy())


def open_fitted(path: str | Path, *, species: str = "proton") -> Response:
    """Read a fitted response model: one CSV file with a row per energy bin and a column per channel.

    Parameters
    ----------
    path : path
        File with the columns energy_lower, energy_upper (MeV) and one per channel (cm2 sr); lines that start with
        `#` say where it comes from.
    species : {"proton", "electron"}
        The particles it is for.

    Returns
    -------
    Response
        The model.

    Raises
    ------
    MissingDataError
        If the file is absent.
    AxisError
        If a column is missing or the bins do not adjoin.
    DataError
        If the file cannot be parsed or holds a negative or non-finite number.
    """
    file = Path(path)
    table = _parse(file, separator=",")
    missing = [name for name in ("energy_lower", "energy_upper") if name not in table]
    channels = [str(name) for name in table if name not in ("energy_lower", "energy_upper")]
    if missing or not channels:
        msg = f"{file}: found the columns {list(table)}, expected energy_lower, energy_upper and the channels; add them"
        raise AxisError(msg)
    lower, upper = table["energy_lower"].to_numpy(), table["energy_upper"].to_numpy()
    _check_edges(file, lower, upper, table[channels].to_numpy())
    return Response.from_arrays(channels, np.append(lower, upper[-1]), table[channels].to_numpy().T, species=species)


def write_fitted(response: Response, path: str | Path, *, comments: Sequence[str] = ()) -> None:
    """Write a response as `open_fitted` reads it, with six significant digits.

    Parameters
    ----------
    response : Response
        What to write.
    path : path
        File to write.
    comments : sequence of str
        Lines that say where it comes from.
    """
    lines = [f"# {line}" for line in comments]
    lines.append(",".join(("energy_lower", "energy_upper", *response.channels)))
    factors = response.geometric_factor.transpose("energy", "channel").to_numpy()
    for low, high, row in zip(response.energy_lower, response.energy_upper, factors, strict=True):
        # Edges keep every digit, so that neighbouring bins adjoin exactly.
        lines.append(",".join((repr(float(low)), repr(float(high)), *(f"{value:.6g}" for value in row))))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_table(file: Path) -> pd.DataFrame:
    table = _parse(file, separator=";")
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        msg = f"{file}: no column {missing}, found {list(table)}; expected {list(_COLUMNS)}, separated by semicolons"
        raise AxisError(msg)
    centre, width = table["Energy"].to_numpy(), table["EnergyWidth"].to_numpy()
    lower = table["EnergyLowerEdge"].to_numpy()
    upper = lower + width
    # The public RADEM electron tables state ten times the width, and the edges that follow from it: their bins overlap
    # ninefold. A tenth of the width about the stated energy adjoins everywhere.
    if not _adjoin(lower, upper) and _adjoin(centre - width / 20, centre + width / 20):
        lower, upper = centre - width / 20, centre + width / 20
    _check_edges(file, lower, upper, table["GF"].to_numpy())
    return pd.DataFrame({"edge": lower, "upper": upper, "factor": table["GF"], "energy": centre})


def _parse(file: Path, *, separator: str) -> pd.DataFrame:
    if not file.is_file():
        msg = f"{file}: no such file; give the path of a response table"
        raise MissingDataError(msg)
    try:
        return pd.read_csv(StringIO(file.read_text(encoding="utf-8")), sep=separator, comment="#", dtype=float)
    except ValueError as error:
        msg = f"{file}: not a table of numbers separated by {separator!r} ({error}); correct the file"
        raise DataError(msg) from error


def _check_edges(
    file: Path, lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64], factor: npt.NDArray[np.float64]
) -> None:
    if not lower.size or not (upper > lower).all() or not _adjoin(lower, upper):
        msg = f"{file}: the energy bins do not adjoin in increasing order; sort them and fill or close the gaps"
        raise AxisError(msg)
    if upper[0] <= 0:
        msg = f"{file}: the first energy bin ends at {upper[0]:g} MeV, expected above 0; remove bins below zero"
        raise AxisError(msg)
    if not (np.isfinite(factor) & (factor >= 0)).all():
        msg = f"{file}: a geometric factor is negative or not finite, expected 0 or above; correct the table"
        raise DataError(msg)


def _adjoin(lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64]) -> bool:
    return bool(np.allclose(lower[1:], upper[:-1], rtol=1e-6, atol=1e-9))
