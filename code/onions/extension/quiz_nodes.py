"""The nodes of questions to the reader, and their HTML: a form on the site, plain text offline."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from onions.extension.offline import is_offline

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


def verdict(node: reason) -> str:
    """Return whether an answer is right, in a sign and in words."""
    return RIGHT if node["right"] else WRONG


def setup(app: Sphinx) -> None:
    """Register the nodes."""
    app.add_node(quiz, html=(_open_quiz, _close_quiz))
    app.add_node(question, html=(_open_question, _close_question))
    app.add_node(choice, html=(_open_choice, _close_choice))
    app.add_node(reason, html=(_open_reason, _close_reason))
    app.add_node(answers, html=(_open_answers, _close_answers))


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
