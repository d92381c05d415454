"""Regularised unfolding: the smoothest spectrum that the counts allow, by Tikhonov's method, or MLEM and GRAVEL."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import chdtrc

from particleflux.errors import DataError
from particleflux.instruments import Instrument
from particleflux.names import UNUSABLE, Quality
from particleflux.unfold._multiplicative import iterate
from particleflux.unfold._smooth_draws import LEAST_EFFECTIVE, draw_smooth, resample, weighted_quantiles
from particleflux.unfold._strength import solve_path
from particleflux.unfold._tikhonov import MAX_LOG_FLUX, SmoothPrior
from particleflux.unfold.detector import Detector
from particleflux.unfold.labels import DEFAULT_ENERGIES, DEFAULT_THRESHOLDS, label_spectra
from particleflux.unfold.observation import Observation
from particleflux.unfold.processors import n_processors
from particleflux.unfold.targets import QUANTILES

Array = npt.NDArray[np.float64]

ALGORITHMS = ("tikhonov", "mlem", "gravel")
CHOICES = ("discrepancy", "l-curve")
_N_STRENGTHS = 6
# Integrals end here; of a power law of index 1.5, 3 % of what is above 100 MeV is beyond.
_LAST_ENERGY = 1e5
_PANEL = 0.15
# Samples worked on at a time.
_ROWS = 64


@dataclass(frozen=True)
class RegularisedUnfolder:
    r"""Spectra of no given form: smooth ones that agree with the counts within their errors.

    "tikhonov" (Tikhonov 1963; Phillips 1962, doi:10.1145/321105.321114) makes chi-square plus
    :math:`\alpha \int (d^2 \ln f / d(\ln E)^2)^2 \, d\ln E` least, with the errors of counting, background (own and
    common) and response. The strength alpha is chosen for each sample, between limits:

    - "discrepancy" (Morozov 1966, Soviet Math. Dokl. 7, 414): chi-square is the number of channels. Where a stronger
      smoothing gives less, the strongest is taken; where none gives so little, the strongest within 1 of the least.
    - "l-curve" (Hansen 1992, doi:10.1137/1034115): where log chi-square against log roughness bends most.

    The interval is that of the posterior whose logarithm is minus half of what is made least: 1/alpha is then the
    variance that a spectrum's slope gathers per e-fold of energy, which widens the interval where no channel looks.
    Level and slope are free within weak normal terms (a spread of 3 in ln f about the signal that is just seen, and of
    1.5 about an index of 3, at 15 MeV for RADEM), without which faint samples would have no lower end. The posterior is
    sampled, not only linearised: below detection the upper bounds are where the counts end them, and the median is what
    these terms make it.

    "mlem" and "gravel" multiply a power law by factors until chi-square is the number of channels. They know no
    smoothness, hence no interval of their own: simulated counts unfolded again (a parametric bootstrap) gave 68 %
    intervals that held the truth in 25-43 % of cases, for what no channel sees stays as the power law has it. Theirs is
    the posterior of "tikhonov", stretched where it must be to hold their solution, which stands for the median; the
    draws and the integrals' intervals are its own as well.

    What the intervals lack: the bias of the smoothing. Spectra are drawn towards power laws; one that bends more
    sharply than the largest strength expects, or rolls over above the onset of the last channel, lies outside more
    often than stated.

    Attributes
    ----------
    detector : Detector
        Response, its error, and channels.
    algorithm : {"tikhonov", "mlem", "gravel"}
        How to unfold.
    choice : {"discrepancy", "l-curve"}
        How the strength is chosen; "mlem" and "gravel" know the first only.
    order : int
        Of the derivative that is kept small: 1, 2 or 3.
    strengths : (float, float)
        Least and largest alpha. The default's largest lets the slope change by 1.8 per e-fold of energy (one standard
        deviation), as those of solar particles do.
    energies : tuple of float, MeV
        Where the flux is wanted.
    thresholds : tuple of float, MeV
        Above which it is integrated, up to 100 GeV.
    samples : int
        Draws to give as `flux_sample`; 0 for none.
    seed : int
        Of the random numbers, which are the same for all samples.
    """

    detector: Detector
    algorithm: str = "tikhonov"
    choice: str = "discrepancy"
    order: int = 2
    strengths: tuple[float, float] = (0.01, 0.3)
    energies: tuple[float, ...] = DEFAULT_ENERGIES
    thresholds: tuple[float, ...] = DEFAULT_THRESHOLDS
    samples: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        for name, allowed in (("algorithm", ALGORITHMS), ("choice", CHOICES), ("order", (1, 2, 3))):
            if getattr(self, name) not in allowed:
                msg = f"{name} is {getattr(self, name)!r}: expected one of {list(allowed)}"
                raise DataError(msg)
        if self.algorithm != "tikhonov" and self.choice != "discrepancy":
            msg = f"{self.algorithm} stops by the discrepancy: choice {self.choice!r} is for 'tikhonov' only"
            raise DataError(msg)
        if not (len(self.strengths) == 2 and 0 < self.strengths[0] < self.strengths[1] < np.inf):
            msg = f"strengths are {self.strengths}: expected two positive numbers, the lesser first"
            raise DataError(msg)
        for name in ("energies", "thresholds"):
            values = np.asarray(getattr(self, name), dtype=float)
            good = values.ndim == 1 and values.size > 0 and bool((np.isfinite(values) & (values > 0)).all())
            if not good or not (np.diff(values) > 0).all():
                msg = f"{name} {list(np.atleast_1d(values))}: expected increasing energies above 0 MeV"
                raise DataError(msg)
        if self.samples < 0:
            msg = f"samples is {self.samples}: expected a number of draws, 0 or above"
            raise DataError(msg)

    @classmethod
    def of_instrument(cls, instrument: Instrument, *, species: str = "proton", **settings: Any) -> RegularisedUnfolder:
        """Take the detector from an instrument.

        Parameters
        ----------
        instrument : Instrument
            Its first configuration is used.
        species : {"proton", "electron"}
            The particles.
        **settings : Any
            Fields of `RegularisedUnfolder`, and `response_error`; an unknown one raises TypeError.

        Returns
        -------
        RegularisedUnfolder
            Ready to unfold.
        """
        error = float(settings.pop("response_error", 0.05))
        return cls(Detector.of_instrument(instrument, species=species, response_error=error), **settings)

    @property
    def trained_for(self) -> None:
        """None: any response will do."""
        return

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
            `flux` and `integral_flux` with 68 % and 95 % intervals; `fit_probability` (time), that counts of the
            solution would fit worse than those seen do (chi-square with as many degrees of freedom as channels, hence
            on the high side); `smoothing_strength` (time) for "tikhonov"; `quality` (time); `flux_sample` where draws
            were asked for. Samples that cannot be read, or whose steps did not end, are NaN and flagged NOT_PROCESSED.

        Raises
        ------
        AxisError
            If too few channels are there, or the background's times are others than those of the counts.
        UnitError
            If a unit is absent or another one.
        DataError
            If the counts are of another instrument.
        """
        observation, quality = self.detector.observe(counts, background)
        n = len(quality)
        flux = np.full((n, len(QUANTILES), len(self.energies)), np.nan)
        integral = np.full((n, len(QUANTILES), len(self.thresholds)), np.nan)
        probability, strength = np.full(n, np.nan), np.full(n, np.nan)
        samples = np.full((n, self.samples, len(self.energies)), np.nan) if self.samples else None
        unfold = self._tikhonov if self.algorithm == "tikhonov" else self._multiply

        def fill(rows: npt.NDArray[np.intp]) -> int:
            answer = unfold(observation[rows])
            good = rows[answer.converged]
            flux[good], integral[good] = answer.flux[answer.converged], answer.integral[answer.converged]
            probability[good] = chdtrc(observation.is_read[good].sum(axis=1), answer.chi2[answer.converged])
            strength[good] = answer.strength[answer.converged]
            if samples is not None and answer.samples is not None:
                samples[good] = answer.samples[answer.converged]
            quality[rows[~(answer.converged & answer.is_told)]] |= int(Quality.EXTRAPOLATED)
            return len(rows)

        usable = np.flatnonzero((quality & int(UNUSABLE)) == 0)
        done = 0
        with ThreadPoolExecutor(n_processors()) as pool:
            for n_filled in pool.map(fill, [usable[start : start + _ROWS] for start in range(0, len(usable), _ROWS)]):
                done += n_filled
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
            method="regularised",
            algorithm=self.algorithm,
            choice=self.choice,
            order=self.order,
            species=self.detector.response.species,
            instrument=self.detector.instrument,
            response_error=self.detector.response_error,
        )
        if self.algorithm == "tikhonov":
            attrs = {"units": "1", "long_name": "strength of the smoothing, over the squared derivative of ln flux"}
            result["smoothing_strength"] = ("time", strength, attrs)
        return result

    @cached_property
    def _prior(self) -> SmoothPrior:
        response = self.detector.response
        onset = response.energy_upper[response.is_active][0]
        # From well below where the first channel sets in to well above where the last does; whatever energies are asked
        # for, the solution is the same.
        return SmoothPrior(response, 0.4 * onset, 120.0 * onset, self.order)

    @cached_property
    def _quadrature(self) -> tuple[Array, Array]:
        """Energies, shape (node,), and weights of the integrals, shape (node, threshold)."""
        inner = np.arange(np.log(self.thresholds[0]), np.log(_LAST_ENERGY), _PANEL)
        edges = np.unique(np.r_[inner, np.log(self.thresholds), np.log(_LAST_ENERGY)])
        half, middle = 0.5 * np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
        # Gauss-Legendre of two points in each panel.
        nodes = (middle[:, None] + half[:, None] * np.array([-1.0, 1.0]) / np.sqrt(3.0)).ravel()
        weights = (np.repeat(half, 2) * np.exp(nodes))[:, None] * (nodes[:, None] > np.log(self.thresholds))
        return np.exp(nodes), weights

    @cached_property
    def _splines(self) -> tuple[Array, Array]:
        return self._prior.spline(self.energies), self._prior.spline(self._quadrature[0])

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        return self._prior.interpolate(self.energies), self._prior.interpolate(self._quadrature[0])

    def _tikhonov(self, observation: Observation) -> _Answer:
        strengths = np.geomspace(self.strengths[1], self.strengths[0], _N_STRENGTHS)
        solution = solve_path(self._prior, observation, strengths, self.choice)
        log_flux, weight, effective = draw_smooth(self._prior, observation, solution, self.seed)
        drawn = log_flux @ self._splines[0].T
        above = self._integrate(log_flux @ self._splines[1].T)
        flux = weighted_quantiles(drawn, weight, QUANTILES)
        integral = weighted_quantiles(above, weight, QUANTILES)
        samples = None
        if self.samples:
            # In another order than that of the weights, so that the first few are draws as well.
            order = np.random.default_rng(self.seed).permutation(self.samples)
            samples = np.exp(np.take_along_axis(drawn, resample(weight, self.samples)[:, order, None], axis=1))
        return _Answer(
            np.exp(flux), np.exp(integral), solution.chi2, solution.strength, solution.converged,
            effective >= LEAST_EFFECTIVE, samples,
        )  # fmt: skip

    def _multiply(self, observation: Observation) -> _Answer:
        """Put the solution of the factors in the middle of Tikhonov's interval, stretched to hold it."""
        found = iterate(self._prior, observation, self.algorithm)
        curves = []
        for spline, factor in zip(self._splines, self._factors, strict=True):
            curves.append(found.power_law @ spline.T + np.log(np.exp(found.log_factor) @ factor.T))
        answer = self._tikhonov(observation)
        quantiles = []
        for log_best, around in zip(
            (curves[0], self._integrate(curves[1])), (answer.flux, answer.integral), strict=True
        ):
            best = np.exp(log_best)[:, None]
            parts = (np.minimum(around[:, :2], best), best, np.maximum(around[:, 3:], best))
            quantiles.append(np.concatenate(parts, axis=1))
        return dataclasses.replace(
            answer, flux=quantiles[0], integral=quantiles[1], chi2=found.chi2,
            converged=found.converged & answer.converged,
        )  # fmt: skip

    def _integrate(self, log_flux: Array) -> Array:
        """Integrate from log flux at the nodes; logarithm, shape (..., threshold)."""
        flux = np.exp(np.minimum(log_flux, MAX_LOG_FLUX))
        return np.asarray(np.log(np.maximum(flux @ self._quadrature[1], 1e-300)))


@dataclass(frozen=True)
class _Answer:
    """Of n samples: quantiles (n, 5, ...), chi-square, strength, whether found, whether enough draws bear it."""

    flux: Array
    integral: Array
    chi2: Array
    strength: Array
    converged: npt.NDArray[np.bool_]
    is_told: npt.NDArray[np.bool_]
    samples: Array | None
