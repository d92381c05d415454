"""Electrons beside protons: whether intervals and limits hold, and what May 2024 shows beside HET on STEREO-A.

Run: python benchmarks/electrons.py [--n 20000] [--model NAME_OR_FOLDER]

Simulated cases come from the prior that the joint model was trained on, with random numbers of their own. The measured
data are windows of May 2024 against HET, 0.1 au away, and quiet days, on which there is nothing to measure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import xarray as xr
from common import IMAGES, arguments, data_folder, load_model, radem_folder, sections, write_result
from quiet import splits

from particleflux.artefact import Artefact
from particleflux.instruments import Instrument, load_instrument
from particleflux.io import open_radem, open_stereo_het
from particleflux.names import UNUSABLE, Quality
from particleflux.reconstruct import Prepared, prepare
from particleflux.simulate import Mixture, MixtureDraw, Population, Range
from particleflux.unfold.npe import LEAST_FIT, LIMIT_FACTOR, NpeUnfolder
from particleflux.unfold.npe_targets import NPE_SHIPPED
from particleflux.unfold.observation import Observation

Array: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Row: TypeAlias = dict[str, Any]
Tables: TypeAlias = dict[str, list[Row]]

ENERGIES = {"proton": (5.0, 10.0, 20.0, 50.0), "electron": (0.5, 1.0, 2.0, 5.0)}
THRESHOLDS = {"proton": (), "electron": (0.5, 1.0, 2.0)}
#: Channel in which the two species are weighed against each other.
REFERENCE = "EDH1"
#: Lower edges of the decades of electron signal over quiet background in `REFERENCE`, as powers of ten.
DECADES = tuple(range(-3, 5))
#: Of all random numbers; no training used it.
SEED = 5_050_505
LENGTHS = ("2h", "1h")
#: cm-2 s-1 sr-1 MeV-1; above this HET saw an event at 1 MeV.
EVENT_FLUX = 0.1
QUIET_MAY = slice("2024-05-01", "2024-05-08")
_TINY = 1e-300
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#8C8C8C"  # two of them of Okabe and Ito's palette


@dataclass(frozen=True)
class Answer:
    """What the method says of n simulated cases, and the truth; targets are energies, then thresholds.

    Attributes
    ----------
    found : ndarray, shape (n, 5, target)
        Natural logarithm of the quantiles, before any is refused.
    truth : ndarray, shape (n, target)
        The same of the truth.
    is_refused, is_limit : ndarray of bool, shape (n,) and (n, target)
        Where the counts are not explained, and where an upper limit is all that is given.
    """

    found: Array
    truth: Array
    is_refused: Flags
    is_limit: Flags

    def score(self, target: int, rows: Flags, /, **labels: object) -> Row:
        """Count how often intervals and limits hold; percentages, NaN where there is no case."""
        found, truth = self.found[rows, :, target], self.truth[rows, target]
        below, above = truth[:, None] < found, truth[:, None] > found
        in68, in95 = ~(below[:, 1] | above[:, 3]), ~(below[:, 0] | above[:, 4])
        answered = ~self.is_refused[rows]
        limit = answered & self.is_limit[rows, target]
        measured = answered & ~self.is_limit[rows, target]
        error = np.abs(found[:, 2] - truth)[measured] / np.log(10.0)
        return {
            **labels,
            "cases": len(truth),
            "in 68 %": _share(in68),
            "in 95 %": _share(in95),
            "measured": _share(measured),
            "of these in 68 %": _share(in68[measured]),
            "of these in 95 %": _share(in95[measured]),
            "wholly too high": _share(below[measured, 0]),
            "wholly too low": _share(above[measured, 4]),
            "median error (dex)": float(np.median(error)) if error.size else np.nan,
            "limits": _share(limit),
            "of these below the truth": _share(above[limit, 4]),
            "no answer": _share(~answered),
        }


def _share(flags: Flags) -> float:
    return 100.0 * float(flags.mean()) if flags.size else np.nan


def prior_of(artefact: Artefact, instrument: Instrument) -> Mixture:
    """Make the prior that a model was trained on from its card; torch is not needed for it."""
    prior = artefact.card["prior"]
    channels = list(artefact.card["channels"])
    populations = []
    for item in prior["populations"]:
        response = instrument.response(item["species"], artefact.card["configurations"][0]).select(channels)
        parameters = {
            name: {key: Range(**value) for key, value in ranges.items()} for name, ranges in item["families"].items()
        }
        signal = Range(**item["signal"])
        populations.append(Population(response, item["reference_channel"], signal, tuple(parameters), parameters))
    settings: dict[str, Any] = {
        key: Range(**value) if isinstance(value, dict) and "low" in value else value
        for key, value in prior.items()
        if key != "populations"
    }
    mixture = Mixture(tuple(populations), **settings)
    if mixture.describe() != prior:
        sys.exit(f"the prior on the card of {artefact.name} cannot be drawn from with this version: train it again")
    return mixture


def observed(drawn: MixtureDraw, is_read: Flags) -> Observation:
    """Give what the method is told of the cases."""
    # Of no background there is no error.
    error, common = (
        np.where(drawn.background > 0, values, 0.0) for values in (drawn.background_error, drawn.background_common)
    )
    counts, background, error, common = (
        np.where(is_read, item, 0.0) for item in (drawn.counts, drawn.background, error, common)
    )
    everywhere = np.broadcast_to(is_read, counts.shape)
    return Observation(counts, background, error, common, drawn.response_error, everywhere, drawn.exposure)


def answer(npe: NpeUnfolder, drawn: MixtureDraw, is_read: Flags) -> Answer:
    """Unfold simulated cases of one species, each with errors of its own; refuse as `NpeUnfolder.unfold` does."""
    names = [item["species"] for item in npe.artefact.card["populations"]]
    number = names.index(npe.species)
    given = [float(value) for value in npe.artefact.card["populations"][number]["thresholds"]]
    above = [given.index(level) for level in THRESHOLDS[npe.species]]
    predicted = npe.predict(observed(drawn, is_read))
    found = np.log(np.maximum(np.concatenate([predicted.flux, predicted.integral[..., above]], axis=2), _TINY))
    truth = np.concatenate([drawn.log_flux[number], drawn.log_integral[number]], axis=1)
    # Only the particles beside others are refused.
    beside = number > 0
    is_refused = beside & (predicted.fit_probability < LEAST_FIT)
    is_limit = beside & (found[:, 4] - found[:, 0] > np.log(LIMIT_FACTOR))
    return Answer(found, truth, is_refused, is_limit)


def simulate(artefact: Artefact, n: int) -> Tables:
    """Score both species on n cases with all channels, and on n without the monitors."""
    instrument = load_instrument("radem")
    mixture = prior_of(artefact, instrument)
    species = [population.response.species for population in mixture.populations]
    at = mixture.channels.index(REFERENCE)
    groups_of, decades, monitors, protons_of = (list[Row]() for _ in range(4))
    is_monitor = np.isin(mixture.channels, instrument.monitors)
    for stream, is_read in enumerate((np.ones_like(is_monitor), ~is_monitor)):
        drawn = mixture.draw(
            n,
            np.random.default_rng([SEED, stream]),
            energies=[ENERGIES[name] for name in species],
            thresholds=[THRESHOLDS[name] for name in species],
        )
        electrons, protons = (drawn.signal[:, species.index(name), at] for name in ("electron", "proton"))
        everything = np.ones(n, dtype=bool)
        groups = {
            "all": everything,
            "electrons make more": electrons > protons,
            "protons make 1 to 10 times more": (electrons <= protons) & (protons < 10 * electrons),
            "protons make over 10 times more": protons >= 10 * electrons,
        }
        decade = np.floor(np.log10(electrons / (drawn.exposure * instrument.quiet_rate[REFERENCE]))).astype(int)
        for name in species:
            npe = NpeUnfolder(artefact, species=name, energies=ENERGIES[name])
            result = answer(npe, drawn, is_read)
            targets = [f"{energy:g} MeV" for energy in ENERGIES[name]]
            targets += [f"> {level:g} MeV" for level in THRESHOLDS[name]]
            for i, target in enumerate(targets):
                if stream > 0:
                    monitors.append(result.score(i, everything, species=name, target=target))
                    continue
                (protons_of if name == "proton" else groups_of).extend(
                    result.score(i, rows, target=target, group=group) for group, rows in groups.items()
                )
                if name == "electron":
                    decades += [
                        result.score(i, decade == power, target=target, strength=f"1e{power} to 1e{power + 1}")
                        for power in DECADES
                    ]
    return {
        "Simulated cases: by what makes more counts in EDH1": groups_of,
        "Simulated cases: by electron signal over quiet background in EDH1": decades,
        "Simulated cases: PDH7 and PDH8 not read, as where the background was read off them": monitors,
        "Simulated cases: protons of the same model, of which nothing is refused": [
            {key: row[key] for key in ("target", "group", "cases", "in 68 %", "in 95 %")} for row in protons_of
        ],
    }


def windows(prepared: Prepared, npe: NpeUnfolder, het: xr.Dataset, length: str) -> xr.Dataset:
    """Unfold, with HET's mean flux at the same times and what was made of each window."""
    spectra = prepared.unfold(npe)
    bad = (spectra["quality"] & int(UNUSABLE)) != 0
    unanswered = (spectra["quality"] & int(Quality.NOT_PROCESSED)) != 0
    reference = het["flux"].resample(time=length).mean().reindex(time=spectra["time"])
    return spectra.assign(
        het=(("time", "energy"), reference.to_numpy()),
        is_refused=unanswered & ~bad,
        is_measured=spectra["flux"].notnull(),
        is_limit=spectra["flux"].isnull() & spectra["flux_upper95"].notnull(),
    )


