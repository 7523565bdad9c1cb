"""The reader that MyST-NB calls for each page: it adds the store's outputs to the cells."""

import re
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches

from nbformat import NotebookNode
from sphinx.util import logging

from onions.book.page import Page, blank
from onions.extension.base.pending import GLUED, mark_pending
from onions.extension.base.session import session
from onions.extension.reading.lesson import add_lesson_boxes
from onions.store.entries import measure_values

LOGGER = logging.getLogger(__name__)
COMMENT = re.compile(r"^%.*$", re.M)


def read(text: str) -> NotebookNode:
    """Return the page's notebook; MyST-NB calls this through ``nb_custom_formats``."""
    page = Page(session().docname, session().project.book / f"{session().docname}.md", text)
    if page.cells and page.name not in session().pending:
        _check_names(page)
    return rendered_notebook(page)


def rendered_notebook(page: Page) -> NotebookNode:
    """Return the page's notebook with the store's outputs and, on a lesson page, its boxes.

    Raises the same errors as `RenderSession.entry`.
    """
    page = replace(page)  # a copy, because its notebook is changed below
    if page.cells:
        page.notebook.metadata["language_info"] = {"name": "python"}  # for syntax highlighting
        executed_cells = iter(deepcopy(session().entry(page).cells))
        for cell in page.notebook.cells:
            if cell.cell_type == "code":
                executed = next(executed_cells)
                cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
    if page.name in session().pending:
        mark_pending(page.notebook, session().entry(page), session().last_run(page))
    return add_lesson_boxes(page, session().course.get(page.name))


def _check_names(page: Page) -> None:
    """Warn about each glued name that the page's run did not measure; suggest a similar name."""
    names = measure_values(session().entry(page))
    text = COMMENT.sub(lambda comment: blank(comment[0]), page.markup)
    for match in GLUED.finditer(text):
        if match[1] not in names:
            near = get_close_matches(match[1], names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            location = page.name, page.line_at(match.start())
            LOGGER.warning(
                "no cell measures %s%s", match[1], hint, location=location, type="onions"
            )
