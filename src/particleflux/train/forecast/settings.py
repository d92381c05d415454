"""Settings of the training of a forecast."""

from __future__ import annotations

from dataclasses import dataclass

from particleflux.forecast.inputs import InputSpec
from particleflux.forecast.issue import FLUENCE

#: What the shipped models read day by day, in the names of the history.
DAILY = (
    FLUENCE,
    "electron_flux_gt0p8mev|electron_flux_gt0p6mev",
    "standoff",
    "solar_wind_speed",
    "dst",
    "kp",
    "solar_wind_density",
    "bz_gsm",
    "ae",
    "standoff_min",
    "solar_wind_speed_max",
    "dst_min",
    "kp_max",
    "bz_gsm_min",
    "solar_wind_density_max",
    "solar_wind_speed_min",
    "standoff_max",
    "ae_max",
)
ROTATION = (FLUENCE, "solar_wind_speed")
HOURLY = (
    "electron_flux_gt2mev",
    "standoff",
    "solar_wind_speed",
    "solar_wind_density",
    "bz_gsm",
    "kp",
    "dst",
    "ae",
)
#: Presets by the cadence of the finest inputs.
INPUTS = {
    "daily": InputSpec(DAILY, n_days=10, rotation=ROTATION),
    "hourly": InputSpec(DAILY, n_days=10, rotation=ROTATION, hourly=HOURLY, n_hours=72, hour_step=3),
}


@dataclass(frozen=True)
class ForecastSettings:
    """What a training run is made of; recorded on the card.

    Attributes
    ----------
    inputs : str
        Cadence of the finest inputs, `daily` or `hourly`; or `suggested`, daily ones as the correlations choose.
    members : int
        Networks. Each is kept from one block of years, whose days then tell how wide the pooled intervals must be.
    blocks : int
        Blocks that the training years are dealt to in turn.
    hidden : int
        Size of the LSTM's state.
    epochs : float
        Times every training day is seen by a member, on average.
    least_steps : int
        Optimiser steps at least, where the days are few.
    batch : int
        Days each member sees in a step.
    learning_rate : float
        Highest rate; warmed up, then lowered along a cosine.
    dropped, dropped_rotation : float
        Chance that a variable, other than the fluence, is hidden from a whole window, or that one of a rotation ago
        is: against learning few years by heart, and so that a missing variable is nothing new.
    outage : float
        Chance that the last days of the flux, the solar wind, or an index are hidden, each on its own.
    shift : float
        Standard deviation, in dex, of a shift of all fluxes above 2 MeV of a sample, the days to forecast included:
        satellites differ by such factors, and the model must not know one by its level.
    seed : int
        Of weights, batches and all that is hidden.
    """

    inputs: str = "daily"
    members: int = 10
    blocks: int = 10
    hidden: int = 24
    epochs: float = 34.0
    least_steps: int = 400
    batch: int = 256
    learning_rate: float = 4e-3
    dropped: float = 0.25
    dropped_rotation: float = 0.3
    outage: float = 0.05
    shift: float = 0.3
    seed: int = 20180516
