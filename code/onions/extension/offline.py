"""What an EPUB's pages have instead: solutions at the chapter's end, and nothing that folds, asks
or loads.

A reader of EPUB files need not know ``<details>``, and in the PDF, which is made of these pages,
nothing opens. Solutions in place would be read with their exercises, so they stand at the end.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import is_exercise_node, solution_node

STYLES = ("pygments.css", "bundle.css")


def is_offline(app: Sphinx) -> bool:
    """Tell whether an EPUB is built, and not the site."""
    return app.builder.name == "epub"


def setup(app: Sphinx) -> None:
    """Connect what makes such pages."""
    app.connect("doctree-resolved", _collect_solutions)
    app.connect("html-page-context", _mend)


def _collect_solutions(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Move the solutions into a section that ends the page, and link the exercises to them."""
    solutions = list(doctree.findall(solution_node))
    if not solutions or not is_offline(app):
        return
    exercises = {node["label"]: node for node in doctree.findall(is_exercise_node)}
    last = nodes.section("", nodes.title(text="Solutions"), ids=["solutions"])
    last["classes"] = ["solutions"]
    for solution in solutions:
        link = nodes.reference("", "Solution", refid=solution["ids"][0], internal=True)
        exercises[solution["target_label"]] += nodes.paragraph("", "", link)
        solution.parent.remove(solution)
        last += solution
    next(doctree.findall(nodes.section)).append(last)


def _mend(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Name the language, and keep no style sheets but ours: the others are for a site."""
    if not is_offline(app):
        return
    language = f'lang="{app.config.language}"'
    context["html_tag"] = context["html_tag"].replace(">", f" {language} xml:{language}>")
    context["css_files"] = [c for c in context["css_files"] if str(c.filename).endswith(STYLES)]
