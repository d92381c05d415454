"""Draws of the posterior of one sample, over several spectral forms, by importance sampling that learns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr

from particleflux.unfold._importance import (
    Array,
    Numbers,
    StudentMixture,
    effective_size,
    fit_mixture,
    log_sum,
    normalised,
    tempered,
)
from particleflux.unfold._target import Prior, Target
from particleflux.unfold.observation import Observation

#: A sample whose draws are worth fewer than this is tried again, with twice as many draws of a proposal fitted anew.
ENOUGH = 400.0
_TRIALS = 3
# Kernels of the first proposal, and how wide they are: part of the covariance, as their centres scatter already.
_KERNELS = 24
_KERNEL_WIDTH = 0.7
# Draws of the first and second round for each dimension, and effective draws that a fit needs for each.
_FIRST, _SECOND = 64, 128
_FIT_DRAWS = 12.0
# Power of the weights that a fit is made to: below 1, so that it is wider than the posterior.
_FLATTER = 0.7
# Share of each proposal that the one before it keeps, in this many of its components: they reach into the ends of a
# bent posterior that the fit has cut short.
_OLD_SHARE = 0.2
_KEPT = 8
# A form whose evidence is below the best by this factor (natural logarithm) is not looked at more closely.
_HOPELESS = 12.0
# Least share of the draws that a form gets.
_LEAST_SHARE = 0.03


@dataclass(frozen=True)
class Draws:
    """Weighted draws of one sample's posterior, form after form.

    Attributes
    ----------
    counts : tuple of int
        Draws of each form, in the order of the arrays.
    coordinates : tuple of ndarray, shape (m_form, d)
        Of each form's draws, as in `Prior`.
    log_intensity : ndarray, shape (m,)
        Of the spectra, natural logarithm.
    level : ndarray, shape (m,)
        Common error of the background.
    weight : ndarray, shape (m,)
        Of sum 1.
    form_weight : ndarray, shape (form,)
        Posterior probability of each form.
    effective : float
        Equally weighted draws that these are worth; 0 where none has a weight.
    """

    counts: tuple[int, ...]
    coordinates: tuple[Array, ...]
    log_intensity: Array
    level: Array
    weight: Array
    form_weight: Array
    effective: float


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws posteriors.

    Attributes
    ----------
    prior : Prior
        What is known before.
    n_draws : int
        Draws of all forms together.
    seed : int
        Of the quasi-random numbers, which are the same for every sample.
    """

    prior: Prior
    n_draws: int
    seed: int

    @cached_property
    def _numbers(self) -> dict[str, Numbers]:
        """Quasi-random numbers for each form: two rounds of learning, and every trial."""
        families = self.prior.population.families
        # A form may get all draws; the second and third trials take twice and four times as many.
        whole = self.n_draws * (2**_TRIALS - 1) + len(families) * _TRIALS
        result = {}
        for number, family in enumerate(families):
            n_dims = self.prior.n_dims(family)
            total = (_FIRST + _SECOND) * n_dims + whole
            result[family] = Numbers.sobol(n_dims, total, self.seed * len(families) + number)
        return result

    @cached_property
    def _scatter(self) -> Array:
        """Normal numbers that scatter the counts for the first proposal, shape (kernel, channel)."""
        return np.random.default_rng(self.seed).standard_normal((_KERNELS, len(self.prior.channels)))

    def prepare(self) -> None:
        """Work out what all samples share, before threads ask for it at once."""
        _ = self._numbers, self._scatter, self.prior.library

    def draw(self, observation: Observation) -> Draws:
        """Draw the posterior of one sample.

        Parameters
        ----------
        observation : Observation
            Of one sample.

        Returns
        -------
        Draws
            Weighted draws.
        """
        target = Target(self.prior, observation)
        families = self.prior.population.families
        first = [self._first(target, family) for family in families]
        best = max(log_evidence for _, log_evidence in first)
        proposals, evidence = [], []
        for family, (proposal, log_evidence) in zip(families, first, strict=True):
            if log_evidence > best - _HOPELESS:
                n_dims = self.prior.n_dims(family)
                numbers = self._numbers[family].part(_FIRST * n_dims, (_FIRST + _SECOND) * n_dims)
                proposal, log_evidence = self._learn(target, family, proposal, numbers)
            proposals.append(proposal)
            evidence.append(log_evidence)
        done, trial = 0, 0
        while True:
            n_draws = self.n_draws * 2**trial
            share = np.maximum(normalised(np.array(evidence)), _LEAST_SHARE)
            counts = np.ceil(n_draws * share / share.sum()).astype(int)
            draws, parts = self._final(target, proposals, counts, done)
            if draws.effective >= ENOUGH or trial == _TRIALS - 1:
                return draws
            trial += 1
            done += n_draws + len(families)
            for index, (points, log_weight) in enumerate(parts):
                evidence[index] = float(log_sum(log_weight)) - np.log(len(points))
                fitted = self._fit(points, log_weight)
                proposals[index] = fitted.joined(proposals[index], _OLD_SHARE)

    def _first(self, target: Target, family: str) -> tuple[StudentMixture, float]:
        """Give a proposal fitted to draws about spectra that were led to the counts, and the log evidence."""
        starts = target.starts(family, _KERNELS)
        centre, covariance = target.descend(family, starts, self._scatter)
        kernels = StudentMixture.of_covariance(np.full(_KERNELS, 1.0 / _KERNELS), centre, _KERNEL_WIDTH * covariance)
        return self._learn(target, family, kernels, self._numbers[family].part(0, _FIRST * starts.shape[1]))

    def _learn(
        self, target: Target, family: str, proposal: StudentMixture, numbers: Numbers
    ) -> tuple[StudentMixture, float]:
        """Draw of a proposal and fit the next one to the draws; the evidence is told by the draws."""
        points = proposal.draw(numbers)
        log_weight = target.evaluate(family, points, numbers.extra)[0] - proposal.log_density(points)
        log_evidence = float(log_sum(log_weight)) - np.log(len(points))
        rest = proposal.thinned(_KEPT)
        return self._fit(points, log_weight).joined(rest, _OLD_SHARE), log_evidence

    def _fit(self, points: Array, log_weight: Array) -> StudentMixture:
        n_dims = points.shape[1]
        return fit_mixture(points, tempered(_FLATTER * log_weight, _FIT_DRAWS * n_dims), 2 * (n_dims - 1))

    def _final(
        self, target: Target, proposals: list[StudentMixture], counts: Array, start: int
    ) -> tuple[Draws, list[tuple[Array, Array]]]:
        """Draw of every form's proposal, and put the draws together by the forms' evidence."""
        families = self.prior.population.families
        coordinates, weights, levels, intensities, evidence = [], [], [], [], []
        for family, proposal, count in zip(families, proposals, counts, strict=True):
            begin = (_FIRST + _SECOND) * self.prior.n_dims(family) + start
            numbers = self._numbers[family].part(begin, begin + int(count))
            points = proposal.draw(numbers)
            log_density, level, log_intensity = target.evaluate(family, points, numbers.extra)
            log_weight = log_density - proposal.log_density(points)
            evidence.append(float(log_sum(log_weight)) - np.log(len(points)))
            coordinates.append(points)
            weights.append(log_weight)
            levels.append(level)
            intensities.append(log_intensity)
        together = np.concatenate([item - np.log(len(item)) for item in weights])
        weight = np.asarray(normalised(together), dtype=float)
        effective = effective_size(weight) if np.isfinite(together).any() else 0.0
        draws = Draws(
            tuple(len(item) for item in coordinates), tuple(coordinates), np.concatenate(intensities),
            np.concatenate(levels), weight, np.asarray(normalised(np.array(evidence)), dtype=float), effective,
        )  # fmt: skip
        return draws, list(zip(coordinates, weights, strict=True))

    def spectra(
        self, draws: Draws, energies: tuple[float, ...], thresholds: tuple[float, ...]
    ) -> tuple[Array, Array, Array]:
        """Evaluate the spectra of the draws that have a weight.

        Parameters
        ----------
        draws : Draws
            Of one sample.
        energies, thresholds : tuple of float, MeV
            Where flux and integral flux are wanted.

        Returns
        -------
        weight : ndarray, shape (k,)
            Of the draws kept; all but one part in 1e6 of the weight.
        log_flux : ndarray, shape (k, energy)
            Natural logarithm of the flux.
        log_integral : ndarray, shape (k, threshold)
            Of the integral flux.
        """
        kept = draws.weight > 1e-6 / len(draws.weight)
        forward = self.prior.forward
        log_flux, log_integral = [], []
        start = 0
        for family, points in zip(self.prior.population.families, draws.coordinates, strict=True):
            unit = ndtr(points[kept[start : start + len(points)], :-1])
            log_flux.append(forward.log_flux(family, unit, energies))
            log_integral.append(forward.log_integral(family, unit, thresholds))
            start += len(points)
        scale = draws.log_intensity[kept, None]
        weight = draws.weight[kept]
        return weight / weight.sum(), np.concatenate(log_flux) + scale, np.concatenate(log_integral) + scale
