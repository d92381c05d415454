"""The inside of regularised unfolding: folding, steps, chi-square, the choice of the strength, and factors."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from particleflux.simulate import Mixture, Population
from particleflux.spectra import Band, RollingPowerLaw
from particleflux.unfold._multiplicative import iterate
from particleflux.unfold._smooth_draws import weighted_quantiles
from particleflux.unfold._strength import solve_path
from particleflux.unfold._tikhonov import SmoothPrior, chi_square, covariance, solve
from particleflux.unfold.detector import Detector
from particleflux.unfold.observation import Observation

SPECTRA = RollingPowerLaw(
    intensity=np.array([[1e5], [1e5], [1e5]]),
    spectral_index=np.array([[1.5], [2.5], [3.0]]),
    rollover_energy=np.array([[50.0], [40.0], [100.0]]),
)
PDH = tuple(f"PDH{number}" for number in range(1, 9))


@pytest.fixture(scope="module")
def prior(radem) -> SmoothPrior:
    return SmoothPrior(Detector.of_instrument(radem).response, 2.0, 600.0)


def observation(mean: np.ndarray, background: float = 0.0, error: float = 0.0) -> Observation:
    zero = np.zeros_like(mean)
    is_read = np.ones(mean.shape, dtype=bool)
    return Observation(mean, zero + background, zero, zero, zero + error, is_read, np.ones(len(mean)))


def simulated(radem, n: int, seed: int) -> tuple[Observation, np.ndarray]:
    """Give observations of the mixture, and their true signal counts."""
    response = radem.response("proton", 1).select(PDH)
    source = Mixture((Population(response, "PDH1"),), radem.quiet_rate)
    draw = source.draw(n, np.random.default_rng(seed), energies=[(10.0,)], thresholds=[(10.0,)])
    seen = Observation(
        draw.counts, draw.background, draw.background_error, draw.background_common, draw.response_error,
        np.ones(draw.counts.shape, dtype=bool), draw.exposure,
    )  # fmt: skip
    return seen, draw.signal[:, 0]


def test_the_discrepancy_is_the_number_of_channels(prior, radem):
    """Where the strength lies between its limits, chi-square is the number of channels; at its largest it is below."""
    bent = Band(
        intensity=np.full((40, 1), 3e4),
        spectral_index_low=np.full((40, 1), 0.3),
        spectral_index_high=np.full((40, 1), 6.0),
        rollover_energy=np.full((40, 1), 5.0),
    )
    mean = 900.0 * prior.response.fold_form(bent).values + 20.0
    counts = np.random.default_rng(3).poisson(mean).astype(float)
    exact = dataclasses.replace(observation(counts, background=20.0), exposure=np.full(40, 900.0))
    strengths = np.geomspace(30.0, 1e-3, 8)
    solution = solve_path(prior, exact, strengths, "discrepancy")
    inside = (solution.strength < 29.9) & (solution.chi2 < 9.0)
    assert solution.converged.all()
    assert inside.sum() >= 10
    np.testing.assert_allclose(solution.chi2[inside], 8.0, atol=0.5)
    at_most = solution.strength > 29.9
    assert (solution.chi2[at_most] <= 8.0 + 1e-9).all()


def test_the_l_curve_smooths_a_bent_spectrum_less(prior):
    """At the corner of the L-curve, the strength lies inside the path for most bent spectra seen with noise."""
    bent = Band(
        intensity=np.full((20, 1), 3e4),
        spectral_index_low=np.full((20, 1), 0.3),
        spectral_index_high=np.full((20, 1), 6.0),
        rollover_energy=np.full((20, 1), 5.0),
    )
    counts = np.random.default_rng(4).poisson(900.0 * prior.response.fold_form(bent).values).astype(float)
    seen = dataclasses.replace(observation(counts), exposure=np.full(20, 900.0))
    strengths = np.geomspace(1e3, 1e-3, 10)
    solution = solve_path(prior, seen, strengths, "l-curve")
    assert ((solution.strength < 999.0) & (solution.strength > 1.1e-3)).mean() > 0.5


def test_the_step_is_the_minimum(prior):
    """No small change of the knots lowers chi-square at the V found, plus smoothing and free terms."""
    rate = prior.response.fold_form(SPECTRA).values
    seen = observation(rate * 900.0, background=50.0, error=0.05)
    seen = dataclasses.replace(seen, counts=seen.counts + 60.0, exposure=np.full(3, 900.0))
    mean = prior.mean(seen)
    found, converged = solve(prior, seen, mean, prior.start(seen), np.full(3, 10.0))
    assert converged.all()
    errors = covariance(prior.fold(found, seen)[1], seen)
    free, bent = prior.covariances
    inverse = np.linalg.inv(free + 10.0 * bent)

    def cost(log_flux: np.ndarray) -> np.ndarray:
        residual = seen.counts - seen.background - prior.fold(log_flux, seen)[1]
        away = log_flux - mean
        chi2 = (residual * np.linalg.solve(errors, residual[..., None])[..., 0]).sum(axis=1)
        return chi2 + ((away @ inverse) * away).sum(axis=1)

    rng = np.random.default_rng(0)
    # Changes as the prior allows them: others cost so much that they test nothing.
    changes = rng.multivariate_normal(np.zeros(len(free)), free + 10.0 * bent, size=30)
    for change in changes:
        assert (cost(found + 0.03 * change) > cost(found) - 1e-6).all()
        assert (cost(found - 0.03 * change) > cost(found) - 1e-6).all()


def test_chi_square_has_the_covariance_of_all_errors(prior):
    """The closed form of chi-square and determinant is that of the whole matrix."""
    rng = np.random.default_rng(1)
    seen = observation(rng.uniform(50.0, 100.0, (5, 8)), background=30.0, error=0.1)
    seen = dataclasses.replace(
        seen, background_error=np.full((5, 8), 0.2), background_common=rng.uniform(0.0, 0.2, (5, 8))
    )
    signal = rng.uniform(10.0, 60.0, (5, 8))
    matrix = covariance(signal, seen)
    residual = seen.counts - 30.0 - signal
    expected = (residual * np.linalg.solve(matrix, residual[..., None])[..., 0]).sum(axis=1)
    found, log_determinant = chi_square(signal, seen)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(log_determinant, np.linalg.slogdet(matrix)[1])


def test_the_jacobian_is_the_derivative(prior):
    """Finite differences of the folding agree with it."""
    seen = observation(np.ones((1, 8)))
    here = -2.5 * prior.distance[None]
    flux, signal = prior.fold(here, seen)
    jacobian = prior.jacobian(flux, seen)[0]
    for knot in (0, 8, 15, 31):
        moved = here.copy()
        moved[0, knot] += 1e-6
        np.testing.assert_allclose(
            (prior.fold(moved, seen)[1] - signal)[0] / 1e-6, jacobian[:, knot], rtol=1e-4, atol=1e-9
        )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_what_the_differences_leave_free_costs_nothing(prior, order):
    """Polynomials of ln E below the order have no differences, and the free basis spans them."""
    prior = dataclasses.replace(prior, order=order)
    bent, free = prior.basis
    np.testing.assert_allclose(prior.differences @ free, 0.0, atol=1e-8)
    np.testing.assert_allclose(prior.differences @ bent, np.eye(32 - order), atol=1e-7)
    powers = prior.distance[:, None] ** np.arange(order)
    fitted = free @ np.linalg.lstsq(free, powers, rcond=None)[0]
    np.testing.assert_allclose(fitted, powers, atol=1e-8)


def test_factors_bring_chi_square_down(prior, radem):
    """MLEM and GRAVEL never end above the chi-square of the power law, and mostly at the number of channels."""
    seen, _ = simulated(radem, 400, 7)
    for algorithm in ("mlem", "gravel"):
        found = iterate(prior, seen, algorithm)
        start, _ = chi_square(prior.fold(found.power_law, seen)[1], seen)
        assert (found.chi2 <= start * (1 + 1e-6)).all()
        assert (found.chi2 <= 8.0).mean() > 0.6


def test_weighted_quantiles_of_equal_weights_are_the_usual():
    """With equal weights they are those of Hazen's rule."""
    values = np.random.default_rng(0).standard_normal((2, 101, 3))
    weight = np.full((2, 101), 1 / 101)
    found = weighted_quantiles(values, weight, (0.025, 0.5, 0.84))
    expected = np.quantile(values, (0.025, 0.5, 0.84), axis=1, method="hazen").transpose(1, 0, 2)
    np.testing.assert_allclose(found, expected)


def test_chi_square_of_the_truth_is_distributed_so(radem):
    """Chi-square of the true signal has the mean of its distribution, 8, where counts are many."""
    seen, signal = simulated(radem, 4000, 5)
    chi2, _ = chi_square(signal, seen)
    many = (seen.counts > 50).all(axis=1)
    assert abs(chi2[many].mean() - 8.0) < 0.3
    assert abs((stats.chi2.sf(chi2[many], 8) < 0.05).mean() - 0.05) < 0.03
