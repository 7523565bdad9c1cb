"""The rules that every page keeps, checked without running code.

Each rule is a function that yields findings. Its docstring is the rule's only documentation: the
demand, the reason and the fix. ``onions check --explain`` prints it.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from onions.book.comparisons import margins, parse_comparison, sentences
from onions.book.edits import Edit, add_tag, replace_term
from onions.book.links import OUTSIDE, Html, targets, without_code_spans
from onions.book.page import RUN_TAGS, CodeCell, Page, claimed_sentences, parse_cell
from onions.book.project import Project
from onions.book.prose import (
    ASIDE,
    BUILD_ONLY,
    QUIZ,
    glossary_terms,
    paragraphs,
    plain_text,
    term_occurrences,
)
from onions.book.reference import FEWEST_RUNS, PageRuns, ReferenceRuns, set_name
from onions.exports import TAG

LONGEST_CELL = 20  # lines
MEDIAN_CELL = 6  # lines
WIDEST_LINE = 84  # characters that fit beside the table of contents
FEWEST_QUIZZES = 3  # on each lesson page
SHORTEST_ALT_TEXT = 40  # characters
# Words that the pages avoid, and what to do instead.
WORDS = {
    "simply|just|obviously|of course|easily|trivial|trivially|even for you": "leave it out",
    r"(?:can ?not|can't|never) lie|powerful|seamless(?:ly)?|effortless(?:ly)?|cutting-edge": (
        "say what is done, and let readers judge"
    ),
    "whoever": "write “anyone who”, or say who",
    "by chance": "write “at random”",
    "gives? out": "write “outputs” or “returns”",
    "stands? (?:above|at|below|beside|here|in|on|there|together)": "write “is” or “are”",
    "in no (?:particular )?order": "write “shuffled” or “in random order”",
}
# A number and its percent sign, in the text or in the format of a glued number; or other markup.
PERCENT = re.compile(r"(?P<percent>\d%|\{glue:text\}`[^`]*%`)|(?:\{[\w:-]+\})?`[^`]*`|<[^>]*>")
NUMBER = re.compile(
    r"(?<![\w.,`{])\d{1,3}(,\d{3})+(?![\d`])|(?<![\w.`{])\d+\.\d+ ?%|accuracy of \d"
)
NOTE = re.compile(r"^:::+\{instructor\} *(\d+)", re.M)
FILE_NAME = re.compile(r"[\w./-]+", re.A)
LINK = re.compile(r"\{(?:term|doc|ref|numref|cite)(?::\w+)?\}`|\]\(|<https?:")


# Functions whose results differ in every run: those of the first line only without a seed.
NEED_A_SEED = {"default_rng", "Random", "RandomState", "SeedSequence"}
NEVER_SEEDED = {"SystemRandom", "urandom", "uuid1", "uuid4", "token_bytes", "token_hex"}


class Finding(NamedTuple):
    """A place (`line` from 1) where a page breaks a rule; `edit`, if not None, repairs it."""

    line: int
    message: str
    edit: Edit | None = None
    rule: str = ""


def apply_rules(page: Page) -> list[Finding]:
    """Return the findings of all rules on a page, sorted by line."""
    findings = (f._replace(rule=name) for name, rule in RULES.items() for f in rule(page))
    return sorted(findings, key=lambda finding: (finding.line, finding.rule))


def _cells_are_python(page: Page) -> Iterator[Finding]:
    """A cell holds plain Python.

    Why: its code also runs as a script, and no page runs while one has a syntax error.
    Fix: correct the syntax. Replace IPython's commands, such as %time and !pip, with Python.
    """
    for cell in page.cells:
        try:
            parse_cell(cell)
        except SyntaxError as error:
            yield Finding(error.lineno or cell.line, error.msg)


def _runs_repeat(page: Page) -> Iterator[Finding]:
    """A cell draws random numbers only from seeds.

    Why: a run must repeat; else every comparison of two builds reports these numbers as news.
    Fix: give the generator a seed, as in np.random.default_rng(1). The functions of random,
    np.random and keras.random need none, since each kernel starts from a fixed seed.
    """
    for cell in page.cells:
        for node in ast.walk(_parsed(cell)):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            last = name.rpartition(".")[2]
            seeded = isinstance(node, ast.Call) and (node.args or node.keywords)
            if last in NEVER_SEEDED or (last in NEED_A_SEED and not seeded):
                line = cell.line + getattr(node, "lineno", 1) - 1
                yield Finding(line, f"{name}() draws different numbers in every run")


def _own_code_is_hidden(page: Page) -> Iterator[Finding]:
    """A visible cell uses only public libraries, and a build-only cell is hidden.

    Why: readers copy visible cells into their own notebooks, where `onions` is not installed.
    Fix: tag a cell that only the build needs with build-only and remove-cell. To show its figure,
    use remove-input instead of remove-cell. Remove `onions` from all other cells.
    """
    for cell in page.cells:
        if re.search(r"^\s*(from|import) onions\b", cell.source, re.M) and not _is_build_only(cell):
            yield Finding(cell.line, "a visible cell imports onions")
        if _is_build_only(cell) and not {"remove-cell", "remove-input"}.intersection(cell.tags):
            yield _missing_tag(page, cell, "a build-only cell", "remove-cell")


def _exports_only_read(page: Page) -> Iterator[Finding]:
    """A cell that exports values to an explorer has the tag export, and does nothing else.

    Why: reference runs skip these cells, so no measure or claim may depend on them.
    Fix: tag each cell that imports from onions.exports with remove-cell, build-only and export.
    Remove the tag export from all other cells. Move claims and measures to other cells.
    """
    for cell in page.cells:
        exports = "from onions.exports import" in cell.source
        if exports and TAG not in cell.tags:
            yield _missing_tag(page, cell, "a cell that exports", TAG)
        if TAG in cell.tags and not exports:
            yield Finding(cell.line, f"a cell tagged {TAG} imports nothing from onions.exports")
        if TAG in cell.tags and not _is_build_only(cell):
            yield _missing_tag(page, cell, "a cell that exports", BUILD_ONLY)
        if TAG in cell.tags and re.search(r"\b(claim|measure|trained)\(", cell.source):
            yield Finding(cell.line, "a cell that exports also claims or measures")


def _cells_are_short(page: Page) -> Iterator[Finding]:
    """A cell has at most 20 lines, half of a page's cells at most 6, and a line at most 84
    characters.

    Why: a cell should fit on a screen, and a line should fit beside the table of contents. Text and
    code should alternate.
    Fix: split a long cell where a sentence can introduce the rest. Break long lines.
    """
    visible = [cell for cell in page.cells if not _is_build_only(cell)]
    for cell in visible:
        lines = cell.source.splitlines()
        if len(lines) > LONGEST_CELL:
            message = f"the cell has {len(lines)} lines; the limit is {LONGEST_CELL}"
            yield Finding(cell.line, message)
        for offset, line in enumerate(lines):
            if len(line) > WIDEST_LINE:
                message = f"the line has {len(line)} characters; the limit is {WIDEST_LINE}"
                yield Finding(cell.line + offset, message)
    lengths = [len(c.source.splitlines()) for c in visible if "hide-cell" not in c.tags]
    if lengths and median(lengths) > MEDIAN_CELL:
        message = f"half of the cells have more than {MEDIAN_CELL} lines"
        yield Finding(visible[0].line, message)


def _claims_are_in_the_text(page: Page) -> Iterator[Finding]:
    """A claim repeats a sentence of the page word for word, and its cell always runs to the end.

    Why: the build must check exactly the sentence that readers see. {claim} shows nothing, so a
    space before it would stay before the full stop.
    Fix: write the same sentence in the page's text and in the claim. Remove the tags skip-execution
    and raises-exception from the cell. Write {claim} directly after a word.
    """
    for number, text in enumerate(page.markup.split("\n"), 1):
        if re.search(r"(^|\s)\{claim\}`", text):
            yield Finding(number, "a space before {claim}, which shows nothing")
    prose = plain_text(" ".join(text for _, text in paragraphs(page)))
    for cell in page.cells:
        for line, sentence in claimed_sentences(cell):
            if plain_text(sentence) not in prose:
                yield Finding(line, f"the page's text does not contain “{sentence}”")
            for tag in RUN_TAGS.intersection(cell.tags):
                yield Finding(line, f"a cell with a claim is tagged {tag}")


def _claims_hold_from_other_seeds(page: Page) -> Iterator[Finding]:
    """A claim held in all reference runs, with a margin: 4 SD on average, 1 SD at least.

    Why: a claim that depends on the seed makes builds fail at random. If margins are spread
    normally, this one fails in fewer than one build of a thousand; so with ten runs instead of
    twenty, which say less about their spread, the mean margin has to be 5 SD.
    Fix: make it a finding, {finding}`one < other`, or make the experiment stronger. After you
    change the page's code, run `onions reference` again.
    """
    found = [sentence for sentence in sentences(page) if sentence.kind == "claim"]
    exact = [claim for cell in page.cells for claim in claimed_sentences(cell)]
    planned = page.lesson.get("reference", 0)
    sets = list(ReferenceRuns(Project(page.book.parent)).all_runs(page.name))
    sets = [runs for runs in sets if len(runs.places()) >= FEWEST_RUNS] or sets[:1]
    if found and not planned:
        yield Finding(found[0].line, "a claim, but no `reference: 20` in the front matter")
    elif planned and not sets:
        yield Finding(1, "there are no reference runs; run `onions reference`")
    for runs in sets if planned else ():
        for line, words in exact:
            held, name = runs.held(words), set_name(runs.facts)
            if not held:
                message = f"is not claimed in the runs with {name}; run `onions reference`"
                yield Finding(line, f"“{words}” {message}")
            elif not all(held):
                message = f"holds in {sum(map(bool, held))} of {len(held)} runs with {name}"
                yield Finding(line, f"“{words}” {message}")
        for sentence in found:
            if weakness := _weakness(sentence.comparison, runs):
                message = f"“{sentence.words}” is too weak for a claim: {weakness}"
                yield Finding(sentence.line, f"{message}, with {set_name(runs.facts)}")


def _weakness(comparison: str, runs: PageRuns) -> str:
    try:
        return margins(parse_comparison(comparison), runs).weakness
    except ValueError as error:
        return str(error)


def _lesson_pages_have_front_matter(page: Page) -> Iterator[Finding]:
    """Each page of a part with lesson pages has `lesson` in its front matter, and editors keep it.

    Why: without it, the page is missing from the course and from the schedule. Jupytext and
    JupyterLab delete it when they save a page, unless the front matter says otherwise.
    Fix: copy the front matter from another page, or restore the page's own from git. It needs
    `notebook_metadata_filter: lesson` under `jupytext`.
    """
    jupytext = page.notebook.metadata.get("jupytext")
    if not page.lesson:
        part = Project(page.book.parent).part(page.name)
        if lessons := [other.name for other in part if other.lesson]:
            yield Finding(1, f"no lesson in the front matter, unlike {lessons[0]} in the same part")
    elif jupytext and "lesson" not in str(jupytext.get("notebook_metadata_filter")):
        yield Finding(1, "Jupytext would delete the front matter's lesson")


def _notes_fit_into_the_class(page: Page) -> Iterator[Finding]:
    """The notes for instructors on a page take no more minutes than the page has in class.

    Why: an instructor plans with both.
    Fix: give the notes fewer minutes, or raise `teaching` or `exercises` in the front matter; the
    pages of the course share the class's minutes.
    """
    notes = list(NOTE.finditer(page.markup))
    minutes = sum(int(note[1]) for note in notes)
    in_class = page.lesson.get("teaching", 0) + page.lesson.get("exercises", 0)
    if page.lesson and minutes > in_class:
        message = f"the notes take {minutes} minutes; the page has {in_class} in class"
        yield Finding(page.line_at(notes[0].start()), message)


def _terms_are_linked(page: Page) -> Iterator[Finding]:
    """On a lesson page, only the first occurrence of a glossary term is a link.

    Why: readers can look up a new word, and later links do not interrupt them.
    Fix: write {term}`kernel`, or {term}`kernels <kernel>`, at the first occurrence, and the plain
    word everywhere else.
    """
    terms = glossary_terms(page) if page.lesson else []
    for term in terms:
        for number, occurrence in enumerate(term_occurrences(page, term, terms)):
            words = occurrence.text
            link = f"{{term}}`{term}`" if words == term else f"{{term}}`{words} <{term}>`"
            if number == 0 and not occurrence.linked:
                edit = replace_term(page, occurrence, link)
                yield Finding(occurrence.line, f"link the first “{words}”: {link}", edit)
            elif number and occurrence.linked:
                edit = replace_term(page, occurrence, words)
                yield Finding(occurrence.line, f"“{words}” is linked again", edit)


def _exercises_have_solutions(page: Page) -> Iterator[Finding]:
    """Every exercise has a solution that readers can unfold.

    Why: readers who are stuck can continue, and the build runs the solution's code to test it.
    Fix: below the exercise, add solution-start with the exercise's label, and solution-end.
    """
    solved = set(re.findall(r"\{solution(?:-start)?\}\s*(\S+)", page.markup))
    for match in re.finditer(r"\{exercise(?:-start)?\}.*\n(?::.*\n)*?:label:\s*(\S+)", page.markup):
        if match[1] not in solved:
            yield Finding(page.line_at(match.start()), f"the exercise {match[1]} has no solution")


def _lessons_have_quizzes(page: Page) -> Iterator[Finding]:
    """A lesson page has at least three quizzes.

    Why: readers who have made a prediction look at the result more closely.
    Fix: before a result, let readers predict it; after a result, ask what follows from it. See
    “Quizzes” in CONTRIBUTING.md.
    """
    count = len(QUIZ.findall(page.markup))
    if page.lesson and count < FEWEST_QUIZZES:
        yield Finding(1, f"the page has {count} of at least {FEWEST_QUIZZES} quizzes")


def _quiz_names_are_unique(page: Page) -> Iterator[Finding]:
    """Each quiz in the book has a unique name.

    Why: a reader's browser stores answers under the quiz's name.
    Fix: rename the quiz; begin its name with the page's name.
    """
    pages = {other.path: other for other in Project(page.book.parent).pages()} | {page.path: page}
    for match in QUIZ.finditer(page.markup):
        duplicates = [
            path.relative_to(page.book)
            for path, other in pages.items()
            if match[1] in other.text  # faster than `markup`
            for quiz in QUIZ.finditer(other.markup)
            if quiz[1] == match[1] and (path, quiz.start()) != (page.path, match.start())
        ]
        if duplicates:
            message = f"{duplicates[0]} also has a quiz named {match[1]}"
            yield Finding(page.line_at(match.start()), message)


def _quizzes_have_no_links(page: Page) -> Iterator[Finding]:
    """A quiz contains no links, not even to the glossary.

    Why: a link leads readers away from the question. It also makes render fail, after all pages
    have run.
    Fix: write the plain word; link it in the text before the quiz.
    """
    for block in ASIDE.finditer(page.markup):
        if QUIZ.match(block[0]):
            for match in LINK.finditer(block[0]):
                yield Finding(page.line_at(block.start() + match.start()), "a link in a quiz")


def _figures_have_alt_text(page: Page) -> Iterator[Finding]:
    """Every figure has alt text of at least 40 characters; every image has alt text.

    Why: a screen reader reads it to people who can't see the figure.
    Fix: set mystnb: image: alt: in the cell's options, or write the text between the image's
    brackets. Describe what the figure shows and what follows from it, not that it is a plot.
    """
    for cell in page.cells:
        options = cell.metadata.get("mystnb", {})
        draws = "figure" in options or re.search(r"\b(plt|sns|ax|axes)\.", cell.source)
        if draws and len(options.get("image", {}).get("alt", "")) < SHORTEST_ALT_TEXT:
            message = f"a figure without alt text of at least {SHORTEST_ALT_TEXT} characters"
            yield Finding(cell.line, message)
    for match in re.finditer(r"!\[\s*\]\(", page.markup):
        yield Finding(page.line_at(match.start()), "an image without alt text")


def _pages_load_only_the_sites_files(page: Page) -> Iterator[Finding]:
    """A page loads nothing from other sites. Its HTML runs no scripts, and loads files in _static.

    Why: the site's policy blocks the rest, so readers would see a gap, and other sites would learn
    who reads the page. Sphinx copies pictures of Markdown, but no other files that HTML loads.
    Fix: put pictures, videos and frames into book/_static, or link to the address.
    """
    html = Html(without_code_spans(page))
    for line, what in html.blocked:
        yield Finding(line, f"the site's policy blocks {what}")
    for line, tag, address in html.loaded:
        path = Path(page.path.parent, unquote(urlsplit(address).path)).resolve()
        if not (path.is_file() and path.is_relative_to((page.book / "_static").resolve())):
            yield Finding(line, f"<{tag}> with {address}: no such file in {page.book}/_static")
    for line, kind, target in targets(page):
        if kind == "picture" and target.startswith(OUTSIDE):
            yield Finding(line, f"the site's policy blocks the picture {target}")


def _files_exist(page: Page) -> Iterator[Finding]:
    """Pictures and downloads exist, and their names have only letters, digits, `.`, `_` and `-`.

    Why: render fails without them, after all pages have run. In links, other characters have a
    second form, such as %20 for a space, which not every tool knows.
    Fix: correct or rename the file. The letters are a to z and A to Z.
    """
    for line, kind, target in targets(page):
        folder = page.book if target.startswith("/") else page.path.parent
        path = folder / unquote(target).lstrip("/")
        if re.match(r"[a-z]+:|//|#", target) or (kind == "link" and not path.is_file()):
            continue  # another site, or a page
        if not FILE_NAME.fullmatch(target):
            yield Finding(line, f"the name of {unquote(target)} contains other characters")
        elif not path.is_file():
            yield Finding(line, f"{path}: no such file")


def _numbers_come_from_the_run(page: Page) -> Iterator[Finding]:
    """A result is glued from the run; a number from elsewhere has a citation in its paragraph.

    Why: a number typed by hand becomes wrong when a new run gives a different number.
    Fix: call measure("name", …) in a build-only cell and write {glue:text}`name` in the text, or
    cite the source with {cite}`…`.
    """
    for line, text in paragraphs(page):
        match = NUMBER.search(text)
        if match and "{cite}" not in text:
            yield Finding(line, f"“{match[0]}” is typed by hand")


def _words_are_plain_and_kind(page: Page) -> Iterator[Finding]:
    """The text belittles no reader, praises nothing, and prefers the plain word.

    Why: readers who find it hard feel slow if the text calls it easy, and rare words stop them.
    Fix: leave the word out, or write what the finding says.
    """
    for line, text in paragraphs(page):
        for pattern, advice in WORDS.items():
            if match := re.search(rf"\b({pattern})\b", text, re.I):
                yield Finding(line, f"“{match[0]}”: {advice}")


def _percent_signs_have_a_space(page: Page) -> Iterator[Finding]:
    """A space separates a number from its percent sign.

    Why: all pages write 35 %, as the SI does. Python's format % writes no space.
    Fix: write the space. Glue 100 times the share, as in {glue:text}`percent:.0f` %.
    """
    for line, text in paragraphs(page):
        for match in PERCENT.finditer(text):
            if match["percent"]:
                message = f"“{match[0]}” without a space before the percent sign"
                yield Finding(line + text.count("\n", 0, match.start()), message)


def _images_become_float32(page: Page) -> Iterator[Finding]:
    """A visible cell converts a set of images to float32 before it divides them by 255.

    Why: NumPy makes float64 of integers, eight times the bytes, and networks compute in float32.
    Fix: write images.astype("float32") / 255. A cell may still look at what the division makes,
    as in (images / 255).dtype, and divide a part of a set.
    """
    for cell in page.cells:
        tree = _parsed(cell)
        looks = [node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        for node in () if _is_build_only(cell) else ast.walk(tree):
            match node:
                case ast.BinOp(left, ast.Div(), ast.Constant(value=255)) if node not in looks:
                    divided = ast.unparse(left)
                case ast.AugAssign(target, ast.Div(), ast.Constant(value=255)):
                    divided = ast.unparse(target)
                case _:
                    continue
            if re.fullmatch(r"\w*images", divided):
                line = cell.line + node.lineno - 1
                yield Finding(line, f"{divided} / 255 without float32")


def _parsed(cell: CodeCell) -> ast.Module:
    """Return a cell's syntax tree; an empty one if the cell is not Python."""
    try:
        return parse_cell(cell)
    except SyntaxError:
        return ast.Module([], [])


