"""The rules that every page keeps, checked without running anything.

Each rule is a function that yields findings. Its docstring is all that is written about it: what it
asks for, why, and how a page that breaks it is repaired. ``onions check --explain`` prints it.
"""

import ast
import re
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from onions.edits import Edit, line_of, minutes_replaced, tag_added, use_replaced
from onions.exports import TAG
from onions.pages import RUN_TAGS, CodeCell, Page, Project
from onions.prose import ASIDE, BUILD_ONLY, QUIZ, paragraphs, plain, reading_minutes, terms, uses
from onions.reference import Reference

LONGEST_CELL = 20  # lines
MEDIAN_CELL = 6  # lines
WIDEST_LINE = 84  # characters, what fits beside the table of contents
QUIZZES = 3  # on each page of the lesson
SLACK = 0.75  # minutes by which a page may miss its whole number
# Words that make a learner who does not find it easy feel slow.
SLIGHTING = re.compile(r"\b(simply|just|obviously|of course|easily|trivial(ly)?)\b", re.I)
NUMBER = re.compile(
    r"(?<![\w.,`{])\d{1,3}(,\d{3})+(?![\d`])|(?<![\w.`{])\d+\.\d+ ?%|accuracy of \d"
)

LINK = re.compile(r"\{(?:term|doc|ref|numref|cite)(?::\w+)?\}`|\]\(|<https?:")


class Finding(NamedTuple):
    """Something that a page must not have, and where it is unambiguous the repair."""

    line: int
    message: str
    edit: Edit | None = None
    rule: str = ""


def check(page: Page) -> list[Finding]:
    """Return what is wrong with a page, in the order of its lines."""
    found = (f._replace(rule=name) for name, rule in RULES.items() for f in rule(page))
    return sorted(found, key=lambda finding: (finding.line, finding.rule))


def hidden(cell: CodeCell) -> bool:
    """Tell whether a cell is for the build only."""
    return BUILD_ONLY in cell.tags


def claimed(cell: CodeCell) -> Iterator[tuple[int, str]]:
    """Yield the sentences that a cell claims, each with its line in the ``.md`` file."""
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:
        return  # the fingerprint reports it
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = node.args[0] if node.func.id == "claim" and node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield cell.line + node.lineno - 1, first.value


def _own_code_is_hidden(page: Page) -> Iterator[Finding]:
    """A visible cell uses public libraries only, and a build-only cell is not visible.

    Why: readers copy the visible cells into their own notebook, where there is no `onions`.
    Fix: tag a cell that only the build needs with remove-cell and build-only (remove-input, if its
    figure is to be seen), and do without `onions` in the others.
    """
    for cell in page.cells:
        if re.search(r"^\s*(from|import) onions\b", cell.source, re.M) and not hidden(cell):
            yield Finding(cell.line, "a visible cell imports onions")
        if hidden(cell) and not {"remove-cell", "remove-input"}.intersection(cell.tags):
            yield _untagged(page, cell, "a build-only cell", "remove-cell")


def _exports_only_read(page: Page) -> Iterator[Finding]:
    """A cell that exports for an explorer is tagged for it, and does nothing else.

    Why: reference runs do without it, so nothing that is measured or claimed may depend on it.
    Fix: tag the cells that import from onions.exports, and no others, with remove-cell, build-only
    and export; claim and measure in another cell.
    """
    for cell in page.cells:
        exports = "from onions.exports import" in cell.source
        if exports and TAG not in cell.tags:
            yield _untagged(page, cell, "a cell that exports", TAG)
        if TAG in cell.tags and not exports:
            yield Finding(cell.line, f"a cell tagged {TAG} imports nothing from onions.exports")
        if TAG in cell.tags and not hidden(cell):
            yield _untagged(page, cell, "a cell that exports", BUILD_ONLY)
        if TAG in cell.tags and re.search(r"\b(claim|measure|trained)\(", cell.source):
            yield Finding(cell.line, "a cell that exports claims or measures, too")


