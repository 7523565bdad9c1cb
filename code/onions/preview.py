"""The book as it stands now, for whoever writes it: rendered in about a second, run or not.

`preview` renders into ``_build/live``, which nothing is published from: pages that await their run
have the outputs of their last one, and warnings stop nothing. `Warm` is a process that has imported
all that this takes, which is most of the time that `onions render` needs for an edit.
"""

import importlib
import io
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from onions.fingerprint import Build, Fingerprints, LockError, fingerprint
from onions.pages import Page, PageError, Project
from onions.site import WORK, kept_between_builds, sphinx
from onions.store import Store

LIVE = "live"  # in `_build`
NOT_PAGES = ("search.html", "404.html")
# How Sphinx begins a warning; what follows up to the next one belongs to it.
WARNING = re.compile(r"^(?:(?P<path>[^\s:]+)(?::\d+)?: )?(?:WARNING|ERROR|CRITICAL): ", re.M)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Preview:
    """What a rendering came to.

    `trouble` says why nothing could be rendered; then the last good pages are still there.
    `awaited` has the fingerprints of the runs that a page awaits, the quick one first, and `shown`
    the fingerprint of every other page's run. `digests` tell for each HTML file whether it changed.
    `read` are the pages that were read again, and `warnings` what was said of each.
    """

    trouble: str = ""
    awaited: dict[str, dict[str, Build]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)


def preview(project: Project, builds: list[Build], last: dict[str, str]) -> Preview:
    """Render the book as it stands into ``_build/live/html``.

    The last of `builds` is what pages are to be run with; one before it is a quick run, which is
    shown until then. `last` has the fingerprint of each page's last run, as far as it is known.
    """
    found = Preview()
    try:
        pages = _find_runs(project, builds, found)
    except (PageError, LockError, OSError) as error:
        found.trouble = str(error)
        return found
    store = Store(project.store)
    awaiting = {
        name: next((p for p in reversed(runs) if store.path(p).exists()), last.get(name, ""))
        for name, runs in found.awaited.items()
    }
    said = _render(project, awaiting, found)
    if not found.trouble:
        _sort(said, project, found)
        _take_stock(project.build / LIVE / "html", {page.name for page in pages}, found)
    return found


def _find_runs(project: Project, builds: list[Build], found: Preview) -> list[Page]:
    """Find out which pages await a run; return all pages."""
    store, pages = Store(project.store), project.pages()
    prints = Fingerprints(project, builds[-1])
    for page in pages:
        print_ = prints.of(page)
        if print_ and store.path(print_).exists():
            found.shown[page.name] = print_
        elif print_:
            quick = {fingerprint(page, project, build): build for build in builds[:-1]}
            found.awaited[page.name] = quick | {print_: builds[-1]}
    prints.remember()
    return pages


def _render(project: Project, awaiting: dict[str, str], found: Preview) -> str:
    """Build the site, and return what Sphinx warned of; note `trouble` where it did not build."""
    work, stderr, said = project.build / LIVE, sys.stderr, io.StringIO()
    if not work.exists() and (project.build / WORK).exists():
        shutil.copytree(project.build / WORK, work)  # so that the first preview takes a second
    sys.stderr = said
    try:
        with kept_between_builds(project, work):
            status = sphinx(project, work, options={"onions_awaited": awaiting}, strict=False)
            if status != 0:
                raise RuntimeError("Sphinx failed")
    except Exception as error:
        found.trouble = COLOURS.sub("", said.getvalue()).strip() or f"{error}"
    finally:
        sys.stderr = stderr
    return COLOURS.sub("", said.getvalue())


def _sort(said: str, project: Project, found: Preview) -> None:
    """Note by page what Sphinx said, but for what a run yet to come may mend."""
    from onions.extension.reader import site  # which has read the pages by now

    found.read = sorted(site().read)
    starts = [*WARNING.finditer(said)]
    ends = [match.start() for match in starts[1:]] + [len(said)]
    for match, end in zip(starts, ends, strict=False):
        name = ""
        with suppress(ValueError, TypeError):
            name = str(Path(match["path"]).relative_to(project.book).with_suffix(""))
        waits = name in found.awaited or (found.awaited and name in site().shows_runs)
        if not waits:
            found.warnings.setdefault(name, []).append(said[match.start() : end].strip())


def _take_stock(html: Path, pages: Collection[str], found: Preview) -> None:
    """Hash the pages, and delete those that are no more."""
    for path in html.rglob("*.html"):
        name = path.relative_to(html).as_posix()
        if name.startswith("_"):
            continue
        if name.removesuffix(".html") in pages or name in NOT_PAGES:
            found.digests[name] = digest(path.read_bytes())
        else:
            path.unlink()


def digest(page: bytes) -> str:
    """Return what tells one state of a page's HTML from another."""
    return sha256(page).hexdigest()[:16]


class Warm:
    """A process that has imported what a preview takes, and renders in copies of itself.

    A copy ends after one rendering, so that nothing which Sphinx leaves behind adds up.
    """

    def __init__(self) -> None:
        self._connection, theirs = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def preview(self, project: Project, builds: list[Build], last: dict[str, str]) -> Preview:
        """Return what `preview` does with these arguments, whatever happens to the process."""
        try:
            self._connection.send((project, builds, last))
            result: Preview = self._connection.recv()
        except (EOFError, OSError):
            return Preview(trouble="The process that renders has ended; the terminal says why.")
        return result

    def stop(self) -> None:
        """End the process, and the copy that may render now."""
        if pid := self._process.pid:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._process.kill()  # it may not lead its group yet
        self._process.join()


def _serve(connection: Connection) -> None:
    """Render in a copy of this process whatever is asked for, until the other side is gone."""
    os.setsid()  # Ctrl-C is for the process that asks, which ends the whole group
    for name in ("jupyter_book.sphinx", "onions.extension", "myst_nb.sphinx_ext", "furo"):
        importlib.import_module(name)
    with suppress(EOFError, KeyboardInterrupt):
        while request := connection.recv():
            ours, theirs = get_context("spawn").Pipe(duplex=False)
            if (copy := os.fork()) == 0:
                _answer(theirs, *request)
            theirs.close()
            try:
                result, modules = ours.recv()
            except EOFError:
                result, modules = Preview(trouble="The process that renders was killed."), []
            os.waitpid(copy, 0)
            connection.send(result)
            for name in modules:  # what Sphinx imports as it goes; the next copy has it
                with suppress(Exception):
                    importlib.import_module(name)


def _answer(
    connection: Connection, project: Project, builds: list[Build], last: dict[str, str]
) -> None:
    """Render, send what it came to and which modules it took, and end this process."""
    try:
        result = preview(project, builds, last)
    except BaseException:  # whatever it is, nobody else can tell
        result = Preview(trouble=traceback.format_exc())
    connection.send((result, [name for name in sys.modules if not name.startswith("__")]))
    os._exit(0)
