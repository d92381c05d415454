"""Where results go on disk: which suffix means which format, and writing that leaves all or nothing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from particleflux.errors import DataError

#: Suffix of a result file, and what it stands for.
FORMATS = {".nc": "NetCDF-4", ".cdf": "ISTP CDF", ".csv": "CSV table", ".json": "JSON"}

#: Suffixes of a figure.
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


def choose_format(path: str | os.PathLike[str], suffixes: tuple[str, ...] = tuple(FORMATS)) -> str:
    """Tell the format of a file from its suffix.

    Parameters
    ----------
    path : path-like
        The file.
    suffixes : tuple of str
        The suffixes allowed here, each with its dot.

    Returns
    -------
    str
        The suffix in lower case.

    Raises
    ------
    DataError
        If the suffix is none of those.

    Examples
    --------
    >>> choose_format("event.NC")
    '.nc'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        known = ", ".join(f"{item} ({FORMATS[item]})" if item in FORMATS else item for item in suffixes)
        found = f"suffix {suffix!r}" if suffix else "no suffix"
        msg = f"{path}: found {found}, but the suffix chooses the format; expected one of {known}; rename the file"
        raise DataError(msg)
    return suffix


def check_writable(path: str | os.PathLike[str], suffixes: tuple[str, ...] = tuple(FORMATS)) -> Path:
    """Check that a result can be written to a file, before any work is spent on it.

    Parameters
    ----------
    path : path-like
        The file to be written later; it may exist already.
    suffixes : tuple of str
        The suffixes allowed here, each with its dot.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    DataError
        If the suffix is unknown, the folder is missing or cannot be written to, or the path is a folder.
    """
    path = Path(path)
    choose_format(path, suffixes)
    with replacing(path) as temporary:
        temporary.touch()
        temporary.unlink()
    return path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file in the same folder that takes the place of `path` when the block ends well.

    The content is on disk before the name is: a reader sees the old file or the whole new one, whatever happens.
    A block that ends without having made the file changes nothing.

    Parameters
    ----------
    path : path-like
        The file to make or replace. A link is followed, so the link itself stays.

    Yields
    ------
    Path
        A name with the same suffix that does not exist yet: write there.

    Raises
    ------
    DataError
        If the folder is missing or the file cannot be written.
    """
    path = Path(path)
    target = path.resolve()
    folder = target.parent
    if target.is_dir():
        msg = f"{path}: found a folder, expected a file to write; name a file in it"
        raise DataError(msg)
    if not folder.is_dir():
        msg = f"{path}: there is no folder {str(folder)!r} to write it in; create it, or give another path"
        raise DataError(msg)
    # Not tempfile: that makes files only their owner may read, and a result is for sharing as the umask allows.
    temporary = folder / f".{target.stem}-{secrets.token_hex(4)}{target.suffix}"
    try:
        yield temporary
        if temporary.exists():
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"{path}: cannot be written ({reason}); check permissions and free space, or give another path"
        raise DataError(msg) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
