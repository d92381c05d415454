"""Autoregression: a linear combination of the fluence of the last 27 days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.forecast._fitted import Fitted, extrapolated, log_range, residual_quantiles
from particleflux.forecast.distribution import LEADS, QUANTILES, as_forecast
from particleflux.forecast.issue import (
    check_leads,
    describe,
    input_flags,
    issue_times,
    log_fluence,
    rows_before,
    take_days,
)

Array = npt.NDArray[np.float64]

#: Days read: one solar rotation, so that the coefficients can hold its recurrence.
ORDER = 27
#: Penalty on the coefficients, dex^2: against the variance of log10 fluence, about 0.5, it only steadies the solution.
RIDGE = 1e-3


@dataclass(frozen=True)
class Autoregressive(Fitted):
    """Forecast log10 fluence as a linear combination of its last 27 values: AR(27), fitted to each lead time directly.

    log10 f(t + n) - m = sum over k = 0..26 of b_k (log10 f(t - k) - m), with b = (C + r I)^-1 c: C holds the
    covariances of the values read, c those with the value to forecast, both over the training windows that miss no
    day, and r is a small penalty. Where values are missing, C and c are reduced to those that are there, which gives
    the best combination of them; the residual quantiles widen by the ratio of the standard deviations of what the
    two combinations leave over.

    Parameters
    ----------
    mean : float
        Mean m of log10 fluence over the training days.
    covariance : tuple of tuple of float, shape (27, 27)
        C, dex^2; the last day first.
    cross : tuple of tuple of float, shape (lead_time, 27)
        c for each lead time, dex^2.
    variance : tuple of float, shape (lead_time,)
        Variance of the values to forecast, dex^2.
    residuals : tuple of tuple of float, shape (lead_time, quantile)
        Quantiles of the residuals where no value is missing, dex.
    fitted_range : tuple of float
        Least and greatest log10 fluence of the training days.
    """

    mean: float
    covariance: tuple[tuple[float, ...], ...]
    cross: tuple[tuple[float, ...], ...]
    variance: tuple[float, ...]
    residuals: tuple[tuple[float, ...], ...]
    fitted_range: tuple[float, float]

    name: ClassVar[str] = "autoregressive"

    @classmethod
    def fit(cls, history: xr.Dataset) -> Autoregressive:
        """Fit to the windows of a history that miss no day.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            `fluence_gt2mev` (time), cm-2 sr-1 d-1; NaN on days to be left out.

        Returns
        -------
        Autoregressive
            Ready to predict.

        Raises
        ------
        MissingDataError
            If too few windows miss no day.
        """
        issue_times(history)
        log = log_fluence(history)
        rows = np.arange(len(log))
        window = take_days(log, rows[:, np.newaxis] - np.arange(ORDER))
        target = take_days(log, rows[:, np.newaxis] + np.asarray(LEADS))
        whole = ~np.isnan(window).any(axis=1) & ~np.isnan(target).any(axis=1)
        what = f"fluence on the {ORDER} days up to them and the {len(LEADS)} after"
        residual_quantiles(np.where(whole, 0.0, np.nan), what)
        mean = float(log[np.isfinite(log)].mean())
        window, target = window[whole] - mean, target[whole] - mean
        covariance = window.T @ window / len(window)
        cross = target.T @ window / len(window)
        combined = np.linalg.solve(covariance + RIDGE * np.eye(ORDER), cross.T)
        residuals = (target - window @ combined).T
        return cls(
            mean,
            tuple(map(tuple, covariance.tolist())),
            tuple(map(tuple, cross.tolist())),
            tuple((target**2).mean(axis=0).tolist()),
            tuple(residual_quantiles(of_lead, what) for of_lead in residuals),
            log_range(log),
        )

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
            The forecast. NaN where no fluence is known on the last 27 days.
        """
        leads = check_leads(lead_time, LEADS)
        issued = issue_times(history, init_time)
        rows = rows_before(history, issued)
        window = take_days(log_fluence(history), rows[:, np.newaxis] - np.arange(ORDER))
        known = ~np.isnan(window)
        numbers = [LEADS.index(lead) for lead in leads]
        centre = np.full((len(issued), len(leads)), np.nan)
        widening = np.ones_like(centre)
        patterns, which = np.unique(known, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            if not pattern.any():
                continue
            coefficients, ratio = self._combine(pattern)
            here = which.ravel() == number
            total = np.full((int(here.sum()), len(leads)), self.mean)
            # Term by term, not as a matrix product, whose last digits depend on how many rows there are.
            for place, day in enumerate(np.flatnonzero(pattern)):
                total += (window[here, day] - self.mean)[:, np.newaxis] * coefficients[place, numbers]
            centre[here] = total
            widening[here] = ratio[numbers]
        spread = widening[..., np.newaxis] * np.asarray(self.residuals)[numbers]
        flags = input_flags(history, rows, ORDER) | extrapolated(window, self.fitted_range)
        return as_forecast(
            (centre[..., np.newaxis] + spread).reshape(len(issued), len(leads), len(QUANTILES)),
            init_time=issued,
            lead_time=leads,
            quality=flags,
            log_mean=centre,
            attrs=describe(history, self.name),
        )

    def _combine(self, pattern: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
        """Give the coefficients (known day, lead) of the values that are there, and how much wider they leave it."""
        deviations = []
        for there in (np.ones(ORDER, dtype=bool), pattern):
            covariance = np.asarray(self.covariance)[np.ix_(there, there)]
            cross = np.asarray(self.cross).T[there]
            coefficients = np.linalg.solve(covariance + RIDGE * np.eye(len(cross)), cross)
            explained = (coefficients * (2 * cross - covariance @ coefficients)).sum(axis=0)
            deviations.append(np.sqrt(np.asarray(self.variance) - explained))
        return coefficients, np.maximum(deviations[1] / deviations[0], 1.0)
