r"""From quantiles at single energies to draws of whole spectra, by a Gaussian copula.

Each energy has its five quantiles, between which log flux is linear in the normal score (and beyond which the outermost
pieces go on). How the energies go together is a correlation matrix of the scores, :math:`R = L L^T + D`, with few
columns in L and a diagonal D that makes the diagonal of R one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from particleflux.unfold.npe_targets import LARGEST_SCORE
from particleflux.unfold.targets import QUANTILE_SIGMAS

Array = npt.NDArray[np.float64]

_SIGMAS = np.array(QUANTILE_SIGMAS)


def to_scores(quantiles: Array, values: Array) -> Array:
    """Turn values into normal scores of the distributions that quantiles stand for.

    Parameters
    ----------
    quantiles : ndarray, shape (n, 5, target)
        Increasing along the second axis.
    values : ndarray, shape (n, target)
        In the same unit.

    Returns
    -------
    ndarray, shape (n, target)
        Scores, held to +-5.

    Examples
    --------
    >>> quantiles = np.array([-1.959964, -0.994458, 0.0, 0.994458, 1.959964])[None, :, None]
    >>> to_scores(quantiles, np.array([[3.0]])).round(6)
    array([[3.]])
    """
    piece = np.clip((values[:, None] >= quantiles).sum(axis=1) - 1, 0, len(_SIGMAS) - 2)
    low = np.take_along_axis(quantiles, piece[:, None], axis=1)[:, 0]
    high = np.take_along_axis(quantiles, piece[:, None] + 1, axis=1)[:, 0]
    start, step = _SIGMAS[piece], np.diff(_SIGMAS)[piece]
    scores = start + step * (values - low) / np.maximum(high - low, 1e-12)
    return np.asarray(np.clip(scores, -LARGEST_SCORE, LARGEST_SCORE))


def from_scores(quantiles: Array, scores: Array) -> Array:
    """Turn normal scores into values; the inverse of `to_scores`.

    Parameters
    ----------
    quantiles : ndarray, shape (n, 5, target)
        Increasing along the second axis.
    scores : ndarray, shape (n, sample, target)
        Normal scores.

    Returns
    -------
    ndarray, shape (n, sample, target)
        Values in the unit of the quantiles.
    """
    slopes = np.diff(quantiles, axis=1) / np.diff(_SIGMAS)[:, None]
    # A line through the middle, and at each inner quantile the change of slope beyond it.
    values = quantiles[:, None, 2] + np.where(scores < 0, slopes[:, None, 1], slopes[:, None, 2]) * scores
    values += np.minimum(scores - _SIGMAS[1], 0.0) * (slopes[:, None, 0] - slopes[:, None, 1])
    values += np.maximum(scores - _SIGMAS[3], 0.0) * (slopes[:, None, 3] - slopes[:, None, 2])
    return np.asarray(values)


def draw_scores(loadings: Array, n_samples: int, seed: int) -> Array:
    """Draw correlated normal scores, with the same random numbers for every row.

    Parameters
    ----------
    loadings : ndarray, shape (n, target, factor)
        L: rows of length below one.
    n_samples : int
        Draws of each row.
    seed : int
        Of the random numbers.

    Returns
    -------
    ndarray, shape (n, sample, target)
        Each with mean 0 and variance 1. Draw k of one row goes with draw k of another: the errors of the response,
        which rule where the counts are many, are common to them.
    """
    rng = np.random.default_rng(seed)
    n_targets, n_factors = loadings.shape[1:]
    common = rng.standard_normal((n_samples, n_factors))
    own = rng.standard_normal((n_samples, n_targets))
    rest = np.sqrt(np.maximum(1.0 - (loadings**2).sum(axis=-1), 0.0))
    return np.asarray(np.einsum("sf,ntf->nst", common, loadings) + own * rest[:, None])
