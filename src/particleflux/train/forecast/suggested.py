"""Inputs as the rank correlations of the training days suggest them."""

from __future__ import annotations

import xarray as xr

from particleflux.correlate import correlate, suggest
from particleflux.correlate.suggestion import FLUX
from particleflux.forecast.inputs import InputSpec
from particleflux.forecast.issue import FLUENCE

#: Offsets, days, that the suggestion looks at.
OFFSETS = range(1, 16)


def suggested_inputs(history: xr.Dataset) -> InputSpec:
    """Choose inputs and the number of days by the rule of `particleflux.correlate.suggest`.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        The training split only: NaN on all other days, which therefore have no say.

    Returns
    -------
    InputSpec
        The fluence, the drivers suggested with their daily extremes, over the days suggested; not fitted yet.

    Raises
    ------
    MissingDataError
        If there are too few days to correlate.
    """
    suggestion = suggest(correlate(history, offsets=OFFSETS))
    drivers = tuple(name for name in suggestion.inputs if name not in FLUX)
    extremes = tuple(f"{name}_{end}" for name in drivers for end in ("min", "max") if f"{name}_{end}" in history)
    rotation = (FLUENCE, *(name for name in drivers if name == "solar_wind_speed"))
    return InputSpec((FLUENCE, *drivers, *extremes), n_days=suggestion.n_days, rotation=rotation)
