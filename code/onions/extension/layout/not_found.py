"""``404.html``, which GitHub Pages serves for every URL without a file.

A browser resolves relative links against that URL, so the links of this page begin with the site's
base path. sphinx-notfound-page does the same but requires a base URL; here, a build without one
keeps relative links.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx

from onions.extension.base.builder import connect_site
from onions.extension.base.session import session

NAME = "404"
# An attribute with a relative URL: not an absolute path, a fragment or a URL with a scheme.
RELATIVE = re.compile(r'((?:href|src|action|data-content_root)=")(?!/|#|[a-z]+:)(?:\./)?')


def setup(app: Sphinx) -> None:
    """Add the 404 page."""
    connect_site(app, "html-collect-pages", _name)
    connect_site(app, "html-page-context", _hide)
    connect_site(app, "build-finished", _begin_at_the_root)


def _name(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    lessons = [page.name for page in session().project.pages() if page.lesson]
    titles = [(name, app.env.titles[name].astext()) for name in lessons]
    yield NAME, {"title": "Page not found", "lessons": titles}, "404.html"


def _hide(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if pagename == NAME:
        context["pageurl"] = None  # no canonical link


def _begin_at_the_root(app: Sphinx, error: Exception | None) -> None:
    base_path, file = urlsplit(app.config.html_baseurl).path, Path(app.outdir, f"{NAME}.html")
    if not error and base_path and file.exists():
        file.write_text(RELATIVE.sub(rf"\g<1>{base_path}", file.read_text("utf-8")), "utf-8")
