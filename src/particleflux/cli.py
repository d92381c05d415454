"""Arguments -> one library call -> export. Everything that takes long to import is imported inside its command."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from particleflux import __version__
from particleflux._inputs import open_files, parse_energies, parse_length, refuse
from particleflux._terminal import PROGRAM, plain_warnings, progress_line, say, spread_values
from particleflux.errors import ParticleFluxError

if TYPE_CHECKING:
    import xarray as xr

    from particleflux.summary import Summary

EXIT_MISTAKE, EXIT_INTERRUPTED = 2, 130

app = typer.Typer(
    name=PROGRAM,
    help="Particle spectra from radiation-monitor count rates, with intervals that hold.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(help="Train the networks that a method uses.", no_args_is_help=True)
app.add_typer(train_app, name="train")

Out = typer.Option("--out", "-o", help="File to write; its suffix chooses the format: .nc, .cdf, .csv or .json.")
InstrumentOption = Annotated[str, typer.Option(help="Instrument, by name or TOML file.")]
ModelOption = Annotated[str | None, typer.Option(metavar="NAME|DIR", help="Trained model; see `models`.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary; warnings and errors remain.")]


class _SeveralValues(typer.core.TyperCommand):
    """A command whose --background takes one or more values, as a shell's expanded pattern gives them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return list(super().parse_args(ctx, spread_values(args, ("--background",), single=("auto",))))


