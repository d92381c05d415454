from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from particleflux.cli import spectra as spectra_command
from particleflux.demo import Event
from particleflux.errors import ArtefactError, AxisError, DataError, MissingDataError
from particleflux.instruments import load_instrument
from particleflux.names import UNUSABLE, Assessment, Quality, attributes
from particleflux.quality import accumulate
from particleflux.reconstruct import (
    DEFAULT_METHOD,
    METHODS,
    SPECIES,
    Prepared,
    check_response,
    load_method,
    prepare,
    reconstruct,
)
from particleflux.reconstruct.methods import SAMPLED, TRAINED
from particleflux.simulate import Range, Simulation
from particleflux.summary import summarise
from particleflux.unfold.ensemble import EnsembleUnfolder
from particleflux.unfold.npe import NpeUnfolder

RADEM = load_instrument("radem")


@dataclass(frozen=True)
class ExcessUnfolder:
    """A method one can check by hand: every flux is the net rate of PDH4."""

    energies: tuple[float, ...] = (5.0, 10.0, 50.0)

    def unfold(self, counts: xr.Dataset, background: xr.Dataset) -> xr.Dataset:
        net = counts["counts"] / counts["exposure"] - background["background_rate"]
        usable = (counts["quality"] & Quality.DO_NOT_USE.value) == 0
        flux = net.sel(channel="PDH4", drop=True).where(usable).to_numpy()[:, None].repeat(len(self.energies), axis=1)
        dataset = xr.Dataset(coords={"time": counts["time"], "energy": ("energy", list(self.energies))})
        dataset["energy"].attrs = attributes("energy")
        for suffix, factor in (("", 1.0), ("_lower", 0.5), ("_upper", 2.0), ("_lower95", 0.2), ("_upper95", 5.0)):
            dataset[f"flux{suffix}"] = (("time", "energy"), factor * flux, attributes(f"flux{suffix}"))
        dataset["ensemble"] = ("time", np.where(usable, 3, 0), attributes("ensemble"))
        not_run = np.where(usable, 0, Quality.NOT_PROCESSED.value).astype(np.int32)
        dataset["quality"] = ("time", not_run, attributes("quality"))
        return dataset


@pytest.fixture(scope="module")
def counts() -> xr.Dataset:
    return Event(quiet_hours=30, event_hours=8).simulate(RADEM)[["counts", "exposure", "quality"]]


def test_road_gives_the_net_rate(counts: xr.Dataset) -> None:
    """Screening, accumulation and background leave exactly what the method makes of the accumulated counts."""
    spectra = reconstruct(counts, method=ExcessUnfolder(), every="1h")
    assert spectra.sizes == {"time": 38, "energy": 3}
    simulated = Event(quiet_hours=30, event_hours=8).simulate(RADEM)
    hour = simulated["counts"].sel(channel="PDH4").isel(time=slice(32 * 60, 33 * 60)).sum() / 3600
    quiet = RADEM.quiet_background(0.95)["background_rate"].sel(channel="PDH4")
    np.testing.assert_allclose(spectra["flux"].isel(time=32, energy=0), hour - quiet, rtol=0.05)
    assert spectra.attrs["instrument"] == "radem"
    assert spectra.attrs["background_source"] == "auto"


def test_native_cadence_is_kept(counts: xr.Dataset) -> None:
    """Without accumulation every sample has its spectrum at its own time."""
    spectra = reconstruct(counts, method=ExcessUnfolder(), every=None)
    np.testing.assert_array_equal(spectra["time"], counts["time"])


def test_channel_without_a_count_is_left_out(counts: xr.Dataset) -> None:
    """A channel that nothing is read from may hold fill throughout: it is told, and the spectra are the same."""
    dead = counts.copy(deep=True)
    dead["counts"].loc[{"channel": "EDH8"}] = np.nan
    with pytest.warns(UserWarning, match="EDH8 held fill values throughout"):
        found = reconstruct(dead, method=ExcessUnfolder(), every="1h")
    np.testing.assert_allclose(found["flux"], reconstruct(counts, method=ExcessUnfolder(), every="1h")["flux"])


