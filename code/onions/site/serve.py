"""A local server that imitates GitHub Pages, for `onions live`, the benchmarks and the tests."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

# GitHub Pages serves a project below its name, so a link that begins with / leaves the site.
BASE_PATH = "/onions/"
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
OWN_NAMES = ("127.0.0.1", "::1", "localhost")
POLL_SECONDS = 0.05  # how often a server looks whether it should stop
COMPRESSED = {".css", ".html", ".ipynb", ".js", ".json", ".svg", ".txt", ".xml"}


class SiteHandler(BaseHTTPRequestHandler):
    """A request handler for the files of `folder` below `base_path`, with the site's 404 page."""

    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True  # avoids 40 ms between headers and body
    caching = "max-age=600"

    def __init__(self, folder: Path, base_path: str, *arguments: object) -> None:
        self.folder, self.base_path = folder, base_path
        super().__init__(*arguments)  # type: ignore[arg-type]

    def parse_request(self) -> bool:
        """Read a request; refuse one to another name, with which a website could read this server.

        This is DNS rebinding: the name of the website leads to this machine.
        """
        if not super().parse_request():
            return False
        with suppress(ValueError):
            if urlsplit(f"//{self.headers.get('Host', '')}").hostname in OWN_NAMES:
                return True
        self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        return False

    def do_GET(self) -> None:
        """Answer a request."""
        path = unquote(urlsplit(self.path).path)
        if path == self.base_path.rstrip("/"):
            self.send_body(HTTPStatus.MOVED_PERMANENTLY, b"", ".txt", Location=self.base_path)
        elif path.startswith(self.base_path) and (
            file := self.find_file(path.removeprefix(self.base_path))
        ):
            self.send_body(HTTPStatus.OK, file.read_bytes(), file.suffix)
        else:
            page = self.folder / "404.html"  # without one, GitHub Pages sends its own
            self.send_body(HTTPStatus.NOT_FOUND, page.read_bytes() if page.is_file() else b"")

    def find_file(self, path: str) -> Path | None:
        """Return the file for a path below `base_path`, or None if there is none."""
        with suppress(OSError, ValueError):  # a name that is too long, or contains NUL
            file = (self.folder / path).resolve()
            if file.is_dir():
                file /= "index.html"
            if file.is_relative_to(self.folder) and file.is_file():
                return file
        return None

    def send_body(
        self, status: HTTPStatus, body: bytes, suffix: str = ".html", **headers: str
    ) -> None:
        """Send a response with the content type of files with this suffix."""
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
        """Log nothing; callers print their own output."""


@contextmanager
def serve_folder(
    folder: Path,
    base_path: str = BASE_PATH,
    *,
    handler: Callable[..., SiteHandler] = SiteHandler,
    port: int = 0,
) -> Iterator[str]:
    """Serve a folder below `base_path` during the block; yield its URL, with a slash at the end.

    `base_path` begins and ends with a slash. `port` 0 chooses a free port. Raises FileNotFoundError
    if the folder does not exist, and OSError if the port is taken.
    """
    handler_in_folder = partial(handler, folder.resolve(strict=True), base_path)
    with ThreadingHTTPServer(("127.0.0.1", port), handler_in_folder) as server:
        Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{base_path}"
        server.shutdown()
