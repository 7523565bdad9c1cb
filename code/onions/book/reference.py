"""The reference runs: the measures and claims of the same pages with other seeds.

``onions reference`` writes ``book/reference/reference_runs.json``: a list with one set of runs for
each combination of images and device. For each page, a set holds one value per seed of every
measure and claim, and a band for every training curve.
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
from onions.images.sources import Source, short_name

# The keys that identify a set: a new set replaces an old one with the same values.
SET_KEYS = ("data", "data identity", "device")
ROUNDING = 1e-4  # relative, since the file keeps five digits of a value
RANGE_SLACK = 0.5  # accepted distance from the range of the runs, as a share of that range


@dataclass(frozen=True)
class Band:
    """A curve over the reference runs: the lowest, median and highest value of each epoch."""

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
    """A measure over the reference runs: its values in ascending order."""

    values: list[float]

    @property
    def median(self) -> float:
        """The median."""
        return median(self.values)

    def normal(self, value: float) -> bool:
        """Return whether a value agrees with the reference runs.

        A value may be outside the range of the runs by up to half of that range. Of normally
        distributed results, 2 in 11 are outside the range of ten others; fewer than 1 in 50 are
        outside it by more than half.
        """
        slack = RANGE_SLACK * (self.values[-1] - self.values[0]) + ROUNDING * abs(value)
        return self.values[0] - slack <= value <= self.values[-1] + slack


class ReferenceRuns:
    """The reference runs of a book, in sets; each set has one data source and one device."""

    def __init__(self, project: Project):
        self.path = project.book / "reference" / "reference_runs.json"

    @cached_property
    def sets(self) -> list[dict[str, Any]]:
        """All sets; empty if there are none. Raises PageError if the file is damaged."""
        try:
            return list(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise PageError(f"{self.path}: damaged ({error}). Run `onions reference`.") from error

    def with_data(self, source: Source) -> list[dict[str, Any]]:
        """Return the sets that ran with the images of `source`.

        If there are none, return those that ran with other images of the same name, such as a copy
        of CIFAR-10.
        """
        return self.with_images(source) or [s for s in self.sets if s["data"] == source.name]

    def with_images(self, source: Source) -> list[dict[str, Any]]:
        """Return the sets that ran with exactly the images of `source`."""
        return [runs for runs in self.sets if runs["data identity"] == source.identity]

    def values(self, source: Source, page: str, measure: str) -> list[Value]:
        """Return a measure's value in each run of `with_data`."""
        pages = [runs["pages"].get(page, {}) for runs in self.with_data(source)]
        return [
            value for results in pages for value in results.get("measures", {}).get(measure, ())
        ]

    def spread(self, source: Source, page: str, measure: str) -> Spread | None:
        """Return a measure's spread over the runs of `with_data`.

        None if there are no values, or if a value is not a number.
        """
        values = self.values(source, page, measure)
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        return Spread(sorted(numbers)) if numbers and len(numbers) == len(values) else None

    def band(self, source: Source, page: str, training: str, metric: str) -> Band | None:
        """Return the band of a training's curve, from the first set of `with_data` that has it.

        None if no set has it.
        """
        for runs in self.with_data(source):
            curves = runs["pages"].get(page, {}).get("curves", {}).get(training, {})
            if metric in curves:
                return Band(**curves[metric])
        return None

    def claims(self, page: str, sentence: str) -> Iterator[tuple[str, list[bool | None]]]:
        """Yield each set's name, with a list of whether the claim held in each of its runs.

        A value is None if the claim was not checked. The list is empty if no run made the claim.
        """
        for runs in self.sets:
            yield set_name(runs), runs["pages"].get(page, {}).get("claims", {}).get(sentence, [])


def set_name(runs: dict[str, Any]) -> str:
    """Return the name of a set, as in ``a copy of CIFAR-10 on NVIDIA L4``."""
    return f"{short_name(runs['data'], runs['data identity'])} on {runs['device']}"
