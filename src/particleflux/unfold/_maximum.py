r"""Penalised maximum likelihood of one spectral form for many samples at once.

The coordinates are z = (z_a, z_1 ... z_p, y), each standard normal before the counts: z_a and z_1 ... z_p say by
:math:`u = \Phi(z)` which share of its range lies below the logarithm of the signal in all channels together and
below each parameter of the form, and y is the common error of the background in its standard deviations. Minimised is

.. math:: -\ln L(n \mid z) + |z|^2 / 2

A parameter that the counts tell is where the likelihood has its maximum, within a small part of its error; one that
they do not tell keeps the middle and the width of its range. No coordinate has an edge that an estimate could stick to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

from particleflux.unfold._forward import Forward
from particleflux.unfold._negative_binomial import derivatives, deviance
from particleflux.unfold.likelihood import channel_log_likelihood
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

# Spectra known beforehand that starts are chosen from, by the number of parameters.
_LIBRARY = {1: 32, 2: 128, 3: 512, 4: 1024}
_MOST = 2048
# Response error that starts are scored with, at least: the library has gaps.
_TOLERANCE = 0.1
# A second start lies at least this far from the first, as a share of some range.
_APART = 0.25
_DIFFERENCE = 1e-4
# Both starts are followed for some steps, the better one until a step promises less than this in ln L.
_FIRST_STEPS = 6
_STEPS = 300
_ENOUGH = 1e-4
#: A fit whose next step still promises more than this has not converged.
UNFINISHED = 1e-2
_LONGEST_STEP = 1.0
# Signals sought: from this share of the lowest background (or of one count) up, and out of reach of the counts.
_WEAKEST, _STRONGEST, _BRIGHTER = 1e-3, 1e5, 100.0


@dataclass(frozen=True)
class Maximum:
    """Where the penalised likelihood of one form has its maximum; n samples, d coordinates, c channels.

    Attributes
    ----------
    z : ndarray, shape (n, d)
        Coordinates.
    information : ndarray, shape (n, d, d)
        Expected (Fisher) information of the counts, without that of the penalty.
    log_likelihood : ndarray, shape (n,)
        With the term of the common background error, -y^2/2, and up to a constant of each sample.
    deviance : ndarray, shape (n,)
        Twice the logarithm of the likelihood ratio of a mean equal to the counts, and y^2.
    has_converged : ndarray of bool, shape (n,)
        Whether no step promises more.
    """

    z: Array
    information: Array
    log_likelihood: Array
    deviance: Array
    has_converged: npt.NDArray[np.bool_]

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> Maximum:
        """Give the chosen samples."""
        return Maximum(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @cached_property
    def covariance(self) -> Array:
        """Inverse of the information with that of the penalty, shape (n, d, d)."""
        return np.asarray(np.linalg.inv(self.information + np.eye(self.z.shape[1])))

    @cached_property
    def n_effective(self) -> Array:
        r"""Parameters that the counts tell, :math:`\mathrm{tr}[F (F + 1)^{-1}]`, without y; shape (n,)."""
        told = np.einsum("nij,nji->ni", self.information, self.covariance)
        return np.asarray(told[:, :-1].sum(axis=1))


@dataclass(frozen=True)
class _Point:
    """What the likelihood is at one point of every row."""

    mean: Array
    variance: Array
    signal: Array
    log_likelihood: Array


@dataclass(frozen=True, eq=False)
class FormFit:
    """Fits one form to any number of samples.

    Attributes
    ----------
    forward : Forward
        Of the channels of the observations.
    family : str
        The form.
    """

    forward: Forward
    family: str

    @cached_property
    def library(self) -> tuple[Array, Array]:
        """Unit coordinates (m, p) and the rates (m, channel) of as many spectra, relative to all."""
        size = self.forward.n_parameters(self.family)
        points = qmc.Sobol(size, rng=np.random.default_rng(0)).random_base2(int(np.log2(_LIBRARY.get(size, _MOST))))
        return points, np.exp(self._relative(points))

    def log_intensity(self, observation: Observation, z: Array) -> Array:
        """Give the logarithm of the intensity that coordinates mean.

        Parameters
        ----------
        observation : Observation
            Of n samples.
        z : ndarray, shape (n, m, d or d - 1)
            Any number of coordinates of each; y is not needed.

        Returns
        -------
        ndarray, shape (n, m)
            Of the intensity in cm-2 s-1 sr-1 MeV-1 at 1 MeV.
        """
        low, high = (bound[:, None] for bound in _signal_range(observation))
        size = self.forward.n_parameters(self.family)
        unit = ndtr(z[..., 1 : 1 + size]).reshape(-1, size)
        log_rate = _log_total(self.forward.log_rate(self.family, unit)).reshape(z.shape[:2])
        log_signal = low + ndtr(z[..., 0]) * (high - low)
        return np.asarray(log_signal - log_rate - np.log(observation.exposure)[:, None])

    def maximise(self, observation: Observation) -> Maximum:
        """Find the maximum for every sample.

        Parameters
        ----------
        observation : Observation
            Of n samples.

        Returns
        -------
        Maximum
            One row a sample.
        """
        starts = self.starts(observation)
        tried = [self.climb(observation, start, _FIRST_STEPS) for start in starts]
        heights = np.stack([self.height(one) for one in tried])
        best = np.where(np.isfinite(heights), heights, -np.inf).argmax(axis=0)
        z = np.stack([one.z for one in tried])[best, np.arange(len(best))]
        return self.climb(observation, z, _STEPS)

    @staticmethod
    def height(found: Maximum) -> Array:
        """Penalised log likelihood, shape (n,)."""
        return np.asarray(found.log_likelihood - 0.5 * (found.z[:, :-1] ** 2).sum(axis=1))

    def starts(self, observation: Observation) -> tuple[Array, Array]:
        """Choose two starts for each sample by weighted least squares over the library; each of shape (n, d).

        Parameters
        ----------
        observation : Observation
            Of n samples.

        Returns
        -------
        tuple of ndarray
            Coordinates of the best spectrum, and of the best among those that are unlike it.
        """
        unit, rate = self.library
        excess = observation.counts - observation.background
        common = observation.background_common * observation.background
        relative = np.maximum(observation.response_error, _TOLERANCE)
        variance = np.maximum(np.maximum(observation.counts, observation.background), 1.0)
        variance = variance + (relative * excess) ** 2 + (observation.background_own * observation.background) ** 2
        weight = observation.is_read / variance
        # Least squares in the signal and in y, whose own term adds 1: y is eliminated first.
        level = (weight * common**2).sum(axis=1, keepdims=True) + 1.0
        level_data = (weight * common * excess).sum(axis=1, keepdims=True)
        level_rate = (weight * common) @ rate.T
        curvature = weight @ (rate**2).T - level_rate**2 / level
        slope = (weight * excess) @ rate.T - level_rate * level_data / level
        low, high = _signal_range(observation)
        signal = np.clip(slope / np.maximum(curvature, 1e-300), np.exp(low)[:, None], np.exp(high)[:, None])
        score = signal * (signal * curvature - 2.0 * slope) + (ndtri(unit) ** 2).sum(axis=1)
        rows = np.arange(len(score))
        first = score.argmin(axis=1)
        # One of these is the library itself: nothing is unlike all that it holds.
        near = np.abs(unit[None] - unit[first][:, None]).max(axis=2) < _APART
        second = np.where(near, np.inf, score).argmin(axis=1)
        found = []
        for chosen in (first, second):
            best = signal[rows, chosen]
            y = (level_data[:, 0] - best * level_rate[rows, chosen]) / level[:, 0]
            share = (np.log(best) - low) / (high - low)
            z = [ndtri(np.clip(share, 0.02, 0.98)), ndtri(unit[chosen]).T, np.clip(y, -3.0, 3.0)]
            found.append(np.vstack(z).T)
        return found[0], found[1]

    def along_signal(self, observation: Observation, found: Maximum, step: Array) -> Array:
        """Penalised log likelihood along the signal, the other coordinates following as the covariance has it.

        Parameters
        ----------
        observation : Observation
            Of n samples.
        found : Maximum
            Theirs.
        step : ndarray, shape (m,)
            Steps in standard deviations of the first coordinate.

        Returns
        -------
        ndarray, shape (n, m)
            Less its value at the maximum.
        """
        column = found.covariance[:, :, 0]
        direction = column / np.sqrt(column[:, :1])
        line = found.z[:, None] + step[:, None] * direction[:, None]
        rows = np.repeat(np.arange(len(found.z)), len(step))
        z = line.reshape(len(rows), -1)
        height = self._at(observation[rows], z).log_likelihood - 0.5 * (z**2).sum(axis=1)
        return np.asarray(height.reshape(len(found.z), -1) - self.height(found)[:, None])

    def climb(self, observation: Observation, z: Array, n_steps: int) -> Maximum:
        """Climb by damped Fisher scoring.

        Parameters
        ----------
        observation : Observation
            Of n samples.
        z : ndarray, shape (n, d)
            Starts.
        n_steps : int
            Steps at most.

        Returns
        -------
        Maximum
            What is reached.

        References
        ----------
        Levenberg (1944), Q. Appl. Math. 2, 164, doi:10.1090/qam/10666; Marquardt (1963), J. SIAM 11, 431,
        doi:10.1137/0111030, with the expected information for the second derivatives.
        """
        n, size = z.shape
        z = z.copy()
        point = self._at(observation, z)
        penalised = point.log_likelihood - 0.5 * (z**2).sum(axis=1)
        gradient, information = self._derivatives(observation, z, point)
        damping = np.full(n, 1e-3)
        promise = np.full(n, np.inf)
        todo = np.arange(n)
        diagonal = np.arange(size)
        for _ in range(n_steps):
            slope = gradient[todo] - z[todo]
            matrix = information[todo] + np.eye(size)
            promise[todo] = 0.5 * (slope * _solve(matrix, slope)).sum(axis=1)
            unfinished = ~(promise[todo] < _ENOUGH)
            todo, slope, matrix = todo[unfinished], slope[unfinished], matrix[unfinished]
            if not todo.size:
                break
            matrix[:, diagonal, diagonal] *= 1.0 + damping[todo, None]
            step = _solve(matrix, slope)
            step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(np.abs(step).max(axis=1), 1e-300))[:, None]
            part, trial = observation[todo], z[todo] + step
            there = self._at(part, trial)
            value = there.log_likelihood - 0.5 * (trial**2).sum(axis=1)
            better = value >= penalised[todo]
            damping[todo] = np.where(
                better, np.maximum(0.2 * damping[todo], 1e-8), np.minimum(8.0 * damping[todo], 1e8)
            )
            if better.any():
                rows = todo[better]
                z[rows], penalised[rows] = trial[better], value[better]
                kept = _Point(*(getattr(there, name)[better] for name in _Point.__dataclass_fields__))
                gradient[rows], information[rows] = self._derivatives(part[better], trial[better], kept)
        end = self._at(observation, z)
        log_likelihood = end.log_likelihood - 0.5 * z[:, -1] ** 2
        misfit = z[:, -1] ** 2 + np.where(
            observation.is_read, deviance(observation.counts, end.mean, end.variance), 0.0
        ).sum(axis=1)
        # Where the damping has grown, the likelihood rises no further than its own rounding.
        has_converged = ((promise < UNFINISHED) | (damping > 1e6)) & np.isfinite(log_likelihood)
        return Maximum(z, information, log_likelihood, misfit, has_converged)

    def _relative(self, unit: Array) -> Array:
        log_rate = self.forward.log_rate(self.family, unit)
        return np.asarray(log_rate - _log_total(log_rate)[:, None])

    def _at(self, observation: Observation, z: Array) -> _Point:
        low, high = _signal_range(observation)
        log_signal = (low + ndtr(z[:, 0]) * (high - low))[:, None] + self._relative(ndtr(z[:, 1:-1]))
        signal = np.exp(log_signal)
        background = observation.background
        shift = np.maximum(1.0 + observation.background_common * z[:, -1:], 0.05)
        mean = np.maximum(signal + background * shift, 1e-12)
        variance = (observation.response_error * signal) ** 2 + (observation.background_own * background) ** 2
        terms = np.where(observation.is_read, channel_log_likelihood(observation.counts, mean, variance), 0.0)
        return _Point(mean, variance, signal, terms.sum(axis=1))

    def _derivatives(self, observation: Observation, z: Array, point: _Point) -> tuple[Array, Array]:
        """Gradient (n, d) of the log likelihood, and the expected information (n, d, d) of the counts."""
        n, size = z.shape
        low, high = _signal_range(observation)
        jacobian = np.zeros((n, size, point.mean.shape[1]))
        density = np.exp(-0.5 * z[:, 0] ** 2) / np.sqrt(2.0 * np.pi)
        jacobian[:, 0] = ((high - low) * density)[:, None]
        moved = np.repeat(z[:, None, 1:-1], size - 1, axis=1)
        index = np.arange(size - 2)
        moved[:, index + 1, index] += _DIFFERENCE
        there = self._relative(ndtr(moved.reshape(-1, size - 2))).reshape(n, size - 1, -1)
        jacobian[:, 1:-1] = (there[:, 1:] - there[:, :1]) / _DIFFERENCE
        signal, mean, variance = point.signal, point.mean, point.variance
        to_mean = jacobian * signal[:, None]
        is_free = 1.0 + observation.background_common * z[:, -1:] > 0.05
        to_mean[:, -1] = observation.background_common * observation.background * is_free
        by_mean, by_shape, shape = derivatives(observation.counts, mean, variance)
        # r = m^2 / v: through the mean, and through the part of v that the error of the response makes.
        spread = 2.0 * (observation.response_error * signal) ** 2 / np.maximum(variance, 1e-300)
        total = by_mean + by_shape * shape * 2.0 / mean
        gradient = to_mean * total[:, None] - jacobian * (by_shape * shape * spread)[:, None]
        weight = np.where(observation.is_read, 1.0 / (mean + variance), 0.0)
        information = np.einsum("nic,nc,njc->nij", to_mean, weight, to_mean)
        return np.where(observation.is_read[:, None], gradient, 0.0).sum(axis=2), information


def _signal_range(observation: Observation) -> tuple[Array, Array]:
    """Range of ln(signal counts in all channels), each of shape (n,)."""
    lowest = np.where(observation.is_read, observation.background, np.inf).min(axis=1)
    scale = np.maximum(np.where(np.isfinite(lowest), lowest, 1.0), 1.0)
    most = np.maximum(_STRONGEST * scale, _BRIGHTER * observation.counts.max(axis=1))
    return np.log(_WEAKEST * scale), np.log(most)


def _log_total(log_rate: Array) -> Array:
    """Logarithm of the sum over channels, shape (m,)."""
    return np.asarray(np.log(np.exp(log_rate).sum(axis=-1)))


def _solve(matrix: Array, vector: Array) -> Array:
    return np.asarray(np.linalg.solve(matrix, vector[..., None])[..., 0])
