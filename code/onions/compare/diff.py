"""Compare two builds for a reviewer: their claims, measures, networks, figures and times."""

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeGuard

import nbformat
from nbformat import NotebookNode

from onions.book.reference import PageRuns, ReferenceRuns
from onions.book.spread import EXPECTED, critical_deviation
from onions.book.verdict import judge
from onions.claims import KEY, Value
from onions.compare.builds import ExecutedBuild
from onions.compare.pictures import Picture, PictureError, data_url, describe_changes, read_picture
from onions.images.sources import Source
from onions.store.entries import claims, measure_values
from onions.store.fingerprint import Components
from onions.store.status import component_changes

ROUNDING = 1e-6  # relative; the order of float additions depends on the machine
SLOWER_FACTOR, SLOWER_SECONDS = 1.5, 5
ABSENT = "absent"
SUMMARY = re.compile(r'^Model: ".*?^ Total params:.*?(?=^[^ ]|\Z)', re.M | re.S)
PICTURE_TYPES = ("image/svg+xml", "image/png")


@dataclass(frozen=True)
class Row:
    """A claim, measure or time of a page that differs between the two builds.

    `name` is the claim's sentence, the measure's name, or the unit of time. `note` gives the
    claim's measures or the measure's expected range.
    """

    page: str
    name: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """The unified diff of a network's summary; `number` counts a page's summaries from 1."""

    page: str
    number: int
    text: str


@dataclass(frozen=True)
class Figure:
    """A figure that differs; `number` counts a page's figures from 1.

    `pictures` maps before, after and difference to ``data:`` URLs, as far as they exist.
    """

    page: str
    number: int
    change: str
    pictures: dict[str, str]


@dataclass(frozen=True)
class BuildDiff:
    """All differences between two builds, the most important first; truthy if there are any.

    `notes` gives the pages that can't be compared, with reasons. `noise` counts the measures that
    changed as expected. `totals` are the seconds of all compared pages, before and
    after. `component_changes` describes changes of data, versions and devices.
    """

    before: str
    after: str
    notes: list[str]
    claims: list[Row]
    measures: list[Row]
    noise: int
    summaries: list[Summary]
    figures: list[Figure]
    times: list[Row]
    totals: tuple[float, float]
    component_changes: list[str]

    def __bool__(self) -> bool:
        parts = (self.notes, self.claims, self.measures, self.summaries, self.figures, self.times)
        return any(parts) or bool(self.component_changes)

    @property
    def remarks(self) -> list[str]:
        """Sentences about measures within the spread, total times and changed components."""
        measures = "1 measure" if self.noise == 1 else f"{self.noise} measures"
        seconds_before, seconds_after = self.totals
        changes = "; ".join(self.component_changes) or "the same data, versions and device"
        return [
            f"{measures} changed as expected.",
            f"All pages took {seconds_before:.0f} s → {seconds_after:.0f} s.",
            f"Ran with: {changes}.",
        ]


def compare_builds(
    before: ExecutedBuild, after: ExecutedBuild, reference: ReferenceRuns
) -> BuildDiff:
    """Compare two builds page by page, without the pages that have a note in either build.

    What is expected of measures is from the reference runs with the data of `after`. Raises
    PageError if the file of the reference runs is damaged.
    """
    notes = before.notes | after.notes
    empty = nbformat.v4.new_notebook()
    names = [page for page in before.entries | after.entries if page not in notes]
    pages = [
        (_clean(page), before.entries.get(page, empty), after.entries.get(page, empty))
        for page in names
    ]
    measures, noise = _measures(pages, after.source, reference)
    changes = component_changes(_shared_components(before), _shared_components(after))
    return BuildDiff(
        before=_clean(before.name),
        after=_clean(after.name),
        notes=[_clean(f"{page}: {note}") for page, note in notes.items()],
        claims=sorted(
            (row for page in names for row in _claims(page, before, after)), key=_importance
        ),
        measures=measures,
        noise=noise,
        summaries=[summary for page in pages for summary in _summaries(*page)],
        figures=[figure for page in pages for figure in _figures(*page)],
        times=[row for page in pages for row in _times(*page)],
        totals=(_total(page[1] for page in pages), _total(page[2] for page in pages)),
        component_changes=[_clean(change) for change in changes],
    )


