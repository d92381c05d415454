"""The shipped neural posterior: accuracy against known spectra of several forms, and what it refuses."""

import dataclasses
import hashlib

import numpy as np
import pytest
import xarray as xr

from particleflux.artefact import Artefact, list_artefacts
from particleflux.errors import ArtefactError, AxisError, DataError
from particleflux.names import Quality, attributes
from particleflux.simulate import Mixture, Population, Range
from particleflux.spectra import Band, DoublePowerLaw, PowerLaw, RollingPowerLaw, SpectralForm, Weibull
from particleflux.unfold.npe import NpeUnfolder, describe
from particleflux.unfold.npe_targets import COPULA_FILE, NPE_SHIPPED, QUANTILE_FILE
from particleflux.unfold.targets import QUANTILES

ENERGIES = (7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
#: One bright spectrum of every form; Weibull is one that the networks never saw.
FORMS: dict[str, SpectralForm] = {}


def column(value: float) -> np.ndarray:
    return np.full((1, 1), value)


FORMS |= {
    "rolling": RollingPowerLaw(column(1.0), column(2.0), column(20.0)),
    "power law": PowerLaw(column(1.0), column(3.0)),
    "band": Band(column(1.0), column(1.5), column(5.0), column(15.0)),
    "double": DoublePowerLaw(column(1.0), column(1.5), column(5.0), column(20.0), column(2.0)),
    "weibull": Weibull(column(1.0), column(0.6), column(8.0)),
}


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    name = NPE_SHIPPED["proton"]
    assert name in list_artefacts(), f"the package ships no {name}: train one with `particleflux train npe`"
    return Artefact.load(name)


@pytest.fixture(scope="module")
def npe(artefact) -> NpeUnfolder:
    return NpeUnfolder(artefact, energies=ENERGIES)


@pytest.fixture(scope="module")
def mixture(radem) -> Mixture:
    """Give the prior that the networks were trained on, at the response error that users have by default."""
    response = radem.response().select(list(radem.reads["proton"]))
    return Mixture((Population(response, "PDH1"),), radem.quiet_rate, response_error=Range(0.05, 0.05))


def label(drawn, channels) -> xr.Dataset:
    """Label a draw of the mixture, with its background."""
    exposure = drawn.exposure[:, None]
    rate = drawn.background / exposure
    rates = {
        "background_rate": rate,
        "background_rate_std": drawn.background_error * rate,
        "background_rate_common_std": drawn.background_common * rate,
    }
    n = len(exposure)
    return xr.Dataset(
        {
            "counts": (("time", "channel"), drawn.counts, attributes("counts")),
            "exposure": ("time", drawn.exposure, attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
            **{name: (("time", "channel"), values, attributes(name)) for name, values in rates.items()},
        },
        coords={"time": np.datetime64("2024-03-01", "ns") + np.arange(n), "channel": list(channels)},
        attrs={"instrument": "radem"},
    )


@pytest.fixture(scope="module")
def simulated(mixture) -> tuple[xr.Dataset, np.ndarray]:
    """Give 1500 samples of the prior and their true flux."""
    drawn = mixture.draw(4000, np.random.default_rng(12), energies=[ENERGIES], thresholds=[(10.0,)])
    # The prior makes the response of some channels worse than users can tell the method.
    rows = np.flatnonzero((drawn.response_error <= 0.05).all(axis=1))[:1500]
    assert len(rows) == 1500
    return label(drawn, mixture.channels).isel(time=rows), np.exp(drawn.log_flux[0][rows])


def bright(observe, form: SpectralForm, counts: float = 1e6) -> SpectralForm:
    """Give the spectrum that shows so many counts in PDH1 in 900 s."""
    shown = float(observe(form, background=False)["counts"].sel(channel="PDH1").item())
    return dataclasses.replace(form, intensity=np.full((1, 1), counts / shown))


def altered(artefact: Artefact, **changes: object) -> Artefact:
    return Artefact({**artefact.card, **changes}, artefact.networks)


def width(result: xr.Dataset) -> xr.DataArray:
    return np.log(result["flux_upper95"] / result["flux_lower95"])


@pytest.mark.parametrize("name", FORMS)
def test_a_bright_spectrum_of_any_form_comes_back(npe, observe, quiet, name):
    """Folded without noise, the flux at 7 to 50 MeV comes back within 25 %, inside its own 95 % interval."""
    form = bright(observe, FORMS[name])
    result = npe.unfold(observe(form), quiet).isel(time=0)
    truth = form.flux(np.array(ENERGIES))[0]
    np.testing.assert_allclose(result["flux"], truth, rtol=0.25)
    assert ((result["flux_lower95"] <= truth) & (truth <= result["flux_upper95"])).all()
    integral = form.integral([10.0, 30.0], np.inf)[0]
    found = result["integral_flux"].sel(threshold=[10.0, 30.0])
    np.testing.assert_allclose(found, integral, rtol=0.3)
    assert float(result["fit_probability"]) > 0.05


@pytest.mark.parametrize("factor", [0.1, 100.0])
def test_flux_follows_the_counts(npe, observe, quiet, factor):
    """A factor on a bright spectrum is the same factor on the median."""
    form = bright(observe, FORMS["rolling"])
    scaled = dataclasses.replace(form, intensity=factor * form.intensity)
    one, other = (npe.unfold(observe(spectrum), quiet).isel(time=0) for spectrum in (form, scaled))
    np.testing.assert_allclose(other["flux"] / one["flux"], factor, rtol=0.1)


def test_the_same_rates_for_longer_are_the_same_flux(npe, observe, quiet):
    """Exposure and counts times ten leave a bright flux where it was."""
    form = bright(observe, FORMS["rolling"])
    short, long = (npe.unfold(observe(form, exposure=exposure), quiet) for exposure in (900.0, 9000.0))
    np.testing.assert_allclose(long["flux"], short["flux"], rtol=0.05)


def test_the_interval_widens_as_counts_fade(npe, observe, quiet):
    """From ten thousand counts to ten, the 95 % interval at 10 MeV widens at every decade."""
    form = FORMS["rolling"]
    widths = [
        float(width(npe.unfold(observe(bright(observe, form, counts)), quiet)).sel(energy=10.0).item())
        for counts in (1e4, 1e3, 1e2, 1e1)
    ]
    assert (np.diff(widths) > 0).all()


def test_the_interval_holds_the_unknown_where_no_channel_looks(artefact, observe, quiet):
    """Of a weak soft event the 95 % interval is several times as wide at 100 and at 2.5 MeV as it is at 8 MeV."""
    wide = NpeUnfolder(artefact, energies=(2.5, 8.0, 100.0))
    soft = RollingPowerLaw(column(1.0), column(3.0), column(10.0))
    found = width(wide.unfold(observe(bright(observe, soft, counts=3e3)), quiet)).isel(time=0)
    assert float(found.sel(energy=100.0)) > 3 * float(found.sel(energy=8.0))
    assert float(found.sel(energy=2.5)) > 3 * float(found.sel(energy=8.0))


def test_intervals_hold_the_truth_as_often_as_they_say(npe, simulated):
    """Over 1500 samples of the prior, 68 % and 95 % intervals hold the truth 68 % and 95 % of the time."""
    counts, truth = simulated
    result = npe.unfold(counts, counts)
    for low, high, share in (("_lower", "_upper", 0.68), ("_lower95", "_upper95", 0.95)):
        held = (truth >= result[f"flux{low}"].values) & (truth <= result[f"flux{high}"].values)
        # Four standard errors of a share, and three per cent that the networks may be off.
        allowed = 4 * np.sqrt(share * (1 - share) / len(truth)) + 0.03
        assert (abs(held.mean(axis=0) - share) < allowed).all(), (share, held.mean(axis=0))


def test_nothing_seen_is_an_upper_limit(npe, radem, quiet):
    """An hour of background alone is flagged, with a low upper bound and a lower bound far below it."""
    rate = quiet["background_rate"].sel(channel=list(radem.reads["proton"])).values
    counts = label_counts(np.random.default_rng(3).poisson(rate * 3600.0, (50, len(rate))), radem.reads["proton"])
    result = npe.unfold(counts, quiet)
    flagged = (result["quality"] & int(Quality.BELOW_DETECTION)) != 0
    assert flagged.mean() > 0.9
    at = result.sel(energy=10.0)
    assert (at["flux_upper95"] < 0.1).all()
    assert (at["flux_lower95"] < 0.05 * at["flux_upper95"]).all()


def label_counts(numbers: np.ndarray, channels: tuple[str, ...], exposure: float = 3600.0) -> xr.Dataset:
    n = len(numbers)
    return xr.Dataset(
        {
            "counts": (("time", "channel"), numbers.astype(float), attributes("counts")),
            "exposure": ("time", np.full(n, exposure), attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
        },
        coords={"time": np.datetime64("2024-03-01", "ns") + np.arange(n), "channel": list(channels)},
        attrs={"instrument": "radem"},
    )


@pytest.mark.parametrize("missing", [("PDH2",), ("PDH7", "PDH8"), ("PDH3", "PDH5", "PDH8")])
def test_a_missing_channel_is_done_without(npe, observe, quiet, missing):
    """Without some channels the spectrum is still found, flagged, and no better known than with them."""
    form = bright(observe, FORMS["rolling"])
    counts = observe(form)
    whole = npe.unfold(counts, quiet).isel(time=0)
    fewer = npe.unfold(counts.drop_sel(channel=list(missing)), quiet).isel(time=0)
    assert not int(whole["quality"]) & int(Quality.CHANNEL_LEFT_OUT)
    assert int(fewer["quality"]) == int(Quality.CHANNEL_LEFT_OUT)
    truth = form.flux(np.array(ENERGIES))[0]
    assert ((fewer["flux_lower95"] <= truth) & (truth <= fewer["flux_upper95"])).all()
    assert float(width(fewer).mean()) > 0.9 * float(width(whole).mean())


def test_two_channels_are_too_few(npe, observe, quiet):
    """Fewer than three channels are refused by name."""
    counts = observe(FORMS["rolling"]).sel(channel=["PDH1", "PDH2", "EDH1"])
    with pytest.raises(AxisError, match=r"the method reads .* and needs at least 3 of them"):
        npe.unfold(counts, quiet)


def test_draws_have_the_distribution_of_the_quantiles(artefact, observe, quiet):
    """Of 4000 joint draws at each energy, the stated shares lie below the stated quantiles."""
    found = NpeUnfolder(artefact, energies=ENERGIES, samples=4000).unfold(
        observe(bright(observe, FORMS["band"], 1e4)), quiet
    )
    draws = found["flux_sample"].isel(time=0)
    assert found["flux_sample"].sizes["sample"] == 4000
    for suffix, level in zip(("_lower95", "_lower", "", "_upper", "_upper95"), QUANTILES, strict=True):
        below = (draws < found[f"flux{suffix}"].isel(time=0)).mean("sample")
        np.testing.assert_allclose(below, level, atol=0.03)


def test_draws_of_neighbouring_energies_go_together(artefact, observe, quiet):
    """Draws are of spectra: neighbouring energies are strongly correlated, far ones less."""
    draws = NpeUnfolder(artefact, energies=(9.0, 10.0, 60.0), samples=2000).unfold(
        observe(bright(observe, FORMS["band"], 1e4)), quiet
    )["flux_sample"]
    correlation = np.corrcoef(np.log(draws.isel(time=0).values.T))
    assert correlation[0, 1] > 0.9
    assert correlation[0, 1] > correlation[0, 2]


def test_integrals_of_the_draws_are_those_of_the_networks(artefact, observe, quiet):
    """The spectra that are drawn have the integral flux between two thresholds that the networks give, within 10 %."""
    grid = np.geomspace(10.0, 300.0, 80)
    found = (
        NpeUnfolder(artefact, energies=tuple(grid), samples=500)
        .unfold(observe(bright(observe, FORMS["rolling"])), quiet)
        .isel(time=0)
    )
    drawn = np.trapezoid(found["flux_sample"].values * grid, np.log(grid), axis=-1)
    assert np.median(drawn) == pytest.approx(float(found["integral_flux"].sel(threshold=10.0)), rel=0.1)


def test_draws_repeat_with_their_seed(artefact, observe, quiet):
    """The same seed gives the same draws, whatever else is in the batch; another seed gives others."""
    form = FORMS["rolling"]
    one, three = (observe(dataclasses.replace(form, intensity=np.full((n, 1), 50.0))) for n in (1, 3))
    first, again, other = (NpeUnfolder(artefact, samples=5, seed=seed) for seed in (1, 1, 2))
    alone = first.unfold(one, quiet)["flux_sample"].isel(time=0)
    np.testing.assert_allclose(again.unfold(three, quiet)["flux_sample"].isel(time=0), alone, rtol=1e-4)
    assert not np.allclose(other.unfold(one, quiet)["flux_sample"].isel(time=0), alone)


def test_draws_are_given_only_where_asked(npe, observe, quiet):
    """Without a number of samples there are no draws."""
    assert "flux_sample" not in npe.unfold(observe(FORMS["rolling"]), quiet)


def test_energies_do_not_depend_on_each_other(artefact, observe, quiet):
    """The flux at an energy is the same whichever other energies are asked for."""
    counts = observe(bright(observe, FORMS["double"]))
    few, many = (NpeUnfolder(artefact, energies=energies) for energies in ((10.0, 50.0), (8.0, 10.0, 23.0, 50.0)))
    part = many.unfold(counts, quiet).sel(energy=[10.0, 50.0])
    np.testing.assert_allclose(few.unfold(counts, quiet)["flux_upper"], part["flux_upper"], rtol=1e-6)


def test_counts_that_no_spectrum_makes_do_not_fit(npe, observe, quiet):
    """A channel that counts five times what it should has a probability of the fit below one in a hundred."""
    counts = observe(bright(observe, FORMS["rolling"], 1e5))
    good = float(npe.unfold(counts, quiet)["fit_probability"].item())
    counts["counts"].loc[{"channel": "PDH4"}] *= 5.0
    bad = float(npe.unfold(counts, quiet)["fit_probability"].item())
    assert good > 0.1
    assert bad < 0.01


def test_followed_background_leaves_its_monitors_out(npe, radem, observe, quiet):
    """Where the background was read off PDH7 and PDH8, their counts change nothing."""
    counts = observe(bright(observe, FORMS["rolling"]))
    followed = quiet.expand_dims(time=counts["time"]).assign(background_level=("time", np.ones(1), {"units": "1"}))
    changed = counts.copy(deep=True)
    changed["counts"].loc[{"channel": list(radem.monitors)}] *= 3.0
    once, again = (npe.unfold(item, followed) for item in (counts, changed))
    np.testing.assert_array_equal(once["flux"], again["flux"])
    assert not np.allclose(npe.unfold(changed, quiet)["flux"], npe.unfold(counts, quiet)["flux"])


def test_chunks_do_not_matter(npe, simulated):
    """Among many samples, each is answered as it would be alone."""
    counts, _ = simulated
    together = npe.unfold(counts, counts)
    for row in (0, 1023, 1024, 1499):
        alone, part = npe.unfold(counts.isel(time=[row]), counts.isel(time=[row])), together.isel(time=[row])
        np.testing.assert_array_equal(alone["quality"], part["quality"])
        for name in ("flux", "flux_upper95", "integral_flux_lower"):
            np.testing.assert_allclose(alone[name], part[name], rtol=1e-3)


def test_progress_counts_to_the_end(npe, simulated):
    """Progress is told in rising numbers up to the samples that are processed, bad ones left out."""
    counts = simulated[0].copy(deep=True)
    counts["exposure"][:100] = 0.0
    calls: list[tuple[int, int]] = []
    npe.unfold(counts, counts, progress=lambda *call: calls.append(call))
    assert calls == [(1024, 1400), (1400, 1400)]


def test_beyond_the_training_range_is_flagged(npe, observe, quiet):
    """Counts that no spectrum of the prior gives are flagged EXTRAPOLATED, and finite or NaN but never infinite."""
    counts = observe(bright(observe, FORMS["rolling"], 1e5))
    strange = counts.copy(deep=True)
    strange["counts"].loc[{"channel": ["PDH1", "PDH2", "PDH3"]}] = 1.0
    strange["counts"].loc[{"channel": "PDH8"}] = 1e9
    flag = int(Quality.EXTRAPOLATED)
    assert not int(npe.unfold(counts, quiet)["quality"][0]) & flag
    # Channels that count nothing would be called saturated against the usual background.
    dark = quiet.assign(background_rate=(1e-6 * quiet["background_rate"]).assign_attrs(units="s-1"))
    found = npe.unfold(strange, dark)
    assert int(found["quality"][0]) & flag
    assert not np.isinf(found["flux"]).any()


@pytest.mark.parametrize("log_flux", [2000.0, np.nan, np.inf])
def test_an_answer_beyond_all_numbers_is_none(artefact, observe, quiet, log_flux):
    """Where a network gives an infinite flux or none, the sample is NaN and flagged; its neighbour is answered."""
    unfolder = NpeUnfolder(artefact)
    networks = unfolder._networks
    counts = observe(bright(observe, FORMS["rolling"])).isel(time=[0, 0])
    counts = counts.assign_coords(time=np.array(["2024-03-10", "2024-03-11"], dtype="datetime64[ns]"))

    class Wild:
        def run(self, names, inputs):
            (quantiles,) = networks.quantile_session.run(names, inputs)
            quantiles = quantiles.copy()
            quantiles[0, 4] = log_flux
            return [quantiles]

    vars(unfolder)["_networks"] = dataclasses.replace(networks, quantile_session=Wild())
    found = unfolder.unfold(counts, quiet)
    for name in ("flux", "flux_lower95", "integral_flux"):
        assert np.isnan(found[name][0]).all()
        assert np.isfinite(found[name][1]).all()
    assert np.isnan(found["fit_probability"][0])
    assert int(found["quality"][0]) & int(Quality.EXTRAPOLATED)
    assert int(found["quality"][0]) & int(Quality.NOT_PROCESSED)
    assert int(found["quality"][1]) == 0


def test_the_result_says_where_it_comes_from(npe, artefact, observe, quiet):
    """The result names method, model, its hash, the instrument and the settings."""
    found = npe.unfold(observe(FORMS["rolling"]), quiet).attrs
    assert {name: found[name] for name in ("method", "model", "model_sha256", "instrument", "species")} == {
        "method": "npe", "model": artefact.name, "model_sha256": artefact.digest, "instrument": "radem",
        "species": "proton",
    }  # fmt: skip
    assert found["response_error"] == 0.05


def test_the_model_was_trained_for_the_instrument_as_it_is(npe, artefact, radem):
    """Channels, monitors, errors, configuration and response of the shipped model are those of the instrument file."""
    card = artefact.card
    assert npe.channels == tuple(radem.reads["proton"])
    assert card["monitors"] == [name for name in radem.monitors if name in npe.channels]
    assert card["channel_errors"] == {
        name: value for name, value in radem.response_errors.items() if name in npe.channels
    }
    assert card["configurations"] == [radem.configurations[0].number]
    assert npe.trained_for == radem.response().select(list(npe.channels)).digest
    assert card["quantiles"] == list(QUANTILES)
    assert "weibull" not in card["prior"]["populations"][0]["families"]


def test_counts_of_another_origin_are_refused(npe, observe, quiet):
    """Counts that say they are of another instrument, or of electrons alone, are refused."""
    counts = observe(FORMS["rolling"])
    with pytest.raises(DataError, match=r"counts are of instrument 'goes', the model .* is for 'radem'"):
        npe.unfold(counts.assign_attrs(instrument="goes"), quiet)
    with pytest.raises(DataError, match="electron"):
        npe.unfold(counts.assign_attrs(species="electron"), quiet)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"response_error": 0.5}, "response_error is 0.5, expected a relative error from 0 to 0.2"),
        ({"response_error": -0.1}, "response_error is -0.1"),
        ({"response_error": np.nan}, "response_error is nan"),
        ({"energies": (1.0, 10.0)}, r"energies \[1.0, 10.0\]: expected increasing energies from 2 to 300 MeV"),
        ({"energies": (10.0, 301.0)}, "expected increasing energies from 2 to 300"),
        ({"energies": (10.0, 5.0)}, "expected increasing energies"),
        ({"energies": (10.0, np.nan)}, "expected increasing energies"),
        ({"samples": -1}, "samples is -1: expected a number of draws"),
    ],
)
def test_settings_beyond_the_training_are_refused(artefact, settings, message):
    """Settings that the networks were not trained for are refused with the range."""
    with pytest.raises(DataError, match=message):
        NpeUnfolder(artefact, **settings)


