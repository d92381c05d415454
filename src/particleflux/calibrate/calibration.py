"""A monotone mapping of log fluence from one satellite to another, with its errors, as plain data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from particleflux.errors import DataError

Array = NDArray[np.float64]

#: How well a mapping is known, best first.
KINDS = ("reference", "overlap", "estimated", "uncalibrated")
FORMS = ("linear", "piecewise")


@dataclass(frozen=True)
class Calibration:
    r"""Map log10 of one satellite's fluence or flux onto another's scale.

    .. math:: \log_{10} F_{ref} = c_0 + \int_{p}^{x} s(x') \, dx', \qquad x = \log_{10} F

    with the slope :math:`s` constant between the knots: :math:`c_1` below the first, :math:`c_2` above it and so on.
    The piecewise form is that of Wei et al. (2018) for GOES-13.

    Parameters
    ----------
    satellite, reference : str
        Scale mapped from, and onto; "GOES-13/science" names one product of a satellite.
    kind : str
        "reference" (the identity), "overlap" (fitted to days both measured), "estimated" (without such days) or
        "uncalibrated" (no usable estimate: `apply` changes nothing and `error` is NaN).
    form : str
        "linear" or "piecewise".
    pivot : float
        :math:`p`, log10 of the satellite's fluence at which :math:`c_0` holds.
    knots : tuple of float
        log10 of the satellite's fluence at which the slope changes, ascending; none in the linear form.
    coefficients : tuple of float
        :math:`c_0` (dex) and the slopes (1).
    covariance : tuple of tuple of float
        Of the coefficients; its root is the standard error.
    scatter_before, scatter_in, scatter_out : float
        Half of the central 68 % range of reference minus satellite (dex): as measured, after the mapping, and after
        the mapping on months that took no part in the fit.
    valid : tuple of float
        Lowest and highest log10 fluence of the satellite that took part. Below, the detector is at its floor and
        carries no information on the flux; the mapping is continued as a line.
    n_days : int
        Days that took part.
    span : tuple of str
        First and last of them.
    method : str
        How the coefficients were found.
    removes : str
        What the mapping takes out: detector, product, or detector and belt together.
    note : str
        What else to know; the reason, where there is no calibration.

    Raises
    ------
    DataError
        If the parts do not fit together or the mapping is not increasing.

    References
    ----------
    Wei, L., et al. (2018), Quantitative prediction of high-energy electron integral flux at geostationary orbit
    based on deep learning, Space Weather 16, 903, doi:10.1029/2018SW001829

    Examples
    --------
    >>> double = Calibration("GOES-13", "GOES-15", "overlap", "linear", 7.0, (), (7.3, 1.0), ((0.01, 0), (0, 0)))
    >>> double.apply([7.0, 8.0]).round(3).tolist(), double.error([7.0, 8.0]).round(3).tolist()
    ([7.3, 8.3], [0.1, 0.1])
    """

    satellite: str
    reference: str
    kind: str
    form: str
    pivot: float
    knots: tuple[float, ...]
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    scatter_before: float = math.nan
    scatter_in: float = math.nan
    scatter_out: float = math.nan
    valid: tuple[float, float] = (-math.inf, math.inf)
    n_days: int = 0
    span: tuple[str, str] = ("", "")
    method: str = ""
    removes: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        where = f"calibration of {self.satellite!r} to {self.reference!r}"
        for name, value, known in (("kind", self.kind, KINDS), ("form", self.form, FORMS)):
            if value not in known:
                msg = f"{where}: {name} is {value!r}, expected one of {', '.join(known)}"
                raise DataError(msg)
        n_slopes = len(self.coefficients) - 1
        if n_slopes != len(self.knots) + 1 or np.shape(self.covariance) != (n_slopes + 1, n_slopes + 1):
            msg = (
                f"{where}: {len(self.coefficients)} coefficients and a covariance of shape {np.shape(self.covariance)} "
                f"for {len(self.knots)} knots; expected {len(self.knots) + 2} of each"
            )
            raise DataError(msg)
        if (
            not all(slope > 0 for slope in self.coefficients[1:])
            or not np.isfinite([self.pivot, *self.coefficients]).all()
        ):
            msg = f"{where}: coefficients are {self.coefficients}, expected finite numbers and slopes above 0"
            raise DataError(msg)
        if not all(low < high for low, high in zip(self.knots[:-1], self.knots[1:], strict=True)):
            msg = f"{where}: knots are {self.knots}, expected in ascending order"
            raise DataError(msg)

    def apply(self, values_log10: ArrayLike) -> Array:
        """Bring values onto the scale of the reference.

        Parameters
        ----------
        values_log10 : array-like
            log10 of the satellite's fluence or flux; NaN stays NaN. A mapping fitted to fluences is for fluences: flux
            is on another axis.

        Returns
        -------
        ndarray
            log10 on the scale of the reference, the same shape.
        """
        mapped: Array = self._basis(np.asarray(values_log10, float)) @ np.array(self.coefficients)
        return mapped

    def error(self, values_log10: ArrayLike) -> Array:
        """Give the standard error of the mapping itself, without the scatter of single days around it.

        Parameters
        ----------
        values_log10 : array-like
            log10 of the satellite's fluence.

        Returns
        -------
        ndarray
            Standard error (dex), the same shape; NaN where nothing is known.
        """
        basis = self._basis(np.asarray(values_log10, float))
        variance: Array = np.einsum("...i,ij,...j->...", basis, np.array(self.covariance, float), basis)
        return np.sqrt(np.maximum(variance, 0.0))

    def invert(self, values_log10: ArrayLike) -> Array:
        """Bring values from the scale of the reference to that of the satellite.

        Parameters
        ----------
        values_log10 : array-like
            log10 on the scale of the reference.

        Returns
        -------
        ndarray
            log10 on the scale of the satellite, the same shape.
        """
        y = np.asarray(values_log10, float)
        knots = np.array(self.knots)
        levels = self.apply(knots)
        # Below the first knot, and above each knot, the line through a point with the slope of that segment.
        start_x, start_y = np.append(self.pivot, knots), np.append(self.apply(self.pivot), levels)
        if len(knots) and self.pivot > knots[0]:
            start_x[0], start_y[0] = knots[0], levels[0]
        segment = np.searchsorted(levels, y, side="right")
        x: Array = start_x[segment] + (y - start_y[segment]) / np.array(self.coefficients[1:])[segment]
        return x

    def is_extrapolated(self, values_log10: ArrayLike) -> NDArray[np.bool_]:
        """Tell which values lie outside those the mapping was fitted to, such as days at the floor of the detector.

        Parameters
        ----------
        values_log10 : array-like
            log10 of the satellite's fluence.

        Returns
        -------
        ndarray of bool
            True outside `valid`, and for NaN False.
        """
        x = np.asarray(values_log10, float)
        outside: NDArray[np.bool_] = (x < self.valid[0]) | (x > self.valid[1])
        return outside

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON; what is not finite becomes null.

        Returns
        -------
        dict
            Field by name.
        """
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Calibration:
        """Read back what `to_dict` gave.

        Parameters
        ----------
        document : mapping
            Field by name.

        Returns
        -------
        Calibration
            The same mapping.

        Raises
        ------
        DataError
            If a field is missing, unknown or of another type.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(document, Mapping) or set(document) != known:
            found = sorted(map(str, document)) if isinstance(document, Mapping) else type(document).__name__
            msg = f"a calibration document has the fields {found}, expected {sorted(known)}; write it with to_dict"
            raise DataError(msg)
        try:
            low, high = document["valid"]
            first, last = document["span"]
            return cls(
                satellite=str(document["satellite"]),
                reference=str(document["reference"]),
                kind=str(document["kind"]),
                form=str(document["form"]),
                pivot=float(document["pivot"]),
                knots=tuple(float(knot) for knot in document["knots"]),
                coefficients=tuple(float(value) for value in document["coefficients"]),
                covariance=tuple(tuple(_number(value) for value in row) for row in document["covariance"]),
                scatter_before=_number(document["scatter_before"]),
                scatter_in=_number(document["scatter_in"]),
                scatter_out=_number(document["scatter_out"]),
                valid=(-math.inf if low is None else float(low), math.inf if high is None else float(high)),
                n_days=int(document["n_days"]),
                span=(str(first), str(last)),
                method=str(document["method"]),
                removes=str(document["removes"]),
                note=str(document["note"]),
            )
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, DataError):
                raise
            msg = f"a calibration document holds a field of another type ({error}); write it with to_dict"
            raise DataError(msg) from error

    def _basis(self, x: Array) -> Array:
        """Give how far each coefficient counts at x: 1, and the length of way in each segment between pivot and x."""
        edges = [-np.inf, *self.knots, np.inf]
        way = [np.clip(x, low, high) - np.clip(self.pivot, low, high) for low, high in itertools.pairwise(edges)]
        return np.stack([np.where(np.isnan(x), np.nan, 1.0), *way], axis=-1)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
