"""Samples of a history, and what is hidden from them and shifted by chance."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from particleflux.forecast.inputs import InputSpec, read_inputs
from particleflux.forecast.issue import FLUENCE, log_fluence
from particleflux.train.forecast import ForecastSettings
from particleflux.train.forecast.network import Batch
from particleflux.train.forecast.samples import Disturbance, Samples, make_samples, years_of

CALM = ForecastSettings(dropped=0.0, dropped_rotation=0.0, outage=0.0, shift=0.0)
HOURLY_FLUX = "electron_flux_gt2mev_hourly"
MEMBERS = 2


@pytest.fixture(scope="module")
def holed(history: xr.Dataset) -> xr.Dataset:
    """Cut to two hundred days, a tenth of all values missing."""
    holed = history.isel(time=slice(300, 500)).copy(deep=True)
    rng = np.random.default_rng(8)
    for array in holed.data_vars.values():
        if array.dtype.kind == "f":
            values = array.to_numpy()
            values[rng.random(values.shape) < 0.1] = np.nan
    # A day without any flux has none by the hour either: how long an outage was can then be told from the days.
    nothing = np.isnan(holed[FLUENCE]) & np.isnan(holed["electron_flux_gt0p8mev"])
    holed[HOURLY_FLUX].to_numpy()[nothing] = np.nan
    return holed


@pytest.fixture(scope="module")
def fitted(spec: InputSpec, history: xr.Dataset) -> InputSpec:
    return spec.fit(history)


@pytest.fixture(scope="module")
def samples(holed: xr.Dataset, fitted: InputSpec) -> Samples:
    return make_samples(holed, fitted, 3)


def positions(history: xr.Dataset) -> np.ndarray:
    """Give the days after which there is a sample: a flux within three days, and one to come within three."""
    known = np.isfinite(history[FLUENCE].to_numpy())
    padded = np.concatenate([np.zeros(2, bool), known, np.zeros(3, bool)])
    chosen = [row for row in range(len(known)) if padded[row : row + 3].any() and padded[row + 3 : row + 6].any()]
    return np.array(chosen)


def disturb(spec: InputSpec, samples: Samples, seed: int = 1, **changes: Any) -> tuple[Batch, torch.Tensor]:
    """Disturb all samples for each of two members."""
    batch = Batch(*(value.expand(MEMBERS, *value.shape) for value in vars(samples.batch).values()))
    truth, known = (value.expand(MEMBERS, -1, -1) for value in (samples.truth, samples.known))
    settings = dataclasses.replace(CALM, **changes)
    return Disturbance(spec, settings)(batch, truth, known, torch.Generator().manual_seed(seed))


def read(history: xr.Dataset, row: int, spec: InputSpec) -> dict[str, np.ndarray]:
    inputs, _ = read_inputs(history, np.array([row]), spec)
    return {name: getattr(inputs, name)[0] for name in ("days", "context", "level", "hours")}


def test_samples_are_windows_with_what_came(holed: xr.Dataset, fitted: InputSpec, samples: Samples) -> None:
    """Each sample is what is read for its day, with the scaled flux of the three days that follow, 0 where missing."""
    rows = positions(holed)
    assert len(samples) == len(rows) == len(samples.block)
    log = (log_fluence(holed) - fitted.mean[0]) / fitted.std[0]
    for number, row in enumerate(rows):
        for name, expected in read(holed, row, fitted).items():
            np.testing.assert_array_equal(getattr(samples.batch, name)[number], expected)
        after = np.append(log, [np.nan] * 3)[row + 1 : row + 4]
        np.testing.assert_allclose(samples.truth[number], np.nan_to_num(after), rtol=1e-6)
        np.testing.assert_array_equal(samples.known[number], np.isfinite(after))
    assert 0 < float(samples.known.mean()) < 1


def test_blocks_are_whole_years(history: xr.Dataset, fitted: InputSpec) -> None:
    """The years that have samples are dealt to the blocks in turn; a year without is passed over."""
    gap = history.copy(deep=True)
    years = gap["time"].dt.year.to_numpy()
    gap[FLUENCE].to_numpy()[years == 2002] = np.nan
    for days, expected in ((history, {2001: 0, 2002: 1, 2003: 0}), (gap, {2001: 0, 2003: 1})):
        block = make_samples(days, fitted, 2).block.numpy()
        found = set(zip(years[positions(days)].tolist(), block.tolist(), strict=True))
        assert found == set(expected.items())
    assert years_of(gap, np.isfinite(gap[FLUENCE].to_numpy())) == [2001, 2003]


def test_without_chance_nothing_is_disturbed(fitted: InputSpec, samples: Samples) -> None:
    """With all chances and the shift 0, batch and truth are as they were."""
    batch, truth = disturb(fitted, samples)
    for name, value in vars(batch).items():
        assert torch.equal(value, getattr(samples.batch, name).expand_as(value)), name
    assert torch.equal(truth, samples.truth.expand_as(truth))


def test_disturbance_leaves_the_samples_as_they_were(fitted: InputSpec, samples: Samples) -> None:
    """What is hidden and shifted is a copy; the same seed hides the same, another one something else."""
    before = {name: value.clone() for name, value in vars(samples.batch).items()}
    truth = samples.truth.clone()
    chances = {"dropped": 0.5, "dropped_rotation": 0.5, "outage": 0.5, "shift": 0.5}
    once, again, other = (disturb(fitted, samples, seed=seed, **chances) for seed in (1, 1, 2))
    assert all(torch.equal(value, before[name]) for name, value in vars(samples.batch).items())
    assert torch.equal(samples.truth, truth)
    assert torch.equal(once[1], again[1])
    for name, value in vars(once[0]).items():
        assert torch.equal(value, getattr(again[0], name))
        assert not torch.equal(value, getattr(other[0], name))
        # Each member has chances of its own.
        assert not torch.equal(value[0], value[1])


def test_shifted_sample_is_one_of_a_brighter_satellite(holed: xr.Dataset, fitted: InputSpec, samples: Samples) -> None:
    """Shifted by s dex, inputs and truth are what a history with all fluences times 10^s gives; missing stays 0."""
    batch, truth = disturb(fitted, samples, shift=0.4)
    moved = (truth - samples.truth) * samples.known
    shift = moved.sum(dim=-1) / samples.known.sum(dim=-1) * fitted.std[0]
    assert abs(float(shift.std()) - 0.4) < 0.05
    rows = positions(holed)
    for member in range(MEMBERS):
        for number in range(0, len(rows), 7):
            factor = 10.0 ** float(shift[member, number])
            brighter = holed.assign({name: holed[name] * factor for name in (FLUENCE, HOURLY_FLUX)})
            for name in (FLUENCE, HOURLY_FLUX):
                brighter[name].attrs = holed[name].attrs
            for name, expected in read(brighter, rows[number], fitted).items():
                np.testing.assert_allclose(getattr(batch, name)[member, number], expected, atol=2e-5, err_msg=name)
            after = (log_fluence(brighter) - fitted.mean[0]) / fitted.std[0]
            after = np.append(after, [np.nan] * 3)[rows[number] + 1 : rows[number] + 4]
            np.testing.assert_allclose(truth[member, number], np.nan_to_num(after), atol=2e-5)


def test_fluence_is_never_dropped(fitted: InputSpec, samples: Samples) -> None:
    """With a chance of 1 all but the fluence, its level and its statistics is hidden, with its masks."""
    batch, truth = disturb(fitted, samples, dropped=1.0)
    n_daily = len(fitted.daily)
    assert torch.equal(batch.days[..., [0, n_daily]], samples.batch.days[..., [0, n_daily]].expand(MEMBERS, -1, -1, -1))
    others = [column for column in range(2 * n_daily) if column % n_daily]
    assert not batch.days[..., others].any()
    assert not batch.hours.any()
    assert torch.equal(batch.context, samples.batch.context.expand_as(batch.context))
    assert torch.equal(batch.level, samples.batch.level.expand_as(batch.level))
    assert torch.equal(truth, samples.truth.expand_as(truth))
    batch, _ = disturb(fitted, samples, dropped_rotation=1.0)
    n_rotation = 2 * len(fitted.rotation)
    assert not batch.context[..., :n_rotation].any()
    assert torch.equal(
        batch.context[..., n_rotation:], samples.batch.context[..., n_rotation:].expand(MEMBERS, -1, -1, -1)
    )
    assert torch.equal(batch.days, samples.batch.days.expand_as(batch.days))


def test_variables_are_dropped_whole_and_as_often_as_asked(fitted: InputSpec, samples: Samples) -> None:
    """A variable is gone from a window with its mask or there as it was, in a quarter of the windows gone."""
    batch, _ = disturb(fitted, samples, dropped=0.25)
    for name, n_variables, first in (("days", len(fitted.daily), 1), ("hours", len(fitted.hourly), 0)):
        value, before = getattr(batch, name), getattr(samples.batch, name)
        for column in range(first, n_variables):
            pair = [column, column + n_variables]
            gone = ~value[..., pair].any(dim=-1).any(dim=-1)
            kept = (value[..., pair] == before[..., pair]).all(dim=-1).all(dim=-1)
            assert (gone | kept).all()
            assert 0.15 < float(gone.float().mean()) < 0.35


def length_of_outage(after: torch.Tensor, before: torch.Tensor) -> int:
    """Count the days at the end of a window of which every mask is 0 now; those that were are no matter."""
    n_days = len(after)
    return next(length for length in range(n_days, -1, -1) if not after[n_days - length :].any()) if before.any() else 0


def test_outage_of_the_flux_hides_its_last_days(holed: xr.Dataset, fitted: InputSpec, samples: Samples) -> None:
    """Days, hours and level are what is read of a history in which all fluxes of those days are missing."""
    only_flux = Disturbance(fitted, dataclasses.replace(CALM, outage=1.0))
    only_flux.daily[1:] = only_flux.hourly[1:] = [[] for _ in only_flux.daily[1:]]
    batch = Batch(*(value[None] for value in vars(samples.batch).values()))
    found, _ = only_flux(batch, samples.truth[None], samples.known[None], torch.Generator().manual_seed(1))
    rows, n_daily, lengths = positions(holed), len(fitted.daily), []
    fluxes = (FLUENCE, "electron_flux_gt0p8mev", HOURLY_FLUX)
    masks = [n_daily + fitted.daily.index(name) for name in fluxes[:2]]
    for number, row in enumerate(rows):
        length = length_of_outage(found.days[0, number][:, masks], samples.batch.days[number][:, masks])
        lengths.append(length)
        gone = holed.copy(deep=True)
        for name in fluxes:
            gone[name].to_numpy()[max(row + 1 - length, 0) : row + 1] = np.nan
        expected = read(gone, row, fitted)
        np.testing.assert_array_equal(found.days[0, number], expected["days"])
        np.testing.assert_array_equal(found.hours[0, number], expected["hours"])
        if found.days[0, number, :, n_daily].any():
            assert found.level[0, number] == expected["level"]
    # Half last up to three days, half up to the whole window of six.
    counts = np.bincount(lengths, minlength=7) / len(rows)
    assert counts[0] == 0
    assert counts[1:4].sum() > 0.6
    assert (counts[4:] > 0.03).all()
    assert torch.equal(found.context[0], samples.batch.context)


def test_level_without_a_window_is_that_of_the_spans(fitted: InputSpec, samples: Samples) -> None:
    """With the whole window hidden the level is the mean over the shortest span that has one, else 0."""
    disturbance = Disturbance(fitted, CALM)
    days = torch.zeros(1, 4, fitted.n_days, fitted.n_daily)
    context = torch.zeros(1, 4, 3, fitted.n_context)
    first = 2 * len(fitted.rotation)
    context[0, 1:3, :, first + 4], context[0, 1:3, :, first + 7] = 0.7, 0.5
    context[0, 2, :, first], context[0, 2, :, first + 3] = -0.3, 1.0
    days[0, 3, 1, 0], days[0, 3, 1, len(fitted.daily)] = 1.25, 1.0
    np.testing.assert_allclose(disturbance._level(days, context)[0], [0.0, 0.7, -0.3, 1.25])
    np.testing.assert_array_equal(disturbance._level(samples.batch.days[None], samples.batch.context[None])[0],
                                  samples.batch.level)  # fmt: skip


def test_outages_leave_the_flux_of_others(fitted: InputSpec, samples: Samples) -> None:
    """The solar wind and the indices fail on their own, from the last day back, without touching flux and level."""
    without_flux = Disturbance(fitted, dataclasses.replace(CALM, outage=1.0))
    without_flux.daily[0] = without_flux.hourly[0] = []
    batch = Batch(*(value[None] for value in vars(samples.batch).values()))
    found, _ = without_flux(batch, samples.truth[None], samples.known[None], torch.Generator().manual_seed(1))
    n_daily = len(fitted.daily)
    fluxes = [fitted.daily.index(name) for name in (FLUENCE, "electron_flux_gt0p8mev")]
    for column in range(n_daily):
        pair = [column, column + n_daily]
        if column in fluxes:
            assert torch.equal(found.days[0][..., pair], samples.batch.days[..., pair])
        else:
            assert not found.days[0, :, -1][:, pair].any()
            assert found.days[0, :, 0][:, pair].any()
    np.testing.assert_array_equal(found.level[0], samples.batch.level)
    # bz is of the solar wind: its hours fail with the speed's days.
    assert not found.hours[0, :, -8:, 1].any()
    assert torch.equal(found.hours[0][..., 0], samples.batch.hours[..., 0])
