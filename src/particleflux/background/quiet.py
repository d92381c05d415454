"""Quiet time found in the data themselves, and the background measured from it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from particleflux.background._hours import Known, gather
from particleflux.background.estimate import ASSUMED_STD, default_background, estimate_background
from particleflux.background.follow import FOLLOWING
from particleflux.names import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from particleflux.background._hours import Array
    from particleflux.instruments import Instrument

#: Time that must be quiet before a background is measured from it, s.
NEEDED_QUIET = 24 * 3600.0


def find_quiet(
    counts: xr.Dataset, instrument: Instrument, window: float = 7.0, tolerance: float = 0.08
) -> xr.DataArray:
    """Find the time without solar particles in the data themselves.

    Each channel is divided by what the monitors expect of it. Quiet are the hours of a running window in which every
    channel that is not noisy stays within the tolerance of the lowest value seen, and that value within 25 % of the
    instrument's.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        Counts with `exposure` (s) and `quality`.
    instrument : Instrument
        Its quiet rates, exponents and monitor channels.
    window : float
        Width of the running window, h.
    tolerance : float
        How far a channel may stand above its lowest, relative, beside three Poisson deviations.

    Returns
    -------
    DataArray of bool, dims (time)
        False where a sample is unusable.

    Raises
    ------
    AxisError
        If a channel is absent.
    """
    require(counts, "counts")
    known = Known.of(instrument, counts["channel"].values)
    hours = gather(counts, known.names)
    low, high = FOLLOWING.level_range
    rate, monitor, used = known.rate, known.is_monitor, known.is_steady & ~known.is_monitor

    def look(number: Array, exposure: Array) -> tuple[NDArray[np.bool_], Array, Array]:
        with np.errstate(divide="ignore", invalid="ignore"):
            level = number[:, monitor].sum(axis=1) / (exposure * rate[monitor].sum())
            expected = exposure[:, None] * rate * level[:, None] ** known.exponent
            excess, scatter = (number / expected)[:, used], 3 / np.sqrt(expected[:, used])
        return (level > low) & (level < high), excess, scatter

    half = (window - 1) / 2
    quiet, excess, scatter = look(*hours.running(half))
    if quiet.any():
        # The fifth percentile and not the minimum: a minimum of noise lies below the true level.
        lowest = np.minimum(np.percentile(excess[quiet], 5, axis=0), 1 + 0.25 - tolerance)
        allowed = lowest + tolerance + 2 * known.spread[used]
        calm = quiet & (excess < allowed + scatter).all(axis=1)
        # All hours of a calm window are quiet, not only its middle: else the last hours before an onset are lost. Each
        # must be calm by its own counts as well, for the onset may hide in a window's last hour.
        quiet, excess, scatter = look(hours.counts, hours.exposure)
        quiet &= (excess < allowed + scatter).all(axis=1) & _within(hours.hour, calm, half)
    return xr.DataArray(
        quiet[hours.index] & hours.usable,
        coords={"time": counts["time"]},
        dims="time",
        attrs={"long_name": "no solar particles", "units": "1"},
    )


def _within(hour: Array, calm: NDArray[np.bool_], half: float) -> NDArray[np.bool_]:
    """Whether a calm hour lies within `half` hours."""
    count = np.concatenate([[0], np.cumsum(calm)])
    return np.asarray(count[np.searchsorted(hour, hour + half, "right")] > count[np.searchsorted(hour, hour - half)])


def auto_background(counts: xr.Dataset, instrument: Instrument) -> xr.Dataset:
    """Measure the background from the quiet time in the data themselves, or fall back on the instrument file.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        Counts with `exposure` (s) and `quality`.
    instrument : Instrument
        What to fall back on, with a warning, where less than 24 h are quiet.

    Returns
    -------
    Dataset, dims (channel)
        As `estimate_background`, with the attribute `source` "auto", or `default_background`.

    Warns
    -----
    UserWarning
        If the instrument file's level is used.
    """
    quiet = find_quiet(counts, instrument).to_numpy()
    found = float(counts["exposure"].to_numpy()[quiet].sum())
    if found < NEEDED_QUIET:
        warnings.warn(
            f"{found / 3600:.1f} h of quiet time in the data, {NEEDED_QUIET / 3600:.0f} h are needed: the background "
            f"is the quiet level of {instrument.name} with {ASSUMED_STD:.0%} uncertainty; give files of quiet days",
            stacklevel=2,
        )
        return default_background(instrument)
    return estimate_background(counts.isel(time=quiet), instrument, source="auto")
