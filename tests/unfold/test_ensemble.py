"""The shipped deep ensembles: accuracy against known spectra, and what they refuse."""

import dataclasses
import hashlib

import numpy as np
import pytest
from scipy import integrate

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError, DataError
from particleflux.names import Quality, attributes
from particleflux.simulate import Simulation
from particleflux.spectra import RollingPowerLaw
from particleflux.unfold.ensemble import QUANTILES, EnsembleUnfolder, describe

ENERGIES = (5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
KNOWN = [(1.0, 20.0), (1.5, 50.0), (2.0, 15.0), (2.5, 30.0), (3.0, 60.0), (3.5, 25.0)]


@pytest.fixture(scope="module")
def artefact(model_path) -> Artefact:
    return Artefact.load(model_path)


@pytest.fixture(scope="module")
def exact(artefact) -> EnsembleUnfolder:
    """Give the ensembles told that the response is exact."""
    return EnsembleUnfolder(artefact, response_error=0.0, energies=ENERGIES)


def bright(observe, index: float, rollover: float, counts: float = 1e7) -> RollingPowerLaw:
    """Give the spectrum that shows so many counts in PDH1 in 900 s."""
    unit = RollingPowerLaw(np.ones((1, 1)), np.full((1, 1), index), np.full((1, 1), rollover))
    shown = float(observe(unit, background=False)["counts"].sel(channel="PDH1").item())
    return dataclasses.replace(unit, intensity=np.full((1, 1), counts / shown))


def altered(artefact: Artefact, **changes: object) -> Artefact:
    return Artefact({**artefact.card, **changes}, artefact.networks)


@pytest.mark.parametrize(("index", "rollover"), KNOWN)
def test_fold_then_unfold_gives_the_spectrum(exact, observe, quiet, index, rollover):
    """A bright spectrum folded without noise comes back within 2 % from 5 to 50 MeV, inside its own 95 % interval."""
    form = bright(observe, index, rollover)
    result = exact.unfold(observe(form), quiet).isel(time=0)
    truth = form.flux(np.array(ENERGIES))[0]
    np.testing.assert_allclose(result["flux"], truth, rtol=0.02)
    inside = (result["flux_lower95"] <= 1.01 * truth) & (result["flux_upper95"] >= 0.99 * truth)
    assert inside.all()


@pytest.mark.parametrize(("index", "rollover"), KNOWN)
def test_integral_flux_of_a_known_spectrum(exact, observe, quiet, index, rollover):
    """The integral flux above 10 and 30 MeV of a bright spectrum is right within 3 %."""
    form = bright(observe, index, rollover)
    found = exact.unfold(observe(form), quiet)["integral_flux"].isel(time=0).sel(threshold=[10.0, 30.0])
    np.testing.assert_allclose(found, form.integral([10.0, 30.0], np.inf)[0], rtol=0.03)


def test_parameters_of_a_known_spectrum(exact, observe, quiet):
    """Index, rollover energy and intensity of a bright spectrum are the true ones within a few per cent."""
    form = bright(observe, 2.0, 15.0)
    result = exact.unfold(observe(form), quiet).isel(time=0)
    np.testing.assert_allclose(result["spectral_index"], 2.0, atol=0.05)
    np.testing.assert_allclose(result["rollover_energy"], 15.0, rtol=0.05)
    np.testing.assert_allclose(result["intensity"], form.intensity.item(), rtol=0.1)


@pytest.mark.parametrize("factor", [0.1, 3.0, 100.0])
def test_flux_follows_the_counts(exact, observe, quiet, factor):
    """A factor on a bright spectrum is the same factor on the median, and on the integral flux."""
    form = bright(observe, 2.0, 20.0, counts=1e6)
    scaled = dataclasses.replace(form, intensity=factor * form.intensity)
    one, other = (exact.unfold(observe(spectrum), quiet).isel(time=0) for spectrum in (form, scaled))
    np.testing.assert_allclose(other["flux"] / one["flux"], factor, rtol=0.03)
    np.testing.assert_allclose((other["integral_flux"] / one["integral_flux"])[:2], factor, rtol=0.03)


def test_the_same_rates_for_longer_are_the_same_flux(exact, observe, quiet):
    """Exposure and counts times ten leave a bright flux where it was."""
    form = bright(observe, 2.0, 20.0)
    short, long = (exact.unfold(observe(form, exposure=exposure), quiet) for exposure in (900.0, 9000.0))
    np.testing.assert_allclose(long["flux"], short["flux"], rtol=0.02)


def test_a_softer_spectrum_is_seen_as_softer(exact, observe, quiet):
    """With rising index, the ratio of the medians at 30 and 5 MeV falls."""
    ratio = []
    for index in (0.5, 1.5, 2.5, 3.5):
        flux = exact.unfold(observe(bright(observe, index, 20.0)), quiet)["flux"].isel(time=0)
        ratio.append(float(flux.sel(energy=30.0) / flux.sel(energy=5.0)))
    assert (np.diff(ratio) < 0).all()


def test_the_interval_widens_as_counts_fade(exact, observe, quiet):
    """From a million counts to ten, the 95 % interval at 10 MeV widens at every step."""
    widths = []
    for counts in (1e6, 1e5, 1e4, 1e3, 1e2, 1e1):
        row = exact.unfold(observe(bright(observe, 2.0, 20.0, counts)), quiet).isel(time=0).sel(energy=10.0)
        widths.append(float(np.log(row["flux_upper95"] / row["flux_lower95"])))
    assert (np.diff(widths) > 0).all()


def test_the_interval_is_wide_where_no_channel_looks(exact, artefact, observe, quiet):
    """Of a weak event the 95 % interval at 100 MeV is several times as wide as at 10 MeV."""
    wide = dataclasses.replace(exact, energies=(10.0, 100.0))
    row = wide.unfold(observe(bright(observe, 3.0, 10.0, counts=1e3)), quiet).isel(time=0)
    width = np.log(row["flux_upper95"] / row["flux_lower95"])
    assert float(width.sel(energy=100.0)) > 3 * float(width.sel(energy=10.0))


def test_intervals_hold_the_truth_as_often_as_they_say(artefact, radem):
    """Over 600 simulated samples of the prior, the 68 % and 95 % intervals hold the truth 68 % and 95 % of the time."""
    source = Simulation.of_instrument(radem, channels=radem.ensemble.bins[-1])
    sample = source.sample(600, seed=11)
    energies = (7.0, 12.0, 30.0)
    unfolder = EnsembleUnfolder(artefact, response_error=0.0, energies=energies)
    result = unfolder.unfold(sample, sample[["background_rate", "background_rate_std"]])
    truth = RollingPowerLaw(
        *(sample[f"{name}_true"].values[:, None] for name in ("intensity", "spectral_index", "rollover_energy"))
    ).flux(np.array(energies))
    # Four standard errors of a share, and two per cent that the networks may be off.
    for low, high, share in (("_lower", "_upper", 0.68), ("_lower95", "_upper95", 0.95)):
        held = (truth >= result[f"flux{low}"].values) & (truth <= result[f"flux{high}"].values)
        allowed = 4 * np.sqrt(share * (1 - share) / 600) + 0.02
        assert (abs(held.mean(axis=0) - share) < allowed).all(), (share, held.mean(axis=0))


def test_integral_flux_is_the_integral_of_the_flux(artefact, observe, quiet):
    """The integral flux agrees with the flux curve, integrated over energy, within 5 %."""
    energies = tuple(np.geomspace(10.0, 200.0, 101).tolist())
    unfolder = EnsembleUnfolder(artefact, response_error=0.0, energies=(*energies[:-1], 200.0))
    result = unfolder.unfold(observe(bright(observe, 2.0, 20.0)), quiet).isel(time=0)
    flux, energy = result["flux"].values, result["energy"].values
    integral = integrate.simpson(flux * energy, x=np.log(energy))
    np.testing.assert_allclose(result["integral_flux"].sel(threshold=10.0), integral, rtol=0.05)


def test_more_bins_answer_as_the_event_grows(exact, observe, quiet):
    """The ensemble of three bins answers for a quiet sky, of four and of five as higher channels rise."""
    answered = []
    for counts in (1.0, 1e5, 1e7):
        result = exact.unfold(observe(bright(observe, 2.5, 8.0, counts)), quiet)
        answered.append(int(result["ensemble"][0]))
    assert answered[0] == 3
    assert answered[-1] == 5
    assert answered == sorted(answered)


def test_chunks_do_not_matter(exact, radem):
    """Among thousands of samples, each is answered as it would be alone."""
    source = Simulation.of_instrument(radem, channels=radem.ensemble.bins[-1])
    sample = source.sample(3000, seed=5)
    background = sample[["background_rate", "background_rate_std"]]
    together = exact.unfold(sample, background)
    for row in (0, 1023, 1024, 2047, 2048, 2999):
        alone = exact.unfold(sample.isel(time=[row]), background.isel(time=[row]))
        part = together.isel(time=[row])
        np.testing.assert_array_equal(alone["quality"], part["quality"])
        np.testing.assert_array_equal(alone["ensemble"], part["ensemble"])
        for name in ("flux", "flux_upper95", "integral_flux_lower", "rollover_energy"):
            np.testing.assert_allclose(alone[name], part[name], rtol=1e-4)


def test_progress_counts_to_the_end(exact, radem):
    """Progress is told in rising numbers up to the samples that are processed, bad ones left out."""
    source = Simulation.of_instrument(radem, channels=radem.ensemble.bins[-1])
    sample = source.sample(2500, seed=5)
    sample["exposure"][:100] = 0.0
    calls = []
    exact.unfold(sample, sample[["background_rate", "background_rate_std"]], progress=lambda *call: calls.append(call))
    done, total = zip(*calls, strict=True)
    assert set(total) == {2400}
    assert list(done) == sorted(set(done))
    assert done[-1] == 2400
    assert len(done) > 1


def test_beyond_the_training_range_is_flagged(exact, observe, quiet):
    """Counts that no spectrum of the prior gives, here in all channels but the first, are flagged EXTRAPOLATED."""
    counts = observe(bright(observe, 2.0, 20.0, counts=1e5))
    strange = counts.copy(deep=True)
    dark = 900.0 * float(quiet["background_rate"].sel(channel="PDH1"))
    strange["counts"].loc[{"channel": list(exact.channels)}] = [dark, 1e7, 1e7, 1e7, 1e7]
    flag = int(Quality.EXTRAPOLATED)
    assert not int(exact.unfold(counts, quiet)["quality"][0]) & flag
    found = exact.unfold(strange, quiet)
    assert int(found["quality"][0]) & flag
    # An answer beyond all numbers is none: it is NaN with its flag, never infinite.
    assert np.isfinite(found["flux"]).all() | (np.isnan(found["flux"]).all() & (found["ensemble"] == 0).all())


@pytest.mark.parametrize("log_flux", [2000.0, np.nan, np.inf])
def test_an_answer_beyond_all_numbers_is_none(artefact, observe, quiet, log_flux):
    """Where a network gives an infinite flux or none, the sample is NaN and flagged; its neighbour is answered."""
    unfolder = EnsembleUnfolder(artefact)
    networks = unfolder._networks
    counts = observe(bright(observe, 2.0, 20.0, counts=1e5))
    counts = counts.isel(time=[0, 0]).assign_coords(time=np.array(["2024-03-10", "2024-03-11"], dtype="datetime64[ns]"))

    class Wild:
        def __init__(self, session):
            self.session = session

        def run(self, names, inputs):
            (quantiles,) = self.session.run(names, inputs)
            quantiles = quantiles.copy()
            quantiles[0, 4] = log_flux
            return [quantiles]

    vars(unfolder)["_networks"] = dataclasses.replace(networks, sessions=tuple(map(Wild, networks.sessions)))
    found = unfolder.unfold(counts, quiet)
    assert int(found["ensemble"][1]) == 5
    for name in ("flux", "flux_lower95", "integral_flux", "spectral_index"):
        assert np.isnan(found[name][0]).all()
        assert np.isfinite(found[name][1]).all()
    assert int(found["quality"][0]) & int(Quality.EXTRAPOLATED)
    assert int(found["quality"][0]) & int(Quality.NOT_PROCESSED)
    assert int(found["ensemble"][0]) == 0


def test_the_result_says_where_it_comes_from(exact, artefact, observe, quiet):
    """The result names method, model, its hash, the instrument and the settings."""
    found = exact.unfold(observe(bright(observe, 2.0, 20.0)), quiet).attrs
    assert found["method"] == "ensemble"
    assert found["model"] == artefact.name
    assert found["model_sha256"] == artefact.digest
    assert found["instrument"] == "radem"
    assert found["species"] == "proton"
    assert found["response_error"] == 0.0


def test_the_model_was_trained_for_the_instrument_as_it_is(artefact, radem):
    """Bins, rule, configuration and response of the shipped model are those of the instrument file."""
    card = artefact.card
    assert card["rule"]["bins"] == [list(bins) for bins in radem.ensemble.bins]
    assert card["rule"]["threshold_sigma"] == radem.ensemble.threshold_sigma
    assert card["configurations"] == [radem.configurations[0].number]
    assert card["response_sha256"] == radem.response().select(radem.ensemble.bins[-1]).digest
    assert card["quantiles"] == list(QUANTILES)


def test_counts_of_another_instrument_are_refused(exact, observe, quiet):
    """Counts that say they are of another instrument are refused, counts that do not say are read."""
    counts = observe(bright(observe, 2.0, 20.0))
    with pytest.raises(DataError, match=r"counts are of instrument 'goes', the model .* is for 'radem'"):
        exact.unfold(counts.assign_attrs(instrument="goes"), quiet)
    silent = counts.copy()
    del silent.attrs["instrument"]
    assert np.isfinite(exact.unfold(silent, quiet)["flux"]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"response_error": 0.5}, "response_error is 0.5, expected a relative error from 0 to 0.2"),
        ({"response_error": -0.1}, "response_error is -0.1"),
        ({"response_error": np.nan}, "response_error is nan"),
        ({"energies": (1.0, 10.0)}, r"energies \[1.0, 10.0\]: expected increasing energies from 2 to 200 MeV"),
        ({"energies": (10.0, 300.0)}, "expected increasing energies from 2 to 200"),
        ({"energies": (10.0, 5.0)}, "expected increasing energies"),
        ({"energies": (10.0, 10.0)}, "expected increasing energies"),
        ({"energies": (10.0, np.nan)}, "expected increasing energies"),
        ({"energies": ()}, "expected increasing energies"),
    ],
)
def test_settings_beyond_the_training_are_refused(artefact, settings, message):
    """Settings that the networks were not trained for are refused with the range."""
    with pytest.raises(DataError, match=message):
        EnsembleUnfolder(artefact, **settings)


