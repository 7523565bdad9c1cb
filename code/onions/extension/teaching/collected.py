"""Directives that collect parts of all pages: key points, exercises, quizzes, instructors' notes.

Key points come from the pages' front matter. The other parts are copied from the pages' doctrees,
which are complete only after Sphinx has read all pages.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import docname_join
from sphinx.util.docutils import SphinxDirective
from sphinx_exercise.nodes import is_exercise_node

from onions.book.page import Page
from onions.extension.base.builder import SITE
from onions.extension.base.nodes import page_link
from onions.extension.base.session import note_lesson_dependency, session
from onions.extension.teaching.instructor import instructor_note
from onions.extension.teaching.quiz_nodes import quiz
from onions.extension.teaching.quizzes import mix_quizzes

ALL_QUIZZES = "all-quizzes"
PROGRESS = """<div class="quiz-progress needs-js"><output>0 of {} right so far.</output>
<button type="button">Start again</button></div>"""
COPY_CLASS = "gathered"  # CSS class of the box around each copy


class KeyPoints(SphinxDirective):
    """``{key-points}``: the key points of each lesson page, below its title."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each lesson page."""
        note_lesson_dependency(self.env)
        return [
            _section(self, page, *self._key_points(page))
            for page in session().project.pages()
            if page.lesson
        ]

    def _key_points(self, page: Page) -> list[nodes.Node]:
        content = nodes.container()
        lines = StringList([f"- {point}" for point in page.lesson["keypoints"]], self.env.docname)
        self.state.nested_parse(lines, 0, content)
        return content.children


class copies(nodes.General, nodes.Element):
    """A placeholder for the parts that the directive `directive` copies from the page `page`.

    It has no `page` for quizzes, which come from all pages.
    """


class Copies(SphinxDirective):
    """``{all-exercises}``, ``{instructor-notes}``, ``{all-quizzes}``: copies from all pages.

    Quizzes are shuffled; the other parts are in page order.
    """

    def run(self) -> list[nodes.Node]:
        """Return one placeholder for all quizzes, or a section with a placeholder for each page."""
        note_lesson_dependency(self.env)
        collecting: set[str] = getattr(self.env, "onions_collecting_pages", set())
        collecting = collecting | {self.env.docname}
        self.env.onions_collecting_pages = collecting  # type: ignore[attr-defined]
        if self.name == ALL_QUIZZES:
            return [copies(directive=ALL_QUIZZES)]
        return [
            _section(self, page, copies(directive=self.name, page=page.name))
            for page in session().project.pages()
            if PART_TYPES[self.name].opening in page.text
        ]


class InsertCopies(SphinxPostTransform):
    """Replaces placeholders with copies before Sphinx resolves the links in them."""

    default_priority = 1

    def run(self, **_: Any) -> None:
        """Replace each placeholder of the page."""
        for placeholder in list(self.document.findall(copies)):
            directive, page = placeholder["directive"], placeholder.get("page", "")
            parts = self._quizzes() if directive == ALL_QUIZZES else self._parts(directive, page)
            placeholder.replace_self(list(parts))

    def _parts(self, directive: str, page: str) -> Iterator[nodes.Node]:
        parts = PART_TYPES[directive].copy_parts(self.env.get_doctree(page))
        return (self._adopt(part, page) for part in parts)

    def _quizzes(self) -> Iterator[nodes.Node]:
        """Yield all quizzes, each with a link to its page, then the reader's progress."""
        pages: dict[str, Page] = {}
        quizzes: list[quiz] = []
        for page in session().project.pages():
            for node in self.env.get_doctree(page.name).findall(quiz):
                quizzes.append(node.deepcopy())
                pages[node["name"]] = page
        for node in mix_quizzes(quizzes):
            node["review"] = True
            page = pages[node["name"]]
            link = nodes.paragraph("", "", nodes.Text("From "), page_link(self.env, page))
            yield nodes.container("", self._adopt(node, page.name), link, classes=[COPY_CLASS])
        progress = nodes.raw("", PROGRESS.format(len(quizzes)), format="html")
        yield addnodes.only("", progress, expr=SITE)

    def _adopt(self, copy: nodes.Element, page: str) -> nodes.Node:
        """Adapt a copy from another page to this page.

        Its links become relative to this page, and it loses its ids. Numbered elements, such as
        figures, get new ids and keep their numbers.
        """
        numbered_type = self.env.get_domain("std").get_enumerable_node_type
        all_numbers = self.env.toc_fignumbers
        numbers = all_numbers.setdefault(page, {})
        own_numbers = all_numbers.setdefault(self.env.docname, {})
        for element in copy.findall(nodes.Element):
            ids, element["ids"] = element["ids"], []
            if ids and (node_type := numbered_type(element)):
                element["ids"] = [nodes.make_id(f"{page}-{ids[0]}")]
                if number := numbers.get(node_type, {}).get(ids[0]):
                    own_numbers.setdefault(node_type, {})[element["ids"][0]] = number
            if isinstance(element, addnodes.pending_xref):
                if element["reftype"] == "doc":
                    element["reftarget"] = f"/{docname_join(page, element['reftarget'])}"
                element["refdoc"] = self.env.docname
        return copy


