"""Do the intervals hold the truth? Coverage of `npe` on simulated cases, and every method beside the exact posterior.

Run: python benchmarks/coverage.py [--n 20000] [--cases 500] [--methods bayes,npe,...] [--model NAME_OR_FOLDER]

Cases come from the prior that `npe` was trained on (random numbers of their own), from each of its four spectral forms
alone, and from the Weibull form, which no method was trained on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import IMAGES, arguments, load_model, write_result
from coverage_cases import (
    ENERGIES,
    Cases,
    draw,
    draw_common_background,
    draw_equal_errors,
    mixture,
    one_channel_each,
)
from coverage_joint import REFOLDED, histogram, judge, rank, refold
from coverage_methods import METHODS, RESPONSE_ERROR, answer_npe, compare
from coverage_page import TARGETS, Result
from coverage_plots import GOALS, plot_coverage, plot_ranks

from particleflux.instruments import Instrument, load_instrument
from particleflux.simulate import FAMILIES, HELD_OUT_FAMILIES, Range
from particleflux.unfold.npe import NpeUnfolder
from particleflux.unfold.npe_targets import NPE_SHIPPED

Array = npt.NDArray[np.float64]
Row = dict[str, Any]

#: Lower edges of the decades of signal over quiet background in PDH1, as powers of ten.
DECADES = tuple(range(-3, 5))
EXPOSURES = {"1 min": 60.0, "15 min": 900.0, "1 h": 3600.0, "1 day": 86400.0}
LEAST = (60.0, 90.0)
MAX_RATIO = 1.15


def coverage(npe: NpeUnfolder, cases: Cases, name: str) -> Row:
    """Shares of truths inside, and median error, at every target."""
    return score(answer_npe(npe, cases), cases.targets, name)


def score(found: Array, truth: Array, name: str) -> Row:
    is_there = np.isfinite(found).all(axis=(1, 2))
    found, truth = found[is_there], truth[is_there]
    return {
        "cases": name,
        "n": len(truth),
        "not answered": int((~is_there).sum()),
        "in 68 %": 100 * ((found[:, 1] <= truth) & (truth <= found[:, 3])).mean(axis=0),
        "in 95 %": 100 * ((found[:, 0] <= truth) & (truth <= found[:, 4])).mean(axis=0),
        "median error": np.median(np.abs(found[:, 2] - truth), axis=0) / np.log(10.0),
    }


def by_decade(npe: NpeUnfolder, cases: Cases) -> list[Row]:
    found, truth = answer_npe(npe, cases), cases.targets
    power = np.floor(np.log10(cases.strength)).astype(int)
    return [
        score(found[power == number], truth[power == number], f"1e{number} to 1e{number + 1}") for number in DECADES
    ]


def settings(npe: NpeUnfolder, instrument: Instrument, cases: Cases, n: int) -> list[Row]:
    """Coverage where channels are missing, where the background's error is common, and by accumulation."""
    channels = np.array(npe.channels)
    is_monitor = np.isin(channels, instrument.monitors)
    prior = mixture(instrument)
    rows = [
        coverage(npe, cases.without(is_monitor), f"{' and '.join(channels[is_monitor])} not read"),
        coverage(npe, cases.without(one_channel_each(cases)), "one channel at random not read"),
        coverage(
            npe,
            draw_common_background(prior, n, RESPONSE_ERROR, "common background error"),
            "background error common to all channels",
        ),
    ]
    for name, seconds in EXPOSURES.items():
        rows.append(coverage(npe, draw(mixture(instrument, exposure=Range(seconds, seconds)), n, name), name))
    return rows


