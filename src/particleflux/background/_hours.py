"""What all of the background works on: counts gathered by the hour, and what the instrument file says of channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from particleflux.errors import AxisError, MissingDataError
from particleflux.names import UNUSABLE, require

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr
    from numpy.typing import NDArray

    from particleflux.instruments import Instrument

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Hours:
    """Usable counts gathered by the hour: counts (hour, channel), exposure (hour) s, and the hour of each sample."""

    hour: Array
    index: NDArray[np.intp]
    usable: NDArray[np.bool_]
    counts: Array
    exposure: Array

    def running(self, half: float, keep: NDArray[np.bool_] | None = None) -> tuple[Array, Array]:
        """Sum counts and exposure from `half` hours before to `half` after each hour, of the hours to keep."""
        # Windows are cut by time and not by number of samples: a gap or the edge narrows them, never shifts them.
        first = np.searchsorted(self.hour, self.hour - half)
        last = np.searchsorted(self.hour, self.hour + half, "right")
        kept = np.column_stack([self.counts, self.exposure])
        if keep is not None:
            kept = kept * keep[:, None]
        total = np.vstack([np.zeros(kept.shape[1]), np.cumsum(kept, axis=0)])
        window = total[last] - total[first]
        return window[:, :-1], window[:, -1]


def gather(counts: xr.Dataset, channels: list[str]) -> Hours:
    """Sum the usable counts of some channels by the hour; a sample belongs to the hour of its middle."""
    require(counts, "counts", "exposure", "quality")
    if counts.sizes["time"] == 0:
        msg = "counts hold no sample; give files or a start and stop that contain data"
        raise MissingDataError(msg)
    number = counts["counts"].sel(channel=channels).transpose("time", "channel").to_numpy().astype(float)
    exposure = counts["exposure"].to_numpy().astype(float)
    usable = (counts["quality"].to_numpy().astype(np.int64) & int(UNUSABLE)) == 0
    usable &= np.isfinite(number).all(axis=1) & (exposure > 0)
    middle = (
        counts["time"].to_numpy().astype("datetime64[ns]").astype(np.int64) / 3.6e12 + np.nan_to_num(exposure) / 7200
    )
    hour, index = np.unique(np.floor(middle), return_inverse=True)
    number, exposure = np.where(usable[:, None], number, 0.0), np.where(usable, exposure, 0.0)
    gathered = np.stack([np.bincount(index, column, len(hour)) for column in number.T], axis=1).astype(float)
    return Hours(hour, index, usable, gathered, np.bincount(index, exposure, len(hour)).astype(float))


@dataclass(frozen=True)
class Known:
    """What the instrument file says of some of its channels; arrays have the shape (channel,)."""

    names: list[str]
    rate: Array
    spread: Array
    exponent: Array
    is_monitor: NDArray[np.bool_]
    is_steady: NDArray[np.bool_]

    @classmethod
    def of(cls, instrument: Instrument, channels: Iterable[object]) -> Known:
        """Look the channels up, which must include the monitors."""
        names = [str(name) for name in channels]
        if unknown := [name for name in names if name not in instrument.channels]:
            msg = f"unknown channels {unknown}: {instrument.name} has {list(instrument.channels)}; drop or rename them"
            raise AxisError(msg)
        if missing := [name for name in instrument.monitors if name not in names]:
            msg = (
                f"channels {missing} are absent: found {names}; the background level is read off {instrument.monitors}"
            )
            raise AxisError(msg)
        exponent = np.array([instrument.modulation[name] for name in names])
        # A channel with spikes, or one that does not follow the cosmic rays, says nothing about quiet.
        noisy = [item.channel for item in instrument.noisy_channels]
        return cls(
            names,
            np.array([instrument.quiet_rate[name] for name in names]),
            np.array([instrument.quiet_relative_std[name] for name in names]),
            exponent,
            np.isin(names, instrument.monitors),
            ~np.isin(names, noisy) & (exponent > 0),
        )
