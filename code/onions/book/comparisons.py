"""Claims and findings: sentences of a page that compare two measures of its run.

A claim must hold in every run; a false one fails the build. It is strong enough for that only if it
also held, clearly, in all reference runs. A finding is weaker: the page says whether it came out in
this run, and in how many reference runs.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from onions.book.page import Page
from onions.book.prose import plain_text
from onions.book.reference import FEWEST_RUNS, PageRuns
from onions.book.spread import to_scale
from onions.claims import Value

COMPARISON = re.compile(
    r"(?:(?P<page>[\w/]+):\s*)?(?P<left>[a-z]\w*)\s*(?P<relation>[<>])\s*"
    r"(?:(?P<factor>\d+(?:\.\d+)?)\s*\*\s*)?(?P<right>[a-z]\w*)"
)
ROLE = re.compile(r"\s*\(?\{(claim|finding)\}`([^`]*)`\)?")
MEAN_MARGIN = {20: 4.0, FEWEST_RUNS: 5.0}  # standard deviations, by the number of runs at least
SMALLEST_MARGIN = 1.0  # standard deviations


class Comparison(NamedTuple):
    """The comparison ``left < factor * right`` or ``left > factor * right`` of two measures.

    `page` is the page that records them; empty for the page of the sentence.
    """

    left: str
    relation: str
    factor: float
    right: str
    page: str = ""

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Return whether the comparison is true of these measures.

        Raises ValueError if a measure is missing or not a number.
        """
        left, right = self.sides(values)
        return left < right if self.relation == "<" else left > right

    def sides(self, values: Mapping[str, Value]) -> tuple[float, float]:
        """Return the left side, and the right side times the factor. Raises ValueError."""
        for name in (self.left, self.right):
            if isinstance(values.get(name), str | bool | None):
                raise ValueError(f"{name} is not a number that the page measures")
        return float(values[self.left]), self.factor * float(values[self.right])


def parse_comparison(text: str) -> Comparison:
    """Return the comparison that a role contains, as in ``page: a < 2 * b``. Raises ValueError."""
    match = COMPARISON.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text}: not a comparison. Write two measures, as in a < b or a > 2 * b.")
    factor = float(match["factor"] or 1)
    return Comparison(match["left"], match["relation"], factor, match["right"], match["page"] or "")


class Sentence(NamedTuple):
    """A claim or finding in a page's text: its line (from 1), its kind, and the words around it."""

    line: int
    kind: str
    words: str
    comparison: str


def sentences(page: Page) -> Iterator[Sentence]:
    """Yield the claims and findings of a page's text. A sentence is the line that contains it."""
    source = page.text.split("\n")
    for number, line in enumerate(page.markup.split("\n"), 1):
        for match in ROLE.finditer(line):
            words = plain_text(ROLE.sub("", source[number - 1])).strip("| ")
            yield Sentence(number, match[1], words, match[2])


@dataclass(frozen=True)
class Margins:
    """How far a comparison was from being false in each reference run; positive if it held.

    Margins are differences on the measures' scale: of logits for shares, of logarithms for losses.
    `others` are those of the runs with other images.
    """

    values: list[float]
    others: list[float]

    @property
    def held(self) -> int:
        """The number of runs in which the comparison held."""
        return sum(margin > 0 for margin in self.values)

    @property
    def weakness(self) -> str:
        """Why the comparison is too weak for a claim; "" if it is strong enough."""
        runs = len(self.values)
        needed = next((sd for least, sd in MEAN_MARGIN.items() if runs >= least), None)
        if needed is None:
            return f"it has {runs} reference runs of {FEWEST_RUNS}"
        if min(self.values + self.others) <= 0:
            return "it did not hold in every reference run"
        if self._in_sd(fmean(self.values)) < needed:
            return f"its mean margin is below {needed:g} SD"
        if self._in_sd(min(self.values)) < SMALLEST_MARGIN:
            return f"its smallest margin is below {SMALLEST_MARGIN:g} SD"
        return ""

    def __str__(self) -> str:
        """Return the margins in words, as in ``20 of 20, mean 4.6 SD, smallest 2.1 SD``."""
        text = f"{self.held} of {len(self.values)}"
        if len(self.values) > 1 and stdev(self.values):
            mean, least = self._in_sd(fmean(self.values)), self._in_sd(min(self.values))
            text += f", mean {mean:.1f} SD, smallest {least:.1f} SD"
        if self.others:
            held = sum(margin > 0 for margin in self.others)
            text += f"; with other images {held} of {len(self.others)}"
        return text

    def _in_sd(self, margin: float) -> float:
        sd = stdev(self.values)
        return margin / sd if sd else math.copysign(math.inf, margin)


def margins(comparison: Comparison, runs: PageRuns) -> Margins:
    """Return a comparison's margins in the reference runs of its page.

    Raises ValueError if a measure is missing, is not a number or is on another scale.
    """
    left, right = comparison.left, comparison.right
    for name in (left, right):
        if not runs.values(name):
            raise ValueError(f"{name} is missing in the reference runs")
    scale = runs.scale(left)
    if scale != runs.scale(right):
        raise ValueError(f"{left} and {right} are on different scales")

    def margin(run: Mapping[str, Value]) -> float:
        low, high = (to_scale(side, scale) for side in comparison.sides(run))
        return high - low if comparison.relation == "<" else low - high

    own, others = (
        [
            margin({left: run[0], right: run[1]})
            for run in zip(
                *(runs.values(name, other_images=other) for name in (left, right)), strict=True
            )
        ]
        for other in (False, True)
    )
    return Margins(own, others)
