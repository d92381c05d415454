r"""The likelihood of counts that all classical methods share.

.. math:: n_i \sim \mathrm{Poisson}(m_i), \qquad m_i = S_i (1 + \sigma_i z_i) + B_i (1 + c_i y + \epsilon_i y_i)

with the folded signal S, the expected background B, the relative errors of the response sigma and of the background,
of which c_i y is common to all channels (the level of the cosmic rays) and the rest each channel's own. The channel's
own errors are integrated over in closed form: given y, the mean follows a gamma distribution of the same mean
and variance, whose mixture of Poisson distributions is a negative binomial. Where all errors are zero it is the Poisson
distribution itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

#: Nodes of the quadrature over the common background error, and the logarithms of their weights.
LEVEL_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
LEVEL_LOG_WEIGHTS = np.log(_WEIGHTS / _WEIGHTS.sum())
# A mean whose variance is this small a part of the Poisson variance changes nothing, and costs the other form digits.
_POISSON = 1e-4
_TINY = 1e-12


def channel_log_likelihood(counts: Array, mean: Array, variance: Array) -> Array:
    r"""Logarithm of the probability of counts whose mean is itself uncertain, without the term of n alone.

    .. math:: \ln\Gamma(n + r) - \ln\Gamma(r) + r \ln\frac{r}{r + m} + n \ln\frac{m}{r + m}, \qquad r = m^2 / v

    the negative binomial (Greenwood and Yule 1920, doi:10.2307/2341080); for v = 0 the Poisson :math:`n \ln m - m`.
    Both lack :math:`-\ln\Gamma(n + 1)`.

    Parameters
    ----------
    counts : ndarray
        n; need not be whole numbers.
    mean, variance : ndarray
        Expected counts m, and the variance v of that expectation; all broadcast together.

    Returns
    -------
    ndarray
        Of the broadcast shape.

    Examples
    --------
    >>> float(channel_log_likelihood(np.array(3.0), np.array(2.0), np.array(0.0)).round(6))  # 3 ln 2 - 2
    0.079442
    """
    mean = np.maximum(mean, _TINY)
    poisson = counts * np.log(mean) - mean
    r = mean * (mean / np.maximum(variance, _POISSON * mean))
    # ln Gamma(n + r) - ln Gamma(r) loses all digits for large r: there Stirling's series of the difference.
    total = counts + r
    big = r > 1e4
    safe, safe_total = np.where(big, 1.0, r), np.where(big, 1.0, total)
    direct = gammaln(safe_total) - gammaln(safe) - total * np.log1p(mean / r) + counts * np.log(mean / r)
    ratio = counts / r
    stirling = (
        (total - 0.5) * np.log1p(ratio) - counts - total * np.log1p(mean / r) + counts * np.log(mean)
        + (1.0 / total - 1.0 / r) / 12.0
    )  # fmt: skip
    return np.asarray(np.where(variance <= _POISSON * mean, poisson, np.where(big, stirling, direct)))


def expectation(signal: Array, observation: Observation, level: npt.ArrayLike = 0.0) -> tuple[Array, Array]:
    """Give expected counts and the variance of that expectation, for one value of the common background error.

    Parameters
    ----------
    signal : ndarray, shape (n, ..., channel)
        Folded signal counts of n samples.
    observation : Observation
        Of the n samples.
    level : array_like, shape broadcasting to (n, ...)
        The common error y, in its standard deviations.

    Returns
    -------
    mean, variance : ndarray, shape (n, ..., channel)
        Of the Poisson means.
    """
    extra = (slice(None), *(None,) * (signal.ndim - 2), slice(None))
    background = observation.background[extra]
    shift = 1.0 + observation.background_common[extra] * np.asarray(level, dtype=float)[..., None]
    # A level cannot turn the background off, however wide its error.
    drifted = background * np.maximum(shift, 0.05)
    variance = (observation.response_error[extra] * signal) ** 2 + (observation.background_own[extra] * background) ** 2
    mean = signal + drifted
    return mean, np.broadcast_to(variance, mean.shape)


def log_likelihood(signal: Array, observation: Observation) -> Array:
    """Logarithm of the likelihood, all errors integrated over, up to a constant of each sample.

    Parameters
    ----------
    signal : ndarray, shape (n, ..., channel)
        Folded signal counts: exposure times `Response.fold`.
    observation : Observation
        Of the n samples.

    Returns
    -------
    ndarray, shape (n, ...)
        Channels that are not read count for nothing.
    """
    extra = (slice(None), *(None,) * (signal.ndim - 2), slice(None))
    counts, is_read = observation.counts[extra], observation.is_read[extra]
    nodes = LEVEL_NODES if (observation.background_common * observation.background).any() else np.zeros(1)
    log_weights = LEVEL_LOG_WEIGHTS if len(nodes) > 1 else np.zeros(1)
    terms = []
    for node, log_weight in zip(nodes, log_weights, strict=True):
        mean, variance = expectation(signal, observation, np.full((1,) * (signal.ndim - 1), node))
        terms.append(np.where(is_read, channel_log_likelihood(counts, mean, variance), 0.0).sum(axis=-1) + log_weight)
    stacked = np.stack(terms)
    highest = stacked.max(axis=0)
    return np.asarray(highest + np.log(np.exp(stacked - highest).sum(axis=0)))
