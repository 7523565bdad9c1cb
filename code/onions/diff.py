"""What a reviewer must know of two builds: what they claim, measure, draw and take differently."""

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeGuard

import nbformat
from nbformat import NotebookNode

from onions.builds import Executed
from onions.claims import KEY, Claim, Value
from onions.fingerprint import NO_PACKAGES, versions
from onions.pictures import Picture, PictureError, address, changes, read
from onions.reference import Reference
from onions.status import differences
from onions.store import claims, measured

ROUNDING = 1e-6  # relative; two machines add up floats in another order
TIMES_AS_LONG, SECONDS_MORE = 1.5, 5
ABSENT = "absent"
SUMMARY = re.compile(r'^Model: ".*?^ Total params:.*?(?=^[^ ]|\Z)', re.M | re.S)
PICTURES = ("image/svg+xml", "image/png")


@dataclass(frozen=True)
class Row:
    """What was and what is now, of something on a page; `note` is what else to know of it."""

    page: str
    what: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """The unified diff of a network's summary; `number` counts those of its page from 1."""

    page: str
    number: int
    text: str


@dataclass(frozen=True)
class Figure:
    """What became of a page's figure; `pictures` are ``data:`` addresses by what they show."""

    page: str
    number: int
    what: str
    pictures: dict[str, str]


@dataclass(frozen=True)
class Differences:
    """All that differs between two builds, in the order in which it matters.

    `noise` counts the measures that moved no further than the reference runs do; `totals` are the
    seconds of all pages that were compared.
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
    ran_with: list[str]

    def __bool__(self) -> bool:
        parts = (self.notes, self.claims, self.measures, self.summaries, self.figures, self.times)
        return any(parts) or bool(self.ran_with)

    @property
    def remarks(self) -> list[str]:
        """What else to know: how much moved as it always does, how long it took, with what."""
        measures = "1 measure" if self.noise == 1 else f"{self.noise} measures"
        was, now = self.totals
        return [
            f"{measures} changed within the reference spread.",
            f"All pages took {was:.0f} s → {now:.0f} s.",
            f"Ran with: {'; '.join(self.ran_with) or 'the same data, versions and device'}.",
        ]


def differ(before: Executed, after: Executed, reference: Reference) -> Differences:
    """Compare two builds, page by page, but for pages that one of them could not have.

    Raises PageError where the reference runs are damaged.
    """
    unknown = before.notes | after.notes
    nothing = nbformat.v4.new_notebook()
    pages = [
        (_clean(page), before.entries.get(page, nothing), after.entries.get(page, nothing))
        for page in before.entries | after.entries
        if page not in unknown
    ]
    moved, noise = _measures(pages, after.data, reference)
    return Differences(
        before=_clean(before.name),
        after=_clean(after.name),
        notes=[_clean(f"{page}: {note}") for page, note in unknown.items()],
        claims=sorted((row for page in pages for row in _claims(*page)), key=_importance),
        measures=moved,
        noise=noise,
        summaries=[summary for page in pages for summary in _summaries(*page)],
        figures=[figure for page in pages for figure in _figures(*page)],
        times=[row for page in pages for row in _times(*page)],
        totals=(_total(page[1] for page in pages), _total(page[2] for page in pages)),
        ran_with=[_clean(text) for text in differences(_ran_with(before), _ran_with(after))],
    )


def _claims(page: str, before: NotebookNode, after: NotebookNode) -> Iterator[Row]:
    old, new = ({c["sentence"]: c for _, c in claims(entry)} for entry in (before, after))
    for sentence in old | new:
        was, now = _outcome(old.get(sentence)), _outcome(new.get(sentence))
        if was != now:
            numbers = (old | new)[sentence]["measures"]
            note = ", ".join(_clean(f"{name} = {_text(value)}") for name, value in numbers.items())
            yield Row(page, _clean(sentence), was, now, note)


def _outcome(claim: Claim | None) -> str:
    if claim is None:
        return ABSENT
    return {True: "holds", False: "does not hold", None: "not checked"}[claim["holds"]]


def _importance(row: Row) -> int:
    """Return the place of a claim's change: what is no longer true comes first."""
    if row.after == "does not hold":
        return 0 if row.before == "holds" else 1
    return 2 if row.before == "holds" else 3


def _measures(
    pages: list[tuple[str, NotebookNode, NotebookNode]], data: str, reference: Reference
) -> tuple[list[Row], int]:
    """Return the measures that changed, and how many more did within the reference runs' spread."""
    rows, noise = [], 0
    for page, before, after in pages:
        old, new = measured(before), measured(after)
        for name in old | new:
            was, now = old.get(name), new.get(name)
            if _same(was, now):
                continue
            runs = reference.values(data, page, name)
            if _within(was, now, runs):
                noise += 1
            else:
                rows.append(Row(page, _clean(name), _text(was), _text(now), _spread(runs)))
    return rows, noise