Outcomes = dict[str, tuple[bool | None, dict[str, Value]]]  # of claims, by sentence


def _claims(page: str, before: ExecutedBuild, after: ExecutedBuild) -> Iterator[Row]:
    """Yield the claims of a page whose outcomes differ.

    Claims of the text are compared only if both builds have texts.
    """
    texts = before.text_claims is not None and after.text_claims is not None
    old, new = _outcomes(page, before, texts=texts), _outcomes(page, after, texts=texts)
    for sentence, (_, values) in (old | new).items():
        was, now = _outcome(old, sentence), _outcome(new, sentence)
        if was != now:
            note = ", ".join(_clean(f"{name} = {_text(value)}") for name, value in values.items())
            yield Row(_clean(page), _clean(sentence), was, now, note)


def _outcomes(page: str, build: ExecutedBuild, *, texts: bool) -> Outcomes:
    entry = build.entries.get(page)
    found: Outcomes = {}
    for _, claim in claims(entry) if entry else ():
        found[claim["sentence"]] = claim["holds"], claim["measures"]
    for compared in (build.text_claims or {}).get(page, ()) if texts else ():
        found[compared.sentence] = compared.holds, compared.measures
    return found


def _outcome(outcomes: Outcomes, sentence: str) -> str:
    if sentence not in outcomes:
        return ABSENT
    holds, _ = outcomes[sentence]
    return {True: "holds", False: "does not hold", None: "not checked"}[holds]


def _importance(row: Row) -> int:
    """Return the sort key of a claim's change: claims that no longer hold come first."""
    if row.after == "does not hold":
        return 0 if row.before == "holds" else 1
    return 2 if row.before == "holds" else 3


def _measures(
    pages: list[tuple[str, NotebookNode, NotebookNode]], source: Source, reference: ReferenceRuns
) -> tuple[list[Row], int]:
    """Return the unexpected changes of measures, and the number of expected ones."""
    rows, noise = [], 0
    for page, before, after in pages:
        old_values, new_values = measure_values(before), measure_values(after)
        facts = after.metadata.get(KEY, {})
        runs = reference.runs(source, page, facts.get("device kind", "CPU"))
        expected = _expected(old_values, new_values, runs)
        for name in old_values | new_values:
            old, new = old_values.get(name), new_values.get(name)
            if _is_same(old, new):
                continue
            if name in expected:
                noise += 1
            else:
                rows.append(Row(page, _clean(name), _text(old), _text(new), _range(name, runs)))
    return rows, noise


def _expected(old: dict[str, Value], new: dict[str, Value], runs: PageRuns | None) -> set[str]:
    """Return the measures whose two values are both as expected by the reference runs."""
    if runs is None:
        return set()
    unexpected = {name for values in (old, new) for name in judge(values, runs).outside()}
    varying = {name for name in old.keys() & new.keys() if len({*runs.values(name)}) > 1}
    return varying - unexpected


def _is_same(old: Value | None, new: Value | None) -> bool:
    if _is_number(old) and _is_number(new):
        return math.isclose(old, new, rel_tol=ROUNDING)
    return type(old) is type(new) and old == new


def _is_number(value: Value | None) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(name: str, runs: PageRuns | None) -> str:
    spread = runs.spread(name) if runs else None
    if spread is None:
        return ""
    low, high = spread.interval(critical_deviation(len(spread.values), EXPECTED))
    return f"{low:.4g} to {high:.4g} in 99 of 100 runs"


def _text(value: Value | None) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, float):
        return f"{value:.7g}"
    return f"{value:,}" if _is_number(value) else _clean(str(value))


