"""The page that `coverage.py` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from common import table
from coverage_cases import ENERGIES, THRESHOLDS
from coverage_joint import BINS, RANKED, REFOLDED, SAMPLES, histogram
from coverage_methods import RESPONSE_ERROR
from coverage_plots import band

Array = npt.NDArray[np.float64]
Row = dict[str, Any]

#: Flux at an energy, or integral flux above one, MeV.
TARGETS = (*(f"{energy:g}" for energy in ENERGIES), *(f">{level:g}" for level in THRESHOLDS))
_COLUMNS = (*(f"{name} MeV" for name in TARGETS),)
_CELLS = (
    "In each cell: truths in the 68 % / in the 95 % interval (%) / median of |log10(median / truth)|. n counts the "
    "cases that were answered."
)


@dataclass(frozen=True)
class Result:
    """Everything that was measured.

    Attributes
    ----------
    goals : list of dict
        What was asked for, and whether it is met.
    coverage, by_decade, settings : list of dict
        Coverage of `npe` by family, by intensity, and in other settings.
    ranks : ndarray of int, shape (n, energy)
        Draws below the truth.
    integrals, refolded : list of dict
        What the joint draws give.
    fit : dict
        `uniform` and `power`: the fit probability.
    own_errors, equal_errors : list of dict
        Methods on the same cases.
    cases : int
        Cases that all methods share.
    """

    goals: list[Row]
    coverage: list[Row]
    by_decade: list[Row]
    settings: list[Row]
    ranks: npt.NDArray[np.intp]
    integrals: list[Row]
    refolded: list[Row]
    fit: dict[str, list[Row]]
    own_errors: list[Row]
    equal_errors: list[Row]
    cases: int

    def data(self) -> dict[str, Any]:
        """Give the figures as JSON has them; of the ranks, their histograms."""
        return {
            "targets": TARGETS, "goals": self.goals, "coverage": self.coverage, "by_decade": self.by_decade,
            "settings": self.settings, "ranks": histogram(self.ranks).round(3), "integrals_of_draws": self.integrals,
            "refolded": self.refolded, "fit_probability": self.fit, "methods_own_errors": self.own_errors,
            "methods_equal_errors": self.equal_errors,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Give the Markdown below the heading."""
        # Quantiles of n draws, interpolated, enclose this part of what they are quantiles of.
        kept = (SAMPLES - 1) / (SAMPLES + 1)
        return [
            *plain_table(self.goals),
            "",
            "## Coverage of npe",
            "",
            "Flux at 5 to 100 MeV, and integral flux above 10, 30 and 60 MeV.",
            _CELLS,
            "",
            *coverage_table(self.coverage),
            "",
            "No method was trained on the Weibull form. One family is a narrower prior than the mixture: within it",
            "an honest interval of the mixture may hold more or fewer truths than its nominal share.",
            "",
            "## By decade of intensity",
            "",
            "Mixture, by expected signal over the quiet background in PDH1.",
            "",
            *coverage_table(self.by_decade),
            "",
            "## Missing channels, common background error, accumulations",
            "",
            *coverage_table(self.settings),
            "",
            "## Joint draws",
            "",
            f"Integral fluxes of {SAMPLES} joint draws of the spectrum, integrated as in `particleflux.products`;",
            "40 MeV is no target of the networks. Of exact draws, so few, the two intervals would hold",
            f"{68 * kept:.1f} and {95 * kept:.1f} % on average.",
            "",
            *plain_table(self.integrals),
            "",
            f"Draws folded back into counts, up to {REFOLDED} cases. True signal: where it exceeds a tenth of the",
            "background. Counts: interval of new counts made from the draws with all errors; as the counts chose the",
            "draws, these hold more than their nominal share. Pull: distance of the counts from the median of the new",
            "ones, over half the width of their 68 % interval.",
            "",
            *plain_table(self.refolded, 2),
            "",
            *self._rank_lines(),
            "",
            "## Fit probability",
            "",
            *plain_table(self.fit["uniform"]),
            "",
            "Share of cases (%) with a fit probability below 0.01 where one channel counts too much. Strong: signal",
            "above 10 times the quiet background in PDH1.",
            "",
            *plain_table(self.fit["power"]),
            "",
            "## Methods on the same cases",
            "",
            f"{self.cases} cases of the mixture, each with errors of its own, which npe and bayes are told.",
            "",
            *method_tables(self.own_errors),
            "",
            f"{self.cases} cases of the mixture with a response error of {100 * RESPONSE_ERROR:g} % in every channel,",
            "the one setting that all methods take. The ratio to bayes is of median errors on the cases that both",
            "answered, pooled over the five energies, with its bootstrap standard deviation; detected: some channel 3",
            "sigma above its background. Tikhonov, mlem and gravel are the algorithms of `regularised`; ensemble is",
            "the older method, which knows rolling power laws alone.",
            "",
            *method_tables(self.equal_errors),
        ]

    def _rank_lines(self) -> list[str]:
        heights = histogram(self.ranks)
        low, high = band(len(self.ranks), BINS)
        mean = (self.ranks.mean(axis=0) + 0.5) / (RANKED + 1)
        return [
            "## Ranks",
            "",
            "Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788): rank of the truth among",
            f"{RANKED} joint draws, in {BINS} bins. Of uniform ranks 95 % of the bins lie within {low:.2f} to",
            f"{high:.2f} of their expectation, and the mean rank is 0.5.",
            "",
            *table(
                ("energy MeV", "lowest bin", "highest bin", "bins in the band %", "mean rank"),
                [
                    (
                        f"{energy:g}",
                        f"{height.min():.2f}",
                        f"{height.max():.2f}",
                        f"{100 * float(((height >= low) & (height <= high)).mean()):.0f}",
                        f"{centre:.3f}",
                    )
                    for energy, height, centre in zip(ENERGIES, heights, mean, strict=True)
                ],
            ),
        ]