def compare(found: xr.Dataset, at: int, length: str) -> Row:
    """Sum up the windows at one of HET's energies."""
    part = found.isel(energy=at)
    het, upper, lower = (part[name].to_numpy() for name in ("het", "flux_upper95", "flux_lower95"))
    there = np.isfinite(het)
    event = found["het"].isel(energy=0).to_numpy() > EVENT_FLUX
    measured, limit = (part[name].to_numpy() & there for name in ("is_measured", "is_limit"))
    ratio = part["flux"].to_numpy()[measured] / het[measured]
    broken = limit & (het > upper)
    over = upper / np.maximum(het, _TINY)
    return {
        "windows of": length,
        "MeV": float(part["energy"]),
        "answered": int((measured | limit).sum()),
        "no answer": int((part["is_refused"].to_numpy() & there).sum()),
        "measured": int(measured.sum()),
        "RADEM/HET, median": float(np.median(ratio)) if ratio.size else np.nan,
        "from, to": np.array([ratio.min(), ratio.max()]) if ratio.size else "",
        "HET inside 95 %": int(((lower <= het) & (het <= upper))[measured].sum()),
        "limits": int(limit.sum()),
        "HET above": int(broken.sum()),
        "limits in events": int((limit & event).sum()),
        "HET above, in events": int((broken & event).sum()),
        "limit/HET, median in events": float(np.median(over[limit & event])),
        "limit/HET, median at other times": float(np.median(over[limit & ~event])),
        "HET above at (day/hour)": _days(part["time"].to_numpy()[broken]),
    }


