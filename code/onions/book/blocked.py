"""What HTML would load, and what of it the site's policy blocks.

The policy itself is in ``onions.extension.layout.policy``.
"""

from html.parser import HTMLParser
from typing import NamedTuple

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
