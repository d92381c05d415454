"""How well the predicted signal explains the counts, judged by samples that the prior gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from particleflux.errors import ArtefactError
from particleflux.unfold.npe_targets import FIT_LEFT_OUT, FIT_LEVELS
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

#: Relative error of the signals that the networks predict.
NETWORK_ERROR = 0.02


def discrepancy(observation: Observation, signal: Array) -> Array:
    r"""Measure how far counts are from what a signal makes expect.

    .. math:: T = \sum_i \frac{(n_i - B_i - S_i)^2}{B_i + S_i + (\epsilon_i B_i)^2 + (\sigma_i^2 + \delta^2) S_i^2}

    with delta the error of the networks themselves, 2 %: without it the brightest samples of a perfectly known response
    would all look alike bad.

    Parameters
    ----------
    observation : Observation
        n samples.
    signal : ndarray, shape (n, channel)
        Predicted signal counts.

    Returns
    -------
    ndarray, shape (n,)
        T, over the channels that are read.
    """
    expected = signal + observation.background
    variance = np.maximum(expected, 0.5) + (observation.background_error * observation.background) ** 2
    variance = variance + (observation.response_error**2 + NETWORK_ERROR**2) * signal**2
    pulls = (observation.counts - expected) ** 2 / variance
    return np.asarray(np.where(observation.is_read, pulls, 0.0).sum(axis=1))


@dataclass(frozen=True)
class FitTable:
    """Distribution of the discrepancy among samples of the prior, by channels left out and total signal.

    Attributes
    ----------
    log_total : ndarray, shape (bin,)
        Logarithm of the total signal counts.
    values : ndarray, shape (left out, bin, level)
        What the share `FIT_LEVELS` of simulated samples exceeds; not falling.
    """

    log_total: Array
    values: Array

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> FitTable:
        """Take the table from a card.

        Parameters
        ----------
        card : mapping
            Of a model of the kind `npe-spectra`.

        Returns
        -------
        FitTable
            The table.

        Raises
        ------
        ArtefactError
            If the card lacks it, or it is damaged.
        """
        try:
            log_total = np.array(card["fit"]["log_total"], dtype=float)
            values = np.array(card["fit"]["discrepancy"], dtype=float)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"model {card.get('name')!r}: its card lacks or misstates {error}; train or install the model again"
            raise ArtefactError(msg) from error
        shape = (FIT_LEFT_OUT + 1, len(log_total), len(FIT_LEVELS))
        if values.shape != shape or not np.isfinite(values).all() or (np.diff(values, axis=-1) < 0).any():
            msg = (
                f"model {card.get('name')!r}: its table of the fit has shape {values.shape}, expected {shape}, finite "
                "and rising; train or install the model again"
            )
            raise ArtefactError(msg)
        return cls(log_total, values)

    def probability(self, measured: Array, log_total: Array, n_left_out: npt.NDArray[np.intp]) -> Array:
        """Give the share of simulated samples that fit worse.

        Parameters
        ----------
        measured : ndarray, shape (n,)
            Discrepancy of n samples.
        log_total : ndarray, shape (n,)
            Logarithm of their total signal counts.
        n_left_out : ndarray of int, shape (n,)
            Channels that were not read.

        Returns
        -------
        ndarray, shape (n,)
            Between the least of `FIT_LEVELS`, for this or worse, and 1.
        """
        position = np.interp(log_total, self.log_total, np.arange(len(self.log_total)))
        low = np.minimum(position.astype(int), len(self.log_total) - 2)
        part = (position - low)[:, None]
        group = np.minimum(n_left_out, FIT_LEFT_OUT)
        values = (1.0 - part) * self.values[group, low] + part * self.values[group, low + 1]
        index = np.clip((measured[:, None] >= values).sum(axis=1) - 1, 0, len(FIT_LEVELS) - 2)
        rows = np.arange(len(measured))
        start, stop = values[rows, index], values[rows, index + 1]
        share = np.clip((measured - start) / np.maximum(stop - start, 1e-12), 0.0, 1.0)
        log_level = np.log(np.array(FIT_LEVELS))
        return np.asarray(np.exp(log_level[index] + share * (log_level[index + 1] - log_level[index])))
