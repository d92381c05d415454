"""A model on disk: what is written is read, and nothing damaged, foreign or hostile is."""

import hashlib
import json
import os
from pathlib import Path

import pytest

import particleflux.artefact as artefact_module
from particleflux.artefact import CARD_FORMAT, Artefact, check_destination, list_artefacts
from particleflux.errors import ArtefactError
from particleflux.unfold.ensemble import KIND, EnsembleUnfolder

NETWORKS = {"a.onnx": b"first network", "b.onnx": b"second network"}


def card(**changes: object) -> dict:
    files = {name: hashlib.sha256(content).hexdigest() for name, content in NETWORKS.items()}
    base = {
        "format": CARD_FORMAT,
        "name": "toy",
        "kind": "toy",
        "created": "2024-05-15T00:00:00Z",
        "particleflux": "0.1.0",
        "files": files,
        "numbers": [1.5, 1e-300, 0.1],
    }
    return {**base, **changes}


@pytest.fixture
def model(tmp_path) -> Path:
    Artefact(card(), NETWORKS).save(tmp_path / "model")
    return tmp_path / "model"


def rewrite_card(folder: Path, **changes: object) -> None:
    (folder / "card.json").write_text(json.dumps({**json.loads((folder / "card.json").read_text()), **changes}))


def test_round_trip(model):
    """What is saved is loaded: card, networks and digest."""
    loaded = Artefact.load(model)
    assert loaded == Artefact(card(), NETWORKS)
    assert loaded.digest == Artefact(card(), NETWORKS).digest
    assert loaded.name == "toy"


def test_hashes_are_taken_when_saved(tmp_path):
    """The card on disk holds the hashes of the networks saved with it, whatever it said before."""
    Artefact(card(files={}), NETWORKS).save(tmp_path / "model")
    assert Artefact.load(tmp_path / "model").networks == NETWORKS


def test_digest_names_card_and_networks():
    """Another number on the card or another byte of a network is another digest."""
    digests = {
        Artefact(card(), NETWORKS).digest,
        Artefact(card(numbers=[1.6]), NETWORKS).digest,
        Artefact(card(), {**NETWORKS, "a.onnx": b"First network"}).digest,
    }
    assert len(digests) == 3


def test_card_is_strict_json(model):
    """The card is JSON that any reader takes: a number that is not finite is refused when written."""
    json.loads((model / "card.json").read_text(), parse_constant=pytest.fail)
    with pytest.raises(ValueError, match=r"Out of range float"):
        Artefact(card(numbers=[float("nan")]), NETWORKS).save(model)
    assert Artefact.load(model) == Artefact(card(), NETWORKS)


def test_card_from_the_future(model):
    """A card of a later format says which version wrote it and to upgrade."""
    rewrite_card(model, format=99, particleflux="7.0")
    with pytest.raises(ArtefactError, match=r"card format 99, this version reads up to 1.* 7.0: upgrade particleflux"):
        Artefact.load(model)


def test_one_flipped_byte(model):
    """A network with one altered byte is named."""
    content = bytearray((model / "b.onnx").read_bytes())
    content[5] ^= 1
    (model / "b.onnx").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"b.onnx: SHA-256 is .*the file is damaged or altered"):
        Artefact.load(model)


@pytest.mark.parametrize(
    "name",
    [
        "../a.onnx",
        "/etc/a.onnx",
        "sub/a.onnx",
        "..",
        "card.json",
        ".onnx",
        "",
        "a\0.onnx",
        "..\\a.onnx",
        "C:a.onnx",
        "ä.onnx",
    ],
)
def test_names_that_leave_the_folder(model, name):
    """File names that are not plain are refused before any is opened."""
    (model.parent / "a.onnx").write_bytes(NETWORKS["a.onnx"])
    rewrite_card(model, files={name: hashlib.sha256(NETWORKS["a.onnx"]).hexdigest()})
    with pytest.raises(ArtefactError, match=r"expected plain names that end in \.onnx"):
        Artefact.load(model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1, "name": "to', "not a JSON card"),
        ("", "not a JSON card"),
        ('{"format": 1, "x": NaN}', "NaN, which is no JSON"),
        ("[" * 100_000, "not a JSON card"),
        ('{"format": ' + "1" * 10_000 + "}", "not a JSON card"),
        ("[1]", "no card of particleflux"),
        ("{}", "states no 'format'"),
        ('{"format": true}', "states no 'format'"),
        ('{"format": "1"}', "states no 'format'"),
        ('{"format": 0}', "card format 0, expected 1 to 1"),
        ('{"format": 1}', "'name' is None, expected str"),
        (json.dumps(card(files=["a.onnx"])), "'files' is .*expected dict"),
    ],
)
def test_damaged_cards(model, text, message):
    """Every damage to the card is one message that names the card."""
    (model / "card.json").write_text(text)
    with pytest.raises(ArtefactError, match=f"card.json.*{message}"):
        Artefact.load(model)


