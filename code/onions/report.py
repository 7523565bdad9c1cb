"""The differences of two builds as text, Markdown or HTML, and a summary of one.

What comes from an entry may be anything: in Markdown and HTML it only ever shows as text.
"""

import html
import re
from collections import Counter

from jinja2 import Environment, PackageLoader, StrictUndefined

from onions.diff import Differences
from onions.fingerprint import Build
from onions.status import State, age
from onions.store import Store, claims

SUFFIXES = {"text": "txt", "markdown": "md", "html": "html"}  # of the templates, by format


def report(found: Differences, style: str) -> str:
    """Return the differences in a format: text, markdown or html."""
    environment = Environment(
        loader=PackageLoader("onions"),
        autoescape=lambda name: str(name).endswith(".html"),  # noqa: S701, the others are no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": _markdown, "fenced": _fenced}
    template = environment.get_template(f"diff.{SUFFIXES[style]}")
    return re.sub(r"\n{3,}", "\n\n", template.render(found=found))


def summary(build: Build, found: list[State], store: Store) -> str:
    """Return the state of every page as a Markdown table, with its claims and what it ran on."""
    lines = ["| page | state | seconds | device | executed | claims |", "| --- " * 6 + "|"]
    for state in found:
        why = "fresh" if state.fresh else f"stale, since {'; '.join(state.why)}"
        seconds = f"{state.facts['seconds']:.0f}" if state.facts else ""
        device = str(state.facts.get("device", ""))
        cells = [state.page.name, why, seconds, device, age(state.facts), _claims(state, store)]
        lines.append(f"| {' | '.join(map(_markdown, cells))} |")
    total = sum(state.facts["seconds"] for state in found if state.fresh)
    ran = f"{build.source.what}; {build.profile}; Keras on {build.backend}; Python {build.python}"
    return "\n".join([*lines, "", f"{_markdown(ran)}. All fresh pages: {total:.0f} s of kernels."])


def _claims(state: State, store: Store) -> str:
    """Return how many claims of a fresh page held, and what became of the others."""
    entry = store.read(state.fingerprint) if state.fresh else None
    if entry is None:
        return ""
    count = Counter(claim["holds"] for _, claim in claims(entry))
    parts = [(True, "held"), (False, "did not hold"), (None, "not checked")]
    return ", ".join(f"{count[holds]} {what}" for holds, what in parts if count[holds])


def _markdown(text: str) -> str:
    """Escape text for Markdown, addresses and mentions of people included."""
    escaped = re.sub(r"[\\`*_{}\[\]()#|~$:]|(?<=www)\.", r"\\\g<0>", html.escape(text, quote=False))
    return escaped.replace("@", "@\N{ZERO WIDTH SPACE}")


def _fenced(text: str) -> str:
    """Return text as a block of code that nothing in it can end."""
    fence = "`" * (1 + max([2, *map(len, re.findall(r"`+", text))]))
    return f"{fence}diff\n{text}\n{fence}"
