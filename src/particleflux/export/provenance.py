"""Where a result came from: kept beside it in every format."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import particleflux
from particleflux.errors import DataError


@dataclass(frozen=True)
class Provenance:
    """What one needs to make a result again, and to say in a paper how it was made.

    Parameters
    ----------
    particleflux_version : str
        Version of this package.
    created : str
        When the result was made: ISO 8601, UTC.
    command : str
        The command line, or an empty string for a library call.
    instrument : str
        Name of the instrument.
    artefact : str
        Name of the trained model that answered; empty where none did.
    artefact_sha256 : str
        Its hash.
    input_files : tuple of mapping
        For each input file its `name`, size in `bytes` and `sha256`.
    settings : mapping
        Settings of the method and of the steps before it.
    """

    particleflux_version: str
    created: str
    command: str = ""
    instrument: str = ""
    artefact: str = ""
    artefact_sha256: str = ""
    input_files: tuple[Mapping[str, str | int], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def now(
        cls,
        *,
        command: str = "",
        instrument: str = "",
        artefact: str = "",
        artefact_sha256: str = "",
        input_files: Iterable[str | os.PathLike[str]] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> Provenance:
        """Record the present moment and version, and the size and hash of each input file.

        Parameters
        ----------
        command : str
            The command line.
        instrument : str
            Name of the instrument.
        artefact : str
            Name of the trained model.
        artefact_sha256 : str
            Its hash.
        input_files : iterable of path-like
            Files to read for their size and hash.
        settings : mapping, optional
            What JSON can hold: text, numbers, lists, None.

        Returns
        -------
        Provenance
            The record.

        Raises
        ------
        DataError
            If an input file cannot be read.
        """
        return cls(
            particleflux_version=particleflux.__version__,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            command=command,
            instrument=instrument,
            artefact=artefact,
            artefact_sha256=artefact_sha256,
            input_files=tuple(_describe_file(Path(path)) for path in input_files),
            settings=dict(settings or {}),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the record as plain nested values for JSON.

        Returns
        -------
        dict
            One key per field.
        """
        record = asdict(self)
        record["input_files"] = [dict(item) for item in self.input_files]
        return record

    def to_attributes(self) -> dict[str, str]:
        """Give the record as flat text attributes for NetCDF and CDF; nested values become JSON text.

        Returns
        -------
        dict of str
            Fields that hold nothing are left out.
        """
        record = self.to_dict()
        flat = {key: value if isinstance(value, str) else json.dumps(value) for key, value in record.items() if value}
        return {f"provenance_{key}": value for key, value in flat.items()}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Provenance | None:
        """Read the record back from the attributes of a dataset.

        Parameters
        ----------
        attributes : mapping
            Attributes of an opened result.

        Returns
        -------
        Provenance or None
            None where the attributes hold no record.

        Examples
        --------
        >>> record = Provenance.now(command="particleflux demo")
        >>> Provenance.from_attributes(record.to_attributes()) == record
        True
        """
        known = {key: attributes.get(f"provenance_{key}") for key in cls.__dataclass_fields__}
        found = {key: value for key, value in known.items() if value is not None}
        if "created" not in found or "particleflux_version" not in found:
            return None
        if "input_files" in found:
            found["input_files"] = tuple(json.loads(str(found["input_files"])))
        if "settings" in found:
            found["settings"] = json.loads(str(found["settings"]))
        return cls(**found)


def _describe_file(path: Path) -> dict[str, str | int]:
    # The name without its folder: results are shared, and where somebody keeps the files is nobody's business.
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error}); give the path of an existing file"
        raise DataError(msg) from error
