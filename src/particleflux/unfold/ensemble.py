"""Deep ensembles: twenty networks for each set of input bins, their quantiles pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.interpolate import CubicSpline

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError, DataError
from particleflux.features import Measurement
from particleflux.names import UNUSABLE, Quality, attributes
from particleflux.unfold.labels import DEFAULT_ENERGIES
from particleflux.unfold.limits import FormLimits
from particleflux.unfold.measurement import check_origin, flag_detection, measure
from particleflux.unfold.networks import Networks
from particleflux.unfold.processors import n_processors
from particleflux.unfold.targets import (
    KIND,
    MAX_RESPONSE_ERROR,
    PARAMETERS,
    PIVOT_ENERGY,
    QUANTILE_SIGMAS,
    QUANTILES,
    SHIPPED,
    SUFFIXES,
)

__all__ = [
    "DEFAULT_ENERGIES",
    "KIND",
    "MAX_RESPONSE_ERROR",
    "PARAMETERS",
    "PIVOT_ENERGY",
    "QUANTILES",
    "QUANTILE_SIGMAS",
    "SHIPPED",
    "SUFFIXES",
    "EnsembleUnfolder",
    "Networks",
    "describe",
]

Array = npt.NDArray[np.float64]

# A network that breaks the limits of the form by more than this factor (natural logarithm) extrapolates.
_AT_A_LOSS = float(np.log(2.0))
# Rows per call of a network: its layers then stay in the processor's cache.
_CHUNK = 1024


@dataclass(frozen=True)
class EnsembleUnfolder:
    """Spectra from three deep ensembles, chosen per sample by which channels stand above their background.

    Each ensemble was trained on simulated counts with Poisson noise, background and its error, and an error of the
    response, all over the range that occurs; its intervals hold the truth as often as they say for spectra of the form
    it was trained on, a rolling power law (`particleflux.spectra.RollingPowerLaw`) with the prior that its card states.

    Attributes
    ----------
    artefact : Artefact
        The trained networks.
    response_error : float
        Relative standard error of the response, each channel its own; 0 to 0.2. Widens the intervals.
    energies : tuple of float, MeV
        Where the flux is wanted; inside the range of the artefact's nodes.
    """

    artefact: Artefact
    response_error: float = 0.05
    energies: tuple[float, ...] = DEFAULT_ENERGIES

    def __post_init__(self) -> None:
        """Refuse settings that the networks do not cover."""
        kind = self.artefact.card["kind"]
        if kind != KIND:
            msg = f"model {self.artefact.name!r} is of kind {kind!r}, expected {KIND!r}; choose another model or method"
            raise ArtefactError(msg)
        if not 0.0 <= self.response_error <= MAX_RESPONSE_ERROR:
            msg = (
                f"response_error is {self.response_error:g}, expected a relative error from 0 to "
                f"{MAX_RESPONSE_ERROR:g}, the range the networks were trained for"
            )
            raise DataError(msg)
        low, high = self._networks.nodes[0], self._networks.nodes[-1]
        energies = np.asarray(self.energies, dtype=float)
        inside = energies.ndim == 1 and energies.size > 0 and bool(((energies >= low) & (energies <= high)).all())
        if not inside or not (np.diff(energies) > 0).all():
            msg = f"energies {list(self.energies)}: expected increasing energies from {low:g} to {high:g} MeV"
            raise DataError(msg)

    @classmethod
    def load(cls, path: str | Path = SHIPPED, **settings: Any) -> EnsembleUnfolder:
        """Read the networks, by default those that ship.

        Parameters
        ----------
        path : str or Path
            Folder of a trained model, or the name of a shipped one.
        **settings : Any
            Fields of `EnsembleUnfolder`; an unknown one raises TypeError.

        Returns
        -------
        EnsembleUnfolder
            Ready to unfold.

        Raises
        ------
        ArtefactError
            If there is no such model, or it is damaged, from the future, or of another kind.
        """
        return cls(Artefact.load(path), **settings)

    @cached_property
    def _networks(self) -> Networks:
        return Networks.of(self.artefact)

    @cached_property
    def _limits(self) -> FormLimits:
        return FormLimits.of(self.artefact.card)

    @property
    def trained_for(self) -> str:
        """Digest of the response, of the channels that are read, that the networks were trained for."""
        return str(self.artefact.card["response_sha256"])

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that must be among the counts, in any order."""
        return self._networks.rule.channels

    def unfold(
        self, counts: xr.Dataset, background: xr.Dataset, *, progress: Callable[[int, int], None] | None = None
    ) -> xr.Dataset:
        """Turn counts into spectra.

        Parameters
        ----------
        counts : Dataset
            `counts` (time, channel), `exposure` (time) in s, `quality` (time); channels in any order.
        background : Dataset
            `background_rate` and `background_rate_std` in s-1, dims (channel) or (time, channel). A `quality` (time) is
            added to the flags.
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        Dataset
            `flux` and `integral_flux` as medians with 68 % and 95 % intervals; `spectral_index`, `rollover_energy` and
            `intensity` (time) likewise; `ensemble` (time), `quality` (time). Samples that cannot be read are NaN and
            flagged NOT_PROCESSED.

        Raises
        ------
        AxisError
            If a channel or variable is missing, or the background's times are others than those of the counts.
        UnitError
            If a unit is absent or another one.
        DataError
            If the counts are of an instrument that the networks were not trained for.
        """
        card = self.artefact.card
        check_origin(counts, card["instrument"], card["species"], self.artefact.name)
        measurement, quality = measure(
            counts,
            background,
            self.channels,
            configurations=card["configurations"],
            response_error=self.response_error,
        )
        usable = (quality & int(UNUSABLE)) == 0
        networks = self._networks
        n_nodes = len(networks.nodes)
        n_other = len(networks.thresholds) + len(PARAMETERS)
        flux = np.full((len(quality), len(QUANTILES), len(self.energies)), np.nan)
        other = np.full((len(quality), len(QUANTILES), n_other), np.nan)
        ensemble = np.zeros(len(quality), dtype=np.int8)
        log_exposure = np.log(np.where(usable, counts["exposure"].values, 1.0))
        # Splines are linear in what they pass through: one matrix interpolates all samples.
        spline = CubicSpline(np.log(networks.nodes), np.eye(n_nodes))(np.log(self.energies)).T
        # Of the other targets, the spectral index alone is not predicted as a logarithm; neither it nor the rollover
        # energy scales with the intensity.
        is_scaled = np.array([name not in PARAMETERS[:2] for name in (*networks.thresholds, *PARAMETERS)])
        is_log = np.array([name != PARAMETERS[0] for name in (*networks.thresholds, *PARAMETERS)])

        def fill(chosen: int, part: npt.NDArray[np.intp]) -> int:
            quantiles, log_scale, outside, n_bins = self._predict(measurement[part], chosen)
            log_scale = (log_scale - log_exposure[part])[:, None, None]
            # Far outside what the networks were trained on, their numbers may exceed any flux: no answer, not infinity.
            with np.errstate(over="ignore", invalid="ignore"):
                # Neighbouring quantiles of interpolated curves could cross by rounding; they are ordered by definition.
                log_flux = np.maximum.accumulate(quantiles[..., :n_nodes] @ spline, axis=1)
                flux[part] = np.exp(log_flux + log_scale)
                rest = quantiles[..., n_nodes:] + log_scale * is_scaled
                other[part] = np.where(is_log, np.exp(np.where(is_log, rest, 0.0)), rest)
            is_answered = np.isfinite(flux[part]).all(axis=(1, 2)) & np.isfinite(other[part]).all(axis=(1, 2))
            failed = part[~is_answered]
            flux[failed] = other[failed] = np.nan
            ensemble[part[is_answered]] = n_bins[is_answered]
            quality[part[outside]] |= int(Quality.EXTRAPOLATED)
            quality[failed] |= int(Quality.EXTRAPOLATED | Quality.NOT_PROCESSED)
            return len(part)

        rows = np.flatnonzero(usable)
        index = networks.rule.choose(measurement[rows])
        is_read = np.arange(len(self.channels)) < np.array([len(bins) for bins in networks.rule.bins])[index, None]
        quality[rows] = flag_detection(measurement[rows], is_read, quality[rows])
        tasks = [
            (chosen, mine[start : start + _CHUNK])
            for chosen in range(len(networks.rule.bins))
            for mine in [rows[index == chosen]]
            for start in range(0, len(mine), _CHUNK)
        ]
        # Networks this small gain nothing from threads of their own: whole chunks run side by side.
        done = 0
        with ThreadPoolExecutor(n_processors()) as pool:
            for n_filled in pool.map(lambda task: fill(*task), tasks):
                done += n_filled
                if progress is not None:
                    progress(done, len(rows))
        quality[~usable] |= int(Quality.NOT_PROCESSED)
        return self._label(counts, flux, other, ensemble, quality)

    def _predict(
        self, measurement: Measurement, chosen: int
    ) -> tuple[Array, Array, npt.NDArray[np.bool_], npt.NDArray[np.int8]]:
        """Predict with the chosen ensemble, or with the smallest where the chosen one is at a loss.

        A channel that rises by chance, with nothing in the softer ones, is a sample of which training saw too few: the
        network's upper quantiles then break what every spectrum of the form keeps, by decades.
        """
        quantiles, log_scale, outside = self._networks.predict(measurement, chosen)
        kept, departure = self._keep_limits(quantiles)
        n_bins = np.full(len(measurement), len(self._networks.rule.bins[chosen]), dtype=np.int8)
        lost = departure > _AT_A_LOSS
        outside = outside | lost
        if chosen and lost.any():
            n_bins[lost] = len(self._networks.rule.bins[0])
            again, log_scale[lost], _ = self._networks.predict(measurement[lost], 0)
            kept[lost], _ = self._keep_limits(again)
        return kept, log_scale, outside, n_bins

    def _keep_limits(self, quantiles: npt.NDArray[np.float32]) -> tuple[Array, Array]:
        n_nodes, n_thresholds = len(self._limits.nodes), len(self._limits.thresholds)
        flux, integral, rest = np.split(quantiles.astype(float), [n_nodes, n_nodes + n_thresholds], axis=-1)
        flux, integral, departure = self._limits.keep(flux, integral)
        return np.concatenate([flux, integral, rest], axis=-1), departure

    def _label(
        self,
        counts: xr.Dataset,
        flux: Array,
        other: Array,
        ensemble: npt.NDArray[np.int8],
        quality: npt.NDArray[np.int32],
    ) -> xr.Dataset:
        """Put names and units on the quantiles."""
        result = xr.Dataset(
            {
                "ensemble": ("time", ensemble, attributes("ensemble")),
                "quality": ("time", quality, attributes("quality")),
            },
            coords={
                "time": counts["time"],
                "energy": ("energy", np.array(self.energies), attributes("energy")),
                "threshold": ("threshold", np.array(self._networks.thresholds), attributes("threshold")),
            },
            attrs={
                "method": "ensemble",
                "model": self.artefact.name,
                "model_sha256": self.artefact.digest,
                "species": self.artefact.card["species"],
                "instrument": self.artefact.card["instrument"],
                "response_error": self.response_error,
                "form": "rolling-power-law, reference energy 1 MeV",
            },
        )
        for index, suffix in enumerate(SUFFIXES):
            result[f"flux{suffix}"] = (("time", "energy"), flux[:, index], attributes(f"flux{suffix}"))
            result[f"integral_flux{suffix}"] = (
                ("time", "threshold"),
                other[:, index, : -len(PARAMETERS)],
                attributes(f"integral_flux{suffix}"),
            )
            for column, name in enumerate(PARAMETERS):
                values = other[:, index, column - len(PARAMETERS)]
                result[f"{name}{suffix}"] = ("time", values, attributes(f"{name}{suffix}"))
        return result


def describe(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sum up a card in a few lines of name and value.

    Parameters
    ----------
    card : mapping
        Of an artefact of the kind `KIND`.

    Returns
    -------
    list of (str, str)
        Names and values.

    Raises
    ------
    ArtefactError
        If the card lacks an entry.
    """
    try:
        rule = card["rule"]
        return [
            ("instrument", f"{card['instrument']}, {card['species']}s, configurations {card['configurations']}"),
            ("bins", "; ".join("+".join(bins) for bins in rule["bins"])),
            ("rule", f"one bin more where it rises {rule['threshold_sigma']:g} sigma above its background"),
            ("networks", f"{len(rule['bins'])} ensembles of {card['training']['members']}"),
            ("energies", f"{card['nodes'][0]:g} to {card['nodes'][-1]:g} MeV"),
            ("trained", f"{card['created']} by: {card['training']['command']}"),
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        msg = f"model {card.get('name')!r}: its card lacks or misstates {error}; train or install the model again"
        raise ArtefactError(msg) from error
