"""Measured spectra averaged over steps of time."""

from __future__ import annotations

import numpy as np
import xarray as xr

from particleflux.names import require
from particleflux.products.detection import average, regular_grid


def average_spectra(spectra: xr.Dataset, every: str = "5min") -> xr.Dataset:
    """Average measured spectra over steps of time, before they are integrated.

    A power law through single counts is noise, and the mean of its integrals is not the integral of the mean: average
    first. Spectra that come with bounds or draws are left to their method.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        `flux`, with `flux_std`, `exposure` and `quality` or without.
    every : str
        The step. Spectra of a coarser cadence stay as they are.

    Returns
    -------
    Dataset
        On a grid without holes; NaN where less than half of a step was measured. `flux_std` is that of the mean of
        independent samples, `exposure` their sum, `quality` all their flags together.

    Raises
    ------
    AxisError
        If there is no flux along energy.
    UnitError
        If its units are others.
    """
    require(spectra, "flux", "energy")
    grid, index, n_expected = regular_grid(spectra["time"].to_numpy(), every)
    if n_expected <= 1.0:
        return spectra
    n_points = len(grid)
    flux = spectra["flux"].transpose("time", "energy")
    values = flux.to_numpy()
    data = {"flux": (("time", "energy"), average(values, index, n_points, n_expected), flux.attrs)}
    if "flux_std" in spectra:
        std = spectra["flux_std"].transpose("time", "energy")
        variance, number = np.zeros((n_points, values.shape[1])), np.zeros((n_points, values.shape[1]))
        finite = np.isfinite(values)
        np.add.at(variance, index, np.where(finite, std.to_numpy() ** 2, 0.0))
        np.add.at(number, index, finite)
        error = np.sqrt(variance) / np.maximum(number, 1)
        data["flux_std"] = (("time", "energy"), np.where(np.isnan(data["flux"][1]), np.nan, error), std.attrs)
    averaged = xr.Dataset(data, coords={"time": ("time", grid, spectra["time"].attrs)}, attrs=spectra.attrs)
    if "exposure" in spectra:
        seconds = np.bincount(index, spectra["exposure"].to_numpy(), n_points)
        averaged["exposure"] = ("time", seconds, spectra["exposure"].attrs)
    if "quality" in spectra:
        flags = np.zeros(n_points, dtype=np.int64)
        np.bitwise_or.at(flags, index, spectra["quality"].to_numpy().astype(np.int64))
        averaged["quality"] = ("time", flags, spectra["quality"].attrs)
    held = {name: array for name, array in spectra.coords.items() if array.dims == ("energy",)}
    return averaged.assign_coords(held)
