"""Directives that say how the book is made, from the code and the store themselves."""

import ast
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import onions
from onions.claims import KEY
from onions.extension.reader import depends_on_store, site
from onions.extension.results import table
from onions.fingerprint import CELLS, versions
from onions.lint import named

CODE = Path(onions.__file__).parent
SHORT = 12  # digits of a hash that are shown


class Modules(SphinxDirective):
    """``{modules}``: the package's modules in the order of its docstring, each with the first
    sentence of its own; ``{modules} extension``: those of the extension.
    """

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        folder = CODE.joinpath(*self.arguments)
        self.env.note_dependency(str(folder / "__init__.py"))
        found = nodes.bullet_list(bullet="-")
        for path in listed(folder):
            self.env.note_dependency(str(path))
            name = path.parent.name if path.name == "__init__.py" else path.stem
            found += nodes.list_item(
                "", _marked(nodes.paragraph(), f"``{name}``: {_sentence(path)}")
            )
        return [found]


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


def listed(package: Path) -> list[Path]:
    """Return the files of the modules that a package's docstring names, in its order."""
    names = re.findall(r"``(\w+)``", _docstring(package / "__init__.py"))
    paths = [(package / f"{name}.py", package / name / "__init__.py") for name in names]
    return [path for either in paths for path in either if path.exists()]


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


def _sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    text = " ".join(_docstring(path).split())
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""


def _marked(parent: nodes.TextElement, text: str) -> nodes.TextElement:
    """Return an element with a text whose parts between backticks are code."""
    for at, part in enumerate(re.split("`+", text)):
        parent += nodes.literal(text=part) if at % 2 else nodes.Text(part)
    return parent


def setup(app: Sphinx) -> None:
    """Register the directives."""
    app.add_directive("modules", Modules)
    app.add_directive("depends-on", DependsOn)
