"""History -> the daily fluence of the coming days, as quantiles: one protocol, several methods."""

from __future__ import annotations

from particleflux.forecast.autoregressive import Autoregressive
from particleflux.forecast.climatology import Climatology
from particleflux.forecast.distribution import LEADS, QUANTILES, THRESHOLDS, as_forecast, exceedance, interpolate
from particleflux.forecast.persistence import Persistence
from particleflux.forecast.protocol import FittedForecaster, Forecaster
from particleflux.forecast.recurrence import Recurrence

__all__ = [
    "BASELINES",
    "LEADS",
    "QUANTILES",
    "THRESHOLDS",
    "Autoregressive",
    "Climatology",
    "FittedForecaster",
    "Forecaster",
    "Persistence",
    "Recurrence",
    "as_forecast",
    "exceedance",
    "interpolate",
]

#: Methods that are fitted to a history in a moment, by name.
BASELINES: dict[str, type[Persistence | Recurrence | Climatology | Autoregressive]] = {
    method.name: method for method in (Persistence, Recurrence, Climatology, Autoregressive)
}
