"""What every forecast method keeps to, whatever it is inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, UnitError
from particleflux.forecast import BASELINES, QUANTILES, THRESHOLDS, Forecaster, exceedance
from particleflux.forecast.lstm import LstmForecaster
from particleflux.names import ForecastQuality
from particleflux.train.forecast import ForecastSettings, fit_forecast

Make = Callable[..., xr.Dataset]
#: First and last of the training days of the histories below, as positions.
TRAINING = slice(0, 1200)


@dataclass(frozen=True)
class Case:
    """A method, how to get it, and what the claims below need to know of it."""

    make: Callable[[xr.Dataset], Forecaster]
    #: Variables that it cannot do without, whose unit it checks.
    required: tuple[str, ...] = ("fluence_gt2mev",)
    #: Whether it reads the values of the history, so that an empty one leaves nothing to forecast from.
    reads_values: bool = True
    #: Days whose flux it reads, counted from the last one.
    reads_days: tuple[int, ...] = (0,)
    #: Whether what takes the place of a missing day is always worse than the day.
    widens: bool = True


def train_networks(history: xr.Dataset) -> LstmForecaster:
    """Train for a second, which is enough to keep to all of this."""
    settings = ForecastSettings(members=2, blocks=2, hidden=6, epochs=0.1, least_steps=40, batch=32)
    return LstmForecaster.of(fit_forecast(history, settings=settings))


CASES = {
    "persistence": Case(BASELINES["persistence"].fit),
    # The mean of two days beside the one missing is smoother than it, and may even be the better forecast.
    "recurrence": Case(BASELINES["recurrence"].fit, reads_days=(26, 25, 24), widens=False),
    "climatology": Case(BASELINES["climatology"].fit, reads_values=False, reads_days=()),
    "autoregressive": Case(BASELINES["autoregressive"].fit),
    # What a network makes of a missing day is what it learnt from days hidden from it: wider only after long training.
    "lstm": Case(train_networks, reads_days=(0, 26, 25, 24), widens=False),
}


@pytest.fixture(scope="module")
def history(make_history: Make) -> xr.Dataset:
    """Fifteen hundred days, a few without flux."""
    history = make_history()
    values = history["fluence_gt2mev"].to_numpy()
    values[[300, 1250, 1251, 1330, 1400]] = np.nan
    return history


@pytest.fixture(scope="module", params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture(scope="module")
def method(case: Case, history: xr.Dataset) -> Forecaster:
    return case.make(training(history))


def training(history: xr.Dataset) -> xr.Dataset:
    """Blank every number outside the training days."""
    inside = np.zeros(history.sizes["time"], dtype=bool)
    inside[TRAINING] = True
    keep = xr.DataArray(inside, dims="time")
    return history.map(lambda array: array.where(keep) if array.dtype.kind == "f" else array, keep_attrs=True)


def corrupt(history: xr.Dataset, rows: slice) -> xr.Dataset:
    """Put nonsense into every variable of some days."""
    spoiled = history.copy(deep=True)
    rng = np.random.default_rng(9)
    for array in spoiled.data_vars.values():
        values = array.to_numpy()
        part = values[rows]
        if array.dtype.kind == "f":
            part[...] = rng.choice([np.nan, np.inf, -1e30, 1e30, 0.0], part.shape)
        elif array.dtype.kind == "U":
            part[...] = "GOES-0"
        else:
            part[...] = 3
    return spoiled


def same_bits(first: xr.Dataset, second: xr.Dataset) -> bool:
    return set(first.variables) == set(second.variables) and all(
        first[name].to_numpy().tobytes() == second[name].to_numpy().tobytes() for name in first.variables
    )


def blank(history: xr.Dataset, days: Any) -> xr.Dataset:
    values = history["fluence_gt2mev"].to_numpy().copy()
    values[days] = np.nan
    return history.assign(fluence_gt2mev=("time", values, history["fluence_gt2mev"].attrs))


def test_labels_are_kept(name: str, method: Forecaster, history: xr.Dataset) -> None:
    """Issue times and lead times come back as asked, in their order; the rest is as agreed."""
    asked = history["time"].to_numpy()[[1300, 1260, 1450]]
    forecast = method.predict(history, init_time=asked, lead_time=(3, 1))
    assert method.name == forecast.attrs["method"] == name
    assert forecast["fluence_gt2mev"].dims == ("init_time", "lead_time", "quantile")
    assert forecast["probability"].dims == ("init_time", "lead_time", "threshold")
    assert forecast["quality"].dims == ("init_time",)
    np.testing.assert_array_equal(forecast["init_time"], asked)
    np.testing.assert_array_equal(forecast["lead_time"], np.array([3, 1], "timedelta64[D]"))
    np.testing.assert_array_equal(forecast["quantile"], QUANTILES)
    np.testing.assert_array_equal(forecast["threshold"], THRESHOLDS)
    assert forecast["fluence_gt2mev"].attrs["units"] == "cm-2 sr-1 d-1"
    assert forecast["probability"].attrs["units"] == "1"
    assert np.isfinite(forecast["fluence_gt2mev"]).all()


def test_default_is_the_latest_forecast(method: Forecaster, history: xr.Dataset) -> None:
    """Without issue and lead times: one forecast, issued after the last day, for the three days that follow."""
    forecast = method.predict(history)
    assert forecast["init_time"].to_numpy().tolist() == [int(history["time"][-1]) + 86_400_000_000_000]
    np.testing.assert_array_equal(forecast["lead_time"], np.array([1, 2, 3], "timedelta64[D]"))


def test_each_lead_time_is_its_own(method: Forecaster, history: xr.Dataset) -> None:
    """Asked for alone or in another order, a lead time has the same forecast."""
    both = method.predict(history, lead_time=(1, 2, 3))
    for lead in (3, 2):
        alone = method.predict(history, lead_time=(lead,))
        assert same_bits(
            alone[["fluence_gt2mev", "probability"]], both.isel(lead_time=[lead - 1])[["fluence_gt2mev", "probability"]]
        )


def test_quantiles_increase_and_probabilities_belong_to_them(method: Forecaster, history: xr.Dataset) -> None:
    """Quantiles never fall with the level, and the probability is that of the curve through them."""
    forecast = method.predict(history, init_time=history["time"].to_numpy()[100:])
    log = np.log10(forecast["fluence_gt2mev"].to_numpy())
    assert (np.diff(log, axis=-1)[np.isfinite(log).all(axis=-1)] >= 0).all()
    np.testing.assert_allclose(forecast["probability"], exceedance(log, np.log10(THRESHOLDS)), atol=1e-9)
    probability = forecast["probability"].to_numpy()
    assert ((probability >= 0) & (probability <= 1) | np.isnan(probability)).all()
    mean = np.log10(forecast["fluence_gt2mev_mean"].to_numpy()) if "fluence_gt2mev_mean" in forecast else log[..., 4]
    known = np.isfinite(mean)
    assert ((mean > log[..., 0]) & (mean < log[..., -1]))[known].all()


def test_nothing_after_the_issue_time_is_read(method: Forecaster, history: xr.Dataset) -> None:
    """The forecast is the same to the bit whether the history ends at the issue time or goes on, even as nonsense."""
    rows = np.random.default_rng(8).choice(np.arange(60, 1500), 12, replace=False)
    for row in [*rows.tolist(), 1, 1250, 1251, 1252, 1331]:
        issued = history["time"].to_numpy()[row]
        whole = method.predict(history, init_time=issued)
        assert same_bits(whole, method.predict(history.isel(time=slice(row))))
        assert same_bits(whole, method.predict(corrupt(history, slice(row, None)), init_time=issued))


def test_forecasts_together_are_those_alone(method: Forecaster, history: xr.Dataset) -> None:
    """A hindcast of many issue times is, to the bit, the forecasts issued one by one."""
    issued = history["time"].to_numpy()[1190:1490]
    together = method.predict(history, init_time=issued)
    for number in (0, 61, 62, 63, 150, 299):
        assert same_bits(together.isel(init_time=[number]), method.predict(history, init_time=issued[number]))


def test_order_of_variables_is_irrelevant(method: Forecaster, history: xr.Dataset) -> None:
    """Variables go by their names."""
    turned = history[list(reversed(list(history.data_vars)))]
    issued = history["time"].to_numpy()[1210:1300]
    assert same_bits(method.predict(turned, init_time=issued), method.predict(history, init_time=issued))


def test_history_is_left_as_it_was(method: Forecaster, history: xr.Dataset) -> None:
    """Forecasting changes nothing of what was handed over."""
    before = history.copy(deep=True)
    method.predict(history, init_time=history["time"].to_numpy()[1210:1300])
    assert history.identical(before)


def test_missing_flux_is_flagged(case: Case, method: Forecaster, history: xr.Dataset) -> None:
    """A missing day that the method reads raises a flag and, but for the reason told, widens the intervals."""
    whole = method.predict(history)
    assert int(whole["quality"][0]) & ForecastQuality.NO_FLUX.value == 0
    for day in case.reads_days:
        forecast = method.predict(blank(history, -1 - day))
        assert int(forecast["quality"][0]) & (ForecastQuality.NO_FLUX | ForecastQuality.NO_RECURRENCE).value
        widths = [
            np.log10(item["fluence_gt2mev"][0, :, -1] / item["fluence_gt2mev"][0, :, 0]) for item in (whole, forecast)
        ]
        assert np.isfinite(widths[1]).all()
        assert not case.widens or (widths[1] >= widths[0] * (1 - 1e-12)).all()
        assert not case.widens or (widths[1] > widths[0] * (1 + 1e-6)).any()


def test_empty_history_gives_no_forecast(case: Case, method: Forecaster, history: xr.Dataset) -> None:
    """With every value missing, a method that reads values gives NaN and says so."""
    empty = history.map(lambda array: array * np.nan if array.dtype.kind == "f" else array, keep_attrs=True)
    forecast = method.predict(empty)
    not_forecast = bool(int(forecast["quality"][0]) & ForecastQuality.NOT_FORECAST.value)
    assert not_forecast == case.reads_values
    assert bool(np.isnan(forecast["fluence_gt2mev"]).all()) == case.reads_values
    assert bool(np.isnan(forecast["probability"]).all()) == case.reads_values


def test_late_forecast_is_one_without_the_last_days(method: Forecaster, history: xr.Dataset) -> None:
    """Issued three days after the history ends, the forecast is that of a history with three more days missing."""
    issued = history["time"].to_numpy()[1203]
    late = method.predict(history.isel(time=slice(1200)), init_time=issued)
    gone = history.isel(time=slice(1203)).copy(deep=True)
    for array in gone.data_vars.values():
        if array.dtype.kind == "f":
            array[1200:] = np.nan
    assert same_bits(late, method.predict(gone))


def test_wrong_units_and_missing_variables_are_told(case: Case, method: Forecaster, history: xr.Dataset) -> None:
    """What the method cannot do without must be there, in its unit."""
    for needed in case.required:
        with pytest.raises(AxisError, match=f"no variable '{needed}'"):
            method.predict(history.drop_vars(needed))
        wrong = history.copy()
        wrong[needed] = wrong[needed].assign_attrs(units="furlong")
        with pytest.raises(UnitError, match=f"variable '{needed}' has units 'furlong'"):
            method.predict(wrong)


def test_wrong_times_are_told(method: Forecaster, history: xr.Dataset) -> None:
    """Issue times off the days or outside the history, unknown lead times, and days with holes are refused."""
    with pytest.raises(DataError, match="is not where a day of the history begins"):
        method.predict(history, init_time="2004-05-06T07:00")
    with pytest.raises(DataError, match="lies before the history"):
        method.predict(history, init_time="1999-01-01")
    with pytest.raises(DataError, match="the history ends with the day of"):
        method.predict(history, init_time="2019-01-01")
    with pytest.raises(DataError, match="expected some of"):
        method.predict(history, lead_time=(0,))
    with pytest.raises(AxisError, match="expected every day once and in order"):
        method.predict(history.isel(time=np.r_[0:10, 11:1500]))


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
def test_fit_reads_training_days_only(baseline: Any, history: xr.Dataset) -> None:
    """Nonsense on the days outside training changes no number of the fit."""
    fitted = baseline.fit(training(history))
    assert fitted == baseline.fit(training(corrupt(history, slice(1200, None))))
    assert fitted == baseline.fit(history.isel(time=TRAINING))
    assert fitted != baseline.fit(history)
