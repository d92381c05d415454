"""Spectral forms against closed forms and against scipy's quadrature."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from particleflux._integrals import exponential_integral
from particleflux.errors import DataError
from particleflux.instruments import load_instrument
from particleflux.spectra import FORMS, Band, DoublePowerLaw, PowerLaw, RollingPowerLaw, Weibull

# form, energy, flux there, limits, integral between them: worked out by hand.
CLOSED_FORMS = [
    (PowerLaw(100.0, 2.0), 10.0, 1.0, (10.0, math.inf), 10.0),
    (PowerLaw(3.0, 1.0), 6.0, 0.5, (1.0, math.e), 3.0),
    (PowerLaw(2.0, 3.0, reference_energy=10.0), 20.0, 0.25, (10.0, 20.0), 7.5),
    (RollingPowerLaw(2.0, 0.0, 5.0), 5.0, 2.0 / math.e, (5.0, math.inf), 10.0 / math.e),
    (RollingPowerLaw(1.0, -1.0, 1.0), 2.0, 2.0 * math.exp(-2.0), (1.0, math.inf), 2.0 / math.e),
    (RollingPowerLaw(1.0, 1.0, 1.0), 1.0, 1.0 / math.e, (1.0, math.inf), 0.21938393439552029),
    (Band(1.0, 1.0, 3.0, 5.0), 20.0, 1e2 * math.exp(-2.0) / 20.0**3, (10.0, math.inf), 0.5 * math.exp(-2.0)),
    (Band(1.0, 0.0, 2.0, 5.0), 5.0, 1.0 / math.e, (5.0, 10.0), 5.0 * (math.exp(-1.0) - math.exp(-2.0))),
    (DoublePowerLaw(1.0, 0.0, 2.0, 1.0, 2.0), 1.0, 1.0, (1.0, math.inf), 2.0 * math.pi / 4.0),
    (Weibull(2.0, 1.0, 4.0), 4.0, 2.0 / math.e, (4.0, math.inf), 8.0 / math.e),
    (Weibull(1.0, 0.5, 4.0), 16.0, 0.25 * math.exp(-2.0), (4.0, 16.0), 4.0 * (math.exp(-1.0) - math.exp(-2.0))),
]
ONE_OF_EACH = [
    PowerLaw(3.0, 2.7),
    RollingPowerLaw(5.0, 1.3, 12.0),
    Band(5.0, 1.1, 3.9, 9.0),
    DoublePowerLaw(1e3, 1.2, 5.0, 30.0, 3.73, 0.1),
    Weibull(40.0, 0.6, 2.0),
]


def name_of(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize(("form", "energy", "flux", "limits", "integral"), CLOSED_FORMS)
def test_closed_forms(form, energy, flux, limits, integral):
    """Flux and integral of every form equal values worked out by hand."""
    np.testing.assert_allclose(form.flux(energy), flux, rtol=1e-13)
    np.testing.assert_allclose(form.integral(*limits), integral, rtol=1e-12)


@pytest.mark.parametrize("form", ONE_OF_EACH, ids=name_of)
@pytest.mark.parametrize(("lower", "upper"), [(0.01, 300.0), (5.0, 5.1), (3.0, 40.0), (100.0, 101.0)])
def test_integral_is_the_integral_of_the_flux(form, lower, upper):
    """The integral equals scipy's adaptive quadrature of the flux, over wide and narrow intervals."""
    expected, _ = integrate.quad(
        lambda x: float(form.flux(np.exp(x))) * np.exp(x),
        np.log(lower),
        np.log(upper),
        epsabs=0,
        epsrel=1e-11,
        limit=400,
    )
    np.testing.assert_allclose(form.integral(lower, upper), expected, rtol=1e-10)


@pytest.mark.parametrize("form", ONE_OF_EACH, ids=name_of)
def test_integral_to_infinity_is_the_limit(form):
    """The integral above an energy equals the integral to an energy where the rest is negligible."""
    np.testing.assert_allclose(form.integral(10.0, math.inf), form.integral(10.0, 1e9), rtol=1e-10)


@pytest.mark.parametrize("form", ONE_OF_EACH, ids=name_of)
def test_integrals_add(form):
    """Integrals over adjoining intervals add up."""
    parts = form.integral([1.0, 7.0], [7.0, 90.0]).sum()
    np.testing.assert_allclose(parts, form.integral(1.0, 90.0), rtol=1e-12)


@pytest.mark.parametrize("form", ONE_OF_EACH, ids=name_of)
def test_bin_mean_on_the_response_grid(form):
    """Over every bin of the response across which the flux falls by less than e^2, bin_mean is good to 1e-6."""
    response = load_instrument("radem").response()
    lower, upper = response.energy_lower, response.energy_upper
    mild = form.flux(lower) < math.e**2 * form.flux(upper)
    assert mild.sum() > 200
    expected = form.integral(lower, upper) / (upper - lower)
    np.testing.assert_allclose(form.bin_mean(lower, upper)[mild], expected[mild], rtol=1e-6)