def test_an_unknown_setting_is_refused(model_path):
    """A misspelt setting is an error."""
    with pytest.raises(TypeError, match="respons_error"):
        EnsembleUnfolder.load(model_path, respons_error=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "forecast"}, "is of kind 'forecast', expected 'ensemble-spectra'"),
        ({"rule": {}}, "lacks or misstates 'bins'"),
        ({"rule": {"bins": [["PDH1"]], "threshold_sigma": "three"}}, "lacks or misstates .*three"),
        ({"rule": {"bins": [["PDH1"]], "threshold_sigma": 3.0}}, r"misstates \['rule'\]"),
        ({"ensembles": [{"file": "a.onnx", "scaler": [1]}]}, "lacks or misstates"),
        ({"ensembles": [{"file": "a.onnx", "scaler": {"means": [1.0]}}]}, "lacks or misstates"),
        ({"nodes": []}, r"misstates \['nodes'\]"),
        ({"nodes": [200.0, 2.0]}, r"misstates \['nodes'\]"),
        ({"instrument": 3}, r"misstates \['instrument'\]"),
        ({"configurations": 1}, r"misstates \['configurations'\]"),
        ({"thresholds": [10.0]}, "has ports .* do not fit the card"),
    ],
)
def test_cards_that_do_not_fit_are_refused(artefact, changes, message):
    """A card that lacks an entry, or tells another story than its networks, is one message."""
    with pytest.raises(ArtefactError, match=message):
        EnsembleUnfolder(altered(artefact, **changes))


