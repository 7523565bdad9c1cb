"""The preview: the book's current files, rendered about a second after an edit.

`render_preview` renders into ``_build/live``, which is never published. A page is pending if the
store lacks its full run; it shows the outputs of its last run. Warnings don't stop the build.
`RenderProcess` imports everything in advance, since imports take most of the time after a small
edit.
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

from onions.base.hashes import DEPENDENCIES_FILE, read_hashes
from onions.base.locks import folder_lock
from onions.book.page import Page, PageError
from onions.book.project import Project
from onions.site.render import WORK_FOLDER, site_lock
from onions.site.sphinx_build import build_book, import_everything, incremental_folder
from onions.store.build import Build
from onions.store.entries import Store
from onions.store.fingerprint import FingerprintCache, fingerprint
from onions.store.lockfile import LockError

LIVE_FOLDER = "live"  # in `_build`
GENERATED_PAGES = ("search.html", "404.html")
# The start of a Sphinx warning, which continues up to the next warning.
WARNING = re.compile(r"^(?:(?P<path>[^:\n]+)(?::\d*)?: )?(?:WARNING|ERROR|CRITICAL): ", re.M)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Preview:
    """The result of a rendering.

    If rendering failed, `error` gives the reason and the last good pages are unchanged. `pending`
    maps each pending page to its next runs, as fingerprints and builds, the quick run first.
    `current` maps every other page with code to the fingerprint of its run. `digests` maps each
    HTML file to its hash. `files` are the pictures and included files of all pages, `read` the
    pages that Sphinx read again. `warnings` holds Sphinx's warnings for each page that it read or
    wrote, under an empty name if they belong to no page.
    """

    error: str = ""
    pending: dict[str, dict[str, Build]] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    read: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)


def render_preview(project: Project, builds: list[Build], last_runs: dict[str, str]) -> Preview:
    """Render the book into ``_build/live/html``.

    The last of `builds` is for full runs. An earlier build, if any, is for quick runs, which are
    shown until the full run ends. `last_runs` maps pages to the fingerprint of their last known
    run.
    """
    preview = Preview()
    try:
        pages = _find_pending(project, builds, preview)
    except (PageError, LockError, OSError) as error:
        preview.error = str(error)
        return preview
    store = Store(project.store)
    shown_runs = {
        name: next((f for f in reversed(runs) if store.path(f).exists()), last_runs.get(name, ""))
        for name, runs in preview.pending.items()
    }
    with folder_lock(project.build / LIVE_FOLDER):
        messages = _render(project, shown_runs, preview)
        if not preview.error:
            _sort_warnings(messages, project, preview)
            work = project.build / LIVE_FOLDER
            _hash_pages(work / "html", {page.name for page in pages}, preview)
            preview.files = {*map(Path.resolve, read_hashes(work / "doctrees" / DEPENDENCIES_FILE))}
    return preview


def page_digest(page: bytes) -> str:
    """Return a short hash of a page's HTML."""
    return sha256(page).hexdigest()[:16]


def _find_pending(project: Project, builds: list[Build], preview: Preview) -> list[Page]:
    """Set `pending` and `current`; return all pages."""
    store, pages = Store(project.store), project.pages()
    fingerprints = FingerprintCache(project, builds[-1])
    for page in pages:
        full_run = fingerprints.get(page)
        if full_run and store.path(full_run).exists():
            preview.current[page.name] = full_run
        elif full_run:
            quick_runs = {fingerprint(page, project, build): build for build in builds[:-1]}
            preview.pending[page.name] = quick_runs | {full_run: builds[-1]}
    fingerprints.save()
    return pages


def _render(project: Project, shown_runs: dict[str, str], preview: Preview) -> str:
    """Build the site and return Sphinx's warnings; set `error` if the build failed."""
    work, stderr, messages = project.build / LIVE_FOLDER, sys.stderr, io.StringIO()
    if not (work / "doctrees").exists() and (project.build / WORK_FOLDER).exists():
        with site_lock(project):  # the copy makes the first preview fast
            shutil.copytree(project.build / WORK_FOLDER, work, dirs_exist_ok=True)
    sys.stderr = messages
    try:
        with incremental_folder(project, work):
            options = {"onions_pending": shown_runs}
            if build_book(project, work, options=options, strict=False) != 0:
                raise RuntimeError("Sphinx failed")
    except Exception as error:
        preview.error = COLOURS.sub("", messages.getvalue()).strip() or f"{error}"
    finally:
        sys.stderr = stderr
    return COLOURS.sub("", messages.getvalue())


