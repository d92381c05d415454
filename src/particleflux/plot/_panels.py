"""The panels of a figure: what is drawn where, and in which colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

from particleflux._figure_data import (
    break_at_gaps,
    cadence,
    find_stretches,
    flux_limits,
    flux_name,
    interpolate_truth,
    positive,
)
from particleflux.names import UNUSABLE, Quality

Array = npt.NDArray[Any]

FLUX_LABEL = "Differential flux\n(cm$^{-2}$ s$^{-1}$ sr$^{-1}$ MeV$^{-1}$)"
#: Of the palette of Okabe and Ito, told apart by every kind of colour vision.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7A7A7A"
STYLE = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.2,
    "figure.dpi": 150,
    "savefig.dpi": 150,
}


@contextmanager
def style() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's matplotlibrc must not break a layout it was not made for
        mpl.rcParams.update(STYLE)
        yield


def _colours(n: int) -> list[Any]:
    """Give n ordered colours that differ in lightness too; they stop short of the yellow that vanishes on white."""
    return [mpl.colormaps["viridis"](value) for value in np.linspace(0.0, 0.86, n)]


def draw_rates(axis: Any, counts: xr.Dataset, background: xr.Dataset | None) -> None:
    names = [str(name) for name in counts["channel"].to_numpy()]
    channels = [name for name in names if name.startswith("PDH")] or names
    rate = (counts["counts"] / counts["exposure"]).transpose("time", "channel")
    time = counts["time"].to_numpy()
    for name, colour in zip(channels, _colours(len(channels)), strict=True):
        values = positive(rate.sel(channel=name))
        axis.plot(*break_at_gaps(time, values), color=colour, lw=0.9, label=name)
        if background is not None and name in background["channel"].to_numpy():
            level = background["background_rate"].sel(channel=name)
            if "time" in level.dims:
                axis.plot(level["time"], positive(level), color=colour, ls=":", lw=1)
            else:
                axis.axhline(float(level), color=colour, ls=":", lw=1)
    handles = [
        Line2D([], [], color=colour, label=name) for name, colour in zip(channels, _colours(len(channels)), strict=True)
    ]
    if background is not None:
        handles.append(Line2D([], [], color=GREY, ls=":", label="background"))
    axis.set_yscale("log")
    axis.set_ylabel("Count rate (s$^{-1}$)")
    _legend(axis, handles)


def draw_flux(
    axis: Any, spectra: xr.Dataset, truth: xr.Dataset | None, energies: Sequence[float], samples: dict[str, int]
) -> None:
    time = spectra["time"].to_numpy()
    quality = spectra["quality"].to_numpy() if "quality" in spectra else np.zeros(len(time), int)
    detected = (quality & Quality.BELOW_DETECTION.value) == 0
    handles = []
    has_limits = False
    for energy, colour in zip(energies, _colours(len(energies)), strict=True):
        at_energy = spectra.sel(energy=energy)
        value = {str(name): positive(at_energy[name]) for name in at_energy.data_vars if str(name).startswith("flux")}
        for suffix, alpha in (("95", 0.14), ("", 0.30)):
            if f"flux_lower{suffix}" in value:
                bounds = [np.where(detected, value[f"flux_{side}{suffix}"], np.nan) for side in ("lower", "upper")]
                axis.fill_between(*break_at_gaps(time, *bounds), color=colour, alpha=alpha, lw=0)
        if "flux_upper95" in value:
            # Nothing was detected: the bounds are limits, and a median or a band would look like a measurement.
            limits = np.where(detected, np.nan, value["flux_upper95"])
            has_limits = has_limits or bool(np.isfinite(limits).any())
            axis.plot(*break_at_gaps(time, limits), color=colour, ls=":", lw=1)
        axis.plot(*break_at_gaps(time, np.where(detected, value["flux"], np.nan)), color=colour)
        if truth is not None:
            axis.plot(truth["time"], interpolate_truth(truth, energy), color=colour, ls="--", lw=0.9)
        handles.append(Line2D([], [], color=colour, label=f"{energy:.3g} MeV"))
    handles += _band_handles(GREY)
    if has_limits:
        handles.append(Line2D([], [], color=GREY, ls=":", label="95 % limit"))
    if truth is not None:
        handles.append(Line2D([], [], color=GREY, ls="--", label="truth"))
    axis.set_yscale("log")
    axis.set_ylim(*flux_limits(spectra.sel(energy=list(energies))))
    axis.set_ylabel(FLUX_LABEL)
    for letter, sample in zip("abc", samples.values(), strict=False):
        axis.axvline(time[sample], color="black", lw=0.7, ls=(0, (4, 3)))
        axis.annotate(
            letter, (time[sample], 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontweight="bold",
        )  # fmt: skip
    _legend(axis, handles)


def draw_flags(axis: Any, spectra: xr.Dataset, flags: list[Quality]) -> None:
    quality = spectra["quality"].to_numpy()
    for row, flag in enumerate(flags):
        for start, stop in find_stretches(spectra, (quality & flag.value) != 0):
            axis.axvspan(start, stop, (len(flags) - row - 0.85) / len(flags), (len(flags) - row - 0.15) / len(flags),
                         color=ORANGE if flag & (UNUSABLE | Quality.NOT_PROCESSED) else BLUE, lw=0)  # fmt: skip
    axis.set_ylim(len(flags), 0)
    axis.set_yticks(np.arange(len(flags)) + 0.5, [str(flag.name).lower().replace("_", " ") for flag in flags])
    axis.tick_params(axis="y", length=0, labelsize=7)
    axis.xaxis.set_visible(False)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    handles = [Patch(color=ORANGE, label="not usable")] if any(flag & UNUSABLE for flag in flags) else []
    _legend(axis, [*handles, Patch(color=BLUE, label="note")] if len(flags) > 1 else handles)


def shade_unusable(axis: Any, spectra: xr.Dataset) -> None:
    if "quality" in spectra:
        unusable = (spectra["quality"].to_numpy() & (UNUSABLE | Quality.NOT_PROCESSED).value) != 0
        for start, stop in find_stretches(spectra, unusable):
            axis.axvspan(start, stop, color="#D9D9D9", lw=0, zorder=0)


def draw_samples(figure: Any, spectra: xr.Dataset, truth: xr.Dataset | None, samples: dict[str, int]) -> None:
    axes = figure.subplots(1, max(len(samples), 1), sharey=True, squeeze=False)[0]
    if not samples:
        axes[0].set_axis_off()
        axes[0].text(0.5, 0.5, "no sample could be reconstructed", ha="center", va="center", color=GREY)
        return
    for letter, axis, (phase, sample) in zip("abc", axes, samples.items(), strict=False):
        one = spectra.isel(time=sample)
        handles = draw_spectrum(axis, one, "reconstructed")
        if truth is not None:
            there = truth.sel(time=one["time"], method="nearest")
            flux = positive(there["flux_true"])
            handles += axis.plot(there["energy"], flux, color="black", ls="--", lw=1, label="truth")
        moment = str(np.datetime_as_string(one["time"].to_numpy(), unit="m")).replace("T", " ")
        axis.set_title(f"$\\bf{{{letter}}}$  {phase}, {moment} UTC", loc="left", fontsize=8.5)
    axes[0].set_ylabel(FLUX_LABEL)
    axes[0].set_ylim(*flux_limits(spectra.isel(time=list(samples.values())), decades=7))
    axes[-1].legend(handles=handles, loc="upper right")


def draw_spectrum(axis: Any, spectrum: xr.Dataset, label: str = "median") -> list[Any]:
    energy = spectrum["energy"].to_numpy()
    name = flux_name(spectrum)
    # One energy makes no line.
    marker = "o" if energy.size == 1 else None
    handles: list[Any] = axis.plot(energy, positive(spectrum[name]), color=BLUE, label=label, marker=marker)
    for suffix, alpha in (("95", 0.18), ("", 0.38)):
        if f"flux_lower{suffix}" in spectrum:
            bounds = [positive(spectrum[f"flux_{side}{suffix}"]) for side in ("lower", "upper")]
            axis.fill_between(energy, *bounds, color=BLUE, alpha=alpha, lw=0)
    if "flux_lower" in spectrum:
        handles += _band_handles(BLUE)
    axis.set_xscale("log")
    axis.set_yscale("log")
    margin = 1.5 if energy.size == 1 else 1.0
    axis.set_xlim(energy.min() / margin, energy.max() * margin)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("Energy (MeV)")
    return handles


def _band_handles(colour: str) -> list[Any]:
    return [Patch(color=colour, alpha=0.5, lw=0, label="68 %"), Patch(color=colour, alpha=0.2, lw=0, label="95 %")]


def set_dates(axis: Any, spectra: xr.Dataset) -> None:
    locator = AutoDateLocator(minticks=4, maxticks=9)
    axis.xaxis.set_major_locator(locator)
    # Its own date would be that of the last tick, which may be the day after.
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    time = spectra["time"].to_numpy()
    days = [str(np.datetime_as_string(moment, unit="D")) for moment in (time.min(), time.max())]
    axis.set_xlabel(f"Time (UTC), {' to '.join(dict.fromkeys(days))}")
    axis.set_xlim(time.min(), time.max() + cadence(spectra))
    axis.yaxis.set_major_formatter(LogFormatterSciNotation())


def _legend(axis: Any, handles: list[Any]) -> None:
    if handles:
        axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.6, borderaxespad=0.4)
