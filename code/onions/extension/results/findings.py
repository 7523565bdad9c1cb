"""Claims and findings in a page's text, and the margins of comparisons in the reference runs."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole

from onions.base.templates import render_template
from onions.book.comparisons import Comparison, Margins, margins, parse_comparison
from onions.extension.base.builder import connect_site
from onions.extension.base.session import note_run_dependency, session
from onions.extension.results.strips import STRIP_WIDTH, strip_x
from onions.store.entries import measure_values
from onions.store.page_claims import page_claims

HERE = Path(__file__).parent
MOST = 0.8  # a share of reference runs; fewer may be luck, which no tick should hide
RESULTS = "reference/results"  # the page that lists all findings


class ClaimRole(SphinxRole):
    """``{claim}`a < b```: this sentence claims that measure `a` of this page is below `b`.

    It shows nothing. A claim that does not hold in this run is an error.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return nothing, or an error with the measures."""
        page = session().project.page(self.env.docname)
        if page.name in session().pending:
            return [], []
        message = f"a claim must be on one line, in a page with code: {self.text}"
        for claim in page_claims(page, session().entry(page)) if page.cells else ():
            if claim.comparison == self.text.strip():
                if claim.holds is not False:
                    return [], []
                values = ", ".join(f"{name} = {value}" for name, value in claim.measures.items())
                message = f"“{claim.sentence}” does not hold: {self.text} ({claim.why or values})"
        return [], [self.inliner.reporter.error(message, line=self.lineno)]


class FindingRole(SphinxRole):
    """``{finding}`a < b```: whether measure `a` is below `b` in this run and the reference runs.

    ``{finding}`page: a < b``` compares measures of another page.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the outcome in words, as in "in 19 of 20 reference runs, and in this build".

        On the site, a tick stands for these words if the comparison holds in this build and in most
        reference runs, and the book has a page of results.
        """
        self.env.note_dependency(str(session().reference.path))
        try:
            return [self._outcome()], []
        except ValueError as error:
            return [], [self.inliner.reporter.error(str(error), line=self.lineno)]

    def _outcome(self) -> nodes.Node:
        comparison, found = _margins(self.text, self.env)
        page = session().project.page(comparison.page or self.env.docname)
        count = f"{found.held} of {len(found.values)}"
        words = f"in {count} reference runs"
        if page.name in session().pending or session().build.profile != "full":
            return nodes.Text(words)
        holds = comparison.holds(measure_values(session().entry(page)))
        words = f"{words}, {'and' if holds else 'but not'} in this build"
        most = found.held >= MOST * len(found.values)
        if not (holds and most and RESULTS in self.env.found_docs):
            return nodes.Text(words)
        tick = f"✓ {count}".replace(" ", "\N{NO-BREAK SPACE}")
        return nodes.inline("", words, tick=tick)


class MarginStrips(SphinxDirective):
    """``{margins}``: the margins of comparisons in the reference runs, a strip of dots for each.

    Each line of the content is ``label | page: a < b``.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a table with a label, a strip and a count in each row."""
        self.env.note_dependency(str(session().reference.path))
        lines = [line.partition("|") for line in self.content if line.strip()]
        try:
            rows = [_margin_strip(label, text, self.env) for label, _, text in lines]
        except ValueError as error:
            raise self.error(str(error)) from error
        html = render_template(HERE, "margins.html", rows=rows, width=STRIP_WIDTH)
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> None:
    """Register the roles and the directive."""
    app.add_role("claim", ClaimRole())
    app.add_role("finding", FindingRole())
    app.add_directive("margins", MarginStrips)
    connect_site(app, "doctree-resolved", _show_ticks)  # before tips are made of titles


def _show_ticks(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Replace the words of findings by ticks: links to the results, with the words as tips."""
    for words in list(doctree.findall(nodes.inline)):
        if tick := words.get("tick"):
            address = app.builder.get_relative_uri(docname, RESULTS)
            title = f"True {words.astext()}."
            link = nodes.reference("", tick, internal=True, refuri=address, reftitle=title)
            words.replace_self(link)


def _margin_strip(label: str, text: str, env: BuildEnvironment) -> dict[str, Any]:
    """Return the template's values for one comparison. Raises ValueError."""
    _, found = _margins(text, env)
    ends = min(0, *found.values), max(0, *found.values)
    return {
        "label": label.strip(),
        "zero": strip_x(0, *ends),
        "dots": [strip_x(margin, *ends) for margin in found.values],
        "held": f"{found.held} of {len(found.values)}",
    }


def _margins(text: str, env: BuildEnvironment) -> tuple[Comparison, Margins]:
    """Return a comparison, and its margins in the reference runs.

    Raises ValueError if it can't be evaluated.
    """
    comparison = parse_comparison(text)
    name = comparison.page or env.docname
    if not any(page.name == name and page.cells for page in session().project.pages()):
        raise ValueError(f"{name}: not a page with code")
    note_run_dependency(env, name)
    runs = session().reference_runs(name)
    if runs is None:
        raise ValueError(f"no reference run of {name} with {session().build.source.short_name}")
    return comparison, margins(comparison, runs)
