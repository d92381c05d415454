from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, MissingDataError, UnitError
from particleflux.forecast import Persistence
from particleflux.plot import write_figure
from particleflux.plot.forecast import plot_forecast

Make = Callable[..., xr.Dataset]


@pytest.fixture(scope="module")
def history(make_history: Make) -> xr.Dataset:
    return make_history(600)


@pytest.fixture(scope="module")
def method(history: xr.Dataset) -> Persistence:
    return Persistence.fit(history)


def texts(figure: object) -> str:
    found = [text.get_text() for axis in figure.axes for text in [*axis.texts, axis.title, axis.xaxis.label]]  # type: ignore[attr-defined]
    return "\n".join([*found, figure.get_suptitle()])  # type: ignore[attr-defined]


def test_latest_forecast_is_drawn_by_day(history: xr.Dataset, method: Persistence, tmp_path: Path) -> None:
    """Thirty days of observations, three days of bands that end at the quantiles, both levels, each probability."""
    forecast = method.predict(history)
    figure = plot_forecast(forecast, history)
    left, right = figure.axes
    assert len(left.lines[0].get_xdata()) == 30
    bars = sorted(bar.get_y() + bar.get_height() for bar in right.patches)
    expected = np.sort(forecast["fluence_gt2mev"].sel(quantile=[0.84, 0.975]).to_numpy().ravel())
    np.testing.assert_allclose(bars, expected)
    shown = texts(figure)
    assert shown.count("alert level") == 2
    assert shown.count(" %") == 6
    assert "issued 2004-08-23 00:00 UTC" in shown
    assert "flags" not in shown
    path = write_figure(figure, tmp_path / "forecast.png")
    assert path.stat().st_size > 10_000


def test_flags_of_the_latest_forecast_are_told(history: xr.Dataset, method: Persistence) -> None:
    """What the forecast lacked stands in its heading, also where nothing could be forecast."""
    gone = history.copy(deep=True)
    gone["fluence_gt2mev"][-1] = np.nan
    assert "flags: no flux" in texts(plot_forecast(method.predict(gone), gone))
    gone["fluence_gt2mev"][-7:] = np.nan
    shown = texts(plot_forecast(method.predict(gone), gone))
    assert "not forecast" in shown
    assert shown.count("none") == 6


def test_hindcast_is_drawn_for_the_first_lead_time(history: xr.Dataset, method: Persistence) -> None:
    """The medians of lead time 1 stand in the middle of their days, beside what was observed then; flags have rows."""
    gone = history.copy(deep=True)
    gone["fluence_gt2mev"][450:453] = np.nan
    forecast = method.predict(gone, init_time=history["time"].to_numpy()[400:500])
    figure = plot_forecast(forecast, gone)
    median, observed = figure.axes[0].lines[:2]
    np.testing.assert_array_equal(median.get_ydata(), forecast["fluence_gt2mev"].sel(quantile=0.5)[:, 0])
    middle = history["time"].to_numpy()[400:500] + np.timedelta64(12, "h")
    np.testing.assert_array_equal(median.get_xdata(), middle)
    np.testing.assert_array_equal(observed.get_xdata(), middle)
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["no flux", "flux gap"]
    assert "100 issue times" in texts(figure)


def test_what_cannot_be_drawn_is_told(history: xr.Dataset, method: Persistence) -> None:
    """No value at all, another dimension, and another unit are refused."""
    forecast = method.predict(history)
    empty = history.assign(fluence_gt2mev=history["fluence_gt2mev"] * np.nan)
    empty["fluence_gt2mev"].attrs = history["fluence_gt2mev"].attrs
    with pytest.raises(MissingDataError, match="nothing to draw: no forecast at 1 issue times"):
        plot_forecast(method.predict(empty), empty)
    with pytest.raises(AxisError, match="expected init_time, lead_time, quantile and threshold"):
        plot_forecast(forecast.isel(lead_time=0), history)
    wrong = history.copy()
    wrong["fluence_gt2mev"] = history["fluence_gt2mev"].assign_attrs(units="m-2")
    with pytest.raises(UnitError, match="has units 'm-2'"):
        plot_forecast(forecast, wrong)
