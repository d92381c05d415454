r"""Unfolding by factors: MLEM and GRAVEL, from the power law that fits best, stopped where the counts are met.

The flux is the power law times factors g on knots in ln E, linear between them, so that signal counts are
:math:`S_c = \sum_k A_{ck} g_k`. With expected counts :math:`\mu = S + B`, MLEM (Shepp and Vardi 1982,
doi:10.1109/TMI.1982.4307558) multiplies by

.. math:: g_k \leftarrow \frac{g_k}{\sum_c A_{ck}} \sum_c A_{ck} \frac{n_c}{\mu_c}

and GRAVEL (Matzke 1994, report PTB-N-19; Reginatto et al. 2002, doi:10.1016/S0168-9002(01)01439-5) by

.. math:: \ln g_k \leftarrow \ln g_k + \frac{\sum_c w_{ck} \ln(n_c / \mu_c)}{\sum_c w_{ck}}, \qquad
          w_{ck} = \frac{A_{ck} g_k}{\mu_c} \frac{\mu_c^2}{\sigma_c^2}

here with the background among the expected counts and not taken from the observed ones, with the variance of the
expected counts, and with half a count added on both sides of the ratio: so that a channel without counts keeps its say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from particleflux.unfold._tikhonov import SmoothPrior, chi_square, data_errors, solve
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

_STEPS = 300
# Where chi-square falls by less than this share in a step, more steps only fit the noise.
_LEAST_GAIN = 1e-3


@dataclass(frozen=True)
class Factors:
    """Power laws times factors, of n samples.

    Attributes
    ----------
    power_law : ndarray, shape (n, knot)
        Logarithm of the power law at the knots.
    log_factor : ndarray, shape (n, knot)
        Logarithm of the factors.
    signal : ndarray, shape (n, channel)
        Signal counts.
    chi2 : ndarray, shape (n,)
        Of the solution.
    converged : ndarray of bool, shape (n,)
        Whether the power law was found.
    """

    power_law: Array
    log_factor: Array
    signal: Array
    chi2: Array
    converged: npt.NDArray[np.bool_]


def iterate(prior: SmoothPrior, observation: Observation, algorithm: str) -> Factors:
    """Iterate until chi-square is the number of channels, or stays where it is.

    Parameters
    ----------
    prior : SmoothPrior
        Grid and start.
    observation : Observation
        Of n samples.
    algorithm : {"mlem", "gravel"}
        The factors.

    Returns
    -------
    Factors
        Of the last step.
    """
    mean = prior.mean(observation)
    start, converged = solve(prior, observation, mean, prior.start(observation), np.zeros(len(mean)))
    flux, _ = prior.fold(start, observation)
    _, weights = prior.folding
    matrix = flux[:, None, :] * weights.T @ prior.to_factors
    matrix *= (observation.exposure[:, None] * observation.is_read)[..., None]
    factor = np.ones_like(start)
    signal = matrix.sum(axis=-1)
    chi2, _ = chi_square(signal, observation)
    n_channels = observation.is_read.sum(axis=1)
    active = np.flatnonzero(chi2 > n_channels)
    for _ in range(_STEPS):
        if not len(active):
            break
        part, rows = observation[active], matrix[active]
        step = _mlem if algorithm == "mlem" else _gravel
        tried = factor[active] * step(rows, factor[active], signal[active], part)
        shown = (rows @ tried[..., None])[..., 0]
        value, _ = chi_square(shown, part)
        better = value < chi2[active]
        gained = better & (value < chi2[active] * (1.0 - _LEAST_GAIN))
        taken = active[better]
        factor[taken], signal[taken], chi2[taken] = tried[better], shown[better], value[better]
        active = active[gained & (value > n_channels[active])]
    return Factors(start, np.log(np.maximum(factor, 1e-300)), signal, chi2, converged)


def _mlem(matrix: Array, factor: Array, signal: Array, observation: Observation) -> Array:
    """Give the factors of one step of MLEM."""
    ratio = observation.counts / np.maximum(signal + observation.background, 1e-300)
    seen = matrix.sum(axis=1)
    total = (ratio[:, None, :] @ matrix)[:, 0]
    return np.where(seen > 0, total / np.maximum(seen, 1e-300), 1.0)


def _gravel(matrix: Array, factor: Array, signal: Array, observation: Observation) -> Array:
    """Give the factors of one step of GRAVEL."""
    variance, common = data_errors(signal, observation)
    expected = signal + observation.background
    logs = np.where(observation.is_read, np.log((observation.counts + 0.5) / (expected + 0.5)), 0.0)
    weight = matrix * (expected / (variance + common**2))[..., None] * factor[:, None, :]
    total = weight.sum(axis=1)
    return np.exp(np.where(total > 0, (logs[:, None, :] @ weight)[:, 0] / np.maximum(total, 1e-300), 0.0))
