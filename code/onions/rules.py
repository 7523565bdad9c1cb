"""The rules that every page keeps, checked without running anything.

Each rule is a function that yields findings; its docstring says what it asks for and why.
"""

import ast
import re
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from onions.exports import TAG
from onions.pages import RUN_TAGS, CodeCell, Page
from onions.prose import BUILD_ONLY, QUIZ, paragraphs, plain, reading_minutes, terms, uses
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


class Finding(NamedTuple):
    """Something that a page must not have."""

    line: int
    rule: str
    message: str


def check(page: Page) -> list[Finding]:
    """Return what is wrong with a page, in the order of its lines."""
    return sorted(finding for rule in RULES for finding in rule(page))


def check_reference(page: Page, reference: Reference) -> Iterator[Finding]:
    """A claim that can fail a build holds in every reference run: no build fails by chance."""
    if not page.lesson.get("reference"):
        return
    rule = "claims hold in every reference run"
    if not reference.sets:
        yield Finding(1, rule, "there are no reference runs; run `onions reference`")
    for cell in page.cells:
        for line, sentence in claimed(cell):
            for runs, held in reference.claims(page.name, sentence):
                if not held:
                    message = f"not claimed in the runs with {runs}; run `onions reference` again"
                    yield Finding(line, rule, f"“{sentence}” {message}")
                elif not all(held):
                    message = (
                        f"holds in {sum(map(bool, held))} of {len(held)} runs with {runs}. Write a "
                        "weaker sentence, or measure both sides and say {held}`one < other`"
                    )
                    yield Finding(line, rule, f"“{sentence}” {message}")


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
    """A visible cell uses public libraries only, so that it runs in a reader's own notebook."""
    for cell in page.cells:
        imports = re.search(r"^\s*(from|import) onions\b", cell.source, re.M)
        if imports and not hidden(cell):
            message = "a visible cell imports onions; tag the cell remove-cell and build-only"
            yield Finding(cell.line, "own-code", message)
        if hidden(cell) and not {"remove-cell", "remove-input"}.intersection(cell.tags):
            yield Finding(cell.line, "own-code", "a build-only cell must be tagged remove-cell too")


def _exports_only_read(page: Page) -> Iterator[Finding]:
    """A cell that exports does nothing else: reference runs do without it, so nothing that is
    measured or claimed may depend on it.
    """
    for cell in page.cells:
        if (TAG in cell.tags) != ("from onions.exports import" in cell.source):
            message = f"tag the cells that import from onions.exports, and no others, with {TAG}"
            yield Finding(cell.line, "exports", message)
        if TAG in cell.tags and not hidden(cell):
            yield Finding(cell.line, "exports", "a cell that exports must be tagged build-only too")
        if TAG in cell.tags and re.search(r"\b(claim|measure|trained)\(", cell.source):
            message = "a cell that exports can't claim or measure; do that in another"
            yield Finding(cell.line, "exports", message)


def _cells_are_short(page: Page) -> Iterator[Finding]:
    """A cell fits on a screen; most are a few lines, so that text and code alternate."""
    visible = [cell for cell in page.cells if not hidden(cell)]
    for cell in visible:
        lines = cell.source.splitlines()
        if len(lines) > LONGEST_CELL:
            message = f"a cell of {len(lines)} lines; {LONGEST_CELL} at most: split it"
            yield Finding(cell.line, "short-cells", message)
        for offset, line in enumerate(lines):
            if len(line) > WIDEST_LINE:
                message = f"{len(line)} characters; {WIDEST_LINE} at most: break the line"
                yield Finding(cell.line + offset, "short-cells", message)
    lengths = [len(c.source.splitlines()) for c in visible if "hide-cell" not in c.tags]
    if lengths and median(lengths) > MEDIAN_CELL:
        message = f"half of the cells have more than {MEDIAN_CELL} lines: split some"
        yield Finding(visible[0].line, "short-cells", message)


def _claims_stand_in_the_text(page: Page) -> Iterator[Finding]:
    """A claim is a sentence of the page, word for word: what is checked is what is read."""
    prose = plain(" ".join(text for _, text in paragraphs(page)))
    for cell in page.cells:
        for line, sentence in claimed(cell):
            if plain(sentence) not in prose:
                message = (
                    f"the page's text does not say “{sentence}”; write it there, word for word"
                )
                yield Finding(line, "claims", message)
            if RUN_TAGS.intersection(cell.tags):
                message = f"a cell that claims must run whole; remove {', '.join(RUN_TAGS)}"
                yield Finding(line, "claims", message)


