"""Figures of `coverage.py`: coverage by energy and by intensity, and rank histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from coverage_cases import ENERGIES
from scipy.stats import binom

Array = npt.NDArray[np.float64]

# Of the palette of Okabe and Ito, told apart by every kind of colour vision; every line has its own marker as well.
_BLACK, _GREY, _BAND = "#1A1A1A", "#4D4D4D", "#E9E9E9"
_LOOKS = (
    ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#8C6D00", "v"),
)  # fmt: skip
_STYLE: dict[str, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "axes.axisbelow": True, "savefig.dpi": 130, "axes.titlesize": 9.5, "legend.fontsize": 8.5,
}  # fmt: skip
#: Coverage asked for: the whole mixture, a family alone, a decade alone.
GOALS = {"mixture": ((65.0, 71.0), (93.5, 96.5)), "family": ((60.0, 82.0), (90.0, 99.0))}


def plot_coverage(
    path: Path,
    targets: Sequence[str],
    sets: Mapping[str, tuple[Array, Array]],
    decades: Sequence[float],
    by_decade: tuple[Array, Array],
) -> None:
    """Draw shares of truths inside (%), by target and family on the left, by decade of the signal on the right.

    Parameters
    ----------
    path : Path
        PNG file.
    targets : sequence of str
        Names of the targets, energies first.
    sets : mapping of str to (ndarray, ndarray)
        Mixture first, then families: shares inside 68 % and 95 %, shape (target,).
    decades : sequence of float
        Lower edge of each decade of signal over background.
    by_decade : (ndarray, ndarray)
        Shares inside, shape (decade, target).
    """
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(
            2, 2, figsize=(9.4, 6.0), sharey="row", sharex="col", layout="constrained", width_ratios=[1.15, 1]
        )
        places = np.arange(len(targets), dtype=float)
        for row, (level, nominal) in enumerate((("68 %", 68.0), ("95 %", 95.0))):
            left, right = axes[row]
            low, high = GOALS["family"][row]
            for panel in (left, right):
                panel.axhspan(low, high, color=_BAND, lw=0)
                panel.axhspan(*GOALS["mixture"][row], color="#D0D0D0", lw=0)
                panel.axhline(nominal, color=_GREY, lw=0.8)
            shift = np.linspace(-0.24, 0.24, len(sets) - 1)
            for (name, values), offset, (colour, marker) in zip(list(sets.items())[1:], shift, _LOOKS, strict=True):
                left.plot(
                    places + offset, values[row], marker, color=colour, ms=5, mfc="white", mew=1.4,
                    label=name.replace("-", " ") + (" (never trained on)" if name == "weibull" else ""),
                )  # fmt: skip
            for place, value in zip(places, next(iter(sets.values()))[row], strict=True):
                left.plot([place - 0.38, place + 0.38], [value, value], color=_BLACK, lw=2.2, zorder=3)
            left.plot([], [], color=_BLACK, lw=2.2, label="mixture of the first four")
            shown = np.concatenate(
                [*(values[row] for values in sets.values()), by_decade[row][:, : len(ENERGIES)].ravel()]
            )
            bottom, top = ((57.0, 85.0), (88.0, 100.4))[row]
            left.set(ylabel=f"Truths in the {level} interval (%)")
            left.set_ylim(min(bottom, shown.min() - 1.0), min(max(top, shown.max() + 1.0), 100.4))
            middle = 10.0 ** (np.array(decades) + 0.5)
            for column, (colour, marker) in zip(range(len(ENERGIES)), _LOOKS, strict=True):
                right.plot(
                    middle, by_decade[row][:, column], color=colour, marker=marker, ms=4.5, lw=1.2, mfc="white",
                    mew=1.3, label=f"{ENERGIES[column]:g} MeV",
                )  # fmt: skip
            right.set(xscale="log")
        axes[0, 0].set_title("By target and spectral form", loc="left")
        axes[0, 1].set_title("Mixture, by decade of the signal", loc="left")
        axes[1, 0].set_xticks(places, targets)
        axes[1, 0].set_xlabel("Flux at (MeV), integral flux above (MeV)")
        axes[1, 1].set_xlabel("Signal over quiet background in PDH1")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
        figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower right", ncols=3)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def band(n: int, n_bins: int) -> tuple[float, float]:
    """Between what a bin of uniform ranks lies in 95 of 100 cases, over its expectation."""
    low, high = (float(binom.ppf(level, n, 1.0 / n_bins)) * n_bins / n for level in (0.025, 0.975))
    return low, high


def plot_ranks(path: Path, heights: Array, n: int) -> None:
    """Draw rank histograms, shape (energy, bin), each over its expectation, with the 95 % band of uniform ranks."""
    n_energies, n_bins = heights.shape
    low, high = band(n, n_bins)
    reach = max(0.25, 1.15 * float(np.abs(heights - 1.0).max()))
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(1, n_energies, figsize=(9.4, 2.7), sharey=True, layout="constrained")
        edges = np.linspace(0, 1, n_bins + 1)
        for panel, height, energy in zip(axes, heights, ENERGIES, strict=True):
            panel.axhspan(low, high, color="#D0D0D0", lw=0)
            panel.axhline(1.0, color=_GREY, lw=0.8)
            panel.stairs(height, edges, color=_LOOKS[0][0], lw=1.5, baseline=None)
            panel.set_title(f"{energy:g} MeV", loc="left")
            panel.set(xlim=(0, 1), ylim=(1 - reach, 1 + reach))
            panel.set_xticks([0, 0.5, 1.0], ["0", "0.5", "1"])
        axes[0].set_ylabel("Cases over expectation")
        figure.supxlabel("Rank of the truth among joint draws", fontsize=9)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)
