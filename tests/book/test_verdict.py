"""The verdict on a run: its joint level in simulations, and on the book's own reference runs."""

import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from onions.book.project import Project
from onions.book.reference import FEWEST_RUNS, PageRuns, ReferenceRuns
from onions.book.spread import Spread, critical_deviation
from onions.book.verdict import judge, limits
from onions.claims import Value
from support.projects import ROOT


def page_runs(measures: dict[str, list[Any]], scales: dict[str, str]) -> PageRuns:
    runs = [[seed, 0] for seed, _ in enumerate(next(iter(measures.values())), 1)]
    results = {"code": "", "runs": runs, "measures": measures, "scales": scales, "claims": {}}
    return PageRuns({"data": "sketches", "data identity": "", "device": "CPU"}, results)


def test_all_numbers_are_judged_together() -> None:
    values = [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.5, 2.5]
    words = {"w": ["x"] * 10, "v": ["x", "y"] * 5}
    runs = page_runs({"a": values, "b": values, "n": [7] * 10, **words}, {})
    expected: dict[str, Value] = {"a": 2.0, "b": 2.0, "n": 7, "w": "x", "v": "z"}
    assert judge(expected, runs).grade == 0
    limit = judge(expected, runs).limit
    spread = runs.spread("a")
    assert spread
    _, high = spread.interval(limit)
    for value, grade in ((high - 0.01, 0), (high + 0.01, 1), (high + 9, 2)):
        verdict = judge({**expected, "a": value}, runs)
        assert verdict.grade == grade and next(iter(verdict.deviations)) == "a"
        assert verdict.outside() == (["a"] if grade else [])
    assert judge({**expected, "n": 8}, runs).grade == 2
    assert judge({**expected, "w": "y"}, runs).grade == 2
    assert judge({"new": 3.0}, runs).grade == 0  # a measure that the runs lack


def normal(rng: random.Random) -> float:
    return rng.gauss(0.5, 0.01)


def log_normal(rng: random.Random) -> float:
    return math.exp(rng.gauss(0, 0.5))


def share(rng: random.Random) -> float:
    return 1 / (1 + math.exp(-rng.gauss(3, 0.8)))


def count(rng: random.Random) -> int:
    return sum(rng.random() < 0.5 for _ in range(10))


def rare(rng: random.Random) -> int:
    return int(rng.random() < 0.03)


def heavy_tailed(rng: random.Random) -> float:
    """Return a value with Student's t distribution with three degrees of freedom."""
    return rng.gauss(0, 1) / math.sqrt(sum(rng.gauss(0, 1) ** 2 for _ in range(3)) / 3)


def exponential(rng: random.Random) -> float:
    return rng.expovariate(1)


@pytest.mark.parametrize(
    ("draw", "scale", "least", "most"),
    [
        (normal, "", 0.984, 0.996),
        (log_normal, "log", 0.984, 0.996),
        (share, "logit", 0.984, 0.996),
        (count, "", 0.99, 1.0),  # whole numbers are judged more leniently
        # Judged too strictly: skewed and heavy-tailed results, a little, and a count that is the
        # same in most sets of runs, and is then compared exactly.
        (exponential, "", 0.93, 0.97),
        (exponential, "log", 0.955, 0.985),
        (heavy_tailed, "", 0.94, 0.98),
        (rare, "", 0.83, 0.89),
    ],
)
def test_as_many_simulated_runs_are_as_expected_as_stated(
    draw: Callable[[random.Random], float], scale: str, least: float, most: float
) -> None:
    """Each of 1,500 runs has ten independent numbers, and twenty reference runs."""
    rng, expected = random.Random(2), 0
    names = [f"m{number}" for number in range(10)]
    for _ in range(1500):
        runs = page_runs(
            {name: [draw(rng) for _ in range(20)] for name in names}, dict.fromkeys(names, scale)
        )
        expected += judge({name: draw(rng) for name in names}, runs).grade == 0
    assert least <= expected / 1500 <= most, expected / 1500


def test_the_limits_grow_if_a_reference_run_is_far_from_the_others() -> None:
    usual = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9]
    far = [*usual[:-1], 9.0]
    narrow, wide = limits([Spread(usual)]), limits([Spread(usual), Spread(far)])
    assert narrow == (critical_deviation(10, 0.99), critical_deviation(10, 0.999))
    factor = max(Spread(far).left_out_deviations()) / critical_deviation(9, 0.99, 2)
    assert factor > 1
    assert wide == pytest.approx([factor * critical_deviation(10, p, 2) for p in (0.99, 0.999)])
    assert limits([Spread(usual)] * 3, 1)[0] == critical_deviation(10, 0.99, 1)
    assert limits([]) == (0, 0)


def without_run(results: dict[str, Any], place: int) -> dict[str, Any]:
    drop = lambda values: values[:place] + values[place + 1 :]  # noqa: E731
    measures = {name: drop(values) for name, values in results["measures"].items()}
    return {**results, "runs": drop(results["runs"]), "measures": measures}


def left_out_as_expected(runs: PageRuns) -> list[bool]:
    """Return for each run whether it is as expected by all others."""
    return [
        judge(
            {name: values[place] for name, values in runs.results["measures"].items()},
            PageRuns(runs.facts, without_run(runs.results, place)),
        ).grade == 0
        for place in runs.places()
    ]  # fmt: skip


def probability_of_at_most(count: int, runs: int, level: float) -> float:
    """Return the probability that at most `count` of `runs` independent runs are as expected."""
    return sum(math.comb(runs, k) * level**k * (1 - level) ** (runs - k) for k in range(count + 1))


SETS = json.loads(ReferenceRuns(Project(ROOT)).path.read_text("utf-8"))


@pytest.mark.parametrize("facts", SETS, ids=lambda facts: facts["data"])
def test_left_out_reference_runs_are_as_expected(facts: dict[str, Any]) -> None:
    """Each of the book's runs is judged by the others: so many are as expected as 99 % allows."""
    pages = [PageRuns(facts, results) for results in facts["pages"].values()]
    judged = [runs for runs in pages if len(runs.places()) >= FEWEST_RUNS]
    as_expected = [expected for runs in judged for expected in left_out_as_expected(runs)]
    assert len(as_expected) >= FEWEST_RUNS
    probability = probability_of_at_most(sum(as_expected), len(as_expected), 0.99)
    assert probability > 0.01, f"{sum(as_expected)} of {len(as_expected)}"
