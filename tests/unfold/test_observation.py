"""What is taken out of counts and background before a method reads them, by numbers one can check by hand."""

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, UnitError
from particleflux.names import UNUSABLE, Quality, attributes
from particleflux.response import Response
from particleflux.spectra import PowerLaw
from particleflux.unfold.detector import Detector
from particleflux.unfold.observation import Observation, observe

CHANNELS = ("A", "B", "C", "D")
TIMES = np.datetime64("2024-03-10", "ns") + np.arange(3) * np.timedelta64(15, "m")
BAD = 1  # the row that a test spoils


def counts_of(values: object = 400.0, *, exposure: object = 100.0, quality: object = 0) -> xr.Dataset:
    """Give three samples of four channels."""
    return xr.Dataset(
        {
            "counts": (("time", "channel"), np.array(np.broadcast_to(values, (3, 4)), float), attributes("counts")),
            "exposure": ("time", np.array(np.broadcast_to(exposure, 3), float), attributes("exposure")),
            "quality": ("time", np.array(np.broadcast_to(quality, 3), np.int32), attributes("quality")),
        },
        coords={"time": TIMES, "channel": list(CHANNELS)},
    )


def background_of(rate: object = 1.0, std: object = 0.1, **more: object) -> xr.Dataset:
    """Give a background of the channels; `more` are variables (time) or, of a rate, (channel)."""
    named = {"background_rate": rate, "background_rate_std": std}
    variables = {
        name: ("channel", np.array(np.broadcast_to(values, 4), float), attributes(name))
        for name, values in named.items()
    }
    result = xr.Dataset(variables, coords={"channel": list(CHANNELS), "time": TIMES})
    for name, values in more.items():
        dim = "channel" if name.endswith("std") else "time"
        result[name] = (dim, np.asarray(values), {"units": "s-1" if dim == "channel" else "1"})
    return result


def look(counts: xr.Dataset, background: xr.Dataset, **settings: object) -> tuple[Observation, np.ndarray]:
    defaults: dict = {"configurations": None, "response_error": 0.05}
    return observe(counts, background, CHANNELS, **{**defaults, **settings})


def flagged(quality: np.ndarray, flag: Quality) -> list[bool]:
    return ((quality & int(flag)) != 0).tolist()


def spoilt(value: float, channel: int = 2) -> np.ndarray:
    values = np.full((3, 4), 400.0)
    values[BAD, channel] = value
    return values


def test_expected_counts_and_relative_errors():
    """A rate of 2 +- 0.5 per second is in 100 s 200 counts with a relative error of a quarter."""
    found, quality = look(counts_of(), background_of(2.0, 0.5))
    np.testing.assert_allclose(found.background, 200.0)
    np.testing.assert_allclose(found.background_error, 0.25)
    np.testing.assert_array_equal(found.exposure, 100.0)
    assert found.is_read.all()
    assert quality.tolist() == [0, 0, 0]


def test_half_of_an_unexplained_variance_is_common():
    """An error that does not say how much is common is taken half so: 0.2 is 0.1414 common and 0.1414 own."""
    found, _ = look(counts_of(), background_of(1.0, 0.2))
    np.testing.assert_allclose(found.background_common, 0.2 / np.sqrt(2))
    np.testing.assert_allclose(found.background_own, 0.2 / np.sqrt(2))


def test_common_error_as_stated():
    """A stated common part is kept, no larger than the whole: of 0.25 and 0.15 common 0.2 is own."""
    found, _ = look(counts_of(), background_of(1.0, 0.25, background_rate_common_std=[0.15, 0.0, 0.25, 0.9]))
    np.testing.assert_allclose(found.background_common[0], [0.15, 0.0, 0.25, 0.25])
    np.testing.assert_allclose(found.background_own[0], [0.2, 0.25, 0.0, 0.0], atol=1e-12)


def test_common_error_needs_its_unit():
    """A common error without a unit is refused."""
    background = background_of(background_rate_common_std=np.full(4, 0.1))
    background["background_rate_common_std"].attrs.pop("units")
    with pytest.raises(UnitError, match="background_rate_common_std"):
        look(counts_of(), background)


def test_channels_have_response_errors_of_their_own():
    """What a channel has beyond the common error adds in quadrature: 0.3 and 0.4 are 0.5."""
    found, _ = look(counts_of(), background_of(), response_error=0.3, channel_errors={"C": 0.4})
    np.testing.assert_allclose(found.response_error, np.tile([0.3, 0.3, 0.5, 0.3], (3, 1)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 4294967295.0])
def test_a_missing_count_leaves_its_channel_out(value):
    """NaN, infinity and the fill value mask one channel of one sample, with zeros and a flag; the others are read."""
    found, quality = look(counts_of(spoilt(value)), background_of())
    expected = np.ones((3, 4), dtype=bool)
    expected[BAD, 2] = False
    np.testing.assert_array_equal(found.is_read, expected)
    for values in (found.counts, found.background, found.background_error, found.background_common):
        assert (values[~expected] == 0).all()
        assert (values[expected] > 0).all()
    assert flagged(quality, Quality.CHANNEL_LEFT_OUT) == [False, True, False]
    assert not (quality & int(UNUSABLE)).any()


