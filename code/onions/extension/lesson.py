"""What the front matter's ``lesson`` becomes: the opening box, the key points, the schedule."""

from typing import Any

from docutils import nodes
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.pages import Page


def frame(page: Page) -> NotebookNode:
    """Return the page's notebook with its opening box below the title and its key points last."""
    notebook, facts = page.notebook, page.lesson
    notebook.metadata.pop("lesson", None)
    if not facts:
        return notebook
    index, line = _title(page)
    cell, start = notebook.cells[index], notebook.metadata["source_map"][index]
    lines = cell.source.splitlines()
    before, after = "\n".join(lines[: line + 1]), "\n".join(lines[line + 1 :])
    opening = new_markdown_cell(_opening(facts))
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


def _opening(facts: dict[str, Any]) -> str:
    return (
        "::::{admonition} Overview\n:class: overview\n"
        f"**Time:** {minutes(facts)}\n\n"
        f"**Questions**\n\n{_bullets(facts['questions'])}\n\n"
        f"**After this page you can**\n\n{_bullets(facts['objectives'])}\n::::\n"
    )


def _closing(facts: dict[str, Any]) -> str:
    return f"## Key points\n\n{_bullets(facts['keypoints'])}"


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


class Schedule(SphinxDirective):
    """``{schedule}``: the lesson pages with their minutes and the sum; then the optional pages."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from onions.extension.reader import depends_on_store, site
        from onions.extension.results import page_link, table

        depends_on_store(self.env)
        core: list[list[Any]] = []
        optional: list[list[Any]] = []
        total = {"teaching": 0, "exercises": 0}
        for page in site().project.pages():
            if facts := page.lesson:
                row = [page_link(self, page), *(str(facts[part]) for part in total)]
                if facts.get("optional"):
                    optional.append(row)
                    continue
                core.append(row)
                for part in total:
                    total[part] += facts[part]
        core.append(["Together", *map(str, total.values())])
        heads = ["Page", "Reading (minutes)", "Exercises (minutes)"]
        parts = [table(heads, core)]
        if optional:
            parts += [nodes.paragraph(text="And, if you like:"), table(heads, optional)]
        return parts


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("schedule", Schedule)
