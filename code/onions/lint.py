"""``onions check``: what is wrong with pages, why that matters, and repairs that need no author.

What is said of a rule is its docstring, and stands nowhere else.
"""

import inspect
import os
import re
import textwrap
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from onions.edits import edited
from onions.exports import TAG
from onions.files import write_whole
from onions.pages import RUN_TAGS, Page, PageError, Project
from onions.rules import RULES, Finding, check

WIDTH = 88  # characters of a line of an explanation


def named(project: Project, names: Iterable[str]) -> list[Page]:
    """Return the pages of these names or paths, or all. Raises PageError that has a near match."""
    pages = {page.name: page for page in project.pages()}
    return [pages[_known(project, name, pages)] for name in names] or list(pages.values())


def find(page: Page) -> list[Finding]:
    """Return what is wrong with a page. Raises PageError where it can't be read."""
    page.check()
    return check(page)


def told(page: Page, finding: Finding) -> str:
    """Return a finding in a line that begins with its place."""
    repair = " [--fix repairs it]" if finding.edit else ""
    return f"{_place(page.path)}:{finding.line}: {finding.rule}: {finding.message}{repair}"


def explained(name: str) -> str:
    """Return what a rule asks for, why, and how a page is repaired. Raises PageError."""
    if name not in RULES:
        raise PageError(f"{name}: there is no such rule; there are {', '.join(RULES)}")
    asks, why, fix = re.split(r"\n+(?:Why|Fix): ", inspect.getdoc(RULES[name]) or "")
    return "\n".join([_filled(name, asks), _filled("  why", why), _filled("  fix", fix)])


def repair(page: Page) -> list[str]:
    """Write a page with every repair that leaves fewer findings; return what each changed.

    Each is tried by itself, the last of the page first, so that those before stay where they are.
    No cell's source is touched.
    """
    told_of: list[str] = []
    refused: set[Finding] = set()
    changed = page
    while waiting := [(f, f.edit) for f in find(changed) if f.edit and f not in refused]:
        finding, edit = waiting[-1]
        after = edited(changed, edit)
        if _is_better(changed, after):
            runs = "" if _what_runs(changed) == _what_runs(after) else "; it will run again"
            told_of.insert(0, f"{told(page, finding._replace(edit=None))}: repaired{runs}")
            changed = after
        else:
            refused.add(finding)
    if told_of:
        write_whole(page.path, changed.text)
    return told_of


def _filled(head: str, text: str) -> str:
    line = f"{head}: {' '.join(text.split())}"
    return textwrap.fill(line, WIDTH, subsequent_indent=7 * " ", break_on_hyphens=False)


def _known(project: Project, name: str, pages: Iterable[str]) -> str:
    path = Path(name).resolve()
    if name.endswith(".md") and path.is_relative_to(project.book):
        name = str(path.relative_to(project.book))
    name = name.removesuffix(".md")
    if name in pages:
        return name
    if (project.book / f"{name}.md").is_file():
        raise PageError(f"{project.book / name}.md: it is not in _toc.yml; add - file: {name}")
    near = get_close_matches(name, pages)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(pages)}"
    raise PageError(f"{name}: no page of _toc.yml has this name; {hint}")


def _place(path: Path) -> str:
    """Return a path as one would type it here."""
    here = Path(os.curdir).resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _is_better(before: Page, after: Page) -> bool:
    try:
        fewer = len(find(after)) < len(find(before))
        return fewer and [c.source for c in after.cells] == [c.source for c in before.cells]
    except PageError:
        return False


def _what_runs(page: Page) -> list[set[str]]:
    return [{*cell.tags} & {TAG, *RUN_TAGS} for cell in page.cells]
