"""The exact Bayesian posterior of a rolling power law: the yardstick for every other method.

Grid over spectral index, logarithm of the rollover energy and logarithm of the intensity, refined twice around what the
data allow. The prior is that of the simulated truth: index uniform, both logarithms uniform. Errors of the background
(half of the variance common to all channels: its level) and of the response are integrated over by Gauss-Hermite
quadrature under the prior that `particleflux.simulate.Simulation` draws them from. Slow, and meant to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from particleflux.simulate import RateTable
from particleflux.simulate.simulation import COMMON_FRACTION
from particleflux.unfold.ensemble import QUANTILES

Array = npt.NDArray[np.float64]

INDEX_RANGE = (0.5, 5.0)
LOG_ROLLOVER_RANGE = (0.0, float(np.log(100.0)))
_HERMITE, _WEIGHT = np.polynomial.hermite_e.hermegauss(5)
_WEIGHT = _WEIGHT / _WEIGHT.sum()
# Natural logarithm of the likelihood, relative to the best, below which a cell of the coarse grid is left out.
_NEGLIGIBLE = -14.0


@dataclass(frozen=True)
class Posterior:
    """Settings of the grid.

    Attributes
    ----------
    table : RateTable
        The forward model.
    energies : tuple of float, MeV
        Where the flux is wanted.
    n_shape, n_intensity : int
        Grid points in index and in rollover energy, and in intensity.
    """

    table: RateTable
    energies: tuple[float, ...]
    n_shape: int = 33
    n_intensity: int = 33

    def log_flux_quantiles(
        self, counts: Array, background: Array, *, background_error: float = 0.0, response_error: float = 0.0
    ) -> Array:
        """Compute the quantiles of the log flux for one sample.

        Parameters
        ----------
        counts, background : ndarray, shape (channel,)
            Counts, and expected background counts, in the accumulation.
        background_error, response_error : float
            Relative errors.

        Returns
        -------
        ndarray, shape (quantile, energy)
            Of the natural logarithm of the flux times the exposure.
        """
        indices, rollovers = INDEX_RANGE, LOG_ROLLOVER_RANGE
        for stage in range(3):
            index, log_rollover = _cells(indices, self.n_shape), _cells(rollovers, self.n_shape)
            grid = np.stack(np.meshgrid(index, log_rollover, indexing="ij"), axis=-1).reshape(-1, 2)
            log_rate = self.table.log_rate(grid[:, 0], np.exp(grid[:, 1]))
            best, width = _best_intensity(counts, background, log_rate, background_error, response_error)
            # Wider below the best intensity than above it: the likelihood of few counts has its tail there.
            intensity = best[:, None] + width[:, None] * np.linspace(-7.0, 4.5, self.n_intensity)
            signal = np.exp(np.minimum(log_rate[:, None, :] + intensity[..., None], 60.0))
            logp = _log_likelihood(counts, background, signal, background_error, response_error)
            logp = logp + np.log(width)[:, None]
            logp -= logp.max()
            if stage < 2:
                peak = logp.max(axis=1).reshape(self.n_shape, self.n_shape)
                indices = _narrow(indices, peak.max(axis=1))
                rollovers = _narrow(rollovers, peak.max(axis=0))
        weight = np.exp(logp).ravel()
        weight /= weight.sum()
        quantiles = np.empty((len(QUANTILES), len(self.energies)))
        for column, energy in enumerate(self.energies):
            shape = -grid[:, 0] * np.log(energy) - energy * np.exp(-grid[:, 1])
            log_flux = (intensity + shape[:, None]).ravel()
            order = np.argsort(log_flux)
            cumulative = np.cumsum(weight[order]) - 0.5 * weight[order]
            quantiles[:, column] = np.interp(QUANTILES, cumulative, log_flux[order])
        return quantiles


def _cells(limits: tuple[float, float], n: int) -> Array:
    return np.asarray(np.linspace(*limits, 2 * n + 1)[1::2])


def _narrow(limits: tuple[float, float], peak: Array) -> tuple[float, float]:
    """Keep the cells that matter and one beside them on either side."""
    size = (limits[1] - limits[0]) / len(peak)
    kept = np.flatnonzero(peak > _NEGLIGIBLE)
    return (
        max(limits[0], limits[0] + (kept[0] - 1) * size),
        min(limits[1], limits[0] + (kept[-1] + 2) * size),
    )


def _best_intensity(
    counts: Array, background: Array, log_rate: Array, background_error: float, response_error: float
) -> tuple[Array, Array]:
    """Find the log intensity of the highest likelihood for each shape, and its width; both shape (shape,)."""
    net = np.maximum(counts - background, 0.3)
    best = np.log(net.sum()) - np.log(np.exp(log_rate).sum(axis=1))
    for _ in range(25):
        signal = np.exp(log_rate + best[:, None])
        variance = signal + background + (background_error * background) ** 2 + (response_error * signal) ** 2
        slope = ((counts - background - signal) * signal / variance).sum(axis=1)
        curvature = (signal**2 / variance).sum(axis=1)
        best = best + np.clip(slope / (curvature + 1e-9), -1.0, 1.0)
    signal = np.exp(log_rate + best[:, None])
    variance = np.maximum(signal + background, counts)
    variance = variance + (background_error * background) ** 2 + (response_error * signal) ** 2
    width = 1.0 / np.sqrt((signal**2 / variance).sum(axis=1) + 1e-9)
    return best, np.minimum(width, 2.0)


def _log_likelihood(
    counts: Array, background: Array, signal: Array, background_error: float, response_error: float
) -> Array:
    """Poisson log likelihood of signal (..., channel), the errors integrated over; shape (...)."""
    tiny = 1e-300
    if background_error == 0 and response_error == 0:
        mean = signal + background + tiny
        return np.asarray((counts * np.log(mean) - mean).sum(axis=-1))
    none, one = np.zeros(1), np.ones(1)
    own, own_weight = (_HERMITE, _WEIGHT) if background_error > 0 else (none, one)
    factor, factor_weight = (np.exp(response_error * _HERMITE), _WEIGHT) if response_error > 0 else (one, one)
    weights = factor_weight[:, None] * own_weight
    terms = []
    for common, common_weight in zip(own, own_weight, strict=True):
        drift = np.sqrt(COMMON_FRACTION) * common + np.sqrt(1 - COMMON_FRACTION) * own
        level = background[:, None] * np.exp(background_error * drift)
        mean = signal[..., None, None] * factor[:, None] + level[:, None, :] + tiny
        logp = counts[:, None, None] * np.log(mean) - mean
        highest = logp.max(axis=(-1, -2), keepdims=True)
        channel = highest[..., 0, 0] + np.log((np.exp(logp - highest) * weights).sum(axis=(-1, -2)))
        terms.append(channel.sum(axis=-1) + np.log(common_weight))
    stacked = np.stack(terms)
    highest = stacked.max(axis=0)
    return np.asarray(highest + np.log(np.exp(stacked - highest).sum(axis=0)))
