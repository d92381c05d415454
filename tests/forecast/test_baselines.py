from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import ArtefactError, MissingDataError
from particleflux.forecast import BASELINES, Autoregressive, Climatology, Persistence, Recurrence
from particleflux.forecast.climatology import CYCLE, MINIMA, YEAR, cycle_phase
from particleflux.forecast.distribution import DAY
from particleflux.names import ForecastQuality, attributes

Make = Callable[..., xr.Dataset]
Baseline = type[Persistence | Recurrence | Climatology | Autoregressive]


def history_of(log: np.ndarray, start: str = "2003-01-01") -> xr.Dataset:
    time = np.datetime64(start, "ns") + np.arange(len(log)) * DAY
    return xr.Dataset({"fluence_gt2mev": ("time", 10.0**log, attributes("fluence_gt2mev"))}, {"time": time})


def without(history: xr.Dataset, *days: int) -> xr.Dataset:
    values = history["fluence_gt2mev"].to_numpy().copy()
    values[list(days)] = np.nan
    return history.assign(fluence_gt2mev=("time", values, attributes("fluence_gt2mev")))


def log_of(forecast: xr.Dataset, name: str = "fluence_gt2mev") -> np.ndarray:
    return np.asarray(np.log10(forecast[name].to_numpy()[0]))


def width(forecast: xr.Dataset) -> np.ndarray:
    quantiles = log_of(forecast)
    return np.asarray(quantiles[:, -1] - quantiles[:, 0])


def test_persistence_of_a_steady_rise() -> None:
    """Where log10 rises by s a day, every quantile is the last one plus s for each day since; the mean is the last."""
    log = 6.0 + 0.001 * np.arange(500)
    history = history_of(log)
    method = Persistence.fit(history)
    expected = log[-1] + 0.001 * np.array([1.0, 2.0, 3.0])
    forecast = method.predict(history)
    np.testing.assert_allclose(log_of(forecast), np.repeat(expected[:, np.newaxis], 9, axis=1), rtol=1e-12)
    np.testing.assert_allclose(log_of(forecast, "fluence_gt2mev_mean"), log[-1], rtol=1e-12)
    for age in range(1, 6):
        older = method.predict(without(history, *range(500 - age, 500)))
        np.testing.assert_allclose(log_of(older)[:, 4], expected, rtol=1e-12)
        np.testing.assert_allclose(log_of(older, "fluence_gt2mev_mean"), log[-1 - age], rtol=1e-12)
    assert method.predict(without(history, *range(494, 500)))["quality"] & ForecastQuality.NOT_FORECAST.value


def test_persistence_widens_with_age(make_history: Make) -> None:
    """The older the last known fluence, the wider the interval, and the flags say that it is old."""
    history = make_history()
    method = Persistence.fit(history)
    fresh, old, older = (method.predict(without(history, *range(1500 - age, 1500))) for age in (0, 1, 3))
    assert (width(fresh) < width(old)).all()
    assert (width(old) < width(older)).all()
    assert int(fresh["quality"][0]) == 0
    assert int(old["quality"][0]) == ForecastQuality.NO_FLUX
    assert int(older["quality"][0]) == ForecastQuality.NO_FLUX | ForecastQuality.FLUX_GAP
    assert int(method.predict(without(history, 1498))["quality"][0]) == 0


def test_recurrence_of_a_rotation() -> None:
    """What repeats every 27 days is forecast exactly; where that day is missing, the days beside it take its place."""
    log = 7.0 + 0.8 * np.sin(2 * np.pi * np.arange(540) / 27)
    history = history_of(log)
    method = Recurrence.fit(history)
    np.testing.assert_allclose(log_of(method.predict(history)), np.repeat(log[:3, np.newaxis], 9, axis=1), rtol=1e-9)
    forecast = method.predict(without(history, 540 - 27))
    np.testing.assert_allclose(log_of(forecast, "fluence_gt2mev_mean")[0], (log[26] + log[1]) / 2)
    assert width(forecast)[0] > width(forecast)[1]
    assert int(forecast["quality"][0]) == ForecastQuality.NO_RECURRENCE
    forecast = method.predict(without(history, 540 - 27, 540 - 26))
    np.testing.assert_allclose(log_of(forecast, "fluence_gt2mev_mean")[0], log[26])
    forecast = method.predict(without(history, *range(540 - 28, 540 - 25)))
    assert np.isnan(log_of(forecast)[0]).all()
    assert np.isfinite(log_of(forecast)[2]).all()
    assert int(forecast["quality"][0]) == ForecastQuality.NO_RECURRENCE


def test_climatology_finds_the_season() -> None:
    """A yearly wave through fifteen years is found to the 6 % that the penalty takes, and forecast for its days."""
    time = np.datetime64("1997-01-01", "ns") + np.arange(15 * 365) * DAY
    year = (time - time.astype("datetime64[Y]")) / DAY / YEAR
    history = history_of(7.0 + 0.3 * np.cos(2 * np.pi * year), "1997-01-01")
    method = Climatology.fit(history)
    np.testing.assert_allclose(method.coefficients[:2], [7.0, 0.3], rtol=0.06)
    np.testing.assert_allclose(method.coefficients[2:], 0.0, atol=0.01)
    forecast = method.predict(history, init_time=["2010-01-01", "2010-07-02"])
    np.testing.assert_allclose(np.log10(forecast["fluence_gt2mev_mean"]), [[7.3] * 3, [6.7] * 3], atol=0.03)


