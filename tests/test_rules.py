from collections.abc import Callable
from pathlib import Path

import pytest
from onions.pages import Project
from onions.rules import check

Small = Callable[..., Path]


def cell(source: str, options: str = "") -> str:
    return f"```{{code-cell}} python\n{options}{source}\n```\n"


GOOD = "# Title\n\nIt grows.\n\n" + cell(
    'from onions.claims import claim\nclaim("It grows.", True)',
    ":tags: [remove-cell, build-only]\n",
)
BUILD = ":tags: [remove-cell, build-only]\n"


def test_a_good_page(small: Small) -> None:
    assert check(Project(small(index=GOOD)).page("index")) == []


@pytest.mark.parametrize(
    ("text", "line", "rule", "says"),
    [
        (cell("import onions.claims"), 4, "own-code", "visible cell imports onions"),
        (cell("x = 1", ":tags: [build-only]\n"), 5, "own-code", "remove-cell too"),
        (cell("x = 1\n" * 21) + 2 * cell("y = 1"), 4, "short-cells", "cell of 21 lines"),
        (cell("x = 1\n" * 7), 4, "short-cells", "more than 6 lines"),
        (cell("x = 1\ny = '" + "a" * 90 + "'"), 5, "short-cells", "characters"),
        (cell('claim("It shrinks.", True)', BUILD), 5, "claims", "does not say “It shrinks.”"),
        (
            "It runs.\n" + cell('claim("It runs.", True)', BUILD.replace("]", ", skip-execution]")),
            6,
            "claims",
            "must run whole",
        ),
        (
            "`````{exercise-start} Count\n:label: exercise-a\n`````\nHow many?\n"
            "`````{exercise-end}\n`````",
            3, "solutions", "exercise-a has no solution",
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
