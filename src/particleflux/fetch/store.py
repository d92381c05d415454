"""A downloaded answer takes its name only when its reader accepts it; what stood there before stays until then."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import xarray as xr

from particleflux import __version__
from particleflux.errors import DataError
from particleflux.export.files import replacing
from particleflux.fetch.download import Downloader, Progress, Received, check_url
from particleflux.fetch.sources import BASE, SOURCES
from particleflux.io.feeds.files import PROVENANCE_SUFFIX

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Fetched:
    """A file on disk and what is known of it; written beside it as JSON.

    Attributes
    ----------
    path : Path
        The file.
    source : str
        Its name, empty where it was fetched by address.
    url : str
        Where it was asked for.
    retrieved : str
        When: ISO 8601, UTC.
    received : Received or None
        What came; None where the file was there already.
    n_samples : int
        Samples in a feed; 0 where no reader looked at it.
    first, last : str
        Times of the first and last sample, UTC.
    """

    path: Path
    source: str
    url: str
    retrieved: str
    received: Received | None
    n_samples: int = 0
    first: str = ""
    last: str = ""


def fetch_source(
    name: str,
    folder: str | os.PathLike[str],
    *,
    base: str = BASE,
    keep: bool = False,
    downloader: Downloader | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch a known feed and check it with its reader.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.
    folder : path-like
        Folder to write to; it exists.
    base : str
        Address of the service, or of a mirror with the same paths.
    keep : bool
        Name the file by the time too, so that each answer is kept: `kp-20260506T120000Z.json`. Else the new answer
        replaces the old one, `kp.json`.
    downloader : Downloader, optional
        How to get it.
    progress : callable, optional
        Told of bytes received and expected.

    Returns
    -------
    Fetched
        The file, and what its reader found in it.

    Raises
    ------
    DataError
        If the name is unknown, the download fails, or the reader refuses the answer; the old file is then untouched.
    """
    source = SOURCES.get(name)
    if source is None:
        msg = f"no source is named {name!r}: expected one of {', '.join(SOURCES)}; or give an address with --url"
        raise DataError(msg)
    now = datetime.now(UTC)
    stamp = f"-{now:%Y%m%dT%H%M%SZ}" if keep else ""
    target = Path(folder) / f"{name}{stamp}.json"
    url = source.url(base)
    found: list[xr.Dataset] = []
    received = _store(url, target, lambda path, _: found.append(source.read(path)), downloader, progress)
    time = found[0]["time"].to_numpy()
    first, last = (f"{np.datetime_as_string(instant, unit='s')}Z" for instant in time[[0, -1]])
    fetched = Fetched(target, name, url, f"{now:%Y-%m-%dT%H:%M:%SZ}", received, len(time), first, last)
    _record(fetched, received)
    return fetched


def fetch_url(
    url: str,
    folder: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    downloader: Downloader | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch a file by its address; it keeps the last part of it as its name.

    Parameters
    ----------
    url : str
        The address, http or https.
    folder : path-like
        Folder to write to; it exists.
    sha256 : str, optional
        The hash the file must have. A file of that name and hash that is there already is not fetched again.
    downloader : Downloader, optional
        How to get it.
    progress : callable, optional
        Told of bytes received and expected.

    Returns
    -------
    Fetched
        The file.

    Raises
    ------
    DataError
        If the address names no file, the download fails, or the answer has another hash; where no hash is given, also
        if it is a web page or half a JSON document under another name. The old file is then untouched.
    """
    check_url(url)
    file_name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    if not _FILE_NAME.fullmatch(file_name) or file_name.endswith(PROVENANCE_SUFFIX):
        msg = f"{url}: its last part {file_name!r} is no plain file name; give an address that ends in one"
        raise DataError(msg)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        msg = f"sha256={sha256!r}: expected 64 hexadecimal digits; copy the hash the publisher gives"
        raise DataError(msg)
    target = Path(folder) / file_name
    if sha256 is not None and target.is_file() and _hash(target) == sha256.lower():
        return Fetched(target, "", url, "", None)

    def check(path: Path, received: Received) -> None:
        if sha256 is None:
            _check_kind(path, url, target)
        elif received.sha256 != sha256.lower():
            msg = f"found sha256 {received.sha256}, expected {sha256.lower()}: the file is another; check both"
            raise DataError(msg)

    received = _store(url, target, check, downloader, progress)
    fetched = Fetched(target, "", url, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", received)
    _record(fetched, received)
    return fetched


def _store(
    url: str,
    target: Path,
    check: Callable[[Path, Received], object],
    downloader: Downloader | None,
    progress: Progress | None,
) -> Received:
    with replacing(target) as temporary:
        received = (downloader or Downloader()).download(url, temporary, progress=progress)
        try:
            check(temporary, received)
        except DataError as error:
            kept = f"; {target} stays as it was" if target.exists() else ""
            msg = f"{url}: the answer is refused: {str(error).replace(str(temporary), 'it')}{kept}"
            raise DataError(msg) from error
    return received


def _record(fetched: Fetched, received: Received) -> None:
    record: dict[str, object] = {"particleflux_version": __version__, **asdict(fetched), **asdict(received)}
    del record["received"]
    record |= {"path": fetched.path.name, "url": fetched.url, "final_url": received.url}
    path = fetched.path.with_name(fetched.path.stem + PROVENANCE_SUFFIX)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _check_kind(path: Path, url: str, target: Path) -> None:
    """Refuse what servers send in place of a file that is not there: a page, or part of a document."""
    suffix = target.suffix.lower()
    with path.open("rb") as stream:
        start = stream.read(400).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not start:
        msg = "it is empty, expected a file; check the address"
        raise DataError(msg)
    if start.lower().startswith(("<!doctype html", "<html", "<head")) and suffix not in (".html", ".htm"):
        found = " ".join(start.split())[:60]
        msg = f"it is a web page ({found!r}), expected a {suffix or 'plain'} file; open {url} to see why"
        raise DataError(msg)
    if suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            msg = f"it is no whole JSON document ({str(error)[:120]}), expected one; try again later"
            raise DataError(msg) from error


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
