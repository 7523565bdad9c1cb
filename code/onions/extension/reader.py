"""The reader that MyST-NB calls for every page: the page's cells with the store's outputs."""

import re
from copy import deepcopy
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from onions.commits import History, history
from onions.edits import line_of
from onions.extension import awaited, lesson
from onions.fingerprint import Build, Fingerprints
from onions.pages import Page, Project
from onions.prose import GLOSSARY
from onions.reference import Reference
from onions.store import Store, measured

LOGGER = logging.getLogger(__name__)

# What pages show besides their own text and run: no pages, but noted beside them.
BUILD, COURSE, LESSONS, RUNS, SOURCES = "build", "course", "lessons", "runs", "sources"
DIRECTIVE = re.compile(r"^(?:```+|:::+)\{([\w-]+)\}", re.M)
COMMENT = re.compile(r"^%.*$", re.M)
OPTIONS = re.compile(r"^```+\{code-cell\}.*\n---\n(.*?)^---$", re.M | re.S)


class PageIsStale(Exception):
    """A page's code was not executed as it stands."""


class Pages(Project):
    """The project, each of whose pages is read once in a build."""

    @cached_property
    def _pages(self) -> dict[str, Page]:
        return {page.name: page for page in super().pages()}

    def pages(self) -> list[Page]:
        """Return all pages in the order of the table of contents. Raises PageError."""
        return list(self._pages.values())

    def page(self, name: str) -> Page:
        """Return one page by its name. Raises PageError."""
        known = self.__dict__.get("_pages", {})
        return known.get(name) or super().page(name)


@dataclass
class Site:
    """What the reader and the directives of one build share."""

    project: Project
    build: Build
    store: Store
    fingerprints: Fingerprints
    reference: Reference
    history: History
    awaited: dict[str, str]  # by page, the last run of those that await one; empty for none
    docname: str = ""
    read: set[str] = field(default_factory=set)  # the pages that this build has read
    shows_runs: set[str] = field(default_factory=set)  # those of them that show other pages' runs
    _entries: dict[str, NotebookNode] = field(default_factory=dict)

    @cached_property
    def course(self) -> dict[str, lesson.Stage]:
        """Where each page of the course stands in it."""
        return lesson.course(self.project)

    def entry(self, page: Page) -> NotebookNode:
        """Return the page's executed notebook, which is not to be changed.

        Raises PageIsStale or StoreError.
        """
        print_ = self.fingerprints.of(page)
        if print_ not in self._entries:
            entry = self.store.read(print_)
            if page.name in self.awaited:
                entry = awaited.stand_in(page, self.last(page), self.build)
            if entry is None:
                raise PageIsStale(
                    f"{page.path}: its code is not executed yet; run `onions execute`."
                )
            self._entries[print_] = entry
        return self._entries[print_]

    def last(self, page: Page) -> NotebookNode | None:
        """Return the last run of a page that awaits one, if there was one. Raises StoreError."""
        return self.store.read(self.awaited[page.name]) if self.awaited[page.name] else None

    def run(self, page: Page) -> str:
        """Return a hash of the run that a page shows."""
        path = self.store.path(self.awaited.get(page.name) or self.fingerprints.of(page))
        return sha256(path.read_bytes() if path.exists() else b"").hexdigest()


_site: Site | None = None  # MyST-NB gives a reader the text and nothing else


def site() -> Site:
    """Return the build in progress."""
    if _site is None:
        raise RuntimeError("the extension is set up when Sphinx starts")
    return _site


def read(text: str) -> NotebookNode:
    """Read a page; called by MyST-NB through ``nb_custom_formats``."""
    page = Page(site().docname, site().project.book / f"{site().docname}.md", text)
    if page.cells and page.name not in site().awaited:
        _check_names(page)
    return notebook(page)


def notebook(page: Page) -> NotebookNode:
    """Return the cells that are rendered, with the store's outputs. Raises as `Site.entry`."""
    page = replace(page)  # whose notebook is to be changed
    if page.cells:
        page.notebook.metadata["language_info"] = {"name": "python"}  # for the colours of the code
        executed = iter(deepcopy(site().entry(page).cells))
        for cell in page.notebook.cells:
            if cell.cell_type == "code":
                done = next(executed)
                cell.outputs, cell.execution_count = done.outputs, done.execution_count
    if page.name in site().awaited:
        awaited.mark(page.notebook, site().entry(page), site().last(page))
    return lesson.frame(page, site().course.get(page.name))


