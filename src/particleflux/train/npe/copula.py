r"""How the energies go together: a network that gives the correlation of the normal scores.

.. math:: R = L L^T + D, \qquad L_k = v_k / \sqrt{1 + |v_k|^2}, \qquad D_{kk} = 1 / (1 + |v_k|^2)

with a row v_k of few numbers for each energy. The loss is that of a multivariate normal distribution of the scores.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from particleflux.errors import ArtefactError
from particleflux.train.network import hidden_to_output
from particleflux.train.npe.settings import NpeSettings

#: Least part of a score's variance that is an energy's own: keeps the correlation from becoming singular.
LEAST_OWN = 1e-4
_WARM_UP = 200


def loadings_of(raw: torch.Tensor, n_targets: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn raw outputs (batch, target * factor) into loadings (batch, target, factor) and the rest (batch, target)."""
    rows = raw.reshape(len(raw), n_targets, -1)
    length = (rows**2).sum(dim=-1, keepdim=True)
    scale = (1.0 - LEAST_OWN) ** 0.5 / torch.sqrt(1.0 + length)
    return rows * scale, 1.0 - (1.0 - LEAST_OWN) * length[..., 0] / (1.0 + length[..., 0])


def copula_loss(loadings: torch.Tensor, own: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Score normal scores (batch, target) by minus the log density of their correlation, relative to independence."""
    weighted = loadings / own[..., None]
    inner = torch.eye(loadings.shape[-1]) + loadings.transpose(1, 2) @ weighted
    # No exception where weights diverge: the loss becomes NaN, which the training tells.
    root = torch.linalg.cholesky_ex(inner)[0]
    seen = (weighted.transpose(1, 2) @ scores[..., None])[..., 0]
    solved = torch.linalg.solve_triangular(root, seen[..., None], upper=False)[..., 0]
    quadratic = (scores**2 / own).sum(dim=-1) - (solved**2).sum(dim=-1)
    log_determinant = torch.log(own).sum(dim=-1) + 2.0 * torch.log(torch.diagonal(root, dim1=1, dim2=2)).sum(dim=-1)
    return 0.5 * (quadratic + log_determinant - (scores**2).sum(dim=-1)).mean()


def train_copula(
    features: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    settings: NpeSettings,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[torch.Tensor], list[list[float]]]:
    """Train the network from drawn weights.

    Parameters
    ----------
    features : ndarray, shape (n, feature)
        Scaled.
    scores : ndarray, shape (n, target)
        Normal scores of the truth under the predicted quantiles.
    settings : NpeSettings
        Sizes, steps and seed.
    progress : callable, optional
        Called with a title, what is done and what is to do.

    Returns
    -------
    tensors : list of Tensor
        Weights (1, in, out) and biases (1, 1, out), layer by layer.
    history : list of [step, loss]
        Now and then.

    Raises
    ------
    ArtefactError
        If the training diverges.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    n_targets = scores.shape[1]
    sizes = (features.shape[1], *settings.copula_hidden, n_targets * settings.n_factors)
    tensors = []
    for n_in, n_out in itertools.pairwise(sizes):
        tensors += [torch.randn(1, n_in, n_out, generator=generator) / n_in**0.5, torch.zeros(1, 1, n_out)]
    tensors = [tensor.requires_grad_() for tensor in tensors]
    optimiser = torch.optim.AdamW(tensors, lr=settings.copula_rate, betas=(0.9, 0.99), weight_decay=1e-5, fused=True)
    inputs, wanted = torch.from_numpy(features), torch.from_numpy(scores)
    history: list[list[float]] = []
    for step in range(settings.copula_steps):
        falling = 0.5 * (1.0 + math.cos(math.pi * step / settings.copula_steps)) + 1e-3
        for group in optimiser.param_groups:
            group["lr"] = settings.copula_rate * min(1.0, (step + 1) / _WARM_UP) * falling
        rows = torch.randint(0, len(inputs), (settings.copula_batch,), generator=generator)
        raw = hidden_to_output(tensors, inputs[rows][None])[0]
        loss = copula_loss(*loadings_of(raw, n_targets), wanted[rows])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tensors, 5.0)
        optimiser.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            msg = f"train correlations: the loss is {value} at step {step + 1}; lower copula_rate and train again"
            raise ArtefactError(msg)
        if (step + 1) % 100 == 0 or step + 1 == settings.copula_steps:
            history.append([step + 1, round(value, 4)])
            if progress is not None:
                progress("train correlations", step + 1, settings.copula_steps)
    return [tensor.detach() for tensor in tensors], history
