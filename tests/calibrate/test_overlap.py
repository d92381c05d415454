from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from particleflux.calibrate import METHODS, daily_fluences, fit_overlap
from particleflux.calibrate._curve import Frame, deming_slope, fit_curve, fit_frame
from particleflux.calibrate.days import above_floor, common_days
from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.io.goes import open_goes_hourly
from particleflux.io.swpc import open_dpd

Series = Callable[..., xr.DataArray]
Belt = Callable[..., npt.NDArray[np.float64]]
Pair = tuple[xr.DataArray, xr.DataArray]


@pytest.mark.parametrize("method", METHODS)
def test_exact_relation_is_found(series: Series, belt: Belt, method: str) -> None:
    """Without errors every method gives the line itself."""
    x = belt(200)
    fit = fit_overlap(series(x), series(7.9 + 0.9 * (x - 7.5)), method=method)
    assert fit.form == "linear"
    assert fit.coefficients[1] == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_allclose(fit.apply([7.5, 8.5]), [7.9, 8.8], atol=1e-6)
    np.testing.assert_allclose(fit.error([7.5]), 0, atol=1e-6)


def test_deming_is_the_axis_of_least_squares_across() -> None:
    """For equal errors Deming's slope is the main axis of the cloud, in closed form: the tilted cross has slope 1/2."""
    x, y = np.array([-2.0, 2.0, -0.5, 0.5]), np.array([-1.0, 1.0, 1.0, -1.0])
    values, vectors = np.linalg.eigh(np.cov(x, y))
    axis = vectors[:, np.argmax(values)]
    assert deming_slope(x, y, 1.0) == pytest.approx(axis[1] / axis[0])
    assert deming_slope(x, y, 1.0) == pytest.approx(0.5)
    assert deming_slope(x, np.array([1.0, 1.0, -1.0, -1.0]) * 0, 1.0) == 0


@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0])
def test_line_across_is_deming_for_clean_clouds(ratio: float) -> None:
    """The turned frame finds Deming's line, whatever the ratio of the errors."""
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, 4000)
    x, y = truth + rng.normal(0, 0.2, 4000), 0.7 * truth + rng.normal(0, 0.2 * np.sqrt(ratio), 4000)
    curve = fit_curve(x, y, fit_frame(x, y, ratio, symmetric=True), ())
    assert curve.slopes[0] == pytest.approx(deming_slope(x, y, ratio), abs=0.003)
    assert curve.slopes[0] == pytest.approx(0.7, abs=0.02)


def test_frame_turns_back() -> None:
    """There and back along the axes is where one started."""
    frame = Frame(0.6, 2.0)
    np.testing.assert_allclose(frame.back(*frame.along(np.array([1.0, 3.0]), np.array([2.0, -1.0]))), [[1, 3], [2, -1]])


def test_errors_in_both_do_not_flatten_the_slope(pair: Pair) -> None:
    """With errors in both satellites the distance across gives the slope; a regression of y on x flattens it."""
    both, one = (fit_overlap(*pair, method=method, form="linear") for method in ("orthogonal", "huber"))
    assert abs(both.coefficients[1] - 0.9) < 2 * np.sqrt(both.covariance[1][1])
    assert one.coefficients[1] < both.coefficients[1]
    np.testing.assert_allclose(both.apply(7.5), 7.9, atol=0.02)
    # Of 0.1 dex in each, 0.1 sqrt(1 + 0.9^2) remain between the two.
    assert both.scatter_in == pytest.approx(0.1345, abs=0.01)
    assert both.scatter_out == pytest.approx(both.scatter_in, abs=0.01)


def test_there_and_back_is_nothing(pair: Pair) -> None:
    """The fit of x to y undoes the fit of y to x, where both have errors."""
    there, back = fit_overlap(*pair, form="linear"), fit_overlap(*pair[::-1], form="linear")
    np.testing.assert_allclose(back.apply(there.apply([6.5, 8.5])), [6.5, 8.5], atol=0.01)


