"""The differences of two builds, as text, Markdown or HTML.

What comes from an entry may be anything: in Markdown and HTML it only ever shows as text.
"""

import html
import re

from jinja2 import Environment, PackageLoader, StrictUndefined

from onions.diff import Differences

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


def _markdown(text: str) -> str:
    """Escape text for Markdown, addresses and mentions of people included."""
    escaped = re.sub(r"[\\`*_{}\[\]()#|~$:]|(?<=www)\.", r"\\\g<0>", html.escape(text, quote=False))
    return escaped.replace("@", "@\N{ZERO WIDTH SPACE}")


def _fenced(text: str) -> str:
    """Return text as a block of code that nothing in it can end."""
    fence = "`" * (1 + max([2, *map(len, re.findall(r"`+", text))]))
    return f"{fence}diff\n{text}\n{fence}"