def _minutes_are_true(page: Page) -> Iterator[Finding]:
    """A page takes as long to read as it says."""
    minutes = reading_minutes(page)
    if page.lesson and abs(minutes - page.lesson["teaching"]) > SLACK:
        message = f"teaching: {page.lesson['teaching']}, but reading takes {minutes:.1f} minutes"
        yield Finding(1, "minutes", message)


def _terms_are_linked(page: Page) -> Iterator[Finding]:
    """On a lesson page a term's first use, and no other, leads to the glossary."""
    known = terms(page) if page.lesson else []
    for term in known:
        for number, (line, use, linked) in enumerate(uses(page, term, known)):
            if linked != (number == 0):
                form = f"{{term}}`{term}`" if use == term else f"{{term}}`{use} <{term}>`"
                yield Finding(line, "terms", f"link the first “{use}”, and only that: {form}")
                break


def _exercises_have_solutions(page: Page) -> Iterator[Finding]:
    """Every exercise has a solution, which folds."""
    text = page.path.read_text("utf-8")
    solved = set(re.findall(r"\{solution(?:-start)?\}\s*(\S+)", text))
    for match in re.finditer(r"\{exercise(?:-start)?\}.*\n(?::.*\n)*?:label:\s*(\S+)", text):
        if match[1] not in solved:
            line = text.count("\n", 0, match.start()) + 1
            message = f"the exercise {match[1]} has no solution; add solution-start {match[1]}"
            yield Finding(line, "solutions", message)


def _lessons_ask(page: Page) -> Iterator[Finding]:
    """A page of the lesson asks what its reader expects or has understood."""
    found = len(QUIZ.findall(page.text))
    if page.lesson and found < QUIZZES:
        message = f"{found} quizzes; {QUIZZES} or more, see “Quizzes” in CONTRIBUTING.md"
        yield Finding(1, "quizzes", message)


def _quizzes_are_named_once(page: Page) -> Iterator[Finding]:
    """No two quizzes of the book have one name, by which a reader's answers are kept."""
    book = page.path.parents[page.name.count("/")]
    texts = {path: path.read_text("utf-8") for path in book.rglob("*.md")}
    for match in QUIZ.finditer(page.text):
        others = [
            path.relative_to(book)
            for path, text in texts.items()
            for other in QUIZ.finditer(text)
            if other[1] == match[1] and (path, other.start()) != (page.path, match.start())
        ]
        if others:
            line = page.text.count("\n", 0, match.start()) + 1
            message = f"{others[0]} has a quiz named {match[1]}, too; rename one"
            yield Finding(line, "quizzes", message)


def _figures_have_alt_text(page: Page) -> Iterator[Finding]:
    """Every figure says in words what it shows, for readers who don't see it."""
    for cell in page.cells:
        options = cell.metadata.get("mystnb", {})
        draws = re.search(r"\b(plt|sns|ax|axes)\.", cell.source)
        if (draws or "figure" in options) and len(options.get("image", {}).get("alt", "")) < 40:
            message = "a figure without alt text; add mystnb: image: alt: what one sees in it"
            yield Finding(cell.line, "alt-text", message)
    for match in re.finditer(r"!\[\s*\]\(", page.path.read_text("utf-8")):
        line = page.path.read_text("utf-8").count("\n", 0, match.start()) + 1
        yield Finding(line, "alt-text", "an image without alt text; write it between the brackets")


def _numbers_come_from_the_run(page: Page) -> Iterator[Finding]:
    """A result is glued from the run; a fact from outside has its source in the same paragraph."""
    for line, text in paragraphs(page):
        match = NUMBER.search(text)
        if match and "{cite}" not in text:
            message = f"“{match[0]}” is typed by hand; measure and glue it, or cite its source"
            yield Finding(line, "numbers", message)


def _words_are_kind(page: Page) -> Iterator[Finding]:
    """Nothing is called easy."""
    for line, text in paragraphs(page):
        if match := SLIGHTING.search(text):
            yield Finding(line, "words", f"“{match[0]}”: say it without")


RULES: tuple[Callable[[Page], Iterator[Finding]], ...] = (
    _own_code_is_hidden,
    _exports_only_read,
    _cells_are_short,
    _claims_stand_in_the_text,
    _minutes_are_true,
    _terms_are_linked,
    _exercises_have_solutions,
    _lessons_ask,
    _quizzes_are_named_once,
    _figures_have_alt_text,
    _numbers_come_from_the_run,
    _words_are_kind,
)
