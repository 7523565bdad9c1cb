"""Tips: explanations of terms and citations, shown on hover, focus or tap.

The link leads to the glossary or the bibliography, so readers do not depend on the tip.
"""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from onions.extension.base.builder import connect_site


class explanation(nodes.inline):
    """The text of a tip; it follows its link and is shown on demand."""


def setup(app: Sphinx) -> None:
    """Register the node, and add the tips once all links are resolved."""
    app.add_node(explanation, html=(_open, _close))
    connect_site(app, "doctree-resolved", _add_tips, priority=900)


def _add_tips(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    definitions: dict[str, str] = {}
    number = 0
    for link in list(doctree.findall(nodes.reference)):
        _, _, anchor = link.get("refuri", "").partition("#")
        text = link.attributes.pop("reftitle", "")  # of a citation; browsers show it only on hover
        leads_elsewhere = link.get("internal") and link.get("refuri") != f"#{anchor}"
        if leads_elsewhere and anchor.startswith("term-"):
            definitions = definitions or dict(_definitions(app))
            text = definitions.get(anchor, text)  # a heading's anchor may also begin with term-
        if text:
            number += 1
            tip = explanation("", text, ids=[f"tip-{number}"])
            link.parent.insert(link.parent.index(link) + 1, tip)


def _definitions(app: Sphinx) -> Iterator[tuple[str, str]]:
    """Yield each glossary term's anchor and explanation."""
    objects = app.env.get_domain("std").get_objects()
    for docname in {page for _, _, object_type, page, _, _ in objects if object_type == "term"}:
        for item in app.env.get_doctree(docname).findall(nodes.definition_list_item):
            for term in item.findall(nodes.term):
                yield from ((anchor, item[-1].astext()) for anchor in term["ids"])


def _open(translator: Any, node: nodes.Element) -> None:
    translator.body.append(translator.starttag(node, "span", "", CLASS="tip"))


def _close(translator: Any, node: nodes.Element) -> None:
    translator.body.append("</span>")
