"""Docutils nodes that several rooms use: links to pages, tables."""

import re
from itertools import zip_longest
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.environment import BuildEnvironment

from onions.book.page import Page

MAX_WIDTH = 30  # characters of a table's widest column; longer texts wrap
PADDING = 4  # characters
NUMBER = re.compile(r"[−-]?\d[\d,]*(\.\d+)?(, .*)?|")  # perhaps with a remark, or an empty cell
INSTRUCTOR_ONLY = "instructor-only"  # CSS class of parts that only the instructor view shows


def page_link(env: BuildEnvironment, page: Page) -> nodes.Node:
    """Return a link to a page; Sphinx resolves it and inserts the title."""
    return addnodes.pending_xref(
        "",
        nodes.inline(text=page.title),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{page.name}",
        refexplicit=False,
        refwarn=True,
        refdoc=env.docname,
    )


def table(headings: list[str], rows: list[list[Any]]) -> nodes.Node:
    """Return a table of strings and inline nodes; the first cell of each row is its heading.

    Each column has a width, in proportion to its longest text, so that a row which arrives late
    moves no other row. The style sheet aligns the cells of columns with numbers only, class
    `number`, at the right.
    """
    columns = [
        nodes.colspec(colwidth=_width(heading, column), stub=number == 0)
        for number, (heading, *column) in enumerate(zip(headings, *rows, strict=True))
    ]
    group = nodes.tgroup("", *columns, cols=len(headings))
    numbers = [all(map(_is_number, column)) for column in zip(*rows, strict=True)]
    group += nodes.thead("", _row(headings, numbers))
    group += nodes.tbody("", *(_row(row, numbers) for row in rows))
    return nodes.table("", group, classes=["run-table", "colwidths-given"])


def _width(heading: str, column: list[Any]) -> int:
    """Return the length of a column's longest text, up to MAX_WIDTH, with room for the padding.

    Headings wrap at each space.
    """
    texts = [cell if isinstance(cell, str) else cell.astext() for cell in column]
    return min(max(map(len, [*heading.split(), *texts])), MAX_WIDTH) + PADDING


def _is_number(cell: Any) -> bool:
    return isinstance(cell, str) and bool(NUMBER.fullmatch(cell))


def _row(cells: list[Any], numbers: list[bool]) -> nodes.Node:
    row = nodes.row()
    for cell, number in zip_longest(cells, numbers):
        content = nodes.Text(cell) if isinstance(cell, str) else cell
        classes = ["number"] if number else []
        row += nodes.entry("", nodes.paragraph("", "", content), classes=classes)
    return row
