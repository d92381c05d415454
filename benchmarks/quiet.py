"""No false floor: what the methods say of quiet hours of October 2023 that their background was not measured from.

Each split measures the background from one part of the month and looks at every hour of the other. The true flux is not
known; the published neural ensemble shows about 0.07 cm-2 s-1 sr-1 MeV-1 on such days, where it is 100 times lower.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from common import arguments, load_model, radem_folder, table, write_result

from particleflux.instruments import load_instrument
from particleflux.io import open_radem
from particleflux.names import UNUSABLE, Quality
from particleflux.reconstruct import METHODS, Prepared, load_method, prepare
from particleflux.unfold.detector import Detector
from particleflux.unfold.npe_targets import NPE_SHIPPED
from particleflux.unfold.observation import DETECTION_SIGMA

#: MeV; the goal is of the second.
ENERGIES = (5.0, 10.0, 30.0, 60.0)
AT = 1
#: Least share of hours flagged as upper limits, and what their upper 95 % bound at 10 MeV must stay below.
GOAL_SHARE, GOAL_BOUND = 0.90, 0.1
#: Of the published ensemble, as quoted in the issue; not run here.
PUBLISHED_FLOOR = 0.07
#: An enhancement is what stands out this far in one channel for so many hours in a row.
ENHANCED_SIGMA, ENHANCED_HOURS = 2.0, 3


def splits(counts: xr.Dataset) -> dict[str, npt.NDArray[np.bool_]]:
    """Tell which samples each split tests; the background is of the others."""
    day = counts["time"].dt.day.to_numpy()
    return {
        "odd days, even days": day % 2 == 0,
        "even days, odd days": day % 2 == 1,
        "1-15, 16-31": day > 15,
        "16-31, 1-15": day <= 15,
    }


def describe(name: str, method: str, spectra: xr.Dataset) -> dict[str, Any]:
    """Sum up the hours of a split."""
    quality = spectra["quality"].to_numpy()
    usable = (quality & int(UNUSABLE | Quality.NOT_PROCESSED)) == 0
    bound, median = (spectra[key].to_numpy()[usable] for key in ("flux_upper95", "flux"))
    with warnings.catch_warnings():
        # A method need not answer at every energy.
        warnings.filterwarnings("ignore", "All-NaN (slice|axis) encountered", RuntimeWarning)
        summary = {
            "bound_median": np.nanmedian(bound, axis=0),
            "bound_max": np.nanmax(bound, axis=0),
            "flux_median": np.nanmedian(median, axis=0),
        }
    return {
        "split": name,
        "method": method,
        "hours": int(usable.sum()),
        "below_detection": float(((quality[usable] & int(Quality.BELOW_DETECTION)) != 0).mean()),
        **summary,
    }


def outliers(prepared: Prepared, detector: Detector) -> tuple[list[dict[str, Any]], list[str]]:
    """Find the hours in which a channel stands out, and the enhancements that last some hours."""
    observation, quality = detector.observe(prepared.counts, prepared.background)
    significance = observation.significance
    time = prepared.counts["time"].to_numpy()
    found = []
    for row in np.flatnonzero(((quality & int(UNUSABLE)) == 0) & (significance > DETECTION_SIGMA).any(axis=1)):
        at = int(significance[row].argmax())
        found.append({"hour": str(time[row])[:13], "channel": detector.channels[at], "sigma": significance[row, at]})
    high = significance > ENHANCED_SIGMA
    # Hours on either side of a gap are no neighbours.
    is_next = np.diff(time) == np.timedelta64(1, "h")
    run, enhancements = high.astype(int), []
    for later in range(1, len(high)):
        run[later] = np.where(high[later], 1 + is_next[later - 1] * run[later - 1], 0)
        start = str(time[max(later - ENHANCED_HOURS + 1, 0)])[:13]
        enhancements += [f"{detector.channels[at]} {start}" for at in np.flatnonzero(run[later] == ENHANCED_HOURS)]
    return found, enhancements


def row_of(item: dict[str, Any]) -> list[str]:
    return [
        item["split"],
        item["method"],
        str(item["hours"]),
        f"{item['below_detection']:.1%}",
        *(f"{low:.2g}, {high:.2g}" for low, high in zip(item["bound_median"], item["bound_max"], strict=True)),
        f"{item['flux_median'][AT]:.2g}",
    ]


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.set_defaults(model=NPE_SHIPPED["proton"])
    parser.add_argument("--methods", nargs="+", default=["npe", "ensemble"], choices=METHODS, help="beside each other")
    options = parser.parse_args()
    artefact = load_model(options.model)
    methods = {
        name: load_method(name, model=options.model if name == "npe" else None, energies=ENERGIES)
        for name in options.methods
    }
    detector = Detector.of_instrument(load_instrument("radem"))
    october = open_radem(radem_folder(), start="2023-10-01", stop="2023-10-31")
    rows: list[dict[str, Any]] = []
    seen: dict[str, list[dict[str, Any]]] = {}
    enhancements: dict[str, list[str]] = {}
    for name, tested in splits(october).items():
        prepared = prepare(october.isel(time=tested), background=october.isel(time=~tested), every="1h")
        seen[name], enhancements[name] = outliers(prepared, detector)
        rows += [describe(name, method, prepared.unfold(unfolder)) for method, unfolder in methods.items()]
    own = [item for item in rows if item["method"] == "npe"]
    n_seen = {name: len(found) for name, found in seen.items()}
    hours = max((item["hours"] for item in rows), default=0)
    chance = 1.0 - 0.99865**6
    lines = [
        "Every hour of one part of October 2023 with the background measured from the other part. 'Upper 95 %' gives",
        "the median and the largest of the hours, in cm-2 s-1 sr-1 MeV-1. Goals for `npe`: at least "
        f"{GOAL_SHARE:.0%} of the",
        f"hours flagged as upper limits, and an upper 95 % bound at 10 MeV below {GOAL_BOUND:g} in all of them. The",
        f"published ensemble shows a floor of about {PUBLISHED_FLOOR:g} (quoted).",
        "",
        *table(
            (
                "background, tested",
                "method",
                "hours",
                "below detection",
                *(f"upper 95 % at {energy:g} MeV" for energy in ENERGIES),
                "median flux at 10 MeV",
            ),
            map(row_of, rows),
        ),
        "",
        "Where nothing is seen the counts only give the upper bound. The median is then ruled by the prior that the",
        "networks were trained on (for `npe` signals down to a thousandth of the background, all decades alike): it is",
        "no measurement, and the flag says so.",
        "",
        "## Hours in which a channel stands out",
        "",
        f"Flagged as seen is an hour in which any channel stands above {DETECTION_SIGMA:g} standard deviations of its",
        f"background: {', '.join(f'{number} ({name})' for name, number in n_seen.items())}. Chance alone gives about",
        f"{chance:.1%} of the hours with six channels that are read, {chance * hours:.0f} of {hours}.",
        f"Chance does not make what lasts: one channel above {ENHANCED_SIGMA:g} standard deviations for "
        f"{ENHANCED_HOURS} hours in a row, of",
        f"which chance gives {0.02275**ENHANCED_HOURS * 6 * hours:.2f} a split, may be a small event. It begins at: "
        + "; ".join(f"{', '.join(starts) or 'none'} ({name})" for name, starts in enhancements.items())
        + ".",
        "",
        *table(
            ("background, tested", "hour", "channel", "standard deviations"),
            [
                (name, item["hour"], item["channel"], f"{item['sigma']:.1f}")
                for name, found in seen.items()
                for item in found
            ],
        ),
    ]
    write_result(
        "quiet",
        "Quiet hours of October 2023",
        lines,
        {"energy": ENERGIES, "rows": rows, "seen": n_seen, "enhancements": enhancements},
        folder=options.results,
        model=artefact,
    )
    missed = [
        f"{item['split']}: {item['below_detection']:.1%} below detection, at most {item['bound_max'][AT]:.2g}"
        for item in own
        if item["below_detection"] < GOAL_SHARE or not item["bound_max"][AT] < GOAL_BOUND
    ]
    if missed:
        sys.exit(f"goals of quiet time missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
