"""What the front matter's ``lesson`` becomes: the page's place in the course, the opening box, the
key points.
"""

from itertools import accumulate
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from onions.extension.instructor import ONLY
from onions.pages import Page, Project


class Stage(NamedTuple):
    """A page's place in the course: its number, of how many, and its minutes in class."""

    number: int
    of: int
    starts: int
    ends: int
    whole: int


def course(project: Project) -> dict[str, Stage]:
    """Return the stages of the course by page, without the optional pages."""
    # Most pages of a large book are no lesson, and reading them takes its time.
    pages = (page for page in project.pages() if "\nlesson:" in page.text)
    core = [page for page in pages if page.lesson and not page.lesson.get("optional")]
    minutes = [page.lesson["teaching"] + page.lesson["exercises"] for page in core]
    ends = list(accumulate(minutes))
    return {
        page.name: Stage(number, len(core), end - took, end, ends[-1])
        for number, (page, took, end) in enumerate(zip(core, minutes, ends, strict=True), 1)
    }


def frame(page: Page, stage: Stage | None) -> NotebookNode:
    """Return the page's notebook with its opening box below the title and its key points last."""
    notebook, facts = page.notebook, page.lesson
    notebook.metadata.pop("lesson", None)
    if not facts:
        return notebook
    index, line = _title(page)
    cell, start = notebook.cells[index], notebook.metadata["source_map"][index]
    lines = cell.source.splitlines()
    before, after = "\n".join(lines[: line + 1]), "\n".join(lines[line + 1 :])
    opening = new_markdown_cell(_opening(facts, stage))
    parts = [(new_markdown_cell(before), start), (opening, start)]
    if after.strip():
        parts.append((new_markdown_cell(after), start + line + 1))
    cells = list(zip(notebook.cells, notebook.metadata["source_map"], strict=True))
    cells[index : index + 1] = parts
    cells.append((new_markdown_cell(_closing(facts)), cells[-1][1]))
    notebook.cells = [cell for cell, _ in cells]
    notebook.metadata["source_map"] = [line for _, line in cells]
    return notebook


def _title(page: Page) -> tuple[int, int]:
    """Return where the title stands: the index of its cell, and of its line in that."""
    for index, cell in enumerate(page.notebook.cells):
        for line, text in enumerate(cell.source.splitlines()):
            if cell.cell_type == "markdown" and text == f"# {page.title}":
                return index, line
    raise AssertionError("a page without a title has been refused before")


def minutes(facts: dict[str, Any]) -> str:
    """Return the page's time in words."""
    optional = "Optional. " if facts.get("optional") else ""
    return f"{optional}{facts['teaching']} min reading, {facts['exercises']} min exercises"


def _opening(facts: dict[str, Any], stage: Stage | None) -> str:
    in_class = ""
    if stage:
        words = f"**In class:** minute {stage.starts} to {stage.ends} of {stage.whole}"
        in_class = f":::{{div}} {ONLY}\n{words}\n:::\n\n"
    parts = {"Questions": facts["questions"], "After this page you can": facts["objectives"]}
    lists = (
        f":::{{div}} half\n**{title}**\n\n{_bullets(part)}\n:::\n" for title, part in parts.items()
    )
    return (
        "::::{admonition} Overview\n:class: overview\n"
        f"**Time:** {minutes(facts)}\n\n{in_class}{''.join(lists)}::::\n"
    )


def _closing(facts: dict[str, Any]) -> str:
    return f"## Key points\n\n{_bullets(facts['keypoints'])}"


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
