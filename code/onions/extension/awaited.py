"""Pages that await their run, as `onions live` shows them: with the outputs of their last run.

A site that is published never has one: there, a page that was not executed as it stands stops the
build (`onions.extension.reader`).
"""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from onions.claims import KEY, Value
from onions.fingerprint import Build
from onions.pages import Page
from onions.store import measures

TAG = "awaits-run"  # of a cell that the last run did not have
GLUED = re.compile(r"\{glue:text\}`(\w+)[^`]*`")
YET_TO_COME = "…"  # stands for a number that no run has measured


class Awaited(dict[str, Value]):
    """The measures of a page that awaits its run: those of its last one, and any other is 1, so
    that what is computed from it can be computed.
    """

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Value:
        return 1


def stand_in(page: Page, last: NotebookNode | None, build: Build) -> NotebookNode:
    """Return what stands for a page's entry in the store until it has run.

    A cell has the outputs of the same cell in the `last` run, or of the changed one in its place;
    a new cell has none.
    """
    sources = [cell.source for cell in page.cells]
    cells = [new_code_cell(source) for source in sources]
    entry = new_notebook(cells=cells, metadata={KEY: _nothing(page, build)})
    if last is None:
        return entry
    entry.metadata[KEY] = last.metadata[KEY]
    matcher = SequenceMatcher(None, [cell.source for cell in last.cells], sources, autojunk=False)
    for _, first, end, place, there in matcher.get_opcodes():
        for old, new in zip(last.cells[first:end], cells[place:there], strict=False):
            new.outputs, new.execution_count = old.outputs, old.execution_count
    return entry


def mark(notebook: NotebookNode, entry: NotebookNode, last: NotebookNode | None) -> None:
    """Tag the cells that the last run did not have, and replace numbers that none has measured."""
    known = {cell.source for cell in last.cells} if last else set()
    measured = {measure["name"] for _, measure in measures(entry)}

    def shown(match: re.Match[str]) -> str:
        return match[0] if match[1] in measured else YET_TO_COME

    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source not in known:
            cell.metadata["tags"] = [*cell.metadata.get("tags", ()), TAG]
        elif cell.cell_type == "markdown":
            cell.source = GLUED.sub(shown, cell.source)


def _nothing(page: Page, build: Build) -> dict[str, Any]:
    """Return the facts of a run that has not been."""
    return {
        "page": page.name,
        "executed": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "device": "nothing yet",
        "python": build.python,
        "backend": build.backend,
        "build": asdict(build),
        "components": {},
    }
