"""RADEM on JUICE against LET and HET on STEREO-A, 0.1 au away, in May 2024.

The command line runs as a user would run it, with default settings. The main figures are of 2024-05-15 12-18 UT, in
15-minute accumulations with October 2023 as background: the mean over the 24 samples of their medians, and of each of
their bounds. Errors of the response and of the background are common to the samples and do not average down, so the
mean bound is the honest one of the mean; counting noise, which would average down, is in it too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import xarray as xr
from common import IMAGES, arguments, data_folder, load_model, table, write_result

from particleflux.export import open_spectra
from particleflux.io import open_stereo_het, open_stereo_let
from particleflux.names import UNUSABLE, Quality
from particleflux.summary import summarise

Array: TypeAlias = npt.NDArray[np.float64]

FIRST_DAY, LAST_DAY = 10, 20
#: MeV; where the root mean square is asked for.
BAND = (6.0, 60.0)
GOAL = 0.055
#: Channels of LET that are compared, by their lower edges in MeV.
LET_EDGES = (4.0, 12.0)
#: Windows of other days are compared where LET sees this flux at 6-8 MeV and HET this precision at 26.3-29.7 MeV.
LEAST_FLUX, MOST_ERROR = 1.0, 0.05
#: A channel of STEREO with a larger relative error than this is left out of a window.
WORST_ERROR = 0.2
#: The published deep ensembles on the same samples, as quoted in the project's list of baselines: their own recipe,
#: rates minus a background chosen as mean plus six standard deviations; not run here.
PUBLISHED = (0.75, 0.74, 0.82, 0.87, 0.98, 1.07, 1.10, 1.08, 0.96, 1.11, 1.10, 1.12, 1.11, 1.21, 1.34, 1.43, 1.42)
PUBLISHED_RMS, PUBLISHED_RMS_ALL = 0.069, 0.086
#: A window is steady where LET's hourly flux at 6-8 MeV changes by less than this factor.
STEADY = 2.0
BOUNDS = ("flux_lower95", "flux_lower", "flux", "flux_upper", "flux_upper95")


@dataclass(frozen=True)
class Window:
    """Mean of some hours: STEREO's flux and its statistical error, and the five quantiles of RADEM's; (energy,).

    `change` is the highest over the lowest hourly flux of LET at 6-8 MeV: how far the two spacecraft can be compared.
    """

    start: np.datetime64
    reference: Array
    reference_std: Array
    quantiles: Array
    change: float
    n_usable: int

    @property
    def ratio(self) -> Array:
        """Median of RADEM over STEREO."""
        return np.asarray(self.quantiles[2] / self.reference)

    def rms(self, energies: Array, low: float = BAND[0], high: float = BAND[1]) -> float:
        """Root mean square of log10(flux / STEREO) over a band, where STEREO measures well."""
        chosen = (energies >= low) & (energies <= high) & self.is_measured
        return float(np.sqrt((np.log10(self.ratio[chosen]) ** 2).mean()))

    @property
    def is_measured(self) -> npt.NDArray[np.bool_]:
        """Which channels STEREO measured with a useful precision."""
        return np.asarray((self.reference > 0) & (self.reference_std < WORST_ERROR * self.reference))

    @property
    def is_inside(self) -> npt.NDArray[np.bool_]:
        """Which of STEREO's values lie in the 95 % interval."""
        return np.asarray((self.quantiles[0] <= self.reference) & (self.reference <= self.quantiles[4]))


