"""Check a page's claims against its run; a false claim fails the page."""

from collections.abc import Iterable

from onions.book.page import Page
from onions.run.cells import PageFailed
from onions.store.page_claims import PageClaim


class ClaimsFailed(PageFailed):
    """A page ran to its end, but at least one of its claims is false in this run."""


def check_claims(page: Page, claims: Iterable[PageClaim]) -> None:
    """Raise ClaimsFailed, which lists every false claim, if there are any."""
    false = [claim for claim in claims if claim.holds is False]
    if not false:
        return
    number = "1 claim does" if len(false) == 1 else f"{len(false)} claims do"
    lines = [f"{number} not hold in this run:"]
    for claim in false:
        lines.append(f"  {page.path}:{claim.line}  “{claim.sentence}”")
        lines += [f"    {claim.comparison}"] * bool(claim.comparison)
        lines += [f"    {name} = {value}" for name, value in claim.measures.items()]
        lines += [f"    {claim.why}"] * bool(claim.why)
    raise ClaimsFailed("\n".join([*lines, "Correct the sentence or the code."]))
