"""Linear regression and gradient boosting as opponents of the forecast: scikit-learn, for benchmarks only.

They read what the networks read: 27 days of fluence, five days of the drivers with their daily extremes, and the solar
wind one rotation before the day to forecast. Their quantiles come from the residuals of years they were not fitted to,
as those of the networks do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray as xr
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from particleflux.forecast import LEADS, QUANTILES, as_forecast
from particleflux.forecast.inputs import InputSpec, read_table
from particleflux.forecast.issue import describe, input_flags, issue_times, log_fluence, rows_before, take_days
from particleflux.train.forecast.settings import DAILY, ROTATION

Array = npt.NDArray[np.float64]

FLUX_DAYS, DRIVER_DAYS, ROTATION_DAYS, BLOCKS = 27, 5, 27, 5


def make_model(kind: str) -> Any:
    """Give an unfitted model; settings are near scikit-learn's usual ones and tuned to nothing."""
    if kind == "linear":
        return make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), Ridge(alpha=100.0))
    return HistGradientBoostingRegressor(
        max_iter=300, learning_rate=0.04, max_leaf_nodes=12, min_samples_leaf=30, l2_regularization=5.0, random_state=1
    )


def features(history: xr.Dataset, rows: npt.NDArray[np.int64], lead: int) -> Array:
    """Give the inputs of rows for one lead time, shape (n, feature); NaN is missing."""
    table = read_table(history, InputSpec(DAILY, rotation=ROTATION))
    flux = take_days(table[:, 0], rows[:, None] - np.arange(FLUX_DAYS))
    drivers = take_days(table[:, 1:], rows[:, None] - np.arange(DRIVER_DAYS))
    ago = take_days(table[:, [DAILY.index(name) for name in ROTATION]], rows + lead - ROTATION_DAYS)
    return np.concatenate([flux, drivers.reshape(len(rows), -1), ago], axis=1)


def _last(inputs: Array) -> Array:
    """Give the last fluence known on the days that `features` read, shape (n,); the mean of all where there is none."""
    flux = inputs[:, :FLUX_DAYS]
    known = np.isfinite(flux)
    return np.where(known.any(axis=1), flux[np.arange(len(flux)), known.argmax(axis=1)], np.nanmean(flux))


@dataclass(frozen=True)
class Regression:
    """A regression for each lead time, with quantiles of its residuals on years left out.

    It learns the fluence or its change from the last one known, whichever left-out years are better forecast by: trees
    cannot go below the least fluence they have seen, which another satellite does.
    """

    kind: str
    models: tuple[Any, ...] = field(repr=False)
    changes: tuple[bool, ...]
    residuals: tuple[tuple[float, ...], ...] = field(repr=False)

    name: ClassVar[str] = "regression"

    @classmethod
    def fit(cls, history: xr.Dataset, kind: str) -> Regression:
        """Fit to a history that holds the training split and nothing else."""
        log = log_fluence(history)
        rows = np.arange(len(log))
        recent = np.isfinite(take_days(log, rows[:, None] - np.arange(3))).any(axis=1)
        years = history["time"].to_numpy().astype("datetime64[Y]").astype(np.int64)
        models, changes, residuals = [], [], []
        for lead in LEADS:
            target = take_days(log, rows + lead)
            chosen = np.flatnonzero(np.isfinite(target) & recent)
            inputs, truth = features(history, chosen, lead), target[chosen]
            block = np.searchsorted(np.unique(years[chosen]), years[chosen]) % BLOCKS
            errors = {}
            for change in (False, True):
                base = _last(inputs) if change else np.zeros(len(truth))
                left_out = np.full(len(truth), np.nan)
                for number in np.unique(block):
                    own = block != number
                    model = make_model(kind).fit(inputs[own], (truth - base)[own])
                    left_out[~own] = base[~own] + model.predict(inputs[~own])
                errors[change] = truth - left_out
            change = bool((errors[True] ** 2).mean() < (errors[False] ** 2).mean())
            models.append(make_model(kind).fit(inputs, truth - _last(inputs) if change else truth))
            changes.append(change)
            residuals.append(tuple(np.quantile(errors[change], QUANTILES).tolist()))
        return cls(kind, tuple(models), tuple(changes), tuple(residuals))

    def predict(
        self, history: xr.Dataset, *, init_time: npt.ArrayLike | None = None, lead_time: Sequence[int] = LEADS
    ) -> xr.Dataset:
        """Forecast as every method does."""
        issued = issue_times(history, init_time)
        rows = rows_before(history, issued)
        means = []
        for number in (LEADS.index(lead) for lead in lead_time):
            inputs = features(history, rows, LEADS[number])
            mean = self.models[number].predict(inputs)
            means.append(mean + _last(inputs) if self.changes[number] else mean)
        mean = np.stack(means, axis=1)
        spread = np.array([self.residuals[LEADS.index(lead)] for lead in lead_time])
        return as_forecast(
            mean[..., None] + spread,
            init_time=issued,
            lead_time=lead_time,
            quality=input_flags(history, rows, FLUX_DAYS),
            log_mean=mean,
            attrs=describe(history, self.kind),
        )
