r"""The posterior density of one sample's spectrum, of one form, that importance sampling draws from.

Coordinates are standard normal under the prior: z = Phi^-1(u) of every unit coordinate u of the form and of the
logarithm of the signal. The prior has then no edges for a draw to fall over, and where the counts say nothing the
posterior is a normal distribution.

The common error y of the background (see `particleflux.unfold.likelihood`) is drawn with them: given the spectrum, from
a normal distribution close to its own posterior. A fixed quadrature over y fails where the background counts are so
many that they tell y far better than its prior does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

from particleflux.simulate import Population
from particleflux.unfold._forward import Forward
from particleflux.unfold._importance import Array, Floats, resample, tempered
from particleflux.unfold.likelihood import channel_log_likelihood, expectation
from particleflux.unfold.observation import Observation

_LOG_2PI = float(np.log(2.0 * np.pi))
# Spectra of each form that are known beforehand, and signals that each is tried with.
_LIBRARY = 256
_SIGNALS = 24
# Steps from the library towards the counts; each at most so long, in standard deviations of the prior.
_STEPS = 5
_LONGEST_STEP = 0.7
_DIFFERENCE = 1e-4
# Draws of y from somewhat wider than what it is taken to be, so that no weight gets out of hand.
_WIDER = 1.15


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known before the counts, in coordinates that are standard normal under it.

    Attributes
    ----------
    population : Population
        Forms, their parameters, and signals.
    channels : tuple of str
        Of the observations.
    quiet_rate : float, s-1
        Quiet background of the reference channel, that signals are expressed in.
    """

    population: Population
    channels: tuple[str, ...]
    quiet_rate: float

    @cached_property
    def forward(self) -> Forward:
        """The forward model, of the reference channel and then those of the observations."""
        names = (self.population.reference_channel, *self.channels)
        unique = list(dict.fromkeys(names))
        return Forward(self.population.response.select(unique), self.population.parameters)

    @cached_property
    def columns(self) -> npt.NDArray[np.intp]:
        """Where the channels of the observations stand in the forward model; the reference channel stands first."""
        names = self.forward.response.channels
        return np.array([names.index(name) for name in self.channels], dtype=np.intp)

    @cached_property
    def log_signal(self) -> tuple[float, float]:
        """Lowest log signal, in signal counts per second of the reference channel, and the width of its range."""
        low, high = np.log(self.population.signal.low), np.log(self.population.signal.high)
        return float(low + np.log(self.quiet_rate)), float(high - low)

    def n_dims(self, family: str) -> int:
        """Count the coordinates: those of the form, and the signal."""
        return self.forward.n_parameters(family) + 1

    def log_rates(self, family: str, z: Array) -> tuple[Array, Array]:
        """Give log signal rates (m, channel) in s-1, and log intensities (m,), of coordinates (m, d)."""
        rate = self.forward.log_rate(family, ndtr(z[:, :-1]))
        low, width = self.log_signal
        log_intensity = low + width * ndtr(z[:, -1]) - rate[:, 0]
        return rate[:, self.columns] + log_intensity[:, None], log_intensity

    @cached_property
    def library(self) -> dict[str, tuple[Array, Floats]]:
        """Spectra of every form spread over its prior: coordinates (m, d - 1), log rates over the reference's."""
        result = {}
        for number, family in enumerate(self.population.families):
            sobol = qmc.Sobol(self.forward.n_parameters(family), rng=np.random.default_rng(number))
            unit = np.clip(sobol.random(_LIBRARY), 1e-9, 1 - 1e-9)
            rate = self.forward.log_rate(family, unit)
            result[family] = ndtri(unit), (rate[:, self.columns] - rate[:, :1]).astype(np.float32)
        return result


