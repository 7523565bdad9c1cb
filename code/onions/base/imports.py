"""The imports of source code: our own modules, and the distributions that they need.

Source code is parsed, never run.
"""

import ast
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

PACKAGE = Path(__file__).parents[1]  # the folder of the package `onions`
# Distributions whose names on PyPI differ from their import names, by import name.
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}
# Undeclared dependencies of distributions: Keras needs a backend, and ours is TensorFlow.
BACKENDS = {"keras": "tensorflow"}


def imported_names(trees: Iterable[ast.AST], *, nested: bool = True) -> set[str]:
    """Return the dotted names that code imports; without `nested`, only at module level."""
    names = set()
    for tree in trees:
        for node in ast.walk(tree) if nested else ast.iter_child_nodes(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def closure(names: Iterable[str]) -> set[str]:
    """Return our modules among `names`, and all our modules that they import, even indirectly."""
    modules: set[str] = set()
    pending = {name for name in names if is_own_module(name)}
    while pending:
        module = pending.pop()
        modules.add(module)
        pending |= {name for name in imported_by({module}) if is_own_module(name)} - modules
    return modules


def imported_by(modules: set[str], *, nested: bool = True) -> set[str]:
    """Return the dotted names that our modules import, and the packages that contain the modules.

    Importing a module runs the ``__init__.py`` of each package above it. Without `nested`, only
    imports at module level count.
    """
    packages = {name.rpartition(".")[0] for name in modules if name.count(".") > 1}
    return packages.union(*(_imports_in(read_source(name), nested) for name in modules))


def distributions(names: Iterable[str]) -> set[str]:
    """Return the distributions that dotted names need, by their names on PyPI.

    Our own package and the standard library do not count.
    """
    tops = {name.partition(".")[0] for name in names}
    needed = {
        str(canonicalize_name(DISTRIBUTIONS.get(name, name)))
        for name in tops - sys.stdlib_module_names - {"onions", "__future__"}
    }
    return needed | {BACKENDS[name] for name in needed & BACKENDS.keys()}


def is_own_module(name: str) -> bool:
    """Return whether a dotted name is a module or a package inside `onions`."""
    return name.startswith("onions.") and source_path(name).exists()


def read_source(name: str) -> str:
    """Return the source code of one of our modules. Raises OSError for any other name."""
    return source_path(name).read_text("utf-8")


def source_path(name: str) -> Path:
    """Return the file of one of our modules, whether or not it exists."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def module_name(path: Path) -> str:
    """Return the dotted name of the module in `path`. Raises ValueError if it is not ours."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache  # all pages of a book import the same few modules
def _imports_in(source: str, nested: bool) -> frozenset[str]:
    return frozenset(imported_names([ast.parse(source)], nested=nested))
