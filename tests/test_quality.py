from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from particleflux.errors import AxisError, DataError, UnitError
from particleflux.instruments import load_instrument
from particleflux.io import open_radem
from particleflux.names import UNUSABLE, Quality, attributes
from particleflux.quality import accumulate, screen

RADEM = load_instrument("radem")
QUIET = np.array([RADEM.quiet_rate[name] for name in RADEM.channels])


def make_counts(rate=QUIET, n=240, start="2023-10-01", step=60, exposure=60.0, seed=1) -> xr.Dataset:
    """Poisson counts in all channels at a rate (s-1) of shape (channel,) or (time, channel)."""
    mean = np.broadcast_to(np.asarray(rate, dtype=float) * exposure, (n, len(RADEM.channels)))
    values = np.random.default_rng(seed).poisson(mean).astype(float)
    time = np.datetime64(start, "ns") + np.arange(n) * np.timedelta64(step, "s")
    return xr.Dataset(
        {
            "counts": (("time", "channel"), values, attributes("counts")),
            "exposure": ("time", np.full(n, exposure), attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
        },
        coords={"time": time, "channel": list(RADEM.channels)},
        attrs={"instrument": "radem"},
    )


def has(counts: xr.Dataset, flag: Quality) -> np.ndarray:
    """Tell where a flag is set."""
    return (counts["quality"].values & int(flag)) != 0


def test_quiet_data_pass_untouched():
    """Ten quiet days at Poisson noise get no flag at all, and screening changes no datum and no input."""
    counts = make_counts(n=14400)
    before = counts.copy(deep=True)
    screened = screen(counts, RADEM)
    assert (screened["quality"] == 0).all()
    xr.testing.assert_identical(counts, before)
    xr.testing.assert_identical(screened["counts"], counts["counts"].assign_coords(screened["counts"].coords))


@pytest.mark.parametrize("level", [0.7, 1.3])
def test_cosmic_ray_modulation_passes(level):
    """Background 30 % below or above the stated level, beyond any seen, is not flagged."""
    assert not has(screen(make_counts(level * QUIET, n=14400), RADEM), UNUSABLE).any()


def test_flags_already_set_are_kept():
    """Screening adds flags and is idempotent."""
    counts = make_counts()
    counts["quality"][3] = int(Quality.EXTRAPOLATED)
    counts["counts"][3, 0] = np.nan
    once = screen(counts, RADEM)
    assert once["quality"].values[3] == Quality.EXTRAPOLATED | Quality.MISSING
    xr.testing.assert_identical(screen(once, RADEM), once)


def test_do_not_use_windows_are_flagged_to_the_minute():
    """The threshold scans begin with 2024-05-21T00:00 and end with 2024-05-28."""
    before = has(screen(make_counts(start="2024-05-20T22:00"), RADEM), Quality.DO_NOT_USE)
    after = has(screen(make_counts(start="2024-05-28T22:00"), RADEM), Quality.DO_NOT_USE)
    assert np.array_equal(before, np.arange(240) >= 120)
    assert np.array_equal(after, np.arange(240) < 120)


def test_configurations_without_response_are_flagged():
    """The change of 2024-07-09 and configuration 2 are unknown, and its lower rates are not called implausible."""
    screened = screen(make_counts(0.05 * QUIET, start="2024-07-09T11:00"), RADEM)
    assert has(screened, Quality.UNKNOWN_CONFIGURATION).all()
    assert not has(screened, Quality.SATURATED).any()
    assert np.unique(screened["configuration"]).tolist() == [0, 2]


def test_a_sample_that_reaches_into_a_window_is_flagged():
    """The minute from 2024-05-20T23:59:30 on is half a scan's; an hour that only touches the window's ends is not."""
    flagged = has(screen(make_counts(start="2024-05-20T23:00:30", n=80), RADEM), Quality.DO_NOT_USE)
    assert np.array_equal(flagged, np.arange(80) >= 59)
    hours = make_counts(start="2024-04-29T22:30", n=30, step=3600, exposure=3600.0)
    assert np.flatnonzero(has(screen(hours, RADEM), Quality.DO_NOT_USE)).tolist() == list(range(1, 26))
    short = hours.isel(time=[1]).assign(exposure=("time", [1800.0], attributes("exposure")))
    assert not has(screen(short, RADEM), Quality.DO_NOT_USE).any()


def test_a_sample_that_reaches_into_another_configuration_is_flagged():
    """No sample that runs past 2024-07-09T10:59:29 is known; one that ends at that instant is."""
    minutes = make_counts(start="2024-07-09T10:55:29", n=6)
    assert np.flatnonzero(has(screen(minutes, RADEM), Quality.UNKNOWN_CONFIGURATION)).tolist() == [4, 5]
    late = make_counts(start="2024-07-09T10:55:30", n=6)
    assert np.flatnonzero(has(screen(late, RADEM), Quality.UNKNOWN_CONFIGURATION)).tolist() == [3, 4, 5]
    day = make_counts(start="2024-07-09", n=1, step=86400, exposure=86400.0)
    assert has(screen(day, RADEM), Quality.UNKNOWN_CONFIGURATION).all()


def test_a_change_between_known_configurations_is_flagged_too():
    """Two responses in one sample are none."""
    first = RADEM.configurations[0]
    second = dataclasses.replace(RADEM.configurations[1], start=first.stop, response=first.response)
    both = dataclasses.replace(RADEM, configurations=(first, second))
    screened = screen(make_counts(start="2024-07-09T10:55:30", n=6), both)
    assert np.flatnonzero(has(screened, Quality.UNKNOWN_CONFIGURATION)).tolist() == [3]


def test_a_stated_configuration_that_the_dates_contradict_is_flagged():
    """Where file and dates disagree nobody knows which holds: flagged, told once, with what was stated and when."""
    stated = np.where(np.arange(240) < 100, 1, 3)
    counts = make_counts().assign_coords(configuration=("time", stated, attributes("configuration")))
    with pytest.warns(UserWarning, match=r"configuration 3 is stated for 140 of the 240 .*T01:40:00 .*say 1") as said:
        screened = screen(counts, RADEM)
    assert len(said) == 1
    assert np.array_equal(has(screened, Quality.UNKNOWN_CONFIGURATION), stated == 3)
    late = make_counts(start="2024-09-01").assign_coords(configuration=("time", np.ones(240, int)))
    with pytest.warns(UserWarning, match="configuration 1 is stated for 240 of the 240"):
        assert has(screen(late, RADEM), Quality.UNKNOWN_CONFIGURATION).all()


def test_independent_samples_keep_their_configuration():
    """Times that only number the samples contradict nothing: no window, no date, no overlap."""
    counts = make_counts(start="2024-05-20T23:30", exposure=900.0).assign_attrs(independent_samples=1)
    counts = counts.assign_coords(configuration=("time", np.ones(240, int), attributes("configuration")))
    assert not has(screen(counts, RADEM), Quality.DO_NOT_USE | Quality.UNKNOWN_CONFIGURATION).any()
    late = counts.assign_coords(time=counts["time"] + np.timedelta64(200, "D"))
    assert not has(screen(late, RADEM), Quality.UNKNOWN_CONFIGURATION).any()
    other = counts.assign_coords(configuration=("time", np.full(240, 3), attributes("configuration")))
    assert has(screen(other, RADEM), Quality.UNKNOWN_CONFIGURATION).all()


def test_overlapping_samples_are_refused():
    """Exposures of 900 s a minute apart would be summed fifteen times; up to 1.5 steps is the clock's jitter."""
    with pytest.raises(DataError, match=r"00:00:00.* lasts 900 s, the next one begins 60 s later \(239 of 240"):
        screen(make_counts(exposure=900.0), RADEM)
    assert screen(make_counts(exposure=90.0), RADEM).sizes["time"] == 240


@pytest.mark.parametrize("channel", RADEM.channels)
def test_only_a_needed_channel_makes_a_sample_missing(channel):
    """NaN flags the sample in the channels that spectra are read from; elsewhere it only stays NaN, sums included."""
    counts = make_counts(n=30)
    counts["counts"].loc[{"channel": channel}][3] = np.nan
    screened = screen(counts, RADEM)
    needed = channel in RADEM.ensemble.bins[-1]
    assert np.flatnonzero(has(screened, UNUSABLE)).tolist() == ([3] if needed else [])
    assert np.isnan(screened["counts"].sel(channel=channel).values[3])
    if not needed:
        first = accumulate(screened).isel(time=0)
        assert [name for name in RADEM.channels if np.isnan(first["counts"].sel(channel=name))] == [channel]
        assert float(first["exposure"]) == 900
        assert int(first["quality"]) == 0


@pytest.mark.parametrize("channel", RADEM.channels)
def test_counts_beyond_the_limit_are_saturated(channel):
    """2e7 counts in a minute in any one channel flag that sample alone."""
    counts = make_counts()
    counts["counts"].loc[{"channel": channel}][100] = 2e7
    assert np.flatnonzero(has(screen(counts, RADEM), Quality.SATURATED)).tolist() == [100]


@pytest.mark.parametrize("channels", [["EDH8"], ["PDH2"], ["PDH3"], ["PDH6"], ["PDH1", "PDH3", "PDH4"]])
def test_a_channel_switched_off_is_implausible(channels):
    """Channels at 3 % of the quiet level for two hours are flagged throughout, but for 8 samples at either end."""
    off = np.isin(RADEM.channels, channels) & (np.arange(240) >= 60)[:, None] & (np.arange(240) < 180)[:, None]
    counts = make_counts(np.where(off, 0.03, 1.0) * QUIET).sel(channel=["PDH1", "PDH3", *channels][-3:])
    flagged = has(screen(counts, RADEM), Quality.SATURATED)
    assert flagged[68:172].all()
    assert not flagged[:60].any()
    assert not flagged[180:].any()


def test_a_good_sample_is_not_blamed_for_its_neighbours():
    """The one full minute before channels are switched off stays usable."""
    off = np.arange(240)[:, None] >= 1
    flagged = has(screen(make_counts(np.where(off, 0.03, 1.0) * QUIET), RADEM), Quality.SATURATED)
    assert np.flatnonzero(~flagged).tolist() == [0]


def test_a_drifting_channel_may_fall_further():
    """EDH8, whose level drifts by tens of per cent for other reasons than cosmic rays, may fall to 0.35 of it."""
    level = np.where(np.array(RADEM.channels) == "EDH8", 0.35, 1.0)
    assert not has(screen(make_counts(level * QUIET, n=1440), RADEM), UNUSABLE).any()


def test_the_largest_event_on_record_is_not_saturation():
    """A rise to 3e4 counts per second in every channel stays usable."""
    ramp = QUIET * np.ones((240, 1)) + np.geomspace(1e-3, 3e4, 240)[:, None]
    assert not has(screen(make_counts(ramp), RADEM), UNUSABLE).any()


def test_spikes_are_found_and_stay_usable():
    """PDH2 at 2.2 times its level for one sample every 200 minutes is flagged there and nowhere else."""
    rate = np.repeat(QUIET[None], 1440, axis=0)
    spikes = np.arange(150, 1440, 200)
    rate[spikes, 1] *= 2.2
    screened = screen(make_counts(rate, n=1440), RADEM)
    assert np.flatnonzero(has(screened, Quality.SPIKE)).tolist() == spikes.tolist()
    assert not has(screened, UNUSABLE).any()


@pytest.mark.parametrize("minutes", [1, 2, 5, 60])
def test_a_real_rise_is_no_spike(minutes):
    """Particles that double PDH2 for minutes or hours lift its neighbours too: no SPIKE."""
    rate = np.repeat(QUIET[None], 240, axis=0)
    rate[100 : 100 + minutes] *= 2.2
    assert not has(screen(make_counts(rate), RADEM), Quality.SPIKE).any()


def test_a_lasting_step_of_the_noisy_channel_is_no_spike():
    """A level that stays is a level."""
    rate = np.repeat(QUIET[None], 240, axis=0)
    rate[120:, 1] *= 2.2
    assert not has(screen(make_counts(rate), RADEM), Quality.SPIKE).any()


def test_spikes_are_found_beside_missing_samples():
    """Samples that are NaN next to a spike neither hide nor make one."""
    counts = make_counts()
    counts["counts"][:100, 1] = np.nan
    counts["counts"][101] = np.nan
    counts["counts"][102, 1] = 440
    assert np.flatnonzero(has(screen(counts, RADEM), Quality.SPIKE)).tolist() == [102]


def test_defects_of_a_sample_are_flagged():
    """NaN is MISSING, a count below 0 or infinite and no exposure INVALID, half a minute SHORT, a hole GAP."""
    counts = make_counts().isel(time=[0, 1, 2, 3, 4, 5, 6, 9, 10])
    counts["counts"][1, 4] = np.nan
    counts["counts"][2, 4] = -1
    counts["counts"][8, 4] = np.inf
    counts["exposure"][3:6] = [0, np.nan, 30]
    expected = [0, Quality.MISSING, Quality.INVALID, Quality.INVALID, Quality.INVALID, Quality.SHORT, 0, Quality.GAP]
    expected.append(Quality.INVALID)
    # The sample after the short one begins a full minute later: half a minute is missing before it.
    expected[6] = Quality.GAP
    assert screen(counts, RADEM)["quality"].values.tolist() == expected


def test_channel_order_and_choice_do_not_matter():
    """Flags do not depend on the order of channels, nor on the order of dimensions."""
    counts = make_counts(start="2024-05-20T22:00")
    counts["counts"][10, 1] = 440
    counts["counts"][20, 5] = 1e7
    reference = screen(counts, RADEM)["quality"]
    shuffled = counts.isel(channel=np.random.default_rng(0).permutation(16)).transpose("channel", "time")
    xr.testing.assert_identical(screen(shuffled, RADEM)["quality"], reference)


def test_no_sample_is_no_error():
    """An empty dataset passes both verbs."""
    empty = make_counts().isel(time=slice(0))
    assert screen(empty, RADEM).sizes["time"] == 0
    assert accumulate(empty).sizes["time"] == 0


@pytest.mark.parametrize("verb", [lambda counts: screen(counts, RADEM), accumulate])
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda c: c.drop_vars("exposure"), AxisError, "no variable 'exposure'"),
        (lambda c: c.assign(exposure=c["exposure"].assign_attrs(units="min")), UnitError, "units 'min', expected 's'"),
        (lambda c: c.drop_vars("channel"), AxisError, "dimension 'channel' of the counts carries no labels"),
        (lambda c: c.isel(time=[0, 2, 1]), AxisError, r"time\[2\] is .* not after the one before it"),
        (lambda c: c.isel(time=[0, 1, 1]), AxisError, r"time\[2\] is .* each once"),
    ],
)
def test_other_datasets_are_refused(verb, change, error, match):
    """Both verbs refuse data without the variables, units, labels or order they need."""
    with pytest.raises(error, match=match):
        verb(change(make_counts()))


