"""The likelihood that the classical methods share, against distributions that others wrote."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from particleflux.unfold.likelihood import channel_log_likelihood, expectation, log_likelihood
from particleflux.unfold.observation import Observation

COUNTS = np.array([0.0, 1.0, 7.0, 150.0, 40_000.0, 3_000_000.0])
MEANS = np.array([0.3, 2.0, 5.0, 170.0, 41_000.0, 3_010_000.0])


def make_observation(**changes) -> Observation:
    """Give one sample of three channels without errors, but for the changes."""
    row = {
        "counts": [12.0, 30.0, 4.0],
        "background": [5.0, 20.0, 3.0],
        "background_error": [0.0, 0.0, 0.0],
        "background_common": [0.0, 0.0, 0.0],
        "response_error": [0.0, 0.0, 0.0],
    } | changes
    arrays = {name: np.array([values]) for name, values in row.items()}
    return Observation(**({"is_read": np.ones((1, 3), bool), "exposure": np.ones(1)} | arrays))


def test_without_errors_it_is_the_poisson_distribution():
    """A mean known exactly gives scipy's Poisson distribution."""
    found = channel_log_likelihood(COUNTS, MEANS, np.zeros(6)) - gammaln(COUNTS + 1)
    np.testing.assert_allclose(found, stats.poisson.logpmf(COUNTS, MEANS), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("error", [0.005, 0.05, 0.3])
def test_with_errors_it_is_the_negative_binomial(error):
    """A mean of relative error e gives scipy's negative binomial of n = 1 / e^2, for few counts and for millions."""
    variance = (error * MEANS) ** 2
    r = 1.0 / error**2
    known = variance > 1e-4 * MEANS
    found = channel_log_likelihood(COUNTS, MEANS, variance) - gammaln(COUNTS + 1)
    exact = stats.nbinom.logpmf(COUNTS, r, r / (r + MEANS))
    np.testing.assert_allclose(found[known], exact[known], rtol=1e-8, atol=1e-5)


def test_a_negligible_error_joins_the_poisson_distribution_without_a_step():
    """Where one form of the formula takes over from the other, the likelihood does not jump."""
    for mean in (2.0, 200.0, 2e5):
        low, high = (
            channel_log_likelihood(mean + np.sqrt(mean), np.array(mean), np.array(v * mean)) for v in (9e-5, 1.1e-4)
        )
        assert abs(float(low - high)) < 2e-4


def test_all_errors_together_are_the_integral_over_them():
    """The common error by quadrature and the own ones in closed form equal a plain average over draws of all."""
    errors = {"background_error": [0.3, 0.2, 0.1], "background_common": [0.2, 0.2, 0.0]}
    observation = make_observation(response_error=[0.15, 0.0, 0.1], **errors)
    signal = np.array([[6.0, 9.0, 2.0]])
    rng = np.random.default_rng(0)
    n = 400_000
    y = rng.standard_normal((n, 1))
    drift = observation.background_common * y
    own = (observation.response_error * signal) ** 2 + (observation.background_own * observation.background) ** 2
    mean = signal + observation.background * (1.0 + drift)
    # Gamma distributed means of that variance, as the closed form has it; a channel without an own error has none.
    shape = mean**2 / np.maximum(own, 1e-12)
    mean = np.where(own > 0, rng.gamma(shape, mean / shape), mean)
    plain = np.log(np.exp(stats.poisson.logpmf(observation.counts, mean).sum(axis=1)).mean())
    found = log_likelihood(signal, observation) - gammaln(observation.counts + 1).sum()
    np.testing.assert_allclose(found, plain, atol=0.01)


def test_channels_that_are_not_read_count_for_nothing():
    """The likelihood of two channels is that of three with one left out."""
    observation = make_observation(is_read=[True, False, True])
    signal = np.array([[[6.0, 9.0, 2.0], [6.0, 900.0, 2.0]]])
    found = log_likelihood(signal, observation)
    assert found.shape == (1, 2)
    assert found[0, 0] == found[0, 1]
    mean = np.array([11.0, 5.0])
    expected = stats.poisson.logpmf([12, 4], mean).sum() + gammaln([13, 5]).sum()
    np.testing.assert_allclose(found[0, 0], expected)


def test_a_level_moves_the_background_and_never_turns_it_off():
    """A common error of 10 % at two standard deviations is 20 % more background; at -20, a twentieth is left."""
    observation = make_observation(background_error=[0.1, 0.1, 0.1], background_common=[0.1, 0.1, 0.1])
    mean, variance = expectation(np.zeros((1, 3)), observation, np.array([2.0]))
    np.testing.assert_allclose(mean, 1.2 * observation.background)
    np.testing.assert_allclose(variance, 0.0)
    mean, _ = expectation(np.zeros((1, 3)), observation, np.array([-20.0]))
    np.testing.assert_allclose(mean, 0.05 * observation.background)
