"""Training a forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from particleflux.cli.app import Quiet, command_line, show_files, train_app, training_extra
from particleflux.cli.inputs import refuse
from particleflux.cli.terminal import progress_line, say


@train_app.command("forecast")
def train_forecast(
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="History, as `history` writes it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the trained model.")],
    periods: Annotated[
        str | None,
        typer.Option(
            metavar="PERIODS",
            help="Years or days to learn from, such as 1999-2007,2011-2016; all by default. Nothing else is read.",
        ),
    ] = None,
    inputs: Annotated[
        str,
        typer.Option(help="Finest inputs: daily, hourly; or suggested: daily, as the rank correlations suggest."),
    ] = "daily",
    name: Annotated[str | None, typer.Option(help="Name of the model; by default that of the folder.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks of the ensemble.", min=1)] = None,
    epochs: Annotated[float | None, typer.Option(help="Times each network sees every day, on average.", min=0)] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and batches.", min=0)] = None,
    commit: Annotated[str, typer.Option(help="State of the source code, to be recorded on the card.")] = "",
    quiet: Quiet = False,
) -> None:
    """Train the networks that forecast the electron fluence, on days of a history.

    Needs torch, which the extra `train` of this package installs.
    """
    with training_extra():
        from particleflux.train.forecast import INPUTS, SUGGESTED, ForecastSettings
        from particleflux.train.forecast import train_forecast as run
    from particleflux.artefact import check_destination
    from particleflux.history import open_history, training_only

    if inputs not in {*INPUTS, SUGGESTED}:
        refuse("--inputs", f"found {inputs!r}; expected one of {', '.join((*INPUTS, SUGGESTED))}")
    check_destination(out)
    given: dict[str, Any] = {"members": members, "epochs": epochs, "seed": seed}
    settings = ForecastSettings(inputs=inputs, **{key: value for key, value in given.items() if value is not None})
    with progress_line("Reading the history", quiet=quiet):
        opened = open_history(history)
        training = opened if periods is None else training_only(opened, periods)
    with progress_line("Training", quiet=quiet) as show:
        artefact = run(
            training,
            out,
            settings=settings,
            command=command_line(),
            commit=commit,
            name=name or out.name,
            periods=periods or "",
            progress=lambda title, done, total: show(done, total, title),
        )
    if not quiet:
        _show_left_out(artefact.card["left_out"])
    show_files(out)


def _show_left_out(scores: dict[str, list[float]]) -> None:
    """Say how well training days are forecast by the members that were kept from them."""
    say("days left out of training, forecast by the networks that did not see them:")
    for row in zip(*(scores[key] for key in ("lead_time", "prediction_efficiency", "persistence_efficiency",
                                             "inside_68", "inside_95")), strict=True):  # fmt: skip
        lead, efficiency, persistence, inside_68, inside_95 = row
        say(
            f"  {lead} d ahead: prediction efficiency {efficiency:.3f} (persistence {persistence:.3f}), "
            f"inside 68 % {inside_68:.0%}, inside 95 % {inside_95:.0%}"
        )
