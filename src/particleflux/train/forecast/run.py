"""The run of one forecast ensemble, and what its members left out teaches about the width of the intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from particleflux.errors import ArtefactError
from particleflux.forecast.distribution import LEADS, QUANTILES
from particleflux.forecast.inputs import InputSpec
from particleflux.train.forecast.network import MIDDLE, Batch, Sizes, initial_weights, loss_of, pool, predict
from particleflux.train.forecast.samples import Disturbance, Samples
from particleflux.train.forecast.settings import ForecastSettings

_WARM_UP = 50
_EVALUATE = 2048
#: Widths that the days left out ask for are believed between these factors.
STRETCH_LIMITS = (0.5, 3.0)
#: The same where electrons are missing: the networks saw that seldom, and know little of how wrong they then are.
GAP_LIMITS = (0.2, 10.0)

Weights = dict[str, torch.Tensor]


class Run:
    """One ensemble in training.

    Parameters
    ----------
    settings : ForecastSettings
        Sizes, steps and seed.
    spec : InputSpec
        Fitted to the training split.
    samples : Samples
        Of the training split.
    """

    def __init__(self, settings: ForecastSettings, spec: InputSpec, samples: Samples) -> None:
        self.settings, self.spec, self.samples = settings, spec, samples
        batch = samples.batch
        self.sizes = Sizes(
            batch.days.shape[1],
            batch.days.shape[2],
            batch.context.shape[2],
            batch.hours.shape[1],
            batch.hours.shape[2],
            settings.hidden,
        )
        # Row i: 1 where the member was kept from the sample.
        left_out = torch.arange(settings.members)[:, None] % settings.blocks == samples.block[None]
        # A single block cannot be left out: it is all there is.
        self.left_out = left_out if len(samples.block.unique()) > 1 else torch.zeros_like(left_out)
        self.n_steps = max(settings.least_steps, math.ceil(settings.epochs * len(samples) / settings.batch))

    def train(self, progress: Callable[[str, int, int], None] | None = None) -> Weights:
        """Train all members side by side, each on its own days.

        Parameters
        ----------
        progress : callable, optional
            Called with a title, what is done and what is to do.

        Returns
        -------
        dict of str to Tensor
            Trained weights, with a leading member dimension.

        Raises
        ------
        ArtefactError
            If the training diverges.
        """
        settings = self.settings
        weights = initial_weights(self.sizes, settings.members, settings.seed)
        tensors = [tensor.requires_grad_() for tensor in weights.values()]
        optimiser = torch.optim.AdamW(tensors, lr=settings.learning_rate, weight_decay=1e-2)
        disturb = Disturbance(self.spec, settings)
        generator = torch.Generator().manual_seed(settings.seed + 1)
        own = [torch.nonzero(~row)[:, 0] for row in self.left_out]
        for step in range(self.n_steps):
            rows = torch.stack([days[torch.randint(len(days), (settings.batch,), generator=generator)] for days in own])
            batch, truth = disturb(self._at(rows), self.samples.truth[rows], self.samples.known[rows], generator)
            loss = loss_of(*predict(weights, batch), truth, self.samples.known[rows])
            if not math.isfinite(value := float(loss.detach())):
                msg = f"the loss is {value} at step {step + 1}; lower the learning rate and train again"
                raise ArtefactError(msg)
            rate = 0.5 * (1.0 + math.cos(math.pi * step / self.n_steps)) * min(1.0, (step + 1) / _WARM_UP)
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * rate
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tensors, 5.0 * settings.members**0.5)
            optimiser.step()
            if progress is not None:
                progress("train the members", step + 1, self.n_steps)
        return {name: tensor.detach() for name, tensor in weights.items()}

    def _at(self, rows: torch.Tensor, batch: Batch | None = None) -> Batch:
        batch = batch or self.samples.batch
        return Batch(batch.days[rows], batch.context[rows], batch.level[rows], batch.hours[rows])

    def left_out_quantiles(self, weights: Weights, batch: Batch | None = None) -> npt.NDArray[np.float64]:
        """Pool for each training day the members that were kept from it.

        Parameters
        ----------
        weights : dict of str to Tensor
            Trained.
        batch : Batch, optional
            Other inputs of the same days, such as with electrons hidden.

        Returns
        -------
        ndarray, shape (n, lead_time, quantile)
            Scaled log10 fluence; of all members where none was kept from anything.
        """
        keep = self.left_out.to(torch.float32)
        keep[:, keep.sum(dim=0) == 0] = 1.0
        parts = []
        with torch.no_grad():
            for start in range(0, len(self.samples), _EVALUATE):
                rows = torch.arange(start, min(start + _EVALUATE, len(self.samples)))
                _, quantiles = predict(weights, self._at(rows.expand(self.settings.members, -1), batch))
                parts.append(pool(quantiles, keep[:, rows]))
        return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)

    def score(self, quantiles: npt.NDArray[np.float64], stretch: npt.NDArray[np.float64]) -> dict[str, Any]:
        """Measure the days left out: what a card may state without a test split.

        Parameters
        ----------
        quantiles : ndarray, shape (n, lead_time, quantile)
            What `left_out_quantiles` gave.
        stretch : ndarray, shape (lead_time, quantile)
            What `fit_stretch` gave.

        Returns
        -------
        dict
            For each lead time the days, prediction efficiency, that of persistence, rms error in dex, and the share
            of days inside the stretched 68 and 95 % intervals.
        """
        scores: dict[str, Any] = {"lead_time": list(LEADS)}
        names = ("days", "prediction_efficiency", "persistence_efficiency", "rmse_dex", "inside_68", "inside_95")
        columns: dict[str, list[float]] = {name: [] for name in names}
        middle = quantiles[..., MIDDLE : MIDDLE + 1]
        wide = middle + stretch * (quantiles - middle)
        level = self.samples.batch.level.numpy().astype(np.float64)
        for lead in range(len(LEADS)):
            known = self.samples.known[:, lead].numpy() > 0
            truth = self.samples.truth[known, lead].numpy().astype(np.float64)
            error = truth - quantiles[known, lead, MIDDLE]
            variance = truth.var()
            columns["days"].append(int(known.sum()))
            columns["prediction_efficiency"].append(1.0 - float((error**2).mean() / variance))
            columns["persistence_efficiency"].append(1.0 - float(((truth - level[known]) ** 2).mean() / variance))
            columns["rmse_dex"].append(float(np.sqrt((error**2).mean()) * self.spec.std[0]))
            for name, lower, upper in (("inside_68", 0.16, 0.84), ("inside_95", 0.025, 0.975)):
                low, high = (wide[known, lead, QUANTILES.index(tau)] for tau in (lower, upper))
                columns[name].append(float(((truth >= low) & (truth <= high)).mean()))
        return scores | {name: [round(value, 4) for value in values] for name, values in columns.items()}


def fit_stretch(
    quantiles: npt.NDArray[np.float64],
    truth: npt.NDArray[np.floating],
    known: npt.NDArray[np.bool_],
    *,
    limits: tuple[float, float] = STRETCH_LIMITS,
) -> npt.NDArray[np.float64]:
    r"""Fit how far each quantile must be moved from the median for the share it promises to lie below it.

    .. math:: P\big(y \le m + s_\tau (q_\tau - m)\big) = \tau

    Parameters
    ----------
    quantiles : ndarray, shape (n, lead_time, quantile)
        Forecasts for days that the forecaster was not trained on.
    truth : ndarray, shape (n, lead_time)
        What came.
    known : ndarray of bool, shape (n, lead_time)
        Where it is known.
    limits : tuple of float
        Least and greatest factor.

    Returns
    -------
    ndarray, shape (lead_time, quantile)
        1 for the median; within the limits for the others.

    References
    ----------
    Romano, Patterson and Candes (2019), Conformalized quantile regression, NeurIPS 32, arXiv:1905.03222; here the
    score is a ratio of distances, so that intervals stay wide where they were wide.
    """
    stretch = np.ones(quantiles.shape[1:])
    for lead in range(quantiles.shape[1]):
        rows = known[:, lead]
        middle = quantiles[rows, lead, MIDDLE]
        for index, level in enumerate(QUANTILES):
            if index == MIDDLE or not rows.any():
                continue
            ratio = (truth[rows, lead] - middle) / (quantiles[rows, lead, index] - middle)
            stretch[lead, index] = np.quantile(ratio, max(level, 1.0 - level))
    return np.asarray(np.clip(stretch, *limits))
