"""The opening box and the closing key points of a lesson page, from its front matter."""

from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from onions.book.page import Page
from onions.book.prose import study_minutes
from onions.extension.base.course import CoursePosition
from onions.extension.base.nodes import INSTRUCTOR_ONLY


def add_lesson_boxes(page: Page, position: CoursePosition | None) -> NotebookNode:
    """Return the page's notebook, with an opening box below the title, and key points at the end.

    A page that is not a lesson gets neither. Changes the page's notebook in place.
    """
    notebook, facts = page.notebook, page.lesson
    notebook.metadata.pop("lesson", None)
    if not facts:
        return notebook
    index, line = _find_title(page)
    cell, start = notebook.cells[index], notebook.metadata["source_map"][index]
    lines = cell.source.splitlines()
    before, after = "\n".join(lines[: line + 1]), "\n".join(lines[line + 1 :])
    opening = new_markdown_cell(_opening(page, position))
    parts = [(new_markdown_cell(before), start), (opening, start)]
    if after.strip():
        parts.append((new_markdown_cell(after), start + line + 1))
    cells = list(zip(notebook.cells, notebook.metadata["source_map"], strict=True))
    cells[index : index + 1] = parts
    cells.append((new_markdown_cell(_closing(facts)), cells[-1][1]))
    notebook.cells = [cell for cell, _ in cells]
    notebook.metadata["source_map"] = [line for _, line in cells]
    return notebook


def _find_title(page: Page) -> tuple[int, int]:
    """Return the index of the title's cell, and of the title's line in that cell."""
    for index, cell in enumerate(page.notebook.cells):
        for line, text in enumerate(cell.source.splitlines()):
            if cell.cell_type == "markdown" and text == f"# {page.title}":
                return index, line
    raise AssertionError("pages without a title are rejected earlier")


def _opening(page: Page, position: CoursePosition | None) -> str:
    facts, in_class = page.lesson, ""
    if position:
        words = f"**In class:** minute {position.start} to {position.end} of {position.total}"
        in_class = f":::{{div}} {INSTRUCTOR_ONLY}\n{words}\n:::\n\n"
    parts = {"Questions": facts["questions"], "After this page you can": facts["objectives"]}
    lists = (
        f":::{{div}} half\n**{title}**\n\n{_bullets(part)}\n:::\n" for title, part in parts.items()
    )
    return (
        "::::{admonition} Overview\n:class: overview\n"
        f"**Time:** {_minutes(page)}\n\n{in_class}{''.join(lists)}::::\n"
    )


def _minutes(page: Page) -> str:
    teaching, exercises = page.lesson["teaching"], page.lesson["exercises"]
    optional = "Optional. " if page.lesson.get("optional") else ""
    in_class = f"{teaching} min of teaching and {exercises} min of exercises"
    return f"{optional}About {study_minutes(page)} min on your own; in class {in_class}"


def _closing(facts: dict[str, Any]) -> str:
    return f"## Key points\n\n{_bullets(facts['keypoints'])}"


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
