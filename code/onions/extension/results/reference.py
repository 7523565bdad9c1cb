"""Directives that compare this build, or a reader's own number, with the reference runs."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.base.templates import render_template
from onions.base.text import format_date
from onions.book.reference import set_name
from onions.book.spread import (
    EXPECTED,
    FEWEST_VALUES,
    Band,
    Spread,
    critical_deviation,
    prediction_band,
)
from onions.book.verdict import limits
from onions.extension.base.builder import EPUB, SITE
from onions.extension.base.session import note_run_dependency, session
from onions.extension.results.strips import STRIP_WIDTH, strip_x
from onions.store.entries import measure_values, trainings

HERE = Path(__file__).parent
WIDTH, HEIGHT = 320, 210  # of a curve plot, in SVG units
LEFT, RIGHT, TOP, BOTTOM = 44, 312, 12, 176  # of the box around its curves
LABELS = {
    "accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "loss": "training loss",
    "val_loss": "validation loss",
}


class ReferenceCurves(SphinxDirective):
    """``{reference-curves} training``: this run's curves over the prediction band.

    For each epoch, 99 % of runs from other seeds are expected in the band.

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
        plots, runs = [], session().reference_runs(page.name)
        for metric in self.options.get("metrics", "val_accuracy val_loss").split():
            others = runs.curves(name, metric) if runs else []
            if len(others) < FEWEST_VALUES or metric not in curves:
                raise self.error(
                    f"the curve {metric} of {name} is missing in this run or the reference runs"
                )
            try:
                band = prediction_band(others, "logit" if "accuracy" in metric else "log")
            except ValueError as error:
                raise self.error(f"{name}: {error}") from error
            plot = _plot(LABELS.get(metric, metric), curves[metric], band)
            plots.append(plot | {"dashed": metric.startswith("val_")})
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
        titles = {page.name: page.title for page in session().project.pages()}
        items = []
        for runs in session().reference.sets:
            pages = {name: runs["pages"][name] for name in titles if name in runs["pages"]}
            counts = ", ".join(f"{len(p['runs'])} of “{titles[name]}”" for name, p in pages.items())
            devices = " and ".join(sorted({d for p in pages.values() for d in p["processors"]}))
            day = format_date(max(page["date"] for page in pages.values())) if pages else ""
            name = set_name(runs)
            items.append(f"{name[0].upper()}{name[1:]} ({devices}), last on {day}: {counts}")
        paragraphs = [nodes.list_item("", nodes.paragraph(text=text)) for text in items]
        return [nodes.bullet_list("", *paragraphs)] if paragraphs else []


class IsMyResultNormal(SphinxDirective):
    """``{is-my-result-normal}``: the expected range of measures, and a form for a reader's numbers.

    Each line of the content is ``page measure: label``, for one page. Without content, there is a
    form for each page, with every measure that differs between the runs.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the tables with strip plots and, on the site, the forms."""
        self.env.note_dependency(str(session().reference.path))
        if not self.content:
            note_run_dependency(self.env)
        pages: dict[str, list[tuple[str, str]]] = {}
        for page, measure, label in self._selected_measures():
            pages.setdefault(page, []).append((measure, label))
        if not pages:
            data = session().build.source.short_name
            raise self.error(
                f"no measure varies among reference runs with {data}. Run `onions reference`."
            )
        note_run_dependency(self.env, *pages)
        forms = [self._form(page, selected) for page, selected in pages.items()]
        script = (HERE / "is_my_result_normal.js").read_text("utf-8")
        variants: list[nodes.Node] = []
        for condition, has_form in ((SITE, True), (EPUB, False)):
            html = render_template(
                HERE,
                "is_my_result_normal.html",
                forms=forms,
                width=STRIP_WIDTH,
                number=self.env.new_serialno("normal"),
                has_form=has_form,
                script=script,
            )
            raw = nodes.raw("", html, format="html")
            variants.append(addnodes.only("", raw, expr=condition))
        return variants

    def _selected_measures(self) -> Iterator[tuple[str, str, str]]:
        """Yield the page, measure and label of each row."""
        for line in self.content:
            if line.strip():
                names, _, label = line.partition(":")
                page, measure = names.split()
                yield page, measure, label.strip()
        if not self.content:
            pages = [p for p in session().project.pages() if p.cells]
            for shown in (p for p in pages if p.name not in session().pending):
                runs, values = session().reference_runs(shown.name), session().entry(shown)
                for name in measure_values(values) if runs else ():
                    spread = runs.spread(name) if runs else None
                    if spread and not spread.constant:
                        yield shown.name, name, name.replace("_", " ")

    def _form(self, page: str, selected: list[tuple[str, str]]) -> dict[str, Any]:
        """Return the template's values for a page."""
        runs = session().reference_runs(page)
        values = measure_values(session().entry(session().project.page(page)))
        rows: list[dict[str, Any]] = []
        spreads: list[Spread] = []
        for measure, label in selected:
            spread, value = runs.spread(measure) if runs else None, values.get(measure)
            if spread is None or spread.constant or not isinstance(value, int | float):
                raise self.error(
                    f"{page}: {measure} is missing, constant or not a number, in this build or the "
                    "reference runs"
                )
            others = runs.values(measure, other_images=True) if runs else []
            rows.append(
                _strip_plot(spread, value, others)
                | {"label": label, "measure": f"{page} {measure}"}
            )
            spreads.append(spread)
        by_count = [limits(spreads, count) for count in range(1, len(rows) + 1)]
        return {
            "rows": rows,
            "limits": json.dumps([[round(limit, 4) for limit in pair] for pair in by_count]),
            "runs": min(len(spread.values) for spread in spreads),
            "title": session().project.page(page).title if not self.content else "",
        }


