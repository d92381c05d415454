from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, UnitError
from particleflux.verify import check_forecast
from particleflux.verify.checks import lead_days

Make = Callable[..., xr.Dataset]
LOG = np.full(10, 7.5)


def test_a_forecast_passes(make_forecast: Make) -> None:
    """What a method makes passes, also without what is optional, and with gaps."""
    forecast = make_forecast(LOG, leads=(1, 2, 3))
    check_forecast(forecast)
    forecast["fluence_gt2mev"][3] = np.nan
    check_forecast(forecast[["fluence_gt2mev"]])


def test_lead_times_as_numbers_of_days(make_forecast: Make) -> None:
    """Lead times may be numbers with the unit d, as a table would hold them."""
    forecast = make_forecast(LOG, leads=(2, 1))
    assert lead_days(forecast).tolist() == [2, 1]
    numbers = forecast.assign_coords(lead_time=("lead_time", [2.0, 1.0], {"units": "d"}))
    assert lead_days(numbers).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda f: f.drop_vars("fluence_gt2mev"), AxisError, "x: no variable 'fluence_gt2mev'"),
        (lambda f: f.isel(lead_time=0), AxisError, r"dimensions \('init_time', 'quantile'\)"),
        (lambda f: f.drop_vars("quantile"), AxisError, "expected .* with labels"),
        (lambda f: f.assign_coords(init_time=np.arange(10.0)), AxisError, "init_time is of type float64"),
        (lambda f: f.isel(init_time=[0, 1, 1]), AxisError, "holds 2008-01-02T00:00 2 times"),
        (lambda f: f.assign_coords(lead_time=[1, 2]), AxisError, "expected whole days from 1 on"),
        (lambda f: f.assign_coords(lead_time=f.lead_time / 2), AxisError, "expected whole days from 1 on"),
        (lambda f: f.sel(quantile=[0.25, 0.75]), AxisError, r"holds \[0\.25, 0\.75\]; expected .*0\.5 among them"),
        (lambda f: f.isel(quantile=slice(None, None, -1)), AxisError, "in rising order"),
        (lambda f: f.assign_coords(quantile=[str(q) for q in range(9)]), DataError, "'quantile' is of type <U1"),
        (lambda f: f.drop_vars("threshold"), AxisError, "no coordinate 'threshold'"),
        (lambda f: f.assign(probability=f.probability[0]), AxisError, "'probability' has dimensions"),
        (lambda f: f.assign(probability=f.probability * 100), DataError, "expected numbers from 0 to 1"),
        (lambda f: f.assign(fluence_gt2mev=f.fluence_gt2mev * 0), DataError, r"holds 0 \(180 values\).*above 0"),
        (lambda f: f.assign(fluence_gt2mev_mean=f.fluence_gt2mev_mean * np.inf), DataError, "holds inf"),
    ],
)  # fmt: skip
def test_what_is_no_forecast_is_refused(
    change: Callable[[xr.Dataset], xr.Dataset], kind: type[Exception], message: str, make_forecast: Make
) -> None:
    """Each thing that a forecast must be has a message, with the name of the file in front."""
    with xr.set_options(keep_attrs=True):
        changed = change(make_forecast(LOG, leads=(1, 2)))
    with pytest.raises(kind, match=message):
        check_forecast(changed, "x")


def test_wrong_units_are_refused(make_forecast: Make) -> None:
    """A flux in place of a fluence is refused, for the quantiles and for the mean."""
    for name in ("fluence_gt2mev", "fluence_gt2mev_mean"):
        forecast = make_forecast(LOG)
        forecast[name].attrs["units"] = "cm-2 s-1 sr-1"
        with pytest.raises(UnitError, match=f"'{name}' has units 'cm-2 s-1 sr-1', expected 'cm-2 sr-1 d-1'"):
            check_forecast(forecast)
