"""The instructor view: notes between the lines, for whoever teaches from a page.

They are on every page, and shown when its address ends in ``?instructor``, which a switch in the
sidebar adds. Without JavaScript they stand on the page that has ``{instructor-notes}``.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.extension.offline import is_offline

ONLY = "instructor-only"  # the class of what the view adds to a page


class instructor_note(nodes.General, nodes.Element):
    """A note; its first paragraph says for whom, and how long it takes."""


class Instructor(SphinxDirective):
    """``{instructor} 5``: a note for whoever teaches; the number is the minutes it takes."""

    optional_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the note."""
        heading = "For instructors"
        if self.arguments:
            if not self.arguments[0].isdecimal():
                raise self.error(f"{self.arguments[0]} is no number of minutes")
            heading += f", {self.arguments[0]} min"
        title = nodes.paragraph(text=heading, classes=["admonition-title"])
        note = instructor_note("", title)
        self.state.nested_parse(self.content, self.content_offset, note)
        return [note]


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("instructor", Instructor)
    app.add_node(instructor_note, html=(_open, _close))
    app.connect("doctree-resolved", _leave_out)


def for_instructors(node: nodes.Node) -> bool:
    """Tell whether a part of a page shows in the instructor view only."""
    classes = node.get("classes", ()) if isinstance(node, nodes.Element) else ()
    return isinstance(node, instructor_note) or ONLY in classes


def _leave_out(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Take everything that belongs to the view out of an EPUB's page, which has no switch."""
    if is_offline(app):
        for element in list(doctree.findall(nodes.Element)):
            if for_instructors(element):
                element.parent.remove(element)


def _open(translator: Any, node: nodes.Element) -> None:
    start = translator.starttag(node, "div", CLASS=f"admonition instructor {ONLY}", role="note")
    translator.body.append(start)


def _close(translator: Any, node: nodes.Element) -> None:
    translator.body.append("</div>\n")
