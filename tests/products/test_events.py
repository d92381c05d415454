"""Events in series made by hand."""

import json

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.names import Assessment, Quality
from particleflux.products import EventRule, find_events, survey

DAY = 288  # points of 5 minutes


def block(first: int, last: int, flux: float = 100.0, base: float = 0.1, n: int = DAY) -> np.ndarray:
    """Give a series at `base` with `flux` from point `first` to point `last`, both inside."""
    values = np.full(n, base)
    values[first : last + 1] = flux
    return values


def clock(point: int) -> str:
    return f"2024-05-01T{point // 12:02d}:{point % 12 * 5:02d}:00Z"


def test_event_has_the_onset_peak_end_and_fluence_it_was_made_with(series):
    values = block(24, 47)
    values[30] = 250.0
    (event,) = find_events(series(values))
    assert event.onset.value == clock(24)
    assert event.end.value == clock(47)
    assert (event.peak.value, event.peak_time.value) == (250.0, clock(30))
    assert event.fluence.value == pytest.approx((23 * 100.0 + 250.0) * 300.0)
    assert event.duration.value == 2.0
    assert event.s_scale.value == 2
    assert event.flags == ()
    assert event.n_missing == 0


def test_crossing_lies_between_the_two_points_on_a_logarithmic_line(series):
    (event,) = find_events(series(block(24, 47, flux=1000.0, base=0.1)))
    # 10 is half way from 0.1 to 1000 in the logarithm: 2.5 minutes after 01:55.
    assert event.threshold_crossing == "2024-05-01T01:57:30Z"


def test_two_points_make_no_event_and_three_do(series):
    assert find_events(series(block(24, 25))) == ()
    assert len(find_events(series(block(24, 26)))) == 1


def test_threshold_itself_counts(series):
    assert len(find_events(series(block(24, 26, flux=10.0)))) == 1
    assert find_events(series(block(24, 26, flux=np.nextafter(10.0, 0)))) == ()


def test_dip_shorter_than_the_dwell_does_not_end_an_event(series):
    values = block(24, 30)
    values[65:70] = 50.0  # 34 points below, 36 make the dwell
    (event,) = find_events(series(values))
    assert event.end.value == clock(69)
    assert len(find_events(series(values), EventRule(dwell="1h"))) == 2


def test_gap_neither_starts_nor_ends_an_event_and_is_counted(series):
    values = block(24, 47)
    values[25] = np.nan  # breaks the three
    (event,) = find_events(series(values))
    assert event.onset.value == clock(26)
    assert event.flags == ("gap_at_onset",)
    values = block(24, 47)
    values[30:33] = np.nan
    (event,) = find_events(series(values))
    assert (event.end.value, event.n_missing, event.flags) == (clock(47), 3, ("gap_inside",))
    assert event.fluence.value == pytest.approx(24 * 100.0 * 300.0)
    values = block(24, 47)
    values[48:] = np.nan  # nothing was seen to end
    (event,) = find_events(series(values))
    assert event.end.value is None
    assert event.flags == ("ongoing", "gap_at_end")


def test_event_at_the_end_is_still_on_and_one_at_the_start_began_before(series):
    (event,) = find_events(series(block(200, DAY - 1)))
    assert event.end.value is None
    assert event.flags == ("ongoing",)
    (event,) = find_events(series(block(0, 20)))
    assert "began_before" in event.flags
    assert event.threshold_crossing is None


def test_finer_series_is_averaged_and_coarser_keeps_its_points(series):
    fine = np.repeat(block(24, 47), 5)
    (event,) = find_events(series(fine, minutes=1))
    assert (event.onset.value, event.step) == (clock(24), 300.0)
    coarse = block(8, 8, n=96)  # one point of 15 minutes is three of 5
    (event,) = find_events(series(coarse, minutes=15))
    assert (event.onset.value, event.step) == ("2024-05-01T02:00:00Z", 900.0)
    assert find_events(series(coarse, minutes=15), EventRule(keep_duration=False)) == ()