def test_flags_of_counts_background_and_method_are_joined(counts: xr.Dataset) -> None:
    """A flag raised by any step stands in the result."""
    flagged = counts.copy(deep=True)
    flagged["quality"][:60] = Quality.DO_NOT_USE
    level = RADEM.quiet_background()
    prepared = prepare(flagged, background=level, every="1h")
    held = np.full(38, Quality.BACKGROUND_HELD.value, np.int32)
    prepared.background["quality"] = ("time", held, attributes("quality"))
    quality = prepared.unfold(ExcessUnfolder())["quality"].to_numpy()
    assert quality[0] & Quality.DO_NOT_USE
    assert quality[0] & Quality.NOT_PROCESSED
    assert (quality & Quality.BACKGROUND_HELD.value).all()


def test_background_of_quiet_counts_is_measured(counts: xr.Dataset) -> None:
    """Counts of quiet time give their own rate, followed through the event."""
    quiet = counts.isel(time=slice(0, 30 * 60))
    prepared = prepare(counts, background=quiet, every="1h")
    assert prepared.background.attrs["source"] == "files"
    expected = (quiet["counts"].sum("time") / quiet["exposure"].sum()).sel(channel="PDH4")
    np.testing.assert_allclose(prepared.background["background_rate"].sel(channel="PDH4"), expected, rtol=0.1)


def test_background_over_time_is_taken_as_it_is(counts: xr.Dataset) -> None:
    """A background at the times of the accumulated counts is not changed; at other times it is refused."""
    first = prepare(counts, background=RADEM.quiet_background(), every="1h")
    again = prepare(counts, background=first.background, every="1h")
    xr.testing.assert_identical(again.background, first.background)
    with pytest.raises(AxisError, match="the 38 times of the background are not the 19 of the accumulated"):
        prepare(counts, background=first.background, every="2h")


def test_unknown_settings_are_refused(counts: xr.Dataset) -> None:
    """Every setting that cannot be used is told with what can."""
    with pytest.raises(DataError, match="method 'magic' is not available; choose one of: ensemble, npe, bayes"):
        reconstruct(counts, method="magic")
    with pytest.raises(DataError, match="'fit' has no model for species 'electron'; choose one of: proton, or the m"):
        load_method("fit", species="electron")
    with pytest.raises(DataError, match=r"'ensemble' has no model for species 'muon'; choose one of: proton$"):
        load_method("ensemble", species="muon")
    with pytest.raises(DataError, match=r"'npe' has no model for species 'muon'; choose one of: proton, electron$"):
        load_method(species="muon")
    for wrong in ((), (10.0, 5.0), (-1.0, 5.0), (float("nan"),)):
        with pytest.raises(DataError, match="positive numbers in MeV that increase"):
            load_method(energies=wrong)
    with pytest.raises(DataError, match=r"response error 5: expected a fraction"):
        load_method(response_error=5)
    with pytest.raises(DataError, match="background 'none': expected 'auto'"):
        reconstruct(counts, method=ExcessUnfolder(), background="none")
    with pytest.raises(ArtefactError, match="no model 'nowhere'"):
        load_method(model="nowhere")


def test_options_that_a_method_does_not_have_are_refused() -> None:
    """A model for a method without one, and draws of a method that has no joint distribution, are told by name."""
    with pytest.raises(DataError, match="model 'mine' was asked for, but method 'fit' works from the response itself"):
        load_method("fit", model="mine")
    with pytest.raises(DataError, match=r"10 samples were asked for, but method 'bowtie' .* choose one of: npe, bayes"):
        load_method("bowtie", samples=10)
    with pytest.raises(DataError, match="samples -1: expected a number of draws"):
        load_method("bayes", samples=-1)


def test_every_method_is_described() -> None:
    """Each name has a line, its species, and the default is one of them; the command line's help names them all."""
    assert DEFAULT_METHOD in METHODS
    assert set(SPECIES) == set(METHODS)
    assert all("proton" in species for species in SPECIES.values())
    assert set(TRAINED) | set(SAMPLED) <= set(METHODS)
    shown = inspect.getsource(spectra_command.reconstruct)
    assert all(name in shown for name in METHODS)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in TRAINED])
def test_classical_methods_use_the_response_they_are_given(name: str) -> None:
    """Tables of twice the geometric factor halve nothing silently: the method holds exactly them, and its own error."""
    own = RADEM.response("proton", 1)
    doubled = own.select(own.channels)
    object.__setattr__(doubled, "geometric_factor", own.geometric_factor * 2.0)
    method = load_method(name, instrument=RADEM, response=doubled, response_error=0.1)
    detector = method.detector  # type: ignore[attr-defined]
    assert detector.response.digest == doubled.select(detector.channels).digest
    assert detector.response_error == 0.1
    assert method.trained_for is None


