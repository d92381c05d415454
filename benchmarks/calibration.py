"""How well satellites come onto one scale: overlaps, products of one satellite, and estimates without overlap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from common import arguments, data_folder, sections, write_result

from particleflux.calibrate import (
    METHODS,
    Calibration,
    calibrate_sources,
    daily_fluences,
    estimate_without_overlap,
    fit_overlap,
)
from particleflux.calibrate.days import half_width
from particleflux.calibrate.estimate import MAX_ERROR
from particleflux.io.goes import open_goes_hourly
from particleflux.io.omni import open_omni
from particleflux.io.swpc import open_dpd
from particleflux.magnetosphere import standoff
from particleflux.plot import write_figure
from particleflux.plot.calibration import plot_calibration

#: First day of the Daily Particle Data with the low floor, and the months whose rows belong to the next day.
CHANGE = np.datetime64("2014-02-01")
MISDATED = (CHANGE, np.datetime64("2014-04-01"))
SCIENCE, OLD, NEW = "GOES-13/science", "GOES-13", "GOES-13/from-2014-02"
FORMS = ("linear", "piecewise", "piecewise-2", "auto")
Rows = list[dict[str, object]]
Fluences = dict[str, xr.DataArray]


def read(folder: Path) -> tuple[Fluences, xr.DataArray, xr.Dataset, list[xr.DataArray]]:
    """Give daily fluences by satellite and product, GOES-13 as written, daily drivers and hourly flux (East, West)."""
    geo = folder / "geo"
    dpd = open_dpd(geo / "dpd")
    science = open_goes_hourly(geo / "goes13").assign_attrs(product="science")
    west = open_goes_hourly(geo / "goes15_hourly" / "flux", satellite="GOES-15")
    fluences = daily_fluences([dpd, science, west])
    written = fluences[OLD]
    time = written["time"].to_numpy()
    shifted = (time >= MISDATED[0]) & (time < MISDATED[1])
    dated = written.assign_coords(time=np.where(shifted, time + np.timedelta64(1, "D"), time))
    fluences[NEW] = dated[time >= CHANGE].drop_duplicates("time")
    fluences[OLD] = written[time < CHANGE]
    omni = open_omni(geo / "omni2")
    omni["standoff"] = standoff(omni["bz_gsm"], omni["solar_wind_pressure"])
    names = ["solar_wind_speed", "solar_wind_density", "kp", "standoff", "f10p7"]
    frame = omni[names].to_dataframe()
    return (
        fluences,
        written,
        frame.groupby(pd.DatetimeIndex(frame.index).floor("D")).mean().rename_axis("time").to_xarray(),
        [each["electron_flux_gt2mev"] for each in (science, west)],
    )


def common(first: xr.DataArray, second: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Give both on the times they share."""
    times = np.intersect1d(first["time"].to_numpy(), second["time"].to_numpy())
    return first.sel(time=times), second.sel(time=times)


def log10(values: xr.DataArray) -> xr.DataArray:
    return values.copy(data=np.log10(values.to_numpy()))


def number(value: float, error: float | None = None) -> str:
    return f"{value:+.3f}" if error is None else f"{value:+.3f} ± {error:.3f}"


def describe(fit: Calibration) -> dict[str, object]:
    error = np.sqrt(np.diag(np.array(fit.covariance)))
    slopes = ", ".join(f"{value:.3f} ± {std:.3f}" for value, std in zip(fit.coefficients[1:], error[1:], strict=True))
    return {
        "offset (dex)": number(fit.coefficients[0] - fit.pivot, error[0]),
        "at": f"{fit.pivot:.2f}",
        "slopes": slopes,
        "knots": ", ".join(f"{knot:.2f}" for knot in fit.knots),
        "scatter before": f"{fit.scatter_before:.3f}",
        "after": f"{fit.scatter_in:.3f}",
        "out of sample": f"{fit.scatter_out:.3f}",
        "days": fit.n_days,
    }


def compare_methods(fluences: Fluences) -> Rows:
    rows: Rows = []
    pairs = ((SCIENCE, "GOES-15"), ("GOES-15", SCIENCE), (NEW, "GOES-15"), (OLD, SCIENCE), (NEW, SCIENCE))
    for first, second in pairs:
        for method in METHODS:
            for form in FORMS if method in ("orthogonal", "huber") else ("linear",):
                fit = fit_overlap(
                    fluences[first], fluences[second], satellite=first, reference_satellite=second,
                    method=method, form=form,
                )  # fmt: skip
                found = f"auto: {fit.form}" if form == "auto" else form
                rows.append({"from": first, "to": second, "method": method, "form": found, **describe(fit)})
    return rows


