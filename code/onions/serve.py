"""A built site over HTTP on this machine, as GitHub Pages serves the site of a project.

The preview of `onions live` stands on it; benchmarks compare sites through it, and the tests hold
the site to its budgets through it.
"""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

# A project's site is never at the root of its host, and so a link that begins with / leads out.
UNDER = "/onions/"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ipynb": "application/x-ipynb+json",
    ".js": "application/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
COMPRESSED = {".css", ".html", ".ipynb", ".js", ".json", ".svg", ".txt", ".xml"}


class Pages(BaseHTTPRequestHandler):
    """Answers with the files of `folder` below the path `under`, and with the site's own 404."""

    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True  # headers and body are two writes: without it, 40 ms each
    caching = "max-age=600"

    def __init__(self, folder: Path, under: str, *given: object) -> None:
        self.folder, self.under = folder, under
        super().__init__(*given)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer a request."""
        path = unquote(urlsplit(self.path).path)
        if path == self.under.rstrip("/"):
            self.answer(HTTPStatus.MOVED_PERMANENTLY, b"", ".txt", Location=self.under)
        elif path.startswith(self.under) and (found := self.find(path.removeprefix(self.under))):
            self.answer(HTTPStatus.OK, found.read_bytes(), found.suffix)
        else:
            page = self.folder / "404.html"  # GitHub Pages' own, where the site has none
            self.answer(HTTPStatus.NOT_FOUND, page.read_bytes() if page.is_file() else b"")

    def find(self, path: str) -> Path | None:
        """Return the file that a path leads to, if there is one in the folder."""
        found = (self.folder / path).resolve()
        if found.is_dir():
            found /= "index.html"
        return found if found.is_relative_to(self.folder) and found.is_file() else None

    def answer(
        self, status: HTTPStatus, body: bytes, suffix: str = ".html", **headers: str
    ) -> None:
        """Send an answer whose type is that of files with this suffix."""
        self.send_response(status)
        self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Cache-Control", self.caching)
        if suffix in COMPRESSED and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=6, mtime=0)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Vary", "Accept-Encoding")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the output belongs to who measures."""


@contextmanager
def served(
    folder: Path, under: str = UNDER, *, handler: Callable[..., Pages] = Pages, port: int = 0
) -> Iterator[str]:
    """Serve a folder below a path until the block ends; yield its address, which ends in a slash.

    `port` 0 is any that is free. Raises FileNotFoundError where there is no such folder, and
    OSError where the port is taken.
    """
    answers = partial(handler, folder.resolve(strict=True), under)
    with ThreadingHTTPServer(("127.0.0.1", port), answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{under}"
        server.shutdown()
