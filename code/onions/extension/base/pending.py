"""Pending pages: stale pages that `onions live` shows with the outputs of their last run.

A published site has none: there, a stale page stops the build (`RenderSession.entry`).
"""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from onions.book.page import Page, mask_code
from onions.claims import KEY, Value
from onions.store.build import Build
from onions.store.entries import measures
from onions.store.fingerprint import KINDS

TAG = "awaits-run"  # marks a cell that the last run did not contain
GLUED = re.compile(r"\{glue:text\}`(\w+)[^`]*`")
UNKNOWN_NUMBER = "…"  # replaces a number that no run has measured


class PlaceholderMeasures(dict[str, Value]):
    """The measures of a pending page's last run; every other name has the value 1.

    A quiz key can therefore use a measure that no run has recorded yet.
    """

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Value:
        return 1


def placeholder_entry(page: Page, last: NotebookNode | None, build: Build) -> NotebookNode:
    """Return a placeholder for the store entry of a pending page.

    A cell gets the outputs of the same cell in the `last` run, or of the cell that it replaced. A
    new cell gets none. If `last` is None, all cells are new.
    """
    sources = [cell.source for cell in page.cells]
    cells = [new_code_cell(source) for source in sources]
    entry = new_notebook(cells=cells, metadata={KEY: _empty_facts(page, build)})
    if last is None:
        return entry
    entry.metadata[KEY] = last.metadata[KEY]
    last_sources = [cell.source for cell in last.cells]
    matcher = SequenceMatcher(None, last_sources, sources, autojunk=False)
    for _, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        old_cells, new_cells = last.cells[old_start:old_end], cells[new_start:new_end]
        for old, new in zip(old_cells, new_cells, strict=False):
            new.outputs, new.execution_count = old.outputs, old.execution_count
    return entry


def mark_pending(notebook: NotebookNode, entry: NotebookNode, last: NotebookNode | None) -> None:
    """Tag the cells that the last run did not contain, and replace numbers it did not measure."""
    last_sources = {cell.source for cell in last.cells} if last else set()
    names = {measure["name"] for _, measure in measures(entry)}

    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source not in last_sources:
            cell.metadata["tags"] = [*cell.metadata.get("tags", ()), TAG]
        elif cell.cell_type == "markdown":
            for match in reversed([*GLUED.finditer(mask_code(cell.source))]):
                if match[1] not in names:
                    before, after = cell.source[: match.start()], cell.source[match.end() :]
                    cell.source = before + UNKNOWN_NUMBER + after


def _empty_facts(page: Page, build: Build) -> dict[str, Any]:
    """Return the facts of a page that never ran."""
    return {
        "page": page.name,
        "executed": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "device": "nothing yet",
        "python": build.python,
        "build": asdict(build),
        "components": {kind: {} for kind in KINDS},
    }
