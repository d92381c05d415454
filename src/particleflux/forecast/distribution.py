"""The predictive distribution: quantiles of log10 fluence, what lies between them, and the labelled forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import ndtr, ndtri

from particleflux.errors import AxisError, DataError
from particleflux.names import ForecastQuality, attributes

Array = npt.NDArray[np.float64]

#: Levels of the quantiles a forecast holds: the median, and both ends of intervals of 50, 68, 90 and 95 %.
QUANTILES = (0.025, 0.05, 0.16, 0.25, 0.5, 0.75, 0.84, 0.95, 0.975)
#: Daily fluences, cm-2 sr-1 d-1, whose probability of being exceeded a forecast gives.
THRESHOLDS = (1e8, 1e9)
#: Lead times, days; lead 1 is the day that begins at the issue time.
LEADS = (1, 2, 3)
#: Least slope of a tail, dex per unit of normal score: quantiles that coincide still leave a tail, if a thin one.
LEAST_SLOPE = 1e-3

DAY = np.timedelta64(86_400_000_000_000, "ns")


def interpolate(
    log_quantiles: npt.ArrayLike, levels: npt.ArrayLike, *, quantiles: Sequence[float] = QUANTILES
) -> Array:
    """Give the values of a predictive distribution at any levels.

    The curve is linear between the pairs (normal score of the level, value), and beyond the outermost pairs goes on
    with the slope of the last segment: tails of a normal distribution. Quantiles that cross are sorted first.

    Parameters
    ----------
    log_quantiles : array, shape (..., quantile)
        log10 of the quantiles, or any other values; NaN in one makes the whole distribution NaN.
    levels : array, shape (level,) or any that broadcasts to (..., level)
        Levels between 0 and 1, both exclusive; NaN gives NaN.
    quantiles : sequence of float
        Levels of `log_quantiles`, increasing.

    Returns
    -------
    array, shape (..., level)
        Values in the unit of `log_quantiles`, never decreasing with the level.

    Raises
    ------
    AxisError
        If the last axis is not along `quantiles`.
    DataError
        If a level is not between 0 and 1.

    Examples
    --------
    >>> interpolate([6.0, 7.0, 8.0], [0.5, 0.84134475], quantiles=(0.15865525, 0.5, 0.84134475))
    array([7., 8.])
    """
    values, scores = _curve(log_quantiles, quantiles)
    wanted = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if not ((wanted > 0) & (wanted < 1) | np.isnan(wanted)).all():
        bad = wanted[~((wanted > 0) & (wanted < 1) | np.isnan(wanted))].flat[0]
        msg = f"level {bad:g} of a quantile: expected a number above 0 and below 1, such as 0.5 for the median"
        raise DataError(msg)
    wanted = np.broadcast_to(ndtri(wanted), (*values.shape[:-1], wanted.shape[-1]))
    left = np.clip(np.searchsorted(scores, wanted, side="right") - 1, 0, len(scores) - 2)
    low, high = (np.take_along_axis(values, left + side, axis=-1) for side in (0, 1))
    # Clipped to the segment: rounding must not make the curve fall.
    inside = np.clip(low + (high - low) * (wanted - scores[left]) / np.diff(scores)[left], low, high)
    below, above = wanted - scores[0], wanted - scores[-1]
    first, last = _tail_slopes(values, scores)
    result = np.where(below < 0, values[..., :1] + first * below, inside)
    result = np.where(above > 0, values[..., -1:] + last * above, result)
    return np.where(np.isnan(wanted), np.nan, result)


def exceedance(
    log_quantiles: npt.ArrayLike, log_thresholds: npt.ArrayLike, *, quantiles: Sequence[float] = QUANTILES
) -> Array:
    """Give the probability that the value lies above thresholds, by the curve of `interpolate`.

    Parameters
    ----------
    log_quantiles : array, shape (..., quantile)
        log10 of the quantiles, or any other values; NaN in one makes the whole distribution NaN.
    log_thresholds : array, shape (threshold,) or any that broadcasts to (..., threshold)
        Thresholds in the unit of `log_quantiles`; NaN gives NaN. With observations of shape (..., 1), 1 minus the
        result is the probability integral transform.
    quantiles : sequence of float
        Levels of `log_quantiles`, increasing.

    Returns
    -------
    array, shape (..., threshold)
        Probabilities, 1; never increasing with the threshold.

    Raises
    ------
    AxisError
        If the last axis is not along `quantiles`.

    Examples
    --------
    >>> exceedance([6.0, 7.0, 8.0], [7.0], quantiles=(0.16, 0.5, 0.84))
    array([0.5])
    """
    values, scores = _curve(log_quantiles, quantiles)
    wanted = np.atleast_1d(np.asarray(log_thresholds, dtype=np.float64))
    wanted = np.broadcast_to(wanted, (*values.shape[:-1], wanted.shape[-1]))
    # Quantiles at or below each threshold: where several coincide the distribution has a step, passed as a whole.
    n_below = (values[..., np.newaxis, :] <= wanted[..., np.newaxis]).sum(axis=-1)
    left = np.clip(n_below - 1, 0, len(scores) - 2)
    low, high = (np.take_along_axis(values, left + side, axis=-1) for side in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):  # a segment of no height is used only where a tail replaces it
        part = np.clip((wanted - low) / (high - low), 0, 1)
    first, last = _tail_slopes(values, scores)
    score = scores[left] + part * np.diff(scores)[left]
    score = np.where(n_below == 0, scores[0] + (wanted - values[..., :1]) / first, score)
    score = np.where(n_below == len(scores), scores[-1] + (wanted - values[..., -1:]) / last, score)
    bad = np.isnan(wanted) | np.isnan(values[..., :1])
    return np.where(bad, np.nan, ndtr(-score))


def _curve(log_quantiles: npt.ArrayLike, quantiles: Sequence[float]) -> tuple[Array, Array]:
    """Give the values in order, all NaN where one is, and the normal scores of the levels."""
    values = np.asarray(log_quantiles, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] != len(quantiles):
        msg = f"quantiles of shape {values.shape}: expected {len(quantiles)} along the last axis, one per level"
        raise AxisError(msg)
    ordered = np.sort(values, axis=-1)
    return np.where(np.isnan(values).any(axis=-1, keepdims=True), np.nan, ordered), np.asarray(ndtri(quantiles))


def _tail_slopes(values: Array, scores: Array) -> tuple[Array, Array]:
    slopes = np.diff(values[..., [0, 1, -2, -1]], axis=-1)[..., [0, 2]] / np.diff(scores)[[0, -1]]
    slopes = np.maximum(slopes, LEAST_SLOPE)
    return slopes[..., :1], slopes[..., 1:]


def as_forecast(
    log_quantiles: npt.ArrayLike,
    *,
    init_time: npt.NDArray[np.datetime64],
    lead_time: Sequence[int],
    quality: npt.ArrayLike,
    log_mean: npt.ArrayLike | None = None,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Label the quantiles of a forecast, and add the probabilities of exceeding `THRESHOLDS`.

    Parameters
    ----------
    log_quantiles : array, shape (init_time, lead_time, quantile)
        log10 of the daily fluence in cm-2 sr-1 d-1 at `QUANTILES`; those that cross are sorted, and NaN in one makes
        all of that day NaN.
    init_time : array of datetime64, shape (init_time,)
        Issue times, UTC: the first instant after the last day that was read.
    lead_time : sequence of int
        Days; lead 1 is the day that begins at the issue time.
    quality : array of int, shape (init_time,)
        `ForecastQuality` flags; `NOT_FORECAST` is added where every result is NaN.
    log_mean : array, shape (init_time, lead_time), optional
        Mean of log10 of the daily fluence: the point forecast for scores of squared errors.
    attrs : mapping
        `method`, `satellite`, and what else is known of the forecast.

    Returns
    -------
    Dataset, dims (init_time, lead_time, quantile, threshold)
        `fluence_gt2mev` (init_time, lead_time, quantile) and `fluence_gt2mev_mean` (init_time, lead_time), the
        latter where `log_mean` is given, in cm-2 sr-1 d-1; `probability` (init_time, lead_time, threshold), 1;
        `quality` (init_time). The coordinate `valid_time` (init_time, lead_time) is the start of the day forecast.

    Raises
    ------
    AxisError
        If the shapes do not fit together.
    """
    leads = np.asarray(lead_time, dtype=np.int64)
    issued = np.asarray(init_time, dtype="datetime64[ns]")
    values = np.asarray(log_quantiles, dtype=np.float64)
    shape = (issued.size, leads.size)
    means = np.empty(shape) if log_mean is None else np.asarray(log_mean, dtype=np.float64)
    flags = np.asarray(quality)
    found = (values.shape, means.shape, flags.shape)
    if found != ((*shape, len(QUANTILES)), shape, shape[:1]):
        msg = (
            f"forecast of quantiles, mean and quality of shapes {found}: expected {(*shape, len(QUANTILES))}, {shape} "
            f"and {shape[:1]} for {shape[0]} issue times and {shape[1]} lead times"
        )
        raise AxisError(msg)
    values, _ = _curve(values, QUANTILES)
    flags = flags.astype(np.int32)
    flags[np.isnan(values).all(axis=(1, 2))] |= ForecastQuality.NOT_FORECAST.value
    fluence = attributes("fluence_gt2mev")
    dims = ("init_time", "lead_time")
    variables: dict[str, Any] = {"fluence_gt2mev": ((*dims, "quantile"), 10.0**values, fluence)}
    if log_mean is not None:
        long_name = f"{fluence['long_name']}, 10 to the mean of log10"
        variables["fluence_gt2mev_mean"] = (dims, 10.0**means, fluence | {"long_name": long_name})
    probability = {"units": "1", "long_name": "probability that the daily fluence exceeds the threshold"}
    variables["probability"] = ((*dims, "threshold"), exceedance(values, np.log10(THRESHOLDS)), probability)
    variables["quality"] = ("init_time", flags, quality_attributes())
    lead = leads * DAY
    coordinates = {
        "init_time": ("init_time", issued, {"long_name": "issue time, UTC: nothing at or after it was read"}),
        "lead_time": ("lead_time", lead, {"long_name": "lead time; 1 day is the day that begins at the issue time"}),
        "quantile": ("quantile", np.array(QUANTILES), {"units": "1", "long_name": "level of the quantile"}),
        "threshold": ("threshold", np.array(THRESHOLDS), fluence | {"long_name": "daily fluence to exceed"}),
        "valid_time": (dims, issued[:, np.newaxis] + lead - DAY, {"long_name": "start of the day forecast, UTC"}),
    }
    return xr.Dataset(variables, coordinates, dict(attrs))


def quality_attributes() -> dict[str, Any]:
    """Give the attributes of the variable `quality` of a forecast, in the CF form of flags.

    Returns
    -------
    dict
        `units`, `long_name`, `flag_masks` (list of int) and `flag_meanings` (names with blanks between).
    """
    flags = [flag for flag in ForecastQuality if flag]
    return {
        "units": "1",
        "long_name": "what the forecast had to do without, 0 is nothing",
        "flag_masks": [flag.value for flag in flags],
        "flag_meanings": " ".join(str(flag.name).lower() for flag in flags),
    }
