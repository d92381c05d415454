from __future__ import annotations

import gzip
import hashlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from particleflux import __version__, cli
from particleflux.cli import fetch as command
from particleflux.errors import DataError
from particleflux.fetch import BASE, SOURCES, Downloader, fetch_source, fetch_url
from particleflux.fetch.download import check_url
from particleflux.io.feeds import open_swpc_kp

KP = json.dumps(
    [{"time_tag": f"2026-05-06T{3 * i:02d}:00:00", "Kp": 2.33, "station_count": 8} for i in range(8)]
).encode()
OLD_KP = json.dumps([{"time_tag": "2026-05-01T00:00:00", "Kp": 1.0}]).encode()
ANSWERS = {
    "goes-electrons": [{"time_tag": "2026-05-06T00:00:00Z", "satellite": 19, "flux": 900.0, "energy": ">=2 MeV"}],
    "kp": json.loads(KP),
    "solar-wind-plasma": [
        {
            "time_tag": "2026-05-06T00:00:00",
            "active": True,
            "source": "SOLAR1",
            "proton_speed": 400,
            "proton_density": 5,
        }
    ],
    "solar-wind-field": [
        {"time_tag": "2026-05-06T00:00:00", "active": True, "source": "SOLAR1", "bt": 5, "by_gsm": 1, "bz_gsm": -3}
    ],
    "dst": [{"time_tag": "2026-05-06T00:00:00", "dst": -30}],
}
KP_PATH = f"/{SOURCES['kp'].path}"
QUICK = Downloader(timeout=5, attempts=3, backoff=0.01)

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers each path with what a test put there: in turn, the last answer again and again."""

    daemon_threads = True
    answers: dict[str, list[Answer]]
    asked: list[tuple[str, str]]

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("User-Agent", "")))
        waiting = self.server.answers.get(self.path)
        if waiting is None:
            self.send_error(404)
        else:
            (waiting.pop(0) if len(waiting) > 1 else waiting[0])(self)

    def log_message(self, *_: Any) -> None:
        pass


def body(content: bytes, status: int = 200, *, length: int | None = None, **headers: str) -> Answer:
    """Make an answer; a `length` of -1 states none."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if length != -1:
            handler.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as httpd:
        httpd.answers, httpd.asked = {}, []
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """Give a good file from before; a failed fetch leaves it as it was, and nothing beside it."""
    path = tmp_path / "kp.json"
    path.write_bytes(OLD_KP)
    yield path
    assert path.read_bytes() == OLD_KP
    assert [file.name for file in tmp_path.iterdir()] == ["kp.json"]


def fetch_kp(server: Server, folder: Path, downloader: Downloader = QUICK, **more: Any) -> Any:
    return fetch_source("kp", folder, base=server.base, downloader=downloader, **more)


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


def test_a_feed_is_fetched(server: Server, tmp_path: Path) -> None:
    """The answer is on disk byte for byte, opens with its reader, and its provenance lies beside it."""
    server.answers[KP_PATH] = [body(KP, Last_Modified="Wed, 06 May 2026 23:59:00 GMT")]
    seen: list[tuple[int, int]] = []
    fetched = fetch_kp(server, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert fetched.path == tmp_path / "kp.json"
    assert fetched.path.read_bytes() == KP
    assert open_swpc_kp(tmp_path)["kp"].values.tolist() == [7 / 3] * 8
    assert (fetched.n_samples, fetched.first, fetched.last) == (8, "2026-05-06T00:00:00Z", "2026-05-06T21:00:00Z")
    record = json.loads((tmp_path / "kp.provenance.json").read_text())
    assert record["url"] == record["final_url"] == f"{server.base}{KP_PATH}"
    assert record["sha256"] == hashlib.sha256(KP).hexdigest()
    assert (record["source"], record["path"], record["n_bytes"], record["n_samples"]) == ("kp", "kp.json", len(KP), 8)
    assert record["last_modified"] == "Wed, 06 May 2026 23:59:00 GMT"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["retrieved"])
    assert seen[-1] == (len(KP), len(KP))
    assert server.asked == [(KP_PATH, f"particleflux/{__version__}")]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["kp.json", "kp.provenance.json"]


def test_a_new_answer_replaces_the_old(server: Server, tmp_path: Path) -> None:
    """A second fetch takes the name of the first; with `keep` it gets its own, and both are read together."""
    server.answers[KP_PATH] = [body(OLD_KP), body(KP)]
    fetch_kp(server, tmp_path)
    assert fetch_kp(server, tmp_path).path.read_bytes() == KP
    server.answers[KP_PATH] = [body(OLD_KP)]
    kept = fetch_kp(server, tmp_path, keep=True).path
    assert re.fullmatch(r"kp-\d{8}T\d{6}Z\.json", kept.name)
    assert open_swpc_kp(tmp_path).sizes["time"] == 9


