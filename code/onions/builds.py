"""The builds that can be compared: a project's folder, a site, a store, or a git revision."""

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbformat import NotebookNode

from onions.fingerprint import BUILD, Build
from onions.pages import Project
from onions.store import Store


class BuildError(Exception):
    """What was named is no build; the message says why, and the remedy."""


@dataclass(frozen=True)
class Executed:
    """The executed pages of a build.

    `name` is what the user called it, `data` its data's name; `entries` holds the executed
    notebooks by page, and `notes` says which pages could not be had, by page.
    """

    name: str
    data: str
    entries: dict[str, NotebookNode]
    notes: dict[str, str]


def find(name: str, project: Project) -> Executed:
    """Return the build in a folder, or else of a git revision of `project`.

    Raises BuildError, StoreError for a damaged entry, and OSError, as where git is missing.
    """
    folder = Path(name)
    if (folder / "_build" / "store" / BUILD).exists():
        return _of_pages(name, Project(folder.resolve()), f"Run `onions execute` in {folder}")
    for store in (folder / "store", folder):
        if (store / BUILD).exists():
            return _of_store(name, store)
    commit = _git(project, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    if commit.returncode == 0:
        return _of_revision(name, commit.stdout.decode().strip(), project)
    if folder.exists():
        raise BuildError(
            f"{name}: it holds no build, which would be _build/store, store or {BUILD}. "
            "Run `onions execute` in its project."
        )
    raise BuildError(
        f"{name}: neither a folder nor a git revision of {project.root}. Name a project's folder, "
        "a built site, a store, or what `git log` lists."
    )


def _of_store(name: str, folder: Path) -> Executed:
    """Return each page's last run with what ``build.json`` says; what can't be read is left out."""
    build, store = _read(folder), Store(folder)
    wanted = _key(asdict(build))
    alike = [facts for facts in store.facts() if _key(facts["build"]) == wanted]
    last = {facts["page"]: facts for facts in sorted(alike, key=lambda facts: facts["executed"])}
    entries = {page: _entry(store, facts["fingerprint"]) for page, facts in sorted(last.items())}
    if not entries:
        raise BuildError(f"{folder}: it holds no page of its last build. Run `onions execute`.")
    return Executed(name, build.source.name, entries, {})


def _key(build: dict[str, Any]) -> list[Any]:
    """Return what two runs of one build share."""
    source = build.get("source", {})
    choices = [build.get("backend"), build.get("profile"), build.get("seed_offset", 0)]
    return [source.get("name"), source.get("identity"), *choices]


def _of_revision(name: str, commit: str, project: Project) -> Executed:
    """Return what this project's store holds of the pages of a commit, which nothing runs."""
    _read(project.store)
    done = _git(project, "archive", "--format=zip", commit)
    if done.returncode != 0:
        raise BuildError(f"{name}: {done.stderr.decode().strip()}. Name another revision.")
    with TemporaryDirectory(prefix="onions-") as folder:
        then = Project(Path(folder))
        zipfile.ZipFile(io.BytesIO(done.stdout)).extractall(then.root)
        then.build.mkdir(exist_ok=True)
        then.store.symlink_to(project.store.resolve())
        return _of_pages(name, then, f"Run `git switch --detach {name} && onions execute`")


def _of_pages(name: str, project: Project, remedy: str) -> Executed:
    """Return the pages of a project as they stand, by the fingerprints that its own code computes:
    a page that went back to an earlier text is not its last run.
    """
    build, store = _read(project.store), Store(project.store)
    states = _states(name, project, remedy)
    entries = {one["page"]: _entry(store, one["fingerprint"]) for one in states if one["fresh"]}
    stale = {
        one["page"]: f"not executed as of {name} ({'; '.join(one['why'])}). {remedy}."
        for one in states
        if not one["fresh"]
    }
    if not entries:
        raise BuildError(f"{name}: none of its pages is executed as it stands. {remedy}.")
    return Executed(name, build.source.name, entries, stale)


def _states(name: str, project: Project, remedy: str) -> list[dict[str, Any]]:
    """Return what a project's own code says of its pages, fresh or stale."""
    path = os.pathsep.join([str(project.root / "code"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        # -P: not what lies in the working folder
        [sys.executable, "-P", "-m", "onions.cli", "--project", project.root, "status", "--json"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    try:
        return list(json.loads(done.stdout))
    except ValueError as error:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise BuildError(
            f"{name}: its own code can't list its pages' fingerprints ({said}). {remedy}, and name "
            "a copy of the _build/store that results."
        ) from error


def _read(store: Path) -> Build:
    try:
        return Build.of(store)
    except FileNotFoundError as error:
        raise BuildError(f"{store}: nothing is executed yet. Run `onions execute`.") from error
    except ValueError as error:
        raise BuildError(str(error)) from error


def _entry(store: Store, fingerprint: str) -> NotebookNode:
    entry = store.read(fingerprint)
    if entry is None:
        raise BuildError(f"{store.path(fingerprint)}: it is gone. Run `onions execute`.")
    return entry


def _git(project: Project, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", "-C", str(project.root), *arguments]
    return subprocess.run(command, capture_output=True)
