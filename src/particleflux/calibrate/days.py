"""The days that two satellites share: matched, cut at the floors, and put into blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.calibrate._curve import Array, deming_slope
from particleflux.errors import AxisError, UnitError

Times = npt.NDArray[Any]
#: A day within this of the detector's floor (dex) is one half background: it says little of the flux.
FLOOR_MARGIN = 0.3


@dataclass(frozen=True)
class Pair:
    """Days that both satellites measured, as log10, and the block each belongs to."""

    time: Times
    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, keep: Times) -> Pair:
        """Keep some days."""
        return Pair(self.time[keep], self.x[keep], self.y[keep])

    @property
    def month(self) -> Times:
        """Number of the calendar month."""
        return self.time.astype("datetime64[M]").astype(int)


def half_width(residual: Array) -> float:
    """Give half of the central 68 % range: the standard deviation of a normal cloud, whatever single days do."""
    residual = residual[np.isfinite(residual)]
    return float(np.diff(np.quantile(residual, [0.1587, 0.8413]))[0] / 2) if len(residual) else float("nan")


def common_days(fluence: xr.DataArray, reference: xr.DataArray, names: tuple[str, str]) -> Pair:
    """Match two series by their time, as log10; days on which one is missing or not positive go."""
    units = [str(each.attrs["units"]) for each in (fluence, reference) if "units" in each.attrs]
    if len(set(units)) > 1:
        msg = f"{names[0]} is in {units[0]!r} and {names[1]} in {units[1]!r}; give both in one unit"
        raise UnitError(msg)
    for name, each in zip(names, (fluence, reference), strict=True):
        if each.dims != ("time",) or "time" not in each.coords or not np.issubdtype(each["time"].dtype, np.datetime64):
            msg = f"{name} has the dimensions {each.dims}, expected one series along the dates of ('time',)"
            raise AxisError(msg)
        if not each.indexes["time"].is_unique:
            msg = f"{name} holds a time twice; drop duplicates first"
            raise AxisError(msg)
    fluence, reference = xr.align(fluence, reference, join="inner")
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.log10(np.where(each.to_numpy() > 0, each.to_numpy(), np.nan)) for each in (fluence, reference))
    order = np.argsort(fluence["time"].to_numpy())
    pair = Pair(fluence["time"].to_numpy()[order], x[order].astype(float), y[order].astype(float))
    return pair.take(np.isfinite(pair.x) & np.isfinite(pair.y))


def above_floor(pair: Pair, floor: tuple[float | None, float | None], ratio: float) -> tuple[Pair, int]:
    """Cut the days at the floor of either detector, across the line; give the rest and how many went."""
    if len(pair) < 3:
        return pair, 0
    low = [
        (float(np.quantile(values, 0.01)) if given is None else given) + FLOOR_MARGIN
        for values, given in zip((pair.x, pair.y), floor, strict=True)
    ]
    keep = (pair.x > low[0]) & (pair.y > low[1])
    for _ in range(3):
        if keep.sum() < 3 or min(np.ptp(pair.x[keep]), np.ptp(pair.y[keep])) == 0:
            return pair.take(keep), int((~keep).sum())
        x, y = pair.x[keep], pair.y[keep]
        slope = np.clip(deming_slope(x, y, ratio), 0.2, 5.0)
        # The higher of the two floors on the line, in x, and the distance along the line from there.
        limit = max(low[0], np.median(x) + (low[1] - np.median(y)) / slope)
        level = np.median(y) + slope * (limit - np.median(x))
        keep = (pair.x - limit) + slope / ratio * (pair.y - level) > 0
    return pair.take(keep), int((~keep).sum())


def number_blocks(time: Times) -> Times:
    """Give the number of the block each day is in, for the jackknife; not more than 27 days each."""
    day = (time - time.min()) / np.timedelta64(1, "D")
    block: Times = np.floor(day / np.clip((day.max() + 1) / 8, 2.0, 27.0)).astype(int)
    return block
