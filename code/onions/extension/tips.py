"""What a term or a citation means, beside it: shown while it is pointed at, focused or tapped.

The link itself leads to the glossary or the bibliography, so nothing is lost where no tip shows.
"""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from onions.extension.offline import is_offline


class explanation(nodes.inline):
    """What follows a link, and is shown on demand."""


def setup(app: Sphinx) -> None:
    """Register the node, and add the tips once all links are resolved."""
    app.add_node(explanation, html=(_open, _close))
    app.connect("doctree-resolved", _add, priority=900)


def _add(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if is_offline(app):
        return
    definitions: dict[str, str] = {}
    number = 0
    for link in list(doctree.findall(nodes.reference)):
        _, _, anchor = link.get("refuri", "").partition("#")
        text = link.attributes.pop("reftitle", "")  # of a citation: what a mouse alone would show
        leads_on = link.get("internal") and link.get("refuri") != f"#{anchor}"
        if leads_on and anchor.startswith("term-"):
            definitions = definitions or dict(_definitions(app))
            text = definitions.get(anchor, text)  # a heading may begin with “term”, too
        if text:
            number += 1
            after = explanation("", text, ids=[f"tip-{number}"])
            link.parent.insert(link.parent.index(link) + 1, after)


def _definitions(app: Sphinx) -> Iterator[tuple[str, str]]:
    """Yield the anchor of every term in a glossary with its explanation."""
    known = app.env.get_domain("std").get_objects()
    for docname in {where for _, _, kind, where, _, _ in known if kind == "term"}:
        for item in app.env.get_doctree(docname).findall(nodes.definition_list_item):
            for term in item.findall(nodes.term):
                yield from ((anchor, item[-1].astext()) for anchor in term["ids"])


def _open(translator: Any, node: nodes.Element) -> None:
    translator.body.append(translator.starttag(node, "span", "", CLASS="tip"))


def _close(translator: Any, node: nodes.Element) -> None:
    translator.body.append("</span>")
