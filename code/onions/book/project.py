"""A project: the book's folder, its pages in the order of ``_toc.yml``, and the paths in it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

from onions.book.page import YAML_LOADER, Page, PageError


@dataclass(frozen=True)
class Project:
    """The paths and pages of a book."""

    root: Path

    @property
    def book(self) -> Path:
        """The folder of the pages."""
        return self.root / "book"

    @property
    def build(self) -> Path:
        """The folder of all build outputs; it may be deleted at any time."""
        return self.root / "_build"

    @property
    def store(self) -> Path:
        """The folder of the executed pages; another machine needs nothing else of `build`."""
        return self.build / "store"

    @property
    def toc(self) -> Path:
        """The table of contents."""
        return self.root / "_toc.yml"

    @property
    def config(self) -> Path:
        """Jupyter Book's configuration."""
        return self.root / "_config.yml"

    @property
    def lock(self) -> Path:
        """The pinned packages."""
        return self.root / "requirements.lock"

    def pages(self) -> list[Page]:
        """Return all pages in the order of the table of contents. Raises PageError."""
        try:
            text = self.toc.read_text("utf-8")
            names = list(parse_toc_data(yaml.load(text, YAML_LOADER)))  # noqa: S506, both are safe
        except (OSError, MalformedError, yaml.YAMLError) as error:
            raise PageError(f"{self.toc}: not a table of contents ({error})") from error
        if re.search(r"^\s*(- )?glob:", text, re.M):
            raise PageError(f"{self.toc}: name each page with file:, not glob:")
        return [self.page(name.removesuffix(".md")) for name in names]

    def page(self, name: str) -> Page:
        """Return the page with this name: its path in `book` without ``.md``. Raises PageError."""
        path = self.book / f"{name}.md"
        try:
            return Page(name, path, path.read_text("utf-8"))
        except OSError as error:
            raise PageError(f"{path}: can't be read ({error.strerror}); see _toc.yml") from error
        except UnicodeDecodeError as error:
            raise PageError(f"{path}: not UTF-8 text ({error.reason})") from error


def select_pages(project: Project, names: Iterable[str]) -> list[Page]:
    """Return the pages with these names or paths; all pages if there are none.

    Raises PageError, which suggests close matches.
    """
    pages = {page.name: page for page in project.pages()}
    return [pages[_page_name(project, name, pages)] for name in names] or list(pages.values())


def _page_name(project: Project, name: str, pages: Iterable[str]) -> str:
    """Return the name in `pages` that a name or path refers to. Raises PageError."""
    path = Path(name).resolve()
    if name.endswith(".md") and path.is_relative_to(project.book):
        name = str(path.relative_to(project.book))
    name = name.removesuffix(".md")
    if name in pages:
        return name
    if (project.book / f"{name}.md").is_file():
        raise PageError(f"{project.book / name}.md: it is not in _toc.yml; add - file: {name}")
    matches = get_close_matches(name, pages)
    hint = (
        f"did you mean {' or '.join(matches)}?" if matches else f"the pages are {', '.join(pages)}"
    )
    raise PageError(f"{name}: no page of _toc.yml has this name; {hint}")
