"""Fluxes at effective energies: each from one channel or the difference of two, without a spectral form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import log_ndtr, ndtri_exp

from particleflux.errors import DataError
from particleflux.instruments import Instrument
from particleflux.names import UNUSABLE, Quality
from particleflux.unfold._bowtie_points import DEFAULT_INDICES, BowTie, bow_tie, choose_combinations
from particleflux.unfold.detector import Detector
from particleflux.unfold.labels import DEFAULT_THRESHOLDS, label_spectra
from particleflux.unfold.observation import DETECTION_SIGMA, Observation
from particleflux.unfold.targets import QUANTILE_SIGMAS, QUANTILES

__all__ = ["DEFAULT_INDICES", "BowTie", "BowtieUnfolder", "bow_tie", "choose_combinations"]

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# A difference below zero by more standard deviations than this is no small flux: the analysis does not hold.
_REFUSED_SIGMA = 3.0
# Nor does it where particles through the walls may make more than this part of the net counts.
_LARGEST_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class BowtieUnfolder:
    r"""Flux at the effective energies of channels and channel differences.

    .. math:: f(E_k) = \frac{(n_1 - b_1) - (n_2 - b_2)}{t \, F_k}

    with counts n, expected background counts b, exposure t and the factor F of `bow_tie`; both channels have the same
    kind of background subtracted. The variance of the net counts d is

    .. math:: \sum_i \left[ n_i + 1 + (o_i b_i)^2 + (r_i s_i)^2 \right] + (c_1 b_1 - c_2 b_2)^2 + (h d)^2 + (p s_p)^2

    with the relative errors of the background (o each channel's own, c common to both and so partly cancelling) and of
    the response (r, of the signal s of each channel), the shape error h, and what particles through the walls may add
    or take away (p times the signal of the channel that counts them). n + 1 is the variance of a Poisson mean whose
    prior is flat, so that no count is not no error. The lower bounds are those of a normal distribution of d and this
    variance, and 0 where they would be negative: then nothing was seen at that point, and the flux may be as low as can
    be. A flux is not negative, so the median and the upper bounds are those of the same distribution cut off at zero
    (Helene 1983, doi:10.1016/0167-5087(83)90021-3): d and its errors far above zero, and upper limits that stay
    positive whatever chance does to the counts.

    A point whose channels are not all read is NaN. So is one whose difference is below zero by more than three standard
    deviations, with EXTRAPOLATED: then hard particles through the walls rule, and neither a flux nor a limit is known.
    Samples in which such particles may make half of a point are flagged EXTRAPOLATED. If no point is seen the sample is
    BELOW_DETECTION. A few points give no integral: `integral_flux` is NaN.

    Attributes
    ----------
    detector : Detector
        Response, its error, and which channels to leave out when.
    combinations : tuple of tuple of str, optional
        Channels, and pairs of which the second is subtracted; by default `choose_combinations`, without the channels
        that the background is read off. `of_instrument` takes those that the instrument's file states.
    energies : tuple of float, MeV, optional
        By default the effective energies. Elsewhere every quantile is a power law between the two nearest points, and
        NaN outside of all points.
    thresholds : tuple of float, MeV
        Of the integral flux, which is NaN.
    indices : tuple of two float
        Of the power laws of the analysis.
    highest_energy : float, MeV
        Of the particles that the analysis regards.
    penetrating : str, optional
        Channel that counts those above.

    Examples
    --------
    >>> from particleflux.instruments import load_instrument
    >>> [round(energy, 1) for energy in BowtieUnfolder.of_instrument(load_instrument("radem")).effective_energies]
    [6.9, 13.7, 22.0, 30.8]
    """

    detector: Detector
    combinations: tuple[tuple[str, ...], ...] | None = None
    energies: tuple[float, ...] | None = None
    thresholds: tuple[float, ...] = DEFAULT_THRESHOLDS
    indices: tuple[float, float] = DEFAULT_INDICES
    highest_energy: float = np.inf
    penetrating: str | None = None

    def __post_init__(self) -> None:
        """Make the analysis, and refuse energies that no point reaches."""
        found = self.effective_energies
        if self.energies is not None and not any(found[0] <= energy <= found[-1] for energy in self.energies):
            msg = (
                f"energies {[round(float(energy), 3) for energy in self.energies]} MeV: the effective energies of the "
                f"bow-tie are {[round(energy, 2) for energy in found]}; ask for some between these, or for none"
            )
            raise DataError(msg)

    @classmethod
    def of_instrument(
        cls, instrument: Instrument, *, detector: Detector | None = None, species: str = "proton", **settings: Any
    ) -> BowtieUnfolder:
        """Take from an instrument's file which combinations to use, and up to which energy.

        Parameters
        ----------
        instrument : Instrument
            Where its file says nothing, `choose_combinations` does.
        detector : Detector, optional
            By default the instrument's for the species; if given, its species counts.
        species : {"proton", "electron"}
            The particles.
        **settings : object
            Other fields of `BowtieUnfolder`; an unknown one raises TypeError.

        Returns
        -------
        BowtieUnfolder
            Ready to unfold.
        """
        detector = Detector.of_instrument(instrument, species=species) if detector is None else detector
        stated = instrument.bow_tie.get(detector.response.species)
        if stated is not None:
            own = {
                "combinations": stated.combinations,
                "highest_energy": stated.highest_energy,
                "penetrating": stated.penetrating,
            }
            settings = own | settings
        return cls(detector, **settings)

    @property
    def trained_for(self) -> str | None:
        """None: any response will do."""
        return None

    @cached_property
    def points(self) -> tuple[BowTie, ...]:
        """The analysis of each combination, by increasing effective energy."""
        response = self.detector.response
        combinations = self.combinations
        if combinations is None:
            combinations = choose_combinations(
                response,
                excluded=self.detector.monitors,
                indices=self.indices,
                highest_energy=self.highest_energy,
            )
        ties = [
            bow_tie(
                response,
                combination,
                indices=self.indices,
                highest_energy=self.highest_energy,
                penetrating=self.penetrating,
            )
            for combination in combinations
        ]
        ties.sort(key=lambda tie: tie.effective_energy)
        energies = [tie.effective_energy for tie in ties]
        if not ties or len(set(energies)) != len(energies):
            msg = (
                f"combinations {[tie.name for tie in ties]} have the effective energies "
                f"{[round(energy, 3) for energy in energies]} MeV, expected at least one and none twice; correct them"
            )
            raise DataError(msg)
        return tuple(ties)

    @property
    def effective_energies(self) -> tuple[float, ...]:
        """Of the points, MeV, increasing."""
        return tuple(tie.effective_energy for tie in self.points)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that are read, in the order of the detector."""
        wanted = {name for tie in self.points for name in tie.combination} | {self.penetrating}
        return tuple(name for name in self.detector.channels if name in wanted)

    def unfold(
        self, counts: xr.Dataset, background: xr.Dataset, *, progress: Callable[[int, int], None] | None = None
    ) -> xr.Dataset:
        """Turn counts into fluxes at the effective energies.

        Parameters
        ----------
        counts, background : Dataset
            As `Unfolder.unfold` takes them.
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        Dataset, dims (time, energy)
            `flux` with its bounds, cm-2 s-1 sr-1 MeV-1; `integral_flux` is NaN; `quality`.

        Raises
        ------
        DataError
            If the counts are of another instrument or of other particles.
        AxisError
            If fewer channels are there than the smallest combination has.
        """
        reader = self.detector.replace(response=self.detector.response.select(list(self.channels)))
        observation, quality = reader.observe(
            counts, background, least=min(len(tie.combination) for tie in self.points)
        )
        flux, is_seen, is_doubtful = self._solve(observation)
        usable = (quality & int(UNUSABLE)) == 0
        quality[usable & is_doubtful] |= int(Quality.EXTRAPOLATED)
        quality[usable & ~is_seen] |= int(Quality.BELOW_DETECTION)
        energies = self.effective_energies if self.energies is None else self.energies
        if self.energies is not None:
            flux = _interpolate(np.array(self.effective_energies), flux, np.array(energies))
        integral = np.full((len(flux), len(QUANTILES), len(self.thresholds)), np.nan)
        if progress is not None:
            progress(len(flux), len(flux))
        return label_spectra(
            counts,
            quality.astype(np.int32),
            energies,
            flux,
            self.thresholds,
            integral,
            method="bowtie",
            species=self.detector.response.species,
            instrument=self.detector.instrument,
            response_error=self.detector.response_error,
            combinations=", ".join(tie.name for tie in self.points),
            effective_energies_mev=", ".join(f"{tie.effective_energy:.4g}" for tie in self.points),
            factors_cm2_sr_mev=", ".join(f"{tie.factor:.4g}" for tie in self.points),
        )

    def _solve(self, observation: Observation) -> tuple[Array, Flags, Flags]:
        """Give the quantiles (n, 5, point), which samples are seen at a point, and which are beyond the analysis."""
        ties, names = self.points, self.channels
        signs = np.array([[_sign(tie, name) for name in names] for tie in ties])
        used = signs**2
        level = observation.background
        signal = observation.counts - level
        net = signal @ signs.T
        # Under no flux at all, and of what was counted: the errors of the background are the same.
        known = (observation.background_own * level) ** 2 @ used.T
        known += ((observation.background_common * level) @ signs.T) ** 2
        variance = known + (observation.counts + 1.0) @ used.T
        variance += (observation.response_error * np.maximum(signal, 0.0)) ** 2 @ used.T
        variance += (np.array([tie.shape_error for tie in ties]) * net) ** 2
        through = np.zeros_like(net)
        if self.penetrating is not None:
            at = names.index(self.penetrating)
            is_through = observation.significance[:, at] > DETECTION_SIGMA
            through = np.maximum(signal[:, at, None], 0.0) * np.array([tie.penetration for tie in ties])
            variance += through**2
            through = np.where(is_through[:, None], through, 0.0)
        sigma = np.sqrt(variance)

        is_told = ((used @ ~observation.is_read.T) == 0).T
        refused = is_told & (net < -_REFUSED_SIGMA * sigma)
        doubtful = refused | (is_told & (through > _LARGEST_SHARE * np.maximum(net, 0.0)) & (through > 0))
        seen = is_told & (net > DETECTION_SIGMA * np.sqrt(np.maximum(level, 1.0) @ used.T + known))
        if self.penetrating is not None:
            # Nobody tells what came through the walls.
            doubtful |= seen & ~observation.is_read[:, [names.index(self.penetrating)]]
        quantiles = _quantiles(net, sigma)
        factors = np.array([tie.factor for tie in ties])
        flux = quantiles / (observation.exposure[:, None] * factors)[:, None]
        return np.where((is_told & ~refused)[:, None], flux, np.nan), seen.any(axis=1), doubtful.any(axis=1)


def _sign(tie: BowTie, name: str) -> float:
    if name not in tie.combination:
        return 0.0
    return 1.0 if name == tie.combination[0] else -1.0


def _quantiles(mean: Array, sigma: Array) -> Array:
    """Bounds and median (n, 5, point) of what is not negative, measured as mean with a normal error (n, point)."""
    # In logarithms: a mean far below zero leaves a tail that no probability can hold.
    kept = log_ndtr(mean / sigma)[:, None]
    above = np.log1p(-np.array(QUANTILES))[:, None]
    values = mean[:, None] - sigma[:, None] * ndtri_exp(above + kept)
    # Cut off at zero, the lower bounds would exclude the small fluxes that a point without signal says nothing against.
    values[:, :2] = mean[:, None] + sigma[:, None] * np.array(QUANTILE_SIGMAS[:2])[:, None]
    return np.asarray(np.maximum(values, 0.0))


def _interpolate(points: Array, flux: Array, energies: Array) -> Array:
    """Power laws between points, quantile by quantile; NaN outside of the points, and beside a point that is NaN."""
    result = np.full((*flux.shape[:2], len(energies)), np.nan)
    for index, energy in enumerate(energies):
        if not points[0] <= energy <= points[-1]:
            continue
        right = int(np.searchsorted(points, energy))
        if points[right] == energy:
            result[..., index] = flux[..., right]
            continue
        share = np.log(energy / points[right - 1]) / np.log(points[right] / points[right - 1])
        result[..., index] = flux[..., right - 1] ** (1.0 - share) * flux[..., right] ** share
    return result
