"""Command that assembles a history of the flux and of what drives it from the files of their sources."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from particleflux.cli.app import Quiet, app, command_line, show_files
from particleflux.cli.history_inputs import open_sources, parse_pairs
from particleflux.cli.inputs import parse_span, refuse
from particleflux.cli.terminal import progress_line, say, spread_values

if TYPE_CHECKING:
    import xarray as xr

    from particleflux.calibrate import Calibration

_SPREAD = ("--dpd", "--ncei", "--omni", "--kp", "--dst")


class _SeveralValues(typer.core.TyperCommand):
    """A command whose options of files take one or more values, as a shell's expanded pattern gives them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return list(super().parse_args(ctx, spread_values(args, _SPREAD)))


@app.command(cls=_SeveralValues)
def history(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="HISTORY", help="File to write: .nc, or .csv for days without hours.")
    ],
    dpd: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH...", help="Daily Particle Data of NOAA SWPC: electrons by the day."),
    ] = None,
    electrons: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SATELLITE[/PRODUCT]=PATH",
            help="Electrons by the hour, such as GOES-13/science=FILE; repeatable, used in this order after --dpd.",
        ),
    ] = None,
    ncei: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH...", help="Electrons of one satellite as NOAA NCEI archives them, after those."),
    ] = None,
    omni: Annotated[
        list[str] | None, typer.Option(metavar="PATH...", help="OMNI2 hourly solar wind and indices.")
    ] = None,
    kp: Annotated[
        list[str] | None, typer.Option(metavar="PATH...", help="Kp and ap of GFZ or CelesTrak; before those of OMNI.")
    ] = None,
    dst: Annotated[list[str] | None, typer.Option(metavar="PATH...", help="Dst, hourly; before that of OMNI.")] = None,
    feeds: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder `fetch` wrote to: its feeds go on where the rest ends.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="SATELLITE", help="Bring all fluences to its scale; without it they stay as measured."),
    ] = None,
    calibrate_on: Annotated[
        str | None,
        typer.Option(
            metavar="PERIODS", help="Years or dates to calibrate on, such as 1999-2007,2011-2016; all by default."
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Estimate from the drivers what no overlap ties to the reference.")
    ] = False,
    calibration: Annotated[
        Path | None, typer.Option(metavar="TABLE.csv", help="Table of the calibrations to write.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SATELLITE[/PRODUCT]=PERIODS",
            help="Electrons not to use, such as GOES-13=2014-02-01/2014-03-14; repeatable.",
        ),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="T", help="First day, UTC, such as 1998-01-01.")] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="T", help="First instant not wanted, UTC; a bare date is included whole.")
    ] = None,
    day_start: Annotated[
        float, typer.Option(metavar="HOURS", help="Start of a day, hours after 00:00 UTC; needs hourly electrons.")
    ] = 0.0,
    quiet: Quiet = False,
) -> None:
    """Assemble the history of the electron flux and of its drivers: days and hours on one time axis.

    Each day has the electrons of one satellite, of the first source that has a fluence for it. Gaps stay gaps.
    """
    with progress_line("Starting", quiet=quiet):
        from particleflux.export import Provenance, check_writable, write_dataset
        from particleflux.history import assemble

        check_writable(out, (".nc", ".csv"))
        if calibration is not None:
            check_writable(calibration, (".csv",))
        parse_span(start, stop)
        if reference is None and (calibrate_on or estimate or calibration):
            refuse("--reference", "--calibrate-on, --estimate and --calibration need the satellite to calibrate to")
        if not (dpd or electrons or ncei or feeds):
            refuse("--dpd, --electrons, --ncei, --feeds", "found no electrons; give at least one source of them")
        excluded = {name: periods for name, periods in parse_pairs("--exclude", exclude)}
    with progress_line("Reading", quiet=quiet) as show:
        sources = open_sources(
            {"dpd": dpd, "ncei": ncei, "omni": omni, "kp": kp, "dst": dst},
            parse_pairs("--electrons", electrons),
            feeds,
            show,
        )
    given: dict[str, Any] = {
        "omni": sources.drivers.get("omni"), "kp": sources.drivers.get("kp"), "dst": sources.drivers.get("dst"),
        "others": sources.others, "exclude": excluded, "day_start": day_start, "start": start, "stop": stop,
    }  # fmt: skip
    with progress_line("Assembling", quiet=quiet):
        made = assemble(sources.electrons, reference=reference, **given)
    calibrations: dict[str, Calibration] = {}
    written = []
    if reference is not None:
        with progress_line("Calibrating", quiet=quiet):
            calibrations, table = _calibrate(sources.electrons, made, reference, calibrate_on, estimate, given)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # said when it was assembled the first time
                made = assemble(sources.electrons, reference=reference, calibrations=calibrations, **given)
    settings = {
        "reference": reference, "calibrate_on": calibrate_on, "estimate": estimate, "exclude": excluded,
        "day_start": day_start, "start": start, "stop": stop,
        "calibrations": [each.to_dict() for each in calibrations.values()],
    }  # fmt: skip
    with progress_line("Writing", quiet=quiet):
        provenance = Provenance.now(command=command_line(), input_files=sources.files, settings=settings)
        written.append(write_dataset(_compact(made, hours=out.suffix.lower() == ".nc"), out, provenance=provenance))
        if calibration is not None:
            written.append(_write_table(table, calibration))
    if not quiet:
        _summarise(made, calibrations)
    show_files(*written)