def test_unknown_channels_are_refused():
    """A channel the instrument does not have is an AxisError."""
    with pytest.raises(AxisError, match=r"channels P0, .*: radem has PDH1"):
        screen(make_counts().assign_coords(channel=[f"P{i}" for i in range(16)]), RADEM)


def test_accumulation_sums_counts_and_live_time():
    """Fifteen full minutes give their sums at the start of the quarter, with nothing against them."""
    counts = make_counts()
    quarters = accumulate(counts)
    assert quarters.sizes["time"] == 16
    np.testing.assert_array_equal(quarters["counts"], counts["counts"].values.reshape(16, 15, 16).sum(axis=1))
    assert (quarters["exposure"] == 900).all()
    assert (quarters["quality"] == 0).all()
    assert quarters["time"].values[1] == np.datetime64("2023-10-01T00:15")
    assert quarters["counts"].attrs == attributes("counts")
    assert quarters.attrs == counts.attrs


def test_bins_are_aligned_with_utc():
    """A record that begins at 00:07:33 still gives bins at full quarters; the cut first one is SHORT."""
    quarters = accumulate(make_counts(start="2023-10-01T00:07:33"))
    assert quarters["time"].values[0] == np.datetime64("2023-10-01T00:00")
    assert (np.diff(quarters["time"].values) == np.timedelta64(15, "m")).all()
    assert has(quarters, Quality.SHORT)[:2].tolist() == [True, False]


