"""Directives that gather from all pages: key points, exercises, quizzes, notes for instructors.

All but the first copy parts of other pages, which are known only when all pages have been read.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx_exercise.nodes import is_exercise_node

from onions.extension.instructor import instructor_note
from onions.extension.offline import is_offline
from onions.extension.quiz_nodes import quiz
from onions.extension.quizzes import in_mixed_order
from onions.extension.reader import depends_on_lessons, site
from onions.extension.results import page_link
from onions.pages import Page


class KeyPoints(SphinxDirective):
    """``{key-points}``: the key points of every lesson page, below its title."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each page."""
        depends_on_lessons(self.env)
        return [
            _section(self, page, *self._points(page))
            for page in site().project.pages()
            if page.lesson
        ]

    def _points(self, page: Page) -> list[nodes.Node]:
        found = nodes.container()
        lines = StringList([f"- {point}" for point in page.lesson["keypoints"]], self.env.docname)
        self.state.nested_parse(lines, 0, found)
        return found.children


class gathered(nodes.General, nodes.Element):
    """Stands where the copies will; `what` is the directive's name, `page` whose they are."""


class Gathered(SphinxDirective):
    """``{all-exercises}`` and ``{instructor-notes}``: what the pages hold of it, page by page;
    ``{all-quizzes}``: their questions, mixed.
    """

    def run(self) -> list[nodes.Node]:
        """Return the places where the copies will stand: a section for each page, or one place."""
        depends_on_lessons(self.env)
        noted: set[str] = getattr(self.env, "onions_gatherers", set())
        self.env.onions_gatherers = noted | {self.env.docname}  # type: ignore[attr-defined]
        if self.name == QUIZZES:
            return [gathered(what=QUIZZES)]
        return [
            _section(self, page, gathered(what=self.name, page=page.name))
            for page in site().project.pages()
            if COPIES[self.name].start in page.text
        ]


def _section(directive: SphinxDirective, page: Page, *content: nodes.Node) -> nodes.section:
    """Return a section about a page, with a title that leads there."""
    title = nodes.title("", "", page_link(directive.env, page))
    found = nodes.section("", title, *content, names=[page.name])
    directive.state.document.note_implicit_target(found)  # which gives it an id
    return found


class Gather(SphinxPostTransform):
    """Put the copies in their place, before the links in them are resolved."""

    default_priority = 1

    def run(self, **_: Any) -> None:
        """Replace each place of the page."""
        for place in list(self.document.findall(gathered)):
            mixed = place["what"] == QUIZZES
            place.replace_self(list(self._mixed() if mixed else self._of_page(**place.attributes)))

    def _of_page(self, what: str, page: str, **_: Any) -> Iterator[nodes.Node]:
        copies = COPIES[what].of(self.env.get_doctree(page))
        return (self._as_ours(copy, page) for copy in copies)

    def _mixed(self) -> Iterator[nodes.Node]:
        """Yield the quizzes, each with a link to its page, and how many are answered."""
        found = [
            (one.deepcopy(), page)
            for page in site().project.pages()
            for one in self.env.get_doctree(page.name).findall(quiz)
        ]
        pages = {one["name"]: page for one, page in found}
        for one in in_mixed_order([one for one, _ in found]):
            one["review"] = True
            page = pages[one["name"]]
            link = nodes.paragraph("", "", nodes.Text("From "), page_link(self.env, page))
            yield nodes.container("", self._as_ours(one, page.name), link, classes=["gathered"])
        if not is_offline(self.app):
            yield nodes.raw("", PROGRESS.format(len(found)), format="html")

    def _as_ours(self, copy: nodes.Element, page: str) -> nodes.Node:
        """Return a part of another page as one of this: its links lead on, its ids stay there, and
        what has a number there, as a figure has, shows the same number.
        """
        kind_of = self.env.get_domain("std").get_enumerable_node_type
        theirs, ours = (self.env.toc_fignumbers.setdefault(n, {}) for n in (page, self.env.docname))
        for element in copy.findall(nodes.Element):
            ids, element["ids"] = element["ids"], []
            if ids and (kind := kind_of(element)):
                element["ids"] = [nodes.make_id(f"{page}-{ids[0]}")]
                if number := theirs.get(kind, {}).get(ids[0]):
                    ours.setdefault(kind, {})[element["ids"][0]] = number
            if isinstance(element, addnodes.pending_xref):
                element["refdoc"] = self.env.docname
        return copy


def _exercises(doctree: nodes.document) -> Iterator[nodes.Element]:
    """Yield what each exercise asks, below its number and title, which lead to it."""
    for exercise in doctree.findall(is_exercise_node):
        name = exercise[0][-1].astext().replace("{", "{{").replace("}", "}}")
        title = nodes.inline(text=f"Exercise {{number}}: {name}")  # Sphinx fills in the number
        target = {"refdomain": "std", "reftype": "numref", "reftarget": exercise["label"]}
        link = addnodes.pending_xref("", title, refexplicit=True, refwarn=True, **target)
        parts = (part for part in exercise[1] if not isinstance(part, nodes.hint))
        copies = [part.deepcopy() for part in parts]
        yield nodes.container("", nodes.paragraph("", "", link), *copies, classes=["gathered"])


def _notes(doctree: nodes.document) -> Iterator[nodes.Element]:
    """Yield a page's notes for instructors."""
    for note in doctree.findall(instructor_note):
        copies = [part.deepcopy() for part in note]
        yield nodes.container("", *copies, classes=["gathered"])


def _note_parts(app: Sphinx, doctree: nodes.document) -> None:
    """Note what of a page the gathering pages copy, once it is read."""
    env = app.env
    parts = [part for kind in COPIES.values() for part in kind.of(doctree)]
    look = "".join(part.pformat() for part in [*parts, *doctree.findall(quiz)])
    known: dict[str, str] = getattr(env, "onions_parts", {})
    env.onions_parts = known | {env.docname: look}  # type: ignore[attr-defined]


def _write_again(app: Sphinx, env: BuildEnvironment) -> set[str]:
    """Name the gathering pages where what they copy has changed: they are not read again."""
    known: dict[str, str] = getattr(env, "onions_parts", {})
    parts = {name: known.get(name) for name in env.found_docs}
    before = getattr(env, "onions_parts_written", None)
    env.onions_parts_written = parts  # type: ignore[attr-defined]
    return set(getattr(env, "onions_gatherers", ())) if parts != before else set()


class Kind(NamedTuple):
    """What is gathered page by page: how it starts in a page's text, and the copies of a page's."""

    start: str
    of: Callable[[nodes.document], Iterator[nodes.Element]]


QUIZZES = "all-quizzes"
PROGRESS = """<div class="quiz-progress needs-js"><output>0 of {} right so far.</output>
<button type="button">Start again</button></div>"""
COPIES = {
    "all-exercises": Kind("{exercise", _exercises),
    "instructor-notes": Kind("{instructor}", _notes),
}


def setup(app: Sphinx) -> None:
    """Register the directives, and what fills their places."""
    app.add_directive("key-points", KeyPoints)
    app.add_node(gathered)
    for name in (*COPIES, QUIZZES):
        app.add_directive(name, Gathered)
    app.add_post_transform(Gather)
    app.connect("doctree-read", _note_parts)
    app.connect("env-updated", _write_again)
