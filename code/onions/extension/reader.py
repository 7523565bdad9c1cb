"""The reader that MyST-NB calls for every page: the page's cells with the store's outputs."""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from onions.extension import lesson
from onions.extension.commits import History, history
from onions.fingerprint import Build, Fingerprints
from onions.pages import Page, Project
from onions.prose import GLOSSARY
from onions.reference import Reference
from onions.store import Store

BUILD, COURSE, SOURCES = "build.json", "course.json", "references.bib"  # no pages, but in pages


class PageIsStale(Exception):
    """A page's code was not executed as it stands."""


@dataclass
class Site:
    """What the reader and the directives of one build share."""

    project: Project
    build: Build
    store: Store
    fingerprints: Fingerprints
    reference: Reference
    history: History
    docname: str = ""

    @cached_property
    def course(self) -> dict[str, lesson.Stage]:
        """Where each page of the course stands in it."""
        return lesson.course(self.project)

    def entry(self, page: Page) -> NotebookNode:
        """Return the page's executed notebook. Raises PageIsStale or StoreError."""
        entry = self.store.read(self.fingerprints.of(page))
        if entry is None:
            raise PageIsStale(f"{page.path}: its code is not executed yet; run `onions execute`.")
        return entry

    def state(self, page: Page) -> str:
        """Return a hash of the page and its entry, which changes whenever its look does."""
        path = self.store.path(self.fingerprints.of(page))
        entry = path.read_bytes() if path.exists() else b""
        changed = self.history.changed.get(page.name, "")  # which a commit can do to an old text
        return sha256(f"{changed} {page.text}".encode() + entry).hexdigest()


_site: Site | None = None  # MyST-NB gives a reader the text and nothing else


def site() -> Site:
    """Return the build in progress."""
    if _site is None:
        raise RuntimeError("the extension is set up when Sphinx starts")
    return _site


def read(text: str) -> NotebookNode:
    """Read a page; called by MyST-NB through ``nb_custom_formats``."""
    return notebook(Page(site().docname, site().project.book / f"{site().docname}.md", text))


def notebook(page: Page) -> NotebookNode:
    """Return the cells that are rendered, with the store's outputs. Raises as `Site.entry`."""
    if page.cells:
        page.notebook.metadata["language_info"] = {"name": "python"}  # for the colours of the code
        executed = iter(site().entry(page).cells)
        for cell in page.notebook.cells:
            if cell.cell_type == "code":
                done = next(executed)
                cell.outputs, cell.execution_count = done.outputs, done.execution_count
    return lesson.frame(page, site().course.get(page.name))


def setup(app: Sphinx) -> None:
    """Register the reader's events."""
    app.connect("builder-inited", _start)
    app.connect("source-read", _note_docname)
    app.connect("env-get-outdated", _outdated)


def depends_on_store(env: BuildEnvironment) -> None:
    """Note that the page being read shows what other pages' runs say."""
    noted: set[str] = getattr(env, "onions_readers", set())
    env.onions_readers = noted | {env.docname}  # type: ignore[attr-defined]


def _start(app: Sphinx) -> None:
    global _site
    project = Project(Path(app.srcdir).parent)
    build = Build.read(project)
    prints, reference = Fingerprints(project, build), Reference(project)
    _site = Site(project, build, Store(project.store), prints, reference, history(project))


def _note_docname(app: Sphinx, docname: str, source: list[str]) -> None:
    site().docname = docname


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> set[str]:
    """Name the pages whose entry in the store changed; without this Sphinx keeps the old HTML."""
    pages = site().project.pages()
    now = {page.name: site().state(page) for page in pages}
    cited = (Path(app.srcdir, name).read_text("utf-8") for name in app.config.bibtex_bibfiles)
    # Titles by their look, since reading every page of a large book takes its time.
    titles = [re.search("^# .*$", page.text, re.M) for page in pages]
    course = repr((site().course, [title and title[0] for title in titles]))
    now |= {BUILD: repr(site().build), COURSE: course, SOURCES: "".join(cited)}
    before = getattr(env, "onions_states", {})
    env.onions_states = now  # type: ignore[attr-defined]
    different = changed | {name for name in now if now[name] != before.get(name)}
    if different:
        different |= getattr(env, "onions_readers", set())
    objects = env.get_domain("std").get_objects()
    glossaries = {where for _, _, kind, where, _, _ in objects if kind == "term"}
    # What is in the tips of many pages, and in their heads.
    if (glossaries | {GLOSSARY, SOURCES, COURSE}) & different:
        different |= env.found_docs
    return different & set(env.found_docs)
