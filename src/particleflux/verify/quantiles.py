"""Scores of a predictive distribution given by its quantiles: CRPS and the coverage of intervals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.forecast.distribution import interpolate
from particleflux.verify import _sums
from particleflux.verify._sums import Dim, check_pair, total

Array = npt.NDArray[np.float64]

QUANTILE = "quantile"
#: Levels at which the pinball losses are taken: the middles of as many equal parts of 0 to 1.
N_LEVELS = 199
#: Samples whose distribution is in memory at a time.
_AT_ONCE = 4096


def crps(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the continuous ranked probability score, averaged.

    .. math:: CRPS = \int (F(x) - 1[x \ge o])^2 dx = 2 \int_0^1 (1[o < q_\alpha] - \alpha)(q_\alpha - o)\, d\alpha
        \approx \frac{2}{199} \sum_{i=1}^{199} (1[o < q_{\alpha_i}] - \alpha_i)(q_{\alpha_i} - o), \quad
        \alpha_i = \frac{i - 1/2}{199}

    with the quantiles between and beyond those given by `particleflux.forecast.interpolate`.

    Parameters
    ----------
    fcst : DataArray, dims (..., dim, quantile)
        Quantiles q of log10 fluence, dex, with their levels as labels.
    obs : DataArray, dims (..., dim)
        Observations o, dex.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), dex
        0 is best; of a forecast without spread it is the mean absolute error.

    Raises
    ------
    AxisError
        If a dimension is absent, the labels differ, or the levels do not increase.
    DataError
        If a value is infinite or no number.

    References
    ----------
    Laio and Tamea (2007), Hydrology and Earth System Sciences 11, 1267, doi 10.5194/hess-11-1267-2007;
    Gneiting and Raftery (2007), Journal of the American Statistical Association 102, 359,
    doi 10.1198/016214506000001437.
    """
    return _sums.mean(total(_sums.values(crps_of_each(*_check(fcst, obs, dim))), dim))


def crps_skill(fcst: xr.DataArray, obs: xr.DataArray, *, reference: xr.DataArray, dim: Dim) -> xr.DataArray:
    r"""Give the skill in CRPS over another forecast of the same days.

    .. math:: S = 1 - \frac{CRPS}{CRPS_{reference}}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim, quantile)
        Quantiles of log10 fluence, dex, with their levels as labels.
    obs : DataArray, dims (..., dim)
        Observations, dex.
    reference : DataArray, dims (..., dim, quantile)
        Quantiles to compare with, dex; their levels may be others.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), 1
        1 for a perfect forecast, 0 for one as good as the reference. A day that one of the two misses does not count.

    Raises
    ------
    AxisError
        If a dimension is absent, the labels differ, or the levels do not increase.
    DataError
        If a value is infinite or no number.

    References
    ----------
    Gneiting and Raftery (2007), Journal of the American Statistical Association 102, 359,
    doi 10.1198/016214506000001437.
    """
    own, other = (crps_of_each(*_check(quantiles, obs, dim)) for quantiles in (fcst, reference))
    own, other = check_pair(own, other, dim)
    both = own.notnull() & other.notnull()
    return _sums.skill(own.where(both, 0.0).sum(dim), other.where(both, 0.0).sum(dim))


def coverage(fcst: xr.DataArray, obs: xr.DataArray, *, interval: float, dim: Dim) -> xr.DataArray:
    r"""Give the part of the observations that lie in the central interval of the forecasts.

    .. math:: C = \overline{1[q_{(1 - I)/2} \le o \le q_{(1 + I)/2}]}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim, quantile)
        Quantiles q of log10 fluence, dex, with their levels as labels.
    obs : DataArray, dims (..., dim)
        Observations o, dex.
    interval : float
        Probability I of the interval, such as 0.68 or 0.95. Where its ends are not among the levels they are
        interpolated.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), 1
        The interval's probability where the spread is right: less where it is too small.

    Raises
    ------
    AxisError
        If a dimension is absent, the labels differ, or the levels do not increase.
    DataError
        If a value is infinite or no number, or the interval is none.

    References
    ----------
    Gneiting, Balabdaoui and Raftery (2007), Journal of the Royal Statistical Society B 69, 243,
    doi 10.1111/j.1467-9868.2007.00587.x.
    """
    inside = inside_interval(*_check(fcst, obs, dim), interval)
    return _sums.mean(total(_sums.values(inside), dim))


