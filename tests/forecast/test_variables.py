"""Variables of a history as numbers: checked, logarithms where they span decades, NaN where missing."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, UnitError
from particleflux.forecast.variables import read_variable
from particleflux.names import attributes

FLUENCE = "fluence_gt2mev"
SPEED = "solar_wind_speed"


def made() -> xr.Dataset:
    variables = {
        FLUENCE: ("time", np.full(9, 1e7), attributes(FLUENCE)),
        SPEED: ("time", np.full(9, 400.0), attributes(SPEED)),
        f"{SPEED}_hourly": (("time", "hour"), np.full((9, 24), 400.0), attributes(SPEED)),
    }
    return xr.Dataset(variables)


def test_absent_variables_are_missing() -> None:
    """What the history does not hold is NaN, by the day or by the hour."""
    for name, shape in (("kp", (9,)), ("kp_min", (9,)), ("kp_hourly", (9, 24)), ("kp|dst", (9,))):
        values = read_variable(made(), name)
        assert values.shape == shape
        assert np.isnan(values).all()


def test_alternatives_take_each_other_s_place() -> None:
    """a|b is a where a is known, b where it is not, and missing where neither is; a third one goes on alike."""
    kp = np.array([1.0, np.nan, np.nan, np.nan])
    dst = np.array([10.0, 20.0, np.nan, np.nan])
    ap = np.array([100.0, 200.0, 300.0, np.nan])
    history = xr.Dataset()
    for name, values in (("kp", kp), ("dst", dst), ("ap", ap)):
        history[name] = ("time", values, attributes(name))
    np.testing.assert_array_equal(read_variable(history, "kp|dst"), [1, 20, np.nan, np.nan])
    np.testing.assert_array_equal(read_variable(history, "kp|dst|ap"), [1, 20, 300, np.nan])
    np.testing.assert_array_equal(read_variable(history.drop_vars("dst"), "kp|dst"), kp)
    np.testing.assert_array_equal(read_variable(history.drop_vars("kp"), "kp|dst"), dst)


def test_logarithms_of_what_has_none() -> None:
    """No flux of zero or less; an index or a density of zero is its least; what may be negative is read as it is."""
    values = np.array([0.0, -1.0, np.inf, -np.inf, np.nan, 100.0])
    names = (FLUENCE, "solar_wind_density", "solar_wind_pressure", "ae", "bz_gsm", "bz_gsm_min")
    history = xr.Dataset()
    for name in names:
        history[name] = ("time", values, attributes(name.removesuffix("_min")))
    table = np.array([read_variable(history, name) for name in names])
    nan = np.nan
    expected = [
        [nan, nan, nan, nan, nan, 2],
        [np.log10(0.05), nan, nan, nan, nan, 2],
        [np.log10(0.02), nan, nan, nan, nan, 2],
        [0, nan, nan, nan, nan, 2],
        [0, -1, nan, nan, nan, 100],
        [0, -1, nan, nan, nan, 100],
    ]
    np.testing.assert_allclose(table, expected)


def test_wrong_units_and_dimensions_raise() -> None:
    """A variable that is there must be of its unit and dimensions."""
    history = made()
    wrong = history.assign({SPEED: history[SPEED].assign_attrs(units="m s-1")})
    with pytest.raises(UnitError, match=r"'solar_wind_speed' has units 'm s-1', expected 'km s-1'; convert it"):
        read_variable(wrong, SPEED)
    bare = history.assign({FLUENCE: ("time", np.ones(9))})
    with pytest.raises(UnitError, match=r"'fluence_gt2mev' has units None, expected 'cm-2 sr-1 d-1'"):
        read_variable(bare, FLUENCE)
    hourly = history.assign({SPEED: history[f"{SPEED}_hourly"]})
    with pytest.raises(AxisError, match=r"'solar_wind_speed' has dimensions \('time', 'hour'\), expected \('time',\)"):
        read_variable(hourly, SPEED)
    turned = history.assign({f"{SPEED}_hourly": history[f"{SPEED}_hourly"].transpose()})
    with pytest.raises(AxisError, match=r"'solar_wind_speed_hourly' has dimensions \('hour', 'time'\)"):
        read_variable(turned, f"{SPEED}_hourly")
    with pytest.raises(AxisError, match=r"'solar_wind_speed_hourly' has 23 hours a day, expected 24"):
        read_variable(history.isel(hour=slice(23)), f"{SPEED}_hourly")
