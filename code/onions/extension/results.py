"""Directives that read the whole store: what the run measured, claimed and drew."""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.core.render import MimeData
from nbformat import NotebookNode
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from onions import store
from onions.claims import KEY, Training, Value
from onions.extension.reader import depends_on_store, site
from onions.fingerprint import versions
from onions.pages import Page


class Claims(SphinxDirective):
    """``{claims}``: every claim of the book, whether it held, and the numbers it rests on."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = []
        for page, entry in _executed(self):
            for _, claim in store.claims(entry):
                state = {True: "yes", False: "no", None: f"not checked: {claim['why']}"}
                numbers = ", ".join(f"{k} = {_short(v)}" for k, v in claim["measures"].items())
                rows.append(
                    [page_link(self.env, page), claim["sentence"], state[claim["holds"]], numbers]
                )
        return [table(["Page", "Claim", "Holds", "Rests on"], rows)]


class Measures(SphinxDirective):
    """``{measures}``: every number that a page measured in its run."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows: list[list[Any]] = [
            [
                page_link(self.env, page),
                nodes.literal(text=measure["name"]),
                _short(measure["value"]),
            ]
            for page, entry in _executed(self)
            for _, measure in store.measures(entry)
        ]
        return [table(["Page", "Measure", "Value"], rows)]


class Models(SphinxDirective):
    """``{models}``: every network that the lesson trained, with its size, time and accuracies,
    and a sentence that says which is best and which is largest.
    """

    def run(self) -> list[nodes.Node]:
        """Return the table and the sentence, in the order of the pages."""
        rows: list[list[Any]] = []
        trainings: list[Training] = []
        for page, entry in _executed(self):
            for _, training in store.trainings(entry):
                trainings.append(training)
                epochs = f"{training['epochs']}"
                if training["epoch"] != training["epochs"]:
                    epochs += f", kept: {training['epoch']}"
                size, seconds = f"{training['parameters']:,}", f"{training['seconds']:.0f}"
                accuracies = [f"{training[name]:.3f}" for name in ("accuracy", "val_accuracy")]
                row = [training["name"], *accuracies, size, epochs, seconds]
                rows.append([*row, page_link(self.env, page)])
        if not trainings:
            raise self.error("no page of this book records a training; see trained()")
        heads = ["Network", "Training accuracy", "Validation accuracy", "Parameters", "Epochs"]
        heads += ["Seconds", "Page"]
        return [table(heads, rows), nodes.paragraph(text=_best_and_largest(trainings))]


def _best_and_largest(trainings: list[Training]) -> str:
    ranked = sorted(trainings, key=lambda training: -training["val_accuracy"])
    largest = max(ranked, key=lambda training: training["parameters"])
    return (
        f"The highest validation accuracy of this build, {ranked[0]['val_accuracy']:.3f}, belongs "
        f"to “{ranked[0]['name']}”. “{largest['name']}” has the most parameters, and by validation "
        f"accuracy it is number {ranked.index(largest) + 1} of {len(ranked)}."
    )


class Versions(SphinxDirective):
    """``{versions}``: the packages that the pages use, with the versions they ran on."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        found: dict[str, str] = {}
        for _, entry in _executed(self):
            found |= versions(entry.metadata[KEY]["components"])
        return [table(["Package", "Version"], [[name, found[name]] for name in sorted(found)])]


class Runs(SphinxDirective):
    """``{runs}``: when each page ran, for how long, and on what; and the seconds in all."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows: list[list[Any]] = []
        total = 0.0
        for page, entry in _executed(self):
            facts = entry.metadata[KEY]
            stack = f"Python {facts['python']}, {facts['backend']}"
            executed = facts["executed"][:16].replace("T", " ")
            row = [executed, f"{facts['seconds']:.0f}", facts["device"], stack]
            rows.append([page_link(self.env, page), *row])
            total += facts["seconds"]
        rows.append(["Together", "", f"{total:.0f}", "", ""])
        return [table(["Page", "Executed (UTC)", "Seconds", "Device", "Ran on"], rows)]