def _check_names(page: Page) -> None:
    """Warn of each name in the text that the page's run did not measure, with one that is near."""
    known = measured(site().entry(page))
    texts = [cell.source for cell in page.notebook.cells if cell.cell_type == "markdown"]
    for match in awaited.GLUED.finditer(COMMENT.sub("", "\n".join(texts))):
        if match[1] not in known:
            near = get_close_matches(match[1], known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            where = page.name, line_of(page, page.text.find(match[0]))
            LOGGER.warning("no cell measures %s%s", match[1], hint, location=where, type="onions")


def setup(app: Sphinx) -> None:
    """Register the reader's events, and what `onions live` says of pages that await their run."""
    app.add_config_value("onions_awaited", {}, "", [dict])
    app.connect("builder-inited", _start)
    app.connect("source-read", _note_docname)
    app.connect("env-get-outdated", _outdated)


def depends_on_store(env: BuildEnvironment, *pages: str) -> None:
    """Note that the page being read shows what the runs of these pages say; by default, of all."""
    if {*pages} == {env.docname}:
        return  # its own run is its own anyway
    site().shows_runs.add(env.docname)
    for what in [_run_of(page) for page in pages] or [RUNS]:
        _note(env, what)


def depends_on_lessons(env: BuildEnvironment) -> None:
    """Note that the page being read shows what other pages say of themselves: their front matter,
    and which directives they have.
    """
    _note(env, LESSONS)


def _run_of(page: str) -> str:
    return f"{RUNS} of {page}"


def _note(env: BuildEnvironment, what: str) -> None:
    noted: set[tuple[str, str]] = getattr(env, "onions_readers", set())
    env.onions_readers = noted | {(what, env.docname)}  # type: ignore[attr-defined]


def _start(app: Sphinx) -> None:
    global _site
    project = Pages(Path(app.srcdir).parent)
    build = Build.read(project)
    prints, reference = Fingerprints(project, build), Reference(project)
    store, waiting = Store(project.store), app.config.onions_awaited
    _site = Site(project, build, store, prints, reference, history(project), waiting)


def _note_docname(app: Sphinx, docname: str, source: list[str]) -> None:
    site().docname = docname
    site().read.add(docname)


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> set[str]:
    """Name the pages whose entry in the store changed; without this Sphinx keeps the old HTML."""
    pages = site().project.pages()
    runs = {page.name: site().run(page) for page in pages}
    # A commit can change when an old text was changed.
    dates, awaits = site().history.changed, site().awaited
    now = {
        name: f"{runs[name]} {name in awaits} {dates.get(name)} {page.text}"
        for name, page in ((page.name, page) for page in pages)
    }
    cited = (Path(app.srcdir, name).read_text("utf-8") for name in app.config.bibtex_bibfiles)
    # Titles by their look, since reading every page of a large book takes its time.
    titles = [re.search("^# .*$", page.text, re.M) for page in pages]
    course = repr((site().course, [title and title[0] for title in titles]))
    now |= {BUILD: repr(site().build), COURSE: course, SOURCES: "".join(cited)}
    # With the figures' alt texts.
    shown = {_run_of(p.name): f"{runs[p.name]} {OPTIONS.findall(p.text)}" for p in pages}
    lessons = [(page.lesson, sorted({*DIRECTIVE.findall(page.text)})) for page in pages]
    now |= {LESSONS: repr(lessons), RUNS: repr(shown)} | shown
    before = getattr(env, "onions_states", {})
    env.onions_states = now  # type: ignore[attr-defined]
    different = changed | {name for name in now if now[name] != before.get(name)}
    noted: set[tuple[str, str]] = getattr(env, "onions_readers", set())
    different |= {docname for what, docname in noted if {what, BUILD} & different}
    objects = env.get_domain("std").get_objects()
    glossaries = {where for _, _, kind, where, _, _ in objects if kind == "term"}
    # What is in the tips of many pages, and in their heads.
    if (glossaries | {GLOSSARY, SOURCES, COURSE}) & different:
        different |= env.found_docs
    return different & set(env.found_docs)
