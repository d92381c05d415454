"""Neural posterior estimation: the joint distribution of the spectrum from all channels, whatever its form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.interpolate import CubicSpline

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError, DataError
from particleflux.names import UNUSABLE, Quality
from particleflux.unfold.joint import draw_scores, from_scores
from particleflux.unfold.labels import DEFAULT_ENERGIES, label_spectra
from particleflux.unfold.measurement import check_origin
from particleflux.unfold.npe_fit import discrepancy
from particleflux.unfold.npe_inputs import npe_features
from particleflux.unfold.npe_networks import NpeNetworks, PopulationTargets
from particleflux.unfold.npe_prediction import NpePrediction
from particleflux.unfold.npe_targets import NPE_SHIPPED
from particleflux.unfold.observation import Observation, observe
from particleflux.unfold.processors import n_processors
from particleflux.unfold.targets import MAX_RESPONSE_ERROR, QUANTILES

Array = npt.NDArray[np.float64]

#: MeV; where the flux of electrons is given unless asked otherwise.
ELECTRON_ENERGIES = tuple(float(round(energy, 3)) for energy in np.geomspace(0.3, 10.0, 16))
#: Of particles beside others, what has a 95 % interval wider than this factor is no measurement but an upper limit.
LIMIT_FACTOR = 10.0**1.5
#: A sample that the particles known to the networks explain worse than this is no basis for telling them apart.
LEAST_FIT = 0.01
# Rows per call of a network: its layers then stay in the processor's cache.
_CHUNK = 1024


@dataclass(frozen=True)
class NpeUnfolder:
    r"""Spectra of unknown form by a deep ensemble that was trained on simulations over several forms.

    The networks read counts, background, and the errors of background and response of all channels, any of which may be
    missing, and give the quantiles of log flux at every energy, of the integral fluxes, and how the energies go
    together. The interval covers counting, background, response and the form of the spectrum, for spectra of the prior
    that the model's card states.

    Attributes
    ----------
    artefact : Artefact
        The trained networks.
    species : str
        "proton" or "electron"; by default what the model was made for.
    response_error : float
        Relative standard error of the response, each channel its own; 0 to 0.2. Widens the intervals.
    energies : tuple of float, MeV
        Where the flux is wanted; inside the range of the artefact's nodes. By default 5 to 100 MeV for protons and 0.3
        to 10 MeV for electrons.
    samples : int
        Draws of the joint distribution to give as `flux_sample`; 0 for none.
    seed : int
        Of the draws; draw k of one sample goes with draw k of another.

    References
    ----------
    Cranmer, Brehmer and Louppe (2020), The frontier of simulation-based inference, PNAS 117, 30055,
    doi:10.1073/pnas.1912789117.
    """

    artefact: Artefact = field(repr=False)
    species: str = ""
    response_error: float = 0.05
    energies: tuple[float, ...] = ()
    samples: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that the networks do not cover."""
        networks = self._networks
        if not self.species:
            object.__setattr__(self, "species", networks.populations[-1].species)
        if not self.energies:
            object.__setattr__(self, "energies", DEFAULT_ENERGIES if self.species == "proton" else ELECTRON_ENERGIES)
        nodes = networks.population(self.species).nodes
        if not 0.0 <= self.response_error <= MAX_RESPONSE_ERROR:
            msg = (
                f"response_error is {self.response_error:g}, expected a relative error from 0 to "
                f"{MAX_RESPONSE_ERROR:g}, the range the networks were trained for"
            )
            raise DataError(msg)
        energies = np.asarray(self.energies, dtype=float)
        inside = energies.ndim == 1 and bool(((energies >= nodes[0]) & (energies <= nodes[-1])).all())
        if not inside or not (np.diff(energies) > 0).all():
            msg = f"energies {list(self.energies)}: expected increasing energies from {nodes[0]:g} to {nodes[-1]:g} MeV"
            raise DataError(msg)
        if self.samples < 0:
            msg = f"samples is {self.samples}: expected a number of draws, 0 or above"
            raise DataError(msg)

    @classmethod
    def load(cls, path: str | Path | None = None, *, species: str = "proton", **settings: Any) -> NpeUnfolder:
        """Read the networks, by default those that ship for the species.

        Parameters
        ----------
        path : str or Path, optional
            Folder of a trained model, or the name of a shipped one.
        species : str
            The particles.
        **settings : Any
            Fields of `NpeUnfolder`; an unknown one raises TypeError.

        Returns
        -------
        NpeUnfolder
            Ready to unfold.

        Raises
        ------
        ArtefactError
            If there is no such model, or it is damaged, from the future, or of another kind.
        """
        if path is None and species not in NPE_SHIPPED:
            msg = f"no model ships for species {species!r}; choose one of {', '.join(NPE_SHIPPED)}, or give a model"
            raise ArtefactError(msg)
        return cls(Artefact.load(NPE_SHIPPED[species] if path is None else path), species=species, **settings)

    @cached_property
    def _networks(self) -> NpeNetworks:
        return NpeNetworks.of(self.artefact)

    @property
    def trained_for(self) -> str:
        """Digest of the response to protons, of the channels that are read, that the networks were trained for."""
        return str(self.artefact.card["response_sha256"])

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that are read where they are there, in order."""
        return self._networks.channels

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
            `background_rate` and `background_rate_std` in s-1, dims (channel) or (time, channel). A `quality` (time) is
            added to the flags.
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        Dataset
            `flux` and `integral_flux` as medians with 68 % and 95 % intervals; `fit_probability` (time), the share of
            simulated samples like this one that fit worse; `quality` (time); `flux_sample` where draws were asked for.
            Samples that cannot be read are NaN and flagged NOT_PROCESSED. Of electrons, whose channels count protons as
            well, an energy with a 95 % interval of more than 1.5 decades has its upper bounds alone (median NaN, lower
            bounds 0, draws NaN); BELOW_DETECTION where that holds for all integral fluxes; and nothing where protons
            and electrons together do not explain the counts (`fit_probability` below 0.01; EXTRAPOLATED,
            NOT_PROCESSED).

        Raises
        ------
        AxisError
            If too few channels are there, or the background's times are others than those of the counts.
        UnitError
            If a unit is absent or another one.
        DataError
            If the counts are of an instrument that the networks were not trained for.
        """
        networks = self._networks
        wanted = networks.population(self.species)
        self._check_origin(counts)
        observation, quality = observe(
            counts,
            background,
            networks.channels,
            configurations=networks.configurations,
            response_error=self.response_error,
            channel_errors=networks.channel_errors,
            noisy=networks.noisy,
            monitors=networks.monitors,
        )
        usable = np.flatnonzero((quality & int(UNUSABLE)) == 0)
        found = self.predict(observation, rows=usable, progress=progress)
        flux = found.flux
        quality[found.is_outside] |= int(Quality.EXTRAPOLATED)
        quality[usable[np.isnan(flux[usable, 0, 0])]] |= int(Quality.EXTRAPOLATED | Quality.NOT_PROCESSED)
        if self.species != networks.populations[0].species:
            is_limit = _refuse_medians(flux)
            found.samples[np.repeat(is_limit[:, None], self.samples, axis=1)] = np.nan
            # By the integrals, which do not depend on the energies asked for.
            unseen = _refuse_medians(found.integral).all(axis=1)
            quality[unseen] |= int(Quality.BELOW_DETECTION)
            misfit = found.fit_probability < LEAST_FIT
            flux[misfit] = np.nan
            quality[misfit] |= int(Quality.EXTRAPOLATED | Quality.NOT_PROCESSED)
        return label_spectra(
            counts,
            quality,
            self.energies,
            flux,
            wanted.thresholds,
            found.integral,
            fit_probability=found.fit_probability,
            samples=found.samples if self.samples else None,
            method="npe",
            model=self.artefact.name,
            model_sha256=self.artefact.digest,
            species=self.species,
            instrument=str(self.artefact.card["instrument"]),
            response_error=self.response_error,
        )

    def predict(
        self,
        observation: Observation,
        *,
        rows: npt.NDArray[np.intp] | None = None,
        seed: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> NpePrediction:
        """Answer observations whose errors are known sample by sample, as simulated ones are.

        Parameters
        ----------
        observation : Observation
            n samples of the model's `channels`, in their order.
        rows : ndarray of int, optional
            Samples to answer; by default all.
        seed : int, optional
            Of the draws; by default the field `seed`.
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        NpePrediction
            Of the n samples; NaN where not asked for, or where no finite number came out.
        """
        networks = self._networks
        wanted = networks.population(self.species)
        rows = np.arange(len(observation)) if rows is None else rows
        found = NpePrediction.empty(len(observation), len(self.energies), len(wanted.thresholds), self.samples)
        flux, integral, samples = found.flux, found.integral, found.samples
        # Splines are linear in what they pass through: one matrix interpolates all samples.
        spline = CubicSpline(np.log(wanted.nodes), np.eye(len(wanted.nodes)))(np.log(self.energies)).T

        def fill(rows: npt.NDArray[np.intp]) -> int:
            part = observation[rows]
            scaled, log_scale, found.is_outside[rows], quantiles = self._run(part)
            unit = (log_scale - np.log(part.exposure))[:, None, None]
            # Far outside what the networks were trained on, numbers may exceed any flux: no answer, not infinity.
            with np.errstate(over="ignore", invalid="ignore"):
                # Neighbouring quantiles of interpolated curves could cross by rounding; they are ordered by definition.
                flux[rows] = np.exp(np.maximum.accumulate(quantiles[..., wanted.flux] @ spline, axis=1) + unit)
                integral[rows] = np.exp(quantiles[..., wanted.integral] + unit)
                signal = np.exp(quantiles[:, len(QUANTILES) // 2, -len(networks.channels) :] + log_scale[:, None])
                found.fit_probability[rows] = self._judge(part, signal, scaled)
                if self.samples:
                    draws = self._draw(scaled, quantiles, wanted, self.seed if seed is None else seed)
                    samples[rows] = np.exp(draws @ spline + unit)
            lost = ~(np.isfinite(flux[rows]).all(axis=(1, 2)) & np.isfinite(integral[rows]).all(axis=(1, 2)))
            flux[rows[lost]] = integral[rows[lost]] = np.nan
            return len(rows)

        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        done = 0
        # Networks this small gain nothing from threads of their own: whole chunks run side by side.
        with ThreadPoolExecutor(n_processors()) as pool:
            for n_filled in pool.map(fill, chunks):
                done += n_filled
                if progress is not None:
                    progress(done, len(rows))
        return found

    def _check_origin(self, counts: xr.Dataset) -> None:
        """Refuse counts of another instrument, or known to be of particles that the networks do not know."""
        species = counts.attrs.get("species")
        known = [item.species for item in self._networks.populations]
        expected = species if species in known else self.species
        check_origin(counts, self.artefact.card["instrument"], expected, self.artefact.name)

    def _run(self, observation: Observation) -> tuple[npt.NDArray[np.float32], Array, npt.NDArray[np.bool_], Array]:
        """Give scaled features, log scale, whether they lie outside what was trained, and quantiles."""
        features, log_scale = npe_features(observation)
        scaled = self._networks.scaler.transform(features)
        outside = self._networks.scaler.is_outside(scaled)
        inputs = scaled.astype(np.float32)
        return inputs, log_scale, outside, self._networks.quantiles(inputs)

    def _judge(self, observation: Observation, signal: Array, scaled: npt.NDArray[np.float32]) -> Array:
        """Give the share of simulated samples that fit worse."""
        scaler = self._networks.scaler
        log_total = scaled[:, -1].astype(float) * scaler.std[-1] + scaler.mean[-1]
        n_left_out = (~observation.is_read).sum(axis=1)
        return self._networks.fit.probability(discrepancy(observation, signal), log_total, n_left_out)

    def _draw(self, scaled: npt.NDArray[np.float32], quantiles: Array, wanted: PopulationTargets, seed: int) -> Array:
        """Draw log flux at the nodes, shape (n, sample, node)."""
        scores = draw_scores(self._networks.loadings(scaled)[:, wanted.scores], self.samples, seed)
        return from_scores(quantiles[..., wanted.flux], scores)


def _refuse_medians(quantiles: Array) -> npt.NDArray[np.bool_]:
    """Keep the upper bounds alone where an interval is too wide for a measurement; tell where, shape (n, energy)."""
    with np.errstate(invalid="ignore"):
        is_limit = quantiles[:, -1] > LIMIT_FACTOR * quantiles[:, 0]
    middle = quantiles.shape[1] // 2
    quantiles[:, :middle][np.repeat(is_limit[:, None], middle, axis=1)] = 0.0
    quantiles[:, middle][is_limit] = np.nan
    return np.asarray(is_limit)


def describe(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sum up a card in a few lines of name and value.

    Parameters
    ----------
    card : mapping
        Of an artefact of the kind `npe-spectra`.

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
        training = card["training"]
        populations = [
            f"{item['species']}s {item['nodes'][0]:g} to {item['nodes'][-1]:g} MeV" for item in card["populations"]
        ]
        families = ", ".join(card["prior"]["populations"][-1]["families"])
        return [
            ("instrument", f"{card['instrument']}, configurations {card['configurations']}"),
            ("particles", "; ".join(populations)),
            ("channels", ", ".join(card["channels"])),
            ("forms", families),
            ("networks", f"{training['members']} of {'-'.join(map(str, training['hidden']))}"),
            ("trained", f"{card['created']} in {training['seconds']} s, {training['samples']} samples"),
            ("commit", str(training["commit"])),
            ("command", str(training["command"])),
        ]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        msg = f"model {card.get('name')!r}: its card lacks or misstates {error}; train or install the model again"
        raise ArtefactError(msg) from error
