"""Directives that compare this build, or a reader's own number, with the reference runs."""

import json
import math
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from onions.base.templates import render_template
from onions.base.text import format_date
from onions.book.reference import RANGE_SLACK, Band, Spread, set_name
from onions.claims import Value
from onions.extension.base.builder import EPUB, SITE
from onions.extension.base.session import note_run_dependency, session
from onions.store.entries import measure_values, trainings

HERE = Path(__file__).parent
WIDTH, HEIGHT = 320, 210  # of a curve plot, in SVG units
LEFT, RIGHT, TOP, BOTTOM = 44, 312, 12, 176  # of the box around its curves
STRIP_WIDTH = 200  # of a strip plot, in CSS pixels
LABELS = {
    "accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "loss": "training loss",
    "val_loss": "validation loss",
}


class Held(SphinxRole):
    """``{held}`a < b```: the number of reference runs in which the measure `a` was below `b`.

    ``{held}`page: a < b``` compares measures of another page.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number as text, as in "in 7 of 10 runs"."""
        self.env.note_dependency(str(session().reference.path))
        page, _, comparison = self.text.rpartition(":")
        source = session().build.source
        sides = [
            session().reference.values(source, page or self.env.docname, measure.strip())
            for measure in comparison.split("<")
        ]
        problem = ""
        if len(sides) != 2:
            problem = f"{self.text}: not a comparison. Write two measures, as in a < b."
        elif not all(sides):
            name = source.short_name
            problem = f"no reference run with {name} measured both sides of: {self.text}"
        if problem:
            return [], [self.inliner.reporter.error(problem, line=self.lineno)]
        held = [left < right for left, right in zip(*sides, strict=True)]
        return [nodes.Text(f"in {sum(held)} of {len(held)} runs")], []


class ReferenceCurves(SphinxDirective):
    """``{reference-curves} training``: this run's curves over the band of the reference runs.

    `training` is the name passed to ``trained()``. The content is the caption. ``:metrics:`` names
    the curves; the default is ``val_accuracy val_loss``.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"metrics": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the figure, with one plot for each metric."""
        self.env.note_dependency(str(session().reference.path))
        name, page = self.arguments[0], session().project.page(self.env.docname)
        recorded = (training for _, training in trainings(session().entry(page)))
        curves = next((t["curves"] for t in recorded if t["name"] == name), None)
        if curves is None:
            raise self.error(f"no cell of this page records a training named {name}")
        plots = []
        for metric in self.options.get("metrics", "val_accuracy val_loss").split():
            band = session().reference.band(session().build.source, page.name, name, metric)
            if band is None or metric not in curves:
                raise self.error(
                    f"the curve {metric} of {name} is missing in this run or the reference runs"
                )
            plots.append(_plot(LABELS.get(metric, metric), curves[metric], band))
        html = render_template(HERE, "reference_curves.html", plots=plots)
        caption, _ = self.state.inline_text(" ".join(self.content), self.lineno)
        figure = nodes.figure("", nodes.raw("", html, format="html"))
        figure += nodes.caption("", "", *caption)
        return [figure]


class ReferenceSets(SphinxDirective):
    """``{reference-sets}``: a list of the sets of reference runs, each with its data and device."""

    def run(self) -> list[nodes.Node]:
        """Return a list with the number of runs, the data, the device and the date of each set."""
        self.env.note_dependency(str(session().reference.path))
        items = [
            f"{runs['seeds']} runs of each page with {set_name(runs)}, "
            f"finished on {format_date(runs['date'])}"
            for runs in session().reference.sets
        ]
        paragraphs = [nodes.list_item("", nodes.paragraph(text=text)) for text in items]
        return [nodes.bullet_list("", *paragraphs)] if paragraphs else []


