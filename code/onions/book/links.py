"""What a page links to and loads, in Markdown and in HTML.

Of HTML, it also finds what the site's policy (``onions.extension.layout.policy``) blocks.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

from onions.book.page import Page, blank

# The attributes from which a browser loads something, by element.
LOADS = {
    "audio": ("src",),
    "embed": ("src",),
    "form": ("action",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("poster", "src"),
}
NEVER_LOADED = {"embed", "object"}
OUTSIDE = ("//", "ftp:", "http:", "https:")

TARGET = re.compile(
    r"(?P<bang>!?)\[[^\]\n]*\]\((?:<(?P<quoted>[^>\n]*)>|(?P<plain>[^)\s]+))"
    r"|\{(?:image|figure)\} +(?P<picture>.*\S)"
    r"|\{download\}`(?:[^`<]*<)?(?P<download>[^`>]+)>?`"
)
ROLE_OR_SPAN = re.compile(r"(\{[\w:-]+\})?(?<!`)`(?!`)[^`]*`(?!`)")


def targets(page: Page) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the kind (picture, download or link) and the target of each link."""
    for match in TARGET.finditer(without_code_spans(page)):
        is_picture = match["bang"] or match["picture"]
        kind = "picture" if is_picture else "download" if match["download"] else "link"
        target = next(filter(None, match.group("quoted", "plain", "picture", "download")), "")
        yield page.line_at(match.start()), kind, target


def without_code_spans(page: Page) -> str:
    """Return the page's markup with spaces instead of code spans, and with its roles."""
    return ROLE_OR_SPAN.sub(lambda match: match[0] if match[1] else blank(match[0]), page.markup)


class Loaded(NamedTuple):
    """An address that a browser would load; `line` counts from 1."""

    line: int
    tag: str
    address: str


class Html(HTMLParser):
    """What a text with HTML would load or run, in order: `loaded`, and `blocked` as messages."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[Loaded] = []
        self.blocked: list[tuple[int, str]] = []  # with the lines, from 1
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element loads or runs."""
        line = self.getpos()[0]
        for name, value in attrs:
            address = (value or "").strip()
            if name.startswith("on") or address.lower().startswith("javascript:"):
                self.blocked.append((line, f"the script in {name} of <{tag}>"))
            elif name in LOADS.get(tag, ()):
                if tag in NEVER_LOADED or address.lower().startswith(OUTSIDE):
                    self.blocked.append((line, f"<{tag}> with {address}"))
                elif address and not address.startswith(("data:", "#")):
                    self.loaded.append(Loaded(line, tag, address))
