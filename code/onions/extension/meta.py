"""What search engines and previews of links read: descriptions, Open Graph, ``sitemap.xml``.

No library does this here. sphinx-sitemap lists the pages that a build wrote, so after an edit just
one, and warns where the site has no address. sphinxext-opengraph describes a page by its first
words, which in this book are its minutes.
"""

from html import escape
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as xml

from docutils import nodes
from sphinx.application import Sphinx

from onions.commits import NOT_COMMITTED
from onions.extension.offline import is_offline
from onions.extension.reader import site

LONGEST = 200  # characters of a description; a preview shows no more
CARD = "_static/card.png"  # the picture of a preview, 1200 by 630 pixels


def setup(app: Sphinx) -> None:
    """Connect what writes them."""
    app.connect("html-page-context", _describe)
    app.connect("build-finished", _write_sitemap)


def description(objectives: list[str], doctree: nodes.document) -> str:
    """Return a page's description: what a reader can do after it, or its first paragraph."""
    if objectives:
        text = f"After this page you can {'; '.join(objectives)}."
    else:
        paragraphs = (p for p in doctree.findall(nodes.paragraph) if _is_prose(p))
        text = " ".join(next((p.astext() for p in paragraphs), "").split())
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST - 1].rpartition(" ")[0].rstrip(",;") + " …"


def _is_prose(paragraph: nodes.paragraph) -> bool:
    return isinstance(paragraph.parent, nodes.section | nodes.document)


def _describe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if is_offline(app):
        return
    if pagename in app.env.found_docs:
        objectives = site().project.page(pagename).lesson.get("objectives", [])
        title = app.env.titles[pagename].astext()
        text = description(objectives, doctree) or f"{title}: {app.config.project}"
        tags = _open_graph(app, title, text, context["pageurl"])
    else:  # the search
        text, tags = f"{context['title']}: {app.config.project}", ""
    tags += _tag("name", "description", text)
    context["metatags"] = context.get("metatags", "") + tags


def _open_graph(app: Sphinx, title: str, text: str, address: str | None) -> str:
    facts = {"og:type": "website", "og:site_name": app.config.project, "og:title": title}
    facts |= {"og:description": text, "og:url": address}
    if address and Path(app.srcdir, CARD).exists():
        facts["og:image"] = f"{app.config.html_baseurl}{CARD}"
    large = _tag("name", "twitter:card", "summary_large_image") if "og:image" in facts else ""
    return "".join(_tag("property", name, fact) for name, fact in facts.items()) + large


def _tag(kind: str, name: str, content: str | None) -> str:
    return f'\n<meta {kind}="{name}" content="{escape(content)}">' if content else ""


def _write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """List the pages, where the site has an address."""
    base = app.config.html_baseurl
    if error or is_offline(app) or not base:
        return
    lines = []
    for page in site().project.pages():
        day = site().history.changed.get(page.name, NOT_COMMITTED)
        changed = "" if day == NOT_COMMITTED else f"<lastmod>{day}</lastmod>"
        address = xml(f"{base}{app.builder.get_target_uri(page.name)}")
        lines.append(f"<url><loc>{address}</loc>{changed}</url>\n")
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{"".join(lines)}</urlset>\n',
        "utf-8",
    )
