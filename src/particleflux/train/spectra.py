"""Train the three deep ensembles that turn count rates into spectra.

One command (`particleflux train spectra`) simulates the training set, sends every sample to the ensemble that the rule
would choose for it, trains all members of each ensemble side by side, and writes the artefact with its card. It is
seeded; stopped at any time, it goes on from its last checkpoint and ends with the same networks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import particleflux
from particleflux.artefact import CARD_FORMAT, Artefact, check_destination
from particleflux.features import BinRule, Scaler, feature_names
from particleflux.instruments import Instrument
from particleflux.response import Response
from particleflux.simulate import Simulation
from particleflux.train.dataset import describe_prior, simulate_splits, training_simulation
from particleflux.train.graph import ensemble_graph
from particleflux.train.loop import Run
from particleflux.train.network import Architecture, CurveHead
from particleflux.train.settings import TrainingSettings
from particleflux.unfold.targets import KIND, PIVOT_ENERGY, QUANTILES, SHIPPED

__all__ = ["TrainingSettings", "train_spectra"]


def train_spectra(
    instrument: Instrument,
    out: str | Path,
    *,
    response: Response | None = None,
    settings: TrainingSettings | None = None,
    command: str = "",
    commit: str = "",
    name: str = SHIPPED,
    progress: Callable[[str, int, int], None] | None = None,
) -> Artefact:
    """Train all ensembles and write the artefact.

    Parameters
    ----------
    instrument : Instrument
        Its rule, background and response.
    out : str or Path
        Folder of the artefact; the checkpoints lie beside it, in the same name with `.checkpoints` behind it.
    response : Response, optional
        Another response than the instrument's own.
    settings : TrainingSettings, optional
        Sizes and seed.
    command, commit : str
        What is written on the card about how it was made.
    name : str
        Name of the model.
    progress : callable, optional
        Called with a title, what is done and what is to do.

    Returns
    -------
    Artefact
        As written.

    Raises
    ------
    ArtefactError
        If the folder holds something else than a model, or a checkpoint is damaged.
    """
    settings = settings or TrainingSettings()
    out = Path(out).absolute()
    check_destination(out)
    started = time.monotonic()
    rule = BinRule(instrument.ensemble.bins, instrument.ensemble.threshold_sigma)
    configuration = instrument.configurations[0].number
    response = (response or instrument.response("proton", configuration)).select(rule.channels)
    simulation = training_simulation(instrument, response)
    folder = out.with_name(out.name + ".checkpoints")
    n_sets = len(rule.bins)
    held_out = simulate_splits(simulation, rule, settings, [settings.held_out] * n_sets, stream=1)
    training = simulate_splits(simulation, rule, settings, [settings.samples] * n_sets, stream=0, progress=progress)

    identity = _identity(settings, rule, simulation)
    networks, ensembles = {}, []
    for index, bins in enumerate(rule.bins):
        title = f"train {'+'.join(bins)}"
        scaler = Scaler.fit(training[index].features)
        architecture = Architecture(
            training[index].features.shape[1], settings.nodes, settings.thresholds, settings.hidden
        )
        # Typical log flux at the pivot: the node nearest to it.
        pivot = int(np.argmin(np.abs(np.log(np.array(settings.nodes) / PIVOT_ENERGY))))
        head = CurveHead(architecture, float(training[index].targets[:, pivot].mean()))
        run = Run(settings, head, scaler, training[index], index, folder / f"{len(bins)}-bins.npz", identity)
        tensors, history = run.train(title, progress)
        file = f"{len(bins)}-bins.onnx"
        model = ensemble_graph(architecture, [tensor.numpy() for tensor in tensors], head.offset)
        networks[file] = model.SerializeToString()
        ensembles.append(
            {
                "file": file,
                "bins": list(bins),
                "features": feature_names(rule, index),
                "scaler": dataclasses.asdict(scaler),
                "history": history,
                "held_out": run.score(tensors, held_out[index]),
            }
        )
    card: dict[str, Any] = {
        "format": CARD_FORMAT,
        "name": name,
        "kind": KIND,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "particleflux": particleflux.__version__,
        "instrument": instrument.name,
        "species": response.species,
        "configurations": [configuration],
        "response_sha256": response.digest,
        "rule": {"bins": [list(bins) for bins in rule.bins], "threshold_sigma": rule.threshold_sigma},
        "nodes": list(settings.nodes),
        "thresholds": list(settings.thresholds),
        "quantiles": list(QUANTILES),
        "prior": describe_prior(simulation),
        "ensembles": ensembles,
        "training": {
            **dataclasses.asdict(settings),
            "command": command,
            "commit": commit,
            "seconds": round(time.monotonic() - started),
            "torch": torch.__version__,
        },
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in networks.items()},
    }
    artefact = Artefact(card, networks)
    artefact.save(out)
    _clear(folder, [f"{len(bins)}-bins.npz" for bins in rule.bins])
    return artefact


def _clear(folder: Path, names: list[str]) -> None:
    """Remove the checkpoints of a finished run, and their folder if nothing else lies in it."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _identity(settings: TrainingSettings, rule: BinRule, simulation: Simulation) -> str:
    """Name what a checkpoint belongs to: one made with other settings must not be continued."""
    parts = (settings, rule, simulation.response.digest, describe_prior(simulation), particleflux.__version__)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
