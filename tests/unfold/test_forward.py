"""The fast forward model against the exact one."""

import numpy as np
import pytest

from particleflux.errors import DataError
from particleflux.response import Response
from particleflux.simulate import MIXTURE_PARAMETERS
from particleflux.simulate.draw import make_form
from particleflux.spectra import FORMS
from particleflux.unfold._forward import Forward

THRESHOLDS = (5.0, 10.0, 30.0, 60.0, 100.0)


@pytest.fixture(scope="module")
def forward(radem) -> Forward:
    return Forward(radem.response("proton").select(list(radem.reads["proton"])))


def draw(forward: Forward, family: str, n: int = 300) -> np.ndarray:
    """Give unit coordinates, all corners of the cube among them."""
    size = forward.n_parameters(family)
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * size)).reshape(size, -1).T
    return np.concatenate([corners, np.random.default_rng(0).random((n, size))])


@pytest.mark.parametrize("family", FORMS)
def test_rates_are_those_of_the_response(forward, family):
    """Every form, at the corners of its range and inside, folds to within 1e-3 of the exact folding."""
    unit = draw(forward, family)
    exact = forward.response.fold_form(make_form(family, np.ones(len(unit)), forward.to_parameters(family, unit)))
    np.testing.assert_allclose(np.exp(forward.log_rate(family, unit)), exact, rtol=1e-3)


@pytest.mark.parametrize("family", FORMS)
def test_fluxes_and_integrals_are_those_of_the_form(forward, family):
    """Fluxes are exact to rounding, integral fluxes to 1e-3."""
    unit = draw(forward, family)
    form = make_form(family, np.ones(len(unit)), forward.to_parameters(family, unit))
    energies = np.geomspace(1.0, 1000.0, 13)
    np.testing.assert_allclose(forward.log_flux(family, unit, energies), np.log(form.flux(energies)), atol=1e-9)
    exact = form.integral(np.array(THRESHOLDS), np.inf)
    np.testing.assert_allclose(np.exp(forward.log_integral(family, unit, THRESHOLDS)), exact, rtol=1e-3)


def test_thresholds_may_come_in_any_order(forward):
    """Each integral depends on its own threshold alone; no threshold gives no column."""
    unit = draw(forward, "band", 5)
    ordered = forward.log_integral("band", unit, THRESHOLDS)
    np.testing.assert_allclose(forward.log_integral("band", unit, THRESHOLDS[::-1]), ordered[:, ::-1], atol=1e-3)
    np.testing.assert_allclose(forward.log_integral("band", unit, (30.0,)), ordered[:, [2]], atol=1e-3)
    assert forward.log_integral("band", unit, ()).shape == (len(unit), 0)


def test_a_response_of_one_bin_is_a_closed_form():
    """A flat factor of 2 cm2 sr from 1 to 3 MeV counts 2 (1 - 1/3) of a power law of index 2."""
    forward = Forward(Response.from_arrays(["A"], [1.0, 3.0], [[2.0]]))
    unit = np.array([[(2.0 - 1.5) / (7.0 - 1.5)]])
    np.testing.assert_allclose(np.exp(forward.log_rate("power-law", unit)), [[4.0 / 3.0]], rtol=1e-3)


def test_a_first_bin_may_start_at_zero():
    """A bin that starts at no energy is folded over what is above a thousandth of it."""
    forward = Forward(Response.from_arrays(["A"], [0.0, 1.0, 10.0], [[0.0, 1.0]]))
    lowest = Forward(Response.from_arrays(["A"], [0.0, 1.0], [[1.0]]))
    unit = np.array([[0.0, 1.0]])
    assert np.isfinite(forward.log_rate("rolling-power-law", unit)).all()
    # Index 0 and a rollover of 300 MeV: the flux is 1 but for a part in 600.
    np.testing.assert_allclose(np.exp(lowest.log_rate("rolling-power-law", unit)), [[1.0]], rtol=4e-3)


def test_unit_coordinates_are_those_of_the_prior(forward):
    """0 and 1 are the ends of the ranges, and 1/2 the middle, geometric where the range is logarithmic."""
    found = forward.to_parameters("rolling-power-law", np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]))
    ranges = MIXTURE_PARAMETERS["rolling-power-law"]
    for name, middle in (("spectral_index", np.mean), ("rollover_energy", lambda pair: np.sqrt(np.prod(pair)))):
        ends = np.array([ranges[name].low, ranges[name].high])
        np.testing.assert_allclose(found[name], [ends[0], middle(ends), ends[1]])


def test_what_is_unknown_is_refused(forward):
    """A form without ranges, and rows that do not fit, are named."""
    with pytest.raises(DataError, match="no ranges for the spectral form 'line': expected one of"):
        forward.n_parameters("line")
    with pytest.raises(DataError, match=r"band: unit coordinates of shape \(2, 2\), expected \(m, 3\)"):
        forward.log_rate("band", np.zeros((2, 2)))
