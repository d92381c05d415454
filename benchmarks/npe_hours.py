"""Part of `benchmarks/npe_stereo.py`: every hour of May 2024 with valid data against LET at 4-12 MeV."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr
from common import table

from particleflux.names import Quality
from particleflux.reconstruct import Prepared
from particleflux.response import Response

Array: TypeAlias = npt.NDArray[np.float64]

#: Where LET's mean over 4-12 MeV exceeds this, the median ratio is asked to lie in the range.
GOAL_LET, GOAL_RATIO = 0.1, (0.8, 1.25)
#: An hour is steady where LET's flux of it and of its neighbours lie within such a factor.
STEADY_HOURS = (2.0, 1.25)
#: Channel whose counts are compared with those that STEREO's spectra would make: it sees protons from 5 MeV.
COUNTED = "PDH1"
_TITLES = ("MeV", "background", "hours chosen", "hours", "median ratio", "scatter (dex)", "LET inside 95 %", "limits")


def hours(spectra: xr.Dataset, let: xr.Dataset) -> xr.Dataset:
    """Put each usable hour beside LET.

    Parameters
    ----------
    spectra : Dataset
        At LET's energies first, in accumulations of an hour.
    let : Dataset
        The channels that are compared.

    Returns
    -------
    Dataset, dims (time, channel)
        `ours` with `lower` and `upper` (95 %), and `let`; the last channel is the mean over all energies. `change` and
        `is_limit` (time).
    """
    usable = spectra["flux"].notnull().all("energy").to_numpy()
    common = np.intersect1d(spectra["time"].to_numpy()[usable], let["time"].to_numpy())
    ours, theirs = spectra.sel(time=common), let.sel(time=common)
    width = (let["energy_upper"] - let["energy_lower"]).to_numpy()

    def mean(values: Array) -> Array:
        return np.concatenate([values, (values @ width / width.sum())[:, None]], axis=1)

    # Flux of the hour before and after; a hole there leaves the hour to be judged by the rest.
    whole = mean(let["flux"].to_numpy())[:, -1]
    around = np.stack([np.r_[np.nan, whole[:-1]], whole, np.r_[whole[1:], np.nan]])
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
        change = np.nanmax(around, axis=0) / np.nanmin(around, axis=0)
    flux = mean(theirs["flux"].to_numpy())
    n_let = let.sizes["energy"]
    names = {"ours": "flux", "lower": "flux_lower95", "upper": "flux_upper95"}
    return xr.Dataset(
        {
            # The bounds of the mean are those of errors common to all energies: the widest that they can be.
            **{key: (("time", "channel"), mean(ours[name].to_numpy()[:, :n_let])) for key, name in names.items()},
            "let": (("time", "channel"), flux),
            "change": ("time", change[np.searchsorted(let["time"].to_numpy(), common)]),
            "is_limit": ("time", (ours["quality"].to_numpy() & int(Quality.BELOW_DETECTION)) != 0),
        },
        coords={"time": common, "channel": np.arange(flux.shape[1])},
    ).isel(time=np.isfinite(flux).all(axis=1))


def count_ratio(prepared: Prepared, response: Response, let: xr.Dataset, het: xr.Dataset) -> xr.DataArray:
    """Compare RADEM's net counts with those that STEREO's spectra would make: no method has a part in it.

    Parameters
    ----------
    prepared : Prepared
        Counts and background of hours.
    response : Response
        Of RADEM to protons.
    let, het : Dataset
        All channels of LET; HET.

    Returns
    -------
    DataArray, dims (time)
        Measured over predicted; NaN where STEREO's spectrum is not whole. Between the energies of STEREO the spectrum
        is a power law, and beyond them the nearest one goes on.
    """
    times = np.intersect1d(prepared.counts["time"].to_numpy(), let["time"].to_numpy())
    chosen = {"time": times, "channel": COUNTED}
    rate = (prepared.counts["counts"].sel(chosen) / prepared.counts["exposure"].sel(time=times)).to_numpy()
    net = rate - prepared.background["background_rate"].sel(chosen).to_numpy()
    hourly = het["flux"].resample(time="1h").mean().reindex(time=times)
    flux = np.concatenate([let["flux"].sel(time=times).to_numpy(), hourly.to_numpy()], axis=1)
    energy = np.concatenate([let["energy"].to_numpy(), het["energy"].to_numpy()])
    order = np.argsort(energy)
    energy, flux = energy[order], flux[:, order]
    reading = response.select([COUNTED])
    log_grid = np.log(reading.energy.to_numpy())
    ratio = np.full(len(times), np.nan)
    for row in range(len(times)):
        told = np.isfinite(flux[row]) & (flux[row] > 0)
        if told.sum() < len(energy) // 2:
            continue
        x, y = np.log(energy[told]), np.log(flux[row, told])
        piece = np.clip(np.searchsorted(x, log_grid) - 1, 0, len(x) - 2)
        curve = y[piece] + (np.diff(y) / np.diff(x))[piece] * (log_grid - x[piece])
        # Two noisy channels at the end may make a spectrum that rises: none does so to the end of the response.
        curve = np.where(log_grid > x[-1], np.minimum(curve, y[-1] - 2.0 * (log_grid - x[-1])), curve)
        ratio[row] = net[row] / (reading.weights[0] @ np.exp(curve))
    return xr.DataArray(ratio, coords={"time": times}, dims="time")


def summary(item: xr.Dataset) -> dict[str, Any]:
    """Give number, median ratio, scatter (half the 16-84 % range) and share inside of some hours."""
    if not item.sizes["time"]:
        return {"hours": 0, "ratio": np.nan, "scatter": np.nan, "inside": np.nan, "limits": np.nan}
    ratio = (item["ours"] / item["let"]).to_numpy()
    low, high = np.log10(np.quantile(ratio, (0.16, 0.84)))
    inside = (item["lower"] <= item["let"]) & (item["let"] <= item["upper"])
    return {
        "hours": item.sizes["time"],
        "ratio": float(np.median(ratio)),
        "scatter": float(high - low) / 2,
        "inside": float(inside.mean()),
        "limits": float(item["is_limit"].mean()),
    }


def report_hours(
    found: dict[str, xr.Dataset], others: dict[str, xr.Dataset], let: xr.Dataset, counted: xr.DataArray
) -> tuple[list[str], dict[str, Any]]:
    """Write down the hours of the month.

    Parameters
    ----------
    found : dict of str to Dataset
        Hours of `npe` by background; the first is the main one.
    others : dict of str to Dataset
        Hours of other methods with the first background.
    let : Dataset
        The channels that are compared.
    counted : DataArray
        As `count_ratio` gives it.

    Returns
    -------
    lines : list of str
        Of the page.
    data : dict
        The same figures.
    """
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}

    def add(energies: str, background: str, name: str, item: xr.Dataset, which: xr.DataArray) -> None:
        got = summary(item.isel(time=which.to_numpy()))
        data[f"{energies} MeV, {background}, {name}"] = got
        shown = f"{got['ratio']:.2f}", f"{got['scatter']:.3f}", f"{got['inside']:.0%}", f"{got['limits']:.0%}"
        rows.append((energies, background, name, str(got["hours"]), *shown))

    for background, item in found.items():
        whole = item.isel(channel=-1)
        high = whole["let"] > GOAL_LET
        add("4-12", background, "all", whole, high)
        add("4-12", background, "seen (no upper limit)", whole, high & ~whole["is_limit"])
        for factor in STEADY_HOURS:
            add("4-12", background, f"LET changes by less than {factor:g}", whole, high & (whole["change"] < factor))
    main = next(iter(found))
    for method, item in others.items():
        whole = item.isel(channel=-1)
        add("4-12", main, f"all, {method}", whole, whole["let"] > GOAL_LET)
    edges = list(zip(let["energy_lower"].to_numpy(), let["energy_upper"].to_numpy(), strict=True))
    for index, (low, high_edge) in enumerate(edges):
        one = found[main].isel(channel=index)
        add(f"{low:g}-{high_edge:g}", main, "all", one, one["let"] > GOAL_LET)
    silent = {}
    for background, item in found.items():
        whole = item.isel(channel=-1)
        whole = whole.isel(time=(whole["let"] <= GOAL_LET).to_numpy())
        silent[background] = {
            "hours": whole.sizes["time"],
            "limits": float(whole["is_limit"].mean()),
            "let_below_upper": float((whole["let"] <= whole["upper"]).mean()),
            "let_median": float(whole["let"].median()),
            "flux_median": float(whole["ours"].median()),
        }
    whole = found[main].isel(channel=-1)
    whole = whole.isel(time=(whole["let"] > GOAL_LET).to_numpy())
    counts = counted.reindex(time=whole["time"])
    pooled = found[main].isel(channel=slice(-1)).stack(sample=("time", "channel"))
    pooled_ratio = (pooled["ours"] / pooled["let"]).to_numpy()[pooled["let"] > GOAL_LET]
    ratio = (whole["ours"] / whole["let"]).groupby("time.day").median()
    days = {
        int(day): {
            "hours": int(part.sizes["time"]),
            "let": float(part["let"].median()),
            "ratio": float(ratio.sel(day=day)),
            "counts_ratio": float(counts.sel(time=part["time"]).median()),
        }
        for day, part in whole.groupby("time.day")
    }
    middle = data[f"4-12 MeV, {main}, all"]["ratio"]
    is_met = GOAL_RATIO[0] <= middle <= GOAL_RATIO[1]
    lines = [
        "## Every hour of May 2024 with valid data, `npe` against LET",
        "",
        f"Accumulations of one hour; hours in which LET's flux exceeds {GOAL_LET:g} cm-2 s-1 sr-1 MeV-1. Goal: a",
        f"median ratio of {GOAL_RATIO[0]:g} to {GOAL_RATIO[1]:g} of the mean over 4-12 MeV, all hours. The scatter is",
        "half the range from 16 to 84 %; LET's change is the highest over the lowest flux of an hour and its two",
        f"neighbours. The goal is {'met' if is_met else 'missed'}: {middle:.2f}.",
        "",
        *table(_TITLES, rows),
        "",
        "The two spacecraft are 0.1 au apart and do not see the same: LET's channels have their own errors, but the",
        "intervals hold neither these nor the distance. What STEREO's spectra (LET and HET, power laws between their",
        f"energies) would make {COUNTED} count is free of any method: in the hours above the measured net counts are",
        f"{float(counts.median()):.2f} of it in the median, by day as below. No method can make up for that. Below",
        "5 MeV no channel of RADEM sees protons: flux there follows from the slope above and the prior. Of single",
        f"channels and hours of LET above {GOAL_LET:g}, all together, the median ratio is "
        f"{np.median(pooled_ratio):.2f}.",
        "",
        *table(
            ("May 2024", "hours", "LET, median", "`npe` over LET", f"net counts of {COUNTED} over predicted"),
            [
                (day, item["hours"], f"{item['let']:.2g}", f"{item['ratio']:.2f}", f"{item['counts_ratio']:.2f}")
                for day, item in days.items()
            ],
        ),
        "",
        *(
            f"- {name}: of the {item['hours']} other hours {item['limits']:.0%} are flagged as upper limits; LET lies "
            f"below the upper 95 % bound in {item['let_below_upper']:.1%}. The median of LET is "
            f"{item['let_median']:.1e}, that of the medians of `npe` {item['flux_median']:.1e}: ruled by the prior."
            for name, item in silent.items()
        ),
    ]
    measured = {"days": days, "counts_over_predicted": float(counts.median()), "pooled": float(np.median(pooled_ratio))}
    return lines, {**data, "quiet": silent, **measured}
