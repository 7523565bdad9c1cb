"""Directives that show measures, claims, trainings and figures of all pages' runs."""

from collections.abc import Iterator, Sequence
from math import floor, log10
from statistics import fmean, stdev
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.core.render import MimeData
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.book.comparisons import margins, parse_comparison
from onions.book.page import Page
from onions.book.reference import PageRuns
from onions.claims import KEY, Training, Value
from onions.extension.base.nodes import page_link, table
from onions.extension.base.session import note_run_dependency, session
from onions.store.entries import measures, trainings
from onions.store.page_claims import PageClaim, page_claims


class Claims(SphinxDirective):
    """``{claims}``: every claim of the book, whether it held, its measures and its margins."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.env.note_dependency(str(session().reference.path))
        rows = []
        for page, entry in _executed(self):
            for claim in page_claims(page, entry):
                outcomes = {True: "yes", False: "no", None: f"not checked: {claim.why}"}
                outcome = f"{outcomes[claim.holds]}; {_reference_outcome(page.name, claim)}"
                values = ", ".join(f"{k} = {_short(v)}" for k, v in claim.measures.items())
                rows.append([page_link(self.env, page), claim.sentence, outcome, values])
        return [table(["Page", "Claim", "Holds", "Rests on"], rows)]


def _reference_outcome(page: str, claim: PageClaim) -> str:
    """Return a comparison's margins in the reference runs; an exact claim needs no other run."""
    runs = session().reference_runs(page)
    if not claim.comparison:
        return "exact"
    try:
        found = margins(parse_comparison(claim.comparison), runs) if runs else "none yet"
    except ValueError as error:
        return str(error)
    return f"reference runs: {found}"


class Measures(SphinxDirective):
    """``{measures}``: every measure of every page's run, and its spread in the reference runs."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.env.note_dependency(str(session().reference.path))
        rows: list[list[Any]] = []
        for page, entry in _executed(self):
            runs = session().reference_runs(page.name)
            for _, measure in measures(entry):
                row = [page_link(self.env, page), nodes.literal(text=measure["name"])]
                spread = _spread(runs, measure["name"]) if runs else ""
                rows.append([*row, _short(measure["value"]), spread])
        return [table(["Page", "Measure", "Value", "Reference runs"], rows)]


def _spread(runs: PageRuns, measure: str) -> str:
    """Return the mean and standard deviation in the reference runs; empty for a constant."""
    own, others = (runs.spread(measure, other_images=other) for other in (False, True))
    if own is None or own.constant:
        return ""
    text = _mean_and_deviation(own.values)
    if others:
        text += f"; other images: {_mean_and_deviation(others.values)}"
    return text


def _mean_and_deviation(values: Sequence[float]) -> str:
    """Return both with as many decimals; the deviation has two significant digits."""
    deviation = stdev(values)
    decimals = max(0, 1 - floor(log10(deviation))) if deviation else 0
    return f"{fmean(values):.{decimals}f} ± {deviation:.{decimals}f}"


class Models(SphinxDirective):
    """``{models}``: every trained network with its size, time and accuracies.

    A sentence below the table names the best and the largest network.
    """

    def run(self) -> list[nodes.Node]:
        """Return the table, in page order, and the sentence."""
        rows: list[list[Any]] = []
        recorded: list[Training] = []
        for page, entry in _executed(self):
            for _, training in trainings(entry):
                recorded.append(training)
                epochs = f"{training['epochs']}"
                if training["epoch"] != training["epochs"]:
                    epochs += f", kept: {training['epoch']}"
                size, seconds = f"{training['parameters']:,}", f"{training['seconds']:.0f}"
                accuracies = [f"{training[name]:.3f}" for name in ("accuracy", "val_accuracy")]
                row = [training["name"], *accuracies, size, epochs, seconds]
                rows.append([*row, page_link(self.env, page)])
        if not recorded:
            raise self.error("no page of this book records a training. Call trained() on one.")
        headings = ["Network", "Training accuracy", "Validation accuracy", "Parameters", "Epochs"]
        headings += ["Seconds", "Page"]
        return [table(headings, rows), nodes.paragraph(text=_best_and_largest(recorded))]


def _best_and_largest(trainings: list[Training]) -> str:
    ranked = sorted(trainings, key=lambda training: -training["val_accuracy"])
    largest = max(ranked, key=lambda training: training["parameters"])
    return (
        f"The highest validation accuracy of this build, {ranked[0]['val_accuracy']:.3f}, belongs "
        f"to “{ranked[0]['name']}”. “{largest['name']}” has the most parameters, and by validation "
        f"accuracy it is number {ranked.index(largest) + 1} of {len(ranked)}."
    )


class Versions(SphinxDirective):
    """``{versions}``: the packages that the pages use, with their versions in the runs."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        versions: dict[str, str] = {}
        for _, entry in _executed(self):
            versions |= entry.metadata[KEY]["components"]["packages"]
        rows = [[name, versions[name]] for name in sorted(versions)]
        return [table(["Package", "Version"], rows)]


