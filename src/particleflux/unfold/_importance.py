r"""Importance sampling whose proposal learns: mixtures of Student's t distributions, and weighted draws of them.

The target is any density on R^d that is given up to a constant. Draws :math:`z_i` of a proposal q carry the weights
:math:`w_i = p(z_i) / q(z_i)`: their mean is the constant (the evidence), and weighted draws are draws of the target,
whatever the proposal; a good one only makes the weights alike. The proposal is fitted to weighted draws of the
proposal before it (Cappe et al. 2008, Statistics and Computing 18, 447, doi:10.1007/s11222-008-9059-x).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln
from scipy.stats import chi2, norm, qmc

Array = npt.NDArray[np.float64]
#: Single precision where it is enough.
Floats = npt.NDArray[np.floating]

#: Degrees of freedom of the t distributions: tails heavier than those of any posterior here, so that no draw of a tail
#: gets a weight above all others.
TAIL = 8.0
# Steps of expectation and maximisation for one proposal; more change the weights little.
_EM_STEPS = 3
# Draws that every covariance is told from in addition to its own: the covariance of all.
_PSEUDO_DRAWS = 2.0


@dataclass(frozen=True)
class Numbers:
    """Quasi-random numbers to make draws of.

    Attributes
    ----------
    choice : ndarray, shape (m,)
        Uniform; chooses the component.
    stretch : ndarray, shape (m,)
        What turns a normal draw into one of Student's t.
    normal : ndarray, shape (m, d)
        Standard normal.
    extra : ndarray, shape (m,)
        Standard normal, for what is drawn given the rest.
    """

    choice: Array
    stretch: Array
    normal: Array
    extra: Array

    @classmethod
    def sobol(cls, n_dims: int, n: int, seed: int) -> Numbers:
        """Make them of a scrambled Sobol sequence.

        Parameters
        ----------
        n_dims : int
            d.
        n : int
            m.
        seed : int
            Of the scrambling.

        Returns
        -------
        Numbers
            Of m draws.
        """
        rng = np.random.default_rng(seed)
        # Whole powers of two keep the balance of the sequence; what is beyond n is left.
        points = qmc.Sobol(n_dims + 3, rng=rng).random_base2(max(0, (n - 1).bit_length()))[:n]
        points = np.clip(points, 1e-12, 1 - 1e-12)
        stretch = np.sqrt(TAIL / chi2.ppf(points[:, 1], TAIL))
        return cls(points[:, 0], stretch, norm.ppf(points[:, 3:]), norm.ppf(points[:, 2]))

    def part(self, start: int, stop: int) -> Numbers:
        """Give the draws from `start` until before `stop`."""
        rows = slice(start, stop)
        return Numbers(self.choice[rows], self.stretch[rows], self.normal[rows], self.extra[rows])


@dataclass(frozen=True)
class StudentMixture:
    """A mixture of k multivariate t distributions in d dimensions.

    Attributes
    ----------
    share : ndarray, shape (k,)
        Shares of the components; their sum is 1.
    centre : ndarray, shape (k, d)
        Their centres.
    root : ndarray, shape (k, d, d)
        Lower Cholesky factors of their scale matrices.
    """

    share: Array
    centre: Array
    root: Array

    @classmethod
    def of_covariance(cls, share: Array, centre: Array, covariance: Array) -> StudentMixture:
        """Make one whose scale matrices are these covariances, shape (k, d, d), made positive definite."""
        diagonal = np.einsum("kii->ki", covariance)
        covariance = covariance + 1e-9 * np.eye(centre.shape[1]) * (diagonal.mean(axis=1) + 1e-14)[:, None, None]
        return cls(share, centre, np.asarray(np.linalg.cholesky(covariance), dtype=float))

    def draw(self, numbers: Numbers) -> Array:
        """Draw, shape (m, d)."""
        edges = np.cumsum(self.share)
        component = np.minimum(np.searchsorted(edges / edges[-1], numbers.choice), len(edges) - 1)
        step = np.einsum("mij,mj->mi", self.root[component], numbers.normal)
        return np.asarray(self.centre[component] + step * numbers.stretch[:, None])

    def component_log_density(self, points: Array) -> tuple[Floats, Floats]:
        """Give the logarithm of share times density, and the squared distance in scales; both of shape (m, k)."""
        n_dims = self.centre.shape[1]
        inverse = np.linalg.inv(self.root)
        shifted = points @ inverse.reshape(-1, n_dims).T - np.einsum("kij,kj->ki", inverse, self.centre).ravel()
        # From here on single precision is enough, and several times as fast.
        distance = (shifted.astype(np.float32).reshape(len(points), -1, n_dims) ** 2).sum(axis=-1)
        constant = (
            gammaln(0.5 * (TAIL + n_dims)) - gammaln(0.5 * TAIL) - 0.5 * n_dims * np.log(TAIL * np.pi)
            - np.log(np.einsum("kii->ki", self.root)).sum(axis=1) + np.log(np.maximum(self.share, 1e-300))
        )  # fmt: skip
        power = np.float32(-0.5 * (TAIL + n_dims))
        return constant.astype(np.float32) + power * np.log(1 + distance / np.float32(TAIL)), distance

    def log_density(self, points: Array) -> Floats:
        """Give the logarithm of the density at points (m, d), shape (m,)."""
        return log_sum(self.component_log_density(points)[0])

    def thinned(self, n: int) -> StudentMixture:
        """Give the mixture of at most n of its components, evenly chosen."""
        chosen = np.unique(np.linspace(0, len(self.share) - 1, n).round().astype(np.intp))
        share = self.share[chosen]
        return StudentMixture(share / share.sum(), self.centre[chosen], self.root[chosen])

    def joined(self, other: StudentMixture, share: float) -> StudentMixture:
        """Give the mixture of which `other` makes this share."""
        return StudentMixture(
            np.concatenate([(1.0 - share) * self.share, share * other.share]),
            np.concatenate([self.centre, other.centre]),
            np.concatenate([self.root, other.root]),
        )


def log_sum(values: Floats) -> Floats:
    """Logarithm of the sum of exponentials along the last axis."""
    highest = values.max(axis=-1)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(highest + np.log(np.exp(values - highest[..., None]).sum(axis=-1)))


def normalised(log_weight: Floats) -> Floats:
    """Weights of sum 1; all alike where none is finite."""
    highest = log_weight.max()
    if not np.isfinite(highest):
        return np.full(len(log_weight), 1.0 / len(log_weight))
    weight = np.exp(log_weight - highest)
    return np.asarray(weight / weight.sum())


def effective_size(weight: Floats) -> float:
    r"""Count the draws that weighted ones are worth.

    .. math:: (\sum w)^2 / \sum w^2

    (Kong 1992; Liu 2001, Monte Carlo Strategies in Scientific Computing, doi:10.1007/978-0-387-76371-2).

    Parameters
    ----------
    weight : ndarray, shape (m,)
        Not negative, not all 0.

    Returns
    -------
    float
        From 1 to m.

    Examples
    --------
    >>> effective_size(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    return float(weight.sum() ** 2 / (weight**2).sum())


def tempered(log_weight: Floats, least: float) -> Floats:
    """Flatten weights until they are worth `least` draws.

    Parameters
    ----------
    log_weight : ndarray, shape (m,)
        Logarithms of the weights.
    least : float
        Effective draws asked for, below m.

    Returns
    -------
    ndarray, shape (m,)
        The weights to the highest power up to 1 that is worth `least`, of sum 1.
    """
    weight = normalised(log_weight)
    if effective_size(weight) >= least:
        return weight
    low, high = -30.0, 0.0
    for _ in range(10):
        middle = 0.5 * (low + high)
        if effective_size(normalised(np.exp(middle) * log_weight)) >= least:
            low = middle
        else:
            high = middle
    return normalised(np.exp(low) * log_weight)


def resample(weight: Floats, n: int, start: float = 0.5) -> npt.NDArray[np.intp]:
    """Choose n draws as often as their weights say, evenly spaced in their sum (systematic resampling)."""
    edges = np.cumsum(weight)
    chosen = np.searchsorted(edges / edges[-1], (np.arange(n) + start) / n)
    return np.minimum(chosen, len(weight) - 1)


def fit_mixture(points: Array, weight: Floats, n_components: int) -> StudentMixture:
    """Fit a mixture of t distributions to weighted points.

    Started from slices of equal weight along the direction in which the points scatter most, which follow a bent
    posterior; then expectation and maximisation (Peel and McLachlan 2000, doi:10.1023/A:1008981510081).

    Parameters
    ----------
    points : ndarray, shape (m, d)
        Where the target was evaluated.
    weight : ndarray, shape (m,)
        Of sum 1.
    n_components : int
        k.

    Returns
    -------
    StudentMixture
        Of k components.
    """
    n_dims = points.shape[1]
    kept = weight > 1e-3 / len(weight)
    points, weight = points[kept], weight[kept] / weight[kept].sum()
    mean = weight @ points
    centred = points - mean
    whole = (centred * weight[:, None]).T @ centred
    scale = np.sqrt(np.diag(whole)) + 1e-300
    axis = np.linalg.eigh(whole / np.outer(scale, scale))[1][:, -1]
    order = np.argsort((centred / scale) @ axis)
    edges = np.cumsum(weight[order]) - 0.5 * weight[order]
    member = np.empty(len(points), dtype=np.intp)
    member[order] = np.minimum((edges * n_components).astype(np.intp), n_components - 1)
    part = np.eye(n_components)[member] * weight[:, None]
    stretch = np.ones_like(part)
    pseudo = _PSEUDO_DRAWS * (n_dims + 1) / effective_size(weight) / n_components
    shrink = n_components ** (-2.0 / n_dims)
    mixture = StudentMixture(np.ones(1), mean[None], np.eye(n_dims)[None])
    for step in range(_EM_STEPS):
        if step:
            log_density, distance = mixture.component_log_density(points)
            part = np.exp(log_density - log_sum(log_density)[:, None]) * weight[:, None]
            stretch = (TAIL + n_dims) / (TAIL + distance)
        share = part.sum(axis=0)
        pull = part * stretch
        centre = (pull.T @ points + 1e-12 * mean) / (pull.sum(axis=0) + 1e-12)[:, None]
        steps = points[:, None] - centre
        steps = steps.transpose(1, 2, 0)
        covariance = (steps * pull.T[:, None]) @ steps.transpose(0, 2, 1)
        covariance = (covariance + pseudo * shrink * whole) / (share + pseudo)[:, None, None]
        mixture = StudentMixture.of_covariance((share + 1e-3) / (1.0 + 1e-3 * n_components), centre, covariance)
    return mixture


def weighted_quantiles(values: Array, weight: Array, levels: tuple[float, ...]) -> Array:
    """Quantiles of weighted draws, interpolated between the middles of their steps.

    Parameters
    ----------
    values : ndarray, shape (m, q)
        Draws of q quantities.
    weight : ndarray, shape (m,)
        Of sum 1.
    levels : tuple of float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (level, q)
        The quantiles.

    Examples
    --------
    >>> weighted_quantiles(np.array([[1.0], [2.0], [4.0]]), np.array([0.25, 0.5, 0.25]), (0.5,))
    array([[2.]])
    """
    result = np.empty((len(levels), values.shape[1]))
    for column, value in enumerate(values.T):
        order = np.argsort(value)
        sorted_weight = weight[order]
        result[:, column] = np.interp(levels, np.cumsum(sorted_weight) - 0.5 * sorted_weight, value[order])
    return result
