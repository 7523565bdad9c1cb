"""Docutils nodes that several rooms use: links to pages, tables."""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.environment import BuildEnvironment

from onions.book.page import Page

MAX_WIDTH = 30  # characters of a table's widest column; longer texts wrap
PADDING = 10  # characters
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
    moves no other row.
    """
    columns = [
        nodes.colspec(colwidth=_width(column), stub=number == 0)
        for number, column in enumerate(zip(headings, *rows, strict=True))
    ]
    group = nodes.tgroup("", *columns, cols=len(headings))
    group += nodes.thead("", _row(headings))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=["run-table", "colwidths-given"])


def _width(column: tuple[Any, ...]) -> int:
    """Return the length of a column's longest text, up to MAX_WIDTH, with room for the padding."""
    lengths = (len(cell if isinstance(cell, str) else cell.astext()) for cell in column)
    return min(max(lengths), MAX_WIDTH) + PADDING


def _row(cells: list[Any]) -> nodes.Node:
    row = nodes.row()
    for cell in cells:
        content = nodes.Text(cell) if isinstance(cell, str) else cell
        row += nodes.entry("", nodes.paragraph("", "", content))
    return row
