"""The Content-Security-Policy of every page: what a browser may load and run."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jinja2 import FileSystemBytecodeCache
from sphinx.builders import Builder
from sphinx.jinja2glue import BuiltinTemplateLoader

# A policy does not apply to elements before it, so only the charset precedes it.
HEAD_START = re.compile(r"<head>\s*(?:<meta charset=[^>]*>)?")
DATA_TYPES = ("application/json", "application/ld+json")  # scripts of these types never run


class Templates(BuiltinTemplateLoader):
    """A variant of Sphinx's template loader that adds a policy to every page.

    A policy contains hashes of the finished page's scripts, and Sphinx has no event that late.
    """

    def init(self, builder: Builder, *args: Any, **kwargs: Any) -> None:
        """Cache compiled templates beside the doctrees; a build after an edit is a fifth faster."""
        super().init(builder, *args, **kwargs)
        cache = Path(builder.doctreedir, "templates")
        cache.mkdir(exist_ok=True)
        self.environment.bytecode_cache = FileSystemBytecodeCache(str(cache))

    def render(self, template: str, context: dict[str, Any]) -> str:  # type: ignore[override]
        """Return the rendered template, with a policy if it is a page."""
        return with_policy(super().render(template, context))


def with_policy(html: str) -> str:
    """Return an HTML page with its policy as a meta element; any other text unchanged."""
    start = HEAD_START.search(html)
    if not start:
        return html
    # A meta element works where headers can't be set: on GitHub Pages and in local files.
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(html)}">'
    return f"{html[: start.end()]}\n    {meta}{html[start.end() :]}"


def policy(html: str) -> str:
    """Return the policy of a page: it allows the site's own files and the page's inline scripts.

    Scripts that are injected later, for example by a crafted search link, do not run.
    """
    # In Chromium, 'self' allows a page that is opened as a local file to load any other local file.
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *dict.fromkeys(map(_hash, inline_scripts(html)))],
        "style-src": ["'self'", "'unsafe-inline'"],  # Furo, plots and tables use inline styles
        "img-src": ["'self'", "data:"],  # Furo's icons are in its stylesheet
        "media-src": ["'self'", "data:"],  # matplotlib's to_html5_video embeds the video
        "frame-src": ["'self'"],
        "connect-src": ["'self'"],  # explorers load exports; Lighthouse loads robots.txt
        "form-action": ["'self'"],  # the search; the number forms send nothing
        "base-uri": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def inline_scripts(html: str) -> list[str]:
    """Return the text of every inline script of a page."""
    parser = _InlineScriptParser()
    parser.feed(html)
    parser.close()
    return parser.scripts


class _InlineScriptParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        is_code = "src" not in attributes and attributes.get("type") not in DATA_TYPES
        self.in_script = tag == "script" and is_code
        if self.in_script:
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.in_script:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.in_script = False


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
