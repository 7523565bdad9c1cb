"""The fingerprint of a page: a hash of everything that its outputs depend on, and of nothing else.

A page runs again exactly when its fingerprint changes: an edit of prose runs nothing, and no page
is silently stale. Computing a fingerprint imports no heavy package, so rendering a site needs only
the documentation packages.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onions.base import imports
from onions.base.files import write_atomic
from onions.base.hashes import hash_file, hash_json
from onions.base.syntax import normalize
from onions.book.page import RUN_TAGS, CodeCell, Page, PageError, parse_cell
from onions.book.project import Project
from onions.exports import TAG
from onions.store.build import Build
from onions.store.lockfile import LockError, Pin, installed_versions, read_lock
from onions.store.recipe import recipe_hash

KERNEL_MODULE = "onions.kernel"
# The packages that every kernel needs: it runs in ipykernel, and nbclient records its outputs.
KERNEL_PACKAGES = {"ipykernel", "nbclient"}
# Our modules that a page may import; all others belong to the build.
PAGE_MODULES = ("claims", "diagrams", "exports", "figures", "images", "packed")

# What a page's outputs depend on: for each kind, a hash or a version for each name. "exports" are
# cells that export, "modules" our modules and the data files beside them, "packages" those that the
# page or its kernel imports, and "dependencies" the packages that these need.
Components = dict[str, dict[str, str]]
KINDS = ("facts", "cells", "exports", "modules", "packages", "dependencies")

CACHE_FORMAT = 2  # of the file; raise it if its content changes


class FingerprintCache:
    """The fingerprints of pages, cached in ``_build/fingerprints.json``.

    Reading a page takes 10 ms, and an edit leaves nearly all pages of a book unchanged. The key of
    a cached fingerprint is a hash of everything that determines it, including our own code. Beside
    it is a hash of the cells, with which a page whose text alone changed keeps its fingerprint.
    """

    def __init__(self, project: Project, build: Build):
        self.project, self.build = project, build
        self._path = project.build / "fingerprints.json"
        self._cached = _read_cache(self._path)
        self._used: dict[str, list[str]] = {}
        self._shared_inputs = self._hash_shared_inputs()

    def get(self, page: Page) -> str:
        """Return a page's fingerprint; "" if it has no code. Raises the errors of `components`."""
        key = _hash(self._shared_inputs, page.text)
        if key not in self._cached:
            page.check()
            cells = _hash(self._shared_inputs, [(cell.source, cell.tags) for cell in page.cells])
            by_cells = {cached[1]: cached[0] for cached in self._cached.values()}
            if not page.cells:
                by_cells[cells] = ""
            elif cells not in by_cells:
                by_cells[cells] = fingerprint(page, self.project, self.build)
            self._cached[key] = [by_cells[cells], cells]
        self._used[key] = self._cached[key]
        return self._used[key][0]

    def save(self) -> None:
        """Write the fingerprints that `get` returned, and drop all others."""
        if self._hash_shared_inputs() == self._shared_inputs:  # no module changed meanwhile
            text = json.dumps(self._used, sort_keys=True)
            with suppress(OSError):  # a missing cache only costs time
                write_atomic(self._path, f"{_hash(CACHE_FORMAT, text)}\n{text}")

    def _hash_shared_inputs(self) -> str:
        """Return a hash of everything that can change a fingerprint, except the pages."""
        modules = map(imports.module_name, sorted(imports.PACKAGE.rglob("*.py")))
        code = [imports.read_source(name) for name in modules]
        rooms = (f"onions.{name}" for name in ("base", *PAGE_MODULES))
        code += map(hash_file, sorted(imports.data_files(rooms)))
        readers = installed_versions(("myst-nb", "markdown-it-py", "pyyaml"))
        lock = self.project.lock.read_text("utf-8") if self.project.lock.exists() else ""
        return _hash(code, lock, asdict(self.build), sys.version, readers)


def fingerprint(page: Page, project: Project, build: Build) -> str:
    """Return the SHA-256 of the page's components, in hexadecimal.

    Raises the errors of `components`.
    """
    return fingerprint_of(components(page, project, build))


def fingerprint_of(parts: Components) -> str:
    """Return the fingerprint of a page with these components."""
    return hash_json(parts)


