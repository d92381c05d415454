"""Ranges that the parameters of simulated spectra and observations are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from particleflux.errors import DataError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, uniform or uniform in the logarithm, some of them exactly zero.

    Attributes
    ----------
    low, high : float
        Bounds; equal bounds give a constant.
    log : bool
        Uniform in the logarithm.
    zero : float
        Share of draws that are exactly 0.

    Examples
    --------
    >>> Range(1.0, 1.0).draw(np.random.default_rng(0), 2)
    array([1., 1.])
    """

    low: float
    high: float
    log: bool = False
    zero: float = 0.0

    def __post_init__(self) -> None:
        """Refuse bounds that cannot be drawn from."""
        if not (np.isfinite([self.low, self.high]).all() and self.low <= self.high):
            msg = f"range {self.low:g} to {self.high:g}: expected finite bounds, the lower first"
            raise DataError(msg)
        if self.log and self.low <= 0:
            msg = f"range {self.low:g} to {self.high:g} is logarithmic: expected a lower bound above 0"
            raise DataError(msg)
        if not 0 <= self.zero <= 1:
            msg = f"share of zeros {self.zero:g}: expected a number from 0 to 1"
            raise DataError(msg)

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """Draw n numbers, shape (n,)."""
        low, high = (np.log(self.low), np.log(self.high)) if self.log else (self.low, self.high)
        values = rng.uniform(low, high, n)
        values = np.exp(values) if self.log else values
        return np.where(rng.uniform(size=n) < self.zero, 0.0, values) if self.zero else values


#: What an observation is drawn from when nothing else is asked for: expected signal counts in the reference channel,
#: exposure in s, and level of the background.
SIGNAL_COUNTS = Range(0.3, 1e8, log=True)
EXPOSURE = Range(60.0, 86400.0, log=True)
BACKGROUND_LEVEL = Range(0.7, 1.15)
NONE = Range(0.0, 0.0)
#: Parameters of each form, drawn when nothing else is asked for. Energies in MeV.
PARAMETERS: Mapping[str, Mapping[str, Range]] = {
    "power-law": {"spectral_index": Range(1.5, 7.0)},
    "rolling-power-law": {"spectral_index": Range(0.5, 5.0), "rollover_energy": Range(1.0, 100.0, log=True)},
    "band": {
        "spectral_index_low": Range(0.5, 3.0),
        "spectral_index_high": Range(3.5, 8.0),
        "rollover_energy": Range(2.0, 50.0, log=True),
    },
    "double-power-law": {
        "spectral_index_low": Range(0.5, 3.0),
        "spectral_index_high": Range(3.5, 8.0),
        "break_energy": Range(5.0, 50.0, log=True),
        "smoothness": Range(1.0, 4.0),
    },
    "weibull": {"shape": Range(0.2, 1.0), "scale_energy": Range(0.05, 20.0, log=True)},
}
#: Parameters of the forms where several stand side by side, as solar particle events have them: slopes from flat, as at
#: an onset, where the fast come first, and bends at a few MeV and above (Tylka et al. 2005, doi:10.1086/429384; Mewaldt
#: et al. 2012, doi:10.1007/s11214-012-9884-2; Weibull: Xapsos et al. 2000, doi:10.1109/23.903756). All forms then mean
#: much the same spectra; with limits of its own, each form would mean others.
MIXTURE_PARAMETERS: Mapping[str, Mapping[str, Range]] = {
    "power-law": {"spectral_index": Range(1.5, 7.0)},
    "rolling-power-law": {"spectral_index": Range(0.0, 4.5), "rollover_energy": Range(7.0, 300.0, log=True)},
    "band": {
        "spectral_index_low": Range(0.0, 3.0),
        "spectral_index_high": Range(3.5, 8.0),
        "rollover_energy": Range(3.0, 60.0, log=True),
    },
    "double-power-law": {
        "spectral_index_low": Range(0.0, 3.0),
        "spectral_index_high": Range(3.5, 8.0),
        "break_energy": Range(5.0, 60.0, log=True),
        "smoothness": Range(1.0, 4.0),
    },
    "weibull": {"shape": Range(0.3, 0.9), "scale_energy": Range(3.0, 30.0, log=True)},
}
#: The same for electrons of 0.3 to 10 MeV in solar particle events. Power laws alone would tie what no channel sees,
#: above 2 MeV, to what is seen below: STEREO-A's spectra of May 2024 have indices of 1.2 to 2.1 below 2 MeV and of 2.6
#: to 4.5 above.
ELECTRON_PARAMETERS: Mapping[str, Mapping[str, Range]] = {
    "power-law": {"spectral_index": Range(1.0, 7.0)},
    "rolling-power-law": {"spectral_index": Range(0.0, 4.0), "rollover_energy": Range(0.5, 20.0, log=True)},
    "double-power-law": {
        "spectral_index_low": Range(0.0, 2.5),
        "spectral_index_high": Range(2.6, 8.0),
        "break_energy": Range(0.7, 10.0, log=True),
        "smoothness": Range(1.0, 4.0),
    },
}
