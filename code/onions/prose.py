"""The running text of a page: its paragraphs, how long it takes to read, the terms that it uses."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from onions.pages import Page

WORDS_A_MINUTE = 200  # of a page that teaches; a word of code takes twice as long
GLOSSARY = "reference/glossary"
BUILD_ONLY = "build-only"
TERM = re.compile(r"\{term\}`([^`<]+?)(?:\s*<([^>]+)>)?`")
# What is no running text: roles and code, the targets of links, formulas, comments.
ROLE = re.compile(r"(\{[\w:-]+\})?`[^`]*`|\]\([^)]*\)|\$[^$]*\$|<!--.*?-->", re.S)
FENCED = re.compile(r"^(```+).*?^\1$", re.M | re.S)
GATE = re.compile(r"\{(exercise|solution)-(start|end)\}")
QUIZ = re.compile(r"^:::+\{quiz\} *(\S+)", re.M)
# What a reader need not read: notes for instructors, questions, what stands in explorers' place.
ASIDE = re.compile(r"^(:::+)\{(?:instructor|quiz|explorer)\}.*?^\1$", re.M | re.S)


class Use(NamedTuple):
    """A place in the text where a term of the glossary stands.

    `line` counts from 1, `column` from 0; `source` is what is written there, `text` what is read.
    """

    line: int
    column: int
    source: str
    text: str
    linked: bool


def paragraphs(page: Page) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs of the page's text, without what is fenced, each with its first line."""
    for cell, start in zip(page.notebook.cells, page.notebook.metadata["source_map"], strict=True):
        if cell.cell_type != "markdown":
            continue
        text = FENCED.sub(_blank, cell.source)
        for match in re.finditer(r"(?:^.*\S.*\n?)+", text, re.M):
            yield start + 2 + text.count("\n", 0, match.start()), match[0]


def plain(text: str) -> str:
    """Return a text in one line, with the words of its links to the glossary."""
    return " ".join(TERM.sub(r"\1", text).split())


def reading_minutes(page: Page) -> float:
    """Return the minutes that the page takes to read, at 200 words a minute, code counted twice.

    Outputs, the opening box, folded cells, notes for instructors, quizzes and exercises, which have
    a time of their own, are left out.
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
    return words / WORDS_A_MINUTE


def terms(page: Page) -> list[str]:
    """Return the terms of the book's glossary, none where it has no glossary."""
    path = page.book / f"{GLOSSARY}.md"
    text = path.read_text("utf-8") if path.exists() else ""
    blocks = re.findall(r"^(```+|:::+)\{glossary\}$(.*?)^\1$", text, re.M | re.S)
    return [line for _, block in blocks for line in block.splitlines() if re.match(r"\w", line)]


def uses(page: Page, term: str, known: list[str]) -> Iterator[Use]:
    """Yield where a term stands in the text, in order, outside solutions, quizzes and instructors'
    notes, which a learner need not have read.

    `known` are all terms: where a longer one contains this one, it does not count.
    """
    longer = [other for other in known if term in other and term != other]
    folded = _folded(page)

    def mine(match: re.Match[str]) -> str:
        target = " ".join((match[2] or match[1]).split())
        return match[0] if target.lower() == term.lower() else _masked(match)

    for start, text in paragraphs(page):
        text = ROLE.sub(lambda m: m[0] if m[1] == "{term}" else _masked(m), text)
        text = re.sub(r"^(#|:|%|\([\w-]+\)=).*$", "", text, flags=re.M)  # headings, options, labels
        text = TERM.sub(mine, text)
        for other in longer:
            text = re.sub(rf"(?<![`<]){_any_form(other)}(?![>`])", _masked, text, flags=re.I)
        for match in re.finditer(rf"{TERM.pattern}|({_any_form(term)})", text, re.I):
            line = start + text.count("\n", 0, match.start())
            column = match.start() - text.rfind("\n", 0, match.start()) - 1
            if line not in folded:
                said = " ".join((match[1] or match[3]).split())
                yield Use(line, column, match[0], said, bool(match[1]))


def _folded(page: Page) -> set[int]:
    """Return the numbers of the lines in solutions, quizzes and notes for instructors."""
    lines, inside = set(), False
    for number, line in enumerate(page.text.splitlines(), 1):
        if gate := GATE.search(line):
            inside = gate[0] == "{solution-start}"
        if inside:
            lines.add(number)
    for note in ASIDE.finditer(page.text):
        first, last = (page.text.count("\n", 0, place) + 1 for place in note.span())
        lines.update(range(first, last + 1))
    return lines


def _any_form(term: str) -> str:
    """Return a pattern for the singular and the regular plurals, also across a line's end."""
    stem = re.escape(term).replace(r"\ ", r"\s+")
    forms = [f"{stem}(?:s|es)?"]
    for ending, plural in (("y", "ies"), ("ix", "ices")):
        if term.endswith(ending):
            forms.append(stem.removesuffix(ending) + plural)
    return rf"(?<![\w-])(?:{'|'.join(forms)})(?![\w-])"


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _masked(match: re.Match[str]) -> str:
    """Return what is no text and matches nothing, as long as before, so that columns stay."""
    return re.sub(r"[^\n]", "\0", match[0])
