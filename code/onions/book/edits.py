"""Automatic repairs of a page, as edits of its text."""

import re
from typing import NamedTuple

from onions.book.page import CodeCell, Page
from onions.book.prose import TermOccurrence


class Edit(NamedTuple):
    """A repair: `text` replaces the page's text from offset `start` up to offset `end`."""

    start: int
    end: int
    text: str


def apply_edit(page: Page, edit: Edit) -> Page:
    """Return the repaired page, without writing its file."""
    text = page.text[: edit.start] + edit.text + page.text[edit.end :]
    return Page(page.name, page.path, text)


def add_tag(page: Page, cell: CodeCell, tag: str) -> Edit | None:
    """Return the edit that adds a tag to a cell; None unless the cell has its tags on one line."""
    source = _offset(page, cell.line)
    fence = page.text.rindex("{code-cell}", 0, source)
    tags = re.search(r"^:?tags: *\[[^\]\n]*\w(?=\])", page.text[fence:source], re.M)
    return Edit(fence + tags.end(), fence + tags.end(), f", {tag}") if tags else None


def replace_term(page: Page, occurrence: TermOccurrence, text: str) -> Edit | None:
    """Return the edit that replaces a term; None if the file's text differs there."""
    start = _offset(page, occurrence.line) + occurrence.column
    end = start + len(occurrence.source)
    return Edit(start, end, text) if page.text[start:end] == occurrence.source else None


def _offset(page: Page, line: int) -> int:
    """Return the offset of a line's first character; lines count from 1."""
    return sum(len(text) + 1 for text in page.text.split("\n")[: line - 1])
