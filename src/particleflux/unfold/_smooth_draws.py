"""Draws of smooth spectra that agree with counts: the posterior of the regularised problem, beyond its linear form."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import qmc

from particleflux.unfold._strength import Solution
from particleflux.unfold._tikhonov import (
    MAX_LOG_FLUX,
    N_KNOTS,
    SmoothPrior,
    chi_square,
    covariance,
    data_errors,
)
from particleflux.unfold.likelihood import log_likelihood
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

#: Draws of each sample that results are taken from.
N_DRAWS = 256
#: With fewer effective candidates than this, an interval is not to be trusted.
LEAST_EFFECTIVE = 10.0
# Candidates that draws are chosen from: first, and where too few of these count.
_N_CANDIDATES = (2048, 16384)
# The data covariance of the Gaussians that candidates are from, in multiples of the true one: the narrow one is right
# for bright events, the wide ones reach where faint signals end.
_WIDENINGS = (1.0, 3.0, 10.0, 100.0)
# Rows worked on at a time: the array of their fluxes stays in the processor's cache.
_ROWS = (8, 1)


@lru_cache(maxsize=8)
def _normal_numbers(n: int, n_dimensions: int, seed: int) -> Array:
    """Draw quasi-random standard normal numbers, the same for every sample."""
    return np.asarray(
        ndtri(np.clip(qmc.Sobol(n_dimensions, rng=np.random.default_rng(seed)).random(n), 1e-9, 1.0 - 1e-9))
    )


def draw_smooth(
    prior: SmoothPrior, observation: Observation, solution: Solution, seed: int
) -> tuple[Array, Array, Array]:
    r"""Draw spectra from the posterior of the regularised problem, its strength held.

    Candidates come from the Gaussian posterior linearised at the solution, of covariance
    :math:`(J^T V^{-1} J + \alpha D^T D + \ldots)^{-1}`, and from those of wider data errors; each is a draw of the
    prior moved by the gain times its misfit (Matheron's rule: Journel and Huijbregts 1978, Mining Geostatistics).
    Their weights are the likelihood over the density of all the Gaussians together (Veach and Guibas 1995,
    doi:10.1145/218380.218498): what the linear form leaves out (a signal cannot be negative) is thus put in. A first
    choice is made by a normal likelihood, the weights of those chosen by the one all methods share.

    Parameters
    ----------
    prior : SmoothPrior
        Grid and prior.
    observation : Observation
        Of n samples.
    solution : Solution
        Where to linearise.
    seed : int
        Of the random numbers, which are the same for all samples.

    Returns
    -------
    log_flux : ndarray, shape (n, 256, knot)
        Natural logarithm.
    weight : ndarray, shape (n, 256)
        Of each draw; their sum is 1.
    effective : ndarray, shape (n,)
        Effective number of the candidates (Kish 1965).
    """
    n = len(observation)
    log_flux, weight = np.empty((n, N_DRAWS, N_KNOTS)), np.empty((n, N_DRAWS))
    effective = np.zeros(n)
    for n_candidates, size in zip(_N_CANDIDATES, _ROWS, strict=True):
        left = np.flatnonzero(effective < LEAST_EFFECTIVE)
        for start in range(0, len(left), size):
            rows = left[start : start + size]
            log_flux[rows], weight[rows], effective[rows] = _choose(
                prior, observation[rows], solution[rows], n_candidates, seed
            )
    return log_flux, weight, effective


def _choose(
    prior: SmoothPrior, observation: Observation, solution: Solution, n_candidates: int, seed: int
) -> tuple[Array, Array, Array]:
    """Give draws, their weights, and the effective number of the candidates they are chosen from."""
    to_nodes, weights = prior.folding
    candidates, log_density = _propose(prior, observation, solution, n_candidates, seed)
    # Single precision is ample for weights, and several times as fast.
    log_flux = candidates.astype(np.float32) @ to_nodes.T.astype(np.float32)
    flux = np.exp(np.minimum(log_flux, np.float32(MAX_LOG_FLUX)))
    signal = (flux @ weights.astype(np.float32)).astype(float)
    signal *= (observation.exposure[:, None] * observation.is_read)[:, None]
    chi2, log_determinant = chi_square(signal, observation)
    first = -0.5 * (chi2 + log_determinant)
    share = _normalise(first - log_density)
    chosen = resample(share, N_DRAWS)
    signal = np.take_along_axis(signal, chosen[..., None], axis=1)
    exact = log_likelihood(signal, observation)
    return (
        np.take_along_axis(candidates, chosen[..., None], axis=1),
        _normalise(exact - np.take_along_axis(first, chosen, axis=1)),
        1.0 / (share**2).sum(axis=1),
    )


def resample(weight: Array, n_draws: int) -> npt.NDArray[np.intp]:
    """Choose draws as often as their weights say, without randomness.

    Parameters
    ----------
    weight : ndarray, shape (n, m)
        Sum 1 along the last axis.
    n_draws : int
        To choose.

    Returns
    -------
    ndarray of int, shape (n, n_draws)
        Indices, increasing.
    """
    total = np.cumsum(weight, axis=1)
    where = (np.arange(n_draws) + 0.5) / n_draws
    chosen = np.stack([np.searchsorted(row / row[-1], where) for row in total])
    return np.asarray(np.minimum(chosen, weight.shape[1] - 1))


def weighted_quantiles(values: Array, weight: Array, levels: npt.ArrayLike) -> Array:
    """Give quantiles of weighted draws.

    Parameters
    ----------
    values : ndarray, shape (n, draw, target)
        Draws.
    weight : ndarray, shape (n, draw)
        Sum 1 along the last axis.
    levels : array_like, shape (q,)
        Probabilities.

    Returns
    -------
    ndarray, shape (n, q, target)
        Linear between the draws, at the middle of the step each makes.

    Examples
    --------
    >>> weighted_quantiles(np.array([[[3.0], [1.0], [2.0]]]), np.array([[0.25, 0.25, 0.5]]), [0.5])
    array([[[2.]]])
    """
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    share = np.take_along_axis(np.broadcast_to(weight[..., None], values.shape), order, axis=1)
    middle = np.cumsum(share, axis=1) - 0.5 * share
    result = np.empty((len(values), np.size(levels), values.shape[2]))
    for index, level in enumerate(np.atleast_1d(levels)):
        above = np.clip((middle < level).sum(axis=1)[:, None], 1, values.shape[1] - 1)
        left, right = (np.take_along_axis(middle, above - 1 + step, axis=1)[:, 0] for step in (0, 1))
        low, high = (np.take_along_axis(ordered, above - 1 + step, axis=1)[:, 0] for step in (0, 1))
        part = np.clip((level - left) / np.maximum(right - left, 1e-300), 0.0, 1.0)
        result[:, index] = low + part * (high - low)
    return result


def _normalise(log_weight: Array) -> Array:
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _propose(
    prior: SmoothPrior, observation: Observation, solution: Solution, n_candidates: int, seed: int
) -> tuple[Array, Array]:
    """Draw candidates, shape (n, candidate, knot), and give the log of their density over that of the prior."""
    n_channels = observation.counts.shape[1]
    free_basis, bent_basis = prior.basis[1], prior.basis[0]
    order = prior.order
    numbers = _normal_numbers(n_candidates, N_KNOTS + n_channels + 1, seed)
    here, mean = solution.log_flux, solution.mean
    looseness = 1.0 / solution.strength
    flux, signal = prior.fold(here, observation)
    jacobian = prior.jacobian(flux, observation)
    errors = covariance(signal, observation)
    variance, common = data_errors(signal, observation)
    residual = np.where(observation.is_read, observation.counts - observation.background - signal, 0.0)
    to_mean = residual + (jacobian @ (here - mean)[..., None])[..., 0]
    free, bent = prior.covariances
    spread = (free + looseness[:, None, None] * bent) @ jacobian.transpose(0, 2, 1)
    explained = jacobian @ spread

    drawn = (numbers[:, order:N_KNOTS] @ bent_basis.T) * np.sqrt(looseness)[:, None, None]
    drawn += numbers[:, :order] @ free_basis.T
    noise = np.sqrt(variance)[:, None] * numbers[:, N_KNOTS:-1] + common[:, None] * numbers[:, -1:]
    missing = to_mean[:, None] - drawn @ jacobian.transpose(0, 2, 1)
    candidates = mean[:, None] + drawn
    which = np.arange(n_candidates) % len(_WIDENINGS)
    for index, widening in enumerate(_WIDENINGS):
        mine = which == index
        gain = spread @ np.linalg.inv(explained + widening * errors)
        candidates[:, mine] += (missing[:, mine] - np.sqrt(widening) * noise[:, mine]) @ gain.transpose(0, 2, 1)

    left = residual[:, None] - (candidates - here[:, None]) @ jacobian.transpose(0, 2, 1)
    misfit = (left * (left @ np.linalg.inv(errors))).sum(axis=-1)
    log_errors = np.linalg.slogdet(errors)[1]
    terms = []
    for index, widening in enumerate(_WIDENINGS):
        total = explained + widening * errors
        evidence = n_channels * np.log(widening) + log_errors - np.linalg.slogdet(total)[1]
        evidence -= (to_mean * np.linalg.solve(total, to_mean[..., None])[..., 0]).sum(axis=1)
        terms.append(np.log((which == index).mean()) - 0.5 * misfit / widening - 0.5 * evidence[:, None])
    return candidates, np.asarray(np.logaddexp.reduce(terms))