def test_networks_of_another_shape_are_refused(artefact):
    """Networks in each other's place are told by their ports; garbage is told when it is started."""
    names = sorted(artefact.networks)
    turned = dict(zip(names, [artefact.networks[name] for name in (*names[1:], names[0])], strict=True))
    files = {name: hashlib.sha256(content).hexdigest() for name, content in turned.items()}
    with pytest.raises(ArtefactError, match=r"has ports .* do not fit the card"):
        EnsembleUnfolder(Artefact({**artefact.card, "files": files}, turned))
    with pytest.raises(ArtefactError, match="not a network that can be run"):
        EnsembleUnfolder(Artefact(artefact.card, {**artefact.networks, names[0]: b"garbage"}))


def test_a_scaler_of_another_length_is_refused(artefact):
    """Scaler numbers that are not one a feature are refused."""
    ensembles = [dict(entry) for entry in artefact.card["ensembles"]]
    ensembles[0] = {**ensembles[0], "scaler": {**ensembles[0]["scaler"], "std": [1.0]}}
    with pytest.raises(ArtefactError, match=r"a scaler of .* features, which do not fit"):
        EnsembleUnfolder(altered(artefact, ensembles=ensembles))


def test_the_card_is_summed_up(artefact):
    """The summary names instrument, bins and range; of a card without them it is one message."""
    lines = dict(describe(artefact.card))
    assert lines["bins"].startswith("PDH1+PDH3+PDH4; ")
    assert lines["energies"] == "2 to 200 MeV"
    with pytest.raises(ArtefactError, match="card lacks or misstates 'rule'"):
        describe({"name": "empty"})


