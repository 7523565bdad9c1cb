"""Render: from the store to the finished site, with Jupyter Book and execution off.

Nothing here needs TensorFlow, NumPy or a kernel. The site is built beside the last good one and
takes its place only when the build succeeded without a warning.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from sysconfig import get_path

from onions.commits import history
from onions.files import link, write_whole
from onions.fingerprint import BUILD
from onions.pages import Project
from onions.status import State, last_build, states
from onions.store import Store, StoreError

PACKAGE = Path(__file__).parent
IMPORTS = re.compile(r"^ *from onions(?: import ([\w, ]+)|\.(\w+)[\w.]* import)", re.M)
STORE = "store"  # in the site: the executed notebooks that it was made from
# Variables of the environment that tell where a command was called, and nothing else.
NOISE = {"_", "PWD", "OLDPWD", "SHLVL", "MAKELEVEL", "MAKEFLAGS", "MFLAGS"}
WORK = "render"  # in `_build`: what Sphinx keeps from one build of the site to the next


class SiteError(Exception):
    """The site can't be rendered; the last good one is untouched."""


def render(project: Project) -> Path:
    """Render the site into ``_build/html`` and return the path of its first page.

    Nothing is done where neither the site nor anything that it is made from has changed. Raises
    SiteError where a page is stale, or Sphinx warns.
    """
    store = Store(project.store)
    entries = [store.path(state.fingerprint) for state in check_fresh(project)]
    entries.append(store.folder / BUILD)
    work, target = project.build / WORK, project.build / "html"
    mark, made_from = work / "made-from", _made_from(project, entries)
    if mark.exists() and mark.read_text("utf-8") == f"{made_from}{_stamps(target)}":
        return target / "index.html"
    try:
        with kept_between_builds(project, work):
            if sphinx(project, work) != 0:
                raise SiteError(
                    "the site did not build (see above). The last good site is untouched."
                )
        _publish(work / "html", target, entries)
        if _made_from(project, entries) == made_from:  # else something was edited meanwhile
            write_whole(mark, f"{made_from}{_stamps(target)}")
    except OSError as error:
        raise SiteError(f"the site could not be written: {error}") from error
    return target / "index.html"


def check_fresh(project: Project) -> list[State]:
    """Return the pages that run. Raises SiteError that names every stale page, and PageError,
    StoreError or LockError.
    """
    try:
        build = last_build(project)
    except StoreError as error:
        raise SiteError(str(error)) from error
    found = states(project, build)
    stale = [state for state in found if not state.fresh]
    if stale:
        lines = "\n".join(f"  {state.page.path}: {'; '.join(state.why)}" for state in stale)
        raise SiteError(f"not executed as they stand:\n{lines}\nRun `onions execute`.")
    return found


@contextmanager
def kept_between_builds(project: Project, work: Path) -> Iterator[None]:
    """Build in a folder that holds what the last build knew of the pages, so that only what changed
    is read and written again; in an empty one after a build that failed.
    """
    mark, digest = work / "built-with", _digest(project)
    if not mark.exists() or mark.read_text("utf-8") != digest:
        # The last build failed, or our code changed, which Sphinx can't know: start afresh.
        # Otherwise an unchanged second build of a book with warnings would succeed.
        shutil.rmtree(work, ignore_errors=True)
    mark.unlink(missing_ok=True)
    yield
    write_whole(mark, digest)


