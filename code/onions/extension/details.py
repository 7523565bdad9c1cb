"""What folds: solutions, hints, hidden cells and the answers to quizzes as native ``<details>``,
which need no JavaScript; and exercises without the id that they share.
"""

from html import escape
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx_exercise.nodes import solution_node

from onions.extension.offline import is_offline
from onions.extension.quiz_nodes import TITLE, reasons


def setup(app: Sphinx) -> None:
    """Replace how these nodes are written, and mend their content's ids."""
    app.connect("doctree-resolved", _drop_repeated_ids)
    app.connect("html-page-context", _add_button)
    app.add_node(solution_node, override=True, html=(_open_solution, _close))
    app.add_node(nodes.hint, override=True, html=(_open_hint, _close))
    app.add_node(HideCodeCellNode, override=True, html=(_open_cell, _close))
    app.add_node(reasons, override=True, html=(_open_reasons, _close))


def folds(node: nodes.Node) -> bool:
    """Tell whether a part of a page is out of sight until it is opened."""
    return isinstance(node, solution_node | nodes.hint | HideCodeCellNode | reasons)


def _drop_repeated_ids(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Remove the id that sphinx-exercise gives to the content of every exercise alike."""
    for section in doctree.findall(nodes.section):
        if section["ids"] in (["exercise-content"], ["solution-content"]):
            section["ids"] = []


def _add_button(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put a button that opens everything that folds below the page's title."""
    if "<details" in context.get("body", "") and not is_offline(app):
        button = '<button type="button" class="open-all">Open all that is folded</button>'
        tools = f'</h1>\n<p class="needs-js">{button}</p>'
        context["body"] = context["body"].replace("</h1>", tools, 1)


def _open_solution(translator: Any, node: nodes.Element) -> None:
    if is_offline(translator.builder.app):
        translator.body.append(translator.starttag(node, "div", CLASS="admonition solution"))
        return
    title = node.next_node(nodes.title)
    summary = title.astext() if title else "Solution"
    if title:
        title.parent.remove(title)  # its link would be a control inside a control
    _open(translator, node, "admonition solution", summary)


def _open_hint(translator: Any, node: nodes.Element) -> None:
    _open(translator, node, "admonition hint", "Hint")


def _open_cell(translator: Any, node: nodes.Element) -> None:
    _open(translator, node, "admonition hidden-cell", node["prompt_show"])


def _open_reasons(translator: Any, node: nodes.Element) -> None:
    _open(translator, node, "admonition reasons", TITLE)


def _open(translator: Any, node: nodes.Element, classes: str, summary: str) -> None:
    part, title = _elements(translator)
    translator.body.append(translator.starttag(node, part, CLASS=classes))
    translator.body.append(f'<{title} class="admonition-title">{escape(summary)}</{title}>\n')


def _close(translator: Any, node: nodes.Element) -> None:
    translator.body.append(f"</{_elements(translator)[0]}>\n")


def _elements(translator: Any) -> tuple[str, str]:
    """Return the names of a folding part and its title; in an EPUB nothing folds."""
    return ("div", "p") if is_offline(translator.builder.app) else ("details", "summary")
