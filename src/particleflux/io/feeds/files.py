"""Which saved answers a caller means: files, folders of several feeds, patterns."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from particleflux.errors import MissingDataError

PathLike = str | os.PathLike[str]
Paths = PathLike | Iterable[PathLike]

#: What `particleflux fetch` writes beside each answer; no data.
PROVENANCE_SUFFIX = ".provenance.json"


def select_files(paths: Paths, patterns: Sequence[str], what: str) -> list[Path]:
    """List the files to read.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders and patterns with `*`, `?` or `[...]`.
    patterns : sequence of str
        File names of this feed: of a folder these are read, not the other feeds in it.
    what : str
        The feed, for messages.

    Returns
    -------
    list of Path
        As given, those of a folder or pattern by name; at least one.

    Raises
    ------
    MissingDataError
        If a path does not exist or holds no such file.
    """
    files: list[Path] = []
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    for entry in given:
        path = Path(entry).expanduser()
        if path.is_dir():
            found = [file for file in _visible(path.iterdir()) if _named(file, patterns)]
        elif path.exists():
            found = [path]
        else:
            found = _visible(map(Path, glob.glob(str(path)))) if glob.has_magic(str(path)) else []
        if not found:
            msg = f"{path}: found no file of {what}, expected one such as {patterns[0]}; check the path, or fetch it"
            raise MissingDataError(msg)
        files += [file for file in found if file not in files]
    if not files:
        msg = f"found an empty list of paths, expected files of {what} such as {patterns[0]}; name one"
        raise MissingDataError(msg)
    return files


def _visible(files: Iterable[Path]) -> list[Path]:
    """Leave out what is written beside the answers, and answers that are just being written."""
    return [file for file in sorted(files) if not (file.name.endswith(PROVENANCE_SUFFIX) or file.name.startswith("."))]


def _named(file: Path, patterns: Sequence[str]) -> bool:
    return file.is_file() and any(fnmatch.fnmatch(file.name.lower(), pattern) for pattern in patterns)
