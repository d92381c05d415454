"""The report as tables: one row per score for a CSV, and a compact one to read."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from particleflux.verify.report import ALL
from particleflux.verify.terms import SCORES, SKILLS

COLUMNS = ("score", "period", "forecaster", "reference", "lead_time", "threshold", "interval", "rule", "value", "lower",
           "upper", "units", "n")  # fmt: skip


def to_table(report: xr.Dataset) -> pd.DataFrame:
    """Give all scores of a report, one per row.

    Parameters
    ----------
    report : Dataset
        What `verify` gave.

    Returns
    -------
    DataFrame
        `score`, what it is of (`period` to `rule`, missing where that does not apply), `value` with the ends `lower`
        and `upper` of its 95 % interval, `units`, and `n`, the number of days.
    """
    names = [score.name for score in SCORES]
    names += [f"{name}_difference" for name in names] + [score.name for score in SKILLS]
    rows = []
    n = report["n"].to_dataframe()["n"]
    for name in names:
        if name not in report:
            continue
        columns = {"value": name, "lower": f"{name}_lower", "upper": f"{name}_upper"}
        part = xr.Dataset({key: report[variable] for key, variable in columns.items()}).to_dataframe().reset_index()
        if "reference" in part:
            # A method is not compared with itself.
            part = part[part["forecaster"] != part["reference"]]
        rows.append(part.assign(score=name, units=str(report[name].attrs.get("units", ""))))
    joined = pd.concat(rows, ignore_index=True).join(n, on=[str(name) for name in n.index.names])
    return joined.reindex(columns=list(COLUMNS))


def summarise(report: xr.Dataset, *, period: str = ALL) -> list[dict[str, str | int | float]]:
    """Give the scores that matter most, a row per lead time and method.

    Parameters
    ----------
    report : Dataset
        What `verify` gave.
    period : str
        A label of `period`.

    Returns
    -------
    list of dict
        With the keys `lead`, `forecaster`, `PE`, `RMSE`, `skill` (over persistence), `CRPS`, `cover68`, `cover95`, and
        `HSS` at each threshold (rule `point`); NaN where there is none.
    """
    rows: list[dict[str, str | int | float]] = []
    chosen = report.sel(period=period)
    base = "persistence" if "persistence" in report.coords.get("reference", xr.DataArray([])) else None
    for lead in report["lead_time"].to_numpy().tolist():
        for name in report["forecaster"].to_numpy().tolist():
            one = chosen.sel(lead_time=lead, forecaster=name)
            row: dict[str, str | int | float] = {"lead": lead, "forecaster": name}
            row["PE"], row["RMSE"] = one["prediction_efficiency"].item(), one["rmse"].item()
            row["skill"] = one["skill"].sel(reference=base).item() if base else float("nan")
            row["CRPS"] = one["crps"].item()
            for percent in (68, 95):
                row[f"cover{percent}"] = one["coverage"].sel(interval=percent).item()
            for threshold in report["threshold"].to_numpy().tolist():
                row[f"HSS {threshold:.3g}".replace("e+0", "e")] = (
                    one["hss"].sel(threshold=threshold, rule="point").item()
                )
            rows.append(row)
    return rows
