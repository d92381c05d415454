"""Command that lists particle events: events."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from particleflux.cli.app import Quiet, app, command_line, show_files
from particleflux.cli.inputs import parse_span, refuse
from particleflux.cli.terminal import progress_line, say

if TYPE_CHECKING:
    import xarray as xr

    from particleflux.io.times import TimeRange
    from particleflux.products import Event, EventRule, Survey

    Window = tuple[Any, Any]

FORMAT, VERSION = "particleflux events", 1


@app.command()
def events(
    spectra: Annotated[
        list[str],
        typer.Argument(
            metavar="SPECTRA...",
            help="What `reconstruct` wrote (.nc, .cdf, .csv, .json); or files or a folder of GOES EPEAD protons.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT.json", help="File to write, .json.")],
    rule: Annotated[
        str, typer.Option(metavar="swpc|background", help="A flux to reach, or one relative to quiet time.")
    ] = "swpc",
    threshold: Annotated[
        float | None, typer.Option(help="Flux that makes an event, cm-2 s-1 sr-1; with `swpc`.", show_default="10")
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Deviations above the quiet mean; with `background`.", show_default="3")
    ] = None,
    energy: Annotated[float, typer.Option(help="Integral flux above this energy, MeV.")] = 10.0,
    points: Annotated[int, typer.Option(help="Consecutive points it takes.", min=1)] = 3,
    every: Annotated[str, typer.Option(metavar="TIME", help="Cadence of the points; a coarser one is kept.")] = "5min",
    dwell: Annotated[str, typer.Option(metavar="TIME", help="How long below the threshold ends an event.")] = "3h",
    quiet_time: Annotated[
        str | None,
        typer.Option(
            metavar="auto|none|START/STOP",
            help="Quiet time: for `background`, and to subtract from GOES EPEAD, whose fluxes hold their background. "
            "A stop that is a bare date includes that day.",
            show_default="auto",
        ),
    ] = None,
    goes_energies: Annotated[
        str | None,
        typer.Option(
            metavar="sandberg2014|nominal", help="Energies of the channels of GOES EPEAD.", show_default="sandberg2014"
        ),
    ] = None,
    scoreboard: Annotated[Path | None, typer.Option(metavar="FILE", help="Write CCMC SEP Scoreboard JSON too.")] = None,
    location: Annotated[
        str | None, typer.Option(help="Where it was measured, for the Scoreboard.", show_default="earth for GOES")
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="T", help="First instant, UTC, such as 2024-05-10.")] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="T", help="First instant not wanted, UTC; a bare date is included whole.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """List particle events: onset, peak, end and fluence with intervals, and NOAA's S-scale.

    A table goes to stdout, all of it with intervals to the file.
    """
    span = parse_span(start, stop)
    with progress_line("Reading spectra", quiet=quiet):
        from particleflux.export import Provenance, check_writable

        # Every mistake that can show before the files are read shows before.
        for path in (out, scoreboard):
            if path is not None:
                check_writable(path, (".json",))
        _check_use(spectra, rule, quiet_time, goes_energies, scoreboard, location)
        window = _parse_quiet(quiet_time or "auto")
        chosen = _rule(rule, threshold, sigma, window, {"points": points, "every": every, "dwell": dwell})
        opened, paths = open_any_spectra(
            spectra, span, every=every, window=window, subtract=quiet_time != "none", goes_energies=goes_energies
        )
        where = _place(opened, location) if scoreboard is not None else None
    with progress_line("Finding events", quiet=quiet):
        from particleflux.products import find_events, integral_flux, survey

        fluxes = integral_flux(opened, (energy,))
        search = survey(fluxes, chosen, energy=energy)
        found = find_events(fluxes, chosen, energy=energy)
    settings = {
        "rule": rule, "threshold": threshold, "sigma": sigma, "energy": energy, "points": points, "every": every,
        "dwell": dwell, "quiet_time": quiet_time or "auto", "goes_energies": goes_energies or "sandberg2014",
        "start": start, "stop": stop,
    }  # fmt: skip
    provenance = Provenance.now(
        command=command_line(),
        instrument=str(opened.attrs.get("instrument", "")),
        artefact=str(opened.attrs.get("model", "")),
        artefact_sha256=str(opened.attrs.get("model_sha256", "")),
        input_files=paths,
        settings=settings,
    )
    searched = _searched(fluxes)
    about = {key: str(fluxes.attrs[key]) for key in ("instrument", "satellite", "species", "energies", "quiet_window",
             "integral_method") if key in fluxes.attrs}  # fmt: skip
    document = {
        "format": FORMAT, "format_version": VERSION, "provenance": provenance.to_dict(), "about": about,
        "window": list(searched), "search": asdict(search), "events": [event.to_dict() for event in found],
    }  # fmt: skip
    documents = [(document, out)]
    if scoreboard is not None and where is not None:
        documents.append((_report(found, fluxes, searched, provenance.created, where, search), scoreboard))
    written = [write_json_document(one, path) for one, path in documents]
    _show(found, "pfu" if fluxes.attrs.get("species", "proton") == "proton" else "cm-2 s-1 sr-1")
    if not quiet:
        say(f"{len(found)} events above {energy:g} MeV from {searched[0]} to {searched[1]}")
        _say_limits(search, with_report=scoreboard is not None and not found)
        if "quiet_window" in about:
            say(f"quiet level of {about['quiet_window']} subtracted")
    show_files(*written)


def open_any_spectra(
    names: Sequence[str],
    span: TimeRange,
    *,
    every: str,
    window: Window | None,
    subtract: bool,
    goes_energies: str | None,
) -> tuple[xr.Dataset, list[Path]]:
    """Read one file of spectra, or files of GOES EPEAD, averaged and with their quiet level subtracted.

    Parameters
    ----------
    names : sequence of str
        What the user named.
    span : TimeRange
        The range asked for.
    every : str
        Step that EPEAD is averaged to.
    window : tuple of two datetime64 or None
        Quiet time of EPEAD; None to find it.
    subtract : bool
        Subtract it.
    goes_energies : str or None
        Energies of the channels of EPEAD; None for those of Sandberg et al.

    Returns
    -------
    spectra : Dataset, dims (time, energy)
        In the range.
    paths : list of Path
        The files read.

    Raises
    ------
    DataError
        If the files are of no known kind, their samples are no series in time, or nothing lies in the range.
    """
    from particleflux.export import open_spectra
    from particleflux.io import open_goes_epead
    from particleflux.products import average_spectra, subtract_quiet

    if not _is_goes(names):
        if len(names) > 1:
            refuse("SPECTRA", f"found {len(names)} files, expected one that `reconstruct` wrote, or GOES EPEAD files")
        path = Path(names[0])
        spectra = open_spectra(path)
        if int(spectra.attrs.get("independent_samples", 0)):
            refuse(
                "SPECTRA",
                f"{path} holds samples that are independent of each other (attribute 'independent_samples'), expected "
                "a series in time: they make no event and no dose; give spectra of measurements",
            )
        inside = span.contains(spectra["time"].to_numpy())
        if not inside.any():
            refuse("--start, --stop", f"{path} holds no spectrum in {span}; give another range")
        return spectra.isel(time=inside), [path]
    energies = goes_energies or "sandberg2014"
    if energies not in ("sandberg2014", "nominal"):
        refuse("--goes-energies", f"found {energies!r}, expected 'sandberg2014' or 'nominal'")
    spectra = average_spectra(open_goes_epead(names, energies=energies), every)  # type: ignore[arg-type]
    if subtract:  # before the range is cut: quiet time may lie outside
        spectra = subtract_quiet(spectra, window)
    inside = span.contains(spectra["time"].to_numpy())
    if not inside.any():
        refuse("--start, --stop", f"the files hold no spectrum in {span}; give another range")
    return spectra.isel(time=inside), _files(names, spectra.attrs["source_files"])


def _is_goes(names: Sequence[str]) -> bool:
    return any(Path(name).is_dir() or "epead" in Path(name).name.lower() or "*" in name for name in names)


def _check_use(
    names: Sequence[str], rule: str, quiet_time: str | None, goes_energies: str | None, scoreboard: Path | None,
    location: str | None,
) -> None:  # fmt: skip
    # An option that would do nothing is a mistake of whoever gave it.
    is_goes = _is_goes(names)
    if goes_energies is not None and not is_goes:
        refuse("--goes-energies", "found with spectra that are not of GOES EPEAD, which hold their energies; leave out")
    if quiet_time is not None and rule == "swpc" and not is_goes:
        refuse("--quiet-time", "found with --rule swpc and spectra without background, which need none; leave it out")
    if quiet_time == "none" and rule == "background":
        refuse(
            "--quiet-time", "found 'none' with --rule background, whose level is that of quiet time; give 'auto' or it"
        )
    if location is not None and scoreboard is None:
        refuse("--location", "found without --scoreboard, the only file that says where; leave it out or add that")
    if location is not None:
        from particleflux.products.scoreboard import LOCATIONS

        if location not in LOCATIONS:
            refuse(
                "--location", f"found {location!r}, which the format does not take; give one of {', '.join(LOCATIONS)}"
            )


def _place(spectra: xr.Dataset, location: str | None) -> str:
    where = location or ("earth" if str(spectra.attrs.get("satellite", "")).startswith("GOES") else None)
    if where is None:
        refuse("--location", "expected one for --scoreboard: the spectra do not say where; give such as earth or mars")
    return where


def _files(names: Sequence[str], wanted: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for name in names:
        path = Path(name)
        found += sorted(path.rglob("*")) if path.is_dir() else map(Path, sorted(glob.glob(name)))
    return [file for file in dict.fromkeys(found) if file.is_file() and file.name in wanted]


def write_json_document(document: dict[str, Any], path: Path) -> Path:
    """Write a document as strict JSON, whole or not at all.

    Parameters
    ----------
    document : dict
        What JSON can hold.
    path : Path
        The file.

    Returns
    -------
    Path
        The file.
    """
    from particleflux.export import replacing

    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1, allow_nan=False, ensure_ascii=False)
        stream.write("\n")
    return path


def _rule(
    name: str, threshold: float | None, sigma: float | None, window: Window | None, settings: dict[str, Any]
) -> EventRule:
    from particleflux.products import EventRule

    if name == "swpc":
        if sigma is not None:
            refuse("--sigma", "found with --rule swpc, whose level is --threshold; leave one out")
        return EventRule(threshold=10.0 if threshold is None else threshold, **settings)
    if name != "background":
        refuse("--rule", f"found {name!r}, expected 'swpc' or 'background'")
    if threshold is not None:
        refuse("--threshold", "found with --rule background, whose level is --sigma; leave one out")
    level = 3.0 if sigma is None else sigma
    return EventRule(threshold=None, n_sigma=level, quiet=window, keep_duration=False, **settings)


def _parse_quiet(text: str) -> Window | None:
    if text in ("auto", "none"):
        return None
    first, bar, last = text.partition("/")
    if not bar:
        refuse("--quiet-time", f"found {text!r}, expected 'auto', 'none' or START/STOP such as 2012-03-05/2012-03-06")
    span = parse_span(first, last)
    return span.start, span.stop


def _searched(fluxes: xr.Dataset) -> tuple[str, str]:
    import numpy as np

    ends = fluxes["time"].to_numpy()[[0, -1]]
    first, last = (f"{text}Z" for text in np.datetime_as_string(ends, unit="s"))
    return first, last


def _report(
    found: Sequence[Event], fluxes: xr.Dataset, window: tuple[str, str], created: str, where: str, search: Survey
) -> dict[str, Any]:
    from particleflux.products import scoreboard

    about = {name: str(fluxes.attrs.get(name, "")) for name in ("satellite", "instrument")}
    return scoreboard(
        found, window=window, issue_time=created, location=where, energy=float(fluxes["threshold"].item()),
        threshold=search.threshold, observatory=about["satellite"], instrument=about["instrument"],
        species=str(fluxes.attrs.get("species", "proton")), mode="historical", coverage=search.coverage,
    )  # fmt: skip


def _say_limits(search: Survey, *, with_report: bool) -> None:
    from particleflux.products.scoreboard import LEAST_COVERAGE

    if search.threshold_source != "given":
        named = {"quiet detections": "of quiet time", "quiet limits": "of its upper limits: quiet time has only these"}
        say(f"threshold {search.threshold:.4g} cm-2 s-1 sr-1, {named[search.threshold_source]}")
    if search.coverage < 1:
        left_out = (
            f"; samples not to be trusted left out in {search.doubtful_share:.1%}" if search.doubtful_share else ""
        )
        say(f"{search.coverage:.1%} of the time has data{left_out}")
    if with_report and search.coverage < LEAST_COVERAGE:
        say("too little data for an all-clear: the report has none")


def _show(found: Sequence[Event], unit: str) -> None:
    titles = ("onset (UTC)", "peak (UTC)", "end (UTC)", f"peak ({unit})", "fluence (cm-2 sr-1)", "S")
    rows = [
        (_minute(one.onset.value), _minute(one.peak_time.value), _minute(one.end.value), f"{one.peak.value:.4g}",
         f"{one.fluence.value:.3g}", "-" if one.s_scale.value is None else f"S{one.s_scale.value}")
        for one in found
    ]  # fmt: skip
    widths = [max(len(title), *(len(row[i]) for row in rows), 0) for i, title in enumerate(titles)]
    for row in (titles, *rows):
        typer.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _minute(instant: float | str | None) -> str:
    return "still on" if instant is None else str(instant)[:16].replace("T", " ")
