"""Score the forecasts: the paper's split, and a forward evaluation that trains on nothing but the past.

For each split the networks are trained here, on the training periods alone, and scored beside every baseline on the
same days. The forward evaluation trains anew for each test year, on the days before it. Scores by year with their
intervals go to `forecast_paper` and `forecast_forward` in the results.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
import xarray as xr
from regression import Regression

from particleflux.export import write_dataset
from particleflux.forecast import BASELINES
from particleflux.forecast.lstm import LstmForecaster
from particleflux.history import open_history, training_only
from particleflux.train.forecast import ForecastSettings, fit_forecast
from particleflux.verify import verify

PAPER_TRAINING, PAPER_YEARS = "1999-2007,2011-2016", (2008, 2009, 2010)
FORWARD_YEARS = tuple(range(2004, 2015))
#: First year of the history; the paper begins a year later.
FIRST_YEAR = 1998
DAY = np.timedelta64(1, "D")


def save(forecasts: Mapping[str, xr.Dataset], folder: Path | None) -> None:
    """Write the forecasts as files that `particleflux verify` reads."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in forecasts.items():
        write_dataset(made, folder / f"{name.replace(' ', '-')}.nc")


def issue_days(years: tuple[int, ...]) -> np.ndarray:
    """Give the issue times whose first day lies in some years."""
    days = [np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]") for year in years]
    return np.concatenate(days).astype("datetime64[ns]")


def forecast_all(
    history: xr.Dataset, training: xr.Dataset, issued: np.ndarray, settings: Mapping[str, ForecastSettings]
) -> dict[str, xr.Dataset]:
    """Fit every method to the training split and forecast from some issue times."""
    methods: dict[str, Any] = {}
    for name, setting in settings.items():
        methods[name] = LstmForecaster.of(fit_forecast(training, settings=setting))
    methods |= {kind: Regression.fit(training, kind) for kind in ("boosting", "linear")}
    methods |= {name: method.fit(training) for name, method in BASELINES.items()}
    return {name: method.predict(history, init_time=issued) for name, method in methods.items()}


def paper(history: xr.Dataset, settings: Mapping[str, ForecastSettings]) -> dict[str, xr.Dataset]:
    """Train on 1999-2007 and 2011-2016, forecast 2008, 2009 and 2010."""
    issued = issue_days(PAPER_YEARS)
    # The first days of a year are forecast three days ahead at the end of the year before.
    issued = np.concatenate([issued[0] - np.array([2, 1]) * DAY, issued])
    return forecast_all(history, training_only(history, PAPER_TRAINING), issued, settings)


def forward(history: xr.Dataset, settings: Mapping[str, ForecastSettings]) -> dict[str, xr.Dataset]:
    """For each year train on the days before it, forecast it, and put the years together."""
    jobs = []
    for year in FORWARD_YEARS:
        # Nothing of the test year's end or later is even in reach.
        reach = history.sel(time=slice(None, np.datetime64(f"{year}-12-31T23:00")))
        jobs.append((reach, training_only(history, f"{FIRST_YEAR}-{year - 1}"), issue_days((year,)), settings))
    years: dict[str, list[xr.Dataset]] = {}
    # A process a core: one training cannot use two cores as well.
    context = get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        started = time.monotonic()
        for year, made in zip(FORWARD_YEARS, pool.map(forecast_all, *zip(*jobs, strict=True)), strict=True):
            print(f"{year}: done after {time.monotonic() - started:.0f} s", flush=True)
            for name, forecast in made.items():
                years.setdefault(name, []).append(forecast)
    return {name: xr.concat(parts, "init_time", combine_attrs="override") for name, parts in years.items()}


def page(report: xr.Dataset, years: tuple[int, ...]) -> dict[str, list[dict[str, object]]]:
    """Give the tables of the result."""
    names = [str(name) for name in report["forecaster"].to_numpy()]
    leads = [int(lead) for lead in report["lead_time"].to_numpy()]
    whole = report.sel(period="all")
    networks = [name for name in names if name.startswith("lstm")]
    return {
        **{f"Prediction efficiency by year, {lead} d ahead": _by_year(report, names, lead, years) for lead in leads},
        **{f"All years together, {lead} d ahead": _numbers(whole, names, lead) for lead in leads},
        **{
            f"Reaching {threshold:.0e} cm-2 sr-1 d-1, all years together": _events(whole, names, leads, threshold)
            for threshold in report["threshold"].to_numpy().tolist()
        },
        "Dropout days (a fall of 1 dex or more), all years together": _dropouts(whole, names, leads),
        "The networks against boosting, all years together": [
            {
                "days ahead": lead,
                "method": name,
                **{
                    title: _with_interval(whole.sel(forecaster=name, lead_time=lead, reference="boosting"), score, 3)
                    for title, score in (("skill", "skill"), ("CRPS skill", "crps_skill"))
                },
            }
            for lead in leads
            for name in networks
        ],
    }