def test_whole_numbers_are_counts_too(exact, observe, quiet):
    """Counts as unsigned integers, as in the files, give what floating-point counts give."""
    counts = observe(bright(observe, 2.0, 20.0, counts=1e5))
    whole = counts.assign(counts=counts["counts"].round().assign_attrs(attributes("counts")))
    integers = whole.assign(counts=whole["counts"].astype(np.uint32).assign_attrs(attributes("counts")))
    np.testing.assert_array_equal(exact.unfold(integers, quiet)["flux"], exact.unfold(whole, quiet)["flux"])


def test_an_unread_channel_is_no_detection(exact, observe, quiet):
    """PDH6 alone far above its background: nothing that is read was seen, and no known spectrum does that."""
    faint = bright(observe, 3.0, 10.0, counts=1e-3)
    counts = observe(faint)
    counts["counts"].loc[{"channel": "PDH6"}] *= 3.0
    result = exact.unfold(counts, quiet).isel(time=0)
    assert int(result["ensemble"]) == 3
    assert int(result["quality"]) & int(Quality.BELOW_DETECTION)
    assert int(result["quality"]) & int(Quality.EXTRAPOLATED)
    alone = exact.unfold(observe(faint), quiet).isel(time=0)
    assert int(alone["quality"]) == int(Quality.BELOW_DETECTION)


