"""Check a page's claims against its run; a false claim fails the page."""

from onions.book.page import Page, claimed_sentences
from onions.claims import Claim
from onions.run.cells import PageFailed


class ClaimsFailed(PageFailed):
    """A page ran to its end, but at least one of its claims is false in this run."""


def check_claims(page: Page, recorded: list[tuple[int, Claim]]) -> None:
    """Raise ClaimsFailed, which lists every false claim, if there are any.

    `recorded` holds each claim with the index (from 0) of its cell.
    """
    false = [(index, claim) for index, claim in recorded if claim["holds"] is False]
    if not false:
        return
    number = "1 claim does" if len(false) == 1 else f"{len(false)} claims do"
    lines = [f"{number} not hold in this run:"]
    for index, claim in false:
        cell = page.cells[index]
        places = (n for n, text in claimed_sentences(cell) if text == claim["sentence"])
        lines.append(f"  {page.path}:{next(places, cell.line)}  “{claim['sentence']}”")
        lines += [f"    {name} = {value}" for name, value in claim["measures"].items()]
    raise ClaimsFailed("\n".join([*lines, "Correct the sentence or the code."]))