def test_bounds_give_intervals_and_an_earlier_onset_with_more_flux(series):
    values = np.full(DAY, 0.1)
    values[24:49] = [5.0, 8.0, *[100.0] * 21, 8.0, 5.0]
    factors = {"_lower": 0.5, "_upper": 2.0, "_lower95": 0.25, "_upper95": 4.0}
    (event,) = find_events(series(values, bounds={key: factor * values for key, factor in factors.items()}))
    assert (event.onset.lower, event.onset.value, event.onset.upper) == (clock(24), clock(26), clock(26))
    assert (event.end.lower, event.end.value, event.end.upper) == (clock(46), clock(46), clock(48))
    assert (event.peak.lower95, event.peak.upper95) == (25.0, 400.0)
    assert event.fluence.upper == pytest.approx(2.0 * values[24:49].sum() * 300.0)
    # Independent errors of 21 equal points: 100 * sqrt(21) upward.
    assert event.fluence_independent.upper == pytest.approx((21 * 100.0 + 100.0 * np.sqrt(21)) * 300.0)
    assert event.s_scale.lower == 1
    assert event.seen_share is None


def test_bound_that_makes_no_event_leaves_its_onset_open(series):
    values = block(24, 47, flux=12.0)
    (event,) = find_events(series(values, bounds={"_lower": 0.5 * values, "_upper": 2.0 * values}))
    assert event.onset.upper is None
    assert event.end.lower is None
    assert event.peak.lower == 6.0
    assert event.onset.lower95 is None  # not given


def test_draws_are_curves_and_say_how_many_show_the_event(series):
    values = block(24, 47, flux=20.0)
    factors = np.array([0.25] * 25 + [1.0] * 50 + [2.0] * 25)
    (event,) = find_events(series(values, draws=values[:, None] * factors))
    assert event.seen_share == 0.75
    # The draws that show no event count in peak and fluence, over the time of the known one.
    assert (event.peak.value, event.peak.lower, event.peak.upper95) == (20.0, 5.0, 40.0)
    assert event.fluence.lower == pytest.approx(24 * 5.0 * 300.0)
    assert event.onset.lower95 == clock(24)


def test_draw_of_a_neighbouring_event_does_not_count(series):
    values = block(24, 47) + block(150, 170, base=0.0)
    draws = np.stack([values, block(24, 47)], axis=1)
    first, second = find_events(series(values, draws=draws))
    assert first.seen_share == 1.0
    assert second.seen_share == 0.5


def test_point_below_detection_is_a_limit_and_makes_no_event(series):
    values = block(24, 47)
    flags = np.where(values > 1, int(Quality.BELOW_DETECTION), 0)
    assert find_events(series(values, quality=flags)) == ()


def test_limits_inside_an_event_count_in_the_upper_end_of_its_fluence_only(series):
    values = block(24, 47)
    flags = np.zeros(DAY, int)
    flags[30:34] = int(Quality.BELOW_DETECTION)
    values[30:34] = 500.0  # what the method assumed beforehand
    bounds = {"_lower": values, "_upper": values}
    for more in ({"bounds": bounds}, {"draws": np.stack([values] * 3, axis=1)}):
        (event,) = find_events(series(values, quality=flags, **more))
        assert event.flags == ("limits_inside",)
        assert event.peak.value == event.peak.upper == 100.0
        for found in (event.fluence, event.fluence_independent):
            assert (found.value, found.lower) == pytest.approx((20 * 100.0 * 300.0,) * 2)
        assert event.fluence.upper == pytest.approx((20 * 100.0 + 4 * 500.0) * 300.0)


def test_doubtful_samples_are_missing(series):
    values = block(24, 47)
    flags = np.zeros(DAY, int)
    flags[30] = int(Quality.EXTRAPOLATED | Quality.BELOW_DETECTION)
    rows = series(values, quality=flags)
    levels = np.zeros(DAY, int)
    levels[[32, 34, 36]] = Assessment.MIXED, Assessment.OTHER_SPECIES, Assessment.OUTSIDE
    (event,) = find_events(rows.assign(assessment=("time", levels)))
    assert (event.n_missing, event.flags) == (3, ("gap_inside", "doubtful_inside"))
    found = survey(rows.assign(assessment=("time", levels)))
    assert found.doubtful_share == pytest.approx(3 / DAY)
    assert survey(series(np.where(flags > 0, np.nan, values), quality=flags)).doubtful_share == 0.0  # no flux anyway
    assert found.coverage == pytest.approx(1 - 3 / DAY)
    assert find_events(rows.assign(quality=("time", np.full(DAY, int(Quality.CHANNEL_LEFT_OUT)))))  # no doubt
    with pytest.raises(MissingDataError, match=r"found none in 288 samples \(288 of them left out"):
        find_events(rows.assign(quality=("time", np.full(DAY, int(Quality.EXTRAPOLATED)))))


