"""``404.html``, which GitHub Pages shows at every address that leads nowhere.

A browser reads its links from that address, so they begin at the site's own. sphinx-notfound-page
needs that address for every build; here a build without one has links that work beside the page.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx

from onions.extension.offline import is_offline
from onions.extension.reader import site

NAME = "404"
# What leads from the page to another file of the site: neither to a server, nor within the page.
RELATIVE = re.compile(r'((?:href|src|action|data-content_root)=")(?!/|#|[a-z]+:)(?:\./)?')


def setup(app: Sphinx) -> None:
    """Add the page."""
    app.connect("html-collect-pages", _name)
    app.connect("html-page-context", _hide)
    app.connect("build-finished", _begin_at_the_root)


def _name(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    if not is_offline(app):
        lessons = [page.name for page in site().project.pages() if page.lesson]
        titles = [(name, app.env.titles[name].astext()) for name in lessons]
        yield NAME, {"title": "Page not found", "lessons": titles}, "404.html"


def _hide(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if pagename == NAME:
        context["pageurl"] = None  # no search engine needs to know of it


def _begin_at_the_root(app: Sphinx, error: Exception | None) -> None:
    root, page = urlsplit(app.config.html_baseurl).path, Path(app.outdir, f"{NAME}.html")
    if not error and root and page.exists():
        page.write_text(RELATIVE.sub(rf"\g<1>{root}", page.read_text("utf-8")), "utf-8")
