"""A page's text as plain Markdown, without directives and roles.

It is generated from the resolved doctree, so terms, titles, numbers and measures match the site. A
node of an unknown type causes a warning, which fails the build.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any
from urllib.parse import urldefrag, urljoin

from docutils import nodes
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx_exercise.nodes import is_exercise_node, solution_node

from onions.book.prose import BUILD_ONLY
from onions.extension.downloads.files import Part
from onions.extension.teaching.explorers import explorer
from onions.extension.teaching.instructor import for_instructors
from onions.extension.teaching.quiz_nodes import (
    ANSWERS_TITLE,
    answers,
    choice,
    question,
    quiz,
    reason,
    reasons,
    verdict,
)
from onions.extension.teaching.tips import explanation

LOGGER = logging.getLogger(__name__)
MARKUP = re.compile(r"[\\*`$<]")  # characters with a meaning in Markdown
# A compound contains the page's toctree.
OMITTED = (nodes.comment, nodes.target, nodes.compound, explanation)


def markdown_parts(
    app: Sphinx, docname: str, doctree: nodes.document, cells: list[NotebookNode]
) -> Iterator[Part]:
    """Yield the parts of a page below its title; adjacent texts become one part.

    `cells` are the cells of the notebook that Sphinx has read. Warns about unknown nodes.
    """
    parts = _MarkdownWriter(app, docname, cells).parts(doctree, level=0, solution=False)
    for (is_code, solution), group in groupby(parts, lambda part: (bool(part.code), part.solution)):
        if is_code:
            yield from group
        else:
            yield Part("\n\n".join(part.text for part in group), solution=solution)


def page_url(app: Sphinx, docname: str) -> str:
    """Return the URL of a page; empty if the site's URL is unknown."""
    base = app.config.html_baseurl
    return urljoin(base, app.builder.get_target_uri(docname)) if base else ""