def test_stated_error_is_the_error(series: Series, belt: Belt) -> None:
    """Over many overlaps the slope and the level miss the truth by what is stated, days being not independent."""
    misses = []
    for seed in range(16):
        rng, truth = np.random.default_rng(seed), belt(250, seed)
        common = 0.1 * belt(250, seed + 1000, 1.0)
        x, y = truth + rng.normal(0, 0.1, 250), truth + 0.3 + common - 0.75 + rng.normal(0, 0.1, 250)
        fit = fit_overlap(series(x), series(y), form="linear", floor=(4.0, 4.0))
        misses.append((float(fit.apply(7.5)) - 7.8) / float(fit.error(7.5)))
    assert 0.7 < float(np.sqrt(np.mean(np.square(misses)))) < 1.6


def test_wrong_days_do_not_turn_the_robust_fit(pair: Pair) -> None:
    """Three percent of days off by 2 dex move Deming's line, and the one with Huber's loss not."""
    x, y = pair
    spoilt = y.copy()
    spoilt[::33] = spoilt[::33] / 100
    floor = (4.0, 4.0)
    robust, plain = (
        fit_overlap(x, spoilt, method=method, form="linear", floor=floor) for method in ("orthogonal", "deming")
    )
    assert abs(float(robust.apply(8.5)) - 8.8) < 0.04 < abs(float(plain.apply(8.5)) - 8.8)


@pytest.mark.parametrize("method", ["orthogonal", "huber"])
def test_knot_is_found_where_there_is_one(series: Series, belt: Belt, method: str) -> None:
    """A scale with two slopes is fitted with a knot, by its own choice."""
    rng, truth = np.random.default_rng(4), belt(900)
    bent = np.where(truth < 7.5, 7.5 + 0.6 * (truth - 7.5), 7.5 + 1.2 * (truth - 7.5))
    fit = fit_overlap(
        series(truth + rng.normal(0, 0.03, 900)),
        series(bent + rng.normal(0, 0.03, 900)),
        method=method,
        floor=(4.0, 4.0),
    )
    assert fit.form == "piecewise"
    np.testing.assert_allclose(fit.apply([6.5, 7.5, 8.5]), [6.9, 7.5, 8.7], atol=0.04)
    assert fit.scatter_out < 0.06


def test_line_needs_no_knot(pair: Pair) -> None:
    """Where there is none, none is chosen; asked for, one is fitted and changes little."""
    assert fit_overlap(*pair).form == "linear"
    asked = fit_overlap(*pair, form="piecewise-2")
    assert len(asked.knots) == 2
    np.testing.assert_allclose(asked.apply([7.0, 7.5, 8.0]), [7.45, 7.9, 8.35], atol=0.05)


def test_days_at_the_floor_are_left_out(series: Series, belt: Belt) -> None:
    """A floor of either satellite does not bend the line above it, though the days there are many."""
    rng, truth = np.random.default_rng(5), belt(900)
    x = np.log10(10 ** (truth + rng.normal(0, 0.05, 900)) + 10**6.8)
    y = np.log10(10 ** (truth + 0.3 + rng.normal(0, 0.05, 900)) + 10**5.0)
    fit = fit_overlap(series(x), series(y), form="linear")
    assert fit.valid[0] > 7.1
    assert "days at a floor left out" in fit.note
    assert float(fit.apply(8.5)) == pytest.approx(8.8, abs=0.05)
    everything = fit_overlap(series(x), series(y), form="linear", floor=(4.0, 4.0))
    assert abs(float(everything.apply(8.5)) - 8.8) > abs(float(fit.apply(8.5)) - 8.8)


def test_cut_across_keeps_the_line(series: Series, belt: Belt) -> None:
    """Days are cut across the line: no corner of x or y alone stays, so that what is left lies evenly about it."""
    rng, truth = np.random.default_rng(6), belt(2000)
    x, y = series(truth + rng.normal(0, 0.2, 2000)), series(truth + rng.normal(0, 0.2, 2000))
    kept, n_cut = above_floor(common_days(x, y, ("A", "B")), (7.2, 7.2), 1.0)
    assert len(kept) + n_cut == 2000
    low = kept.x + kept.y < 15.6
    assert abs(float(np.mean((kept.y - kept.x)[low]))) < 0.05


