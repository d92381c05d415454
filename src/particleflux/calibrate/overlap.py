"""Fit one satellite's daily fluence to another's over the days that both measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from particleflux.calibrate._curve import (
    Array,
    Curve,
    Frame,
    across,
    choose_knots,
    deming_slope,
    fit_curve,
    fit_frame,
    straight,
    theil_sen,
)
from particleflux.calibrate.calibration import Calibration
from particleflux.calibrate.days import Pair, Times, above_floor, common_days, half_width, number_blocks
from particleflux.calibrate.stations import describe_difference
from particleflux.errors import DataError, MissingDataError

#: How the mapping is found; see `fit_overlap`.
METHODS = ("orthogonal", "deming", "huber", "theil-sen")
#: How many knots a form has; "auto" chooses among them.
FORMS = {"linear": 0, "piecewise": 1, "piecewise-2": 2}
#: What a knot must gain in the mean distance (dex), beside its standard error: less is of no use to anyone.
LEAST_GAIN = 0.001
#: Least number of days of an overlap: two solar rotations.
MIN_DAYS = 60


def fit_overlap(
    fluence: xr.DataArray,
    reference: xr.DataArray,
    *,
    satellite: str = "",
    reference_satellite: str = "",
    form: str = "auto",
    method: str = "orthogonal",
    error_ratio: float = 1.0,
    floor: tuple[float | None, float | None] = (None, None),
    min_days: int = MIN_DAYS,
) -> Calibration:
    r"""Fit the mapping of one satellite's log fluence onto another's, over the days that both measured.

    With :math:`x, y` the two log10 fluences, both with errors, "orthogonal" (the default) makes the distance across the
    line small: Deming's estimate, the York estimate for one error for all days, with Huber's loss so that a wrong day
    does not turn the line. A regression of y on x alone would flatten the slope by the share of the errors in the
    variance of x, and its inverse would not be the regression of x on y. The methods are

    - "orthogonal": errors in both, variances in the ratio `error_ratio`, Huber's loss;
    - "deming": the same with squares, in closed form, linear only;
    - "huber": errors in y only, Huber's loss: the best prediction of y, with a narrower spread than y has;
    - "theil-sen": errors in y only, the median slope of all pairs of days, linear only.

    Days at the floor of either detector carry no information and are left out by a cut across the line, which unlike a
    cut in x or in y does not turn it. The floor is the first percentile of the days, and a day counts from 0.3 dex
    above it.

    The form is chosen on months that took no part in the fit (ten folds of whole calendar months): a knot must lessen
    the mean distance across by more than its standard error over the months, and by 0.001 dex. Standard errors are
    those of a jackknife over blocks of days (27, or an eighth of a shorter overlap), since neighbouring days are not
    independent, widened as Student's t for few blocks.

    Parameters
    ----------
    fluence : DataArray, dims (time)
        Fluence or flux of the satellite to be mapped, linear; one value per day, `units` where known.
    reference : DataArray, dims (time)
        The same of the satellite to map onto. Days are matched by their time; values that are not positive are missing.
    satellite, reference_satellite : str
        Names for the result; by default the attribute `satellite` of each.
    form : str
        "auto", "linear", "piecewise" (one knot) or "piecewise-2" (two).
    method : str
        One of the above.
    error_ratio : float
        Variance of the errors of y over that of the errors of x, in log10.
    floor : tuple of float or None
        log10 of the floor of each detector; None is found from the days.
    min_days : int
        Least number of days above the floors.

    Returns
    -------
    Calibration
        Of kind "overlap".

    Raises
    ------
    AxisError
        If an array has other dimensions than time, or a time twice.
    UnitError
        If the two have different units.
    DataError
        If an option is unknown, or no increasing mapping fits the days.
    MissingDataError
        If too few days are common.

    References
    ----------
    Deming, W. E. (1943), Statistical Adjustment of Data, Wiley. York, D., et al. (2004), Unified equations for the
    slope, intercept, and standard errors of the best straight line, Am. J. Phys. 72, 367, doi:10.1119/1.1632486

    Examples
    --------
    >>> days = np.datetime64("2014-01-01") + np.arange(100)
    >>> west = xr.DataArray(10 ** (7.5 + np.sin(np.arange(100))), {"time": days}, "time")
    >>> fit = fit_overlap(west / 2.5, west, satellite="GOES-13", reference_satellite="GOES-15")
    >>> fit.form, round(fit.coefficients[1], 3), round(float(fit.apply(7.0)), 3)
    ('linear', 1.0, 7.398)
    """
    names = (
        satellite or str(fluence.attrs.get("satellite", "")) or "satellite",
        reference_satellite or str(reference.attrs.get("satellite", "")) or "reference",
    )
    _check_options(form, method, error_ratio)
    pair = common_days(fluence, reference, names)
    pair, n_low = above_floor(pair, floor, error_ratio if method == "orthogonal" else 1.0)
    if len(pair) < max(min_days, 3):
        msg = (
            f"{names[0]} and {names[1]} share {len(pair)} days above their floors ({n_low} below), expected at least "
            f"{min_days}; give more days, or a lower min_days"
        )
        raise MissingDataError(msg)
    fitters = {name: Fitter(method, number, error_ratio) for name, number in FORMS.items()}
    allowed = ["linear"] if method in ("deming", "theil-sen") else list(FORMS)
    out = {name: _held_out(pair, fitters[name]) for name in (allowed if form == "auto" else [form])}
    chosen = _choose({name: distance for name, (_, distance) in out.items()}, pair.month)
    curve = fitters[chosen].curve(pair)
    if curve is None:
        msg = (
            f"no increasing mapping of the form {chosen} fits the {len(pair)} days {names[0]} and {names[1]} share; "
            "look at the days, or raise the floor"
        )
        raise DataError(msg)
    n_knots = FORMS[chosen]
    pivot = float(np.median(pair.x))
    knots = tuple(curve.knots[:n_knots].tolist())
    blocks = number_blocks(pair.time)
    replicas = [fitters[chosen].curve(pair.take(blocks != block), curve) for block in np.unique(blocks)]
    coefficients = _coefficients(curve, pivot, n_knots)
    spread = np.array([_coefficients(replica, pivot, n_knots) for replica in replicas if replica is not None])
    covariance = _jackknife(spread) if len(spread) > 1 else np.full((len(coefficients),) * 2, np.nan)
    return Calibration(
        *names,
        "overlap",
        "piecewise" if n_knots else "linear",
        pivot,
        knots,
        tuple(coefficients.tolist()),
        tuple(map(tuple, covariance.tolist())),
        half_width(pair.y - pair.x),
        half_width(pair.y - curve(pair.x)),
        half_width(out[chosen][0]),
        (float(pair.x.min()), float(pair.x.max())),
        len(pair),
        (str(pair.time.min().astype("datetime64[D]")), str(pair.time.max().astype("datetime64[D]"))),
        method,
        describe_difference(*names),
        f"{n_low} days at a floor left out" if n_low else "",
    )


def _check_options(form: str, method: str, error_ratio: float) -> None:
    for name, value, known in (("form", form, ("auto", *FORMS)), ("method", method, METHODS)):
        if value not in known:
            msg = f"{name} is {value!r}, expected one of {', '.join(known)}"
            raise DataError(msg)
    if method in ("deming", "theil-sen") and form not in ("auto", "linear"):
        msg = f"the method {method!r} fits a straight line, found form {form!r}; give 'linear' or another method"
        raise DataError(msg)
    if not (np.isfinite(error_ratio) and error_ratio > 0):
        msg = f"error_ratio is {error_ratio}, expected a number above 0"
        raise DataError(msg)


@dataclass(frozen=True)
class Fitter:
    """How to fit one form by one method."""

    method: str
    n_knots: int
    ratio: float

    def frame(self, pair: Pair) -> Frame:
        """Give the axes in which the errors are across."""
        return fit_frame(pair.x, pair.y, self.ratio, symmetric=self.method in ("orthogonal", "deming"))

    def curve(self, pair: Pair, fitted: Curve | None = None) -> Curve | None:
        """Fit these days; with a fitted curve given, its knots stay where they are. None: nothing increasing fits."""
        x, y = pair.x, pair.y
        if len(pair) < 3 or min(np.ptp(x), np.ptp(y)) == 0:
            return None
        if self.method == "deming":
            curve = straight(float(x.mean()), float(y.mean()), deming_slope(x, y, self.ratio))
        elif self.method == "theil-sen":
            slope, level = theil_sen(x, y)
            curve = straight(float(np.median(x)), level, slope)
        else:
            frame = self.frame(pair)
            if fitted is None:
                knots = choose_knots(x, y, frame, self.n_knots)
            else:
                along, _ = frame.along(fitted.knots[: self.n_knots], fitted.levels[: self.n_knots])
                knots = tuple(along.tolist())
            if knots is None:
                return None
            curve = fit_curve(x, y, frame, knots)
        return curve if curve.is_monotone else None


def _jackknife(replicas: Array) -> Array:
    """Give the covariance of coefficients from fits that left out one block each."""
    centred, number = replicas - replicas.mean(axis=0), len(replicas)
    # Few blocks scatter as Student's t does; so much wider is its standard deviation.
    student = (number - 1) / (number - 3) if number > 4 else 3.0
    covariance: Array = student * (number - 1) / number * centred.T @ centred
    return covariance


def _coefficients(curve: Curve, pivot: float, n_knots: int) -> Array:
    """Give the level at the pivot and the slopes, of a line the one slope."""
    return np.append(curve(np.array([pivot])), curve.slopes if n_knots else curve.slopes[:1])


def _held_out(pair: Pair, fit: Fitter) -> tuple[Array, Array]:
    """Give the residuals in y and across, of months that took no part; NaN where no curve fitted. Ten folds."""
    residual, distance = np.full(len(pair), np.nan), np.full(len(pair), np.nan)
    _, month = np.unique(pair.month, return_inverse=True)
    fold = month % min(10, month.max() + 1)
    for number in np.unique(fold):
        test = pair.take(fold == number)
        rest = pair.take(fold != number)
        if len(rest) >= 20 and (curve := fit.curve(rest)) is not None:
            residual[fold == number] = test.y - curve(test.x)
            distance[fold == number] = across(curve, test.x, test.y, fit.frame(rest))
    return residual, distance


def _choose(distances: dict[str, Array], month: Times) -> str:
    """Choose the simplest form that no further knot betters by more than its standard error over the months."""
    best, *others = distances
    months, of_month = np.unique(month, return_inverse=True)
    counts = np.bincount(of_month)
    for name in others:
        gain = np.abs(distances[best]) - np.abs(distances[name])
        # A form that some fold could not fit is no candidate.
        if np.isnan(gain).any() or len(months) < 4:
            continue
        sums = np.bincount(of_month, gain - gain.mean())
        error = float(np.sqrt(np.sum(sums**2))) / counts.sum()
        if float(gain.mean()) > max(error, LEAST_GAIN):
            best = name
    return best
