"""NOAA's scale of solar radiation storms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Flux above 10 MeV in cm-2 s-1 sr-1 (pfu) at which S1 to S5 begin.
S_LEVELS = (1e1, 1e2, 1e3, 1e4, 1e5)


def s_scale(pfu: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Give NOAA's level of a solar radiation storm, S0 (none) to S5 (extreme).

    Parameters
    ----------
    pfu : array_like
        Integral flux of protons above 10 MeV, 5-minute mean, in cm-2 s-1 sr-1.

    Returns
    -------
    ndarray of int
        0 to 5; a level begins at its flux. -1 where the flux is NaN.

    References
    ----------
    NOAA Space Weather Scales, https://www.swpc.noaa.gov/noaa-scales-explanation.

    Examples
    --------
    >>> s_scale([0.2, 10.0, 6530.0, float("nan")]).tolist()
    [0, 1, 3, -1]
    """
    flux = np.asarray(pfu, dtype=np.float64)
    level = np.searchsorted(S_LEVELS, flux, side="right")
    return np.where(np.isnan(flux), -1, level).astype(np.int64)
