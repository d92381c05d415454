"""The networks at work: what they are given, what they answer, and what they refuse."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtri

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError, AxisError, DataError, UnitError
from particleflux.forecast import LEADS, QUANTILES, exceedance
from particleflux.forecast.inputs import InputSpec, read_inputs
from particleflux.forecast.lstm import FLUX_GAPS, NETWORK, SHIPPED, SHIPPED_HOURLY, LstmForecaster, default_model
from particleflux.forecast.recent import DAYS, FOLDING, TRUST
from particleflux.names import ForecastQuality, attributes
from particleflux.train.forecast import ForecastSettings, fit_forecast
from particleflux.train.forecast.settings import HOURLY

Make = Callable[..., xr.Dataset]
FLUENCE = "fluence_gt2mev"
MIDDLE = QUANTILES.index(0.5)
SETTINGS = ForecastSettings(members=2, blocks=2, hidden=5, epochs=0.1, least_steps=25, batch=24)
N_DAYS = 700


@pytest.fixture(scope="module")
def history(make_history: Make) -> xr.Dataset:
    """Days and hours of all that the networks read, every day whole."""
    history = make_history(N_DAYS)
    rng = np.random.default_rng(12)
    size = {"time": N_DAYS, "hour": 24}
    centre = history[FLUENCE] / 86400.0
    history["electron_flux_gt0p8mev"] = 10.0 * centre ** rng.normal(0.7, 0.02, N_DAYS)
    for name in HOURLY:
        daily = np.log10(centre) if name.startswith("electron") else history[name]
        hours = daily + xr.DataArray(rng.normal(0.0, 0.2, tuple(size.values())), dims=tuple(size))
        history[f"{name}_hourly"] = 10.0**hours if name.startswith("electron") else hours
    for name in ("standoff", "solar_wind_speed", "dst", "kp", "bz_gsm", "solar_wind_density", "ae"):
        spread = rng.uniform(0.1, 1.0, N_DAYS)
        history[f"{name}_min"], history[f"{name}_max"] = history[name] - spread, history[name] + spread
    for name in map(str, history.data_vars):
        base = name.removesuffix("_hourly").removesuffix("_min").removesuffix("_max")
        if base != "calibration":
            history[name].attrs = attributes(base)
    return history


def train(history: xr.Dataset, inputs: str) -> Artefact:
    settings = dataclasses.replace(SETTINGS, inputs=inputs)
    return fit_forecast(history, settings=settings, name=f"tiny-{inputs}", command="particleflux train forecast")


@pytest.fixture(scope="module")
def daily(history: xr.Dataset) -> Artefact:
    return train(history, "daily")


@pytest.fixture(scope="module")
def hourly(history: xr.Dataset) -> Artefact:
    return train(history, "hourly")


@pytest.fixture(scope="module", params=["daily", "hourly"])
def forecaster(request: pytest.FixtureRequest) -> LstmForecaster:
    return LstmForecaster.of(request.getfixturevalue(request.param))


def with_card(artefact: Artefact, **changes: Any) -> Artefact:
    return dataclasses.replace(artefact, card={**artefact.card, **changes})


def same_bits(first: xr.Dataset, second: xr.Dataset) -> bool:
    return set(first.variables) == set(second.variables) and all(
        first[name].to_numpy().tobytes() == second[name].to_numpy().tobytes() for name in first.variables
    )


def blank(history: xr.Dataset, days: Any, *names: str) -> xr.Dataset:
    """Make days of variables, of all by default, missing."""
    blanked = history.copy(deep=True)
    for name in names or [str(name) for name, array in history.data_vars.items() if array.dtype.kind == "f"]:
        blanked[name].to_numpy()[days] = np.nan
    return blanked


def flags_of(forecast: xr.Dataset) -> ForecastQuality:
    return ForecastQuality(int(forecast["quality"][0]))


def test_hourly_model_reads_all_it_was_given(hourly: Artefact, history: xr.Dataset) -> None:
    """Every input that the history holds is read: none is lost on the way to the card."""
    spec = LstmForecaster.of(hourly).spec
    assert spec.hourly == HOURLY
    assert "electron_flux_gt0p8mev|electron_flux_gt0p6mev" in spec.daily
    assert set(spec.drivers) <= set(history.data_vars)


def test_nothing_after_the_issue_time_is_read(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """Cut at the issue time, or with garbage from it on, days and hours alike, the forecast is the same to the bit."""
    rng = np.random.default_rng(3)
    for row in [1, 2, 28, *rng.integers(3, N_DAYS, 5).tolist()]:
        issued = history["time"].to_numpy()[row]
        whole = forecaster.predict(history, init_time=issued)
        assert np.isfinite(whole["fluence_gt2mev"]).all()
        assert same_bits(whole, forecaster.predict(history.isel(time=slice(row))))
        spoiled = history.copy(deep=True)
        for array in spoiled.data_vars.values():
            if array.dtype.kind == "f":
                part = array.to_numpy()[row:]
                part[...] = rng.choice([np.nan, np.inf, -1e30, 1e30, 0.0, 7.0], part.shape)
        assert same_bits(whole, forecaster.predict(spoiled, init_time=issued))


def test_every_day_before_the_issue_time_counts(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """Another flux on the last day, or another hour of it, is another forecast: the window does end there."""
    whole = forecaster.predict(history)["fluence_gt2mev"]
    names = [FLUENCE, "solar_wind_speed", *(["bz_gsm_hourly"] if forecaster.spec.hourly else [])]
    for name in names:
        changed = history.copy(deep=True)
        changed[name].to_numpy().reshape(-1)[-1] *= 1.5
        assert not np.array_equal(forecaster.predict(changed)["fluence_gt2mev"], whole)


def test_forecasts_together_are_those_alone(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """Whatever is forecast beside it, in whatever order, a forecast is the same to the bit."""
    times = history["time"].to_numpy()
    rng = np.random.default_rng(4)
    for row in rng.integers(30, N_DAYS, 4).tolist():
        alone = forecaster.predict(history, init_time=times[row])
        for n_others in (1, 7, 300):
            asked = rng.permutation(np.append(rng.integers(0, N_DAYS, n_others), row))
            together = forecaster.predict(history, init_time=times[asked])
            assert same_bits(together.isel(init_time=[asked.tolist().index(row)]), alone)


def test_network_answers_do_not_depend_on_the_batch(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """The digits of a row of the network do not depend on its place nor on what stands beside it."""
    inputs, _ = read_inputs(history, np.arange(N_DAYS), forecaster.spec)
    mean, quantiles = forecaster._run(inputs)
    order = np.random.default_rng(5).permutation(N_DAYS)
    for chosen in (order, order[:257], order[:256], order[:3]):
        again = forecaster._run(inputs[chosen])
        assert again[0].tobytes() == mean[chosen].tobytes()
        assert again[1].tobytes() == quantiles[chosen].tobytes()


def before_recent(forecaster: LstmForecaster, history: xr.Dataset, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Give log10 mean and quantiles as network and card have them, after each day up to `last`."""
    shift, scale = forecaster.spec.mean[0], forecaster.spec.std[0]
    inputs, _ = read_inputs(history, np.arange(last + 1), forecaster.spec)
    mean, quantiles = forecaster._run(inputs)
    middle = quantiles[..., MIDDLE : MIDDLE + 1]
    known = np.isfinite(history[FLUENCE].to_numpy())
    stretch = []
    for row in range(last + 1):
        missing = next((age for age in range(FLUX_GAPS[-1]) if age <= row and known[row - age]), FLUX_GAPS[-1])
        tried = [number for number, days in enumerate(FLUX_GAPS) if days >= missing]
        stretch.append(forecaster.gap_stretch[tried[0]] if missing else forecaster.stretch)
    return shift + scale * mean, np.sort(shift + scale * (middle + np.array(stretch) * (quantiles - middle)))


