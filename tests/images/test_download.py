"""Downloads from local servers that behave well and badly, with a clock that the bytes drive."""

import hashlib
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from onions.images import download
from onions.images.batches import DataError
from onions.images.download import DownloadFailed
from support.disks import disk_full

ARCHIVE = random.Random(1).randbytes(400_000)
CHUNK = 10_000
read = download._read


class Server:
    """A local server. It takes `seconds` for each chunk, and closes after `cut` chunks."""

    def __init__(
        self,
        content: bytes = ARCHIVE,
        *,
        seconds: float = 0.0,
        cut: int | None = None,
        ranges: bool = True,
        media_type: str = "application/gzip",
        length: bool = True,
        redirect: str = "",
    ) -> None:
        self.content, self.seconds, self.cut, self.ranges = content, seconds, cut, ranges
        self.media_type, self.length, self.redirect = media_type, length, redirect
        self.starts: list[int] = []  # of the requests for more than the first byte

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        if self.redirect:
            request.send_response(302)
            request.send_header("Location", self.redirect)
            request.end_headers()
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers["Range"])
        assert match
        first = int(match[1]) if self.ranges else 0
        last = int(match[2]) + 1 if match[2] and self.ranges else len(self.content)
        body = self.content[first:last]
        request.send_response(206 if self.ranges else 200)
        request.send_header("Content-Type", self.media_type)
        if self.ranges:
            whole = len(self.content)
            request.send_header("Content-Range", f"bytes {first}-{first + len(body) - 1}/{whole}")
        if self.length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if match[2]:
            request.wfile.write(body[:1])
            return
        self.starts.append(int(match[1]))
        for number, start in enumerate(range(0, len(body), CHUNK)):
            if number == self.cut:
                break
            request.wfile.write(body[start : start + CHUNK])


