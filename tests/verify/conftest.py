"""Forecasts and histories that are made up, with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from particleflux.forecast import QUANTILES, as_forecast
from particleflux.names import attributes

DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="session")
def make_history() -> Callable[..., xr.Dataset]:
    """Give a function that makes a history of daily log10 fluences."""

    def make(log: npt.ArrayLike, start: str = "2008-01-01", **attrs: Any) -> xr.Dataset:
        values = 10.0 ** np.asarray(log, dtype=np.float64)
        time = np.datetime64(start, "ns") + np.arange(len(values)) * DAY
        variables = {"fluence_gt2mev": ("time", values, attributes("fluence_gt2mev"))}
        return xr.Dataset(variables, {"time": time}, {"cadence": "1D", "day_start": 0.0, **attrs})

    return make


@pytest.fixture(scope="session")
def make_forecast() -> Callable[..., xr.Dataset]:
    """Give a function that makes normal forecasts from their means and standard deviations, dex."""

    def make(
        mean: npt.ArrayLike, std: float = 0.5, start: str = "2008-01-01", leads: Sequence[int] = (1,), **attrs: Any
    ) -> xr.Dataset:
        from scipy.special import ndtri

        centre = np.asarray(mean, dtype=np.float64)
        centre = centre[:, np.newaxis].repeat(len(leads), axis=1) if centre.ndim == 1 else centre
        return as_forecast(
            centre[..., np.newaxis] + std * ndtri(QUANTILES),
            init_time=np.datetime64(start, "ns") + np.arange(len(centre)) * DAY,
            lead_time=leads,
            quality=np.zeros(len(centre), np.int32),
            log_mean=centre,
            attrs={"method": "made-up", **attrs},
        )

    return make
