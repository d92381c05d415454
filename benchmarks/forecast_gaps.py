"""Score the intervals where the electron flux is missing: 2008 to 2010, with all electrons of the last days hidden.

The networks on daily inputs are trained on the paper's training years. Every tenth day of the test years is forecast as
it would be if no electrons had been measured for some days before.
"""

from __future__ import annotations

from pathlib import Path

import common
import numpy as np
import xarray as xr
from forecast import PAPER_TRAINING, PAPER_YEARS, issue_days

from particleflux.forecast import QUANTILES
from particleflux.forecast.inputs import is_flux
from particleflux.forecast.issue import log_fluence, rows_before, take_days
from particleflux.forecast.lstm import LstmForecaster
from particleflux.history import open_history, training_only
from particleflux.train.forecast import ForecastSettings, fit_forecast

#: Days without electrons; the last is more than any network reads.
GAPS = (0, 1, 2, 4, 10, 30, 90)
EVERY = 10


def hide(history: xr.Dataset, row: int, days: int) -> xr.Dataset:
    """Give the history up to a day as it would be without electrons on the last days."""
    known = history.isel(time=slice(max(row - 400, 0), row + 1)).copy()
    for name in map(str, known.data_vars):
        if is_flux(name) and days:
            known[name] = known[name].where(known["time"] <= known["time"][-1] - np.timedelta64(days, "D"))
    return known


def main() -> None:
    parser = common.arguments(__doc__ or "", model=False)
    parser.add_argument("--history", type=Path, help="history, as `particleflux history` writes it")
    given = parser.parse_args()
    history = open_history(given.history or common.make_history())
    artefact = fit_forecast(training_only(history, PAPER_TRAINING), settings=ForecastSettings())
    forecaster = LstmForecaster.of(artefact)
    issued = issue_days(PAPER_YEARS)[::EVERY]
    rows = rows_before(history, issued)
    truth = take_days(log_fluence(history), rows[:, None] + np.array([1, 2, 3]))
    middle = QUANTILES.index(0.5)
    tables: list[dict[str, object]] = []
    for days in GAPS:
        made = [forecaster.predict(hide(history, int(row), days)) for row in rows]
        log = np.log10(np.concatenate([forecast["fluence_gt2mev"].to_numpy() for forecast in made]))
        row: dict[str, object] = {"days without electrons": days}
        for lead in range(3):
            known = np.isfinite(truth[:, lead])
            came, quantile = truth[known, lead], log[known, lead]
            inside = {}
            for percent, lower, upper in ((68, 0.16, 0.84), (95, 0.025, 0.975)):
                low, high = quantile[:, QUANTILES.index(lower)], quantile[:, QUANTILES.index(upper)]
                inside[percent] = np.mean((came >= low) & (came <= high))
            rms = np.sqrt(np.mean((came - quantile[:, middle]) ** 2))
            half = np.mean(quantile[:, QUANTILES.index(0.84)] - quantile[:, QUANTILES.index(0.16)]) / 2
            row[f"{lead + 1} d: inside 68 / 95 %"] = f"{inside[68]:.2f} / {inside[95]:.2f}"
            row[f"{lead + 1} d: rms error, half 68 %, dex"] = f"{rms:.2f}, {half:.2f}"
        tables.append(row)
    common.write_result(
        "forecast_gaps",
        f"Forecasts without electrons, {len(rows)} issue times of {PAPER_YEARS[0]} to {PAPER_YEARS[-1]}",
        {f"Networks on daily inputs, trained on {PAPER_TRAINING}": tables},
        folder=given.results,
    )


if __name__ == "__main__":
    main()
