"""What the recurrent networks read of a history: windows of days and hours, one solar rotation ago, and masks.

Nothing is filled in: a value that is missing becomes 0, the training mean in scaled units, and the mask beside it says
so. No value of a day at or after the issue time is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.forecast.distribution import LEADS
from particleflux.forecast.issue import ROTATION, Rows, take_days
from particleflux.forecast.spec import InputSpec
from particleflux.forecast.variables import read_variable

__all__ = ["InputSpec", "Inputs", "last_known", "read_inputs", "read_table", "summarise", "with_mask"]

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

# Standard deviations beyond which a value is no worse: what single precision cannot hold would make the forecast NaN.
_FARTHEST = 1e6


@dataclass(frozen=True)
class Inputs:
    """Arrays of n issue times.

    Attributes
    ----------
    days : ndarray, shape (n, day, feature)
        Scaled values, then masks (1 where there is a value), of the days before the issue time, the last one last.
    context : ndarray, shape (n, lead_time, feature)
        Values and masks whole rotations before each day to forecast; mean, least, greatest and share known of the
        fluence over each span of `statistics`.
    level : ndarray, shape (n,)
        Scaled log10 fluence that the forecast starts from: the last one known in the window, else the mean over the
        shortest span that has one, else 0.
    hours : ndarray, shape (n, step, feature)
        As `days`, step by step of `hour_step` hours.
    """

    days: Floats
    context: Floats
    level: Floats
    hours: Floats

    def __len__(self) -> int:
        """Give the number of issue times."""
        return len(self.level)

    def __getitem__(self, rows: slice | npt.NDArray[np.intp]) -> Inputs:
        """Give the chosen issue times."""
        return Inputs(self.days[rows], self.context[rows], self.level[rows], self.hours[rows])

    @property
    def is_empty(self) -> npt.NDArray[np.bool_]:
        """Tell which issue times have no value in any window, shape (n,)."""
        masks = (self.days[..., self.days.shape[2] // 2 :], self.context, self.hours[..., self.hours.shape[2] // 2 :])
        return np.asarray(~np.logical_or.reduce([mask.any(axis=(1, 2)) for mask in masks]))


def read_inputs(
    history: xr.Dataset, rows: Rows, spec: InputSpec, *, blind: int = 0
) -> tuple[Inputs, npt.NDArray[np.bool_]]:
    """Read the windows that end with given days.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        Days without a hole; variables that are absent count as missing.
    rows : array of int, shape (n,)
        Position of the last day before each issue time; days outside the history are missing.
    spec : InputSpec
        Fitted.
    blind : int
        Days before the issue time of which all electrons are hidden, as if they had not been measured.

    Returns
    -------
    inputs : Inputs
        Of the n issue times.
    outside : ndarray of bool, shape (n,)
        Whether a value lies more than 8 standard deviations from its mean.

    Raises
    ------
    AxisError
        If a variable has other dimensions.
    UnitError
        If its unit is another one.
    """
    n_daily = len(spec.daily)
    table = _scale(read_table(history, spec), spec.mean[:n_daily], spec.std[:n_daily])
    outside = np.nan_to_num(np.abs(table)) > 8.0

    days = take_days(table, rows[:, None] + np.arange(-spec.n_days + 1, 1))
    # Position of each day counted from the last one, -0, back: those above -blind are hidden.
    hidden = np.arange(-spec.n_days + 1, 1) > -blind
    days[:, hidden[:, None] & [is_flux(name) for name in spec.daily]] = np.nan
    turned = table[:, [spec.daily.index(name) for name in spec.rotation]]
    turned_flux = np.array([is_flux(name) for name in spec.rotation])
    ago = []
    for number in spec.rotations:
        back = np.array(LEADS) - ROTATION * number
        values = take_days(turned, rows[:, None] + back)
        values[:, (back > -blind)[:, None] & turned_flux] = np.nan
        ago.append(values)
    blocks = [with_mask(np.concatenate(ago, axis=-1))]
    level = last_known(days[..., 0])
    for span in spec.statistics:
        past = take_days(table[:, 0], rows[:, None] + np.arange(-span + 1, 1))
        past[:, np.arange(-span + 1, 1) > -blind] = np.nan
        summary = summarise(past)
        level = np.where(np.isnan(level), np.where(summary[:, 3] > 0, summary[:, 0], np.nan), level)
        blocks.append(np.repeat(summary[:, None], len(LEADS), axis=1))
    flagged = take_days(outside.any(axis=1), rows[:, None] + np.arange(-spec.n_days + 1, 1))
    return (
        Inputs(
            with_mask(days).astype(np.float32),
            np.concatenate(blocks, axis=-1).astype(np.float32),
            np.nan_to_num(level).astype(np.float32),
            _read_hours(history, rows, spec, blind),
        ),
        np.asarray(np.nan_to_num(flagged).any(axis=1)),
    )


def is_flux(name: str) -> bool:
    """Tell whether a variable is of electrons."""
    return name.startswith(("fluence", "electron_flux"))


def read_table(history: xr.Dataset, spec: InputSpec) -> Array:
    """Read the daily variables, logarithms where they span decades, not scaled.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        Days; variables that are absent count as missing.
    spec : InputSpec
        Which; need not be fitted.

    Returns
    -------
    ndarray, shape (time, variable)
        NaN where missing.
    """
    return np.stack([read_variable(history, name) for name in spec.daily], axis=1)


def with_mask(values: Array) -> Array:
    """Put a mask beside values: (..., v) with NaN becomes (..., 2 v), first the values with 0 for NaN."""
    known = np.isfinite(values)
    return np.concatenate([np.where(known, values, 0.0), known], axis=-1)


def last_known(values: Array) -> Array:
    """Give the last value that is known of each row, (n, day) to (n,); NaN where none is."""
    known = np.isfinite(values)
    last = values.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return np.asarray(values[np.arange(len(values)), last])


def summarise(values: Array) -> Array:
    """Give mean, least, greatest and the share that is known of each row, (n, day) to (n, 4).

    A row of which less than a third is known gives zeros.
    """
    known = np.isfinite(values)
    share = known.mean(axis=1)
    count = np.maximum(known.sum(axis=1), 1)
    columns = np.stack(
        [
            np.where(known, values, 0.0).sum(axis=1) / count,
            np.where(known, values, np.inf).min(axis=1),
            np.where(known, values, -np.inf).max(axis=1),
            share,
        ],
        axis=1,
    )
    return np.where((share >= 1 / 3)[:, None], columns, 0.0)


def _read_hours(history: xr.Dataset, rows: Rows, spec: InputSpec, blind: int) -> Floats:
    """Read the hours before the issue times, shape (n, step, feature)."""
    if not spec.hourly:
        return np.zeros((len(rows), 0, 0), dtype=np.float32)
    n_daily = len(spec.daily)
    table = np.stack([read_variable(history, f"{name}_hourly") for name in spec.hourly], axis=-1)
    table = _scale(table, spec.mean[n_daily:], spec.std[n_daily:])
    n_days = -(-spec.n_hours // 24)
    taken = take_days(table, rows[:, None] + np.arange(-n_days + 1, 1))
    flat = taken.reshape(len(rows), 24 * n_days, len(spec.hourly))[:, -spec.n_hours :]
    hidden = np.arange(-spec.n_hours, 0) >= -24 * blind
    flat[:, hidden[:, None] & [is_flux(name) for name in spec.hourly]] = np.nan
    steps = flat.reshape(len(rows), spec.n_steps, spec.hour_step, len(spec.hourly))
    known = np.isfinite(steps)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, steps, 0.0).sum(axis=2) / known.sum(axis=2)
    return with_mask(mean).astype(np.float32)


def _scale(table: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
    return np.asarray(np.clip((table - np.array(mean)) / np.array(std), -_FARTHEST, _FARTHEST))
