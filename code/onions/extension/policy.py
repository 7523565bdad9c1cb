"""The Content-Security-Policy of every page: what a browser may load and run there."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jinja2 import FileSystemBytecodeCache
from sphinx.builders import Builder
from sphinx.jinja2glue import BuiltinTemplateLoader

# Only the charset may stand before a policy, which rules over nothing that comes earlier.
START = re.compile(r"<head>\s*(?:<meta charset=[^>]*>)?")
DATA = ("application/json", "application/ld+json")  # a script of such a type never runs


class Templates(BuiltinTemplateLoader):
    """Sphinx's templates, with a policy in every page that comes out of them.

    Its hashes are those of the finished page's scripts, and Sphinx has no event that late.
    """

    def init(self, builder: Builder, *given: Any, **named: Any) -> None:
        """Keep the compiled templates beside the doctrees: an edit's build takes a fifth less."""
        super().init(builder, *given, **named)
        compiled = Path(builder.doctreedir, "templates")
        compiled.mkdir(exist_ok=True)
        self.environment.bytecode_cache = FileSystemBytecodeCache(str(compiled))

    def render(self, template: str, context: dict[str, Any]) -> str:  # type: ignore[override]
        """Return what the template makes of the context, with a policy if that is a page."""
        return with_policy(super().render(template, context))


def with_policy(page: str) -> str:
    """Return an HTML page with its policy as a meta element; any other text as it is."""
    start = START.search(page)
    if not start:
        return page
    # A meta element, since GitHub Pages sends no headers of ours and a file has none.
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}">'
    return f"{page[: start.end()]}\n    {meta}{page[start.end() :]}"


def policy(page: str) -> str:
    """Return what a page may use: the site's own files, and the inline scripts it was built with.

    What gets into a page later, as by a link to the search, does not run.
    """
    # Of a page opened as a file, 'self' is every file, as Chromium reads it.
    rules = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *dict.fromkeys(map(_hash, inline_scripts(page)))],
        "style-src": ["'self'", "'unsafe-inline'"],  # Furo, plots, tables have style attributes
        "img-src": ["'self'", "data:"],  # Furo's icons are in its stylesheet
        "connect-src": ["'self'"],  # no script of ours: Lighthouse asks for robots.txt from a page
        "form-action": ["'self'"],  # the search; what asks for a number sends nothing
        "base-uri": ["'none'"],
    }
    return "; ".join(f"{rule} {' '.join(sources)}" for rule, sources in rules.items())


def inline_scripts(page: str) -> list[str]:
    """Return the text of every script that a page has in itself."""
    parser = _Scripts()
    parser.feed(page)
    parser.close()
    return parser.found


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside = tag == "script" and "src" not in given and given.get("type") not in DATA
        if self.inside:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
