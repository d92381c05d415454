"""The run: each member kept from its years, and what those years teach about the width."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.special import ndtri

from particleflux.errors import ArtefactError
from particleflux.forecast.distribution import LEADS, QUANTILES
from particleflux.forecast.inputs import InputSpec
from particleflux.train.forecast import ForecastSettings
from particleflux.train.forecast.network import MIDDLE, pool, predict
from particleflux.train.forecast.run import STRETCH_LIMITS, Run, fit_stretch
from particleflux.train.forecast.samples import Samples, make_samples

SCORES = ndtri(QUANTILES)


@pytest.fixture(scope="module")
def fitted(spec: InputSpec, history: xr.Dataset) -> InputSpec:
    return spec.fit(history)


@pytest.fixture(scope="module")
def samples(history: xr.Dataset, fitted: InputSpec) -> Samples:
    return make_samples(history, fitted, 3)


@pytest.fixture(scope="module")
def short(tiny: ForecastSettings) -> ForecastSettings:
    return dataclasses.replace(tiny, least_steps=6)


def test_each_member_is_kept_from_one_block(fitted: InputSpec, samples: Samples, short: ForecastSettings) -> None:
    """Member i never sees block i modulo the number of blocks, and sees all others."""
    run = Run(dataclasses.replace(short, members=7), fitted, samples)
    for member in range(7):
        torch.testing.assert_close(run.left_out[member], samples.block == member % 3)
    assert (run.left_out.sum(dim=0) >= 2).all()


def test_a_single_block_is_left_out_of_nothing(fitted: InputSpec, samples: Samples, short: ForecastSettings) -> None:
    """Where there is one block, every member sees it, and all of them are pooled for its days."""
    alone = dataclasses.replace(samples, block=torch.zeros_like(samples.block))
    run = Run(dataclasses.replace(short, blocks=1), fitted, alone)
    assert not run.left_out.any()
    weights = run.train()
    rows = torch.arange(len(samples)).expand(short.members, -1)
    expected = pool(predict(weights, run._at(rows))[1])
    np.testing.assert_allclose(run.left_out_quantiles(weights), expected, rtol=1e-5, atol=1e-5)


def test_what_a_member_is_kept_from_changes_nothing(
    fitted: InputSpec, samples: Samples, short: ForecastSettings
) -> None:
    """Another truth and other inputs in a block change no bit of its member, and all others."""
    before = Run(short, fitted, samples).train()
    inside = samples.block == 1
    changed = dataclasses.replace(
        samples,
        truth=torch.where(inside[:, None], samples.truth + 0.2, samples.truth),
        batch=dataclasses.replace(
            samples.batch, days=torch.where(inside[:, None, None], samples.batch.days + 0.1, samples.batch.days)
        ),
    )
    after = Run(short, fitted, changed).train()
    for name, value in before.items():
        same = [torch.equal(value[member], after[name][member]) for member in range(3)]
        assert same == [False, True, False], name


def test_steps_are_epochs_but_not_too_few(fitted: InputSpec, samples: Samples, short: ForecastSettings) -> None:
    """As many steps as show each member so many samples as the epochs hold, and the least number at least."""
    settings = dataclasses.replace(short, epochs=2.0, batch=100, least_steps=1)
    assert Run(settings, fitted, samples).n_steps == int(np.ceil(2 * len(samples) / 100))
    assert Run(dataclasses.replace(settings, least_steps=500), fitted, samples).n_steps == 500


def test_progress_is_told(fitted: InputSpec, samples: Samples, short: ForecastSettings) -> None:
    """Every step is reported, the last as the last."""
    told: list[tuple[str, int, int]] = []
    Run(short, fitted, samples).train(lambda *step: told.append(step))
    assert told == [("train the members", step + 1, 6) for step in range(6)]


def test_left_out_days_are_judged_by_members_that_did_not_see_them(
    fitted: InputSpec, samples: Samples, short: ForecastSettings
) -> None:
    """Closed form with three members and blocks: each day has the quantiles of its one member."""
    run = Run(short, fitted, samples)
    weights = run.train()
    rows = torch.arange(len(samples)).expand(3, -1)
    _, quantiles = predict(weights, run._at(rows))
    expected = quantiles[samples.block, torch.arange(len(samples))]
    np.testing.assert_allclose(run.left_out_quantiles(weights), expected, rtol=1e-5, atol=1e-5)


def test_divergence_is_told(fitted: InputSpec, samples: Samples, short: ForecastSettings) -> None:
    """A loss that is no number stops the run with one message."""
    broken = dataclasses.replace(samples, truth=samples.truth + float("inf"))
    with pytest.raises(ArtefactError, match=r"the loss is (inf|nan) at step 1; lower the learning rate"):
        Run(short, fitted, broken).train()


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_stretch_finds_the_width_that_was_promised_wrongly(factor: float) -> None:
    """Normal days of the spread s forecast with the spread 1: every quantile must be s times as far, the median not."""
    truth = np.empty((4001, 3))
    truth[:] = 0.4 + factor * ndtri((np.arange(4001) + 0.5) / 4001)[:, None]
    quantiles = np.broadcast_to(0.4 + SCORES, (4001, 3, 9))
    stretch = fit_stretch(quantiles, truth, np.ones((4001, 3), dtype=bool))
    expected = np.full((3, 9), factor)
    expected[:, MIDDLE] = 1.0
    np.testing.assert_allclose(stretch, expected, rtol=3e-3)


def test_stretch_is_each_side_s_own() -> None:
    """Days that go further down than up stretch the lower quantiles alone, lead by lead."""
    z = ndtri((np.arange(4001) + 0.5) / 4001)
    truth = np.stack([np.where(z < 0, 2.0 * z, z), z, z], axis=1)
    stretch = fit_stretch(np.broadcast_to(SCORES, (4001, 3, 9)), truth, np.ones((4001, 3), dtype=bool))
    np.testing.assert_allclose(stretch[0], [2, 2, 2, 2, 1, 1, 1, 1, 1], rtol=3e-3)
    np.testing.assert_allclose(stretch[1:], 1.0, rtol=3e-3)


def test_stretched_quantiles_keep_their_promise() -> None:
    """Whatever the forecasts were, after the stretch the share of the days below each quantile is its level."""
    rng = np.random.default_rng(2)
    middle, width = rng.normal(size=3000), rng.uniform(0.5, 1.5, 3000)
    quantiles = np.repeat((middle[:, None] + width[:, None] * SCORES)[:, None], 3, axis=1)
    truth = middle[:, None] + 1.3 * width[:, None] * rng.standard_t(6, (3000, 3))
    stretch = fit_stretch(quantiles, truth, np.ones((3000, 3), dtype=bool))
    wide = middle[:, None, None] + stretch * (quantiles - middle[:, None, None])
    share = (truth[..., None] <= wide).mean(axis=0)
    np.testing.assert_allclose(share, np.broadcast_to(QUANTILES, share.shape), atol=0.03)
    away = [index for index in range(9) if index != MIDDLE]
    np.testing.assert_allclose(share[:, away], np.broadcast_to(QUANTILES, share.shape)[:, away], atol=1e-3)


def test_stretch_keeps_to_its_limits_and_to_what_is_known() -> None:
    """Far too narrow or too wide is believed up to the limits; unknown days do not count; without any it is 1."""
    z = ndtri((np.arange(999) + 0.5) / 999)
    quantiles = np.broadcast_to(SCORES, (999, 3, 9))
    truth = np.stack([100.0 * z, 0.001 * z, z], axis=1)
    known = np.ones((999, 3), dtype=bool)
    known[:, 2] = False
    stretch = fit_stretch(quantiles, truth, known)
    away = [index for index in range(9) if index != MIDDLE]
    np.testing.assert_array_equal(stretch[0, away], STRETCH_LIMITS[1])
    np.testing.assert_array_equal(stretch[1, away], STRETCH_LIMITS[0])
    np.testing.assert_array_equal(stretch[2], 1.0)
    np.testing.assert_array_equal(stretch[:, MIDDLE], 1.0)


def test_scores_are_what_they_say(fitted: InputSpec, samples: Samples, short: ForecastSettings) -> None:
    """Closed form: a forecast off by a constant, and one that is right, with intervals that hold all or none."""
    run = Run(short, fitted, samples)
    truth = samples.truth.numpy().astype(np.float64)
    ones = np.ones((3, 9))
    offsets = 0.001 * SCORES
    right = run.score(truth[..., None] + offsets, ones)
    assert right["lead_time"] == list(LEADS)
    assert right["days"] == samples.known.sum(dim=0).int().tolist()
    assert right["prediction_efficiency"] == [1.0] * 3
    assert right["inside_68"] == right["inside_95"] == [1.0] * 3
    off = run.score(truth[..., None] + 0.5 + offsets, ones)
    for lead in range(3):
        known = samples.known[:, lead].numpy() > 0
        variance = truth[known, lead].var()
        assert off["prediction_efficiency"][lead] == pytest.approx(1 - 0.25 / variance, abs=1e-4)
        assert off["rmse_dex"][lead] == pytest.approx(0.5 * fitted.std[0], abs=1e-4)
        past = ((truth[known, lead] - samples.batch.level.numpy()[known]) ** 2).mean()
        assert off["persistence_efficiency"][lead] == pytest.approx(1 - past / variance, abs=1e-4)
    assert off["inside_95"] == [0.0] * 3
    assert run.score(truth[..., None] + 0.5 + 0.3 * SCORES, 9.0 * ones)["inside_95"] == [1.0] * 3
