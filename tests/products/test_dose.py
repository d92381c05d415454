"""Dose behind aluminium against the slowing-down of protons computed here, and what must be refused."""

import importlib

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.names import Quality
from particleflux.products import dose, dose_behind_aluminium

ENERGY = np.geomspace(5.0, 300.0, 40)
DEPTHS = (2.0, 4.0, 8.0, 15.0)
MEV_PER_GRAM_IN_RAD = 1.602177e-8


@pytest.fixture(scope="module")
def _spacepy():
    try:
        importlib.import_module("spacepy.irbempy").Shieldose2()
    except (ImportError, OSError) as error:
        pytest.skip(f"spacepy's library IRBEM cannot be used here: {error}")


def stopping_power(energy, excitation, z_over_a):
    """Bethe's formula without shell and density terms, MeV cm2/g (Particle Data Group, Review, eq. 34.5)."""
    proton, electron = 938.272, 0.510999
    gamma = 1 + energy / proton
    beta2 = 1 - gamma**-2
    highest = 2 * electron * beta2 * gamma**2 / (1 + 2 * gamma * electron / proton + (electron / proton) ** 2)
    logarithm = 0.5 * np.log(2 * electron * beta2 * gamma**2 * highest / excitation**2)
    return 0.307075 * z_over_a / beta2 * (logarithm - beta2)


def straight_ahead(energy, fluence, depth):
    """Dose at the centre of a sphere of aluminium, protons slowing down along straight lines; rad."""
    grid = np.linspace(0.5, 400.0, 40_000)
    inverse = 1 / stopping_power(grid, 166e-6, 13 / 26.9815)
    reach = np.concatenate([[0.0], np.cumsum(0.5 * (inverse[1:] + inverse[:-1]) * np.diff(grid))]) + 0.001
    fine = np.geomspace(energy[0], energy[-1], 20_001)
    values = np.exp(np.interp(np.log(fine), np.log(energy), np.log(fluence)))
    left = np.interp(np.interp(fine, grid, reach) - 0.27 * depth, reach, grid, left=0.0)
    power = np.where(left > 0.5, stopping_power(np.maximum(left, 0.5), 173e-6, 14 / 28.0855), 0.0)
    product = values * power
    return float((0.5 * (product[1:] + product[:-1]) * np.diff(fine)).sum() * MEV_PER_GRAM_IN_RAD)


@pytest.mark.usefixtures("_spacepy")
@pytest.mark.parametrize("index", [2.0, 3.0])
def test_dose_in_a_sphere_is_that_of_protons_slowing_down(spectra, index):
    rows = spectra(ENERGY, 100.0 * ENERGY**-index, exposure=[3600.0])
    found = dose_behind_aluminium(rows, DEPTHS, nuclear="none", highest_energy=300.0)
    fluence = 4 * np.pi * 3600.0 * 100.0 * ENERGY**-index
    np.testing.assert_allclose(found["fluence"], fluence, rtol=1e-12)
    expected = [straight_ahead(ENERGY, fluence, depth) for depth in DEPTHS]
    # Straggling and secondary electrons, which the formula leaves out, are of this order.
    np.testing.assert_allclose(found["dose"], expected, rtol=0.07)


@pytest.mark.usefixtures("_spacepy")
def test_dose_is_linear_in_flux_and_time_and_units_agree(spectra):
    one = dose_behind_aluminium(spectra(ENERGY, ENERGY**-2.5, exposure=[900.0]), DEPTHS)
    more = dose_behind_aluminium(spectra(ENERGY, [5 * ENERGY**-2.5] * 3, exposure=[900.0] * 3), DEPTHS)
    np.testing.assert_allclose(more["dose"], 15 * one["dose"], rtol=1e-9)
    np.testing.assert_allclose(one["dose_gray"], 0.01 * one["dose"])
    assert one["dose"].attrs["units"] == "rad"


@pytest.mark.usefixtures("_spacepy")
def test_protons_that_stop_in_the_shield_give_no_dose(spectra):
    energy = np.geomspace(5.0, 20.0, 20)  # 20 MeV reach 2.2 mm
    rows = spectra(energy, np.ones(20), exposure=[900.0])
    found = dose_behind_aluminium(rows, (1.0, 5.0), highest_energy=20.0, nuclear="none")
    assert found["dose"][0] > 0
    assert found["dose"][1] < 1e-3 * found["dose"][0]


@pytest.mark.usefixtures("_spacepy")
def test_none_of_the_example_spectra_of_spacepy_is_in_the_dose(spectra):
    found = dose_behind_aluminium(spectra(ENERGY, np.full(40, 1e-25), exposure=[1.0]), DEPTHS)
    assert (found["dose"] < 1e-25).all()
    nothing = dose_behind_aluminium(spectra(ENERGY, np.zeros(40), exposure=[1.0]), DEPTHS)
    assert (nothing["dose"] == 0).all()


@pytest.mark.usefixtures("_spacepy")
def test_geometries_are_in_the_order_physics_demands(spectra):
    rows = spectra(ENERGY, ENERGY**-2.5, exposure=[900.0])
    sphere, slab = (dose_behind_aluminium(rows, DEPTHS, geometry=name)["dose"] for name in ("sphere", "slab"))
    assert (sphere > 2 * slab).all()  # from all sides, and none on a slant