@pytest.mark.parametrize("name", SOURCES)
def test_every_feed_is_checked_by_its_reader(server: Server, tmp_path: Path, name: str) -> None:
    """Each feed's reader accepts its own answer and refuses that of another."""
    path = f"/{SOURCES[name].path}"
    server.answers[path] = [body(json.dumps(ANSWERS[name]).encode())]
    assert fetch_source(name, tmp_path, base=server.base, downloader=QUICK).n_samples >= 1
    other = "dst" if name != "dst" else "kp"
    server.answers[path] = [body(json.dumps(ANSWERS[other]).encode())]
    with pytest.raises(DataError, match="the answer is refused: it lacks"):
        fetch_source(name, tmp_path, base=server.base, downloader=QUICK)


def test_packed_answers_are_unpacked(server: Server, tmp_path: Path) -> None:
    """An answer packed on the way is stored as it is meant."""
    server.answers[KP_PATH] = [body(gzip.compress(KP), Content_Encoding="gzip")]
    assert fetch_kp(server, tmp_path).path.read_bytes() == KP


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_passing_trouble_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    """A server in trouble is asked again."""
    server.answers[KP_PATH] = [body(b"busy", status), body(b"busy", status), body(KP)]
    assert fetch_kp(server, tmp_path).path.read_bytes() == KP
    assert len(server.asked) == 3


