"""Simulated samples: what is left out, what is told, and what is to be predicted."""

import dataclasses

import numpy as np
import pytest

from particleflux.train.npe import samples
from particleflux.train.npe.samples import (
    default_populations,
    electron_reference,
    leave_out,
    observed,
    simulate_samples,
    training_mixture,
    true_targets,
)
from particleflux.unfold.npe_inputs import npe_features
from particleflux.unfold.observation import LEAST_CHANNELS


@pytest.fixture(scope="module")
def mixture(radem):
    return training_mixture(radem, default_populations(radem, "proton"))


@pytest.mark.parametrize("n_channels", [3, 4, 5, 8, 14])
@pytest.mark.parametrize("n_monitors", [0, 2, 3])
def test_enough_channels_are_left(n_channels, n_monitors):
    """However few channels there are, and whatever the monitors are, each sample reads at least three."""
    channels = [f"C{number}" for number in range(n_channels)]
    is_read = leave_out(np.random.default_rng(0), 5000, channels, channels[n_channels - n_monitors :])
    assert is_read.shape == (5000, n_channels)
    assert is_read.sum(axis=1).min() >= LEAST_CHANNELS
    if n_channels > LEAST_CHANNELS:
        assert not is_read.all()
        assert is_read.all(axis=1).any()
    else:
        assert is_read.all()


def test_monitors_are_left_out_together():
    """In three of ten samples the monitors, and nothing else, are left out; in as many, one to three of any kind."""
    channels = list("ABCDEFGH")
    is_read = leave_out(np.random.default_rng(0), 40_000, channels, ["G", "H"])
    only_monitors = ~is_read[:, 6] & ~is_read[:, 7] & is_read[:, :6].all(axis=1)
    some = ~is_read.all(axis=1) & ~only_monitors
    assert only_monitors.mean() == pytest.approx(0.3, abs=0.02)
    assert some.mean() == pytest.approx(0.3, abs=0.02)
    n_missing = (~is_read[some]).sum(axis=1)
    assert set(n_missing.tolist()) == {1, 2, 3}
    # Every channel is left out as often as any other, when it is not for being a monitor.
    np.testing.assert_allclose(
        (~is_read[some][n_missing != 2]).mean(axis=0), (~is_read[some][n_missing != 2]).mean(), atol=0.02
    )


def test_what_is_not_read_is_not_told(mixture, radem):
    """A channel that is left out is zero in all that is observed; the others are as drawn."""
    rng = np.random.default_rng(2)
    drawn = mixture.draw(200, rng, energies=[(10.0,)], thresholds=[(10.0,)])
    is_read = leave_out(rng, 200, mixture.channels, radem.monitors)
    seen = observed(drawn, is_read)
    for values, whole in ((seen.counts, drawn.counts), (seen.background, drawn.background)):
        assert not values[~is_read].any()
        np.testing.assert_array_equal(values[is_read], whole[is_read])
    assert not seen.background_error[~is_read].any()
    assert (seen.background_common <= seen.background_error + 1e-12).all()
    np.testing.assert_array_equal(seen.exposure, drawn.exposure)
    hidden = observed(drawn, np.zeros_like(is_read))
    assert not hidden.counts.any()


def test_no_background_has_no_error(mixture):
    """Where no background is expected, no error of it is told."""
    drawn = mixture.draw(50, np.random.default_rng(2), energies=[(10.0,)], thresholds=[(10.0,)])
    drawn.background[:, 2] = 0.0
    seen = observed(drawn, np.ones(drawn.counts.shape, dtype=bool))
    assert not seen.background_error[:, 2].any()
    assert not seen.background_common[:, 2].any()
    assert (seen.background_error[:, 1] > 0).any()


