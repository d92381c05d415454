r"""Intervals that follow how well the method did lately: wider after weeks it missed, narrower after weeks it hit.

The predictability of the belt changes with the phase of the solar cycle and with the satellite. Before each issue time,
the forecasts that a method would have issued for the days just past are compared with what came on them, and the
distances of the quantiles from the median are multiplied by

.. math:: s = \sqrt{\frac{n_0 + \sum_i w_i z_i^2}{n_0 + \sum_i w_i}}

with the normal score z of what came in the forecast distribution, weights :math:`w = e^{-a/\tau}` that fall with the
age a, and n0 days that count as having come as promised. Only days that were over at the issue time enter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from particleflux.forecast.distribution import exceedance
from particleflux.forecast.issue import Rows, take_days

Array = npt.NDArray[np.float64]

#: Days looked back over, e-folding of their weight, and days' worth of trust in the distribution as it is.
DAYS, FOLDING, TRUST = 180, 60.0, 30.0
# One forecast that failed, or one day of a broken instrument, must not rule for months.
_MOST = 3.0


def normal_scores(log_quantiles: Array, log_truth: Array) -> Array:
    """Give where in its forecast distribution each day lay, in standard normal units.

    Parameters
    ----------
    log_quantiles : ndarray, shape (..., quantile)
        Forecasts, log10.
    log_truth : ndarray, shape (...)
        What came, log10; NaN where it is not known.

    Returns
    -------
    ndarray, shape (...)
        Between -3 and 3; NaN where either is missing.
    """
    above = exceedance(log_quantiles, log_truth[..., None])[..., 0]
    least = 1e-4  # beyond the limits below
    return np.clip(-ndtri(np.clip(above, least, 1.0 - least)), -_MOST, _MOST)


def recent_stretch(scores: Array, rows: Rows, lead: int) -> Array:
    """Give the factor for forecasts with one lead time.

    Parameters
    ----------
    scores : ndarray, shape (time,)
        Normal score of the forecast that was issued after each day, by the position of that day; NaN where there was
        none, or where it is not known what came.
    rows : array of int, shape (n,)
        Position of the last day before each issue time.
    lead : int
        Lead time, days: the last forecast that can be judged was issued that many days earlier.

    Returns
    -------
    ndarray, shape (n,)
        1 where nothing is known.
    """
    age = np.arange(DAYS)
    squared = take_days(scores**2, rows[:, None] - lead - age)
    weight = np.exp(-age / FOLDING) * np.isfinite(squared)
    total = (weight * np.nan_to_num(squared)).sum(axis=1)
    return np.asarray(np.sqrt((TRUST + total) / (TRUST + weight.sum(axis=1))))


def rows_needed(rows: Rows, leads: tuple[int, ...]) -> Rows:
    """List the days after which a forecast is needed, to judge the past or as the answer; sorted, none before day 0.

    Parameters
    ----------
    rows : array of int, shape (n,)
        Position of the last day before each issue time.
    leads : tuple of int
        Lead times, days.

    Returns
    -------
    array of int, shape (m,)
        Positions.
    """
    back = np.concatenate([np.arange(min(leads), max(leads) + DAYS), [0]])
    needed = np.unique(rows[:, None] - back)
    return np.asarray(needed[(needed >= 0) | np.isin(needed, rows)], dtype=np.int64)