def test_waits_grow_and_the_server_may_ask_for_longer(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waits double; a longer one that the server asks for is kept to, up to a minute."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    busy = [body(b"", 503), body(b"", 503), body(b"", 503, Retry_After="7"), body(b"", 503, Retry_After="9" * 400)]
    server.answers[KP_PATH] = [*busy, body(b"", 503, Retry_After="Thu, 01 Jan 2099 00:00:00 GMT"), body(KP)]
    fetch_kp(server, tmp_path, Downloader(attempts=6, backoff=0.5))
    assert waits == [0.5, 1, 7, 60, 8]


def test_lasting_trouble_is_told(server: Server, old: Path) -> None:
    """After the last attempt the message says how often it was tried."""
    server.answers[KP_PATH] = [body(b"<html>busy</html>", 503)]
    with pytest.raises(
        DataError, match=r"kp?.*found HTTP status 503 \(Service Unavailable\).*\(3 attempts\); try again"
    ):
        fetch_kp(server, old.parent)
    assert len(server.asked) == 3


@pytest.mark.parametrize(("status", "words"), [(404, "Not Found"), (403, "Forbidden"), (410, "Gone")])
def test_a_file_that_is_not_there_is_asked_for_once(server: Server, old: Path, status: int, words: str) -> None:
    """A refusal that will not pass is told at once."""
    server.answers[KP_PATH] = [body(b"no", status)]
    with pytest.raises(DataError, match=rf"found HTTP status {status} \({words}\), expected the file; check the name"):
        fetch_kp(server, old.parent)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"<!DOCTYPE html><html>down for maintenance</html>", "it holds HTML or XML"),
        (KP[: len(KP) // 2], "it is no whole JSON document"),
        (b"[]", "it holds an empty list"),
        (b"", "it is empty"),
        (b'[{"time_tag": "2026-05-06T00:00:00", "dst": 1}]', "it lacks Kp"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=range(6),
)
def test_a_wrong_answer_never_replaces_a_good_file(server: Server, old: Path, content: bytes, match: str) -> None:
    """A page, half a document or another feed is refused; the file of before stays, and nothing is left behind."""
    server.answers[KP_PATH] = [body(content)]
    with pytest.raises(DataError, match=match) as caught:
        fetch_kp(server, old.parent)
    assert str(caught.value).startswith(f"{server.base}{KP_PATH}: the answer is refused")
    assert str(caught.value).endswith(f"{old} stays as it was")


def test_a_body_that_breaks_off(server: Server, old: Path) -> None:
    """A body shorter than stated is tried again, then refused, even where what came is whole."""
    server.answers[KP_PATH] = [body(KP, length=len(KP) + 100)]
    with pytest.raises(DataError, match=r"the answer broke off \(.*\), expected the whole file \(3 attempts\)"):
        fetch_kp(server, old.parent)
    assert len(server.asked) == 3


def test_a_packed_body_that_breaks_off(server: Server, old: Path) -> None:
    """The same where it is packed."""
    packed = gzip.compress(KP)
    server.answers[KP_PATH] = [body(packed[:-20], Content_Encoding="gzip"), body(b"nonsense", Content_Encoding="gzip")]
    with pytest.raises(DataError, match=r"the answer broke off|no whole JSON document"):
        fetch_kp(server, old.parent)


def test_a_body_that_breaks_off_once(server: Server, tmp_path: Path) -> None:
    """Nothing of a broken attempt remains in the next one."""
    server.answers[KP_PATH] = [body(KP[:50], length=len(KP)), body(KP)]
    assert fetch_kp(server, tmp_path).path.read_bytes() == KP


@pytest.mark.parametrize("length", [None, -1], ids=["stated", "unstated"])
def test_the_size_is_limited(server: Server, old: Path, length: int | None) -> None:
    """Too much is refused, whether the server says how much it is or not."""
    server.answers[KP_PATH] = [body(b" " * 300_000, length=length)]
    with pytest.raises(DataError, match=r"found \d+ bytes or more, expected at most 1000; .*--limit"):
        fetch_kp(server, old.parent, Downloader(most_bytes=1000))
    assert len(server.asked) == 1


def test_a_small_answer_that_unpacks_to_much(server: Server, old: Path) -> None:
    """The limit holds for what comes out of a packed answer."""
    server.answers[KP_PATH] = [body(gzip.compress(b" " * 5_000_000), Content_Encoding="gzip")]
    with pytest.raises(DataError, match="expected at most 100000"):
        fetch_kp(server, old.parent, Downloader(most_bytes=100_000))


def test_a_server_that_does_not_answer(server: Server, old: Path) -> None:
    """Waiting ends."""
    server.answers[KP_PATH] = [lambda _: time.sleep(0.5)]
    with pytest.raises(DataError, match=r"no answer within 0.1 s \(2 attempts\); check the network, or allow a longer"):
        fetch_kp(server, old.parent, Downloader(timeout=0.1, attempts=2, backoff=0))


def test_a_server_that_falls_silent(server: Server, old: Path) -> None:
    """Waiting ends in the middle of the answer, too."""

    def stall(handler: BaseHTTPRequestHandler) -> None:
        body(KP[:50], length=len(KP))(handler)
        time.sleep(0.5)

    server.answers[KP_PATH] = [stall]
    with pytest.raises(DataError, match=r"no answer within 0\.1 s"):
        fetch_kp(server, old.parent, Downloader(timeout=0.1, attempts=1))


def test_a_server_that_trickles(server: Server, old: Path) -> None:
    """An answer that would take for ever is given up."""
    server.answers[KP_PATH] = [body(KP)]
    with pytest.raises(DataError, match=r"found \d+ bytes after -1 s, expected the whole file"):
        fetch_kp(server, old.parent, Downloader(deadline=-1))


def test_a_connection_that_is_refused(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host where nothing listens is named with the reason."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        DataError, match=rf"127.0.0.1:{port}/.*cannot be reached \(.*Connection refused\) \(3 attempts\)"
    ):
        fetch_source("kp", old.parent, base=f"http://127.0.0.1:{port}", downloader=QUICK)


def test_redirects_are_followed_on_the_web(server: Server, tmp_path: Path) -> None:
    """A file that moved is found; the record says where."""
    server.answers[KP_PATH] = [body(b"", 302, Location="/elsewhere.json")]
    server.answers["/elsewhere.json"] = [body(KP)]
    fetched = fetch_kp(server, tmp_path)
    assert fetched.path.read_bytes() == KP
    assert fetched.received.url == f"{server.base}/elsewhere.json"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/kp.json", "data:text/plain,x"])
def test_redirects_off_the_web_are_refused(server: Server, old: Path, target: str) -> None:
    """No server can make the program read a local file."""
    server.answers[KP_PATH] = [body(b"", 302, Location=target)]
    with pytest.raises(DataError, match=rf"redirected to '{target}', expected an address.*only http and https"):
        fetch_kp(server, old.parent)
    assert len(server.asked) == 1


def test_redirects_without_end(server: Server, old: Path) -> None:
    """A circle of redirects is one message."""
    server.answers[KP_PATH] = [body(b"", 302, Location=KP_PATH)]
    with pytest.raises(DataError, match="found HTTP status 302"):
        fetch_kp(server, old.parent)


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("file:///etc/passwd", "expected an address such as"),
        ("ftp://host/file", "expected an address such as"),
        ("/etc/passwd", "expected an address such as"),
        ("https://", "expected an address such as"),
        ("http://[::1", "is no address"),
        ("https://user:secret@host/file", "an address at host holds a user name"),
        ("", "expected an address such as"),
    ],
)
def test_addresses_that_are_none(url: str, match: str, tmp_path: Path) -> None:
    """Only http and https without a password; a password is not repeated."""
    with pytest.raises(DataError, match=match) as caught:
        fetch_url(url, tmp_path)
    assert "secret" not in str(caught.value)


