"""The reference runs: the measures and claims of the same pages from other seeds.

``onions reference`` writes ``book/reference/reference_runs.json``: a list of sets of runs, one for
each combination of data and device. A set holds, by page, every measure and claim as a list with
one value per seed, and every training curve as a band.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from onions.book.page import PageError
from onions.book.project import Project
from onions.claims import Value

# The keys that identify a set: a new set replaces an old one with the same values.
SET_KEYS = ("data", "device")
ROUNDING = 1e-4  # relative; the file keeps five digits of a value
RANGE_SLACK = 0.5  # how far outside the range of the runs a value may lie, as a share of that range


@dataclass(frozen=True)
class Band:
    """A curve over the reference runs: for each epoch the lowest value, median and highest."""

    low: list[float]
    median: list[float]
    high: list[float]

    @classmethod
    def over(cls, runs: list[list[float]]) -> "Band":
        """Return the band of several curves, up to the last epoch that all of them have."""
        epochs = [sorted(values) for values in zip(*runs, strict=False)]
        medians = [round(median(values), 5) for values in epochs]
        return cls([values[0] for values in epochs], medians, [values[-1] for values in epochs])


@dataclass(frozen=True)
class Spread:
    """A measure over the reference runs: its values in rising order."""

    values: list[float]

    @property
    def median(self) -> float:
        """The median."""
        return median(self.values)

    def normal(self, value: float) -> bool:
        """Tell whether a value is as expected.

        A value may lie outside the range of the runs by half of that range. Of normally distributed
        results, 2 in 11 lie outside the range of ten others, but fewer than 1 in 50 that far.
        """
        slack = RANGE_SLACK * (self.values[-1] - self.values[0]) + ROUNDING * abs(value)
        return self.values[0] - slack <= value <= self.values[-1] + slack


class ReferenceRuns:
    """The reference runs of a book, in sets; each set has one data source and device."""

    def __init__(self, project: Project):
        self.path = project.book / "reference" / "reference_runs.json"

    @cached_property
    def sets(self) -> list[dict[str, Any]]:
        """All sets; empty if there are no reference runs. Raises PageError."""
        try:
            return list(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise PageError(f"{self.path}: damaged ({error}). Run `onions reference`.") from error

    def with_data(self, data: str) -> list[dict[str, Any]]:
        """Return the sets that ran with the data named `data`."""
        return [runs for runs in self.sets if runs["data"] == data]

    def values(self, data: str, page: str, measure: str) -> list[Value]:
        """Return a measure's value in each run with `data`."""
        pages = [runs["pages"].get(page, {}) for runs in self.with_data(data)]
        return [
            value for results in pages for value in results.get("measures", {}).get(measure, ())
        ]

    def spread(self, data: str, page: str, measure: str) -> Spread | None:
        """Return a measure's spread over the runs with `data`; None unless it is a number."""
        values = self.values(data, page, measure)
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        return Spread(sorted(numbers)) if numbers and len(numbers) == len(values) else None

    def band(self, data: str, page: str, training: str, metric: str) -> Band | None:
        """Return the band of a training's curve, from the first set with `data` that has it."""
        for runs in self.with_data(data):
            curves = runs["pages"].get(page, {}).get("curves", {}).get(training, {})
            if metric in curves:
                return Band(**curves[metric])
        return None

    def claims(self, page: str, sentence: str) -> Iterator[tuple[str, list[bool | None]]]:
        """Yield each set's name, and for each of its runs whether the claim held.

        A value is None if the claim was not checked; the list is empty if nothing claimed it.
        """
        for runs in self.sets:
            yield set_name(runs), runs["pages"].get(page, {}).get("claims", {}).get(sentence, [])


def set_name(runs: dict[str, Any]) -> str:
    """Return the name of a set in messages, as in ``sketches on NVIDIA L4``."""
    return f"{runs['data']} on {runs['device']}"