def test_trained_methods_check_the_response_they_are_given() -> None:
    """Tables that a model was not trained for are refused when the method is made."""
    own = RADEM.response("proton", 1)
    doubled = own.select(own.channels)
    object.__setattr__(doubled, "geometric_factor", own.geometric_factor * 2.0)
    with pytest.raises(DataError, match="rates up to 100"):
        load_method("ensemble", response=doubled)
    assert load_method("ensemble", response=own).trained_for


def test_response_is_checked_by_its_rates() -> None:
    """Tables as the instrument's own pass; tables that give a tenth more are refused unless that is allowed for."""
    own = RADEM.response("proton", 1)
    check_response(own, RADEM, tolerance=0.0)
    larger = own.select(own.channels)
    object.__setattr__(larger, "geometric_factor", own.geometric_factor * 1.1)
    with pytest.raises(DataError, match=r"rates up to 10\.0% off those of radem in PDH\d, more than the 5\.0%"):
        check_response(larger, RADEM, tolerance=0.05)
    check_response(larger, RADEM, tolerance=0.11)


def test_response_is_that_of_the_model() -> None:
    """Tables a model was trained for pass whatever the instrument's are; any others do not, however alike."""
    own = RADEM.response("proton", 1)
    read = list(RADEM.ensemble.bins[-1])
    doubled = own.select(own.channels)
    object.__setattr__(doubled, "geometric_factor", own.geometric_factor * 2.0)
    trained_for = doubled.select(read).digest
    check_response(doubled, RADEM, tolerance=0.0, trained_for=trained_for)
    check_response(own, RADEM, tolerance=0.0, trained_for=own.select(read).digest)
    with pytest.raises(DataError, match="the model was trained for another response"):
        check_response(own, RADEM, tolerance=0.05, trained_for=trained_for)


def test_summary_counts_every_sample(counts: xr.Dataset) -> None:
    """Reconstructed, flagged and answered samples add up, and the background's origin is put in words."""
    flagged = counts.copy(deep=True)
    flagged["quality"][:120] = Quality.DO_NOT_USE
    summary = summarise(reconstruct(flagged, method=ExcessUnfolder(), every="1h", background=RADEM.quiet_background()))
    assert summary.n_samples == 38
    assert summary.n_reconstructed == 36
    assert summary.flags["DO_NOT_USE"] == 2
    assert summary.flags["NOT_PROCESSED"] == 2
    assert "SPIKE" not in summary.flags
    assert summary.ensembles == {3: 36}
    assumed = summarise(
        reconstruct(counts, method=ExcessUnfolder(), every="1h").assign_attrs(background_source="instrument")
    )
    assert assumed.background.startswith("the quiet level of the instrument file")


def moved(counts: xr.Dataset, start: str) -> xr.Dataset:
    """Give the same counts at other times, with the configuration looked up anew."""
    time = np.datetime64(start, "ns") + (counts["time"] - counts["time"][0]).to_numpy()
    return counts.drop_vars("configuration").assign_coords(time=time)


def test_time_without_a_response_is_told_once(counts: xr.Dataset) -> None:
    """From the sample in which the configuration changed on, all are flagged, and one warning says how many."""
    late = moved(counts.isel(time=slice(0, 120)), "2024-07-09T10:00")
    with pytest.warns(UserWarning, match="no response of radem is public") as said:
        prepared = prepare(late, background=RADEM.quiet_background(), every=None)
    assert len(said) == 1
    message = str(said[0].message)
    assert "61 of the 120 samples of the counts, the first at 2024-07-09T10:59:00 UTC (no configuration" in message
    assert "a response is known from 2023-08-31T00:00:00 to 2024-07-09T10:59:29" in message
    flagged = (prepared.counts["quality"].to_numpy() & Quality.UNKNOWN_CONFIGURATION.value) != 0
    np.testing.assert_array_equal(flagged, np.arange(120) >= 59)


def test_only_time_without_a_response_is_an_error(counts: xr.Dataset) -> None:
    """Where no sample has a response there is nothing to reconstruct, and the configuration is named."""
    late = moved(counts.isel(time=slice(0, 120)), "2024-08-10T00:00")
    with pytest.raises(MissingDataError, match=r"public for all 120 samples .*configuration 3, .* PDH3 changed"):
        prepare(late, background=RADEM.quiet_background())
    early = moved(counts.isel(time=slice(0, 120)), "2023-08-01T00:00")
    with pytest.raises(MissingDataError, match="no configuration known"):
        prepare(early, background=RADEM.quiet_background())


