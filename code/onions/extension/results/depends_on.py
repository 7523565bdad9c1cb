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
from onions.store.fingerprint import Components

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


def group_components(components: Components) -> dict[str, str]:
    """Return a text for each kind of component, and for each fact, with code in backticks."""
    facts = {name: _shorten_hashes(value) for name, value in components["facts"].items()}
    dependencies = format_count(len(components["dependencies"]), "package")
    versions = components["packages"]
    return {
        "code": format_count(len(components["cells"]), "cell"),
        "code that exports": format_count(len(components["exports"]), "cell"),
        "modules of ours": ", ".join(f"``{name}``" for name in components["modules"]),
        "packages": ", ".join(f"{name} {versions[name]}" for name in sorted(versions)),
        "what these need": f"{dependencies}, pinned in ``requirements.lock``",
        **facts,
    }


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
