"""The render session: what the reader and the directives of one build share.

A page's dependencies on other pages are noted here as it is read.
"""

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from onions.base.git import GitFacts, read_git
from onions.book.page import Page
from onions.book.project import Project
from onions.book.reference import ReferenceRuns
from onions.extension.base import pending
from onions.extension.base.course import CoursePosition, course_positions
from onions.store.build import Build
from onions.store.entries import Store
from onions.store.fingerprint import FingerprintCache

# Dependencies that are not pages: all lessons' front matter, and all pages' runs.
LESSONS, RUNS = "lessons", "runs"


class PageIsStale(Exception):
    """A page's code changed since its last run."""


class CachedProject(Project):
    """A project that reads each page once."""

    @cached_property
    def _pages(self) -> dict[str, Page]:
        return {page.name: page for page in super().pages()}

    def pages(self) -> list[Page]:
        """Return all pages in the order of the table of contents. Raises PageError."""
        return list(self._pages.values())

    def page(self, name: str) -> Page:
        """Return one page by its name. Raises PageError."""
        cached = self.__dict__.get("_pages", {})
        return cached.get(name) or super().page(name)


@dataclass
class RenderSession:
    """The state of one build.

    `pending` maps each pending page to the fingerprint of its last run, empty if it never ran.
    `docname` is the page being read. `read` holds the pages that this build has read, and
    `shows_runs` those that show other pages' runs.
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
    shows_runs: set[str] = field(default_factory=set)
    _entries: dict[str, NotebookNode] = field(default_factory=dict)

    @cached_property
    def course(self) -> dict[str, CoursePosition]:
        """The position of each page of the course."""
        return course_positions(self.project)

    def entry(self, page: Page) -> NotebookNode:
        """Return the page's executed notebook; callers must not change it.

        Raises PageIsStale or StoreError.
        """
        fingerprint = self.fingerprints.get(page)
        if fingerprint not in self._entries:
            entry = self.store.read(fingerprint)
            if page.name in self.pending:
                entry = pending.placeholder_entry(page, self.last_run(page), self.build)
            if entry is None:
                raise PageIsStale(
                    f"{page.path}: its code is not executed yet; run `onions execute`."
                )
            self._entries[fingerprint] = entry
        return self._entries[fingerprint]

    def last_run(self, page: Page) -> NotebookNode | None:
        """Return the last run of a pending page, None if it never ran. Raises StoreError."""
        return self.store.read(self.pending[page.name]) if self.pending[page.name] else None

    def hash_run(self, page: Page) -> str:
        """Return a hash of the run that a page shows."""
        path = self.store.path(self.pending.get(page.name) or self.fingerprints.get(page))
        return sha256(path.read_bytes() if path.exists() else b"").hexdigest()


_session: RenderSession | None = None  # global, since MyST-NB passes only the text to a reader


def session() -> RenderSession:
    """Return the session of the build in progress. Raises RuntimeError outside of a build."""
    if _session is None:
        raise RuntimeError("a session starts when Sphinx starts a build")
    return _session


def run_key(page: str) -> str:
    """Return the name of the dependency on one page's run."""
    return f"{RUNS} of {page}"


def note_run_dependency(env: BuildEnvironment, *pages: str) -> None:
    """Note that the page being read shows results of the runs of `pages`, by default of all."""
    if {*pages} == {env.docname}:
        return  # every page depends on its own run
    session().shows_runs.add(env.docname)
    for name in [run_key(page) for page in pages] or [RUNS]:
        _note(env, name)


def note_lesson_dependency(env: BuildEnvironment) -> None:
    """Note that the page being read shows other pages' front matter or names of directives."""
    _note(env, LESSONS)


def dependencies(env: BuildEnvironment) -> set[tuple[str, str]]:
    """Return the noted dependencies: pairs of what a page depends on and the page."""
    noted: set[tuple[str, str]] = getattr(env, "onions_readers", set())
    return noted


def _note(env: BuildEnvironment, name: str) -> None:
    env.onions_readers = dependencies(env) | {(name, env.docname)}  # type: ignore[attr-defined]


def _start(app: Sphinx) -> None:
    global _session
    project = CachedProject(Path(app.srcdir).parent)
    build = Build.read(project.store)
    _session = RenderSession(
        project=project,
        build=build,
        store=Store(project.store),
        fingerprints=FingerprintCache(project, build),
        reference=ReferenceRuns(project),
        git=read_git(project.root),
        pending=app.config.onions_pending,
    )


def _note_docname(app: Sphinx, docname: str, source: list[str]) -> None:
    session().docname = docname
    session().read.add(docname)


def setup(app: Sphinx) -> None:
    """Start a session with each build."""
    app.add_config_value("onions_pending", {}, "", [dict])
    app.connect("builder-inited", _start)
    app.connect("source-read", _note_docname)
