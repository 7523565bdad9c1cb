"""Find the builds to compare: in a project's folder, a site, a store, or a git revision."""

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbformat import NotebookNode

from onions.book.project import Project
from onions.images.sources import Source
from onions.store.build import BUILD_FILE, Build, StoreError
from onions.store.entries import Store
from onions.store.page_claims import PageClaim, page_claims


class BuildError(Exception):
    """A build can't be found or read; the message gives the reason and the remedy."""


@dataclass(frozen=True)
class ExecutedBuild:
    """The executed pages of a build.

    `name` is the user's name for the build, and `source` the source of its images. `entries` maps
    pages to their executed notebooks, and `notes` maps each missing page to the reason.
    `text_claims` maps pages to the claims in their texts; it is None for a store or a site, which
    has no texts.
    """

    name: str
    source: Source
    entries: dict[str, NotebookNode]
    notes: dict[str, str]
    text_claims: dict[str, list[PageClaim]] | None = None


def find_build(name: str, project: Project) -> ExecutedBuild:
    """Return the build in the folder `name`, or of the git revision `name` of `project`.

    Raises BuildError if `name` refers to no build or all its pages are stale, StoreError if a file
    of the store is missing or damaged, and OSError, for example if git is missing.
    """
    folder = Path(name)
    if (folder / "_build" / "store" / BUILD_FILE).exists():
        return _project_build(name, Project(folder.resolve()), f"Run `onions execute` in {folder}")
    for store in (folder / "store", folder):
        if (store / BUILD_FILE).exists():
            return _store_build(name, store)
    commit = _git(project, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    if commit.returncode == 0:
        return _revision_build(name, commit.stdout.decode().strip(), project)
    if folder.exists():
        raise BuildError(
            f"{name}: no build in this folder: it has no _build/store, store or {BUILD_FILE}. "
            "Run `onions execute` in its project."
        )
    raise BuildError(
        f"{name}: neither a folder nor a git revision of {project.root}. Name a project's folder, "
        "a built site, a store, or a revision that `git log` lists."
    )


def _store_build(name: str, folder: Path) -> ExecutedBuild:
    """Return the pages of the last build in a store; damaged and missing ones get a note."""
    build, store = Build.read(folder), Store(folder)
    entries, notes = {}, {}
    for page, fingerprint in sorted(store.pages().items()):
        try:
            entries[page] = _entry(store, fingerprint)
        except (BuildError, StoreError) as error:
            notes[page] = str(error)
    if not entries:
        raise BuildError(f"{folder}: no readable page of the last build. Run `onions execute`.")
    return ExecutedBuild(name, build.source, entries, notes)


def _revision_build(name: str, commit: str, project: Project) -> ExecutedBuild:
    """Return the pages of a commit from this project's store, without running anything."""
    Build.read(project.store)
    archive = _git(project, "archive", "--format=zip", commit)
    if archive.returncode != 0:
        raise BuildError(f"{name}: {archive.stderr.decode().strip()}. Name another revision.")
    with TemporaryDirectory(prefix="onions-") as folder:
        revision = Project(Path(folder))
        zipfile.ZipFile(io.BytesIO(archive.stdout)).extractall(revision.root)
        revision.build.mkdir(exist_ok=True)
        revision.store.symlink_to(project.store.resolve())
        remedy = f"Run `git switch --detach {name} && onions execute`"
        return _project_build(name, revision, remedy)


def _project_build(name: str, project: Project, remedy: str) -> ExecutedBuild:
    """Return a project's fresh pages, found by the fingerprints that its own code computes.

    Last runs would be wrong: if a page was restored to an earlier text, its last run is of the
    later text.
    """
    build, store = Build.read(project.store), Store(project.store)
    rows = _status_rows(name, project, remedy)
    entries = {row["page"]: _entry(store, row["fingerprint"]) for row in rows if row["fresh"]}
    notes = {
        row["page"]: f"stale in {name} ({'; '.join(row['why'])}). {remedy}."
        for row in rows
        if not row["fresh"]
    }
    if not entries:
        raise BuildError(f"{name}: all pages are stale. {remedy}.")
    claims = {
        page: [claim for claim in page_claims(project.page(page), entry) if claim.comparison]
        for page, entry in entries.items()
    }
    return ExecutedBuild(name, build.source, entries, notes, claims)


def _status_rows(name: str, project: Project, remedy: str) -> list[dict[str, Any]]:
    """Return the rows of ``onions status --json``, run with the project's own code."""
    path = os.pathsep.join([str(project.root / "code"), os.environ.get("PYTHONPATH", "")])
    status = subprocess.run(
        # -P: import nothing from the working folder.
        [sys.executable, "-P", "-m", "onions.cli", "--project", project.root, "status", "--json"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    try:
        return list(json.loads(status.stdout))
    except ValueError as error:
        message = (status.stderr.strip().splitlines() or ["no error message"])[-1]
        raise BuildError(
            f"{name}: its own code can't list its pages' fingerprints ({message}). {remedy}, then "
            "compare a copy of its _build/store."
        ) from error


def _entry(store: Store, fingerprint: str) -> NotebookNode:
    entry = store.read(fingerprint)
    if entry is None:
        raise BuildError(f"{store.path(fingerprint)}: the file is missing. Run `onions execute`.")
    return entry


def _git(project: Project, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", "-C", str(project.root), *arguments]
    return subprocess.run(command, capture_output=True)
