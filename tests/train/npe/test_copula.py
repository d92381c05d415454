"""How the energies go together: the loss against the dense normal distribution, and what it learns."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from particleflux.errors import ArtefactError
from particleflux.train.network import hidden_to_output
from particleflux.train.npe.copula import LEAST_OWN, copula_loss, loadings_of, train_copula


def drawn(n: int = 12, n_targets: int = 5, n_factors: int = 2, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    raw = 2.0 * torch.randn(n, n_targets * n_factors, generator=generator, dtype=torch.float64)
    return raw, torch.randn(n, n_targets, generator=generator, dtype=torch.float64)


@pytest.fixture
def in_double():
    """Compute in double precision, the identity of the loss included."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def test_scores_have_unit_variance():
    """The diagonal of L L^T + D is one, D positive, however large the network's numbers are."""
    for factor in (0.0, 1.0, 1e3):
        loadings, own = loadings_of(factor * drawn()[0], 5)
        torch.testing.assert_close((loadings**2).sum(dim=-1) + own, torch.ones_like(own))
        assert (own >= 0.999 * LEAST_OWN).all()


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize("n_factors", [1, 2, 6])
def test_loss_equals_the_dense_normal_distribution(n_factors):
    """The loss is minus the mean log density of N(0, L L^T + D), relative to independent scores."""
    raw, scores = drawn(n_factors=n_factors)
    loadings, own = loadings_of(raw, 5)
    expected = []
    for row in range(len(raw)):
        covariance = (loadings[row] @ loadings[row].T + torch.diag(own[row])).numpy()
        value = scores[row].numpy()
        joint = stats.multivariate_normal(np.zeros(5), covariance).logpdf(value)
        expected.append(stats.norm.logpdf(value).sum() - joint)
    np.testing.assert_allclose(float(copula_loss(loadings, own, scores)), np.mean(expected), rtol=1e-9)


def test_independent_scores_cost_nothing():
    """Without loadings the loss is zero."""
    _, scores = drawn()
    loadings, own = loadings_of(torch.zeros(len(scores), 10, dtype=torch.float64), 5)
    assert abs(float(copula_loss(loadings.float(), own.float(), scores.float()))) < 1e-3


def test_training_finds_a_correlation(tiny_npe):
    """Of scores that share a known correlation, which a feature turns round, the trained network tells it."""
    rng = np.random.default_rng(0)
    n, rho = 4000, 0.8
    sign = rng.choice([-1.0, 1.0], size=n)
    first = rng.standard_normal(n)
    second = sign * rho * first + np.sqrt(1 - rho**2) * rng.standard_normal(n)
    features = np.stack([sign, rng.standard_normal(n)], axis=1).astype(np.float32)
    settings = dataclasses.replace(tiny_npe, copula_steps=400, copula_batch=256, copula_rate=1e-2)
    tensors, history = train_copula(features, np.stack([first, second], axis=1).astype(np.float32), settings)
    asked = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    loadings, _ = loadings_of(hidden_to_output(tensors, asked[None])[0], 2)
    found = (loadings[:, 0] * loadings[:, 1]).sum(dim=-1).numpy()
    np.testing.assert_allclose(found, [rho, -rho], atol=0.06)
    # The information that the correlation holds, in nats.
    assert history[-1][1] == pytest.approx(0.5 * np.log(1 - rho**2), abs=0.15)
    assert [step for step, _ in history] == [100, 200, 300, 400]


def test_training_repeats(tiny_npe):
    """The same samples and seed give the same weights."""
    rng = np.random.default_rng(1)
    features, scores = (rng.standard_normal((100, size)).astype(np.float32) for size in (3, 4))
    once, again = (train_copula(features, scores, tiny_npe)[0] for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


def test_scores_that_are_no_numbers_are_told(tiny_npe):
    """A loss that is no number is one message that says what to lower."""
    scores = np.full((50, 4), np.nan, dtype=np.float32)
    with pytest.raises(ArtefactError, match="train correlations: the loss is nan at step 1; lower copula_rate"):
        train_copula(np.zeros((50, 3), dtype=np.float32), scores, tiny_npe)
