"""Integral flux against closed forms."""

import astropy.units
import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, UnitError
from particleflux.names import attributes
from particleflux.products import S_LEVELS, integral_flux, s_scale

ENERGY = np.geomspace(5.0, 100.0, 12)


@pytest.mark.parametrize("index", [1.2, 2.0, 3.5])
@pytest.mark.parametrize("threshold", [5.0, 10.0, 61.7, 100.0, 250.0])
def test_power_law_has_its_closed_integral_up_to_one_gev(spectra, index, threshold):
    found = integral_flux(spectra(ENERGY, 3.0 * ENERGY**-index), (threshold,))
    slope = 1.0 - index
    expected = 3.0 * (threshold**slope - 1000.0**slope) / (index - 1.0)
    np.testing.assert_allclose(found["integral_flux"].item(), expected, rtol=1e-10)
    beyond = 3.0 * (max(threshold, 100.0) ** slope - 1000.0**slope) / (index - 1.0)
    np.testing.assert_allclose(found["extrapolated_share"].item(), beyond / expected, rtol=1e-9)


def test_spectrum_flatter_than_one_over_e_ends_with_its_last_energy(spectra):
    found = integral_flux(spectra(ENERGY, ENERGY**-0.5), (10.0,))
    np.testing.assert_allclose(found["integral_flux"].item(), 2.0 * (100.0**0.5 - 10.0**0.5), rtol=1e-10)
    assert found["extrapolated_share"].item() == 0.0


def test_net_flux_that_is_not_positive_is_a_straight_line(spectra):
    found = integral_flux(spectra([10.0, 20.0, 30.0], [1.0, -1.0, 0.0]), (10.0, 15.0))
    np.testing.assert_allclose(found["integral_flux"].to_numpy()[0], [0.0 - 5.0, -2.5 - 5.0])


def test_order_of_energies_does_not_matter(spectra):
    rows = spectra(ENERGY, 3.0 * ENERGY**-2.0)
    one, other = (integral_flux(each)["integral_flux"] for each in (rows, rows.isel(energy=slice(None, None, -1))))
    np.testing.assert_array_equal(one, other)


def test_missing_flux_gives_missing_integral(spectra):
    flux = np.stack([ENERGY**-2.0, ENERGY**-2.0])
    flux[1, 3] = np.nan
    found = integral_flux(spectra(ENERGY, flux))
    assert np.isfinite(found["integral_flux"][0]).all()
    assert np.isnan(found["integral_flux"][1]).all()


def test_draws_give_the_quantiles_of_their_integrals(spectra):
    scale = np.arange(1.0, 102.0)
    draws = scale[None, :, None] * (ENERGY**-2.0)[None, None, :]
    held = spectra(ENERGY, 50.0 * ENERGY**-2.0, flux_sample=draws)
    found = integral_flux(held, (10.0,))
    unit = 0.1 - 0.001
    for suffix, level in {"": 51.0, "_lower": 17.0, "_upper": 85.0, "_lower95": 3.5, "_upper95": 98.5}.items():
        np.testing.assert_allclose(found[f"integral_flux{suffix}"].item(), level * unit, rtol=1e-9)
    assert found["integral_flux_sample"].dims == ("time", "threshold", "sample")
    assert "joint draws" in found.attrs["integral_method"]


def test_integral_flux_of_the_spectra_is_used_where_the_threshold_is_held(spectra):
    held = spectra(ENERGY, ENERGY**-2.0)
    held["integral_flux"] = (("time", "threshold"), [[7.0]], attributes("integral_flux"))
    held = held.assign_coords(threshold=("threshold", [10.0], attributes("threshold")))
    found = integral_flux(held, (10.0, 30.0))
    assert found["integral_flux"].to_numpy()[0, 0] == 7.0
    np.testing.assert_allclose(found["integral_flux"].to_numpy()[0, 1], 1 / 30 - 1 / 1000)


def test_bounds_are_integrated_as_curves(spectra):
    flux = ENERGY**-2.0
    factors = {"_lower": 0.5, "_upper": 2.0, "_lower95": 0.25, "_upper95": 4.0}
    found = integral_flux(spectra(ENERGY, flux, **{f"flux{key}": factor * flux for key, factor in factors.items()}))
    for key, factor in factors.items():
        np.testing.assert_allclose(found[f"integral_flux{key}"], factor * found["integral_flux"], rtol=1e-12)


def test_standard_errors_add_in_quadrature_and_the_bound_is_not_negative(spectra):
    flux, error = np.array([1.0, 0.0, 1.0]), np.array([0.2, 0.0, 0.4])
    found = integral_flux(spectra([10.0, 20.0, 30.0], flux, flux_std=error), (10.0,))
    # Both segments are straight lines: the integral is 5 f1 + 10 f2 + 5 f3.
    np.testing.assert_allclose(found["integral_flux"].item(), 10.0)
    np.testing.assert_allclose(found["integral_flux_upper"].item() - 10.0, np.hypot(1.0, 2.0))
    wide = integral_flux(spectra([10.0, 20.0, 30.0], flux, flux_std=20 * error), (10.0,))
    assert wide["integral_flux_lower95"].item() == 0.0


def test_variables_carry_units_and_names(spectra):
    found = integral_flux(spectra(ENERGY, ENERGY**-2.0, flux_std=0.1 * ENERGY**-2.0))
    for name in found.data_vars:
        astropy.units.Unit(found[name].attrs["units"])
        assert found[name].attrs["long_name"]
    assert found["threshold"].to_numpy().tolist() == [10.0, 30.0, 50.0, 60.0, 100.0]


def test_thresholds_below_the_spectra_or_twice_are_refused(spectra):
    rows = spectra(ENERGY, ENERGY**-2.0)
    with pytest.raises(DataError, match="threshold 4 MeV: expected at least 5 MeV"):
        integral_flux(rows, (4.0,))
    with pytest.raises(DataError, match="each once"):
        integral_flux(rows, (10.0, 10.0))
    with pytest.raises(DataError, match="each once"):
        integral_flux(rows, ())


def test_spectra_without_two_energies_or_with_other_units_are_refused(spectra):
    with pytest.raises(AxisError, match="two or more"):
        integral_flux(spectra([10.0], [1.0]))
    with pytest.raises(AxisError, match="no variable 'flux'"):
        integral_flux(xr.Dataset())
    rows = spectra(ENERGY, ENERGY**-2.0)
    rows["flux"].attrs["units"] = "m-2"
    with pytest.raises(UnitError, match="m-2"):
        integral_flux(rows)


def test_levels_of_the_scale_begin_at_their_flux():
    assert s_scale(S_LEVELS).tolist() == [1, 2, 3, 4, 5]
    assert s_scale(np.nextafter(S_LEVELS, 0)).tolist() == [0, 1, 2, 3, 4]
    assert int(s_scale(float("nan"))) == -1
