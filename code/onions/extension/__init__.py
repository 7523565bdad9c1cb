"""The Sphinx extension with which Jupyter Book renders the pages from the store.

``base`` contains shared code. ``reading`` adds the store's outputs to the cells. ``results`` shows
measures, claims and reference runs. ``teaching`` contains quizzes, explorers and other aids for
learners, ``layout`` everything around the text, ``downloads`` the files that readers can download.
``explorers`` contains the explorers' JavaScript modules.
"""

from typing import Any

from sphinx.application import Sphinx

from onions.extension.base import session
from onions.extension.downloads import epub, links
from onions.extension.layout import (
    assets,
    banner,
    footer,
    html,
    images,
    meta,
    not_found,
    search,
    urls,
)
from onions.extension.reading import (
    citations,
    cross_references,
    dependencies,
    figure_numbers,
    outdated,
)
from onions.extension.results import depends_on, findings, reference, tables
from onions.extension.teaching import (
    collected,
    explorers,
    folding,
    instructor,
    quiz_nodes,
    quizzes,
    schedule,
    tips,
)

READING = (urls, session, dependencies, outdated, citations, cross_references, figure_numbers)
DIRECTIVES = (
    tables,
    schedule,
    findings,
    reference,
    collected,
    depends_on,
    explorers,
    instructor,
    quiz_nodes,
    quizzes,
)
# `search` precedes `tips`, to keep the texts of tips out of the search.
WRITING = (
    search,
    tips,
    folding,
    links,
    epub,
    images,
    footer,
    meta,
    not_found,
    assets,
    banner,
    html,
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Set up every module, and return the extension's metadata for Sphinx."""
    for part in (*READING, *DIRECTIVES, *WRITING):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