def test_quiet_level_is_that_of_detections_else_of_upper_limits(series):
    values = block(250, 270, flux=50.0, base=1.0)
    flags = np.where(values > 1, 0, int(Quality.BELOW_DETECTION))
    values[flags > 0] = 40.0  # the best value of a limit is no level
    upper = np.where(flags > 0, 3.0, 60.0)
    quiet = (np.datetime64("2024-05-01T00:00"), np.datetime64("2024-05-01T10:00"))
    rows = series(values, bounds={"_upper95": upper}, quality=flags)
    found = survey(rows, EventRule.background(quiet=quiet))
    assert (found.threshold, found.threshold_source) == (3.0, "quiet limits")
    flags[:20], values[:20] = 0, np.tile([1.0, 2.0], 10)
    found = survey(series(values, quality=flags), EventRule.background(quiet=quiet))
    assert found.threshold_source == "quiet detections"
    assert found.threshold == pytest.approx(1.5 + 3 * np.std(values[:20], ddof=1))


def test_single_spectrum_is_one_point_as_long_as_was_asked(series):
    (event,) = find_events(series([100.0]), EventRule(points=1))
    assert event.step == 300.0
    assert event.fluence.value == pytest.approx(100.0 * 300.0)
    assert find_events(series([100.0])) == ()


def test_scale_is_for_protons_only(series):
    rows = series(block(24, 47)).assign_attrs(species="electron")
    (event,) = find_events(rows)
    assert event.s_scale.value is None


def test_background_rule_takes_its_level_from_quiet_time(series):
    rng = np.random.default_rng(3)
    values = rng.normal(1.0, 0.1, 3 * DAY)
    values[2 * DAY + 50 : 2 * DAY + 60] = 2.0
    quiet = (np.datetime64("2024-05-01"), np.datetime64("2024-05-02"))
    (event,) = find_events(series(values), EventRule.background(n_sigma=4.0, quiet=quiet))
    assert event.threshold == pytest.approx(1.4, abs=0.03)
    assert event.onset.value == "2024-05-03T04:10:00Z"
    (event,) = find_events(series(values), EventRule(threshold=None, factor=1.6, keep_duration=False))
    assert event.threshold == pytest.approx(1.6, abs=0.03)


def test_rules_that_make_no_sense_are_refused(series):
    for settings, words in (
        ({"factor": 2.0}, "found threshold and factor"),
        ({"threshold": None}, "found none of"),
        ({"threshold": -1.0}, "threshold=-1, expected a number above 0"),
        ({"threshold": None, "factor": 1.0}, "factor=1, expected a number above 1"),
        ({"points": 0}, "points=0"),
        ({"dwell": "soon"}, "dwell='soon'"),
        ({"every": "-5min"}, "every='-5min'"),
    ):
        with pytest.raises(DataError, match=words):
            EventRule(**settings)
    outside = (np.datetime64("2020-01-01"), np.datetime64("2020-01-02"))
    with pytest.raises(MissingDataError, match="found 0 measurements"):
        find_events(series(block(24, 47)), EventRule.background(quiet=outside))
    inside = (np.datetime64("2024-05-01"), np.datetime64("2024-05-02"))
    with pytest.raises(DataError, match="makes no threshold"):
        find_events(series(np.full(DAY, -1.0)), EventRule.background(quiet=inside))


def test_series_without_the_energy_or_out_of_order_are_refused(series):
    rows = series(block(24, 47))
    with pytest.raises(AxisError, match="no integral flux above 30 MeV"):
        find_events(rows, energy=30.0)
    with pytest.raises(AxisError, match="do not rise"):
        find_events(rows.isel(time=slice(None, None, -1)))


def test_scale_is_given_above_ten_mev_only(series):
    (event,) = find_events(series(block(24, 47), threshold=30.0), energy=30.0)
    assert event.s_scale.value is None


def test_event_becomes_json_and_back(series):
    (event,) = find_events(series(block(24, 47)))
    again = json.loads(json.dumps(event.to_dict(), allow_nan=False))
    assert again["onset"]["value"] == clock(24)
    assert again["flags"] == []