class Runs(SphinxDirective):
    """``{runs}``: when, how long and on which device each page ran; and the total seconds."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows: list[list[Any]] = []
        total = 0.0
        for page, entry in _executed(self):
            facts = entry.metadata[KEY]
            stack = f"Python {facts['python']}"
            executed = facts["executed"][:16].replace("T", " ")
            row = [executed, f"{facts['seconds']:.0f}", facts["device"], stack]
            rows.append([page_link(self.env, page), *row])
            total += facts["seconds"]
        rows.append(["Together", "", f"{total:.0f}", "", ""])
        return [table(["Page", "Executed (UTC)", "Seconds", "Device", "Ran on"], rows)]


class Cost(SphinxDirective):
    """``{cost}``: the run time of all pages and of the longest page, in minutes."""

    def run(self) -> list[nodes.Node]:
        """Return the sentences."""
        runs = {page.title: entry.metadata[KEY] for page, entry in _executed(self)}
        minutes = {title: facts["seconds"] / 60 for title, facts in runs.items()}
        longest = max(minutes, key=lambda title: minutes[title])
        devices = " and ".join(sorted({facts["device"] for facts in runs.values()}))
        text = (
            f"All pages of this build together took {sum(minutes.values()):.1f} minutes of a "
            f"kernel, on {devices}. The longest, “{longest}”, took {minutes[longest]:.1f}: no "
            "number of machines makes an execution shorter than that."
        )
        return [nodes.paragraph(text=text)]


class DataUsed(SphinxDirective):
    """``{data-used}``: a sentence that names the images of this build."""

    def run(self) -> list[nodes.Node]:
        """Return the sentence."""
        note_run_dependency(self.env)
        source = session().build.source
        return [nodes.paragraph(text=f"This build was made with {source.description}.")]


class RunFigure(SphinxDirective):
    """``{run-figure} page name``: a figure drawn by the run of this page or another page.

    `name` is the cell's ``mystnb: figure: name``. The content is the caption. ``:alt:`` replaces
    the cell's alt text.
    """

    required_arguments = 2
    has_content = True
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the figure."""
        page_name, figure_name = self.arguments
        note_run_dependency(self.env, page_name)
        for page in session().project.pages():
            if page.name == page_name and page.cells:
                for cell, executed in zip(page.cells, session().entry(page).cells, strict=True):
                    figure = cell.metadata.get("mystnb", {}).get("figure", {})
                    if figure.get("name") == figure_name:
                        return [self._figure(cell.metadata, executed)]
        raise self.error(f"the page {page_name} has no figure named {figure_name}")

    def _figure(self, metadata: dict[str, Any], executed: NotebookNode) -> nodes.Node:
        options = {"image": {**metadata["mystnb"].get("image", {}), **self.options}}
        renderer = self.state.document.attributes["nb_renderer"]
        figure = nodes.figure()
        for output in executed.outputs:
            for mime_type in ("image/svg+xml", "image/png"):
                if content := output.get("data", {}).get(mime_type):
                    data = MimeData(mime_type, content, cell_metadata={"mystnb": options})
                    figure += renderer.render_image(data)
        if not figure.children:
            raise self.error(f"the cell of the figure {self.arguments[1]} drew nothing")
        inline, _ = self.state.inline_text(" ".join(self.content), self.lineno)
        if self.content:
            figure += nodes.caption("", "", *inline)
        return figure


def _executed(directive: SphinxDirective) -> Iterator[tuple[Page, NotebookNode]]:
    """Yield each page that has code, with its store entry."""
    note_run_dependency(directive.env)
    for page in session().project.pages():
        if page.cells:
            yield page, session().entry(page)


def _short(value: Value) -> str:
    """Format a value: four significant digits for a float, thousands separators for an integer."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if isinstance(value, bool | str) else f"{value:,}"


def setup(app: Sphinx) -> None:
    """Register the directives."""
    for name, directive in {
        "claims": Claims,
        "measures": Measures,
        "models": Models,
        "runs": Runs,
        "versions": Versions,
        "cost": Cost,
        "data-used": DataUsed,
        "run-figure": RunFigure,
    }.items():
        app.add_directive(name, directive)
