"""The pages of the book, in the order of ``_toc.yml``, read into notebooks.

There is one reader: what is executed, fingerprinted and rendered is the same list of cells.
"""

import re
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from myst_nb.core.read import read_myst_markdown_notebook
from nbformat import NotebookNode
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

# What a lesson page says of itself: minutes, and lists of sentences.
LESSON = {
    "teaching": int,
    "exercises": int,
    "questions": list,
    "objectives": list,
    "keypoints": list,
}
OPTIONAL = {
    "optional": bool,  # true for a page beside the lesson's course
    "reference": bool,  # true for a page that is also run from other seeds
}

KERNEL = "python3"
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where libyaml is there
# Tags that change what runs; all others change only the look.
RUN_TAGS = frozenset({"raises-exception", "skip-execution"})


class PageError(Exception):
    """A page or the table of contents can't be used; the message names file and line."""


@dataclass(frozen=True)
class Project:
    """Where things lie in a book's folder."""

    root: Path

    @property
    def book(self) -> Path:
        """The folder of the pages."""
        return self.root / "book"

    @property
    def build(self) -> Path:
        """The folder of everything that is made; it can be deleted at any time."""
        return self.root / "_build"

    @property
    def store(self) -> Path:
        """The executed pages, and what they ran with; all that another machine needs of `build`."""
        return self.build / "store"

    @property
    def lock(self) -> Path:
        """The pinned packages."""
        return self.root / "requirements.lock"

    def pages(self) -> list["Page"]:
        """Return all pages in the order of the table of contents. Raises PageError."""
        toc = self.root / "_toc.yml"
        try:
            text = toc.read_text("utf-8")
            names = list(parse_toc_data(yaml.load(text, YAML)))  # noqa: S506, both are safe
        except (OSError, MalformedError, yaml.YAMLError) as error:
            raise PageError(f"{toc}: not a table of contents ({error})") from error
        if re.search(r"^\s*(- )?glob:", text, re.M):
            raise PageError(f"{toc}: name each page with file:, not glob:")
        return [self.page(name.removesuffix(".md")) for name in names]

    def page(self, name: str) -> "Page":
        """Return one page by its name, its path in `book` without ``.md``. Raises PageError."""
        path = self.book / f"{name}.md"
        try:
            return Page(name, path, path.read_text("utf-8"))
        except OSError as error:
            raise PageError(f"{path}: can't be read ({error.strerror}); see _toc.yml") from error
        except UnicodeDecodeError as error:
            raise PageError(f"{path}: not UTF-8 text ({error.reason})") from error


@dataclass(frozen=True)
class CodeCell:
    """A code cell: its source and the line of its first source line in the ``.md`` file."""

    source: str
    line: int
    tags: tuple[str, ...]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Page:
    """One page: a Markdown file, read into a notebook when that is asked for."""

    name: str
    path: Path
    text: str

    @property
    def book(self) -> Path:
        """The folder of the pages."""
        return self.path.parents[self.name.count("/")]

    @cached_property
    def notebook(self) -> NotebookNode:
        """The page's cells. Raises PageError."""
        return deepcopy(_read(self.text, self.path))  # whoever has it may change it

    @cached_property
    def cells(self) -> list[CodeCell]:
        """The page's code cells, in order. Raises PageError."""
        lines = self.text.splitlines()
        starts = self.notebook.metadata["source_map"]
        return [
            CodeCell(
                cell.source,
                _first_source_line(lines, start),
                tuple(cell.metadata.get("tags", ())),
                cell.metadata,
            )
            for cell, start in zip(self.notebook.cells, starts, strict=True)
            if cell.cell_type == "code"
        ]

    @cached_property
    def lesson(self) -> dict[str, Any]:
        """The front matter's ``lesson``, empty for a page without. Raises PageError."""
        facts = _front_matter(self.text, self.path).get("lesson") or {}
        if not isinstance(facts, dict):
            raise PageError(f"{self.path}: front matter: lesson must be a mapping")
        known = LESSON | OPTIONAL
        for name in sorted(LESSON.keys() - facts.keys() if facts else ()):
            raise PageError(f"{self.path}: front matter: lesson: {name} is missing")
        for name, value in facts.items():
            if name not in known:
                names = ", ".join(known)
                raise PageError(f"{self.path}: front matter: lesson: {name} is not one of {names}")
            if type(value) is not known[name]:  # true is an int, too
                kind = {int: "a number", bool: "true or false", list: "a list"}[known[name]]
                raise PageError(f"{self.path}: front matter: lesson: {name} must be {kind}")
        return facts

    def check(self) -> None:
        """Raise PageError if anything is wrong with the page."""
        _ = self.cells, self.lesson, self.title

    @property
    def title(self) -> str:
        """The first heading."""
        for cell in self.notebook.cells:
            for line in cell.source.splitlines():
                if cell.cell_type == "markdown" and line.startswith("# "):
                    return str(line[2:].strip())
        raise PageError(f"{self.path}: the page has no title (a line that starts with '# ')")


