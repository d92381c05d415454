"""What the form and its prior allow at most, whatever a network says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from particleflux.errors import ArtefactError
from particleflux.spectra import RollingPowerLaw

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FormLimits:
    r"""Upper limits that every rolling power law of the prior keeps.

    With the least index g of the prior, :math:`f(E) E^g` never rises with energy; and with its largest rollover energy
    :math:`J(>E) / f(E)` is at most that of the flattest spectrum. What holds for every spectrum holds for every
    quantile of them. A network that has seen few samples like the one at hand can break these laws by decades.

    Attributes
    ----------
    nodes, thresholds : tuple of float, MeV
        Energies of the flux and of the integral flux.
    least_index, largest_rollover : float
        Of the prior.
    """

    nodes: tuple[float, ...]
    thresholds: tuple[float, ...]
    least_index: float
    largest_rollover: float

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> FormLimits:
        """Take the limits from a card.

        Parameters
        ----------
        card : mapping
            Of a model for spectra.

        Returns
        -------
        FormLimits
            Those of its prior.

        Raises
        ------
        ArtefactError
            If the card lacks an entry.
        """
        try:
            ranges = card["prior"]["parameters"]
            return cls(
                tuple(map(float, card["nodes"])),
                tuple(map(float, card["thresholds"])),
                float(ranges["spectral_index"]["low"]),
                float(ranges["rollover_energy"]["high"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            msg = f"model {card.get('name')!r}: its card lacks or misstates {error}; train or install the model again"
            raise ArtefactError(msg) from error

    def keep(self, log_flux: Array, log_integral: Array) -> tuple[Array, Array, Array]:
        """Bring quantiles under the limits.

        Parameters
        ----------
        log_flux : ndarray, shape (n, quantile, node)
            Quantiles of the natural logarithm of the flux.
        log_integral : ndarray, shape (n, quantile, threshold)
            Of the integral flux.

        Returns
        -------
        log_flux, log_integral : ndarray
            The same where the limits are kept.
        departure : ndarray, shape (n,)
            By how much, in natural logarithms, a sample's flux broke them at worst.
        """
        tilt = self.least_index * np.log(self.nodes)
        tilted = log_flux + tilt
        falling = np.minimum.accumulate(tilted, axis=-1)
        kept = falling - tilt
        # An infinite quantile stays what it is, for the caller to refuse.
        with np.errstate(invalid="ignore"):
            departure = (tilted - falling).max(axis=(-1, -2))
            log_integral = np.minimum(log_integral, kept @ self._to_thresholds + self._log_ratio)
        return kept, log_integral, departure

    @cached_property
    def _to_thresholds(self) -> Array:
        """Spline from nodes to thresholds as a matrix."""
        return np.asarray(CubicSpline(np.log(self.nodes), np.eye(len(self.nodes)))(np.log(self.thresholds)).T)

    @cached_property
    def _log_ratio(self) -> Array:
        """Logarithm of the largest integral flux over the flux at its threshold."""
        flattest = RollingPowerLaw(1.0, self.least_index, self.largest_rollover)
        threshold = np.array(self.thresholds)
        return np.asarray(np.log(flattest.integral(threshold, np.inf) / flattest.flux(threshold)))
