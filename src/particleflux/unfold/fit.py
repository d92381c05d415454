"""Spectral forms fitted to counts by maximum likelihood, and averaged by how well they fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import chdtrc, ndtr, ndtri
from scipy.stats import qmc

from particleflux.errors import DataError
from particleflux.instruments import Instrument
from particleflux.names import UNUSABLE, Quality
from particleflux.spectra import FORMS
from particleflux.unfold._forward import Forward
from particleflux.unfold._maximum import FormFit, Maximum
from particleflux.unfold.detector import Detector
from particleflux.unfold.labels import DEFAULT_ENERGIES, DEFAULT_THRESHOLDS, label_spectra
from particleflux.unfold.observation import Observation
from particleflux.unfold.targets import QUANTILES

Array = npt.NDArray[np.float64]

# Samples worked on at a time, at most.
_CHUNK = 256
# A form of less weight than this moves no quantile.
_LEAST_WEIGHT = 2e-3
# This many standard deviations from the middle, a parameter has 0.6 % of its range left beyond it.
_EDGE = 2.5
# Flagged where forms with a parameter at the edge make more than half of the answer.
_EDGE_WEIGHT = 0.5
# Where the course of the likelihood is followed, in standard deviations of the signal.
_STEPS = np.array([-20.0, -14, -10, -7, -5, -4, -3.25, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3.25, 4, 5])


@dataclass(frozen=True)
class FitUnfolder:
    r"""Poisson maximum likelihood by forward folding, for several forms at once.

    Each form is fitted with its intensity, its parameters and the common level of the background free, the channels'
    own errors integrated over (`particleflux.unfold.likelihood`). A weak penalty keeps parameters that the counts do
    not tell at the middle and the width of their ranges. The forms are weighted by

    .. math:: w_f \propto e^{-\mathrm{AIC}_f / 2}, \qquad \mathrm{AIC}_f = -2 \ln \hat L_f + 2 k_f

    with the effective number k of parameters, that is those the counts tell: where they tell nothing, no form is
    preferred for having fewer. The correction for few data (AICc) holds for normal errors of unknown size, which counts
    do not have, and is not applied. Intervals are those of the mixture of the forms' normal approximations, carried
    through each form by fixed draws rather than by its derivative, as fluxes are far from linear in the parameters.
    They are somewhat narrow, most where little is seen (`benchmarks/coverage`); `BayesUnfolder` has the exact ones.

    Attributes
    ----------
    detector : Detector
        Response, its error, and channels to leave out.
    families : tuple of str
        Forms to fit.
    energies, thresholds : tuple of float, MeV
        Where the flux is wanted, and above which its integral.
    n_draws : int
        Draws of each form that the quantiles are taken of.
    n_threads : int
        Samples are worked on in that many threads.

    References
    ----------
    Akaike (1974), IEEE Trans. Autom. Control 19, 716, doi:10.1109/TAC.1974.1100705; weights: Burnham and Anderson
    (2002), Model Selection and Multimodel Inference, doi:10.1007/b97636, section 2.9; effective number of parameters:
    Spiegelhalter et al. (2002), J. R. Stat. Soc. B 64, 583, doi:10.1111/1467-9868.00353; intervals from draws: Krinsky
    and Robb (1986), Rev. Econ. Stat. 68, 715, doi:10.2307/1924536.
    """

    detector: Detector
    families: tuple[str, ...] = tuple(FORMS)
    energies: tuple[float, ...] = DEFAULT_ENERGIES
    thresholds: tuple[float, ...] = DEFAULT_THRESHOLDS
    n_draws: int = 64
    n_threads: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        if not self.families or set(self.families) - set(FORMS):
            msg = f"forms {list(self.families)}: expected some of {sorted(FORMS)}"
            raise DataError(msg)
        if self.n_draws < 8 or self.n_threads < 1:
            msg = f"{self.n_draws} draws in {self.n_threads} threads: expected at least 8 draws and 1 thread"
            raise DataError(msg)
        for name in ("energies", "thresholds"):
            values = np.asarray(getattr(self, name), dtype=float)
            if not (np.isfinite(values).all() and (values > 0).all() and (np.diff(values) > 0).all()):
                msg = f"{name} {list(values)}: expected increasing energies above 0 MeV"
                raise DataError(msg)

    @classmethod
    def of_instrument(
        cls, instrument: Instrument, *, species: str = "proton", response_error: float = 0.05, **settings: object
    ) -> FitUnfolder:
        """Make one for the channels that an instrument reads.

        Parameters
        ----------
        instrument : Instrument
            Its first configuration is used.
        species : {"proton", "electron"}
            The particles.
        response_error : float
            Relative standard error of the response.
        **settings : object
            Other fields of `FitUnfolder`; an unknown one raises TypeError.

        Returns
        -------
        FitUnfolder
            Ready to unfold.
        """
        detector = Detector.of_instrument(instrument, species=species, response_error=response_error)
        return cls(detector, **settings)  # type: ignore[arg-type]

    @property
    def trained_for(self) -> None:
        """None: the method takes any response."""
        return

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that the method reads, if they are there."""
        return self.detector.channels

    @cached_property
    def _fits(self) -> tuple[FormFit, ...]:
        forward = Forward(self.detector.response)
        return tuple(FormFit(forward, name) for name in self.families)

    def unfold(
        self, counts: xr.Dataset, background: xr.Dataset, *, progress: Callable[[int, int], None] | None = None
    ) -> xr.Dataset:
        """Turn counts into spectra.

        Parameters
        ----------
        counts : Dataset
            `counts` (time, channel), `exposure` (time) in s, `quality` (time); channels in any order.
        background : Dataset
            `background_rate` and `background_rate_std` in s-1, dims (channel) or (time, channel).
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        Dataset
            `flux` and `integral_flux` as medians with 68 % and 95 % intervals, `fit_probability` (time), and of each
            form `form_weight`, `form_deviance`, `form_freedom` and `form_at_edge` (time, form); `background_shift`
            (time). Samples that cannot be read, and those that no form could be fitted to, are NaN and NOT_PROCESSED;
            those mostly answered by forms with a parameter at the edge of its range are EXTRAPOLATED.

        Raises
        ------
        AxisError
            If too few channels are there, or the background's times are others than those of the counts.
        UnitError
            If a unit is absent or another one.
        DataError
            If the counts are of another instrument or of other particles.
        """
        observation, quality = self.detector.observe(counts, background)
        n, n_forms = len(quality), len(self.families)
        rows = np.flatnonzero((quality & int(UNUSABLE)) == 0)
        flux = np.full((n, len(QUANTILES), len(self.energies)), np.nan)
        integral = np.full((n, len(QUANTILES), len(self.thresholds)), np.nan)
        forms = np.full((4, n, n_forms), np.nan)
        single = np.full((2, n), np.nan)

        def fill(part: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
            values, forms[:, part], single[:, part] = self._answer(observation[part])
            flux[part] = values[..., : len(self.energies)]
            integral[part] = values[..., len(self.energies) :]
            return part

        size = max(1, min(_CHUNK, -(-len(rows) // self.n_threads)))
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        with ThreadPoolExecutor(self.n_threads) as pool:
            done = 0
            for part in pool.map(fill, parts):
                done += len(part)
                if progress is not None:
                    progress(done, len(rows))
        weight, _, _, at_edge = forms
        lost = rows[~np.isfinite(flux[rows]).all(axis=(1, 2))]
        flux[lost] = integral[lost] = forms[:, lost] = np.nan
        quality[lost] |= int(Quality.EXTRAPOLATED | Quality.NOT_PROCESSED)
        quality[np.nansum(weight * at_edge, axis=1) > _EDGE_WEIGHT] |= int(Quality.EXTRAPOLATED)
        result = label_spectra(
            counts,
            quality,
            self.energies,
            flux,
            self.thresholds,
            integral,
            fit_probability=single[0],
            method="fit",
            species=self.detector.response.species,
            instrument=self.detector.instrument,
            response_error=self.detector.response_error,
            forms=" ".join(self.families),
        )
        result["form"] = ("form", list(self.families), {"long_name": "spectral form"})
        for values, (name, long_name) in zip(forms, _OF_FORMS.items(), strict=True):
            result[name] = (("time", "form"), values, {"units": "1", "long_name": long_name})
        shift = np.where(np.isfinite(flux).any(axis=(1, 2)), single[1], np.nan)
        result["background_shift"] = ("time", shift, {"units": "1", "long_name": _SHIFT})
        return result

    def _answer(self, observation: Observation) -> tuple[Array, Array, Array]:
        """Quantiles (n, 5, energy + threshold), numbers of the forms (4, n, form), and fit probability and y (2, n)."""
        found = [fit.maximise(observation) for fit in self._fits]
        converged = np.stack([one.has_converged for one in found], axis=1)
        log_likelihood = np.stack([one.log_likelihood for one in found], axis=1)
        k = np.stack([one.n_effective for one in found], axis=1)
        merit = np.where(converged, log_likelihood - k, -np.inf)
        best = merit.max(axis=1, keepdims=True)
        weight = np.where(converged, np.exp(merit - np.where(np.isfinite(best), best, 0.0)), 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        deviance = np.stack([one.deviance for one in found], axis=1)
        freedom = observation.is_read.sum(axis=1)[:, None] - k
        # A form with as many parameters as channels fits always: nothing speaks against it.
        probability = np.where(freedom > 0.05, chdtrc(np.maximum(freedom, 0.05), deviance), 1.0)
        at_edge = np.stack([(np.abs(one.z[:, 1:-1]) > _EDGE).any(axis=1) for one in found], axis=1).astype(float)
        forms = np.stack([weight, deviance, freedom, at_edge])
        y = np.stack([one.z[:, -1] for one in found], axis=1)
        single = np.stack([(weight * probability).sum(axis=1), (weight * y).sum(axis=1)])
        values = [
            self._draw(fit, one, observation, share)
            for fit, one, share in zip(self._fits, found, weight.T, strict=True)
        ]
        shares = np.repeat(weight / self.n_draws, self.n_draws, axis=1)
        log_values = np.concatenate(values, axis=1)
        answered = np.asarray(converged.any(axis=1))
        return np.where(answered[:, None, None], np.exp(_quantiles(log_values, shares)), np.nan), forms, single

    def _draw(self, fit: FormFit, found: Maximum, observation: Observation, weight: Array) -> Array:
        """Log fluxes and integrals (n, draw, energy + threshold) of spectra as likely as the fit says; 0 unweighted."""
        result = np.zeros((len(observation), self.n_draws, len(self.energies) + len(self.thresholds)))
        rows = np.flatnonzero(weight > _LEAST_WEIGHT)
        if not rows.size:
            return result
        size = found.z.shape[1] - 1
        part, chosen = found[rows], observation[rows]
        root = np.linalg.cholesky(part.covariance[:, :size, :size])
        normal = np.repeat(_normal(size, self.n_draws)[None], len(rows), axis=0)
        # Towards weak signals the likelihood is no normal curve: it ends in a plateau. Along the signal its true course
        # is taken.
        normal[..., 0] = _course(fit.along_signal(chosen, part, _STEPS), ndtr(normal[0, :, 0]))
        z = part.z[:, None, :size] + normal @ root.transpose(0, 2, 1)
        unit = ndtr(z[..., 1:]).reshape(-1, size - 1)
        log_values = np.concatenate(
            [
                fit.forward.log_flux(fit.family, unit, self.energies),
                fit.forward.log_integral(fit.family, unit, self.thresholds),
            ],
            axis=1,
        )
        scale = fit.log_intensity(chosen, z)
        result[rows] = log_values.reshape(len(rows), self.n_draws, -1) + scale[..., None]
        return result


_OF_FORMS = {
    "form_weight": "weight of the form by Akaike's criterion",
    "form_deviance": "deviance of the form's best fit",
    "form_freedom": "degrees of freedom of the deviance: channels read less parameters told",
    "form_at_edge": "1 where a parameter of the form lies at the edge of its range",
}
_SHIFT = "fitted common departure from the background given, in its standard deviations"


def _normal(size: int, n_draws: int) -> Array:
    """Give normal numbers (draw, size), spread evenly and the same for all samples, in pairs of opposite sign."""
    half = qmc.Sobol(size, rng=np.random.default_rng(1)).random_base2(int(np.ceil(np.log2((n_draws + 1) // 2))))
    normal = ndtri(np.clip(half[: (n_draws + 1) // 2], 1e-6, 1 - 1e-6))
    # The spread of few draws falls short of 1 by chance.
    normal /= np.sqrt((normal**2).mean(axis=0))
    return np.concatenate([normal, -normal])[:n_draws]


def _course(log_density: Array, level: Array) -> Array:
    """Quantiles (n, level) of densities whose logarithms (n, step) at `_STEPS` are joined by straight lines."""
    fine = np.interp(np.linspace(0, len(_STEPS) - 1, 8 * len(_STEPS)), np.arange(len(_STEPS)), _STEPS)
    result = np.empty((len(log_density), len(level)))
    for row, values in enumerate(log_density):
        density = np.exp(np.interp(fine, _STEPS, values - values.max()))
        total = np.r_[0.0, (0.5 * (density[1:] + density[:-1]) * np.diff(fine)).cumsum()]
        result[row] = np.interp(level * total[-1], total, fine)
    return result


def _quantiles(values: Array, weight: Array, levels: Sequence[float] = QUANTILES) -> Array:
    """Weighted quantiles (n, level, k) of values (n, draw, k), linear between the middles of the weights."""
    order = values.argsort(axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    share = np.take_along_axis(np.broadcast_to(weight[..., None], values.shape), order, axis=1)
    middle = share.cumsum(axis=1) - 0.5 * share
    result = np.empty((len(values), len(levels), values.shape[2]))
    last = values.shape[1] - 1
    for index, level in enumerate(levels):
        above = np.clip((middle < level).sum(axis=1), 1, last)[:, None]
        left, right = np.take_along_axis(middle, above - 1, 1), np.take_along_axis(middle, above, 1)
        step = np.clip((level - left) / np.maximum(right - left, 1e-300), 0.0, 1.0)
        low, high = np.take_along_axis(ordered, above - 1, 1), np.take_along_axis(ordered, above, 1)
        result[:, index] = (low + step * (high - low))[:, 0]
    return result