def goals(covered: Sequence[Row], decades: Sequence[Row], ratios: Sequence[Row]) -> list[Row]:
    """Compare with what is asked for: of coverage at every target, of which the lowest and the highest are given."""

    def line(what: str, rows: Sequence[Row], which: int, limits: tuple[float, float]) -> Row:
        values = np.array([row["in 68 %" if which == 0 else "in 95 %"] for row in rows])
        low, high = limits
        asked = f"at least {low:g} %" if high == 100 else f"{low:g} to {high:g} %"
        met = bool((values >= low).all() and (values <= high).all())
        return {
            "what": what,
            "asked": asked,
            "lowest": f"{values.min():.1f} %",
            "highest": f"{values.max():.1f} %",
            "met": "yes" if met else "no",
        }

    result = []
    for which, name in enumerate(("68 %", "95 %")):
        result.append(line(f"mixture, truths in the {name} interval", covered[:1], which, GOALS["mixture"][which]))
        result.append(line(f"each family, in {name}", covered[1:], which, GOALS["family"][which]))
        result.append(line(f"each decade of intensity, in {name}", decades, which, (LEAST[which], 100.0)))
    for row in ratios:
        if row["method"] == "npe":
            pooled, single = float(row["pooled ratio"]), np.array(row["ratio"])
            what = "median error of npe over that of bayes"
            met = "yes" if pooled <= MAX_RATIO else "no"
            result.append(
                {"what": f"{what}, energies pooled", "asked": f"at most {MAX_RATIO:g}", "lowest": "",
                 "highest": f"{pooled:.2f} ± {row['pooled ratio std']:.2f}", "met": met}
            )  # fmt: skip
            result.append(
                {"what": f"{what}, each target", "asked": "", "lowest": f"{single.min():.2f}",
                 "highest": f"{single.max():.2f}", "met": ""}
            )  # fmt: skip
    return result


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.set_defaults(model=NPE_SHIPPED["proton"])
    parser.add_argument("--n", type=int, default=20_000, help="cases of each set (default: %(default)s)")
    parser.add_argument("--cases", type=int, default=500, help="cases that all methods share (default: %(default)s)")
    parser.add_argument("--methods", default=",".join(METHODS), help="methods to compare (default: %(default)s)")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder for the figures (default: docs/images)")
    chosen = parser.parse_args()
    names = [name for name in chosen.methods.split(",") if name]
    if unknown := [name for name in names if name not in METHODS]:
        parser.error(f"unknown methods {unknown}: choose some of {','.join(METHODS)}")
    instrument = load_instrument("radem")
    npe = NpeUnfolder(load_model(chosen.model), energies=ENERGIES)
    prior = mixture(instrument)

    def say(what: str) -> None:
        print(f"coverage: {what}", file=sys.stderr, flush=True)

    say("mixture and families")
    cases = draw(prior, chosen.n, "mixture")
    covered = [coverage(npe, cases, "mixture")]
    families = (*FAMILIES, *HELD_OUT_FAMILIES)
    covered += [coverage(npe, draw(mixture(instrument, [name]), chosen.n, name), name) for name in families]
    decades = by_decade(npe, cases)
    say("missing channels, background error, accumulations")
    others = settings(npe, instrument, cases, chosen.n)
    say("joint draws")
    response = prior.populations[0].response
    ranks, integrals = rank(npe, cases)
    refolded = refold(npe, cases[:REFOLDED], response)
    fit = judge(npe, cases, response.channels)
    say("methods")
    exact = [name for name in names if name in ("bayes", "npe")]
    own = compare(exact, npe, instrument, prior, draw(prior, chosen.cases, "methods"), own_errors=True)
    equal_cases = draw_equal_errors(prior, chosen.cases, RESPONSE_ERROR, "methods")
    equal = compare(names, npe, instrument, prior, equal_cases, own_errors=False)

    asked = goals(covered, decades, own)
    result = Result(
        asked, covered, decades, others, ranks, integrals, refolded, fit, own, equal, len(equal_cases.strength)
    )
    shares = {str(row["cases"]): (np.array(row["in 68 %"]), np.array(row["in 95 %"])) for row in covered}
    of_decades = np.array([row["in 68 %"] for row in decades]), np.array([row["in 95 %"] for row in decades])
    plot_coverage(chosen.images / "npe-coverage.png", TARGETS, shares, DECADES, of_decades)
    plot_ranks(chosen.images / "npe-ranks.png", histogram(ranks), len(ranks))
    write_result(
        "coverage", "Coverage on simulated truth", result.lines(), result.data(), folder=chosen.results,
        model=npe.artefact,
    )  # fmt: skip
    if missed := [str(row["what"]) for row in asked if row["met"] == "no"]:
        sys.exit("not met: " + "; ".join(missed))


if __name__ == "__main__":
    main()
