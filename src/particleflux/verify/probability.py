"""Scores of the probability that an event comes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError
from particleflux.verify import _sums
from particleflux.verify._sums import Dim, check_pair, total

Array = npt.NDArray[np.float64]

#: Bins of equal width from 0 to 1 in which probabilities are compared with the frequency of the event.
N_BINS = 10
#: Draws for the consistency interval of a reliability curve.
N_DRAWS = 1000


def brier_score(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim) -> xr.DataArray:
    r"""Give the Brier score: the mean square error of a probability.

    .. math:: BS = \overline{(p - o)^2}

    Parameters
    ----------
    fcst : DataArray, dims (..., dim), 1
        Probabilities p.
    obs : DataArray, dims (..., dim), 1
        1 where the event came, 0 where not.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), 1
        0 is best; NaN where there is no pair.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a probability is not between 0 and 1, or an event neither 0 nor 1.

    References
    ----------
    Brier (1950), Monthly Weather Review 78, 1, doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    return _sums.brier_score(total(_sums.probabilities(*_check(fcst, obs, dim)), dim))


def brier_skill(
    fcst: xr.DataArray, obs: xr.DataArray, *, reference: xr.DataArray | None = None, dim: Dim
) -> xr.DataArray:
    r"""Give the skill in the Brier score over another forecast, or over the frequency of the event.

    .. math:: BSS = 1 - \frac{BS}{BS_{reference}}, \qquad BS_{frequency} = \bar o (1 - \bar o)

    Parameters
    ----------
    fcst : DataArray, dims (..., dim), 1
        Probabilities.
    obs : DataArray, dims (..., dim), 1
        1 where the event came, 0 where not.
    reference : DataArray, dims (..., dim), 1, optional
        Probabilities to compare with. By default the climatology of the sample itself: its frequency of the event,
        which no real forecast knows beforehand.
    dim : str or collection of str
        What to score over.

    Returns
    -------
    DataArray, dims (...), 1
        1 for a perfect forecast, 0 for one as good as the reference; NaN where the event came always or never.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a probability is not between 0 and 1, or an event neither 0 nor 1.

    References
    ----------
    Murphy (1988), Monthly Weather Review 116, 2417, doi 10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.
    """
    fcst, obs = _check(fcst, obs, dim)
    if reference is None:
        s = total(_sums.probabilities(fcst, obs), dim)
        return _sums.skill(_sums.brier_score(s), _sums.brier_uncertainty(s))
    reference, obs = _check(reference, obs, dim)
    fcst, reference = check_pair(fcst, reference, dim)
    pairs = ((fcst + 0 * reference, obs), (reference + 0 * fcst, obs))
    own, other = (total(_sums.probabilities(*pair), dim) for pair in pairs)
    return _sums.skill(own["bb"], other["bb"])


def brier_decomposition(fcst: xr.DataArray, obs: xr.DataArray, *, dim: Dim, n_bins: int = N_BINS) -> xr.Dataset:
    r"""Split the Brier score into reliability, resolution and uncertainty.

    .. math:: BS = \underbrace{\frac{1}{N}\sum_k n_k (\bar p_k - \bar o_k)^2}_{reliability}
        - \underbrace{\frac{1}{N}\sum_k n_k (\bar o_k - \bar o)^2}_{resolution}
        + \underbrace{\bar o (1 - \bar o)}_{uncertainty} + within

    over bins k of equal width; `within` is what the spread of the probabilities inside the bins adds.

    Parameters
    ----------
    fcst : DataArray, dims (..., dim), 1
        Probabilities p.
    obs : DataArray, dims (..., dim), 1
        1 where the event came, 0 where not.
    dim : str or collection of str
        What to score over.
    n_bins : int
        Number of bins.

    Returns
    -------
    Dataset, dims (...), 1
        `reliability` (0 is best), `resolution` (large is good), `uncertainty` and `within_bins`.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a probability is not between 0 and 1, or an event neither 0 nor 1.

    References
    ----------
    Murphy (1973), Journal of Applied Meteorology 12, 595, doi 10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2;
    Stephenson, Coelho and Jolliffe (2008), Weather and Forecasting 23, 752, doi 10.1175/2007WAF2006116.1.
    """
    fcst, obs = _check(fcst, obs, dim)
    s, b = total(_sums.probabilities(fcst, obs), dim), total(_sums.by_bin(fcst, obs, n_bins), dim)
    parts = {
        "reliability": _sums.brier_reliability(b),
        "resolution": _sums.brier_resolution(b),
        "uncertainty": _sums.brier_uncertainty(s),
    }
    rest = _sums.brier_score(s) - parts["reliability"] + parts["resolution"] - parts["uncertainty"]
    return xr.Dataset(parts | {"within_bins": rest})