@dataclass(frozen=True, eq=False)
class Target:
    """The posterior of one sample, form by form.

    Attributes
    ----------
    prior : Prior
        What is known before.
    observation : Observation
        Of this one sample; only its channels that are read count.
    """

    prior: Prior
    observation: Observation

    @cached_property
    def _read(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.observation.is_read[0], dtype=bool)

    @cached_property
    def sample(self) -> Observation:
        """The sample without the channels that are not read."""
        whole, read = self.observation, self._read
        return Observation(
            whole.counts[:, read], whole.background[:, read], whole.background_error[:, read],
            whole.background_common[:, read], whole.response_error[:, read], whole.is_read[:, read], whole.exposure,
        )  # fmt: skip

    @cached_property
    def _common(self) -> Array:
        """Counts by which one standard deviation of y shifts each channel."""
        return np.asarray(self.sample.background_common[0] * self.sample.background[0])

    def signal(self, family: str, z: Array) -> tuple[Array, Array]:
        """Give signal counts (m, read channel) and log intensities (m,) of coordinates (m, d)."""
        log_rate, log_intensity = self.prior.log_rates(family, z)
        return self.sample.exposure[0] * np.exp(log_rate[:, self._read]), log_intensity

    def evaluate(self, family: str, z: Array, normal: Array) -> tuple[Array, Array, Array]:
        r"""Evaluate the unnormalised posterior, with y drawn.

        Parameters
        ----------
        family : str
            Form.
        z : ndarray, shape (m, d)
            Coordinates.
        normal : ndarray, shape (m,)
            Standard normal numbers to draw y with.

        Returns
        -------
        log_density : ndarray, shape (m,)
            :math:`\ln [L(n | z, y) \, N(z) \, N(y) / q(y | z)]`.
        level : ndarray, shape (m,)
            y.
        log_intensity : ndarray, shape (m,)
            Of the spectrum, natural logarithm.
        """
        signal, log_intensity = self.signal(family, z)
        log_density = -0.5 * (z**2).sum(axis=1) - 0.5 * z.shape[1] * _LOG_2PI
        level = np.zeros(len(z))
        if self._common.any():
            centre, width = self._level(signal)
            level = centre + width * normal
            log_density += -0.5 * level**2 + 0.5 * normal**2 + np.log(width)
        else:
            level = normal
        mean, variance = expectation(signal[None], self.sample, level[None])
        log_density += channel_log_likelihood(self.sample.counts, mean[0], variance[0]).sum(axis=1)
        return np.where(np.isfinite(log_density), log_density, -np.inf), level, log_intensity

    def _level(self, signal: Array) -> tuple[Array, Array]:
        """Guess the posterior of y given the spectrum, as centre and width, both of shape (m,)."""
        centre = np.zeros(len(signal))
        width = centre
        for _ in range(2):
            mean, variance = expectation(signal[None], self.sample, centre[None])
            weight = self._common / (mean[0] + variance[0])
            precision = 1.0 + weight @ self._common
            excess = self.sample.counts - mean[0] + centre[:, None] * self._common
            centre = np.clip((weight * excess).sum(axis=1) / precision, -4.0, 4.0)
            width = _WIDER / np.sqrt(precision)
        return centre, width

    def starts(self, family: str, n: int) -> Array:
        """Find spectra of the library, with signals, that go roughly with the counts; coordinates (n, d)."""
        z, ratio = self.prior.library[family]
        low, width = self.prior.log_signal
        share = (np.arange(_SIGNALS) + 0.5) / _SIGNALS
        sample = self.sample
        # Rough, and in single precision, which is several times as fast: the starts are led to the counts later.
        level = (np.exp(low + width * share) * sample.exposure[0]).astype(np.float32)
        signal = np.exp(ratio[:, self._read])[:, None] * level[:, None]
        counts = sample.counts[0].astype(np.float32)
        error = (sample.background_error[0] * sample.background[0]).astype(np.float32)
        mean = signal + (sample.background[0].astype(np.float32) + np.float32(1e-6))
        # The Poisson deviance, widened by the errors.
        spread = mean + error**2 + (sample.response_error[0].astype(np.float32) * signal) ** 2
        deviance = (counts * np.log(mean / np.maximum(counts, np.float32(1e-6))) - mean + counts) * (mean / spread)
        fit = (deviance - np.float32(0.5) * np.log(spread)).sum(axis=-1).ravel()
        weight = tempered(fit, 2.0 * n)
        chosen = resample(weight, n)
        # Anywhere within the cell of signals, in an order that has nothing to do with that of the cells.
        inside = (0.5 + np.arange(n) * 0.6180339887) % 1.0
        unit = (chosen % _SIGNALS + inside) / _SIGNALS
        return np.concatenate([z[chosen // _SIGNALS], ndtri(np.clip(unit, 1e-9, 1 - 1e-9))[:, None]], axis=1)

    def descend(self, family: str, z: Array, normal: Array) -> tuple[Array, Array]:
        """Lead spectra to the counts, each to counts a little other than those measured.

        Randomised maximum likelihood (Chen and Oliver 2012, doi:10.1007/s11004-011-9376-z) by Gauss-Newton steps: every
        spectrum ends where the data, scattered once more, would have it, and stays where it was in what they do not
        tell. The ends scatter about as the posterior does, bent or cut off as it may be.

        Parameters
        ----------
        family : str
            Form.
        z : ndarray, shape (m, d)
            Coordinates to start from.
        normal : ndarray, shape (m, channel)
            Standard normal numbers that scatter the counts; a column for every channel, read or not.

        Returns
        -------
        z : ndarray, shape (m, d)
            Where they end.
        covariance : ndarray, shape (m, d, d)
            Of the posterior there, were it normal.
        """
        n, n_dims = z.shape
        anchor = z.copy()
        counts, background = self.sample.counts[0], self.sample.background[0]
        own = self.sample.background_own[0] * background
        scatter = normal[:, self._read]
        shifts = _DIFFERENCE * np.eye(n_dims, k=-1)
        information = np.broadcast_to(np.eye(n_dims), (n, n_dims, n_dims))
        for _ in range(_STEPS):
            tried = (z[:, None] + shifts).reshape(-1, n_dims)
            signal = self.signal(family, tried)[0].reshape(n, n_dims, -1)
            # The last coordinate scales all channels alike: its slope needs no difference.
            growth = self.prior.log_signal[1] * np.exp(-0.5 * z[:, -1] ** 2) / np.sqrt(2.0 * np.pi)
            slope = np.concatenate(
                [(signal[:, 1:] - signal[:, :1]) / _DIFFERENCE, growth[:, None, None] * signal[:, :1]], axis=1
            )
            mean = signal[:, 0] + background
            variance = np.maximum(mean, counts) + own**2 + (self.sample.response_error[0] * signal[:, 0]) ** 2 + 1e-9
            std = np.sqrt(variance)
            residual = (counts - mean) / std + scatter
            slope = slope / std[:, None]
            # The common error: residuals along it are worth less, 1 / (1 + |b|^2).
            along = self._common / std
            square = 1.0 + (along**2).sum(axis=1)
            part = ((1.0 - 1.0 / np.sqrt(square)) / np.maximum(square - 1.0, 1e-12))[:, None]
            residual -= part * along * (along * residual).sum(axis=1, keepdims=True)
            slope -= part[:, None] * along[:, None] * (slope @ along[..., None])
            information = slope @ slope.transpose(0, 2, 1) + np.eye(n_dims)
            force = (slope @ residual[..., None])[..., 0] + anchor - z
            step = np.linalg.solve(information, force[..., None])[..., 0]
            longest = np.abs(step).max(axis=1, keepdims=True)
            z = np.clip(z + step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-12)), -6.0, 6.0)
        return z, np.asarray(np.linalg.inv(information), dtype=float)
