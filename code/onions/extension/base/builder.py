"""Handlers for one of the two builders: the site's or the EPUB's.

Sphinx creates its builder after it sets up the extensions. Each handler is therefore connected in
both builds, and skipped in one. Only this module checks which builder runs.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from sphinx.application import Sphinx

# Expressions for Sphinx's `only` nodes. EPUB is also the name of Sphinx's builder.
SITE, EPUB = "not epub", "epub"


def connect_site(app: Sphinx, event: str, handler: Callable[..., Any], priority: int = 500) -> None:
    """Connect a handler that runs only when the site is built."""
    _connect(app, event, handler, priority, epub=False)


def connect_epub(app: Sphinx, event: str, handler: Callable[..., Any], priority: int = 500) -> None:
    """Connect a handler that runs only when the EPUB is built."""
    _connect(app, event, handler, priority, epub=True)


def _connect(
    app: Sphinx, event: str, handler: Callable[..., Any], priority: int, *, epub: bool
) -> None:
    # Sphinx iterates over the results of these events.
    skipped = () if event in ("env-get-updated", "html-collect-pages") else None

    @wraps(handler)
    def handle(app: Sphinx, *args: Any) -> Any:
        return handler(app, *args) if (app.builder.name == EPUB) == epub else skipped

    app.connect(event, handle, priority)