@contextmanager
def serve(server: Server) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):  # the download has left
                server.respond(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/archive"
        http.shutdown()


class Downloads:
    """Downloads to `target` from servers, which answer in their order."""

    def __init__(self, target: Path) -> None:
        self.target, self.partial = target, target.with_name(f"{target.name}.part")
        self.lines: list[str] = []
        self.time, self.seconds = 0.0, dict[str, float]()  # for each chunk, by URL

    def read(self, response: Any) -> bytes:
        """Do what `onions.images.download._read` does, and advance the clock."""
        chunk = read(response)
        self.time += self.seconds.get(response.url, 0) * len(chunk) / CHUNK
        return chunk

    def run(
        self,
        *servers: Server | str,
        patient: bool = False,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        with ExitStack() as stack:
            urls = []
            for server in servers:
                url = server if isinstance(server, str) else stack.enter_context(serve(server))
                urls.append(url)
                self.seconds[url] = 0.0 if isinstance(server, str) else server.seconds
            download.download(
                self.target,
                notify=notify or self.lines.append,
                patient=patient,
                urls=urls,
                clock=lambda: self.time,
            )

    def fails(self, *servers: Server | str, patient: bool = False) -> DownloadFailed:
        with pytest.raises(DownloadFailed) as raised:
            self.run(*servers, patient=patient)
        assert not self.target.exists()
        return raised.value

    def has_arrived(self) -> bool:
        return self.target.read_bytes() == ARCHIVE and not self.partial.exists()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Downloads:
    monkeypatch.setattr(download, "ARCHIVE_SIZE", len(ARCHIVE))
    monkeypatch.setattr(download, "ARCHIVE_SHA256", hashlib.sha256(ARCHIVE).hexdigest())
    monkeypatch.setattr(download, "CHUNK", CHUNK)
    monkeypatch.setattr(download, "TIMEOUT", 1.0)
    # In the order of the servers, which would otherwise differ from run to run.
    monkeypatch.setattr(download, "as_completed", lambda futures: [*futures])
    downloads = Downloads(tmp_path / "datasets" / "archive")
    monkeypatch.setattr(download, "_read", downloads.read)
    return downloads


def test_the_first_server_that_answers_sends_the_archive(downloads: Downloads) -> None:
    first, second = Server(), Server()
    downloads.run("http://127.0.0.1:9/nobody", first, second)
    assert downloads.has_arrived() and (first.starts, second.starts) == ([0], [])


def test_a_slow_server_is_left_and_its_part_continued(downloads: Downloads) -> None:
    slow, fast = Server(seconds=30), Server(seconds=0.01)
    downloads.run(slow, fast)
    assert downloads.has_arrived() and slow.starts == [0]
    [start] = fast.starts
    assert 0 < start < len(ARCHIVE)


def test_if_all_are_slow_the_time_of_the_fastest_is_given_and_the_part_kept(
    downloads: Downloads,
) -> None:
    error = downloads.fails(Server(seconds=300), Server(seconds=30))
    assert error.seconds == pytest.approx(30 * 40, rel=0.1)
    assert "would take" in str(error) and 0 < downloads.partial.stat().st_size < len(ARCHIVE)
    kept = downloads.partial.stat().st_size
    again = Server()
    downloads.run(again)
    assert downloads.has_arrived() and again.starts == [kept]


def test_a_patient_download_takes_as_long_as_it_takes(downloads: Downloads) -> None:
    slower, slow = Server(seconds=300), Server(seconds=30)
    downloads.run(slower, slow, patient=True)
    assert downloads.has_arrived() and len(slower.starts) == 1 and len(slow.starts) == 2
    progress = [line for line in downloads.lines if line.startswith("CIFAR-10: ")]
    assert progress and all(
        re.fullmatch(r"CIFAR-10: 0 of 0 MB, \d+\.\d\d MB/s, \d+ (s|minutes) left", line)
        for line in progress
    )


def test_a_server_that_dies_in_the_middle_is_continued_elsewhere(downloads: Downloads) -> None:
    dying, other = Server(cut=7), Server()
    downloads.run(dying, other)
    assert downloads.has_arrived() and other.starts == [7 * CHUNK]


def test_a_patient_download_asks_a_dying_server_again(downloads: Downloads) -> None:
    dying = Server(cut=15)
    downloads.run(dying, patient=True)
    assert downloads.has_arrived() and dying.starts == [0, 15 * CHUNK, 30 * CHUNK]


def test_a_server_that_ignores_ranges_continues_too(downloads: Downloads) -> None:
    downloads.fails(Server(cut=7))
    downloads.run(Server(ranges=False))
    assert downloads.has_arrived()


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        (Server(b"<h1>Log in</h1>", ranges=False, media_type="text/html"), "text/html (15 bytes)"),
        (
            Server(b"<h1>Log in</h1>", ranges=False, media_type="text/html", length=False),
            "text/html (any number of bytes) instead of the archive",
        ),
        (Server(ARCHIVE[:-1]), "(399999 bytes) instead of the archive"),
        (Server(ARCHIVE + b"x", ranges=False), "(400001 bytes) instead of the archive"),
        (Server(ARCHIVE + b"x", ranges=False, length=False), "sends more than the official"),
        (Server(ARCHIVE[:-1], ranges=False, length=False), "stopped after 0 MB"),
        (Server(bytes(len(ARCHIVE))), "sent other bytes than the official archive's"),
        ("http://127.0.0.1:9/nobody", "Connection refused"),
        ("nonsense", "unknown url type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_server_is_named_and_the_next_one_used(
    downloads: Downloads, server: Server | str, problem: str
) -> None:
    error = downloads.fails(server)
    assert problem in str(error) and ("127.0.0.1:" in str(error) or server == "nonsense")
    assert not downloads.partial.exists() or "sent other" not in problem
    downloads.run(server, Server())
    assert downloads.has_arrived()


def test_servers_with_the_same_problem_are_named_together(downloads: Downloads) -> None:
    error = downloads.fails("http://127.0.0.1:9/a", "http://localhost:9/b", "http://127.0.0.1:9/c")
    assert re.fullmatch(
        r"127\.0\.0\.1:9, localhost:9, 127\.0\.0\.1:9: .*Connection refused", str(error)
    )


def test_wrong_bytes_of_an_earlier_command_are_no_fault_of_the_server(
    downloads: Downloads,
) -> None:
    downloads.partial.parent.mkdir()
    downloads.partial.write_bytes(bytes(100_000))
    server = Server()
    downloads.run(server)
    assert downloads.has_arrived() and server.starts == [100_000, 0]


def test_a_redirect_is_followed_with_its_range(downloads: Downloads) -> None:
    downloads.fails(Server(cut=7))
    server = Server()
    with serve(server) as url:
        downloads.run(Server(redirect=url))
    assert downloads.has_arrived() and server.starts == [7 * CHUNK]


def test_the_proxy_of_the_environment_is_used(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Server()
    with serve(proxy) as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setattr("urllib.request._opener", None)  # it knows the last proxies
        downloads.run("http://cifar.example/archive")
    assert downloads.has_arrived() and proxy.starts == [0]


def test_a_stop_keeps_what_has_arrived(downloads: Downloads) -> None:
    def stop(line: str) -> None:
        if line.startswith("CIFAR-10: "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        downloads.run(Server(seconds=1), notify=stop)
    kept = downloads.partial.stat().st_size
    assert kept == download.received_bytes(downloads.target) > 0
    server = Server()
    downloads.run(server)
    assert downloads.has_arrived() and server.starts == [kept]


def test_a_full_disk_is_an_error(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", disk_full)
    with pytest.raises(DataError, match=r"archive\.part: can't be written \(No space left on dev"):
        downloads.run(Server())
