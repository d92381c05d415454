"""Features of counts: the rule that chooses bins, finite numbers at every extreme, and the scaler."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from particleflux.features import COUNT_CAP, BinRule, Measurement, Scaler, count_features, feature_names

RULE = BinRule((("A", "B"), ("A", "B", "C"), ("A", "B", "C", "D")), threshold_sigma=3.0)


def measured(counts, background=0.0, background_error=0.0, response_error=0.0) -> Measurement:
    counts = np.atleast_2d(np.asarray(counts, dtype=float))
    level = np.broadcast_to(np.asarray(background, dtype=float), counts.shape)
    error = np.broadcast_to(np.asarray(background_error, dtype=float), counts.shape)
    return Measurement(counts, level, error, np.full(len(counts), response_error))


@pytest.mark.parametrize(
    ("counts", "chosen"),
    [
        ([100, 100, 130, 130], 0),  # a channel rises above its background, not at 3 sigma
        ([100, 100, 131, 130], 1),
        ([100, 100, 131, 131], 2),
        ([100, 100, 100, 900], 0),  # the last channel alone opens nothing
        ([900, 900, 100, 100], 0),  # the first channels are always read
        ([0, 0, 0, 0], 0),
    ],
)
def test_rule_adds_a_bin_where_it_rises_by_three_sigma(counts, chosen):
    """With a background of 100 counts the threshold is 130, and sets grow one channel at a time."""
    assert RULE.choose(measured(counts, 100.0)).tolist() == [chosen]


def test_rule_counts_the_error_of_the_background():
    """A background known to 20 % raises the threshold to 3 sqrt(100 + 20^2) above it."""
    rises = 100 + 3 * np.sqrt(500)
    counts = [[100, 100, rises - 0.1, 0], [100, 100, rises + 0.1, 0]]
    assert RULE.choose(measured(counts, 100.0, 0.2)).tolist() == [0, 1]


def test_rule_reads_the_channels_of_the_largest_set():
    """The columns of a measurement are the channels of the largest set."""
    assert RULE.channels == ("A", "B", "C", "D")


@settings(deadline=None)
@given(
    counts=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 4.2e9)), min_size=4, max_size=4),
    background=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 1e9)), min_size=4, max_size=4),
    error=st.floats(0.0, 0.3),
    response_error=st.floats(0.0, 0.2),
)
def test_features_are_finite(counts, background, error, response_error):
    """Zero counts, no background, huge counts and counts far below their background all give finite features."""
    sample = measured(counts, background, error, response_error)
    for index in range(3):
        features, log_scale = count_features(sample, RULE, index)
        assert features.shape == (1, len(feature_names(RULE, index)))
        assert np.isfinite(features).all()
        assert np.isfinite(log_scale).all()


@pytest.mark.parametrize("background", [0.0, 3.0, 1e4])
def test_more_counts_are_more_signal(background):
    """The total signal rises with the counts, from zero through the background to far above it."""
    counts = np.repeat(np.arange(0.0, 3e4, 7.0)[:, None], 4, axis=1)
    _, log_scale = count_features(measured(counts, background, 0.1), RULE, 2)
    assert (np.diff(log_scale) > 0).all()


def test_bright_signal_is_the_net_count():
    """Where the signal is significant the total is counts minus background, to the fraction 1 / counts."""
    _, log_scale = count_features(measured([1e6, 2e6, 3e6, 4e6], 1e5), RULE, 2)
    np.testing.assert_allclose(np.exp(log_scale), 1e7 - 4e5, rtol=1e-5)


@pytest.mark.parametrize("factor", [2.0, 37.0])
def test_counts_above_the_cap_only_change_the_scale(factor):
    """Above the cap, counts and background times a factor give the same features and a scale times the factor."""
    counts = np.array([COUNT_CAP, 0.3 * COUNT_CAP, 0.1 * COUNT_CAP, 0.01 * COUNT_CAP])
    base, base_scale = count_features(measured(counts, 1e4, 0.1, 0.05), RULE, 0)
    many, many_scale = count_features(measured(factor * counts, factor * 1e4, 0.1, 0.05), RULE, 0)
    np.testing.assert_allclose(many, base, rtol=1e-9)
    np.testing.assert_allclose(many_scale - base_scale, np.log(factor), rtol=1e-9)


def test_channels_that_are_not_read_enter_by_their_margin_only():
    """The counts of an unread channel change nothing; its background does, through the margin it stayed below."""
    base, _ = count_features(measured([50, 40, 3, 2], 2.0), RULE, 0)
    other, _ = count_features(measured([50, 40, 1, 0], 2.0), RULE, 0)
    np.testing.assert_array_equal(base, other)
    raised, _ = count_features(measured([50, 40, 3, 2], [2.0, 2.0, 9.0, 2.0]), RULE, 0)
    assert np.flatnonzero((raised != base)[0]).tolist() == [feature_names(RULE, 0).index("log margin C")]


def test_uncertainty_knows_the_response():
    """An error of the response raises the relative errors and its own feature, nothing else."""
    names = feature_names(RULE, 2)
    base, _ = count_features(measured([5e4, 4e4, 3e4, 2e4]), RULE, 2)
    wide, _ = count_features(measured([5e4, 4e4, 3e4, 2e4], response_error=0.1), RULE, 2)
    changed = {names[column] for column in np.flatnonzero((wide != base)[0])}
    assert changed == {"log response error", *(f"log relative error {channel}" for channel in "ABCD")}
    np.testing.assert_allclose(np.exp(wide[0, names.index("log relative error A")]), 0.1, rtol=0.01)


def test_measurement_rows():
    """Rows are taken from every field alike."""
    sample = measured([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], 1.0)
    part = sample[np.array([2, 0])]
    assert len(part) == 2
    assert part.counts[:, 0].tolist() == [9.0, 1.0]
    assert all(len(getattr(part, field.name)) == 2 for field in dataclasses.fields(part))


def test_scaler_standardises_what_it_was_fitted_to():
    """The fitted split comes out with mean 0 and standard deviation 1; a constant feature passes unscaled."""
    features = np.random.default_rng(0).normal([3.0, -2.0, 7.0], [2.0, 0.1, 0.0], (500, 3))
    scaled = Scaler.fit(features).transform(features)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), [1.0, 1.0, 0.0], atol=1e-12)


def test_outside_is_told_by_any_feature():
    """A sample is outside if one feature is beyond the fitted range by more than a tenth of its deviation."""
    features = np.random.default_rng(0).normal(size=(200, 2))
    scaler = Scaler.fit(features)
    low, high = np.array(scaler.lowest), np.array(scaler.highest)
    inside = np.stack([low, high, low - 0.09, high + 0.09])
    beyond = np.array([[low[0] - 0.11, 0.0], [0.0, high[1] + 0.11]])
    assert not scaler.is_outside(inside).any()
    assert scaler.is_outside(beyond).all()
    assert not scaler.is_outside(beyond, tolerance=0.2).any()
    assert not scaler.is_outside(scaler.transform(features)).any()
