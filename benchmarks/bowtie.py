"""The bow-tie: its points against the published ones, and its fluxes of 2024-05-15 against STEREO-A.

The analysis is made of the Monte-Carlo tables and of the fitted response that ships. The background of October 2023 is
subtracted as it is (the same kind in every channel, as others did) and followed by the monitor channels, as users get
it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from common import arguments, data_folder, radem_folder, table, write_result

from particleflux.background import estimate_background
from particleflux.instruments import Instrument, load_instrument
from particleflux.io import open_radem
from particleflux.names import Quality
from particleflux.quality import screen
from particleflux.reconstruct import prepare
from particleflux.response import Response
from particleflux.simulate.mixture import FAMILIES, HELD_OUT_FAMILIES, Mixture, Population
from particleflux.unfold.bowtie import DEFAULT_INDICES, BowtieUnfolder
from particleflux.unfold.detector import Detector
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

#: Rodriguez-Garcia et al. (2025), arXiv:2506.05978: MeV, cm2 sr MeV, and what the fluxes of STEREO-A are over JUICE's.
PUBLISHED_ENERGY = np.array([6.9, 13.3, 21.6, 31.2])
PUBLISHED_FACTOR = np.array([0.214, 0.837, 1.22, 0.844])
PUBLISHED_RATIO = np.array([1.02, 1.23, 1.12, 0.95])
#: What is asked for: relative, of each point, and of the mean over the points.
POINT_GOAL, ERROR_GOAL = 0.05, 0.08
WINDOW = slice("2024-05-15T12:00", "2024-05-15T17:59:59")
BOUNDS = ("flux_lower95", "flux_lower", "flux", "flux_upper", "flux_upper95")
N_SIMULATED = 20000


def stereo(energy: Array) -> Array:
    """Fit of STEREO-A of the same paper, 2024-05-15 12-18 UT; the flux at its 0.1 MeV is 1.66e5."""
    low, high, bend, rollover, intensity = 2.26, 6.46, 3.73, 33.9, 1.66e5
    curve = (energy**bend + rollover**bend) / (0.1**bend + rollover**bend)
    return np.asarray(intensity * (energy / 0.1) ** -low * curve ** ((low - high) / bend))


def make(radem: Instrument, response: Response | None = None, **settings: Any) -> BowtieUnfolder:
    detector = Detector.of_instrument(radem)
    if response is not None:
        detector = detector.replace(response=response.select(list(detector.channels)))
    return BowtieUnfolder.of_instrument(radem, detector=detector, **settings)


def off(unfolder: BowtieUnfolder) -> tuple[Array, Array]:
    """Give how far energies and factors are from the published ones, relative."""
    energy, factor = (
        np.array([getattr(tie, name) for tie in unfolder.points]) for name in ("effective_energy", "factor")
    )
    return energy / PUBLISHED_ENERGY - 1.0, factor / PUBLISHED_FACTOR - 1.0


def report_points(radem: Instrument, tables: Response) -> tuple[list[str], dict[str, Any]]:
    """Write down the points of both responses, and what they hang on."""
    lines, data = ["## Points", ""], {}
    for name, response in (("Monte-Carlo tables", tables), ("fitted response (ships)", None)):
        unfolder = make(radem, response)
        energy_off, factor_off = off(unfolder)
        worst = float(max(np.abs(energy_off).max(), np.abs(factor_off).max()))
        rows = [
            (
                tie.name,
                f"{tie.effective_energy:.2f} ({energy_off[i]:+.1%})",
                f"{tie.factor:.3f} ({factor_off[i]:+.1%})",
                f"{tie.spread:.1%}",
                f"{tie.shape_error:.1%}",
                f"{tie.penetration:.2f}",
            )
            for i, tie in enumerate(unfolder.points)
        ]
        titles = ("", "energy (MeV)", "G*dE (cm2 sr MeV)", "spread", "shape error", "penetration")
        met = "met" if worst <= POINT_GOAL else "**missed**"
        lines += [
            f"From the {name}; in brackets the difference from the published figure:",
            "",
            *table(titles, rows),
            "",
        ]
        lines += [f"Largest difference {worst:.1%}; goal {POINT_GOAL:.0%}: {met}.", ""]
        data[name] = {"energy": unfolder.effective_energies, "factor": [tie.factor for tie in unfolder.points],
                      "spread": [tie.spread for tie in unfolder.points], "worst": worst}  # fmt: skip
    others = []
    for highest in (60.0, 65.0, 70.0, 72.0, 75.0, 80.0):
        for indices in (DEFAULT_INDICES, (2.0, 4.0), (1.5, 5.0), (2.0, 5.0)):
            energy_off, factor_off = off(make(radem, highest_energy=highest, indices=indices))
            others.append((f"{highest:g}", f"{indices[0]:g} to {indices[1]:g}", f"{np.abs(energy_off).max():.1%}",
                         f"{np.abs(factor_off).max():.1%}"))  # fmt: skip
    lines += [
        "Which energies and indices the published figures were made with is not known here. 1.5 to 4.5 and 70 MeV were",
        "chosen because they give those figures, and by nothing else: that there must be an upper end follows from the",
        "tables, which rise tenfold and more between 60 and 100 MeV where protons come through the walls. Largest",
        "differences from the published figures for other choices (fitted response):",
        "",
        *table(("up to (MeV)", "indices", "energy", "G*dE"), others),
        "",
    ]
    return lines, data


def report_fluxes(radem: Instrument, tables: Response) -> tuple[list[str], dict[str, Any]]:
    """Write down 2024-05-15 with both backgrounds, both responses, and the published points."""
    quiet = open_radem(radem_folder() / "radem_raw_sc_202310*.cdf")
    prepared = prepare(open_radem(radem_folder() / "radem_raw_sc_20240515*.cdf"), background=quiet)
    fixed = estimate_background(screen(quiet, radem), radem).expand_dims(time=prepared.counts["time"])
    rows, data = [], {}
    for kind, background in (("October 2023 as it is", fixed), ("followed", prepared.background)):
        for name, response in (("fitted", None), ("tables", tables)):
            unfolder = make(radem, response)
            found = unfolder.unfold(prepared.counts, background).sel(time=WINDOW)
            truth = stereo(found["energy"].to_numpy())
            low95, low, flux, high, high95 = (found[bound].mean("time").to_numpy() for bound in BOUNDS)
            error = flux / truth - 1.0
            n_inside = int(((low <= truth) & (truth <= high)).sum()), int(((low95 <= truth) & (truth <= high95)).sum())
            rows.append(row(f"{kind}, {name}", error, f"{n_inside[0]} / {n_inside[1]} of 4"))
            data[f"{kind}, {name}"] = {"error": error, "mean": np.abs(error).mean(), "inside_68_95": n_inside,
                                       "samples": int(found["flux"].notnull().all("energy").sum())}  # fmt: skip
        error = published_error(radem, prepared.counts.sel(time=WINDOW), background.sel(time=WINDOW))
        rows.append(row(f"{kind}, published points", error, ""))
        data[f"{kind}, published points"] = {"error": error, "mean": np.abs(error).mean()}
    rows.append(row("published (JUICE over STEREO-A)", 1.0 / PUBLISHED_RATIO - 1.0, ""))
    unfolder = make(radem)
    folded = own_error(unfolder)
    rows.append(row("analysis alone", folded, ""))
    data["analysis alone"] = {"error": folded, "mean": np.abs(folded).mean()}
    held = int(((prepared.background["quality"].sel(time=WINDOW) & int(Quality.BACKGROUND_HELD)) != 0).sum())
    users = data["followed, fitted"]
    consistent = data["October 2023 as it is, fitted"]
    lines = [
        "## 2024-05-15, 12 to 18 UT",
        "",
        "Mean of 24 accumulations of 15 minutes over the fit of STEREO-A at the same energies, minus one. 'Inside'",
        "counts the points whose mean 68 % / 95 % interval holds the fit.",
        "",
        *table(("", *(f"{item:g} MeV" for item in PUBLISHED_ENERGY), "mean of absolute", "inside"), rows),
        "",
        f"Goal: at most {ERROR_GOAL:.0%}. October 2023 as it is: {consistent['mean']:.1%} ({tell(consistent)});",
        f"followed, as users get it: {users['mean']:.1%} ({tell(users)}). {users['samples']} of 24 samples have all",
        f"points; the level was carried over in {held}.",
        "",
        "The row of the published points with October 2023 as it is has the errors found before (2, 8, 9, 11 %): that",
        "is what was meant there. Galactic cosmic rays are lower in May 2024 than in October 2023, so the followed",
        "background is the better one in physics. It is smaller, by more in the second channel of a pair than in the",
        "first, and the difference falls. (PDH2, whose background does not go with the level, has the same in both.)",
        "",
        "'Analysis alone' is the fit of STEREO-A folded with the fitted response and analysed without counts: the",
        "error of the method for a spectrum that bends, which the shape error in the intervals stands for. Its mean is",
        "larger than that of the errors found. Some of the agreement is therefore luck: RADEM, 0.1 au away, counted",
        "more than the spectrum of STEREO-A makes in it, and the analysis gives too little of what was counted.",
        "",
    ]
    return lines, data


def tell(found: dict[str, Any]) -> str:
    return "met" if found["mean"] <= ERROR_GOAL else "**missed**"


def row(name: str, error: Array, inside: str) -> tuple[str, ...]:
    return (name, *(f"{value:+.1%}" for value in error), f"{np.abs(error).mean():.1%}", inside)


def published_error(radem: Instrument, counts: xr.Dataset, background: xr.Dataset) -> Array:
    """Take the published energies and factors."""
    seconds = counts["exposure"]
    rate = (counts["counts"].sum("time") - (background["background_rate"] * seconds).sum("time")) / seconds.sum()
    net = [float(rate.sel(channel=first) - rate.sel(channel=second)) for first, second in pairs(radem)]
    return np.asarray(np.array(net) / PUBLISHED_FACTOR / stereo(PUBLISHED_ENERGY) - 1.0)


def own_error(unfolder: BowtieUnfolder) -> Array:
    """Fold the fit of STEREO-A and analyse it."""
    response = unfolder.detector.response
    flux = stereo(np.sqrt(np.maximum(response.energy_lower, 1e-3) * response.energy_upper))
    rate = response.fold(response.label(flux))
    net = [
        float(rate.sel(channel=tie.combination[0]) - rate.sel(channel=tie.combination[1])) for tie in unfolder.points
    ]
    factors = np.array([tie.factor for tie in unfolder.points])
    return np.asarray(np.array(net) / factors / stereo(np.array(unfolder.effective_energies)) - 1.0)


def pairs(radem: Instrument) -> list[tuple[str, str]]:
    return [(item[0], item[1]) for item in radem.bow_tie["proton"].combinations]


def report_simulated(radem: Instrument) -> tuple[list[str], dict[str, Any]]:
    """Write down how often the intervals hold simulated spectra."""
    unfolder = make(radem)
    response = radem.response().select(list(unfolder.channels))
    rows, data = [], {}
    cases = {"all trained on": FAMILIES, **{name: (name,) for name in (*FAMILIES, *HELD_OUT_FAMILIES)}}
    for name, families in cases.items():
        mixture = Mixture((Population(response, "PDH1", families=families),), radem.quiet_rate)
        rng = np.random.default_rng(1)
        draw = mixture.draw(N_SIMULATED, rng, energies=[unfolder.effective_energies], thresholds=[[10.0]])
        observation = Observation(
            draw.counts, draw.background, draw.background_error, draw.background_common, draw.response_error,
            np.ones(draw.counts.shape, dtype=bool), draw.exposure,
        )  # fmt: skip
        # Bare arrays, as the method makes them of a dataset: no need to label twenty thousand times.
        quantiles, _, doubtful = unfolder._solve(observation)
        truth = np.exp(draw.log_flux[0])
        told = np.isfinite(quantiles).all(axis=1)
        seen = told & (quantiles[:, 1] > 0)
        inside = [(quantiles[:, i] <= truth) & (truth <= quantiles[:, 4 - i]) for i in (1, 0)]
        error = np.abs(np.log10(np.where(seen, quantiles[:, 2], truth) / truth))
        values = {
            "inside_68": inside[0][told].mean(), "inside_95": inside[1][told].mean(),
            "below_upper95": (truth <= quantiles[:, 4])[told].mean(), "seen": seen.mean(),
            "inside_68_seen": inside[0][seen].mean(), "inside_95_seen": inside[1][seen].mean(),
            "median_error_dex_seen": np.median(error[seen]), "extrapolated": doubtful.mean(),
            "refused": 1 - told.mean(),
        }  # fmt: skip
        rows.append((name, *(f"{value:.3f}" if "dex" in key else f"{value:.1%}" for key, value in values.items())))
        data[name] = values
    titles = ("family", "in 68 %", "in 95 %", "below upper 95 %", "seen", "seen: in 68 %", "seen: in 95 %",
              "seen: median error (dex)", "samples EXTRAPOLATED", "points NaN")  # fmt: skip
    lines = [
        "## Simulated spectra",
        "",
        f"{N_SIMULATED} samples of each, prior of `simulate.mixture`; all four points together. A point is seen where",
        "its 68 % interval does not reach zero.",
        "",
        *table(titles, rows),
        "",
        "Of the points that are seen the intervals hold too little, least for power laws: the prior goes on to index",
        "7, the analysis to 4.5. Part of it is the choice itself: chance lifts a point above zero. The limits hold.",
    ]
    return lines, data


def main() -> None:
    options = arguments(__doc__ or "", model=False).parse_args()
    radem = load_instrument("radem")
    tables = radem.open_response(data_folder() / "radem" / "response")
    parts = [report_points(radem, tables), report_fluxes(radem, tables), report_simulated(radem)]
    names = ("points", "fluxes", "simulated")
    write_result(
        "bowtie",
        "Bow-tie analysis of RADEM",
        [line for lines, _ in parts for line in lines],
        {name: data for name, (_, data) in zip(names, parts, strict=True)},
        folder=options.results,
    )


if __name__ == "__main__":
    main()
