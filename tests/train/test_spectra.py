"""A training of seconds: reproducible, resumable, and honest about what it saw."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError, DataError
from particleflux.features import BinRule
from particleflux.simulate import Range, Simulation
from particleflux.spectra import RollingPowerLaw
from particleflux.train import spectra
from particleflux.train.dataset import Split, describe_prior, simulate_splits, training_simulation, true_targets
from particleflux.train.spectra import TrainingSettings, train_spectra
from particleflux.unfold.ensemble import EnsembleUnfolder, describe


@pytest.fixture(scope="module")
def rule(radem) -> BinRule:
    return BinRule(radem.ensemble.bins, radem.ensemble.threshold_sigma)


@pytest.fixture(scope="module")
def prior(radem, rule) -> Simulation:
    return training_simulation(radem, radem.response().select(rule.channels))


def learnt(artefact: Artefact) -> list:
    """Give all that a training learns: weights, scalers and the course of the loss."""
    parts = [(entry["scaler"], entry["history"]) for entry in artefact.card["ensembles"]]
    return [artefact.networks, json.loads(json.dumps(parts))]


class Stop:
    """A progress callback that interrupts, as Ctrl-C would, when it is told something for the n-th time."""

    def __init__(self, word: str, n: int = 1) -> None:
        self.word, self.left = word, n

    def __call__(self, title: str, done: int, total: int) -> None:
        if self.word in title:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def test_training_is_reproducible(radem, tiny, tiny_artefact, tmp_path):
    """The same command gives the same networks and card bit for bit, time and place apart."""
    again = train_spectra(
        radem, tmp_path / "again", settings=tiny, command="particleflux train spectra", commit="abc", name="tiny"
    )
    assert learnt(again) == learnt(tiny_artefact)
    cards = [json.loads(json.dumps(dict(artefact.card))) for artefact in (again, tiny_artefact)]
    for card in cards:
        del card["created"], card["training"]["seconds"]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("word", ["train PDH1+PDH3+PDH4", "train PDH1+PDH3+PDH4+PDH5+PDH6"])
def test_an_interrupted_training_goes_on_to_the_same_end(radem, tiny, tiny_artefact, tmp_path, word):
    """Interrupted in the first or last ensemble, a training resumed ends bit for bit as one that was not."""
    with pytest.raises(KeyboardInterrupt):
        train_spectra(radem, tmp_path / "model", settings=tiny, progress=Stop(word))
    assert not (tmp_path / "model").exists()
    resumed = train_spectra(radem, tmp_path / "model", settings=tiny)
    assert learnt(resumed) == learnt(tiny_artefact)


def test_a_resumed_training_starts_from_its_checkpoint(radem, tiny, tmp_path, monkeypatch):
    """What was trained before an interrupt is not trained again."""
    steps = []
    original = spectra.Run._step

    def counted(self, step, *rest):
        steps.append((self.index, step))
        return original(self, step, *rest)

    monkeypatch.setattr(spectra.Run, "_step", counted)
    with pytest.raises(KeyboardInterrupt):
        train_spectra(radem, tmp_path / "model", settings=tiny, progress=Stop("PDH5"))
    steps.clear()
    train_spectra(radem, tmp_path / "model", settings=tiny)
    # The first ensemble was done; the second was stopped at its 20th step, after a checkpoint at the 14th.
    assert [step for index, step in steps if index == 0] == []
    assert [step for index, step in steps if index == 1] == list(range(14, 20))
    assert [step for index, step in steps if index == 2] == list(range(20))


def test_a_checkpoint_of_other_settings_is_ignored(radem, tiny, tiny_artefact, tiny_folder, tmp_path):
    """Checkpoints of a run with another learning rate are not continued."""
    other = dataclasses.replace(tiny, learning_rate=1e-2)
    train_spectra(radem, tmp_path / "model", settings=other)
    own = train_spectra(radem, tmp_path / "model", settings=tiny)
    assert learnt(own) == learnt(tiny_artefact)


def test_a_finished_training_leaves_no_checkpoints(tiny_folder):
    """Beside a trained model nothing remains of the run."""
    assert [path.name for path in tiny_folder.parent.iterdir()] == [tiny_folder.name]


def test_what_is_not_a_checkpoint_stays(radem, tiny, tmp_path):
    """A file of somebody else's in the folder of the checkpoints survives the training."""
    notes = tmp_path / "model.checkpoints" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    train_spectra(radem, tmp_path / "model", settings=tiny)
    assert [path.name for path in notes.parent.iterdir()] == ["notes.txt"]


