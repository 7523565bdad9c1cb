"""The banner of a build that uses the stand-in or cuts its trainings short."""

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from onions.extension.base.builder import connect_epub
from onions.extension.base.session import session
from onions.store.build import Build


def setup(app: Sphinx) -> None:
    """Show the banner through Furo's option on the site, and above the text in an EPUB."""
    app.connect("config-inited", _set_announcement)
    connect_epub(app, "html-page-context", _add_banner)


def banner(build: Build) -> str:
    """Return the banner of a build as HTML; empty for a full build with CIFAR-10."""
    lines = []
    if build.source.name == "sketches":
        lines.append(
            "This copy was built with the <strong>built-in stand-in</strong>: drawn pictures, "
            "not CIFAR-10. Its numbers are not those of CIFAR-10."
        )
    if build.profile == "smoke":
        lines.append(
            "This is a <strong>smoke test</strong>: every training was cut short, so claims about "
            "training are not checked."
        )
    return " ".join(lines)


def _set_announcement(app: Sphinx, config: Config) -> None:
    if text := banner(session().build):
        config.html_theme_options = {**config.html_theme_options, "announcement": text}


def _add_banner(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if text := banner(session().build):
        context["body"] = f'<p class="banner">{text}</p>\n{context.get("body", "")}'
