"""Monotone broken lines through a cloud of points whose two coordinates both carry errors."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Slopes outside are those of a detector at its floor, not of a scale.
STEEPEST = 8.0
#: Huber's constant: 95 % efficient for normal errors.
HUBER = 1.345


@dataclass(frozen=True)
class Curve:
    """A broken line by its points and the slopes below, between and above them."""

    knots: Array
    levels: Array
    slopes: Array

    def __call__(self, x: Array) -> Array:
        segment = np.searchsorted(self.knots, x, side="right")
        anchor = np.maximum(segment - 1, 0)
        y: Array = self.levels[anchor] + (x - self.knots[anchor]) * self.slopes[segment]
        return y

    @property
    def is_monotone(self) -> bool:
        """Whether it rises everywhere, and not too steeply to be inverted."""
        return bool(np.all(self.slopes > 1 / STEEPEST) and np.all(self.slopes < STEEPEST))


def straight(x: float, y: float, slope: float) -> Curve:
    """Give the straight line through a point."""
    return Curve(np.array([x]), np.array([y]), np.array([slope, slope]))


def deming_slope(x: Array, y: Array, ratio: float) -> float:
    r"""Give the slope that is most likely where both coordinates have normal errors, in closed form (Deming 1943).

    .. math:: b = \frac{S_{yy} - \delta S_{xx} + \sqrt{(S_{yy} - \delta S_{xx})^2 + 4 \delta S_{xy}^2}}{2 S_{xy}}
    """
    sxx, syy, sxy = np.var(x), np.var(y), np.mean((x - x.mean()) * (y - y.mean()))
    if sxy == 0:
        return 0.0
    difference = syy - ratio * sxx
    return float((difference + np.sqrt(difference**2 + 4 * ratio * sxy**2)) / (2 * sxy))


def theil_sen(x: Array, y: Array) -> tuple[float, float]:
    """Give slope and level at the median of x: the median slope of all pairs of points."""
    first, second = np.triu_indices(len(x), 1)
    dx, dy = x[second] - x[first], y[second] - y[first]
    slope = float(np.median(dy[dx != 0] / dx[dx != 0]))
    return slope, float(np.median(y - slope * (x - np.median(x))))


def huber_weights(residual: Array) -> Array:
    """Weigh down what lies farther out than 1.345 robust standard deviations."""
    scale = max(1.4826 * float(np.median(np.abs(residual))), 1e-9)
    weights: Array = 1 / np.maximum(np.abs(residual) / (HUBER * scale), 1.0)
    return weights


def robust_lines(design: Array, target: Array) -> Array:
    """Solve a linear model with Huber's loss."""
    weights: Array = np.ones(len(target))
    solution: Array = np.zeros(design.shape[1])
    for _ in range(12):
        before = solution
        weighted = design * weights[:, None]
        # Least squares on the normal equations too: a knot beyond the days of a fold leaves a column of zeros.
        solution = np.asarray(np.linalg.lstsq(weighted.T @ design, weighted.T @ target)[0], dtype=np.float64)
        if np.abs(solution - before).max() < 1e-6:
            break
        weights = huber_weights(target - design @ solution)
    return solution


@dataclass(frozen=True)
class Frame:
    """Axes along and across the mean relation, in which only the distance across is uncertain.

    Errors of both coordinates with variances in the ratio delta are one isotropic cloud once y is divided by the root
    of delta. Least squares across the line is then total least squares: for a straight line exactly Deming's.
    """

    angle: float
    ratio: float

    def along(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Turn points into distance along and across."""
        scaled, cos, sin = y / np.sqrt(self.ratio), np.cos(self.angle), np.sin(self.angle)
        return cos * x + sin * scaled, cos * scaled - sin * x

    def back(self, u: Array, v: Array) -> tuple[Array, Array]:
        """Turn distances back into points."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return cos * u - sin * v, (sin * u + cos * v) * np.sqrt(self.ratio)


def fit_frame(x: Array, y: Array, ratio: float, *, symmetric: bool) -> Frame:
    """Find the axes: turned until the robust line across is flat; not turned at all where x is taken as exact."""
    if not symmetric:
        return Frame(0.0, 1.0)
    angle = float(np.arctan(max(deming_slope(x, y, ratio), 0.05) / np.sqrt(ratio)))
    for _ in range(30):
        u, v = Frame(angle, ratio).along(x, y)
        turn = float(np.arctan(robust_lines(np.column_stack([np.ones_like(u), u - u.mean()]), v)[1]))
        angle += turn
        if abs(turn) < 1e-6:
            break
    return Frame(angle, ratio)


def fit_curve(x: Array, y: Array, frame: Frame, knots: tuple[float, ...]) -> Curve:
    """Fit a broken line with knots at these distances along the frame."""
    u, v = frame.along(x, y)
    middle = float(np.median(u))
    hinges = np.column_stack([np.ones_like(u), u - middle, *(np.maximum(u - knot, 0.0) for knot in knots)])
    beta = robust_lines(hinges, v)
    at = np.array(knots or (middle,))
    edges = np.concatenate([[at[0] - 1.0], at, [at[-1] + 1.0]])
    height = beta[0] + beta[1] * (edges - middle)
    for knot, change in zip(knots, beta[2:], strict=True):
        height = height + change * np.maximum(edges - knot, 0.0)
    there, levels = frame.back(edges, height)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.diff(levels) / np.diff(there)
    # A segment that turns back has no slope; a slope of zero fails the test for a monotone curve.
    slopes = np.where(np.diff(there) > 0, slopes, 0.0)
    return Curve(there[1:-1], levels[1:-1], slopes)


def across(curve: Curve, x: Array, y: Array, frame: Frame) -> Array:
    """Give the distances across the curve, in units of the errors of x: from that in y and the local slope."""
    if not frame.angle:
        return y - curve(x)
    slope = curve.slopes[np.searchsorted(curve.knots, x, side="right")]
    distance: Array = (y - curve(x)) / np.sqrt(frame.ratio + slope**2)
    return distance


def choose_knots(x: Array, y: Array, frame: Frame, number: int) -> tuple[float, ...] | None:
    """Choose the knots of least absolute distance across among evenly spread ones; None where no curve is monotone."""
    if number == 0:
        return ()
    u, _ = frame.along(x, y)
    low, high = np.quantile(u, [0.04, 0.96])
    candidates = np.linspace(low, high, 13 if number == 1 else 9)[1:-1]
    best: tuple[float, tuple[float, ...] | None] = (np.inf, None)
    for knots in itertools.combinations(candidates.tolist(), number):
        if number > 1 and np.diff(knots).min() < 0.4:
            continue
        curve = fit_curve(x, y, frame, knots)
        if not curve.is_monotone:
            continue
        loss = float(np.mean(np.abs(across(curve, x, y, frame))))
        if loss < best[0]:
            best = (loss, knots)
    return best[1]
