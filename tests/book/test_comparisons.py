"""Claims and findings: reading them, evaluating them, and their margins."""

from pathlib import Path
from typing import Any

import pytest
from onions.book.comparisons import (
    Comparison,
    Margins,
    margins,
    parse_comparison,
    sentences,
)
from onions.book.page import Page
from onions.book.reference import PageRuns
from onions.claims import Value


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        ("a < b", Comparison("a", "<", 1, "b")),
        (" val_loss>1.02*lowest ", Comparison("val_loss", ">", 1.02, "lowest")),
        ("reference/x: a < 2 * b", Comparison("a", "<", 2, "b", "reference/x")),
    ],
)
def test_a_comparison_is_parsed(text: str, comparison: Comparison) -> None:
    assert parse_comparison(text) == comparison


@pytest.mark.parametrize("text", ["", "a", "a = b", "a < 2", "2 * a < b", "a < b < c", "a < b * 2"])
def test_what_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a comparison\. Write two measures"):
        parse_comparison(text)


def test_a_comparison_holds_or_not() -> None:
    values: dict[str, Value] = {"a": 1, "b": 1.5, "c": "word", "d": True}
    assert parse_comparison("a < b").holds(values)
    assert not parse_comparison("a > b").holds(values)
    assert parse_comparison("b < 2 * a").holds(values)
    assert not parse_comparison("a < a").holds(values)
    for text, name in (("a < c", "c"), ("d < a", "d"), ("a < e", "e")):
        with pytest.raises(ValueError, match=f"^{name} is not a number that the page measures"):
            parse_comparison(text).holds(values)


def runs(scale: str, **measures: list[Any]) -> PageRuns:
    seeds = [[1, 0], [2, 0], [3, 0], [1, 1]]
    scales = dict.fromkeys(measures, scale) if scale else {}
    return PageRuns({}, {"runs": seeds, "measures": measures, "scales": scales})


def test_margins_are_differences_on_the_measures_scale() -> None:
    a, b = [0.2, 0.4, 0.5, 0.9], [0.4, 0.4, 0.6, 0.8]
    plain = margins(parse_comparison("a < b"), runs("", a=a, b=b))
    assert plain.values == pytest.approx([0.2, 0, 0.1]) and plain.others == pytest.approx([-0.1])
    log = margins(parse_comparison("a < 2 * b"), runs("log", a=a, b=b))
    assert log.values == pytest.approx([1.386294, 0.693147, 0.875469], abs=1e-6)  # ln 4, ln 2 …
    logit = margins(parse_comparison("b > a"), runs("logit", a=a, b=b))
    assert logit.values[0] == pytest.approx(0.980829, abs=1e-6)  # ln(0.4/0.6) − ln(0.2/0.8)


def test_a_margin_needs_both_measures_on_the_same_scale() -> None:
    mixed = runs("log", a=[1.0] * 4)
    mixed.results["measures"]["b"] = [2.0] * 4
    with pytest.raises(ValueError, match="a and b are on different scales"):
        margins(parse_comparison("a < b"), mixed)
    with pytest.raises(ValueError, match="c is missing in the reference runs"):
        margins(parse_comparison("a < c"), mixed)


def spaced(mean: float, runs: int = 20) -> list[float]:
    """Return margins with a standard deviation of 1, half a standard deviation or so apart."""
    steps = [(place - (runs - 1) / 2) for place in range(runs)]
    sd = (sum(step**2 for step in steps) / (runs - 1)) ** 0.5
    return [mean + step / sd for step in steps]


@pytest.mark.parametrize(
    ("margins", "weakness"),
    [
        (Margins(spaced(4.01), []), ""),
        (Margins(spaced(3.99), []), "its mean margin is below 4 SD"),
        (Margins(spaced(4.99, 10), []), "its mean margin is below 5 SD"),
        (Margins(spaced(5.01, 10), []), ""),
        (Margins(spaced(9, 9), []), "it has 9 reference runs of 10"),
        (Margins(spaced(1), []), "it did not hold in every reference run"),
        (Margins(spaced(5), [0.5, -0.1]), "it did not hold in every reference run"),
        (Margins([6.0] * 19 + [1.0], []), "its smallest margin is below 1 SD"),
        (Margins([2.0] * 20, []), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_needs_runs_and_margins(margins: Margins, weakness: str) -> None:
    assert margins.weakness == weakness


def test_margins_are_described_in_standard_deviations() -> None:
    assert str(Margins([1.0, 2.0, 3.0], [1.0, -1.0])) == (
        "3 of 3, mean 2.0 SD, smallest 1.0 SD; with other images 1 of 2"
    )
    assert str(Margins([-1.0], [])) == "0 of 1"


def test_a_sentence_is_the_line_that_contains_a_role() -> None:
    text = (
        "# A page\n\nIt is {term}`good` {claim}`a < b`.\n"
        "Better ({finding}`x: c > 2 * d`), isn't it?\n"
        "| In a table | {finding}`e < f` |\n\n```\n{claim}`in code < b`\n```\n"
    )
    assert [*sentences(Page("page", Path("page.md"), text))] == [
        (3, "claim", "It is good.", "a < b"),
        (4, "finding", "Better, isn't it?", "x: c > 2 * d"),
        (5, "finding", "In a table", "e < f"),
    ]
