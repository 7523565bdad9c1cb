"""The render session: state that the reader and the directives share during one build.

This module also records each page's dependencies while Sphinx reads the page.
"""

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from docutils import nodes
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

from onions.base.git import GitFacts, read_git
from onions.book.page import Page, PageError
from onions.book.project import Project
from onions.book.reference import PageRuns, ReferenceRuns
from onions.claims import KEY
from onions.extension.base import pending
from onions.extension.base.course import CoursePosition, course_positions
from onions.store.build import Build, StoreError
from onions.store.entries import Store
from onions.store.fingerprint import FingerprintCache
from onions.store.lockfile import LockError

# Dependencies on all pages: LESSONS on their front matter, time and directives, RUNS on their runs.
LESSONS, RUNS = "lessons", "runs"


class PageIsStale(Exception):
    """The store has no entry for a page's fingerprint."""


class CachedProject(Project):
    """A project that reads each page only once."""

    @cached_property
    def _pages(self) -> dict[str, Page]:
        return {page.name: page for page in super().pages()}

    def pages(self) -> list[Page]:
        """Return all pages in the order of `_toc.yml`. Raises PageError if one can't be read."""
        return list(self._pages.values())

    def page(self, name: str) -> Page:
        """Return the page with this name. Raises PageError if it can't be read."""
        cached = self.__dict__.get("_pages", {})
        return cached.get(name) or super().page(name)


@dataclass
class RenderSession:
    """The state of one build.

    `pending` maps the name of each pending page to the fingerprint of its last run, or to an empty
    string if it never ran. `docname` is the name of the page being read. `read` and
    `written` contain the pages read and written in this build, `shows_runs` the pages that show
    other pages' runs.
    """

    project: Project
    build: Build
    store: Store
    fingerprints: FingerprintCache
    reference: ReferenceRuns
    git: GitFacts
    pending: dict[str, str]
    docname: str = ""
    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    shows_runs: set[str] = field(default_factory=set)
    _entries: dict[str, NotebookNode] = field(default_factory=dict)

    @cached_property
    def course(self) -> dict[str, CoursePosition]:
        """The course positions, by page name."""
        return course_positions(self.project)

    def entry(self, page: Page) -> NotebookNode:
        """Return the page's executed notebook; callers must not change it.

        For a pending page, return its placeholder (`onions.extension.base.pending`).
        Raises PageIsStale if the store has no entry, and StoreError if the entry is damaged.
        """
        fingerprint = self.fingerprints.get(page)
        if fingerprint not in self._entries:
            entry = self.store.read(fingerprint)
            if page.name in self.pending:
                entry = pending.placeholder_entry(page, self.last_run(page), self.build)
            if entry is None:
                raise PageIsStale(f"{page.path}: the page is stale. Run `onions execute`.")
            self._entries[fingerprint] = entry
        return self._entries[fingerprint]

    def reference_runs(self, page: str) -> PageRuns | None:
        """Return the reference runs that fit a page's run best; None if there are none."""
        facts = self.entry(self.project.page(page)).metadata[KEY]
        return self.reference.runs(self.build.source, page, facts.get("device kind", "CPU"))

    def stale_pages(self) -> list[str]:
        """Return the names of the pages that lack an entry and are not pending."""
        fingerprints = {page.name: self.fingerprints.get(page) for page in self.project.pages()}
        return [
            name
            for name, fingerprint in fingerprints.items()
            if fingerprint and not self.store.path(fingerprint).exists()
            if name not in self.pending
        ]

    def last_run(self, page: Page) -> NotebookNode | None:
        """Return a pending page's last run, None if it never ran. Raises StoreError if damaged."""
        return self.store.read(self.pending[page.name]) if self.pending[page.name] else None

    def hash_run(self, page: Page) -> str:
        """Return a hash of the store entry that a page shows."""
        path = self.store.path(self.pending.get(page.name) or self.fingerprints.get(page))
        return sha256(path.read_bytes() if path.exists() else b"").hexdigest()


_session: RenderSession | None = None  # global because MyST-NB passes only the text to a reader


def session() -> RenderSession:
    """Return the session of the build in progress. Raises RuntimeError outside a build."""
    if _session is None:
        raise RuntimeError("no Sphinx build is in progress")
    return _session


def run_key(page: str) -> str:
    """Return the name of the dependency on one page's run."""
    return f"{RUNS} of {page}"


def note_run_dependency(env: BuildEnvironment, *pages: str) -> None:
    """Record that the page being read shows the runs of `pages`; without any, of all pages."""
    if {*pages} == {env.docname}:
        return  # every page depends on its own run
    session().shows_runs.add(env.docname)
    for name in [run_key(page) for page in pages] or [RUNS]:
        _note(env, name)


def note_lesson_dependency(env: BuildEnvironment) -> None:
    """Record that the page being read depends on all pages' front matter, time and directives."""
    _note(env, LESSONS)


def dependencies(env: BuildEnvironment) -> set[tuple[str, str]]:
    """Return the recorded dependencies, as pairs of dependency and dependent page."""
    noted: set[tuple[str, str]] = getattr(env, "onions_readers", set())
    return noted


def _note(env: BuildEnvironment, name: str) -> None:
    env.onions_readers = dependencies(env) | {(name, env.docname)}  # type: ignore[attr-defined]


def _start(app: Sphinx, config: Config) -> None:
    """Start a session. End the process with one line if the pages can't be built.

    `onions render` has checked this. Other commands, such as `jupyter-book build`, would print a
    traceback for an exception.
    """
    global _session
    project = CachedProject(Path(app.srcdir).parent)
    if not project.toc.is_file():
        raise SystemExit("onions: the pages are in book. Run `jupyter-book build book`.")
    try:
        build = Build.read(project.store)
        _session = RenderSession(
            project=project,
            build=build,
            store=Store(project.store),
            fingerprints=FingerprintCache(project, build),
            reference=ReferenceRuns(project),
            git=read_git(project.root),
            pending=config.onions_pending,
        )
        stale = _session.stale_pages()
    except (LockError, PageError, StoreError) as error:
        raise SystemExit(f"onions: {error}") from error
    if stale:
        raise SystemExit(f"onions: stale pages: {', '.join(stale)}. Run `onions execute`.")


def _note_docname(app: Sphinx, docname: str, source: list[str]) -> None:
    session().docname = docname
    session().read.add(docname)


def _note_written(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    session().written.add(docname)


def setup(app: Sphinx) -> None:
    """Start a session at the beginning of each build."""
    app.add_config_value("onions_pending", {}, "", [dict])
    app.connect("config-inited", _start, priority=100)  # before all handlers that read the build
    app.connect("source-read", _note_docname)
    app.connect("doctree-resolved", _note_written)