def test_other_species_are_refused(artefact):
    """A species that the model does not predict, or that none ships for, is named."""
    with pytest.raises(ArtefactError, match=r"the model predicts \['proton'\], not 'electron'"):
        NpeUnfolder(artefact, species="electron")
    with pytest.raises(ArtefactError, match="no model ships for species 'muon'; choose one of proton, electron"):
        NpeUnfolder.load(species="muon")


def test_an_unknown_setting_is_refused():
    """A misspelt setting is an error."""
    with pytest.raises(TypeError, match="respons_error"):
        NpeUnfolder.load(respons_error=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ensemble-spectra"}, "is of kind 'ensemble-spectra', expected 'npe-spectra'"),
        ({"channels": None}, "lacks or misstates"),
        ({"channel_errors": {"PDH7": "half"}}, "lacks or misstates .*half"),
        ({"populations": [{"species": "proton"}]}, "lacks or misstates 'nodes'"),
        ({"populations": []}, "lacks or misstates"),
        ({"configurations": 1}, "lacks or misstates"),
        ({"scaler": {"means": [1.0]}}, "lacks or misstates"),
        ({"channels": ["PDH1", "PDH2"]}, r"networks have ports .* expected .* targets"),
        ({"features": ["one"]}, r"and 1 features; train or install"),
        ({"fit": {}}, "lacks or misstates 'log_total'"),
    ],
)
def test_cards_that_do_not_fit_are_refused(artefact, changes, message):
    """A card that lacks an entry, or tells another story than its networks, is one message."""
    with pytest.raises(ArtefactError, match=message):
        NpeUnfolder(altered(artefact, **changes))


def test_networks_in_each_others_place_are_refused(artefact):
    """Networks that were exchanged are told by their ports; garbage is told when it is started."""
    turned = {QUANTILE_FILE: artefact.networks[COPULA_FILE], COPULA_FILE: artefact.networks[QUANTILE_FILE]}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in turned.items()}
    with pytest.raises(ArtefactError, match="its networks have ports"):
        NpeUnfolder(Artefact({**artefact.card, "files": files}, turned))
    with pytest.raises(ArtefactError, match="not a network that can be run"):
        NpeUnfolder(Artefact(artefact.card, {**artefact.networks, QUANTILE_FILE: b"garbage"}))


def test_the_card_is_summed_up(artefact):
    """The summary names instrument, channels, range and forms; of a card without them it is one message."""
    lines = dict(describe(artefact.card))
    assert lines["particles"] == "protons 2 to 300 MeV"
    assert lines["channels"].startswith("PDH1, PDH2")
    assert "band" in lines["forms"]
    with pytest.raises(ArtefactError, match="card lacks or misstates 'training'"):
        describe({"name": "empty"})