def test_climatology_of_one_year_does_not_extrapolate_the_cycle() -> None:
    """Fitted to a year of noise about 7, it forecasts 7 seven years later: it saw too little of a cycle."""
    noise = 7.0 + 0.5 * np.random.default_rng(2).normal(size=8 * 365)
    history = history_of(noise)
    method = Climatology.fit(without(history, *range(365, 8 * 365)))
    np.testing.assert_allclose(log_of(method.predict(history), "fluence_gt2mev_mean"), 7.0, atol=0.1)


def test_cycle_phase_uses_no_minimum_before_it_is_known() -> None:
    """The phase is the years since the last minimum announced; a minimum counts only a year after it."""
    days = np.array(
        ["2000-08-01", "2007-08-01", "2008-12-01", "2009-11-30", "2009-12-01", "2014-06-01"], "datetime64[ns]"
    )
    since = np.array([4.0, 11.0, 12.33, 13.33, 1.0, 5.5])
    np.testing.assert_allclose(cycle_phase(days, days), np.minimum(since / CYCLE, 1), atol=0.001)
    # Forecast days take the minimum known at the issue time.
    assert cycle_phase(days[4], days[3]) == 1.0
    assert (np.diff(MINIMA) > np.timedelta64(110, "M")).all()


def test_autoregression_of_order_one() -> None:
    """Of f(t+1) = a f(t) + noise, the forecast n days ahead is a^n of the last value, or a^(n+1) of the one before."""
    a, n_days = 0.8, 20_000
    noise = np.random.default_rng(7).normal(size=n_days)
    log = np.zeros(n_days)
    for day in range(1, n_days):
        log[day] = a * log[day - 1] + 0.3 * noise[day]
    history = history_of(7.0 + log)
    method = Autoregressive.fit(history)
    ahead = np.array([1, 2, 3])
    expected = 7.0 + a**ahead * log[-1]
    np.testing.assert_allclose(log_of(method.predict(history), "fluence_gt2mev_mean"), expected, atol=0.05)
    forecast = method.predict(without(history, n_days - 1))
    expected = 7.0 + a ** (ahead + 1) * log[-2]
    np.testing.assert_allclose(log_of(forecast, "fluence_gt2mev_mean"), expected, atol=0.05)
    wider = np.sqrt((1 - a ** (2 * ahead + 2)) / (1 - a ** (2 * ahead)))
    np.testing.assert_allclose(width(forecast) / width(method.predict(history)), wider, rtol=0.03)
    assert int(forecast["quality"][0]) == ForecastQuality.NO_FLUX


def test_autoregression_covers_days_it_was_not_fitted_to(make_history: Make) -> None:
    """On new days of the same process, the 68 and 95 % intervals hold 68 and 95 % of what came."""
    method = Autoregressive.fit(make_history(3000, seed=11))
    new = make_history(3000, seed=12)
    log = np.log10(new["fluence_gt2mev"].to_numpy())
    forecast = method.predict(new, init_time=new["time"].to_numpy()[100:-3])
    for lead in (1, 2, 3):
        quantiles = np.log10(forecast["fluence_gt2mev"].to_numpy()[:, lead - 1])
        observed = log[100 + lead - 1 : len(log) - 3 + lead - 1]
        for low, high, level in ((2, 6, 0.68), (0, 8, 0.95)):
            inside = (observed >= quantiles[:, low]) & (observed <= quantiles[:, high])
            assert inside.mean() == pytest.approx(level, abs=0.03)


@pytest.mark.parametrize("method", BASELINES.values(), ids=BASELINES)
def test_too_short_a_history_is_told(method: Baseline, make_history: Make) -> None:
    """Less than most of a year of flux cannot be fitted to, and the message says how much there was."""
    with pytest.raises(MissingDataError, match=r"found \d+ days with fluence.*, expected 270 at least to fit"):
        method.fit(make_history(250))


@pytest.mark.parametrize("method", BASELINES.values(), ids=BASELINES)
def test_numbers_survive_json(method: Baseline, make_history: Make) -> None:
    """What `to_dict` gives passes through JSON and makes an equal method, which forecasts the same to the bit."""
    history = make_history()
    fitted = method.fit(history)
    again = method.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert again.predict(history).identical(fitted.predict(history))


def test_damaged_records_are_told(make_history: Make) -> None:
    """A record of another method, with another key, or with text for a number, is refused."""
    record = Persistence.fit(make_history()).to_dict()
    with pytest.raises(ArtefactError, match=r"record of method 'persistence' .* expected 'recurrence'"):
        Recurrence.from_dict(record)
    with pytest.raises(ArtefactError, match="expected 'persistence' with"):
        Persistence.from_dict(record | {"more": 1})
    with pytest.raises(ArtefactError, match="holds something else than numbers"):
        Persistence.from_dict(record | {"fitted_range": ["low", "high"]})


@pytest.mark.parametrize("method", [Persistence, Recurrence, Autoregressive])
def test_fluence_outside_the_fitted_range_is_flagged(method: Baseline, make_history: Make) -> None:
    """A forecast from a fluence that the training days never reached says so."""
    history = make_history()
    fitted = method.fit(history)
    values = history["fluence_gt2mev"].to_numpy().copy()
    values[-26:] = 3e10
    high = history.assign(fluence_gt2mev=("time", values, attributes("fluence_gt2mev")))
    assert int(fitted.predict(high)["quality"][0]) & ForecastQuality.EXTRAPOLATED.value
    assert not int(fitted.predict(history)["quality"][0]) & ForecastQuality.EXTRAPOLATED.value
