"""Labelled result -> figure. The only part that imports matplotlib; it needs no display and keeps no global state."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from particleflux._figure_data import (
    cadence,
    choose_energies,
    choose_samples,
    flux_limits,
    flux_name,
    positive,
    raised_flags,
)
from particleflux.errors import AxisError, MissingDataError
from particleflux.export.files import FIGURE_SUFFIXES, choose_format, replacing
from particleflux.names import require
from particleflux.plot import _panels as panels
from particleflux.plot.calibration import plot_calibration
from particleflux.plot.correlation import plot_correlation
from particleflux.plot.forecast import plot_forecast
from particleflux.plot.verification import plot_verification

__all__ = [
    "plot_calibration",
    "plot_correlation",
    "plot_forecast",
    "plot_reconstruction",
    "plot_spectrum",
    "plot_verification",
    "write_figure",
]


def plot_reconstruction(
    counts: xr.Dataset,
    spectra: xr.Dataset,
    *,
    background: xr.Dataset | None = None,
    truth: xr.Dataset | None = None,
    energies: Sequence[float] | None = None,
) -> Figure:
    """Draw the count rates, the flags, the flux over time and three spectra of one reconstruction.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        `counts` (1) and `exposure` (s).
    spectra : Dataset, dims (time, energy)
        `flux` and its four bounds, `quality`.
    background : Dataset, dims (channel) or (time, channel), optional
        `background_rate` (s-1), drawn dotted.
    truth : Dataset, dims (time, energy), optional
        `flux_true`, drawn dashed.
    energies : sequence of float, optional
        Energies (MeV) whose flux to draw over time; five spread over the axis by default.

    Returns
    -------
    Figure
        Not bound to any window; write it with `write_figure`.

    Raises
    ------
    AxisError
        If a variable or dimension is missing.
    UnitError
        If a unit is absent or another one.
    MissingDataError
        If counts and spectra share no time.
    """
    require(counts, "counts", "exposure")
    require(spectra, "flux", "energy")
    # Counts may reach beyond the spectra; what lies outside the picture must not set its scale.
    n_spectra, n_counts = spectra.sizes.get("time", 0), counts.sizes["time"]
    if n_spectra:
        first, last = spectra["time"].to_numpy()[[0, -1]]
        counts = counts.sel(time=slice(first, last + cadence(spectra)))
    if not counts.sizes["time"] or not n_spectra:
        msg = f"nothing to draw: {n_counts} samples of counts and {n_spectra} of spectra share no time; give both"
        raise MissingDataError(msg)
    flags = raised_flags(spectra)
    samples = choose_samples(spectra)
    with panels.style():
        figure = Figure(figsize=(9, 9.2 + 0.16 * len(flags)), layout=ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.06))
        parts: Any = figure.subfigures(2, 1, height_ratios=[6.2 + 0.16 * len(flags), 3])
        rows = [2.6, *([0.16 * len(flags)] if flags else []), 3.2]
        axes = list(parts[0].subplots(len(rows), 1, sharex=True, height_ratios=rows, squeeze=False)[:, 0])
        panels.draw_rates(axes[0], counts, background)
        panels.draw_flux(axes[-1], spectra, truth, choose_energies(spectra, energies), samples)
        if flags:
            panels.draw_flags(axes[1], spectra, flags)
        for axis in (axes[0], axes[-1]):
            panels.shade_unusable(axis, spectra)
        panels.set_dates(axes[-1], spectra)
        figure.align_ylabels([axes[0], axes[-1]])
        panels.draw_samples(parts[1], spectra, truth, samples)
    return figure


def plot_spectrum(spectrum: xr.Dataset, reference: xr.Dataset | None = None) -> Figure:
    """Draw one spectrum with its intervals.

    Parameters
    ----------
    spectrum : Dataset, dims (energy)
        `flux` and, where present, its bounds at one time.
    reference : Dataset, dims (energy), optional
        `flux` or `flux_true` to compare with; its attribute `label` names it.

    Returns
    -------
    Figure
        Not bound to any window; write it with `write_figure`.

    Raises
    ------
    AxisError
        If the spectrum has other dimensions than energy.
    UnitError
        If a unit is absent or another one.
    """
    for dataset in (spectrum, reference):
        if dataset is None:
            continue
        name = flux_name(dataset)
        require(dataset, name, "energy")
        if dataset[name].dims != ("energy",):
            msg = (
                f"{name} has dimensions {dataset[name].dims}, expected ('energy',): select one time with .isel(time=0)"
            )
            raise AxisError(msg)
    with panels.style():
        figure = Figure(figsize=(5, 4), layout="constrained")
        axis = figure.subplots()
        handles = panels.draw_spectrum(axis, spectrum)
        if reference is not None:
            label = str(reference.attrs.get("label", "reference"))
            energy, flux = reference["energy"], reference[flux_name(reference)]
            handles += axis.plot(energy, positive(flux), color="black", ls="--", label=label)
        axis.set_ylabel(panels.FLUX_LABEL)
        axis.set_ylim(*flux_limits(spectrum))
        axis.legend(handles=handles, loc="upper right")
    return figure


def write_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure, whole or not at all.

    Parameters
    ----------
    figure : Figure
        What a `plot_*` function gave.
    path : path-like
        A file ending in .png, .pdf or .svg; an existing one is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the suffix is unknown or the file cannot be written.
    """
    path = Path(path)
    suffix = choose_format(path, FIGURE_SUFFIXES)
    with replacing(path) as temporary, mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(temporary, format=suffix[1:], dpi=150)
    return path