def _front_matter(text: str, path: Path) -> dict[str, Any]:
    """Return what a page says of itself; reading it whole takes a hundred times longer."""
    match = re.match(r"---\s*\n(.*?)^(?:---|\.\.\.)\s*$", text, re.M | re.S)
    try:
        facts = yaml.load(match[1], YAML) if match else {}  # noqa: S506, both are safe
    except yaml.YAMLError as error:
        raise PageError(f"{path}: can't be read: {error}") from error
    return facts if isinstance(facts, dict) else {}


@lru_cache(maxsize=64)  # a rendering asks several times for a page that was edited
def _read(text: str, path: Path) -> NotebookNode:
    if not text.strip():
        raise PageError(f"{path}: the page is empty")
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r":tags:(?!\s*\[)", line):
            raise PageError(f"{path}:{number}: tags must be a list, as in :tags: [hide-cell]")
        if re.match(r":?load:", line):
            raise PageError(f"{path}:{number}: write the code into the page, or import it")
    try:
        notebook = read_myst_markdown_notebook(text, add_source_map=True, path=path)
    except Exception as error:  # whatever the front matter's or an option's wrong type leads to
        raise PageError(f"{path}: can't be read: {error}") from error
    kernel = notebook.metadata.get("kernelspec", {}).get("name", KERNEL)
    if kernel != KERNEL:
        raise PageError(f"{path}: front matter: the kernel is {KERNEL}, not {kernel}")
    source_map, lines = notebook.metadata["source_map"], text.splitlines()
    for index, cell in enumerate(notebook.cells):
        _check_options(cell, f"{path}:{source_map[index]}")
        if cell.cell_type == "markdown":
            source_map[index] = _before_text(lines, source_map[index])
    return nbformat.from_dict(notebook)


def _check_options(cell: NotebookNode, place: str) -> None:
    """Raise PageError unless a cell's options have the types that everything else relies on."""
    tags = cell.metadata.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise PageError(f"{place}: tags must be a list, as in [remove-cell, build-only]")
    options = cell.metadata.get("mystnb", {})
    parts = [
        options,
        *(options.get(p, {}) for p in ("image", "figure") if isinstance(options, dict)),
    ]
    if not all(isinstance(part, dict) for part in parts):
        raise PageError(f"{place}: mystnb, and image and figure in it, must be mappings")


def _before_text(lines: list[str], start: int) -> int:
    """Return the number from which MyST-NB counts a text's lines: that of its first line, less 2.

    Its own reader gives the line where the text's blank lines begin, so that warnings are off.
    """
    while start < len(lines) and not lines[start].strip():
        start += 1
    return start - 1


def _first_source_line(lines: list[str], fence: int) -> int:
    """Return the 1-based line after the fence, or after the options that follow it."""
    line = fence  # 1-based number of the fence, so also the index of the line after it
    if line < len(lines) and lines[line].strip() == "---":
        line += 1
        while line < len(lines) and lines[line].strip() != "---":
            line += 1
        line += 1
    else:
        while line < len(lines) and lines[line].startswith(":"):
            line += 1
    while line < len(lines) and not lines[line].strip():
        line += 1
    return line + 1
