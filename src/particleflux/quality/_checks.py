"""What screening and accumulation both ask of counts: labels, times, lengths."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError
from particleflux.names import require

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Flags = npt.NDArray[np.int32]
Times = npt.NDArray[np.datetime64]

#: A step longer than this many accumulations is a gap.
GAP_FACTOR = 1.5
#: An accumulation below this part of the one asked for is short.
SHORT_FACTOR = 0.9


def check_counts(counts: xr.Dataset) -> xr.Dataset:
    """Refuse counts without labels or with times that do not increase; give them with time first."""
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


def cadence(exposure: Array) -> float:
    """Give the usual accumulation, s; 0 where there is none."""
    positive = exposure[exposure > 0]
    return float(np.median(positive)) if len(positive) else 0.0


def last_instant(time: Times, exposure: Array) -> Times:
    """Give the last nanosecond of each sample, which is its first where it has no exposure."""
    length = np.where(np.isfinite(exposure), np.clip(exposure * 1e9, 1.0, 1e18), 1.0)
    return np.asarray(time.astype("datetime64[ns]") + (np.rint(length).astype(np.int64) - 1))


def is_series(counts: xr.Dataset) -> bool:
    """Tell whether the times are those of a measurement; of independent samples they only number them."""
    return not counts.attrs.get("independent_samples", 0)
