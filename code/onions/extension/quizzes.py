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
from onions.extension.reader import site

LETTERS = ascii_lowercase
LINKS = (nodes.reference, addnodes.pending_xref)
TITLE = "Answers to the questions"
HINTS = {True: "Enter a number.", False: "Choose an answer."}  # of a number, of a choice
RIGHT, WRONG = "✓ Right.", "✗ Not quite."


class quiz(nodes.General, nodes.Element):
    """A question, its choices, and until its page is resolved its reasons.

    `name` is the quiz', `tolerance` a number for a question that asks for one, else None.
    """


class question(nodes.TextElement):
    """What is asked, in one paragraph."""


class choice(nodes.TextElement):
    """One answer to choose."""


class reason(nodes.TextElement):
    """Why an answer is `right` or not; `answer` is its letter, or its number as a text."""


class reasons(nodes.General, nodes.Element):
    """The reasons of all of a page's questions, at its end: `answers` for each question."""


class answers(nodes.General, nodes.Element):
    """The reasons of one question, with its `quiz`."""


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


def in_mixed_order(found: list[quiz]) -> list[quiz]:
    """Return quizzes of several pages in an order that follows neither pages nor build."""
    return sorted(found, key=lambda one: _hash(one["name"]))


def _after_condition(definition: nodes.paragraph) -> list[nodes.Node]:
    """Return a reason without the condition before it."""
    _, first, *rest = definition.children
    if isinstance(first, nodes.Text):
        first = nodes.Text(first.lstrip())
    return [first, *rest]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def setup(app: Sphinx) -> None:
    """Register the directive, the nodes, and what moves the reasons to a page's end."""
    app.add_directive("quiz", Quiz)
    app.add_node(quiz, html=(_open_quiz, _close_quiz))
    app.add_node(question, html=(_open_question, _close_question))
    app.add_node(choice, html=(_open_choice, _close_choice))
    app.add_node(reason, html=(_open_reason, _close_reason))
    app.add_node(answers, html=(_open_answers, _close_answers))
    app.connect("doctree-resolved", _move_reasons)


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


def _open_quiz(translator: Any, node: quiz) -> None:
    given = {"data-quiz": node["name"]}
    if "review" in node:
        given["data-quiz"] = f"review/{node['name']}"  # which is answered anew
    if node["tolerance"] is not None:
        given["data-tolerance"] = f"{node['tolerance']:g}"
    if is_offline(translator.builder.app):
        translator.body.append(translator.starttag(node, "div", CLASS="quiz"))
    else:
        form = translator.starttag(node, "form", CLASS="quiz", autocomplete="off", **given)
        translator.body.append(f"{form}<fieldset>\n")


def _close_quiz(translator: Any, node: quiz) -> None:
    link = f'<p class="quiz-answer"><a href="#why-{node["name"]}">Answer</a></p>\n'
    if node["tolerance"] is None:
        translator.body.append("</ol>\n")
    if is_offline(translator.builder.app):
        translator.body.append(f"{link}</div>\n")
        return
    says = f'<output class="needs-js">{HINTS[node["tolerance"] is not None]}</output>\n'
    translator.body.append(f"</fieldset>\n{says}{link}</form>\n")


def _open_question(translator: Any, node: question) -> None:
    tag = "p" if is_offline(translator.builder.app) else "legend"
    number = f'<strong class="quiz-number">Question {node.parent["number"]}</strong>'
    translator.body.append(f"<{tag}>{number} ")


def _close_question(translator: Any, node: question) -> None:
    offline = is_offline(translator.builder.app)
    translator.body.append("</p>\n" if offline else "</legend>\n")
    if node.parent["tolerance"] is None:
        translator.body.append('<ol type="a">\n')
    elif not offline:
        translator.body.append(
            '<p class="needs-js"><label>Your number <input type="text" name="answer" '
            'inputmode="decimal"></label> <button type="submit">Check</button></p>\n'
        )


def _open_choice(translator: Any, node: choice) -> None:
    translator.body.append("<li>")
    if not is_offline(translator.builder.app):
        given = f'type="radio" name="answer" value="{node["letter"]}"'
        translator.body.append(f"<label><input {given}> <span>")


def _close_choice(translator: Any, node: choice) -> None:
    offline = is_offline(translator.builder.app)
    translator.body.append("</li>\n" if offline else "</span></label></li>\n")


def _open_answers(translator: Any, node: answers) -> None:
    start = translator.starttag(node, "div", CLASS="quiz-answers")
    listed = '<ol type="a">' if node["quiz"]["tolerance"] is None else "<ul>"
    back = f'<a href="#quiz-{node["quiz"]["name"]}">Question {node["number"]}</a>'
    translator.body.append(f"{start}<p>{back}</p>\n{listed}\n")


def _close_answers(translator: Any, node: answers) -> None:
    listed = "ol" if node["quiz"]["tolerance"] is None else "ul"
    translator.body.append(f"</{listed}></div>\n")


def _open_reason(translator: Any, node: reason) -> None:
    given = {"data-answer": node.get("value", node["answer"])}
    if node["right"]:
        given["data-right"] = "data-right"
    number = f"{node['answer']}: " if "value" in node else ""
    span = translator.starttag(node, "span", "", **given)
    translator.body.append(f"<li>{number}{span}<strong>{verdict(node)}</strong> ")


def _close_reason(translator: Any, node: reason) -> None:
    translator.body.append("</span></li>\n")


def verdict(node: reason) -> str:
    """Return whether an answer is right, in a sign and in words."""
    return RIGHT if node["right"] else WRONG