def check_inverse(fluences: Fluences) -> Rows:
    """Compare there-and-back of each method: errors in one coordinate only do not come back."""
    rows: Rows = []
    for method in METHODS:
        there, back = (
            fit_overlap(fluences[a], fluences[b], form="linear", method=method)
            for a, b in ((SCIENCE, "GOES-15"), ("GOES-15", SCIENCE))
        )
        slope = there.coefficients[1] * back.coefficients[1]
        returned = back.apply(there.apply([6.8, 9.5])) - [6.8, 9.5]
        rows.append(
            {
                "method": method,
                "product of the slopes": f"{slope:.3f}",
                "comes back at 6.8": number(returned[0]),
                "at 9.5": number(returned[1]),
            }
        )
    return rows


def check_years(fluences: Fluences) -> Rows:
    """Fit GOES-13 to GOES-15 without one year, and look at that year."""
    rows: Rows = []
    x, y = common(fluences[SCIENCE], fluences["GOES-15"])
    year = x["time"].dt.year.to_numpy()
    for one in np.unique(year):
        fit = fit_overlap(x[year != one], y[year != one], method="orthogonal")
        held = (year == one) & (np.log10(x.to_numpy()) > fit.valid[0])
        residual = (np.log10(y.to_numpy()) - fit.apply(np.log10(x.to_numpy())))[held]
        error = float(fit.error(np.median(np.log10(x.to_numpy()[held]))))
        rows.append(
            {
                "year left out": int(one),
                "days": int(held.sum()),
                "median residual (dex)": number(float(np.median(residual))),
                "stated error of the fit": f"{error:.3f}",
                "scatter": f"{half_width(residual):.3f}",
            }
        )
    return rows


def check_cycles(fluences: Fluences, hourly: list[xr.DataArray]) -> tuple[Rows, Rows]:
    """Show what one number for West against East leaves: by month of the year, and by hour of the day."""
    fit = fit_overlap(fluences[SCIENCE], fluences["GOES-15"])
    x, y = (log10(each) for each in common(fluences[SCIENCE], fluences["GOES-15"]))
    residual = (y - fit.apply(x))[x.to_numpy() > fit.valid[0]]
    months: dict[str, object] = {
        f"{month:02d}": number(float(part.median())) for month, part in residual.groupby("time.month")
    }
    east, west = common(*hourly)
    # Above 150 cm-2 s-1 sr-1 at GOES-13 no hour is near a floor.
    ratio = log10(west / east)[east.to_numpy() > 150]
    hours: dict[str, object] = {
        f"{hour:02d}": number(float(part.median())) for hour, part in ratio.groupby("time.hour")
    }
    return [{"month": "dex", **months}], [{"UTC": "dex", **hours}]


def check_change(fluences: Fluences, written: xr.DataArray) -> tuple[Rows, Rows]:
    """Show the change of the Daily Particle Data of GOES-13, and the dates that are a day early."""
    log = log10(written)
    rows: Rows = []
    for label, part in (
        ("2010-04-02 to 2013-12-31", slice("2010-04-02", "2013-12-31")),
        ("2014-01-01 to 2014-01-31", slice("2014-01-01", "2014-01-31")),
        ("2014-02-01 to 2014-12-31", slice("2014-02-01", "2014-12-31")),
    ):
        values = log.sel(time=part).dropna("time")
        rows.append(
            {
                "days": label,
                "lowest": f"{float(values.min()):.2f}",
                "5 %": f"{float(values.quantile(0.05)):.2f}",
                "below 10^5.7": f"{int((values < 5.7).sum())} of {values.size}",
            }
        )
    dates: Rows = []
    months = ("2013-12", "2014-01", "2014-02", "2014-03", "2014-04", "2014-05")
    for other in (SCIENCE, "GOES-15"):
        for month in months:
            row: dict[str, object] = {"compared with": other, "month": month}
            for shift, label in ((-1, "the day before"), (0, "the same day"), (1, "the next day")):
                moved = log10(fluences[other].assign_coords(time=fluences[other]["time"] - np.timedelta64(shift, "D")))
                a, b = common(log.sel(time=month), moved.dropna("time"))
                row[label] = f"{float((a - b).std()):.3f}" if a.size > 5 else ""
            dates.append(row)
    return rows, dates


