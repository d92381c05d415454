"""Estimate the offset between satellites that never measured together, and say when it cannot be known."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr

from particleflux.calibrate._changes import compare_changes
from particleflux.calibrate._curve import Array
from particleflux.calibrate._response import Response, fit_response
from particleflux.calibrate.calibration import Calibration
from particleflux.calibrate.chain import uncalibrated
from particleflux.calibrate.days import FLOOR_MARGIN, Times, common_days
from particleflux.calibrate.stations import describe_difference
from particleflux.errors import DataError, MissingDataError

#: An estimate with a larger standard error (dex) is none: satellites that overlap differ by 0.07 to 0.36 dex.
MAX_ERROR = 0.10
#: Spread of the slope about one between satellites that do overlap; a slope cannot be told without an overlap.
SLOPE_STD = 0.05
#: Least days of one satellite.
MIN_DAYS = 120


def estimate_without_overlap(
    fluences: Mapping[str, xr.DataArray],
    drivers: xr.Dataset,
    *,
    reference: str,
    max_error: float = MAX_ERROR,
    seed: int = 0,
) -> dict[str, Calibration]:
    r"""Estimate each satellite's offset from the reference out of what both answered to the same drivers.

    Two estimators see the same regression of log fluence on solar wind speed, log density, Kp and stand-off distance
    over the 28 days before (with squares, season, and F10.7), with a level for each satellite; a day at the floor of a
    detector is only known to be below:

    - *levels*: the difference of the satellites' levels. Its error holds the sampling error (bootstrap of 27-day
      blocks) and how far a year of one satellite lies from its other years and the drivers, for the years it has:
      :math:`e^2 = e_{boot}^2 + \sigma_{year}^2 (1/n_{sat} + 1/n_{ref})`;
    - *change days*: the mean of what the drivers leave, half a year after a change of satellite less half a year
      before, over all changes by least squares; its error is the root mean square of the same difference on days
      without a change.

    The result is the mean of both weighted by their errors, not less uncertain than half their difference. It is
    refused, as "uncalibrated" with the numbers in `note`, where the error exceeds `max_error` or the two estimators
    or the change days among themselves disagree by more than two standard errors. The slope is one: without days in
    common it cannot be told from the satellites' other years; its standard error is the spread among satellites that
    overlap.

    Parameters
    ----------
    fluences : mapping of str to DataArray, dims (time)
        Daily fluence (cm-2 sr-1 d-1) by satellite, the reference among them. Training days only.
    drivers : Dataset, dims (time)
        Daily `solar_wind_speed` (km s-1), `solar_wind_density` (cm-3), `kp` (1), `standoff` (R_earth), `f10p7`: those
        at hand, speed or Kp at least; finer cadences are averaged.
    reference : str
        Whose scale to estimate.
    max_error : float
        Largest standard error (dex) of an offset that is used.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Calibration
        One for each satellite but the reference, of kind "estimated" or "uncalibrated".

    Raises
    ------
    DataError
        If the reference is not among the satellites.
    MissingDataError
        If the drivers or the days of the reference do not suffice.
    """
    if reference not in fluences:
        msg = f"the reference is {reference!r}, expected one of: {', '.join(sorted(fluences)) or 'no satellite'}"
        raise DataError(msg)
    logs = {name: _logs(name, each) for name, each in fluences.items()}
    logs = {name: pair for name, pair in logs.items() if len(pair[0]) >= MIN_DAYS}
    limit = max((float(np.quantile(y, 0.01)) + FLOOR_MARGIN for _, y in logs.values()), default=0.0)
    response = fit_response(logs, drivers, limit, seed) if reference in logs else None
    if response is None or reference not in response.names:
        msg = (
            f"{reference}, the reference, has too few days together with the drivers, expected {MIN_DAYS}; give more "
            "days, or another reference"
        )
        raise MissingDataError(msg)
    levels = _levels(response, reference)
    changes, consistent = compare_changes(response, reference)
    result = {}
    for name in fluences:
        if name == reference:
            continue
        if name not in response.names:
            why = f"fewer than {MIN_DAYS} days together with the drivers"
            result[name] = uncalibrated(name, reference, why)
            continue
        result[name] = _decide(
            name, reference, levels[name], changes.get(name), consistent, max_error, logs[name], limit
        )
    return result


def _logs(name: str, fluence: xr.DataArray) -> tuple[Times, Array]:
    pair = common_days(fluence, fluence, (name, name))
    return pair.time.astype("datetime64[D]").astype("datetime64[ns]"), pair.x


def _levels(response: Response, reference: str) -> dict[str, tuple[float, float]]:
    """Give what to add to each satellite, by the levels, with the error."""
    years = np.bincount(response.satellite, minlength=len(response.names)) / 365.25
    ref, cov = response.names.index(reference), response.sampling
    result = {}
    for which, name in enumerate(response.names):
        sampling = cov[which, which] + cov[ref, ref] - 2 * cov[which, ref]
        # A year's excess is one draw for each year, and a part of a year no less than one.
        # Without a second year nothing tells how years differ, and so nothing bounds the error.
        between = response.year_std**2 * (1 / max(years[which], 1.0) + 1 / max(years[ref], 1.0))
        result[name] = (
            float(response.effects[ref] - response.effects[which]),
            float(np.nan_to_num(np.sqrt(sampling + between), nan=np.inf)),
        )
    return result


def _decide(
    name: str,
    reference: str,
    level: tuple[float, float],
    change: tuple[float, float] | None,
    consistent: bool,
    max_error: float,
    log: tuple[Times, Array],
    limit: float,
) -> Calibration:
    """Take the two estimates together, or refuse."""
    found = f"by levels {level[0]:+.2f} +- {level[1]:.2f} dex"
    if change is None:
        value, error, apart = *level, False
        found += ", no change day"
    else:
        found += f", by change days {change[0]:+.2f} +- {change[1]:.2f} dex"
        weights = np.array([level[1], change[1]]) ** -2.0
        value = float(np.average([level[0], change[0]], weights=weights))
        # The estimators share the regression: their errors do not average out.
        error = max(min(level[1], change[1]), abs(level[0] - change[0]) / 2)
        apart = abs(level[0] - change[0]) > 2 * math.hypot(level[1], change[1])
    reasons = [
        text
        for is_so, text in (
            (not error <= max_error, f"the error of the estimate is {error:.3f} dex, above {max_error:g}"),
            (apart, "the two estimates disagree"),
            (change is not None and not consistent, "the change days disagree"),
        )
        if is_so
    ]
    if reasons:
        return uncalibrated(name, reference, f"{'; '.join(reasons)} ({found})")
    time, y = log
    pivot = float(np.median(y[y > limit])) if (y > limit).any() else limit
    return Calibration(
        name,
        reference,
        "estimated",
        "linear",
        pivot,
        (),
        (pivot + value, 1.0),
        ((error**2, 0.0), (0.0, SLOPE_STD**2)),
        valid=(limit, float(y.max())),
        n_days=len(y),
        span=(str(time.min().astype("datetime64[D]")), str(time.max().astype("datetime64[D]"))),
        method="response to common drivers, no common days",
        removes=describe_difference(name, reference),
        note=found,
    )
