"""Persistence: the coming days are as the last one known."""

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
    check_leads,
    describe,
    input_flags,
    issue_times,
    log_fluence,
    rows_before,
    take_days,
)

#: The last known fluence may lie this many days before the last day.
OLDEST = 5


@dataclass(frozen=True)
class Persistence(Fitted):
    """Forecast the last known daily fluence; the method every other is measured against.

    The point forecast is that fluence itself. The quantiles are it plus those of log10 f(t + n) - log10 f(t) over the
    training days, n the days from the last known fluence to the day forecast: the older it is, the wider they are.

    Parameters
    ----------
    residuals : tuple of tuple of float, shape (step, quantile)
        Quantiles of the change of log10 fluence over 1, 2, ... days.
    fitted_range : tuple of float
        Least and greatest log10 fluence of the training days.
    """

    residuals: tuple[tuple[float, ...], ...]
    fitted_range: tuple[float, float]

    name: ClassVar[str] = "persistence"

    @classmethod
    def fit(cls, history: xr.Dataset) -> Persistence:
        """Fit to the days of a history that hold a fluence.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            `fluence_gt2mev` (time), cm-2 sr-1 d-1; NaN on days to be left out.

        Returns
        -------
        Persistence
            Ready to predict.

        Raises
        ------
        MissingDataError
            If too few days hold a fluence.
        """
        issue_times(history)
        log = log_fluence(history)
        steps = range(1, max(LEADS) + OLDEST + 1)
        what = "fluence on them and {} d before"
        residuals = tuple(residual_quantiles(log[step:] - log[:-step], what.format(step)) for step in steps)
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
            The forecast. NaN where no fluence is known on the last six days.
        """
        leads = check_leads(lead_time, LEADS)
        issued = issue_times(history, init_time)
        rows = rows_before(history, issued)
        recent = take_days(log_fluence(history), rows[:, np.newaxis] - np.arange(OLDEST + 1))
        age = np.argmax(~np.isnan(recent), axis=1)
        last = np.take_along_axis(recent, age[:, np.newaxis], axis=1)
        steps = age[:, np.newaxis] + np.asarray(leads)
        values = last[..., np.newaxis] + np.asarray(self.residuals)[steps - 1]
        # Where the last day is known, the days before it are not read.
        flags = np.where(np.isnan(recent[:, 0]), input_flags(history, rows, 2), input_flags(history, rows, 1))
        return as_forecast(
            values,
            init_time=issued,
            lead_time=leads,
            quality=flags | extrapolated(last, self.fitted_range),
            log_mean=np.repeat(last, len(leads), axis=1),
            attrs=describe(history, self.name),
        )
