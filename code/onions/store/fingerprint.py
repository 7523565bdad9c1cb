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
from onions.base.syntax import normalize
from onions.book.page import RUN_TAGS, CodeCell, Page, PageError, parse_cell
from onions.book.project import Project
from onions.exports import TAG
from onions.store.build import Build
from onions.store.lockfile import LockError, installed_versions, locked_versions

KERNEL_MODULE = "onions.kernel"
# Our modules that a page may import; all others belong to the build.
PAGE_MODULES = ("claims", "diagrams", "exports", "figures", "images")
# The components other than cells, our modules and packages.
NON_PACKAGES = ("data", "profile", "seed offset", "python")
CELL_PREFIXES = ("cell ", "export ")


class FingerprintCache:
    """The fingerprints of pages, cached in ``_build/fingerprints.json``.

    Reading a page takes 10 ms, and an edit leaves nearly all pages of a book unchanged. The key of
    a cached fingerprint is a hash of everything that determines it, including our own code.
    """

    def __init__(self, project: Project, build: Build):
        self.project, self.build = project, build
        self._path = project.build / "fingerprints.json"
        self._cached = _read_cache(self._path)
        self._used: dict[str, str] = {}
        self._shared_inputs = self._hash_shared_inputs()

    def get(self, page: Page) -> str:
        """Return a page's fingerprint; "" if it has no code. Raises the errors of `components`."""
        key = _hash(self._shared_inputs, page.text)
        if key not in self._cached:
            page.check()
            self._cached[key] = fingerprint(page, self.project, self.build) if page.cells else ""
        self._used[key] = self._cached[key]
        return self._used[key]

    def save(self) -> None:
        """Write the fingerprints that `get` returned, and drop all others."""
        if self._hash_shared_inputs() == self._shared_inputs:  # no module changed meanwhile
            text = json.dumps(self._used, sort_keys=True)
            with suppress(OSError):  # a missing cache only costs time
                write_atomic(self._path, f"{_hash(text)}\n{text}")

    def _hash_shared_inputs(self) -> str:
        """Return a hash of everything that can change a fingerprint, except the pages."""
        modules = map(imports.module_name, sorted(imports.PACKAGE.rglob("*.py")))
        code = [imports.read_source(name) for name in modules]
        readers = installed_versions(("myst-nb", "markdown-it-py", "pyyaml"))
        lock = self.project.lock.read_text("utf-8") if self.project.lock.exists() else ""
        return _hash(code, lock, asdict(self.build), sys.version, readers)


def fingerprint(page: Page, project: Project, build: Build) -> str:
    """Return the SHA-256 of the page's components, in hexadecimal.

    Raises the errors of `components`.
    """
    return fingerprint_of(components(page, project, build))


def fingerprint_of(parts: dict[str, str]) -> str:
    """Return the fingerprint of a page with these components."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def components(page: Page, project: Project, build: Build) -> dict[str, str]:
    """Return everything that the page's outputs depend on: a hash or a version for each name.

    Export cells change no result, so they are numbered separately, and reference runs, which have a
    seed offset, omit them. Raises PageError if a cell is not Python or imports a module that pages
    may not import, LockError if the lock can't be read or lacks a package.
    """
    exporting = [cell for cell in page.cells if TAG in cell.tags and not build.seed_offset]
    cells = [cell for cell in page.cells if TAG not in cell.tags]
    parts = _cell_hashes("cell", cells) | _cell_hashes("export", exporting)
    page_imports = imports.imported_names(_trees(page, cells + exporting))
    for name in sorted(page_imports):
        if name.startswith("onions.") and name.split(".")[1] not in PAGE_MODULES:
            modules = ", ".join(f"onions.{module}" for module in PAGE_MODULES)
            raise PageError(f"{page.path}: imports {name}. Pages may import {modules}.")
    helpers = imports.closure(page_imports)
    used_modules = helpers | imports.closure({KERNEL_MODULE, build.source.module})
    for name in sorted(used_modules):
        path = imports.source_path(name).relative_to(imports.PACKAGE.parent)
        parts[path.as_posix()] = _hash(normalize(imports.read_source(name)))
    # Imports inside functions of the kernel's modules do not count: they act only on packages that
    # the page has already imported.
    used = page_imports | imports.imported_by(helpers)
    used |= imports.imported_by(used_modules, nested=False)
    parts |= _used_versions(used, project, build)
    return parts | {
        "data": f"{build.source.name} {build.source.identity}",
        "profile": build.profile,
        "seed offset": str(build.seed_offset),
        "python": build.python,
    }


def package_versions(parts: dict[str, str]) -> dict[str, str]:
    """Return the packages among a page's components, with their versions."""
    return {
        name: part
        for name, part in parts.items()
        if name not in NON_PACKAGES and not name.startswith(CELL_PREFIXES)
        if not name.endswith(".py")
    }


def code_hash(parts: dict[str, str]) -> str:
    """Return a hash of a page's cells, except export cells."""
    return fingerprint_of({name: part for name, part in parts.items() if name.startswith("cell ")})


def _cell_hashes(kind: str, cells: list[CodeCell]) -> dict[str, str]:
    return {
        f"{kind} {number}": _hash(cell.source, *sorted(RUN_TAGS.intersection(cell.tags)))
        for number, cell in enumerate(cells, 1)
    }


def _used_versions(names: set[str], project: Project, build: Build) -> dict[str, str]:
    """Return the locked version of each package that dotted names need."""
    packages = imports.distributions(names)
    versions = locked_versions(project.lock, build.python)
    for name in sorted(packages - set(versions)):
        raise LockError(
            f"{name}, which a page or its kernel uses, is not in {project.lock.name}. Add it to "
            "requirements.txt and run `make lock`."
        )
    return {name: versions[name] for name in sorted(packages)}


def _trees(page: Page, cells: Iterable[CodeCell]) -> Iterator[ast.AST]:
    for cell in cells:
        try:
            yield parse_cell(cell)
        except SyntaxError as error:
            raise PageError(
                f"{page.path}:{error.lineno}: {error.msg}. Write plain Python: cells also run as a "
                "script."
            ) from error


def _read_cache(path: Path) -> dict[str, str]:
    try:
        checksum, _, text = path.read_text("utf-8").partition("\n")
        return dict(json.loads(text)) if checksum == _hash(text) else {}
    except (OSError, ValueError):
        return {}


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
