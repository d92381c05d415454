"""The width of the intervals follows how well the method did lately, and only on days that were over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import ndtri

from particleflux.forecast import QUANTILES
from particleflux.forecast.recent import DAYS, FOLDING, TRUST, normal_scores, recent_stretch, rows_needed

Array = npt.NDArray[np.float64]


def rows(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


def factor(scores: list[float]) -> float:
    """Write the formula out, the latest score first."""
    weights = [np.exp(-age / FOLDING) for age in range(len(scores))]
    total = sum(weight * score**2 for weight, score in zip(weights, scores, strict=True))
    return float(np.sqrt((TRUST + total) / (TRUST + sum(weights))))


def test_scores_of_a_normal_forecast() -> None:
    """What lies z standard deviations from the mean of a normal forecast has the score z, but never beyond 3."""
    z = np.array([-9.0, -3.1, -2.9, -1.0, 0.0, 0.4, 2.0, 2.99, 3.5, 40.0])
    quantiles = 7.0 + 0.3 * ndtri(QUANTILES)
    scores = normal_scores(np.broadcast_to(quantiles, (10, 9)), 7.0 + 0.3 * z)
    np.testing.assert_allclose(scores, np.clip(z, -3, 3), atol=1e-9)


def test_scores_need_forecast_and_truth() -> None:
    """Without a forecast, or without what came, there is no score; leading dimensions are kept."""
    quantiles = np.broadcast_to(ndtri(QUANTILES), (2, 3, 9)).copy()
    quantiles[0, 1] = np.nan
    truth = np.zeros((2, 3))
    truth[1, 2] = np.nan
    expected = np.zeros((2, 3))
    expected[0, 1] = expected[1, 2] = np.nan
    np.testing.assert_allclose(normal_scores(quantiles, truth), expected, atol=1e-9)


def test_without_knowledge_nothing_changes() -> None:
    """The factor is 1 where no score is known, and before the first of the history."""
    np.testing.assert_array_equal(recent_stretch(np.full(300, np.nan), rows(-1, 0, 5, 250), 1), 1.0)
    np.testing.assert_array_equal(recent_stretch(np.full(1, np.nan), rows(-1), 3), 1.0)


@pytest.mark.parametrize("lead", [1, 2, 3])
def test_factor_is_the_formula(lead: int) -> None:
    """Closed form, with scores missing here and there, and fewer of them at the start of the history."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=400)
    scores[rng.random(400) < 0.3] = np.nan
    for row in (lead, 40, 230, 390):
        weights = np.exp(-np.arange(DAYS) / FOLDING)
        judged = row - lead - np.arange(DAYS)
        taken = np.where(judged >= 0, scores[np.maximum(judged, 0)], np.nan)
        known = np.isfinite(taken)
        total = (weights * taken**2)[known].sum()
        expected = np.sqrt((TRUST + total) / (TRUST + weights[known].sum()))
        np.testing.assert_allclose(recent_stretch(scores, rows(row), lead), [expected], rtol=1e-12)


def test_misses_widen_and_hits_narrow() -> None:
    """Scores of 1 leave the width; larger ones widen it, the more the more recent; small ones narrow it."""
    flat = np.ones(400)
    np.testing.assert_allclose(recent_stretch(flat, rows(300), 1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(recent_stretch(2 * flat, rows(300), 1), factor([2.0] * DAYS), rtol=1e-12)
    assert recent_stretch(2 * flat, rows(300), 1)[0] > 1.5
    assert recent_stretch(0 * flat, rows(300), 1)[0] < 0.7
    one_miss = [np.where(np.arange(400) == day, 3.0, 1.0) for day in (299, 250, 130)]
    latest, older, oldest = (recent_stretch(scores, rows(300), 1)[0] for scores in one_miss)
    assert latest > older > oldest > 1.0


@pytest.mark.parametrize("lead", [1, 2, 3])
def test_only_days_that_were_over_enter(lead: int) -> None:
    """The latest score is that of the forecast issued `lead` days earlier; later ones, and old ones, change nothing."""
    row = 250
    rng = np.random.default_rng(3)
    scores = rng.normal(size=400)
    expected = recent_stretch(scores, rows(row), lead)
    spoiled = scores.copy()
    spoiled[row - lead + 1 :] = 1e9
    spoiled[: row - lead - DAYS + 1] = 1e9
    assert recent_stretch(spoiled, rows(row), lead).tobytes() == expected.tobytes()
    assert recent_stretch(scores[: row - lead + 1], rows(row), lead).tobytes() == expected.tobytes()
    for last in (row - lead, row - lead - DAYS + 1):
        spoiled = scores.copy()
        spoiled[last] = np.nan
        assert recent_stretch(spoiled, rows(row), lead)[0] != expected[0]


def test_rows_do_not_depend_on_their_neighbours() -> None:
    """Asked for together or alone, a factor is the same to the bit."""
    scores = np.random.default_rng(3).normal(size=400)
    scores[::7] = np.nan
    asked = np.random.default_rng(5).permutation(400)
    together = recent_stretch(scores, asked, 2)
    for number in range(0, 400, 17):
        assert recent_stretch(scores, asked[number : number + 1], 2).tobytes() == together[number].tobytes()


def test_rows_needed_are_the_answer_and_what_is_judged() -> None:
    """The last day itself, and those of 180 forecasts of each lead; none before the history but one asked for."""
    np.testing.assert_array_equal(rows_needed(rows(1000), (1, 2, 3)), np.arange(1000 - 2 - DAYS, 1001))
    expected = [*range(1000 - 2 - DAYS, 1000 - 2), 1000]
    np.testing.assert_array_equal(rows_needed(rows(1000), (3,)), expected)
    np.testing.assert_array_equal(rows_needed(rows(-1), (1, 2, 3)), [-1])
    np.testing.assert_array_equal(rows_needed(rows(-1, 2), (1, 2, 3)), [-1, 0, 1, 2])
    np.testing.assert_array_equal(rows_needed(rows(4, 2, 4), (1, 2, 3)), [0, 1, 2, 3, 4])


def test_rows_needed_are_all_that_is_read() -> None:
    """Scores of other days change no factor of any lead."""
    asked = rows(30, 250, 251, 390)
    scores = np.random.default_rng(3).normal(size=400)
    spoiled = np.full(400, 1e9)
    needed = rows_needed(asked, (1, 2, 3))
    spoiled[needed] = scores[needed]
    for lead in (1, 2, 3):
        np.testing.assert_array_equal(recent_stretch(spoiled, asked, lead), recent_stretch(scores, asked, lead))
