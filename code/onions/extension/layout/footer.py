"""The footer of every page: last change, run, build, and links to edit or report a problem."""

from typing import Any
from urllib.parse import urlencode

from sphinx.application import Sphinx

from onions.base.git import UNCOMMITTED
from onions.base.text import format_date
from onions.book.page import Page
from onions.claims import KEY
from onions.extension.base.builder import connect_site
from onions.extension.base.session import session

# Display names of the packages whose versions can change the results of a training.
NAMES = {"tensorflow": "TensorFlow", "keras": "Keras"}


def setup(app: Sphinx) -> None:
    """Add the footer's values to every page's template context."""
    connect_site(app, "html-page-context", _add)


def _add(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    commit, repository = session().git.commit, app.config.onions_repository
    footer: dict[str, Any] = {"commit": commit[:7], "has_changes": session().git.has_changes}
    if repository and commit:
        footer["commit_url"] = f"{repository}/commit/{commit}"
    if pagename in app.env.found_docs:
        page = session().project.page(pagename)
        footer |= {"changed": _last_change(page), "run": _last_run(page)}
        if repository:
            path = f"book/{pagename}.md"
            footer["edit_url"] = f"{repository}/edit/{app.config.onions_branch}/{path}"
            query = _issue_query(page.title, context["pageurl"] or path, commit)
            footer["report_url"] = f"{repository}/issues/new?{query}"
    context["page_footer"] = footer


def _last_change(page: Page) -> str:
    """Return when a page's text last changed; empty if that is unknown."""
    date_changed = session().git.last_changed.get(page.name, "")
    if date_changed == UNCOMMITTED:
        return "Text has changes that are not committed"
    return f"Text changed {format_date(date_changed)}" if date_changed else ""


def _last_run(page: Page) -> str:
    """Return the date, data and packages of a page's run; empty for a page without code."""
    if not page.cells:
        return ""
    facts = session().entry(page).metadata[KEY]
    versions = facts["components"]["packages"]
    packages = [f"{NAMES[name]} {versions[name]}" for name in NAMES if name in versions]
    ran_on = ", ".join([facts["device"], *packages])
    data = session().build.source.short_name
    return f"Run {format_date(facts['executed'])} with {data} on {ran_on}"


def _issue_query(title: str, location: str, commit: str) -> str:
    """Return the URL query that fills in the form .github/ISSUE_TEMPLATE/page.yml.

    `location` is the page's URL, or the path of its source.
    """
    fields = {"title": f"Page “{title}”: ", "page": location, "build": commit}
    return urlencode({"template": "page.yml", **fields})
