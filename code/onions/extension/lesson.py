"""What the front matter's ``lesson`` becomes: the page's place in the course, the opening box, the
key points, the schedule.
"""

from itertools import accumulate
from typing import Any, NamedTuple

from docutils import nodes
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.extension.instructor import ONLY
from onions.extension.offline import is_offline
from onions.pages import Page, Project

# The outline of an onion (as in book/_static/onion.svg), its heart at 0, 0.
LAYER = "M0-410C20-300 240-230 240-30S130 190 0 190-240 110-240-30-20-300 0-410Z"


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


class CourseTime(SphinxDirective):
    """``{course-time}``: how long the course takes, and on how many pages."""

    def run(self) -> list[nodes.Node]:
        """Return the sentences."""
        from onions.extension.reader import depends_on_lessons, site

        depends_on_lessons(self.env)
        stages = site().course
        whole = next((stage.whole for stage in stages.values()), 0)
        lessons = sum(bool(page.lesson) for page in site().project.pages())
        time = nodes.strong(text=f"{whole} minutes")
        words = f" on {len(stages)} pages, exercises included."
        if more := lessons - len(stages):
            words += f" If you like it, {more} more page{'s' if more > 1 else ''}."
        return [nodes.paragraph("", "", time, nodes.Text(words))]


class Schedule(SphinxDirective):
    """``{schedule}``: the lesson pages with what one learns there, their minutes and the sum; then
    the optional pages.
    """

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from onions.extension.reader import depends_on_lessons, site
        from onions.extension.results import page_link, table

        depends_on_lessons(self.env)
        core: list[list[Any]] = []
        optional: list[list[Any]] = []
        total = {"teaching": 0, "exercises": 0}
        for page in site().project.pages():
            if facts := page.lesson:
                first, _ = self.state.inline_text(facts["objectives"][0], self.lineno)
                row: list[Any] = [page_link(self.env, page), nodes.inline("", "", *first)]
                row += [str(facts[part]) for part in total]
                if facts.get("optional"):
                    optional.append(row)
                    continue
                core.append(row)
                for part in total:
                    total[part] += facts[part]
        core.append(["Together", "", *map(str, total.values())])
        heads = ["Page", "Afterwards you can", "Reading (min)", "Exercises (min)"]
        parts = [table(heads, core)]
        if optional:
            parts += [nodes.paragraph(text="And, if you like:"), table(heads, optional)]
        return parts


def _place(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Say above a page's title where in the course it stands, in words and as an onion's layers."""
    from onions.extension.reader import site

    stage = site().course.get(pagename)
    if stage and not is_offline(app):
        place = f'<p class="stage">{_onion(stage)} Page {stage.number} of {stage.of}</p>'
        context["body"] = context["body"].replace("<h1>", f"{place}\n<h1>", 1)


def _onion(stage: Stage) -> str:
    """Return an onion with a layer for each page, as SVG; those up to this page are filled."""
    layers = ""
    for layer in range(stage.of):
        kind = "peeled" if layer < stage.number else "whole"
        size = 1 - layer / stage.of
        place = f"translate(300 500) scale({size:.2f})"
        layers += f'<path class="{kind}" d="{LAYER}" transform="{place}"/>'
    return f'<svg viewBox="50 80 500 620" width="34" height="42" aria-hidden="true">{layers}</svg>'


def setup(app: Sphinx) -> None:
    """Register the directives, and what stands above a title."""
    app.add_directive("course-time", CourseTime)
    app.add_directive("schedule", Schedule)
    app.connect("html-page-context", _place)
