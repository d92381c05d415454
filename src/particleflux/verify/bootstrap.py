"""Block bootstrap: how often each day is drawn, and the intervals that the scores of the draws span."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError

Array = npt.NDArray[np.float64]

#: Days drawn together: one solar rotation, within which the flux remembers.
BLOCK = 27
#: With fewer whole blocks than this the draws hardly differ, and no interval is given.
LEAST_BLOCKS = 3
#: Probability of the intervals.
LEVEL = 0.95
REPLICATE = "replicate"


def draw_weights(n_days: int, *, n_bootstrap: int, seed: int, block: int = BLOCK) -> xr.DataArray:
    """Draw blocks of consecutive days with replacement until as many days are drawn as there are.

    A block may begin on any day and goes on from the last day to the first (circular), so that each day is as likely
    as any other. Scores of several methods under the same draws are paired: their differences have intervals too.

    Parameters
    ----------
    n_days : int
        Number of days.
    n_bootstrap : int
        Number of draws.
    seed : int
        The same seed gives the same draws.
    block : int
        Days in a block.

    Returns
    -------
    DataArray, dims (replicate, day), 1
        How often each day is drawn. Row 0 holds ones: the days as they are. There is no other row with fewer than
        three blocks of days.

    Raises
    ------
    DataError
        If a number cannot be used.

    References
    ----------
    Kuensch (1989), Annals of Statistics 17, 1217, doi 10.1214/aos/1176347265: blocks that overlap; Politis and Romano
    (1992), in Exploring the Limits of Bootstrap: circular.
    """
    if n_bootstrap < 0 or block < 1 or seed < 0:
        msg = f"n_bootstrap={n_bootstrap}, block={block}, seed={seed}: expected 0 or more draws, blocks of 1 day or "
        msg += "more, and a seed of 0 or more"
        raise DataError(msg)
    weights = np.ones((1 + (n_bootstrap if n_days >= LEAST_BLOCKS * block else 0), n_days))
    rng = np.random.default_rng(seed)
    starts = rng.integers(max(n_days, 1), size=(len(weights) - 1, -(-n_days // block)))
    for row, first in zip(weights[1:], starts, strict=True):
        days = ((first[:, np.newaxis] + np.arange(block)) % n_days).reshape(-1)[:n_days]
        row[:] = np.bincount(days, minlength=n_days)
    return xr.DataArray(weights, dims=(REPLICATE, "day"))


def weighted_sum(term: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
    """Sum a term over the days of each draw.

    Parameters
    ----------
    term : DataArray, dims (day, ...)
        A number per day, without NaN.
    weights : DataArray, dims (replicate, day), 1
        What `draw_weights` gave.

    Returns
    -------
    DataArray, dims (replicate, ...)
        In the unit of the term.
    """
    other = [dim for dim in term.dims if dim != "day"]
    values = term.transpose("day", *other).to_numpy()
    summed = weights.to_numpy() @ values.reshape(len(values), -1)
    coords = {name: coord for name, coord in term.coords.items() if "day" not in coord.dims}
    return xr.DataArray(summed.reshape(-1, *values.shape[1:]), coords, (REPLICATE, *other))


def bound(replicates: xr.DataArray, *, level: float = LEVEL) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Give the score of the days as they are and the interval of those of the draws.

    Parameters
    ----------
    replicates : DataArray, dims (replicate, ...)
        The score under each row of the weights.
    level : float
        Probability of the interval.

    Returns
    -------
    value, lower, upper : DataArray, dims (...)
        In the unit of the score. The ends are quantiles of the draws that have a score, NaN where fewer than half do.
    """
    values = replicates.transpose(REPLICATE, ...)
    first = values.isel({REPLICATE: 0}, drop=True)
    # Sorted once, NaN last: numpy's nanquantile goes through the columns one by one.
    ordered = np.sort(values.to_numpy()[1:], axis=0)
    if not len(ordered):
        nothing = first.where(False)
        return first, nothing, nothing
    n = np.isfinite(ordered).sum(axis=0)
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        place = share * np.maximum(n - 1, 0)
        left = np.floor(place).astype(np.int64)
        right = np.minimum(left + 1, np.maximum(n - 1, 0))
        low, high = (np.take_along_axis(ordered, at[np.newaxis], axis=0)[0] for at in (left, right))
        enough = (2 * n >= len(ordered)) & np.isfinite(first.to_numpy())
        ends.append(first.copy(data=np.where(enough, low + (high - low) * (place - left), np.nan)))
    return first, ends[0], ends[1]
