"""Figures of a verification: reliability of the probabilities, and scores by year."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator, PercentFormatter

from particleflux.errors import AxisError, DataError
from particleflux.plot import _panels as panels
from particleflux.plot._panels import BLUE, GREY, ORANGE

#: Of the palette of Okabe and Ito; the forecasts verified come first, then the baselines.
_FORECASTS = (BLUE, ORANGE, "#009E73", "#CC79A7")
_BASELINES = (("#000000", "s"), ("#7A7A7A", "^"), ("#56B4E9", "D"), ("#E69F00", "P"), ("#A6761D", "X"))
#: Inches: width of a figure, height of a row of reliability panels and of one of scores.
_WIDTH, _HEIGHT, _ROW = 9.0, 3.0, 1.5


def plot_verification(report: xr.Dataset, *, score: str = "prediction_efficiency") -> Figure:
    """Draw the reliability of the forecasts, a column per lead time, and below it a score by year, a row each.

    Parameters
    ----------
    report : Dataset
        What `particleflux.verify.verify` gave.
    score : str
        A score by period, forecaster and lead time.

    Returns
    -------
    Figure
        Not bound to any window; write it with `write_figure`.

    Raises
    ------
    AxisError
        If the report lacks what is drawn.
    DataError
        If the score is none of those.
    """
    _check(report, "reliability_frequency")
    _check_score(report, score)
    n = report.sizes["threshold"]
    with panels.style():
        heights = [_HEIGHT * n, _ROW * report.sizes["lead_time"] + 0.5]
        figure = Figure(figsize=(_width(report), sum(heights)), layout=_layout())
        parts: Any = figure.subfigures(2, 1, height_ratios=heights)
        _draw_reliability(parts[0], report, None)
        _draw_by_period(parts[1], report, score)
    return figure


def plot_reliability(report: xr.Dataset, *, forecasters: Sequence[str] | None = None) -> Figure:
    """Draw how often the thresholds were reached against the probability that was forecast.

    Parameters
    ----------
    report : Dataset
        What `particleflux.verify.verify` gave.
    forecasters : sequence of str, optional
        Whose probabilities, four at most; by default those that are no reference.

    Returns
    -------
    Figure
        A row per threshold, a column per lead time. Bars show where the frequencies would lie (95 %) if the
        probabilities were right; the small histogram, how often each was forecast.

    Raises
    ------
    AxisError
        If the report lacks what is drawn.
    DataError
        If a forecaster is unknown.
    """
    _check(report, "reliability_frequency")
    with panels.style():
        figure = Figure(figsize=(_width(report), _HEIGHT * report.sizes["threshold"]), layout=_layout())
        _draw_reliability(figure, report, forecasters)
    return figure


def plot_scores_by_year(report: xr.Dataset, *, score: str = "prediction_efficiency") -> Figure:
    """Draw a score of every forecaster by year, with its 95 % intervals.

    Parameters
    ----------
    report : Dataset
        What `particleflux.verify.verify` gave.
    score : str
        A score by period, forecaster and lead time, such as prediction_efficiency, rmse or crps.

    Returns
    -------
    Figure
        A row per lead time. An arrow at the edge stands for a value outside the picture.

    Raises
    ------
    AxisError
        If the report lacks what is drawn.
    DataError
        If the score is none of those.
    """
    _check_score(report, score)
    with panels.style():
        figure = Figure(figsize=(_WIDTH, _ROW * report.sizes["lead_time"] + 0.5), layout=_layout())
        _draw_by_period(figure, report, score)
    return figure


def _draw_reliability(figure: Any, report: xr.Dataset, forecasters: Sequence[str] | None) -> None:
    names = _verified(report)[: len(_FORECASTS)] if forecasters is None else list(forecasters)
    unknown = [name for name in names if name not in report["forecaster"].to_numpy()]
    if unknown or not 0 < len(names) <= len(_FORECASTS):
        known = report["forecaster"].to_numpy().tolist()
        msg = f"forecasters {names}: expected one to {len(_FORECASTS)} of {known}"
        raise DataError(msg)
    leads, thresholds = (report[name].to_numpy().tolist() for name in ("lead_time", "threshold"))
    axes = figure.subplots(len(thresholds), len(leads), sharex=True, sharey=True, squeeze=False)
    for row, threshold in enumerate(thresholds):
        for column, lead in enumerate(leads):
            axis = axes[row, column]
            part = report.sel(lead_time=lead, threshold=threshold)
            _draw_curve(axis, part, names)
            if row == 0:
                axis.set_title(f"lead {lead} day{'s' if lead > 1 else ''}", loc="left")
            if row == len(thresholds) - 1:
                axis.set_xlabel("Forecast probability")
        axes[row, 0].set_ylabel(
            f"Frequency of days at or\nabove {_power(threshold)} cm$^{{-2}}$ sr$^{{-1}}$ d$^{{-1}}$"
        )
    handles: list[Any] = [
        Line2D([], [], color=colour, marker="o", ms=3.5, label=name)
        for name, colour in zip(names, _FORECASTS, strict=False)
    ]
    handles += [
        Patch(color=GREY, alpha=0.35, lw=0, label="95 % if the probabilities are right"),
        Line2D([], [], color=GREY, lw=0.8, label="reliable"),
        Line2D([], [], color=GREY, lw=0.8, ls=":", label="frequency in the sample"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _draw_curve(axis: Any, part: xr.Dataset, names: Sequence[str]) -> None:
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    # In the upper left lies what is forecast too low, in the lower right too high; good forecasts leave both empty.
    histogram = axis.inset_axes((0.64, 0.06, 0.34, 0.24))
    for number, (name, colour) in enumerate(zip(names, _FORECASTS, strict=False)):
        curve = {
            key: part[f"reliability_{key}"].sel(forecaster=name).to_numpy().astype(np.float64)
            for key in ("n", "probability", "frequency", "lower", "upper")
        }
        if not curve["n"].sum():
            continue
        axis.bar(
            curve["probability"], curve["upper"] - curve["lower"], 0.035, bottom=curve["lower"],
            color=GREY if len(names) == 1 else colour, alpha=0.35, lw=0,
        )  # fmt: skip
        axis.plot(curve["probability"], curve["frequency"], color=colour, marker="o", ms=3.5)
        rate = np.nansum(curve["frequency"] * curve["n"]) / curve["n"].sum()
        if number == 0:
            axis.axhline(rate, color=GREY, lw=0.8, ls=":")
        edges = np.linspace(0, 1, len(curve["n"]) + 1)
        histogram.stairs(np.maximum(curve["n"], 0.5), edges, baseline=0.5, fill=len(names) == 1, color=colour)
    histogram.set_yscale("log")
    histogram.set_ylim(0.5, None)
    histogram.set_xlim(0, 1)
    histogram.set_xticks([])
    histogram.tick_params(labelsize=6, pad=1, length=2)
    histogram.yaxis.set_minor_locator(NullLocator())
    histogram.grid(visible=False)
    histogram.patch.set_alpha(0.0)
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_major_formatter(PercentFormatter(1.0))


def _draw_by_period(figure: Any, report: xr.Dataset, score: str) -> None:
    leads = report["lead_time"].to_numpy().tolist()
    periods = [str(item) for item in report["period"].to_numpy()]
    axes = figure.subplots(len(leads), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    looks = _looks(report)
    low, high = _limits(report[score])
    at = np.arange(len(periods), dtype=np.float64)
    if len(periods) > 1:
        at[-1] += 0.4  # all days together are no further year
    for axis, lead in zip(axes, leads, strict=True):
        for number, (name, (colour, marker, is_verified)) in enumerate(looks.items()):
            # Side by side, so that the intervals can be told apart.
            place = at + 0.7 * ((number + 0.5) / len(looks) - 0.5)
            value, lower, upper = (
                report[score + suffix].sel(forecaster=name, lead_time=lead).to_numpy().astype(np.float64)
                for suffix in ("", "_lower", "_upper")
            )
            below, beyond = value < low, value > high
            inside = ~(below | beyond)
            ends = np.clip(lower, low, high)[inside], np.clip(upper, low, high)[inside]
            axis.vlines(place[inside], *ends, color=colour, lw=1.6 if is_verified else 0.9)
            axis.plot(place[inside], value[inside], ls="", marker=marker, color=colour, ms=4.5 if is_verified else 3.5)
            # Outside the picture: an arrow at its edge.
            for outside, edge, arrow in ((below, low, "v"), (beyond, high, "^")):
                if outside.any():
                    axis.plot(place[outside], np.full(outside.sum(), edge), ls="", marker=arrow, mfc="none",
                              color=colour, ms=4, clip_on=False)  # fmt: skip
        axis.set_ylim(low, high)
        axis.set_xlim(at[0] - 0.5, at[-1] + 0.5)
        axis.set_xticks(at, periods)
        axis.tick_params(axis="x", length=0)
        axis.grid(visible=False, axis="x")
        for left in (at[1:] + at[:-1]) / 2:
            axis.axvline(left, color="#D0D0D0", lw=0.6, zorder=0)
        axis.set_ylabel(f"lead {lead} day{'s' if lead > 1 else ''}")
    units = str(report[score].attrs.get("units", "1"))
    label = score.replace("_", " ").capitalize() if len(score) > 4 else score.upper()
    figure.supylabel(label if units == "1" else f"{label} ({units})", fontsize=9)
    handles = [
        Line2D([], [], color=colour, marker=marker, ls="-", lw=1.6 if is_verified else 0.9, ms=4, label=name)
        for name, (colour, marker, is_verified) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6))


def _looks(report: xr.Dataset) -> dict[str, tuple[str, str, bool]]:
    """Give colour and marker of each forecaster, and whether it is no baseline."""
    verified = _verified(report)
    looks: dict[str, tuple[str, str, bool]] = {
        name: (_FORECASTS[number % len(_FORECASTS)], "o", True) for number, name in enumerate(verified)
    }
    others = [str(name) for name in report["forecaster"].to_numpy() if str(name) not in verified]
    return looks | {name: (*_BASELINES[number % len(_BASELINES)], False) for number, name in enumerate(others)}


def _verified(report: xr.Dataset) -> list[str]:
    """Name the forecasters that are no reference; all of them where none is left."""
    names = [str(name) for name in report["forecaster"].to_numpy()]
    references = report["reference"].to_numpy().tolist() if "reference" in report.coords else []
    return [name for name in names if name not in references] or names


def _limits(values: xr.DataArray) -> tuple[float, float]:
    """Give limits that no single bad year of a baseline can blow up."""
    known = values.to_numpy()[np.isfinite(values.to_numpy())]
    if not known.size:
        return 0.0, 1.0
    if values.attrs.get("units") != "1":
        return 0.0 if known.min() >= 0 else float(known.min()) * 1.1, float(np.quantile(known, 0.98)) * 1.15
    return max(float(known.min()) - 0.05, -0.4), min(float(known.max()) + 0.1, 1.0)


def _check(report: xr.Dataset, *names: str) -> None:
    for name in names:
        if name not in report:
            msg = f"the report has no variable {name!r}; give what `particleflux.verify.verify` made"
            raise AxisError(msg)


def _check_score(report: xr.Dataset, score: str) -> None:
    wanted = {"period", "forecaster", "lead_time"}
    known = [str(name) for name in report if set(report[name].dims) == wanted and f"{name}_lower" in report]
    if score not in known:
        msg = f"score {score!r} is not one by period, forecaster and lead time; expected one of {known}"
        raise DataError(msg)


def _power(threshold: float) -> str:
    exponent = int(np.floor(np.log10(threshold) + 1e-9))
    factor = threshold / 10.0**exponent
    return f"10$^{{{exponent}}}$" if abs(factor - 1) < 1e-9 else f"{factor:.3g}$\\cdot$10$^{{{exponent}}}$"


def _width(report: xr.Dataset) -> float:
    return max(_WIDTH * report.sizes["lead_time"] / 3, 4.5)


def _layout() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.05)
