from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.forecast import BASELINES, Persistence
from particleflux.io.times import TimeRange
from particleflux.verify import baselines, verify

Make = Callable[..., xr.Dataset]
RNG = np.random.default_rng(6)
LOG = 7.6 + np.convolve(RNG.standard_normal(6 * 365 + 8), np.ones(9) / 3, mode="valid") * 0.7


def test_baselines_are_fitted_to_the_days_before(make_forecast: Make, make_history: Make) -> None:
    """With three years before the first issue time, nothing later is learnt from, and the result says so."""
    history, forecast = make_history(LOG, start="2005-01-01"), make_forecast(np.full(300, 7.5), leads=(1, 2, 3))
    made = baselines(history, forecast)
    assert list(made) == list(BASELINES)
    later = history.copy(deep=True)
    # Beyond the last day that any forecast of the range may read.
    later["fluence_gt2mev"][365 * 3 + 1 + 300 :] = 1.0
    for name, again in baselines(later, forecast).items():
        assert again.identical(made[name])
        assert again.attrs["trained_on"] == "the days before 2008-01-01 (1095 with flux)"
        assert again["init_time"].equals(forecast["init_time"])


def test_baselines_of_a_short_history_use_later_days_too(make_forecast: Make, make_history: Make) -> None:
    """With less before, all days that are not verified are used, which the result says."""
    history, forecast = make_history(LOG, start="2007-01-01"), make_forecast(np.full(300, 7.5), leads=(1, 2, 3))
    made = baselines(history, forecast, names=["persistence"])["persistence"]
    # The span of all lead times is 2008-01-03 to 2008-10-26.
    text = "all days outside 2008-01-03 to 2008-10-26, also later ones (1892 with flux)"
    assert made.attrs["trained_on"] == text
    blanked = history.copy(deep=True)
    blanked["fluence_gt2mev"][367 : 367 + 298] = np.nan
    expected = Persistence.fit(blanked).predict(history, init_time=forecast["init_time"].to_numpy())
    xr.testing.assert_equal(made, expected)


def test_training_days_can_be_given(make_forecast: Make, make_history: Make) -> None:
    """The split of the paper: days before and after the verified ones, and none of those."""
    history, forecast = make_history(LOG, start="2005-01-01"), make_forecast(np.full(366, 7.5))
    spans = [TimeRange.parse("2006-01-01", "2006-12-31"), TimeRange.parse("2009-01-01", "2009-12-31")]
    made = baselines(history, forecast, training=spans)
    assert made["climatology"].attrs["trained_on"].endswith("(730 with flux)")
    report = verify({"a": forecast, **made}, history, by="all", n_bootstrap=0)
    assert "730 with flux" in report.attrs["trained_on"]
    with pytest.raises(DataError, match="1 training days are verified, the first 2008-12-31"):
        baselines(history, forecast, training=[TimeRange.parse("2008-12-31", "2010-01-01")])


def test_persistence_scores_as_by_hand(make_forecast: Make, make_history: Make) -> None:
    """The error of persistence at lead n is that of the values n days apart."""
    history, forecast = make_history(LOG, start="2005-01-01"), make_forecast(np.full(300, 7.5), leads=(1, 2, 3))
    report = verify({"a": forecast, **baselines(history, forecast)}, history, by="all", n_bootstrap=0)
    first = 365 * 3 + 2
    span = np.arange(first, first + 298)
    for lead in (1, 2, 3):
        expected = np.sqrt(((LOG[span] - LOG[span - lead]) ** 2).mean())
        found = report["rmse"].sel(forecaster="persistence", lead_time=lead).item()
        assert found == pytest.approx(expected, rel=1e-5)


def test_wrong_inputs_are_refused(make_forecast: Make, make_history: Make) -> None:
    """Too little to learn from, an unknown baseline and an unknown lead time are told apart."""
    history = make_history(LOG, start="2007-01-01")
    with pytest.raises(DataError, match="baseline 'luck' is unknown"):
        baselines(history, make_forecast(np.full(9, 7.5)), names=["luck"])
    with pytest.raises(DataError, match=r"lead times of \[1, 5\] days: the baselines know \[1, 2, 3\]"):
        baselines(history, make_forecast(np.full(9, 7.5), leads=(1, 5)))
    short = make_history(LOG[:120], start="2008-01-01")
    with pytest.raises(MissingDataError, match=r"persistence cannot be fitted to all days outside .*found \d+ days"):
        baselines(short, make_forecast(np.full(20, 7.5), start="2008-03-01"))
