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

from onions.base.files import link_or_copy
from onions.extension.base.builder import connect_site
from onions.extension.base.session import note_run_dependency, session
from onions.extension.teaching.training import comparison_values
from onions.store.entries import exported_files, exports

EXPLORERS = Path(__file__).parents[1] / "explorers"
NAMES = sorted(  # the other modules are helpers
    path.stem
    for path in EXPLORERS.glob("*.js")
    if f'\ndefine("{path.stem}"' in path.read_text("utf-8")
)
MODULE = re.compile(r'(?<="\./)(\w+\.(?:js|wasm))(?=")')  # in an import or a URL

# The values of exports, by page and name.
Collected = dict[tuple[str, str], dict[str, Any]]


class explorer(nodes.General, nodes.Element):
    """An explorer's static figure, with the explorer's `name` and its options."""


class still(nodes.figure):
    """A figure without a number. On a screen, the explorer replaces it, and its number with it."""


class Explorer(SphinxDirective):
    """``{explorer} name``: an explorer; its ``:title:`` tells readers what to do with it.

    ``:export:`` lists exports of this page's run or, as ``page:name``, of another page's run. The
    module gets all their values in one object. ``:lit:`` lists the kinds of layers that the page is
    about. ``:button:`` is the text of a button: only when a reader presses it, a small form of the
    explorer loads. ``:training:`` names a training of the page or, as ``page:name``, of another
    page, with which the explorer compares a reader's own. ``:network:`` names one of the lesson's
    networks that the explorer trains instead of the exported one, and ``:change:`` lists what a
    reader may change. The content is a figure with the same message, which replaces the explorer
    without JavaScript, on paper and in an EPUB.
    """

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "title": directives.unchanged_required,
        "export": directives.unchanged_required,
        "lit": directives.unchanged_required,
        "button": directives.unchanged_required,
        "training": directives.unchanged_required,
        "network": directives.unchanged_required,
        "change": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the node. A missing module, title, export or figure stops the build."""
        name = self.arguments[0]
        if name not in NAMES:
            raise self.error(f"unknown explorer {name}. Choose one of: {', '.join(NAMES)}.")
        if "title" not in self.options:
            raise self.error(f"the explorer {name} has no :title:. Say what to do with it.")
        self.assert_has_content()
        wanted = self.options.get("export", "").split()
        pages = [export.partition(":")[0] for export in wanted if ":" in export]
        if pages:
            note_run_dependency(self.env, *pages)
        try:
            values = self._comparison_values(collect_exports(self.env.docname, wanted))
        except (LookupError, ValueError) as error:
            raise self.error(f"{error.args[0]}") from None
        node = explorer(name=name, values=values, **self.options | {"export": wanted})
        self.state.nested_parse(self.content, self.content_offset, node)
        for figure in list(node.findall(nodes.figure)):
            figure.replace_self(still("", *figure.children, **figure.attributes))
        if not node.next_node(nodes.image):
            raise self.error(f"the explorer {name} needs a figure for readers without JavaScript.")
        return [node]

    def _comparison_values(self, collected: Collected) -> dict[str, Any]:
        """Return what the explorer compares a reader's training with, if `:training:` names one."""
        if "training" not in self.options:
            return {}
        self.env.note_dependency(str(session().reference.path))
        exported = {name: value for values in collected.values() for name, value in values.items()}
        # The formulas of measures are for the exported network.
        measures = {} if "network" in self.options else exported.get("measures", {})
        page, _, training = self.options["training"].rpartition(":")
        return comparison_values(
            session().project.page(page or self.env.docname),
            training,
            measures,
            drawings=exported.get("drawings", False),
        )


def setup(app: Sphinx) -> None:
    """Register the directive and its node, and copy the modules to the site."""
    app.add_directive("explorer", Explorer)
    app.add_node(explorer, html=(_open, _close))
    connect_site(app, "builder-inited", _copy_modules)
    connect_site(app, "build-finished", _delete_old_files)


def collect_exports(docname: str, wanted: list[str]) -> Collected:
    """Return the values of the exports `wanted`, for an explorer on `docname`, by page and name.

    Each of `wanted` is the name of an export of that page, or ``page:name``. Raises LookupError
    if a page or an export does not exist, or if two exports have a value of the same name.
    """
    page_names = {page.name for page in session().project.pages()}
    collected: Collected = {}
    names: set[str] = set()
    for export in wanted:
        page, _, name = export.rpartition(":")
        if page and page not in page_names:
            raise LookupError(f":export: {export}: there is no page {page}")
        entry = session().entry(session().project.page(page or docname))
        if (values := exports(entry).get(name)) is None:
            raise LookupError(
                f"no cell of {page or 'this page'} exports {name}. Call onions.exports.export("
                f"{name!r}, …) in a cell with the tags remove-cell, build-only and export."
            )
        if repeated := ", ".join(sorted(names & values.keys())):
            raise LookupError(f":export: {repeated}: exported twice. Rename it in one export.")
        names |= values.keys()
        collected[page or docname, name] = values
    return collected


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
        addresses = _write_exports(builder, node["export"], node["values"])
        attributes["data-exports"] = " ".join(f"{root}{address}" for address in addresses)
    for option in ("lit", "network", "change"):
        if option in node:
            attributes[f"data-{option}"] = node[option]
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


def _write_exports(builder: Any, wanted: list[str], compared: dict[str, Any]) -> list[str]:
    """Write each export to a file of the site that all its explorers share.

    Copy the files that the exports refer to. `compared` gets a file, too, if it is not empty.
    Return the files' paths with versions.
    """
    addresses = []
    page = builder.current_docname
    collected = collect_exports(page, wanted)
    for source, _ in collected:
        for file in exported_files(session().entry(session().project.page(source))):
            target = Path(builder.outdir, "_exports", file)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                link_or_copy(session().store.folder / file, target)
    if compared:
        slug = re.sub(r"\W+", "-", compared["network"])
        collected[page, f"{slug}-compared"] = compared
    for (page, name), values in collected.items():
        text = json.dumps(values, separators=(",", ":"))
        path = Path(builder.outdir, "_exports", page, f"{name}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        addresses.append(f"_exports/{page}/{name}.json?v={_hash(text.encode())}")
    return addresses


def _delete_old_files(app: Sphinx, error: Exception | None) -> None:
    """Delete files of earlier exports, which Sphinx would keep."""
    folder = Path(app.outdir, "_exports")
    if error:
        return
    texts = [path.read_text("utf-8") for path in folder.rglob("*.json")]
    for path in folder.glob("*.bin"):
        if not any(path.name in text for text in texts):
            path.unlink()


def _version() -> str:
    texts = [path.read_bytes() for path in sorted(EXPLORERS.glob("*.*"))]
    return _hash(b"".join(texts))


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()[:8]
