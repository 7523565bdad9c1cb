"""Texts of small pages, and the store entries of their runs."""

from pathlib import Path

from nbformat import NotebookNode
from onions.book.page import Page
from onions.book.project import Project
from onions.store.build import Build
from onions.store.entries import Store
from onions.store.fingerprint import fingerprint

BUILD_ONLY_TAGS = ":tags: [remove-cell, build-only]\n"
EXPORT_TAGS = ":tags: [remove-cell, build-only, export]\n"
Entries = dict[str, tuple[Page, NotebookNode]]


def cell(source: str, options: str = "") -> str:
    """Return the text of a code cell; `options` are lines above its source."""
    return f"```{{code-cell}} python\n{options}{source}\n```\n\n"


def entry(root: Path, name: str) -> NotebookNode | None:
    """Return the store entry of a page's current state, or None if there is none."""
    project = Project(root)
    return Store(project.store).read(current_fingerprint(project, name))


def current_fingerprint(project: Project, name: str) -> str:
    """Return a page's fingerprint in the project's last build."""
    return fingerprint(project.page(name), project, Build.read(project.store))


PRINTING_PAGE = "# Good\n\n" + cell("print(6 * 7)")
SILENT_PAGE = "# Other\n\n" + cell("y = 1")
CRASHING_PAGE = (
    "# Bad\n\nText.\n\n" + cell("x = 1") + cell("y = 2\n\nx / 0\n") + cell("print('not run')")
)
