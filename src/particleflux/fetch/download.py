"""One download over HTTP: time limits, retries, a limit of size; redirects stay on the web."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import pooch
import requests

from particleflux import __version__
from particleflux.errors import DataError

#: Told of the bytes received and of those expected, 0 where the server does not say.
Progress = Callable[[int, int], None]

_SCHEMES = ("http", "https")
#: Answers after which the same request may succeed: too many requests, and troubles of the server.
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0
_CHUNK = 2**16


@dataclass(frozen=True)
class Received:
    """What a download brought.

    Attributes
    ----------
    url : str
        Where it came from in the end, redirects followed.
    n_bytes : int
        Its length.
    sha256 : str
        Its hash, hexadecimal.
    last_modified : str
        When the server says it changed; empty where it does not.
    """

    url: str
    n_bytes: int
    sha256: str
    last_modified: str = ""


@dataclass(frozen=True)
class Downloader:
    """Gets one file from the web.

    Parameters
    ----------
    timeout : float
        Longest wait for the connection, and for each piece of the answer, s.
    attempts : int
        Most requests, where the trouble may pass.
    backoff : float
        Wait before the second request, s; twice as long before each one after it.
    most_bytes : int
        Longest file, unpacked.
    deadline : float
        Longest time for the whole answer, s.
    """

    timeout: float = 30.0
    attempts: int = 4
    backoff: float = 1.0
    most_bytes: int = 64 * 2**20
    deadline: float = 900.0

    def download(self, url: str, path: Path, *, progress: Progress | None = None) -> Received:
        """Get a file; what is at `path` when this raises is not whole.

        Parameters
        ----------
        url : str
            Its address, http or https.
        path : Path
            File to write.
        progress : callable, optional
            Told of bytes received and expected.

        Returns
        -------
        Received
            What it brought.

        Raises
        ------
        DataError
            If the address is no web address, the server is out of reach or does not give the file, the answer breaks
            off or is too long.
        """
        check_url(url)
        for attempt in range(1, self.attempts + 1):
            try:
                with path.open("wb") as stream:
                    return self._request(url, stream, progress)
            except requests.RequestException as error:
                if attempt == self.attempts or not _may_pass(error):
                    msg = f"{url}: {self._explain(error, attempt)}"
                    raise DataError(msg) from error
                time.sleep(min(_LONGEST_WAIT, max(self.backoff * 2 ** (attempt - 1), _asked_to_wait(error))))
        msg = f"attempts={self.attempts}: expected at least one"
        raise DataError(msg)

    def _request(self, url: str, stream: BinaryIO, progress: Progress | None) -> Received:
        answers: list[Any] = []

        def inspect(response: Any, *_: object, **__: object) -> None:
            answers.append(response)
            if response.is_redirect:
                check_url(urljoin(response.url, response.headers["location"]), came_from=response.url)

        sink = _Sink(stream, url, self, progress, answers)
        get = pooch.HTTPDownloader(
            chunk_size=_CHUNK,
            timeout=self.timeout,
            hooks={"response": inspect},
            headers={"User-Agent": f"particleflux/{__version__}", "Accept-Encoding": "gzip"},
        )
        try:
            get(url, sink, None)
        except requests.RequestException:
            raise
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            msg = f"{url}: the address or the answer cannot be understood ({error}); check the address"
            raise DataError(msg) from error
        finally:
            for answer in answers:
                answer.close()
        last = answers[-1]
        stated = last.headers.get("content-length", "")
        # A packed answer states its packed length.
        if stated.isdecimal() and "content-encoding" not in last.headers and int(stated) != sink.n_bytes:
            msg = f"received {sink.n_bytes} of {stated} bytes"
            raise requests.exceptions.ChunkedEncodingError(msg)
        return Received(last.url, sink.n_bytes, sink.hash.hexdigest(), last.headers.get("last-modified", ""))

    def _explain(self, error: Any, attempt: int) -> str:
        tried = f" ({attempt} attempts)" if attempt > 1 else ""
        status = getattr(error.response, "status_code", None)
        if status is not None:
            advice = "try again later" if status in _PASSING else "check the name; the file may have moved"
            reason = getattr(error.response, "reason", "") or "no reason given"
            return f"found HTTP status {status} ({reason}), expected the file{tried}; {advice}"
        if isinstance(error, requests.exceptions.Timeout) or _reason(error).startswith("Read timed out"):
            return f"no answer within {self.timeout:g} s{tried}; check the network, or allow a longer --timeout"
        if isinstance(error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
            return f"the answer broke off ({_reason(error)}), expected the whole file{tried}; try again later"
        if isinstance(error, requests.exceptions.ConnectionError):
            return f"the server cannot be reached ({_reason(error)}){tried}; check the address and the network"
        return f"the request failed ({_reason(error)}){tried}; check the address"


class _Sink:
    """Where the answer goes: counts and hashes it, and refuses too much of it."""

    def __init__(
        self, stream: BinaryIO, url: str, limits: Downloader, progress: Progress | None, answers: list[Any]
    ) -> None:
        self.stream, self.url, self.limits, self.progress, self.answers = stream, url, limits, progress, answers
        self.n_bytes = 0
        self.hash = hashlib.sha256()
        self.end = time.monotonic() + limits.deadline

    def write(self, chunk: bytes) -> None:
        stated = self.answers[-1].headers.get("content-length", "")
        expected = int(stated) if stated.isdecimal() else 0
        self.n_bytes += len(chunk)
        if max(expected, self.n_bytes) > self.limits.most_bytes:
            msg = (
                f"{self.url}: found {max(expected, self.n_bytes)} bytes or more, expected at most "
                f"{self.limits.most_bytes}; check the address, or allow more with --limit"
            )
            raise DataError(msg)
        if time.monotonic() > self.end:
            msg = (
                f"{self.url}: found {self.n_bytes} bytes after {self.limits.deadline:g} s, expected the whole file; "
                "try again later"
            )
            raise DataError(msg)
        self.stream.write(chunk)
        self.hash.update(chunk)
        if self.progress is not None:
            self.progress(self.n_bytes, expected)

    def flush(self) -> None:
        """Leave it to the file: flushing each piece would only cost time."""


def check_url(url: str, *, came_from: str = "") -> None:
    """Refuse an address that is none of the web, or that holds a password.

    Parameters
    ----------
    url : str
        The address.
    came_from : str
        The address that redirected to it.

    Raises
    ------
    DataError
        If the scheme is not http or https, there is no host, it holds a user's name, or a redirect leaves https.
    """
    where = f"{came_from}: redirected to {url!r}" if came_from else repr(url)
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.username is not None or parts.password is not None
    except ValueError as error:
        msg = f"{where} is no address ({error}); expected one such as 'https://host/path/file.json'"
        raise DataError(msg) from error
    if parts.scheme not in _SCHEMES or not host:
        msg = f"{where}, expected an address such as 'https://host/path/file.json'; only http and https are followed"
        raise DataError(msg)
    if secret:
        # Named without the address: messages end up in logs.
        msg = f"an address at {host} holds a user name, expected one without; the address is recorded beside the file"
        raise DataError(msg)
    if came_from.startswith("https:") and parts.scheme == "http":
        msg = f"{where}, expected to stay on https; check the address"
        raise DataError(msg)


def _may_pass(error: Any) -> bool:
    status = getattr(error.response, "status_code", None)
    if status is not None:
        return status in _PASSING
    if isinstance(error, requests.exceptions.SSLError):
        return False
    passing = (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return isinstance(error, passing)


def _asked_to_wait(error: Any) -> float:
    asked = getattr(error.response, "headers", {}).get("retry-after", "")
    return float(asked) if asked.isdecimal() else 0.0


def _reason(error: BaseException) -> str:
    """Find the words of the innermost error: the outer ones repeat the address and name Python's classes."""
    cause: Any = error
    while True:
        inner = getattr(cause, "reason", None) or next(
            (part for part in reversed(cause.args) if isinstance(part, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            break
        cause = inner
    text = " ".join(str(cause).split()).rsplit(": ", 1)[-1]
    return text[:120] or type(cause).__name__
