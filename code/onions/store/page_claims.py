"""A page's claims, and whether they hold in its run.

Exact claims are recorded by the page's cells. Claims that compare measures are in its text, so a
change of one runs nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple

from nbformat import NotebookNode

from onions.book.comparisons import Sentence, parse_comparison, sentences
from onions.book.page import Page, claimed_sentences
from onions.claims import CUT_SHORT, KEY, Value
from onions.store.entries import claims, measure_values


class PageClaim(NamedTuple):
    """A claim of a page, the line (from 1) of its sentence or cell, and its measures in the run.

    `holds` is None if it was not checked; then `why` gives the reason. `comparison` is empty for an
    exact claim.
    """

    line: int
    sentence: str
    holds: bool | None
    why: str
    measures: dict[str, Value]
    comparison: str = ""


def page_claims(page: Page, entry: NotebookNode, profile: str = "") -> Iterator[PageClaim]:
    """Yield the claims of a page with their outcomes in the run `entry`: first the exact ones.

    `profile` is needed only for a run that has not been stored.
    """
    profile = profile or entry.metadata[KEY]["build"]["profile"]
    for index, claim in claims(entry):
        cell = page.cells[index]
        places = (n for n, text in claimed_sentences(cell) if text == claim["sentence"])
        line = next(places, cell.line)
        yield PageClaim(line, claim["sentence"], claim["holds"], claim["why"], claim["measures"])
    values = measure_values(entry)
    for sentence in sentences(page):
        if sentence.kind == "claim":
            yield _outcome(sentence, values, profile)


def _outcome(sentence: Sentence, values: dict[str, Value], profile: str) -> PageClaim:
    """Return a comparison's outcome. One that can't be evaluated does not hold; `why` says why."""
    names: list[str] = []
    try:
        comparison = parse_comparison(sentence.comparison)
        if comparison.page:
            raise ValueError("a claim compares measures of its own page; write a finding")
        names = [comparison.left, comparison.right]
        holds, why = comparison.holds(values), ""
    except ValueError as error:
        holds, why = False, str(error)
    measures = {name: values[name] for name in names if name in values}
    result = PageClaim(
        sentence.line, sentence.words, holds, why, measures, sentence.comparison.strip()
    )
    return result if profile == "full" else result._replace(holds=None, why=CUT_SHORT)