def test_days_begin_at_midnight():
    """every="1D" sums UTC days."""
    days = accumulate(make_counts(n=2880), every="1D")
    assert days["exposure"].values.tolist() == [86400, 86400]


def test_unusable_minutes_are_left_out():
    """A saturated minute changes neither the sum nor the flags of its bin, apart from its exposure."""
    counts = make_counts()
    counts["counts"][7] = 1e8
    counts["quality"][7] = int(Quality.SATURATED)
    first = accumulate(counts).isel(time=0)
    np.testing.assert_array_equal(first["counts"], counts["counts"].values[np.r_[0:7, 8:15]].sum(axis=0))
    assert float(first["exposure"]) == 840
    assert int(first["quality"]) == 0


def test_a_bin_left_with_little_is_short():
    """Below 90 % of the time asked for, a bin is SHORT: 13 of 15 minutes are, 14 are not."""
    counts = make_counts()
    counts["quality"][[3, 20, 21]] = int(Quality.MISSING)
    assert has(accumulate(counts), Quality.SHORT)[:3].tolist() == [False, True, False]


def test_a_bin_without_usable_minutes_carries_their_flags():
    """Unusable minutes are summed among themselves, and every one of their flags is kept."""
    counts = make_counts()
    counts["quality"][:15] = int(Quality.DO_NOT_USE)
    counts["quality"][4] = int(Quality.DO_NOT_USE | Quality.SATURATED)
    first = accumulate(counts).isel(time=0)
    assert int(first["quality"]) == Quality.DO_NOT_USE | Quality.SATURATED
    np.testing.assert_array_equal(first["counts"], counts["counts"].values[:15].sum(axis=0))


