"""Outdated pages: Sphinx must read them again because something that they show has changed.

Sphinx itself compares only the times of files. This module also compares the files' contents, the
runs that a page shows, other pages' front matter, the bibliography, the glossary and the build's
settings.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from onions.book.comparisons import sentences
from onions.book.page import Page
from onions.book.prose import GLOSSARY, study_minutes
from onions.extension.base.session import LESSONS, RUNS, dependencies, run_key, session
from onions.extension.reading.dependencies import pages_with_changed_files

# Inputs that are not pages. No page may have one of these names.
BUILD, COURSE, SOURCES = "build", "course", "sources"
DIRECTIVE = re.compile(r"^(?:```+|:::+)\{([\w-]+)\}", re.M)
OPTIONS = re.compile(r"^```+\{code-cell\}.*\n---\n(.*?)^---$", re.M | re.S)


def setup(app: Sphinx) -> None:
    """Tell Sphinx which pages are outdated."""
    app.connect("env-get-outdated", _outdated)


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> set[str]:
    state = _state(app)
    last_state = getattr(env, "onions_states", {})
    env.onions_states = state  # type: ignore[attr-defined]
    different = (
        changed
        | pages_with_changed_files(env)
        | {name for name in state if state[name] != last_state.get(name)}
    )
    different |= {page for name, page in dependencies(env) if {name, BUILD} & different}
    objects = env.get_domain("std").get_objects()
    glossaries = {docname for _, _, kind, docname, _, _ in objects if kind == "term"}
    # Any page can show these in its tips or its header.
    if (glossaries | {GLOSSARY, SOURCES, COURSE}) & different:
        different |= env.found_docs
    return different & set(env.found_docs)


def _state(app: Sphinx) -> dict[str, str]:
    """Return each page's and each other input's state, as text to compare between builds."""
    pages = session().project.pages()
    runs = {page.name: session().hash_run(page) for page in pages}
    # A commit can change the date of a page's last change without changing its text.
    dates, pending = session().git.last_changed, session().pending
    state = {
        page.name: f"{runs[page.name]} {page.name in pending} {dates.get(page.name)} {page.text}"
        for page in pages
    }
    bibliographies = (
        Path(app.srcdir, name).read_text("utf-8") for name in app.config.bibtex_bibfiles
    )
    course = repr((session().course, [page.title for page in pages]))
    # A page that shows another page's run also shows alt texts from that page's cell options, and
    # the claims in its text.
    shown_runs = {
        run_key(page.name): f"{runs[page.name]} {OPTIONS.findall(page.text)} {_claims(page)}"
        for page in pages
    }
    lessons = [
        (page.lesson, page.lesson and study_minutes(page), sorted({*DIRECTIVE.findall(page.text)}))
        for page in pages
    ]
    inputs = {
        BUILD: repr(session().build),
        COURSE: course,
        SOURCES: "".join(bibliographies),
        LESSONS: repr(lessons),
        RUNS: repr(shown_runs),
    }
    return state | inputs | shown_runs


def _claims(page: Page) -> list[tuple[str, str]]:
    return [(s.words, s.comparison) for s in sentences(page) if s.kind == "claim"]