def _days(times: npt.NDArray[np.datetime64]) -> str:
    return ", ".join(f"{str(time)[8:10]}/{str(time)[11:13]}" for time in times)


def list_measured(found: xr.Dataset) -> list[Row]:
    """List the windows in which the lowest of HET's energies was measured."""
    part = found.isel(energy=0)
    seen = part.isel(time=np.flatnonzero(part["is_measured"].to_numpy()))
    return [
        {
            "start (UTC)": str(one["time"].to_numpy())[:16],
            "RADEM": float(one["flux"]),
            "95 %": np.array([one["flux_lower95"], one["flux_upper95"]], dtype=float),
            "HET": float(one["het"]),
            "fit probability": float(one["fit_probability"]),
        }
        for one in (seen.isel(time=number) for number in range(seen.sizes["time"]))
    ]


def look_at_quiet(npe: NpeUnfolder, october: xr.Dataset, may: xr.Dataset, length: str) -> list[Row]:
    """Look for measurements where there is nothing to measure."""
    parts = {
        f"October 2023, {name}": (october.isel(time=~tested), october.isel(time=tested))
        for name, tested in splits(october).items()
    }
    parts["October 2023, 1-8 May 2024"] = (october, may.sel(time=QUIET_MAY))
    rows = []
    for name, (background, tested) in parts.items():
        spectra = prepare(tested, background=background, every=length).unfold(npe)
        usable = ((spectra["quality"] & int(UNUSABLE)) == 0).to_numpy()
        bound, is_false = spectra["flux_upper95"].to_numpy()[usable], spectra["flux"].notnull().to_numpy()
        false = {f"false, {energy:g} MeV": int(n) for energy, n in zip(npe.energies, is_false.sum(axis=0), strict=True)}
        limits = np.stack([np.nanmedian(bound, axis=0), np.nanmax(bound, axis=0)], axis=1)
        rows.append(
            {
                "background, tested": name,
                "windows of": length,
                "windows": int(usable.sum()),
                "no answer": int(np.isnan(bound[:, 0]).sum()),
                **false,
                **{f"limit, {energy:g} MeV": pair for energy, pair in zip(npe.energies, limits, strict=True)},
                "false at (day/hour)": _days(spectra["time"].to_numpy()[is_false.any(axis=1)]),
            }
        )
    return rows