def test_card_that_is_not_text(model):
    """Bytes that are no UTF-8 are one message as well."""
    (model / "card.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ArtefactError, match=r"not a JSON card"):
        Artefact.load(model)


def test_a_missing_network(model):
    """A network that is not there is named."""
    (model / "a.onnx").unlink()
    with pytest.raises(ArtefactError, match=r"a.onnx: cannot be read"):
        Artefact.load(model)


def test_a_card_beyond_all_measure(model, monkeypatch):
    """A file too large to be a card is not read."""
    monkeypatch.setattr(artefact_module, "_MAX_CARD", 100)
    with pytest.raises(ArtefactError, match=r"bytes, expected at most 100"):
        Artefact.load(model)


def test_no_such_model_lists_the_shipped_ones(tmp_path, model, monkeypatch):
    """A name that is no model is answered with the names that are."""
    monkeypatch.setattr(artefact_module, "list_artefacts", lambda: {"toy-model": model})
    assert Artefact.load("toy-model").name == "toy"
    with pytest.raises(ArtefactError, match=r"no model 'toy-modell': expected .* one that ships .\['toy-model'\]"):
        Artefact.load("toy-modell")
    with pytest.raises(ArtefactError, match=r"no model .*nowhere"):
        Artefact.load(tmp_path / "nowhere")


def test_a_shipped_name_is_the_shipped_model(tmp_path, model, monkeypatch):
    """A folder in the working directory does not take the place of a shipped model; written ./name it is meant."""
    monkeypatch.chdir(tmp_path)
    Artefact(card(name="mine"), NETWORKS).save("toy-model")
    monkeypatch.setattr(artefact_module, "list_artefacts", lambda: {"toy-model": model})
    assert Artefact.load("toy-model").name == "toy"
    assert Artefact.load("./toy-model").name == "mine"


def test_every_shipped_model_loads():
    """Each model that ships is whole, and named as its folder."""
    for name in list_artefacts():
        assert Artefact.load(name).name == name


def test_no_models_folder(monkeypatch, tmp_path):
    """An installation without models has none, and says so."""
    monkeypatch.setattr(artefact_module.resources, "files", lambda _: tmp_path)
    assert list_artefacts() == {}
    with pytest.raises(ArtefactError, match=r"no model 'radem-protons'"):
        Artefact.load("radem-protons")


def test_saving_replaces_a_model(model):
    """A model is replaced by the next one, without a trace of the old."""
    Artefact(card(name="next"), {"c.onnx": b"third"}).save(model)
    assert sorted(path.name for path in model.iterdir()) == ["c.onnx", "card.json"]
    assert Artefact.load(model).name == "next"
    assert [path.name for path in model.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["thesis.tex"], "holds no card.json"),
        ([], "holds no card.json"),
        (["card.json", "thesis.tex"], r"holds \['thesis.tex'\] beside a card.json"),
    ],
)
def test_a_foreign_folder_is_not_written_over(tmp_path, files, message):
    """A folder that holds anything else than a model is left as it is, and refused before any training."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("mine")
    with pytest.raises(ArtefactError, match=message):
        Artefact(card(), NETWORKS).save(folder)
    with pytest.raises(ArtefactError, match=message):
        check_destination(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_a_file_in_the_way(tmp_path):
    """A file of that name, or as the parent, is refused with the path."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtefactError, match=r"file exists and holds no card.json"):
        Artefact(card(), NETWORKS).save(tmp_path / "file")
    with pytest.raises(ArtefactError, match=r"cannot be written: .*choose another folder"):
        Artefact(card(), NETWORKS).save(tmp_path / "file" / "model")


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_save_leaves_the_old_model(model, monkeypatch, cut, error):
    """Interrupted at either move, the old model is in its place and whole, and nothing lies about."""
    moves = []

    def replace(source, target):
        moves.append(target)
        if len(moves) == cut:
            raise error
        os.rename(source, target)

    monkeypatch.setattr(artefact_module.os, "replace", replace)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else ArtefactError
    with pytest.raises(expected):
        Artefact(card(name="next"), {"c.onnx": b"third"}).save(model)
    monkeypatch.undo()
    assert Artefact.load(model) == Artefact(card(), NETWORKS)
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_a_full_disk_leaves_the_old_model(model, monkeypatch):
    """If a network cannot be written, the old model stays and the message says what to do."""

    def write_bytes(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(ArtefactError, match=r"cannot be written: No space left on device; choose another folder"):
        Artefact(card(name="next"), {"c.onnx": b"third"}).save(model)
    monkeypatch.undo()
    assert Artefact.load(model) == Artefact(card(), NETWORKS)
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_garbage_with_the_right_hash(tmp_path):
    """A network that is garbage though its hash fits is a message when it is started, not a traceback."""
    scaler = {"mean": [0.0] * 6, "std": [1.0] * 6, "lowest": [-1.0] * 6, "highest": [1.0] * 6}
    hostile = card(
        kind=KIND,
        instrument="radem",
        species="proton",
        configurations=[1],
        rule={"bins": [["PDH1"]], "threshold_sigma": 3.0},
        nodes=[2.0, 200.0],
        thresholds=[10.0],
        ensembles=[{"file": "a.onnx", "scaler": scaler}],
    )
    Artefact(hostile, NETWORKS).save(tmp_path / "model")
    with pytest.raises(ArtefactError, match=r"a.onnx: not a network that can be run"):
        EnsembleUnfolder.load(tmp_path / "model")