class Cost(SphinxDirective):
    """``{cost}``: how many minutes of a machine it takes to run every page of this build."""

    def run(self) -> list[nodes.Node]:
        """Return the sentences."""
        facts = {page.title: entry.metadata[KEY] for page, entry in _executed(self)}
        minutes = {title: fact["seconds"] / 60 for title, fact in facts.items()}
        longest = max(minutes, key=lambda title: minutes[title])
        devices = " and ".join(sorted({fact["device"] for fact in facts.values()}))
        text = (
            f"All pages of this build together took {sum(minutes.values()):.1f} minutes of a "
            f"kernel, on {devices}. The longest, “{longest}”, took {minutes[longest]:.1f}: no "
            "number of machines makes an execution shorter than that."
        )
        return [nodes.paragraph(text=text)]


class DataUsed(SphinxDirective):
    """``{data-used}``: the sentence that says which images this build was made with."""

    def run(self) -> list[nodes.Node]:
        """Return the sentence."""
        depends_on_store(self.env)
        return [nodes.paragraph(text=f"This build was made with {site().build.source.what}.")]


class RunFigure(SphinxDirective):
    """``{run-figure} page name``: the figure that a page's run drew, this one's or another's.

    `name` is the cell's ``mystnb: figure: name``; the text below becomes the caption.
    """

    required_arguments = 2
    has_content = True
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the figure."""
        wanted, name = self.arguments
        depends_on_store(self.env, wanted)
        for page in (page for page in site().project.pages() if page.name == wanted and page.cells):
            for cell, done in zip(page.cells, site().entry(page).cells, strict=True):
                figure = cell.metadata.get("mystnb", {}).get("figure", {})
                if figure.get("name") == name:
                    return [self._figure(cell.metadata, done)]
        raise self.error(f"no cell of the page {wanted} has a figure named {name}")

    def _figure(self, metadata: dict[str, Any], cell: NotebookNode) -> nodes.Node:
        image = {"image": {**metadata["mystnb"].get("image", {}), **self.options}}
        renderer = self.state.document.attributes["nb_renderer"]
        figure = nodes.figure()
        for output in cell.outputs:
            for mime_type in ("image/svg+xml", "image/png"):
                if content := output.get("data", {}).get(mime_type):
                    data = MimeData(mime_type, content, cell_metadata={"mystnb": image})
                    figure += renderer.render_image(data)
        if not figure.children:
            raise self.error("that cell drew nothing")
        inline, _ = self.state.inline_text(" ".join(self.content), self.lineno)
        if self.content:
            figure += nodes.caption("", "", *inline)
        return figure


def page_link(env: BuildEnvironment, page: Page) -> nodes.Node:
    """Return a link to a page, which Sphinx resolves and gives the page's title."""
    return addnodes.pending_xref(
        "",
        nodes.inline(text=page.title),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{page.name}",
        refexplicit=False,
        refwarn=True,
        refdoc=env.docname,
    )


def table(heads: list[str], rows: list[list[Any]]) -> nodes.Node:
    """Return a table; a cell is a text or an inline node."""
    columns = (nodes.colspec(colwidth=1, stub=number == 0) for number in range(len(heads)))
    group = nodes.tgroup("", *columns, cols=len(heads))  # a stub: the row's own heading
    group += nodes.thead("", _row(heads))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=["run-table"])


def _row(cells: list[Any]) -> nodes.Node:
    row = nodes.row()
    for cell in cells:
        content = nodes.Text(cell) if isinstance(cell, str) else cell
        row += nodes.entry("", nodes.paragraph("", "", content))
    return row


def _executed(directive: SphinxDirective) -> Iterator[tuple[Page, NotebookNode]]:
    """Yield every page that runs, with its entry in the store."""
    depends_on_store(directive.env)
    for page in site().project.pages():
        if page.cells:
            yield page, site().entry(page)


def _short(value: Value) -> str:
    """Return a number as a reader wants it: four digits, or thousands."""
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