def _same(was: Value | None, now: Value | None) -> bool:
    if _is_number(was) and _is_number(now):
        return math.isclose(was, now, rel_tol=ROUNDING)
    return type(was) is type(now) and was == now


def _within(was: Value | None, now: Value | None, runs: list[Value]) -> bool:
    """Tell whether the reference runs differ among themselves as much as these two values."""
    if isinstance(was, bool) and isinstance(now, bool):
        return {True, False} <= {run for run in runs if isinstance(run, bool)}
    numbers = [run for run in runs if _is_number(run)]
    if not (numbers and _is_number(was) and _is_number(now)):
        return False
    return abs(now - was) <= max(numbers) - min(numbers)


def _is_number(value: Value | None) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spread(runs: list[Value]) -> str:
    numbers = [run for run in runs if _is_number(run)]
    return f"{_text(min(numbers))} to {_text(max(numbers))} in reference runs" if numbers else ""


def _text(value: Value | None) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, float):
        return f"{value:.7g}"
    return f"{value:,}" if _is_number(value) else _clean(str(value))


def _summaries(page: str, before: NotebookNode, after: NotebookNode) -> Iterator[Summary]:
    texts = zip_longest(_networks(before), _networks(after), fillvalue="")
    for number, (was, now) in enumerate(texts, 1):
        if was != now:
            old, new = ([_clean_line(line) for line in text.splitlines()] for text in (was, now))
            diff = difflib.unified_diff(old, new, "before", "after", lineterm="")
            yield Summary(page, number, "\n".join(diff))


def _networks(entry: NotebookNode) -> list[str]:
    """Return the summaries of networks that an entry's cells print, in order.

    Keras prints one in several outputs, and others may stand around it.
    """
    found = []
    for cell in entry.cells:
        texts = [out["data"].get("text/plain", "") for out in cell.outputs if "data" in out]
        printed = "".join(out.get("text", "") for out in cell.outputs)
        found += [one.strip() for text in (printed, *texts) for one in SUMMARY.findall(text)]
    return found


def _figures(page: str, before: NotebookNode, after: NotebookNode) -> Iterator[Figure]:
    pairs = zip_longest(_images(before), _images(after))
    for number, (was, now) in enumerate(pairs, 1):
        if was == now:
            continue
        found = {}
        try:
            for what, image in (("before", was), ("after", now)):
                if image:
                    found[what] = read(*image)
            what, pictures = _look(found)
        except PictureError as error:
            what, pictures = f"can't be compared: {error}", {}
        if what:
            yield Figure(page, number, what, pictures)


def _images(entry: NotebookNode) -> list[tuple[str, str]]:
    """Return the type and data of each figure of an entry, in order."""
    bundles = [out["data"] for cell in entry.cells for out in cell.outputs if "data" in out]
    kinds = [(data, next((kind for kind in PICTURES if kind in data), "")) for data in bundles]
    return [(kind, data[kind]) for data, kind in kinds if kind]


def _look(found: dict[str, Picture]) -> tuple[str, dict[str, str]]:
    """Say how a figure's pictures differ, and show them; nothing where it does not matter."""
    pictures = {what: picture.address for what, picture in found.items()}
    if len(found) == 1:
        return ("is new" if "after" in found else "is gone"), pictures
    said, where = changes(found["before"], found["after"])
    if where:
        pictures["difference"] = address(where)
    return _clean(said), pictures


def _times(page: str, before: NotebookNode, after: NotebookNode) -> Iterator[Row]:
    if KEY in before.metadata and KEY in after.metadata:
        was, now = (entry.metadata[KEY]["seconds"] for entry in (before, after))
        low, high = sorted((was, now))
        if high > TIMES_AS_LONG * low and high - low > SECONDS_MORE:
            yield Row(page, "seconds", f"{was:.0f}", f"{now:.0f}")


def _total(entries: Iterable[NotebookNode]) -> float:
    return sum(entry.metadata.get(KEY, {}).get("seconds", 0) for entry in entries)


def _ran_with(build: Executed) -> dict[str, str]:
    """Return what a build's pages ran with, besides their code: data, versions and devices."""
    facts = [entry.metadata[KEY] for entry in build.entries.values()]
    devices = "; ".join(sorted({str(fact.get("device", "")) for fact in facts}))
    parts: dict[str, str] = {}
    for fact in facts:
        used = fact["components"]
        parts |= versions(used) | {name: used[name] for name in NO_PACKAGES if name in used}
    return parts | {"device": devices}


def _clean(text: str) -> str:
    """Return text from an entry on one line, without what could command a terminal."""
    return _clean_line(" ".join(text.split()))


def _clean_line(line: str) -> str:
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line
    )