def _summaries(page: str, before: NotebookNode, after: NotebookNode) -> Iterator[Summary]:
    pairs = zip_longest(_network_summaries(before), _network_summaries(after), fillvalue="")
    for number, pair in enumerate(pairs, 1):
        if pair[0] != pair[1]:
            old, new = ([_clean_line(line) for line in text.splitlines()] for text in pair)
            diff = difflib.unified_diff(old, new, "before", "after", lineterm="")
            yield Summary(page, number, "\n".join(diff))


def _network_summaries(entry: NotebookNode) -> list[str]:
    """Return the network summaries in an entry's outputs, in order.

    Keras splits a summary into several outputs, and other code may print around it.
    """
    summaries = []
    for cell in entry.cells:
        texts = [out["data"].get("text/plain", "") for out in cell.outputs if "data" in out]
        stream = "".join(out.get("text", "") for out in cell.outputs)
        matches = [match for text in (stream, *texts) for match in SUMMARY.findall(text)]
        summaries += [match.strip() for match in matches]
    return summaries


def _figures(page: str, before: NotebookNode, after: NotebookNode) -> Iterator[Figure]:
    pairs = zip_longest(_images(before), _images(after))
    for number, (old, new) in enumerate(pairs, 1):
        if old == new:
            continue
        try:
            images = {"before": old, "after": new}
            pictures = {name: read_picture(*image) for name, image in images.items() if image}
            change, urls = _compare_pictures(pictures)
        except PictureError as error:
            change, urls = f"can't be compared: {error}", {}
        if change:
            yield Figure(page, number, change, urls)


def _images(entry: NotebookNode) -> list[tuple[str, str]]:
    """Return the MIME type and data of each figure of an entry, in order."""
    bundles = [out["data"] for cell in entry.cells for out in cell.outputs if "data" in out]
    types = [(next((kind for kind in PICTURE_TYPES if kind in data), ""), data) for data in bundles]
    return [(mime_type, data[mime_type]) for mime_type, data in types if mime_type]


def _compare_pictures(pictures: dict[str, Picture]) -> tuple[str, dict[str, str]]:
    """Return a description of how a figure changed, and the URLs of its pictures.

    The description is empty if the change does not matter.
    """
    urls = {name: picture.url for name, picture in pictures.items()}
    if len(pictures) == 1:
        return ("is new" if "after" in pictures else "is gone"), urls
    change, difference = describe_changes(pictures["before"], pictures["after"])
    if difference:
        urls["difference"] = data_url(difference)
    return _clean(change), urls


def _times(page: str, before: NotebookNode, after: NotebookNode) -> Iterator[Row]:
    if KEY in before.metadata and KEY in after.metadata:
        old, new = (entry.metadata[KEY]["seconds"] for entry in (before, after))
        low, high = sorted((old, new))
        if high > SLOWER_FACTOR * low and high - low > SLOWER_SECONDS:
            yield Row(page, "seconds", f"{old:.0f}", f"{new:.0f}")


def _total(entries: Iterable[NotebookNode]) -> float:
    return sum(entry.metadata.get(KEY, {}).get("seconds", 0) for entry in entries)


def _shared_components(build: ExecutedBuild) -> Components:
    """Return the components of a build's pages other than code: facts, versions and devices."""
    runs = [entry.metadata[KEY] for entry in build.entries.values()]
    shared: Components = {"facts": {}, "packages": {}, "dependencies": {}}
    for facts in runs:
        for kind, parts in shared.items():
            parts |= facts["components"].get(kind, {})
    for name in shared["packages"]:  # of other pages
        shared["dependencies"].pop(name, None)
    shared["facts"]["device"] = "; ".join(sorted({str(facts.get("device", "")) for facts in runs}))
    return shared


def _clean(text: str) -> str:
    """Return untrusted text on one line, with control characters replaced."""
    return _clean_line(" ".join(text.split()))


def _clean_line(line: str) -> str:
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line
    )
