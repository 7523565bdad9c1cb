"""The directive that shows what a page's fingerprint was computed from."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.claims import KEY
from onions.extension.reader import depends_on_store, site
from onions.extension.results import table
from onions.fingerprint import CELLS, versions
from onions.lint import named

SHORT = 12  # digits of a hash that are shown


class DependsOn(SphinxDirective):
    """``{depends-on} page``: what the page's fingerprint was computed from when it last ran."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        [page] = named(site().project, self.arguments)
        depends_on_store(self.env, page.name)
        parts = site().entry(page).metadata[KEY]["components"]
        rows: list[list[Any]] = [
            [name, _marked(nodes.inline(), value)] for name, value in grouped(parts).items()
        ]
        return [table(["Part", "In this build"], rows)]


def grouped(parts: dict[str, str]) -> dict[str, str]:
    """Return all components of a fingerprint, those of one kind together."""
    packages = versions(parts)
    modules = [f"``{name}``" for name in parts if name.endswith(".py")]
    groups = {
        "code": _count(parts, CELLS[0], "cell"),
        "code that exports": _count(parts, CELLS[1], "cell"),
        "modules of ours": ", ".join(modules),
        "packages": ", ".join(f"{name} {packages[name]}" for name in sorted(packages)),
    }
    rest = {n: p for n, p in parts.items() if not (n.startswith(CELLS) or n in packages)}
    return groups | {n: _short(p) for n, p in rest.items() if not n.endswith(".py")}


def _count(parts: dict[str, str], prefix: str, what: str) -> str:
    number = sum(name.startswith(prefix) for name in parts)
    return f"{number} {what}{'s' * (number != 1)}"


def _short(part: str) -> str:
    return re.sub(rf"\b([0-9a-f]{{{SHORT}}})[0-9a-f]+\b", r"\1…", part)


def _marked(parent: nodes.TextElement, text: str) -> nodes.TextElement:
    """Return an element with a text whose parts between backticks are code."""
    for at, part in enumerate(re.split("`+", text)):
        parent += nodes.literal(text=part) if at % 2 else nodes.Text(part)
    return parent


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("depends-on", DependsOn)