def test_windows_not_to_be_used_are_told_once_each(counts: xr.Dataset) -> None:
    """Each window is one warning with its reason, its span and the number of samples; the rest stays usable."""
    early = moved(counts.isel(time=slice(0, 120)), "2024-04-29T23:00")
    both = xr.concat([early, moved(counts.isel(time=slice(0, 60)), "2024-05-25T00:00")], "time", data_vars="minimal")
    with pytest.warns(UserWarning, match="not to be used") as said:
        prepared = prepare(both, background=RADEM.quiet_background(), every=None)
    first, second = (str(item.message) for item in said)
    assert first.startswith("60 of the 180 samples of the counts reach into 2024-04-30T00:00:00 to 2024-05-01T00:00:00")
    assert "(software test)" in first
    assert "(threshold scans)" in second
    assert ((prepared.counts["quality"].to_numpy() & Quality.DO_NOT_USE.value) != 0).sum() == 120


def test_samples_that_reach_into_a_window_are_told_with_it(counts: xr.Dataset) -> None:
    """A sample that begins before a window and ends in it is flagged and counted."""
    early = moved(counts.isel(time=slice(0, 61)), "2024-04-29T23:00:30")
    with pytest.warns(UserWarning, match=r"2 of the 61 samples of the counts reach into 2024-04-30"):
        prepared = prepare(early, background=RADEM.quiet_background(), every=None)
    flagged = (prepared.counts["quality"].to_numpy() & Quality.DO_NOT_USE.value) != 0
    np.testing.assert_array_equal(flagged, np.arange(61) >= 59)


def test_configuration_that_the_dates_contradict_is_told(counts: xr.Dataset) -> None:
    """Counts of a time without a response stay unprocessed though the file states a configuration that has one."""
    late = moved(counts.isel(time=slice(0, 120)), "2024-07-09T10:00")
    stated = late.assign_coords(configuration=("time", np.ones(120, np.int32), attributes("configuration")))
    with pytest.warns(UserWarning, match="flagged, not processed") as said:
        prepared = prepare(stated, background=RADEM.quiet_background(), every=None)
    messages = [str(item.message) for item in said]
    assert any("configuration 1 is stated for 60 of the 120 samples" in message for message in messages)
    assert any("no response of radem is public for 61 of the 120" in message for message in messages)
    assert len(messages) == 2
    flagged = (prepared.counts["quality"].to_numpy() & Quality.UNKNOWN_CONFIGURATION.value) != 0
    np.testing.assert_array_equal(flagged, np.arange(120) >= 59)


def test_samples_longer_than_the_default_are_kept(counts: xr.Dataset) -> None:
    """Hourly counts work with the defaults, at their own times; minutes are summed to 15."""
    hourly = accumulate(counts, "1h")
    late = hourly.assign_coords(time=hourly["time"] + np.timedelta64(7, "m"))
    prepared = prepare(late, background=RADEM.quiet_background())
    assert prepared.length is None
    np.testing.assert_array_equal(prepared.counts["time"], late["time"])
    assert prepare(counts, background=RADEM.quiet_background()).length == "15min"
    assert prepare(accumulate(counts), background=RADEM.quiet_background()).length == "15min"
    with pytest.raises(DataError, match="is shorter than the accumulation of the samples, 3600 s"):
        prepare(late, background=RADEM.quiet_background(), every="15min")


@pytest.mark.parametrize("channel", ["PDH7", "PDH8", "PDH2", "EDH8"])
def test_missing_counts_in_a_channel_not_read_leave_the_sample(counts: xr.Dataset, channel: str) -> None:
    """NaN in a monitor, a noisy or an electron channel costs no spectrum and poisons no background."""
    broken = counts.copy(deep=True)
    broken["counts"].loc[{"channel": channel}][1800:1830] = np.nan
    level = RADEM.quiet_background()
    whole, holed = (reconstruct(c, method=ExcessUnfolder(), background=level) for c in (counts, broken))
    assert np.isfinite(holed["flux"]).all()
    np.testing.assert_allclose(holed["flux"], whole["flux"], rtol=0.05, atol=0.01)
    prepared = prepare(broken, background=level)
    assert np.isfinite(prepared.background["background_rate"]).all()
    assert (prepared.counts["quality"].to_numpy() & int(UNUSABLE) == 0).all()


