"""Commands about trained models: train them, list them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from particleflux.cli.app import InstrumentOption, Quiet, app, command_line, show_files, train_app, training_extra
from particleflux.cli.terminal import PROGRAM, progress_line, say
from particleflux.errors import ParticleFluxError


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
    with training_extra():
        from particleflux.train.spectra import TrainingSettings
        from particleflux.train.spectra import train_spectra as run
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
            command=command_line(),
            commit=commit,
            name=name or out.name,
            progress=lambda title, done, total: show(done, total, title),
        )
    show_files(out)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Name or folder of a model: show its card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole card, as JSON.")] = False,
) -> None:
    """List the trained models at hand, or show the card of one."""
    import json

    from particleflux.artefact import Artefact, list_artefacts

    if name is not None:
        artefact = Artefact.load(name)
        if as_json:
            typer.echo(json.dumps(dict(artefact.card), indent=2))
            return
        for key, value in [*_describe(artefact.card), ("SHA-256", artefact.digest)]:
            typer.echo(f"{key:<12}{value}")
        return
    if as_json:
        msg = "--json shows the card of one model: name it, as in `particleflux models NAME --json`"
        raise ParticleFluxError(msg)
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


def _describe(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sum up a card by the part of the package that reads its kind."""
    from particleflux.forecast.lstm import KIND

    if card["kind"] == KIND:
        from particleflux.forecast.card import describe_card

        return describe_card(card)
    from particleflux.unfold.npe_targets import NPE_KIND

    if card["kind"] == NPE_KIND:
        from particleflux.unfold.npe import describe as describe_npe

        return describe_npe(card)
    from particleflux.unfold.ensemble import describe

    return describe(card)
