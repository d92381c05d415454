"""The exact posterior: against grids, against the prior it is the posterior of, and with bad samples."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.names import Quality, attributes
from particleflux.response import Response
from particleflux.simulate import FAMILIES, Mixture, Population
from particleflux.simulate.ranges import Range
from particleflux.unfold._importance import (
    Numbers,
    StudentMixture,
    effective_size,
    fit_mixture,
    log_sum,
    normalised,
    resample,
    tempered,
    weighted_quantiles,
)
from particleflux.unfold.bayes import LEAST_EFFECTIVE, BayesUnfolder
from particleflux.unfold.likelihood import LEVEL_NODES, channel_log_likelihood
from particleflux.unfold.observation import Observation
from particleflux.unfold.targets import QUANTILES

ENERGIES = (5.0, 10.0, 20.0, 50.0, 100.0)
THRESHOLDS = (10.0, 30.0, 60.0)


@pytest.fixture(scope="module")
def bayes(radem):
    return BayesUnfolder.of_instrument(radem, energies=ENERGIES, thresholds=THRESHOLDS, n_draws=2048)


@pytest.fixture(scope="module")
def mixture(radem, bayes):
    population = dataclasses.replace(bayes.population, response=bayes.detector.response)
    return Mixture((population,), radem.quiet_rate)


def narrowed(bayes, *families, **settings):
    population = dataclasses.replace(bayes.population, families=families)
    return dataclasses.replace(bayes, population=population, **settings)


def observation(signal, background, *, background_error=0.0, common=0.0, response_error=0.0, exposure=900.0):
    """One sample with counts as expected."""
    n = len(signal)
    counts = np.round(signal + background)
    columns = counts, background, np.full(n, background_error), np.full(n, common), np.full(n, response_error)
    return Observation(*(item[None] for item in columns), np.ones((1, n), dtype=bool), np.array([exposure]))


def expected_counts(bayes, radem, family, unit, strength, exposure=900.0):
    """Signal and quiet background in the channels that are read."""
    forward = bayes._sampler.prior.forward
    names = forward.response.channels
    columns = [names.index(name) for name in bayes.detector.channels]
    log_rate = forward.log_rate(family, np.array([unit]))[0]
    reference = names.index(bayes.population.reference_channel)
    signal = np.exp(log_rate[columns] - log_rate[reference]) * strength * bayes.quiet_rate * exposure
    background = np.array([radem.quiet_rate[name] for name in bayes.detector.channels]) * exposure
    return signal, background


def grid_quantiles(bayes, family, sample, n=33):
    """Sum over a grid of unit coordinates, log signal and background level, narrowed to where the posterior is."""
    forward = bayes._sampler.prior.forward
    names = forward.response.channels
    columns = [names.index(name) for name in bayes.detector.channels]
    common = sample.background_common[0] * sample.background[0]
    own = (sample.background_own[0] * sample.background[0]) ** 2
    limits = [(0.0, 1.0)] * forward.n_parameters(family) + [(np.log(1e-3), np.log(1e5))]
    if common.any():
        limits.append((-4.0, 4.0))
    rng = np.random.default_rng(0)
    for _ in range(9):
        low, high = np.array(limits).T
        cells = np.stack(np.meshgrid(*[np.arange(n)] * len(limits), indexing="ij"), axis=-1).reshape(-1, len(limits))
        # Anywhere in each cell: at their middles, fluxes would line up and their quantiles jump.
        grid = low + (high - low) * (cells + rng.uniform(size=cells.shape)) / n
        unit, log_signal = grid[:, : forward.n_parameters(family)], grid[:, forward.n_parameters(family)]
        level = grid[:, -1] if common.any() else np.zeros(len(grid))
        log_rate = forward.log_rate(family, unit)
        intensity = log_signal + np.log(bayes.quiet_rate) - log_rate[:, names.index("PDH1")]
        signal = np.exp(log_rate[:, columns] + intensity[:, None]) * sample.exposure[0]
        mean = signal + np.maximum(sample.background[0] + level[:, None] * common, 0.05 * sample.background[0])
        variance = (sample.response_error[0] * signal) ** 2 + own
        log_density = channel_log_likelihood(sample.counts[0], mean, variance).sum(axis=-1) - 0.5 * level**2
        log_density -= log_density.max()
        # Of the best cells at least some: the very best one of a coarse grid may be beside the peak.
        kept = grid[log_density >= min(-14.0, float(np.quantile(log_density, 0.97)))]
        step = 1.5 * (high - low) / n
        limits = np.stack([np.maximum(low, kept.min(axis=0) - step), np.minimum(high, kept.max(axis=0) + step)], axis=1)
    weight = np.exp(log_density)
    flux = forward.log_flux(family, unit, ENERGIES) + intensity[:, None]
    return weighted_quantiles(flux, weight / weight.sum(), QUANTILES)


def labelled(bayes, drawn):
    """Label counts and background of a draw."""
    n = len(drawn.counts)
    time = np.datetime64("2024-03-10T00:00", "ns") + np.arange(n) * np.timedelta64(15, "m")
    coords = {"time": time, "channel": list(bayes.detector.channels)}
    rate = drawn.background / drawn.exposure[:, None]
    both = ("time", "channel")
    counts = xr.Dataset(
        {
            "counts": (both, drawn.counts, attributes("counts")),
            "exposure": ("time", drawn.exposure, attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
        },
        coords=coords,
    )
    columns = {
        "background_rate": rate,
        "background_rate_std": rate * drawn.background_error,
        "background_rate_common_std": rate * drawn.background_common,
    }
    return counts, xr.Dataset({name: (both, item, attributes(name)) for name, item in columns.items()}, coords=coords)


def test_a_mixture_has_the_density_it_is_drawn_from():
    covariance = np.array([[[1.0, 0.6], [0.6, 0.5]], [[0.1, 0.0], [0.0, 0.1]]])
    mixture = StudentMixture.of_covariance(np.array([0.7, 0.3]), np.array([[0.0, 0.0], [2.0, -1.0]]), covariance)
    points = mixture.draw(Numbers.sobol(2, 4096, 0))
    # The mean of (any normalised density) / (density drawn from) is 1.
    other = StudentMixture.of_covariance(np.ones(1), np.array([[0.5, 0.0]]), covariance[:1] * 0.5)
    assert np.exp(other.log_density(points) - mixture.log_density(points)).mean() == pytest.approx(1.0, abs=0.01)
    assert points.mean(axis=0) == pytest.approx([0.6, -0.3], abs=0.01)


def test_a_fitted_mixture_follows_a_bent_target():
    rng = np.random.default_rng(1)
    first = rng.standard_normal(2000)
    points = np.stack([first, first**2 + 0.1 * rng.standard_normal(2000)], axis=1)
    numbers = Numbers.sobol(2, 4096, 2)
    effective = []
    for n_components in (1, 6):
        mixture = fit_mixture(points, np.full(2000, 1 / 2000), n_components)
        drawn = mixture.draw(numbers)
        log_target = -0.5 * drawn[:, 0] ** 2 - 0.5 * ((drawn[:, 1] - drawn[:, 0] ** 2) / 0.1) ** 2
        log_weight = log_target - mixture.log_density(drawn)
        effective.append(effective_size(normalised(log_weight)))
    assert np.exp(log_sum(log_weight)) / 4096 == pytest.approx(2 * np.pi * 0.1, rel=0.1)
    assert effective[1] > 3 * effective[0]


def test_tempering_stops_at_the_draws_asked_for():
    log_weight = -0.5 * (100 * np.linspace(-1, 1, 1001)) ** 2
    assert effective_size(normalised(log_weight)) < 50
    assert 50 <= effective_size(tempered(log_weight, 50.0)) < 60
    assert tempered(log_weight, 2.0) == pytest.approx(normalised(log_weight))


def test_weights_that_are_all_nothing_are_all_alike():
    assert normalised(np.full(4, -np.inf)) == pytest.approx(0.25)


def test_resampling_takes_draws_as_often_as_their_weights_say():
    assert np.bincount(resample(np.array([0.5, 0.0, 0.25, 0.25]), 8), minlength=4).tolist() == [4, 0, 2, 2]


@pytest.mark.parametrize(
    ("strength", "background_error", "common", "response_error"),
    [(300.0, 0.0, 0.0, 0.0), (3.0, 0.1, 0.07, 0.05), (0.3, 0.3, 0.29, 0.0), (1e4, 0.02, 0.02, 0.1)],
)
def test_posterior_of_a_power_law_is_that_of_a_grid(bayes, radem, strength, background_error, common, response_error):
    method = narrowed(bayes, "power-law", n_draws=4096)
    signal, background = expected_counts(method, radem, "power-law", [0.3], strength)
    sample = observation(
        signal, background, background_error=background_error, common=common, response_error=response_error
    )
    found = method.posterior(sample)
    expected = grid_quantiles(method, "power-law", sample)
    half = 0.5 * (expected[3] - expected[1])
    assert np.abs(found.log_flux - expected)[1:4].max(axis=0) / half == pytest.approx(0.0, abs=0.1)
    assert np.abs(found.log_flux - expected)[[0, 4]].max(axis=0) / half == pytest.approx(0.0, abs=0.25)


def test_posterior_of_a_rolling_power_law_is_that_of_a_grid(bayes, radem):
    method = narrowed(bayes, "rolling-power-law", n_draws=4096)
    signal, background = expected_counts(method, radem, "rolling-power-law", [0.4, 0.5], 5.0)
    sample = observation(signal, background, background_error=0.05, response_error=0.05)
    found = method.posterior(sample)
    expected = grid_quantiles(method, "rolling-power-law", sample)
    half = 0.5 * (expected[3] - expected[1])
    assert np.abs(found.log_flux - expected)[1:4].max(axis=0) / half == pytest.approx(0.0, abs=0.1)


def test_form_weights_are_ratios_of_evidence(bayes, radem):
    """Power law against itself under another name: a range twice as wide has half the evidence."""
    parameters = {
        "power-law": {"spectral_index": Range(2.0, 4.0)},
        "rolling-power-law": {"spectral_index": Range(2.0, 6.0), "rollover_energy": Range(1e7, 2e7, log=True)},
    }
    population = dataclasses.replace(bayes.population, families=tuple(parameters), parameters=parameters)
    method = dataclasses.replace(bayes, population=population)
    signal, background = expected_counts(method, radem, "power-law", [0.5], 300.0)
    found = method.posterior(observation(signal, background))
    assert found.form_weight == pytest.approx([2 / 3, 1 / 3], abs=0.02)


def test_no_signal_gives_the_prior_cut_off_by_the_data(bayes, radem):
    _, background = expected_counts(bayes, radem, "power-law", [0.5], 1.0)
    found = bayes.posterior(observation(0.0 * background, background))
    low = np.log(bayes.quiet_rate * bayes.population.signal.low)
    assert found.form_weight == pytest.approx(0.25, abs=0.05)
    assert (np.diff(found.log_flux, axis=0) > 0).all()
    # Less than a tenth of the background everywhere: 10 MeV protons reach PDH1 with about 0.1 cm2 sr times MeV.
    assert found.log_integral[4, 0] < np.log(0.5)
    assert found.log_flux[0, 1] < low + np.log(30.0)


def test_a_million_counts_without_response_error_are_held_to_a_part_in_a_thousand(bayes, radem):
    signal, background = expected_counts(bayes, radem, "rolling-power-law", [0.5, 0.6], 300.0)
    scale = 1e6 / signal.sum()
    found = bayes.posterior(observation(scale * signal, scale * background, exposure=900.0 * scale))
    forward = bayes._sampler.prior.forward
    unit = np.array([[0.5, 0.6]])
    names = forward.response.channels
    reference = forward.log_rate("rolling-power-law", unit)[0, names.index("PDH1")]
    truth = forward.log_flux("rolling-power-law", unit, ENERGIES)[0] + np.log(300.0 * bayes.quiet_rate) - reference
    assert found.effective > LEAST_EFFECTIVE
    assert (np.diff(found.log_flux[[1, 3]], axis=0)[0, 1:3] < 0.05).all()
    assert (found.log_flux[0] < truth).all()
    assert (truth < found.log_flux[4]).all()


def test_background_level_is_told_by_many_background_counts(bayes, radem):
    """Nodes half a deviation apart, fixed, would miss a level that counts tell to a hundredth."""
    assert np.diff(LEVEL_NODES).min() > 0.5
    method = narrowed(bayes, "power-law", n_draws=4096)
    signal, background = expected_counts(method, radem, "power-law", [0.4], 5.0, exposure=86400.0)
    shifted = background * 1.075
    sample = observation(signal, background, background_error=0.3, common=0.3, exposure=86400.0)
    sample = dataclasses.replace(sample, counts=np.round(signal + shifted)[None])
    found = method.posterior(sample)
    expected = grid_quantiles(method, "power-law", sample)
    half = 0.5 * (expected[3] - expected[1])
    assert np.abs(found.log_flux - expected)[1:4].max(axis=0) / half == pytest.approx(0.0, abs=0.1)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(bayes, mixture):
    drawn = mixture.draw(200, np.random.default_rng(11), energies=[ENERGIES], thresholds=[THRESHOLDS])
    truth = np.concatenate([drawn.log_flux[0], drawn.log_integral[0]], axis=1)
    whole = Observation(
        drawn.counts, drawn.background, drawn.background_error, drawn.background_common, drawn.response_error,
        np.ones(drawn.counts.shape, dtype=bool), drawn.exposure,
    )  # fmt: skip
    found = [bayes.posterior(whole[slice(row, row + 1)]) for row in range(len(truth))]
    quantiles = np.stack([np.concatenate([item.log_flux, item.log_integral], axis=1) for item in found])
    held = (quantiles[:, [1, 0]] < truth[:, None]) & (truth[:, None] < quantiles[:, [3, 4]])
    share = held.mean(axis=0)
    # Three standard deviations of a binomial share of 200.
    assert share[0] == pytest.approx(0.68, abs=0.1)
    assert (share[1] > 0.95 - 0.046).all()
    # The forms' probabilities hold as well: on average the true form has the probability that forms have on average.
    weight = np.stack([item.form_weight for item in found])
    of_truth = weight[np.arange(len(weight)), drawn.family[:, 0]]
    assert of_truth.mean() == pytest.approx((weight**2).sum(axis=1).mean(), abs=0.08)
    probability = np.array([item.fit_probability for item in found])
    assert (probability < 0.05).mean() < 0.1


def test_counts_of_no_spectrum_fit_badly(bayes, radem):
    signal, background = expected_counts(bayes, radem, "power-law", [0.4], 300.0)
    good = observation(signal, background, response_error=0.02)
    factor = np.where(np.arange(len(signal)) % 2, 3.0, 1.0)
    bad = dataclasses.replace(good, counts=good.counts * factor)
    assert bayes.posterior(good).fit_probability > 0.2
    assert bayes.posterior(bad).fit_probability < 0.01


def test_samples_are_joint_draws_of_the_same_posterior(bayes, mixture):
    method = dataclasses.replace(bayes, samples=2000)
    drawn = mixture.draw(3, np.random.default_rng(3), energies=[ENERGIES], thresholds=[THRESHOLDS])
    result = method.unfold(*labelled(method, drawn))
    assert result["flux_sample"].dims == ("time", "sample", "energy")
    inside = (result["flux_sample"] > result["flux_lower"]) & (result["flux_sample"] < result["flux_upper"])
    assert inside.mean("sample").to_numpy() == pytest.approx(0.68, abs=0.03)


def test_result_does_not_depend_on_the_samples_beside_it_nor_on_channel_order(bayes, mixture):
    drawn = mixture.draw(4, np.random.default_rng(4), energies=[ENERGIES], thresholds=[THRESHOLDS])
    counts, background = labelled(bayes, drawn)
    whole = bayes.unfold(counts, background)
    rows = [3, 1]
    order = list(reversed(bayes.detector.channels))
    part = bayes.unfold(counts.isel(time=rows).sel(channel=order), background.isel(time=rows).sel(channel=order))
    xr.testing.assert_identical(whole.isel(time=rows), part)
    assert whole.attrs["method"] == "bayes"
    assert list(whole["form"].to_numpy()) == list(FAMILIES)
    assert whole["form_weight"].sum("form").to_numpy() == pytest.approx(1.0)
    for name in ("form_weight", "effective_draws"):
        assert whole[name].attrs["units"] == "1"
    assert bayes.trained_for is None


def test_bad_samples_are_flagged_and_a_missing_channel_is_left_out(bayes, mixture):
    drawn = mixture.draw(4, np.random.default_rng(6), energies=[ENERGIES], thresholds=[THRESHOLDS])
    drawn.counts[0] = np.nan
    drawn.counts[1, 4] = np.nan
    drawn.counts[2] = 0.0
    steps = []
    result = bayes.unfold(*labelled(bayes, drawn), progress=lambda done, total: steps.append((done, total)))
    quality = result["quality"].to_numpy()
    assert quality[0] & int(Quality.NOT_PROCESSED)
    assert np.isnan(result["flux"][0]).all()
    assert np.isnan(result["effective_draws"][0])
    assert quality[1] & int(Quality.CHANNEL_LEFT_OUT)
    assert np.isfinite(result["flux"][1]).all()
    assert quality[2] & int(Quality.NOT_PROCESSED | Quality.BELOW_DETECTION)
    assert steps[-1][0] == steps[-1][1]


def test_no_signal_the_prior_knows_is_flagged(bayes, radem):
    signal, background = expected_counts(bayes, radem, "power-law", [0.4], 1e7)
    assert bayes.posterior(observation(signal, background, response_error=0.05)).is_beyond


def test_a_sample_that_no_draw_explains_becomes_nan(bayes, mixture, monkeypatch):
    from particleflux.unfold import _target

    drawn = mixture.draw(1, np.random.default_rng(8), energies=[ENERGIES], thresholds=[THRESHOLDS])
    counts, background = labelled(bayes, drawn)
    monkeypatch.setattr(_target, "channel_log_likelihood", lambda n, m, v: np.full_like(m + n + v, -np.inf))
    result = bayes.unfold(counts, background)
    assert np.isnan(result["flux"]).all()
    lost = int(Quality.EXTRAPOLATED | Quality.NOT_PROCESSED)
    assert result["quality"].item() & lost == lost
    assert result["effective_draws"].item() == 0.0


def test_wrong_settings_are_refused(bayes, radem):
    response = bayes.population.response
    with pytest.raises(AxisError, match="lacks the channels"):
        dataclasses.replace(bayes, population=Population(response.select(["PDH1"]), "PDH1"))
    with pytest.raises(DataError, match="of species 'electron'"):
        dataclasses.replace(bayes, population=Population(radem.response("electron"), "EDH1"))
    changed = Response(response.geometric_factor * 2.0, response.species)
    with pytest.raises(DataError, match="differs from the detector's"):
        dataclasses.replace(bayes, population=Population(changed, "PDH1"))
    with pytest.raises(DataError, match="species is 'electron'"):
        BayesUnfolder.of_instrument(radem, species="electron")
    with pytest.raises(DataError, match="quiet_rate is 0"):
        dataclasses.replace(bayes, quiet_rate=0.0)
    with pytest.raises(DataError, match="n_draws is 10"):
        dataclasses.replace(bayes, n_draws=10)
    with pytest.raises(DataError, match="energies are"):
        dataclasses.replace(bayes, energies=(0.0,))
    with pytest.raises(DataError, match="thresholds are"):
        dataclasses.replace(bayes, thresholds=())
