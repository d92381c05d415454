"""Train the deep ensemble that turns the counts of all channels into the joint distribution of the spectrum.

One command (`particleflux train npe`) simulates spectra of several forms as the instrument would count them, trains all
members side by side and then together, learns how the energies go together, tabulates how badly simulated samples fit,
and writes the artefact with its card.
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
import numpy.typing as npt
import torch

import particleflux
from particleflux.artefact import CARD_FORMAT, Artefact, check_destination
from particleflux.features import Scaler
from particleflux.instruments import Instrument
from particleflux.response import Response
from particleflux.train.dataset import Split
from particleflux.train.loop import Run
from particleflux.train.network import hidden_to_output, pooled_quantiles
from particleflux.train.npe.copula import train_copula
from particleflux.train.npe.fit import tabulate_discrepancy
from particleflux.train.npe.graph import copula_graph, quantile_graph
from particleflux.train.npe.head import FreeHead
from particleflux.train.npe.samples import NpeSamples, default_populations, simulate_samples, training_mixture
from particleflux.train.npe.settings import NpeSettings
from particleflux.unfold.joint import to_scores
from particleflux.unfold.npe_fit import discrepancy
from particleflux.unfold.npe_inputs import npe_feature_names
from particleflux.unfold.npe_targets import COPULA_FILE, NPE_KIND, NPE_SHIPPED, QUANTILE_FILE
from particleflux.unfold.targets import QUANTILES

__all__ = ["NpeSettings", "train_npe"]

_EVALUATE = 4096
# Training samples whose scores the correlations are learnt from.
_COPULA_SAMPLES = 400_000


def train_npe(
    instrument: Instrument,
    out: str | Path,
    *,
    species: str = "proton",
    responses: dict[str, Response] | None = None,
    settings: NpeSettings | None = None,
    command: str = "",
    commit: str = "",
    name: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> Artefact:
    """Train the networks and write the artefact.

    Parameters
    ----------
    instrument : Instrument
        Its channels, background and responses.
    out : str or Path
        Folder of the artefact; the checkpoint lies beside it, in the same name with `.checkpoints` behind it.
    species : {"proton", "electron"}
        Protons alone, or electrons together with the protons that the same channels see.
    responses : dict of str to Response, optional
        By species; others than the instrument's own.
    settings : NpeSettings, optional
        Sizes and seed.
    command, commit : str
        What is written on the card about how it was made.
    name : str
        Name of the model; by default that of the one that ships.
    progress : callable, optional
        Called with a title, what is done and what is to do.

    Returns
    -------
    Artefact
        As written.

    Raises
    ------
    ArtefactError
        If the folder holds something else than a model, a checkpoint is damaged, or the training diverges.
    """
    settings = settings or NpeSettings()
    out = Path(out).absolute()
    check_destination(out)
    started = time.monotonic()
    mixture = training_mixture(instrument, default_populations(instrument, species, responses))
    monitors = [channel for channel in instrument.monitors if channel in mixture.channels]
    held_out = simulate_samples(mixture, settings, settings.held_out, monitors=monitors, stream=1, keep=True)
    training = simulate_samples(mixture, settings, settings.samples, monitors=monitors, stream=0, progress=progress)

    # Standard units: median and half width of what training saw. A mean would follow the tails of steep spectra.
    offset, scale = _standard(training.targets)
    scaler = Scaler.fit(training.features)
    head = FreeHead(training.features.shape[1], len(offset), settings.hidden)
    split = Split(training.features, ((training.targets - offset) / scale).astype(np.float32))
    identity = hashlib.sha256(
        repr((settings, species, mixture.describe(), particleflux.__version__)).encode()
    ).hexdigest()
    folder = out.with_name(out.name + ".checkpoints")
    checkpoint = folder / "npe.npz"
    run = Run(settings, head, scaler, split, 0, checkpoint, identity)
    tensors, history = run.train("train quantiles", progress)

    def predict(samples: NpeSamples, n: int) -> npt.NDArray[np.float64]:
        parts = []
        with torch.no_grad():
            for start in range(0, n, _EVALUATE):
                rows = slice(start, min(n, start + _EVALUATE))
                features = torch.from_numpy(scaler.transform(samples.features[rows]).astype(np.float32))
                raw = hidden_to_output(tensors, features.expand(settings.members, -1, -1))
                parts.append(pooled_quantiles(*head.split(raw)).numpy())
        return np.concatenate(parts) * scale + offset

    names = [population.response.species for population in mixture.populations]
    is_flux = np.concatenate(
        [np.repeat([True, False], [len(settings.nodes(item)), len(settings.thresholds(item))]) for item in names]
        + [np.zeros(len(mixture.channels), dtype=bool)]
    )
    n_copula = min(_COPULA_SAMPLES, settings.samples)
    scores = to_scores(predict(training, n_copula)[..., is_flux], training.targets[:n_copula, is_flux].astype(float))
    scaled = scaler.transform(training.features[:n_copula]).astype(np.float32)
    copula, copula_history = train_copula(scaled, scores.astype(np.float32), settings, progress)

    networks = {
        QUANTILE_FILE: quantile_graph([tensor.numpy() for tensor in tensors], offset, scale).SerializeToString(),
        COPULA_FILE: copula_graph(
            [tensor.numpy() for tensor in copula], int(is_flux.sum()), settings.n_factors
        ).SerializeToString(),
    }
    card: dict[str, Any] = {
        "format": CARD_FORMAT,
        "name": name or NPE_SHIPPED[species],
        "kind": NPE_KIND,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "particleflux": particleflux.__version__,
        "instrument": instrument.name,
        "species": names[-1],
        "configurations": [instrument.configurations[0].number],
        "response_sha256": mixture.populations[0].response.digest,
        "channels": list(mixture.channels),
        "noisy": [item.channel for item in instrument.noisy_channels if item.channel in mixture.channels],
        "monitors": monitors,
        "channel_errors": {key: value for key, value in instrument.response_errors.items() if key in mixture.channels},
        "populations": [
            {
                "species": item,
                "nodes": list(settings.nodes(item)),
                "thresholds": list(settings.thresholds(item)),
                "response_sha256": population.response.digest,
            }
            for item, population in zip(names, mixture.populations, strict=True)
        ],
        "quantiles": list(QUANTILES),
        "features": npe_feature_names(mixture.channels),
        "scaler": dataclasses.asdict(scaler),
        "fit": _fit_table(held_out, predict(held_out, settings.held_out), len(mixture.channels)),
        "prior": mixture.describe(),
        "history": history,
        "copula_history": copula_history,
        "held_out": run.score(
            tensors, Split(held_out.features, ((held_out.targets - offset) / scale).astype(np.float32))
        ),
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
    checkpoint.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return artefact


def _standard(targets: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    low, middle, high = np.quantile(targets, (0.16, 0.5, 0.84), axis=0)
    return np.asarray(middle, dtype=float), np.asarray((high - low) / 2.0, dtype=float)


def _fit_table(samples: NpeSamples, quantiles: npt.NDArray[np.float64], n_channels: int) -> dict[str, Any]:
    assert samples.observation is not None  # noqa: S101  kept for this purpose
    signal = np.exp(quantiles[:, len(QUANTILES) // 2, -n_channels:] + samples.log_scale[:, None])
    measured = discrepancy(samples.observation, signal)
    n_left_out = (~samples.observation.is_read).sum(axis=1)
    return tabulate_discrepancy(measured, samples.features[:, -1].astype(float), n_left_out)
