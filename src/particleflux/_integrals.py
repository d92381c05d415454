"""Closed forms of integrals over energy."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

Array: TypeAlias = npt.NDArray[np.float64]


def exponential_integral(order: npt.ArrayLike, argument: npt.ArrayLike) -> Array:
    r"""Evaluate the generalised exponential integral of any real order.

    .. math:: \mathrm{E}_p(x) = \int_1^\infty t^{-p} e^{-x t} \, dt = x^{p-1} \, \Gamma(1-p, x)

    Orders up to 1/2 use the regularised incomplete gamma function. Above, a continued fraction serves for x >= 1; for
    x < 1 the power series gives the order in (1/2, 3/2] that differs by a whole number, and
    :math:`p \, \mathrm{E}_{p+1} = e^{-x} - x \mathrm{E}_p`, stable upward there, leads to the order asked for.

    Parameters
    ----------
    order : array_like
        Real order p.
    argument : array_like
        Positive x; `order` and `argument` broadcast.

    Returns
    -------
    ndarray
        The integral, with a relative error below 1e-12.

    References
    ----------
    NIST Digital Library of Mathematical Functions, sections 8.7, 8.9 and 8.19, https://dlmf.nist.gov/8.19.

    Examples
    --------
    >>> float(exponential_integral(0.0, 2.0)) == float(np.exp(-2.0) / 2.0)
    True
    """
    p, x = np.broadcast_arrays(np.asarray(order, dtype=float), np.asarray(argument, dtype=float))
    result = np.empty(p.shape)
    low = p <= 0.5
    large, small = ~low & (x >= 1.0), ~low & (x < 1.0)
    if low.any():
        s = 1.0 - p[low]
        tail = np.power(x[low], -s) * special.gamma(s) * special.gammaincc(s, x[low])
        # Order 0 is elementary; exact there, so that an exponential spectrum keeps every digit.
        result[low] = np.where(p[low] == 0.0, np.exp(-x[low]) / x[low], tail)
    if large.any():
        result[large] = _continued_fraction(p[large], x[large])
    if small.any():
        result[small] = _recurrence(p[small], x[small])
    return result


def _continued_fraction(p: Array, x: Array) -> Array:
    """Evaluate E_p(x) for x >= 1 by Lentz's method (DLMF 8.19.17 in its even form)."""
    b = x + p
    c = np.full_like(x, 1e300)
    d = 1.0 / b
    value = d.copy()
    for k in range(1, 300):
        a = -k * (p + k - 1.0)
        b = b + 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        value = value * c * d
        if np.all(np.abs(c * d - 1.0) < 1e-15):
            break
    return np.asarray(value * np.exp(-x))


def _recurrence(p: Array, x: Array) -> Array:
    """Evaluate E_p(x) for p > 1/2 and x < 1 from the order between 1/2 and 3/2."""
    steps = np.ceil(p - 1.5)
    start = p - steps
    s, log_x = 1.0 - start, np.log(x)
    # (Gamma(1+s) - x^s) / s without the cancellation at s = 0: ln Gamma(1+s) / s is a series in zeta(k).
    k = np.arange(60, 1, -1)
    slope = np.zeros_like(s)
    for coefficient in (-1.0) ** k * special.zeta(k) / k:
        slope = slope * s + coefficient
    slope = slope * s - np.euler_gamma
    value = slope * special.exprel(s * slope) - log_x * special.exprel(s * log_x)
    term, total = np.ones_like(x), np.zeros_like(x)
    for n in range(1, 25):
        term = term * -x / n
        total = total + term / (s + n)
    value = np.power(x, -s) * value - total
    decay = np.exp(-x)
    for step in range(int(np.max(steps, initial=0.0))):
        value = np.where(step < steps, (decay - x * value) / (start + step), value)
    return value


def power_integral(
    intensity: float | Array, index: float | Array, reference: float | Array, low: Array, high: Array
) -> Array:
    r"""Integrate a power law in closed form, index 1 and an infinite limit included.

    .. math:: \int_{E_l}^{E_u} I \, (E / E_r)^{-\gamma} \, dE

    Parameters
    ----------
    intensity : float or ndarray
        I, per MeV.
    index : float or ndarray
        The spectral index gamma.
    reference : float or ndarray, MeV
        Energy at which the law equals `intensity`.
    low, high : ndarray, MeV
        Limits with 0 < `low` <= `high`.

    Returns
    -------
    ndarray
        The integral in the unit of `intensity` times MeV; infinite where it diverges.
    """
    slope = 1.0 - np.asarray(index)
    infinite = np.isinf(high)
    span = np.log(np.where(infinite, low, high) / low)
    start = intensity * np.power(low / reference, slope) * reference
    # exprel(z) = (e^z - 1) / z passes smoothly through index 1.
    finite = start * span * special.exprel(slope * span)
    tail = np.where(slope < 0, start / np.where(slope < 0, -slope, 1.0), np.inf)
    return np.where(infinite, tail, finite)
