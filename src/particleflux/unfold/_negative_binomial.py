"""What fits need of the negative binomial distribution of counts beyond `likelihood.channel_log_likelihood`.

It is written by its mean m and r = m^2 / v, with the variance v of the expectation; v = 0 is the Poisson distribution.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

Array = npt.NDArray[np.float64]

# As in `likelihood`: a smaller part of the Poisson variance changes nothing.
_POISSON = 1e-4
# From here on Stirling's series has all digits.
_BIG = 50.0


def derivatives(counts: Array, mean: Array, variance: Array) -> tuple[Array, Array, Array]:
    r"""Differentiate the logarithm of the probability.

    .. math::
        \frac{\partial \ln p}{\partial m} = \frac{n - m}{m + v}, \qquad
        \frac{\partial \ln p}{\partial r} = \psi(n + r) - \psi(r) + \ln\frac{r}{r + m} - \frac{n - m}{r + m}

    Parameters
    ----------
    counts : ndarray
        n.
    mean, variance : ndarray
        m above 0, and v; all of one shape.

    Returns
    -------
    by_mean, by_shape, shape : ndarray
        The derivatives by m at fixed r and by r at fixed m, the latter 0 where the distribution is Poisson's; and r.

    Examples
    --------
    >>> one, two = np.ones(1), 2.0 * np.ones(1)
    >>> [float(value[0].round(6)) for value in derivatives(one, two, two)]  # r = 2
    [-0.25, 0.056853, 2.0]
    """
    by_mean = (counts - mean) / (mean + variance)
    shape = mean * (mean / np.maximum(variance, _POISSON * mean))
    part = (counts - mean) / (shape + mean)
    big = shape > _BIG
    safe, total = np.where(big, 1.0, shape), np.where(big, 1.0, counts + shape)
    direct = digamma(total) - digamma(safe) + np.log(safe / (safe + mean)) - part
    above = counts + shape
    # Stirling's series of the difference of the digamma functions, without the logarithms that cancel.
    series = np.log1p(np.where(big, part, 0.0)) - part + 0.5 * counts / (shape * above)
    series += (1.0 / shape**2 - 1.0 / above**2) / 12.0
    return by_mean, np.where(variance <= _POISSON * mean, 0.0, np.where(big, series, direct)), shape


def deviance(counts: Array, mean: Array, variance: Array) -> Array:
    r"""Give the unit deviance: twice the logarithm of the likelihood ratio of a mean equal to the count, r fixed.

    .. math:: 2 \left[ n \ln\frac{n}{m} - (n + r) \ln\frac{n + r}{m + r} \right]

    Parameters
    ----------
    counts : ndarray
        n.
    mean, variance : ndarray
        m above 0, and v; all of one shape.

    Returns
    -------
    ndarray
        Never below 0.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, doi:10.1007/978-1-4899-3242-6, sections 2.3 and 11.2.

    Examples
    --------
    >>> float(deviance(np.array(0.0), np.array(3.0), np.array(0.0)))
    6.0
    """
    shape = mean * (mean / np.maximum(variance, _POISSON * mean))
    own = np.where(counts > 0, counts * np.log(np.where(counts > 0, counts, 1.0) / mean), 0.0)
    poisson = own - (counts - mean)
    general = own - (counts + shape) * np.log1p((counts - mean) / (mean + shape))
    return np.asarray(np.maximum(2.0 * np.where(variance <= _POISSON * mean, poisson, general), 0.0))
