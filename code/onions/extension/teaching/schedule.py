"""The course as a whole: its minutes, its schedule, and each page's position in it."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.base.text import format_count
from onions.extension.base.builder import connect_site
from onions.extension.base.course import CoursePosition
from onions.extension.base.nodes import page_link, table
from onions.extension.base.session import note_lesson_dependency, session

# The outline of an onion, as in book/_static/onion.svg. Inner layers shrink towards 0, 0.
LAYER = "M0-410C20-300 240-230 240-30S130 190 0 190-240 110-240-30-20-300 0-410Z"


class CourseTime(SphinxDirective):
    """``{course-time}``: the length of the course in minutes and in pages."""

    def run(self) -> list[nodes.Node]:
        """Return the sentences."""
        note_lesson_dependency(self.env)
        positions = session().course
        total = next((position.total for position in positions.values()), 0)
        lesson_count = sum(bool(page.lesson) for page in session().project.pages())
        time = nodes.strong(text=f"{total} minutes")
        text = f" on {len(positions)} pages, exercises included."
        if optional := lesson_count - len(positions):
            text += f" If you like it, {format_count(optional, 'more page')}."
        return [nodes.paragraph("", "", time, nodes.Text(text))]


class Schedule(SphinxDirective):
    """``{schedule}``: required pages with objective, minutes and totals; then optional pages."""

    def run(self) -> list[nodes.Node]:
        """Return the tables."""
        note_lesson_dependency(self.env)
        core: list[list[Any]] = []
        optional: list[list[Any]] = []
        total = {"teaching": 0, "exercises": 0}
        for page in session().project.pages():
            if lesson := page.lesson:
                objective, _ = self.state.inline_text(lesson["objectives"][0], self.lineno)
                row: list[Any] = [page_link(self.env, page), nodes.inline("", "", *objective)]
                row += [str(lesson[part]) for part in total]
                if lesson.get("optional"):
                    optional.append(row)
                    continue
                core.append(row)
                for part in total:
                    total[part] += lesson[part]
        core.append(["Together", "", *map(str, total.values())])
        headings = ["Page", "Afterwards you can", "Reading (min)", "Exercises (min)"]
        parts = [table(headings, core)]
        if optional:
            parts += [nodes.paragraph(text="And, if you like:"), table(headings, optional)]
        return parts


def setup(app: Sphinx) -> None:
    """Register the directives, and show the position on every page."""
    app.add_directive("course-time", CourseTime)
    app.add_directive("schedule", Schedule)
    connect_site(app, "html-page-context", _show_position)


def _show_position(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Show a page's position in the course above its title, in words and as onion layers."""
    if position := session().course.get(pagename):
        words = f"Page {position.number} of {position.page_count}"
        line = f'<p class="stage">{_onion(position)} {words}</p>'
        context["body"] = context["body"].replace("<h1>", f"{line}\n<h1>", 1)


def _onion(position: CoursePosition) -> str:
    """Return an onion as SVG, with one layer per page; the layers up to this page are filled."""
    layers = ""
    for layer in range(position.page_count):
        css_class = "peeled" if layer < position.number else "whole"
        size = 1 - layer / position.page_count
        transform = f"translate(300 500) scale({size:.2f})"
        layers += f'<path class="{css_class}" d="{LAYER}" transform="{transform}"/>'
    return f'<svg viewBox="50 80 500 620" width="34" height="42" aria-hidden="true">{layers}</svg>'
