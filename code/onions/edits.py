"""Repairs of a page that need no author: which characters of its text become which."""

import re
from typing import NamedTuple

from onions.pages import CodeCell, Page
from onions.prose import Use


class Edit(NamedTuple):
    """A repair: `text` in the place of the page's characters from `start` to `end`."""

    start: int
    end: int
    text: str


def edited(page: Page, edit: Edit) -> Page:
    """Return the page as it is with the repair; its file stays as it is."""
    text = page.text[: edit.start] + edit.text + page.text[edit.end :]
    return Page(page.name, page.path, text)


def tag_added(page: Page, cell: CodeCell, tag: str) -> Edit | None:
    """Return what gives a cell one more tag; None unless it has tags, in one line."""
    source = _offset(page, cell.line)
    fence = page.text.rindex("{code-cell}", 0, source)
    tags = re.search(r"^:?tags: *\[[^\]\n]*\w(?=\])", page.text[fence:source], re.M)
    return Edit(fence + tags.end(), fence + tags.end(), f", {tag}") if tags else None


def use_replaced(page: Page, use: Use, text: str) -> Edit | None:
    """Return what writes a term otherwise; None where its place can't be told."""
    start = _offset(page, use.line) + use.column
    end = start + len(use.source)
    return Edit(start, end, text) if page.text[start:end] == use.source else None


def minutes_replaced(page: Page, minutes: int) -> Edit | None:
    """Return what sets the front matter's ``teaching``."""
    found = re.search(r"(?<=\bteaching:) *\d+", page.text)
    return Edit(*found.span(), f" {minutes}") if found else None


def line_of(page: Page, offset: int) -> int:
    """Return the line of a character of the page's text, from 1."""
    return page.text.count("\n", 0, offset) + 1


def _offset(page: Page, line: int) -> int:
    """Return where a line begins, counted in characters."""
    return sum(map(len, page.text.splitlines(keepends=True)[: line - 1]))
