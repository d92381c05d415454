"""Two products of one satellite beside each other: days on which they contradict, dates that seem wrong."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from particleflux.io.times import format_days

Array = npt.NDArray[np.float64]

#: dex by which products of one satellite contradict each other.
CONTRADICTION = 1.0
#: Days over which dates are compared, and how many of them must be known.
WINDOW, LEAST_DAYS = 9, 4
# Dates are wrong where the same day is further off than this (dex), and its neighbour is so many times closer.
_LEAST_OFFSET, _CLOSER = 0.1, 4.0


def compare_products(fluences: Sequence[Array], names: Sequence[str], time: npt.NDArray[np.datetime64]) -> None:
    """Warn of days on which one of two products of a satellite must be wrong.

    Parameters
    ----------
    fluences : sequence of two arrays, shape (day,)
        Fluence above 2 MeV, the preferred product first; NaN is missing.
    names : sequence of str
        What to call them.
    time : array of datetime64, shape (day,)
        The days.

    Warns
    -----
    UserWarning
        If they differ by more than a decade on a day, or the first agrees better with the next or the last day of the
        other over a week.
    """
    logs = [np.log10(fluence) for fluence in fluences]
    days = time.astype("datetime64[D]")
    difference = logs[0] - logs[1]
    with np.errstate(invalid="ignore"):
        apart = np.abs(difference) > CONTRADICTION
    if apart.any():
        _warn(
            f"{names[0]} and {names[1]} differ by more than {CONTRADICTION:g} decade on {format_days(days[apart])}; "
            f"{names[0]} is used there"
        )
    for shift, meant in ((1, "after"), (-1, "before")):
        shifted = shifted_dates(logs[0], logs[1], shift)
        if shifted.any():
            _warn(
                f"around {format_days(days[shifted])} {names[0]} agrees with {names[1]} of the day {meant}: the "
                "dates of one of them are wrong there; leave those days of it out (--exclude)"
            )


def shifted_dates(first: Array, second: Array, shift: int) -> npt.NDArray[np.bool_]:
    """Find where one series follows another of another day closely, and that of the same day not.

    Parameters
    ----------
    first, second : array, shape (day,)
        Logarithms to base 10; NaN is missing.
    shift : int
        1 to compare with the day after, -1 with the day before.

    Returns
    -------
    array of bool, shape (day,)
        True at the middle of each week that is so.
    """
    if len(first) < WINDOW:
        return np.zeros(len(first), dtype=bool)
    moved = np.roll(second, -shift)
    moved[-1 if shift > 0 else 0] = np.nan
    same_day = first - second
    offset = np.nanmedian(same_day) if np.isfinite(same_day).any() else 0.0
    scatters = []
    for other in (second, moved):
        windows = np.lib.stride_tricks.sliding_window_view(np.abs(first - other - offset), WINDOW)
        known = np.isfinite(windows).sum(axis=1)
        # The median of the known ones: sorting puts NaN last.
        ordered = np.sort(windows, axis=1)
        middle = ordered[np.arange(len(ordered)), np.maximum(known - 1, 0) // 2]
        scatters.append(np.where(known >= LEAST_DAYS, middle, np.nan))
    with np.errstate(invalid="ignore"):
        wrong = (scatters[0] > _LEAST_OFFSET) & (scatters[1] * _CLOSER < scatters[0])
    return np.pad(wrong, (WINDOW // 2, len(first) - len(wrong) - WINDOW // 2))


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=6)
