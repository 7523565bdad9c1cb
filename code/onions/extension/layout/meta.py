"""Metadata for search engines and link previews: descriptions, Open Graph, ``sitemap.xml``.

No library fits. sphinx-sitemap lists only the pages that the current build wrote, and warns if the
site has no URL. sphinxext-opengraph describes a page by its first words: on lesson pages, by the
reading time.
"""

from html import escape
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as escape_xml

from docutils import nodes
from sphinx.application import Sphinx

from onions.base.git import UNCOMMITTED
from onions.extension.base.builder import connect_site
from onions.extension.base.session import session

MAX_LENGTH = 200  # of a description, in characters; previews cut longer texts
CARD = "_static/card.png"  # the image of a preview, 1200 by 630 pixels


def setup(app: Sphinx) -> None:
    """Add the metadata to every page, and write the sitemap at the end of a build."""
    connect_site(app, "html-page-context", _describe)
    connect_site(app, "build-finished", _write_sitemap)


def description(objectives: list[str], doctree: nodes.document) -> str:
    """Return a page's description: its objectives or, if there are none, its first paragraph.

    It is cut to `MAX_LENGTH`, and empty if there is neither.
    """
    if objectives:
        text = f"After this page you can {'; '.join(objectives)}."
    else:
        paragraphs = (p for p in doctree.findall(nodes.paragraph) if _is_prose(p))
        text = " ".join(next((p.astext() for p in paragraphs), "").split())
    if len(text) <= MAX_LENGTH:
        return text
    return text[: MAX_LENGTH - 1].rpartition(" ")[0].rstrip(",;") + " …"


def _is_prose(paragraph: nodes.paragraph) -> bool:
    return isinstance(paragraph.parent, nodes.section | nodes.document)


def _describe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if pagename in app.env.found_docs:
        objectives = session().project.page(pagename).lesson.get("objectives", [])
        title = app.env.titles[pagename].astext()
        text = description(objectives, doctree) or f"{title}: {app.config.project}"
        tags = _open_graph(app, title, text, context["pageurl"])
    else:  # a page without a source: the search, or the 404 page
        text, tags = f"{context['title']}: {app.config.project}", ""
    tags += _tag("name", "description", text)
    context["metatags"] = context.get("metatags", "") + tags


def _open_graph(app: Sphinx, title: str, text: str, url: str | None) -> str:
    properties = {"og:type": "website", "og:site_name": app.config.project, "og:title": title}
    properties |= {"og:description": text, "og:url": url}
    if url and Path(app.srcdir, CARD).exists():
        properties["og:image"] = f"{app.config.html_baseurl}{CARD}"
    tags = [_tag("property", name, content) for name, content in properties.items()]
    if "og:image" in properties:
        tags.append(_tag("name", "twitter:card", "summary_large_image"))
    return "".join(tags)


def _tag(attribute: str, name: str, content: str | None) -> str:
    """Return a meta element; empty without content."""
    return f'\n<meta {attribute}="{name}" content="{escape(content)}">' if content else ""


def _write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """Write the sitemap of all pages; a site without a URL has none."""
    base = app.config.html_baseurl
    if error or not base:
        return
    urls = []
    for page in session().project.pages():
        last_changed = session().git.last_changed.get(page.name, UNCOMMITTED)
        lastmod = "" if last_changed == UNCOMMITTED else f"<lastmod>{last_changed}</lastmod>"
        url = escape_xml(f"{base}{app.builder.get_target_uri(page.name)}")
        urls.append(f"<url><loc>{url}</loc>{lastmod}</url>\n")
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{"".join(urls)}</urlset>\n',
        "utf-8",
    )
