"""What code imports: modules of ours, with all that they import in turn, and packages.

The code is read for that, never imported.
"""

import ast
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

PACKAGE = Path(__file__).parent
# Packages whose import name is not the name they are installed by.
INSTALLED_AS = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}


def imports(trees: Iterable[ast.AST], *, nested: bool = True) -> set[str]:
    """Return the full names that code imports; without `nested` only those at its top."""
    names = set()
    for tree in trees:
        for node in ast.walk(tree) if nested else ast.iter_child_nodes(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def closure(names: set[str]) -> set[str]:
    """Return the modules of ours among `names`, and all those that they import."""
    found: set[str] = set()
    waiting = {name for name in names if is_ours(name)}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= {other for other in needed_by({name}) if is_ours(other)} - found
    return found


def needed_by(modules: set[str], *, nested: bool = True) -> set[str]:
    """Return the full names that modules of ours import; without `nested` only at their top."""
    return set().union(*(_imports_in(source(name), nested) for name in modules))


def packages(names: Iterable[str]) -> set[str]:
    """Return the packages that full names belong to, by the names that pip knows; not ours, and
    not Python's own.
    """
    tops = {name.partition(".")[0] for name in names}
    return {
        str(canonicalize_name(INSTALLED_AS.get(name, name)))
        for name in tops - sys.stdlib_module_names - {"onions", "__future__"}
    }


def modules() -> list[str]:
    """Return the full names of our modules, without those of the extension."""
    return sorted(f"onions.{path.stem}" for path in PACKAGE.glob("*.py"))


def is_ours(name: str) -> bool:
    """Tell whether a full name is one of `modules`."""
    package, _, module = name.partition(".")
    return package == "onions" and (PACKAGE / f"{module}.py").exists()


def source(name: str) -> str:
    """Return the source of one of `modules`. Raises OSError for any other name."""
    return (PACKAGE / f"{name.partition('.')[2]}.py").read_text("utf-8")


@cache  # every page of a book asks for the same few modules
def _imports_in(source: str, nested: bool) -> frozenset[str]:
    return frozenset(imports([ast.parse(source)], nested=nested))
