"""A training of seconds: reproducible, resumable, and honest about what it saw."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch
import xarray as xr

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError
from particleflux.features import Scaler
from particleflux.names import attributes
from particleflux.train import loop, npe
from particleflux.train.npe import train_npe
from particleflux.train.npe.samples import default_populations, simulate_samples, training_mixture
from particleflux.unfold.npe import NpeUnfolder, describe
from particleflux.unfold.npe_targets import NPE_SHIPPED
from particleflux.unfold.targets import QUANTILES


def learnt(artefact: Artefact) -> list:
    """Give all that a training learns: weights, scaler and the course of the losses."""
    card = artefact.card
    parts = [card["scaler"], card["history"], card["copula_history"], card["fit"]]
    return [artefact.networks, json.loads(json.dumps(parts))]


def stop_at(word: str):
    """Give a progress callback that interrupts, as Ctrl-C would, when it is first told of a title with the word."""

    def told(title: str, done: int, total: int) -> None:
        if word in title:
            raise KeyboardInterrupt

    return told


def expose(sample, channels):
    """Label simulated counts of a mixture, with their background."""
    n = len(sample.exposure)
    shared = {"counts": sample.counts, "background_rate": sample.background / sample.exposure[:, None]}
    shared["background_rate_std"] = sample.background_error * shared["background_rate"]
    return xr.Dataset(
        {
            **{name: (("time", "channel"), values, attributes(name)) for name, values in shared.items()},
            "exposure": ("time", sample.exposure, attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
        },
        coords={"time": np.datetime64("2024-03-01", "ns") + np.arange(n), "channel": list(channels)},
        attrs={"instrument": "radem"},
    )


def test_training_is_reproducible(radem, tiny_npe, npe_artefact, tmp_path):
    """The same command gives the same networks and card bit for bit, time apart."""
    again = train_npe(
        radem, tmp_path / "again", settings=tiny_npe, command="particleflux train npe", commit="abc", name="tiny"
    )
    cards = [json.loads(json.dumps(dict(artefact.card))) for artefact in (again, npe_artefact)]
    for card in cards:
        del card["created"], card["training"]["seconds"]
    assert again.networks == npe_artefact.networks
    assert cards[0] == cards[1]


def test_another_seed_is_another_training(radem, tiny_npe, npe_artefact, tmp_path):
    """With another seed the scaler, of other samples, and the networks differ."""
    other = train_npe(radem, tmp_path / "other", settings=dataclasses.replace(tiny_npe, seed=4))
    assert other.card["scaler"] != npe_artefact.card["scaler"]
    assert all(other.networks[name] != npe_artefact.networks[name] for name in other.networks)


@pytest.mark.parametrize("word", ["train quantiles", "train correlations"])
def test_an_interrupted_training_goes_on_to_the_same_end(radem, tiny_npe, npe_artefact, tmp_path, word):
    """Interrupted in either part, a training resumed ends bit for bit as one that was not."""
    with pytest.raises(KeyboardInterrupt):
        train_npe(radem, tmp_path / "model", settings=tiny_npe, progress=stop_at(word))
    assert not (tmp_path / "model").exists()
    assert (tmp_path / "model.checkpoints" / "npe.npz").is_file()
    resumed = train_npe(radem, tmp_path / "model", settings=tiny_npe)
    assert learnt(resumed) == learnt(npe_artefact)


def test_a_resumed_training_starts_from_its_checkpoint(radem, tiny_npe, tmp_path, monkeypatch):
    """What was trained before an interrupt is not trained again."""
    steps = []
    original = loop.Run._step

    def counted(self, step, *rest):
        steps.append(step)
        return original(self, step, *rest)

    monkeypatch.setattr(loop.Run, "_step", counted)
    with pytest.raises(KeyboardInterrupt):
        train_npe(radem, tmp_path / "model", settings=tiny_npe, progress=stop_at("train quantiles"))
    steps.clear()
    train_npe(radem, tmp_path / "model", settings=tiny_npe)
    # Interrupted at the twentieth step, after a checkpoint at the 14th.
    assert steps == list(range(14, 20))


def test_a_checkpoint_of_other_settings_is_ignored(radem, tiny_npe, npe_artefact, tmp_path):
    """A checkpoint of a run with another learning rate is not continued."""
    other = dataclasses.replace(tiny_npe, learning_rate=1e-2)
    with pytest.raises(KeyboardInterrupt):
        train_npe(radem, tmp_path / "model", settings=other, progress=stop_at("train correlations"))
    assert learnt(train_npe(radem, tmp_path / "model", settings=tiny_npe)) == learnt(npe_artefact)


def test_a_damaged_checkpoint_is_told(radem, tiny_npe, tmp_path):
    """A checkpoint that is damaged is one message that says to delete it."""
    folder = tmp_path / "model.checkpoints"
    folder.mkdir()
    (folder / "npe.npz").write_bytes(b"a text file")
    with pytest.raises(ArtefactError, match=r"npe.npz: the checkpoint is damaged .*; delete it"):
        train_npe(radem, tmp_path / "model", settings=tiny_npe)


def test_a_finished_training_leaves_no_checkpoints(npe_folder):
    """Beside a trained model nothing remains of the run."""
    assert [path.name for path in npe_folder.parent.iterdir()] == [npe_folder.name]


def test_what_is_not_a_checkpoint_stays(radem, tiny_npe, tmp_path):
    """A file of somebody else's in the folder of the checkpoints survives the training."""
    notes = tmp_path / "model.checkpoints" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    train_npe(radem, tmp_path / "model", settings=tiny_npe)
    assert [path.name for path in notes.parent.iterdir()] == ["notes.txt"]


