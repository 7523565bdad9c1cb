"""What a page's outputs depend on, and nothing else.

A page runs again exactly when its fingerprint changes: never on a prose edit, never silently stale.
Computing it imports no heavy package, so a site can be rendered where only the documentation
packages are installed.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from onions import imports
from onions.data import Source
from onions.exports import TAG
from onions.files import write_whole
from onions.pages import RUN_TAGS, CodeCell, Page, PageError, Project

BUILD = "build.json"
KERNEL_MODULE = "onions.kernel"
# What `components` names besides cells, modules of ours and packages.
NO_PACKAGES = ("data", "profile", "seed offset", "backend", "python", "unlocked")
CELLS = ("cell ", "export ")


class LockError(Exception):
    """The lock file does not say what a page needs to know."""


@dataclass(frozen=True)
class Build:
    """What execute resolved, for every page alike; kept beside the entries in the store.

    `seed_offset` is added to every seed that a page sets: 0 for the book, from 1 for reference
    runs. `unlocked` holds the installed versions where execute was told not to insist on the lock.
    """

    source: Source
    backend: str
    profile: str
    python: str
    seed_offset: int = 0
    unlocked: dict[str, str] | None = None

    def write(self, project: Project) -> None:
        """Write ``_build/store/build.json``, whole or not at all."""
        write_whole(project.store / BUILD, json.dumps(asdict(self), indent=1, sort_keys=True))

    @classmethod
    def read(cls, project: Project) -> "Build":
        """Read it. Raises FileNotFoundError, or ValueError if it is damaged."""
        return cls.of(project.store)

    @classmethod
    def of(cls, store: Path) -> "Build":
        """Read it from a store's folder. Raises as `read` does."""
        path = store / BUILD
        try:
            facts = json.loads(path.read_text("utf-8"))
            return cls(**{**facts, "source": Source(**facts["source"])})
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: damaged ({error}). Run `onions execute`.") from error


class Fingerprints:
    """The fingerprints of pages, which are remembered in ``_build/fingerprints.json``.

    Reading a page takes 10 ms, and an edit leaves nearly all pages of a book as they were. What is
    remembered is keyed by all that a fingerprint is computed from, our code included.
    """

    def __init__(self, project: Project, build: Build):
        self.project, self.build = project, build
        self._path = project.build / "fingerprints.json"
        self._known = _remembered(self._path)
        self._used: dict[str, str] = {}
        self._base = self._besides_pages()

    def of(self, page: Page) -> str:
        """Return a page's fingerprint; empty if it has no code. Raises PageError or LockError."""
        key = _hash(self._base, page.text)
        if key not in self._known:
            page.check()
            self._known[key] = fingerprint(page, self.project, self.build) if page.cells else ""
        self._used[key] = self._known[key]
        return self._used[key]

    def remember(self) -> None:
        """Keep those that were asked for, for the next time."""
        if self._besides_pages() == self._base:  # else a module changed in between
            text = json.dumps(self._used, sort_keys=True)
            with suppress(OSError):  # the next time is then slower, and nothing else
                write_whole(self._path, f"{_hash(text)}\n{text}")

    def _besides_pages(self) -> str:
        """Return a hash of all that decides fingerprints, and more, but the pages."""
        code = [imports.source(name) for name in imports.modules()]
        readers = installed(("myst-nb", "markdown-it-py", "pyyaml"))
        lock = self.project.lock.read_text("utf-8") if self.project.lock.exists() else ""
        return _hash(code, lock, asdict(self.build), sys.version, readers)


def fingerprint(page: Page, project: Project, build: Build) -> str:
    """Return the SHA-256 over everything that the page's outputs depend on, in hexadecimal."""
    return digest(components(page, project, build))


