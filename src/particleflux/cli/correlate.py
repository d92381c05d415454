"""Command that correlates candidate inputs with the flux against offset time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from particleflux.cli.app import Quiet, app, command_line, show_files
from particleflux.cli.inputs import refuse
from particleflux.cli.terminal import progress_line, say
from particleflux.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

    from particleflux.export import Provenance

FIRST_LINE = (
    "# Spearman rank correlation with the target, lower and upper end of its 95 % interval, and n pairs; added: "
    "correlation with what the target's day before leaves unexplained; an empty cell is a missing value"
)


@app.command()
def correlate(
    history: Annotated[
        Path, typer.Argument(metavar="HISTORY", help="History file (.nc), or a .csv with the contract's columns.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="TABLE.csv", help="Table to write.")],
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Figure to write: .png, .pdf or .svg.")] = None,
    offsets: Annotated[
        str | None,
        typer.Option(
            metavar="A..B[..STEP]",
            help="Days before the target, 0..30 by default; with --hourly hours before its day, 0..192..3 by default.",
        ),
    ] = None,
    hourly: Annotated[bool, typer.Option("--hourly", help="Correlate hourly values, with offsets in hours.")] = False,
    candidates: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,...", help="Variables to try; all drivers and the flux by default.")
    ] = None,
    periods: Annotated[
        str | None,
        typer.Option(metavar="FROM-TO,...", help="Years or dates to use, such as 1999-2007,2011-2016; all by default."),
    ] = None,
    target: Annotated[str, typer.Option(help="Daily variable to be forecast.")] = "fluence_gt2mev",
    block: Annotated[int, typer.Option(metavar="DAYS", help="Block of the bootstrap for the intervals.", min=1)] = 27,
    seed: Annotated[int, typer.Option(help="The same seed gives the same intervals.", min=0)] = 1,
    quiet: Quiet = False,
) -> None:
    """Correlate candidate inputs with the flux against offset time, and suggest inputs and a window.

    The suggestion goes to stdout: the inputs, then the number of consecutive days. To choose inputs for a model that
    is tested on other years, give its training years with --periods.
    """
    lags = None if offsets is None else parse_offsets(offsets)
    names = None if candidates is None else [name.strip() for name in candidates.split(",")]
    with progress_line("Starting", quiet=quiet):
        from particleflux.correlate import correlate as correlate_ranks
        from particleflux.correlate import suggest
        from particleflux.export import Provenance, check_writable
        from particleflux.export.files import FIGURE_SUFFIXES
        from particleflux.history import open_history, training_only

        check_writable(out, (".csv",))
        if plot is not None:
            check_writable(plot, FIGURE_SUFFIXES)
    with progress_line("Reading the history", quiet=quiet):
        days = open_history(history)
        if periods is not None:
            days = training_only(days, periods)
    unit = "h" if hourly else "d"
    with progress_line("Correlating", quiet=quiet):
        table = correlate_ranks(days, candidates=names, offsets=lags, unit=unit, target=target, block=block, seed=seed)
    settings = {
        "offsets": offsets, "unit": unit, "candidates": table["candidate"].to_numpy().tolist(), "periods": periods,
        "target": target, "n_bootstrap": table.attrs["n_bootstrap"], "block": block, "seed": seed,
    }  # fmt: skip
    provenance = Provenance.now(command=command_line(), input_files=[history], settings=settings)
    written = [_write_table(table, out, provenance)]
    if plot is not None:
        with progress_line("Drawing", quiet=quiet):
            from particleflux.plot import write_figure
            from particleflux.plot.correlation import plot_correlation

            written.append(write_figure(plot_correlation(table), plot))
    try:
        suggestion = suggest(table)
    except DataError as error:
        # The table is the result; few offsets or noise alone speak for no input.
        say(f"no suggestion: {error}")
    else:
        typer.echo(f"inputs: {','.join(suggestion.inputs)}")
        typer.echo(f"days: {suggestion.n_days}")
        if not quiet:
            for name, reason in suggestion.left_out:
                say(f"left out: {name}, {reason}")
    show_files(*written)


def parse_offsets(text: str) -> range:
    """Read a range of offsets.

    Parameters
    ----------
    text : str
        As given to --offsets: A..B or A..B..STEP, both ends included.

    Returns
    -------
    range
        The offsets.

    Raises
    ------
    DataError
        If they are no whole numbers from 0 on, or none.

    Examples
    --------
    >>> list(parse_offsets("0..12..6"))
    [0, 6, 12]
    """
    parts = text.split("..")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 6]
    if len(numbers) != len(parts) or len(parts) > 3:
        refuse("--offsets", f"found {text!r}, expected whole numbers A..B or A..B..STEP, such as 0..30")
    first, last, step = numbers[0], numbers[min(len(numbers), 2) - 1], numbers[2] if len(numbers) == 3 else 1
    if last < first or step < 1:
        refuse("--offsets", f"found {text!r}, expected A not above B and a step of 1 at least, such as 0..30")
    return range(first, last + 1, step)


def _write_table(table: xr.Dataset, path: Path, provenance: Provenance) -> Path:
    import pandas as pd

    from particleflux.export import replacing

    shape = table["correlation"].shape
    columns = {
        "candidate": table["candidate"].to_numpy().repeat(shape[1]),
        "offset": table["offset"].broadcast_like(table["n"]).transpose("candidate", "offset").to_numpy().ravel(),
        "unit": table["offset"].attrs["units"],
    }
    for name, source in (("", "correlation"), ("added", "added_correlation")):
        columns[name or "correlation"] = table[source].to_numpy().ravel()
        for end in ("lower", "upper"):
            columns[f"{name}_{end}".lstrip("_")] = table[f"{source}_{end}"].to_numpy().ravel()
        if not name:
            columns["n"] = table["n"].to_numpy().ravel()
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"{FIRST_LINE}\n# provenance: {json.dumps(provenance.to_dict(), ensure_ascii=False)}\n")
        pd.DataFrame(columns).to_csv(stream, index=False, lineterminator="\n", float_format="%.5f")
    return path