@app.callback(invoke_without_command=True)
def _program(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


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
        made = run_demo(out, event=Event(seed=seed), method=method, command=_command_line())
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
    _show_files(*made.files)


@app.command(cls=_SeveralValues)
def reconstruct(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="RADEM CDF files, folders or patterns; or one .nc or .csv of counts."),
    ],
    out: Annotated[Path, Out],
    instrument: InstrumentOption = "radem",
    method: Annotated[str, typer.Option(help="Method; available: ensemble.")] = "ensemble",
    start: Annotated[str | None, typer.Option(metavar="T", help="First instant, UTC, such as 2024-05-10.")] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="T", help="First instant not wanted, UTC; a bare date is included whole.")
    ] = None,
    every: Annotated[
        str, typer.Option(metavar="TIME", help="Accumulation, such as 15min, 1h; 'native' for that of the files.")
    ] = "15min",
    background: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE...|auto",
            help="Files of quiet days, one or several; 'auto', the default, finds quiet time in the data.",
        ),
    ] = None,
    species: Annotated[str, typer.Option(help="Particles; available: proton.")] = "proton",
    energies: Annotated[str | None, typer.Option(metavar="E,E,...", help="Energies of the spectra, MeV.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Figure to write: .png, .pdf or .svg.")] = None,
    response: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Response tables; checked to agree with the response in use.")
    ] = None,
    response_error: Annotated[
        float, typer.Option(help="Relative uncertainty of the response, carried into the intervals.")
    ] = 0.05,
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
        from particleflux.reconstruct import check_response, load_method, prepare
        from particleflux.summary import summarise

        # Every mistake that can show before the files are read shows before.
        check_writable(out)
        if plot is not None:
            check_writable(plot, FIGURE_SUFFIXES)
        length = parse_length(every)
        chosen = load_instrument(instrument)
        if response is not None:
            check_response(chosen.open_response(response, species=species), chosen, tolerance=response_error)
        unfolder = load_method(method, model=model, species=species, energies=wanted, response_error=response_error)
    with progress_line("Reading counts", quiet=quiet) as show:
        counts, paths = open_files(files, chosen.name, start, stop, show)
    quiet_counts: str | xr.Dataset = "auto"
    if background and background != ["auto"]:
        if "auto" in background:
            refuse("--background", "'auto' and files together; give one or the other")
        with progress_line("Reading background", quiet=quiet) as show:
            quiet_counts, more = open_files(background, chosen.name, None, None, show)
            paths += more
    with progress_line("Reconstructing", quiet=quiet):
        prepared = prepare(counts, instrument=chosen, background=quiet_counts, every=length)
        spectra = prepared.unfold(unfolder)
    settings = {
        "method": method, "species": species, "start": start, "stop": stop, "every": every,
        "background": background or ["auto"], "energies": wanted, "response_error": response_error,
    }  # fmt: skip
    provenance = Provenance.now(
        command=_command_line(),
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
    _show_files(*written)


@app.command()
def simulate(
    out: Annotated[Path, Out],
    instrument: InstrumentOption = "radem",
    n: Annotated[int, typer.Option("--n", "-n", help="Number of samples.", min=1)] = 1000,
    family: Annotated[str, typer.Option(help="Spectral form of the particles.")] = "rolling-power-law",
    seed: Annotated[int, typer.Option(help="The same seed gives the same samples.", min=0)] = 1,
    quiet: Quiet = False,
) -> None:
    """Simulate counts with their true spectra: independent samples, for training and tests.

    The times in the file only number the samples.
    """
    with progress_line("Simulating", quiet=quiet):
        from particleflux.export import Provenance, check_writable, write_dataset
        from particleflux.instruments import load_instrument
        from particleflux.simulate import Simulation

        check_writable(out)
        chosen = load_instrument(instrument)
        samples = Simulation.of_instrument(chosen, family=family).sample(n, seed=seed)
        settings = {"n": n, "family": family, "seed": seed}
        provenance = Provenance.now(command=_command_line(), instrument=chosen.name, settings=settings)
        write_dataset(samples.assign_attrs(instrument=chosen.name), out, provenance=provenance)
    _show_files(out)


@train_app.command("spectra")
def train_spectra(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the trained model; checkpoints lie beside it.")],
    instrument: InstrumentOption = "radem",
    response: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Response tables to train for; by default the instrument's own.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; by default that of the folder.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks an ensemble.", min=1)] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in which each network learns alone.", min=1)] = None,
    tuning_steps: Annotated[int | None, typer.Option(help="Steps in which their pool is tuned.", min=0)] = None,
    samples: Annotated[int | None, typer.Option(help="Simulated training samples an ensemble.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Of simulation, weights and batches.", min=0)] = None,
    commit: Annotated[str, typer.Option(help="State of the source code, to be recorded on the card.")] = "",
    quiet: Quiet = False,
) -> None:
    """Train the ensembles that reconstruct spectra, on simulated counts; a run that was stopped is continued.

    Needs torch, which the extra `train` of this package installs.
    """
    try:
        from particleflux.train.spectra import TrainingSettings
        from particleflux.train.spectra import train_spectra as run
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in {"torch", "onnx"}:
            raise
        msg = f"training needs {error.name}, which is not installed; install particleflux[train]"
        raise ParticleFluxError(msg) from error
    from particleflux.instruments import load_instrument

    given: dict[str, Any] = {
        "members": members,
        "steps": steps,
        "tuning_steps": tuning_steps,
        "samples": samples,
        "seed": seed,
    }
    settings = TrainingSettings(**{key: value for key, value in given.items() if value is not None})
    chosen = load_instrument(instrument)
    tables = None if response is None else chosen.open_response(response)
    with progress_line("Training", quiet=quiet) as show:
        run(
            chosen,
            out,
            response=tables,
            settings=settings,
            command=_command_line(),
            commit=commit,
            name=name or out.name,
            progress=lambda title, done, total: show(done, total, title),
        )
    _show_files(out)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Name or folder of a model: show its whole card, as JSON.")] = None,
) -> None:
    """List the trained models at hand, or show the card of one."""
    import json

    from particleflux.artefact import Artefact, list_artefacts

    if name is not None:
        typer.echo(json.dumps(dict(Artefact.load(name).card), indent=2))
        return
    found = list_artefacts()
    if not found:
        say(f"{PROGRAM}: no model ships with this installation; train one with `{PROGRAM} train spectra`")
        return
    rows: list[tuple[str, ...]] = [("name", "kind", "instrument", "species", "created")]
    for known in found:
        card = Artefact.load(known).card
        rows.append((known, *(str(card.get(key, "")) for key in rows[0][1:])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _command_line() -> str:
    return shlex.join([PROGRAM, *_arguments])


_arguments: list[str] = []


def _show_summary(summary: Summary) -> None:
    say(f"{summary.n_reconstructed} of {summary.n_samples} samples reconstructed")
    for name, number in summary.flags.items():
        say(f"  {number:>6} flagged {name.lower().replace('_', ' ')}")
    for bins, number in summary.ensembles.items():
        say(f"  {number:>6} answered by the ensemble of {bins} channels")
    say(f"background: {summary.background}")


def _show_files(*files: Path) -> None:
    for file in files:
        say(f"written: {file}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments without the program's name; by default those it was called with.

    Returns
    -------
    int
        Exit status: 0 done, 2 a mistake of the user's, 130 interrupted, 1 the reader of stdout went away.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    _arguments[:] = given
    # typer carries its own copy of click in some versions: take the class of errors from what it exports.
    usage_error: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    status: Any = 0
    try:
        with plain_warnings():
            status = app(given, prog_name=PROGRAM, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = EXIT_INTERRUPTED
    except ParticleFluxError as error:
        status = _fail(str(error))
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; Python must not complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        status = _fail(f"{error.filename}: {error.strerror}; check the path and its permissions")
    except usage_error as error:
        shown: Any = error
        context = getattr(shown, "ctx", None)
        path = context.command_path if context is not None else PROGRAM
        text = " ".join(str(shown.format_message()).split())
        if type(error).__name__ == "NoArgsIsHelpError":
            say(str(shown.format_message()))
            return EXIT_MISTAKE
        status = _fail(f"{text.rstrip('.')}; see `{path} --help`")
    if status == EXIT_INTERRUPTED:
        say(f"{PROGRAM}: interrupted")
    return int(status or 0)


def _fail(text: str) -> int:
    say(f"{PROGRAM}: error: {text}")
    return EXIT_MISTAKE
