"""What every forecast method is: history in, quantiles of the coming days' fluence out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy.typing as npt
import xarray as xr


class Forecaster(Protocol):
    """A method that forecasts the daily fluence of electrons above 2 MeV at geostationary orbit.

    The law: the forecast issued at `init_time` depends on the days of the history that end at or before `init_time`
    and on nothing else; whether the history goes on, and with what, changes no bit of it. A missing input is NaN in
    the history, gives wider intervals, and is named by a flag of `particleflux.names.ForecastQuality`; it is never
    filled from later values. Settings are fields of a frozen dataclass; `predict` changes nothing.
    """

    @property
    def name(self) -> str:
        """Name of the method, as on the command line."""
        ...

    def predict(
        self, history: xr.Dataset, *, init_time: npt.ArrayLike | None = None, lead_time: Sequence[int] = (1, 2, 3)
    ) -> xr.Dataset:
        """Forecast the daily fluence of the days that follow each issue time.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            Days as `particleflux.history` lays them out: `fluence_gt2mev` (time), cm-2 sr-1 d-1, and drivers.
        init_time : array of datetime64, shape (init_time,), optional
            Issue times, each the start of a day of the history or of a day after it; by default the first instant
            after the last day.
        lead_time : sequence of int
            Days; lead 1 is the day that begins at the issue time.

        Returns
        -------
        Dataset, dims (init_time, lead_time, quantile, threshold)
            `fluence_gt2mev` (init_time, lead_time, quantile), cm-2 sr-1 d-1; `fluence_gt2mev_mean` (init_time,
            lead_time), cm-2 sr-1 d-1, 10 to the mean of log10, where the method has one; `probability` (init_time,
            lead_time, threshold), 1; `quality` (init_time), flags.

        Raises
        ------
        AxisError
            If a variable that the method cannot do without is absent.
        UnitError
            If a unit is absent or another one.
        DataError
            If the history is no sorted axis of days, or an issue time is not on it.
        """
        ...


class FittedForecaster(Forecaster, Protocol):
    """A forecast method that is fitted to a history and kept as plain numbers."""

    @classmethod
    def fit(cls, history: xr.Dataset) -> FittedForecaster:
        """Fit to the days of a history that hold a fluence; days to be left out are NaN in it.

        Parameters
        ----------
        history : Dataset, dims (time, ...)
            Days as `particleflux.history` lays them out, such as `training_only` gives them.

        Returns
        -------
        FittedForecaster
            Ready to predict.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Give the fitted numbers as plain nested values for JSON.

        Returns
        -------
        dict
            With the key `method`, and one per field.
        """
        ...
