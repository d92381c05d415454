"""The rank correlation of candidate inputs with the flux, drawn against offset time."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from particleflux.errors import AxisError, MissingDataError
from particleflux.plot import _panels as panels

#: The palette of Okabe and Ito without its yellow, which vanishes on white.
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: Dashes tell curves apart where colours do not, such as in print.
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 3)))
GROUPS = {
    "Electrons and geomagnetic activity": ("fluence", "electron_flux", "kp", "ap", "dst", "ae"),
    "Solar wind and magnetopause": ("solar_wind", "standoff"),
    "Interplanetary field and Sun": ("b_total", "bx", "by", "bz", "f10p7"),
}
LABELS = {
    "fluence_gt2mev": "fluence > 2 MeV",
    "electron_flux_gt2mev": "flux > 2 MeV",
    "electron_flux_gt0p8mev": "flux > 0.8 MeV",
    "electron_flux_gt0p6mev": "flux > 0.6 MeV",
    "solar_wind_speed": "speed",
    "solar_wind_density": "density",
    "solar_wind_pressure": "pressure",
    "standoff": "stand-off",
    "b_total": "|B|",
    "by_gsm": "By",
    "bz_gsm": "Bz",
    "kp": "Kp",
    "kp_sum": "Kp sum",
    "dst": "Dst",
    "ae": "AE",
    "f10p7": "F10.7",
}
COLUMNS = {"correlation": "with the target", "added_correlation": "with what the day before leaves unexplained"}
UNITS = {"d": "days", "h": "hours"}


def plot_correlation(table: xr.Dataset) -> Figure:
    """Draw each candidate's correlation against the offset, with its 95 % interval, a panel per kind of candidate.

    Parameters
    ----------
    table : Dataset, dims (candidate, offset)
        What `correlate` gave: `correlation` (1) and its bounds, on the left; `added_correlation`, where it is there,
        on the right. The legend tells the largest `correlation` in magnitude from offset 1 on, and where it lies.

    Returns
    -------
    Figure
        Not bound to any window; write it with `write_figure`.

    Raises
    ------
    AxisError
        If a variable, a dimension or the unit of the offsets is missing.
    MissingDataError
        If there is no coefficient to draw.
    """
    _check(table)
    columns = [name for name in COLUMNS if name in table]
    groups = _group([str(name) for name in table["candidate"].to_numpy()])
    with panels.style():
        size = (4.1 * len(columns) + 2.2, 2.4 * len(groups) + 0.5)
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.06))
        axes = figure.subplots(len(groups), len(columns), sharex=True, sharey=True, squeeze=False)
        for row, (title, names) in zip(axes, groups, strict=True):
            for axis, column in zip(row, columns, strict=True):
                for index, name in enumerate(names):
                    _draw(axis, table.sel(candidate=name), column, index)
                axis.axhline(0, color=panels.GREY, lw=0.8, zorder=1)
                axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 3, 5, 6, 10]))
            row[0].set_title(title, loc="left")
            row[0].set_ylabel("Rank correlation")
            # Beside the panels: within them it would lie on some curve.
            row[-1].legend(handles=row[0].get_lines()[: len(names)], loc="center left", bbox_to_anchor=(1.0, 0.5),
                           handlelength=2.4, borderaxespad=0.4)  # fmt: skip
        for axis, column in zip(axes[0], columns, strict=True):
            axis.set_title(COLUMNS[column], loc="right", color=panels.GREY, fontsize=8)
        unit = UNITS[table["offset"].attrs["units"]]
        for axis in axes[-1]:
            axis.set_xlabel(f"Offset before the target ({unit})")
    return figure


def _check(table: xr.Dataset) -> None:
    needed = ("correlation", "correlation_lower", "correlation_upper")
    missing = [name for name in needed if name not in table or set(table[name].dims) != {"candidate", "offset"}]
    if missing or not {"candidate", "offset"} <= set(table.coords):
        found = {str(name): array.dims for name, array in table.variables.items()}
        msg = f"expected {', '.join(needed)} on (candidate, offset), found {found}; give a result of correlate"
        raise AxisError(msg)
    unit = table["offset"].attrs.get("units")
    if unit not in UNITS:
        msg = f"the offsets have units {unit!r}, expected one of {', '.join(UNITS)}; give a result of correlate"
        raise AxisError(msg)
    if not np.isfinite(table["correlation"]).any():
        msg = f"no coefficient to draw: all {table['correlation'].size} are missing; give a longer history"
        raise MissingDataError(msg)


def _group(names: list[str]) -> list[tuple[str, list[str]]]:
    """Sort names into panels of no more curves than there are colours."""
    found: dict[str, list[str]] = {title: [] for title in (*GROUPS, "Other inputs")}
    for name in names:
        title = next((title for title, starts in GROUPS.items() if name.startswith(starts)), "Other inputs")
        found[title].append(name)
    most = len(COLOURS)
    return [
        (title, members[start : start + most])
        for title, members in found.items()
        for start in range(0, len(members), most)
    ]


def _draw(axis: Axes, one: xr.Dataset, column: str, index: int) -> None:
    offset, value = one["offset"].to_numpy(), one[column].to_numpy()
    colour = COLOURS[index]
    name = str(one["candidate"].item())
    label = LABELS.get(name, name.replace("_", " "))
    size = np.where(offset > 0, np.abs(value), np.nan)
    if np.isfinite(size).any():
        best = int(np.nanargmax(size))
        label += f"  {value[best]:+.2f} at {offset[best]} {one['offset'].attrs['units']}"
    else:
        label += "  no data"
    marker = "o" if offset.size == 1 else None
    axis.plot(offset, value, color=colour, ls=DASHES[index % len(DASHES)], label=label, marker=marker)
    lower, upper = (one[f"{column}_{end}"].to_numpy() for end in ("lower", "upper"))
    axis.fill_between(offset, lower, upper, color=colour, alpha=0.15, lw=0)
