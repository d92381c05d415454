"""Networks whose quantiles are free of any formula."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from particleflux.train.network import LOG_WIDTH_RANGE, Outputs


@dataclass(frozen=True)
class FreeHead:
    """Quantiles of targets in standard units: a width, and five numbers in units of it.

    Attributes
    ----------
    n_features, n_targets : int
        Inputs, and quantities that are predicted.
    hidden : tuple of int
        Widths of the hidden layers.
    """

    n_features: int
    n_targets: int
    hidden: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, inputs and outputs included."""
        return (self.n_features, *self.hidden, 6 * self.n_targets)

    @property
    def first_root(self) -> int:
        """Where the roots of the steps between the quantiles begin."""
        return 2 * self.n_targets

    def split(self, raw: torch.Tensor) -> Outputs:
        """Give centre (zero), log width and numbers of raw outputs (member, batch, output)."""
        log_width, numbers = torch.split(raw, [self.n_targets, 5 * self.n_targets], dim=-1)
        return torch.zeros_like(log_width), log_width.clamp(*LOG_WIDTH_RANGE), numbers