def draw(found: xr.Dataset, path: Path) -> None:
    """Draw the flux at HET's lowest energy: what was measured, limits, and HET."""
    part = found.isel(energy=0).sel(time=slice("2024-05-09", "2024-05-20"))
    time = part["time"].to_numpy()
    step = time[1] - time[0]
    middle, upper = time + step // 2, part["flux_upper95"].to_numpy()
    is_limit, is_measured, is_refused = (part[name].to_numpy() for name in ("is_limit", "is_measured", "is_refused"))
    flux, lower = part["flux"].to_numpy()[is_measured], part["flux_lower95"].to_numpy()[is_measured]
    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(9.5, 4.2), layout="constrained")
        limits = np.where(is_limit, upper, np.nan)
        axes.hlines(limits, time, time + step, color=_GREY, lw=1.4, label="npe, upper limit (97.5 %)")
        axes.plot(middle, limits * 0.9, ls="", marker="v", ms=2.4, color=_GREY)
        for number, start in enumerate(time[is_refused]):
            axes.axvspan(start, start + step, color=_GREY, alpha=0.25, lw=0, label=None if number else "npe, no answer")
        axes.plot(middle, part["het"], color=_ORANGE, lw=1.4, label="HET on STEREO-A")
        axes.errorbar(
            middle[is_measured], flux, [flux - lower, upper[is_measured] - flux], fmt="o", ms=4.5, color=_BLUE,
            elinewidth=1.3, capsize=2.0, label="npe, measured (95 %)",
        )  # fmt: skip
        axes.set(
            yscale="log", ylabel="Electron flux (cm$^{-2}$ s$^{-1}$ sr$^{-1}$ MeV$^{-1}$)", xlabel="May 2024 (UTC)"
        )
        axes.set_title(f"Electrons of {float(part['energy']):.2g} MeV, two-hour windows", loc="left", fontsize=10)
        axes.grid(color="#E6E6E6", lw=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(mdates.DayLocator())
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%-d"))
        axes.set_xlim(np.datetime64("2024-05-09"), np.datetime64("2024-05-21"))
        axes.legend(loc="upper right", fontsize=8)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
        plt.close(figure)


def shown(rows: Sequence[Row]) -> list[Row]:
    """Write the numbers of a table: three digits, percentages of simulated cases with one decimal."""

    def write(value: object) -> object:
        if isinstance(value, np.ndarray):
            return " to ".join(f"{number:.2g}" for number in value)
        if isinstance(value, float):
            return "-" if np.isnan(value) else f"{value:.2f}" if value < 10 else f"{value:.1f}"
        return value

    return [{key: write(value) for key, value in row.items()} for row in rows]


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.set_defaults(model=NPE_SHIPPED["electron"])
    parser.add_argument("--n", type=int, default=20_000, help="simulated cases (default: %(default)s)")
    parser.add_argument("--figure", type=Path, default=IMAGES / "electrons.png", help="where the figure goes")
    options = parser.parse_args()
    artefact = load_model(options.model)
    data = data_folder()
    tables = simulate(artefact, options.n)
    het = open_stereo_het(data / "stereo" / "HETA-MayEvt.txt", species="electron")
    october = open_radem(radem_folder(), start="2023-10-01", stop="2023-10-31")
    may = open_radem(radem_folder(), start="2024-05-01", stop="2024-05-31")
    beside = NpeUnfolder(artefact, species="electron", energies=tuple(het["energy"].to_numpy().tolist()))
    alone = NpeUnfolder(artefact, species="electron", energies=ENERGIES["electron"])
    found = {length: windows(prepare(may, background=october, every=length), beside, het, length) for length in LENGTHS}
    tables["May 2024 beside HET on STEREO-A"] = [
        compare(item, at, length) for length, item in found.items() for at in range(het.sizes["energy"])
    ]
    tables |= {
        f"Windows of {length} measured at 1 MeV in May 2024": list_measured(item) for length, item in found.items()
    }
    tables["Quiet days"] = [row for length in LENGTHS for row in look_at_quiet(alone, october, may, length)]
    draw(found[LENGTHS[0]], options.figure)
    write_result(
        "electrons",
        "Electrons beside protons",
        [*explain(options.n), "", *sections({heading: shown(rows) for heading, rows in tables.items()})],
        {"n": options.n, "tables": tables},
        folder=options.results,
        model=artefact,
    )


def explain(n: int) -> list[str]:
    """Say what the tables count."""
    return [
        f"Simulated: {n} cases of the prior of the model, all channels read but where a heading says otherwise, in",
        "per cent; `in 68 %` and `in 95 %` are of the intervals before any is refused. Measured is what has a",
        f"95 % interval narrower than a factor {LIMIT_FACTOR:.0f}; of the rest the upper bound is given as a limit.",
        "Over all cases 2.5 % of limits are nominally below the truth, 2.5 % of intervals wholly too high, and as",
        "many too low; in groups that are chosen by the truth it may be otherwise. No answer where the fit",
        f"probability is below {LEAST_FIT:g}.",
        "",
        "May 2024: background of October 2023, fluxes in cm-2 s-1 sr-1 MeV-1. `HET above` are limits that HET exceeds;",
        f"in events is where HET shows more than {EVENT_FLUX:g} at 1 MeV. HET's own errors are not allowed for.",
        "",
        "Quiet days: background from one part of October 2023, looked at the other; and 1 to 8 May with all of it.",
        "Any measurement is false. Limits are median to largest.",
    ]


if __name__ == "__main__":
    main()
