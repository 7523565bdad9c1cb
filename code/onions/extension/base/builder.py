"""The two builders: one writes the site, one the EPUB. Only this module asks which one runs.

Sphinx creates its builder after it has set up the extensions, so a handler that only one builder
needs is connected to its event in both, and is called in one.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from sphinx.application import Sphinx

# Conditions of Sphinx's `only` nodes, whose content one builder leaves out.
SITE, EPUB = "not epub", "epub"


def connect_site(app: Sphinx, event: str, handler: Callable[..., Any], priority: int = 500) -> None:
    """Connect a handler that is called only when the site is built."""
    _connect(app, event, handler, priority, epub=False)


def connect_epub(app: Sphinx, event: str, handler: Callable[..., Any], priority: int = 500) -> None:
    """Connect a handler that is called only when the EPUB is built."""
    _connect(app, event, handler, priority, epub=True)


def _connect(
    app: Sphinx, event: str, handler: Callable[..., Any], priority: int, *, epub: bool
) -> None:
    skipped = () if event == "html-collect-pages" else None  # Sphinx iterates over those pages

    @wraps(handler)
    def handle(app: Sphinx, *args: Any) -> Any:
        return handler(app, *args) if (app.builder.name == EPUB) == epub else skipped

    app.connect(event, handle, priority)