def test_a_foreign_folder_is_refused_before_the_training(radem, tiny_npe, tmp_path):
    """A folder that cannot take the model is told at once, not after hours."""
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ArtefactError, match=r"holds no card.json"):
        train_npe(radem, tmp_path, settings=tiny_npe, progress=lambda *_: pytest.fail("it began"))


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("learning_rate", r"train quantiles: the loss is .* at step .*; lower the learning rate"),
        ("copula_rate", r"train correlations: the loss is .* at step .*; lower copula_rate"),
    ],
)
def test_a_training_that_diverges_is_told(radem, tiny_npe, tmp_path, rate, message):
    """A loss that is no number ends the training with the step and what to do, before a model is written."""
    wild = dataclasses.replace(tiny_npe, **{rate: 1e30})
    with pytest.raises(ArtefactError, match=message):
        train_npe(radem, tmp_path / "model", settings=wild)
    assert not (tmp_path / "model").exists()


def test_nothing_is_fitted_to_the_held_out_samples(radem, tiny_npe, npe_artefact, tmp_path, monkeypatch):
    """Other held-out samples change their scores and the judgement of the fit alone: no weight, no scaler number."""
    original = npe.simulate_samples

    def other(*arguments, stream, **rest):
        return original(*arguments, stream=7 if stream == 1 else stream, **rest)

    monkeypatch.setattr(npe, "simulate_samples", other)
    found = train_npe(radem, tmp_path / "model", settings=tiny_npe)
    assert found.networks == npe_artefact.networks
    assert learnt(found)[1][:3] == learnt(npe_artefact)[1][:3]
    assert found.card["held_out"] != npe_artefact.card["held_out"]
    assert found.card["fit"] != npe_artefact.card["fit"]


def test_the_scaler_is_that_of_the_training_samples(radem, tiny_npe, npe_artefact):
    """The scaler's numbers are those of the training samples alone."""
    mixture = training_mixture(radem, default_populations(radem, "proton"))
    training = simulate_samples(mixture, tiny_npe, tiny_npe.samples, monitors=radem.monitors, stream=0)
    expected = Scaler.fit(training.features)
    assert npe_artefact.card["scaler"] == json.loads(json.dumps(dataclasses.asdict(expected)))


def test_training_lowers_the_loss(radem, tiny_npe, npe_artefact, tmp_path):
    """A run of 200 steps has a lower held-out loss than one of 20, and so have its correlations."""
    longer = dataclasses.replace(tiny_npe, steps=200, copula_steps=200, checkpoint_every=1000)
    found = train_npe(radem, tmp_path / "model", settings=longer)
    assert found.card["held_out"]["loss"] < npe_artefact.card["held_out"]["loss"]
    assert found.card["copula_history"][-1][1] < npe_artefact.card["copula_history"][-1][1]


