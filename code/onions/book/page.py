"""One page: a Markdown file, read into a notebook.

Execute, fingerprint and render share this reader, so all three see the same cells.
"""

import ast
import re
import unicodedata
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

# The required fields of `lesson` in the front matter: minutes in class, and lists of sentences.
LESSON_FIELDS = {
    "teaching": int,
    "exercises": int,
    "questions": list,
    "objectives": list,
    "keypoints": list,
}
OPTIONAL_FIELDS = {
    "optional": bool,  # true for a page outside the course
    "practice": int,  # minutes of the exercises for a learner alone; as in class if missing
    "reference": int,  # the number of other seeds from which the reference runs execute the page
}

KERNEL_NAME = "python3"
# CSafeLoader is ten times faster, but needs libyaml.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Tags that change what runs; all others change only what a reader sees.
RUN_TAGS = frozenset({"raises-exception", "skip-execution"})

# Characters that only some tools take for a line end, and others that HTML can't contain.
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
# A fenced block, or a code span with more than one backtick. The content of a span with one
# backtick can't look like a role.
CODE = re.compile(
    r"^ *(?P<fence>`{3,}|~{3,})(?P<info>[^`\n]*)\n(?P<body>(?:.*\n)*?)(?: *(?P=fence)[`~]* *$|\Z)"
    r"|(?<!`)(?P<ticks>``+)(?!`)(?P<span>(?:.|\n(?!\n))+?)(?<!`)(?P=ticks)(?!`)",
    re.M,
)
CODE_DIRECTIVES = ("{code", "{raw-cell}", "{literalinclude}")
FRONT_MATTER = re.compile(r"---\s*\n(.*?)^(?:---|\.\.\.)\s*$", re.M | re.S)
HEADING = re.compile(r"^# (.*)", re.M)
# Options of code cells that MyST-NB refuses without a place, or reads files for.
OPTION_PROBLEMS = {
    re.compile(r":?load:"): "load is not allowed. Write the code into the page.",
    re.compile(r":tags:(?!\s*\[)"): "tags must be a list, as in :tags: [hide-cell]",
}


class PageError(Exception):
    """A page or the table of contents is invalid; the message names the file and often the line."""


@dataclass(frozen=True)
class CodeCell:
    """A code cell; `line` is the number (from 1) of its first source line in the ``.md`` file."""

    source: str
    line: int
    tags: tuple[str, ...]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Page:
    """A page; `name` is its path in the book's folder, without ``.md``."""

    name: str
    path: Path
    text: str

    @property
    def book(self) -> Path:
        """The folder of the pages."""
        return self.path.parents[self.name.count("/")]

    @cached_property
    def notebook(self) -> NotebookNode:
        """The page as a notebook. Raises PageError if it can't be read."""
        return deepcopy(_read(self.text, self.path))  # callers may change their copy

    @cached_property
    def cells(self) -> list[CodeCell]:
        """The page's code cells, in order. Raises PageError if the page can't be read."""
        lines = self.text.split("\n")
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
        """The front matter's ``lesson``; empty if missing. Raises PageError if it is invalid."""
        fields = _front_matter(self.text, self.path).get("lesson") or {}
        if not isinstance(fields, dict):
            raise PageError(f"{self.path}: front matter: lesson must be a mapping")
        types = LESSON_FIELDS | OPTIONAL_FIELDS
        for name in sorted(LESSON_FIELDS.keys() - fields.keys() if fields else ()):
            raise PageError(f"{self.path}: front matter: lesson: {name} is missing")
        for name, value in fields.items():
            if name not in types:
                names = ", ".join(types)
                raise PageError(f"{self.path}: front matter: lesson: {name} is not one of {names}")
            if type(value) is not types[name]:  # not isinstance, since True is an int
                kind = {int: "a number", bool: "true or false", list: "a list"}[types[name]]
                raise PageError(f"{self.path}: front matter: lesson: {name} must be {kind}")
            for number, item in enumerate(value if type(value) is list else ()):
                if not isinstance(item, str) or not item.strip():
                    place = f"{self.path}:{_item_line(self.text, name, number)}"
                    raise PageError(f"{place}: an item of {name} is not text. Put it in quotes.")
        return fields

    @cached_property
    def markup(self) -> str:
        """The text with spaces instead of code, at the same offsets.

        Whatever looks like a directive or a role in it is one.
        """
        return mask_code(self.text)

    def check(self) -> None:
        """Raise PageError if the page's cells, lesson or title can't be read."""
        _ = self.cells, self.lesson, self.title

    def line_at(self, offset: int) -> int:
        """Return the line (from 1) of the character at `offset` in the page's text."""
        return self.text.count("\n", 0, offset) + 1

    @property
    def title(self) -> str:
        """The first heading of level 1. Raises PageError if there is none."""
        front_matter = FRONT_MATTER.match(self.text)
        heading = HEADING.search(self.markup, front_matter.end() if front_matter else 0)
        if heading:
            return self.text[slice(*heading.span(1))].strip()
        raise PageError(f"{self.path}: the page has no title. Add a line that starts with '# '.")