class _MarkdownWriter:
    """Writes the nodes of one page as Markdown."""

    def __init__(self, app: Sphinx, docname: str, cells: list[NotebookNode]) -> None:
        self.app, self.cells = app, cells
        self.url = page_url(app, docname)
        self.numbers = app.env.toc_fignumbers.get(docname, {})
        citations = app.env.get_domain("cite").citations  # type: ignore[attr-defined]
        self.sources = {citation.citation_id: citation.entry for citation in citations}

    def parts(self, parent: nodes.Element, level: int, solution: bool) -> Iterator[Part]:
        """Yield the parts of a node that may contain code cells; `level` counts outer sections."""
        for node in parent.children:
            if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
                yield from self._code(node, solution)
            elif isinstance(node, solution_node):
                yield Part("**Solution**", solution=True)
                yield from self.parts(node, level, True)
            elif isinstance(node, OMITTED) or for_instructors(node):
                continue
            elif isinstance(node, explorer):
                yield Part(f"**{_escape(node['title'])}** {self._pointer(node)}", solution=solution)
            elif isinstance(node, quiz):
                yield Part(self._quiz(node), solution=solution)
            elif isinstance(node, reasons):
                yield Part(f"**{ANSWERS_TITLE}**", solution=True)
                for group in node.findall(answers):
                    yield Part(self._answers(group), solution=True)
            elif isinstance(node, nodes.section | nodes.container | nodes.Admonition):
                if isinstance(node, nodes.hint):
                    yield Part("**Hint**", solution=solution)
                inner_level = level + isinstance(node, nodes.section)
                yield from self.parts(node, inner_level, solution)
            elif isinstance(node, nodes.title):
                if level != 1 or not isinstance(parent, nodes.section):  # not the page's title
                    yield Part(self._title(node, level), solution=solution)
            else:
                yield Part(self._block(node), solution=solution)

    def _code(self, node: nodes.Element, solution: bool) -> Iterator[Part]:
        cell = self.cells[node["cell_index"]]
        figure = node.next_node(nodes.figure)
        if BUILD_ONLY in cell.metadata.get("tags", ()):
            yield Part(self._pointer(figure or node), solution=solution)
            return
        if "hide-cell" in cell.metadata.get("tags", ()):
            prompt = cell.metadata.get("mystnb", {}).get("code_prompt_show", "")
            yield Part(f"*{_escape(prompt)}*", solution=solution)
        yield Part("", cell, solution)
        if figure:
            yield Part(self._caption(figure), solution=solution)

    def _quiz(self, node: quiz) -> str:
        lines = [f"- {part['letter']}) {self._inline(part)}" for part in node.findall(choice)]
        return "\n".join(
            (f"**Question {node['number']}.** {self._inline(node.children[0])}", "", *lines)
        ).strip()

    def _answers(self, node: answers) -> str:
        mark = ")" if node["quiz"]["tolerance"] is None else ":"
        lines = (
            f"- {part['answer']}{mark} {verdict(part)} {self._inline(part)}"
            for part in node.findall(reason)
        )
        return "\n".join((f"Question {node['number']}:", "", *lines))

    def _title(self, node: nodes.title, level: int) -> str:
        text, parent = self._inline(node), node.parent
        if is_exercise_node(parent):
            return f"**{self._number('exercise', 'Exercise %s', parent)}{text}**"
        return f"**{text}**" if isinstance(parent, nodes.Admonition) else f"{'#' * level} {text}"

    def _block(self, node: nodes.Node) -> str:
        match node:
            case nodes.paragraph():
                return self._inline(node)
            case nodes.bullet_list():
                return self._list(node, ["-"] * len(node))
            case nodes.enumerated_list():
                start = node.get("start", 1)
                return self._list(node, [f"{start + n}." for n in range(len(node))])
            case nodes.definition_list():
                return self._list(node, ["-"] * len(node))
            case nodes.term():
                return f"**{self._inline(node)}**"
            case nodes.math_block():
                return f"$$\n{node.astext().strip()}\n$$"
            case nodes.literal_block():
                return f"```{node.get('language', '')}\n{node.astext()}\n```"
            case nodes.table():
                return self._table(node)
            case nodes.figure() | nodes.raw():
                return self._pointer(node)
        return self._unknown(node)

    def _list(self, node: nodes.Element, marks: list[str]) -> str:
        items = []
        for mark, item in zip(marks, node.children, strict=True):
            text = "\n\n".join(block for child in item.children for block in self._item(child))
            items.append(f"{mark} " + text.replace("\n", "\n" + " " * (len(mark) + 1)))
        return re.sub(r"\n +\n", "\n\n", "\n".join(items))

    def _item(self, node: nodes.Node) -> Iterator[str]:
        if isinstance(node, nodes.definition):
            yield from map(self._block, node.children)
        else:
            yield self._block(node)

    def _table(self, node: nodes.table) -> str:
        rows = [
            [self._inline(entry).replace("|", r"\|").replace("\n", " ") for entry in row.children]
            for row in node.findall(nodes.row)
        ]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join((lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]))

    def _pointer(self, node: nodes.Element) -> str:
        """Return a sentence that points to the site, for a node that only the site can show."""
        page = f"[the page]({self.url})" if self.url else "the book's page"
        if isinstance(node, nodes.figure):
            return f"{self._caption(node)} (This figure is only on {page}.)"
        return f"(What stands here is only on {page}.)"

    def _caption(self, figure: nodes.figure) -> str:
        number = self._number("figure", self.app.config.numfig_format["figure"], figure)
        caption = figure.next_node(nodes.caption)
        return f"**{number}** {self._inline(caption) if caption else ''}".strip()

    def _number(self, node_type: str, template: str, node: nodes.Element) -> str:
        number = self.numbers.get(node_type, {}).get(node["ids"][0] if node["ids"] else "", ())
        return template % ".".join(map(str, number)) if number else ""

    def _inline(self, node: nodes.Node) -> str:
        match node:
            case nodes.Text():
                return _escape(str(node))
            case explanation():
                return ""
            case nodes.literal():
                return f"`{node.astext()}`"
            case nodes.math():
                return f"${node.astext()}$"
            case nodes.raw():  # inline HTML, which Markdown allows
                return str(node.astext())
            case nodes.reference():
                return self._link(node)
            case nodes.inline() if "bibtex-citation" in node["classes"]:
                return self._citation(node)
            case nodes.emphasis():
                return f"*{self._children(node)}*"
            case nodes.strong():
                return f"**{self._children(node)}**"
            case nodes.inline() | nodes.paragraph() | nodes.title() | nodes.caption():
                return self._children(node)
            case nodes.term() | nodes.entry() | question() | choice() | reason():
                return self._children(node)
        return self._unknown(node)

    def _children(self, node: nodes.Element) -> str:
        return "".join(map(self._inline, node.children))

    def _link(self, node: nodes.reference) -> str:
        text = self._children(node)
        target = node.get("refuri", "")
        if not node.get("internal"):
            return f"[{text}]({target})"
        is_term = any("std-term" in inner["classes"] for inner in node.findall(nodes.inline))
        if is_term or not (target and self.url):
            return text  # a glossary term, a link within this page, or a site without a URL
        return f"[{text}]({urljoin(self.url, target)})"

    def _citation(self, node: nodes.inline) -> str:
        """Return authors and year, as in (Lin et al., 2014)."""
        citations = []
        for link in node.findall(nodes.reference):
            source = self.sources[urldefrag(link.get("refuri", "")).fragment or link["refid"]]
            people = source.persons.get("author") or source.persons.get("editor") or []
            names = [" ".join(map(str, p.rich_prelast_names + p.rich_last_names)) for p in people]
            names = names or [source.key]
            authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
            citations.append(_escape(f"{authors}, {source.fields.get('year', 'no year')}"))
        return f"({'; '.join(citations)})"

    def _unknown(self, node: Any) -> str:
        name = type(node).__name__
        LOGGER.warning(
            "no plain Markdown for %s. Add it to onions/extension/downloads/markdown.py.",
            name,
            location=node,
        )
        return str(node.astext())


def _escape(text: str) -> str:
    return MARKUP.sub(r"\\\g<0>", text)
