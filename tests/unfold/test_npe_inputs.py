"""What the networks of npe read, by numbers one can check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from particleflux.features import COUNT_CAP
from particleflux.unfold.npe_inputs import npe_feature_names, npe_features
from particleflux.unfold.observation import Observation

CHANNELS = ("A", "B")
NAMES = npe_feature_names(CHANNELS)


def observation(counts: object, background: object = 0.0, **more: object) -> Observation:
    """Give samples of two channels; errors are 0 and all channels are read unless stated."""
    number = np.atleast_2d(np.asarray(counts, dtype=float))
    values = {
        "background": background, "background_error": 0.0, "background_common": 0.0, "response_error": 0.0,
        "is_read": True,
    } | more  # fmt: skip
    whole = {name: np.array(np.broadcast_to(value, number.shape)) for name, value in values.items()}
    exposure = whole.pop("exposure", np.full(number.shape, 60.0))[:, 0]
    return Observation(counts=number, exposure=exposure, **whole)


def feature(given: Observation, name: str) -> np.ndarray:
    return npe_features(given)[0][:, NAMES.index(name)]


def test_names_match_the_columns():
    """Every column has a name, and no name stands twice."""
    features, _ = npe_features(observation([1.0, 2.0]))
    assert features.shape == (1, len(NAMES))
    assert len(set(NAMES)) == len(NAMES)


def test_without_background_the_signal_is_one_more_than_the_count():
    """The positive root of s^2 - n s - (n + 1) = 0 is n + 1: the scale and the shares follow."""
    given = observation([0.0, 9.0])
    _, log_scale = npe_features(given)
    np.testing.assert_allclose(np.exp(log_scale), [11.0])
    np.testing.assert_allclose(
        np.exp([feature(given, "log share A")[0], feature(given, "log share B")[0]]), [1 / 11, 10 / 11]
    )
    np.testing.assert_allclose(feature(given, "log total"), np.log(11.0))
    # Relative error of B: the root of n + 1 = 10, over 10.
    np.testing.assert_allclose(feature(given, "log relative error B"), np.log(np.sqrt(10.0) / 10.0))


def test_a_negative_net_count_keeps_a_positive_signal():
    """90 counts over 100 expected: the positive root of s^2 + 10 s - 91 = 0, written so that no digits are lost."""
    given = observation([[90.0, 1e3], [0.0, 1e3]], [[100.0, 0.0], [1e9, 0.0]])
    features, log_scale = npe_features(given)
    signal = np.exp(features[:, NAMES.index("log share A")] + features[:, -1])
    np.testing.assert_allclose(signal[0], -5.0 + np.sqrt(25.0 + 91.0), rtol=1e-12)
    # variance 1 over a net count of -1e9
    np.testing.assert_allclose(signal[1], 1e-9, rtol=1e-6)
    assert np.isfinite(features).all()
    assert np.isfinite(log_scale).all()


def test_significance_is_the_net_count_over_its_error():
    """124 counts over 100 expected with 10 % of error: 24 over the root of 124 + 1 + 100 is 1.6."""
    given = observation([124.0, 1.0], [100.0, 0.0], background_error=[0.1, 0.0])
    np.testing.assert_allclose(np.sinh(feature(given, "significance A")), 1.6)


def test_errors_are_read_as_logarithms_and_shares():
    """Relative errors enter by their logarithm above half a percent; of a background error the common share."""
    given = observation(
        [50.0, 50.0], 10.0, background_error=[0.2, 0.0], background_common=[0.1, 0.0], response_error=0.045
    )
    np.testing.assert_allclose(np.exp(feature(given, "log background error A")), 0.205)
    np.testing.assert_allclose(np.exp(feature(given, "log response error B")), 0.05)
    assert feature(given, "common share A")[0] == pytest.approx(0.5)
    assert feature(given, "common share B")[0] == 0.0


def test_the_response_error_widens_the_relative_error():
    """999 counts have a signal of 1000; 10 % of it in quadrature with the root of 1000."""
    given = observation([999.0, 0.0], response_error=0.1)
    np.testing.assert_allclose(np.exp(feature(given, "log relative error A")), np.sqrt(1000.0 + 100.0**2) / 1000.0)


def test_the_exposure_does_not_matter():
    """The same counts over the same expected background are the same features, however long they took."""
    short = observation([50.0, 7.0], 10.0, exposure=60.0)
    for one, other in zip(
        npe_features(short), npe_features(replace(short, exposure=short.exposure * 1440)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_channel_that_is_not_read_says_nothing():
    """Whatever stands in a channel that is not read, its columns are 0 and no other changes."""
    is_read = [True, False]
    empty = observation([50.0, 0.0], [10.0, 0.0], is_read=is_read)
    full = observation(
        [50.0, 40.0], [10.0, 20.0], is_read=is_read, background_error=[0.0, 0.2], response_error=[0.0, 0.3]
    )
    features, log_scale = npe_features(full)
    for index, name in enumerate(NAMES[:-1]):
        assert (features[0, index] == 0.0) or name.endswith("A"), name
    np.testing.assert_array_equal(features, npe_features(empty)[0])
    np.testing.assert_array_equal(log_scale, npe_features(empty)[1])
    assert features[0, NAMES.index("read A")] == 1.0


def test_beyond_the_cap_only_the_scale_grows():
    """A hundredfold of counts beyond the cap gives the same features in a hundredfold unit."""
    near = observation([10 * COUNT_CAP, COUNT_CAP], 0.01 * COUNT_CAP)
    far = observation(near.counts * 100, near.background * 100)
    np.testing.assert_allclose(npe_features(far)[0], npe_features(near)[0], rtol=1e-12)
    np.testing.assert_allclose(npe_features(far)[1] - npe_features(near)[1], np.log(100.0))


@pytest.mark.parametrize("counts", [[0.0, 0.0], [1e15, 0.0], [1e15, 1e15]])
@pytest.mark.parametrize("background", [0.0, 1e-6, 1e12])
def test_features_are_finite_whatever_was_counted(counts, background):
    """No counts and no limit to them give finite features."""
    features, log_scale = npe_features(observation(counts, background, background_error=0.3, response_error=0.2))
    assert np.isfinite(features).all()
    assert np.isfinite(log_scale).all()
