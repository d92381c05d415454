"""Climatology: the fluence usual for the season and the phase of the solar cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.forecast._fitted import Fitted, residual_quantiles
from particleflux.forecast.distribution import DAY, LEADS, as_forecast
from particleflux.forecast.issue import check_leads, describe, issue_times, log_fluence

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

#: Minima of the solar cycle: 13-month smoothed sunspot number of SILSO, Royal Observatory of Belgium.
MINIMA = np.array(["1964-10", "1976-03", "1986-09", "1996-08", "2008-12", "2019-12"], "datetime64[M]")
#: A minimum is known this many months later: the mean needs seven, and a minimum shows only once the mean has risen.
#: That of 2019-12 was announced nine months after it.
ANNOUNCED = 12
#: Length of a cycle, years; later than that after the last minimum known, the phase stays that of a minimum.
CYCLE = 11.0
YEAR = 365.2425
#: Penalty on the coefficients, in days: of log10 fluence they are expected to be some 0.3, of what is left 0.7, and
#: what is left stays alike for about a solar rotation: 27 (0.7 / 0.3)^2. A year of days hardly feels it; less does.
PENALTY = 147.0


@dataclass(frozen=True)
class Climatology(Fitted):
    """Forecast the distribution usual for the day of the year and the phase of the solar cycle.

    log10 f = a0 + sum over n = 1, 2 of [a_n cos(2 pi n y) + b_n sin(2 pi n y) + c_n cos(2 pi n p) + d_n sin(2 pi n p)]
    with y the fraction of the year and p the phase: the years since the last minimum that was known when the forecast
    was issued, over 11, and at most 1. A minimum is taken to be known a year after it. Nothing else is read: missing
    flux does not matter. Where the training days span little of a cycle, the penalty on the coefficients keeps the
    phase from being extrapolated.

    Parameters
    ----------
    coefficients : tuple of float, shape (9,)
        a0, then (cos, sin) of the year, of half a year, of the cycle, of half a cycle; log10 of cm-2 sr-1 d-1.
    residuals : tuple of float, shape (quantile,)
        Quantiles of the residuals of log10 fluence.
    """

    coefficients: tuple[float, ...]
    residuals: tuple[float, ...]

    name: ClassVar[str] = "climatology"

    @classmethod
    def fit(cls, history: xr.Dataset) -> Climatology:
        """Fit to the days of a history that hold a fluence.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            `fluence_gt2mev` (time), cm-2 sr-1 d-1; NaN on days to be left out.

        Returns
        -------
        Climatology
            Ready to predict.

        Raises
        ------
        MissingDataError
            If too few days hold a fluence.
        """
        issue_times(history)
        log = log_fluence(history)
        known = np.isfinite(log)
        days = history["time"].to_numpy().astype("datetime64[ns]")[known]
        terms = _terms(days, days)
        residual_quantiles(log, "fluence")
        penalty = PENALTY * np.eye(terms.shape[1])
        penalty[0, 0] = 0.0
        coefficients = np.asarray(np.linalg.solve(terms.T @ terms + penalty, terms.T @ log[known]), dtype=np.float64)
        left = np.subtract(log[known], _combine(terms, coefficients))
        residuals = residual_quantiles(left, "fluence")
        return cls(tuple(coefficients.tolist()), residuals)

    def predict(
        self, history: xr.Dataset, *, init_time: npt.ArrayLike | None = None, lead_time: Sequence[int] = LEADS
    ) -> xr.Dataset:
        """Forecast as `particleflux.forecast.protocol.Forecaster` says.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            Of its days only the times are read.
        init_time : array of datetime64, shape (init_time,), optional
            Issue times; by default the first instant after the last day.
        lead_time : sequence of int
            Days, of 1, 2, 3.

        Returns
        -------
        Dataset, dims (init_time, lead_time, quantile, threshold)
            The forecast.
        """
        leads = check_leads(lead_time, LEADS)
        issued = issue_times(history, init_time)
        log_fluence(history)  # a history of something else is refused, though no value is read
        valid = issued[:, np.newaxis] + (np.asarray(leads) - 1) * DAY
        centre = _combine(_terms(valid, issued[:, np.newaxis]), np.asarray(self.coefficients))
        return as_forecast(
            centre[..., np.newaxis] + np.asarray(self.residuals),
            init_time=issued,
            lead_time=leads,
            quality=np.zeros(len(issued), np.int32),
            log_mean=centre,
            attrs=describe(history, self.name),
        )


def cycle_phase(time: Times, issued: Times) -> Array:
    """Give the phase of the solar cycle as it was known when a forecast was issued.

    Parameters
    ----------
    time : array of datetime64, any shape
        Times whose phase is wanted.
    issued : array of datetime64, a shape that broadcasts with that of `time`
        Only minima that were known then are used.

    Returns
    -------
    array
        Years since the last minimum known, over 11; 1 at most.

    Examples
    --------
    >>> days = np.array(["2009-11-30", "2009-12-01"], "datetime64[ns]")
    >>> cycle_phase(days, days).round(2)
    array([1.  , 0.09])
    """
    announced = (MINIMA + ANNOUNCED).astype("datetime64[ns]")
    last = np.clip(np.searchsorted(announced, issued, side="right") - 1, 0, None)
    years = (time - MINIMA.astype("datetime64[ns]")[last]) / DAY / YEAR
    return np.asarray(np.clip(years / CYCLE, 0.0, 1.0), dtype=np.float64)


def _terms(time: Times, issued: Times) -> Array:
    year = (time - time.astype("datetime64[Y]").astype("datetime64[ns]")) / DAY / YEAR
    angles = [2 * np.pi * n * part for part in (year, cycle_phase(time, issued)) for n in (1, 2)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    return np.stack([np.ones(time.shape), *waves], axis=-1)


def _combine(terms: Array, coefficients: Array) -> Array:
    # Term by term, not as a matrix product, whose last digits depend on how many rows there are.
    total = np.zeros(terms.shape[:-1])
    for number, coefficient in enumerate(coefficients):
        total = total + coefficient * terms[..., number]
    return total
