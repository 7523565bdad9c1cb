"""Fixes of the HTML from Sphinx, pandas and Furo: MathML for formulas, accessibility."""

import re
from html import escape, unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
TEMPLATES = Path(__file__).parents[1] / "templates"

# Replacements in parts of a page's template context.
HTML_FIXES = {
    "body": {
        # Wide parts scroll, so they must be reachable by keyboard.
        "<pre>": '<pre tabindex="0">',
        '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
        '<div class="output text_html': '<div tabindex="0" class="output text_html',
        "<th></th>": "<td></td>",  # the corner of a pandas table is not a heading
        'role="doc-biblioentry"': 'role="listitem"',  # the role is deprecated
        '<table border="1" class="dataframe">': '<table class="dataframe">',  # obsolete attribute
    },
    "furo_navigation_tree": {'role="heading"': 'role="heading" aria-level="2"'},
}
# pandas writes a style element where HTML does not allow it; site.css styles the tables.
# A network's summary, by the corner of its table. On a phone, site.css makes it fit the screen.
SUMMARY = re.compile(
    r'<div class="(output [^"]*)(?="><div class="highlight"><pre[^>]*>(?:(?!</pre>)[^┏])*┏)'
)
PANDAS_STYLE = re.compile("<style scoped>.*?</style>\n?", re.DOTALL)


def setup(app: Sphinx) -> None:
    """Register the templates, the formula renderer and the fixes."""
    app.connect("config-inited", _add_templates)
    app.connect("builder-inited", _choose_dark_code, priority=100)
    app.connect("html-page-context", _fix_html, priority=900)  # after Furo has added its navigation
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))


def _add_templates(app: Sphinx, config: Config) -> None:
    config.templates_path = [*config.templates_path, str(TEMPLATES)]


def _choose_dark_code(app: Sphinx) -> None:
    # In _config.yml, this option would cause a warning: Furo defines it only when it is loaded.
    app.config.pygments_dark_style = "a11y-high-contrast-dark"


def _fix_html(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    for part, fixes in HTML_FIXES.items():
        for before, after in fixes.items():
            context[part] = context.get(part, "").replace(before, after)
    context["body"] = PANDAS_STYLE.sub("", context["body"])
    context["body"] = SUMMARY.sub(r'<div class="\1 summary', context["body"])


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
        mathml = str(latex2mathml.tex2mathml(node.astext(), as_block=as_block))
        # XHTML, as in the EPUB, has no other named characters, such as &ApplyFunction;.
        return re.sub(r"&(?!amp;|lt;|gt;)\w+;", lambda name: unescape(name[0]), mathml)
    except (MathError, SyntaxError) as error:
        LOGGER.warning("can't convert this formula to MathML: %s", error, location=node)
        return f"<code>{escape(node.astext())}</code>"