def test_background_counts_not_to_be_used_are_told(counts: xr.Dataset) -> None:
    """What is left out of the background counts is said as well."""
    quiet = moved(counts.isel(time=slice(0, 30 * 60)), "2024-04-29T12:00")
    with pytest.warns(UserWarning, match=r"the background counts reach into .*software test\): left out"):
        prepare(counts, background=quiet)


def test_background_among_the_counts_is_used_as_it_is(counts: xr.Dataset) -> None:
    """Rates at the times of the counts are averaged as the counts are summed; another background still wins."""
    rate = np.linspace(1.0, 2.0, counts.sizes["time"])[:, None] * np.ones(counts.sizes["channel"])
    own = counts.assign(
        background_rate=(("time", "channel"), rate, attributes("background_rate")),
        background_rate_std=(("time", "channel"), 0.1 * rate, attributes("background_rate_std")),
    )
    prepared = prepare(own, every="1h")
    expected = rate[:, 0].reshape(38, 60).mean(axis=1)
    np.testing.assert_allclose(prepared.background["background_rate"].sel(channel="PDH4"), expected)
    np.testing.assert_allclose(prepared.background["background_rate_std"].sel(channel="PDH4"), 0.1 * expected)
    spectra = prepared.unfold(ExcessUnfolder())
    assert spectra.attrs["background_source"] == "file"
    assert summarise(spectra).background == "the one that the file of counts holds"
    assert "background_rate" not in prepared.counts
    assert prepare(own, background="auto", every="1h").background.attrs["source"] == "auto"
    with pytest.raises(AxisError, match="no variable 'background_rate_std'"):
        prepare(own.drop_vars("background_rate_std"))


def test_background_per_channel_among_the_counts_is_followed(counts: xr.Dataset) -> None:
    """Rates without time are a reference: the monitors give the level, as for a background given beside the counts."""
    own = counts.merge(RADEM.quiet_background())
    beside = prepare(counts, background=RADEM.quiet_background(), every="1h")
    within = prepare(own.assign_attrs(counts.attrs), every="1h")
    xr.testing.assert_allclose(within.background["background_rate"], beside.background["background_rate"])


def independent(n: int = 300, **settings: object) -> xr.Dataset:
    return Simulation.of_instrument(RADEM, **settings).sample(n, seed=4)


