"""Integral flux above thresholds from labelled spectra, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux._integrals import power_integral
from particleflux.errors import AxisError, DataError
from particleflux.names import attributes, require

Array = npt.NDArray[np.float64]

#: Thresholds of the products, MeV.
THRESHOLDS = (10.0, 30.0, 50.0, 60.0, 100.0)
BOUNDS = {"_lower": 0.16, "_upper": 0.84, "_lower95": 0.025, "_upper95": 0.975}
#: Standard errors of the bounds, where a flux comes with one.
_DEVIATIONS = {"_lower": -1.0, "_upper": 1.0, "_lower95": -1.959964, "_upper95": 1.959964}
#: Where an extrapolated spectrum ends, MeV. Without an end, noise that makes the last power law nearly as flat as 1/E
#: would make any flux.
HIGHEST_ENERGY = 1000.0
# Rows of samples handled at once: about 100 MB of temporary arrays.
_CHUNK = 500_000


def integral_flux(spectra: xr.Dataset, thresholds: Sequence[float] = THRESHOLDS) -> xr.Dataset:
    r"""Integrate spectra above thresholds.

    Between two energies the spectrum is a power law, as in the integral fluxes that NOAA derives from the channels of
    GOES; above the last energy the last power law goes on up to 1 GeV, where it is steeper than :math:`E^{-1}`, else
    the spectrum ends there. In a segment with a flux that is not positive (a net flux may be negative) it is a straight
    line.

    .. math:: J(>E_0) = \sum_i \int_{\max(E_i, E_0)}^{E_{i+1}} f_i \left(\frac{E}{E_i}\right)^{-\gamma_i} dE
              + \int_{E_n}^{1\,\mathrm{GeV}} f_n \left(\frac{E}{E_n}\right)^{-\gamma_{n-1}} dE

    The first of these that the spectra hold is used: joint draws `flux_sample`; `integral_flux` at the threshold; the
    bounds of `flux`, each integrated as a curve of its own, which takes the errors of all energies for fully
    correlated (never too narrow); `flux_std`, taken for independent between energies (to first order).

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        `flux` in cm-2 s-1 sr-1 MeV-1 at `energy` (MeV), with any of the above. NaN propagates.
    thresholds : sequence of float
        Energies in MeV.

    Returns
    -------
    Dataset, dims (time, threshold[, sample])
        `integral_flux` in cm-2 s-1 sr-1 (pfu), its bounds as far as they are known, `integral_flux_sample` where the
        spectra hold draws, `extrapolated_share` (what lies above the last energy, share of the integral; NaN where
        `integral_flux` was in the spectra already), `quality`, `assessment` and coordinates of the spectra. Attribute
        `integral_method`.

    Raises
    ------
    AxisError
        If the spectra lack flux or energy, or have fewer than two energies.
    UnitError
        If their units are others.
    DataError
        If a threshold is no energy or lies below the spectra.
    """
    require(spectra, "flux", "energy")
    if spectra.sizes["energy"] < 2:
        msg = f"found {spectra.sizes['energy']} energy in the spectra, expected two or more to integrate between"
        raise AxisError(msg)
    spectra = spectra.sortby("energy")
    levels = _check_thresholds(thresholds, spectra)
    parts = [_above(spectra, level) for level in levels]
    names = [name for name in parts[0][0] if all(name in part for part, _ in parts)]
    axis = ("threshold", np.asarray(levels), attributes("threshold"))
    result = xr.concat([xr.Dataset({name: part[name] for name in names}) for part, _ in parts], "threshold")
    result = result.assign_coords(threshold=axis).transpose("time", "threshold", ...)
    for name in names:
        known = (
            attributes("integral_flux" if name.endswith("_sample") else name) if name != "extrapolated_share" else {}
        )
        result[name].attrs = known
    if "integral_flux_sample" in result:
        result["integral_flux_sample"].attrs["long_name"] = "integral flux above a threshold, joint draw"
    result["extrapolated_share"].attrs = {
        "units": "1", "long_name": "share of the integral flux above the last energy of the spectrum"
    }  # fmt: skip
    for name in ("quality", "assessment", "exposure"):
        if name in spectra:
            result[name] = spectra[name]
    kept = ("instrument", "satellite", "species", "method", "model", "model_sha256", "source_files", "energies",
            "quiet_window")  # fmt: skip
    result.attrs = {key: spectra.attrs[key] for key in kept if key in spectra.attrs}
    result.attrs["integral_method"] = "; ".join(dict.fromkeys(method for _, method in parts))
    return result


def integrate(flux: Array, energy: Array, threshold: float) -> tuple[Array, Array]:
    """Integrate spectra of piecewise power laws above one threshold.

    Parameters
    ----------
    flux : ndarray, shape (..., energy)
        Differential flux; NaN propagates.
    energy : ndarray, shape (energy,)
        Rising energies.
    threshold : float
        Not below the first energy.

    Returns
    -------
    inside : ndarray, shape (...)
        Integral up to the last energy.
    beyond : ndarray, shape (...)
        What the last power law gives above it, up to 1 GeV; 0 where it is not steeper than E^-1.
    """
    low, high = energy[:-1], energy[1:]
    first, last = flux[..., :-1], flux[..., 1:]
    is_power = (first > 0) & (last > 0)
    index = -np.log(np.where(is_power, last, 1.0) / np.where(is_power, first, 1.0)) / np.log(high / low)
    start = np.clip(threshold, low, high)
    power = power_integral(first, index, low, start, high)
    at_start = first + (last - first) * (start - low) / (high - low)
    inside = np.where(is_power, power, 0.5 * (at_start + last) * (high - start)).sum(axis=-1)
    steep = is_power[..., -1] & (index[..., -1] > 1.0)
    tail_from = np.asarray(max(energy[-1], threshold))
    tail_to = np.asarray(max(HIGHEST_ENERGY, float(tail_from)))
    tail = power_integral(last[..., -1], np.where(steep, index[..., -1], 2.0), energy[-1], tail_from, tail_to)
    beyond = np.where(steep, tail, 0.0 * inside)
    return inside, beyond


def _check_thresholds(thresholds: Sequence[float], spectra: xr.Dataset) -> list[float]:
    levels = [float(level) for level in thresholds]
    energy = spectra["energy"].to_numpy()
    held = spectra["threshold"].to_numpy().tolist() if "integral_flux" in spectra else []
    for level in levels:
        if not np.isfinite(level) or (level < energy[0] * (1 - 1e-9) and level not in held):
            msg = (
                f"threshold {level:g} MeV: expected at least {energy[0]:.6g} MeV, where the spectra begin; give a "
                "higher threshold, or spectra that reach lower"
            )
            raise DataError(msg)
    if not levels or len(set(levels)) < len(levels):
        msg = f"thresholds: found {levels}, expected one or more energies in MeV, each once"
        raise DataError(msg)
    return levels


def _above(spectra: xr.Dataset, level: float) -> tuple[dict[str, xr.DataArray], str]:
    energy = spectra["energy"].to_numpy()
    time = spectra["time"]

    def labelled(values: Array, *more: str) -> xr.DataArray:
        return xr.DataArray(values, dims=("time", *more), coords={"time": time})

    if "flux_sample" in spectra:
        draws = spectra["flux_sample"].transpose("time", "sample", "energy")
        values, share = _of_draws(draws, energy, level)
        with np.errstate(invalid="ignore"):
            found = {"integral_flux": labelled(np.median(values, axis=1))}
            for suffix, quantile in BOUNDS.items():
                found[f"integral_flux{suffix}"] = labelled(np.quantile(values, quantile, axis=1))
        found |= {"integral_flux_sample": labelled(values, "sample"), "extrapolated_share": labelled(share)}
        return found, "joint draws of the spectrum, piecewise power law"
    if "integral_flux" in spectra and level in spectra["threshold"].to_numpy():
        held = spectra.sel(threshold=level, drop=True)
        names = [f"integral_flux{suffix}" for suffix in ("", *BOUNDS)]
        found = {name: held[name] for name in names if name in held}
        return found | {"extrapolated_share": labelled(np.full(len(time), np.nan))}, "as in the spectra"
    flux = spectra["flux"].transpose("time", "energy").to_numpy()
    inside, beyond = integrate(flux, energy, level)
    total = inside + beyond
    found = {"integral_flux": labelled(total), "extrapolated_share": labelled(_share(total, beyond))}
    if all(f"flux{suffix}" in spectra for suffix in BOUNDS):
        for suffix in BOUNDS:
            curve = spectra[f"flux{suffix}"].transpose("time", "energy").to_numpy()
            found[f"integral_flux{suffix}"] = labelled(np.add(*integrate(curve, energy, level)))
        return found, "bounds of the spectrum as curves, errors of all energies fully correlated; piecewise power law"
    if "flux_std" in spectra:
        error = _propagated(flux, spectra["flux_std"].transpose("time", "energy").to_numpy(), energy, level)
        for suffix, deviations in _DEVIATIONS.items():
            found[f"integral_flux{suffix}"] = labelled(np.maximum(total + deviations * error, np.minimum(total, 0.0)))
        return found, "measured spectrum, errors of the energies independent; piecewise power law"
    return found, "spectrum without errors; piecewise power law"


def _of_draws(draws: xr.DataArray, energy: Array, level: float) -> tuple[Array, Array]:
    n_time, n_sample, _ = draws.shape
    values, share = np.empty((n_time, n_sample)), np.empty(n_time)
    step = max(1, _CHUNK // max(1, n_sample))
    for begin in range(0, n_time, step):
        rows = slice(begin, begin + step)
        inside, beyond = integrate(draws[rows].to_numpy().astype(np.float64), energy, level)
        values[rows] = inside + beyond
        share[rows] = np.median(_share(values[rows], beyond), axis=1)
    return values, share


def _share(total: Array, beyond: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, beyond / total, np.where(np.isnan(total), np.nan, 0.0))


def _propagated(flux: Array, std: Array, energy: Array, level: float) -> Array:
    # First order: the integral changes by d when one flux changes by its standard error.
    variance = np.zeros(flux.shape[:-1])
    base = np.add(*integrate(flux, energy, level))
    for column in range(flux.shape[-1]):
        moved = flux.copy()
        moved[..., column] += std[..., column]
        variance += (np.add(*integrate(moved, energy, level)) - base) ** 2
    return np.sqrt(variance)
