"""A history that no satellite measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from particleflux.names import attributes

DRIVERS = {
    "solar_wind_speed": (430.0, 90.0), "solar_wind_density": (6.0, 2.0), "solar_wind_pressure": (2.2, 0.6),
    "b_total": (6.0, 1.5), "by_gsm": (0.0, 3.0), "bz_gsm": (0.0, 2.0), "standoff": (10.2, 0.4), "kp": (2.0, 0.7),
    "kp_sum": (16.0, 5.0), "ap": (10.0, 3.0), "dst": (-12.0, 9.0), "ae": (160.0, 50.0), "f10p7": (110.0, 20.0),
}  # fmt: skip


def _make_history(n_days: int = 1500, *, seed: int = 1, start: str = "2003-01-01", memory: float = 0.8) -> xr.Dataset:
    """Days on which log10 fluence is an autoregression of order 1 about 7.3 with a spread of 0.5 dex."""
    rng = np.random.default_rng(seed)
    log = np.empty(n_days)
    log[0] = 7.3
    for day in range(1, n_days):
        log[day] = 7.3 + memory * (log[day - 1] - 7.3) + 0.5 * np.sqrt(1 - memory**2) * rng.normal()
    time = np.datetime64(start, "ns") + np.arange(n_days) * np.timedelta64(1, "D")
    variables = {"fluence_gt2mev": ("time", 10.0**log, attributes("fluence_gt2mev"))}
    for name, (mean, spread) in DRIVERS.items():
        variables[name] = ("time", rng.normal(mean, spread, n_days), attributes(name))
    variables["satellite"] = ("time", np.full(n_days, "GOES-11"), attributes("satellite"))
    variables["calibration"] = ("time", np.zeros(n_days, np.int8), {"units": "1"})
    return xr.Dataset(
        variables, {"time": time}, {"cadence": "1D", "day_start": 0.0, "satellite": "GOES-11", "reference": "GOES-11"}
    )


@pytest.fixture(scope="session")
def make_history() -> Callable[..., xr.Dataset]:
    return _make_history
