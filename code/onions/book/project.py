"""A project: its paths, and the book's pages in the order of ``_toc.yml``."""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml
from sphinx_external_toc.api import SiteMap
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

from onions.book.page import YAML_LOADER, Page, PageError

NAME = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")  # of a page
RESERVED_PAGES = {"404", "search", "genindex", "py-modindex", "objects", "sitemap"}
RESERVED_FOLDERS = {"_static", "_images", "_downloads", "_sources", "notebooks", "store"}


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
        """The folder of the executed pages; other machines need no other part of `build`."""
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
        """Return all pages in the order of ``_toc.yml``.

        Raises PageError if the table of contents is invalid or a page can't be read.
        """
        return [self.page(name.removesuffix(".md")) for name in self._site_map()]

    def part(self, name: str) -> list[Page]:
        """Return the pages of a page's part of ``_toc.yml``; none if it is outside of all parts."""
        for part in self._site_map().root.subtrees:
            names = [str(item).removesuffix(".md") for item in part.items]
            if part.caption and name in names:
                return [self.page(name) for name in names]
        return []

    def _site_map(self) -> SiteMap:
        try:
            text = self.toc.read_text("utf-8")
            site_map = parse_toc_data(yaml.load(text, YAML_LOADER))  # noqa: S506, safe loaders
        except (OSError, MalformedError, yaml.YAMLError) as error:
            raise PageError(f"{self.toc}: not a table of contents ({error})") from error
        if re.search(r"^\s*(- )?glob:", text, re.M):
            raise PageError(f"{self.toc}: glob: is not supported. Use file: for each page.")
        names = [str(name).removesuffix(".md") for name in site_map]
        for name in names:
            if problem := _name_problem(name, names):
                raise PageError(f"{self.toc}: {name}: {problem}")
        return site_map

    def page(self, name: str) -> Page:
        """Return the page in ``book/NAME.md``. Raises PageError if it can't be read."""
        path = self.book / f"{name}.md"
        try:
            return Page(name, path, path.read_text("utf-8-sig"))
        except OSError as error:
            raise PageError(f"{path}: can't be read ({error.strerror}). Check _toc.yml.") from error
        except UnicodeDecodeError as error:
            raise PageError(f"{path}: not UTF-8 ({error.reason}). Save it as UTF-8.") from error


def find_project(folder: Path | None) -> Project:
    """Return the project in `folder`; with None, that in the working folder or one above.

    Raises PageError if there is none.
    """
    here = (folder or Path()).resolve()
    for root in [here] if folder else [here, *here.parents]:
        project = Project(root)
        if project.toc.is_file() and project.book.is_dir():
            return project
    where = "in this folder" if folder else "in this folder or one above"
    raise PageError(
        f"{here}: no book {where}: a project has book/ and _toc.yml. Choose one with --project."
    )


def _name_problem(name: str, names: list[str]) -> str:
    """Return why a page can't have this name, and the remedy; "" if it can."""
    plain = posixpath.normpath(name)
    if names.count(name) > 1:
        return "the page is listed twice. Delete one of the entries."
    if Path(name).suffix:
        kind = Path(name).suffix
        return f"pages are Markdown files, not {kind}. Jupytext converts notebooks: --to md:myst."
    if plain != name or name.startswith(("/", "..")):
        return f"write {plain.lstrip('./')}, the path in the book's folder."
    if not NAME.fullmatch(name):
        return "use only the letters a to z and A to Z, digits, -, _ and /, as in my_page."
    if name in RESERVED_PAGES or name.partition("/")[0] in RESERVED_FOLDERS:
        return "the site needs this name itself. Choose another."
    return ""


def select_pages(project: Project, names: Iterable[str]) -> list[Page]:
    """Return the pages with these names or paths; all pages if `names` is empty.

    Raises PageError, with a suggestion, if the table of contents has no such page.
    """
    pages = {page.name: page for page in project.pages()}
    return [pages[_page_name(project, name, pages)] for name in names] or list(pages.values())


def _page_name(project: Project, name: str, pages: Iterable[str]) -> str:
    """Return the name in `pages` that a name or path refers to. Raises PageError if none does."""
    path = Path(name).resolve()
    if name.endswith(".md") and path.is_relative_to(project.book):
        name = str(path.relative_to(project.book))
    name = name.removesuffix(".md")
    if name in pages:
        return name
    if (project.book / f"{name}.md").is_file():
        raise PageError(f"{project.book / name}.md: not in _toc.yml. Add - file: {name}")
    matches = get_close_matches(name, pages)
    hint = f"Did you mean {' or '.join(matches)}?" if matches else f"Choose {', '.join(pages)}."
    raise PageError(f"{name}: no such page in _toc.yml. {hint}")
