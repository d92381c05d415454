"""Figure of `benchmarks/npe_stereo.py`: a day's spectrum, and every hour of the month."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import xarray as xr
from stereo import BOUNDS, Window

Array: TypeAlias = npt.NDArray[np.float64]

# Of the palette of Okabe and Ito.
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#4D4D4D"
_OTHERS = {
    "ensemble": ("#009E73", "--"),
    "bayes": ("#000000", ":"),
    "fit": ("#CC79A7", "-."),
    "regularised": ("#E69F00", (0, (5, 1))),
    "bowtie": ("#56B4E9", ""),
}
_STYLE: dict[str, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E6E6E6", "grid.linewidth": 0.6,
}  # fmt: skip
_FLUX = "Proton flux (cm$^{-2}$ s$^{-1}$ sr$^{-1}$ MeV$^{-1}$)"


def draw(
    band: xr.Dataset, window: Window, others: Mapping[str, Window], hourly: xr.Dataset, energies: Array, path: Path
) -> None:
    """Draw the spectrum of 2024-05-15 with all methods, and the hours against LET; ratios below.

    Parameters
    ----------
    band : Dataset
        Spectra of `npe` on a fine grid in the window.
    window : Window
        The same at STEREO's energies.
    others : mapping of str to Window
        Other methods at STEREO's energies.
    hourly : Dataset
        As `npe_hours.hours` gives it.
    energies : ndarray, MeV
        Of STEREO.
    path : Path
        Where to.
    """
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(
            2, 2, figsize=(11.0, 6.2), height_ratios=[3, 1.4], width_ratios=[1, 1.25], sharex="col",
            layout="constrained",
        )  # fmt: skip
        _draw_day(axes[0, 0], axes[1, 0], band, window, others, energies)
        _draw_month(axes[0, 1], axes[1, 1], hourly)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
        plt.close(figure)


def _draw_day(
    upper: plt.Axes, lower: plt.Axes, band: xr.Dataset, window: Window, others: Mapping[str, Window], energies: Array
) -> None:
    grid = band["energy"].to_numpy()
    low95, low, middle, high, high95 = (band[name].mean("time").to_numpy() for name in BOUNDS)
    scale = np.exp(np.interp(np.log(energies), np.log(grid), np.log(middle)))
    for axes, unit, at_points in ((upper, np.ones_like(grid), np.ones_like(scale)), (lower, middle, scale)):
        axes.fill_between(grid, low95 / unit, high95 / unit, color=_BLUE, alpha=0.16, lw=0, label="npe, 95 %")
        axes.fill_between(grid, low / unit, high / unit, color=_BLUE, alpha=0.32, lw=0, label="npe, 68 %")
        axes.plot(grid, middle / unit, color=_BLUE, lw=1.6, label="npe, median")
        for name, item in others.items():
            colour, line = _OTHERS[name]
            told = np.isfinite(item.quantiles[2])
            marker = {"ls": line, "lw": 1.2} if line else {"ls": "", "marker": "D", "ms": 4.0}
            axes.plot(energies[told], (item.quantiles[2] / at_points)[told], color=colour, label=name, **marker)
        axes.errorbar(
            energies, window.reference / at_points, window.reference_std / at_points, fmt="o", ms=4.2,
            color=_ORANGE, mfc="white", mew=1.2, elinewidth=1.2, capsize=2, label="LET and HET on STEREO-A",
        )  # fmt: skip
    upper.set(xscale="log", yscale="log", ylabel=_FLUX)
    upper.set_title("2024-05-15, 12 to 18 UT", loc="left", fontsize=10)
    upper.legend(loc="lower left", fontsize=8)
    lower.axhline(1.0, color=_BLUE, lw=0.8)
    lower.set(ylabel="over npe's median", xlabel="Energy (MeV)", ylim=(0.4, 1.9), xlim=(grid[0], grid[-1]))
    ticks = [4, 6, 10, 20, 30, 60, 100]
    lower.set_xticks(ticks, [str(tick) for tick in ticks])
    lower.minorticks_off()


def _draw_month(upper: plt.Axes, lower: plt.Axes, hourly: xr.Dataset) -> None:
    whole = hourly.isel(channel=-1)
    time, limit = whole["time"].to_numpy(), whole["is_limit"].to_numpy()
    ours, theirs = whole["ours"].to_numpy(), whole["let"].to_numpy()
    # A line across hours that are not there would show what was not measured.
    broken = np.concatenate([[False], np.diff(time) > np.timedelta64(1, "h")])
    seen = np.where(limit, np.nan, ours)
    upper.fill_between(
        time, np.where(limit | broken, np.nan, whole["lower"]), np.where(limit | broken, np.nan, whole["upper"]),
        color=_BLUE, alpha=0.2, lw=0, label="npe, 95 %",
    )  # fmt: skip
    upper.plot(time, np.where(broken, np.nan, seen), color=_BLUE, lw=1.4, label="npe, RADEM on JUICE")
    upper.plot(
        time[limit], whole["upper"].to_numpy()[limit], ls="", marker="v", ms=2.2, color=_BLUE, alpha=0.45,
        label="npe, upper limit (95 %)",
    )  # fmt: skip
    upper.plot(time, np.where(broken | (theirs <= 0), np.nan, theirs), color=_ORANGE, lw=1.1, label="LET on STEREO-A")
    upper.set(yscale="log", ylabel=_FLUX)
    upper.set_title("4-12 MeV, every hour of May 2024 with valid data", loc="left", fontsize=10)
    upper.legend(loc="upper right", fontsize=8)
    high = (theirs > 0.1) & ~limit
    lower.axhspan(0.8, 1.25, color=_GREY, alpha=0.12, lw=0)
    lower.axhline(1.0, color=_ORANGE, lw=0.8)
    lower.plot(time[high], ours[high] / theirs[high], ls="", marker=".", ms=3, color=_BLUE)
    lower.set(yscale="log", ylabel="npe over LET", ylim=(0.02, 10.0), xlabel="May 2024 (day, UTC)")
    lower.set_yticks([0.03, 0.1, 0.3, 1.0, 3.0, 10.0], ["0.03", "0.1", "0.3", "1", "3", "10"])
    lower.minorticks_off()
    lower.xaxis.set_major_locator(mdates.DayLocator(range(1, 31, 5)))
    lower.xaxis.set_major_formatter(mdates.DateFormatter("%-d"))
    lower.set_xlim(np.datetime64("2024-05-01"), np.datetime64("2024-06-01"))
