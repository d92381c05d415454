"""Counts that no particle population explains: thresholds that moved, detectors that are off, spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter
from scipy.special import pdtr

from particleflux.quality._checks import Array, Mask, cadence

if TYPE_CHECKING:
    from particleflux.instruments import Instrument

#: Galactic cosmic rays keep every channel above this part of its quiet level: over a solar cycle and in the deepest
#: Forbush decreases the rate behind RADEM's shielding stays within about 30 % of its median.
LOWEST_QUIET = 0.5
#: Probability below which a count is too low for `LOWEST_QUIET`. A year of minutes in 16 channels is 8e6 trials.
LOW_PROBABILITY = 1e-10
#: Seconds over which counts are also summed for that test: one minute of a channel at 0.3 s-1 decides nothing.
LOW_WINDOW = 900.0
#: Samples in the running median that is a noisy channel's level, and the excesses in Poisson standard deviations.
SPIKE_WINDOW = 11
SPIKE_SIGMA = 6.0
RISE_SIGMA = 4.0


def lowest_rate(instrument: Instrument, channel: str) -> float:
    """Give the rate (s-1) that galactic cosmic rays alone keep up, less where a part of the quiet level drifts."""
    drift = 3.0 * instrument.quiet_relative_std[channel]
    return LOWEST_QUIET * instrument.quiet_rate[channel] * max(0.0, 1.0 - drift)


def too_low(values: Array, lowest: Array, seconds: Array) -> Mask:
    """Tell samples with a channel too low for galactic cosmic rays, alone or together with its neighbours."""
    low = _improbable(values, lowest)
    usual = cadence(seconds.max(axis=1, initial=0.0))
    half = int(LOW_WINDOW / usual) // 2 if usual > 0 else 0
    if half > 0:
        # A sample that reaches the lowest level itself is not blamed for its neighbours.
        around = _running_sum(np.where(lowest > 0, values, 0.0), half)
        low |= _improbable(around, _running_sum(lowest, half)) & (values < lowest)
    return np.asarray(low.any(axis=1))


def spikes(values: Array, seconds: Array, channels: list[str], noisy: list[str]) -> Mask:
    """Tell samples where a noisy channel leaves its level for one sample and no channel of its head follows."""
    spike = np.zeros(len(values), dtype=bool)
    heads = [name.rstrip("0123456789") for name in channels]
    for column, name in enumerate(channels):
        if name not in noisy or len(values) < SPIKE_WINDOW:
            continue
        alone = _excess(values[:, column], seconds[:, column]) > SPIKE_SIGMA
        for other, head in enumerate(heads):
            # Particles that lift this channel by six standard deviations lift its neighbours too.
            if head == heads[column] and channels[other] not in noisy:
                alone &= _excess(values[:, other], seconds[:, other]) < RISE_SIGMA
        spike |= alone
    return spike


def _improbable(values: Array, expected: Array) -> Mask:
    below = np.asarray(values < expected)
    below[below] = pdtr(values[below], expected[below]) < LOW_PROBABILITY
    return below


def _running_sum(values: Array, half: int) -> Array:
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    index = np.arange(len(values))
    return np.asarray(total[np.minimum(index + half + 1, len(values))] - total[np.maximum(index - half, 0)])


def _excess(values: Array, seconds: Array) -> Array:
    """Give how far each sample stands above its running median, in standard deviations."""
    live = seconds > 0
    if not live.any():
        return np.zeros(len(values))
    rate = np.divide(values, seconds, out=np.zeros_like(values), where=live)
    # A missing sample takes the nearest live one's place in the window.
    nearest = np.maximum.accumulate(np.where(live, np.arange(len(values)), 0))
    level = median_filter(rate[nearest], size=SPIKE_WINDOW, mode="nearest") * seconds
    return np.asarray((values - level) / np.sqrt(level + 1.0))
