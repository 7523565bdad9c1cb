"""Quizzes: questions whose right answer follows from the measures of the page's run.

If the run makes another answer right, the build fails (`onions.extension.teaching.quiz_keys`).
Without JavaScript, a quiz lists its answers, and the reasons are at the end of the page. With
JavaScript (``book/_static/reading.js``), the chosen answer's reason appears at once.
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

from onions.book.comparisons import sentences
from onions.extension.base.pending import PlaceholderMeasures
from onions.extension.base.session import session
from onions.extension.teaching.quiz_keys import QuizKeyError, check_choices, check_numbers
from onions.extension.teaching.quiz_nodes import (
    answers,
    choice,
    question,
    quiz,
    reason,
    reasons,
)
from onions.store.entries import claims, measure_values, trainings

LINKS = (nodes.reference, addnodes.pending_xref)


class Quiz(SphinxDirective):
    """``{quiz} name``: a question, then a definition list of its answers.

    A term is an answer to choose; its definition is a condition in backticks, then the reason. The
    first answer is right. With ``:tolerance:``, the reader enters a number: each term is an
    expression in backticks; the first is right, and the others are known mistakes.
    """

    required_arguments = 1
    has_content = True
    option_spec = {"tolerance": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the quiz. A missing part, or a key that the run contradicts, stops the build."""
        name = self.arguments[0]
        try:
            question_text, entries = self._parse()
            if "tolerance" in self.options:
                tolerance = self._tolerance()
                parts = list(self._numbers(entries, tolerance))
            else:
                tolerance, parts = None, list(self._choices(name, entries))
        except QuizKeyError as problem:
            raise self.error(f"quiz {name}: {problem}") from problem
        text = question("", "", *question_text)
        return [quiz("", text, *parts, name=name, tolerance=tolerance)]

    def _parse(self) -> tuple[list[nodes.Node], list[tuple[nodes.term, nodes.paragraph]]]:
        """Return the question's text, and each answer's term and definition."""
        content = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, content)
        match content.children:
            case [nodes.paragraph() as text, nodes.definition_list() as items] if len(items) > 1:
                pass
            case _:
                raise QuizKeyError(
                    "malformed content. Write the question as one paragraph, then a definition "
                    "list of two or more answers, each with “: `condition` Its reason.” below it."
                )
        if any(isinstance(node, LINKS) for node in content.findall()):
            raise QuizKeyError("a quiz can't contain links. Remove them.")
        entries = []
        for item in items.findall(nodes.definition_list_item):
            match item.children:
                case [nodes.term() as term, nodes.definition(children=[nodes.paragraph() as body])]:
                    entries.append((term, body))
                case _:
                    answer = item.children[0].astext()
                    raise QuizKeyError(f"“{answer}” needs exactly one paragraph for its reason")
        return list(text.children), entries

    def _choices(
        self, name: str, entries: list[tuple[nodes.term, nodes.paragraph]]
    ) -> Iterator[nodes.Node]:
        """Check the conditions; yield choices and reasons in an order derived from `name`."""
        conditions = []
        for term, definition in entries:
            condition, *rest = definition.children
            if not isinstance(condition, nodes.literal):
                raise QuizKeyError(f"“{term.astext()}” has no condition. Begin its reason with one")
            if not "".join(node.astext() for node in rest).strip():
                raise QuizKeyError(f"“{term.astext()}” has no reason. Write it after the condition")
            conditions.append(condition.astext())
        texts = [term.astext() for term, _ in entries]
        check_choices(texts, conditions, self._measures(), checked=not self._was_cut_short())
        order = sorted(range(len(texts)), key=lambda index: _hash(f"{name}/{texts[index]}"))
        for letter, index in zip(ascii_lowercase, order, strict=False):
            yield choice("", "", *entries[index][0].children, letter=letter)
        for letter, index in zip(ascii_lowercase, order, strict=False):
            reason_text = _after_condition(entries[index][1])
            yield reason("", "", *reason_text, answer=letter, right=index == 0)

    def _numbers(
        self, entries: list[tuple[nodes.term, nodes.paragraph]], tolerance: float
    ) -> Iterator[nodes.Node]:
        """Check the numbers, and yield their reasons."""
        for term, _ in entries:
            if len(term) != 1 or not isinstance(term[0], nodes.literal):
                raise QuizKeyError(f"“{term.astext()}” must be an expression in backticks")
        expressions = [term.astext() for term, _ in entries]
        checked = not self._was_cut_short()
        values = check_numbers(expressions, tolerance, self._measures(), checked)
        for index, value in enumerate(values):
            text = f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
            text = text.replace("-", "−")
            reason_text = entries[index][1].children
            yield reason("", "", *reason_text, answer=text, value=value, right=index == 0)

    def _tolerance(self) -> float:
        try:
            tolerance = float(self.options["tolerance"])
        except ValueError as error:
            raise QuizKeyError(
                f"the tolerance {self.options['tolerance']} is not a number"
            ) from error
        if not 0 <= tolerance < float("inf"):
            raise QuizKeyError("the tolerance must be 0 or more, and finite")
        return tolerance

    def _measures(self) -> dict[str, Any]:
        page = session().project.page(self.env.docname)
        measured = measure_values(session().entry(page)) if page.cells else {}
        return PlaceholderMeasures(measured) if page.name in session().pending else measured

    def _was_cut_short(self) -> bool:
        """Return whether this page is pending or its trainings were cut short.

        Its keys are then not checked, and its first answers count as right.
        """
        page = session().project.page(self.env.docname)
        if page.name in session().pending:
            return True
        if session().build.profile != "smoke":
            return False
        entry = session().entry(page)
        unchecked = any(claim["holds"] is None for _, claim in claims(entry))
        # Claims and findings in the text are about trainings, with `trained` or without.
        return unchecked or any(sentences(page)) or any(trainings(entry))


def setup(app: Sphinx) -> None:
    """Register the directive, and move the reasons to the end of each page."""
    app.add_directive("quiz", Quiz)
    app.connect("doctree-resolved", _move_reasons)


def mix_quizzes(quizzes: list[quiz]) -> list[quiz]:
    """Return the quizzes, shuffled by a hash of their names."""
    return sorted(quizzes, key=lambda node: _hash(node["name"]))


def _move_reasons(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Number the quizzes of a page, and move their reasons to the end of the page."""
    groups: list[nodes.Node] = []
    for number, node in enumerate(list(doctree.findall(quiz)), 1):
        node["ids"], node["number"] = [f"quiz-{node['name']}"], number
        group = answers(ids=[f"why-{node['name']}"], quiz=node, number=number)
        for part in list(node.findall(reason)):
            node.remove(part)
            group += part
        groups.append(group)
    if groups:
        next(doctree.findall(nodes.section)).append(reasons("", *groups, ids=["quiz-answers"]))


def _after_condition(definition: nodes.paragraph) -> list[nodes.Node]:
    _, first, *rest = definition.children
    if isinstance(first, nodes.Text):
        first = nodes.Text(first.lstrip())
    return [first, *rest]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
