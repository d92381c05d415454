"""A training of `npe` that takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from particleflux.artefact import Artefact
from particleflux.train.npe import NpeSettings, samples, train_npe


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Keep to one thread: sums of several may come in any order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def small_draws() -> Iterator[None]:
    """Simulate in pieces of hundreds, of which several are needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "DRAW", 250)
        yield


@pytest.fixture(scope="session")
def tiny_npe() -> NpeSettings:
    return NpeSettings(
        members=2,
        steps=12,
        tuning_steps=8,
        copula_steps=6,
        batch=16,
        copula_batch=16,
        samples=600,
        held_out=400,
        seed=3,
        hidden=(8,),
        copula_hidden=(6,),
        n_factors=2,
        checkpoint_every=7,
    )


@pytest.fixture(scope="session")
def npe_folder(radem, tiny_npe, small_draws, tmp_path_factory) -> Path:
    """Give the folder of a model trained for twenty steps."""
    folder = tmp_path_factory.mktemp("npe") / "model"
    train_npe(radem, folder, settings=tiny_npe, command="particleflux train npe", commit="abc", name="tiny")
    return folder


@pytest.fixture(scope="session")
def npe_artefact(npe_folder) -> Artefact:
    return Artefact.load(npe_folder)