class IsMyResultNormal(SphinxDirective):
    """``{is-my-result-normal}``: measures of the reference runs, and a form for a reader's number.

    Each line of the content is ``page measure: label``. Without content, the table has every
    measure that differs between the runs.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table with strip plots and, on the site, the form."""
        self.env.note_dependency(str(session().reference.path))
        selected = self._selected_measures()
        pages = {page for page, _, _ in selected}
        note_run_dependency(self.env, *pages)
        entries = {page: session().entry(session().project.page(page)) for page in pages}
        values = {page: measure_values(entry) for page, entry in entries.items()}
        rows = [
            self._row(page, measure, label, values[page].get(measure))
            for page, measure, label in selected
        ]
        if not rows:
            data = session().build.source.short_name
            raise self.error(
                f"no measure varies among reference runs with {data}. Run `onions reference`."
            )
        number = self.env.new_serialno("normal")
        script = (HERE / "is_my_result_normal.js").read_text("utf-8")
        variants: list[nodes.Node] = []
        for condition, has_form in ((SITE, True), (EPUB, False)):
            html = render_template(
                HERE,
                "is_my_result_normal.html",
                rows=rows,
                width=STRIP_WIDTH,
                number=number,
                form=has_form,
                script=script,
            )
            raw = nodes.raw("", html, format="html")
            variants.append(addnodes.only("", raw, expr=condition))
        return variants

    def _selected_measures(self) -> list[tuple[str, str, str]]:
        """Return the page, measure and label of each row."""
        if self.content:
            lines = [line.partition(":") for line in self.content if line.strip()]
            parsed = [(names.split(), label.strip()) for names, _, label in lines]
            return [(page, measure, label) for (page, measure), label in parsed]
        source = session().build.source
        selected: list[tuple[str, str, str]] = []
        for run_set in session().reference.with_data(source)[:1]:
            for page, results in run_set["pages"].items():
                for measure in results["measures"]:
                    spread = session().reference.spread(source, page, measure)
                    if spread and spread.values[0] < spread.values[-1]:
                        selected.append((page, measure, f"{page}: {measure.replace('_', ' ')}"))
        return selected

    def _row(self, page: str, measure: str, label: str, value: Value | None) -> dict[str, Any]:
        """Return the template's values for a row; `value` is this build's, None if missing."""
        spread = session().reference.spread(session().build.source, page, measure)
        if spread is None or not isinstance(value, int | float):
            raise self.error(
                f"{page}: {measure} is missing or not a number, in this build or the reference runs"
            )
        return _strip_plot(spread, value) | {"label": label}


def setup(app: Sphinx) -> None:
    """Register the role and the directives."""
    app.add_role("held", Held())
    app.add_directive("reference-curves", ReferenceCurves)
    app.add_directive("reference-sets", ReferenceSets)
    app.add_directive("is-my-result-normal", IsMyResultNormal)


def _strip_plot(spread: Spread, value: float) -> dict[str, Any]:
    """Return a row's numbers as text, and the x coordinates of its dots and of this build."""
    values = spread.values
    margin = 1.2 * RANGE_SLACK * (values[-1] - values[0]) or 1
    first, last = values[0] - margin, values[-1] + margin

    def x(number: float) -> float:
        share = min(max((number - first) / (last - first), 0), 1)  # draw far outliers at the edge
        return round(8 + share * (STRIP_WIDTH - 16), 1)

    return {
        "values": json.dumps(values),
        "scale": json.dumps([first, last]),
        "dots": [x(number) for number in values],
        "build_x": x(value),
        "build": _short(value),
        "median": _short(spread.median),
        "low": _short(values[0]),
        "high": _short(values[-1]),
        "runs": len(values),
    }


def _short(value: float) -> str:
    """Format a number with three significant digits; from 100 on, as an integer."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plot(label: str, curve: list[float], band: Band) -> dict[str, Any]:
    """Return the template's values for this build's curve, the band and the axes."""
    epochs = max(len(curve), len(band.median))
    low, high = min(*curve, *band.low), max(*curve, *band.high)
    ticks = _ticks(low, high)

    def x(epoch: int) -> float:
        return round(LEFT + (epoch - 1) / max(epochs - 1, 1) * (RIGHT - LEFT), 1)

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def points(values: list[float]) -> str:
        return " ".join(f"{x(n)},{y(value)}" for n, value in enumerate(values, 1))

    outline = f"{points(band.low)} {' '.join(points(band.high).split()[::-1])}"
    return {
        "label": label,
        "curve": points(curve),
        "curve_end": (x(len(curve)), y(curve[-1])),
        "median": points(band.median),
        "band": outline,
        "alt": (
            f"Line plot of the {label} by epoch. This build's line ends at {curve[-1]:.3g} after "
            f"epoch {len(curve)}. The reference runs end between {band.low[-1]:.3g} and "
            f"{band.high[-1]:.3g} after epoch {len(band.low)}, with {band.median[-1]:.3g} in the "
            "middle."
        ),
        "x_ticks": [(x(n), n) for n in (1, *range(5, epochs + 1, 5))],
        "y_ticks": [(y(tick), f"{tick:g}") for tick in ticks],
        "box": (LEFT, TOP, RIGHT, BOTTOM),
        "size": (WIDTH, HEIGHT),
    }


def _ticks(low: float, high: float) -> list[float]:
    """Return evenly spaced round numbers that cover `low` to `high`."""
    min_step = (high - low or 1) / 4
    power = 10.0 ** math.floor(math.log10(min_step))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= min_step)
    numbers = range(math.floor(low / step), math.ceil(high / step) + 1)
    return [round(number * step, 10) for number in numbers]
