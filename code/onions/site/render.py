"""Render the site from the store with Jupyter Book, with execution off.

Rendering needs no TensorFlow, NumPy or kernel. A new site replaces the last good site only if it
builds without a warning.
"""

import filecmp
import hashlib
import json
import os
import shutil
import sys
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from sysconfig import get_path

from onions.base.files import link_or_copy, write_atomic
from onions.base.git import read_git
from onions.base.hashes import DEPENDENCIES_FILE, hash_file, read_hashes
from onions.base.imports import PACKAGE
from onions.base.locks import folder_lock
from onions.book.project import Project
from onions.images.download import Notify
from onions.site.sphinx_build import build_book, incremental_folder
from onions.store.build import BUILD_FILE, Build
from onions.store.entries import PAGES_FILE, Store
from onions.store.status import PageState, page_states

SITE_STORE = "store"  # the site's folder of executed notebooks
WORK_FOLDER = "render"  # the folder in `_build` that Sphinx reuses between builds
# Environment variables that depend only on where and how a command is called.
IRRELEVANT_VARIABLES = {"_", "PWD", "OLDPWD", "SHLVL", "MAKELEVEL", "MAKEFLAGS", "MFLAGS"}


class SiteError(Exception):
    """The site can't be rendered; the last good site is unchanged."""


def render(project: Project, notify: Notify) -> Path:
    """Render the site into ``_build/html`` and return the path of its first page.

    Does nothing if neither the site nor any of its inputs changed. `notify` gets a line if another
    command renders at the moment. Raises SiteError if Sphinx warns or the site can't be written,
    and the errors of `check_fresh`.
    """
    with site_lock(project, notify):
        return render_locked(project)


def site_lock(project: Project, notify: Notify | None = None) -> AbstractContextManager[None]:
    """Return the lock to hold while writing or copying the site."""
    return folder_lock(project.build / WORK_FOLDER, notify)


def render_locked(project: Project) -> Path:
    """Do what `render` does, for a caller who holds the `site_lock`."""
    store = Store(project.store)
    pages = {state.page.name: state.fingerprint for state in check_fresh(project)}
    entries = [store.path(fingerprint) for fingerprint in pages.values()]
    entries.append(store.folder / BUILD_FILE)
    work, target = project.build / WORK_FOLDER, project.build / "html"
    mark, inputs = work / "made-from", _hash_inputs(project, entries)
    if mark.exists() and mark.read_text("utf-8") == f"{inputs}{_hash_folder(target)}":
        files = read_hashes(work / "doctrees" / DEPENDENCIES_FILE).items()
        if all(hash_file(path) == digest for path, digest in files):
            return target / "index.html"
    try:
        with incremental_folder(project, work):
            if build_book(project, work) != 0:
                raise SiteError(
                    "the build failed. Correct the problems above. The last good site is unchanged."
                )
        _publish(work / "html", target, entries, pages)
        if _hash_inputs(project, entries) == inputs:  # no edit during the build
            write_atomic(mark, f"{inputs}{_hash_folder(target)}")
    except OSError as error:
        raise SiteError(f"the site could not be written: {error}") from error
    return target / "index.html"


def check_fresh(project: Project) -> list[PageState]:
    """Return the state of every page with code, in the order of the table of contents.

    Raises SiteError if a page is stale, StoreError if nothing is executed yet, and PageError or
    LockError if a fingerprint can't be computed.
    """
    states = page_states(project, Build.read(project.store))
    stale = [state for state in states if not state.fresh]
    if stale:
        lines = "\n".join(f"  {state.page.path}: {'; '.join(state.reasons)}" for state in stale)
        raise SiteError(f"these pages are stale:\n{lines}\nRun `onions execute`.")
    return states


def _publish(built: Path, target: Path, entries: list[Path], pages: dict[str, str]) -> None:
    """Replace the last good site with a copy of the built site and the store's `entries`.

    `pages` maps pages to fingerprints, and is also published.
    An interruption never loses the last good site; the next call restores it if necessary.
    """
    new, old = target.with_name("html.new"), target.with_name("html.old")
    if old.exists() and not target.exists():  # interrupted between the two renames below
        old.replace(target)
    shutil.rmtree(new, ignore_errors=True)

    def copy_or_link(source: str, copy: str) -> None:
        """Hard-link the published file if it equals `source`, otherwise copy `source`.

        Hard links are safe, since published files never change.
        """
        published = target / Path(source).relative_to(built)
        if published.is_file() and filecmp.cmp(published, source, shallow=False):
            link_or_copy(published, Path(copy))
        else:
            shutil.copy2(source, copy)

    ignored = shutil.ignore_patterns(".buildinfo*", "*.doctree")
    shutil.copytree(built, new, ignore=ignored, copy_function=copy_or_link)
    (new / SITE_STORE).mkdir()
    for entry in dict.fromkeys(entries):  # pages with the same code share an entry
        link_or_copy(entry, new / SITE_STORE / entry.name)
    (new / SITE_STORE / PAGES_FILE).write_text(json.dumps(pages, indent=1), "utf-8")
    (new / ".nojekyll").touch()  # otherwise GitHub Pages leaves out _static
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _hash_inputs(project: Project, entries: list[Path]) -> str:
    """Return a hash of everything that can affect the site.

    Hashing too much costs a render; hashing too little leaves a stale page.
    """
    digest = hashlib.sha256(repr(read_git(project.root)).encode())
    variables = [(n, v) for n, v in os.environ.items() if n not in IRRELEVANT_VARIABLES]
    digest.update(repr(variables).encode())
    packages = Path(get_path("purelib"))  # its time changes when a package is installed
    digest.update(repr([sys.version, packages, _size_and_time(packages)]).encode())
    files = [path for path in sorted(project.root.iterdir()) if path.is_file()]
    files += [*_files(project.book), *_files(PACKAGE), *entries]
    digest.update(repr([(str(path), hash_file(path)) for path in files]).encode())
    return digest.hexdigest()


def _hash_folder(folder: Path) -> str:
    """Return a hash of the names, sizes and times of all files in a folder."""
    files = [(str(path), _size_and_time(path)) for path in _files(folder)]
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    """Return the files in a folder and its folders, except built ones, in order."""
    return sorted(
        Path(here, name)
        for here, _, names in os.walk(folder, followlinks=True)
        for name in names
        if not name.endswith(".pyc") and "_build" not in Path(here).relative_to(folder).parts
    )


def _size_and_time(path: Path) -> tuple[int, int]:
    with suppress(FileNotFoundError):  # editors create and delete temporary files
        facts = path.stat()
        return facts.st_size, facts.st_mtime_ns
    return 0, 0