def coverage_table(rows: Sequence[Row]) -> list[str]:
    """Give a table with a column for every target."""
    columns = ("cases", "n", *_COLUMNS)
    lines = []
    for row in rows:
        shares = zip(row["in 68 %"], row["in 95 %"], row["median error"], strict=True)
        lines.append(
            (row["cases"], row["n"], *(f"{in_68:.1f} / {in_95:.1f} / {error:.3f}" for in_68, in_95, error in shares))
        )
    return table(columns, lines)


def method_tables(rows: Sequence[Row]) -> list[str]:
    """Give a table of the errors and one of the coverage."""

    def cell(value: float, text: str) -> str:
        return text if np.isfinite(value) else "-"

    errors, shares = [], []
    for row in rows:
        pairs = zip(row["error"], row["ratio"], row["ratio std"], strict=True)
        errors.append(
            (
                row["method"],
                *(cell(error, f"{error:.3f} ({ratio:.2f} ± {std:.2f})") for error, ratio, std in pairs),
                f"{row['pooled ratio']:.2f} ± {row['pooled ratio std']:.2f}",
                f"{row['pooled ratio, detected']:.2f} ± {row['pooled ratio, detected, std']:.2f}",
                f"{row['s']:.1f}",
            )
        )
        inside = zip(row["in 68 %"], row["in 95 %"], strict=True)
        shares.append(
            (
                row["method"],
                *(cell(in_68, f"{in_68:.0f} / {in_95:.0f}") for in_68, in_95 in inside),
                f"{row['pooled in 68 %']:.1f} / {row['pooled in 95 %']:.1f}",
                f"{max(row['answered %']):.0f}",
            )
        )
    return [
        "Median error in dex, and in brackets over that of bayes:",
        "",
        *table(("method", *_COLUMNS, "energies pooled", "pooled, detected only", "s for all"), errors),
        "",
        "Truths in the 68 % / 95 % interval (%):",
        "",
        *table(("method", *_COLUMNS, "energies pooled", "answered %"), shares),
    ]


def plain_table(rows: Sequence[Row], digits: int = 1) -> list[str]:
    """Give a table of rows of equal columns, numbers rounded."""
    cells = [[f"{value:.{digits}f}" if isinstance(value, float) else value for value in row.values()] for row in rows]
    return table(list(rows[0]), cells)
