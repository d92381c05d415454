"""Counts as networks see them: which bins are read, what is computed from them, and how it is scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Counts above this are scaled down together with their background: the signal is by then known to 1e-4.
COUNT_CAP = 1e8
# Added to a relative error before the logarithm: below half a percent, counting noise or the network's own error rules.
_ERROR_FLOOR = 0.005


@dataclass(frozen=True)
class Measurement:
    """Counts of n samples in the channels a rule knows, with all that the networks are conditioned on.

    Attributes
    ----------
    counts : ndarray, shape (n, channel)
        Counts of the accumulation; need not be whole numbers.
    background : ndarray, shape (n, channel)
        Expected background counts in the same accumulation.
    background_error : ndarray, shape (n, channel)
        Relative standard error of `background`.
    response_error : ndarray, shape (n,)
        Relative standard error of the response, independent between channels.
    """

    counts: Array
    background: Array
    background_error: Array
    response_error: Array

    def __len__(self) -> int:
        """Give the number of samples."""
        return len(self.counts)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Measurement:
        """Give the chosen samples."""
        return Measurement(
            self.counts[rows], self.background[rows], self.background_error[rows], self.response_error[rows]
        )


@dataclass(frozen=True)
class BinRule:
    r"""Which bins a sample is read in: the smallest set, and one more each time the next channel stands out.

    A channel rises where

    .. math:: n > b + k \sqrt{b + (\epsilon b)^2}

    with its counts n, expected background b, relative error of the background epsilon and the threshold k. The second
    set is read where the channel it adds rises, the third where those of the second and third both do.

    Attributes
    ----------
    bins : tuple of tuple of str
        Sets of channels, each the one before it and one channel more.
    threshold_sigma : float
        The threshold k.

    Examples
    --------
    >>> rule = BinRule((("A",), ("A", "B")), threshold_sigma=2.0)
    >>> quiet = np.array([[9.0, 100.0], [9.0, 121.0]])
    >>> rule.choose(Measurement(quiet, np.full((2, 2), 100.0), np.zeros((2, 2)), np.zeros(2)))
    array([0, 1])
    """

    bins: tuple[tuple[str, ...], ...]
    threshold_sigma: float

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the largest set; the columns of a `Measurement`."""
        return self.bins[-1]

    def margin(self, measurement: Measurement) -> Array:
        """Give what a channel must show above its background to rise, shape (n, channel), counts."""
        variance = measurement.background + (measurement.background_error * measurement.background) ** 2
        return np.asarray(self.threshold_sigma * np.sqrt(variance))

    def choose(self, measurement: Measurement) -> npt.NDArray[np.intp]:
        """Choose the set of bins of every sample, shape (n,): an index into `bins`."""
        rises = measurement.counts > measurement.background + self.margin(measurement)
        extra = rises[:, len(self.bins[0]) :]
        return np.asarray(np.logical_and.accumulate(extra, axis=1).sum(axis=1), dtype=np.intp)


