from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from particleflux.background import (
    Following,
    auto_background,
    default_background,
    estimate_background,
    find_quiet,
    follow_background,
)
from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.instruments import Instrument, load_instrument
from particleflux.names import PDH, Quality, attributes

# Counts per minute above the background in PDH1-8, measured by RADEM: hard 2024-05-11, soft 2024-05-14.
HARD = np.array([254.0, 425.0, 274.0, 202.0, 176.0, 148.0, 129.0, 131.0])
SOFT = np.array([1314.0, 750.0, 277.0, 65.0, 9.6, 0.8, 0.25, 0.15])


@pytest.fixture(scope="module")
def radem() -> Instrument:
    return load_instrument("radem")


def make_counts(radem, days, level=1.0, minutes=15, extra=None, start="2024-02-01", seed=1, channels=PDH):
    """Poisson counts at a background level, a number or one per sample, with extra counts per minute added."""
    n = round(days * 1440 / minutes)
    rate = np.array([radem.quiet_rate[c] for c in channels])
    exponent = np.array([radem.modulation[c] for c in channels])
    mean = rate * np.broadcast_to(level, n)[:, None] ** exponent * minutes * 60
    if extra is not None:
        mean = mean + extra * minutes
    times = np.datetime64(start, "ns") + np.arange(n) * np.timedelta64(minutes, "m")
    counts = np.random.default_rng(seed).poisson(mean).astype(float)
    return xr.Dataset(
        {
            "counts": (("time", "channel"), counts, attributes("counts")),
            "exposure": ("time", np.full(n, minutes * 60.0), attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
        },
        coords={"time": times, "channel": list(channels)},
        attrs={"instrument": "radem"},
    )


def held(result):
    return (result["quality"].to_numpy() & Quality.BACKGROUND_HELD) != 0


def pulse(n, minutes, onset, decay):
    """Shape an event: up within an hour at `onset` (h), down with `decay` (h)."""
    hour = np.arange(n) * minutes / 60 - onset
    return np.where(hour > 0, (1 - np.exp(-hour)) * np.exp(-np.maximum(hour, 0) / decay), 0.0)


def test_estimate_gives_the_mean_rate_and_its_error(radem):
    """Ten quiet days give back the rate they were drawn with, within the error stated."""
    result = estimate_background(make_counts(radem, 10), radem)
    truth = np.array([radem.quiet_rate[c] for c in PDH])
    assert (abs(result["background_rate"] - truth) < 4 * result["background_rate_std"]).all()
    assert (result["background_rate_std"] / truth < 0.02).all()
    assert result.attrs["source"] == "files"
    assert result.attrs["n_samples"] == 960


def test_estimate_std_is_the_spread_of_the_true_rate_not_the_poisson_scatter(radem):
    """A level that moves by 4 % from day to day gives a standard deviation of 4 %."""
    level = np.repeat(1 + 0.04 * np.sqrt(2) * np.sin(np.arange(20) * 1.7), 96)
    result = estimate_background(make_counts(radem, 20, level), radem)
    relative = (result["background_rate_std"] / result["background_rate"]).sel(channel=["PDH7", "PDH8"])
    np.testing.assert_allclose(relative, 0.04, atol=0.008)


def test_estimate_leaves_out_an_event_and_flagged_samples(radem):
    """A day of protons and a flagged day of false counts in a quiet month do not move the mean."""
    extra = np.zeros((1920, 8))
    extra[500:596] = HARD
    counts = make_counts(radem, 20, extra=extra)
    counts["counts"][900:996] = 0.0
    counts["quality"][900:996] = int(Quality.DO_NOT_USE)
    result = estimate_background(counts, radem)
    clean = estimate_background(make_counts(radem, 20), radem)
    np.testing.assert_allclose(result["background_rate"], clean["background_rate"], rtol=0.01)
    assert result.attrs["n_samples"] == 1920 - 192


def test_estimate_from_one_day_takes_the_spread_of_the_instrument_file(radem):
    """One day cannot show the day-to-day spread: the instrument's is the least it states."""
    result = estimate_background(make_counts(radem, 1), radem)
    spread = np.array([radem.quiet_relative_std[c] for c in PDH])
    assert (result["background_rate_std"] / result["background_rate"] > 0.95 * spread).all()


def test_estimate_refuses_an_event_as_background(radem):
    """Counts that are all event raise and name the channel."""
    with pytest.raises(DataError, match="particle event: PDH1"):
        estimate_background(make_counts(radem, 2, extra=HARD), radem)


def test_estimate_refuses_unusable_counts(radem):
    """No usable sample raises."""
    counts = make_counts(radem, 1)
    counts["quality"][:] = int(Quality.SATURATED)
    with pytest.raises(MissingDataError, match="none of the 96 samples"):
        estimate_background(counts, radem)


@pytest.mark.parametrize("minutes", [1, 15, 60, 360])
def test_the_level_is_followed_at_any_cadence(radem, minutes):
    """A constant level of 0.9 is found within three standard deviations, of at most 2 %, and never carried over."""
    result = follow_background(default_background(radem), make_counts(radem, 3, 0.9, minutes), radem)
    pull = (result["background_level"] - 0.9) / result["background_level_std"]
    assert abs(pull).max() < 3
    assert result["background_level_std"].max() < 0.02
    assert not held(result).any()
    assert result["background_rate"].dims == ("time", "channel")


def test_the_level_std_is_honest_on_quiet_days(radem):
    """The level lies within one standard deviation of the truth about as often as it says."""
    counts = make_counts(radem, 60, 0.95, 60)
    result = follow_background(default_background(radem), counts, radem)
    inside = abs(result["background_level"] - 0.95) < result["background_level_std"]
    assert 0.6 < float(inside.mean()) < 0.9


def test_rates_follow_the_level_with_the_exponents(radem):
    """The rate of each channel is its quiet rate times the level to its exponent."""
    background = default_background(radem)
    result = follow_background(background, make_counts(radem, 1, 0.85), radem)
    exponent = xr.DataArray([radem.modulation[c] for c in PDH], coords={"channel": list(PDH)}, dims="channel")
    expected = background["background_rate"] * result["background_level"] ** exponent
    xr.testing.assert_allclose(result["background_rate"], expected.transpose("time", "channel"))


@pytest.mark.parametrize(("shape", "size"), [(HARD, 0.05), (HARD, 0.5), (HARD, 5.0), (SOFT, 1.0)])
def test_protons_do_not_drag_the_level(radem, shape, size):
    """An event injected into quiet days lifts the level by less than its standard deviation in most hours."""
    profile = pulse(960, 15, onset=100, decay=24)
    # Two monitors count 50 a minute in quiet time: the hard event peaks at that fraction of them.
    scale = size * 50 / HARD[6:].sum() if shape is HARD else size
    counts = make_counts(radem, 10, extra=scale * profile[:, None] * shape)
    result = follow_background(default_background(radem), counts, radem)
    during = profile > 0.02
    pull = ((result["background_level"] - 1) / result["background_level_std"]).to_numpy()[during]
    assert (pull < 1).mean() > 0.75
    assert pull.max() < 3.5
    if shape is HARD and size >= 0.5:
        assert held(result)[profile > 0.3].all()


def test_a_step_up_of_all_channels_is_not_taken_for_cosmic_rays(radem):
    """A background that rises by 12 % within an hour is carried over for a day, with the flag."""
    result = follow_background(
        default_background(radem), make_counts(radem, 3, np.repeat([0.9, 1.01], [192, 96])), radem
    )
    assert held(result)[196:288].all()
    np.testing.assert_allclose(result["background_level"][196:288], 0.9, atol=0.02)


def test_a_forbush_decrease_is_followed(radem):
    """A fall by 10 % within six hours is no contamination."""
    level = np.interp(np.arange(384), [0, 180, 204, 384], [1.0, 1.0, 0.9, 0.93])
    result = follow_background(default_background(radem), make_counts(radem, 4, level), radem)
    assert not held(result).any()
    np.testing.assert_allclose(result["background_level"], level, atol=0.04)


def test_a_carried_level_lies_between_its_neighbours_with_a_wider_error(radem):
    """In a long do-not-use window the level is interpolated and its error grows with the distance."""
    counts = make_counts(radem, 10, np.linspace(1.0, 0.95, 960))
    counts["quality"][192:768] = int(Quality.DO_NOT_USE)
    counts["counts"][192:768] = 1e7
    result = follow_background(default_background(radem), counts, radem)
    level, std = result["background_level"].to_numpy(), result["background_level_std"].to_numpy()
    assert (held(result)[220:740]).all()
    assert level[480] == pytest.approx(0.975, abs=0.02)
    assert std[100] < std[230] < std[480] < 0.13


def test_a_time_of_protons_only_gives_the_reference_with_a_wide_error(radem):
    """Where no hour is clean the level is the reference, no higher than the monitors, and uncertain by 12 %."""
    result = follow_background(default_background(radem), make_counts(radem, 1, extra=HARD), radem)
    assert held(result).all()
    np.testing.assert_allclose(result["background_level"], 1.0, atol=0.02)
    np.testing.assert_allclose(result["background_level_std"], 0.12, atol=0.002)


def test_a_gap_does_not_join_what_it_separates(radem):
    """Either side of a gap is followed by its own counts."""
    level = np.repeat([1.0, 0.85], [480, 480])
    keep = np.r_[0:470, 490:960]
    result = follow_background(default_background(radem), make_counts(radem, 10, level).isel(time=keep), radem)
    np.testing.assert_allclose(result["background_level"][:470], 1.0, atol=0.035)
    np.testing.assert_allclose(result["background_level"][480:], 0.85, atol=0.035)


def test_order_and_extra_channels_of_the_background_do_not_matter(radem):
    """A background with its channels reversed, and more of them, gives the same result."""
    counts, background = make_counts(radem, 1), default_background(radem)
    expected = follow_background(background, counts, radem)
    result = follow_background(background.isel(channel=slice(None, None, -1)), counts, radem)
    xr.testing.assert_allclose(result, expected)
    assert list(result["channel"].values) == list(PDH)


def test_an_assumed_background_is_flagged_and_wide(radem):
    """A background from the instrument file carries its flag and at least 12 %, a measured one neither."""
    counts = make_counts(radem, 5)
    assumed = follow_background(default_background(radem), counts, radem)
    measured = follow_background(estimate_background(counts, radem), counts, radem)
    assert ((assumed["quality"] & Quality.BACKGROUND_ASSUMED) != 0).all()
    assert (assumed["background_rate_std"] > 0.12 * assumed["background_rate"]).all()
    assert (measured["quality"] == 0).all()
    assert (measured["background_rate_std"] < 0.06 * measured["background_rate"]).all()


def test_quiet_time_is_found_in_the_data(radem):
    """Quiet days are found, a soft event and flagged samples are not quiet, at a level of 0.9."""
    profile = pulse(960, 15, onset=100, decay=12)
    counts = make_counts(radem, 10, 0.9, extra=0.2 * profile[:, None] * SOFT)
    counts["quality"][50:60] = int(Quality.INVALID)
    quiet = find_quiet(counts, radem)
    assert quiet.dims == ("time",)
    assert quiet.dtype == bool
    assert not quiet[profile > 0.02].any()
    assert not quiet[50:60].any()
    assert float(quiet[:380].mean()) > 0.9


@pytest.mark.parametrize("onset", [26, 33.5])
def test_quiet_time_reaches_the_onset(radem, onset):
    """Quiet time before an onset is lost for an hour at most, and none of the event is taken for it."""
    profile = pulse(288, 15, onset=onset, decay=24)
    quiet = find_quiet(make_counts(radem, 3, extra=profile[:, None] * SOFT), radem)
    assert float(quiet.sum()) / 4 >= onset - 1
    assert not quiet[profile > 0.02].any()


def test_a_month_with_an_event_gives_its_own_background(radem):
    """The automatic background of days with an event is that of the quiet ones."""
    profile = pulse(960, 15, onset=100, decay=12)
    result = auto_background(make_counts(radem, 10, 0.9, extra=profile[:, None] * SOFT), radem)
    assert result.attrs["source"] == "auto"
    expected = [radem.quiet_rate[c] * 0.9 ** radem.modulation[c] for c in PDH]
    np.testing.assert_allclose(result["background_rate"], expected, rtol=0.03)


def test_too_little_quiet_time_falls_back_with_a_warning(radem):
    """A day of event is answered with the instrument file's background and a warning that says so."""
    with pytest.warns(UserWarning, match=r"0\.0 h of quiet time in the data, 24 h are needed"):
        result = auto_background(make_counts(radem, 1, extra=SOFT), radem)
    assert result.attrs["source"] == "instrument"


def test_wrong_labels_and_units_raise(radem):
    """Unknown or absent channels, a background over time, another unit and empty counts are refused."""
    counts, background = make_counts(radem, 1), default_background(radem)
    with pytest.raises(AxisError, match="no background for the channels"):
        follow_background(background.sel(channel=["PDH7", "PDH8"]), counts, radem)
    with pytest.raises(AxisError, match="read off"):
        follow_background(background, counts.sel(channel=["PDH1", "PDH3"]), radem)
    with pytest.raises(AxisError, match="unknown channels"):
        find_quiet(counts.assign_coords(channel=[f"X{i}" for i in range(8)]), radem)
    with pytest.raises(AxisError, match="average it over time"):
        follow_background(background.expand_dims(time=2), counts, radem)
    with pytest.raises(MissingDataError, match="no sample"):
        follow_background(background, counts.isel(time=slice(0, 0)), radem)
    background["background_rate"].attrs["units"] = "min-1"
    with pytest.raises(UnitError, match="min-1"):
        follow_background(background, counts, radem)


def test_an_instrument_without_the_hardest_event_is_followed_without_the_bound(radem):
    """Quiet days give the same level, with an error that is the counting noise; a soft event leaves it where it is."""
    plain = replace(radem, hardest={})
    quiet, background = make_counts(radem, 5, 0.9), default_background(radem)
    level = follow_background(background, quiet, plain)["background_level"]
    bounded = follow_background(background, quiet, radem)["background_level"]
    np.testing.assert_allclose(level, 0.9, atol=0.035)
    assert (level >= bounded).all()
    assert float(abs(level - bounded).max()) < 0.02
    std = follow_background(background, quiet, plain)["background_level_std"].to_numpy()[48:-48]
    # Seven hours of 0.8332 counts per second expected in PDH7 and PDH8.
    np.testing.assert_allclose(std, 1 / np.sqrt(7 * 3600 * (0.4277 + 0.4055)), rtol=1e-6)
    event = make_counts(radem, 5, 0.9, extra=pulse(480, 15, onset=50, decay=12)[:, None] * SOFT)
    np.testing.assert_allclose(follow_background(background, event, plain)["background_level"], 0.9, atol=0.045)


@pytest.mark.parametrize("counting", [0.0, 0.002])
def test_a_channel_keeps_its_own_spread_only(radem, counting):
    """Drift shared with the monitors is followed, a channel's own grows, up to the factor; counting errors stay."""
    channels = ["PDH1", "PDH3", "PDH7", "PDH8"]
    drift = xr.DataArray([0.03, 0.0072, 0.01, 0.01], coords={"channel": channels}, dims="channel")
    reference = estimate_background(make_counts(radem, 30), radem).sel(channel=channels)
    rate = reference["background_rate"]
    reference["background_rate_drift_std"] = (rate * drift).assign_attrs(units="s-1")
    reference["background_rate_std"] = (rate * np.hypot(drift, counting)).assign_attrs(units="s-1")
    counts = make_counts(radem, 5, channels=channels)
    result = follow_background(reference, counts, radem, Following(modulation_std=0.0))
    total = result["background_rate_std"] / result["background_rate"]
    exponent = xr.DataArray([0.68, 0.72, 0.99, 1.01], coords={"channel": channels}, dims="channel")
    followed = exponent * result["background_level_std"] / result["background_level"]
    own = np.sqrt(np.maximum(total**2 - followed**2, 0)).mean("time").sel(channel=["PDH1", "PDH3", "PDH7"])
    # PDH1: 2.2 times the root of 3 % squared less 0.68 % squared; PDH3 and PDH7 keep 0 and 0.14 %.
    grown = np.array([2.2 * np.sqrt(0.03**2 - 0.0068**2), 0.0, np.sqrt(1 - 0.99**2) / 100])
    np.testing.assert_allclose(own, np.hypot(grown, counting), atol=1e-6)


def test_the_counting_error_of_the_reference_is_in_the_level(radem):
    """A reference of one day leaves the level the counting error of the monitors in it."""
    counts, reference = make_counts(radem, 5), estimate_background(make_counts(radem, 1, seed=2), radem)
    alone = follow_background(reference.drop_vars("background_rate_drift_std"), counts, radem)
    result = follow_background(reference, counts, radem)
    added = np.sqrt(result["background_level_std"] ** 2 - alone["background_level_std"] ** 2)
    # A day of 0.8332 counts per second in PDH7 and PDH8.
    np.testing.assert_allclose(added / result["background_level"], 1 / np.sqrt(86400 * 0.8332), rtol=0.02)


@pytest.mark.parametrize("source", ["file", "instrument"])
def test_a_stated_error_is_kept_whole(radem, source):
    """A background stated to 20 % in every channel is uncertain by 20 % at least in every channel."""
    background = default_background(radem).assign_attrs(source=source)
    background["background_rate_std"] = (0.2 * background["background_rate"]).assign_attrs(units="s-1")
    result = follow_background(background, make_counts(radem, 2), radem)
    relative = result["background_rate_std"] / result["background_rate"]
    assert float(relative.min()) >= 0.2 - 1e-12
    assert float(relative.max()) < 0.21


@pytest.mark.parametrize("std", [0.0, 0.001])
def test_no_background_is_used_as_it_is(radem, std):
    """Zero in every channel is a background of zero with the error stated, at level 1, and no flag."""
    background = default_background(radem).assign_attrs(source="file")
    for name, value in (("background_rate", 0.0), ("background_rate_std", std)):
        background[name] = xr.full_like(background[name], value)
    result = follow_background(background, make_counts(radem, 1), radem)
    assert (result["background_rate"] == 0).all()
    assert (result["background_rate_std"] == std).all()
    assert (result["background_level"] == 1).all()
    assert (result["quality"] == 0).all()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_background_that_is_not_positive_in_some_channels_raises(radem, value):
    """The channels are named, and what to do."""
    background = default_background(radem)
    background["background_rate"][[0, 6]] = value
    with pytest.raises(DataError, match=r"background_rate of PDH1 .*, PDH7 .* s-1: .*drop these channels"):
        follow_background(background, make_counts(radem, 1), radem)


def test_dead_hours_are_left_out_of_the_background(radem):
    """Hours of zeros in a quiet month do not lower the mean."""
    counts = make_counts(radem, 10)
    counts["counts"][400:440] = 0.0
    result = estimate_background(counts, radem)
    assert result.attrs["n_samples"] == 920
    np.testing.assert_allclose(result["background_rate"], [radem.quiet_rate[c] for c in PDH], rtol=0.02)


@pytest.mark.parametrize("channel", ["PDH1", "PDH5", "PDH8"])
def test_absent_counts_in_a_monitor_or_guard_do_not_move_the_level(radem, channel):
    """Samples with NaN there say nothing of the level, and leave it and the measured background where they are."""
    counts = make_counts(radem, 5, 0.9)
    counts["counts"].loc[{"channel": channel}][100:104] = np.nan
    counts["counts"].loc[{"channel": channel}][200:260:7] = np.nan
    result = follow_background(default_background(radem), counts, radem)
    np.testing.assert_allclose(result["background_level"], 0.9, atol=0.035)
    # Samples 100 to 103 are an hour without any: the level is carried over it.
    assert list(np.flatnonzero(held(result))) == [100, 101, 102, 103]
    assert np.isfinite(result["background_rate_std"]).all()
    assert estimate_background(counts, radem).attrs["n_samples"] == 480 - 4 - 9
    assert np.isfinite(auto_background(counts, radem)["background_rate"]).all()


def test_a_monitor_without_any_count_leaves_the_reference(radem):
    """A monitor that is NaN throughout shows no level: it is 1, held, and wide."""
    counts = make_counts(radem, 2)
    counts["counts"].loc[{"channel": "PDH7"}] = np.nan
    result = follow_background(default_background(radem), counts, radem)
    np.testing.assert_allclose(result["background_level"], 1.0)
    np.testing.assert_allclose(result["background_level_std"], 0.12)
    assert held(result).all()


def test_settings_change_the_result(radem):
    """A wider window gives a smaller error of the level."""
    counts, background = make_counts(radem, 3), default_background(radem)
    narrow = follow_background(background, counts, radem, Following(window=3))
    wide = follow_background(background, counts, radem, Following(window=13))
    assert wide["background_level_std"].mean() < narrow["background_level_std"].mean()


def test_the_level_of_minutes_is_that_of_their_sums(radem):
    """A month of minutes and the same counts in quarters of an hour give one level."""
    counts, background = make_counts(radem, 31, minutes=1), default_background(radem)
    sums = counts[["counts", "exposure"]].coarsen(time=15, coord_func="min").sum(keep_attrs=True)
    sums = sums.assign(quality=counts["quality"][::15])
    fine, coarse = follow_background(background, counts, radem), follow_background(background, sums, radem)
    for name in ("background_level", "background_level_std"):
        np.testing.assert_allclose(fine[name][::15], coarse[name], rtol=1e-9)


def test_october_predicts_quiet_may(shared_data, radem):
    """The background of October 2023, followed to May 2024, predicts the quiet days' means of PDH3-8 within 3 %."""
    from particleflux.io import open_radem

    folder = shared_data / "radem" / "sc"
    october = open_radem(folder, start="2023-10-01", stop="2023-10-31", channels=PDH)
    may = open_radem(folder, start="2024-05-01", stop="2024-05-08", channels=PDH)
    result = follow_background(estimate_background(october, radem), may, radem)
    ratio = may["counts"].sum("time") / (result["background_rate"] * may["exposure"]).sum("time")
    np.testing.assert_allclose(ratio.sel(channel=["PDH3", "PDH4", "PDH5", "PDH6", "PDH7", "PDH8"]), 1.0, atol=0.03)
    assert held(result).mean() < 0.05
