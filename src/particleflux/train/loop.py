"""The run of one ensemble: from drawn weights, or a checkpoint, to the last step."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from particleflux.errors import ArtefactError
from particleflux.features import Scaler
from particleflux.train.checkpoint import read_checkpoint, write_checkpoint
from particleflux.train.dataset import Split
from particleflux.train.network import (
    Head,
    QuantileLoss,
    hidden_to_output,
    initial_weights,
    pooled_loss,
    pooled_quantiles,
)
from particleflux.train.settings import LoopSettings
from particleflux.unfold.targets import QUANTILES

_EVALUATE = 4096
_WARM_UP = 200


class Run:
    """One ensemble in training: all members side by side.

    Parameters
    ----------
    settings : LoopSettings
        Sizes, steps and seed.
    head : Head
        Of each network.
    scaler : Scaler
        Fitted to the split.
    split : Split
        Training samples.
    index : int
        Number of the ensemble; part of every seed.
    checkpoint : Path
        Where the state is kept.
    identity : str
        Of the run; a checkpoint of another one is ignored.
    """

    def __init__(
        self,
        settings: LoopSettings,
        head: Head,
        scaler: Scaler,
        split: Split,
        index: int,
        checkpoint: Path,
        identity: str,
    ) -> None:
        self.settings, self.head, self.scaler, self.index = settings, head, scaler, index
        self.checkpoint, self.identity = checkpoint, identity
        self.features = torch.from_numpy(scaler.transform(split.features).astype(np.float32))
        self.targets = torch.from_numpy(split.targets)

    def train(
        self, title: str, progress: Callable[[str, int, int], None] | None = None
    ) -> tuple[list[torch.Tensor], list[list[float]]]:
        """Train from the checkpoint, if there is one, to the last step.

        An interrupt is let through without a checkpoint: a step that was cut short may have changed some weights, and
        the last checkpoint is the last sound state.

        Parameters
        ----------
        title : str
            Handed to `progress`.
        progress : callable, optional
            Called with a title, what is done and what is to do.

        Returns
        -------
        tensors : list of Tensor
            Trained weights and biases.
        history : list of [step, loss]
            Now and then.

        Raises
        ------
        ArtefactError
            If the training diverges, or the checkpoint is damaged.
        """
        settings = self.settings
        tensors = [
            tensor.requires_grad_()
            for tensor in initial_weights(self.head, settings.members, 1000 * settings.seed + self.index)
        ]
        optimiser = torch.optim.AdamW(
            tensors, lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-5, fused=True
        )
        first, history = read_checkpoint(self.checkpoint, self.identity, tensors, optimiser)
        total = settings.steps + settings.tuning_steps
        for step in range(first, total):
            loss = self._step(step, tensors, optimiser)
            if not math.isfinite(loss):
                msg = f"{title}: the loss is {loss} at step {step + 1}; lower the learning rate and train again"
                raise ArtefactError(msg)
            is_last = step + 1 == total
            if (step + 1) % 100 == 0 or is_last:
                history.append([step + 1, round(loss, 4)])
                if progress is not None:
                    progress(title, step + 1, total)
            if (step + 1) % settings.checkpoint_every == 0 or is_last:
                write_checkpoint(self.checkpoint, self.identity, step + 1, tensors, optimiser, history)
        return [tensor.detach() for tensor in tensors], history

    def _step(self, step: int, tensors: list[torch.Tensor], optimiser: torch.optim.Optimizer) -> float:
        settings = self.settings
        is_alone = step < settings.steps
        done, total, highest = (
            (step, settings.steps, settings.learning_rate)
            if is_alone
            else (step - settings.steps, settings.tuning_steps, settings.tuning_rate)
        )
        falling = 0.5 * (1.0 + math.cos(math.pi * done / total)) + 1e-3
        for group in optimiser.param_groups:
            group["lr"] = highest * min(1.0, (done + 1) / _WARM_UP) * falling
        # Seeded by the step, so that a resumed run draws the batches that an uninterrupted one would have drawn.
        generator = torch.Generator().manual_seed((settings.seed * 31 + self.index) * 1_000_003 + step)
        shape = (settings.members if is_alone else 1, settings.batch)
        rows = torch.randint(0, len(self.features), shape, generator=generator)
        features = self.features[rows].expand(settings.members, -1, -1)
        outputs = self.head.split(hidden_to_output(tensors, features))
        if is_alone:
            loss = QuantileLoss.apply(*outputs, self.targets[rows])
        else:
            loss = pooled_loss(*outputs, self.targets[rows[0]])
        optimiser.zero_grad()
        # Each member has its own weights: the mean over members, in either loss, must not divide its gradient.
        (loss * settings.members).backward()
        torch.nn.utils.clip_grad_norm_(tensors, 5.0 * settings.members)
        optimiser.step()
        return float(loss.detach())

    def score(self, tensors: list[torch.Tensor], held_out: Split) -> dict[str, Any]:
        """Measure loss and coverage of the pooled quantiles on samples that nothing was fitted to.

        Parameters
        ----------
        tensors : list of Tensor
            Trained weights and biases.
        held_out : Split
            Other samples than those trained on.

        Returns
        -------
        dict
            `loss`, that of the pooled quantiles, and `truth_below_quantile`, the share of samples whose truth lies
            below each pooled quantile, by quantile and target.
        """
        features = torch.from_numpy(self.scaler.transform(held_out.features).astype(np.float32))
        truth = torch.from_numpy(held_out.targets)
        total = 0.0
        below = torch.zeros(len(QUANTILES), self.head.n_targets)
        with torch.no_grad():
            for start in range(0, len(features), _EVALUATE):
                part, true = features[start : start + _EVALUATE], truth[start : start + _EVALUATE]
                raw = hidden_to_output(tensors, part.expand(len(tensors[0]), -1, -1))
                outputs = self.head.split(raw)
                total += len(part) * float(pooled_loss(*outputs, true))
                below += (true[:, None] < pooled_quantiles(*outputs)).sum(dim=0)
        return {
            "loss": round(total / len(features), 4),
            "truth_below_quantile": [[round(float(value), 4) for value in row] for row in below / len(features)],
        }
