"""``onions check``: find broken rules, explain them, and make safe repairs."""

import inspect
import os
import re
import textwrap
from pathlib import Path

from onions.base.files import rewrite
from onions.book.edits import apply_edit
from onions.book.page import RUN_TAGS, Page, PageError
from onions.book.rules import RULES, Finding, apply_rules
from onions.exports import TAG

WIDTH = 88  # characters per line of an explanation


def check_page(page: Page) -> list[Finding]:
    """Return the findings of all rules on a page. Raises PageError if the page can't be read."""
    page.check()
    return apply_rules(page)


def format_finding(page: Page, finding: Finding) -> str:
    """Return a finding as one line of text: ``PATH:LINE: RULE: MESSAGE``."""
    hint = " [--fix repairs it]" if finding.edit else ""
    return f"{_display_path(page.path)}:{finding.line}: {finding.rule}: {finding.message}{hint}"


def explain_rule(name: str) -> str:
    """Return a rule's demand, reason and fix, from its docstring.

    Raises PageError if there is no such rule.
    """
    if name not in RULES:
        raise PageError(f"{name}: no such rule. Choose one of {', '.join(RULES)}.")
    demand, why, fix = re.split(r"\n+(?:Why|Fix): ", inspect.getdoc(RULES[name]) or "")
    return "\n".join([_fill(name, demand), _fill("  why", why), _fill("  fix", fix)])


def repair_page(page: Page) -> list[str]:
    """Apply each repair that reduces the number of findings; return one message per repair.

    Repairs start at the end of the page, so the line numbers of earlier findings stay valid. A
    repair never changes a cell's source. Raises PageError if the page can't be read, OSError if it
    can't be written.
    """
    messages: list[str] = []
    rejected: set[Finding] = set()
    current = page
    while pending := [(f, f.edit) for f in check_page(current) if f.edit and f not in rejected]:
        finding, edit = pending[-1]
        repaired = apply_edit(current, edit)
        if _is_better(current, repaired):
            rerun = "" if _run_tags(current) == _run_tags(repaired) else "; the page will run again"
            message = format_finding(page, finding._replace(edit=None))
            messages.insert(0, f"{message}: repaired{rerun}")
            current = repaired
        else:
            rejected.add(finding)
    if messages:
        rewrite(page.path, current.text)
    return messages


def _fill(heading: str, text: str) -> str:
    line = f"{heading}: {' '.join(text.split())}"
    return textwrap.fill(line, WIDTH, subsequent_indent=7 * " ", break_on_hyphens=False)


def _display_path(path: Path) -> str:
    """Return a path, relative to the working directory if it is inside."""
    working_directory = Path(os.curdir).resolve()
    inside = path.is_relative_to(working_directory)
    return str(path.relative_to(working_directory) if inside else path)


def _is_better(before: Page, after: Page) -> bool:
    try:
        fewer = len(check_page(after)) < len(check_page(before))
        return fewer and [c.source for c in after.cells] == [c.source for c in before.cells]
    except PageError:
        return False


def _run_tags(page: Page) -> list[set[str]]:
    """Return, for each cell, its tags that change what runs."""
    return [{*cell.tags} & {TAG, *RUN_TAGS} for cell in page.cells]
