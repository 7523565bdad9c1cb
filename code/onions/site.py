"""Render: from the store to the finished site, with Jupyter Book and execution off.

Nothing here needs TensorFlow, NumPy or a kernel. The site is built beside the last good one and
takes its place only when the build succeeded without a warning.
"""

import hashlib
import os
import shutil
from pathlib import Path

from onions.files import link
from onions.fingerprint import BUILD
from onions.pages import Project
from onions.status import State, last_build, states
from onions.store import Store, StoreError

STORE = "store"  # in the site: the executed notebooks that it was made from


class SiteError(Exception):
    """The site can't be rendered; the last good one is untouched."""


def render(project: Project) -> Path:
    """Render the site into ``_build/html`` and return the path of its first page.

    Raises SiteError where a page is stale, or Sphinx warns.
    """
    store = Store(project.store)
    entries = [store.path(state.fingerprint) for state in check_fresh(project)]
    work = project.build / "render"
    mark, digest = work / "built-with", _digest(project)
    if not mark.exists() or mark.read_text("utf-8") != digest:
        # The last build failed, or our code changed, which Sphinx can't know: start afresh.
        # Otherwise an unchanged second build of a book with warnings would succeed.
        shutil.rmtree(work, ignore_errors=True)
    mark.unlink(missing_ok=True)
    status = sphinx(project, work)
    if status != 0:
        raise SiteError("the site did not build (see above). The last good site is untouched.")
    try:
        mark.write_text(digest, "utf-8")
        _publish(work / "html", project.build / "html", [*entries, store.folder / BUILD])
    except OSError as error:
        raise SiteError(f"the site could not be written: {error}") from error
    return project.build / "html" / "index.html"


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


def sphinx(project: Project, work: Path, builder: str = "html", **options: object) -> int:
    """Build the book into a folder of `work` that is named like the builder, with `options` beside
    _config.yml. Return Sphinx's status: 0 without a warning.
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
            **options,
        },
        doctreedir=work / "doctrees",
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    if isinstance(status, KeyboardInterrupt):
        raise status
    return status if isinstance(status, int) else 1


def _digest(project: Project) -> str:
    """Return a hash of what decides how every page looks, besides the pages themselves."""
    files = sorted(
        p for p in Path(__file__).parent.rglob("*") if p.suffix in (".py", ".html", ".js")
    )
    # Where the repository is, which links lead to, and the commit that every page names
    # (`onions.extension`, address and commits).
    parts = ("SERVER_URL", "REPOSITORY", "SHA")
    repository = [os.environ.get(f"GITHUB_{part}", "") for part in parts]
    digest = hashlib.sha256("/".join(repository).encode())
    for path in [*files, project.root / "_config.yml", project.root / "_toc.yml", project.lock]:
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


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns
