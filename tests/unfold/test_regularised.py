"""Regularised unfolding: smooth spectra come back, the discrepancy principle is met, and faint samples get limits."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.names import Quality, attributes
from particleflux.response import Response
from particleflux.simulate import Mixture, Population
from particleflux.spectra import PowerLaw, RollingPowerLaw
from particleflux.unfold.detector import Detector
from particleflux.unfold.observation import Observation
from particleflux.unfold.regularised import ALGORITHMS, RegularisedUnfolder

ENERGIES = (5.0, 7.0, 10.0, 20.0, 30.0, 50.0, 100.0)
SPECTRA = RollingPowerLaw(
    intensity=np.array([[1e5], [1e5], [1e5]]),
    spectral_index=np.array([[1.5], [2.5], [3.0]]),
    rollover_energy=np.array([[50.0], [40.0], [100.0]]),
)
PDH = tuple(f"PDH{number}" for number in range(1, 9))


@pytest.fixture(scope="module")
def detector(radem) -> Detector:
    return Detector.of_instrument(radem)


@pytest.fixture(scope="module")
def unfolder(detector) -> RegularisedUnfolder:
    return RegularisedUnfolder(detector, energies=ENERGIES)


def simulated(radem, n: int, seed: int) -> tuple[Observation, np.ndarray]:
    """Give observations of the mixture, and the logarithm of the true flux at 5, 10, 20, 50 and 100 MeV."""
    response = radem.response("proton", 1).select(PDH)
    source = Mixture((Population(response, "PDH1"),), radem.quiet_rate)
    draw = source.draw(n, np.random.default_rng(seed), energies=[(5.0, 10.0, 20.0, 50.0, 100.0)], thresholds=[(10.0,)])
    seen = Observation(
        draw.counts, draw.background, draw.background_error, draw.background_common, draw.response_error,
        np.ones(draw.counts.shape, dtype=bool), draw.exposure,
    )  # fmt: skip
    return seen, draw.log_flux[0]


@pytest.fixture(scope="module")
def noisy(radem) -> tuple[Observation, np.ndarray]:
    return simulated(radem, 400, 7)


def test_ideal_channels_give_the_input_back():
    """With one narrow channel per energy and 1e6 counts in each, a power law comes back within 1 %."""
    edges = np.geomspace(5.0, 150.0, 13)
    response = Response.from_arrays([f"C{number}" for number in range(12)], edges, np.eye(12))
    truth = PowerLaw(intensity=1.0, spectral_index=2.5)
    middle = np.sqrt(edges[1:] * edges[:-1])
    rate = response.fold_form(truth).values
    unfolder = RegularisedUnfolder(Detector(response, response_error=0.0), energies=tuple(middle))
    # Another exposure for each channel is another gain: all are given 1e6 counts.
    ideal = Response.from_arrays(response.channels, edges, np.eye(12) * 1e6 / rate[:, None])
    counts, background = label(np.full((1, 12), 1e6), ideal.channels, 1.0)
    found = dataclasses.replace(unfolder, detector=Detector(ideal, response_error=0.0)).unfold(counts, background)
    np.testing.assert_allclose(found["flux"][0], truth.flux(middle), rtol=0.01)


def label(counts: np.ndarray, channels: tuple[str, ...], exposure: float) -> tuple[xr.Dataset, xr.Dataset]:
    """Give labelled counts, and a background that is almost none."""
    n = len(counts)
    labelled = xr.Dataset(
        {
            "counts": (("time", "channel"), counts, attributes("counts")),
            "exposure": ("time", np.full(n, exposure), attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
        },
        coords={"time": np.datetime64("2024-03-10", "ns") + np.arange(n), "channel": list(channels)},
    )
    rates = np.full(len(channels), 1e-3)
    background = xr.Dataset(
        {
            "background_rate": ("channel", rates, attributes("background_rate")),
            "background_rate_std": ("channel", 0.1 * rates, attributes("background_rate_std")),
        },
        coords={"channel": list(channels)},
    )
    return labelled, background


@pytest.mark.parametrize(("algorithm", "within"), [("tikhonov", 0.15), ("mlem", 0.4), ("gravel", 0.4)])
def test_a_smooth_spectrum_without_noise_is_recovered(unfolder, observe, quiet, algorithm, within):
    """Bright rolling power laws come back from 7 to 50 MeV, by factors less well; the 95 % interval holds them all."""
    result = dataclasses.replace(unfolder, algorithm=algorithm).unfold(observe(SPECTRA), quiet)
    truth = SPECTRA.flux(np.array(ENERGIES))
    seen = slice(1, 6)
    np.testing.assert_allclose(result["flux"][:, seen], truth[:, seen], rtol=within)
    assert ((result["flux_lower95"] < truth) & (truth < result["flux_upper95"])).all()
    above = SPECTRA.integral(np.array([10.0, 30.0, 60.0]), np.inf)
    np.testing.assert_allclose(result["integral_flux"].sel(threshold=[10.0, 30.0, 60.0]), above, rtol=within)


def test_a_power_law_is_not_bent(detector, observe, quiet):
    """A bright power law, which no smoothing touches, is found within 1 % however strong that may be."""
    truth = PowerLaw(intensity=np.array([[1e6]]), spectral_index=np.array([[3.0]]))
    exact = RegularisedUnfolder(detector.replace(response_error=0.0), energies=(7.0, 15.0, 40.0), strengths=(1.0, 1e5))
    found = exact.unfold(observe(truth, exposure=3600.0), quiet)["flux"]
    np.testing.assert_allclose(found, truth.flux(np.array([7.0, 15.0, 40.0])), rtol=0.01)


def test_fit_probability_is_that_of_chi_square(unfolder, observe, quiet):
    """The fit of counts without noise is good; counts that no smooth spectrum makes fit badly."""
    counts = observe(SPECTRA)
    result = unfolder.unfold(counts, quiet)
    assert (result["fit_probability"] > 0.9).all()
    odd = counts.copy(deep=True)
    odd["counts"].loc[{"channel": "PDH4"}] *= 3.0
    found = unfolder.unfold(odd, quiet)["fit_probability"]
    assert (found < 0.01).all()


def test_intervals_hold_the_truth_about_as_often_as_they_say(detector, noisy):
    """Over 400 samples of the mixture, 68 % and 95 % intervals hold 60-82 % and 90-99 % from 5 to 100 MeV."""
    seen, truth = noisy
    unfolder = RegularisedUnfolder(detector, energies=(5.0, 10.0, 20.0, 50.0, 100.0))
    log_flux = np.log(unfolder._tikhonov(seen).flux)
    for low, high, least, most in ((1, 3, 0.60, 0.82), (0, 4, 0.90, 0.99)):
        held = ((log_flux[:, low] <= truth) & (truth <= log_flux[:, high])).mean(axis=0)
        assert (held >= least).all()
        assert (held <= most).all()


def test_the_interval_of_factors_holds_their_solution(unfolder, observe, quiet):
    """The median of MLEM lies in its interval, which holds that of Tikhonov's method."""
    one = unfolder.unfold(observe(SPECTRA), quiet)
    other = dataclasses.replace(unfolder, algorithm="mlem").unfold(observe(SPECTRA), quiet)
    for name in ("flux", "integral_flux"):
        assert (other[f"{name}_lower"] <= other[name]).all()
        assert (other[name] <= other[f"{name}_upper"]).all()
        assert (other[f"{name}_upper"] >= one[f"{name}_upper"]).all()
        assert (other[f"{name}_lower"] <= one[f"{name}_lower"]).all()
    assert "smoothing_strength" not in other


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("level", [0.0, 0.9, 1.0])
def test_background_alone_gives_an_upper_limit(unfolder, observe, quiet, algorithm, level):
    """Counts of none, of less than the background and of it: flagged, and no flux claimed that would be seen."""
    nothing = PowerLaw(intensity=np.array([[1e-12]]), spectral_index=np.array([[2.0]]))
    counts = observe(nothing, exposure=3600.0)
    counts["counts"] = (counts["counts"] * level).assign_attrs(attributes("counts"))
    wide = quiet.copy(deep=True)
    wide["background_rate_std"] = (0.3 * quiet["background_rate"]).assign_attrs(attributes("background_rate_std"))
    row = dataclasses.replace(unfolder, algorithm=algorithm).unfold(counts, wide).isel(time=0)
    if level == 0.0 and int(row["quality"]) & int(Quality.SATURATED):
        assert row["flux"].isnull().all()  # channels that count nothing at all are dead, not quiet
        return
    assert int(row["quality"]) & int(Quality.BELOW_DETECTION)
    at_10 = row.sel(energy=10.0)
    # 3 sigma of the background of PDH1 in an hour, over its geometric factor times 10 MeV, are 0.2.
    assert 1e-4 < float(at_10["flux_upper95"]) < 0.3
    assert float(at_10["flux_lower95"]) < 0.05 * float(at_10["flux_upper95"])
    assert (row["flux_upper95"] < 10.0).all()


def test_a_channel_of_zero_counts_breaks_nothing(unfolder, observe, quiet):
    """A minute with no count in two channels gives a finite answer."""
    counts = observe(RollingPowerLaw(np.array([[30.0]]), np.array([[2.0]]), np.array([[20.0]])), exposure=60.0)
    counts["counts"] = counts["counts"].round().assign_attrs(attributes("counts"))
    counts["counts"].loc[{"channel": ["PDH7", "PDH8"]}] = 0.0
    for algorithm in ALGORITHMS:
        result = dataclasses.replace(unfolder, algorithm=algorithm).unfold(counts, quiet)
        assert np.isfinite(result["flux_upper95"]).all()


def test_a_larger_common_error_of_the_background_widens(unfolder, observe, quiet):
    """Of an event as strong as the background, the interval widens with the error of the background."""
    faint = PowerLaw(intensity=np.array([[30.0]]), spectral_index=np.array([[2.5]]))
    widths = []
    for error in (0.01, 0.3):
        loose = quiet.copy(deep=True)
        loose["background_rate_std"] = (error * quiet["background_rate"]).assign_attrs(
            attributes("background_rate_std")
        )
        row = unfolder.unfold(observe(faint, exposure=86400.0), loose).isel(time=0).sel(energy=20.0)
        widths.append(float(np.log(row["flux_upper"] / row["flux_lower"])))
    assert widths[1] > 1.5 * widths[0]


