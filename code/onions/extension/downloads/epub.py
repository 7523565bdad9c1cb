"""The pages of the EPUB: they are static, and solutions are at the end of the chapter.

E-readers may not support ``<details>``, and the PDF, which is made from these pages, can't open it.
A solution below its exercise would always be visible, so it moves to the end.

One handler replaces every node that the site shows differently. The functions that write HTML can
therefore ignore the builder.
"""

from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx_exercise.nodes import is_exercise_node, solution_node

from onions.extension.base.builder import connect_epub
from onions.extension.teaching.explorers import explorer
from onions.extension.teaching.instructor import for_instructors
from onions.extension.teaching.quiz_nodes import ANSWERS_TITLE, choice, quiz, reasons

STYLES = ("pygments.css", "bundle.css")


class element(nodes.General, nodes.Element):
    """An HTML element named `tag`, with the attributes in the dictionary `html`."""


def setup(app: Sphinx) -> None:
    """Register the node and the handlers."""
    app.add_node(element, html=(_open, _close))
    # After the quizzes' reasons have moved to the end of the page.
    connect_epub(app, "doctree-resolved", _replace_nodes, priority=900)
    connect_epub(app, "html-page-context", _adapt_head)


def _replace_nodes(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Replace the nodes that only a site can show, and move the solutions."""
    for node in list(doctree.findall(for_instructors)):
        node.parent.remove(node)
    _collect_solutions(doctree)
    # Reversed, to visit children before parents. The loop is over parents, because MyST-NB's nodes
    # do not know theirs.
    for parent in reversed(list(doctree.findall(nodes.Element))):
        for node in parent.children:
            if replacement := _replacement(node):
                replacement.update_basic_atts(node)
                parent.replace(node, replacement)


def _collect_solutions(doctree: nodes.document) -> None:
    """Move the solutions to a section at the end of the page, and link the exercises to them."""
    solutions = list(doctree.findall(solution_node))
    if not solutions:
        return
    exercises = {node["label"]: node for node in doctree.findall(is_exercise_node)}
    title = nodes.title(text="Solutions")
    section = nodes.section("", title, ids=["solutions"], classes=["solutions"])
    for solution in solutions:
        link = nodes.reference("", "Solution", refid=solution["ids"][0], internal=True)
        exercises[solution["target_label"]] += nodes.paragraph("", "", link)
        solution.parent.remove(solution)
        section += solution
    next(doctree.findall(nodes.section)).append(section)


def _replacement(node: nodes.Node) -> nodes.Element | None:
    match node:
        case solution_node():
            return nodes.admonition("", *node.children)
        case nodes.hint():
            return _box("Hint", "hint", node)
        case HideCodeCellNode():
            return _box(node["prompt_show"], "hidden-cell", node)
        case explorer():
            caption = nodes.paragraph(text=node["title"], classes=["explorer-title"])
            return element("", caption, *node.children, tag="div", classes=["explorer"])
        case quiz():
            return _quiz(node)
        case reasons():
            title = nodes.title(text=ANSWERS_TITLE)
            return nodes.section("", title, *node.children, classes=["answers"])
    return None


def _box(title: str, name: str, node: nodes.Element) -> nodes.Element:
    """Return an open box with the content of a part that the site folds."""
    heading = nodes.title(text=title)
    return nodes.admonition("", heading, *node.children, classes=[name])


def _quiz(node: quiz) -> nodes.Element:
    """Return a question's text, its lettered choices if any, and a link to its answer."""
    number = nodes.strong(text=f"Question {node['number']}", classes=["quiz-number"])
    text = nodes.paragraph("", "", number, nodes.Text(" "), *node[0].children)
    items = [nodes.list_item("", *part.children) for part in node.findall(choice)]
    choices = [element("", *items, tag="ol", html={"type": "a"})] if items else []
    link = nodes.reference("", "Answer", refid=f"why-{node['name']}", internal=True)
    answer = nodes.paragraph("", "", link, classes=["quiz-answer"])
    return element("", text, *choices, answer, tag="div", classes=["quiz"])


def _adapt_head(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the language, and keep only the style sheets for the EPUB."""
    language = f'lang="{app.config.language}"'
    context["html_tag"] = context["html_tag"].replace(">", f" {language} xml:{language}>")
    context["css_files"] = [
        sheet for sheet in context["css_files"] if str(sheet.filename).endswith(STYLES)
    ]


def _open(translator: Any, node: element) -> None:
    translator.body.append(translator.starttag(node, node["tag"], **node.get("html", {})))


def _close(translator: Any, node: element) -> None:
    translator.body.append(f"</{node['tag']}>\n")