def test_an_absent_channel_is_left_out_of_all_samples():
    """A channel that the counts do not name is left out, and told; the order of the others does not matter."""
    found, quality = look(counts_of().sel(channel=["D", "A", "C"]), background_of())
    np.testing.assert_array_equal(found.is_read, np.tile([True, False, True, True], (3, 1)))
    assert all(flagged(quality, Quality.CHANNEL_LEFT_OUT))


def test_channels_are_found_by_name():
    """Shuffled channels of counts and background give the same observation."""
    counts = counts_of(np.arange(12.0).reshape(3, 4) + 300)
    background = background_of([1.0, 2.0, 3.0, 4.0], [0.1, 0.1, 0.2, 0.2])
    plain, _ = look(counts, background)
    shuffled, _ = look(counts.isel(channel=[3, 1, 0, 2]), background.isel(channel=[2, 3, 1, 0]))
    for name, values in vars(plain).items():
        np.testing.assert_array_equal(getattr(shuffled, name), values, err_msg=name)


def test_too_few_channels_are_missing():
    """With two of four channels a sample is MISSING, nothing of it is read, and its exposure is harmless."""
    values = spoilt(np.nan)
    values[BAD, 0] = np.nan
    found, quality = look(counts_of(values), background_of())
    assert flagged(quality, Quality.MISSING) == [False, True, False]
    assert not found.is_read[BAD].any()
    assert found.exposure[BAD] == 1.0
    assert not found.counts[BAD].any()
    assert not flagged(look(counts_of(values), background_of(), least=2)[1], Quality.MISSING)[BAD]


def test_a_flag_of_missing_is_given_anew():
    """MISSING from an earlier step is dropped where enough channels are there; other flags stay."""
    _, quality = look(counts_of(quality=int(Quality.MISSING | Quality.GAP)), background_of())
    assert quality.tolist() == [int(Quality.GAP)] * 3


def test_monitors_are_left_out_where_the_background_was_read_off_them():
    """Channels that the followed background was read off are not read again, unless the level was carried over."""
    held = np.array([0, int(Quality.BACKGROUND_HELD), 0], dtype=np.int32)
    background = background_of(background_level=np.ones(3), quality=held)
    found, quality = look(counts_of(), background, monitors=("C", "D"), least=2)
    both = [True, True]
    np.testing.assert_array_equal(found.is_read, [[*both, False, False], [*both, True, True], [*both, False, False]])
    assert not any(flagged(quality, Quality.CHANNEL_LEFT_OUT))


def test_monitors_are_read_under_a_background_of_other_origin():
    """A background that was not followed does not use the monitors up."""
    found, _ = look(counts_of(), background_of(), monitors=("C", "D"))
    assert found.is_read.all()


def test_a_spike_masks_the_noisy_channel_alone():
    """In a sample flagged SPIKE the noisy channel is left out, and told; in the others it is read."""
    found, quality = look(counts_of(quality=[0, int(Quality.SPIKE), 0]), background_of(), noisy=("B",))
    np.testing.assert_array_equal(found.is_read, [[True] * 4, [True, False, True, True], [True] * 4])
    assert flagged(quality, Quality.CHANNEL_LEFT_OUT) == [False, True, False]


@pytest.mark.parametrize(
    "counts", [counts_of(spoilt(-1.0)), counts_of(exposure=[100.0, 0.0, 100.0]), counts_of(exposure=[9.0, np.nan, 9.0])]
)
def test_wrong_numbers_are_invalid(counts):
    """A negative count or no exposure makes its sample INVALID and empties it."""
    found, quality = look(counts, background_of())
    assert flagged(quality, Quality.INVALID) == [False, True, False]
    assert found.is_read.all(axis=1).tolist() == [True, False, True]
    assert not found.background[BAD].any()


@pytest.mark.parametrize(("rate", "std"), [(np.nan, 0.1), (-1.0, 0.1), (1.0, np.nan), (1.0, -0.1)])
def test_wrong_background_is_invalid(rate, std):
    """A background that is no number, or below zero, in a channel that is read makes the sample INVALID."""
    _, quality = look(counts_of(), background_of([1.0, rate, 1.0, 1.0], [0.1, std, 0.1, 0.1]))
    assert all(flagged(quality, Quality.INVALID))


def test_wrong_background_of_a_channel_left_out_is_harmless():
    """Where a channel is not read its background is not looked at."""
    values = np.full((3, 4), 400.0)
    values[:, 1] = np.nan
    _, quality = look(counts_of(values), background_of([1.0, np.nan, 1.0, 1.0], 0.1))
    assert not any(flagged(quality, Quality.INVALID))


