"""State of a training run on disk: plain arrays, written whole or not at all."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import torch

from particleflux.errors import ArtefactError


def write_checkpoint(
    path: Path,
    identity: str,
    step: int,
    tensors: list[torch.Tensor],
    optimiser: torch.optim.Optimizer,
    history: list[list[float]],
) -> None:
    """Write weights, the optimiser's moments and the step.

    Parameters
    ----------
    path : Path
        An `.npz`; replaced in one move.
    identity : str
        Of the run it belongs to.
    step : int
        Steps done.
    tensors : list of Tensor
        Weights.
    optimiser : Optimizer
        AdamW over these tensors.
    history : list of [step, loss]
        So far.
    """
    arrays: dict[str, np.ndarray] = {
        "identity": np.array(identity),
        "step": np.array(step),
        "history": np.array(history, dtype=float).reshape(-1, 2),
    }
    for number, tensor in enumerate(tensors):
        arrays[f"weight{number}"] = tensor.detach().numpy()
        for key, value in optimiser.state[tensor].items():
            arrays[f"{key}{number}"] = value.numpy()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".part")
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError as error:
        msg = f"{path}: the checkpoint cannot be written ({error.strerror}); choose another folder with -o"
        raise ArtefactError(msg) from error


def read_checkpoint(
    path: Path, identity: str, tensors: list[torch.Tensor], optimiser: torch.optim.Optimizer
) -> tuple[int, list[list[float]]]:
    """Restore weights and the optimiser's moments in place.

    Parameters
    ----------
    path : Path
        What `write_checkpoint` wrote; need not exist.
    identity : str
        Of the run that wants to go on.
    tensors : list of Tensor
        Weights; overwritten.
    optimiser : Optimizer
        AdamW over these tensors; its state is set.

    Returns
    -------
    step : int
        Steps done; 0 without a checkpoint of this run.
    history : list of [step, loss]
        So far.

    Raises
    ------
    ArtefactError
        If the file is damaged.
    """
    if not path.is_file():
        return 0, []
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            if str(stored["identity"]) != identity:
                return 0, []
            with torch.no_grad():
                for number, tensor in enumerate(tensors):
                    tensor.copy_(torch.from_numpy(stored[f"weight{number}"]))
                    state = {key: torch.from_numpy(stored[f"{key}{number}"]) for key in ("exp_avg", "exp_avg_sq")}
                    state["step"] = torch.tensor(float(stored[f"step{number}"]))
                    optimiser.state[tensor] = state
            return int(stored["step"]), [[int(step), float(loss)] for step, loss in stored["history"]]
    except (OSError, EOFError, TypeError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        msg = f"{path}: the checkpoint is damaged ({error}); delete it and start the training again"
        raise ArtefactError(msg) from error
