"""Command that turns spectra into dose behind aluminium: dose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from particleflux.cli.app import Quiet, app, command_line, show_files
from particleflux.cli.events import open_any_spectra
from particleflux.cli.inputs import parse_span, refuse
from particleflux.cli.terminal import progress_line, say

if TYPE_CHECKING:
    import xarray as xr

    from particleflux.export import Provenance

TABLE_LINE = (
    "# particleflux dose 1: one row per thickness of aluminium; lower and upper are ends of the 68 and 95 % intervals"
)


@app.command()
def dose(
    spectra: Annotated[
        list[str],
        typer.Argument(
            metavar="SPECTRA...",
            help="What `reconstruct` wrote (.nc, .cdf, .csv, .json); or files or a folder of GOES EPEAD protons.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .csv, .json or .nc.")],
    depths: Annotated[
        str | None, typer.Option(metavar="D,D,...", help="Thicknesses of aluminium, mm.", show_default="0.5 to 10")
    ] = None,
    geometry: Annotated[
        str, typer.Option(metavar="sphere|slab|semi-infinite", help="Shield around the silicon.")
    ] = "sphere",
    fill_gaps: Annotated[
        bool, typer.Option("--fill-gaps", help="Take the mean of what was measured for the gaps too.")
    ] = False,
    start: Annotated[str | None, typer.Option(metavar="T", help="First instant, UTC, such as 2024-05-10.")] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="T", help="First instant not wanted, UTC; a bare date is included whole.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Give the dose in silicon behind aluminium from protons, over the time of the spectra (SHIELDOSE-2).

    A table goes to stdout. Needs spacepy: pip install 'particleflux[dose]'.
    """
    span = parse_span(start, stop)
    with progress_line("Reading spectra", quiet=quiet):
        from particleflux.export import Provenance, check_writable
        from particleflux.products.dose import DEPTHS, dose_behind_aluminium

        check_writable(out, (".csv", ".json", ".nc"))
        thickness = DEPTHS if depths is None else _parse_depths(depths)
        opened, paths = open_any_spectra(spectra, span, every="5min", window=None, subtract=True, goes_energies=None)
    with progress_line("Computing dose", quiet=quiet):
        found = dose_behind_aluminium(opened, thickness, geometry=geometry, interpolate_gaps=fill_gaps)
    provenance = Provenance.now(
        command=command_line(),
        instrument=str(opened.attrs.get("instrument", "")),
        artefact=str(opened.attrs.get("model", "")),
        artefact_sha256=str(opened.attrs.get("model_sha256", "")),
        input_files=paths,
        settings={
            "depths": list(thickness),
            "geometry": geometry,
            "fill_gaps": fill_gaps,
            "start": start,
            "stop": stop,
        },
    )
    path = _write(found, out, provenance)
    _show(found)
    if not quiet:
        days = found.attrs["measured_time"] / 86400
        say(f"{found.attrs['n_samples']} spectra of {opened.sizes['time']}, {days:.3g} days; geometry: {geometry}")
        if found.attrs["limit_share"] > 0:
            say(f"{found.attrs['limit_share']:.0%} of the spectra are below detection: in the upper ends only")
        if found.attrs["doubtful_share"] > 0:
            say(f"{found.attrs['doubtful_share']:.0%} of the spectra left out: their flux cannot be trusted")
    show_files(path)


def _parse_depths(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(item) for item in text.split(","))
    except ValueError:
        refuse("--depths", f"found {text!r}, expected thicknesses in mm with commas between, such as 1,2,5")


def _write(found: xr.Dataset, out: Path, provenance: Provenance) -> Path:
    from particleflux.export import replacing, write_dataset

    if out.suffix.lower() != ".csv":
        return write_dataset(found, out, provenance=provenance)
    described = {**found.attrs, **provenance.to_attributes()}
    columns = [name for name in found.data_vars if found[name].dims == ("depth",)]
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(TABLE_LINE + "\n")
        stream.writelines(f"# {key}: {value}\n" for key, value in described.items())
        table = found[columns].to_dataframe().rename_axis("depth_mm")
        table.columns = [f"{name}_{found[name].attrs['units']}".removesuffix("_1") for name in columns]
        table.to_csv(stream, lineterminator="\n", float_format="%.6g")
    return out


def _show(found: xr.Dataset) -> None:
    has_bounds = "dose_lower95" in found
    titles = ["mm Al", "dose (rad Si)", *(["95 % interval"] if has_bounds else []), "extrapolated"]
    typer.echo("  ".join(title.rjust(width) for title, width in zip(titles, _widths(has_bounds), strict=True)))
    for row in (found.isel(depth=number) for number in range(found.sizes["depth"])):
        cells = [f"{row['depth'].item():g}", f"{row['dose'].item():.4g}"]
        if has_bounds:
            cells.append(f"{row['dose_lower95'].item():.3g} to {row['dose_upper95'].item():.3g}")
        cells.append(f"{row['extrapolated_share'].item():.0%}")
        typer.echo("  ".join(cell.rjust(width) for cell, width in zip(cells, _widths(has_bounds), strict=True)))


def _widths(has_bounds: bool) -> list[int]:
    return [6, 14, *([24] if has_bounds else []), 12]
