"""Particle events: GOES-15 in March 2012 against NOAA's list, and RADEM on JUICE in May 2024.

Both run through the command line as a user would run it, with the default rule of NOAA SWPC. GOES is read with either
calibration of its channels; the rule and the quiet time are the defaults and were not fitted to the event.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, data_folder, radem_folder, table, write_result

from particleflux import cli
from particleflux.reconstruct import DEFAULT_METHOD

#: NOAA SWPC, Solar Proton Events Affecting the Earth Environment: begin, maximum of >10 MeV in pfu.
NOAA_ONSET, NOAA_PEAK = np.datetime64("2012-03-07T05:10"), 6530.0
#: What is asked for: minutes, and relative.
ONSET_GOAL, PEAK_GOAL = 15.0, 0.30
CALIBRATIONS = ("sandberg2014", "nominal")


def run(*options: str) -> None:
    """Run a command of the program, or end the benchmark."""
    if cli.main(list(options)):
        sys.exit(f"particleflux {options[0]} failed; the reason stands above")


def events(spectra: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    run("events", str(spectra), "-o", str(out), "--quiet", *options)
    found: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["events"]
    return found


def goes(folder: Path, work: Path) -> tuple[list[str], dict[str, Any]]:
    """Give the storm of March 2012 with both calibrations."""
    rows, data = [], {}
    for name in CALIBRATIONS:
        found = events(folder, work / f"{name}.json", "--goes-energies", name)
        storm = max(found, key=lambda event: float(event["peak"]["value"]))
        onset = np.datetime64(storm["onset"]["value"].removesuffix("Z"))
        late = float((onset - NOAA_ONSET) / np.timedelta64(1, "m"))
        off = storm["peak"]["value"] / NOAA_PEAK - 1.0
        is_met = abs(late) <= ONSET_GOAL, abs(off) <= PEAK_GOAL
        rows.append((
            name, short(storm["onset"]["value"]), f"{late:+.0f} min", "met" if is_met[0] else "**missed**",
            f"{storm['peak']['value']:.0f}", short(storm["peak_time"]["value"]), f"{off:+.0%}",
            "met" if is_met[1] else "**missed**", f"S{storm['s_scale']['value']}",
        ))  # fmt: skip
        data[name] = {
            "storm": storm, "onset_minutes_late": late, "peak_relative": off, "events": found,
            "onset_met": is_met[0], "peak_met": is_met[1],
        }  # fmt: skip
    titles = ("energies", "onset (UTC)", "from NOAA's", "15 min", "peak (pfu)", "at", "from NOAA's", "30 %", "scale")
    lines = [
        "## GOES-15, March 2012",
        "",
        f"NOAA's list: begin {short(str(NOAA_ONSET))}, maximum {NOAA_PEAK:.0f} pfu above 10 MeV (S3), from fluxes that",
        "NOAA corrects for protons through the walls. Here: uncorrected fluxes of GOES-15, averaged over 5 minutes,",
        "quiet level subtracted, integrated as piecewise power laws.",
        "",
        *table(titles, rows),
        "",
    ]
    if not any(one["onset_met"] and one["peak_met"] for one in data.values()):
        lines += ["**No choice of energies meets both.**"]
    lines += [
        "NOAA's energies (`nominal`) are the scale of NOAA's peak. They run early at a hard onset, probably because",
        "low channels then count protons that come through the walls, which NOAA removes and these files leave in. The",
        "calibration of Sandberg et al. (2014) was made for uncorrected fluxes: what comes through the walls is in it,",
        "at energies below the nominal ones, so that the integral of a soft spectrum is smaller. It is the default for",
        "that reason; the energies are those its authors publish with their data. The two differ by far more than the",
        "counting error in the intervals.",
    ]
    return lines, data


def radem(method: str, work: Path, every: str) -> tuple[list[str], dict[str, Any]]:
    """List the events of May 2024 at JUICE."""
    folder, spectra = radem_folder(), work / "may.nc"
    run(
        "reconstruct", str(folder / "radem_raw_sc_202405*.cdf"), "-o", str(spectra), "--every", every, "--method",
        method, "--background", str(folder / "radem_raw_sc_202310*.cdf"), "--quiet",
    )  # fmt: skip
    lines = [
        "## RADEM on JUICE, May 2024",
        "",
        f"`particleflux reconstruct --method {method} --every {every}`, October 2023 as background; 21 to 28 May are",
        "threshold scans without data. In brackets the 95 % interval, of bounds or draws as whole curves.",
    ]
    data: dict[str, Any] = {"method": method, "every": every}
    for title, options in (
        (">10 MeV, 10 pfu (SWPC)", ()),
        (">10 MeV, above quiet time", ("--rule", "background")),
        (">30 MeV, 1 pfu", ("--energy", "30", "--threshold", "1")),
    ):
        found = events(spectra, work / "radem.json", *options)
        data[title] = found
        rows = [
            (spread(event["onset"]), spread(event["peak"], ".3g"), short(event["peak_time"]["value"]),
             spread(event["end"]), spread(event["fluence"], ".3g"),
             f"{event['fluence_independent']['lower95']:.3g} to {event['fluence_independent']['upper95']:.3g}",
             ", ".join(event["flags"]))
            for event in found
        ]  # fmt: skip
        titles = ("onset (UTC)", "peak (cm-2 s-1 sr-1)", "at", "end", "fluence (cm-2 sr-1)",
                  "95 %, if errors were independent", "flags")  # fmt: skip
        lines += ["", f"### {title}", "", *(table(titles, rows) if rows else ["No event."])]
    return lines, data


def short(instant: str | None) -> str:
    return "-" if instant is None else str(instant)[5:16].replace("T", " ")


def spread(quantity: dict[str, Any], form: str | None = None) -> str:
    value, low, high = (quantity[key] for key in ("value", "lower95", "upper95"))
    say = short if form is None else lambda number: "-" if number is None else format(number, form)
    return f"{say(value)} ({say(low)} to {say(high)})"


def main() -> None:
    parser = arguments(__doc__ or "", model=False)
    parser.add_argument("--method", default=DEFAULT_METHOD, help="method for RADEM (default: %(default)s)")
    parser.add_argument("--every", default="15min", help="accumulation of RADEM (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        storm, storm_data = goes(data_folder() / "geo" / "goes15_protons_2012-03", work)
        may, may_data = radem(options.method, work, options.every)
    write_result(
        "events",
        "Particle events",
        [*storm, "", *may],
        {"goes15_2012_03": storm_data, "radem_2024_05": may_data},
        folder=options.results,
    )


if __name__ == "__main__":
    main()
