"""The nodes of quizzes, and the HTML form that shows them on the site.

In an EPUB, `onions.extension.downloads.epub` replaces the form with plain text.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

ANSWERS_TITLE = "Answers to the questions"
# The keys say whether the answer is a number.
HINTS = {True: "Enter a number.", False: "Choose an answer."}
RIGHT, WRONG = "✓ Right.", "✗ Not quite."


class quiz(nodes.General, nodes.Element):
    """A question with its choices and, until Sphinx resolves the page, its reasons.

    `name` identifies the quiz. `tolerance` is None unless the answer is a number. On a resolved
    page, `number` is the quiz's position among the page's quizzes, from 1.
    """


class question(nodes.TextElement):
    """The text of a question, one paragraph."""


class choice(nodes.TextElement):
    """An answer to choose, with its `letter`."""


class reason(nodes.TextElement):
    """The reason why an answer is `right` or wrong.

    `answer` is the letter of the answer, or its number as text. A number is also in `value`.
    """


class reasons(nodes.General, nodes.Element):
    """The reasons of all quizzes of a page, at its end: an `answers` node for each quiz."""


class answers(nodes.General, nodes.Element):
    """The reasons of one quiz, with the `quiz` itself and its `number`."""


def setup(app: Sphinx) -> None:
    """Register the nodes."""
    app.add_node(quiz, html=(_open_quiz, _close_quiz))
    app.add_node(question, html=(_open_question, _close_question))
    app.add_node(choice, html=(_open_choice, _close_choice))
    app.add_node(reason, html=(_open_reason, _close_reason))
    app.add_node(answers, html=(_open_answers, _close_answers))


def verdict(node: reason) -> str:
    """Return whether an answer is right, as a symbol and words."""
    return RIGHT if node["right"] else WRONG


def _open_quiz(translator: Any, node: quiz) -> None:
    attributes = {"data-quiz": node["name"]}
    if "review" in node:
        attributes["data-quiz"] = f"review/{node['name']}"  # stores the reader's answer separately
    if node["tolerance"] is not None:
        attributes["data-tolerance"] = f"{node['tolerance']:g}"
    form = translator.starttag(node, "form", CLASS="quiz", autocomplete="off", **attributes)
    translator.body.append(f"{form}<fieldset>\n")


def _close_quiz(translator: Any, node: quiz) -> None:
    if node["tolerance"] is None:
        translator.body.append("</ol>\n")
    hint = f'<output class="needs-js">{HINTS[node["tolerance"] is not None]}</output>\n'
    link = f'<p class="quiz-answer"><a href="#why-{node["name"]}">Answer</a></p>\n'
    translator.body.append(f"</fieldset>\n{hint}{link}</form>\n")


def _open_question(translator: Any, node: question) -> None:
    number = f'<strong class="quiz-number">Question {node.parent["number"]}</strong>'
    translator.body.append(f"<legend>{number} ")


def _close_question(translator: Any, node: question) -> None:
    translator.body.append("</legend>\n")
    if node.parent["tolerance"] is None:
        translator.body.append('<ol type="a">\n')
    else:
        translator.body.append(
            '<p class="needs-js"><label>Your number <input type="text" name="answer" '
            'inputmode="decimal"></label> <button type="submit">Check</button></p>\n'
        )


def _open_choice(translator: Any, node: choice) -> None:
    attributes = f'type="radio" name="answer" value="{node["letter"]}"'
    translator.body.append(f"<li><label><input {attributes}> <span>")


def _close_choice(translator: Any, node: choice) -> None:
    translator.body.append("</span></label></li>\n")


def _open_answers(translator: Any, node: answers) -> None:
    start = translator.starttag(node, "div", CLASS="quiz-answers")
    list_tag = '<ol type="a">' if node["quiz"]["tolerance"] is None else "<ul>"
    link = f'<a href="#quiz-{node["quiz"]["name"]}">Question {node["number"]}</a>'
    translator.body.append(f"{start}<p>{link}</p>\n{list_tag}\n")


def _close_answers(translator: Any, node: answers) -> None:
    list_name = "ol" if node["quiz"]["tolerance"] is None else "ul"
    translator.body.append(f"</{list_name}></div>\n")


def _open_reason(translator: Any, node: reason) -> None:
    attributes = {"data-answer": node.get("value", node["answer"])}
    if node["right"]:
        attributes["data-right"] = "data-right"
    number = f"{node['answer']}: " if "value" in node else ""
    span = translator.starttag(node, "span", "", **attributes)
    translator.body.append(f"<li>{number}{span}<strong>{verdict(node)}</strong> ")


def _close_reason(translator: Any, node: reason) -> None:
    translator.body.append("</span></li>\n")
