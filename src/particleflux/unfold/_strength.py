"""How strong to smooth: the discrepancy principle and the L-curve, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from particleflux.unfold._tikhonov import SmoothPrior, chi_square, solve
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

# Steps of the false position that bring chi-square to the number of channels.
_REFINEMENTS = 4


@dataclass(frozen=True)
class Solution:
    """Smooth spectra of n samples.

    Attributes
    ----------
    log_flux, mean : ndarray, shape (n, knot)
        Solution, and mean of its prior.
    strength, chi2 : ndarray, shape (n,)
        Of the smoothing, and of the solution.
    converged : ndarray of bool, shape (n,)
        Whether the steps ended.
    """

    log_flux: Array
    mean: Array
    strength: Array
    chi2: Array
    converged: npt.NDArray[np.bool_]

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> Solution:
        """Give the chosen samples."""
        return Solution(
            self.log_flux[rows], self.mean[rows], self.strength[rows], self.chi2[rows], self.converged[rows]
        )


def solve_path(prior: SmoothPrior, observation: Observation, strengths: Array, choice: str) -> Solution:
    """Solve along falling strengths, and choose among them for each sample.

    "discrepancy": the strength at which chi-square is the number of channels; the largest where that one already gives
    less; and where none gives so little, the largest whose chi-square is within 1 of the least. "l-curve": the corner
    of the curve of log chi-square against log roughness.

    Parameters
    ----------
    prior : SmoothPrior
        Grid and prior.
    observation : Observation
        Of n samples.
    strengths : ndarray, shape (k,)
        Falling.
    choice : {"discrepancy", "l-curve"}
        The rule.

    Returns
    -------
    Solution
        With the strength chosen.
    """
    mean = prior.mean(observation)
    n_channels = observation.is_read.sum(axis=1).astype(float)
    path, chi2, roughness = [], [], []
    current = prior.start(observation)
    for strength in strengths:
        current, converged = solve(prior, observation, mean, current, np.full(len(current), 1.0 / strength))
        path.append(current)
        misfit = chi_square(prior.fold(current, observation)[1], observation)[0]
        chi2.append(np.where(converged, misfit, np.inf))
        roughness.append((((current - mean) @ prior.differences.T) ** 2).sum(axis=1))
    misfits, rows = np.array(chi2), np.arange(len(mean))
    if choice == "l-curve":
        chosen = _corner(misfits, np.array(roughness))
        bracket = chosen
    else:
        goal = np.where(misfits.min(axis=0) <= n_channels, n_channels, misfits.min(axis=0) + 1.0)
        chosen = np.argmax(misfits <= goal, axis=0)
        # Between two strengths of the path lies the one wanted; beyond its ends, and above a goal not met, none.
        bracket = np.where(misfits.min(axis=0) <= n_channels, np.maximum(chosen - 1, 0), chosen)
    log_strength = np.log(strengths)
    found = log_strength[chosen]
    result = np.array(path)[chosen, rows]
    misfit = misfits[chosen, rows]
    low, high = found.copy(), log_strength[bracket]
    low_chi2, high_chi2 = misfit.copy(), misfits[bracket, rows]
    for _ in range(_REFINEMENTS):
        again = np.flatnonzero((low < high) & np.isfinite(high_chi2) & (np.abs(misfit - n_channels) > 0.1))
        if not len(again):
            break
        share = (n_channels[again] - low_chi2[again]) / np.maximum(high_chi2[again] - low_chi2[again], 1e-12)
        trial = low[again] + np.clip(share, 0.1, 0.9) * (high[again] - low[again])
        part = observation[again]
        tried, converged = solve(prior, part, mean[again], result[again], np.exp(-trial))
        value = chi_square(prior.fold(tried, part)[1], part)[0]
        is_above = value > n_channels[again]
        up, down = again[is_above], again[~is_above & converged]
        high[up], high_chi2[up] = trial[is_above], value[is_above]
        kept = ~is_above & converged
        low[down], low_chi2[down] = trial[kept], value[kept]
        result[down], misfit[down], found[down] = tried[kept], value[kept], trial[kept]
    return Solution(result, mean, np.exp(found), misfit, np.isfinite(misfit))


def _corner(misfits: Array, roughness: Array) -> npt.NDArray[np.intp]:
    """Find where the L-curve bends most, else 0; shape (n,), from arrays of shape (strength, n)."""
    # A chi-square below 1 is no better than 1: without a floor the curve has no upright part where the counts can be
    # met exactly.
    x = 0.5 * np.log(np.maximum(np.where(np.isfinite(misfits), misfits, 1e9), 1.0))
    y = 0.5 * np.log(np.maximum(roughness, 1e-9))
    dx, dy = np.gradient(x, axis=0), np.gradient(y, axis=0)
    bend = np.gradient(dx, axis=0) * dy - dx * np.gradient(dy, axis=0)
    bend /= np.maximum((dx**2 + dy**2) ** 1.5, 1e-6)
    bend[[0, -1]] = 0.0
    return np.asarray(np.argmax(np.where(np.isfinite(misfits) & (bend > 1e-6), bend, 0.0), axis=0))