def test_spike_and_gap_are_inherited_and_short_is_judged_anew():
    """SPIKE passes on from summed minutes, GAP from left-out ones too, SHORT from none."""
    counts = make_counts()
    counts["quality"][2] = int(Quality.SPIKE | Quality.SHORT)
    counts["quality"][17] = int(Quality.GAP | Quality.MISSING | Quality.SPIKE)
    assert accumulate(counts)["quality"].values[:3].tolist() == [Quality.SPIKE, Quality.GAP, 0]


def test_absent_bins_stay_absent_and_the_next_carries_gap():
    """An hour without data makes no bin, no zero, and a GAP on the first bin after it."""
    counts = make_counts().isel(time=np.r_[0:60, 120:240])
    quarters = accumulate(counts)
    assert quarters.sizes["time"] == 12
    assert np.flatnonzero(has(quarters, Quality.GAP)).tolist() == [4]


def test_a_missing_channel_stays_missing():
    """A bin of nothing but minutes that lack a channel is NaN there, never 0."""
    counts = make_counts()
    counts["counts"][:15, 4] = np.nan
    counts["quality"][:15] = int(Quality.MISSING)
    first = accumulate(counts).isel(time=0)
    assert np.flatnonzero(np.isnan(first["counts"].values)).tolist() == [4]


