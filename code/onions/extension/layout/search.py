"""The search: the texts of all sections, in a script that the search page loads.

Sphinx's own search finds pages, not sections, and shows titles and texts of solutions. It fetches
its excerpts from the pages, which browsers refuse for local files. This search omits folded parts
and fetches nothing. A text that several pages repeat, such as a question, is found on the first.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from onions.extension.base.builder import connect_site
from onions.extension.base.session import session
from onions.extension.teaching.explorers import explorer
from onions.extension.teaching.folding import folds
from onions.extension.teaching.instructor import for_instructors

SCRIPT = Path(__file__).with_name("search.js")


@dataclass
class Section:
    """A page, section or glossary term, with its anchor `id`, which is empty for a page."""

    id: str
    title: str = ""
    parts: list[str] = field(default_factory=list)


def collect_sections(doctree: nodes.document) -> list[Section]:
    """Return a page's sections and glossary terms.

    Folded parts, cell outputs, and the figures that explorers replace are left out.
    """
    page = Section("")
    sections = [page]
    for node in doctree.children:
        _collect(node, page, sections)
    return sections


def _collect(node: nodes.Node, current: Section, sections: list[Section]) -> None:
    hidden = isinstance(node, nodes.Invisible | nodes.raw | explorer) or for_instructors(node)
    if hidden or folds(node) or _is_output(node):
        return
    if isinstance(node, nodes.title) and isinstance(node.parent, nodes.section):
        current.title = current.title or _text(node)
    elif isinstance(node, nodes.TextElement):
        current.parts.append(_text(node))
    else:
        term = node.next_node(nodes.term) if isinstance(node, nodes.definition_list_item) else None
        # The outermost section is the page itself, which is in the list already.
        if isinstance(node, nodes.section) and node["ids"] and sections[0].title:
            current = Section(node["ids"][0])
            sections.append(current)
        elif term and term["ids"]:
            current = Section(term["ids"][0], _text(term))
            sections.append(current)
        for child in node.children:
            if child is not term or not term["ids"]:
                _collect(child, current, sections)


def _is_output(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_output"


def _text(node: nodes.Node) -> str:
    """Return a node's text on one line."""
    return " ".join(node.astext().split())


def setup(app: Sphinx) -> None:
    """Replace Sphinx's search."""
    app.connect("builder-inited", _switch_off)
    # Late, because Sphinx must first resolve numbers, and `folding` must remove repeated ids.
    connect_site(app, "doctree-resolved", _keep, priority=900)
    connect_site(app, "html-collect-pages", _write)


def _switch_off(app: Sphinx) -> None:
    app.builder.search = False  # type: ignore[attr-defined]


def _keep(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Save a page's sections beside its doctree, for builds that do not write the page again."""
    sections = [asdict(section) for section in collect_sections(doctree)]
    _sections_path(app, docname).write_text(json.dumps(sections), "utf-8")


def _sections_path(app: Sphinx, docname: str) -> Path:
    return Path(app.doctreedir, f"{docname}.search.json")


def _write(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Write the two scripts, and yield the search page that loads them."""
    pages = []
    seen: set[str] = set()
    for page in session().project.pages():
        sections = json.loads(_sections_path(app, page.name).read_text("utf-8"))
        rows = []
        for section in sections:
            new = [part for part in dict.fromkeys(section["parts"]) if part not in seen]
            seen.update(new)
            rows.append([section["id"], section["title"], " ".join(new)])
        pages.append([app.builder.get_target_uri(page.name), rows])
    texts = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
    scripts = {
        "search-texts.js": f"const searchTexts = {texts};\n",
        SCRIPT.name: SCRIPT.read_text("utf-8"),
    }
    static = Path(app.outdir, "_static")
    static.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (static / name).write_text(script, "utf-8")
    # The hash makes a browser load a changed script again instead of its cached copy.
    urls = [f"_static/{n}?v={sha256(s.encode()).hexdigest()[:8]}" for n, s in scripts.items()]
    yield "search", {"title": "Search", "search_scripts": urls}, "search.html"
