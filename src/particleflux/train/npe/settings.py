"""Settings of a training run of `npe`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NpeSettings:
    """What a training run is made of; recorded in the artefact's card.

    Attributes
    ----------
    members : int
        Networks of the ensemble.
    steps, tuning_steps : int
        Optimiser steps in which every member learns alone, and in which the pooled quantiles are scored.
    copula_steps : int
        Steps of the network that learns how the energies go together.
    batch, copula_batch : int
        Samples in a step.
    learning_rate, tuning_rate, copula_rate : float
        Highest rates; warmed up, then lowered along a cosine.
    samples, held_out : int
        Training samples; and samples that nothing is fitted to but the distribution of the discrepancy.
    seed : int
        Of simulation, weights and batches.
    hidden, copula_hidden : tuple of int
        Widths of the hidden layers.
    n_factors : int
        Columns of the correlation's loadings.
    proton_nodes, electron_nodes : tuple of float, MeV
        Energies of the flux.
    proton_thresholds, electron_thresholds : tuple of float, MeV
        Of the integral flux.
    checkpoint_every : int
        Steps between checkpoints.
    """

    members: int = 6
    steps: int = 11000
    tuning_steps: int = 4000
    copula_steps: int = 3000
    batch: int = 512
    copula_batch: int = 512
    learning_rate: float = 3e-3
    tuning_rate: float = 1e-3
    copula_rate: float = 2e-3
    samples: int = 1_500_000
    held_out: int = 100_000
    seed: int = 20240515
    hidden: tuple[int, ...] = (192, 192, 192)
    copula_hidden: tuple[int, ...] = (96, 96)
    n_factors: int = 6
    proton_nodes: tuple[float, ...] = tuple(float(round(energy, 4)) for energy in np.geomspace(2.0, 300.0, 20))
    electron_nodes: tuple[float, ...] = tuple(float(round(energy, 4)) for energy in np.geomspace(0.3, 10.0, 12))
    proton_thresholds: tuple[float, ...] = (10.0, 30.0, 50.0, 60.0, 100.0)
    electron_thresholds: tuple[float, ...] = (0.5, 1.0, 2.0)
    checkpoint_every: int = 500

    def nodes(self, species: str) -> tuple[float, ...]:
        """Energies of the flux of a species, MeV."""
        return self.proton_nodes if species == "proton" else self.electron_nodes

    def thresholds(self, species: str) -> tuple[float, ...]:
        """Thresholds of the integral flux of a species, MeV."""
        return self.proton_thresholds if species == "proton" else self.electron_thresholds
