"""The server of `onions live`: the pages, and server-sent events for each open tab."""

import json
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from http import HTTPStatus
from pathlib import Path
from threading import Condition
from typing import Any
from urllib.parse import parse_qs, urlsplit

from onions.live.preview import page_digest
from onions.site.serve import SiteHandler

SCRIPT = Path(__file__).with_name("live.js")
LIVE_PATH = "-/"  # the URL path of the preview's script and events
HEARTBEAT = 15.0  # seconds between empty events, which detect closed tabs


class EventChannel:
    """The current event of each page, as JSON; tabs wait until it changes.

    Tabs are served in other threads than the one that publishes, so events never change.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._events: dict[str, str] = {}

    def publish(self, events: dict[str, dict[str, Any]]) -> None:
        """Send each tab the event of its page, such as ``setup.html``; other tabs that of ""."""
        texts = {page: json.dumps(event) for page, event in events.items()}
        with self._changed:
            self._events = texts
            self._changed.notify_all()

    def follow(self, page: str) -> Iterator[str]:
        """Yield a page's event whenever it changes, and an empty string as a heartbeat."""
        sent = ""
        while True:
            with self._changed:
                event = self._event(page)
                if event == sent:
                    self._changed.wait(HEARTBEAT)
                    event = self._event(page)
            yield event if event != sent else ""
            sent = event

    def _event(self, page: str) -> str:
        return self._events.get(page) or self._events.get("", "{}")


class LiveHandler(SiteHandler):
    """A request handler that imitates GitHub Pages and adds ``live.js`` to each page."""

    caching = "no-store"

    def __init__(self, channel: EventChannel, *arguments: Any) -> None:
        self.channel = channel
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer a request."""
        url = urlsplit(self.path)
        if url.path == f"/{LIVE_PATH}live.js":
            self.send_body(HTTPStatus.OK, SCRIPT.read_bytes(), ".js")
        elif url.path == f"/{LIVE_PATH}events":
            with suppress(OSError):  # the tab was closed
                self._send_events(*parse_qs(url.query).get("page", ["index.html"]))
        else:
            super().do_GET()

    def send_body(
        self, status: HTTPStatus, body: bytes, suffix: str = ".html", **headers: str
    ) -> None:
        """Send a response; add ``live.js`` and the page's digest to HTML."""
        if suffix == ".html":
            name = urlsplit(self.path).path.lstrip("/") or "index.html"
            digest = page_digest(body) if status == HTTPStatus.OK else ""
            body = (
                body or b"<!doctype html><title>No page yet</title><h1>There is no page here</h1>"
            )
            data = f'data-page="{escape(name)}" data-state="{digest}"'
            script = f'<script src="/{LIVE_PATH}live.js" {data}></script>'
            body = body.replace(b"</body>", b"", 1) + f"{script}</body>".encode()
        super().send_body(status, body, suffix, **headers)

    def _send_events(self, page: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in self.channel.follow(page):
            self.wfile.write(f"data: {event}\n\n".encode() if event else b":\n\n")
