"""What a figure shows of a result, worked out without drawing: which samples, energies, stretches and limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError
from particleflux.names import Quality

Array = npt.NDArray[Any]


def choose_samples(spectra: xr.Dataset) -> dict[str, int]:
    """Choose up to three samples that tell the story of an event: rise, peak and decay.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        `flux`; samples without it are passed over.

    Returns
    -------
    dict of str to int
        Name of the phase and position along time, in the order of time; empty where no sample has flux.
    """
    flux, energy = spectra["flux"].transpose("time", "energy").to_numpy(), spectra["energy"].to_numpy()
    # Weighted by energy: the sum over logarithmic steps, so that neither end of the spectrum decides alone.
    level = np.nansum(flux * energy, axis=1)
    known = np.isfinite(flux).any(axis=1) & (level > 0)
    if not known.any():
        return {}
    peak = int(np.argmax(np.where(known, level, -np.inf)))
    active = np.flatnonzero(known & (level >= 0.1 * level[peak]))
    chosen = {"rise": int(active[0]), "peak": peak, "decay": int(active[-1])}
    return {name: sample for name, sample in chosen.items() if name == "peak" or sample != peak}


def positive(values: Any) -> Array:
    array = np.asarray(values, dtype=float)
    return np.where(array > 0, array, np.nan)


def break_at_gaps(time: Array, *rows: Array) -> tuple[Array, ...]:
    """Put a missing value into each gap of time, so that no line is drawn across it."""
    step = np.diff(time)
    if not len(step):
        return (time, *rows)
    gaps = np.flatnonzero(step > 1.8 * np.median(step)) + 1
    middle = time[gaps - 1] + step[gaps - 1] // 2
    return (np.insert(time, gaps, middle), *(np.insert(row, gaps, np.nan) for row in rows))


def interpolate_truth(truth: xr.Dataset, energy: float) -> Array:
    """Interpolate along energy, straight in the logarithms of both, as spectra nearly are."""
    grid = np.log(truth["energy"].to_numpy())
    flux = truth["flux_true"].transpose("time", "energy").to_numpy()
    with np.errstate(divide="ignore"):
        rows = np.log(flux)
    return positive(np.exp([np.interp(np.log(energy), grid, row, left=np.nan, right=np.nan) for row in rows]))


def raised_flags(spectra: xr.Dataset) -> list[Quality]:
    if "quality" not in spectra:
        return []
    raised = int(np.bitwise_or.reduce(spectra["quality"].to_numpy().astype(np.int64), initial=0))
    return [flag for flag in Quality if flag and raised & flag.value]


def find_stretches(spectra: xr.Dataset, chosen: Array) -> list[tuple[Any, Any]]:
    """Give start and end of each run of chosen samples."""
    time, step = spectra["time"].to_numpy(), cadence(spectra)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [(time[first], time[last - 1] + step) for first, last in edges.reshape(-1, 2)]


def cadence(spectra: xr.Dataset) -> Any:
    time = spectra["time"].to_numpy()
    return np.median(np.diff(time)) if len(time) > 1 else np.timedelta64(15, "m")


def flux_limits(spectra: xr.Dataset, decades: float = 8) -> tuple[float, float]:
    """Give limits that show the medians and the 68 % band, and let the far tail of a limit run out of sight."""
    names = [name for name in ("flux", "flux_true", "flux_lower", "flux_upper") if name in spectra]
    values = np.concatenate([positive(spectra[name]).ravel() for name in names])
    if not np.isfinite(values).any():
        return 1e-6, 1.0
    top = float(np.nanmax(values)) * 3
    return max(float(np.nanmin(values)) / 3, top * 10**-decades), top


def choose_energies(spectra: xr.Dataset, energies: Sequence[float] | None) -> list[float]:
    grid = spectra["energy"].to_numpy()
    wanted = np.geomspace(grid.min(), grid.max(), 5) if energies is None else np.asarray(energies, dtype=float)
    outside = wanted[(wanted < grid.min() * 0.999) | (wanted > grid.max() * 1.001)]
    if len(outside):
        inside = f"{grid.min():g} to {grid.max():g} MeV"
        msg = f"energies {outside.tolist()} MeV lie outside the spectra, which span {inside}; leave them out"
        raise DataError(msg)
    nearest = [int(np.abs(np.log(grid / energy)).argmin()) for energy in wanted]
    return [float(grid[index]) for index in dict.fromkeys(nearest)]


def flux_name(dataset: xr.Dataset) -> str:
    return "flux_true" if "flux_true" in dataset and "flux" not in dataset else "flux"
