"""What the tabs of `onions live` are told, and the server that they load their pages from."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import escape
from http import HTTPStatus
from threading import Condition
from typing import Any
from urllib.parse import parse_qs, urlsplit

from onions.preview import digest
from onions.serve import Pages
from onions.site import PACKAGE

SCRIPT = PACKAGE / "extension" / "scripts" / "live.js"
OURS = "-/"  # below this path is what only the preview has
HEARTBEAT = 15.0  # seconds after which a tab that has left is noticed


class Board:
    """What the tabs are told: one text of JSON for each page, whenever it changes."""

    def __init__(self) -> None:
        self._news = Condition()
        self._tell: Callable[[str], dict[str, Any]] = lambda page: {}

    def show(self, tell: Callable[[str], dict[str, Any]]) -> None:
        """Tell each tab what `tell` returns for the path of its page, as in ``setup.html``."""
        with self._news:
            self._tell = tell
            self._news.notify_all()

    def follow(self, page: str) -> Iterator[str]:
        """Yield what is told of a page, whenever that changes; nothing new is an empty text."""
        before = ""
        while True:
            with self._news:
                now = json.dumps(self._tell(page))
                if now == before:
                    self._news.wait(HEARTBEAT)
                    now = json.dumps(self._tell(page))
            yield now if now != before else ""
            before = now


class Tab(Pages):
    """Answers as GitHub Pages would, and adds to each page the script that follows the board."""

    caching = "no-store"

    def __init__(self, board: Board, *given: Any) -> None:
        self.board = board
        super().__init__(*given)

    def do_GET(self) -> None:
        """Answer a request."""
        url = urlsplit(self.path)
        if url.path == f"/{OURS}live.js":
            self.answer(HTTPStatus.OK, SCRIPT.read_bytes(), ".js")
        elif url.path == f"/{OURS}events":
            with suppress(OSError):  # the tab has left
                self._follow(*parse_qs(url.query).get("page", ["index.html"]))
        else:
            super().do_GET()

    def answer(
        self, status: HTTPStatus, body: bytes, suffix: str = ".html", **headers: str
    ) -> None:
        """Send an answer; a page with the script, which knows which state of the page it is in."""
        if suffix == ".html":
            name = urlsplit(self.path).path.lstrip("/") or "index.html"
            state = digest(body) if status == HTTPStatus.OK else ""
            body = (
                body or b"<!doctype html><title>No page yet</title><h1>There is no page here</h1>"
            )
            script = (
                f'<script src="/{OURS}live.js" data-page="{escape(name)}" data-state="{state}">'
            )
            body = body.replace(b"</body>", b"", 1) + f"{script}</script></body>".encode()
        super().answer(status, body, suffix, **headers)

    def _follow(self, page: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for text in self.board.follow(page):
            self.wfile.write(f"data: {text}\n\n".encode() if text else b":\n\n")