def test_bad_days_are_no_days(series: Series, belt: Belt) -> None:
    """NaN, zero, negative and unmatched days take no part, and the order of days means nothing."""
    x = belt(300)
    first, second = series(x), series(x + 0.3)
    first[3], first[5], second[7] = np.nan, 0.0, -1.0
    spoilt = fit_overlap(first.isel(time=slice(None, None, -1)), second[10:])
    np.testing.assert_allclose(spoilt.apply(8.0), 8.3, atol=1e-6)
    assert spoilt.span[0] >= "2011-01-11"


def test_bad_input_is_refused(series: Series, belt: Belt) -> None:
    """What cannot be fitted is said, with what was found and what to do."""
    x = series(belt(300))
    with pytest.raises(MissingDataError, match=r"A and B share 0 days .* at least 60; give more days"):
        fit_overlap(
            x, x.assign_coords(time=x["time"] + np.timedelta64(1000, "D")), satellite="A", reference_satellite="B"
        )
    with pytest.raises(UnitError, match="give both in one unit"):
        fit_overlap(x, x.assign_attrs(units="cm-2 s-1 sr-1"))
    with pytest.raises(AxisError, match="a time twice"):
        fit_overlap(xr.concat([x, x], "time"), x)
    with pytest.raises(AxisError, match="along the dates"):
        fit_overlap(x.expand_dims("satellite"), x)
    with pytest.raises(AxisError, match="along the dates"):
        fit_overlap(x.assign_coords(time=np.arange(300)), x)
    with pytest.raises(DataError, match="form is 'cubic', expected one of auto, linear"):
        fit_overlap(x, x, form="cubic")
    with pytest.raises(DataError, match="method is 'ols', expected one of orthogonal"):
        fit_overlap(x, x, method="ols")
    with pytest.raises(DataError, match="'deming' fits a straight line"):
        fit_overlap(x, x, method="deming", form="piecewise")
    for ratio in (0.0, -1.0, math.nan):
        with pytest.raises(DataError, match="error_ratio is"):
            fit_overlap(x, x, error_ratio=ratio)
    with pytest.raises(DataError, match="no increasing mapping"):
        fit_overlap(x, series(15 - np.log10(x.to_numpy())), floor=(4.0, 4.0))
    with pytest.raises(DataError, match="no increasing mapping"):
        fit_overlap(x, x * 0 + 1e7, floor=(4.0, 4.0))


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> dict[str, xr.DataArray]:
    geo = shared_data / "geo"
    west = open_goes_hourly(geo / "goes15_hourly" / "flux", satellite="GOES-15")
    east = open_goes_hourly(geo / "goes13").assign_attrs(product="science")
    return daily_fluences([east, west, open_dpd(geo / "dpd", start="2011-01-01", stop="2014-02-01")])


def test_goes_13_and_15_as_measured(measured: dict[str, xr.DataArray]) -> None:
    """GOES-West measures 1.9 times GOES-East (2014-2016), to 0.12 dex on months that took no part."""
    fit = fit_overlap(
        measured["GOES-13/science"], measured["GOES-15"], satellite="GOES-13/science", reference_satellite="GOES-15"
    )
    assert float(fit.apply(7.78)) - 7.78 == pytest.approx(0.285, abs=0.02)
    assert fit.coefficients[1] == pytest.approx(0.98, abs=0.03)
    assert 0.10 < fit.scatter_out < 0.14
    assert fit.n_days > 600
    assert fit.removes.startswith("detector and belt")


def test_products_of_goes_13_as_measured(measured: dict[str, xr.DataArray]) -> None:
    """The Daily Particle Data and the science product of one detector agree to 0.03 dex after the fit (2011-2014)."""
    fit = fit_overlap(
        measured["GOES-13"], measured["GOES-13/science"], satellite="GOES-13", reference_satellite="GOES-13/science"
    )
    assert float(fit.apply(7.54)) - 7.54 == pytest.approx(0.068, abs=0.01)
    assert fit.scatter_out < 0.03
    assert fit.removes.startswith("product")
