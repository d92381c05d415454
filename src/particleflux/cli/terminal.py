"""How the command line talks: a line for each warning, progress only to a terminal, options with several values."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

PROGRAM = "particleflux"


class Show(Protocol):
    """Shows how far the work has come."""

    def __call__(self, done: int, total: int, title: str | None = None) -> None:
        """Show it.

        Parameters
        ----------
        done : int
            Steps done.
        total : int
            Steps in all.
        title : str, optional
            What is being done now, where that changes.
        """


def say(text: str) -> None:
    """Write a line on stderr, where everything goes that is no result.

    Parameters
    ----------
    text : str
        The line.
    """
    sys.stderr.write(text + "\n")


def spread_values(arguments: Sequence[str], options: Sequence[str], single: Sequence[str] = ()) -> list[str]:
    """Repeat an option before each of its values, so that `--background a b` is `--background a --background b`.

    The values end where another option begins, at `--`, and after a value of `single`.

    Parameters
    ----------
    arguments : sequence of str
        Arguments as the shell gave them.
    options : sequence of str
        Options that take several values.
    single : sequence of str
        Values after which no other can come.

    Returns
    -------
    list of str
        Arguments in which each option has one value.

    Examples
    --------
    >>> spread_values(["day.cdf", "--background", "a.cdf", "b.cdf", "-o", "out.nc"], ["--background"])
    ['day.cdf', '--background', 'a.cdf', '--background', 'b.cdf', '-o', 'out.nc']
    """
    spread: list[str] = []
    current = ""
    expects_value = False
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*spread, *arguments[position:]]
        if argument in options:
            current, expects_value = argument, True
            spread.append(argument)
        elif argument.startswith("-") and argument != "-":
            current, expects_value = "", False
            spread.append(argument)
        elif current:
            spread += [argument] if expects_value else [current, argument]
            expects_value = False
            current = "" if argument in single else current
        else:
            spread.append(argument)
    return spread


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show each warning once, as one line on stderr; what concerns programmers only is not shown.

    Yields
    ------
    None
        Within the block.
    """
    seen: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in seen:
            seen.add(text)
            say(f"{PROGRAM}: warning: {text}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield


@contextmanager
def progress_line(text: str, *, quiet: bool) -> Iterator[Show]:
    """Show a line with a bar while work goes on; nothing where stderr is no terminal.

    Parameters
    ----------
    text : str
        What is being done.
    quiet : bool
        Show nothing.

    Yields
    ------
    Show
        The bar pulses until it is called.
    """
    if quiet or not sys.stderr.isatty():
        yield _show_nothing
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)

        def show(done: int, total: int, title: str | None = None) -> None:
            bar.update(task, completed=done, total=total, description=title)

        yield show


def _show_nothing(done: int, total: int, title: str | None = None) -> None:
    pass
