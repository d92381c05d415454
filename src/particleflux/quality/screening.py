"""Flags for what is known against each sample."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.names import Quality, attributes
from particleflux.quality._checks import (
    GAP_FACTOR,
    SHORT_FACTOR,
    Array,
    Flags,
    Mask,
    Times,
    cadence,
    check_counts,
    is_series,
    last_instant,
)
from particleflux.quality._implausible import lowest_rate, spikes, too_low

if TYPE_CHECKING:
    from particleflux.instruments import Instrument

#: A sample that lasts longer than this many steps to the next one counts time that others count as well.
OVERLAP_FACTOR = 1.5


def screen(counts: xr.Dataset, instrument: Instrument) -> xr.Dataset:
    """Flag what is known against each sample; the data stay as they are.

    Flags already set are kept. Added are DO_NOT_USE where a sample reaches into such a window of the instrument file;
    UNKNOWN_CONFIGURATION where its configuration has no response, changes before the sample ends, or is stated
    otherwise than the file's dates say; SATURATED for a rate above the channel's limit, or so far below the lowest
    galactic background that no particle population explains it (a threshold moved, a detector is off), tested sample
    by sample and over 15 minutes; SPIKE where a noisy channel alone leaves its running median for one sample; GAP,
    SHORT, MISSING (NaN in a channel that spectra are read from, `instrument.ensemble`) and INVALID (a negative count,
    an exposure that is not positive). SPIKE, GAP and SHORT leave a sample usable.

    With the attribute `independent_samples` times only number the samples: nothing is concluded from windows and dates,
    and a stated configuration holds.

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
    DataError
        If a sample lasts more than 1.5 times the step to the next one.

    Warns
    -----
    UserWarning
        If a stated configuration is another than the instrument file's at that time.
    """
    counts = check_counts(counts)
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
    stated = counts["configuration"].to_numpy()
    known, forbidden = np.isin(stated, usable), np.zeros(len(time), dtype=bool)
    if is_series(counts):
        _check_overlap(time, exposure)
        last = last_instant(time, exposure)
        known &= _agree(stated, time, last, instrument)
        forbidden = _overlaps(time, last, instrument)
    needed = np.isin(channels, instrument.ensemble.bins[-1])
    live = np.isfinite(exposure) & (exposure > 0)
    # Elsewhere a sample counts for nothing: no expectation, no count.
    seconds = np.where(np.isfinite(values) & live[:, np.newaxis], exposure[:, np.newaxis], 0.0)
    valid = np.where(seconds > 0, values, 0.0)

    quality = counts["quality"].to_numpy().astype(np.int32)
    limit = np.array([instrument.implausible_rate[name] for name in channels])
    lowest = np.array([lowest_rate(instrument, name) for name in channels])
    # The quiet level belongs to the configurations with a response; another one may rightly count less.
    is_low = too_low(valid, lowest * np.where(known[:, np.newaxis], seconds, 0.0), seconds)
    saturated = (valid > limit * seconds).any(axis=1) | is_low
    for flag, mask in (
        (Quality.DO_NOT_USE, forbidden),
        (Quality.UNKNOWN_CONFIGURATION, ~known),
        (Quality.SATURATED, saturated),
        (Quality.SPIKE, spikes(valid, seconds, channels, [item.channel for item in instrument.noisy_channels])),
        (Quality.GAP, _gaps(time, exposure)),
        (Quality.SHORT, live & (exposure < SHORT_FACTOR * cadence(exposure))),
        (Quality.MISSING, np.isnan(values[:, needed]).any(axis=1)),
        (Quality.INVALID, ((values < 0) | np.isinf(values)).any(axis=1) | ~live),
    ):
        quality[mask] |= flag
    return counts.assign(quality=("time", quality, attributes("quality")))


def _overlaps(time: Times, last: Times, instrument: Instrument) -> Mask:
    """Tell samples that reach into a do-not-use window."""
    windows = [(time < item.stop) & (last >= item.start) for item in instrument.exclusions]
    return np.asarray(np.any(windows, axis=0)) if windows else np.zeros(len(time), dtype=bool)


def _agree(stated: Flags, time: Times, last: Times, instrument: Instrument) -> Mask:
    """Tell samples that lie in one configuration, the stated one, by its dates."""
    dated = instrument.configuration_at(time)
    wrong = np.flatnonzero(stated != dated)
    if len(wrong):
        row = wrong[0]
        warnings.warn(
            f"configuration {stated[row]} is stated for {len(wrong)} of the {len(time)} samples, the first at "
            f"{np.datetime_as_string(time[row], unit='s')} UTC, where the dates of {instrument.name} say {dated[row]} "
            "(0: none known): flagged, not processed; correct the configuration, or leave it out to have it looked up",
            UserWarning,
            stacklevel=3,
        )
    return np.asarray((stated == dated) & (dated == instrument.configuration_at(last)))


def _check_overlap(time: Times, exposure: Array) -> None:
    step = np.diff(time) / np.timedelta64(1, "s")
    rows = np.flatnonzero(exposure[:-1] > OVERLAP_FACTOR * step)
    if len(rows):
        row = rows[0]
        msg = (
            f"counts: the sample at {time[row]} lasts {exposure[row]:g} s, the next one begins {step[row]:g} s later "
            f"({len(rows)} of {len(time)} samples overlap so): expected samples that end before the next begins, or "
            "their counts are summed more than once; correct the exposure (s), or keep samples that do not overlap"
        )
        raise DataError(msg)


def _gaps(time: Times, exposure: Array) -> Mask:
    step = np.diff(time) / np.timedelta64(1, "s")
    before = np.where(exposure[:-1] > 0, exposure[:-1], cadence(exposure))
    return np.concatenate([np.zeros(min(1, len(time)), dtype=bool), step > GAP_FACTOR * before])