def test_large_background_errors_are_held_and_told():
    """A relative error beyond what methods know is held to 0.3 and flagged; so is the error of no background."""
    found, quality = look(counts_of(), background_of([1.0, 0.0, 0.0, 1.0], [0.4, 0.1, 0.0, 0.3]))
    np.testing.assert_allclose(found.background_error[0], [0.3, 0.3, 0.0, 0.3])
    assert all(flagged(quality, Quality.EXTRAPOLATED))
    _, quality = look(counts_of(), background_of([1.0, 0.0, 0.0, 1.0], [0.3, 0.0, 0.0, 0.3]))
    assert not any(flagged(quality, Quality.EXTRAPOLATED))


@pytest.mark.parametrize(("count", "is_dead"), [(240.0, False), (239.0, True)])
def test_a_channel_far_below_its_background_does_not_count(count, is_dead):
    """Where 400 counts are expected, known exactly, eight standard deviations of 20 end at 240."""
    _, quality = look(counts_of(spoilt(count)), background_of(4.0, 0.0))
    assert flagged(quality, Quality.SATURATED) == [False, is_dead, False]


@pytest.mark.parametrize(("count", "is_seen"), [(130.0, False), (131.0, True)])
def test_detection_is_three_standard_deviations(count, is_seen):
    """Over 100 expected counts, known exactly, 130 is no detection and 131 is; one channel is enough."""
    found, quality = look(counts_of([[100.0, count, 100.0, 100.0]] * 3), background_of(1.0, 0.0))
    np.testing.assert_allclose(found.significance[:, 1], (count - 100.0) / 10.0)
    assert flagged(quality, Quality.BELOW_DETECTION) == [not is_seen] * 3


def test_the_error_of_the_background_raises_what_is_seen():
    """With 10 % of error on 100 counts the standard deviation is the root of 200."""
    found, _ = look(counts_of(150.0), background_of(1.0, 0.1))
    np.testing.assert_allclose(found.significance, 50.0 / np.sqrt(200.0))


def test_channels_left_out_are_not_significant():
    """A channel that is not read says nothing."""
    found, _ = look(counts_of(spoilt(np.nan)), background_of())
    assert found.significance[BAD, 2] == 0.0


def test_unknown_configurations_are_flagged():
    """A configuration whose response is not known is told; any is right where the method takes any."""
    counts = counts_of().assign_coords(configuration=("time", [1, 2, 1]))
    assert flagged(look(counts, background_of(), configurations=(1,))[1], Quality.UNKNOWN_CONFIGURATION)[BAD]
    assert not any(flagged(look(counts, background_of())[1], Quality.UNKNOWN_CONFIGURATION))


def test_rows_are_chosen_together():
    """Choosing rows keeps every array in step."""
    found, _ = look(counts_of(np.arange(12.0).reshape(3, 4) + 300), background_of())
    part = found[np.array([2, 0])]
    assert len(part) == 2
    np.testing.assert_array_equal(part.counts, found.counts[[2, 0]])
    assert {len(values) for values in vars(part).values()} == {2}


def test_unnamed_channels_are_refused():
    """Counts whose channels have no names are refused."""
    with pytest.raises(AxisError, match=r"counts has dimensions .* expected a named 'channel'"):
        look(counts_of().drop_vars("channel"), background_of())
    with pytest.raises(AxisError, match=r"background_rate has dimensions .* expected a named 'channel'"):
        look(counts_of(), background_of().drop_vars("channel"))


def test_counts_without_background_are_refused():
    """A channel that is counted and has no background is refused."""
    with pytest.raises(AxisError, match=r"no background for the channels \['B'\]"):
        look(counts_of(), background_of().sel(channel=["A", "C", "D"]))


def test_too_few_named_channels_are_refused():
    """Counts that name fewer channels than a method needs are refused as a whole."""
    with pytest.raises(AxisError, match=r"counts hold \['A', 'B'\].* needs at least 3"):
        look(counts_of().sel(channel=["A", "B"]), background_of())


def test_units_are_checked():
    """A background in counts per minute is refused, not read as counts per second."""
    background = background_of()
    background["background_rate"].attrs["units"] = "min-1"
    with pytest.raises(UnitError, match="background_rate"):
        look(counts_of(), background)


def test_a_detector_refuses_an_error_that_is_none():
    """A response error outside 0 to 1 is refused."""
    response = Response.from_arrays(CHANNELS, [1.0, 2.0, 4.0], np.ones((4, 2)))
    with pytest.raises(DataError, match=r"response_error is 1\.5, expected a relative error from 0 to 1"):
        Detector(response, 1.5)


def test_a_detector_of_an_instrument(radem, observe, quiet):
    """RADEM's detector reads the eight proton channels, knows PDH7's error and refuses another instrument's counts."""
    detector = Detector.of_instrument(radem, response_error=0.1)
    assert detector.channels == radem.reads["proton"]
    counts = observe(PowerLaw(np.array([[100.0]]), 3.0))
    found, quality = detector.observe(counts, quiet)
    expected = [0.1] * 6 + [np.hypot(0.1, radem.response_errors["PDH7"]), 0.1]
    np.testing.assert_allclose(found.response_error[0], expected)
    assert quality.tolist() == [0]
    with pytest.raises(DataError, match="'other'"):
        detector.observe(counts.assign_attrs(instrument="other"), quiet)
    assert detector.replace(response_error=0.2).response_error == 0.2
