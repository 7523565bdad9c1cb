"""The Sphinx extension: what makes Jupyter Book render our pages from the store."""

import re
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from onions.extension import (
    address,
    assets,
    depends_on,
    details,
    downloads,
    explorers,
    footer,
    gathered,
    images,
    instructor,
    meta,
    normal,
    notfound,
    offline,
    quiz_nodes,
    quizzes,
    reader,
    results,
    schedule,
    search,
    tips,
)
from onions.fingerprint import Build
from onions.pages import Project

LOGGER = logging.getLogger(__name__)

# Parts of a page's template context: what stands there, and what should.
MENDED = {
    "body": {
        # What is wide scrolls, so the keyboard must reach it.
        "<pre>": '<pre tabindex="0">',
        '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
        '<div class="output text_html': '<div tabindex="0" class="output text_html',
        "<th></th>": "<td></td>",  # the corner of a pandas table heads nothing
        'role="doc-biblioentry"': 'role="listitem"',  # the role is deprecated
        '<table border="1" class="dataframe">': '<table class="dataframe">',  # obsolete, too
    },
    "furo_navigation_tree": {'role="heading"': 'role="heading" aria-level="2"'},
}
# What pandas writes above a table, where HTML has no place for it. The look is site.css's.
PANDAS_STYLE = re.compile("<style scoped>.*?</style>\n?", re.DOTALL)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    app.add_config_value("onions_static", "", "html", [str])
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _choose_dark_code, priority=100)
    app.connect("html-page-context", _mend, priority=900)  # after Furo has made its navigation
    app.connect("html-page-context", _add_banner)
    app.connect("build-finished", _drop_old_images)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    for part in (
        address,
        reader,
        results,
        schedule,
        normal,
        gathered,
        depends_on,
        explorers,
        instructor,
        quiz_nodes,
        quizzes,
    ):
        part.setup(app)
    for part in (search, tips, details, downloads, offline, images, footer, meta, notfound, assets):
        part.setup(app)  # the search before the tips, which it does not find
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


def banner(build: Build) -> str:
    """Return what every page must say of this build, as HTML; empty for a published site."""
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


def _configure(app: Sphinx, config: Config) -> None:
    config.templates_path = [*config.templates_path, str(Path(__file__).with_name("templates"))]
    # Every page names its styles and scripts by their hashes, so a change of one changes them all.
    static = sorted(path for path in (app.srcdir / "_static").rglob("*") if path.is_file())
    config.onions_static = sha256(b"".join(path.read_bytes() for path in static)).hexdigest()
    text = banner(Build.read(Project(app.srcdir.parent)))
    if text:
        config.html_theme_options = {**config.html_theme_options, "announcement": text}


def _choose_dark_code(app: Sphinx) -> None:
    # Set in _config.yml it would be a warning, since Furo adds this option only once it is loaded.
    app.config.pygments_dark_style = "a11y-high-contrast-dark"


def _mend(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Mend what Sphinx, pandas and Furo write and assistive technology stumbles over."""
    for part, pairs in MENDED.items():
        for before, after in pairs.items():
            context[part] = context.get(part, "").replace(before, after)
    context["body"] = PANDAS_STYLE.sub("", context["body"])


def _add_banner(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put into an EPUB's page what Furo shows on a site's by its option."""
    if offline.is_offline(app) and (text := banner(reader.site().build)):
        context["body"] = f'<p class="banner">{text}</p>\n{context.get("body", "")}'


def _drop_old_images(app: Sphinx, error: Exception | None) -> None:
    """Delete the figures of earlier runs, which Sphinx keeps beside those of this one."""
    if error:
        return
    shown = {name for _, name in app.env.images.values()}
    for image in Path(app.outdir, "_images").glob("*"):
        if image.name not in shown:
            image.unlink()


def _inline_math(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def _block_math(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math", tabindex="0"))
    if node.get("number"):
        translator.body.append(f'<span class="eqno">({node["number"]})</span>')
    translator.body.append(_mathml(node, as_block=True) + "</div>\n")
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, as_block: bool) -> str:
    try:
        return str(latex2mathml.tex2mathml(node.astext(), as_block=as_block))
    except (MathError, SyntaxError) as error:
        LOGGER.warning("this formula can't be shown: %s", error, location=node)
        return f"<code>{escape(node.astext())}</code>"