def test_configurations_never_mix():
    """Where two configurations meet in a bin, the more frequent one is summed alone."""
    configuration = np.where(np.arange(240) < 20, 1, 4)
    counts = make_counts().assign_coords(configuration=("time", configuration, attributes("configuration")))
    second = accumulate(counts).isel(time=1)
    assert int(second["configuration"]) == 4
    np.testing.assert_array_equal(second["counts"], counts["counts"].values[20:30].sum(axis=0))
    assert int(second["quality"]) == Quality.SHORT


def test_other_variables_are_averaged_by_live_time():
    """A true flux along time becomes the mean over the summed minutes; what has no time is kept."""
    counts = make_counts()
    counts["exposure"][0] = 30
    counts["flux_true"] = (("time", "energy"), np.arange(480.0).reshape(240, 2), attributes("flux_true"))
    counts["threshold"] = ("energy", [1.0, 2.0])
    counts["quality"][1] = int(Quality.MISSING)
    quarters = accumulate(counts)
    rows = np.r_[0, 2:15]
    expected = np.average(counts["flux_true"].values[rows], axis=0, weights=counts["exposure"].values[rows])
    np.testing.assert_allclose(quarters["flux_true"].values[0], expected)
    assert quarters["flux_true"].attrs == attributes("flux_true")
    assert quarters["threshold"].values.tolist() == [1, 2]


def test_text_along_time_is_refused():
    """A variable that can be neither summed nor averaged is named."""
    with pytest.raises(AxisError, match="variable 'note' along time is"):
        accumulate(make_counts().assign(note=("time", ["x"] * 240)))


def test_none_keeps_the_cadence():
    """every=None gives the samples back."""
    counts = make_counts()
    xr.testing.assert_identical(accumulate(counts, every=None), counts)