def _sort_warnings(messages: str, project: Project, preview: Preview) -> None:
    """Set `read`, and `warnings` except those that a pending run may resolve."""
    from onions.extension.base.session import session  # the build has set it by now

    preview.read = sorted(session().read)
    preview.warnings = {name: [] for name in ["", *session().read, *session().written]}
    starts = [*WARNING.finditer(messages)]
    ends = [match.start() for match in starts[1:]] + [len(messages)]
    for match, end in zip(starts, ends, strict=False):
        name = ""
        with suppress(ValueError, TypeError):
            name = str(Path(match["path"]).relative_to(project.book).with_suffix(""))
        shows_pending = bool(preview.pending) and name in session().shows_runs
        if name not in preview.pending and not shows_pending:
            warning = messages[match.start() : end].strip()
            preview.warnings.setdefault(name, []).append(warning)


def _hash_pages(html: Path, pages: Collection[str], preview: Preview) -> None:
    """Set `digests`, and delete the HTML of deleted pages."""
    for path in html.rglob("*.html"):
        name = path.relative_to(html).as_posix()
        if name.startswith("_"):
            continue
        if name.removesuffix(".html") in pages or name in GENERATED_PAGES:
            preview.digests[name] = page_digest(path.read_bytes())
        else:
            path.unlink()


class RenderProcess:
    """A process that has imported everything, and renders in forks.

    Each fork ends after one rendering, so Sphinx's global state does not accumulate.
    """

    def __init__(self) -> None:
        self._stopped = False
        self._start()

    def _start(self) -> None:
        self._connection, child_connection = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(
            target=_serve, args=(child_connection,), daemon=True
        )
        self._process.start()
        child_connection.close()

    def preview(self, project: Project, builds: list[Build], last_runs: dict[str, str]) -> Preview:
        """Call `render_preview` in a fork.

        If the process ends, start another and return a `Preview` with an error.
        """
        try:
            self._connection.send((project, builds, last_runs))
            result: Preview = self._connection.recv()
        except (EOFError, OSError):
            if not self._stopped:
                self._start()
            return Preview(error="The render process has ended. Save a file to retry.")
        return result

    def stop(self) -> None:
        """Kill the process and its fork."""
        self._stopped = True
        if pid := self._process.pid:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._process.kill()  # it may not lead a group yet
        self._process.join()


def _serve(connection: Connection) -> None:
    """Render each request in a fork of this process, until the connection closes."""
    os.setsid()  # Ctrl-C goes to the parent process, which kills this whole group
    import_everything()
    with suppress(EOFError, KeyboardInterrupt):
        while request := connection.recv():
            with suppress(Exception):  # the fork reports it
                project, builds, _ = request
                fingerprint(project.pages()[0], project, builds[-1])  # caches for the fork
            receiver, sender = get_context("spawn").Pipe(duplex=False)
            if (fork := os.fork()) == 0:
                _render_in_fork(sender, *request)
            sender.close()
            try:
                result, modules = receiver.recv()
            except EOFError:
                result, modules = Preview(error="Rendering was killed. Save a file to retry."), []
            os.waitpid(fork, 0)
            connection.send(result)
            for name in modules:  # Sphinx imported these late; import them for the next fork
                with suppress(Exception):
                    importlib.import_module(name)


def _render_in_fork(
    sender: Connection, project: Project, builds: list[Build], last_runs: dict[str, str]
) -> None:
    """Render, send the result and the names of all imported modules, and end this process."""
    try:
        result = render_preview(project, builds, last_runs)
    except BaseException:  # the parent process gets no exceptions
        result = Preview(error=traceback.format_exc())
    sender.send((result, [name for name in sys.modules if not name.startswith("__")]))
    os._exit(0)