def known_offsets(fluences: Fluences) -> list[tuple[str, Fluences, float]]:
    """Give cases whose true offset is known: two satellites that overlap, and one satellite cut in two."""
    west = "GOES-15"
    between = {
        first: float(np.subtract(*fit_of(fluences, first, west))) for first in (SCIENCE, OLD)
    }  # the offset at the pivot
    others = {name: fluences[name] for name in ("GOES-8", "GOES-12")}
    cases: list[tuple[str, Fluences, float]] = []
    for first, a, b in (
        (SCIENCE, ("2011", "2013"), ("2015", "2016")), (SCIENCE, ("2011", "2014"), ("2015", "2016")),
        (SCIENCE, ("2011", "2015"), ("2016", "2016")), (SCIENCE, ("2015", "2016"), ("2014", "2014")),
        (SCIENCE, ("2016", "2016"), ("2014", "2015")), (SCIENCE, ("2011", "2012"), ("2014", "2016")),
        (OLD, ("2010", "2013"), ("2014", "2016")), (OLD, ("2010", "2013"), ("2015", "2016")),
    ):  # fmt: skip
        here, there = fluences[first].sel(time=slice(*a)), fluences[west].sel(time=slice(*b))
        label = f"{first} {'-'.join(dict.fromkeys(a))}, {west} {'-'.join(dict.fromkeys(b))}"
        cases.append((label, {"A": here, "B": there, **others}, between[first]))
    alone = ("GOES-8", "GOES-12", OLD)
    for name, days in (
        ("GOES-8", ("2000-07-01", "2001-01-01", "2001-07-01")),
        ("GOES-12", ("2004-07-01", "2005-07-01", "2006-07-01", "2007-07-01")),
        (OLD, ("2011-04-01", "2012-01-01", "2013-01-01")),
    ):
        for day in days:
            last = np.datetime64(day) - np.timedelta64(1, "D")
            parts = {
                "A": fluences[name].sel(time=slice(None, str(last))),
                "B": fluences[name].sel(time=slice(day, None)),
            }
            rest = {other: fluences[other] for other in alone if other != name}
            cases.append((f"{name} cut in two on {day}", {**parts, **rest}, 0.0))
    return cases


def fit_of(fluences: Fluences, first: str, second: str) -> tuple[float, float]:
    """Give level and pivot of the mapping, by way of the science product where the two share no days."""
    wanted = {name: fluences[name] for name in (first, SCIENCE, second)}
    fit = calibrate_sources(wanted, reference=second)[0][first]
    return fit.coefficients[0], fit.pivot


def estimate_known(fluences: Fluences, drivers: xr.Dataset) -> tuple[Rows, dict[str, float]]:
    rows: Rows = []
    errors, stated, plain = [], [], []
    for label, parts, truth in known_offsets(fluences):
        found = estimate_without_overlap(parts, drivers, reference="B", max_error=9.0)["A"]
        row: dict[str, object] = {"case": label, "true offset": number(truth)}
        if found.kind == "estimated":
            value, error = found.coefficients[0] - found.pivot, float(np.sqrt(found.covariance[0][0]))
            errors.append(value - truth)
            stated.append(error)
            plain.append(truth)
            row |= {"estimate": number(value, error), "error": number(value - truth)}
        rows.append(row | {"found": found.note})
    miss, claim = np.array(errors), np.array(stated)
    summary = {
        "cases": float(len(rows)),
        "estimated": float(len(errors)),
        "error_rms_dex": float(np.sqrt(np.mean(miss**2))),
        "error_stated_dex": float(np.sqrt(np.mean(claim**2))),
        "within_one_stated": float(np.mean(np.abs(miss) < claim)),
        "within_two_stated": float(np.mean(np.abs(miss) < 2 * claim)),
        "used_by_default": float(np.sum(claim <= MAX_ERROR)),
        "without_any_calibration_rms_dex": float(np.sqrt(np.mean(np.square(plain)))),
    }
    return rows, summary


