"""Folded parts: solutions, hints, hidden cells and quiz answers, as ``<details>`` elements.

These elements work without JavaScript. This module also removes the ids that exercises share.
"""

from html import escape
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx_exercise.nodes import solution_node

from onions.extension.base.builder import connect_site
from onions.extension.teaching.quiz_nodes import ANSWERS_TITLE, reasons


def setup(app: Sphinx) -> None:
    """Replace the HTML of these nodes, and register the handlers."""
    app.connect("doctree-resolved", _drop_repeated_ids)
    connect_site(app, "html-page-context", _add_button)
    app.add_node(solution_node, override=True, html=(_open_solution, _close))
    app.add_node(nodes.hint, override=True, html=(_open_hint, _close))
    app.add_node(HideCodeCellNode, override=True, html=(_open_cell, _close))
    app.add_node(reasons, override=True, html=(_open_reasons, _close))


def folds(node: nodes.Node) -> bool:
    """Return whether a part of a page is folded until a reader opens it."""
    return isinstance(node, solution_node | nodes.hint | HideCodeCellNode | reasons)


def _drop_repeated_ids(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Remove the ids that sphinx-exercise repeats for every exercise and solution."""
    for section in doctree.findall(nodes.section):
        if section["ids"] in (["exercise-content"], ["solution-content"]):
            section["ids"] = []


def _add_button(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add, below the page's title, a button that opens all folded parts."""
    if "<details" in context.get("body", ""):
        button = '<button type="button" class="open-all">Open all that is folded</button>'
        title_end = f'</h1>\n<p class="needs-js">{button}</p>'
        context["body"] = context["body"].replace("</h1>", title_end, 1)


def _open_solution(translator: Any, node: nodes.Element) -> None:
    title = node.next_node(nodes.title)
    summary = title.astext() if title else "Solution"
    if title:
        # The title contains a link, which must not be inside a summary, itself a control.
        title.parent.remove(title)
    _open(translator, node, "solution", summary)


def _open_hint(translator: Any, node: nodes.Element) -> None:
    _open(translator, node, "hint", "Hint")


def _open_cell(translator: Any, node: nodes.Element) -> None:
    _open(translator, node, "hidden-cell", node["prompt_show"])


def _open_reasons(translator: Any, node: nodes.Element) -> None:
    _open(translator, node, "reasons", ANSWERS_TITLE)


def _open(translator: Any, node: nodes.Element, css_class: str, summary: str) -> None:
    translator.body.append(translator.starttag(node, "details", CLASS=f"admonition {css_class}"))
    translator.body.append(f'<summary class="admonition-title">{escape(summary)}</summary>\n')


def _close(translator: Any, node: nodes.Element) -> None:
    translator.body.append("</details>\n")