def test_the_card_tells_the_training(radem, tiny_npe, npe_folder, npe_artefact):
    """The card is strict JSON with seed, settings, prior, response, channels, command, and its scores."""
    card = json.loads((npe_folder / "card.json").read_text(), parse_constant=pytest.fail)
    assert card == json.loads(json.dumps(dict(npe_artefact.card)))
    told = {name: card["training"][name] for name in ("seed", "members", "steps", "samples", "held_out", "n_factors")}
    assert told == {"seed": 3, "members": 2, "steps": 12, "samples": 600, "held_out": 400, "n_factors": 2}
    assert card["training"]["command"] == "particleflux train npe"
    assert card["training"]["commit"] == "abc"
    assert card["training"]["torch"] == torch.__version__
    channels = list(radem.reads["proton"])
    mixture = training_mixture(radem, default_populations(radem, "proton"))
    assert card["prior"] == json.loads(json.dumps(mixture.describe()))
    assert "weibull" not in card["prior"]["populations"][0]["families"]
    assert card["channels"] == channels
    assert card["response_sha256"] == radem.response().select(channels).digest
    assert card["monitors"] == [name for name in radem.monitors if name in channels]
    assert card["channel_errors"] == {"PDH7": radem.response_errors["PDH7"]}
    assert card["quantiles"] == list(QUANTILES)
    assert len(card["features"]) == len(card["scaler"]["mean"])
    n_targets = len(tiny_npe.proton_nodes) + len(tiny_npe.proton_thresholds) + len(channels)
    below = np.array(card["held_out"]["truth_below_quantile"])
    assert below.shape == (len(QUANTILES), n_targets)
    assert (np.diff(below, axis=0) >= 0).all()
    assert [step for step, _ in card["history"]] == [20]
    assert [step for step, _ in card["copula_history"]] == [6]


def test_progress_tells_each_part(radem, tiny_npe, tmp_path):
    """Simulation, quantiles and correlations are told in this order, each to its end."""
    calls: list[tuple[str, int, int]] = []
    train_npe(radem, tmp_path / "model", settings=tiny_npe, progress=lambda *call: calls.append(call))
    assert list(dict.fromkeys(title for title, _, _ in calls)) == ["simulate", "train quantiles", "train correlations"]
    last = {title: (done, total) for title, done, total in calls}
    assert last == {"simulate": (600, 600), "train quantiles": (20, 20), "train correlations": (6, 6)}


def test_what_was_trained_runs(npe_artefact, radem):
    """The method takes the trained model as it is: ordered quantiles, joint draws, a probability of the fit."""
    mixture = training_mixture(radem, default_populations(radem, "proton"))
    drawn = mixture.draw(20, np.random.default_rng(1), energies=[(10.0,)], thresholds=[(10.0,)])
    counts = expose(drawn, mixture.channels)
    result = NpeUnfolder(npe_artefact, samples=7).unfold(counts, counts)
    bounds = [result[f"flux{suffix}"] for suffix in ("_lower95", "_lower", "", "_upper", "_upper95")]
    assert all((low <= high).all() for low, high in itertools.pairwise(bounds))
    assert result["flux_sample"].sizes == {"time": 20, "sample": 7, "energy": result.sizes["energy"]}
    assert np.isfinite(result["flux_sample"]).all()
    assert ((result["fit_probability"] > 0) & (result["fit_probability"] <= 1)).all()
    assert dict(describe(npe_artefact.card))["networks"] == "2 of 8"


def test_other_responses_are_recorded(radem, tiny_npe, npe_artefact, tmp_path):
    """A training for another response has its digest on the card, and learns something else."""
    own = radem.response()
    other = dataclasses.replace(own, geometric_factor=own.geometric_factor * 1.5)
    found = train_npe(radem, tmp_path / "model", settings=tiny_npe, responses={"proton": other})
    assert found.card["response_sha256"] == other.select(list(radem.reads["proton"])).digest
    assert found.networks != npe_artefact.networks


def test_electrons_are_trained_with_protons(radem, tiny_npe, tmp_path):
    """A model for electrons knows both species, from the channels of both heads, and gives either."""
    artefact = train_npe(radem, tmp_path / "model", species="electron", settings=tiny_npe)
    assert artefact.name == NPE_SHIPPED["electron"]
    assert artefact.card["species"] == "electron"
    assert [item["species"] for item in artefact.card["populations"]] == ["proton", "electron"]
    assert artefact.card["channels"] == list(radem.reads["electron"])
    mixture = training_mixture(radem, default_populations(radem, "electron"))
    drawn = mixture.draw(5, np.random.default_rng(1), energies=[(10.0,), (1.0,)], thresholds=[(10.0,), (1.0,)])
    counts = expose(drawn, mixture.channels)
    for species, threshold in (("proton", 10.0), ("electron", 0.5)):
        result = NpeUnfolder(artefact, species=species).unfold(counts, counts)
        assert result.attrs["species"] == species
        assert float(result["threshold"][0]) == threshold
