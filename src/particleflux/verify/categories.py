"""Scores of yes-or-no forecasts: does the fluence reach a threshold."""

from __future__ import annotations

import numpy as np
import xarray as xr

from particleflux.errors import DataError
from particleflux.verify import _sums
from particleflux.verify._sums import Dim, check_pair, total


def exceeds(values: xr.DataArray, threshold: xr.DataArray | float) -> xr.DataArray:
    """Tell where values reach a threshold, as numbers, so that what is missing stays missing.

    Parameters
    ----------
    values : DataArray, dims (...)
        Any numbers.
    threshold : DataArray or float
        In the unit of the values; a further dimension is added to them.

    Returns
    -------
    DataArray, dims (...), 1
        1 where the value is the threshold or above, 0 below it, NaN where it is missing.

    Examples
    --------
    >>> exceeds(xr.DataArray([7.9, 8.0, np.nan], dims="time"), 8.0).to_numpy()
    array([ 0.,  1., nan])
    """
    return _sums.mark(values >= threshold, values.notnull())


def contingency(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.Dataset:
    """Count the four outcomes of yes-or-no forecasts.

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        1 where the event was forecast, 0 where not.
    obs : DataArray, dims (..., dim)
        1 where it came, 0 where not.
    dim : str or collection of str
        What to count over.

    Returns
    -------
    Dataset, dims (...)
        `hits`, `false_alarms`, `misses` and `correct_negatives`, 1.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is neither 0, 1 nor NaN.
    """
    fcst, obs = check_pair(fcst, obs, dim)
    for name, array in (("fcst", fcst), ("obs", obs)):
        found = array.to_numpy()
        other = found[~np.isnan(found) & (found != 0) & (found != 1)]
        if other.size:
            msg = f"{name} holds {other[0]:g}; expected 1 for yes, 0 for no, NaN where unknown, as `exceeds` gives it"
            raise DataError(msg)
    return xr.Dataset(dict(total(_sums.table(fcst, obs), dim)))


def pod(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the probability of detection: the part of the events that was forecast.

    .. math:: POD = \frac{a}{a + c}

    with a hits and c misses.

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        1 where the event was forecast, 0 where not.
    obs : DataArray, dims (..., dim)
        1 where it came, 0 where not.
    dim : str or collection of str
        What to count over.

    Returns
    -------
    DataArray, dims (...), 1
        1 is best; NaN where no event came.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is neither 0, 1 nor NaN.

    References
    ----------
    Barnes et al. (2009), Weather and Forecasting 24, 1452, doi 10.1175/2009WAF2222300.1.
    """
    return _sums.pod(_cells(fcst, obs, dim))


def false_alarm_ratio(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the false alarm ratio: the part of the events forecast that did not come.

    .. math:: FAR = \frac{b}{a + b}

    with a hits and b false alarms; not the false alarm rate b / (b + d).

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        1 where the event was forecast, 0 where not.
    obs : DataArray, dims (..., dim)
        1 where it came, 0 where not.
    dim : str or collection of str
        What to count over.

    Returns
    -------
    DataArray, dims (...), 1
        0 is best; NaN where no event was forecast.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is neither 0, 1 nor NaN.

    References
    ----------
    Barnes et al. (2009), Weather and Forecasting 24, 1452, doi 10.1175/2009WAF2222300.1.
    """
    return _sums.false_alarm_ratio(_cells(fcst, obs, dim))


def heidke_skill(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the Heidke skill score: the part right, over what chance would give with the same numbers of yes and no.

    .. math:: HSS = \frac{2 (a d - b c)}{(a + c)(c + d) + (a + b)(b + d)}

    with a hits, b false alarms, c misses and d correct negatives.

    Parameters
    ----------
    fcst : DataArray, dims (..., dim)
        1 where the event was forecast, 0 where not.
    obs : DataArray, dims (..., dim)
        1 where it came, 0 where not.
    dim : str or collection of str
        What to count over.

    Returns
    -------
    DataArray, dims (...), 1
        1 is best, 0 is chance; NaN where forecasts and observations are all yes or all no.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a value is neither 0, 1 nor NaN.

    References
    ----------
    Heidke (1926), Geografiska Annaler 8, 301; Murphy (1996), Weather and Forecasting 11, 3,
    doi 10.1175/1520-0434(1996)011<0003:TFAASE>2.0.CO;2.

    Examples
    --------
    >>> came = xr.DataArray([1, 1, 0, 0], dims="time")
    >>> heidke_skill(xr.DataArray([1, 0, 0, 0], dims="time"), came, dim="time").item()
    0.5
    """
    return _sums.heidke_skill(_cells(fcst, obs, dim))


def _cells(fcst: xr.DataArray, obs: xr.DataArray, dim: Dim) -> dict[str, xr.DataArray]:
    counted = contingency(fcst, obs, dim=dim)
    return {str(name): counted[name] for name in counted.data_vars}