def digest(parts: dict[str, str]) -> str:
    """Return the fingerprint of a page with these components."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def components(page: Page, project: Project, build: Build) -> dict[str, str]:
    """Return what the page's outputs depend on, by name, each with a hash or a version."""
    # Those that export only read, and are counted by themselves.
    cells: dict[bool, list[CodeCell]] = {False: [], True: []}
    for cell in page.cells:
        cells[TAG in cell.tags].append(cell)
    if build.seed_offset:
        cells[True] = []  # so a reference run does without them
    parts = {
        f"{'export' if exports else 'cell'} {number}": _hash(
            cell.source, *sorted(RUN_TAGS.intersection(cell.tags))
        )
        for exports, found in cells.items()
        for number, cell in enumerate(found, 1)
    }
    own = imports.imports(_trees(page, cells[False] + cells[True]))
    for name in sorted(own):
        if name.startswith("onions.") and name.count(".") == 1 and not imports.is_ours(name):
            raise PageError(f"{page.path}: it imports {name}, which is no module for pages")
    helpers = imports.closure(own)
    modules = helpers | imports.closure({KERNEL_MODULE, build.source.module})
    parts |= {
        f"{name.replace('.', '/')}.py": _hash(imports.source(name)) for name in sorted(modules)
    }
    # What `onions.kernel` imports inside a function only acts on what the page itself has imported,
    # so it does not count again.
    used = own | imports.needed_by(helpers) | imports.needed_by(modules, nested=False)
    parts |= _versions(used, project, build)
    return parts | {
        "data": f"{build.source.name} {build.source.identity}",
        "profile": build.profile,
        "seed offset": str(build.seed_offset),
        "backend": build.backend,
        "python": build.python,
    }


def versions(parts: dict[str, str]) -> dict[str, str]:
    """Return those of a page's components that are packages, with their versions."""
    return {
        name: part
        for name, part in parts.items()
        if name not in NO_PACKAGES and not name.startswith(CELLS) and not name.endswith(".py")
    }


def code(parts: dict[str, str]) -> str:
    """Return a hash of those of a page's components that are its cells, less those that export."""
    return digest({name: part for name, part in parts.items() if name.startswith("cell ")})


def locked(project: Project, python: str) -> dict[str, str]:
    """Return the version of each package in the lock file for a Python version."""
    try:
        text = project.lock.read_text("utf-8")
    except OSError as error:
        raise LockError(f"{project.lock}: can't be read ({error.strerror})") from error
    try:
        return _parse_lock(text, python)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise LockError(f"{project.lock}: {reason}; run `make lock`") from error


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each package, or "missing"."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def _remembered(path: Path) -> dict[str, str]:
    try:
        checksum, _, text = path.read_text("utf-8").partition("\n")
        return dict(json.loads(text)) if checksum == _hash(text) else {}
    except (OSError, ValueError):
        return {}


@cache
def _parse_lock(text: str, python: str) -> dict[str, str]:
    environment = {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
    }
    versions: dict[str, str] = {}
    for line in text.splitlines():
        if not line or line.startswith((" ", "#", "-")):
            continue  # a hash or a comment
        pin = Requirement(line.rstrip(" \\"))
        if pin.marker is None or pin.marker.evaluate(environment):
            versions[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    return versions


def _versions(modules: set[str], project: Project, build: Build) -> dict[str, str]:
    names = imports.packages(modules)
    if "keras" in names:
        names.add(build.backend)
    if build.unlocked is not None:
        everything = {"unlocked": _hash(sorted(build.unlocked.items()))}
        return everything | {name: build.unlocked.get(name, "missing") for name in names}
    known = locked(project, build.python)
    for name in sorted(names - set(known)):
        raise LockError(
            f"{name}, which a page or its kernel uses, is not in {project.lock.name}. Add it to "
            "requirements.txt and run `make lock`, or execute with --unlocked."
        )
    return {name: known[name] for name in sorted(names)}


def _trees(page: Page, cells: Iterable[CodeCell]) -> Iterator[ast.AST]:
    for cell in cells:
        try:
            yield ast.parse(cell.source)
        except SyntaxError as error:
            line = cell.line + (error.lineno or 1) - 1
            raise PageError(
                f"{page.path}:{line}: {error.msg}. A cell holds plain Python, which also runs as "
                "a script."
            ) from error


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