def test_targets_are_the_truth_in_units_of_the_scale(mixture, tiny_npe, radem):
    """Targets and scale together are the log of the true flux, integral flux and signal counts."""
    got = simulate_samples(mixture, tiny_npe, 250, monitors=radem.monitors, stream=5, keep=True)
    rng = np.random.default_rng([tiny_npe.seed, 5, 0])
    drawn = mixture.draw(250, rng, energies=[tiny_npe.proton_nodes], thresholds=[tiny_npe.proton_thresholds])
    n_nodes, n_thresholds = len(tiny_npe.proton_nodes), len(tiny_npe.proton_thresholds)
    told = got.targets + got.log_scale[:, None]
    to_flux = np.log(drawn.exposure)[:, None]
    tolerance = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(told[:, :n_nodes] - to_flux, drawn.log_flux[0], **tolerance)
    np.testing.assert_allclose(told[:, n_nodes : n_nodes + n_thresholds] - to_flux, drawn.log_integral[0], **tolerance)
    signal = np.exp(told[:, n_nodes + n_thresholds :])
    np.testing.assert_allclose(signal, drawn.signal[:, 0], rtol=1e-3)
    assert true_targets(drawn).shape == (250, n_nodes + n_thresholds + len(mixture.channels))
    # What was kept is what the features were computed from.
    features, log_scale = npe_features(got.observation)
    np.testing.assert_allclose(features.astype(np.float32), got.features)
    np.testing.assert_array_equal(log_scale, got.log_scale)


def test_streams_differ_and_repeat(mixture, tiny_npe, radem):
    """Training and held-out samples share none; each comes again from its seed, and more of them only add."""
    first, second, again, more = (
        simulate_samples(mixture, tiny_npe, n, monitors=radem.monitors, stream=stream)
        for n, stream in ((250, 0), (250, 1), (250, 0), (600, 0))
    )
    assert first.features.dtype == first.targets.dtype == np.float32
    assert not np.isin(first.features[:, -1], second.features[:, -1]).any()
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.targets, more.targets[:250])
    assert len(more.features) == 600
    assert first.observation is None


def test_progress_of_the_simulation(mixture, tiny_npe, radem):
    """Progress rises piece by piece to the samples asked for."""
    calls: list[tuple[str, int, int]] = []
    simulate_samples(
        mixture, tiny_npe, 600, monitors=radem.monitors, stream=0, progress=lambda *call: calls.append(call)
    )
    assert samples.DRAW == 250
    assert calls == [("simulate", 250, 600), ("simulate", 500, 600), ("simulate", 600, 600)]


def test_features_and_targets_are_finite(mixture, tiny_npe, radem):
    """Over the whole prior, faint or far too bright, every number that a network sees is finite."""
    got = simulate_samples(mixture, tiny_npe, 3000, monitors=radem.monitors, stream=3)
    assert np.isfinite(got.features).all()
    assert np.isfinite(got.targets).all()


def test_electrons_come_with_protons(radem):
    """For electrons both species are drawn in the channels of both heads; for protons one in those of its head."""
    (proton,) = default_populations(radem, "proton")
    assert proton.response.channels == radem.reads["proton"]
    assert proton.reference_channel == radem.reads["proton"][0]
    both = default_populations(radem, "electron")
    assert [item.response.species for item in both] == ["proton", "electron"]
    assert {item.response.channels for item in both} == {radem.reads["electron"]}
    assert both[1].reference_channel == electron_reference(radem)
    assert both[1].reference_channel.startswith("EDH")


def test_a_given_response_replaces_the_instruments(radem):
    """A response that is given is used for its species, the instrument's own for the other."""
    own = radem.response("proton", radem.configurations[0].number)
    other = dataclasses.replace(own, geometric_factor=own.geometric_factor * 2.0)
    proton, electron = default_populations(radem, "electron", {"proton": other})
    assert proton.response.digest == other.select(list(radem.reads["electron"])).digest
    channels = list(radem.reads["electron"])
    assert (
        electron.response.digest == radem.response("electron", radem.configurations[0].number).select(channels).digest
    )
