from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from particleflux.errors import DataError, UnitError
from particleflux.magnetosphere import dynamic_pressure, standoff
from particleflux.names import require


def series(values: object, units: str | None = None) -> xr.DataArray:
    return xr.DataArray(values, dims="time", attrs={} if units is None else {"units": units})


def test_pressure_of_protons_and_of_alphas() -> None:
    """5 protons cm-3 at 400 km/s press with 1.338 nPa; 5 % alphas make it 1.2 times that."""
    density, speed = series([5.0]), series([400.0])
    protons = dynamic_pressure(density, speed)
    assert protons.data == pytest.approx([1.67262192e-27 * 5e6 * 4e5**2 * 1e9])
    np.testing.assert_allclose(dynamic_pressure(density, speed, alpha_ratio=0.05) / protons, 1.2)
    require(protons.to_dataset(), "solar_wind_pressure")


def test_standoff_has_the_published_form() -> None:
    """At Bz = -8.14 nT the hyperbolic tangent is 0: 10.22 Earth radii at 1 nPa, and 2^-1/6.6 of it at 2 nPa."""
    distance = standoff(series([-8.14, -8.14, 1e3]), series([1.0, 2.0, 1.0]))
    np.testing.assert_allclose(distance, [10.22, 10.22 * 2 ** (-1 / 6.6), 11.51], rtol=1e-12)
    require(distance.to_dataset(), "standoff")


def test_southward_field_and_pressure_push_it_inward() -> None:
    """Computed by hand: 10.25187 at Bz 0 and 2 nPa; less for a southward field."""
    distance = standoff(series([0.0, -10.0]), series([2.0, 2.0]))
    assert distance.data[0] == pytest.approx(10.251873, abs=1e-6)
    assert distance.data[1] < distance.data[0]


@pytest.mark.parametrize("pressure", [0.0, -1.0, np.nan, np.inf])
def test_impossible_pressure_has_no_distance(pressure: float) -> None:
    """A pressure of zero, below it, infinite or missing gives NaN."""
    assert np.isnan(standoff(series([1.0]), series([pressure]))).all()


def test_missing_stays_missing() -> None:
    """NaN of any input and a negative density give NaN."""
    assert np.isnan(standoff(series([np.nan]), series([2.0]))).all()
    assert np.isnan(dynamic_pressure(series([-1.0, np.nan, 5.0]), series([400.0, 400.0, np.nan]))).all()


def test_other_units_and_fractions_are_refused() -> None:
    """A stated unit that is not the one expected raises, and so does a fraction that is none."""
    with pytest.raises(UnitError, match="has units 'm s-1', expected 'km s-1' for the solar wind speed"):
        dynamic_pressure(series([5.0], "cm-3"), series([4e5], "m s-1"))
    with pytest.raises(UnitError, match="has units 'Pa', expected 'nPa'"):
        standoff(series([1.0], "nT"), series([2e-9], "Pa"))
    with pytest.raises(DataError, match="alpha_ratio=5: expected alpha particles per proton"):
        dynamic_pressure(series([5.0]), series([400.0]), alpha_ratio=5)


def test_real_standoff_agrees_with_the_published_column(shared_data) -> None:
    """The stand-off column beside the GOES-15 flux is this formula of the pressure and Bz beside it, to 1e-5."""
    folder = shared_data / "geo" / "goes15_hourly"
    read = {"header": None, "skipinitialspace": True, "index_col": 0}
    wind = pd.read_csv(folder / "solar_wind" / "2014-01-02.csv", **read).apply(pd.to_numeric, errors="coerce")
    flux = pd.read_csv(folder / "flux" / "2014-01-02.csv", **read).apply(pd.to_numeric, errors="coerce")
    wind, flux = wind.align(flux, join="inner", axis=0)
    density, pressure, speed, bz = (series(wind[column].to_numpy(float)) for column in (1, 2, 3, 7))
    published = flux[7].to_numpy(float)
    ratio = standoff(bz, pressure).to_numpy() / published
    known = np.isfinite(ratio)
    assert known.sum() > 1300
    assert np.quantile(np.abs(ratio[known] - 1), 0.99) < 1e-5
    # And the pressure there counts 5 % alpha particles, as that of OMNI does.
    protons = dynamic_pressure(density, speed, alpha_ratio=0.05).to_numpy()
    assert np.nanmedian(protons / pressure.to_numpy()) == pytest.approx(1, abs=0.01)
