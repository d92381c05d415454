"""Which inputs the flux follows, and for how long: rank correlation against offset time on the data of 1998 to 2016."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import xarray as xr
from common import arguments, history_command, make_history, table, write_result

from particleflux.correlate import Suggestion, correlate, suggest
from particleflux.history import open_history, training_only

#: What Wei et al. (2018) train on.
TRAINING = "1999-2007,2011-2016"
#: What they say of each input, in words.
PAPER = {
    "fluence_gt2mev": "among the best", "solar_wind_speed": "among the best", "dst": "among the best",
    "kp": "among the best", "ap": "correlated", "solar_wind_density": "correlated",
    "solar_wind_pressure": "correlated", "standoff": "correlated", "b_total": "not used", "by_gsm": "not used",
    "bz_gsm": "not used",
}  # fmt: skip
PAPER_INPUTS = "daily flux, daily mean stand-off distance, daily sum of Kp; 5 days"


def extreme(one: xr.Dataset, name: str) -> tuple[float, str]:
    """Give the largest coefficient from offset 1 to 10 in magnitude, and how to write it."""
    near = one.sel(offset=slice(1, 10))
    size = np.abs(near[name].to_numpy())
    if not np.isfinite(size).any():
        return 0.0, "no data"
    best = near.isel(offset=int(np.nanargmax(size)))
    value, lower, upper = (float(best[name + end]) for end in ("", "_lower", "_upper"))
    return abs(value), f"{value:+.2f} ({lower:+.2f} to {upper:+.2f}) at {int(best['offset'])} d"


def rows(correlations: xr.Dataset, suggestion: Suggestion) -> list[list[str]]:
    made = []
    reasons = dict(suggestion.left_out)
    for name in map(str, correlations["candidate"].to_numpy()):
        one = correlations.sel(candidate=name)
        size, plain = extreme(one, "correlation")
        added = extreme(one, "added_correlation")[1]
        fate = f"input {suggestion.inputs.index(name) + 1}" if name in suggestion.inputs else reasons[name]
        made.append((size, [name, plain, added, str(int(one["n"].sel(offset=1))), PAPER.get(name, ""), fate]))
    return [row for _, row in sorted(made, key=lambda item: -item[0])]


def main() -> None:
    parser = arguments(__doc__ or "", model=False)
    parser.add_argument("--history", type=Path, help="history file; made of the raw files by default")
    options = parser.parse_args()
    history = open_history(options.history or make_history())
    lines, data = [], {}
    if options.history is None:
        command = ["particleflux", *history_command("geo", "history.nc", "calibration.csv")]
        lines += ["```", " ".join(command), "particleflux correlate history.nc -o correlation.csv --plot "
                  f"correlation.png --periods {TRAINING}", "```", ""]  # fmt: skip
    days = np.datetime_as_string(history["time"].to_numpy()[[0, -1]], unit="D")
    columns = ["candidate", "largest coefficient", "largest added to the day before", "pairs at 1 d", "Wei et al. 2018",
               "suggestion"]  # fmt: skip
    for title, periods in (("training years of the paper", TRAINING), ("all days", None)):
        used = history if periods is None else training_only(history, periods)
        begin = time.perf_counter()
        correlations = correlate(used)
        seconds = time.perf_counter() - begin
        suggestion = suggest(correlations)
        what = f"{periods} ({title})" if periods else f"{days[0]} to {days[1]} ({title})"
        lines += [f"## {what[0].upper()}{what[1:]}", "", *table(columns, rows(correlations, suggestion)), ""]
        lines += [
            f"Suggested: {', '.join(suggestion.inputs)}; {suggestion.n_days} days. The paper's best: {PAPER_INPUTS}. "
            f"{correlations.sizes['candidate']} candidates x {correlations.sizes['offset']} offsets x "
            f"{correlations.attrs['n_bootstrap']} replicates in {seconds:.1f} s.",
            "",
        ]
        data[title] = {
            "periods": periods or "all",
            "inputs": list(suggestion.inputs),
            "n_days": suggestion.n_days,
            "left_out": dict(suggestion.left_out),
            "seconds": seconds,
            "offset": correlations["offset"].to_numpy(),
            **{
                str(name): {
                    kind: correlations[kind].sel(candidate=name).to_numpy()
                    for kind in ("correlation", "correlation_lower", "correlation_upper", "added_correlation", "n")
                }
                for name in correlations["candidate"].to_numpy()
            },
        }
    lines += [
        "Coefficients are Spearman's, largest in magnitude over offsets of 1 to 10 days, with 95 % intervals of a "
        "circular bootstrap of blocks of 27 days. 'Added' is the correlation with the part of the flux that its own "
        "rank of the day before does not explain: what a candidate adds to persistence. What the paper finds is put "
        "in words. The fluence is on the scale of the history's reference where an overlap ties its satellite to "
        "that, else as measured."
    ]
    write_result("correlation", "Rank correlation with the >2 MeV electron fluence against offset time", lines, data,
                 folder=options.results)  # fmt: skip


if __name__ == "__main__":
    main()