def count_features(measurement: Measurement, rule: BinRule, index: int) -> tuple[Array, Array]:
    """Compute what the networks of one set of bins see.

    The posterior of the signal depends on counts and expected background only, not on the exposure: fluxes come out in
    units of (total signal counts / exposure), and one network serves accumulations of any length. The features are,
    per channel, the share of the signal (logarithm of a net count that stays positive), its relative error, and the
    background's share; the margin that the first unread channel stayed below, which bounds it from above; and the
    total, the background's error and the response's error.

    Parameters
    ----------
    measurement : Measurement
        n samples that the rule sent to this set; all channels of the rule.
    rule : BinRule
        The rule that chose.
    index : int
        Which set of bins.

    Returns
    -------
    features : ndarray, shape (n, feature)
        Finite for finite input.
    log_scale : ndarray, shape (n,)
        Natural logarithm of the signal counts that fluxes are expressed in.
    """
    n_bins = len(rule.bins[index])
    shrink = np.minimum(1.0, COUNT_CAP / np.maximum(measurement.counts.max(axis=1), 1.0))[:, None]
    counts = measurement.counts * shrink
    background = measurement.background * shrink
    error = measurement.background_error
    read = slice(0, n_bins)

    variance = counts[:, read] + 1.0 + (error[:, read] * background[:, read]) ** 2
    net = counts[:, read] - background[:, read]
    # Positive root of s^2 - net s - variance = 0: the net count where it is significant, about variance / |net| else.
    signal = 0.5 * (net + np.sqrt(net**2 + 4.0 * variance))
    signal = np.where(net < 0, variance / np.maximum(signal - net, 1e-300), signal)
    log_total = np.log(signal.sum(axis=1))

    # The response's own error enters here as well, so that the width of the posterior can be read off one number.
    uncertainty = variance + (measurement.response_error[:, None] * signal) ** 2
    columns = [
        np.log(signal) - log_total[:, None],
        0.5 * np.log(uncertainty) - np.log(signal),
        np.log1p(background[:, read]) - log_total[:, None],
    ]
    if n_bins < len(rule.channels):
        margin = rule.margin(Measurement(counts, background, error, measurement.response_error))[:, n_bins]
        columns.append((np.log1p(margin) - log_total)[:, None])
    spread = np.sqrt((error[:, read] ** 2).mean(axis=1))
    columns.append(
        np.stack(
            [log_total, np.log(spread + _ERROR_FLOOR), np.log(measurement.response_error + _ERROR_FLOOR)],
            axis=1,
        )
    )
    return np.concatenate(columns, axis=1), log_total - np.log(shrink[:, 0])


def feature_names(rule: BinRule, index: int) -> list[str]:
    """Name the columns that `count_features` gives for one set of bins, in order."""
    bins = rule.bins[index]
    names = [f"{kind} {channel}" for kind in ("log share", "log relative error", "log background") for channel in bins]
    if len(bins) < len(rule.channels):
        names.append(f"log margin {rule.channels[len(bins)]}")
    return [*names, "log total", "log background error", "log response error"]


@dataclass(frozen=True)
class Scaler:
    """Shift and scale of each feature, as the training split showed them.

    Attributes
    ----------
    mean, std : tuple of float
        One number a feature.
    lowest, highest : tuple of float
        Range seen in training, in scaled units: beyond it a network extrapolates.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]

    @classmethod
    def fit(cls, features: npt.NDArray[np.floating]) -> Scaler:
        """Learn shift, scale and range from the training split.

        Parameters
        ----------
        features : ndarray, shape (n, feature)
            The training split only.

        Returns
        -------
        Scaler
            The fitted scaler.
        """
        mean = features.mean(axis=0, dtype=float)
        # A feature that never moves is passed through unscaled.
        std = features.std(axis=0, dtype=float)
        std = np.where(std > 0, std, 1.0)
        return cls(
            _floats(mean),
            _floats(std),
            _floats((features.min(axis=0) - mean) / std),
            _floats((features.max(axis=0) - mean) / std),
        )

    def transform(self, features: npt.NDArray[np.floating]) -> Array:
        """Scale features, shape (n, feature)."""
        return np.asarray((features - np.array(self.mean)) / np.array(self.std))

    def is_outside(self, scaled: Array, *, tolerance: float = 0.1) -> npt.NDArray[np.bool_]:
        """Tell which samples lie outside the trained range in any feature, shape (n,).

        Parameters
        ----------
        scaled : ndarray, shape (n, feature)
            What `transform` gave.
        tolerance : float
            Allowed excess, in standard deviations of the feature.

        Returns
        -------
        ndarray of bool, shape (n,)
            True where any feature is beyond the range by more than the tolerance.
        """
        beyond = (scaled < np.array(self.lowest) - tolerance) | (scaled > np.array(self.highest) + tolerance)
        return np.asarray(beyond.any(axis=1))


def _floats(values: Sequence[float] | Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
