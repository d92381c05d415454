"""What the methods that read all channels are given: counts, background and errors, with the channels to leave out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError
from particleflux.names import UNUSABLE, Quality, require
from particleflux.unfold.measurement import FILL_VALUE, align, given_quality
from particleflux.unfold.targets import MAX_BACKGROUND_ERROR

Array = npt.NDArray[np.float64]

#: With fewer channels than this no spectrum is told.
LEAST_CHANNELS = 3
# A channel below its background by this many standard deviations is not counting as it should.
_DEAD_SIGMA = 8.0
# No channel above its background by this many standard deviations: nothing was seen.
DETECTION_SIGMA = 3.0
# Of an error that does not say how much of it is common to the channels: half of the variance.
_COMMON_FRACTION = 0.5


@dataclass(frozen=True)
class Observation:
    """Counts of n samples in all channels a method can read; bare numbers, finite everywhere.

    Attributes
    ----------
    counts, background : ndarray, shape (n, channel)
        Counts of the accumulation, and expected background counts; 0 where `is_read` is False.
    background_error : ndarray, shape (n, channel)
        Relative standard error of the background.
    background_common : ndarray, shape (n, channel)
        The part of it that all channels share (the level of the cosmic rays), relative as well; the rest adds in
        quadrature and is each channel's own.
    response_error : ndarray, shape (n, channel)
        Relative standard error of the response, independent between channels.
    is_read : ndarray of bool, shape (n, channel)
        Channels that hold a count to be read.
    exposure : ndarray, shape (n,)
        s; 1 where the sample cannot be used.
    """

    counts: Array
    background: Array
    background_error: Array
    background_common: Array
    response_error: Array
    is_read: npt.NDArray[np.bool_]
    exposure: Array

    def __len__(self) -> int:
        """Give the number of samples."""
        return len(self.counts)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Observation:
        """Give the chosen samples."""
        return Observation(
            self.counts[rows],
            self.background[rows],
            self.background_error[rows],
            self.background_common[rows],
            self.response_error[rows],
            self.is_read[rows],
            self.exposure[rows],
        )

    @property
    def background_own(self) -> Array:
        """Relative error of the background that is each channel's own, shape (n, channel)."""
        return np.sqrt(np.maximum(self.background_error**2 - self.background_common**2, 0.0))

    @property
    def significance(self) -> Array:
        """Excess over the background in standard deviations of the background, shape (n, channel); 0 if not read."""
        sigma = np.sqrt(np.maximum(self.background, 1.0) + (self.background_error * self.background) ** 2)
        return np.where(self.is_read, (self.counts - self.background) / sigma, 0.0)


