"""The reference runs: what the same pages measure and claim from other seeds.

``onions reference`` makes ``book/reference/reference_runs.json``: a list of sets of runs, one for
each data, Keras backend and device. A set holds, by page, every measure and claim as a list with
one value for each seed, and the training curves as bands.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from onions.claims import Value
from onions.pages import PageError, Project

# What tells two sets apart: a new set replaces the one that has the same.
SET = ("data", "backend", "device")
ROUNDED = 1e-4  # values are kept with five digits
SLACK = 0.5  # how far outside the range of the runs a value may lie, as a share of that range


@dataclass(frozen=True)
class Band:
    """A curve over the reference runs: by epoch the lowest value, the median and the highest."""

    low: list[float]
    median: list[float]
    high: list[float]

    @classmethod
    def over(cls, runs: list[list[float]]) -> "Band":
        """Return the band of several curves, as far as all of them go."""
        epochs = [sorted(values) for values in zip(*runs, strict=False)]
        middle = [round(median(values), 5) for values in epochs]
        return cls([values[0] for values in epochs], middle, [values[-1] for values in epochs])


@dataclass(frozen=True)
class Spread:
    """A measure over the reference runs: its values in rising order."""

    values: list[float]

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.values)

    def normal(self, value: float) -> bool:
        """Tell whether a value is no surprise.

        It may lie outside the range of the runs by half of that range: of normally distributed
        results, 2 in 11 lie outside the range of ten others, but fewer than 1 in 50 so far.
        """
        slack = SLACK * (self.values[-1] - self.values[0]) + ROUNDED * abs(value)
        return self.values[0] - slack <= value <= self.values[-1] + slack


class Reference:
    """The reference runs of a book."""

    def __init__(self, project: Project):
        self.path = project.book / "reference" / "reference_runs.json"

    @cached_property
    def sets(self) -> list[dict[str, Any]]:
        """All sets; none where there are no reference runs. Raises PageError."""
        try:
            return list(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise PageError(f"{self.path}: damaged ({error}). Run `onions reference`.") from error

    def of(self, data: str) -> list[dict[str, Any]]:
        """Return the sets that were run with the data of this name."""
        return [one for one in self.sets if one["data"] == data]

    def values(self, data: str, page: str, measure: str) -> list[Value]:
        """Return what a measure came to, once for each run with the data."""
        pages = (one["pages"].get(page, {}) for one in self.of(data))
        return [value for found in pages for value in found.get("measures", {}).get(measure, ())]

    def spread(self, data: str, page: str, measure: str) -> Spread | None:
        """Return a measure's spread over the runs with the data; None if it is no number."""
        values = self.values(data, page, measure)
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        return Spread(sorted(numbers)) if numbers and len(numbers) == len(values) else None

    def band(self, data: str, page: str, training: str, metric: str) -> Band | None:
        """Return the band of a training's curve, over the first set with the data."""
        for one in self.of(data):
            curves = one["pages"].get(page, {}).get("curves", {}).get(training, {})
            if metric in curves:
                return Band(**curves[metric])
        return None

    def claims(self, page: str, sentence: str) -> Iterator[tuple[str, list[bool | None]]]:
        """Yield for each set its name and whether the claim held, once for each seed."""
        for one in self.sets:
            yield name(one), one["pages"].get(page, {}).get("claims", {}).get(sentence, [])


def name(one: dict[str, Any]) -> str:
    """Return a set's name for people."""
    return f"{one['data']} on {one['device']}"
