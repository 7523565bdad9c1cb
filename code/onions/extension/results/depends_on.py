"""The directive that shows the components of a page's fingerprint."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.base.text import format_count
from onions.book.project import select_pages
from onions.claims import KEY
from onions.extension.base.nodes import table
from onions.extension.base.session import note_run_dependency, session
from onions.store.fingerprint import CELL_PREFIXES, package_versions

SHOWN_DIGITS = 12  # of a hash


class DependsOn(SphinxDirective):
    """``{depends-on} page``: the components of the page's fingerprint in its last run."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        [page] = select_pages(session().project, self.arguments)
        note_run_dependency(self.env, page.name)
        components = session().entry(page).metadata[KEY]["components"]
        rows: list[list[Any]] = [
            [kind, _with_code(text)] for kind, text in group_components(components).items()
        ]
        return [table(["Part", "In this build"], rows)]


def group_components(components: dict[str, str]) -> dict[str, str]:
    """Return a text for each kind of component, with code in backticks."""
    packages = package_versions(components)
    modules = [f"``{name}``" for name in components if name.endswith(".py")]
    groups = {
        "code": _count_cells(components, CELL_PREFIXES[0]),
        "code that exports": _count_cells(components, CELL_PREFIXES[1]),
        "modules of ours": ", ".join(modules),
        "packages": ", ".join(f"{name} {packages[name]}" for name in sorted(packages)),
    }
    others = {
        name: _shorten_hashes(value)
        for name, value in components.items()
        if not name.startswith(CELL_PREFIXES) and not name.endswith(".py") and name not in packages
    }
    return groups | others


def _count_cells(components: dict[str, str], prefix: str) -> str:
    count = sum(name.startswith(prefix) for name in components)
    return format_count(count, "cell")


def _shorten_hashes(text: str) -> str:
    return re.sub(rf"\b([0-9a-f]{{{SHOWN_DIGITS}}})[0-9a-f]+\b", r"\1…", text)


def _with_code(text: str) -> nodes.inline:
    """Return the text as a node that shows the parts in backticks as code."""
    inline = nodes.inline()
    for number, part in enumerate(re.split("`+", text)):
        inline += nodes.literal(text=part) if number % 2 else nodes.Text(part)
    return inline


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("depends-on", DependsOn)
