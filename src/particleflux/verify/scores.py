"""Scores of one number per sample against what was observed: log10 fluence, so that errors are in dex.

The scores take values as they are: hand over log10 of the fluence. One signature for all, `score(fcst, obs, *, dim)`;
a pair in which either is NaN is dropped.
"""

from __future__ import annotations

import xarray as xr

from particleflux.verify import _sums
from particleflux.verify._sums import Dim, check_pair, moments, total


def prediction_efficiency(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the prediction efficiency: the part of the variance of the observations that the forecasts explain.

    .. math:: PE = 1 - \frac{\overline{(f - o)^2}}{\overline{(o - \bar o)^2}}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        Point forecasts f of log10 fluence, dex.
    obs : DataArray, dims (..., dim)
        Observations o, dex.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), 1
        1 for a perfect forecast, 0 for the mean of the same observations; NaN where those do not vary.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is infinite or no number.

    References
    ----------
    Wei et al. (2018), Space Weather 16, 903, doi 10.1029/2018SW001829.

    Examples
    --------
    >>> obs = xr.DataArray([6.0, 7.0, 8.0], dims="time")
    >>> prediction_efficiency(obs + 0.5, obs, dim="time").item()
    0.625
    """
    return _sums.prediction_efficiency(total(moments(*check_pair(fcst, obs, dim)), dim))


def rmse(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the root mean square error.

    .. math:: RMSE = \sqrt{\overline{(f - o)^2}}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        Point forecasts f of log10 fluence, dex.
    obs : DataArray, dims (..., dim)
        Observations o, dex.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), dex
        0 for a perfect forecast; NaN where there is no pair.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is infinite or no number.

    References
    ----------
    Murphy (1988), Monthly Weather Review 116, 2417, doi 10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.
    """
    return _sums.rmse(total(moments(*check_pair(fcst, obs, dim)), dim))


def bias(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the mean error.

    .. math:: B = \overline{f - o}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        Point forecasts f of log10 fluence, dex.
    obs : DataArray, dims (..., dim)
        Observations o, dex.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), dex
        Positive where the forecasts are too high; NaN where there is no pair.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is infinite or no number.

    References
    ----------
    Murphy (1988), Monthly Weather Review 116, 2417, doi 10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.
    """
    return _sums.bias(total(moments(*check_pair(fcst, obs, dim)), dim))


def correlation(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give Pearson's coefficient of correlation; it does not see a bias or a wrong amplitude.

    .. math:: r = \frac{\overline{f o} - \bar f \bar o}
        {\sqrt{(\overline{f^2} - \bar f^2)(\overline{o^2} - \bar o^2)}}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        Point forecasts f of log10 fluence, dex.
    obs : DataArray, dims (..., dim)
        Observations o, dex.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), 1
        From -1 to 1; NaN where either does not vary.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is infinite or no number.

    References
    ----------
    Murphy (1988), Monthly Weather Review 116, 2417, doi 10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.
    """
    return _sums.correlation(total(moments(*check_pair(fcst, obs, dim)), dim))


def skill(fcst: xr.DataArray, obs: xr.DataArray, *, reference: xr.DataArray, dim: Dim) -> xr.DataArray:
    r"""Give the skill in mean square error over another forecast of the same days.

    .. math:: S = 1 - \frac{\overline{(f - o)^2}}{\overline{(r - o)^2}}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        Point forecasts f of log10 fluence, dex.
    obs : DataArray, dims (..., dim)
        Observations o, dex.
    reference : DataArray, dims (..., dim)
        The forecasts r to compare with, dex; where one of the three is NaN, none of them counts.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), 1
        1 for a perfect forecast, 0 for one as good as the reference; NaN where that is perfect.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is infinite or no number.

    References
    ----------
    Murphy (1988), Monthly Weather Review 116, 2417, doi 10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.
    """
    fcst, obs = check_pair(fcst, obs, dim)
    reference, obs = check_pair(reference, obs, dim)
    fcst, reference = check_pair(fcst, reference, dim)
    own, other = (total(moments(pair, obs), dim) for pair in (fcst + 0 * reference, reference + 0 * fcst))
    return _sums.skill(own["ee"], other["ee"])
