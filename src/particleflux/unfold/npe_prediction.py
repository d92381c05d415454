"""What the networks of `npe` answer to observations: bare numbers, before they become labelled spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from particleflux.unfold.targets import QUANTILES

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NpePrediction:
    """Answers of n samples; NaN where none was asked for, or where a number went beyond any flux.

    Attributes
    ----------
    flux : ndarray, shape (n, 5, energy), cm-2 s-1 sr-1 MeV-1
        Quantiles as in `targets.QUANTILES`.
    integral : ndarray, shape (n, 5, threshold), cm-2 s-1 sr-1
        Quantiles of the integral flux.
    fit_probability : ndarray, shape (n,)
        Share of simulated samples like this one that fit worse.
    is_outside : ndarray of bool, shape (n,)
        Whether what the networks read lies outside what they were trained on.
    samples : ndarray, shape (n, sample, energy)
        Joint draws of the flux, as many as were asked for.
    """

    flux: Array
    integral: Array
    fit_probability: Array
    is_outside: npt.NDArray[np.bool_]
    samples: Array

    @classmethod
    def empty(cls, n: int, n_energies: int, n_thresholds: int, n_samples: int) -> NpePrediction:
        """Give one that is still to be filled in place.

        Parameters
        ----------
        n, n_energies, n_thresholds, n_samples : int
            Sizes.

        Returns
        -------
        NpePrediction
            NaN everywhere.
        """
        return cls(
            np.full((n, len(QUANTILES), n_energies), np.nan),
            np.full((n, len(QUANTILES), n_thresholds), np.nan),
            np.full(n, np.nan),
            np.zeros(n, dtype=bool),
            np.full((n, n_samples, n_energies), np.nan),
        )
