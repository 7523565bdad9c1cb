"""The course as a whole: its minutes, its schedule, and a page's place in it, above the title."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.extension.lesson import Stage
from onions.extension.offline import is_offline
from onions.extension.reader import depends_on_lessons, site
from onions.extension.results import page_link, table

# The outline of an onion (as in book/_static/onion.svg), its heart at 0, 0.
LAYER = "M0-410C20-300 240-230 240-30S130 190 0 190-240 110-240-30-20-300 0-410Z"


class CourseTime(SphinxDirective):
    """``{course-time}``: how long the course takes, and on how many pages."""

    def run(self) -> list[nodes.Node]:
        """Return the sentences."""
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
