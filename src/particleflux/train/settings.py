"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class LoopSettings(Protocol):
    """What the training loop reads of the settings; see `TrainingSettings`."""

    @property
    def members(self) -> int:
        """Networks an ensemble."""
        ...

    @property
    def steps(self) -> int:
        """Steps in which every member learns alone."""
        ...

    @property
    def tuning_steps(self) -> int:
        """Steps in which the pooled quantiles are scored."""
        ...

    @property
    def batch(self) -> int:
        """Samples each member sees in a step."""
        ...

    @property
    def learning_rate(self) -> float:
        """Highest rate while members learn alone."""
        ...

    @property
    def tuning_rate(self) -> float:
        """Highest rate while the pool is tuned."""
        ...

    @property
    def seed(self) -> int:
        """Of weights and batches."""
        ...

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""
        ...


@dataclass(frozen=True)
class TrainingSettings:
    """What a training run is made of; recorded in the artefact's card.

    Attributes
    ----------
    members : int
        Networks an ensemble.
    steps, tuning_steps : int
        Optimiser steps in which every member learns alone, on samples of its own; and steps in which the pooled
        quantiles are scored, on common samples. Members that err independently are each as wide as their own error
        demands, and their pool, which errs less, would be too wide.
    batch : int
        Samples each member sees in a step.
    learning_rate, tuning_rate : float
        Highest rates; warmed up, then lowered along a cosine.
    samples : int
        Training samples an ensemble.
    held_out : int
        Samples an ensemble that neither the scalers nor the optimiser see; the card's scores are measured on them.
    seed : int
        Of simulation, weights and batches.
    hidden : tuple of int
        Widths of the hidden layers.
    nodes, thresholds : tuple of float, MeV
        Energies of the flux and of the integral flux.
    checkpoint_every : int
        Steps between checkpoints.
    """

    members: int = 20
    steps: int = 4500
    tuning_steps: int = 3000
    batch: int = 512
    learning_rate: float = 3e-3
    tuning_rate: float = 1e-3
    samples: int = 1_000_000
    held_out: int = 50_000
    seed: int = 20240515
    hidden: tuple[int, ...] = (64, 64, 64)
    nodes: tuple[float, ...] = tuple(float(round(energy, 4)) for energy in np.geomspace(2.0, 200.0, 16))
    thresholds: tuple[float, ...] = (10.0, 30.0, 50.0, 60.0, 100.0)
    checkpoint_every: int = 500
