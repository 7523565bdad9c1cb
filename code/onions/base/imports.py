"""The imports of source code: our own modules, and the distributions that they need.

Source code is parsed, never run.
"""

import ast
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

PACKAGE = Path(__file__).parents[1]  # the folder of the package `onions`
# Distributions whose names on PyPI differ from their import names, by import name.
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}
# Undeclared dependencies of distributions: Keras needs a backend, and ours is TensorFlow.
BACKENDS = {"keras": "tensorflow"}


def imported_names(trees: Iterable[ast.AST], *, nested: bool = True, package: str = "") -> set[str]:
    """Return the dotted names that code imports; without `nested`, only at module level.

    Relative imports begin at `package`.
    """
    names = set()
    for tree in trees:
        for node in ast.walk(tree) if nested else ast.iter_child_nodes(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (package or not node.level):
                module = ".".join(filter(None, [_base(package, node.level), node.module]))
                names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
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
    packages = {name.rpartition(".")[0] for name in modules} - {""}
    return packages.union(
        *(_imports_in(read_source(name), nested, _package(name)) for name in modules)
    )


def data_files(modules: Iterable[str]) -> Iterator[Path]:
    """Yield the files other than code in the folders of our modules; they may read these files.

    Folders inside count too, unless they are packages.
    """
    for folder in {source_path(name).parent for name in modules}:
        for here, folders, names in os.walk(folder):
            inner = (name for name in folders if not Path(here, name, "__init__.py").exists())
            folders[:] = sorted(set(inner) - {"__pycache__"})
            yield from (Path(here, name) for name in names if not name.endswith((".py", ".pyc")))


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
    """Return whether a dotted name is `onions`, or a module or a package inside it."""
    return name.partition(".")[0] == "onions" and source_path(name).exists()


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


def _package(module: str) -> str:
    """Return the package that a module's relative imports begin at."""
    is_package = source_path(module).name == "__init__.py"
    return module if is_package else module.rpartition(".")[0]


def _base(package: str, level: int) -> str:
    """Return the package that an import of this level names; level 0 is an absolute import."""
    return ".".join(package.split(".")[: 1 - level or None]) if level else ""


@cache  # all pages of a book import the same few modules
def _imports_in(source: str, nested: bool, package: str) -> frozenset[str]:
    return frozenset(imported_names([ast.parse(source)], nested=nested, package=package))
