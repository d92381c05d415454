"""The exact posterior of a spectrum of unknown form: the yardstick for every other method."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import ndtr

from particleflux.errors import AxisError, DataError
from particleflux.instruments import Instrument
from particleflux.names import UNUSABLE, Quality
from particleflux.simulate import FAMILIES, Population
from particleflux.unfold._importance import Array, resample, weighted_quantiles
from particleflux.unfold._sampler import Draws, Sampler
from particleflux.unfold._target import Prior, Target
from particleflux.unfold.detector import Detector
from particleflux.unfold.labels import DEFAULT_ENERGIES, DEFAULT_THRESHOLDS, label_spectra
from particleflux.unfold.likelihood import expectation
from particleflux.unfold.observation import Observation
from particleflux.unfold.processors import n_processors
from particleflux.unfold.targets import QUANTILES

#: Weighted draws worth fewer than this are no posterior: the sample is flagged EXTRAPOLATED.
LEAST_EFFECTIVE = 50.0
# Counts made anew to judge the fit by.
_REPLICATES = 512
# A posterior that lies in this uppermost part of the signals is cut off by the prior.
_HIGHEST_SIGNALS = 0.995


class SamplePosterior(NamedTuple):
    """What is found of one sample.

    Attributes
    ----------
    log_flux, log_integral : ndarray, shape (5, energy) and (5, threshold)
        Quantiles of the natural logarithm.
    form_weight : ndarray, shape (form,)
        Posterior probability of each form.
    effective : float
        Equally weighted draws that the weighted ones are worth.
    fit_probability : float
        Posterior-predictive probability of a worse fit.
    log_samples : ndarray, shape (sample, energy)
        Equally weighted joint draws of the log flux.
    is_beyond : bool
        Whether the prior's strongest signals cut the posterior off.
    """

    log_flux: Array
    log_integral: Array
    form_weight: Array
    effective: float
    fit_probability: float
    log_samples: Array
    is_beyond: bool


@dataclass(frozen=True, eq=False)
class BayesUnfolder:
    r"""The exact posterior under a stated prior, averaged over the spectral forms by their evidence.

    .. math::
        p(f | n) = \sum_k p(k | n) \, p(f | n, k), \qquad
        p(k | n) \propto \int L(n | \theta) \, p(\theta | k) \, d\theta

    The prior is that of `particleflux.simulate.Mixture`, given by the same `Population`: all forms alike probable,
    their parameters uniform over their ranges (in the logarithm where the range says so), and the logarithm of the
    signal uniform. The likelihood is that of `particleflux.unfold.likelihood`: counting, and the errors of background
    and response, all integrated over. Draws of the posterior are made by adaptive importance sampling; what they are
    worth is told as `effective_draws`.

    Attributes
    ----------
    detector : Detector
        What is known of the instrument; its `response_error` is that of the likelihood.
    population : Population
        The prior; its response must know the reference channel and those of the detector.
    quiet_rate : float, s-1
        Quiet background of the reference channel, which the prior's signals are multiples of.
    energies : tuple of float, MeV
        Where the flux is wanted.
    thresholds : tuple of float, MeV
        Above which it is integrated.
    n_draws : int
        Draws of each sample; some more are made while the sampling learns, and twice and four times as many where
        they turn out to be worth less than 400.
    samples : int
        Equally weighted joint draws to give as `flux_sample`; 0 for none.
    seed : int
        Of the quasi-random numbers, the same for every sample: a result does not depend on the samples beside it.

    References
    ----------
    Cappe et al. (2008), Adaptive importance sampling in general mixture classes, Statistics and Computing 18, 447,
    doi:10.1007/s11222-008-9059-x; Hoeting et al. (1999), Bayesian model averaging, Statist. Sci. 14, 382,
    doi:10.1214/ss/1009212519.
    """

    detector: Detector
    population: Population
    quiet_rate: float
    energies: tuple[float, ...] = DEFAULT_ENERGIES
    thresholds: tuple[float, ...] = DEFAULT_THRESHOLDS
    n_draws: int = 4096
    samples: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that no posterior can be drawn with."""
        known = self.population.response
        if missing := [name for name in self.detector.channels if name not in known.channels]:
            msg = (
                f"the population's response lacks the channels {missing} of the detector: it knows "
                f"{list(known.channels)}; give a population of the detector's response"
            )
            raise AxisError(msg)
        if known.species != self.detector.response.species:
            msg = (
                f"a population of species {known.species!r} for a detector of {self.detector.response.species!r}: "
                "give both the same"
            )
            raise DataError(msg)
        if known.select(self.detector.channels).digest != self.detector.response.digest:
            msg = (
                "the population's response differs from the detector's: the prior would be of another instrument; "
                "make both of one response"
            )
            raise DataError(msg)
        if not (np.isfinite(self.quiet_rate) and self.quiet_rate > 0):
            msg = (
                f"quiet_rate is {self.quiet_rate:g} s-1, expected a rate above 0: the prior's signals are multiples "
                "of it; give that of the reference channel"
            )
            raise DataError(msg)
        if self.n_draws < 256 or self.samples < 0:
            msg = (
                f"n_draws is {self.n_draws} and samples {self.samples}, expected at least 256 and 0: fewer draws are "
                "worth nothing"
            )
            raise DataError(msg)
        for values, what in ((self.energies, "energies"), (self.thresholds, "thresholds")):
            if not (values and np.isfinite(values).all() and min(values) > 0):
                msg = f"{what} are {values}, expected positive energies in MeV; correct them"
                raise DataError(msg)

    @classmethod
    def of_instrument(
        cls,
        instrument: Instrument,
        *,
        species: str = "proton",
        channels: tuple[str, ...] | None = None,
        response_error: float = 0.05,
        reference_channel: str = "",
        families: tuple[str, ...] = FAMILIES,
        energies: tuple[float, ...] = DEFAULT_ENERGIES,
        thresholds: tuple[float, ...] = DEFAULT_THRESHOLDS,
        n_draws: int = 4096,
        samples: int = 0,
        seed: int = 0,
    ) -> BayesUnfolder:
        """Take response and prior from an instrument.

        Parameters
        ----------
        instrument : Instrument
            Its first configuration is used.
        species : {"proton"}
            The particles. Channels that count electrons count protons as well, which needs both at once: see `npe`.
        channels : tuple of str, optional
            Channels to read; by default those the instrument reads for the species.
        response_error : float
            Relative standard error of the response.
        reference_channel : str
            That the prior's signals are expressed in; by default the first that the instrument reads for the species.
        families : tuple of str
            Spectral forms, all of equal prior probability.
        energies, thresholds : tuple of float, MeV
            Where flux and integral flux are wanted.
        n_draws, samples, seed : int
            As the fields.

        Returns
        -------
        BayesUnfolder
            Ready to unfold.

        Raises
        ------
        DataError
            If the species is another.
        """
        if species != "proton":
            msg = (
                f"species is {species!r}, expected 'proton': the posterior is of one species, and channels that count "
                "electrons count protons too; use the method npe"
            )
            raise DataError(msg)
        detector = Detector.of_instrument(instrument, species=species, channels=channels, response_error=response_error)
        reference = reference_channel or instrument.reads[species][0]
        response = instrument.response(species, instrument.configurations[0].number)
        response = response.select(list(dict.fromkeys((*detector.channels, reference))))
        population = Population(response, reference, families=families)
        quiet_rate = instrument.quiet_rate[reference]
        return cls(detector, population, quiet_rate, energies, thresholds, n_draws, samples, seed)

    @property
    def trained_for(self) -> str | None:
        """None: the method takes any response."""
        return None

    @cached_property
    def _sampler(self) -> Sampler:
        prior = Prior(self.population, self.detector.channels, self.quiet_rate)
        sampler = Sampler(prior, self.n_draws, self.seed)
        sampler.prepare()
        return sampler

    def unfold(
        self, counts: xr.Dataset, background: xr.Dataset, *, progress: Callable[[int, int], None] | None = None
    ) -> xr.Dataset:
        """Turn counts into spectra.

        Parameters
        ----------
        counts : Dataset
            `counts` (time, channel), `exposure` (time) in s, `quality` (time); channels in any order, some may be
            missing.
        background : Dataset
            `background_rate` and `background_rate_std` in s-1, dims (channel) or (time, channel).
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        Dataset
            `flux` and `integral_flux` as medians with 68 % and 95 % intervals; `fit_probability` (time);
            `form_weight` (time, form), the posterior probability of each form; `effective_draws` (time);
            `flux_sample` where asked for; `quality` (time). Where nothing stands above the background
            (BELOW_DETECTION) the posterior is the prior, cut off by the data: read its upper bounds as limits. Fewer
            than 50 effective draws, or a signal above the prior's strongest, are flagged EXTRAPOLATED.

        Raises
        ------
        AxisError
            If too few channels are there, or the background's times are others than those of the counts.
        UnitError
            If a unit is absent or another one.
        DataError
            If the counts are of another instrument, or known to be of other particles.
        """
        observation, quality = self.detector.observe(counts, background)
        n, n_levels, families = len(quality), len(QUANTILES), self.population.families
        flux = np.full((n, n_levels, len(self.energies)), np.nan)
        integral = np.full((n, n_levels, len(self.thresholds)), np.nan)
        form_weight = np.full((n, len(families)), np.nan)
        effective, probability = np.full(n, np.nan), np.full(n, np.nan)
        samples = np.full((n, self.samples, len(self.energies)), np.nan) if self.samples else None
        usable = np.flatnonzero((quality & int(UNUSABLE)) == 0)
        _ = self._sampler

        def fill(row: int) -> None:
            found = self.posterior(observation[np.array([row])])
            effective[row] = found.effective
            if found.effective < LEAST_EFFECTIVE or found.is_beyond:
                quality[row] |= int(Quality.EXTRAPOLATED)
            if not (np.isfinite(found.log_flux).all() and np.isfinite(found.log_integral).all()):
                quality[row] |= int(Quality.EXTRAPOLATED | Quality.NOT_PROCESSED)
                return
            flux[row], integral[row] = np.exp(found.log_flux), np.exp(found.log_integral)
            form_weight[row], probability[row] = found.form_weight, found.fit_probability
            if samples is not None:
                samples[row] = np.exp(found.log_samples)

        with ThreadPoolExecutor(n_processors()) as pool:
            for done, _nothing in enumerate(pool.map(fill, usable), start=1):
                if progress is not None:
                    progress(done, len(usable))
        result = label_spectra(
            counts,
            quality,
            self.energies,
            flux,
            self.thresholds,
            integral,
            fit_probability=probability,
            samples=samples,
            method="bayes",
            species=self.population.response.species,
            instrument=self.detector.instrument,
            response_error=self.detector.response_error,
            n_draws=self.n_draws,
            seed=self.seed,
            reference_channel=self.population.reference_channel,
        )
        result = result.assign_coords(form=list(families))
        weights_are = {"units": "1", "long_name": "posterior probability of the spectral form"}
        draws_are = {"units": "1", "long_name": "equally weighted draws that the posterior's draws are worth"}
        result["form_weight"] = (("time", "form"), form_weight, weights_are)
        result["effective_draws"] = ("time", effective, draws_are)
        return result

    def posterior(self, observation: Observation) -> SamplePosterior:
        """Find the posterior of one sample.

        Parameters
        ----------
        observation : Observation
            Of one sample that can be used, in the detector's channels. Its errors are used as they are.

        Returns
        -------
        SamplePosterior
            Quantiles, weights of the forms, and how well all is known; NaN where no draw had a weight.
        """
        draws = self._sampler.draw(observation)
        if draws.effective == 0.0:
            shape = (len(QUANTILES), len(self.energies)), (len(QUANTILES), len(self.thresholds))
            empty = [np.full(item, np.nan) for item in shape]
            lost = np.full((self.samples, len(self.energies)), np.nan)
            return SamplePosterior(empty[0], empty[1], np.full(len(draws.counts), np.nan), 0.0, np.nan, lost, False)
        weight, log_flux, log_integral = self._sampler.spectra(draws, self.energies, self.thresholds)
        rng = np.random.default_rng(self.seed)
        chosen = rng.permutation(resample(weight, self.samples)) if self.samples else np.empty(0, dtype=np.intp)
        share = ndtr(np.concatenate([points[:, -1] for points in draws.coordinates]))
        return SamplePosterior(
            weighted_quantiles(log_flux, weight, QUANTILES),
            weighted_quantiles(log_integral, weight, QUANTILES),
            draws.form_weight,
            draws.effective,
            self._judge(observation, draws, rng),
            log_flux[chosen],
            bool(draws.weight @ share > _HIGHEST_SIGNALS),
        )

    def _judge(self, observation: Observation, draws: Draws, rng: np.random.Generator) -> float:
        r"""Give the posterior-predictive probability of a worse fit.

        Counts are made anew from draws of the posterior, the channels' own errors with them, and the discrepancy
        :math:`T = \sum_i (n_i - m_i)^2 / (m_i + v_i)` of both from each draw's mean m and its variance v is compared
        (Gelman, Meng and Stern 1996, Statistica Sinica 6, 733). The same counts chose the draws: of correct models
        fewer than 5 % get below 0.05.
        """
        target = Target(self._sampler.prior, observation)
        chosen = resample(draws.weight, _REPLICATES)
        signals = []
        start = 0
        for family, points in zip(self.population.families, draws.coordinates, strict=True):
            rows = chosen[(chosen >= start) & (chosen < start + len(points))] - start
            signals.append(target.signal(family, points[rows])[0])
            start += len(points)
        sample = target.sample
        mean, variance = (
            item[0] for item in expectation(np.concatenate(signals)[None], sample, draws.level[chosen][None])
        )
        # The channels' own errors as the likelihood has them: means that follow a gamma distribution.
        size = mean * (mean / np.maximum(variance, 1e-12 * mean))
        wobble = np.where(variance > 0, rng.standard_gamma(size) / size, 1.0)
        again = rng.poisson(np.minimum(mean * wobble, 1e15))
        spread = mean + variance
        worse = ((again - mean) ** 2 / spread).sum(axis=1) - ((sample.counts - mean) ** 2 / spread).sum(axis=1)
        return float((worse >= 0).mean())