def _cells_are_short(page: Page) -> Iterator[Finding]:
    """A cell has 20 lines at most, half of a page's cells 6 or fewer, and a line 84 characters.

    Why: a cell fits on a screen, a line beside the table of contents, and text and code alternate.
    Fix: split a long cell where a sentence can say what comes next; break a wide line.
    """
    visible = [cell for cell in page.cells if not hidden(cell)]
    for cell in visible:
        lines = cell.source.splitlines()
        if len(lines) > LONGEST_CELL:
            yield Finding(cell.line, f"a cell of {len(lines)} lines; {LONGEST_CELL} at most")
        for offset, line in enumerate(lines):
            if len(line) > WIDEST_LINE:
                message = f"a line of {len(line)} characters; {WIDEST_LINE} at most"
                yield Finding(cell.line + offset, message)
    lengths = [len(c.source.splitlines()) for c in visible if "hide-cell" not in c.tags]
    if lengths and median(lengths) > MEDIAN_CELL:
        message = f"half of the cells have more than {MEDIAN_CELL} lines"
        yield Finding(visible[0].line, message)


def _claims_stand_in_the_text(page: Page) -> Iterator[Finding]:
    """A claim is a sentence of the page, word for word, from a cell that runs whole.

    Why: what is checked is then what is read.
    Fix: copy the sentence into the page's text, or change both; a cell that claims has no tag that
    lets it fail or skips it.
    """
    prose = plain(" ".join(text for _, text in paragraphs(page)))
    for cell in page.cells:
        for line, sentence in claimed(cell):
            if plain(sentence) not in prose:
                yield Finding(line, f"the page's text does not say “{sentence}”")
            for tag in RUN_TAGS.intersection(cell.tags):
                yield Finding(line, f"a cell that claims is tagged {tag}")


def _claims_hold_from_other_seeds(page: Page) -> Iterator[Finding]:
    """On a page with reference runs, a claim holds in every one of them.

    Why: no build may fail by chance, and no sentence be true by luck.
    Fix: write a weaker sentence, or measure both sides and say {held}`one < other`. After a change
    of the page's code run `onions reference` again.
    """
    if not page.lesson.get("reference"):
        return
    reference = Reference(Project(page.book.parent))
    if not reference.sets:
        yield Finding(1, "there are no reference runs; run `onions reference`")
    for cell in page.cells:
        for line, sentence in claimed(cell):
            for runs, held in reference.claims(page.name, sentence):
                if not held:
                    message = f"not claimed in the runs with {runs}; run `onions reference` again"
                    yield Finding(line, f"“{sentence}” {message}")
                elif not all(held):
                    message = f"holds in {sum(map(bool, held))} of {len(held)} runs with {runs}"
                    yield Finding(line, f"“{sentence}” {message}")


def _minutes_are_true(page: Page) -> Iterator[Finding]:
    """The front matter's `teaching` is the time to read the page, in whole minutes.

    Why: the schedule and the instructor's plan are added up from it.
    Fix: write what was counted: 200 words a minute, code twice, without exercises, folded cells,
    quizzes and notes.
    """
    minutes = reading_minutes(page)
    if page.lesson and abs(minutes - page.lesson["teaching"]) > SLACK:
        message = f"teaching: {page.lesson['teaching']}, but reading takes {minutes:.1f} minutes"
        line = line_of(page, page.text.find("teaching:"))
        yield Finding(line, message, minutes_replaced(page, max(1, round(minutes))))


def _terms_are_linked(page: Page) -> Iterator[Finding]:
    """On a lesson page a term's first use, and no other, leads to the glossary.

    Why: whoever meets the word there can look it up, and nobody is interrupted twice.
    Fix: write {term}`kernel`, or {term}`kernels <kernel>`, at the first use, and the bare word at
    every other.
    """
    known = terms(page) if page.lesson else []
    for term in known:
        for number, use in enumerate(uses(page, term, known)):
            form = f"{{term}}`{term}`" if use.text == term else f"{{term}}`{use.text} <{term}>`"
            if number == 0 and not use.linked:
                edit = use_replaced(page, use, form)
                yield Finding(use.line, f"link the first “{use.text}”: {form}", edit)
            elif number and use.linked:
                edit = use_replaced(page, use, use.text)
                yield Finding(use.line, f"“{use.text}” is linked again", edit)


def _exercises_have_solutions(page: Page) -> Iterator[Finding]:
    """Every exercise has a solution, which folds.

    Why: a reader who is stuck goes on, and the build runs the solution's code, so that it works.
    Fix: write a solution-start with the exercise's label, and a solution-end, below the exercise.
    """
    solved = set(re.findall(r"\{solution(?:-start)?\}\s*(\S+)", page.text))
    for match in re.finditer(r"\{exercise(?:-start)?\}.*\n(?::.*\n)*?:label:\s*(\S+)", page.text):
        if match[1] not in solved:
            yield Finding(line_of(page, match.start()), f"the exercise {match[1]} has no solution")


