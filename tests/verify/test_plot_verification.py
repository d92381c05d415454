from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.plot import write_figure
from particleflux.plot.verification import plot_reliability, plot_scores_by_year, plot_verification
from particleflux.verify import verify

Make = Callable[..., xr.Dataset]
RNG = np.random.default_rng(9)
LOG = 8 + 0.7 * RNG.standard_normal(500)


@pytest.fixture(scope="module")
def report(make_forecast: Make, make_history: Make) -> xr.Dataset:
    """Give a report of two years, two leads, a forecast, and a baseline with a very bad year."""
    bad = np.where(np.arange(500) < 366, LOG + 3, LOG + 0.5)
    forecasts = {
        "lstm": make_forecast(LOG + 0.3 * RNG.standard_normal(500), 0.3, leads=(1, 2)),
        "persistence": make_forecast(bad, leads=(1, 2)),
    }
    return verify(forecasts, make_history(LOG), n_bootstrap=40)


def texts(figure: object) -> str:
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))  # type: ignore[attr-defined]
    return "\n".join(artist.get_text() for artist in found)


def test_one_figure_shows_both(report: xr.Dataset, tmp_path: Path) -> None:
    """Reliability by threshold and lead with histograms, below it the efficiency by year, with a legend and units."""
    figure = plot_verification(report)
    write_figure(figure, tmp_path / "scores.png")
    assert len(figure.get_axes()) == 2 * 2 + 2
    shown = texts(figure)
    for expected in ("Forecast probability", "10$^{9}$", "lead 2 days", "2009", "all", "lstm", "persistence",
                     "Prediction efficiency", "95 % if the probabilities are right"):  # fmt: skip
        assert expected in shown


def test_reliability_shows_the_curve(report: xr.Dataset, tmp_path: Path) -> None:
    """The points are those of the report; by default of the forecasts that are no reference."""
    figure = plot_reliability(report)
    write_figure(figure, tmp_path / "reliability.svg")
    line = next(line for line in figure.get_axes()[0].get_lines() if line.get_marker() == "o")
    one = report.sel(forecaster="lstm", lead_time=1, threshold=1e8)
    np.testing.assert_array_equal(line.get_ydata(), one["reliability_frequency"])
    assert "persistence" not in texts(figure)
    assert "persistence" in texts(plot_reliability(report, forecasters=["lstm", "persistence"]))


def test_values_outside_are_arrows(report: xr.Dataset, tmp_path: Path) -> None:
    """A year far below the others stands as an arrow at the edge; any score by year can be drawn."""
    figure = plot_scores_by_year(report)
    write_figure(figure, tmp_path / "years.png")
    assert any(line.get_marker() == "v" for line in figure.get_axes()[0].get_lines())
    shown = texts(write_and_give(plot_scores_by_year(report, score="rmse"), tmp_path))
    assert "RMSE (dex)" in shown


def write_and_give(figure: object, folder: Path) -> object:
    write_figure(figure, folder / "again.png")  # type: ignore[arg-type]
    return figure


def test_a_report_without_much_draws(make_forecast: Make, make_history: Make, tmp_path: Path) -> None:
    """One period, no intervals, no probabilities and no reference still make a figure."""
    median = make_forecast(LOG).sel(quantile=[0.5]).drop_vars(["probability", "threshold"])
    report = verify({"a": median}, make_history(LOG), by="all", thresholds=[3e8], n_bootstrap=0)
    figure = plot_verification(report)
    write_figure(figure, tmp_path / "scores.png")
    assert "3$\\cdot$10$^{8}$" in texts(figure)


def test_wrong_inputs_are_refused(report: xr.Dataset) -> None:
    """What is no report, and unknown scores and forecasters, are refused."""
    with pytest.raises(AxisError, match="no variable 'reliability_frequency'"):
        plot_verification(report.drop_vars("reliability_frequency"))
    with pytest.raises(DataError, match=r"score 'hss' is not one by period, forecaster and lead time; .*'rmse'"):
        plot_scores_by_year(report, score="hss")
    with pytest.raises(DataError, match=r"forecasters \['luck'\]: expected one to 4 of"):
        plot_reliability(report, forecasters=["luck"])