@pytest.mark.usefixtures("_spacepy")
def test_depth_asked_for_alone_has_the_dose_it_has_among_others(spectra):
    rows = spectra(ENERGY, ENERGY**-2.5, exposure=[900.0])
    alone = dose_behind_aluminium(rows, (4.0,))["dose"].item()
    np.testing.assert_allclose(alone, dose_behind_aluminium(rows, DEPTHS)["dose"][1], rtol=1e-3)


@pytest.mark.usefixtures("_spacepy")
def test_draws_and_bounds_give_intervals(spectra):
    flux, factors = ENERGY**-2.5, np.linspace(0.5, 1.5, 21)
    drawn = spectra(ENERGY, flux, exposure=[900.0], flux_sample=factors[None, :, None] * flux)
    found = dose_behind_aluminium(drawn, DEPTHS)
    np.testing.assert_allclose(found["dose_lower"], 0.66 * found["dose"], rtol=1e-6)
    bounds = {f"flux{key}": f * flux for key, f in {"_lower": 0.5, "_upper": 2, "_lower95": 0.1, "_upper95": 3}.items()}
    found = dose_behind_aluminium(spectra(ENERGY, flux, exposure=[900.0], **bounds), DEPTHS)
    np.testing.assert_allclose(found["dose_upper95"], 3 * found["dose"], rtol=1e-9)


@pytest.mark.usefixtures("_spacepy")
def test_missing_samples_are_left_out_or_filled_with_the_mean(spectra):
    flux = np.stack([ENERGY**-2.5] * 4)
    flux[1] = np.nan
    rows = spectra(ENERGY, flux)  # no exposure: the step of time
    three, four = (dose_behind_aluminium(rows, DEPTHS, interpolate_gaps=fill) for fill in (False, True))
    assert (three.attrs["n_samples"], three.attrs["measured_time"]) == (3, 2700.0)
    np.testing.assert_allclose(four["dose"], 4 / 3 * three["dose"])


@pytest.mark.usefixtures("_spacepy")
def test_limits_count_in_the_upper_ends_only_and_doubtful_samples_not_at_all(spectra):
    flux = np.stack([ENERGY**-2.5] * 4)
    quality = [0, int(Quality.BELOW_DETECTION), int(Quality.EXTRAPOLATED), 0]
    one = dose_behind_aluminium(spectra(ENERGY, flux[:1], exposure=[900.0]), DEPTHS)["dose"]
    bounds = {f"flux{key}": flux for key in ("_lower", "_upper", "_lower95", "_upper95")}
    for more in (bounds, {"flux_sample": np.stack([flux] * 3, axis=1)}):
        rows = spectra(ENERGY, flux, quality=quality, **more).assign(assessment=("time", [0, 5, 4, 3]))
        found = dose_behind_aluminium(rows, DEPTHS)
        for name in ("dose", "dose_lower", "dose_lower95"):
            np.testing.assert_allclose(found[name], one, rtol=1e-9)
        np.testing.assert_allclose(found["dose_upper95"], 2 * one, rtol=1e-9)
        assert (found.attrs["limit_share"], found.attrs["doubtful_share"]) == (0.25, 0.5)


@pytest.mark.usefixtures("_spacepy")
def test_share_from_above_the_last_energy_is_told(spectra):
    low = ENERGY[ENERGY < 60]
    found = dose_behind_aluminium(spectra(low, low**-2.0, exposure=[900.0]), (1.0, 30.0))
    assert found["extrapolated_share"][0] < 0.3
    assert found["extrapolated_share"][1] > 0.9  # 30 mm stop 88 MeV


def test_settings_that_cannot_be_used_are_refused(spectra):
    rows = spectra(ENERGY, ENERGY**-2.5)
    for settings, words in (
        ({"depths": ()}, "depths: found"),
        ({"depths": (2.0, 1.0)}, "rising thicknesses"),
        ({"depths": (0.0, 1.0)}, "above 0 mm"),
        ({"depths": (0.001, 50.0)}, "at most four decades"),
        ({"geometry": "cube"}, "geometry: found 'cube'"),
        ({"nuclear": "all"}, "nuclear: found 'all'"),
        ({"highest_energy": 100.0}, "expected 300, where the spectra end"),
    ):
        with pytest.raises(DataError, match=words):
            dose_behind_aluminium(rows, **settings)
    with pytest.raises(DataError, match="'electron', expected 'proton'"):
        dose_behind_aluminium(rows.assign_attrs(species="electron"))
    with pytest.raises(AxisError, match="no variable 'flux'"):
        dose_behind_aluminium(rows.drop_vars("flux"))


def test_spectra_without_time_or_without_any_flux_are_refused(spectra):
    with pytest.raises(MissingDataError, match="without `exposure`"):
        dose_behind_aluminium(spectra(ENERGY, ENERGY**-2.5))
    with pytest.raises(MissingDataError, match="no whole spectrum in 2 samples"):
        dose_behind_aluminium(spectra(ENERGY, np.full((2, 40), np.nan)))


def test_missing_spacepy_is_said_with_what_to_install(spectra, monkeypatch):
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(dose.importlib, "import_module", absent)
    with pytest.raises(MissingDataError, match=r"particleflux\[dose\]"):
        dose_behind_aluminium(spectra(ENERGY, ENERGY**-2.5, exposure=[1.0]))
