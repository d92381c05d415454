"""A forecast drawn beside what was observed: the latest one by day, a hindcast over its range."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatterSciNotation

from particleflux._figure_data import break_at_gaps, positive
from particleflux.errors import AxisError, MissingDataError
from particleflux.names import ForecastQuality, require
from particleflux.plot import _panels as panels

Array = npt.NDArray[Any]

FLUENCE = "fluence_gt2mev"
LABEL = "Daily fluence > 2 MeV\n(cm$^{-2}$ sr$^{-1}$ d$^{-1}$)"
DAY = np.timedelta64(86_400_000_000_000, "ns")
#: Days of observations before the latest forecast.
PAST = 30
BANDS = ((0.025, 0.975, 0.18), (0.16, 0.84, 0.38))


def plot_forecast(forecast: xr.Dataset, history: xr.Dataset) -> Figure:
    """Draw a forecast beside the observed fluence.

    Of one issue time: the last 30 days of observations, and the days ahead with their intervals of 68 and 95 % and
    the probability of exceeding each alert level. Of several: the forecasts for the first lead time over the range.

    Parameters
    ----------
    forecast : Dataset, dims (init_time, lead_time, quantile, threshold)
        `fluence_gt2mev` (cm-2 sr-1 d-1), `probability` (1) and `quality`.
    history : Dataset, dims (time, ...)
        `fluence_gt2mev` (time), cm-2 sr-1 d-1: the observations.

    Returns
    -------
    Figure
        Not bound to any window; write it with `particleflux.plot.write_figure`.

    Raises
    ------
    AxisError
        If a variable or dimension is missing.
    UnitError
        If a unit is absent or another one.
    MissingDataError
        If nothing was forecast and nothing observed.
    """
    for dataset in (forecast, history):
        require(dataset, FLUENCE)
    missing = {"init_time", "lead_time", "quantile", "threshold"} - set(forecast.dims)
    if missing or history[FLUENCE].dims != ("time",):
        msg = (
            f"forecast has dimensions {sorted(map(str, forecast.dims))} and history {history[FLUENCE].dims}; expected "
            "init_time, lead_time, quantile and threshold, and ('time',)"
        )
        raise AxisError(msg)
    forecast = forecast.sortby(["init_time", "lead_time"])
    with panels.style():
        return _latest(forecast, history) if forecast.sizes["init_time"] == 1 else _hindcast(forecast, history)


def _latest(forecast: xr.Dataset, history: xr.Dataset) -> Figure:
    one = forecast.isel(init_time=0)
    issued = one["init_time"].to_numpy()
    past = history.sel(time=slice(issued - PAST * DAY, issued - DAY))
    figure = Figure(figsize=(9, 3.9), layout=ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.03, wspace=0))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2.3, 1])
    left.plot(*break_at_gaps(past["time"].to_numpy() + DAY // 2, positive(past[FLUENCE])), color="black", marker="o",
              ms=2.8, lw=0.9)  # fmt: skip
    left.set_xlim(issued - PAST * DAY, issued)
    _set_dates(left, issued - PAST * DAY, issued - DAY)
    places = np.arange(one.sizes["lead_time"])
    for low, high, alpha in BANDS:
        bounds = [positive(one[FLUENCE].sel(quantile=level)) for level in (low, high)]
        right.bar(places, bounds[1] - bounds[0], bottom=bounds[0], width=0.84, color=panels.BLUE, alpha=alpha, lw=0)
    median = positive(one[FLUENCE].sel(quantile=0.5))
    right.hlines(median, places - 0.42, places + 0.42, color=panels.BLUE, lw=1.8)
    right.set_xlim(-0.6, len(places) - 0.4)
    right.set_xticks(places, [str(day.astype("datetime64[D]")) for day in one["valid_time"].to_numpy()], fontsize=7.5)
    right.grid(visible=False, axis="x")
    right.tick_params(axis="y", length=0)
    right.spines["left"].set_color("#BBBBBB")
    _set_levels((left, right), forecast, [positive(past[FLUENCE]), positive(one[FLUENCE])])
    # Below the days, not beside the levels: there they would lie over the bands.
    for number, threshold in enumerate(one["threshold"].to_numpy()):
        chances = [_percent(chance) for chance in one["probability"].isel(threshold=number).to_numpy()]
        where = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "color": panels.ORANGE}
        below = -24 - 12 * number
        for place, text in zip(places, chances, strict=True):
            right.annotate(text, (place, 0), (0, below), ha="center", va="center", fontsize=8.5, **where)
        right.annotate(f"> {_level(threshold)}", (len(places) - 0.4, 0), (4, below), va="center", fontsize=8, **where)
    handles = [Line2D([], [], color="black", marker="o", ms=2.8, lw=0.9, label="observed"),
               Line2D([], [], color=panels.BLUE, lw=1.8, label="median"), *_band_handles()]  # fmt: skip
    left.legend(handles=handles, loc="lower left", ncols=4, bbox_to_anchor=(0, 1), borderaxespad=0.2)
    right.set_title("Forecast, and chance to exceed a level", loc="left")
    _tell(figure, forecast, f"issued {str(issued.astype('datetime64[m]')).replace('T', ' ')} UTC")
    return figure


def _hindcast(forecast: xr.Dataset, history: xr.Dataset) -> Figure:
    first = forecast.isel(lead_time=0)
    days = first["valid_time"].to_numpy() + DAY // 2
    flags = [flag for flag in ForecastQuality if flag and (first["quality"].to_numpy() & flag.value).any()]
    observed = history.sel(time=slice(days[0] - DAY // 2, days[-1]))
    rows = [3.2, *([0.16 * len(flags)] if flags else [])]
    figure = Figure(figsize=(9, 3.9 + 0.2 * len(flags)), layout=ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.06))
    axes = list(figure.subplots(len(rows), 1, sharex=True, height_ratios=rows, squeeze=False)[:, 0])
    values = {level: positive(first[FLUENCE].sel(quantile=level)) for level in (0.025, 0.16, 0.5, 0.84, 0.975)}
    for low, high, alpha in BANDS:
        axes[0].fill_between(*break_at_gaps(days, values[low], values[high]), color=panels.BLUE, alpha=alpha, lw=0)
    # The more days, the finer the marks.
    scale = float(np.clip(12 / np.sqrt(len(days)), 0.25, 1.0))
    axes[0].plot(*break_at_gaps(days, values[0.5]), color=panels.BLUE, lw=1.5 * scale + 0.1)
    axes[0].plot(observed["time"].to_numpy() + DAY // 2, positive(observed[FLUENCE]), color="black", ls="",
                 marker="o", ms=3.4 * scale + 0.3, mew=0)  # fmt: skip
    _set_levels(axes[:1], forecast, [positive(observed[FLUENCE]), *values.values()])
    lead = int(forecast["lead_time"].to_numpy()[0] / DAY)
    handles = [Line2D([], [], color="black", ls="", marker="o", ms=3.4, mew=0, label="observed"),
               Line2D([], [], color=panels.BLUE, label=f"median, {lead} day ahead"), *_band_handles()]  # fmt: skip
    axes[0].legend(handles=handles, loc="lower left", ncols=4, bbox_to_anchor=(0, 1), borderaxespad=0.2)
    if flags:
        _draw_flags(axes[1], first, days, flags)
        axes[0].tick_params(labelbottom=False)
    axes[-1].set_xlim(days[0] - DAY // 2, days[-1] + DAY // 2)
    _set_dates(axes[-1], days[0], days[-1])
    _tell(figure, forecast, f"{first.sizes['init_time']} issue times")
    return figure


def _set_levels(axes: Any, forecast: xr.Dataset, drawn: list[Array]) -> None:
    """Scale the axes to what is drawn on them, and draw the alert levels."""
    levels = forecast["threshold"].to_numpy()
    values = np.concatenate([part.ravel() for part in drawn])
    if not np.isfinite(values).any():
        msg = f"nothing to draw: no forecast at {forecast.sizes['init_time']} issue times, and no fluence observed then"
        raise MissingDataError(msg)
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_formatter(LogFormatterSciNotation())
    axes[0].set_ylim(min(np.nanmin(values) / 2, levels.min() / 10), max(np.nanmax(values), levels.max()) * 3)
    axes[0].set_ylabel(LABEL)
    for level in levels:
        for axis in axes:
            axis.axhline(level, color=panels.ORANGE, lw=1, ls=(0, (5, 2)), zorder=1.5)
        axes[-1].annotate(
            f"alert level\n{_level(level)}", (1, level), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=8, color=panels.ORANGE, annotation_clip=False,
        )  # fmt: skip


def _draw_flags(axis: Any, first: xr.Dataset, days: Array, flags: list[ForecastQuality]) -> None:
    quality = first["quality"].to_numpy()
    for row, flag in enumerate(flags):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], (quality & flag.value != 0).astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2):
            axis.axvspan(days[start] - DAY // 2, days[stop - 1] + DAY // 2, (len(flags) - row - 0.85) / len(flags),
                         (len(flags) - row - 0.15) / len(flags), lw=0,
                         color=panels.ORANGE if flag == ForecastQuality.NOT_FORECAST else panels.BLUE)  # fmt: skip
    axis.set_ylim(len(flags), 0)
    axis.set_yticks(np.arange(len(flags)) + 0.5, [_word(flag) for flag in flags])
    axis.tick_params(axis="y", length=0, labelsize=7)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def _set_dates(axis: Any, first: Any, last: Any) -> None:
    locator = AutoDateLocator(minticks=4, maxticks=9)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    days = [str(day.astype("datetime64[D]")) for day in (first, last)]
    axis.set_xlabel(f"Day (UTC), {days[0]} to {days[1]}")


def _tell(figure: Figure, forecast: xr.Dataset, issued: str) -> None:
    """Say what was forecast by what, and of one issue time what it lacked."""
    attrs = forecast.attrs
    parts = [*(str(attrs[key]) for key in ("method", "model", "satellite") if attrs.get(key)), issued]
    if forecast.sizes["init_time"] == 1:
        quality = int(forecast["quality"].to_numpy()[0])
        words = [_word(flag) for flag in ForecastQuality if flag and quality & flag.value]
        parts += [f"flags: {', '.join(words)}"] if words else []
    figure.suptitle("   ".join(parts), x=0.02, ha="left", fontsize=9)


def _band_handles() -> list[Any]:
    return [
        Patch(color=panels.BLUE, alpha=0.5, lw=0, label="68 %"),
        Patch(color=panels.BLUE, alpha=0.2, lw=0, label="95 %"),
    ]


def _level(threshold: float) -> str:
    exponent = np.log10(threshold)
    return f"$10^{{{exponent:g}}}$" if exponent == round(exponent) else f"{threshold:g}"


def _percent(probability: float) -> str:
    if np.isnan(probability):
        return "none"
    if probability < 0.01:
        return "<1 %"
    return ">99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def _word(flag: ForecastQuality) -> str:
    return str(flag.name).lower().replace("_", " ")
