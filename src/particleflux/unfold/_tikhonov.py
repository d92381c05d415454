r"""Smooth spectra that agree with counts: grid, prior and Gauss-Newton steps for one strength of the smoothing.

Of the spectrum :math:`x = \ln f` on knots in :math:`t = \ln E`, with folded signal counts S(x), background B and data
covariance V (counting, background, response), what is made least is

.. math:: (n - B - S)^T V^{-1} (n - B - S) + \alpha \int \left(\frac{d^k x}{dt^k}\right)^2 dt
          + \text{weak terms for the k free coefficients}

the integral as k-th differences between knots. V is that of the *expected* counts and follows the steps, so that the
solution obeys the score equation of the quasi-likelihood (Wedderburn 1974, doi:10.1093/biomet/61.3.439): counts of zero
or below their background need nothing special.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from particleflux.response import Response
from particleflux.unfold._forward import Forward
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

N_KNOTS = 32
# ln of the largest flux that is tried: no spectrum comes near, and sums of its squares stay finite.
MAX_LOG_FLUX = 60.0
# Spreads of the normal terms for what the differences leave free at the pivot: level, slope and curvature of ln f. The
# mean of the level is a signal of one standard deviation of the background, that of the slope fits solar particles.
_SLOPE = -3.0
_SPREADS = (3.0, 1.5, 1.0)
# Steps of ln f are held below this; Newton's would overshoot by the exponential.
_LONGEST_STEP = 2.0
_STEPS = 60
_TOLERANCE = 1e-3
_LEAST_VARIANCE = 1e-9


@dataclass(frozen=True, eq=False)
class SmoothPrior:
    """The grid of a spectrum, its folding, and what is held of it besides that it is smooth.

    Attributes
    ----------
    response : Response
        Of the channels.
    first, last : float, MeV
        Outermost knots; between them log flux is a natural cubic spline, beyond them a power law.
    order : int
        Of the differences that are kept small: 1, 2 or 3.
    """

    response: Response
    first: float
    last: float
    order: int = 2

    @cached_property
    def log_knots(self) -> Array:
        """Logarithm of the knots, shape (knot,)."""
        return np.linspace(np.log(self.first), np.log(self.last), N_KNOTS)

    @cached_property
    def distance(self) -> Array:
        """Distance of the knots from the pivot, in ln E, shape (knot,)."""
        return np.asarray(self.log_knots - self._log_pivot)

    @cached_property
    def folding(self) -> tuple[Array, Array]:
        """Spline from knots to nodes, shape (node, knot), and what each node adds to a rate, shape (node, channel)."""
        nodes, weights = Forward(self.response)._folding
        return self.spline(nodes), weights

    @cached_property
    def to_factors(self) -> Array:
        """Matrix from factors at the knots to factors at the nodes, linear in ln E, shape (node, knot)."""
        return self.interpolate(Forward(self.response)._folding[0])

    @cached_property
    def differences(self) -> Array:
        """The k-th derivative between knots, times the root of their spacing, shape (knot - k, knot)."""
        spacing = self.log_knots[1] - self.log_knots[0]
        return np.asarray(np.diff(np.eye(N_KNOTS), self.order, axis=0) / spacing ** (self.order - 0.5))

    @cached_property
    def basis(self) -> tuple[Array, Array]:
        """Spectra of unit differences, shape (knot, knot - k), and of one spread of the free ones, (knot, k)."""
        # Rows that read the free coefficients off a spectrum: a polynomial through the knots around the pivot.
        near = np.argsort(np.abs(self.distance))[: self.order]
        reading = np.zeros((self.order, N_KNOTS))
        reading[:, near] = np.linalg.inv(np.vander(self.distance[near], self.order, increasing=True))
        inverse = np.linalg.inv(np.vstack([self.differences, reading]))
        return inverse[:, : -self.order], inverse[:, -self.order :] * _SPREADS[: self.order]

    @cached_property
    def covariances(self) -> tuple[Array, Array]:
        """Prior covariance of the free coefficients and, for strength 1, of the rest; each of shape (knot, knot)."""
        bent, free = self.basis
        return free @ free.T, bent @ bent.T

    def spline(self, energies: npt.ArrayLike) -> Array:
        """Give the matrix from log flux at the knots to log flux at energies in MeV, shape (energy, knot)."""
        where = np.log(np.asarray(energies, dtype=float))
        spline = CubicSpline(self.log_knots, np.eye(N_KNOTS), bc_type="natural")
        inside = np.clip(where, self.log_knots[0], self.log_knots[-1])
        return np.asarray(spline(inside) + spline(inside, 1) * (where - inside)[:, None])

    def interpolate(self, energies: npt.ArrayLike) -> Array:
        """Give the matrix from numbers at the knots to energies, linear in ln E and constant beyond the knots."""
        where = np.log(np.asarray(energies, dtype=float))
        return np.stack([np.interp(where, self.log_knots, row) for row in np.eye(N_KNOTS)], axis=1)

    def fold(self, log_flux: Array, observation: Observation) -> tuple[Array, Array]:
        """Give flux at the nodes, shape (n, node), and signal counts, shape (n, channel); 0 where not read."""
        to_nodes, weights = self.folding
        flux = np.exp(np.minimum(log_flux @ to_nodes.T, MAX_LOG_FLUX))
        return flux, flux @ weights * (observation.exposure[:, None] * observation.is_read)

    def jacobian(self, flux: Array, observation: Observation) -> Array:
        """Differentiate the signal by log flux at the knots, from flux at the nodes; shape (n, channel, knot)."""
        to_nodes, weights = self.folding
        share = flux[:, None, :] * weights.T @ to_nodes
        return np.asarray(share * (observation.exposure[:, None] * observation.is_read)[..., None])

    def mean(self, observation: Observation) -> Array:
        """Give the mean of the prior: the power law that is just about to be seen, shape (n, knot)."""
        shape = np.broadcast_to(_SLOPE * self.distance, (len(observation), N_KNOTS))
        return shape - self._log_significance(shape, observation)[:, None]

    def start(self, observation: Observation) -> Array:
        """Give the power law, out of a few, that fits best; a faint one where nothing is seen. Shape (n, knot)."""
        net = observation.counts - observation.background
        variance = np.maximum(observation.counts, 1.0) + (observation.response_error * np.maximum(net, 0.0)) ** 2
        weight = observation.is_read / (variance + (observation.background_error * observation.background) ** 2)
        best = np.full(len(observation), np.inf)
        result = self.mean(observation)
        for slope in np.arange(0.0, -8.1, -0.5):
            shape = np.broadcast_to(slope * self.distance, result.shape)
            _, signal = self.fold(shape, observation)
            level = (weight * signal * net).sum(axis=1) / np.maximum((weight * signal**2).sum(axis=1), 1e-300)
            faint = np.exp(-1.0 - self._log_significance(shape, observation))
            level = np.maximum(level, faint)
            misfit = (weight * (net - level[:, None] * signal) ** 2).sum(axis=1)
            better = misfit < best
            best[better] = misfit[better]
            result[better] = shape[better] + np.log(level[better])[:, None]
        return result

    @cached_property
    def _log_pivot(self) -> float:
        # Where the first channels have set in and see most: 15 MeV for RADEM's protons.
        return float(np.log(7.5 * self.first))

    def _log_significance(self, log_flux: Array, observation: Observation) -> Array:
        """Logarithm of the largest signal in standard deviations of the background, shape (n,)."""
        _, signal = self.fold(log_flux, observation)
        level = observation.background
        sigma = np.sqrt(np.maximum(level, 1.0) + (observation.background_error * level) ** 2)
        return np.asarray(np.log(np.maximum((signal / sigma).max(axis=1), 1e-300)))


def data_errors(signal: Array, observation: Observation) -> tuple[Array, Array]:
    """Give each channel's own variance, and the standard deviation common to all, of expected counts.

    Parameters
    ----------
    signal : ndarray, shape (n, ..., channel)
        Signal counts.
    observation : Observation
        Of the n samples.

    Returns
    -------
    variance, common : ndarray, shape (n, ..., channel) and (n, 1 ..., channel)
        In counts; 1 and 0 where not read, so that these channels are no singularity and say nothing.
    """
    extra = (slice(None), *(None,) * (signal.ndim - 2), slice(None))
    background = observation.background[extra]
    variance = (
        signal
        + background
        + (observation.response_error[extra] * signal) ** 2
        + (observation.background_own[extra] * background) ** 2
    )
    variance = np.where(observation.is_read[extra], np.maximum(variance, _LEAST_VARIANCE), 1.0)
    return variance, observation.background_common[extra] * background


def chi_square(signal: Array, observation: Observation) -> tuple[Array, Array]:
    r"""Give chi-square of signals, and the logarithm of the determinant of its covariance.

    The common error makes V a diagonal plus :math:`c c^T`, inverted by the formula of Sherman and Morrison (1950,
    doi:10.1214/aoms/1177729893).

    Parameters
    ----------
    signal : ndarray, shape (n, ..., channel)
        Signal counts.
    observation : Observation
        Of the n samples.

    Returns
    -------
    chi2, log_determinant : ndarray, shape (n, ...)
        Of the channels read.
    """
    variance, common = data_errors(signal, observation)
    extra = (slice(None), *(None,) * (signal.ndim - 2), slice(None))
    residual = observation.counts[extra] - observation.background[extra] - signal
    shared = 1.0 + (common**2 / variance).sum(axis=-1)
    chi2 = (residual**2 / variance).sum(axis=-1) - (common * residual / variance).sum(axis=-1) ** 2 / shared
    return np.maximum(chi2, 0.0), np.log(variance).sum(axis=-1) + np.log(shared)


def covariance(signal: Array, observation: Observation) -> Array:
    """Give the data covariance V, shape (n, channel, channel), of signals of shape (n, channel)."""
    variance, common = data_errors(signal, observation)
    result = common[:, :, None] * common[:, None, :]
    diagonal = np.arange(signal.shape[1])
    result[:, diagonal, diagonal] += variance
    return result


def solve(
    prior: SmoothPrior, observation: Observation, mean: Array, start: Array, looseness: Array
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Find the spectra that make chi-square plus smoothing least.

    The Gauss-Newton step is solved in the space of the channels, of which there are fewer than knots:
    x = mean + C J' (J C J' + V)^-1 (residual + J (x - mean)), with the prior covariance C.

    Parameters
    ----------
    prior : SmoothPrior
        Grid and prior.
    observation : Observation
        Of n samples.
    mean, start : ndarray, shape (n, knot)
        Mean of the prior, and log flux to start from.
    looseness : ndarray, shape (n,)
        One over the strength of the smoothing; 0 for a polynomial in ln E.

    Returns
    -------
    log_flux : ndarray, shape (n, knot)
        At the knots.
    converged : ndarray of bool, shape (n,)
        False where the steps did not end.
    """
    free, bent = prior.covariances
    result = start.copy()
    damping = np.ones(len(result))
    previous = np.zeros_like(result)
    active = np.arange(len(result))
    for _ in range(_STEPS):
        if not len(active):
            break
        part, here = observation[active], result[active]
        flux, signal = prior.fold(here, part)
        jacobian = prior.jacobian(flux, part)
        spread = (free + looseness[active, None, None] * bent) @ jacobian.transpose(0, 2, 1)
        residual = np.where(part.is_read, part.counts - part.background - signal, 0.0)
        residual += (jacobian @ (here - mean[active])[..., None])[..., 0]
        total = jacobian @ spread + covariance(signal, part)
        step = mean[active] + (spread @ np.linalg.solve(total, residual[..., None]))[..., 0] - here
        longest = np.abs(step).max(axis=1)
        # A step back is the sign of having gone too far.
        is_back = (step * previous[active]).sum(axis=1) < 0
        damping[active] = np.where(
            is_back, np.maximum(0.6 * damping[active], 0.05), np.minimum(1.2 * damping[active], 1)
        )
        step *= (damping[active] * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-9)))[:, None]
        result[active] += step
        previous[active] = step
        active = active[~(longest < _TOLERANCE)]
    converged = np.ones(len(result), dtype=bool)
    converged[active] = False
    return result, converged
