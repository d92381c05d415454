"""Checks of what a method is given: labelled counts and background in, bare numbers and flags out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.features import Measurement
from particleflux.names import Quality, require
from particleflux.unfold.targets import MAX_BACKGROUND_ERROR

#: RADEM's fill value, for callers who did not use a reader of this package.
FILL_VALUE = 4294967295.0
# No channel above its background by this many standard deviations: nothing was seen.
_DETECTION_SIGMA = 3.0
# A channel that is not read, above its background by this many, belongs to no spectrum that was trained for.
_UNREAD_SIGMA = 5.0
# A reading channel below its background by this many is not counting as it should.
_DEAD_SIGMA = 8.0


def measure(
    counts: xr.Dataset,
    background: xr.Dataset,
    channels: Sequence[str],
    *,
    configurations: Collection[int],
    response_error: float,
) -> tuple[Measurement, npt.NDArray[np.int32]]:
    """Check counts and background, and take out of them what a method reads.

    Parameters
    ----------
    counts : Dataset
        `counts` (time, channel), `exposure` (time) in s, `quality` (time); channels in any order.
    background : Dataset
        `background_rate` and `background_rate_std` in s-1, dims (channel) or (time, channel). A `quality` (time) is
        added to the flags.
    channels : sequence of str
        The channels wanted, in the order wanted.
    configurations : collection of int
        Configurations of the instrument that the method knows the response of.
    response_error : float
        Relative standard error of the response.

    Returns
    -------
    measurement : Measurement
        Of every sample; zeros where it is missing or invalid.
    quality : ndarray of int32, shape (time,)
        Flags of every sample.

    Raises
    ------
    AxisError
        If a channel or variable is missing, or the background's times are others than those of the counts.
    UnitError
        If a unit is absent or another one.
    """
    require(counts, "counts", "exposure")
    require(background, "background_rate", "background_rate_std")
    number = align(counts["counts"], "counts", counts, channels)
    rate, std = (align(background[name], name, counts, channels) for name in ("background_rate", "background_rate_std"))
    exposure = counts["exposure"].to_numpy().astype(float)

    quality = given_quality(counts, background)
    if "configuration" in counts.variables:
        known = np.isin(counts["configuration"].to_numpy(), list(configurations))
        quality[~known] |= int(Quality.UNKNOWN_CONFIGURATION)
    missing = ~np.isfinite(number) | (number >= FILL_VALUE)
    quality[missing.any(axis=1)] |= int(Quality.MISSING)
    wrong = (np.where(missing, 0.0, number) < 0).any(axis=1) | ~(np.isfinite(exposure) & (exposure > 0))
    wrong |= ~(np.isfinite(rate) & np.isfinite(std) & (rate >= 0) & (std >= 0)).all(axis=1)
    quality[wrong] |= int(Quality.INVALID)

    good = (quality & int(Quality.MISSING | Quality.INVALID)) == 0
    number = np.where(good[:, None], number, 0.0)
    level = np.where(good[:, None], rate * np.where(good, exposure, 1.0)[:, None], 0.0)
    # A background of zero with an error of its own has no relative one: infinite, hence flagged below.
    error = np.where(good[:, None] & (rate == 0) & (std > 0), np.inf, 0.0)
    np.divide(std, rate, out=error, where=good[:, None] & (rate > 0))
    quality[(error > MAX_BACKGROUND_ERROR).any(axis=1)] |= int(Quality.EXTRAPOLATED)
    error = np.minimum(error, MAX_BACKGROUND_ERROR)
    sigma = np.sqrt(level + (error * level) ** 2)
    quality[good & (number < level - _DEAD_SIGMA * sigma).any(axis=1)] |= int(Quality.SATURATED)
    return Measurement(number, level, error, np.full(len(number), response_error)), quality


def flag_detection(
    measurement: Measurement, is_read: npt.NDArray[np.bool_], quality: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Tell by the channels that are read whether anything was seen, and by the others whether the spectrum fits.

    Parameters
    ----------
    measurement : Measurement
        n samples.
    is_read : ndarray of bool, shape (n, channel)
        The channels that the chosen ensemble reads.
    quality : ndarray of int32, shape (n,)
        Flags so far.

    Returns
    -------
    ndarray of int32, shape (n,)
        With BELOW_DETECTION where no channel that is read stands above its background, and EXTRAPOLATED where one that
        is not read stands far above it: no spectrum that the method knows leaves the softer channels out.
    """
    level = measurement.background
    sigma = np.sqrt(level + (measurement.background_error * level) ** 2)
    excess = measurement.counts - level
    seen = (is_read & (excess > _DETECTION_SIGMA * sigma)).any(axis=1)
    odd = (~is_read & (excess > _UNREAD_SIGMA * np.maximum(sigma, 1.0))).any(axis=1)
    return np.asarray(
        quality | np.where(seen, 0, int(Quality.BELOW_DETECTION)) | np.where(odd, int(Quality.EXTRAPOLATED), 0),
        dtype=np.int32,
    )


