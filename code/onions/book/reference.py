"""The reference runs: the results of the same pages from other seeds.

``onions reference`` adds runs to ``book/reference/reference_runs.json``, one at a time. The file is
a list with one set of runs for each combination of SET_KEYS. A set holds, for each page, the hash
of its code and the runs: the n-th value of every list belongs to the n-th run.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from onions.base.files import write_atomic
from onions.book.page import Page, PageError
from onions.book.project import Project
from onions.book.spread import FEWEST_VALUES, Spread
from onions.claims import Value
from onions.images.sources import Source, short_name

# The keys that identify a set.
SET_KEYS = ("data", "data identity", "backend", "device")
KINDS = ("measures", "claims", "curves")  # of results, in lists with one value per run
FEWEST_RUNS = 10  # from other seeds, for a judgement
OTHER_IMAGES = 4  # disjoint parts of the training set besides the lesson's own

# The seed of a run, and the number of its images: 0 for the lesson's own.
Run = tuple[int, int]


def planned_runs(page: Page) -> set[Run]:
    """Return the reference runs that a page needs: `reference` seeds, from its front matter.

    Two of five seeds also run with other images. Raises PageError if the front matter is invalid.
    """
    seeds = page.lesson.get("reference", 0)
    others = {(seed, 1 + (seed - 1) % OTHER_IMAGES) for seed in range(1, seeds * 2 // 5 + 1)}
    return {(seed, 0) for seed in range(1, seeds + 1)} | others


@dataclass(frozen=True)
class PageRuns:
    """A page's runs in one set: the `facts` of the set, and the `results` by kind."""

    facts: dict[str, Any]
    results: dict[str, Any]

    @property
    def code(self) -> str:
        """The hash of the page's code in these runs."""
        return str(self.results["code"])

    def places(self, *, other_images: bool = False) -> list[int]:
        """Return the places of the runs with the lesson's own images, or of those with others."""
        return [
            place
            for place, (_, images) in enumerate(self.results["runs"])
            if bool(images) is other_images
        ]

    def values(self, measure: str, *, other_images: bool = False) -> list[Value]:
        """Return a measure's value in each run; empty if the runs lack it."""
        values = self.results["measures"].get(measure, [])
        return [values[place] for place in self.places(other_images=other_images) if values]

    def measures(self) -> list[str]:
        """Return the names of the measures, sorted."""
        return sorted(self.results["measures"])

    def scale(self, measure: str) -> str:
        """Return the scale of a measure, as `onions.claims.measure` records it."""
        return str(self.results["scales"].get(measure, ""))

    def spread(self, measure: str, *, other_images: bool = False) -> Spread | None:
        """Return a measure's spread; None if there are too few runs or a value is not a number.

        `other_images` selects the runs with other images.
        """
        values = self.values(measure, other_images=other_images)
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < FEWEST_VALUES or len(numbers) < len(values):
            return None
        return Spread(numbers, self.scale(measure))

    def curves(self, training: str, metric: str) -> list[list[float]]:
        """Return a training's curve in each run with the lesson's own images; empty if missing."""
        curves = self.results["curves"].get(training, {}).get(metric, [])
        return [curves[place] for place in self.places() if curves]

    def held(self, sentence: str) -> list[bool | None]:
        """Return whether an exact claim held in each run with the lesson's own images.

        None means that it was not checked.
        """
        held = self.results["claims"].get(sentence, [])
        return [held[place] for place in self.places() if held]