def reliability_curve(
    fcst: xr.DataArray,
    obs: xr.DataArray,
    *,
    dim: str,
    n_bins: int = N_BINS,
    n_draws: int = N_DRAWS,
    seed: int = 1,
) -> xr.Dataset:
    r"""Compare probabilities, bin by bin, with how often the event came.

    The consistency interval tells where the frequency would lie (95 %) if every probability were right:
    pairs are drawn anew with replacement, and the event with the probability forecast.

    Parameters
    ----------
    fcst : DataArray, dims (..., dim), 1
        Probabilities.
    obs : DataArray, dims (..., dim), 1
        1 where the event came, 0 where not.
    dim : str
        What to count over.
    n_bins : int
        Number of bins of equal width.
    n_draws : int
        Draws for the consistency interval; 0 for none.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Dataset, dims (..., bin)
        `n` (1), the number of forecasts in the bin; `probability`, their mean; `frequency` of the event;
        `consistency_lower` and `consistency_upper`. NaN in an empty bin. The label of a bin is its middle.

    Raises
    ------
    AxisError
        If a dimension is absent or the labels differ.
    DataError
        If a probability is not between 0 and 1, or an event neither 0 nor 1.

    References
    ----------
    Broecker and Smith (2007), Weather and Forecasting 22, 651, doi 10.1175/WAF993.1.
    """
    fcst, obs = _check(fcst, obs, dim)
    b = total(_sums.by_bin(fcst, obs, n_bins), dim)
    curve = xr.Dataset({
        "n": b["n"], "probability": _sums.ratio(b["p"], b["n"]), "frequency": _sums.ratio(b["o"], b["n"])
    })  # fmt: skip
    counted = (b[name].transpose(..., "bin").to_numpy() for name in ("n", "p"))
    bounds = consistency(*counted, n_draws=n_draws, seed=seed)
    for index, name in enumerate(("consistency_lower", "consistency_upper")):
        curve[name] = b["n"].transpose(..., "bin").copy(data=bounds[..., index, :])
    return curve


def consistency(n: Array, expected: Array, *, n_draws: int, seed: int) -> Array:
    """Draw where the frequency in each bin would lie if the probabilities were right.

    To draw a pair anew and then the event with its probability is to draw one of the cells (bin, came or not), with
    the sums of the probabilities as their weights: one multinomial draw gives all bins at once.

    Parameters
    ----------
    n : array, shape (..., bin)
        Number of forecasts in each bin.
    expected : array, shape (..., bin)
        Sum of their probabilities.
    n_draws : int
        Number of draws.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    array, shape (..., 2, bin)
        2.5 and 97.5 % quantiles of the frequency; NaN in an empty bin.
    """
    bounds = np.full((*n.shape[:-1], 2, n.shape[-1]), np.nan)
    for place in np.ndindex(n.shape[:-1]):
        met = np.flatnonzero(n[place] > 0)
        if not n_draws or not met.size:
            continue
        # Rounding must leave no cell below 0.
        came = np.clip(expected[place][met], 0, n[place][met])
        cells = np.stack([came, n[place][met] - came])
        number = int(n[place].sum())
        # The same draws for every forecast, as far as their cells are alike.
        drawn = np.random.default_rng(seed).multinomial(number, cells.ravel() / cells.sum(), size=n_draws)
        yes, no = np.split(drawn.astype(np.float64), 2, axis=1)
        with np.errstate(invalid="ignore"):
            frequency = yes / (yes + no)
        # A bin that a draw leaves empty says nothing in that draw. One that all of them leave empty (a single forecast
        # among thousands may be) has no interval.
        often = ~np.isnan(frequency).all(axis=0)
        bounds[place][:, met[often]] = np.nanquantile(frequency[:, often], (0.025, 0.975), axis=0)
    return bounds


def _check(fcst: xr.DataArray, obs: xr.DataArray, dim: Dim) -> tuple[xr.DataArray, xr.DataArray]:
    fcst, obs = check_pair(fcst, obs, dim)
    p, o = fcst.to_numpy(), obs.to_numpy()
    wrong = p[(p < 0) | (p > 1)]
    if wrong.size:
        msg = f"fcst holds {wrong[0]:g}; expected probabilities from 0 to 1 (50 % is 0.5)"
        raise DataError(msg)
    wrong = o[~np.isnan(o) & (o != 0) & (o != 1)]
    if wrong.size:
        msg = f"obs holds {wrong[0]:g}; expected 1 where the event came, 0 where not, NaN where unknown"
        raise DataError(msg)
    return fcst, obs