def test_chance_in_the_hard_channels_gives_no_absurd_limit(artefact, observe, quiet):
    """PDH5 and PDH6 three deviations up over a quiet background: the upper bound stays far below any event, flagged."""
    counts = observe(bright(observe, 3.0, 10.0, counts=1e-3))
    level = counts["counts"].sel(channel=["PDH5", "PDH6"])
    counts["counts"].loc[{"channel": ["PDH5", "PDH6"]}] = level + 3.1 * np.sqrt(level)
    counts["counts"].loc[{"channel": "PDH1"}] *= 0.9
    result = EnsembleUnfolder(artefact, energies=(5.0, 20.0, 100.0)).unfold(counts, quiet).isel(time=0)
    assert float(result["flux_upper95"].sel(energy=100.0)) < 0.01
    assert (np.diff(np.log(result["flux_upper95"])) < 0).all()
    assert int(result["quality"]) & int(Quality.EXTRAPOLATED)


def test_counts_of_other_particles_are_refused(exact, radem):
    """Counts simulated for electrons are no protons; those simulated for protons are answered."""
    for species, reads in (("electron", False), ("proton", True)):
        counts = Simulation.of_instrument(radem, species=species).sample(3, seed=1)
        if reads:
            assert np.isfinite(exact.unfold(counts, counts)["flux"]).all()
        else:
            with pytest.raises(DataError, match=r"counts are of species 'electron', the model .* is for 'proton'"):
                exact.unfold(counts, counts)