def test_independent_samples_stay_as_they_are() -> None:
    """Simulated samples are not summed, get no flag from their neighbours, and keep the background they came with."""
    samples = independent(signal_counts=Range(10.0, 1e4, log=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared = prepare(samples)
    assert prepared.length is None
    np.testing.assert_array_equal(prepared.counts["counts"], samples["counts"])
    np.testing.assert_array_equal(prepared.background["background_rate"], samples["background_rate"])
    assert (prepared.counts["quality"] == 0).all()
    spectra = prepared.unfold(ExcessUnfolder())
    assert spectra.attrs["background_source"] == "file"
    assert spectra.attrs["independent_samples"] == 1
    assert "flux_true" not in spectra


def test_independent_samples_without_particles_are_not_called_dead() -> None:
    """No background and few counts are what was simulated, and no fault of the detector."""
    prepared = prepare(independent(background_level=Range(0.0, 0.0), signal_counts=Range(0.1, 1.0)))
    assert (prepared.counts["quality"] == 0).all()


def test_independent_samples_keep_the_limit_and_their_own_flags() -> None:
    """A rate beyond a channel's limit is flagged whatever the times mean, and a flag in the file stays."""
    samples = independent(5)
    samples["counts"][1, 0] = 1e12
    samples["quality"][2] = Quality.SPIKE
    quality = prepare(samples).counts["quality"].to_numpy()
    assert (quality & Quality.SATURATED.value).astype(bool).tolist() == [False, True, False, False, False]
    assert quality[2] == Quality.SPIKE


def test_independent_samples_refuse_what_needs_a_course_in_time() -> None:
    """Summing them or looking for quiet time among them is refused; a background given beside them is not followed."""
    samples = independent(20)
    with pytest.raises(DataError, match=r"an accumulation of 1h was asked for, but the samples are independent"):
        prepare(samples, every="1h")
    with pytest.raises(DataError, match="no quiet time can be found among them; give a background"):
        prepare(samples, background="auto")
    level = RADEM.quiet_background()
    held = prepare(samples, background=level, every=None).background["background_rate"]
    assert held.dims == ("time", "channel")
    np.testing.assert_array_equal(held.isel(time=7), level["background_rate"])


def test_missing_is_the_methods_to_say(counts: xr.Dataset) -> None:
    """A method that did without a channel is not overruled by the counts' flag; one that says nothing is."""
    holed = counts.copy(deep=True)
    holed["counts"].loc[{"channel": "PDH6"}][:120] = np.nan
    prepared = prepare(holed, background=RADEM.quiet_background(), every="1h")
    assert int(prepared.counts["quality"][0]) & Quality.MISSING

    class LeavesOut(ExcessUnfolder):
        def unfold(self, counts: xr.Dataset, background: xr.Dataset) -> xr.Dataset:
            found = super().unfold(counts, background)
            return found.assign(quality=found["quality"] * 0 + Quality.CHANNEL_LEFT_OUT.value)

    class SaysNothing(ExcessUnfolder):
        def unfold(self, counts: xr.Dataset, background: xr.Dataset) -> xr.Dataset:
            return super().unfold(counts, background).drop_vars("quality")

    left_out = int(prepared.unfold(LeavesOut())["quality"][0])
    assert left_out & Quality.CHANNEL_LEFT_OUT
    assert not left_out & Quality.MISSING
    assert int(prepared.unfold(SaysNothing())["quality"][0]) & Quality.MISSING


@pytest.mark.parametrize("channel", ["PDH4", "PDH1"])
def test_channel_dead_throughout_lets_tolerant_methods_through(counts: xr.Dataset, channel: str) -> None:
    """A dead channel that the first method needs is told and dropped; background and quiet time are found without."""
    dead = counts.copy(deep=True)
    dead["counts"].loc[{"channel": channel}] = np.nan
    with pytest.warns(UserWarning, match=f"{channel} held fill values throughout and were left out"):
        prepared = prepare(dead, every="1h")
    assert channel not in prepared.counts["channel"]
    assert prepared.background.attrs["source"] == "auto"
    assert (prepared.counts["quality"].to_numpy() & int(UNUSABLE) == 0).all()
    whole = prepare(counts, every="1h").background["background_level"]
    np.testing.assert_allclose(prepared.background["background_level"], whole, atol=0.03)


def test_background_is_followed_through_samples_with_a_missing_channel(counts: xr.Dataset) -> None:
    """NaN in a channel that the level is not read off leaves the level read, not carried over."""
    holed = counts.copy(deep=True)
    holed["counts"].loc[{"channel": "PDH6"}][:1200] = np.nan
    prepared = prepare(holed, background=RADEM.quiet_background(), every="1h")
    whole = prepare(counts, background=RADEM.quiet_background(), every="1h")
    np.testing.assert_array_equal(prepared.background["quality"], whole.background["quality"])


def test_progress_reaches_the_method(counts: xr.Dataset) -> None:
    """What is told to the road is told by the method."""
    told: list[tuple[int, int]] = []

    class Tells(ExcessUnfolder):
        def unfold(self, counts: xr.Dataset, background: xr.Dataset, progress: object = None) -> xr.Dataset:
            assert callable(progress)
            progress(1, 1)
            return super().unfold(counts, background)

    prepared = prepare(counts, background=RADEM.quiet_background(), every="1h")
    prepared.unfold(Tells(), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]


def test_assessment_is_in_every_result(counts: xr.Dataset) -> None:
    """Each reconstruction carries it, says how species were judged, and the summary counts it."""
    spectra = reconstruct(counts, method=ExcessUnfolder(), every="1h", background=RADEM.quiet_background())
    assert spectra["assessment"].dims == ("time",)
    assert spectra.attrs["assessment_species"].startswith("electrons by EDH1")
    summary = summarise(spectra)
    assert sum(summary.assessments.values()) == 38
    assert set(summary.assessments) <= {item.name for item in Assessment}
    assert summarise(spectra.drop_vars("assessment")).assessments == {}


def test_prepared_without_an_instrument_still_works(counts: xr.Dataset) -> None:
    """A caller's own counts and background need no instrument; species are then not judged."""
    prepared = prepare(counts, background=RADEM.quiet_background(), every="1h")
    spectra = Prepared(prepared.counts, prepared.background).unfold(ExcessUnfolder())
    assert spectra.attrs["assessment_species"].startswith("not judged: nothing is known")


def test_a_model_alone_chooses_its_method() -> None:
    """Scripts that name a model of the ensembles, and no method, keep their method."""
    assert isinstance(load_method(model="radem-protons"), EnsembleUnfolder)
    assert isinstance(load_method(model="radem-protons-npe"), NpeUnfolder)
    assert isinstance(load_method(), NpeUnfolder)