def test_a_sample_alone_is_as_in_a_batch(unfolder, observe, quiet):
    """Company changes no answer, nor does the order of channels; a missing channel is left out and said so."""
    counts = observe(SPECTRA)
    whole = unfolder.unfold(counts, quiet)
    alone = unfolder.unfold(counts.isel(time=[1]), quiet)
    turned = unfolder.unfold(counts.isel(channel=slice(None, None, -1)), quiet)
    np.testing.assert_allclose(alone["flux_upper"][0], whole["flux_upper"][1], rtol=1e-6)
    np.testing.assert_allclose(turned["flux_upper"], whole["flux_upper"], rtol=1e-6)
    less = unfolder.unfold(counts.drop_sel(channel="PDH2"), quiet)
    assert (less["quality"] & int(Quality.CHANNEL_LEFT_OUT) != 0).all()
    np.testing.assert_allclose(less["flux"].sel(energy=20.0), whole["flux"].sel(energy=20.0), rtol=0.2)


def test_the_energies_asked_for_do_not_change_the_flux(unfolder, observe, quiet):
    """The flux at 10 MeV is the same whether 100 MeV is asked for or not."""
    few = dataclasses.replace(unfolder, energies=(10.0,), thresholds=(30.0,)).unfold(observe(SPECTRA), quiet)
    many = unfolder.unfold(observe(SPECTRA), quiet)
    np.testing.assert_allclose(few["flux"].sel(energy=10.0), many["flux"].sel(energy=10.0), rtol=1e-9)
    np.testing.assert_allclose(
        few["integral_flux"].sel(threshold=30.0), many["integral_flux"].sel(threshold=30.0), rtol=1e-3
    )


