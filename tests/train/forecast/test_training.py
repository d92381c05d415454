"""A training of a second: reproducible, blind to what it must not see, and honest on its card."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError, MissingDataError
from particleflux.forecast import LEADS, QUANTILES
from particleflux.forecast.card import describe_card
from particleflux.forecast.inputs import InputSpec
from particleflux.forecast.issue import FLUENCE
from particleflux.forecast.lstm import KIND, NETWORK, LstmForecaster
from particleflux.history import training_only
from particleflux.train.forecast import LEAST_DAYS, ForecastSettings, fit_forecast, train_forecast
from particleflux.train.forecast.settings import INPUTS

PERIODS = "2001,2003"


def learnt(artefact: Artefact) -> list[Any]:
    """Give all of an artefact but when it was made and how long that took."""
    card = json.loads(json.dumps(dict(artefact.card)))
    del card["created"], card["training"]["seconds"]
    return [card, dict(artefact.networks)]


def test_training_is_reproducible(history: xr.Dataset, tiny: ForecastSettings, tiny_artefact: Artefact) -> None:
    """The same history and settings give the same network and card bit for bit; the history stays as it was."""
    before = history.copy(deep=True)
    again = fit_forecast(history, settings=tiny, name="tiny", command="particleflux train forecast", commit="abc")
    assert learnt(again) == learnt(tiny_artefact)
    assert history.identical(before)


def test_another_seed_is_another_model(history: xr.Dataset, tiny: ForecastSettings, tiny_artefact: Artefact) -> None:
    """With another seed the scaling is the same, network and stretch are others."""
    other = fit_forecast(history, settings=dataclasses.replace(tiny, seed=4))
    assert other.card["inputs"] == tiny_artefact.card["inputs"]
    assert other.card["stretch"] != tiny_artefact.card["stretch"]
    assert other.networks[NETWORK] != tiny_artefact.networks[NETWORK]


@pytest.mark.parametrize("by_hour", [False, True], ids=["daily", "hourly"])
def test_nothing_outside_the_training_periods_is_learnt(
    history: xr.Dataset, tiny: ForecastSettings, spec: InputSpec, by_hour: bool
) -> None:
    """Garbage in every value outside the periods changes no bit of scaling, stretch, network or card."""
    chosen = spec if by_hour else dataclasses.replace(spec, hourly=(), n_hours=0)
    expected = fit_forecast(training_only(history, PERIODS), settings=tiny, spec=chosen)
    rng = np.random.default_rng(5)
    outside = history["time"].dt.year.to_numpy() == 2002
    for seed in (1, 2):
        spoiled = history.copy(deep=True)
        for array in spoiled.data_vars.values():
            values = array.to_numpy()
            if array.dtype.kind == "f":
                values[outside] = rng.choice([np.nan, np.inf, -1e30, 1e30, 0.0, 3.0 * seed], values[outside].shape)
            else:
                values[outside] = f"GOES-{seed}"
        assert learnt(fit_forecast(training_only(spoiled, PERIODS), settings=tiny, spec=chosen)) == learnt(expected)
    # What lies inside does count.
    spoiled = history.copy(deep=True)
    spoiled[FLUENCE].to_numpy()[100] *= 1.01
    assert learnt(fit_forecast(training_only(spoiled, PERIODS), settings=tiny, spec=chosen)) != learnt(expected)


def test_scaling_is_that_of_the_training_days(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """Closed form: mean and standard deviation of log10 fluence and of speed, within the periods."""
    artefact = fit_forecast(training_only(history, PERIODS), settings=dataclasses.replace(tiny, least_steps=1))
    spec = LstmForecaster.of(artefact).spec
    inside = history.isel(time=history["time"].dt.year.to_numpy() != 2002)
    for name, values in ((FLUENCE, np.log10(inside[FLUENCE])), ("solar_wind_speed", inside["solar_wind_speed"])):
        index = spec.daily.index(name)
        assert spec.mean[index] == pytest.approx(float(values.mean()))
        assert spec.std[index] == pytest.approx(float(values.std()))


def test_a_law_is_learnt(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """Where the flux follows the speed of two days before, it is forecast for two days ahead and not for three."""
    calm = {"shift": 0.0, "dropped": 0.0, "dropped_rotation": 0.0, "outage": 0.0}
    settings = dataclasses.replace(tiny, least_steps=200, learning_rate=3e-2, **calm)
    left_out = fit_forecast(history, settings=settings, spec=InputSpec((FLUENCE, "solar_wind_speed"), n_days=5)).card[
        "left_out"
    ]
    # Days do not hang together: what persists is of no use.
    assert max(left_out["persistence_efficiency"]) < -0.5
    assert min(left_out["prediction_efficiency"][:2]) > 0.4
    assert left_out["prediction_efficiency"][2] < 0.1


def test_stretch_makes_the_left_out_days_lie_inside(tiny_artefact: Artefact) -> None:
    """Intervals learnt from the days left out hold as many of them as they say, where no limit forbids it."""
    left_out, stretch = tiny_artefact.card["left_out"], np.array(tiny_artefact.card["stretch"])
    for name, share, ends in (("inside_68", 0.68, (0.16, 0.84)), ("inside_95", 0.95, (0.025, 0.975))):
        columns = [QUANTILES.index(level) for level in ends]
        for lead in range(len(LEADS)):
            if (stretch[lead, columns] < 3.0).all():
                assert left_out[name][lead] == pytest.approx(share, abs=0.005)


def test_card_says_what_was_done(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """The card holds the settings, the days, years and satellites learnt from, and is summed up."""
    days = training_only(history, PERIODS)
    artefact = fit_forecast(days, settings=tiny, name="law", command="do it", commit="abc", periods=PERIODS)
    card = artefact.card
    assert (card["name"], card["kind"], card["reference"], card["day_start"]) == ("law", KIND, "GOES-8", 0.0)
    assert (card["lead_times"], card["quantiles"]) == (list(LEADS), list(QUANTILES))
    training = card["training"]
    assert {key: training[key] for key in dataclasses.asdict(tiny)} == dataclasses.asdict(tiny)
    assert (training["command"], training["commit"], training["periods"]) == ("do it", "abc", PERIODS)
    assert (training["first_day"], training["last_day"]) == ("2001-01-03", "2003-12-31")
    assert training["days"] == 2 * 365 - 2
    assert (training["years"], training["satellites"]) == ([2001, 2003], ["GOES-8"])
    assert training["steps"] == tiny.least_steps
    assert dict(describe_card(card))["learnt from"] == "728 days from 2001-01-03 to 2003-12-31"
    other = fit_forecast(days.drop_vars("satellite").assign_attrs(day_start=7.0), settings=tiny)
    assert (other.card["training"]["satellites"], other.card["day_start"]) == ([], 7.0)


def test_inputs_that_hold_nothing_are_left_out(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """What the training days do not hold is no input, and what they hold is: of the presets by day and by hour."""
    quick = dataclasses.replace(tiny, least_steps=1)
    daily = LstmForecaster.of(fit_forecast(history, settings=quick)).spec
    held = (FLUENCE, "electron_flux_gt0p8mev|electron_flux_gt0p6mev", "solar_wind_speed", "dst", "kp", "bz_gsm",
            "bz_gsm_min")  # fmt: skip
    assert daily.daily == tuple(name for name in INPUTS["daily"].daily if name in held)
    assert not daily.hourly
    hourly = LstmForecaster.of(fit_forecast(history, settings=dataclasses.replace(quick, inputs="hourly"))).spec
    assert hourly.hourly == ("electron_flux_gt2mev", "bz_gsm")
    assert hourly.n_hours == INPUTS["hourly"].n_hours
    bare = training_only(history, PERIODS)
    bare["solar_wind_speed"].to_numpy()[:] = np.nan
    bare = bare.drop_vars(["bz_gsm_hourly", "electron_flux_gt2mev_hourly"])
    less = LstmForecaster.of(fit_forecast(bare, settings=dataclasses.replace(quick, inputs="hourly"))).spec
    assert "solar_wind_speed" not in less.daily + less.rotation
    assert (less.hourly, less.n_hours) == ((), 0)


def test_too_few_days_are_refused(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """A year of fluences at least: one day less is refused, with the number found."""
    first = history.copy(deep=True)
    first[FLUENCE].to_numpy()[2 + LEAST_DAYS - 1 :] = np.nan
    with pytest.raises(MissingDataError, match=r"364 days hold a fluence in the training periods, expected 365"):
        fit_forecast(first, settings=tiny)
    first[FLUENCE].to_numpy()[900] = 1e7
    fit_forecast(first, settings=dataclasses.replace(tiny, least_steps=1))


def test_days_without_a_next_one_are_refused(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """Days far apart, and days that are all alike, have nothing to learn in them: told before the training."""
    long = xr.concat([history.drop_vars("satellite")] * 4, dim="time")
    long = long.assign_coords(time=history["time"].to_numpy()[0] + np.arange(4 * 1095) * np.timedelta64(1, "D"))
    for step, found in ((10, "1 d ahead there are 0 days"), (4, "1 d ahead there are 0 days")):
        apart = long.copy(deep=True)
        apart[FLUENCE].to_numpy()[np.arange(long.sizes["time"]) % step != 0] = np.nan
        with pytest.raises(MissingDataError, match=rf"{found} to learn from, with 0 different fluences"):
            fit_forecast(apart, settings=tiny)
    alike = history.copy(deep=True)
    alike[FLUENCE].to_numpy()[:] = 1e7
    with pytest.raises(MissingDataError, match=r"1 d ahead there are 1094 days to learn from, with 1 different"):
        fit_forecast(alike, settings=tiny)


def test_one_year_is_one_block(history: xr.Dataset, tiny: ForecastSettings) -> None:
    """A year alone is left out of nothing, and trained on all the same."""
    artefact = fit_forecast(training_only(history, "2002"), settings=tiny)
    assert artefact.card["training"]["years"] == [2002]
    assert np.isfinite(artefact.card["left_out"]["prediction_efficiency"]).all()


def test_model_is_written_as_it_is(history: xr.Dataset, tiny: ForecastSettings, tmp_path: Path) -> None:
    """What lies in the folder is what was returned, by its hash; a model there before is replaced."""
    written = train_forecast(history, tmp_path / "model", settings=tiny, name="tiny", periods="all")
    loaded = Artefact.load(tmp_path / "model")
    assert loaded.digest == written.digest
    assert loaded.card["training"]["periods"] == "all"
    told = []
    again = train_forecast(
        history,
        tmp_path / "model",
        settings=dataclasses.replace(tiny, seed=9),
        progress=lambda *step: told.append(step),
    )
    assert Artefact.load(tmp_path / "model").digest == again.digest != written.digest
    assert told[-1] == ("train the members", tiny.least_steps, tiny.least_steps)


def test_other_folders_are_refused_before_the_training(
    history: xr.Dataset, tiny: ForecastSettings, tmp_path: Path
) -> None:
    """A folder that holds something else is refused before a step is made, and stays as it was."""
    (tmp_path / "notes.txt").write_text("mine")
    told: list[Any] = []
    with pytest.raises(ArtefactError, match=r"exists and holds no card\.json"):
        train_forecast(history, tmp_path, settings=tiny, progress=lambda *step: told.append(step))
    assert not told
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