@pytest.mark.parametrize("form", ONE_OF_EACH, ids=name_of)
def test_many_spectra_at_once_equal_one_by_one(form):
    """Parameters of shape (n, 1) give row by row what single numbers give."""
    factor = np.array([[1.0], [1.1], [1.3]])
    fields = vars(form)
    many = type(form)(**{name: value * factor for name, value in fields.items()})
    energy = np.array([0.7, 3.0, 11.0, 80.0])
    for row, scale in enumerate(factor[:, 0]):
        single = type(form)(**{name: value * scale for name, value in fields.items()})
        np.testing.assert_allclose(many.flux(energy)[row], single.flux(energy), rtol=1e-14)
        np.testing.assert_allclose(
            many.integral(energy, 2 * energy)[row], single.integral(energy, 2 * energy), rtol=1e-12
        )
        np.testing.assert_allclose(
            many.bin_mean(energy, 1.02 * energy)[row], single.bin_mean(energy, 1.02 * energy), rtol=1e-13
        )


def test_band_is_smooth_at_the_transition():
    """Value and slope of the Band form are continuous where its two laws meet."""
    form, transition, step = Band(5.0, 1.1, 3.9, 9.0), 2.8 * 9.0, 1e-6
    below, at, above = form.flux(transition * np.exp([-step, 0.0, step]))
    np.testing.assert_allclose(np.log(at / below), np.log(above / at), rtol=1e-5)
    np.testing.assert_allclose(np.log(above / at) / step, -3.9, rtol=1e-5)


def test_double_power_law_has_its_two_slopes():
    """Far below and above the break, the logarithmic slopes are the two indices."""
    form = DoublePowerLaw(1.0, 1.2, 5.0, 30.0, 3.0)
    for energy, index in ((1e-3, 1.2), (1e6, 5.0)):
        np.testing.assert_allclose(np.log(form.flux(energy) / form.flux(energy * np.e)), index, rtol=1e-9)


@given(order=st.floats(-8.0, 12.0), argument=st.floats(1e-4, 50.0))
def test_exponential_integral_of_any_order(order, argument):
    """The generalised exponential integral equals quadrature of its definition."""
    # t = 1 + u / x puts the decay at a scale of one.
    expected, _ = integrate.quad(
        lambda y: np.exp(y - argument * np.expm1(y) - argument - order * y), 0.0, np.log1p(120.0 / argument), epsabs=0,
        epsrel=1e-11, limit=400,
    )  # fmt: skip
    np.testing.assert_allclose(exponential_integral(order, argument), expected, rtol=1e-9)


@pytest.mark.parametrize("order", [1.0, 1.0 + 1e-12, 1.0 - 1e-12, 2.0, 2.0 + 1e-9, 3.0])
@pytest.mark.parametrize("argument", [1e-6, 0.3, 0.999999, 1.0, 7.0])
def test_exponential_integral_near_whole_orders(order, argument):
    """Around whole orders, where the textbook series cancels, all digits stay."""
    from scipy.special import expn

    np.testing.assert_allclose(exponential_integral(order, argument), expn(round(order), argument), rtol=1e-7)
    if order == round(order):
        np.testing.assert_allclose(exponential_integral(order, argument), expn(int(order), argument), rtol=1e-13)


def test_divergent_integral_is_infinite():
    """A power law that falls no faster than 1/E has an infinite integral, not a plausible number."""
    assert np.isinf(PowerLaw(1.0, 1.0).integral(1.0, math.inf))
    assert np.isinf(DoublePowerLaw(1.0, 0.1, 0.9, 5.0).integral(1.0, math.inf))


def test_registry_holds_every_form():
    """The registry names the five forms."""
    assert set(FORMS.values()) == {PowerLaw, RollingPowerLaw, Band, DoublePowerLaw, Weibull}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PowerLaw(0.0, 2.0), "PowerLaw: intensity reaches 0, expected a number above 0"),
        (lambda: PowerLaw(1.0, math.nan), "spectral_index is not finite"),
        (lambda: RollingPowerLaw(1.0, 2.0, np.array([[1.0], [-3.0]])), "rollover_energy reaches -3"),
        (lambda: Band(1.0, 3.0, 2.0, 5.0), "Band: spectral_index_low is not below"),
        (lambda: DoublePowerLaw(1.0, 2.0, 2.0, 5.0), "DoublePowerLaw: spectral_index_low is not below"),
        (lambda: Weibull(1.0, -0.5, 5.0), "shape reaches -0.5"),
        (lambda: PowerLaw(1.0, 2.0).flux([1.0, 0.0]), "energy is not above 0 MeV"),
        (lambda: PowerLaw(1.0, 2.0).integral(0.0, 1.0), "lower limit is not a finite energy above 0"),
        (lambda: PowerLaw(1.0, 2.0).integral(2.0, 1.0), "upper limit lies below its lower limit"),
        (lambda: PowerLaw(1.0, 2.0).bin_mean(1.0, 1.0), "infinite or has no width"),
        (lambda: PowerLaw(1.0, 2.0).bin_mean(1.0, math.inf), "infinite or has no width"),
    ],
)
def test_refusals(make, message):
    """Impossible parameters and limits are refused by name."""
    with pytest.raises(DataError, match=message):
        make()