def test_draws_have_the_quantiles(unfolder, observe, quiet):
    """The middle of 400 draws is the median, and a few draws spread as many do."""
    result = dataclasses.replace(unfolder, samples=400).unfold(observe(SPECTRA), quiet)
    assert result["flux_sample"].shape == (3, 400, len(ENERGIES))
    np.testing.assert_allclose(result["flux_sample"].median("sample"), result["flux"], rtol=0.05)
    few = np.log(result["flux_sample"].isel(sample=slice(40))).std("sample")
    np.testing.assert_allclose(few, np.log(result["flux_sample"]).std("sample"), rtol=0.5)


def test_bad_samples_are_nan_and_flagged(unfolder, observe, quiet):
    """NaN in all channels and negative counts give NaN and NOT_PROCESSED, and leave their neighbours alone."""
    counts = observe(SPECTRA)
    whole = unfolder.unfold(counts, quiet)
    counts["counts"][0] = np.nan
    counts["counts"][1, counts["channel"].to_numpy().tolist().index("PDH3")] = -5.0
    result = unfolder.unfold(counts, quiet)
    assert result["flux"][:2].isnull().all()
    assert result["fit_probability"][:2].isnull().all()
    assert (result["quality"][:2] & int(Quality.NOT_PROCESSED) != 0).all()
    np.testing.assert_allclose(result["flux"][2], whole["flux"][2], rtol=1e-6)


def test_progress_is_told(unfolder, observe, quiet):
    """The last call says that all is done."""
    calls: list[tuple[int, int]] = []
    unfolder.unfold(observe(SPECTRA), quiet, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3, 3)


def test_the_method_says_what_it_did(unfolder, observe, quiet):
    """Attributes name algorithm, choice and order; the strength is given and lies between its limits."""
    result = unfolder.unfold(observe(SPECTRA), quiet)
    expected = {"method": "regularised", "algorithm": "tikhonov", "choice": "discrepancy", "order": 2}
    assert expected.items() <= result.attrs.items()
    assert unfolder.trained_for is None
    strength = result["smoothing_strength"]
    assert ((strength >= unfolder.strengths[0] * 0.999) & (strength <= unfolder.strengths[1] * 1.001)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "magic"}, "algorithm is 'magic': expected one of"),
        ({"choice": "guess"}, "choice is 'guess': expected one of"),
        ({"order": 4}, r"order is 4: expected one of \[1, 2, 3\]"),
        ({"algorithm": "mlem", "choice": "l-curve"}, "mlem stops by the discrepancy"),
        ({"strengths": (1.0, 0.1)}, "strengths are .*the lesser first"),
        ({"energies": (10.0, 5.0)}, "energies .*increasing"),
        ({"thresholds": ()}, "thresholds .*increasing"),
        ({"samples": -1}, "samples is -1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(detector, settings, message):
    """Each wrong setting is named, with what was expected."""
    with pytest.raises(DataError, match=message):
        RegularisedUnfolder(detector, **settings)


def test_too_few_channels_are_refused(unfolder, observe, quiet):
    """Two channels tell no spectrum."""
    with pytest.raises(AxisError, match="at least 3"):
        unfolder.unfold(observe(SPECTRA).sel(channel=["PDH1", "PDH2"]), quiet)


def test_counts_of_another_instrument_are_refused(unfolder, observe, quiet):
    """The response is of one instrument only."""
    with pytest.raises(DataError, match="counts are of instrument 'other'"):
        unfolder.unfold(observe(SPECTRA).assign_attrs(instrument="other"), quiet)


def test_the_instrument_gives_the_detector(radem):
    """`of_instrument` reads the response and takes its error as a setting."""
    unfolder = RegularisedUnfolder.of_instrument(radem, response_error=0.1, algorithm="gravel")
    assert unfolder.detector.response_error == 0.1
    assert unfolder.algorithm == "gravel"
