"""The HTML that Sphinx, pandas and Furo write: formulas as MathML, accessibility repairs."""

import re
from html import escape
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
        # Wide parts scroll, so the keyboard must reach them.
        "<pre>": '<pre tabindex="0">',
        '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
        '<div class="output text_html': '<div tabindex="0" class="output text_html',
        "<th></th>": "<td></td>",  # the corner of a pandas table is no heading
        'role="doc-biblioentry"': 'role="listitem"',  # the role is deprecated
        '<table border="1" class="dataframe">': '<table class="dataframe">',  # obsolete attribute
    },
    "furo_navigation_tree": {'role="heading"': 'role="heading" aria-level="2"'},
}
# HTML allows no style element above a table, where pandas writes it; site.css styles tables.
PANDAS_STYLE = re.compile("<style scoped>.*?</style>\n?", re.DOTALL)


def setup(app: Sphinx) -> None:
    """Register our templates, the renderer of formulas, and the repairs."""
    app.connect("config-inited", _add_templates)
    app.connect("builder-inited", _choose_dark_code, priority=100)
    app.connect("html-page-context", _fix_html, priority=900)  # after Furo's navigation is made
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))


def _add_templates(app: Sphinx, config: Config) -> None:
    config.templates_path = [*config.templates_path, str(TEMPLATES)]


def _choose_dark_code(app: Sphinx) -> None:
    # In _config.yml it would cause a warning: Furo adds this option only when it is loaded.
    app.config.pygments_dark_style = "a11y-high-contrast-dark"


def _fix_html(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    for part, fixes in HTML_FIXES.items():
        for before, after in fixes.items():
            context[part] = context.get(part, "").replace(before, after)
    context["body"] = PANDAS_STYLE.sub("", context["body"])


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
