"""Numbers of figures: on each page they run from 1. A link to another page names that page."""

import re
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

BOOK_NUMBERS = TocTreeCollector.assign_figure_numbers
FIGURE = re.compile(r"Fig\. \d+")


def setup(app: Sphinx) -> None:
    """Replace Sphinx' numbers, which run through the whole book."""
    TocTreeCollector.assign_figure_numbers = _page_numbers  # type: ignore[assignment]
    app.connect("doctree-resolved", _name_pages)


def _page_numbers(collector: TocTreeCollector, env: BuildEnvironment) -> list[str]:
    """Number the figures of each page, and return the pages whose numbers have changed."""
    old = env.toc_fignumbers
    BOOK_NUMBERS(collector, env)
    for numbers in env.toc_fignumbers.values():
        if figures := numbers.get("figure"):
            numbers["figure"] = {name: (number,) for number, name in enumerate(figures, 1)}
    return [page for page, numbers in env.toc_fignumbers.items() if numbers != old.get(page)]


def _name_pages(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Add the page's title to each number of a figure on another page."""
    for link in doctree.findall(nodes.reference):
        path = unquote(urlsplit(link.get("refuri", "")).path)
        if path and link.get("internal") and FIGURE.fullmatch(link.astext()):
            page = re.sub(r"\.x?html$", "", normpath(join(dirname(docname), path)))
            if page in app.env.titles and page != docname:
                title = app.env.titles[page].astext()
                link.children[-1].append(nodes.Text(f" of “{title}”"))  # type: ignore[attr-defined]
