"""A built site over HTTP on this machine, as GitHub Pages serves the site of a project.

Benchmarks compare sites through it, and the tests hold the site to its budgets through it. It
stands with the benchmarks, since these run as scripts, which find only what lies beside them;
pytest is told where it is (``pythonpath`` in pyproject.toml).
"""

import gzip
from collections.abc import Iterator
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


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder until the block ends; yield its address, which ends in a slash.

    Raises FileNotFoundError where there is no such folder.
    """
    handler = partial(_Pages, folder.resolve(strict=True))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{UNDER}"
        server.shutdown()


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True  # headers and body are two writes: without it, 40 ms each

    def __init__(self, folder: Path, *given: object) -> None:
        self.folder = folder
        super().__init__(*given)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == UNDER.rstrip("/"):
            self._answer(HTTPStatus.MOVED_PERMANENTLY, None, Location=UNDER)
        elif path.startswith(UNDER) and (found := self._find(path.removeprefix(UNDER))):
            self._answer(HTTPStatus.OK, found)
        else:
            page = self.folder / "404.html"  # GitHub Pages' own, where the site has none
            self._answer(HTTPStatus.NOT_FOUND, page if page.is_file() else None)

    def _find(self, path: str) -> Path | None:
        found = (self.folder / path).resolve()
        if found.is_dir():
            found /= "index.html"
        return found if found.is_relative_to(self.folder) and found.is_file() else None

    def _answer(self, status: HTTPStatus, path: Path | None, **headers: str) -> None:
        body, suffix = (path.read_bytes(), path.suffix) if path else (b"", ".txt")
        self.send_response(status)
        self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Cache-Control", "max-age=600")
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