def observe(
    counts: xr.Dataset,
    background: xr.Dataset,
    channels: Sequence[str],
    *,
    configurations: Collection[int] | None,
    response_error: float,
    channel_errors: Mapping[str, float] | None = None,
    noisy: Collection[str] = (),
    monitors: Collection[str] = (),
    least: int = LEAST_CHANNELS,
) -> tuple[Observation, npt.NDArray[np.int32]]:
    """Check counts and background, and take out of them what a method reads; a channel may be missing.

    Parameters
    ----------
    counts : Dataset
        `counts` (time, channel), `exposure` (time) in s, `quality` (time); channels in any order. A channel that is
        absent or NaN is left out and the sample flagged CHANNEL_LEFT_OUT.
    background : Dataset
        `background_rate` and `background_rate_std` in s-1, dims (channel) or (time, channel); where it says so,
        `background_rate_common_std`, the part of the standard deviation that the channels share (by default half of
        the variance). A `quality` (time) is added to the flags.
    channels : sequence of str
        The channels wanted, in the order wanted.
    configurations : collection of int or None
        Configurations of the instrument that the method knows the response of; None for any.
    response_error : float
        Relative standard error of the response, each channel its own.
    channel_errors : mapping of str to float, optional
        What single channels have beyond it, in quadrature.
    noisy : collection of str
        Channels to leave out of samples flagged SPIKE.
    monitors : collection of str
        Channels to leave out where the background level was read off them (a followed background, not carried over):
        no count is used twice. Ignored for a background that was not followed.
    least : int
        Channels that must be read; with fewer the sample is MISSING.

    Returns
    -------
    observation : Observation
        Of every sample; zeros where it is missing or invalid.
    quality : ndarray of int32, shape (time,)
        Flags of every sample. `UNUSABLE` ones must become NaN.

    Raises
    ------
    AxisError
        If fewer than `least` channels are there, or the background's times are others than those of the counts.
    UnitError
        If a unit is absent or another one.
    """
    require(counts, "counts", "exposure")
    require(background, "background_rate", "background_rate_std")
    there = _present(counts, background, channels, least)
    names = [name for name, is_there in zip(channels, there, strict=True) if is_there]
    shape = (counts.sizes["time"], len(channels))

    def spread(values: Array, empty: float) -> Array:
        whole = np.full(shape, empty)
        whole[:, there] = values
        return whole

    number = spread(align(counts["counts"], "counts", counts, names), np.nan)
    rate = spread(align(background["background_rate"], "background_rate", counts, names), np.nan)
    std = spread(align(background["background_rate_std"], "background_rate_std", counts, names), np.nan)
    if "background_rate_common_std" in background:
        require(background, "background_rate_common_std")
        name = "background_rate_common_std"
        common = spread(align(background[name], name, counts, names), 0.0)
    else:
        common = std * np.sqrt(_COMMON_FRACTION)
    exposure = counts["exposure"].to_numpy().astype(float)

    # Which channels can be left out is for the method to say: a flag that one is missing is given anew.
    quality = given_quality(counts, background) & ~np.int32(Quality.MISSING)
    if configurations is not None and "configuration" in counts.variables:
        known = np.isin(counts["configuration"].to_numpy(), list(configurations))
        quality[~known] |= int(Quality.UNKNOWN_CONFIGURATION)
    is_read = np.isfinite(number) & (number < FILL_VALUE)
    spiking = (quality & int(Quality.SPIKE)) != 0
    is_read &= ~(spiking[:, None] & np.isin(channels, list(noisy)))
    missing = ~is_read
    if "background_level" in background:
        followed = (quality & int(Quality.BACKGROUND_HELD)) == 0
        is_read &= ~(followed[:, None] & np.isin(channels, list(monitors)))
    wrong = (np.where(is_read, number, 0.0) < 0).any(axis=1) | ~(np.isfinite(exposure) & (exposure > 0))
    known = np.isfinite(rate) & np.isfinite(std) & np.isfinite(common)
    wrong |= (is_read & ~(known & (rate >= 0) & (std >= 0) & (common >= 0))).any(axis=1)
    quality[wrong] |= int(Quality.INVALID)
    too_few = is_read.sum(axis=1) < least
    quality[too_few] |= int(Quality.MISSING)
    quality[missing.any(axis=1) & ~too_few] |= int(Quality.CHANNEL_LEFT_OUT)

    good = ~wrong & ~too_few
    is_read &= good[:, None]
    seconds = np.where(good, exposure, 1.0)
    number = np.where(is_read, number, 0.0)
    level = np.where(is_read, rate, 0.0) * seconds[:, None]
    positive = is_read & (level > 0)
    # A background of zero with an error of its own has no relative one: infinite, hence flagged below.
    error = np.where(is_read & (level == 0) & (std > 0), np.inf, 0.0)
    np.divide(std, rate, out=error, where=positive)
    quality[(error > MAX_BACKGROUND_ERROR).any(axis=1)] |= int(Quality.EXTRAPOLATED)
    error = np.minimum(error, MAX_BACKGROUND_ERROR)
    shared = np.zeros(shape)
    np.divide(common, rate, out=shared, where=positive)
    sigma = np.sqrt(level + (error * level) ** 2)
    quality[(is_read & (number < level - _DEAD_SIGMA * sigma)).any(axis=1)] |= int(Quality.SATURATED)
    sigma_response = np.hypot(response_error, [(channel_errors or {}).get(name, 0.0) for name in channels])
    observation = Observation(
        number, level, error, np.minimum(shared, error), np.broadcast_to(sigma_response, shape), is_read, seconds
    )
    seen = (observation.significance > DETECTION_SIGMA).any(axis=1)
    quality[((quality & int(UNUSABLE)) == 0) & ~seen] |= int(Quality.BELOW_DETECTION)
    return observation, quality


def _present(counts: xr.Dataset, background: xr.Dataset, channels: Sequence[str], least: int) -> npt.NDArray[np.bool_]:
    """Tell which of the wanted channels both datasets name."""
    for values, what in ((counts["counts"], "counts"), (background["background_rate"], "background_rate")):
        if "channel" not in values.dims or "channel" not in values.coords:
            msg = (
                f"{what} has dimensions {values.dims} and coordinates {list(values.coords)}, expected a named 'channel'"
            )
            raise AxisError(msg)
    found = [{str(name) for name in dataset["channel"].to_numpy()} for dataset in (counts, background)]
    if orphans := [name for name in channels if name in found[0] and name not in found[1]]:
        msg = f"no background for the channels {orphans}: drop them from the counts or give one"
        raise AxisError(msg)
    there = np.array([name in found[0] for name in channels])
    if there.sum() < least:
        msg = (
            f"counts hold {sorted(found[0])}: the method reads {list(channels)} and needs at least {least} of them; "
            "add or rename channels"
        )
        raise AxisError(msg)
    return there