@pytest.fixture(scope="module")
def whole_checkpoint(radem, tiny, tmp_path_factory):
    """Give the bytes of a checkpoint of an interrupted run."""
    folder = tmp_path_factory.mktemp("stopped")

    def stop_in_the_second_ensemble(title, done, total):
        # By then the first has written its last checkpoint.
        if title.endswith("PDH5"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_spectra(radem, folder / "model", settings=tiny, progress=stop_in_the_second_ensemble)
    return (folder / "model.checkpoints" / "3-bins.npz").read_bytes()


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign"])
def test_a_damaged_checkpoint_is_told(radem, tiny, whole_checkpoint, tmp_path, damage):
    """A checkpoint that is damaged is one message that says to delete it."""
    whole = whole_checkpoint
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    content = {"empty": b"", "cut": whole[: len(whole) // 2], "flipped": bytes(flipped), "foreign": b"a text file"}
    folder = tmp_path / "model.checkpoints"
    folder.mkdir()
    (folder / "3-bins.npz").write_bytes(content[damage])
    with pytest.raises(ArtefactError, match=r"3-bins.npz: the checkpoint is damaged .*; delete it"):
        train_spectra(radem, tmp_path / "model", settings=tiny)


def test_a_checkpoint_that_cannot_be_written_is_told(radem, tiny, tmp_path):
    """A file where the folder of the checkpoints must be is one message."""
    (tmp_path / "model.checkpoints").write_text("mine")
    with pytest.raises(ArtefactError, match="the checkpoint cannot be written"):
        train_spectra(radem, tmp_path / "model", settings=tiny)


def test_a_foreign_folder_is_refused_before_the_training(radem, tiny, tmp_path):
    """A folder that cannot take the model is told at once, not after hours."""
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ArtefactError, match=r"holds no card.json"):
        train_spectra(radem, tmp_path, settings=tiny, progress=lambda *_: pytest.fail("it began"))


def test_nothing_is_fitted_to_the_held_out_split(radem, tiny, tiny_artefact, tmp_path, monkeypatch):
    """A corrupted held-out split changes the scores alone: no scaler number and no weight."""
    original = spectra.simulate_splits

    def corrupted(*arguments, stream, **rest):
        splits = original(*arguments, stream=stream, **rest)
        if stream == 1:
            splits = [Split(1.0 + 2.0 * split.features, split.targets - 1.0) for split in splits]
        return splits

    monkeypatch.setattr(spectra, "simulate_splits", corrupted)
    found = train_spectra(radem, tmp_path / "model", settings=tiny)
    assert learnt(found) == learnt(tiny_artefact)
    scores = [[entry["held_out"] for entry in artefact.card["ensembles"]] for artefact in (found, tiny_artefact)]
    assert scores[0] != scores[1]


def test_training_lowers_the_loss(radem, tiny, tiny_artefact, tmp_path):
    """A run of 200 steps has a lower held-out loss in every ensemble than one of 20."""
    longer = train_spectra(
        radem, tmp_path / "model", settings=dataclasses.replace(tiny, steps=200, checkpoint_every=1000)
    )
    losses = [
        [entry["held_out"]["loss"] for entry in artefact.card["ensembles"]] for artefact in (longer, tiny_artefact)
    ]
    assert all(after < before for after, before in zip(*losses, strict=True))


def test_splits_differ_and_repeat(prior, rule, tiny):
    """Training and held-out splits share no sample; each comes again from its seed; every quota is met."""
    quota = [40, 50, 60]
    training, held_out, again = (simulate_splits(prior, rule, tiny, quota, stream=stream) for stream in (0, 1, 0))
    for one, other, same, want in zip(training, held_out, again, quota, strict=True):
        assert len(one.features) == len(one.targets) == len(other.features) == want
        assert one.features.dtype == one.targets.dtype == np.float32
        assert not np.isin(one.features, other.features).all(axis=1).any()
        np.testing.assert_array_equal(one.features, same.features)
        np.testing.assert_array_equal(one.targets, same.targets)


def test_a_larger_quota_only_adds(prior, rule, tiny):
    """The first samples of a split are the same whatever the quotas are."""
    few, many = (simulate_splits(prior, rule, tiny, quota, stream=0) for quota in ([10, 10, 10], [500, 20, 300]))
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one.features, other.features[:10])


def test_progress_of_the_simulation(prior, rule, tiny):
    """Progress rises to the sum of the quotas."""
    calls = []
    simulate_splits(prior, rule, tiny, [2000, 10, 900], stream=0, progress=lambda *call: calls.append(call))
    assert {title for title, _, _ in calls} == {"simulate"}
    done = [number for _, number, _ in calls]
    assert len(done) > 1
    assert done == sorted(done)
    assert calls[-1][1:] == (2910, 2910)


@pytest.mark.parametrize("quota", [[1, 1], [1, 1, 0], [1, 1, 1, 1]])
def test_a_quota_that_does_not_fit_is_refused(prior, rule, tiny, quota):
    """There is one quota, of one sample or more, for each ensemble."""
    with pytest.raises(DataError, match="for each of 3 ensembles"):
        simulate_splits(prior, rule, tiny, quota, stream=0)


def test_targets_are_those_of_the_true_spectrum(prior, tiny):
    """Flux and integral flux of the targets are the form's, in units of counts per exposure."""
    drawn = prior.draw(400, np.random.default_rng(0))
    rows = np.arange(0, 400, 2)
    log_scale = np.linspace(-1.0, 12.0, len(rows))
    targets = true_targets(drawn, rows, log_scale, tiny)
    shape = {name: values[rows, None] for name, values in drawn.shape.items()}
    form = RollingPowerLaw(drawn.intensity[rows, None], **shape)
    to_scale = (np.log(drawn.exposure[rows]) - log_scale)[:, None]
    n_nodes = len(tiny.nodes)
    log_flux = np.log(form.flux(np.array(tiny.nodes))) + to_scale
    log_integral = np.log(form.integral(np.array(tiny.thresholds), np.inf)) + to_scale
    np.testing.assert_allclose(targets[:, :n_nodes], log_flux, rtol=0, atol=1e-9)
    np.testing.assert_allclose(targets[:, n_nodes:-3], log_integral, rtol=0, atol=2e-5)
    np.testing.assert_allclose(targets[:, -3:-2], shape["spectral_index"])
    np.testing.assert_allclose(targets[:, -2:-1], np.log(shape["rollover_energy"]))
    np.testing.assert_allclose(targets[:, -1:], np.log(form.intensity) + to_scale)


def test_the_card_tells_the_training(radem, rule, prior, tiny, tiny_folder, tiny_artefact):
    """The card is strict JSON with seed, settings, prior, response, command, and a score for every ensemble."""
    card = json.loads((tiny_folder / "card.json").read_text(), parse_constant=pytest.fail)
    assert card == json.loads(json.dumps(dict(tiny_artefact.card)))
    told = {name: card["training"][name] for name in ("seed", "members", "steps", "batch", "samples", "held_out")}
    assert told == {"seed": 3, "members": 2, "steps": 12, "batch": 16, "samples": 400, "held_out": 300}
    assert card["training"]["command"] == "particleflux train spectra"
    assert card["training"]["commit"] == "abc"
    assert card["training"]["torch"] == torch.__version__
    assert card["prior"] == json.loads(json.dumps(describe_prior(prior)))
    assert card["prior"]["signal_counts"] == {"low": 0.3, "high": 1e8, "log": True, "zero": 0.0}
    assert card["response_sha256"] == radem.response().select(rule.channels).digest
    assert card["rule"]["bins"] == [list(bins) for bins in rule.bins]
    n_targets = len(card["nodes"]) + len(card["thresholds"]) + 3
    for entry, bins in zip(card["ensembles"], rule.bins, strict=True):
        assert entry["bins"] == list(bins)
        assert len(entry["features"]) == len(entry["scaler"]["mean"])
        below = np.array(entry["held_out"]["truth_below_quantile"])
        assert below.shape == (5, n_targets)
        assert (np.diff(below, axis=0) >= 0).all()
        assert [step for step, _ in entry["history"]] == [20]


def test_what_was_trained_runs(tiny_artefact, radem):
    """The method takes the trained model as it is."""
    unfolder = EnsembleUnfolder(tiny_artefact)
    sample = Simulation.of_instrument(radem).sample(20, seed=1)
    result = unfolder.unfold(sample, sample[["background_rate", "background_rate_std"]])
    assert np.isfinite(result["flux"]).all()
    assert dict(describe(tiny_artefact.card))["networks"] == "3 ensembles of 2"


def test_other_response_tables_are_recorded(radem, tiny, tiny_artefact, tmp_path):
    """A training for another response has its digest on the card, and learns something else."""
    own = radem.response()
    other = dataclasses.replace(own, geometric_factor=own.geometric_factor * 1.5)
    found = train_spectra(radem, tmp_path / "model", settings=tiny, response=other)
    assert found.card["response_sha256"] == other.select(radem.ensemble.bins[-1]).digest
    assert found.networks != tiny_artefact.networks


def test_the_prior_covers_what_the_method_promises(prior):
    """The prior reaches the response and background errors that the method accepts, and has samples without them."""
    assert prior.response_error == Range(0.01, 0.2, log=True, zero=0.35)
    assert prior.background_error.high == 0.3
    assert prior.background_error.zero > 0
    assert prior.background_level.zero > 0
    assert prior.shape_parameters["spectral_index"] == Range(0.5, 5.0)


def test_default_settings_reach_over_the_energies_offered():
    """The nodes of a default training cover the energies that the method offers by default."""
    settings = TrainingSettings()
    unfolded = EnsembleUnfolder.__dataclass_fields__["energies"].default
    assert settings.nodes[0] <= min(unfolded)
    assert settings.nodes[-1] >= max(unfolded)


def test_a_training_that_diverges_is_told(radem, tiny, tmp_path):
    """A loss that is no number ends the training with the step and what to do, before a model is written."""
    wild = dataclasses.replace(tiny, learning_rate=1e30)
    with pytest.raises(ArtefactError, match=r"train PDH1.*: the loss is .* at step .*; lower the learning rate"):
        train_spectra(radem, tmp_path / "model", settings=wild)
    assert not (tmp_path / "model").exists()
