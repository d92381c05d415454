"""Inputs as the correlations of the training days suggest them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import DataError
from particleflux.forecast.issue import FLUENCE
from particleflux.forecast.lstm import LstmForecaster
from particleflux.history import training_only
from particleflux.names import attributes
from particleflux.train.forecast import INPUTS, SUGGESTED, ForecastSettings, choose_inputs, fit_forecast

PERIODS = "2001,2003"


def test_inputs_go_by_their_name(history: xr.Dataset) -> None:
    """A preset is given as it is; a name that is none is refused with those there are."""
    assert choose_inputs(history, "daily") is INPUTS["daily"]
    assert choose_inputs(history, "hourly") is INPUTS["hourly"]
    with pytest.raises(DataError, match=r"inputs 'weekly' are unknown; expected one of daily, hourly, suggested"):
        choose_inputs(history, "weekly")


def test_what_drives_the_flux_is_suggested(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """Where the flux follows the speed alone, speed and its extremes are read beside it, and noise is not."""
    extremes = {"solar_wind_speed_min": history["solar_wind_speed"] - 20.0, "bz_gsm_min": history["bz_gsm_min"]}
    for name, values in extremes.items():
        extremes[name] = values.assign_attrs(attributes(name.removesuffix("_min")))
    days = training_only(history.assign(extremes), PERIODS)
    spec = choose_inputs(days, SUGGESTED)
    assert spec.daily == (FLUENCE, "solar_wind_speed", "solar_wind_speed_min")
    assert spec.rotation == (FLUENCE, "solar_wind_speed")
    assert spec.n_days >= 2
    assert not spec.hourly
    settings = dataclasses.replace(tiny, inputs=SUGGESTED, least_steps=1)
    trained = LstmForecaster.of(fit_forecast(days, settings=settings)).spec
    assert trained == dataclasses.replace(spec, mean=trained.mean, std=trained.std)


def test_days_outside_the_training_have_no_say(history: xr.Dataset) -> None:
    """A driver that rules the flux outside the periods only is not suggested."""
    outside = history["time"].dt.year.to_numpy() == 2002
    log = np.log10(history[FLUENCE].to_numpy())
    spoiled = history.copy(deep=True)
    spoiled["kp"].to_numpy()[outside] = np.roll(log, -1)[outside]
    spoiled["solar_wind_speed"].to_numpy()[outside] = 1.0
    assert choose_inputs(training_only(spoiled, PERIODS), SUGGESTED) == choose_inputs(
        training_only(history, PERIODS), SUGGESTED
    )
