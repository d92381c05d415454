"""Counts for spectra of several forms at once, of one species or of two: what no single form is right for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from particleflux.errors import AxisError, DataError
from particleflux.response import Response
from particleflux.simulate.draw import make_form
from particleflux.simulate.ranges import EXPOSURE, MIXTURE_PARAMETERS, Range
from particleflux.spectra import FORMS, SpectralForm

Array = npt.NDArray[np.float64]

#: Forms that methods are trained on and average over; the Weibull form is kept from them, to test the unknown.
FAMILIES = ("rolling-power-law", "band", "double-power-law", "power-law")
#: Forms that serve as test only.
HELD_OUT_FAMILIES = ("weibull",)
# What an observation is drawn from: signals from far below the background to 1e5 times it, accumulations of a minute to
# a day, and errors from none to so large that a channel says little.
_SIGNAL = Range(1e-3, 1e5, log=True)
_LEVEL = Range(0.5, 1.5, log=True, zero=0.03)
_BACKGROUND_ERROR = Range(0.003, 0.3, log=True, zero=0.05)
_COMMON_SHARE = Range(0.0, 1.0)
_RESPONSE_ERROR = Range(0.01, 0.2, log=True, zero=0.1)
# Some channels have a response that is known to be worse than the others'.
_ODD_ERROR, _ODD_SHARE = Range(0.2, 0.6), 0.06
# Below this a flux counts as none: its logarithm stays finite.
_TINY = 1e-300


@dataclass(frozen=True)
class Population:
    """Particles of one species: which spectra they have, and how strong they are.

    Attributes
    ----------
    response : Response
        Of the channels, to this species.
    reference_channel : str
        The channel in which `signal` is expressed.
    signal : Range
        Expected signal over the quiet background in the reference channel.
    families : tuple of str
        Forms, all of equal weight.
    parameters : mapping of str to mapping of str to Range
        Of the forms, without the intensity; by default `MIXTURE_PARAMETERS`.
    """

    response: Response
    reference_channel: str
    signal: Range = _SIGNAL
    families: tuple[str, ...] = FAMILIES
    parameters: Mapping[str, Mapping[str, Range]] = field(default_factory=lambda: MIXTURE_PARAMETERS)

    def __post_init__(self) -> None:
        """Refuse forms and channels that are not known."""
        if unknown := [name for name in self.families if name not in FORMS or name not in self.parameters]:
            msg = f"unknown spectral forms {unknown}: expected some of {sorted(FORMS)}, each with its parameters"
            raise DataError(msg)
        if not self.families:
            msg = f"no spectral form given: expected some of {sorted(FORMS)}"
            raise DataError(msg)
        if self.reference_channel not in self.response.channels:
            msg = (
                f"reference channel {self.reference_channel!r}: the response knows {list(self.response.channels)}; "
                "name one of these"
            )
            raise AxisError(msg)

    def draw_shapes(self, n: int, rng: np.random.Generator) -> list[tuple[npt.NDArray[np.intp], SpectralForm, Array]]:
        """Draw spectra, each form alike often.

        Parameters
        ----------
        n : int
            Spectra.
        rng : Generator
            Source of all randomness.

        Returns
        -------
        list of (rows, form, rate)
            For each of `families`: which of the n samples, their spectra of intensity 1 (parameters of shape (k, 1)),
            and the count rates of all channels (k, channel) in s-1.
        """
        family = rng.integers(len(self.families), size=n)
        drawn = []
        for index, name in enumerate(self.families):
            rows = np.flatnonzero(family == index)
            shape = {key: value.draw(rng, len(rows)) for key, value in self.parameters[name].items()}
            form = make_form(name, np.ones(len(rows)), shape)
            rate = self.response.fold_form(form).to_numpy().reshape(len(rows), -1) if len(rows) else np.empty((0, 0))
            drawn.append((rows, form, rate))
        return drawn


@dataclass(frozen=True)
class MixtureDraw:
    """Bare numbers of n simulated samples of a `Mixture`; s species, c channels.

    Attributes
    ----------
    family : ndarray of int, shape (n, s)
        Index into the families of each population.
    log_flux : list of ndarray, shape (n, energy)
        Natural logarithm of the true flux of each population, at the energies asked for.
    log_integral : list of ndarray, shape (n, threshold)
        Of the true integral flux.
    log_signal : ndarray, shape (n, s)
        Of the expected signal over the quiet background in the reference channel.
    signal : ndarray, shape (n, s, c)
        Expected signal counts as the response has it.
    exposure, counts, background, background_error, background_common, response_error : ndarray
        As in `particleflux.unfold.observation.Observation`.
    """

    family: npt.NDArray[np.intp]
    log_flux: list[Array]
    log_integral: list[Array]
    log_signal: Array
    signal: Array
    exposure: Array
    counts: Array
    background: Array
    background_error: Array
    background_common: Array
    response_error: Array


@dataclass(frozen=True)
class Mixture:
    r"""Simulated counts of all channels, from spectra of several forms.

    .. math:: n_i \sim \mathrm{Poisson}\big(S_i (1 + \sigma z_i) + B_i (1 + c_i y + o_i y_i)\big)

    with the folded signal S of all populations, the background B as the method will be told it, the error of the
    response sigma, that of the background, of which c is common to all channels and o each channel's own, and standard
    normal numbers z_i, y_i (each channel its own) and y (common); 1 + sigma z is gamma distributed, and a background
    never falls below a twentieth. The classical methods integrate over the same errors
    (`particleflux.unfold.likelihood`).

    Attributes
    ----------
    populations : tuple of Population
        One for each species; responses of the same channels.
    background_rate : mapping of str to float, s-1
        Quiet background of every channel.
    exposure : Range
        s.
    background_level : Range
        Modulation of the background, known to the method.
    background_scatter : float
        Standard deviation of the logarithm of each channel's own departure from it, known as well.
    background_error : Range
        Relative error of the background that the method is told; each channel scatters about it.
    background_error_scatter : float
        Standard deviation of the logarithm of that scatter.
    common_share : Range
        Share of the background's variance that is common to the channels; each channel has from none to all of it.
    response_error : Range
        Relative error of the response, that of every channel but a few, which are worse.
    channel_errors : mapping of str to float
        What single channels are known to have beyond it: in half of the samples.
    """

    populations: tuple[Population, ...]
    background_rate: Mapping[str, float]
    exposure: Range = EXPOSURE
    background_level: Range = _LEVEL
    background_scatter: float = 0.15
    background_error: Range = _BACKGROUND_ERROR
    background_error_scatter: float = 0.6
    common_share: Range = _COMMON_SHARE
    response_error: Range = _RESPONSE_ERROR
    channel_errors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse populations whose channels differ."""
        channels = {population.response.channels for population in self.populations}
        if len(channels) != 1:
            msg = f"populations with the channels {sorted(channels)}: expected one set of channels for all"
            raise AxisError(msg)
        if missing := [name for name in self.channels if name not in self.background_rate]:
            msg = f"no background rate for the channels {missing}: give one for every channel"
            raise AxisError(msg)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the simulated channels."""
        return self.populations[0].response.channels

    def draw(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        energies: Sequence[Sequence[float]],
        thresholds: Sequence[Sequence[float]],
    ) -> MixtureDraw:
        """Draw n independent samples.

        Parameters
        ----------
        n : int
            Samples.
        rng : Generator
            Source of all randomness.
        energies, thresholds : sequence of sequences of float, MeV
            For each population, where its truth is wanted.

        Returns
        -------
        MixtureDraw
            Arrays of n samples.
        """
        n_channels = len(self.channels)
        quiet = np.array([self.background_rate[name] for name in self.channels])
        exposure = self.exposure.draw(rng, n)
        family = np.empty((n, len(self.populations)), dtype=np.intp)
        signal = np.empty((n, len(self.populations), n_channels))
        log_signal = np.empty((n, len(self.populations)))
        log_flux, log_integral = [], []
        for index, population in enumerate(self.populations):
            reference = self.channels.index(population.reference_channel)
            strength = population.signal.draw(rng, n)
            log_signal[:, index] = np.log(strength)
            flux = np.empty((n, len(energies[index])))
            integral = np.empty((n, len(thresholds[index])))
            for number, (rows, form, rate) in enumerate(population.draw_shapes(n, rng)):
                if not rows.size:
                    continue
                intensity = strength[rows] * quiet[reference] / rate[:, reference]
                family[rows, index] = number
                signal[rows, index] = rate * (intensity * exposure[rows])[:, None]
                scale = np.log(intensity)[:, None]
                flux[rows] = np.log(np.maximum(form.flux(np.array(energies[index])), _TINY)) + scale
                above = form.integral(np.array(thresholds[index]), np.inf)
                integral[rows] = np.log(np.maximum(above, _TINY)) + scale
            log_flux.append(flux)
            log_integral.append(integral)

        shape = (n, n_channels)
        background = exposure[:, None] * quiet * self.background_level.draw(rng, n)[:, None]
        background *= np.exp(self.background_scatter * rng.standard_normal(shape))
        error = self.background_error.draw(rng, n)[:, None]
        error = np.minimum(
            error * np.exp(self.background_error_scatter * rng.standard_normal(shape)), self.background_error.high
        )
        # A channel may follow the common level wholly, in part or not at all.
        share = self.common_share.draw(rng, n)[:, None] * rng.beta(2.0, 0.7, size=shape)
        common = error * np.sqrt(share)
        own = np.sqrt(error**2 - common**2)
        sigma = np.repeat(self.response_error.draw(rng, n)[:, None], n_channels, axis=1)
        odd = rng.uniform(size=shape) < _ODD_SHARE * (self.response_error.high > 0)
        sigma[odd] = np.hypot(sigma[odd], _ODD_ERROR.draw(rng, int(odd.sum())))
        known = np.array([self.channel_errors.get(name, 0.0) for name in self.channels])
        sigma = np.hypot(sigma, known * (rng.uniform(size=(n, 1)) < 0.5)) if known.any() else sigma
        drift = 1.0 + common * rng.standard_normal((n, 1)) + own * rng.standard_normal(shape)
        # Gamma distributed, as the likelihood has it: a channel with a large error still counts.
        spread = np.maximum(sigma, 1e-6) ** 2
        gain = np.where(sigma > 0, rng.gamma(1.0 / spread) * spread, 1.0)
        mean = signal.sum(axis=1) * gain + background * np.maximum(drift, 0.05)
        # A Poisson generator counts in 64-bit integers; beyond 1e15 its noise is nothing to the numbers' own rounding.
        counts = rng.poisson(np.minimum(mean, 1e15)).astype(float)
        return MixtureDraw(
            family, log_flux, log_integral, log_signal, signal, exposure, counts, background, error, common,
            sigma,
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Write the prior down as JSON.

        Returns
        -------
        dict
            Ranges as dictionaries of low, high, log and zero.
        """
        own = {
            item.name: dataclasses.asdict(getattr(self, item.name))
            for item in dataclasses.fields(self)
            if isinstance(getattr(self, item.name), Range)
        }
        populations = [
            {
                "species": population.response.species,
                "response_sha256": population.response.digest,
                "reference_channel": population.reference_channel,
                "signal": dataclasses.asdict(population.signal),
                "families": {
                    name: {key: dataclasses.asdict(value) for key, value in population.parameters[name].items()}
                    for name in population.families
                },
            }
            for population in self.populations
        ]
        return {
            "populations": populations,
            "background_rate": {name: self.background_rate[name] for name in self.channels},
            "background_scatter": self.background_scatter,
            "background_error_scatter": self.background_error_scatter,
            "channel_errors": dict(self.channel_errors),
            **own,
        }
