"""Rates of many rolling power laws, quickly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline

from particleflux.errors import DataError
from particleflux.response import Response
from particleflux.simulate.ranges import Range
from particleflux.spectra import RollingPowerLaw

Array = npt.NDArray[np.float64]


class RateTable:
    """Rates of rolling power laws, tabulated: bicubic in index and logarithm of the rollover energy.

    Parameters
    ----------
    response : Response
        Of the channels wanted.
    spectral_index, rollover_energy : Range
        What the table covers.

    Raises
    ------
    DataError
        If a range has no width.
    """

    def __init__(self, response: Response, spectral_index: Range, rollover_energy: Range) -> None:
        if not (spectral_index.low < spectral_index.high and 0 < rollover_energy.low < rollover_energy.high):
            msg = (
                f"a table of rates over spectral index {spectral_index.low:g} to {spectral_index.high:g} and rollover "
                f"energy {rollover_energy.low:g} to {rollover_energy.high:g} MeV: expected two ranges of some width, "
                "the energies above 0; leave out use_rate_table"
            )
            raise DataError(msg)
        index = np.linspace(spectral_index.low, spectral_index.high, 91)
        log_rollover = np.linspace(np.log(rollover_energy.low), np.log(rollover_energy.high), 121)
        pairs = np.stack(np.meshgrid(index, log_rollover, indexing="ij"), axis=-1).reshape(-1, 2)
        form = RollingPowerLaw(
            intensity=np.ones((len(pairs), 1)), spectral_index=pairs[:, :1], rollover_energy=np.exp(pairs[:, 1:])
        )
        rate = response.fold_form(form).to_numpy().reshape(len(index), len(log_rollover), -1)
        self._splines = [
            RectBivariateSpline(index, log_rollover, np.log(rate[..., channel])) for channel in range(rate.shape[-1])
        ]

    def log_rate(self, spectral_index: npt.ArrayLike, rollover_energy: npt.ArrayLike) -> Array:
        """Natural logarithm of the rates at unit intensity, shape (n, channel), s-1.

        Parameters
        ----------
        spectral_index, rollover_energy : array_like, shape (n,)
            Shapes of the spectra; energies in MeV.

        Returns
        -------
        ndarray, shape (n, channel)
            Interpolated; exact to 1e-5 over the range of the table.
        """
        index, log_rollover = np.asarray(spectral_index, dtype=float), np.log(np.asarray(rollover_energy, dtype=float))
        return np.stack([spline.ev(index, log_rollover) for spline in self._splines], axis=-1)