def test_redirects_do_not_leave_https() -> None:
    """An encrypted request does not end in an open one."""
    with pytest.raises(DataError, match="https://a/x: redirected to 'http://a/x', expected to stay on https"):
        check_url("http://a/x", came_from="https://a/x")
    check_url("https://a/x", came_from="http://a/x")


def test_addresses_requests_cannot_use(tmp_path: Path) -> None:
    """What passes the first look and fails later is one message as well."""
    for url in ("http://*/x.json", f"http://{'a' * 70}.example/x.json"):
        with pytest.raises(DataError, match="check the address"):
            fetch_url(url, tmp_path, downloader=QUICK)


def test_answers_that_are_not_http(server: Server, tmp_path: Path) -> None:
    """Headers that make no sense are one message."""
    server.answers[KP_PATH] = [body(KP, length=-1, Content_Length="many")]
    with pytest.raises(DataError, match=r"cannot be understood|cannot be reached|request failed"):
        fetch_kp(server, tmp_path)
    server.answers[KP_PATH] = [lambda handler: handler.wfile.write(b"\x00\x01 nonsense\r\n\r\n") and None]
    with pytest.raises(DataError, match="cannot be reached"):
        fetch_kp(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_any_file_by_its_address(server: Server, tmp_path: Path) -> None:
    """A file is named after the address; with its hash at hand it is not fetched twice."""
    content = np.arange(1000).tobytes()
    digest = hashlib.sha256(content).hexdigest()
    server.answers["/archive/2014%20_DPD.txt"] = server.answers["/archive/2014_DPD.txt"] = [body(content)]
    url = f"{server.base}/archive/2014_DPD.txt"
    fetched = fetch_url(url, tmp_path, sha256=digest.upper(), downloader=QUICK)
    assert fetched.path == tmp_path / "2014_DPD.txt"
    assert fetched.path.read_bytes() == content
    assert json.loads((tmp_path / "2014_DPD.provenance.json").read_text())["sha256"] == digest
    assert fetch_url(url, tmp_path, sha256=digest).received is None
    assert len(server.asked) == 1
    assert fetch_url(url, tmp_path).received is not None
    assert len(server.asked) == 2


def test_a_wrong_hash_is_refused(server: Server, tmp_path: Path) -> None:
    """A file with another hash does not take the name."""
    server.answers["/kp.txt"] = [body(b"tampered")]
    target = tmp_path / "kp.txt"
    target.write_bytes(b"good")
    with pytest.raises(DataError, match=r"found sha256 [0-9a-f]{64}, expected a{64}.*kp.txt stays as it was"):
        fetch_url(f"{server.base}/kp.txt", tmp_path, sha256="a" * 64, downloader=QUICK)
    assert target.read_bytes() == b"good"
    with pytest.raises(DataError, match="expected 64 hexadecimal digits"):
        fetch_url(f"{server.base}/kp.txt", tmp_path, sha256="abc")
    assert [file.name for file in tmp_path.iterdir()] == ["kp.txt"]


@pytest.mark.parametrize(
    "path", ["", "/", "/folder/", "/.bashrc", "/..%2f..%2fevil", "/a%00b", "/%2e%2e", "/x.provenance.json"]
)
def test_addresses_without_a_file_name(server: Server, tmp_path: Path, path: str) -> None:
    """A name is the last part of the address, and never leads out of the folder."""
    with pytest.raises(DataError, match="is no plain file name"):
        fetch_url(f"{server.base}{path}", tmp_path, downloader=QUICK)
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.txt", b"  <!doctype HTML><title>Sign in</title>", "it is a web page .*Sign in.*expected a .txt file"),
        ("data", b"<html>", "expected a plain file"),
        ("a.json", b'{"half": ', "it is no whole JSON document"),
        ("a.json", b"[" * 100_000, "it is no whole JSON document"),
        ("a.nc", b"", "it is empty"),
    ],
)
def test_files_that_are_something_else(server: Server, tmp_path: Path, name: str, content: bytes, match: str) -> None:
    """Without a hash, a page or half a document under the name of a file is refused."""
    server.answers[f"/{name}"] = [body(content)]
    with pytest.raises(DataError, match=match):
        fetch_url(f"{server.base}/{name}", tmp_path, downloader=QUICK)
    assert list(tmp_path.iterdir()) == []
    server.answers["/page.html"] = [body(b"<html>")]
    assert fetch_url(f"{server.base}/page.html", tmp_path, downloader=QUICK).path.read_bytes() == b"<html>"