def components(page: Page, project: Project, build: Build) -> Components:
    """Return everything that the page's outputs depend on.

    Export cells change no result, so they are numbered separately, and reference runs, which have a
    seed offset, omit them. Raises PageError if a cell is not Python or imports a module that pages
    may not import, LockError if the lock can't be read or lacks a package.
    """
    exporting = [cell for cell in page.cells if TAG in cell.tags and not build.seed_offset]
    cells = [cell for cell in page.cells if TAG not in cell.tags]
    page_imports = imports.imported_names(_trees(page, cells + exporting))
    _check_own_imports(page, page_imports)
    helpers = imports.closure(page_imports)
    used_modules = helpers | imports.closure({KERNEL_MODULE, build.source.module})
    # Imports inside functions of the kernel's modules do not count: they act only on packages that
    # the page has already imported.
    used = page_imports | imports.imported_by(helpers)
    used |= imports.imported_by(used_modules, nested=False)
    packages, dependencies = _versions(imports.distributions(used), project, build)
    return {
        "cells": _hash_cells("cell", cells),
        "exports": _hash_cells("export", exporting),
        "modules": _hash_modules(used_modules),
        "packages": packages,
        "dependencies": dependencies,
        "facts": {
            "data": f"{build.source.name} {build.source.identity}",
            "profile": build.profile,
            "seed offset": str(build.seed_offset),
            "images": str(build.images),
            "python": build.python,
            "kernel recipe": recipe_hash(),
        },
    }


def code_hash(parts: Components) -> str:
    """Return a hash of a page's cells, except export cells."""
    return hash_json(parts["cells"])


def _check_own_imports(page: Page, names: Iterable[str]) -> None:
    """Raise PageError if a page imports one of our modules that is not for pages."""
    for name in sorted(names):
        if name.startswith("onions.") and name.split(".")[1] not in PAGE_MODULES:
            modules = ", ".join(f"onions.{module}" for module in PAGE_MODULES)
            raise PageError(f"{page.path}: imports {name}. Pages may import {modules}.")


def _hash_cells(kind: str, cells: list[CodeCell]) -> dict[str, str]:
    return {
        f"{kind} {number}": _hash(cell.source, *sorted(RUN_TAGS.intersection(cell.tags)))
        for number, cell in enumerate(cells, 1)
    }


def _hash_modules(modules: set[str]) -> dict[str, str]:
    """Return a hash of each module's code, and of each data file beside one, by path."""
    paths = {
        imports.source_path(name): _hash(normalize(imports.read_source(name))) for name in modules
    }
    paths |= {path: hash_file(path) for path in imports.data_files(modules)}
    root = imports.PACKAGE.parent
    return {path.relative_to(root).as_posix(): paths[path] for path in sorted(paths)}


def _versions(
    packages: set[str], project: Project, build: Build
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the locked versions of packages, and of all that these and the kernel need."""
    pins = read_lock(project.lock, build.python)
    for name in sorted((packages | KERNEL_PACKAGES) - pins.keys()):
        raise LockError(
            f"{name}, which a page or its kernel uses, is not in {project.lock.name}. Add it to "
            "requirements.txt and run `make lock`."
        )
    needed = _closure(packages | KERNEL_PACKAGES, pins)
    return (
        {name: pins[name].version for name in sorted(packages)},
        {name: pins[name].version for name in sorted(needed - packages)},
    )


def _closure(packages: set[str], pins: dict[str, Pin]) -> set[str]:
    """Return packages and all packages that they need, even indirectly."""
    needed: set[str] = set()
    pending = set(packages)
    while pending:
        name = pending.pop()
        needed.add(name)
        pending |= pins[name].requires - needed
    return needed


def _trees(page: Page, cells: Iterable[CodeCell]) -> Iterator[ast.AST]:
    for cell in cells:
        try:
            yield parse_cell(cell)
        except SyntaxError as error:
            raise PageError(
                f"{page.path}:{error.lineno}: {error.msg}. Write plain Python: cells also run as a "
                "script."
            ) from error


def _read_cache(path: Path) -> dict[str, list[str]]:
    try:
        checksum, _, text = path.read_text("utf-8").partition("\n")
        return dict(json.loads(text)) if checksum == _hash(CACHE_FORMAT, text) else {}
    except (OSError, ValueError):
        return {}


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
