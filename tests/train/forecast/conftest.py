"""A history with a law that is known, and a training of seconds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import xarray as xr

from particleflux.artefact import Artefact
from particleflux.forecast.inputs import InputSpec
from particleflux.forecast.issue import FLUENCE
from particleflux.names import attributes
from particleflux.train.forecast import ForecastSettings, fit_forecast

#: Days after which the flux follows the solar wind, as `law_history` has it.
DELAY = 2


def law_history(n_days: int = 1095, *, start: str = "2001-01-01", seed: int = 1) -> xr.Dataset:
    """Days on which log10 fluence is 7 plus the departure of the speed two days earlier from 450 km/s, over 150 km/s.

    The speed of a day says nothing of that of another; the other drivers mean nothing.
    """
    rng = np.random.default_rng(seed)
    speed = rng.normal(450.0, 100.0, n_days)
    log = 7.0 + (np.roll(speed, DELAY) - 450.0) / 150.0
    log[:DELAY] = np.nan
    bz = rng.normal(0.0, 3.0, (n_days, 24))
    variables = {
        FLUENCE: ("time", 10.0**log, attributes(FLUENCE)),
        "electron_flux_gt0p8mev": ("time", 10.0 ** rng.normal(5.0, 0.4, n_days), attributes("electron_flux_gt0p8mev")),
        "solar_wind_speed": ("time", speed, attributes("solar_wind_speed")),
        "kp": ("time", rng.uniform(0.0, 6.0, n_days), attributes("kp")),
        "dst": ("time", rng.normal(-10.0, 9.0, n_days), attributes("dst")),
        "bz_gsm": ("time", bz.mean(axis=1), attributes("bz_gsm")),
        "bz_gsm_min": ("time", bz.min(axis=1), attributes("bz_gsm")),
        "bz_gsm_hourly": (("time", "hour"), bz, attributes("bz_gsm")),
        "electron_flux_gt2mev_hourly": (
            ("time", "hour"),
            10.0 ** (log[:, None] + rng.normal(0.0, 0.1, (n_days, 24))) / 86400.0,
            attributes("electron_flux_gt2mev"),
        ),
        "satellite": ("time", np.full(n_days, "GOES-8"), attributes("satellite")),
    }
    time = np.datetime64(start, "ns") + np.arange(n_days) * np.timedelta64(1, "D")
    attrs = {"cadence": "1D", "day_start": 0.0, "satellite": "GOES-8", "reference": "GOES-8"}
    return xr.Dataset(variables, {"time": time, "hour": np.arange(24)}, attrs)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Keep to one thread: sums of several may come in any order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def history() -> xr.Dataset:
    return law_history()


@pytest.fixture(scope="session")
def tiny() -> ForecastSettings:
    return ForecastSettings(members=3, blocks=3, hidden=6, epochs=0.1, least_steps=40, batch=32, seed=3)


@pytest.fixture(scope="session")
def spec() -> InputSpec:
    """Give inputs by the day and by three hours, not fitted."""
    return InputSpec(
        (FLUENCE, "solar_wind_speed", "electron_flux_gt0p8mev", "kp"),
        n_days=6,
        rotation=(FLUENCE, "solar_wind_speed"),
        statistics=(9, 27),
        hourly=("electron_flux_gt2mev", "bz_gsm"),
        n_hours=48,
        hour_step=3,
    )


@pytest.fixture(scope="session")
def tiny_artefact(history: xr.Dataset, tiny: ForecastSettings, one_thread: None) -> Artefact:
    return fit_forecast(history, settings=tiny, name="tiny", command="particleflux train forecast", commit="abc")