def _is_build_only(cell: CodeCell) -> bool:
    return BUILD_ONLY in cell.tags


def _missing_tag(page: Page, cell: CodeCell, description: str, tag: str) -> Finding:
    message = f"{description} without the tag {tag}"
    return Finding(cell.line, message, add_tag(page, cell, tag))


RULES: dict[str, Callable[[Page], Iterator[Finding]]] = {
    "python": _cells_are_python,
    "repeats": _runs_repeat,
    "own-code": _own_code_is_hidden,
    "exports": _exports_only_read,
    "short-cells": _cells_are_short,
    "claims": _claims_are_in_the_text,
    "reference": _claims_hold_from_other_seeds,
    "lesson": _lesson_pages_have_front_matter,
    "minutes": _notes_fit_into_the_class,
    "terms": _terms_are_linked,
    "solutions": _exercises_have_solutions,
    "quizzes": _lessons_have_quizzes,
    "quiz-names": _quiz_names_are_unique,
    "quiz-links": _quizzes_have_no_links,
    "alt-text": _figures_have_alt_text,
    "loads": _pages_load_only_the_sites_files,
    "files": _files_exist,
    "numbers": _numbers_come_from_the_run,
    "words": _words_are_plain_and_kind,
    "percent": _percent_signs_have_a_space,
    "float32": _images_become_float32,
}
