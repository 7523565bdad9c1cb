"""Judge all numbers of a page's run together, by its reference runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onions.book.reference import PageRuns
from onions.book.spread import EXPECTED, UNUSUAL, Spread, critical_deviation
from onions.claims import Value


@dataclass(frozen=True)
class Verdict:
    """The result for a page: a grade and each measure's deviation.

    `grade` is 0 if the run is as expected, 1 if it is unusual, and 2 if something is different.
    `deviations` maps measures to standard deviations from the mean, the furthest first; infinite
    where all reference runs have another value. `limit` is the largest of an expected run.
    """

    grade: int
    deviations: dict[str, float]
    limit: float

    def outside(self) -> list[str]:
        """Return the measures that deviate by more than the limit, the furthest first."""
        return [name for name, z in self.deviations.items() if abs(z) > self.limit]


def judge(values: Mapping[str, Value], runs: PageRuns) -> Verdict:
    """Judge a run's measures together.

    A measure that varies among the reference runs is compared by its spread, and any other exactly.
    A word that varies, and a measure that one side lacks, are skipped.
    """
    deviations: dict[str, float] = {}
    spreads: list[Spread] = []
    for name, value in values.items():
        others, spread = runs.values(name), runs.spread(name)
        if spread and isinstance(value, int | float):
            deviations[name] = spread.deviation(value)
            spreads += [] if spread.constant else [spread]
        elif others and all(other == others[0] for other in others) and value != others[0]:
            deviations[name] = math.inf
    expected, unusual = limits(spreads)
    ordered = dict(sorted(deviations.items(), key=lambda item: -abs(item[1])))
    largest = max(map(abs, ordered.values()), default=0.0)
    return Verdict((largest > expected) + (largest > unusual), ordered, expected)


def limits(spreads: Sequence[Spread], count: int = 0) -> tuple[float, float]:
    """Return the largest deviations of an expected and of an unusual run.

    The run has `count` of the measures with these spreads, by default all. If runs vary normally,
    the limits are exceeded with the probabilities of EXPECTED and UNUSUAL. If a reference run
    deviates more from the others, runs vary more than that, and both limits grow in proportion.
    """
    if not spreads:
        return 0.0, 0.0
    runs = min(len(spread.values) for spread in spreads)
    left_out = [z for spread in spreads for z in spread.left_out_deviations() if z < math.inf]
    usual = critical_deviation(runs - 1, EXPECTED, len(spreads))
    factor = max(1.0, max(left_out, default=0.0) / usual)
    expected, unusual = (
        factor * critical_deviation(runs, level, count or len(spreads))
        for level in (EXPECTED, UNUSUAL)
    )
    return expected, unusual
