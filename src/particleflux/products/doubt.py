"""Samples whose flux is no flux to count: those that cannot be trusted, and those that are limits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.names import Assessment, Quality

Flags = npt.NDArray[np.bool_]

_DOUBTFUL = (int(Assessment.OTHER_SPECIES), int(Assessment.OUTSIDE))


def find_doubtful(spectra: xr.Dataset) -> Flags:
    """Tell which samples hold a flux that cannot be trusted, and that products leave out.

    Parameters
    ----------
    spectra : Dataset, dims (time, ...)
        With `quality`, `assessment`, both or neither.

    Returns
    -------
    ndarray of bool, shape (time,)
        Where the method is outside its range (EXTRAPOLATED), or the sample is assessed as made by the other species or
        as outside the validity of the method.
    """
    doubtful = np.zeros(spectra.sizes["time"], dtype=bool)
    if "quality" in spectra:
        doubtful |= (spectra["quality"].to_numpy().astype(np.int64) & int(Quality.EXTRAPOLATED)) != 0
    if "assessment" in spectra:
        doubtful |= np.isin(spectra["assessment"].to_numpy(), _DOUBTFUL)
    return doubtful


def find_limits(spectra: xr.Dataset) -> Flags:
    """Tell which samples are limits: nothing was detected, and only their upper bounds say something.

    Parameters
    ----------
    spectra : Dataset, dims (time, ...)
        With `quality` or without.

    Returns
    -------
    ndarray of bool, shape (time,)
        Where the sample is flagged as below detection and is not doubtful.
    """
    if "quality" not in spectra:
        return np.zeros(spectra.sizes["time"], dtype=bool)
    below = (spectra["quality"].to_numpy().astype(np.int64) & int(Quality.BELOW_DETECTION)) != 0
    return np.asarray(below & ~find_doubtful(spectra))
