"""Bare quantiles to labelled spectra: the one shape that every method gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.names import UNUSABLE, Quality, attributes
from particleflux.unfold.targets import SUFFIXES

Array = npt.NDArray[np.float64]

#: MeV; where the flux is given, and above which it is integrated, unless asked otherwise.
DEFAULT_ENERGIES = tuple(float(round(energy, 3)) for energy in np.geomspace(5.0, 100.0, 25))
DEFAULT_THRESHOLDS = (10.0, 30.0, 50.0, 60.0, 100.0)


def label_spectra(
    counts: xr.Dataset,
    quality: npt.NDArray[np.int32],
    energies: Sequence[float],
    flux: Array,
    thresholds: Sequence[float],
    integral_flux: Array,
    *,
    fit_probability: Array | None = None,
    samples: Array | None = None,
    **attrs: str | float | int,
) -> xr.Dataset:
    """Put names, units and flags on the quantiles of n samples.

    Parameters
    ----------
    counts : Dataset
        Gives the times.
    quality : ndarray of int32, shape (n,)
        Flags; samples with one of `UNUSABLE`, and those whose flux is nowhere finite, become NaN and NOT_PROCESSED.
    energies : sequence of float, MeV
        Of the flux.
    flux : ndarray, shape (n, 5, energy), cm-2 s-1 sr-1 MeV-1
        Quantiles as in `targets.QUANTILES`. NaN at single energies is kept: a method need not answer everywhere.
    thresholds : sequence of float, MeV
        Of the integral flux.
    integral_flux : ndarray, shape (n, 5, threshold), cm-2 s-1 sr-1
        Quantiles.
    fit_probability : ndarray, shape (n,), optional
        Posterior-predictive probability of a worse fit.
    samples : ndarray, shape (n, sample, energy), optional
        Draws of the joint distribution of the flux.
    **attrs : str or number
        Attributes of the result, `method` among them.

    Returns
    -------
    Dataset
        `flux` and `integral_flux` with their bounds, `quality`, and what else was given.
    """
    unusable = (quality & int(UNUSABLE)) != 0
    unusable = unusable | ~np.isfinite(flux).any(axis=(1, 2))
    flux = np.where(unusable[:, None, None], np.nan, flux)
    integral_flux = np.where(unusable[:, None, None], np.nan, integral_flux)
    quality = np.where(unusable, quality | int(Quality.NOT_PROCESSED), quality).astype(np.int32)
    result = xr.Dataset(
        {"quality": ("time", quality, attributes("quality"))},
        coords={
            "time": counts["time"],
            "energy": ("energy", np.asarray(energies, dtype=float), attributes("energy")),
            "threshold": ("threshold", np.asarray(thresholds, dtype=float), attributes("threshold")),
        },
        attrs=attrs,
    )
    for index, suffix in enumerate(SUFFIXES):
        result[f"flux{suffix}"] = (("time", "energy"), flux[:, index], attributes(f"flux{suffix}"))
        result[f"integral_flux{suffix}"] = (
            ("time", "threshold"),
            integral_flux[:, index],
            attributes(f"integral_flux{suffix}"),
        )
    if fit_probability is not None:
        values = np.where(unusable, np.nan, fit_probability)
        result["fit_probability"] = ("time", values, attributes("fit_probability"))
    if samples is not None:
        values = np.where(unusable[:, None, None], np.nan, samples)
        result["flux_sample"] = (("time", "sample", "energy"), values, attributes("flux_sample"))
    return result