def test_what_cannot_be_asked_for(tmp_path: Path) -> None:
    """An unknown name, a folder that is not there, and no attempt at all."""
    with pytest.raises(DataError, match="no source is named 'protons': expected one of goes-electrons, kp,"):
        fetch_source("protons", tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        fetch_source("kp", tmp_path / "absent")
    with pytest.raises(DataError, match="attempts=0: expected at least one"):
        fetch_source("kp", tmp_path, downloader=Downloader(attempts=0))


def test_command_fetches_all(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without names every feed is fetched into a folder made for them; stdout stays empty."""
    for name, source in SOURCES.items():
        server.answers[f"/{source.path}"] = [body(json.dumps(ANSWERS[name]).encode())]
    assert run("fetch", "-o", tmp_path / "new" / "feeds", "--base", f"{server.base}/") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "kp: 8 samples from 2026-05-06T00:00:00Z to 2026-05-06T21:00:00Z" in shown.err
    assert f"written: {tmp_path / 'new' / 'feeds' / 'dst.json'}" in shown.err
    assert sorted(
        file.stem for file in (tmp_path / "new" / "feeds").glob("*[a-z].json") if "prov" not in file.name
    ) == (sorted(SOURCES))


def test_command_goes_on_after_a_failure(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A feed that is down costs one message and the exit status, not the other feeds."""
    server.answers[KP_PATH] = [body(KP)]
    assert run("fetch", "dst", "kp", "kp", "-o", tmp_path, "--base", server.base, "--keep", "-q") == 2
    shown = capsys.readouterr()
    assert shown.err.count("particleflux: error: ") == 1
    assert f"error: {server.base}/products/kyoto-dst.json: found HTTP status 404 (Not Found)" in shown.err
    assert "samples" not in shown.err
    assert len(list(tmp_path.glob("kp-*Z.json"))) == 1
    assert len(server.asked) == 2


def test_command_fetches_an_address(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--url takes one file, --sha256 its hash, and --limit how much it may be."""
    server.answers["/a.txt"] = [body(b"a" * 5000)]
    digest = hashlib.sha256(b"a" * 5000).hexdigest()
    url = f"{server.base}/a.txt"
    assert run("fetch", "--url", url, "-o", tmp_path, "--limit", "0.001") == 2
    assert "expected at most 1048" in capsys.readouterr().err
    assert run("fetch", "--url", url, "-o", tmp_path, "--sha256", digest) == 0
    assert run("fetch", "--url", url, "-o", tmp_path, "--sha256", digest) == 0
    assert f"already there: {tmp_path / 'a.txt'}" in capsys.readouterr().err
    assert run("fetch", "--url", url, "-o", tmp_path, "--sha256", "b" * 64) == 2
    assert "found sha256" in capsys.readouterr().err


def test_command_lists(capsys: pytest.CaptureFixture[str]) -> None:
    """--list shows names and addresses on stdout, and fetches nothing."""
    assert run("fetch", "--list") == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(SOURCES)
    assert shown[0].split()[:2] == ["goes-electrons", f"{BASE}/json/goes/primary/integral-electrons-7-day.json"]
    assert command.BASE_URL == BASE


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["kp"], "--out: found none, expected a folder"),
        (["protons", "-o", "{}"], "NAME: found 'protons', expected some of goes-electrons"),
        (["kp", "--url", "http://a/b", "-o", "{}"], "--url: found together with names or --keep"),
        (["kp", "--sha256", "a" * 64, "-o", "{}"], "--sha256: found without --url"),
        (["kp", "-o", "{}", "--base", "file:///tmp", "--attempts", "1"], "only http and https are followed"),
        (["kp", "-o", "{}", "--limit", "nan"], "--limit"),
        (["kp", "-o", "{}", "--timeout", "inf"], "--timeout: found inf, expected a number up to 1e+06"),
        (["kp", "-o", "{}/file"], "/file: File exists"),
    ],
)
def test_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], match: str) -> None:
    """A mistake is one message and exit 2."""
    (tmp_path / "file").touch()
    assert run("fetch", *(item.format(tmp_path) for item in arguments)) == 2
    shown = capsys.readouterr()
    assert match in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_command_import_is_light() -> None:
    """Importing the command loads no library that talks to the web."""
    code = "import sys, particleflux.cli, particleflux.cli.fetch; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    assert not {"pooch", "requests", "urllib3", "xarray", "numpy", "pandas"} & set(loaded)
