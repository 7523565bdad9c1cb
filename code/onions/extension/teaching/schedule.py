"""The course as a whole: its minutes, its schedule, and each page's position in it."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.base.text import format_count
from onions.book.page import Page
from onions.book.prose import WORDS_PER_MINUTE, study_minutes
from onions.extension.base.builder import connect_site
from onions.extension.base.course import CoursePosition, lesson_pages
from onions.extension.base.nodes import page_link, table
from onions.extension.base.session import note_lesson_dependency, session

# The outline of an onion, as in book/_static/onion.svg. Inner layers shrink towards 0, 0.
LAYER = "M0-410C20-300 240-230 240-30S130 190 0 190-240 110-240-30-20-300 0-410Z"


class CourseTime(SphinxDirective):
    """``{course-time}``: the length of the course in class and alone, and its pages."""

    def run(self) -> list[nodes.Node]:
        """Return the sentences."""
        note_lesson_dependency(self.env)
        core, optional = lesson_pages(session().project)
        in_class = sum(_class_minutes(core))
        hours = f"{max(1, round(sum(map(study_minutes, core)) / 30)) / 2:g}"
        time = nodes.strong(text=f"{in_class} minutes in class")
        text = f" or about {hours} {'hour' if hours == '1' else 'hours'} on your own."
        text += f" {format_count(len(core), 'page')}, exercises included"
        text += f"; {format_count(len(optional), 'more page')} if you like." if optional else "."
        return [nodes.paragraph("", "", time, nodes.Text(text))]


class Schedule(SphinxDirective):
    """``{schedule}``: required pages with objective, minutes and totals; then optional pages."""

    def run(self) -> list[nodes.Node]:
        """Return the tables."""
        note_lesson_dependency(self.env)
        core, optional = lesson_pages(session().project)
        headings = ["Page", "Afterwards you can", "In class (min)", "On your own (min)"]
        total: list[Any] = ["Together", "", *_minutes(core)]
        parts = [table(headings, [*map(self._row, core), total])]
        if optional:
            parts += [nodes.paragraph(text="And, if you like:")]
            parts += [table(headings, [*map(self._row, optional)])]
        explanation = (
            f"In class: teaching + exercises. On your own: reading at {WORDS_PER_MINUTE} words a "
            "minute, code, questions, explorers and all exercises."
        )
        return [*parts, nodes.paragraph(text=explanation)]

    def _row(self, page: Page) -> list[Any]:
        objective, _ = self.state.inline_text(page.lesson["objectives"][0], self.lineno)
        return [page_link(self.env, page), nodes.inline("", "", *objective), *_minutes([page])]


def _class_minutes(pages: list[Page]) -> tuple[int, int]:
    """Return the minutes of teaching and of exercises in class."""
    teaching, exercises = (sum(p.lesson[part] for p in pages) for part in ("teaching", "exercises"))
    return teaching, exercises


def _minutes(pages: list[Page]) -> list[str]:
    """Return the minutes of some pages in class, and on one's own, as a table shows them."""
    teaching, exercises = _class_minutes(pages)
    return [f"{teaching} + {exercises}", str(sum(map(study_minutes, pages)))]


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
