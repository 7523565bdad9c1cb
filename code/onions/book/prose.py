"""The text of a page: its paragraphs, the time it takes to study, and its glossary terms."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from onions.book.page import FRONT_MATTER, Page, blank

WORDS_PER_MINUTE = 130
MINUTES = {"line": 0.1, "quiz": 1, "explorer": 2}  # for a line of code, a quiz, an explorer
GLOSSARY = "reference/glossary"
BUILD_ONLY = "build-only"
# An exercise or a solution; a code cell, with its options and its code; a folded text.
EXERCISE = re.compile(r"^[`:]{3,}\{(exercise|solution)-start\}.*?\{\1-end\}\n[`:]+$", re.M | re.S)
CELL = re.compile(
    r"^```\{code-cell\}[^\n]*\n(---\n.*?^---\n|(?::[^\n]*\n)*)(.*?)^```$", re.M | re.S
)
UNSEEN = re.compile(r"\b(hide|remove)-(cell|input)\b")
FOLD = re.compile(r"^(:::+)\{dropdown\}.*?^\1$", re.M | re.S)
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


def study_minutes(page: Page) -> int:
    """Return the minutes that a learner needs for a lesson page alone.

    A minute is 130 words or ten lines of code; a quiz takes one, an explorer two. Exercises take
    `practice`, which includes reading their solutions. Nothing else that is folded or hidden
    counts, nor do instructors' notes, outputs, and waiting for a run.
    """
    front_matter = FRONT_MATTER.match(page.text)
    text = EXERCISE.sub("", page.text[front_matter.end() if front_matter else 0 :])
    seen = [code for options, code in CELL.findall(text) if not UNSEEN.search(options)]
    minutes = MINUTES["line"] * sum(bool(line.strip()) for line in "\n".join(seen).split("\n"))
    for part in ("quiz", "explorer"):
        minutes += MINUTES[part] * len(re.findall(rf"^:::+\{{{part}\}}", text, re.M))
    prose = FOLD.sub("", ASIDE.sub("", FENCED.sub("", text)))
    lines = (line for line in prose.splitlines() if not line.startswith((":", "%")))
    words = sum(any(map(str.isalnum, word)) for line in lines for word in line.split())
    practice = page.lesson.get("practice", page.lesson["exercises"])
    return max(1, round(minutes + words / WORDS_PER_MINUTE + practice))


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
