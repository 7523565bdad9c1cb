"""A page's text as plain Markdown, without directives and roles.

It is generated from the resolved doctree, so terms, titles, numbers and measures match the site. Of
a node of an unknown type, such as a tab or a card, it keeps the text.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any
from urllib.parse import quote, urldefrag, urljoin, urlsplit

from docutils import nodes
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from nbformat import NotebookNode
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import is_exercise_node, solution_node

from onions.book.prose import BUILD_ONLY
from onions.extension.downloads.files import Part
from onions.extension.teaching.explorers import explorer
from onions.extension.teaching.instructor import for_instructors
from onions.extension.teaching.quiz_nodes import (
    ANSWERS_TITLE,
    answers,
    choice,
    quiz,
    reason,
    reasons,
    verdict,
)
from onions.extension.teaching.tips import explanation

MARKUP = re.compile(r"[\\*`$<]")  # characters with a meaning in Markdown
# A compound contains the page's toctree.
OMITTED = (nodes.comment, nodes.target, nodes.compound, explanation)
# Nodes whose text Markdown puts between the two marks.
MARKS: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.emphasis: ("*", "*"),
    nodes.strong: ("**", "**"),
    nodes.subscript: ("<sub>", "</sub>"),
    nodes.superscript: ("<sup>", "</sup>"),
    nodes.term: ("**", "**"),
    nodes.rubric: ("**", "**"),
}
TITLES = {"sd-card-title", "sd-summary-title", "sd-tab-label"}  # classes of Sphinx-Design


def markdown_parts(
    app: Sphinx, docname: str, doctree: nodes.document, cells: list[NotebookNode]
) -> Iterator[Part]:
    """Yield the parts of a page below its title; adjacent texts become one part.

    `cells` are the cells of the notebook that Sphinx has read.
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
            elif isinstance(node, nodes.title):
                if level != 1 or not isinstance(parent, nodes.section):  # not the page's title
                    yield Part(self._title(node, level), solution=solution)
            elif not isinstance(node, nodes.Element):
                continue  # white space between blocks
            elif (text := self._block(node)) is not None:
                yield Part(text, solution=solution)
            else:
                if isinstance(node, nodes.hint):
                    yield Part("**Hint**", solution=solution)
                inner_level = level + isinstance(node, nodes.section)
                yield from self.parts(node, inner_level, solution)

    def _code(self, node: nodes.Element, solution: bool) -> Iterator[Part]:
        cell = self.cells[node["cell_index"]]
        figure = node.next_node(nodes.figure)
        if BUILD_ONLY in cell.metadata.get("tags", ()):
            yield Part(self._pointer(figure or node), solution=solution)
            return
        if "hide-cell" in cell.metadata.get("tags", ()):
            prompt = cell.metadata.get("mystnb", {}).get("code_prompt_show", "")
            yield Part(f"*{_escape(prompt)}*", solution=solution)
        if "skip-execution" in cell.metadata.get("tags", ()):  # Jupyter would run a cell
            yield Part(f"```python\n{cell.source}\n```", solution=solution)
        else:
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

    def _block(self, node: nodes.Element) -> str | None:
        """Return a block as Markdown; None if its children are blocks to write one by one."""
        match node:
            case nodes.bullet_list() | nodes.definition_list():
                return self._list(node, ["-"] * len(node))
            case nodes.enumerated_list():
                start = node.get("start", 1)
                return self._list(node, [f"{start + n}." for n in range(len(node))])
            case nodes.math_block():
                return f"$$\n{node.astext().strip()}\n$$"
            case nodes.literal_block():
                code = node.astext().rstrip("\n")
                return f"```{node.get('language', '')}\n{code}\n```"
            case nodes.table():
                return self._table(node)
            case nodes.image():
                return self._image(node)
            case nodes.figure():
                return self._figure(node)
            case nodes.raw():
                return self._pointer(node)
            case nodes.transition():
                return "---"
            case nodes.block_quote():
                return "\n".join(f"> {line}".rstrip() for line in self._blocks(node).split("\n"))
            case nodes.footnote():
                return self._blocks(node).replace("\n\n", " ", 1)  # the number, then the text
            case nodes.label():
                return rf"\[{node.astext()}\]"
            case nodes.TextElement():
                return self._inline(node)
        return None

    def _blocks(self, node: Any) -> str:
        return "\n\n".join(part.text for part in self.parts(node, level=0, solution=False))

    def _image(self, node: nodes.image) -> str:
        url = urljoin(self.url, node["uri"])
        # The name of a run's picture is a hash: the next build may lack it.
        if OUTPUT_FOLDER in str(node["candidates"]) or not urlsplit(url).scheme:
            return self._pointer(node)
        return f"![{_escape(node.get('alt', ''))}]({url})"

    def _figure(self, node: nodes.figure) -> str:
        image = node.next_node(nodes.image)
        if image is None or OUTPUT_FOLDER in str(image["candidates"]):
            return self._pointer(node)
        return f"{self._image(image)}\n\n{self._caption(node)}"

    def _list(self, node: nodes.Element, marks: list[str]) -> str:
        items = []
        for mark, item in zip(marks, node.children, strict=True):
            text = self._blocks(item)
            items.append(f"{mark} " + text.replace("\n", "\n" + " " * (len(mark) + 1)))
        return re.sub(r"\n +\n", "\n\n", "\n".join(items))

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
        return f"(This part is only on {page}.)"

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
                return "" if node.astext().startswith("<svg") else str(node.astext())
            case nodes.image():
                return self._image(node)
            case nodes.footnote_reference():
                return rf"\[{node.astext()}\]"
            case addnodes.download_reference():
                return self._download(node)
            case nodes.reference():
                return self._link(node)
            case nodes.inline() if "bibtex-citation" in node["classes"]:
                return self._citation(node)
            case nodes.Element():
                is_title = TITLES.intersection(node.get("classes", ()))
                before, after = MARKS.get(nodes.strong if is_title else type(node), ("", ""))
                return f"{before}{self._children(node)}{after}"
        return ""

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

    def _download(self, node: addnodes.download_reference) -> str:
        text = self._children(node)
        if not self.url:
            return text
        if "refuri" in node:
            return f"[{text}]({node['refuri']})"
        url = urljoin(self.app.config.html_baseurl, f"_downloads/{quote(node['filename'])}")
        return f"[{text}]({url})"

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


def _escape(text: str) -> str:
    return MARKUP.sub(r"\\\g<0>", text)