def check_origin(counts: xr.Dataset, instrument: str, species: str, model: str) -> None:
    """Refuse counts of another instrument, or known to be of other particles, than a model was trained for.

    Parameters
    ----------
    counts : Dataset
        Its attributes `instrument` and `species`, where it has them: a simulation has both.
    instrument, species : str
        What the model is for.
    model : str
        Name of the model, for the message.

    Raises
    ------
    DataError
        If the counts are of another instrument or other particles.
    """
    for what, expected in (("instrument", instrument), ("species", species)):
        found = counts.attrs.get(what)
        if found is not None and found != expected:
            msg = (
                f"counts are of {what} {found!r}, the model {model!r} is for {expected!r}; "
                f"choose a model that was trained for this {what}"
            )
            raise DataError(msg)


def align(values: xr.DataArray, name: str, counts: xr.Dataset, channels: Sequence[str]) -> npt.NDArray[np.float64]:
    """Give a number for every sample of the counts and every channel wanted.

    Parameters
    ----------
    values : DataArray, dims (channel) or (time, channel)
        Counts, or a rate of the background.
    name : str
        What it is, for messages.
    counts : Dataset
        Whose times hold.
    channels : sequence of str
        The channels wanted, in the order wanted.

    Returns
    -------
    ndarray, shape (time, channel)
        The numbers; read only.

    Raises
    ------
    AxisError
        If a channel is missing or named twice, a dimension is another, or the times are others.
    """
    chosen = _select(values, channels, name)
    if set(chosen.dims) - {"time", "channel"}:
        msg = f"{name} has dimensions {chosen.dims}, expected ('channel',) or ('time', 'channel'); select or average"
        raise AxisError(msg)
    if "time" in chosen.dims:
        _check_times(chosen, counts, name)
        chosen = chosen.transpose("time", "channel")
    return np.broadcast_to(chosen.to_numpy().astype(float), (counts.sizes["time"], len(channels)))


def given_quality(counts: xr.Dataset, background: xr.Dataset) -> npt.NDArray[np.int32]:
    """Join the flags that came with counts and background.

    Parameters
    ----------
    counts, background : Dataset
        With or without `quality` (time).

    Returns
    -------
    ndarray of int32, shape (time,)
        Flags of every sample.
    """
    quality = np.zeros(counts.sizes["time"], dtype=np.int32)
    for source in (counts, background):
        if "quality" in source and source["quality"].dims == ("time",):
            _check_times(source["quality"], counts, "quality of the background")
            quality |= source["quality"].to_numpy().astype(np.int32)
    return quality


def _check_times(values: xr.DataArray, counts: xr.Dataset, what: str) -> None:
    if not np.array_equal(values["time"].to_numpy(), counts["time"].to_numpy()):
        msg = (
            f"{what} has {values.sizes['time']} times that are not the {counts.sizes['time']} of the counts; "
            "follow the background at the times of the counts"
        )
        raise AxisError(msg)


def _select(values: xr.DataArray, channels: Sequence[str], what: str) -> xr.DataArray:
    """Take the channels by name, in the order wanted."""
    if "channel" not in values.dims or "channel" not in values.coords:
        msg = f"{what} has dimensions {values.dims} and coordinates {list(values.coords)}, expected a named 'channel'"
        raise AxisError(msg)
    found = [str(name) for name in values["channel"].to_numpy()]
    missing = [name for name in channels if name not in found]
    if missing:
        msg = (
            f"{what} lacks the channels {missing}: found {found}, the method reads {list(channels)}; add or rename them"
        )
        raise AxisError(msg)
    if len(set(found)) != len(found):
        msg = f"{what} names a channel twice: {found}; give every channel one name"
        raise AxisError(msg)
    return values.isel(channel=[found.index(name) for name in channels])