def estimate_record(fluences: Fluences, drivers: xr.Dataset) -> Rows:
    """Estimate the satellites of the Daily Particle Data that never measured together, with any error allowed."""
    names = ("GOES-9", "GOES-8", "GOES-12", "GOES-11", OLD)
    estimates = estimate_without_overlap({name: fluences[name] for name in names}, drivers, reference=OLD)
    return [
        {"satellite": name, "reference": OLD, "mark": each.kind, "found": each.note} for name, each in estimates.items()
    ]


def chain_all(fluences: Fluences, drivers: xr.Dataset) -> tuple[Rows, list[dict[Any, Any]]]:
    _, table = calibrate_sources(fluences, reference=OLD, drivers=drivers)
    rows: Rows = []
    for record in table.to_dict("records"):
        known = record["kind"] in ("overlap", "estimated")
        rows.append(
            {
                "satellite": record["satellite"],
                "kind": record["kind"],
                "form": record["form"] if known else "",
                "offset (dex)": number(record["offset"], record["offset_std"]) if known else "",
                "at": f"{record['pivot']:.2f}" if known else "",
                "slope": f"{record['slope']:.3f} ± {record['slope_std']:.3f}" if known else "",
                "after": f"{record['scatter_in']:.3f}" if known else "",
                "out of sample": f"{record['scatter_out']:.3f}" if known else "",
                "days": record["n_days"] or "",
                "method": record["method"],
                "removes": record["removes"],
            }
        )
    return rows, table.to_dict("records")


def report(folder: Path, results: Path, image: Path | None) -> None:
    fluences, written, drivers, hourly = read(folder)
    months, hours = check_cycles(fluences, hourly)
    rows, dates = check_change(fluences, written)
    known, summary = estimate_known(fluences, drivers)
    chained, records = chain_all(fluences, drivers)
    tables = {
        f"Onto the scale of {OLD} in the Daily Particle Data": chained,
        "Fits over an overlap": compare_methods(fluences),
        "There and back (GOES-13 science and GOES-15, linear)": check_inverse(fluences),
        "A year that took no part (GOES-13 science to GOES-15)": check_years(fluences),
        "What the daily fit leaves, by month of the year (GOES-15 less GOES-13 science as fitted, median)": months,
        "GOES-15 less GOES-13 science, hourly flux, by hour of the day (median)": hours,
        "Floor of the Daily Particle Data of GOES-13 (log10 fluence)": rows,
        "Dates of the Daily Particle Data: standard deviation (dex) of its log less that of another source": dates,
        "Estimates without overlap where the truth is known": known,
        "Estimates for satellites without overlap": estimate_record(fluences, drivers),
    }
    text = [
        "Log10 of the daily fluence above 2 MeV. Scatter is half of the central 68 % range of the residuals in dex;",
        "'out of sample' is of calendar months that took no part in the fit, 'before' of the plain difference.",
        f"{NEW} is the Daily Particle Data from 2014-02-01, with the rows of 2014-02-01 to 2014-03-30 put on the next",
        "day, where they belong (see the table of dates).",
        "",
        f"Without an overlap: {summary['estimated']:.0f} of {summary['cases']:.0f} known cases get a number (any error",
        f"allowed); it is wrong by {summary['error_rms_dex']:.2f} dex (root mean square) where",
        f"{summary['error_stated_dex']:.2f} dex are stated, {summary['within_one_stated']:.0%} within one and",
        f"{summary['within_two_stated']:.0%} within two stated errors; no calibration at all is wrong by",
        f"{summary['without_any_calibration_rms_dex']:.2f} dex in the same cases. At the default limit of the stated",
        f"error ({MAX_ERROR:.2f} dex) {summary['used_by_default']:.0f} of them are used; the rest is marked",
        "uncalibrated.",
        "",
        *sections(tables),
    ]
    data = {"summary_without_overlap": summary, "table": records, "tables": tables}
    write_result("calibration", "Satellites on one scale", text, data, folder=results)
    if image is not None:
        fit = fit_overlap(fluences[SCIENCE], fluences["GOES-15"], satellite=SCIENCE, reference_satellite="GOES-15")
        write_figure(plot_calibration(fit, fluences[SCIENCE], fluences["GOES-15"]), image)


def main() -> None:
    parser = arguments(__doc__ or "", model=False)
    parser.add_argument("--image", type=Path, help="file for the figure of GOES-13 and GOES-15 (default: none)")
    options = parser.parse_args()
    report(data_folder(), options.results, options.image)


if __name__ == "__main__":
    main()
