"""The search: the texts of all sections, in one script that the search page loads.

Sphinx's own search finds pages, not sections, and lists the titles of solutions. For its excerpts
it fetches the pages it found, which a browser refuses for files, and shows what is in a solution.
Here nothing that folds gets into the texts, and nothing is fetched.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from onions.extension.details import folds
from onions.extension.instructor import for_instructors
from onions.extension.offline import is_offline
from onions.extension.reader import site

SCRIPT = Path(__file__).parent / "scripts" / "search.js"


@dataclass
class Section:
    """A part of a page that a link can lead to: its id, which is empty for the page, and text."""

    id: str
    title: str = ""
    parts: list[str] = field(default_factory=list)


def sections(doctree: nodes.document) -> list[Section]:
    """Return the sections of a page and the terms it explains, less what folds and what ran."""
    page = Section("")
    found = [page]
    for node in doctree.children:
        _collect(node, page, found)
    return found


def _collect(node: nodes.Node, current: Section, found: list[Section]) -> None:
    unseen = isinstance(node, nodes.Invisible | nodes.raw) or for_instructors(node)
    if unseen or folds(node) or _is_output(node):
        return
    if isinstance(node, nodes.title) and isinstance(node.parent, nodes.section):
        current.title = current.title or _words(node)
    elif isinstance(node, nodes.TextElement):
        current.parts.append(_words(node))
    else:
        term = node.next_node(nodes.term) if isinstance(node, nodes.definition_list_item) else None
        if isinstance(node, nodes.section) and node["ids"] and found[0].title:
            current = Section(node["ids"][0])
            found.append(current)
        elif term and term["ids"]:
            current = Section(term["ids"][0], _words(term))
            found.append(current)
        for child in node.children:
            if child is not term or not term["ids"]:
                _collect(child, current, found)


def _is_output(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_output"


def _words(node: nodes.Node) -> str:
    return " ".join(node.astext().split())


def setup(app: Sphinx) -> None:
    """Take the place of Sphinx's search."""
    app.connect("builder-inited", _switch_off)
    app.connect("doctree-resolved", _keep, priority=900)  # with its numbers, and its own ids
    app.connect("html-collect-pages", _write)


def _switch_off(app: Sphinx) -> None:
    app.builder.search = False  # type: ignore[attr-defined]


def _keep(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Keep a page's sections beside its doctree, for builds in which it does not change."""
    if not is_offline(app):
        facts = [asdict(section) for section in sections(doctree)]
        _kept(app, docname).write_text(json.dumps(facts), "utf-8")


def _kept(app: Sphinx, docname: str) -> Path:
    return Path(app.doctreedir, f"{docname}.search.json")


def _write(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Write the two scripts, and name the page that loads them."""
    if is_offline(app):
        return
    pages = []
    for page in site().project.pages():
        kept = json.loads(_kept(app, page.name).read_text("utf-8"))
        parts = [[part["id"], part["title"], " ".join(part["parts"])] for part in kept]
        pages.append([app.builder.get_target_uri(page.name), parts])
    texts = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
    scripts = {
        "search-texts.js": f"const searchTexts = {texts};\n",
        SCRIPT.name: SCRIPT.read_text("utf-8"),
    }
    static = Path(app.outdir, "_static")
    static.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (static / name).write_text(script, "utf-8")
    # The hash has a browser load a new script, and not the one that it remembers.
    names = [f"_static/{n}?v={sha256(s.encode()).hexdigest()[:8]}" for n, s in scripts.items()]
    yield "search", {"title": "Search", "search_scripts": names}, "search.html"
