"""What the form allows at most."""

import numpy as np
import pytest

from particleflux.errors import ArtefactError
from particleflux.spectra import RollingPowerLaw
from particleflux.unfold.limits import FormLimits

NODES = tuple(float(energy) for energy in np.geomspace(2.0, 200.0, 16))
LIMITS = FormLimits(NODES, (10.0, 100.0), 0.5, 100.0)


def quantiles_of(form: RollingPowerLaw) -> tuple[np.ndarray, np.ndarray]:
    """Give flux and integral flux of one spectrum, as five equal quantiles of one sample."""
    flux = np.log(form.flux(np.array(NODES)))
    integral = np.log(form.integral(np.array(LIMITS.thresholds), np.inf))
    return np.tile(flux, (1, 5, 1)), np.tile(integral, (1, 5, 1))


@pytest.mark.parametrize(("index", "rollover"), [(0.5, 100.0), (0.5, 1.0), (5.0, 100.0), (2.0, 20.0)])
def test_spectra_of_the_prior_keep_the_limits(index, rollover):
    """No spectrum of the prior is changed, the flattest least of all."""
    flux, integral = quantiles_of(RollingPowerLaw(3.0, index, rollover))
    kept, kept_integral, departure = LIMITS.keep(flux, integral)
    np.testing.assert_allclose(kept, flux, atol=1e-9)
    np.testing.assert_allclose(kept_integral, integral, atol=2e-3)
    assert departure.max() < 1e-9


def test_a_rising_bound_is_cut_and_told():
    """A bound that rises with energy is cut to the flattest spectrum; the departure says by how much it rose."""
    flux, integral = quantiles_of(RollingPowerLaw(3.0, 2.0, 20.0))
    flux[0, -1, 10:] = flux[0, -1, 9] + 5.0
    integral[0, -1] = 9.0
    kept, kept_integral, departure = LIMITS.keep(flux, integral)
    np.testing.assert_allclose(np.diff(kept[0, -1, 9:]), -0.5 * np.diff(np.log(NODES[9:])))
    np.testing.assert_array_equal(kept[0, :-1], flux[0, :-1])
    assert departure[0] == pytest.approx(5.0 + 0.5 * np.log(NODES[-1] / NODES[9]))
    flattest = RollingPowerLaw(1.0, 0.5, 100.0)
    ratio = flattest.integral(100.0, np.inf) / flattest.flux(100.0)
    at_100 = np.interp(np.log(100.0), np.log(NODES), kept[0, -1])
    assert kept_integral[0, -1, 1] == pytest.approx(at_100 + np.log(ratio), abs=0.01)


def test_a_card_without_prior_is_told():
    """A card that states no prior is one message."""
    with pytest.raises(ArtefactError, match="'m': its card lacks or misstates 'prior'"):
        FormLimits.of({"name": "m"})