def _by_year(report: xr.Dataset, names: list[str], lead: int, years: tuple[int, ...]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name in names:
        scores = report["prediction_efficiency"].sel(forecaster=name, lead_time=lead)
        rows.append({"method": name, **{str(year): f"{scores.sel(period=str(year)).item():.3f}" for year in years}})
    return rows


def _numbers(whole: xr.Dataset, names: list[str], lead: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name in names:
        one = whole.sel(forecaster=name, lead_time=lead)
        row: dict[str, object] = {"method": name}
        row["efficiency"] = _with_interval(one, "prediction_efficiency", 3)
        row["rmse, dex"] = _with_interval(one, "rmse", 3)
        row["bias, dex"] = _with_interval(one, "bias", 3)
        row["correlation"] = _with_interval(one, "correlation", 3)
        if name != "persistence":
            row["skill over persistence"] = _with_interval(one.sel(reference="persistence"), "skill", 3)
        row["CRPS, dex"] = _with_interval(one, "crps", 4)
        for percent in (68, 95):
            row[f"inside {percent} %"] = _with_interval(one.sel(interval=percent), "coverage", 3)
        rows.append(row)
    return rows


def _events(whole: xr.Dataset, names: list[str], leads: list[int], threshold: float) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for lead in leads:
        for name in names:
            one = whole.sel(forecaster=name, lead_time=lead, threshold=threshold)
            row: dict[str, object] = {"days ahead": lead, "method": name}
            for rule in ("point", "probability"):
                row[f"HSS ({rule})"] = _with_interval(one.sel(rule=rule), "hss", 3)
            row["POD"] = f"{one['pod'].sel(rule='point').item():.3f}"
            row["FAR"] = f"{one['far'].sel(rule='point').item():.3f}"
            row["onset days hit"] = _with_interval(one.sel(rule="point"), "onset_hit_rate", 3)
            row["Brier score"] = _with_interval(one, "brier_score", 4)
            rows.append(row)
    return rows


def _dropouts(whole: xr.Dataset, names: list[str], leads: list[int]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for lead in leads:
        for name in names:
            one = whole.sel(forecaster=name, lead_time=lead)
            row: dict[str, object] = {"days ahead": lead, "method": name}
            row["rmse, dex"] = _with_interval(one, "dropout_rmse", 3)
            row["bias, dex"] = _with_interval(one, "dropout_bias", 3)
            row["fall of 1 dex forecast"] = f"{one['dropout_hit_rate'].item():.3f}"
            rows.append(row)
    return rows


def _with_interval(one: xr.Dataset, name: str, digits: int) -> str:
    value, lower, upper = (float(one[key]) for key in (name, f"{name}_lower", f"{name}_upper"))
    if not np.isfinite(value):
        return ""
    return f"{value:.{digits}f} ({lower:.{digits}f} to {upper:.{digits}f})"


def main() -> None:
    parser = common.arguments(__doc__ or "", model=False)
    parser.add_argument("--history", type=Path, help="history of both splits, as `particleflux history` writes it")
    parser.add_argument("--split", choices=("paper", "forward", "both"), default="both")
    parser.add_argument("--inputs", default="hourly,daily", help="inputs of the networks (default: %(default)s)")
    parser.add_argument("--forecasts", type=Path, help="folder to write the forecasts to, for `particleflux verify`")
    parser.add_argument("--bootstrap", type=int, default=1000, help="draws of the intervals (default: %(default)s)")
    given = parser.parse_args()
    settings = {f"lstm {inputs}": ForecastSettings(inputs=inputs) for inputs in given.inputs.split(",")}
    chosen = {
        "paper": (paper, PAPER_YEARS, f"trained on {PAPER_TRAINING}, as in Wei et al. (2018)"),
        "forward": (forward, FORWARD_YEARS, f"each year trained on {FIRST_YEAR} to the year before it"),
    }
    for split in ("paper", "forward") if given.split == "both" else (given.split,):
        function, years, how = chosen[split]
        # Forward, every satellite and product stays as measured: a calibration would have seen years to come.
        history = open_history(given.history or common.make_history(calibrated=split == "paper"))
        started = time.monotonic()
        forecasts = function(history, settings)
        seconds = time.monotonic() - started
        save(forecasts, given.forecasts and given.forecasts / split)
        references = [*(name for name in BASELINES), "boosting", "linear"]
        report = verify(forecasts, history, references=references, n_bootstrap=given.bootstrap)
        tables = page(report, years)
        about = {
            "split": how,
            "scale": "each satellite as measured" if split == "forward" else str(history.attrs.get("reference", "")),
            "days": int(report["n"].sel(period="all").max()),
            "seconds for training and forecasting": round(seconds),
            "draws of the 95 % intervals": given.bootstrap,
        }
        common.write_result(
            f"forecast_{split}",
            f"Forecast of the daily >2 MeV electron fluence: {how}",
            {"About": [{"what": key, "value": value} for key, value in about.items()], **tables},
            {"about": about, "tables": tables},
            folder=given.results,
        )


if __name__ == "__main__":
    main()
