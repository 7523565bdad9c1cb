"""What stands below every page: when its text changed, its run, its build, and where to report."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from sphinx.application import Sphinx

from onions.claims import KEY
from onions.commits import NOT_COMMITTED
from onions.data import Source
from onions.extension.offline import is_offline
from onions.extension.reader import site
from onions.fingerprint import versions
from onions.pages import Page

# The packages whose versions decide what a training comes to.
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "keras": "Keras"}


def setup(app: Sphinx) -> None:
    """Give the template what it needs."""
    app.connect("html-page-context", _add)


def _add(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if is_offline(app):
        return
    commit, repository = site().history.commit, app.config.onions_repository
    foot: dict[str, Any] = {"commit": commit[:7], "has_changes": site().history.has_changes}
    if repository and commit:
        foot["commit_address"] = f"{repository}/commit/{commit}"
    if pagename in app.env.found_docs:
        page = site().project.page(pagename)
        foot |= {"changed": _changed(page), "run": _run(page)}
        if repository:
            source = f"book/{pagename}.md"
            foot["edit"] = f"{repository}/edit/{app.config.onions_branch}/{source}"
            place = context["pageurl"] or source
            foot["report"] = f"{repository}/issues/new?{_issue(page.title, place, commit)}"
    context["foot"] = foot


def _changed(page: Page) -> str:
    changed = site().history.changed.get(page.name, "")
    if changed == NOT_COMMITTED:
        return "Text has changes that are not committed"
    return f"Text changed {_words(changed)}" if changed else ""


def _run(page: Page) -> str:
    """Return when, with which data and on what a page ran; empty for a page without code."""
    if not page.cells:
        return ""
    facts = site().entry(page).metadata[KEY]
    found = versions(facts["components"])
    used = [f"{name} {found[package]}" for package, name in NAMES.items() if package in found]
    what = [facts["device"], *used]
    return f"Run {_words(facts['executed'])} with {_data(site().build.source)} on {', '.join(what)}"


def _data(source: Source) -> str:
    if source.name == "sketches":
        return "the built-in stand-in"
    return "CIFAR-10" if source.official else "a copy of CIFAR-10"


def _words(day: str) -> str:
    """Return the date that an ISO text begins with, as in 24 November 2026."""
    when = date.fromisoformat(day[:10])
    return f"{when.day} {when:%B %Y}"


def _issue(title: str, place: str, commit: str) -> str:
    """Return the part of an address that fills in the form .github/ISSUE_TEMPLATE/page.yml."""
    given = {"title": f"Page “{title}”: ", "page": place, "build": commit}
    return urlencode({"template": "page.yml", **given})
