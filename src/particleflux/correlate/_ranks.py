"""Numbers in, numbers out: ranks, Spearman's coefficient with the influence of each pair, and its block bootstrap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def centre_ranks(values: Array) -> Array:
    """Give the ranks from -1/2 to 1/2, their mean 0; equal values share their mean rank."""
    return _Ranking(values).centred


def correlate_ranks(x: Array, y: Array) -> tuple[float, Array]:
    """Give Spearman's coefficient of n pairs, and what each pair's weight moves it by (they sum to 0).

    With u, v the centred ranks and A the mean of uv, moving a share of the weight to pair i changes A by
    u_i v_i + (mean of v where x > x_i) + (mean of u where y > y_i) - 3A, pairs with an equal value counted by half,
    since a heavier pair lifts the rank of all above it. The mean squares change alike; they do so only with ties.
    """
    n = len(x)
    by_x, by_y = _Ranking(x), _Ranking(y)
    u, v = by_x.centred, by_y.centred
    moment, square_u, square_v = u @ v / n, u @ u / n, v @ v / n
    if square_u == 0 or square_v == 0:
        return np.nan, np.zeros(n)
    change = u * v + by_x.mean_above(v) + by_y.mean_above(u) - 3 * moment
    change_u = u * u + 2 * by_x.mean_above(u) - 3 * square_u
    change_v = v * v + 2 * by_y.mean_above(v) - 3 * square_v
    scale = np.sqrt(square_u * square_v)
    coefficient = float(np.clip(moment / scale, -1, 1))
    return coefficient, change / scale - coefficient / 2 * (change_u / square_u + change_v / square_v)


def draw_blocks(n: int, block: int, n_bootstrap: int, seed: int) -> Array:
    """Draw circular blocks until n days are full: how often each day is drawn, of shape (n_bootstrap, n)."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(n, size=(n_bootstrap, -(-n // block)))
    drawn = ((starts[..., None] + np.arange(block)) % n).reshape(n_bootstrap, -1)[:, :n]
    return np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.float64)


def bound(coefficient: Array, influence: Array, together: npt.NDArray[np.bool_], weights: Array) -> tuple[Array, Array]:
    """Give the 95 % interval of coefficients (offset) from the influence of the pairs (day, offset)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (weights @ influence) / (weights @ together.astype(np.float64))
        # On the scale of artanh no replicate leaves [-1, 1]. A coefficient of 1 has no influence to spread it.
        exact = np.abs(coefficient) > 1 - 1e-12
        replicates = np.tanh(np.arctanh(coefficient) + shift / (1 - coefficient**2))
    replicates = np.where(exact, coefficient, replicates)
    # A draw that meets no pair at all says nothing.
    complete = np.isfinite(replicates).any(axis=0)
    bounds = np.full((2, len(coefficient)), np.nan)
    bounds[:, complete] = np.nanquantile(replicates[:, complete], (0.025, 0.975), axis=0)
    return bounds[0], bounds[1]


class _Ranking:
    """Where each of n values stands among them: how many are below it, and how many are not above it."""

    def __init__(self, values: Array) -> None:
        n = len(values)
        self.order = np.argsort(values)
        ordered = values[self.order]
        is_first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        edges = np.append(np.flatnonzero(is_first), n)
        group = np.cumsum(is_first) - 1
        self.below, self.up_to = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
        self.below[self.order], self.up_to[self.order] = edges[group], edges[group + 1]
        self.centred: Array = (self.below + self.up_to) / (2 * n) - 0.5

    def mean_above(self, weights: Array) -> Array:
        """Give for each value the sum over n of the weights of those above it, ties by half; they sum to 0."""
        running = np.concatenate([[0.0], np.cumsum(weights[self.order])])
        # As they sum to 0, what stands above is minus what stands below.
        result: Array = -(running[self.below] + running[self.up_to]) / (2 * len(weights))
        return result