def sphinx(
    project: Project,
    work: Path,
    builder: str = "html",
    options: Mapping[str, object] | None = None,
    *,
    strict: bool = True,
) -> int:
    """Build the book into a folder of `work` that is named like the builder, with `options` beside
    _config.yml. Return Sphinx's status: 0 if all went well, and if `strict` without a warning.
    """
    from jupyter_book.sphinx import build_sphinx  # here, since it takes a second to import

    status = build_sphinx(
        project.book,
        work / builder,
        builder=builder,
        path_config=project.root / "_config.yml",
        noconfig=True,
        confoverrides={
            "external_toc_path": str(project.root / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
            **(options or {}),
        },
        doctreedir=work / "doctrees",
        warningiserror=strict,
        keep_going=True,
        quiet=True,
    )
    if isinstance(status, KeyboardInterrupt):
        raise status
    return status if isinstance(status, int) else 1


def renders_with() -> list[Path]:
    """Return the files of this package that decide how a page looks: the extension's, and those
    that it and this module import. What only a page's kernel imports is in the pages' fingerprints.
    """
    found = {p for p in (PACKAGE / "extension").rglob("*") if p.suffix in (".py", ".html", ".js")}
    waiting = [Path(__file__), *(path for path in found if path.suffix == ".py")]
    while waiting:
        path = waiting.pop()
        found.add(path)
        for match in IMPORTS.finditer(path.read_text("utf-8")):
            names = match[1].split(", ") if match[1] else [match[2]]
            modules = {PACKAGE / f"{name}.py" for name in names}
            waiting += [module for module in modules - found if module.exists()]
    return sorted(found)


def _digest(project: Project) -> str:
    """Return a hash of what decides how every page looks, besides the pages themselves."""
    # The commit that every page names; Sphinx knows by itself what its configuration says.
    digest = hashlib.sha256(os.environ.get("GITHUB_SHA", "").encode())
    settings = [project.root / "_config.yml", project.root / "_toc.yml", project.lock]
    for path in [*renders_with(), *settings]:
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _publish(built: Path, target: Path, entries: list[Path]) -> None:
    """Put a copy of the built site, with the store's `entries`, in the place of the last good one.

    Whenever this is interrupted, the last good site is there, or the new one, or both.
    """
    fresh, old = target.with_name("html.new"), target.with_name("html.old")
    if old.exists() and not target.exists():  # interrupted between the two renames below
        old.replace(target)
    shutil.rmtree(fresh, ignore_errors=True)

    def take(source: str, copy: str) -> None:
        """Copy a file, or link to the published one if it is the same: that is never rewritten."""
        published = target / Path(source).relative_to(built)
        if published.exists() and _stamp(published) == _stamp(Path(source)):
            link(published, Path(copy))
        else:
            shutil.copy2(source, copy)

    ignored = shutil.ignore_patterns(".buildinfo*", "*.doctree")
    shutil.copytree(built, fresh, ignore=ignored, copy_function=take)
    (fresh / STORE).mkdir()
    for entry in dict.fromkeys(entries):  # pages of the same code share one
        link(entry, fresh / STORE / entry.name)
    (fresh / ".nojekyll").touch()  # GitHub Pages would leave out _static
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    fresh.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _made_from(project: Project, entries: list[Path]) -> str:
    """Return what changes with anything that a site can depend on. One thing too many costs a
    rendering, one too few would keep a page as it was.
    """
    digest = hashlib.sha256(repr(history(project)).encode())
    digest.update(repr([pair for pair in os.environ.items() if pair[0] not in NOISE]).encode())
    packages = Path(get_path("purelib"))  # which is touched when one is installed
    top = [(str(p), _stamp(p)) for p in sorted(project.root.iterdir()) if p.is_file()]
    folders = [_stamps(folder) for folder in (project.book, PACKAGE)]
    digest.update(repr([sys.version, top, folders, packages, _stamp(packages)]).encode())
    for path in entries:  # the facts of a build are written anew each time
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamps(folder: Path) -> str:
    """Return what changes with a file of the folder: a hash of all names, sizes and times."""
    found = [
        Path(here, name)
        for here, _, names in os.walk(folder, followlinks=True)
        for name in names
        if not name.endswith(".pyc")
    ]
    stamps = [(str(path), _stamp(path)) for path in sorted(found)]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(FileNotFoundError):  # an editor's file is there for a moment
        facts = path.stat()
        return facts.st_size, facts.st_mtime_ns
    return 0, 0