class PartType(NamedTuple):
    """A type of part that is copied in page order.

    `opening` is the text with which such a part begins; `copy_parts` yields copies of all such
    parts of a doctree.
    """

    opening: str
    copy_parts: Callable[[nodes.document], Iterator[nodes.Element]]


def setup(app: Sphinx) -> None:
    """Register the directives, the placeholder and the transform that replaces it."""
    app.add_directive("key-points", KeyPoints)
    app.add_node(copies)
    for name in (*PART_TYPES, ALL_QUIZZES):
        app.add_directive(name, Copies)
    app.add_post_transform(InsertCopies)
    app.connect("doctree-read", _note_parts)
    app.connect("env-updated", _outdated_copies)


def _section(directive: SphinxDirective, page: Page, *content: nodes.Node) -> nodes.section:
    """Return a section about a page, with a title that links to it."""
    title = nodes.title("", "", page_link(directive.env, page))
    section = nodes.section("", title, *content, names=[page.name])
    directive.state.document.note_implicit_target(section)  # assigns an id
    return section


def _copy_exercises(doctree: nodes.document) -> Iterator[nodes.Element]:
    """Yield each exercise without its hints, below its number and title, which link to it."""
    for exercise in doctree.findall(is_exercise_node):
        name = exercise[0][-1].astext().replace("{", "{{").replace("}", "}}")
        title = nodes.inline(text=f"Exercise {{number}}: {name}")  # Sphinx fills in the number
        target = {"refdomain": "std", "reftype": "numref", "reftarget": exercise["label"]}
        link = addnodes.pending_xref("", title, refexplicit=True, refwarn=True, **target)
        content = [part.deepcopy() for part in exercise[1] if not isinstance(part, nodes.hint)]
        yield nodes.container("", nodes.paragraph("", "", link), *content, classes=[COPY_CLASS])


def _copy_notes(doctree: nodes.document) -> Iterator[nodes.Element]:
    for note in doctree.findall(instructor_note):
        content = [part.deepcopy() for part in note]
        yield nodes.container("", *content, classes=[COPY_CLASS])


def _note_parts(app: Sphinx, doctree: nodes.document) -> None:
    """Record the text of all parts that other pages copy from this page."""
    env = app.env
    parts = [part for part_type in PART_TYPES.values() for part in part_type.copy_parts(doctree)]
    text = "".join(part.pformat() for part in [*parts, *doctree.findall(quiz)])
    noted: dict[str, str] = getattr(env, "onions_copied_parts", {})
    env.onions_copied_parts = noted | {env.docname: text}  # type: ignore[attr-defined]


def _outdated_copies(app: Sphinx, env: BuildEnvironment) -> set[str]:
    """Return all pages with copies if any copied part has changed; Sphinx writes them again."""
    noted: dict[str, str] = getattr(env, "onions_copied_parts", {})
    parts = {name: noted.get(name) for name in env.found_docs}
    written = getattr(env, "onions_copied_parts_written", None)
    env.onions_copied_parts_written = parts  # type: ignore[attr-defined]
    return set(getattr(env, "onions_collecting_pages", ())) if parts != written else set()


PART_TYPES = {
    "all-exercises": PartType("{exercise", _copy_exercises),
    "instructor-notes": PartType("{instructor}", _copy_notes),
}
