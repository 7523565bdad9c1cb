from collections.abc import Callable
from pathlib import Path

import pytest
from onions.pages import Project
from onions.prose import reading_minutes
from onions.rules import check

Small = Callable[..., Path]


def cell(source: str, options: str = "") -> str:
    return f"```{{code-cell}} python\n{options}{source}\n```\n"


GOOD = "# Title\n\nIt grows.\n\n" + cell(
    'from onions.claims import claim\nclaim("It grows.", True)',
    ":tags: [remove-cell, build-only]\n",
)
BUILD = ":tags: [remove-cell, build-only]\n"
EXPORT = ":tags: [remove-cell, build-only, export]\n"


def test_a_good_page(small: Small) -> None:
    assert check(Project(small(index=GOOD)).page("index")) == []


@pytest.mark.parametrize(
    ("text", "line", "rule", "says"),
    [
        (cell("import onions.claims"), 4, "own-code", "visible cell imports onions"),
        (cell("x = 1", ":tags: [build-only]\n"), 5, "own-code", "without the tag remove-cell"),
        (cell("from onions.exports import export", BUILD), 5, "exports", "without the tag export"),
        (cell("x = 1", EXPORT), 5, "exports", "imports nothing from onions.exports"),
        (cell("from onions.exports import export\nmeasure('x', 1)", EXPORT), 5, "exports", "meas"),
        (cell("x = 1\n" * 21) + 2 * cell("y = 1"), 4, "short-cells", "cell of 21 lines"),
        (cell("x = 1\n" * 7), 4, "short-cells", "more than 6 lines"),
        (cell("x = 1\ny = '" + "a" * 90 + "'"), 5, "short-cells", "characters"),
        (cell('claim("It shrinks.", True)', BUILD), 5, "claims", "does not say “It shrinks.”"),
        (
            "It runs.\n" + cell('claim("It runs.", True)', BUILD.replace("]", ", skip-execution]")),
            6,
            "claims",
            "is tagged skip-execution",
        ),
        (
            "`````{exercise-start} Count\n:label: exercise-a\n`````\nHow many?\n"
            "`````{exercise-end}\n`````",
            3, "solutions", "exercise-a has no solution",
        ),
        (
            ":::{quiz} one\nHow many {term}`kernels <kernel>`?\n\nOne.\n: `n == 1` Yes.\n:::\n",
            4, "quiz-links", "a link in a quiz",
        ),
        (cell("import matplotlib.pyplot as plt\nplt.plot([1])"), 4, "alt-text", "without alt text"),
        ("![](picture.png)", 3, "alt-text", "without alt text"),
        ("There are 307,300 of them.", 3, "numbers", "“307,300” is typed by hand"),
        ("It reaches 53.1 % now.", 3, "numbers", "“53.1 %” is typed by hand"),
        ("First line.\nThis is simply so.", 3, "words", "“simply”"),
    ],
)  # fmt: skip
def test_a_bad_page_is_told_where_and_what(
    small: Small, text: str, line: int, rule: str, says: str
) -> None:
    findings = check(Project(small(index=f"# Title\n\n{text}\n")).page("index"))
    assert [(f.line, f.rule) for f in findings] == [(line, rule)]
    assert says in findings[0].message


LESSON = (
    "---\nlesson: {teaching: 1, exercises: 0, questions: [], objectives: [], keypoints: []}\n---\n"
)


@pytest.mark.parametrize(
    ("words", "code", "minutes"),
    [(200, "", 1.0), (190, "a = 1  # b", 1.0), (100, "", 0.5), (400, "", 2.0), (40, "", 0.2)],
)
def test_reading_takes_200_words_a_minute_and_code_counts_twice(
    small: Small, words: int, code: str, minutes: float
) -> None:
    folded = cell("z = 1 + 2", ":tags: [hide-cell]\n") + cell("measure('a', 1)", BUILD)
    exercise = (
        "`````{exercise-start} Long\n:label: e\n`````\n" + "word " * 500 + "\n"
        "`````{exercise-end}\n`````\n`````{solution-start} e\n`````\n"
        + cell("y = 1")
        + "`````{solution-end}\n`````\n"
    )
    note = ":::{instructor} 5\n" + "word " * 500 + "\n:::\n\n"
    text = "# T\n\n" + note + "word " * (words - 1) + "\n\n" + (cell(code) if code else "")
    page = Project(small(index=LESSON + text + folded + exercise)).page("index")
    assert reading_minutes(page) == pytest.approx(minutes, abs=0.02)
    said = [f.message for f in check(page) if f.rule == "minutes"]
    wrong = [f"teaching: 1, but reading takes {minutes:.1f} minutes"]
    assert said == (wrong if minutes in (0.2, 2.0) else [])


def test_a_line_that_begins_with_code_is_read(small: Small) -> None:
    text = LESSON + "# T\n\n" + "`x` is a word here.\n" * 40
    page = Project(small(index=text)).page("index")
    assert reading_minutes(page) == pytest.approx(40 * 5 / 200, abs=0.02)