class ReferenceRuns:
    """The reference runs of a book."""

    def __init__(self, project: Project):
        self.path = project.book / "reference" / "reference_runs.json"

    @cached_property
    def sets(self) -> list[dict[str, Any]]:
        """All sets; empty if there are none. Raises PageError if the file is damaged."""
        try:
            sets = list(json.loads(self.path.read_text("utf-8")))
            for runs in sets:
                _ = [runs[key] for key in (*SET_KEYS, "pages")]
            return sets
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PageError(
                f"{self.path}: damaged ({error}). Restore it from git, or delete it and run "
                "`onions reference`."
            ) from error

    def runs(self, source: Source, page: str, device: str = "CPU") -> PageRuns | None:
        """Return a page's runs that fit a build best; None if none have its data or a copy of it.

        Enough runs come first, then the same images, the same kind of `device`, and more runs.
        """

        def fit(runs: PageRuns) -> tuple[bool, bool, bool, int]:
            same_images = runs.facts["data identity"] == source.identity
            count = len(runs.places())
            return count >= FEWEST_RUNS, same_images, runs.facts["device"] == device, count

        candidates = [runs for runs in self.all_runs(page) if runs.facts["data"] == source.name]
        return max(candidates, key=fit, default=None)

    def all_runs(self, page: str) -> Iterator[PageRuns]:
        """Yield a page's runs in each set that has some."""
        for runs in self.sets:
            if page in runs["pages"]:
                yield PageRuns(runs, runs["pages"][page])

    def recorded(self, keys: dict[str, str], page: str, code: str) -> set[Run]:
        """Return a page's runs with this `code` in the set that `keys` identify."""
        for runs in self.sets:
            results = runs["pages"].get(page, {})
            if _key(runs) == _key(keys) and results.get("code") == code:
                return {(seed, images) for seed, images in results["runs"]}
        return set()

    def add(
        self,
        keys: dict[str, str],
        page: str,
        run: Run,
        results: dict[str, Any],
        origin: dict[str, Any],
    ) -> None:
        """Add one run of a page to the set that `keys` identify, and write the file.

        `results` holds the code's hash, the scales, and the values of measures, claims and curves;
        `origin` holds the date, the processor and the versions. Runs of other code and of an older
        stand-in are dropped, and a run with the same seed and images is replaced. Raises OSError.
        """
        sets = {_key(runs): runs for runs in self.sets}
        if keys["data"] == "sketches":  # a stand-in that was drawn differently can't be run again
            sets = {
                key: runs
                for key, runs in sets.items()
                if runs["data"] != "sketches" or runs["data identity"] == keys["data identity"]
            }
        pages = sets.setdefault(_key(keys), {**keys, "pages": {}})["pages"]
        old = pages.get(page, {})
        same = old.get("code") == results["code"]
        kept = _split(old) if same else {}
        kept[run] = {kind: results[kind] for kind in KINDS}
        ordered = dict(sorted(kept.items(), key=lambda item: (item[0][1], item[0][0])))
        processors = {*(old["processors"] if same else ()), origin["processor"]}
        pages[page] = {
            "code": results["code"],
            "date": max(origin["date"], old["date"] if same else ""),
            "processors": sorted(processors),
            "versions": origin["versions"],
            "runs": [list(key) for key in ordered],
            "scales": results["scales"],
            **{kind: _join([values[kind] for values in ordered.values()]) for kind in KINDS},
        }
        sets[_key(keys)]["pages"] = dict(sorted(pages.items()))
        text = ",\n".join(_json(sets[key]) for key in sorted(sets))
        write_atomic(self.path, f"[\n{text}\n]\n")


def set_name(runs: dict[str, Any]) -> str:
    """Return the name of a set, as in ``a copy of CIFAR-10 on a GPU``."""
    return f"{short_name(runs['data'], runs['data identity'])} on a {runs['device']}"


def _key(runs: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(runs[key]) for key in SET_KEYS)


def _join(runs: list[Any]) -> Any:
    """Return one nested dictionary with a list of values at each place, from one per run.

    A name that a run lacks is dropped.
    """
    if isinstance(runs[0], dict):
        names = set.intersection(*({*run} for run in runs))
        return {name: _join([run[name] for run in runs]) for name in sorted(names)}
    return runs


def _split(results: dict[str, Any]) -> dict[Run, dict[str, Any]]:
    """Return the results of each run: the inverse of `_join`."""

    def at(place: int, values: Any) -> Any:
        if isinstance(values, dict):
            return {name: at(place, inner) for name, inner in values.items()}
        return values[place]

    return {
        (seed, images): {kind: at(place, results[kind]) for kind in KINDS}
        for place, (seed, images) in enumerate(results["runs"])
    }


def _json(value: Any, indent: str = "") -> str:
    """Return JSON with each list of single values on its own line, for readable diffs."""
    inner, nested = f"{indent} ", isinstance(value, list) and value and isinstance(value[0], list)
    if isinstance(value, dict) and value:
        items = [
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {_json(item, inner)}"
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if nested and len(value[0]) > 2:  # curves
        return "[\n" + ",\n".join(f"{inner}{json.dumps(item)}" for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
