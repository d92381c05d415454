"""Sums of samples on a coarser grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.names import UNUSABLE, Quality, attributes
from particleflux.quality._checks import SHORT_FACTOR, Flags, Mask, cadence, check_counts


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
    counts = check_counts(counts)
    if every is None or counts.sizes["time"] == 0:
        return counts
    exposure = counts["exposure"].to_numpy().astype(np.float64)
    length = _length(every, cadence(exposure))
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


def _summed(bins: npt.NDArray[np.int64], starts: npt.NDArray[np.intp], usable: Mask, configuration: Flags) -> Mask:
    """Tell the samples to sum: the usable ones of a bin if there are any, in its most frequent configuration."""
    which = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(bins))))
    summed = np.where(np.logical_or.reduceat(usable, starts)[which], usable, True)
    kinds, kind = np.unique(configuration, return_inverse=True)
    if len(kinds) > 1:
        frequency = np.bincount((which * len(kinds) + kind)[summed], minlength=len(starts) * len(kinds))
        summed &= frequency.reshape(len(starts), len(kinds)).argmax(axis=1)[which] == kind
    return np.asarray(summed)


def _length(every: str, shortest: float) -> int:
    """Read the length of a bin, in ns."""
    try:
        length = pd.Timedelta(every).as_unit("ns")
    except (ValueError, TypeError, OverflowError) as error:
        msg = f"every={every!r} is no duration ({error}); expected for instance '15min', '1h' or '1D'"
        raise DataError(msg) from error
    if not length.total_seconds() >= max(shortest, 1e-9):  # NaT fails as well
        msg = (
            f"every={every!r} is shorter than the accumulation of the samples, {shortest:g} s: counts cannot be split; "
            "give a longer one, or keep the samples as they are (`--every native`, or every=None)"
        )
        raise DataError(msg)
    return int(length.value)
