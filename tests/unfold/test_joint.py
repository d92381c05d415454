"""Joint draws from quantiles at single energies, against distributions that are known in closed form."""

import numpy as np
import pytest

from particleflux.unfold.joint import draw_scores, from_scores, to_scores
from particleflux.unfold.npe_targets import LARGEST_SCORE
from particleflux.unfold.targets import QUANTILE_SIGMAS

SIGMAS = np.array(QUANTILE_SIGMAS)
#: A normal distribution of mean 3 and standard deviation 2, and one whose upper side is thrice as wide as the lower.
NORMAL = 3.0 + 2.0 * SIGMAS
SKEWED = np.where(SIGMAS < 0, 1.0, 3.0) * SIGMAS
QUANTILES = np.stack([NORMAL, SKEWED], axis=1)[None]


def test_quantiles_of_a_normal_distribution_give_it_back():
    """Where the quantiles are those of a normal distribution a score z is mean + z times its standard deviation."""
    scores = np.linspace(-4.0, 4.0, 17)[None, :, None] * np.ones(2)
    np.testing.assert_allclose(from_scores(QUANTILES, scores)[0, :, 0], 3.0 + 2.0 * scores[0, :, 0], atol=1e-12)
    np.testing.assert_allclose(to_scores(QUANTILES, 3.0 + 2.0 * scores[0])[:, 0], scores[0, :, 0], atol=1e-12)


def test_a_skewed_distribution_has_two_widths():
    """Below the median a score counts once, above it three times; the outermost pieces go on as they are."""
    scores = np.array([-4.0, -1.0, 0.0, 1.0, 4.0])[None, :, None] * np.ones(2)
    np.testing.assert_allclose(from_scores(QUANTILES, scores)[0, :, 1], [-4.0, -1.0, 0.0, 3.0, 12.0], atol=1e-12)


def test_the_quantiles_themselves_are_met():
    """At the scores of the five quantiles any increasing quantiles come out as they went in."""
    rng = np.random.default_rng(1)
    quantiles = np.sort(rng.normal(size=(40, 5, 3)), axis=1)
    scores = np.broadcast_to(SIGMAS[None, :, None], (40, 5, 3))
    np.testing.assert_allclose(from_scores(quantiles, scores), quantiles, atol=1e-12)
    for index in range(5):
        np.testing.assert_allclose(to_scores(quantiles, quantiles[:, index]), SIGMAS[index], atol=1e-9)


def test_one_is_the_inverse_of_the_other():
    """Values turned into scores and back are the same values, between the quantiles and beyond them."""
    rng = np.random.default_rng(2)
    quantiles = np.cumsum(rng.uniform(0.1, 1.0, (200, 5, 4)), axis=1)
    values = quantiles[:, 2] + rng.uniform(-1.0, 1.0, (200, 4)) * (quantiles[:, 4] - quantiles[:, 0])
    scores = to_scores(quantiles, values)
    inside = np.abs(scores) < LARGEST_SCORE
    assert inside.mean() > 0.9
    np.testing.assert_allclose(from_scores(quantiles, scores[:, None])[:, 0][inside], values[inside], atol=1e-9)


def test_scores_stay_finite():
    """A value far outside is held to the largest score; quantiles without any width give a number, not NaN."""
    assert to_scores(QUANTILES, np.array([[1e9, -1e9]])).tolist() == [[LARGEST_SCORE, -LARGEST_SCORE]]
    assert np.isfinite(to_scores(np.zeros((1, 5, 1)), np.array([[0.0]]))).all()


def test_draws_have_the_stated_correlation():
    """Loadings (0.8, 0) and (0.6, 0.8) give unit variances and a correlation of 0.48."""
    loadings = np.array([[[0.8, 0.0], [0.6, 0.8]]])
    draws = draw_scores(loadings, 200_000, seed=3)[0]
    np.testing.assert_allclose(draws.mean(axis=0), 0.0, atol=0.01)
    np.testing.assert_allclose(np.cov(draws.T), [[1.0, 0.48], [0.48, 1.0]], atol=0.01)


def test_without_loadings_the_targets_are_independent():
    """Loadings of zero leave each target its own numbers, of variance one."""
    draws = draw_scores(np.zeros((1, 3, 2)), 100_000, seed=4)[0]
    np.testing.assert_allclose(np.cov(draws.T), np.eye(3), atol=0.02)


def test_all_rows_get_the_same_numbers():
    """Equal loadings give equal draws in every row, whatever rows stand beside them; another seed gives others."""
    loadings = np.full((4, 2, 1), 0.5)
    draws = draw_scores(loadings, 7, seed=5)
    np.testing.assert_array_equal(draws, np.broadcast_to(draws[:1], draws.shape))
    np.testing.assert_array_equal(draws[0], draw_scores(loadings[:1], 7, seed=5)[0])
    assert (draws[0] != draw_scores(loadings[:1], 7, seed=6)[0]).all()


@pytest.mark.parametrize("n_samples", [0, 1])
def test_few_draws_have_their_shape(n_samples):
    """No draw and one draw have the shape that was asked for."""
    assert draw_scores(np.zeros((2, 3, 1)), n_samples, seed=0).shape == (2, n_samples, 3)
