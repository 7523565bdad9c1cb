"""Format the differences between two builds, and the state of one build.

Values from entries are untrusted, so Markdown and HTML escape them.
"""

import html
import re
from collections import Counter
from pathlib import Path

from onions.base.templates import environment
from onions.compare.diff import BuildDiff
from onions.store.build import Build
from onions.store.entries import Store
from onions.store.page_claims import page_claims
from onions.store.status import PageState, age

SUFFIXES = {"text": "txt", "markdown": "md", "html": "html"}  # of the templates


def format_diff(diff: BuildDiff, style: str) -> str:
    """Return the differences in the format `style`: text, markdown or html."""
    templates = environment(Path(__file__).with_name("templates"))
    templates.filters |= {"md": _markdown, "fenced": _fenced}
    template = templates.get_template(f"diff.{SUFFIXES[style]}")
    return re.sub(r"\n{3,}", "\n\n", template.render(diff=diff))


def status_summary(build: Build, states: list[PageState], store: Store) -> str:
    """Return a Markdown table of every page's state, last run and claims."""
    lines = ["| page | state | seconds | device | executed | claims |", "| --- " * 6 + "|"]
    for state in states:
        status = "fresh" if state.fresh else f"stale, since {'; '.join(state.reasons)}"
        run = state.last_run
        seconds = f"{run['seconds']:.0f}" if run else ""
        device = str(run.get("device", ""))
        cells = [state.page.name, status, seconds, device, age(run), _claims(state, store)]
        lines.append(f"| {' | '.join(map(_markdown, cells))} |")
    total = sum(state.last_run["seconds"] for state in states if state.fresh)
    parts = build.source.description, build.profile, f"Python {build.python}"
    text = _markdown("; ".join(parts))
    return "\n".join([*lines, "", f"{text}. All fresh pages took {total:.0f} s."])


def _claims(state: PageState, store: Store) -> str:
    """Return the counts of a fresh page's claims by outcome; empty for a stale page."""
    entry = store.read(state.fingerprint) if state.fresh else None
    if entry is None:
        return ""
    count = Counter(claim.holds for claim in page_claims(state.page, entry))
    outcomes = [(True, "held"), (False, "did not hold"), (None, "not checked")]
    return ", ".join(f"{count[holds]} {outcome}" for holds, outcome in outcomes if count[holds])


def _markdown(text: str) -> str:
    """Escape text for Markdown, including URLs and mentions of people."""
    escaped = re.sub(r"[\\`*_{}\[\]()#|~$:]|(?<=www)\.", r"\\\g<0>", html.escape(text, quote=False))
    return escaped.replace("@", "@\N{ZERO WIDTH SPACE}")


def _fenced(text: str) -> str:
    """Return text as a block of code, in a fence longer than any in the text."""
    fence = "`" * (1 + max([2, *map(len, re.findall(r"`+", text))]))
    return f"{fence}diff\n{text}\n{fence}"
