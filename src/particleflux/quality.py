"""Screening and accumulation: which samples a method may use, and their sums on a coarser grid.

`screen` sets flags and changes no datum. `accumulate` sums samples and never mixes usable with unusable ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.ndimage import median_filter
from scipy.special import pdtr

from particleflux.errors import AxisError, DataError
from particleflux.names import UNUSABLE, Quality, attributes, require

if TYPE_CHECKING:
    from particleflux.instruments import Instrument

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Flags = npt.NDArray[np.int32]

#: A step longer than this many accumulations is a gap.
GAP_FACTOR = 1.5
#: An accumulation below this part of the one asked for is short.
SHORT_FACTOR = 0.9
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


def screen(counts: xr.Dataset, instrument: Instrument) -> xr.Dataset:
    """Flag what is known against each sample; the data stay as they are.

    Flags already set are kept. Added are DO_NOT_USE and UNKNOWN_CONFIGURATION from the instrument file; SATURATED for
    a rate above the channel's limit, or so far below the lowest galactic background that no particle population
    explains it (a threshold moved, a detector is off), tested sample by sample and over 15 minutes; SPIKE where a noisy
    channel alone leaves its running median for one sample; GAP, SHORT, MISSING (a count is NaN) and INVALID (a
    negative count, an exposure that is not positive). SPIKE, GAP and SHORT leave a sample usable.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        `counts` (1), `exposure` (s) and `quality`, times increasing; `configuration` is looked up if absent. Spikes
        and thresholds are best seen at the native cadence: screen first, then accumulate.
    instrument : Instrument
        Gives validity dates, do-not-use windows, quiet levels, limits and noisy channels.

    Returns
    -------
    Dataset, dims (time, channel)
        A new dataset with `quality` completed and the coordinate `configuration`.

    Raises
    ------
    AxisError
        If a variable, dimension or channel is missing or unknown, or the times do not increase.
    UnitError
        If a unit is another.
    """
    counts = _checked(counts)
    channels = [str(name) for name in counts["channel"].to_numpy()]
    unknown = [name for name in channels if name not in instrument.channels]
    if unknown:
        msg = (
            f"counts hold the channels {', '.join(unknown)}: {instrument.name} has {', '.join(instrument.channels)}; "
            "rename them or name the instrument they belong to"
        )
        raise AxisError(msg)
    time, values = counts["time"].to_numpy(), counts["counts"].to_numpy().astype(np.float64)
    exposure = counts["exposure"].to_numpy().astype(np.float64)
    if "configuration" not in counts.coords:
        looked_up = np.asarray(instrument.configuration_at(time), dtype=np.int32)
        counts = counts.assign_coords(configuration=("time", looked_up, attributes("configuration")))
    usable = [item.number for item in instrument.configurations if item.response]
    known = np.isin(counts["configuration"].to_numpy(), usable)
    live = np.isfinite(exposure) & (exposure > 0)
    # Elsewhere a sample counts for nothing: no expectation, no count.
    seconds = np.where(np.isfinite(values) & live[:, np.newaxis], exposure[:, np.newaxis], 0.0)
    valid = np.where(seconds > 0, values, 0.0)

    quality = counts["quality"].to_numpy().astype(np.int32)
    limit = np.array([instrument.implausible_rate[name] for name in channels])
    lowest = np.array([_lowest_rate(instrument, name) for name in channels])
    # The quiet level belongs to the configurations with a response; another one may rightly count less.
    too_low = _too_low(valid, lowest * np.where(known[:, np.newaxis], seconds, 0.0), seconds)
    saturated = (valid > limit * seconds).any(axis=1) | too_low
    for flag, mask in (
        (Quality.DO_NOT_USE, np.asarray(instrument.do_not_use(time), dtype=bool)),
        (Quality.UNKNOWN_CONFIGURATION, ~known),
        (Quality.SATURATED, saturated),
        (Quality.SPIKE, _spikes(valid, seconds, channels, [item.channel for item in instrument.noisy_channels])),
        (Quality.GAP, _gaps(time, exposure)),
        (Quality.SHORT, live & (exposure < SHORT_FACTOR * _cadence(exposure))),
        (Quality.MISSING, np.isnan(values).any(axis=1)),
        (Quality.INVALID, ((values < 0) | np.isinf(values)).any(axis=1) | ~live),
    ):
        quality[mask] |= flag
    return counts.assign(quality=("time", quality, attributes("quality")))


def accumulate(counts: xr.Dataset, every: str | None = "15min") -> xr.Dataset:
    """Sum samples onto bins aligned with UTC.

    Bins start at multiples of `every` since 1970-01-01T00:00 UTC; a sample belongs to the bin it starts in. In each bin
    the usable samples are summed and the others left out; their flags are dropped, except GAP. A bin with none usable
    sums the unusable ones and carries their flags. Samples of the most frequent configuration alone are summed. A bin
    with no sample is absent, and the next one carries GAP. A sum of less than 90 % of `every` is SHORT.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        `counts` (1), `exposure` (s) and `quality`, times increasing. Other numeric variables along time are averaged
        over the summed samples, weighted by exposure.
    every : str or None
        Length of a bin as pandas reads it ("15min", "1h", "1D"); None keeps the native cadence.

    Returns
    -------
    Dataset, dims (time, channel)
        The same variables; `time` is the start of the bin, `exposure` the summed live time. A channel that is NaN in a
        summed sample is NaN.

    Raises
    ------
    DataError
        If `every` is no duration or shorter than the native accumulation.
    AxisError
        If a variable or dimension is missing, the times do not increase, or a variable along time is no number.
    UnitError
        If a unit is another.
    """
    counts = _checked(counts)
    if every is None or counts.sizes["time"] == 0:
        return counts
    exposure = counts["exposure"].to_numpy().astype(np.float64)
    length = _length(every, _cadence(exposure))
    quality = counts["quality"].to_numpy().astype(np.int32)
    bins = counts["time"].to_numpy().astype("datetime64[ns]").astype(np.int64) // length
    configuration = counts["configuration"].to_numpy() if "configuration" in counts.coords else np.zeros(len(bins), int)
    starts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
    summed = _summed(bins, starts, (quality & int(UNUSABLE)) == 0, configuration)
    member_starts = np.flatnonzero(np.diff(bins[summed], prepend=bins[0] - 1))
    weight = exposure[summed]
    total = np.add.reduceat(weight, member_starts)

    # A bin is judged by its own sum: a short sample among full ones does not make it short.
    flags = np.bitwise_or.reduceat(quality[summed] & ~int(Quality.SHORT), member_starts)
    flags |= np.bitwise_or.reduceat(quality & int(Quality.GAP), starts)
    flags[np.diff(bins[starts], prepend=bins[0] - 1) > 1] |= Quality.GAP
    flags[total < SHORT_FACTOR * length / 1e9] |= Quality.SHORT

    result = counts.drop_dims("time")
    time = (bins[starts] * length).astype("datetime64[ns]")
    result = result.assign_coords(time=("time", time, counts["time"].attrs))
    for name, variable in counts.variables.items():
        if "time" not in variable.dims or name in ("time", "quality"):
            continue
        if variable.dtype.kind not in "iuf":
            msg = f"variable {name!r} along time is {variable.dtype}: expected numbers to sum or average; drop it first"
            raise AxisError(msg)
        values = variable.transpose("time", ...).to_numpy()[summed]
        if name in counts.coords:
            values = values[member_starts]
        elif name in ("counts", "exposure"):
            values = np.add.reduceat(values, member_starts, axis=0)
        else:
            aligned = weight.reshape(-1, *(1,) * (values.ndim - 1))
            with np.errstate(invalid="ignore", divide="ignore"):  # no live time, no average: NaN
                average = np.add.reduceat(values * aligned, member_starts, axis=0)
                values = average / total.reshape(-1, *(1,) * (values.ndim - 1))
        new = xr.Variable(variable.transpose("time", ...).dims, values, variable.attrs)
        result = result.assign_coords({name: new}) if name in counts.coords else result.assign({name: new})
    return result.assign(quality=("time", flags.astype(np.int32), attributes("quality")))


def _checked(counts: xr.Dataset) -> xr.Dataset:
    require(counts, "counts", "exposure", "quality")
    for name in ("time", "channel"):
        if name not in counts.coords:
            msg = f"dimension {name!r} of the counts carries no labels: expected a coordinate {name!r}; assign one"
            raise AxisError(msg)
    step = np.diff(counts["time"].to_numpy())
    if not (step > np.timedelta64(0, "ns")).all():
        row = int(np.flatnonzero(~(step > np.timedelta64(0, "ns")))[0]) + 1
        msg = (
            f"counts: time[{row}] is {counts['time'].to_numpy()[row]}, not after the one before it: expected "
            "increasing times, each once; sort them and drop repeated ones"
        )
        raise AxisError(msg)
    return counts.transpose("time", "channel", ...)


def _cadence(exposure: Array) -> float:
    positive = exposure[exposure > 0]
    return float(np.median(positive)) if len(positive) else 0.0


def _gaps(time: npt.NDArray[np.datetime64], exposure: Array) -> Mask:
    step = np.diff(time) / np.timedelta64(1, "s")
    before = np.where(exposure[:-1] > 0, exposure[:-1], _cadence(exposure))
    return np.concatenate([np.zeros(min(1, len(time)), dtype=bool), step > GAP_FACTOR * before])


def _lowest_rate(instrument: Instrument, channel: str) -> float:
    """Give the rate (s-1) that galactic cosmic rays alone keep up, less where a part of the quiet level drifts."""
    drift = 3.0 * instrument.quiet_relative_std[channel]
    return LOWEST_QUIET * instrument.quiet_rate[channel] * max(0.0, 1.0 - drift)


def _too_low(values: Array, lowest: Array, seconds: Array) -> Mask:
    """Tell samples with a channel too low for galactic cosmic rays, alone or together with its neighbours."""
    low = _improbable(values, lowest)
    cadence = _cadence(seconds.max(axis=1, initial=0.0))
    half = int(LOW_WINDOW / cadence) // 2 if cadence > 0 else 0
    if half > 0:
        # A sample that reaches the lowest level itself is not blamed for its neighbours.
        around = _running_sum(np.where(lowest > 0, values, 0.0), half)
        low |= _improbable(around, _running_sum(lowest, half)) & (values < lowest)
    return np.asarray(low.any(axis=1))


def _improbable(values: Array, expected: Array) -> Mask:
    below = np.asarray(values < expected)
    below[below] = pdtr(values[below], expected[below]) < LOW_PROBABILITY
    return below


def _running_sum(values: Array, half: int) -> Array:
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    index = np.arange(len(values))
    return np.asarray(total[np.minimum(index + half + 1, len(values))] - total[np.maximum(index - half, 0)])


def _spikes(values: Array, seconds: Array, channels: list[str], noisy: list[str]) -> Mask:
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


def _summed(bins: npt.NDArray[np.int64], starts: npt.NDArray[np.intp], usable: Mask, configuration: Flags) -> Mask:
    """Tell the samples to sum: the usable ones of a bin if there are any, in its most frequent configuration."""
    which = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(bins))))
    summed = np.where(np.logical_or.reduceat(usable, starts)[which], usable, True)
    kinds, kind = np.unique(configuration, return_inverse=True)
    if len(kinds) > 1:
        frequency = np.bincount((which * len(kinds) + kind)[summed], minlength=len(starts) * len(kinds))
        summed &= frequency.reshape(len(starts), len(kinds)).argmax(axis=1)[which] == kind
    return np.asarray(summed)


def _length(every: str, cadence: float) -> int:
    """Read the length of a bin, in ns."""
    try:
        length = pd.Timedelta(every).as_unit("ns")
    except (ValueError, TypeError, OverflowError) as error:
        msg = f"every={every!r} is no duration ({error}); expected for instance '15min', '1h' or '1D'"
        raise DataError(msg) from error
    if not length.total_seconds() >= max(cadence, 1e-9):  # NaT fails as well
        msg = (
            f"every={every!r} is shorter than the accumulation of the samples, {cadence:g} s: counts cannot be split; "
            "give a longer one, or keep the samples as they are (`--every native`, or every=None)"
        )
        raise DataError(msg)
    return int(length.value)
