"""The instructor view: notes for instructors in the text of the pages.

A page shows its notes if its URL ends with ``?instructor``, which a switch in the sidebar adds.
Without JavaScript, all notes are readable on the page that has ``{instructor-notes}``.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.extension.base.nodes import INSTRUCTOR_ONLY


class instructor_note(nodes.General, nodes.Element):
    """A note; its first paragraph is its title, which may state the minutes."""


class Instructor(SphinxDirective):
    """``{instructor} 5``: a note for instructors that takes 5 minutes; the number is optional."""

    optional_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the note."""
        heading = "For instructors"
        if self.arguments:
            if not self.arguments[0].isdecimal():
                raise self.error(f"{self.arguments[0]} is not a whole number of minutes")
            heading += f", {self.arguments[0]} min"
        title = nodes.paragraph(text=heading, classes=["admonition-title"])
        note = instructor_note("", title)
        self.state.nested_parse(self.content, self.content_offset, note)
        return [note]


def setup(app: Sphinx) -> None:
    """Register the directive and its node."""
    app.add_directive("instructor", Instructor)
    app.add_node(instructor_note, html=(_open, _close))


def for_instructors(node: nodes.Node) -> bool:
    """Return whether a part of a page is visible only in the instructor view."""
    classes = node.get("classes", ()) if isinstance(node, nodes.Element) else ()
    return isinstance(node, instructor_note) or INSTRUCTOR_ONLY in classes


def _open(translator: Any, node: nodes.Element) -> None:
    start = translator.starttag(
        node, "div", CLASS=f"admonition instructor {INSTRUCTOR_ONLY}", role="note"
    )
    translator.body.append(start)


def _close(translator: Any, node: nodes.Element) -> None:
    translator.body.append("</div>\n")