def stereo(folder: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Read LET (the channels compared) and HET."""
    let = open_stereo_let(folder / "stereo" / "LET_2024-05.txt")
    low, high = LET_EDGES
    let = let.isel(energy=(let["energy_lower"].to_numpy() >= low) & (let["energy_upper"].to_numpy() <= high))
    return let, open_stereo_het(folder / "stereo" / "HETA-MayEvt.txt")


def between(data: xr.Dataset, start: np.datetime64, hours: int = 6) -> xr.Dataset:
    moment = data["time"].to_numpy()
    return data.isel(time=(moment >= start) & (moment < start + np.timedelta64(hours, "h")))


def mean_of(data: xr.Dataset) -> tuple[Array, Array]:
    """Average measured spectra over time; the errors are statistical and independent."""
    flux, std = data["flux"].to_numpy(), data["flux_std"].to_numpy()
    n = np.isfinite(flux).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nansum(flux, axis=0) / n, np.sqrt(np.nansum(std**2, axis=0)) / n


def compare(spectra: xr.Dataset, start: np.datetime64, reference: tuple[xr.Dataset, xr.Dataset]) -> Window:
    """Average both over six hours."""
    means = [mean_of(between(part, start)) for part in reference]
    ours = between(spectra, start)
    usable = ours["flux"].notnull().all("energy")
    quantiles = np.stack([ours[name].where(usable).mean("time").to_numpy() for name in BOUNDS])
    flux, std = (np.concatenate([part[index] for part in means]) for index in (0, 1))
    hourly = between(reference[0], start)["flux"].sel(energy=np.sqrt(6.0 * 8.0), method="nearest")
    change = float(hourly.max() / hourly.min()) if hourly.sizes["time"] else np.inf
    return Window(start, flux, std, quantiles, change, int(usable.sum()))


def run_command(days: str, out: Path, *, model: str, energies: Array, every: str = "15min") -> tuple[xr.Dataset, float]:
    """Reconstruct some days with October 2023 as background, through the command line; give the seconds it took."""
    folder = data_folder() / "radem" / "sc"
    program = Path(sys.executable).with_name("particleflux")
    command = [str(program), "reconstruct", str(folder / f"radem_raw_sc_{days}*.cdf"), "-o", str(out), "--every", every]
    command += ["--energies", ",".join(f"{energy:.6f}" for energy in energies), "--model", model, "--quiet"]
    command += ["--background", str(folder / "radem_raw_sc_202310*.cdf")]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  written just above
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr)
    return open_spectra(out), seconds


def choose(spectra: xr.Dataset, energies: Array) -> xr.Dataset:
    return spectra.sel(energy=energies, method="nearest", tolerance=1e-4)


def draw(spectra: xr.Dataset, window: Window, energies: Array, n_let: int, path: Path) -> None:
    """Draw the spectrum of a window with its bands over STEREO's points, and their ratio below."""
    ours = between(spectra, window.start)
    grid = ours["energy"].to_numpy()
    low95, low, middle, high, high95 = (ours[name].mean("time").to_numpy() for name in BOUNDS)
    blue, orange, grey = "#0072B2", "#D55E00", "#4D4D4D"  # of the palette of Okabe and Ito
    settings: dict[str, Any] = {
        "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
        "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E6E6E6", "grid.linewidth": 0.6,
    }  # fmt: skip
    with plt.rc_context(settings):
        figure, (upper, lower) = plt.subplots(
            2, 1, figsize=(6.0, 6.0), sharex=True, height_ratios=[3, 1.25], layout="constrained"
        )
        for axes, unit in ((upper, np.ones_like(grid)), (lower, middle)):
            axes.fill_between(grid, low95 / unit, high95 / unit, color=blue, alpha=0.16, lw=0, label="95 %")
            axes.fill_between(grid, low / unit, high / unit, color=blue, alpha=0.32, lw=0, label="68 %")
            axes.plot(grid, middle / unit, color=blue, lw=1.6, label="RADEM on JUICE, particleflux")
        scale = np.exp(np.interp(np.log(energies), np.log(grid), np.log(middle)))
        for part, marker, colour, name in (
            (slice(0, n_let), "o", orange, "LET on STEREO-A"),
            (slice(n_let, None), "s", grey, "HET on STEREO-A"),
        ):
            for axes, unit in ((upper, np.ones_like(scale)), (lower, scale)):
                axes.errorbar(
                    energies[part],
                    (window.reference / unit)[part],
                    (window.reference_std / unit)[part],
                    fmt=marker, ms=4.5, color=colour, mfc="white", mew=1.2, elinewidth=1.2, capsize=2, label=name,
                )  # fmt: skip
        upper.set(xscale="log", yscale="log", ylabel="Proton flux (cm$^{-2}$ s$^{-1}$ sr$^{-1}$ MeV$^{-1}$)")
        upper.set_title(f"Protons, {str(window.start)[:10]}, 12 to 18 UT", loc="left", fontsize=10)
        handles, labels = upper.get_legend_handles_labels()
        order = [labels.index(name) for name in ("RADEM on JUICE, particleflux", "68 %", "95 %")] + [3, 4]
        upper.legend([handles[index] for index in order], [labels[index] for index in order], loc="lower left")
        lower.axhline(1.0, color=blue, lw=0.8)
        lower.set(ylabel="over the median", xlabel="Energy (MeV)", ylim=(0.4, 1.9))
        lower.set_xlim(grid[0], grid[-1])
        ticks = [4, 6, 10, 20, 30, 60, 100]
        lower.set_xticks(ticks, [str(tick) for tick in ticks])
        lower.minorticks_off()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
        plt.close(figure)


def check_month(month: xr.Dataset) -> list[str]:
    """Tell what is wrong with the month: 21 to 28 May must be flagged and without any number."""
    wrong = []
    for day in range(1, 32):
        part = month.sel(time=f"2024-05-{day:02d}")
        quality = part["quality"].to_numpy()
        empty = all(
            bool(part[name].isnull().all()) for name in part.data_vars if str(name).startswith(("flux", "integ"))
        )
        if 21 <= day <= 28:
            if not ((quality & int(Quality.DO_NOT_USE)) != 0).all() or not empty:
                wrong.append(f"2024-05-{day}: not wholly flagged as not to be used, or not empty")
        elif (good := (quality & int(UNUSABLE)) == 0).mean() < 0.9:
            wrong.append(f"2024-05-{day:02d}: only {good.mean():.0%} of the samples are usable")
    return wrong


def report_day(window: Window, longer: Window, energies: Array) -> tuple[list[str], dict[str, Any]]:
    """Write down 2024-05-15."""
    rms = {name: found.rms(energies) for name, found in (("15 min", window), ("6 h", longer))}
    every = {name: found.rms(energies, 0.0, 1e3) for name, found in (("15 min", window), ("6 h", longer))}
    inner = (energies >= BAND[0]) & (energies <= BAND[1])
    lines = [
        "## 2024-05-15, 12 to 18 UT",
        "",
        "Mean of 24 accumulations of 15 minutes (main figure), and one accumulation of 6 hours with its own intervals;",
        f"October 2023 as background, default settings. Goal: at most {GOAL} dex over 6-60 MeV.",
        "",
        *table(
            ("", "rms 6-60 MeV (dex)", "rms all 17 (dex)", "STEREO inside 95 %", "inside 95 %, 6-60 MeV"),
            [
                (
                    name,
                    f"**{rms[key]:.3f}**" if key == "15 min" else f"{rms[key]:.3f}",
                    f"{every[key]:.3f}",
                    f"{int(found.is_inside.sum())} of {len(energies)}",
                    f"{int(found.is_inside[inner].sum())} of {int(inner.sum())}",
                )
                for name, key, found in (("24 x 15 min", "15 min", window), ("one 6 h", "6 h", longer))
            ]
            + [("published ensemble (quoted)", PUBLISHED_RMS, PUBLISHED_RMS_ALL, "0 of 17", "0 of 13")],
        ),
        "",
        "The published ensemble is quoted, not run: its background is subtracted with an offset of six standard",
        "deviations, chosen by hand, and its own sigma is at most 0.2 %. STEREO-A is 0.1 au away; published factors",
        "between the two instruments are 0.95 to 1.23. The intervals do not hold that difference.",
        "",
        *table(
            (
                "E (MeV)",
                "STEREO-A",
                "± stat.",
                "RADEM",
                "95 % interval",
                "ratio",
                "inside",
                "ratio, 6 h",
                "inside, 6 h",
                "published",
            ),
            [
                (
                    f"{energy:.2f}",
                    f"{window.reference[i]:.3g}",
                    f"{window.reference_std[i] / window.reference[i]:.1%}",
                    f"{window.quantiles[2, i]:.3g}",
                    f"{window.quantiles[0, i]:.3g} to {window.quantiles[4, i]:.3g}",
                    f"{window.ratio[i]:.2f}",
                    "yes" if window.is_inside[i] else "no",
                    f"{longer.ratio[i]:.2f}",
                    "yes" if longer.is_inside[i] else "no",
                    f"{PUBLISHED[i]:.2f}",
                )
                for i, energy in enumerate(energies)
            ],
        ),
        "",
        "Fluxes in cm-2 s-1 sr-1 MeV-1, at the geometric centres of the bins of LET (4-12 MeV) and HET (13.6-100 MeV).",
    ]
    data = {
        "energy": energies,
        "stereo": window.reference,
        "stereo_std": window.reference_std,
        "published_ratio_quoted": PUBLISHED,
        "goal_rms": GOAL,
    }
    for name, found in (("mean_15min", window), ("single_6h", longer)):
        data[name] = {
            "rms_6_60_mev": found.rms(energies),
            "rms_all": found.rms(energies, 0.0, 1e3),
            "n_inside_95": int(found.is_inside.sum()),
            "ratio": found.ratio,
            **dict(zip(BOUNDS, found.quantiles, strict=True)),
        }
    return lines, data


def report_windows(windows: list[Window], energies: Array) -> tuple[list[str], dict[str, Any]]:
    """Write down the windows of other days, and each energy over all of them."""
    inner = (energies >= BAND[0]) & (energies <= BAND[1])
    values = [window.rms(energies) for window in windows]
    ratio = np.array([np.where(window.is_measured, window.ratio, np.nan) for window in windows])
    inside = np.array([np.where(window.is_measured, window.is_inside, np.nan) for window in windows])
    logs = np.log10(ratio)
    steady = np.array([window.change < STEADY for window in windows])
    calm = float(np.median(np.array(values)[steady]))
    names = ("windows", "median ratio", "scatter (dex)", "inside 95 %")

    def summary(i: int, rows: npt.NDArray[np.bool_]) -> tuple[str, ...]:
        n = int(np.isfinite(logs[rows, i]).sum())
        if not n:
            return ("0", "", "", "")
        found = np.nanmedian(ratio[rows, i]), np.nanstd(logs[rows, i]), np.nanmean(inside[rows, i])
        return (str(n), f"{found[0]:.2f}", f"{found[1]:.3f}", f"{found[2]:.0%}")

    lines = [
        "## Every other six hours",
        "",
        f"All windows of {FIRST_DAY} to {LAST_DAY} May 2024 in which LET sees more than {LEAST_FLUX:g}",
        f"cm-2 s-1 sr-1 MeV-1 at 6-8 MeV, HET measures 26.3-29.7 MeV to {MOST_ERROR:.0%}, and nine tenths",
        "of the samples of RADEM are usable; channels of STEREO with a statistical error above",
        f"{WORST_ERROR:.0%} are left out. Two spacecraft 0.1 au apart see different onsets: on 10 May the flux at",
        "STEREO-A rises a hundredfold while the raw counts of RADEM stay at their background, and on 13 May it rises",
        "hours earlier. 'Change' is the highest over the lowest hourly flux of LET at 6-8 MeV in the window; a",
        f"window is called steady below {STEADY:g}, by STEREO's data alone.",
        "",
        *table(
            ("window (UT)", "LET 6-8 MeV", "change", "rms 6-60 MeV (dex)", "median ratio 6-60 MeV", "inside 95 %"),
            [
                (
                    str(window.start)[:13].replace("T", " "),
                    f"{window.reference[3]:.3g}",
                    f"{window.change:.1f}",
                    f"{value:.3f}",
                    f"{np.nanmedian(row[inner]):.2f}",
                    f"{int(np.nansum(held))} of {int(np.isfinite(held).sum())}",
                )
                for window, value, row, held in zip(windows, values, ratio, inside, strict=True)
            ],
        ),
        "",
        f"Median rms: {np.median(values):.3f} dex of all {len(windows)} windows, {calm:.3f} dex of the "
        f"{int(steady.sum())} steady ones.",
        "",
        *table(
            ("E (MeV)", *names, *(f"{name}, steady" for name in names)),
            [
                (f"{energy:.2f}", *summary(i, np.ones_like(steady)), *summary(i, steady))
                for i, energy in enumerate(energies)
            ],
        ),
    ]
    data = {
        "start": [str(window.start)[:16] for window in windows],
        "change": [window.change for window in windows],
        "rms_6_60_mev": values,
        "median_rms": float(np.median(values)),
        "median_rms_steady": calm,
        "energy": energies,
        "ratio": ratio,
        "inside_95": inside,
    }
    return lines, data


def report_month(month: xr.Dataset, seconds: float, wrong: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Write down what became of the month."""
    summary = summarise(month)
    lines = [
        "## All of May 2024 in one command",
        "",
        "`particleflux reconstruct radem_raw_sc_202405*.cdf --background radem_raw_sc_202310*.cdf -o spectra.nc`:",
        f"{seconds:.1f} s from start to file (62 days read); {summary.n_samples} samples of 15 minutes,",
        f"{summary.n_reconstructed} reconstructed.",
        "21 to 28 May (threshold scans): " + ("; ".join(wrong) if wrong else "all flagged, every result NaN") + ".",
        "",
        *table(("flag", "samples"), [(name, number) for name, number in summary.flags.items()]),
        "",
        *table(("bins of the ensemble", "samples"), list(summary.ensembles.items())),
    ]
    return lines, {
        "seconds": seconds,
        "n_samples": summary.n_samples,
        "n_reconstructed": summary.n_reconstructed,
        "flags": summary.flags,
        "ensembles": summary.ensembles,
        "wrong": wrong,
    }


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--figure", type=Path, default=IMAGES / "stereo-2024-05-15.png", help="where the figure goes")
    options = parser.parse_args()
    model = load_model(options.model)
    let, het = stereo(data_folder())
    energies = np.concatenate([let["energy"].to_numpy(), het["energy"].to_numpy()])
    grid = np.union1d(energies.round(6), np.geomspace(4.0, 100.0, 41).round(6))
    start = np.datetime64("2024-05-15T12:00", "ns")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        day, _ = run_command("20240515", folder / "day.nc", model=options.model, energies=grid)
        long, _ = run_command("20240515", folder / "long.nc", model=options.model, energies=energies, every="6h")
        month, seconds = run_command("202405", folder / "month.nc", model=options.model, energies=energies)
    window = compare(choose(day, energies), start, (let, het))
    longer = compare(long, start, (let, het))
    first = np.datetime64(f"2024-05-{FIRST_DAY}", "ns")
    starts = first + np.arange(4 * (LAST_DAY - FIRST_DAY + 1)) * np.timedelta64(6, "h")
    windows = [compare(month, moment, (let, het)) for moment in starts]
    at = int(np.argmin(np.abs(energies - 28.0)))
    windows = [
        item
        for item in windows
        if item.reference[3] > LEAST_FLUX
        and item.reference_std[at] < MOST_ERROR * item.reference[at]
        and item.n_usable >= 0.9 * 24
    ]
    draw(day, window, energies, let.sizes["energy"], options.figure)
    wrong = check_month(month)
    lines, data = report_day(window, longer, energies)
    more, windows_data = report_windows(windows, energies)
    last, month_data = report_month(month, seconds, wrong)
    write_result(
        "stereo",
        "RADEM against STEREO-A, May 2024",
        [*lines, "", *more, "", *last],
        {"day": data, "windows": windows_data, "month": month_data},
        folder=options.results,
        model=model,
    )
    if (rms := window.rms(energies)) > GOAL:
        wrong.append(f"rms {rms:.3f} dex over 6-60 MeV, above {GOAL}")
    if wrong:
        sys.exit("; ".join(wrong))


if __name__ == "__main__":
    main()