def _lessons_ask(page: Page) -> Iterator[Finding]:
    """A page of the lesson has three quizzes or more.

    Why: whoever has said what they expect reads what comes out with other eyes.
    Fix: ask before the page shows it, or ask what follows; see “Quizzes” in CONTRIBUTING.md.
    """
    found = len(QUIZ.findall(page.text))
    if page.lesson and found < QUIZZES:
        yield Finding(1, f"{found} quizzes; {QUIZZES} or more")


def _quizzes_are_named_once(page: Page) -> Iterator[Finding]:
    """No two quizzes of the book have the same name.

    Why: readers' browsers remember answers by it.
    Fix: rename one; begin its name with the page's.
    """
    texts = {path: path.read_text("utf-8") for path in page.book.rglob("*.md")}
    texts[page.path] = page.text
    for match in QUIZ.finditer(page.text):
        others = [
            path.relative_to(page.book)
            for path, text in texts.items()
            for other in QUIZ.finditer(text)
            if other[1] == match[1] and (path, other.start()) != (page.path, match.start())
        ]
        if others:
            message = f"{others[0]} has a quiz named {match[1]}, too"
            yield Finding(line_of(page, match.start()), message)


def _quizzes_have_no_links(page: Page) -> Iterator[Finding]:
    """No link stands in a quiz, not even one to the glossary.

    Why: the reader would leave it. The build stops there, after all pages have run.
    Fix: write the bare word; link it in the text before the quiz.
    """
    for block in ASIDE.finditer(page.text):
        if QUIZ.match(block[0]):
            for match in LINK.finditer(block[0]):
                yield Finding(line_of(page, block.start() + match.start()), "a link in a quiz")


def _figures_have_alt_text(page: Page) -> Iterator[Finding]:
    """Every figure says in words what it shows, in 40 characters or more.

    Why: some readers don't see it, and hear these words in its place.
    Fix: write mystnb: image: alt: into the cell's options, or the words between an image's
    brackets; say what one sees and what follows from it, not that it is a plot.
    """
    for cell in page.cells:
        options = cell.metadata.get("mystnb", {})
        draws = re.search(r"\b(plt|sns|ax|axes)\.", cell.source)
        if (draws or "figure" in options) and len(options.get("image", {}).get("alt", "")) < 40:
            yield Finding(cell.line, "a figure without alt text")
    for match in re.finditer(r"!\[\s*\]\(", page.text):
        yield Finding(line_of(page, match.start()), "an image without alt text")


def _numbers_come_from_the_run(page: Page) -> Iterator[Finding]:
    """A result is glued from the run; a fact from outside has its source in the same paragraph.

    Why: a number typed by hand stays when the run changes, and then lies.
    Fix: measure("name", …) in a build-only cell and {glue:text}`name` in the text; or {cite}`…`.
    """
    for line, text in paragraphs(page):
        match = NUMBER.search(text)
        if match and "{cite}" not in text:
            yield Finding(line, f"“{match[0]}” is typed by hand")


def _words_are_kind(page: Page) -> Iterator[Finding]:
    """Nothing is called easy.

    Why: whoever does not find it easy feels slow, and stops.
    Fix: leave the word out.
    """
    for line, text in paragraphs(page):
        if match := SLIGHTING.search(text):
            yield Finding(line, f"“{match[0]}”")


def _untagged(page: Page, cell: CodeCell, what: str, tag: str) -> Finding:
    return Finding(cell.line, f"{what} without the tag {tag}", tag_added(page, cell, tag))


RULES: dict[str, Callable[[Page], Iterator[Finding]]] = {
    "own-code": _own_code_is_hidden,
    "exports": _exports_only_read,
    "short-cells": _cells_are_short,
    "claims": _claims_stand_in_the_text,
    "reference": _claims_hold_from_other_seeds,
    "minutes": _minutes_are_true,
    "terms": _terms_are_linked,
    "solutions": _exercises_have_solutions,
    "quizzes": _lessons_ask,
    "quiz-names": _quizzes_are_named_once,
    "quiz-links": _quizzes_have_no_links,
    "alt-text": _figures_have_alt_text,
    "numbers": _numbers_come_from_the_run,
    "words": _words_are_kind,
}
