"""The list of a book's claims and findings, with their margins in the reference runs."""

from collections.abc import Iterator
from dataclasses import dataclass

from onions.book.comparisons import margins, parse_comparison, sentences
from onions.book.page import Page, claimed_sentences
from onions.book.project import Project
from onions.book.reference import PageRuns, ReferenceRuns, set_name


@dataclass(frozen=True)
class Listed:
    """A claim or finding: its `kind` is exact, claim or finding; `line` counts from 1.

    `outcomes` maps each set of reference runs to its margins in words, `margins` to the margins by
    seed, and `weakness` to why a claim is too weak. All three are empty for an exact claim.
    """

    page: str
    line: int
    kind: str
    sentence: str
    comparison: str
    outcomes: dict[str, str]
    margins: dict[str, list[float]]
    weakness: dict[str, str]


def list_claims(project: Project, pages: list[Page]) -> Iterator[Listed]:
    """Yield the claims and findings of `pages`, in the order of their lines."""
    reference = ReferenceRuns(project)
    for page in pages:
        exact = [
            Listed(page.name, line, "exact", words, "", {}, {}, {})
            for cell in page.cells
            for line, words in claimed_sentences(cell)
        ]
        compared = []
        for line, kind, words, text in sentences(page):
            listed = Listed(page.name, line, kind, words, text, {}, {}, {})
            for runs in reference.all_runs(_page(text) or page.name):
                _add_margins(listed, runs)
            compared.append(listed)
        yield from sorted([*exact, *compared], key=lambda listed: listed.line)


def _page(comparison: str) -> str:
    return comparison.partition(":")[0].strip() if ":" in comparison else ""


def _add_margins(listed: Listed, runs: PageRuns) -> None:
    """Add a comparison's margins in one set of runs, or the reason why there are none."""
    name = set_name(runs.facts)
    if name in listed.outcomes:  # two copies of CIFAR-10
        name += f" ({runs.facts['data identity'][:6]})"
    try:
        found = margins(parse_comparison(listed.comparison), runs)
    except ValueError as error:
        listed.outcomes[name] = str(error)
        return
    listed.outcomes[name], listed.margins[name] = str(found), found.values
    if listed.kind == "claim" and found.weakness:
        listed.weakness[name] = found.weakness
