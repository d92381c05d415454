"""Training the networks of `npe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from particleflux.cli.app import InstrumentOption, Quiet, command_line, show_files, train_app, training_extra
from particleflux.cli.inputs import refuse
from particleflux.cli.terminal import progress_line


@train_app.command("npe")
def train_npe(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the trained model.")],
    instrument: InstrumentOption = "radem",
    species: Annotated[
        str, typer.Option(help="proton; or electron, together with the protons that the same channels see.")
    ] = "proton",
    response: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Response tables; by default the instrument's own response.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; by default that of the folder.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks of the ensemble.", min=1)] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in which every network learns alone.", min=1)] = None,
    tuning_steps: Annotated[int | None, typer.Option(help="Steps in which their pool is tuned.", min=0)] = None,
    copula_steps: Annotated[int | None, typer.Option(help="Steps that learn how energies go together.", min=1)] = None,
    samples: Annotated[int | None, typer.Option(help="Simulated training samples.", min=1000)] = None,
    held_out: Annotated[int | None, typer.Option(help="Simulated samples that judge the fit.", min=1000)] = None,
    seed: Annotated[int | None, typer.Option(help="Of simulation, weights and batches.", min=0)] = None,
    commit: Annotated[str, typer.Option(help="State of the source code, to be recorded on the card.")] = "",
    quiet: Quiet = False,
) -> None:
    """Train the networks that give spectra of unknown form, from simulated counts of all channels.

    Needs torch, which the extra `train` of this package installs.
    """
    with training_extra():
        from particleflux.train.npe import NpeSettings
        from particleflux.train.npe import train_npe as run
    from particleflux.artefact import check_destination
    from particleflux.instruments import load_instrument
    from particleflux.response import SPECIES

    if species not in SPECIES:
        refuse("--species", f"found {species!r}; expected one of {', '.join(SPECIES)}")
    check_destination(out)
    chosen = load_instrument(instrument)
    needed = ("proton",) if species == "proton" else SPECIES
    responses = None if response is None else {item: chosen.open_response(response, species=item) for item in needed}
    given: dict[str, Any] = {
        "members": members, "steps": steps, "tuning_steps": tuning_steps, "copula_steps": copula_steps,
        "samples": samples, "held_out": held_out, "seed": seed,
    }  # fmt: skip
    settings = NpeSettings(**{key: value for key, value in given.items() if value is not None})
    with progress_line("Training", quiet=quiet) as show:
        run(
            chosen,
            out,
            species=species,
            responses=responses,
            settings=settings,
            command=command_line(),
            commit=commit,
            name=name or out.name,
            progress=lambda title, done, total: show(done, total, title),
        )
    show_files(out)
