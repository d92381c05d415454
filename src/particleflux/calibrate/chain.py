"""Mappings that are made without a fit: of the reference onto itself, of nothing known, and of two in a row."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from particleflux.calibrate.calibration import KINDS, Array, Calibration
from particleflux.calibrate.stations import describe_difference
from particleflux.errors import DataError


def identity(reference: str) -> Calibration:
    """Give the mapping of the reference onto itself.

    Parameters
    ----------
    reference : str
        Name of the satellite.

    Returns
    -------
    Calibration
        Of kind "reference", exact.
    """
    exact = ((0.0, 0.0), (0.0, 0.0))
    return Calibration(
        reference, reference, "reference", "linear", 7.0, (), (7.0, 1.0), exact, 0.0, 0.0, 0.0,
        removes=describe_difference(reference, reference),
    )  # fmt: skip


def uncalibrated(satellite: str, reference: str, reason: str) -> Calibration:
    """Mark a satellite whose scale is not tied to the reference: values pass unchanged, with an error of NaN.

    Parameters
    ----------
    satellite, reference : str
        Scale mapped from, and onto.
    reason : str
        Why there is no calibration.

    Returns
    -------
    Calibration
        Of kind "uncalibrated".

    Examples
    --------
    >>> unknown = uncalibrated("GOES-9", "GOES-11", "no overlap")
    >>> unknown.apply([7.5]).tolist(), unknown.error([7.5]).tolist()
    ([7.5], [nan])
    """
    unknown = ((math.nan, math.nan), (math.nan, math.nan))
    return Calibration(
        satellite, reference, "uncalibrated", "linear", 7.0, (), (7.0, 1.0), unknown,
        removes="nothing: the values are those of the satellite", note=reason,
    )  # fmt: skip


def chain(first: Calibration, second: Calibration) -> Calibration:
    """Map by way of a satellite in between: onto the reference of the first, and from there on.

    Parameters
    ----------
    first, second : Calibration
        The second maps from the reference of the first.

    Returns
    -------
    Calibration
        Of the worse kind of the two; errors and scatter of both add in squares, as of independent fits.

    Raises
    ------
    DataError
        If the second maps from elsewhere.
    """
    if second.satellite != first.reference:
        msg = (
            f"a mapping of {first.satellite!r} to {first.reference!r} cannot go on with one from "
            f"{second.satellite!r}; expected one from {first.reference!r}"
        )
        raise DataError(msg)
    knots = np.unique(np.round([*first.knots, *first.invert(second.knots)], 6))
    coefficients = _compose(first, second, knots)
    columns, step = [], 1e-6
    for which in (first, second):
        for index, value in enumerate(which.coefficients):
            moved = (*which.coefficients[:index], value + step, *which.coefficients[index + 1 :])
            shifted = dataclasses.replace(which, coefficients=moved)
            pair = (shifted, second) if which is first else (first, shifted)
            columns.append((_compose(*pair, knots) - coefficients) / step)
    jacobian, size = np.stack(columns, axis=1), len(first.coefficients)
    joint = np.zeros((len(columns), len(columns)))
    joint[:size, :size], joint[size:, size:] = first.covariance, second.covariance
    level = first.apply(first.pivot)
    slope = float(np.diff(second.apply([level - 0.05, level + 0.05]))[0]) / 0.1
    limits = first.invert(np.array(second.valid)) if np.isfinite(second.valid).all() else np.array(second.valid)
    return Calibration(
        first.satellite,
        second.reference,
        max(first.kind, second.kind, key=KINDS.index),
        "piecewise" if len(knots) else "linear",
        first.pivot,
        tuple(knots.tolist()),
        tuple(coefficients.tolist()),
        tuple(map(tuple, (jacobian @ joint @ jacobian.T).tolist())),
        math.nan,
        math.hypot(slope * first.scatter_in, second.scatter_in),
        math.hypot(slope * first.scatter_out, second.scatter_out),
        (max(first.valid[0], float(limits[0])), min(first.valid[1], float(limits[1]))),
        min(first.n_days, second.n_days),
        first.span,
        f"{first.method}, then {second.method} by way of {first.reference}",
        describe_difference(first.satellite, second.reference),
        "; ".join(note for note in (first.note, second.note) if note),
    )


def _compose(first: Calibration, second: Calibration, knots: Array) -> Array:
    """Give the coefficients of the chained mapping with these knots."""
    inner = knots if len(knots) else np.array([first.pivot])
    edges = np.concatenate([[inner[0] - 1.0], inner, [inner[-1] + 1.0]])
    slopes = np.diff(second.apply(first.apply(edges))) / np.diff(edges)
    return np.append(second.apply(first.apply(first.pivot)), slopes if len(knots) else slopes[:1])
