"""The program: its options that several commands share, and what its exit status means."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from particleflux import __version__
from particleflux.cli.terminal import PROGRAM, plain_warnings, say
from particleflux.errors import ParticleFluxError

EXIT_MISTAKE, EXIT_INTERRUPTED = 2, 130

app = typer.Typer(
    name=PROGRAM,
    help="Particle spectra from radiation-monitor counts, and electrons at geostationary orbit three days ahead.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(help="Train the networks that a method uses.", no_args_is_help=True)

Out = typer.Option("--out", "-o", help="File to write; its suffix chooses the format: .nc, .cdf, .csv or .json.")
InstrumentOption = Annotated[str, typer.Option(help="Instrument, by name or TOML file.")]
ModelOption = Annotated[str | None, typer.Option(metavar="NAME|DIR", help="Trained model; see `models`.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary; warnings and errors remain.")]

_arguments: list[str] = []


@app.callback(invoke_without_command=True)
def _program(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def command_line() -> str:
    """Give the command line as a shell would take it, for the provenance.

    Returns
    -------
    str
        Program and arguments, quoted where needed.
    """
    return shlex.join([PROGRAM, *_arguments])


@contextlib.contextmanager
def training_extra() -> Iterator[None]:
    """Say what to install where an import inside needs torch or onnx, and neither is there.

    Yields
    ------
    None
        Once.

    Raises
    ------
    ParticleFluxError
        If the extra `train` is not installed.
    """
    try:
        yield
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in {"torch", "onnx"}:
            raise
        msg = f"training needs {error.name}, which is not installed; install particleflux[train]"
        raise ParticleFluxError(msg) from error


def show_files(*files: Path) -> None:
    """Say what was written.

    Parameters
    ----------
    *files : Path
        The files.
    """
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