def _calibrate(
    electrons: Sequence[xr.Dataset],
    drivers: xr.Dataset,
    reference: str,
    periods: str | None,
    estimate: bool,
    given: dict[str, Any],
) -> tuple[dict[str, Calibration], Any]:
    """Fit the calibrations, on the periods asked for only."""
    import numpy as np

    from particleflux.calibrate import calibrate_sources
    from particleflux.history import measured_fluences, parse_periods, training_only

    # Not cut at the start, for overlaps before it; but nothing after the stop is looked at.
    options = {name: given[name] for name in ("exclude", "day_start", "stop")}
    fluences = measured_fluences(electrons, **options)
    if reference not in fluences:
        refuse("--reference", f"found {reference!r}, expected one of {', '.join(fluences)}")
    if periods is not None:
        spans = parse_periods(periods)
        for name, values in fluences.items():
            inside = np.any([span.contains(values["time"].to_numpy()) for span in spans], axis=0)
            fluences[name] = values.where(inside)
        drivers = training_only(drivers, periods)
    return calibrate_sources(fluences, reference=reference, drivers=drivers if estimate else None)


def _compact(history: xr.Dataset, *, hours: bool) -> xr.Dataset:
    """Leave out what holds nothing, and store hours in single precision."""
    import numpy as np

    if not hours:
        history = history.drop_dims("hour", errors="ignore")
    for name, array in history.data_vars.items():
        if array.dtype.kind == "f" and not np.isfinite(array).any():
            history = history.drop_vars([name])
        elif "hour" in array.dims:
            history[name] = array.astype(np.float32)
    return history


def _write_table(table: Any, path: Path) -> Path:
    from particleflux.export import replacing

    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    return path


def _summarise(history: xr.Dataset, calibrations: dict[str, Calibration]) -> None:
    import numpy as np

    from particleflux.io.times import format_days

    days = history["time"].to_numpy().astype("datetime64[D]")
    known = np.isfinite(history["fluence_gt2mev"].to_numpy())
    say(f"{len(days)} days, {days[0]} to {days[-1]}; {int(known.sum())} with a fluence above 2 MeV")
    names = history["satellite"].to_numpy()
    for name in dict.fromkeys(names[known].tolist()):
        own = days[known & (names == name)]
        tie = calibrations[name].kind if name in calibrations else "as measured"
        say(f"  {name or 'unnamed'}: {len(own)} days, {own[0]} to {own[-1]}; {tie}")
    if not known.all():
        say(f"no fluence: {format_days(days[~known], limit=4)}")
    for name in ("solar_wind_speed", "standoff", "kp", "dst"):
        missing = int((~np.isfinite(history[name].to_numpy())).sum()) if name in history else len(days)
        if missing:
            say(f"{name}: {missing} days without")
