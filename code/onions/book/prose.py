"""The running text of a page: its paragraphs, reading time and glossary terms."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from onions.book.page import Page, blank

WORDS_PER_MINUTE = 200  # in a lesson; a word of code takes twice as long
GLOSSARY = "reference/glossary"
BUILD_ONLY = "build-only"
TERM = re.compile(r"\{term\}`([^`<]+?)(?:\s*<([^>]+)>)?`")
# Markup that is not running text: roles, inline code, link targets, formulas, comments.
ROLE = re.compile(r"(\{[\w:-]+\})?`[^`]*`|\]\([^)]*\)|\$[^$]*\$|<!--.*?-->", re.S)
FENCED = re.compile(r"^(```+|~~~+).*?^\1$", re.M | re.S)
GATE = re.compile(r"\{(exercise|solution)-(start|end)\}")
QUIZ = re.compile(r"^:::+\{quiz\} *(\S+)", re.M)
# Blocks outside the running text: instructors' notes, quizzes and explorers.
ASIDE = re.compile(r"^(:::+)\{(?:instructor|quiz|explorer)\}.*?^\1$", re.M | re.S)


class TermOccurrence(NamedTuple):
    """An occurrence of a glossary term in the text.

    `line` counts from 1, `column` from 0. `source` is the Markdown; `text` is what a reader sees.
    """

    line: int
    column: int
    source: str
    text: str
    linked: bool


def paragraphs(page: Page) -> Iterator[tuple[int, str]]:
    """Yield the first line number (from 1) and the text of each paragraph outside fenced blocks."""
    for cell, start in zip(page.notebook.cells, page.notebook.metadata["source_map"], strict=True):
        if cell.cell_type != "markdown":
            continue
        text = FENCED.sub(_blank, cell.source)
        for match in re.finditer(r"(?:^.*\S.*\n?)+", text, re.M):
            yield start + 2 + text.count("\n", 0, match.start()), match[0]


def plain_text(text: str) -> str:
    """Return a text as one line, with each glossary link replaced by its words."""
    return " ".join(TERM.sub(r"\1", text).split())


def reading_minutes(page: Page) -> float:
    """Return the page's reading time in minutes, at 200 words a minute; code counts twice.

    Outputs, the opening box, build-only and folded cells, instructors' notes, quizzes and explorers
    do not count. Nor do exercises: the front matter gives their minutes separately.
    """
    words, in_exercise, cells = 0, False, iter(page.cells)
    for part in page.notebook.cells:
        if part.cell_type == "code":
            cell = next(cells)
            if not (in_exercise or {BUILD_ONLY, "hide-cell"}.intersection(cell.tags)):
                words += 2 * len(cell.source.split())
            continue
        for line in ASIDE.sub("", part.source).splitlines():
            if gate := GATE.search(line):
                in_exercise = gate[2] == "start"
            elif not in_exercise and not line.startswith((":", "```", "%")):
                words += sum(any(map(str.isalnum, word)) for word in line.split())
    return words / WORDS_PER_MINUTE


def glossary_terms(page: Page) -> list[str]:
    """Return the terms of the book's glossary; an empty list if it has no glossary."""
    path = page.book / f"{GLOSSARY}.md"
    text = path.read_text("utf-8") if path.exists() else ""
    blocks = re.findall(r"^(```+|:::+)\{glossary\}$(.*?)^\1$", text, re.M | re.S)
    return [line for _, block in blocks for line in block.splitlines() if re.match(r"\w", line)]


def term_occurrences(page: Page, term: str, terms: list[str]) -> Iterator[TermOccurrence]:
    """Yield a term's occurrences in the text, in order.

    Solutions, quizzes, explorers and instructors' notes do not count: a learner may skip them.
    `terms` lists the whole glossary: an occurrence inside a longer term does not count either.
    """
    longer_terms = [longer for longer in terms if term in longer and term != longer]
    skipped = _optional_lines(page)

    def mask_other_term(match: re.Match[str]) -> str:
        target = " ".join((match[2] or match[1]).split())
        return match[0] if target.lower() == term.lower() else _mask(match)

    for start, text in paragraphs(page):
        text = ROLE.sub(lambda m: m[0] if m[1] == "{term}" else _mask(m), text)
        text = re.sub(r"^(#|:|%|\([\w-]+\)=).*$", "", text, flags=re.M)  # headings, options, labels
        text = TERM.sub(mask_other_term, text)
        for longer in longer_terms:
            text = re.sub(rf"(?<![`<]){_forms(longer)}(?![>`])", _mask, text, flags=re.I)
        for match in re.finditer(rf"{TERM.pattern}|({_forms(term)})", text, re.I):
            line = start + text.count("\n", 0, match.start())
            column = match.start() - text.rfind("\n", 0, match.start()) - 1
            if line not in skipped:
                words = " ".join((match[1] or match[3]).split())
                yield TermOccurrence(line, column, match[0], words, bool(match[1]))


def _optional_lines(page: Page) -> set[int]:
    """Return the line numbers of solutions, quizzes, explorers and instructors' notes."""
    lines, inside = set(), False
    for number, line in enumerate(page.markup.split("\n"), 1):
        if gate := GATE.search(line):
            inside = gate[0] == "{solution-start}"
        if inside:
            lines.add(number)
    for block in ASIDE.finditer(page.markup):
        first, last = map(page.line_at, block.span())
        lines.update(range(first, last + 1))
    return lines


def _forms(term: str) -> str:
    """Return a pattern for a term's singular and regular plurals, also across a line break."""
    stem = re.escape(term).replace(r"\ ", r"\s+")
    forms = [f"{stem}(?:s|es)?"]
    for ending, plural in (("y", "ies"), ("ix", "ices")):
        if term.endswith(ending):
            forms.append(stem.removesuffix(ending) + plural)
    return rf"(?<![\w-])(?:{'|'.join(forms)})(?![\w-])"


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _mask(match: re.Match[str]) -> str:
    """Replace a match with NUL characters, which match nothing and keep the columns."""
    return blank(match[0], "\0")