@pytest.mark.parametrize("row", [0, 1, 3, 60, 400])
def test_forecast_is_what_a_plain_loop_gives(forecaster: LstmForecaster, history: xr.Dataset, row: int) -> None:
    """Network, stretch from the card, and the width learnt from the forecasts just past, lead by lead."""
    history = blank(history, [390, 391, 350], FLUENCE)
    log = np.log10(history[FLUENCE].to_numpy())
    mean, quantiles = before_recent(forecaster, history, row)
    expected = quantiles[row].copy()
    for number, lead in enumerate(LEADS):
        squares = weights = 0.0
        for age in range(DAYS):
            issued_after = row - lead - age
            if issued_after < 0 or np.isnan(log[issued_after + lead]):
                continue
            score = -ndtri(exceedance(quantiles[issued_after, number], [log[issued_after + lead]])[0])
            squares += np.exp(-age / FOLDING) * np.clip(score, -3, 3) ** 2
            weights += np.exp(-age / FOLDING)
        factor = np.sqrt((TRUST + squares) / (TRUST + weights))
        middle = expected[number, MIDDLE]
        expected[number] = middle + factor * (expected[number] - middle)
    found = forecaster.predict(history, init_time=history["time"].to_numpy()[row + 1])
    np.testing.assert_allclose(np.log10(found["fluence_gt2mev"][0]), expected, rtol=1e-9)
    np.testing.assert_allclose(np.log10(found["fluence_gt2mev_mean"][0]), mean[row], rtol=1e-9)


