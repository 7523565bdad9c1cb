"""Explorers: interactive figures. Each is a custom element with its own JavaScript module.

A page loads the module when the reader scrolls near the explorer. Until then, and without
JavaScript, it shows a static figure. The modules are in ``extension/explorers``. They load small
files with data that runs exported (`onions.exports`).
"""

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.exports import MIME
from onions.extension.base.builder import connect_site
from onions.extension.base.session import note_run_dependency, session

EXPLORERS = Path(__file__).parents[1] / "explorers"
NAMES = sorted(  # the other modules are helpers
    path.stem
    for path in EXPLORERS.glob("*.js")
    if f'\ndefine("{path.stem}"' in path.read_text("utf-8")
)
MODULE = re.compile(r'(?<="\./)(\w+\.(?:js|wasm))(?=")')  # in an import or a URL


class explorer(nodes.General, nodes.Element):
    """An explorer's static figure, with the explorer's `name` and its options."""


class still(nodes.figure):
    """A figure without a number. On a screen, the explorer replaces it, and its number with it."""


class Explorer(SphinxDirective):
    """``{explorer} name``: an explorer; its ``:title:`` tells readers what to do with it.

    ``:export:`` lists exports of this page's run or, as ``page:name``, of another page's run. The
    module gets all their values in one object. ``:lit:`` lists the kinds of layers that the page is
    about. ``:button:`` is the text of a button: only when a reader presses it, a small form of the
    explorer loads. The content is a figure with the same message, which replaces the explorer
    without JavaScript, on paper and in an EPUB.
    """

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "title": directives.unchanged_required,
        "export": directives.unchanged_required,
        "lit": directives.unchanged_required,
        "button": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the node. A missing module, title, export or figure stops the build."""
        name = self.arguments[0]
        if name not in NAMES:
            raise self.error(f"unknown explorer {name}. Choose one of: {', '.join(NAMES)}.")
        if "title" not in self.options:
            raise self.error(f"the explorer {name} has no :title:. Say what to do with it.")
        self.assert_has_content()
        exports = self.options.get("export", "").split()
        pages = [export.partition(":")[0] for export in exports if ":" in export]
        if pages:
            note_run_dependency(self.env, *pages)
        try:
            collect_exports(self.env.docname, exports)
        except LookupError as missing:
            raise self.error(f"{missing.args[0]}") from None
        node = explorer(name=name, **self.options | {"export": exports})
        self.state.nested_parse(self.content, self.content_offset, node)
        for figure in list(node.findall(nodes.figure)):
            figure.replace_self(still("", *figure.children, **figure.attributes))
        if not node.next_node(nodes.image):
            raise self.error(f"the explorer {name} needs a figure for readers without JavaScript.")
        return [node]


def setup(app: Sphinx) -> None:
    """Register the directive and its node, and copy the modules to the site."""
    app.add_directive("explorer", Explorer)
    app.add_node(explorer, html=(_open, _close))
    connect_site(app, "builder-inited", _copy_modules)


def collect_exports(docname: str, exports: list[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the values of `exports`, for an explorer on the page `docname`, by page and name.

    Each of `exports` is the name of an export of that page, or ``page:name``. Raises LookupError
    if a page or an export does not exist, or if two exports have a value of the same name.
    """
    page_names = {page.name for page in session().project.pages()}
    collected: dict[tuple[str, str], dict[str, Any]] = {}
    names: set[str] = set()
    for export in exports:
        page, _, name = export.rpartition(":")
        if page and page not in page_names:
            raise LookupError(f":export: {export}: there is no page {page}")
        if (values := page_exports(page or docname).get(name)) is None:
            raise LookupError(
                f"no cell of {page or 'this page'} exports {name}. Call onions.exports.export("
                f"{name!r}, …) in a cell with the tags remove-cell, build-only and export."
            )
        if repeated := ", ".join(sorted(names & values.keys())):
            raise LookupError(f":export: {repeated}: exported twice. Rename it in one export.")
        names |= values.keys()
        collected[page or docname, name] = values
    return collected


def page_exports(docname: str) -> dict[str, dict[str, Any]]:
    """Return the values that a page's run exported, by export name; arrays are in base64."""
    page = session().project.page(docname)
    outputs = (output for cell in session().entry(page).cells for output in cell.outputs)
    records = (output.get("data", {}).get(MIME) for output in outputs)
    return {record["name"]: record["values"] for record in records if record}


def _copy_modules(app: Sphinx) -> None:
    """Copy the modules to the site, and add a version to the URLs in them.

    The version keeps a browser from mixing modules of two builds.
    """
    target = Path(app.outdir, "_static", "explorers")
    target.mkdir(parents=True, exist_ok=True)
    version = _version()
    for path in EXPLORERS.glob("*.js"):
        text = MODULE.sub(rf"\1?v={version}", path.read_text("utf-8"))
        (target / path.name).write_text(text, "utf-8")
    shutil.copy(EXPLORERS / "core.wasm", target)


def _open(translator: Any, node: explorer) -> None:
    builder = translator.builder
    root = "../" * builder.current_docname.count("/")
    attributes = {"data-module": f"{root}_static/explorers/{node['name']}.js?v={_version()}"}
    if node["export"]:
        addresses = _write_exports(builder, node["export"])
        attributes["data-exports"] = " ".join(f"{root}{address}" for address in addresses)
    if "lit" in node:
        attributes["data-lit"] = node["lit"]
    button = ""
    if "button" in node:
        attributes["data-small"] = ""
        text = translator.encode(node["button"])
        button = f'<button type="button" class="explorer-open">{text}</button>\n'
    tag = translator.starttag(node, f"onion-{node['name']}", CLASS="explorer", **attributes)
    title = f'<p class="explorer-title">{translator.encode(node["title"])}</p>\n'
    translator.body.append(f'{tag}{title}{button}<div class="explorer-still">\n')


def _close(translator: Any, node: explorer) -> None:
    translator.body.append(f"</div></onion-{node['name']}>\n")


def _write_exports(builder: Any, exports: list[str]) -> list[str]:
    """Write each export to a file of the site that all its explorers share.

    Return the files' paths with versions.
    """
    addresses = []
    for (page, name), values in collect_exports(builder.current_docname, exports).items():
        text = json.dumps(values, separators=(",", ":"))
        path = Path(builder.outdir, "_exports", page, f"{name}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        addresses.append(f"_exports/{page}/{name}.json?v={_hash(text.encode())}")
    return addresses


def _version() -> str:
    texts = [path.read_bytes() for path in sorted(EXPLORERS.glob("*.*"))]
    return _hash(b"".join(texts))


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()[:8]