@pytest.mark.parametrize(
    ("every", "match"),
    [
        ("30s", "is shorter than the accumulation of the samples, 60 s"),
        ("-15min", "is shorter"),
        ("NaT", "is shorter"),
        ("quarter", "every='quarter' is no duration"),
        ("", "is no duration|is shorter"),
    ],
)
def test_other_bins_are_refused(every, match):
    """A bin that is no duration or shorter than a sample is a DataError."""
    with pytest.raises(DataError, match=match):
        accumulate(make_counts(), every=every)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_accumulation_agrees_with_a_plain_loop(data):
    """Whatever the flags, gaps and configurations, sums and flags are those of a loop over bins."""
    keep = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=60, max_size=60).filter(any)))
    choice = st.sampled_from([0, 0, 0, Quality.SPIKE, Quality.MISSING, Quality.SATURATED | Quality.GAP, Quality.SHORT])
    counts = make_counts(n=60, start="2023-10-01T00:03:20").isel(time=keep)
    counts["quality"][:] = [int(data.draw(choice)) for _ in keep]
    configuration = np.sort([data.draw(st.integers(1, 3)) for _ in keep])
    counts = counts.assign_coords(configuration=("time", configuration, attributes("configuration")))
    result = accumulate(counts, every="10min")
    bins = counts["time"].values.astype("datetime64[m]").astype(int) // 10
    quality = counts["quality"].values
    assert result["time"].values.astype("datetime64[m]").astype(int).tolist() == (np.unique(bins) * 10).tolist()
    previous = None
    for row, number in enumerate(np.unique(bins)):
        members = np.flatnonzero(bins == number)
        usable = [i for i in members if not quality[i] & int(UNUSABLE)]
        chosen = usable or list(members)
        common = min(set(configuration[chosen]), key=lambda value: (-list(configuration[chosen]).count(value), value))
        chosen = [i for i in chosen if configuration[i] == common]
        flags = 0
        for i in chosen:
            flags |= quality[i] & ~int(Quality.SHORT)
        for i in members:
            flags |= quality[i] & int(Quality.GAP)
        flags |= int(Quality.SHORT) if 60 * len(chosen) < 540 else 0
        flags |= int(Quality.GAP) if previous is not None and number > previous + 1 else 0
        previous = number
        assert result["quality"].values[row] == flags
        assert result["configuration"].values[row] == common
        assert result["exposure"].values[row] == 60 * len(chosen)
        np.testing.assert_array_equal(result["counts"].values[row], counts["counts"].values[chosen].sum(axis=0))


def test_a_month_is_screened_and_summed_whole():
    """44640 minutes give 2976 quarters and lose no count and no second."""
    counts = make_counts(n=44640)
    quarters = accumulate(screen(counts, RADEM))
    assert quarters.sizes["time"] == 2976
    np.testing.assert_array_equal(quarters["counts"].sum("time"), counts["counts"].sum("time"))
    assert float(quarters["exposure"].sum()) == 44640 * 60


@pytest.fixture(scope="module")
def may(shared_data):
    return screen(open_radem(shared_data / "radem" / "sc", start="2024-05-01", stop="2024-05-31"), RADEM)


def test_real_scans_are_all_do_not_use(may):
    """Every minute that holds a part of 2024-05-21 to 28 is DO_NOT_USE, none before or after."""
    time, minute = may["time"].values, np.timedelta64(60, "s")
    scans = (time + minute > np.datetime64("2024-05-21")) & (time < np.datetime64("2024-05-29"))
    assert np.array_equal(has(may, Quality.DO_NOT_USE), scans)


@pytest.mark.parametrize(("channels", "share"), [(slice(None), 0.99), (["PDH1", "PDH3", "PDH4", "PDH5", "PDH6"], 0.9)])
def test_real_scans_are_caught_without_the_table(may, channels, share):
    """Plausibility alone catches the scans, 2024-05-21T08:07 to 05-27T23:13, in all channels or in five."""
    inside = screen(may.sel(channel=channels), RADEM).sel(time=slice("2024-05-21T08:07", "2024-05-27T23:13"))
    assert has(inside, Quality.SATURATED).mean() > share


def test_real_storm_and_quiet_days_are_not_saturated(may, shared_data):
    """Less than 0.1 % of the storm of 10-15 May, of the days around it, and of October 2023 is called implausible."""
    october = screen(open_radem(shared_data / "radem" / "sc", start="2023-10-01", stop="2023-10-31"), RADEM)
    storm = may.sel(time=slice("2024-05-10", "2024-05-15"))
    for quiet in (october, storm, may.sel(time=slice(None, "2024-05-20")), may.sel(time=slice("2024-05-28", None))):
        assert has(quiet, Quality.SATURATED).mean() < 1e-3


def test_real_spikes_keep_their_period_through_the_storm(may):
    """On 10-15 May PDH2 spikes are found every 200 minutes although the channel rises six-fold."""
    storm = may.sel(time=slice("2024-05-10", "2024-05-15"))
    spikes = storm["time"].values[has(storm, Quality.SPIKE)]
    step = np.diff(spikes) / np.timedelta64(1, "m")
    assert len(spikes) >= 40
    assert np.abs(step - 200).max() < 3
