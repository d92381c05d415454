"""A training run of seconds."""

from pathlib import Path

import pytest

from particleflux.artefact import Artefact
from particleflux.instruments import Instrument, load_instrument
from particleflux.train import dataset
from particleflux.train.spectra import TrainingSettings, train_spectra


@pytest.fixture(scope="session")
def radem() -> Instrument:
    return load_instrument("radem")


@pytest.fixture(autouse=True, scope="session")
def small_pieces():
    """Simulate in pieces of thousands, of which several are needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "DRAW", 1500)
        yield


@pytest.fixture(scope="session")
def tiny() -> TrainingSettings:
    return TrainingSettings(
        members=2,
        steps=12,
        tuning_steps=8,
        batch=16,
        samples=400,
        held_out=300,
        seed=3,
        hidden=(8,),
        checkpoint_every=7,
    )


@pytest.fixture(scope="session")
def tiny_folder(radem, tiny, small_pieces, tmp_path_factory) -> Path:
    """Give the folder of a model trained for twenty steps."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    train_spectra(radem, folder, settings=tiny, command="particleflux train spectra", commit="abc", name="tiny")
    return folder


@pytest.fixture(scope="session")
def tiny_artefact(tiny_folder) -> Artefact:
    return Artefact.load(tiny_folder)
