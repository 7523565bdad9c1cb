"""Explorers: figures that move. Each is a custom element with a module of its own, which a page
loads when a reader comes near; until then, and without JavaScript, a figure stands in its place.

The modules are in ``scripts/explorers``. What they show is what the page's run exported
(`onions.exports`), as a small file beside the site.
"""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.exports import MIME
from onions.extension.offline import is_offline
from onions.extension.reader import depends_on_store, site

MODULES = Path(__file__).parent / "scripts" / "explorers"
NAMES = sorted(path.stem for path in MODULES.glob("*.js"))
IMPORT = re.compile(r'(?<=from "\./)(\w+\.js)(?=")')


class explorer(nodes.General, nodes.Element):
    """The figure that stands in an explorer's place, with what its module needs."""


class Explorer(SphinxDirective):
    """``{explorer} name``: an explorer, with a title that says what to do with it.

    ``:export:`` names what this page's run exported for it, or, as ``page:name``, another's; of
    several, the module gets the values together. The content is what stands there without
    JavaScript, on paper and in a book: a figure with the same message.
    """

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "title": directives.unchanged_required,
        "export": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the node. A missing module, title, export or content stops the build."""
        name = self.arguments[0]
        if not (MODULES / f"{name}.js").exists():
            raise self.error(f"there is no explorer {name}; there are {', '.join(NAMES)}")
        if "title" not in self.options:
            raise self.error(f"the explorer {name} has no :title:, which says what to do with it")
        self.assert_has_content()
        wanted = self.options.get("export", "").split()
        others = [one.partition(":")[0] for one in wanted if ":" in one]
        if others:
            depends_on_store(self.env, *others)
        try:
            gathered(self.env.docname, wanted)
        except LookupError as missing:
            raise self.error(f"{missing.args[0]}") from None
        node = explorer(name=name, title=self.options["title"], export=wanted)
        self.state.nested_parse(self.content, self.content_offset, node)
        if not node.next_node(nodes.image):
            raise self.error(f"the explorer {name} needs a figure for readers without JavaScript")
        return [node]


def gathered(docname: str, wanted: list[str]) -> str:
    """Return as JSON what a page's explorer gets: the values of one or more exports.

    Raises LookupError, whose message says what to do, where there is no such page or export.
    """
    values: dict[str, Any] = {}
    for one in wanted:
        where, _, name = one.rpartition(":")
        if where and where not in {page.name for page in site().project.pages()}:
            raise LookupError(f":export: {one} names no page; write page:name")
        if (found := exported(where or docname).get(name)) is None:
            raise LookupError(
                f"no cell of {where or 'this page'} exports {name}; call export({name!r}, …) of "
                "onions.exports in a cell tagged remove-cell, build-only and export"
            )
        if twice := sorted(values.keys() & found):
            raise LookupError(f":export: gives {', '.join(twice)} twice; rename the values of one")
        values |= found
    return json.dumps(values, separators=(",", ":"))


def exported(docname: str) -> dict[str, dict[str, Any]]:
    """Return what a page's run exported: by name, the values, arrays as `onions.exports` packs."""
    page = site().project.page(docname)
    outputs = (output for cell in site().entry(page).cells for output in cell.outputs)
    records = (output.get("data", {}).get(MIME) for output in outputs)
    return {one["name"]: one["values"] for one in records if one}


def setup(app: Sphinx) -> None:
    """Register the directive, how its node is written, and the modules."""
    app.add_directive("explorer", Explorer)
    app.add_node(explorer, html=(_open, _close))
    app.connect("builder-inited", _copy_modules)


def _open(translator: Any, node: explorer) -> None:
    builder = translator.builder
    title = f'<p class="explorer-title">{translator.encode(node["title"])}</p>\n'
    if is_offline(builder.app):
        translator.body.append(translator.starttag(node, "div", CLASS="explorer") + title)
        return
    root = "../" * builder.current_docname.count("/")
    given = {"data-module": f"{root}_static/explorers/{node['name']}.js?v={_version()}"}
    if node["export"]:
        name = re.sub(r"\W+", "-", "-".join(node["export"]))
        where = f"_exports/{builder.current_docname}/{name}.json"
        text = gathered(builder.current_docname, node["export"])
        path = Path(builder.outdir, where)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        given["data-export"] = f"{root}{where}?v={_hash(text)}"
    tag = translator.starttag(node, f"onion-{node['name']}", CLASS="explorer", **given)
    translator.body.append(f'{tag}{title}<div class="explorer-still">\n')


def _close(translator: Any, node: explorer) -> None:
    offline = is_offline(translator.builder.app)
    translator.body.append("</div>\n" if offline else f"</div></onion-{node['name']}>\n")


def _copy_modules(app: Sphinx) -> None:
    """Put the modules beside the site. Each imports the others by address and version, so that a
    browser never mixes two versions.
    """
    if is_offline(app):
        return
    target = Path(app.outdir, "_static", "explorers")
    target.mkdir(parents=True, exist_ok=True)
    for path in MODULES.glob("*.js"):
        text = IMPORT.sub(rf"\1?v={_version()}", path.read_text("utf-8"))
        (target / path.name).write_text(text, "utf-8")


def _version() -> str:
    return _hash("".join(path.read_text("utf-8") for path in sorted(MODULES.glob("*.js"))))


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
