"""Commands that make spectra and what they are made of: demo, reconstruct, simulate."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from particleflux.cli.app import InstrumentOption, ModelOption, Out, Quiet, app, command_line, show_files
from particleflux.cli.inputs import SeveralValues, parse_energies, parse_length, parse_span, prepare_files, refuse
from particleflux.cli.simulation import make_simulation
from particleflux.cli.terminal import PROGRAM, progress_line, say

if TYPE_CHECKING:
    from particleflux.summary import Summary


#: Samples that a format without streaming may hold.
MOST_IN_MEMORY = 100_000


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if absent.")] = Path(
        "particleflux-demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the simulated counts.", min=0)] = 1,
    model: ModelOption = None,
    quiet: Quiet = False,
) -> None:
    """Simulate a solar particle event seen by RADEM, reconstruct it, plot it, and compare it to the truth.

    Needs no data. Writes counts.csv, spectra.nc and event.png; the table of agreement goes to stdout.
    """
    with progress_line("Simulating and reconstructing an event", quiet=quiet):
        from particleflux.demo import ENERGIES, Event, run_demo
        from particleflux.reconstruct import load_method

        method = load_method(model=model, energies=ENERGIES)
        made = run_demo(out, event=Event(seed=seed), method=method, command=command_line())
    titles = ("energy", "samples", "reconstructed/true", "scatter", "inside 68 %", "inside 95 %")
    typer.echo(" ".join(f"{title:>{width}}" for title, width in zip(titles, (8, 8, 19, 8, 12, 12), strict=True)))
    for row in made.agreement:
        typer.echo(
            f"{row.energy:>4g} MeV {row.n_samples:>8} {row.median_ratio:>19.2f} {row.scatter:>8.0%} "
            f"{row.inside_68:>12.0%} {row.inside_95:>12.0%}"
        )
    if not quiet:
        _show_summary(made.summary)
        say(f"try it yourself: {PROGRAM} reconstruct {shlex.quote(str(made.files[0]))} -o spectra.nc --plot event.png")
    show_files(*made.files)


@app.command(cls=SeveralValues)
def reconstruct(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="RADEM CDF files, folders or patterns; or one .nc or .csv of counts."),
    ],
    out: Annotated[Path, Out],
    instrument: InstrumentOption = "radem",
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Method: ensemble, npe, bayes, fit, bowtie or regularised; docs/methods.md tells them apart.",
        ),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="T", help="First instant, UTC, such as 2024-05-10.")] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="T", help="First instant not wanted, UTC; a bare date is included whole.")
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Accumulation, such as 15min (the default) or 1h; 'native' for that of the files. "
            "Independent samples, as `simulate` makes them, stay as they are.",
        ),
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE...|auto",
            help="Files of quiet days, one or several; 'auto' finds quiet time in the data. "
            "By default that of the counts file, where it holds one, else 'auto'.",
        ),
    ] = None,
    species: Annotated[str, typer.Option(help="Particles: proton; with npe also electron.")] = "proton",
    energies: Annotated[str | None, typer.Option(metavar="E,E,...", help="Energies of the spectra, MeV.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Figure to write: .png, .pdf or .svg.")] = None,
    response: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Response tables, used by bayes, fit, bowtie and regularised; a trained model is checked to hold for "
            "them.",
        ),
    ] = None,
    response_error: Annotated[
        float, typer.Option(help="Relative uncertainty of the response, carried into the intervals.")
    ] = 0.05,
    samples: Annotated[
        int,
        typer.Option(
            metavar="N", help="Joint draws of the flux to store as flux_sample: with npe, bayes and regularised.", min=0
        ),
    ] = 0,
    model: ModelOption = None,
    quiet: Quiet = False,
) -> None:
    """Reconstruct particle spectra from count rates.

    Give the FILEs first: all values after --background, up to the next option, are background files.
    """
    wanted = parse_energies(energies)
    with progress_line("Starting", quiet=quiet):
        from particleflux.export import Provenance, check_writable, write_spectra
        from particleflux.export.files import FIGURE_SUFFIXES
        from particleflux.instruments import load_instrument
        from particleflux.reconstruct import load_method
        from particleflux.summary import summarise

        # Every mistake that can show before the files are read shows before.
        check_writable(out)
        if plot is not None:
            check_writable(plot, FIGURE_SUFFIXES)
        length = parse_length("auto" if every is None else every)
        parse_span(start, stop)
        chosen = load_instrument(instrument)
        unfolder = load_method(
            method,
            instrument=chosen,
            model=model,
            species=species,
            energies=wanted,
            response_error=response_error,
            samples=samples,
            response=None if response is None else chosen.open_response(response, species=species),
        )
    prepared, paths = prepare_files(
        files, chosen, background=background, start=start, stop=stop, length=length, quiet=quiet,
        figure=None if plot is None else "--plot",
    )  # fmt: skip
    with progress_line("Reconstructing", quiet=quiet) as show:
        spectra = prepared.unfold(unfolder, progress=show)
    settings = {
        "method": spectra.attrs.get("method", method), "species": species, "start": start, "stop": stop,
        "every": prepared.length or "native",
        "background": background or [prepared.background.attrs.get("source", "auto")], "energies": wanted,
        "response_error": response_error, "samples": samples, "response": None if response is None else response.name,
    }  # fmt: skip
    provenance = Provenance.now(
        command=command_line(),
        instrument=chosen.name,
        artefact=str(spectra.attrs.get("model", "")),
        artefact_sha256=str(spectra.attrs.get("model_sha256", "")),
        input_files=paths,
        settings=settings,
    )
    written = [write_spectra(spectra, out, provenance=provenance)]
    if plot is not None:
        with progress_line("Drawing", quiet=quiet):
            from particleflux.plot import plot_reconstruction, write_figure

            figure = plot_reconstruction(prepared.counts, spectra, background=prepared.background)
            written.append(write_figure(figure, plot))
    if not quiet:
        _show_summary(summarise(spectra))
    show_files(*written)


@app.command()
def simulate(
    out: Annotated[Path, Out],
    instrument: InstrumentOption = "radem",
    n: Annotated[int, typer.Option("--n", "-n", help="Number of samples.", min=1)] = 1000,
    family: Annotated[str, typer.Option(help="Spectral form of the particles.")] = "rolling-power-law",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW,HIGH[,log]",
            help="Range of a parameter of the form, uniform or, with ',log', uniform in the logarithm; repeatable.",
        ),
    ] = None,
    signal: Annotated[
        str,
        typer.Option(
            metavar="LOW,HIGH",
            help="Expected signal counts in the first channel the method reads, uniform in the logarithm.",
        ),
    ] = "0.3,1e6",
    exposure: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Accumulation, s, uniform in the logarithm.")
    ] = None,
    background_level: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Background over that of the instrument file; 0,0 for none."),
    ] = None,
    background_error: Annotated[
        float, typer.Option(metavar="E", help="Relative error of the background that the file states.")
    ] = 0.0,
    response_error: Annotated[
        float, typer.Option(metavar="E", help="Relative error of the response, each channel its own.")
    ] = 0.05,
    channels: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,...", help="Channels; all that have a response by default.")
    ] = None,
    species: Annotated[str, typer.Option(help="Particles of the signal: proton or electron.")] = "proton",
    seed: Annotated[int, typer.Option(help="The same seed gives the same samples.", min=0)] = 1,
    quiet: Quiet = False,
) -> None:
    """Simulate counts with their true spectra: independent samples, for training and tests.

    The times in the file only number the samples. `reconstruct` takes a .nc of them; any number fits in memory.
    """
    with progress_line("Simulating", quiet=quiet) as show:
        from particleflux.export import Provenance, check_writable, write_dataset, write_stream
        from particleflux.instruments import load_instrument

        check_writable(out)
        streams = out.suffix.lower() == ".nc"
        if n > MOST_IN_MEMORY and not streams:
            refuse("--n", f"found {n}, but a {out.suffix} is made in memory, of {MOST_IN_MEMORY} samples at most; "
                   "write a .nc, which takes any number")  # fmt: skip
        chosen = load_instrument(instrument)
        options: dict[str, Any] = {
            "family": family, "species": species, "channels": channels, "parameters": parameter or [],
            "signal": signal, "exposure": exposure, "background_level": background_level,
            "background_error": background_error, "response_error": response_error,
        }  # fmt: skip
        simulation = make_simulation(chosen, **options)
        provenance = Provenance.now(
            command=command_line(), instrument=chosen.name, settings={"n": n, "seed": seed, **options}
        )
        pieces = simulation.stream(n, seed=seed)
        show(0, n)
        if streams:
            write_stream(pieces, out, provenance=provenance, progress=lambda done: show(done, n))
        else:
            import xarray as xr

            write_dataset(
                xr.concat(list(pieces), "time", data_vars="minimal", coords="minimal"), out, provenance=provenance
            )
    show_files(out)


def _show_summary(summary: Summary) -> None:
    say(f"{summary.n_reconstructed} of {summary.n_samples} samples reconstructed")
    for name, number in summary.flags.items():
        say(f"  {number:>6} flagged {name.lower().replace('_', ' ')}")
    for bins, number in summary.ensembles.items():
        say(f"  {number:>6} answered by the ensemble of {bins} channels")
    if summary.assessments:
        parts = (f"{number} {name.lower().replace('_', ' ')}" for name, number in summary.assessments.items())
        say(f"assessment: {', '.join(parts)}")
    say(f"background: {summary.background}")