def mask_code(text: str) -> str:
    """Return Markdown with spaces instead of code, at the same offsets."""

    def mask(match: re.Match[str]) -> str:
        body = match["body"] or ""
        if (match["info"] or "").startswith("{") and not match["info"].startswith(CODE_DIRECTIVES):
            masked = mask_code(body)  # a directive's content is Markdown
            start, end = match.span("body")
            return match[0][: start - match.start()] + masked + match[0][end - match.start() :]
        return blank(match[0])

    return CODE.sub(mask, text)


def blank(text: str, character: str = " ") -> str:
    """Return a text of the same lines and length in which every character is `character`."""
    return re.sub(r"[^\n]", character, text)


def parse_cell(cell: CodeCell) -> ast.Module:
    """Return a cell's syntax tree. Raises SyntaxError, whose line is that in the ``.md`` file."""
    try:
        tree = ast.parse(cell.source)
        # Parsing alone accepts await and return outside of functions.
        compile(tree, "cell", "exec", dont_inherit=True)
        return tree
    except SyntaxError as error:
        error.lineno = cell.line + (error.lineno or 1) - 1
        raise


def claimed_sentences(cell: CodeCell) -> Iterator[tuple[int, str]]:
    """Yield the line number (from 1) in the ``.md`` file and the text of each claim in a cell."""
    try:
        tree = parse_cell(cell)
    except SyntaxError:
        return  # computing the fingerprint reports it
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = node.args[0] if node.func.id == "claim" and node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield cell.line + node.lineno - 1, first.value


def _item_line(text: str, name: str, number: int) -> int:
    """Return the line (from 1) of an item, counted from 0, of a list in ``lesson``."""
    match = FRONT_MATTER.match(text)
    node: Any = yaml.compose(match[1] if match else "", YAML_LOADER)
    for key in ("lesson", name):
        node = next(value for field, value in node.value if field.value == key)
    return int(node.value[number].start_mark.line) + 2


def _front_matter(text: str, path: Path) -> dict[str, Any]:
    """Return a page's front matter, a hundred times faster than parsing the whole page."""
    match = FRONT_MATTER.match(text)
    try:
        fields = yaml.load(match[1], YAML_LOADER) if match else {}  # noqa: S506, safe loaders
    except yaml.YAMLError as error:
        raise PageError(f"{path}: invalid front matter: {error}") from error
    return fields if isinstance(fields, dict) else {}


@lru_cache(maxsize=64)  # render reads an edited page several times
def _read(text: str, path: Path) -> NotebookNode:
    # Imported here, since it is slow and not needed if the fingerprints are cached.
    from myst_nb.core.read import read_myst_markdown_notebook

    if not text.strip():
        raise PageError(f"{path}: the page is empty")
    lines = text.split("\n")
    if forbidden := FORBIDDEN.search(text):
        name = unicodedata.name(forbidden[0], f"U+{ord(forbidden[0]):04X}")
        place = f"{path}:{text.count(chr(10), 0, forbidden.start()) + 1}"
        raise PageError(f"{place}: contains the control character {name}. Delete it.")
    try:
        # Without a path, MyST-NB can't load a cell's source from a file, which no hash would cover.
        notebook = read_myst_markdown_notebook(text, add_source_map=True)
    except Exception as error:  # a wrong type in the front matter or an option can raise any error
        raise PageError(
            _option_problem(lines, path) or f"{path}: can't be read: {error}"
        ) from error
    kernel = notebook.metadata.get("kernelspec", {}).get("name", KERNEL_NAME)
    if kernel != KERNEL_NAME:
        raise PageError(f"{path}: front matter: the kernel must be {KERNEL_NAME}, not {kernel}")
    source_map = notebook.metadata["source_map"]
    for index, cell in enumerate(notebook.cells):
        _check_options(cell, f"{path}:{source_map[index]}")
        if cell.cell_type == "markdown":
            source_map[index] = _text_start(lines, source_map[index])
    return nbformat.from_dict(notebook)


def _option_problem(lines: list[str], path: Path) -> str:
    """Return the probable reason why a page's code cells can't be read; "" if there is none."""
    problems = (
        f"{path}:{number}: {problem}"
        for number, line in enumerate(lines, 1)
        for option, problem in OPTION_PROBLEMS.items()
        if option.match(line)
    )
    return next(problems, "")


def _check_options(cell: NotebookNode, place: str) -> None:
    """Raise PageError if a cell's options have unexpected types."""
    tags = cell.metadata.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise PageError(f"{place}: tags must be a list, as in [remove-cell, build-only]")
    options = cell.metadata.get("mystnb", {})
    parts = [
        options,
        *(options.get(p, {}) for p in ("image", "figure") if isinstance(options, dict)),
    ]
    if not all(isinstance(part, dict) for part in parts):
        raise PageError(f"{place}: mystnb, mystnb.image and mystnb.figure must be mappings")


def _text_start(lines: list[str], start: int) -> int:
    """Return a Markdown cell's source map entry: the line (from 1) of its first text, minus 2.

    MyST-NB adds 2 to get line numbers for warnings. Its own entry, `start`, does not skip the blank
    lines before the text, so its warnings would name earlier lines.
    """
    while start < len(lines) and not lines[start].strip():
        start += 1
    return start - 1


def _first_source_line(lines: list[str], fence: int) -> int:
    """Return the line number (from 1) of a cell's first source line, after fence and options."""
    line = fence  # counted from 1, so this is also the index of the next line
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
