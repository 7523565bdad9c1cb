"""Questions to the reader. Which answer is right comes from the measures of the page's run
(`onions.extension.keys`): where a run says otherwise, the page does not build.

Without JavaScript a question has its answers as a list, and the reasons of all of them stand at the
page's end. With it (``book/_static/reading.js``) the reason of the chosen answer is shown at once.
"""

from collections.abc import Iterator
from hashlib import sha256
from string import ascii_lowercase
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions import store
from onions.extension.awaited import Awaited
from onions.extension.keys import KeyIsWrong, check_choices, check_numbers
from onions.extension.offline import is_offline
from onions.extension.quiz_nodes import TITLE, answers, choice, question, quiz, reason, reasons
from onions.extension.reader import site

LETTERS = ascii_lowercase
LINKS = (nodes.reference, addnodes.pending_xref)


class Quiz(SphinxDirective):
    """``{quiz} name``: a question, and below it a definition list of its answers.

    Of a choice, the term is the answer; the definition begins with its condition in backticks, and
    goes on with the reason. The first answer is the right one. With ``:tolerance:`` it asks for a
    number: each term is an expression in backticks, the first is right, and the others are known
    mistakes.
    """

    required_arguments = 1
    has_content = True
    option_spec = {"tolerance": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the quiz. What is missing, or not what the run says, stops the build."""
        name = self.arguments[0]
        try:
            asked, entries = self._parts()
            if "tolerance" in self.options:
                tolerance = self._tolerance()
                parts = list(self._numbers(entries, tolerance))
            else:
                tolerance, parts = None, list(self._choices(name, entries))
        except KeyIsWrong as problem:
            raise self.error(f"quiz {name}: {problem}") from problem
        return [quiz("", question("", "", *asked), *parts, name=name, tolerance=tolerance)]

    def _parts(self) -> tuple[list[nodes.Node], list[tuple[nodes.term, nodes.paragraph]]]:
        """Return the question's text, and for each answer its term and its definition."""
        found = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, found)
        match found.children:
            case [nodes.paragraph() as asked, nodes.definition_list() as listed] if len(listed) > 1:
                pass
            case _:
                raise KeyIsWrong(
                    "write the question as one paragraph, and below it a definition list of two or "
                    "more answers: the answer, and on the next line “: `condition` Its reason.”"
                )
        if any(isinstance(part, LINKS) for part in found.findall()):
            raise KeyIsWrong("a quiz has no links: the reader would leave it")
        entries = []
        for item in listed.findall(nodes.definition_list_item):
            match item.children:
                case [nodes.term() as term, nodes.definition(children=[nodes.paragraph() as why])]:
                    entries.append((term, why))
                case _:
                    text = item.children[0].astext()
                    raise KeyIsWrong(f"“{text}” needs one paragraph that gives its reason")
        return list(asked.children), entries

    def _choices(
        self, name: str, entries: list[tuple[nodes.term, nodes.paragraph]]
    ) -> Iterator[nodes.Node]:
        """Check the conditions, and yield choices and reasons, shuffled the same way each time."""
        conditions = []
        for term, definition in entries:
            first, *rest = definition.children
            if not isinstance(first, nodes.literal):
                raise KeyIsWrong(f"“{term.astext()}” has no condition; begin its reason with one")
            if not nodes.paragraph("", "", *(part.deepcopy() for part in rest)).astext().strip():
                raise KeyIsWrong(f"“{term.astext()}” has no reason; write it after the condition")
            conditions.append(first.astext())
        texts = [term.astext() for term, _ in entries]
        check_choices(texts, conditions, self._measures(), checked=not self._was_cut_short())
        order = sorted(range(len(texts)), key=lambda index: _hash(f"{name}/{texts[index]}"))
        for letter, index in zip(LETTERS, order, strict=False):
            yield choice("", "", *entries[index][0].children, letter=letter)
        for letter, index in zip(LETTERS, order, strict=False):
            text = _after_condition(entries[index][1])
            yield reason("", "", *text, answer=letter, right=index == 0)

    def _numbers(
        self, entries: list[tuple[nodes.term, nodes.paragraph]], tolerance: float
    ) -> Iterator[nodes.Node]:
        """Compute the numbers, and yield their reasons."""
        for term, _ in entries:
            if len(term) != 1 or not isinstance(term[0], nodes.literal):
                raise KeyIsWrong(f"“{term.astext()}” must be an expression in backticks")
        expressions = [term.astext() for term, _ in entries]
        checked = not self._was_cut_short()
        values = check_numbers(expressions, tolerance, self._measures(), checked)
        for index, value in enumerate(values):
            text = f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
            text = text.replace("-", "−")
            definition = entries[index][1].children
            yield reason("", "", *definition, answer=text, value=value, right=index == 0)

    def _tolerance(self) -> float:
        try:
            tolerance = float(self.options["tolerance"])
        except ValueError as error:
            raise KeyIsWrong(f"{self.options['tolerance']} is no tolerance; 0 is exact") from error
        if not 0 <= tolerance < float("inf"):
            raise KeyIsWrong("a tolerance is 0 or more")
        return tolerance

    def _measures(self) -> dict[str, Any]:
        page = site().project.page(self.env.docname)
        measured = store.measured(site().entry(page)) if page.cells else {}
        return Awaited(measured) if page.name in site().awaited else measured

    def _was_cut_short(self) -> bool:
        """Tell whether this page's trainings were cut short: its claims are then not checked, and
        its keys neither, so that the first answer counts as the right one.
        """
        page = site().project.page(self.env.docname)
        if page.name in site().awaited:
            return True
        if site().build.profile != "smoke":
            return False
        return any(claim["holds"] is None for _, claim in store.claims(site().entry(page)))


def setup(app: Sphinx) -> None:
    """Register the directive, and what moves the reasons to a page's end."""
    app.add_directive("quiz", Quiz)
    app.connect("doctree-resolved", _move_reasons)


def in_mixed_order(found: list[quiz]) -> list[quiz]:
    """Return quizzes of several pages in an order that follows neither pages nor build."""
    return sorted(found, key=lambda one: _hash(one["name"]))


def _move_reasons(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Number the questions of a page, and put their reasons at its end."""
    found = list(doctree.findall(quiz))
    if not found:
        return
    groups: list[nodes.Node] = []
    for number, one in enumerate(found, 1):
        group = answers(ids=[f"why-{one['name']}"], quiz=one, number=number)
        for part in list(one.findall(reason)):
            one.remove(part)
            group += part
        one["ids"], one["number"] = [f"quiz-{one['name']}"], number
        groups.append(group)
    end: nodes.Element = reasons("", *groups, ids=["quiz-answers"])
    if is_offline(app):
        title = nodes.title(text=TITLE)
        end = nodes.section("", title, *groups, ids=["quiz-answers"], classes=["answers"])
    next(doctree.findall(nodes.section)).append(end)


def _after_condition(definition: nodes.paragraph) -> list[nodes.Node]:
    """Return a reason without the condition before it."""
    _, first, *rest = definition.children
    if isinstance(first, nodes.Text):
        first = nodes.Text(first.lstrip())
    return [first, *rest]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
