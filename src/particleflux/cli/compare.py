"""The command that shows several methods side by side: compare."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from particleflux.cli.app import InstrumentOption, Quiet, app, show_files
from particleflux.cli.inputs import SeveralValues, open_reference, parse_length, parse_span, prepare_files, refuse
from particleflux.cli.terminal import progress_line
from particleflux.errors import ArtefactError, DataError

if TYPE_CHECKING:
    from particleflux.instruments import Instrument
    from particleflux.response import Response
    from particleflux.unfold import Unfolder


@app.command(cls=SeveralValues)
def compare(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="RADEM CDF files, folders or patterns; or one .nc or .csv of counts."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Figure to write: .png, .pdf or .svg.")],
    instrument: InstrumentOption = "radem",
    methods: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,...", help="Methods to show; all by default.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="T", help="First instant, UTC, such as 2024-05-15T12:00.")
    ] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="T", help="First instant not wanted, UTC; a bare date is included whole.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="T", help="Show the spectra of the sample at this time; by default of the whole span."),
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Accumulation, such as 15min (the default) or 1h, or 'native'.")
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE...|auto", help="Files of quiet days, one or several; 'auto' finds quiet time."),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE...", help="Files of STEREO LET or HET to compare with, averaged over the time."),
    ] = None,
    response: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Response tables for the methods that work from them.")
    ] = None,
    response_error: Annotated[
        float, typer.Option(help="Relative uncertainty of the response, carried into the intervals.")
    ] = 0.05,
    quiet: Quiet = False,
) -> None:
    """Show several methods side by side on the same counts, on one page.

    Counts and background, all spectra with their intervals, measurements of others, and how well each spectrum explains
    the counts. The spectra are those of the whole span, its samples summed to one, or of one sample (--at).
    """
    with progress_line("Starting", quiet=quiet):
        from particleflux.export.files import FIGURE_SUFFIXES, check_writable
        from particleflux.instruments import load_instrument

        check_writable(out, FIGURE_SUFFIXES)
        length = parse_length("auto" if every is None else every)
        parse_span(start, stop)
        chosen = load_instrument(instrument)
        tables = None if response is None else chosen.open_response(response, species="proton")
        unfolders = _load(methods, chosen, response_error, tables)
        references = [open_reference(name) for name in reference or []]
    prepared, _ = prepare_files(
        files, chosen, background=background, start=start, stop=stop, length=length, quiet=quiet, figure="FILE"
    )
    with progress_line("Comparing", quiet=quiet) as show:
        from particleflux.reconstruct.compare import average_reference, compare, select_sample, sum_samples

        shown = sum_samples(prepared) if at is None else select_sample(prepared, at)
        span = (prepared if at is None else shown).span()
        measured = [average_reference(item, *span) for item in references]
        results = compare(shown, unfolders, progress=lambda name, done, total: show(done, total, name))
    with progress_line("Drawing", quiet=quiet):
        from particleflux.plot import write_figure
        from particleflux.plot.compare import plot_comparison

        figure = plot_comparison(
            prepared.counts, results, span=span, background=prepared.background, references=measured
        )
        write_figure(figure, out)
    show_files(out)


def _load(
    names: str | None, instrument: Instrument, response_error: float, response: Response | None
) -> dict[str, Unfolder]:
    """Make the methods asked for; of all, those that can be made, and a word on the others."""
    from particleflux.reconstruct import METHODS, load_method

    wanted = list(METHODS) if names is None else [name.strip() for name in names.split(",")]
    if len(set(wanted)) != len(wanted):
        refuse("--methods", f"found {names!r}, expected each method once")
    made = {}
    for name in wanted:
        try:
            made[name] = load_method(name, instrument=instrument, response_error=response_error, response=response)
        except (ArtefactError, DataError) as error:
            if names is not None:
                raise
            warnings.warn(f"method {name} is left out: {error}", stacklevel=2)
    if not made:
        refuse("--methods", "none of the methods can be used; the warnings say why")
    return made