def crps_of_each(fcst: xr.DataArray, obs: xr.DataArray) -> xr.DataArray:
    """Give the CRPS of each forecast by itself.

    Parameters
    ----------
    fcst : DataArray, dims (..., quantile)
        Quantiles of log10 fluence, dex, with their levels as labels.
    obs : DataArray, dims (...)
        Observations, dex.

    Returns
    -------
    DataArray, dims (...), dex
        NaN where a quantile or the observation is.
    """
    template, quantiles, observed, levels = _flat(fcst, obs)
    at = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    scores = np.empty(len(observed))
    for start in range(0, len(observed), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        error = interpolate(quantiles[part], at, quantiles=levels) - observed[part, np.newaxis]
        scores[part] = 2 * np.where(error > 0, (1 - at) * error, -at * error).mean(axis=1)
    return template.copy(data=scores.reshape(template.shape))


def inside_interval(fcst: xr.DataArray, obs: xr.DataArray, interval: float) -> xr.DataArray:
    """Tell which observations lie in the central interval of their forecast.

    Parameters
    ----------
    fcst : DataArray, dims (..., quantile)
        Quantiles of log10 fluence, dex, with their levels as labels.
    obs : DataArray, dims (...)
        Observations, dex.
    interval : float
        Probability of the interval.

    Returns
    -------
    DataArray, dims (...), 1
        1 inside or on an end, 0 outside, NaN where a quantile or the observation is.

    Raises
    ------
    DataError
        If the interval is not between 0 and 1.
    """
    if not 0 < interval < 1:
        msg = f"interval={interval}: expected a probability above 0 and below 1, such as 0.68"
        raise DataError(msg)
    template, quantiles, observed, levels = _flat(fcst, obs)
    # Rounded, so that an end which is a level of the forecast is met exactly.
    low, high = interpolate(quantiles, np.round([(1 - interval) / 2, (1 + interval) / 2], 12), quantiles=levels).T
    inside = ((low <= observed) & (observed <= high)).astype(np.float64)
    inside[np.isnan(low) | np.isnan(observed)] = np.nan
    return template.copy(data=inside.reshape(template.shape))


def _check(fcst: xr.DataArray, obs: xr.DataArray, dim: Dim) -> tuple[xr.DataArray, xr.DataArray]:
    if QUANTILE not in fcst.dims or QUANTILE not in fcst.coords:
        msg = f"fcst has dimensions {fcst.dims}, expected {QUANTILE!r} among them with the level of each as label"
        raise AxisError(msg)
    return check_pair(fcst, obs, dim)


def _flat(fcst: xr.DataArray, obs: xr.DataArray) -> tuple[xr.DataArray, Array, Array, list[float]]:
    """Give an array of the shape of the scores; quantiles (sample, level); observations (sample); the levels."""
    levels = fcst[QUANTILE].to_numpy().astype(np.float64)
    if len(levels) < 2 or not ((levels > 0) & (levels < 1)).all() or not (np.diff(levels) > 0).all():
        msg = f"levels {levels.tolist()} of the quantiles: expected two at least, between 0 and 1, in rising order"
        raise AxisError(msg)
    observed, _ = xr.broadcast(obs, fcst.isel({QUANTILE: 0}, drop=True))
    quantiles = fcst.broadcast_like(observed).transpose(*observed.dims, QUANTILE).to_numpy()
    template = observed.astype(np.float64).drop_attrs()
    return template, quantiles.reshape(-1, len(levels)), template.to_numpy().reshape(-1), levels.tolist()
