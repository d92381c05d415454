"""Recurrence: the coming days are as those one solar rotation before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.forecast._fitted import Fitted, extrapolated, log_range, residual_quantiles
from particleflux.forecast.distribution import LEADS, as_forecast
from particleflux.forecast.issue import (
    ROTATION,
    check_leads,
    describe,
    input_flags,
    issue_times,
    log_fluence,
    rows_before,
    take_days,
)
from particleflux.names import ForecastQuality

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recurrence(Fitted):
    """Forecast the daily fluence of 27 days before: coronal holes, and the fast wind from them, come round again.

    Where that day is missing, the mean of log10 of the days beside it takes its place, or one of them. The quantiles
    are those of the residuals over the training days; they do not depend on the lead time, for the day read does not.

    Parameters
    ----------
    residuals : tuple of tuple of float, shape (2, quantile)
        Quantiles of the residuals of log10 fluence: against 27 days before, and against the days beside that.
    fitted_range : tuple of float
        Least and greatest log10 fluence of the training days.
    """

    residuals: tuple[tuple[float, ...], ...]
    fitted_range: tuple[float, float]

    name: ClassVar[str] = "recurrence"

    @classmethod
    def fit(cls, history: xr.Dataset) -> Recurrence:
        """Fit to the days of a history that hold a fluence.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            `fluence_gt2mev` (time), cm-2 sr-1 d-1; NaN on days to be left out.

        Returns
        -------
        Recurrence
            Ready to predict.

        Raises
        ------
        MissingDataError
            If too few days hold a fluence.
        """
        issue_times(history)
        log = log_fluence(history)
        that, beside = _rotation_before(log, np.arange(len(log)))
        what = "fluence on them and one solar rotation before"
        residuals = tuple(residual_quantiles(log - past, what) for past in (that, beside))
        return cls(residuals, log_range(log))

    def predict(
        self, history: xr.Dataset, *, init_time: npt.ArrayLike | None = None, lead_time: Sequence[int] = LEADS
    ) -> xr.Dataset:
        """Forecast as `particleflux.forecast.protocol.Forecaster` says.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            `fluence_gt2mev` (time), cm-2 sr-1 d-1.
        init_time : array of datetime64, shape (init_time,), optional
            Issue times; by default the first instant after the last day.
        lead_time : sequence of int
            Days, of 1, 2, 3.

        Returns
        -------
        Dataset, dims (init_time, lead_time, quantile, threshold)
            The forecast. NaN where none of the days 26, 27 and 28 days before is known.
        """
        leads = check_leads(lead_time, LEADS)
        issued = issue_times(history, init_time)
        rows = rows_before(history, issued)
        that, beside = _rotation_before(log_fluence(history), rows[:, np.newaxis] + np.asarray(leads))
        known = ~np.isnan(that)
        centre = np.where(known, that, beside)
        spread = np.where(known[..., np.newaxis], *map(np.asarray, self.residuals))
        # The last day itself is not read.
        flags = input_flags(history, rows, 1, recurrence=leads) & ForecastQuality.NO_RECURRENCE.value
        return as_forecast(
            centre[..., np.newaxis] + spread,
            init_time=issued,
            lead_time=leads,
            quality=flags | extrapolated(centre, self.fitted_range),
            log_mean=centre,
            attrs=describe(history, self.name),
        )


def _rotation_before(log: Array, rows: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Give the day 27 days before, and the mean of the known ones of the two beside it."""
    before, after = (take_days(log, rows - ROTATION + side) for side in (-1, 1))
    either = np.where(np.isnan(before), after, before)
    return take_days(log, rows - ROTATION), np.where(np.isnan(after), either, (either + after) / 2)
