"""The networks of an `npe` artefact, ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError
from particleflux.features import Scaler
from particleflux.unfold.networks import start_session
from particleflux.unfold.npe_fit import FitTable
from particleflux.unfold.npe_targets import COPULA_FILE, NPE_KIND, QUANTILE_FILE
from particleflux.unfold.targets import QUANTILES

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PopulationTargets:
    """Where the targets of one species lie among all.

    Attributes
    ----------
    species : str
        The particles.
    nodes, thresholds : tuple of float, MeV
        Energies of the flux, and of the integral flux.
    flux, integral : slice
        Among the targets of the quantiles.
    scores : slice
        Among those of the correlations.
    """

    species: str
    nodes: tuple[float, ...]
    thresholds: tuple[float, ...]
    flux: slice
    integral: slice
    scores: slice


@dataclass(frozen=True)
class NpeNetworks:
    """What an artefact of the kind `npe-spectra` holds.

    Attributes
    ----------
    channels, noisy, monitors : tuple of str
        Channels that are read, and which of them are left out when.
    channel_errors : mapping of str to float
        Relative errors of the response that single channels have beyond the common one.
    configurations : tuple of int
        Configurations of the instrument whose response was trained for.
    populations : tuple of PopulationTargets
        In the order of the targets.
    scaler : Scaler
        Of the features.
    fit : FitTable
        What a discrepancy is judged by.
    quantile_session, copula_session : InferenceSession
        The networks.
    """

    channels: tuple[str, ...]
    noisy: tuple[str, ...]
    monitors: tuple[str, ...]
    channel_errors: Mapping[str, float]
    configurations: tuple[int, ...]
    populations: tuple[PopulationTargets, ...]
    scaler: Scaler
    fit: FitTable
    quantile_session: Any
    copula_session: Any

    @classmethod
    def of(cls, artefact: Artefact) -> NpeNetworks:
        """Take the networks out of an artefact.

        Parameters
        ----------
        artefact : Artefact
            Of the kind `npe-spectra`.

        Returns
        -------
        NpeNetworks
            Ready to predict.

        Raises
        ------
        ArtefactError
            If it is of another kind, the card lacks an entry, or the networks do not fit it.
        """
        card = artefact.card
        if card["kind"] != NPE_KIND:
            msg = (
                f"model {artefact.name!r} is of kind {card['kind']!r}, expected {NPE_KIND!r}; "
                "choose another model or method"
            )
            raise ArtefactError(msg)
        try:
            channels, noisy, monitors = (tuple(map(str, card[name])) for name in ("channels", "noisy", "monitors"))
            channel_errors = {str(key): float(value) for key, value in card["channel_errors"].items()}
            configurations = tuple(int(number) for number in card["configurations"])
            populations = _populations(card["populations"])
            scaler = Scaler(**{key: tuple(map(float, values)) for key, values in card["scaler"].items()})
            n_features = len(card["features"])
            n_targets = populations[-1].integral.stop + len(channels)
            n_scores = populations[-1].scores.stop
            sessions = [start_session(name, artefact.networks[name]) for name in (QUANTILE_FILE, COPULA_FILE)]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            msg = f"model {artefact.name!r}: its card lacks or misstates {error}; train or install the model again"
            raise ArtefactError(msg) from error
        found = {port.name: port.shape[1:] for session in sessions for port in session.get_outputs()}
        sizes = {len(values) for values in vars(scaler).values()} | {
            port.shape[1] for session in sessions for port in session.get_inputs()
        }
        if (
            [port.name for port in sessions[0].get_outputs()] != ["quantiles"]
            or found.get("quantiles") != [len(QUANTILES), n_targets]
            or found.get("loadings", [0])[0] != n_scores
            or sizes != {n_features}
        ):
            msg = (
                f"model {artefact.name!r}: its networks have ports {found} and {sorted(sizes)} features, expected "
                f"{n_targets} targets, {n_scores} scores and {n_features} features; train or install the model again"
            )
            raise ArtefactError(msg)
        return cls(
            channels, noisy, monitors, channel_errors, configurations, populations, scaler, FitTable.of(card), *sessions
        )

    def population(self, species: str) -> PopulationTargets:
        """Find the targets of a species.

        Parameters
        ----------
        species : str
            The particles.

        Returns
        -------
        PopulationTargets
            Where they lie.

        Raises
        ------
        ArtefactError
            If the networks do not predict it.
        """
        for item in self.populations:
            if item.species == species:
                return item
        known = [item.species for item in self.populations]
        msg = f"the model predicts {known}, not {species!r}; choose another model or species"
        raise ArtefactError(msg)

    def quantiles(self, scaled: npt.NDArray[np.float32]) -> Array:
        """Predict pooled quantiles of scaled features, shape (n, 5, target), in units of the log scale."""
        (values,) = self.quantile_session.run(["quantiles"], {"features": scaled})
        return np.asarray(values, dtype=float)

    def loadings(self, scaled: npt.NDArray[np.float32]) -> Array:
        """Predict the loadings of the correlation, shape (n, score, factor)."""
        (values,) = self.copula_session.run(["loadings"], {"features": scaled})
        return np.asarray(values, dtype=float)


def _populations(entries: Any) -> tuple[PopulationTargets, ...]:
    populations, target, score = [], 0, 0
    for entry in entries:
        nodes, thresholds = (tuple(map(float, entry[name])) for name in ("nodes", "thresholds"))
        middle, stop = target + len(nodes), target + len(nodes) + len(thresholds)
        populations.append(
            PopulationTargets(
                str(entry["species"]),
                nodes,
                thresholds,
                slice(target, middle),
                slice(middle, stop),
                slice(score, score + len(nodes)),
            )
        )
        target, score = stop, score + len(nodes)
    return tuple(populations)