ENTRIES = "\n\n".join(
    f"{term}\n  A." for term in ("max pooling", "pooling layer", "ReLU", "matrix")
)
GLOSSARY = f"# Glossary\n\n```{{glossary}}\n{ENTRIES}\n```\n"
QUIZ = ":::{{quiz}} {}\nHow many?\n\nOne\n: `one == 1` ReLU says so.\n:::\n\n"
QUIZZES = "".join(map(QUIZ.format, ("one", "two", "three")))
FILLER = "\n\n" + "word " * 190 + "\n\n" + QUIZZES


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "A pooling layer.",
            "link the first “pooling layer”: {term}`pooling layer`",
        ),
        ("Two pooling layers.", "{term}`pooling layers <pooling layer>`"),
        ("ReLU. Then {term}`ReLU`.", "link the first “ReLU”"),
        ("{term}`ReLU` and {term}`ReLU`.", "“ReLU” is linked again"),
        ("{term}`Max pooling <max pooling>` is done by a pooling layer.", "“pooling layer”"),
        ("{term}`ReLU`\n\n## Max pooling\n\nMax pooling.", "“Max pooling”"),
        ("{term}`ReLU`, then ReLU.", ""),
        ("`ReLU` in code, {doc}`ReLU <index>`, relu-like.", ""),
        ("# ReLU\n\n{term}`ReLU`s.", ""),
        ("A pooling\nlayer.", "link the first “pooling layer”"),
        ("{term}`pooling\nlayer` and a pooling layer.", ""),
        ("[More](https://example.org/ReLU), $ReLU(x)$, <!-- ReLU -->\n\n% ReLU", ""),
        ("````{note}\n```python\nx\n```\n````\n\nReLU here.", "link the first “ReLU”"),
        ("`````{solution-start} e\n`````\nReLU\n`````{solution-end}\n`````\n\nReLU.", "“ReLU”"),
        (":::{instructor} 2\nReLU\n:::\n\nReLU.", "“ReLU”"),
        (QUIZ.format("first") + "{term}`ReLU`.", ""),
        ("Matrices.", "{term}`Matrices <matrix>`"),
    ],
)
def test_a_term_is_linked_at_its_first_use(small: Small, text: str, says: str) -> None:
    root = small(index=f"{LESSON}# T\n\n{text}{FILLER}\n")
    (root / "book" / "reference").mkdir()
    (root / "book" / "reference" / "glossary.md").write_text(GLOSSARY)
    found = [f.message for f in check(Project(root).page("index"))]
    assert bool(found) == bool(says) and says in "".join(found[:1])


def test_a_term_is_found_in_its_line(small: Small) -> None:
    root = small(index=f"{LESSON}# T\n\nSome `a\nb` code.\nThen a line.\nReLU.{FILLER}\n")
    (root / "book" / "reference").mkdir()
    (root / "book" / "reference" / "glossary.md").write_text(GLOSSARY)
    found = check(Project(root).page("index"))
    lines = (root / "book" / "index.md").read_text().splitlines()
    assert [lines[f.line - 1] for f in found] == ["ReLU."]


def test_a_page_of_the_lesson_asks_three_questions(small: Small) -> None:
    two = FILLER.replace(QUIZ.format("three"), "")
    pages = Project(small(index=f"{LESSON}# T{FILLER}", other=f"{LESSON}# T{two}"))
    found = [f.message for f in check(pages.page("other")) if f.rule == "quizzes"]
    assert found == ["2 quizzes; 3 or more"]
    twice = [(f.line, f.message) for f in check(pages.page("index"))]
    lines = (pages.book / "index.md").read_text().splitlines()
    assert [lines[line - 1] for line, _ in twice] == [":::{quiz} one", ":::{quiz} two"]
    assert twice[0][1] == "other.md has a quiz named one, too"


def test_quizzes_take_no_reading_time(small: Small) -> None:
    page = Project(small(index=f"{LESSON}# T\n\n{QUIZ.format('q') * 50}word\n")).page("index")
    assert reading_minutes(page) == pytest.approx(2 / 200)


def test_a_linked_term_in_a_claim(small: Small) -> None:
    page = GOOD.replace("It grows.\n", "It {term}`grows <growth>`.\n")
    assert check(Project(small(index=page)).page("index")) == []


@pytest.mark.parametrize(
    "text",
    [
        "{glue:text}`parameters:,d` of them.",
        "About 3.25 % of them {cite}`barz2020`.",
        cell("x = 123_456\ny = '1,234'"),
        "See `307,300` in the summary.",
        "The adjustment is unjust.",
    ],
)
def test_what_is_no_finding(small: Small, text: str) -> None:
    assert check(Project(small(index=f"# Title\n\n{text}\n")).page("index")) == []