def setup(app: Sphinx) -> None:
    """Register the directives."""
    app.add_directive("reference-curves", ReferenceCurves)
    app.add_directive("reference-sets", ReferenceSets)
    app.add_directive("is-my-result-normal", IsMyResultNormal)


def _strip_plot(spread: Spread, value: float, others: list[Any]) -> dict[str, Any]:
    """Return a row's numbers as text, and the x coordinates of its interval and its dots.

    `others` are the values of the runs with other images.
    """
    runs = len(spread.values)
    low, high = spread.interval(critical_deviation(runs, EXPECTED))
    # The same for all accuracies and losses, so that they can be compared down a column.
    decimals = 3 if high - low < 1 else 1 if high - low < 10 else 0
    shown = [*spread.values, *others, value, low, high]
    margin = 0.15 * (max(shown) - min(shown)) or 1
    ends = min(shown) - margin, max(shown) + margin
    start, end = (strip_x(number, *ends) for number in (low, high))

    return {
        "model": json.dumps([spread.scale, spread.mean, spread.sd_of_prediction]),
        "axis": json.dumps(ends),
        "dots": [strip_x(number, *ends) for number in [*spread.values, value]],
        "others": [strip_x(number, *ends) for number in others],
        "interval": (start, round(end - start, 1)),
        "median": f"{spread.median:.{decimals}f}",
        "low": f"{low:.{decimals}f}",
        "high": f"{high:.{decimals}f}",
    }


def _plot(label: str, curve: list[float], band: Band) -> dict[str, Any]:
    """Return the template's values for this build's curve, the band and the axes."""
    lows, middles, highs = zip(*band, strict=True)
    epochs = max(len(curve), len(band))
    ticks = _ticks(min(*curve, *lows), max(*curve, *highs))

    def x(epoch: int) -> float:
        return round(LEFT + (epoch - 1) / max(epochs - 1, 1) * (RIGHT - LEFT), 1)

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def points(values: Sequence[float]) -> str:
        return " ".join(f"{x(n)},{y(value)}" for n, value in enumerate(values, 1))

    return {
        "label": label,
        "curve": points(curve),
        "curve_end": (x(len(curve)), y(curve[-1])),
        "middle": points(middles),
        "band": f"{points(lows)} {' '.join(points(highs).split()[::-1])}",
        "alt": (
            f"Line plot of the {label} by epoch. This build's line ends at {curve[-1]:.3g} after "
            f"epoch {len(curve)}. After epoch {len(band)}, 99 of 100 runs are expected between "
            f"{lows[-1]:.3g} and {highs[-1]:.3g}, with {middles[-1]:.3g} in the middle."
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