def test_misses_widen_the_intervals_to_come(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """After months in which the flux ran wild, all intervals are wider than network and card have them."""
    wild = history.copy(deep=True)
    wild[FLUENCE].to_numpy()[-150:-30] *= 10.0 ** (3.0 * (-1.0) ** np.arange(120))
    _, quantiles = before_recent(forecaster, wild, N_DAYS - 1)
    own = quantiles[-1]
    found = np.log10(forecaster.predict(wild)["fluence_gt2mev"][0].to_numpy())
    away = np.arange(len(QUANTILES)) != MIDDLE
    factor = (found - found[:, [MIDDLE]])[:, away] / (own - own[:, [MIDDLE]])[:, away]
    assert (factor > 1.1).all()
    np.testing.assert_allclose(factor, factor[:, :1].repeat(len(QUANTILES) - 1, axis=1), rtol=1e-6)
    np.testing.assert_allclose(found[:, MIDDLE], own[:, MIDDLE], rtol=1e-9)


def test_missing_everything_is_not_forecast(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """Where no window holds a value there is NaN and NOT_FORECAST; its neighbours are forecast."""
    gone = blank(history, slice(500, 600))
    times = history["time"].to_numpy()
    found = forecaster.predict(gone, init_time=times[[400, 598, 650]])
    np.testing.assert_array_equal(np.isnan(found["fluence_gt2mev"]).any(axis=(1, 2)), [False, True, False])
    for name in ("fluence_gt2mev", "fluence_gt2mev_mean", "probability"):
        assert np.isnan(found[name][1]).all()
    flagged = found["quality"].to_numpy() & ForecastQuality.NOT_FORECAST.value
    np.testing.assert_array_equal(flagged > 0, [False, True, False])
    first = forecaster.predict(history, init_time=times[0])
    assert np.isnan(first["fluence_gt2mev"]).all()
    assert ForecastQuality.NOT_FORECAST in flags_of(first)
    only_fluence = blank(history, slice(None))[[FLUENCE]]
    assert ForecastQuality.NOT_FORECAST in flags_of(forecaster.predict(only_fluence))


def test_flags_name_what_is_missing(daily: Artefact, history: xr.Dataset) -> None:
    """Each lack has its flag, and what is all there has none."""
    forecaster = LstmForecaster.of(daily)
    assert flags_of(forecaster.predict(history)) == ForecastQuality(0)
    wind = [name for name in map(str, history.data_vars) if name.startswith(("solar_wind", "standoff", "bz"))]
    kp = ["kp", "kp_max"]
    for names, days, flag in (
        ([FLUENCE], -1, ForecastQuality.NO_FLUX),
        ([FLUENCE], -4, ForecastQuality.FLUX_GAP),
        ([FLUENCE], -25, ForecastQuality.NO_RECURRENCE),
        (wind, -1, ForecastQuality.NO_SOLAR_WIND),
        (["bz_gsm_min"], -1, ForecastQuality.DRIVER_GAP),
        (kp, -1, ForecastQuality.NO_KP),
        (["dst"], -1, ForecastQuality.DRIVER_GAP),
        (["dst", "dst_min", "dst_max"], -1, ForecastQuality.NO_DST),
        (["ae"], -1, ForecastQuality.DRIVER_GAP),
        (wind, -3, ForecastQuality.DRIVER_GAP),
        (["electron_flux_gt0p8mev"], -1, ForecastQuality.DRIVER_GAP),
    ):
        assert flags_of(forecaster.predict(blank(history, days, *names))) == flag, names
    # What the model does not read is not missed.
    assert flags_of(forecaster.predict(history.drop_vars(["f10p7", "by_gsm", "kp_hourly"]))) == ForecastQuality(0)
    before = -1 - forecaster.spec.n_days
    assert flags_of(forecaster.predict(blank(history, before, "kp", "kp_max"))) == ForecastQuality(0)
    absent = forecaster.predict(history.drop_vars(wind))
    assert flags_of(absent) & ~ForecastQuality.DRIVER_GAP == ForecastQuality.NO_SOLAR_WIND


def test_hours_that_are_missing_are_flagged(hourly: Artefact, history: xr.Dataset) -> None:
    """A day without hours is a gap while its mean is there, else the loss of the driver; so are some hours without."""
    forecaster = LstmForecaster.of(hourly)
    assert flags_of(forecaster.predict(history)) == ForecastQuality(0)
    assert flags_of(forecaster.predict(blank(history, -1, "dst_hourly"))) == ForecastQuality.DRIVER_GAP
    assert flags_of(forecaster.predict(blank(history, -1, "dst_hourly", "dst", "dst_min"))) == ForecastQuality.NO_DST
    some = blank(history, (-1, slice(3)), "dst_hourly")
    assert flags_of(forecaster.predict(some)) == ForecastQuality.DRIVER_GAP


def test_an_alternative_that_is_there_is_not_missed(daily: Artefact, history: xr.Dataset) -> None:
    """With one of two alternatives, whichever, day by day, nothing is flagged and the forecast is the same."""
    forecaster = LstmForecaster.of(daily)
    whole = forecaster.predict(history)
    flux = history["electron_flux_gt0p8mev"]
    renamed = history.drop_vars("electron_flux_gt0p8mev")
    renamed["electron_flux_gt0p6mev"] = flux.assign_attrs(attributes("electron_flux_gt0p6mev"))
    assert same_bits(forecaster.predict(renamed), whole)
    both = blank(history, slice(N_DAYS - 4, N_DAYS), "electron_flux_gt0p8mev")
    both["electron_flux_gt0p6mev"] = renamed["electron_flux_gt0p6mev"]
    assert same_bits(forecaster.predict(both), whole)


def test_without_solar_wind_there_is_a_forecast(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """Days, weeks or all of the solar wind missing, and the indices with it: a finite forecast that says so."""
    wind = [name for name in map(str, history.data_vars) if name.startswith(("solar_wind", "standoff", "bz"))]
    indices = [name for name in map(str, history.data_vars) if name.startswith(("kp", "dst", "ae"))]
    for names in (wind, indices, wind + indices):
        for days in (slice(-2, None), slice(-40, None), slice(None)):
            found = forecaster.predict(blank(history, days, *names))
            assert np.isfinite(found["fluence_gt2mev"]).all()
            assert (np.diff(found["fluence_gt2mev"], axis=-1) > 0).all()
            lost = flags_of(found) & (ForecastQuality.NO_SOLAR_WIND | ForecastQuality.NO_KP)
            assert bool(lost & ForecastQuality.NO_SOLAR_WIND) == ("solar_wind_speed" in names)
            assert bool(lost & ForecastQuality.NO_KP) == ("kp" in names)


def test_values_far_off_are_flagged(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """An input far beyond training raises EXTRAPOLATED while it is in the window, and never NaN or a warning."""
    day, n_days = N_DAYS - 60, forecaster.spec.n_days
    for value in (2000.0, 1e300):
        odd = history.copy(deep=True)
        odd["solar_wind_speed"].to_numpy()[day] = value
        times = history["time"].to_numpy()[[day, day + 1, day + n_days, day + n_days + 1]]
        found = forecaster.predict(odd, init_time=times)
        flagged = found["quality"].to_numpy() & ForecastQuality.EXTRAPOLATED.value
        np.testing.assert_array_equal(flagged > 0, [False, True, True, False])
        assert np.isfinite(found["fluence_gt2mev"]).all()


def test_forecast_names_its_model(forecaster: LstmForecaster, history: xr.Dataset) -> None:
    """Method, model and its hash, and the scale of the history are in the attributes."""
    found = forecaster.predict(history).attrs
    assert found == {
        "method": "lstm",
        "satellite": "GOES-11",
        "reference": "GOES-11",
        "day_start": 0.0,
        "model": forecaster.artefact.name,
        "model_sha256": forecaster.artefact.digest,
        "trained_on": ",".join(map(str, forecaster.artefact.card["training"]["years"])),
    }


def test_days_that_begin_at_another_hour_are_refused(daily: Artefact, history: xr.Dataset) -> None:
    """A model for days of UTC is not for local days, and the other way round."""
    with pytest.raises(DataError, match=r"begin 5 h after 00:00 UTC, those of model 'tiny-daily' 0 h; make the"):
        LstmForecaster.of(daily).predict(history.assign_attrs(day_start=5.0))
    local = LstmForecaster.of(with_card(daily, day_start=7.0))
    with pytest.raises(DataError, match=r"begin 0 h after 00:00 UTC, those of model 'tiny-daily' 7 h; .*--day-start 7"):
        local.predict(history)
    shifted = history.assign_coords(time=history["time"] + np.timedelta64(7, "h")).assign_attrs(day_start=7.0)
    assert np.isfinite(local.predict(shifted)["fluence_gt2mev"]).all()


def test_wrong_variables_are_refused(hourly: Artefact, history: xr.Dataset) -> None:
    """The flux must be there; drivers must be of their unit and dimensions."""
    forecaster = LstmForecaster.of(hourly)
    with pytest.raises(AxisError, match="no variable 'fluence_gt2mev'"):
        forecaster.predict(history.drop_vars(FLUENCE))
    with pytest.raises(UnitError, match="'dst_hourly' has units 'T'"):
        forecaster.predict(history.assign(dst_hourly=history["dst_hourly"].assign_attrs(units="T")))
    with pytest.raises(AxisError, match="'kp' has dimensions"):
        forecaster.predict(history.assign(kp=history["kp_hourly"]))


def test_another_scale_is_flagged(daily: Artefact, history: xr.Dataset) -> None:
    """A history on the scale of another satellite than the training's is as uncalibrated; the forecast is the same."""
    forecaster = LstmForecaster.of(daily)
    own = forecaster.predict(history)
    for foreign in (history.assign_attrs(reference="GOES-13"), history.assign_attrs(reference="")):
        found = forecaster.predict(foreign)
        assert flags_of(found) == ForecastQuality.UNCALIBRATED
        np.testing.assert_array_equal(found["fluence_gt2mev"], own["fluence_gt2mev"])
    # Trained on fluxes as measured, it is for such.
    assert flags_of(LstmForecaster.of(with_card(daily, reference="")).predict(history)) == ForecastQuality(0)


def test_default_is_the_model_for_what_the_history_holds(history: xr.Dataset) -> None:
    """With hours it is the model on hours, without the one on days."""
    assert default_model(history) == SHIPPED_HOURLY
    hours = [name for name in map(str, history.data_vars) if name.endswith("_hourly")]
    assert default_model(history.drop_vars(hours)) == SHIPPED


def test_other_kinds_are_refused(daily: Artefact) -> None:
    """A model of spectra is no forecast."""
    with pytest.raises(ArtefactError, match=r"'tiny-daily' is of kind 'spectra', expected 'geo-electron-forecast'"):
        LstmForecaster.of(with_card(daily, kind="spectra"))


def test_a_network_of_other_ports_is_refused(daily: Artefact, hourly: Artefact) -> None:
    """Card and network must be of each other."""
    swapped = dataclasses.replace(daily, networks=hourly.networks)
    with pytest.raises(ArtefactError, match=r"'tiny-daily': its network has ports .*'hours'.*, its card wants"):
        LstmForecaster.of(swapped)
    inputs = {**daily.card["inputs"], "n_days": 99}
    with pytest.raises(ArtefactError, match=r"'tiny-daily': its network has ports .*, its card wants .*\[99, "):
        LstmForecaster.of(with_card(daily, inputs=inputs))


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_garbage_is_no_network(daily: Artefact, damage: str) -> None:
    """Bytes that are no network are one message, whatever onnxruntime makes of them."""
    whole = daily.networks[NETWORK]
    content = {"empty": b"", "text": b"not a network", "cut": whole[:1000], "flipped": b"\xff" + whole[1:]}[damage]
    with pytest.raises(ArtefactError, match=r"model 'tiny-daily': not a network that can be run \(.*\); train or"):
        LstmForecaster.of(dataclasses.replace(daily, networks={NETWORK: content}))


GOOD = [[1.0] * len(QUANTILES)] * len(LEADS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": None}, "misstates the inputs"),
        ({"inputs": {"daily": ["kp"]}}, "misstates the inputs"),
        ({"stretch": None}, "its card lacks or misstates"),
        ({"gap_stretch": None}, "its card lacks or misstates"),
        ({"gap_stretch": {"days": list(FLUX_GAPS)}}, "its card lacks or misstates"),
        ({"gap_stretch": {"days": [1, 2], "stretch": [GOOD, GOOD]}}, "misstates quantiles or stretch"),
        ({"gap_stretch": {"days": list(FLUX_GAPS), "stretch": [GOOD] * 6}}, "misstates quantiles or stretch"),
        ({"gap_stretch": {"days": list(FLUX_GAPS), "stretch": [GOOD] * 6 + [GOOD[:2]]}}, "misstates quantiles or"),
        ({"stretch": [["wide"]]}, "its card lacks or misstates"),
        ({"stretch": [[10**400]]}, "its card lacks or misstates"),
        ({"stretch": GOOD[:2]}, "misstates quantiles or stretch"),
        ({"stretch": [*GOOD[:2], [1.0] * 8]}, "misstates quantiles or stretch"),
        ({"stretch": [*GOOD[:2], [1.0] * 8 + [0.0]]}, "misstates quantiles or stretch"),
        ({"stretch": [*GOOD[:2], [1.0] * 8 + [-2.0]]}, "misstates quantiles or stretch"),
        ({"stretch": [*GOOD[:2], [1.0] * 8 + [1e999]]}, "misstates quantiles or stretch"),
        ({"stretch": [*GOOD[:2], [1.0] * 8 + [float("nan")]]}, "misstates quantiles or stretch"),
        ({"quantiles": [0.1, 0.5, 0.9]}, "misstates quantiles or stretch"),
        ({"quantiles": 0.5}, "its card lacks or misstates"),
        ({"day_start": "noon"}, "its card lacks or misstates"),
        ({"day_start": None}, "its card lacks or misstates"),
    ],
)
def test_damaged_cards_are_refused(daily: Artefact, changes: dict[str, Any], message: str) -> None:
    """A card that misstates what is needed is refused when the model is opened, not when it forecasts."""
    with pytest.raises(ArtefactError, match=message):
        LstmForecaster.of(with_card(daily, **changes))


@pytest.mark.parametrize("entry", ["inputs", "stretch", "gap_stretch", "quantiles"])
def test_cards_without_an_entry_are_refused(daily: Artefact, entry: str) -> None:
    """What is needed must be on the card."""
    card = {key: value for key, value in daily.card.items() if key != entry}
    with pytest.raises(ArtefactError, match=rf"its card lacks or misstates '{entry}'"):
        LstmForecaster.of(dataclasses.replace(daily, card=card))


def test_an_artefact_without_the_network_is_refused(daily: Artefact) -> None:
    """The network goes by its name."""
    with pytest.raises(ArtefactError, match=rf"lacks or misstates '{NETWORK}'"):
        LstmForecaster.of(dataclasses.replace(daily, networks={"other.onnx": b""}))


def test_unknown_models_are_refused(tmp_path: Path) -> None:
    """A name that does not ship, and a folder without a card, are one message."""
    for model in ("./no-such-model", tmp_path):
        with pytest.raises(ArtefactError, match=r"no model|card\.json"):
            LstmForecaster.load(model)


def test_saved_and_loaded_it_forecasts_the_same(
    forecaster: LstmForecaster, history: xr.Dataset, tmp_path: Path
) -> None:
    """A model read from its folder gives the same bits, under the same hash."""
    forecaster.artefact.save(tmp_path / "model")
    loaded = LstmForecaster.load(tmp_path / "model")
    assert isinstance(loaded.spec, InputSpec)
    assert loaded.spec == forecaster.spec
    times = history["time"].to_numpy()[300:330]
    assert same_bits(loaded.predict(history, init_time=times), forecaster.predict(history, init_time=times))


def test_forecasting_needs_no_torch(hourly: Artefact, history: xr.Dataset, tmp_path: Path) -> None:
    """A process that loads a model and forecasts has imported neither torch nor onnx, and finds the same."""
    hourly.save(tmp_path / "model")
    history.isel(time=slice(-60, None)).to_netcdf(tmp_path / "history.nc", engine="h5netcdf")
    code = f"""
import sys
import xarray as xr
from particleflux.forecast.lstm import LstmForecaster
history = xr.load_dataset({str(tmp_path / "history.nc")!r}, engine="h5netcdf")
found = LstmForecaster.load({str(tmp_path / "model")!r}).predict(history)
assert not {{"torch", "onnx"}} & set(sys.modules)
print(found["fluence_gt2mev"].to_numpy().tobytes().hex())
"""
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)  # noqa: S603
    assert ran.returncode == 0, ran.stderr
    expected = LstmForecaster.of(hourly).predict(history.isel(time=slice(-60, None)))
    assert ran.stdout.strip() == expected["fluence_gt2mev"].to_numpy().tobytes().hex()
