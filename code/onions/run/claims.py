"""Compare a page's claims with its run: a page with a false claim fails, and says which."""

from onions.book.page import Page, claimed_sentences
from onions.claims import Claim
from onions.run.cells import PageFailed


class ClaimsFailed(PageFailed):
    """A page ran to its end, but one of its claims is false in this run."""


def check_claims(page: Page, recorded: list[tuple[int, Claim]]) -> None:
    """Raise ClaimsFailed with every false claim, its place and its measures."""
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
    raise ClaimsFailed("\n".join([*lines, "Correct the sentence, or what it is about."]))
