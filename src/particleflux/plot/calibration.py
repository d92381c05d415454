"""Two satellites over the days they share: the fit of one onto the other's scale, and what it leaves."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from particleflux.calibrate import Calibration
from particleflux.calibrate.days import common_days
from particleflux.errors import MissingDataError
from particleflux.plot import _panels as panels

#: Half of the spread that stands for no difference between two satellites, in the panel of residuals (dex).
SHOWN = 0.8


def plot_calibration(calibration: Calibration, fluence: xr.DataArray, reference: xr.DataArray) -> Figure:
    """Draw common days of two satellites with the fit, and the residuals before and after it.

    Parameters
    ----------
    calibration : Calibration
        From `fluence` to `reference`.
    fluence, reference : DataArray, dims (time)
        Daily fluence of the two satellites (cm-2 sr-1 d-1).

    Returns
    -------
    Figure
        Not bound to any window; write it with `write_figure`. Days at the floor of a detector are grey; the band is
        twice the standard error of the fit.

    Raises
    ------
    AxisError
        If an array has other dimensions than time, or a time twice.
    UnitError
        If the two have different units.
    MissingDataError
        If they share no day.
    """
    pair = common_days(fluence, reference, (calibration.satellite, calibration.reference))
    if not len(pair):
        msg = (
            f"nothing to draw: {calibration.satellite} and {calibration.reference} share no day with a fluence; "
            "give the days they were calibrated with"
        )
        raise MissingDataError(msg)
    is_used = ~calibration.is_extrapolated(pair.x)
    grid = np.linspace(pair.x.min(), pair.x.max(), 200)
    mapped, error = calibration.apply(grid), calibration.error(grid)
    colours = np.where(is_used, panels.BLUE, "#BBBBBB")
    with panels.style():
        figure = Figure(figsize=(8.6, 4.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.scatter(pair.x, pair.y, s=6, c=colours, lw=0)
        left.plot(grid, mapped, color=panels.ORANGE, label=f"fit, {calibration.form}")
        left.fill_between(grid, mapped - 2 * error, mapped + 2 * error, color=panels.ORANGE, alpha=0.25, lw=0)
        left.plot(grid, grid, color="black", ls="--", lw=0.9, label="equal")
        left.set_ylabel(f"{calibration.reference}: log$_{{10}}$ fluence (cm$^{{-2}}$ sr$^{{-1}}$ d$^{{-1}}$)")
        left.legend(loc="upper left")
        residual = pair.y - calibration.apply(pair.x)
        right.scatter(pair.x, residual, s=6, c=colours, lw=0)
        for knot in calibration.knots:
            right.axvline(knot, color=panels.GREY, lw=0.8, ls=":")
        right.axhline(0, color=panels.ORANGE)
        right.set_ylim(-SHOWN, SHOWN)
        right.set_ylabel("Reference less fit (dex)")
        beyond = int((np.abs(residual) > SHOWN).sum())
        text = f"scatter {calibration.scatter_in:.3f} dex, out of sample {calibration.scatter_out:.3f} dex"
        right.set_title(text + (f"; {beyond} days beyond" if beyond else ""), loc="left")
        left.set_title(f"{calibration.kind}, {calibration.n_days} days", loc="left")
        for axis in (left, right):
            axis.set_xlabel(f"{calibration.satellite}: log$_{{10}}$ fluence")
    return figure
