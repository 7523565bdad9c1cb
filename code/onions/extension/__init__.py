"""The Sphinx extension: what Jupyter Book needs to render our pages from the store.

``base`` holds what the other rooms share. ``reading`` lays the store's outputs onto the cells.
``results`` shows what the runs measured and claimed. ``teaching`` has quizzes, explorers and other
aids for learners, ``layout`` everything around the text, ``downloads`` the files that a reader
can download. ``explorers`` holds the explorers' modules, in JavaScript.
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
from onions.extension.reading import outdated
from onions.extension.results import depends_on, reference, tables
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

READING = (urls, session, outdated)
DIRECTIVES = (
    tables,
    schedule,
    reference,
    collected,
    depends_on,
    explorers,
    instructor,
    quiz_nodes,
    quizzes,
)
# The search comes before the tips, so that it collects no texts of theirs.
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
    """Register every part with Sphinx."""
    for part in (*READING, *DIRECTIVES, *WRITING):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
