"""A trained model on disk: a folder with ONNX networks and a JSON card, and nothing that runs code when read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from particleflux.errors import ArtefactError

#: Version of the card that this package writes and reads.
CARD_FORMAT = 1
CARD_NAME = "card.json"
# A card of more than this, or a network of more, is not one of ours.
_MAX_CARD, _MAX_NETWORK = 4 << 20, 64 << 20
# No separator, no leading dot, nothing that a file system would read in another way.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,99}\.onnx")
_REQUIRED = {"format": int, "name": str, "kind": str, "created": str, "particleflux": str, "files": dict}


@dataclass(frozen=True)
class Artefact:
    """Networks and the card that describes them.

    Attributes
    ----------
    card : mapping
        What it is, how and from what it was trained, its scaler numbers, and its measured scores; JSON.
    networks : mapping of str to bytes
        ONNX graphs by file name.
    """

    card: Mapping[str, Any]
    networks: Mapping[str, bytes] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.card["name"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over card and networks: names this very model in a result's provenance."""
        sha = hashlib.sha256(_card_bytes(self.card))
        for name in sorted(self.networks):
            sha.update(self.networks[name])
        return sha.hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Artefact:
        """Read a model from a folder, or one that ships, by its name.

        Parameters
        ----------
        path : str or Path
            A name that `list_artefacts` gives, or a folder with a card; write `./name` for a folder that has such a
            name, so that what happens to lie in the working folder never replaces a model that ships.

        Returns
        -------
        Artefact
            With every network checked against the card's hash.

        Raises
        ------
        ArtefactError
            If there is none, the card is damaged or of another version, or a network is missing or altered.
        """
        shipped = list_artefacts()
        folder = shipped.get(path, Path(path)) if isinstance(path, str) else path
        if not folder.is_dir():
            msg = (
                f"no model {str(path)!r}: expected a folder with {CARD_NAME}, or one that ships ({sorted(shipped)}); "
                "correct the name, or train one with `particleflux train`"
            )
            raise ArtefactError(msg)
        card = _read_card(folder / CARD_NAME)
        networks = {}
        for name, digest in card["files"].items():
            if not _PLAIN_NAME.fullmatch(name):
                msg = f"{folder / CARD_NAME}: names the file {name!r}, expected plain names that end in .onnx"
                raise ArtefactError(msg)
            content = _read(folder / name, _MAX_NETWORK)
            found = hashlib.sha256(content).hexdigest()
            if found != digest:
                msg = (
                    f"{folder / name}: SHA-256 is {found[:12]}..., the card says {str(digest)[:12]}...; "
                    "the file is damaged or altered: install or train the model again"
                )
                raise ArtefactError(msg)
            networks[name] = content
        return cls(card, networks)

    def save(self, path: str | Path) -> None:
        """Write the model as a folder, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The folder; one that exists must hold a model and nothing else, and is replaced.

        Raises
        ------
        ArtefactError
            If the folder exists and holds something else, or cannot be written.
        """
        folder = Path(path).absolute()
        check_destination(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            try:
                self._write(staging)
                _put_in_place(staging, folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            msg = f"{folder} cannot be written: {error.strerror}; choose another folder for the model"
            raise ArtefactError(msg) from error

    def _write(self, folder: Path) -> None:
        """Write all files into an empty folder."""
        files = {name: hashlib.sha256(content).hexdigest() for name, content in self.networks.items()}
        for name, content in self.networks.items():
            (folder / name).write_bytes(content)
        (folder / CARD_NAME).write_bytes(_card_bytes({**self.card, "files": files}))
        folder.chmod(0o755)


def check_destination(path: str | Path) -> None:
    """Refuse a folder that a model cannot be saved to, before hours are spent on training it.

    Parameters
    ----------
    path : str or Path
        A folder that does not exist, or that holds a model and nothing else.

    Raises
    ------
    ArtefactError
        If it holds something else.
    """
    folder = Path(path)
    if not folder.exists():
        return
    if not (folder / CARD_NAME).is_file():
        msg = f"{folder} exists and holds no {CARD_NAME}: a model is written to a new folder or over another model"
        raise ArtefactError(msg)
    others = sorted(file.name for file in folder.iterdir() if file.name != CARD_NAME and file.suffix != ".onnx")
    if others:
        msg = f"{folder} holds {others[:5]} beside a {CARD_NAME}: replacing it would delete them; move them first"
        raise ArtefactError(msg)


def list_artefacts() -> dict[str, Path]:
    """Find the models that ship with the package.

    Returns
    -------
    dict of str to Path
        Folder of each model by its name.
    """
    root = Path(str(resources.files("particleflux") / "models"))
    if not root.is_dir():
        return {}
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / CARD_NAME).is_file()}


def _put_in_place(staging: Path, folder: Path) -> None:
    """Give a finished folder its name; a model that has the name keeps it if that fails."""
    if not folder.exists():
        os.replace(staging, folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    try:
        os.replace(folder, aside / folder.name)
        os.replace(staging, folder)
    except BaseException:
        if not folder.exists():
            os.replace(aside / folder.name, folder)
        raise
    finally:
        # Never the last copy: without a folder in place, what was moved aside stays there.
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _read(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit:
            msg = f"{path}: {size} bytes, expected at most {limit}; this is no model of particleflux"
            raise ArtefactError(msg)
        return path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); install or train the model again"
        raise ArtefactError(msg) from error


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(_read(path, _MAX_CARD), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: not a JSON card ({error}); install or train the model again"
        raise ArtefactError(msg) from error
    found = card.get("format") if isinstance(card, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        msg = f"{path}: no card of particleflux, it states no 'format'; give the folder of a trained model"
        raise ArtefactError(msg)
    if found < 1:
        msg = f"{path}: card format {found}, expected 1 to {CARD_FORMAT}; the card is damaged"
        raise ArtefactError(msg)
    if found > CARD_FORMAT:
        msg = (
            f"{path}: card format {found}, this version reads up to {CARD_FORMAT}; it was written by particleflux "
            f"{card.get('particleflux', '(unknown)')}: upgrade particleflux"
        )
        raise ArtefactError(msg)
    for key, kind in _REQUIRED.items():
        if not isinstance(card.get(key), kind):
            msg = f"{path}: {key!r} is {card.get(key)!r}, expected {kind.__name__}; the card is damaged"
            raise ArtefactError(msg)
    return dict(card)


def _refuse_constant(name: str) -> float:
    msg = f"it holds {name}, which is no JSON"
    raise ValueError(msg)


def _card_bytes(card: Mapping[str, Any]) -> bytes:
    return (json.dumps(card, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
