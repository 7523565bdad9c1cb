"""How this build, or a reader's own number, lies among the reference runs."""

import json
import math
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from onions import store
from onions.claims import Value
from onions.extension.offline import is_offline
from onions.extension.reader import depends_on_store, site
from onions.reference import SLACK, Band, Spread

HERE = Path(__file__).parent
WIDTH, HEIGHT = 320, 210  # of a plot, in the units of its SVG
LEFT, RIGHT, TOP, BOTTOM = 44, 312, 12, 176  # where its lines lie
STRIP = 200  # how wide a strip plot is
LABELS = {
    "accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "loss": "training loss",
    "val_loss": "validation loss",
}


class Held(SphinxRole):
    """``{held}`one < other```: in how many reference runs one measure of this page was smaller.

    On another page than that which measures them: ``{held}`page: one < other```.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the words, as in "in 7 of 10 runs"."""
        self.env.note_dependency(str(site().reference.path))
        page, _, comparison = self.text.rpartition(":")
        data = site().build.source.name
        pairs = [
            site().reference.values(data, page or self.env.docname, name.strip())
            for name in comparison.split("<")
        ]
        if len(pairs) != 2 or not all(pairs):
            problem = self.inliner.reporter.error(
                f"no reference run with {data} measured both sides of: {self.text}",
                line=self.lineno,
            )
            return [], [problem]
        held = [one < other for one, other in zip(*pairs, strict=True)]
        return [nodes.Text(f"in {sum(held)} of {len(held)} runs")], []


class ReferenceCurves(SphinxDirective):
    """``{reference-curves} training``: this run's curves over those of the reference runs.

    `training` is the name that ``trained()`` gave the network; the text below becomes the caption.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"metrics": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the figure, with one plot for each metric."""
        self.env.note_dependency(str(site().reference.path))
        name, page = self.arguments[0], site().project.page(self.env.docname)
        trainings = (training for _, training in store.trainings(site().entry(page)))
        own = next((t["curves"] for t in trainings if t["name"] == name), None)
        if own is None:
            raise self.error(f"this page trains no network named {name}")
        plots = []
        for metric in self.options.get("metrics", "val_accuracy val_loss").split():
            band = site().reference.band(site().build.source.name, page.name, name, metric)
            if band is None or metric not in own:
                raise self.error(f"no reference run has the curve {metric} of {name}")
            plots.append(_plot(LABELS.get(metric, metric), own[metric], band))
        figure = nodes.figure("", nodes.raw("", _render("curves.html", plots=plots), format="html"))
        inline, _ = self.state.inline_text(" ".join(self.content), self.lineno)
        figure += nodes.caption("", "", *inline)
        return [figure]


class IsMyResultNormal(SphinxDirective):
    """``{is-my-result-normal}``: measures over the reference runs, and where one's own number lies.

    Each line below is ``page measure: label``; without any, all measures that differ between runs.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table with its strip plots and, on a site, the form that needs JavaScript."""
        self.env.note_dependency(str(site().reference.path))
        wanted = self._wanted()
        depends_on_store(self.env, *{page for page, _, _ in wanted})
        entries = {page: site().entry(site().project.page(page)) for page, _, _ in wanted}
        own = {page: store.measured(entry) for page, entry in entries.items()}
        rows = [self._row(*one, own[one[0]]) for one in wanted]
        if not rows:
            raise self.error(f"no reference runs with {site().build.source.name}")
        html = _render(
            "normal.html",
            rows=rows,
            width=STRIP,
            number=self.env.new_serialno("normal"),
            form=not is_offline(self.env.app),
            script=(HERE / "scripts" / "normal.js").read_text("utf-8"),
        )
        return [nodes.raw("", html, format="html")]

    def _wanted(self) -> list[tuple[str, str, str]]:
        """Return page, measure and label of each row."""
        if self.content:
            lines = [line.partition(":") for line in self.content if line.strip()]
            split = [(first.split(), label.strip()) for first, _, label in lines]
            return [(page, measure, label) for (page, measure), label in split]
        found = []
        for one in site().reference.of(site().build.source.name)[:1]:
            for page, runs in one["pages"].items():
                for measure in runs["measures"]:
                    spread = site().reference.spread(one["data"], page, measure)
                    if spread and spread.values[0] < spread.values[-1]:
                        found.append((page, measure, f"{page}: {measure.replace('_', ' ')}"))
        return found

    def _row(
        self, page: str, measure: str, label: str, measured: dict[str, Value]
    ) -> dict[str, Any]:
        spread = site().reference.spread(site().build.source.name, page, measure)
        own = measured.get(measure)
        if spread is None or not isinstance(own, int | float):
            raise self.error(f"no reference run measured {measure} on {page} as a number")
        return _strip(spread, own) | {"label": label}


def setup(app: Sphinx) -> None:
    """Register the role and the directives."""
    app.add_role("held", Held())
    app.add_directive("reference-curves", ReferenceCurves)
    app.add_directive("is-my-result-normal", IsMyResultNormal)


def _render(template: str, **values: Any) -> str:
    loader = FileSystemLoader(HERE / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(**values)


def _strip(spread: Spread, own: float) -> dict[str, Any]:
    """Return a row's numbers as texts, and where its dots lie."""
    values = spread.values
    margin = 1.2 * SLACK * (values[-1] - values[0]) or 1
    first, last = values[0] - margin, values[-1] + margin

    def place(value: float) -> float:
        share = min(max((value - first) / (last - first), 0), 1)  # far outside: at the edge
        return round(8 + share * (STRIP - 16), 1)

    return {
        "values": json.dumps(values),
        "scale": json.dumps([first, last]),
        "dots": [place(value) for value in values],
        "own_place": place(own),
        "own": _short(own),
        "middle": _short(spread.middle),
        "low": _short(values[0]),
        "high": _short(values[-1]),
        "runs": len(values),
    }


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plot(label: str, own: list[float], band: Band) -> dict[str, Any]:
    """Return what the template needs to draw a curve, the band around it and the axes."""
    epochs = max(len(own), len(band.median))
    low, high = min(*own, *band.low), max(*own, *band.high)
    ticks = _ticks(low, high)

    def x(epoch: int) -> float:
        return round(LEFT + (epoch - 1) / max(epochs - 1, 1) * (RIGHT - LEFT), 1)

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def points(values: list[float], first: int = 1) -> str:
        return " ".join(f"{x(n)},{y(value)}" for n, value in enumerate(values, first))

    range_ = f"{points(band.low)} {' '.join(points(band.high).split()[::-1])}"
    return {
        "label": label,
        "own": points(own),
        "own_end": (x(len(own)), y(own[-1])),
        "median": points(band.median),
        "range": range_,
        "alt": (
            f"Line plot of the {label} by epoch. This build's line ends at {own[-1]:.3g} after "
            f"epoch {len(own)}. The reference runs end between {band.low[-1]:.3g} and "
            f"{band.high[-1]:.3g} after epoch {len(band.low)}, with {band.median[-1]:.3g} in the "
            "middle."
        ),
        "x_ticks": [(x(n), n) for n in (1, *range(5, epochs + 1, 5))],
        "y_ticks": [(y(tick), f"{tick:g}") for tick in ticks],
        "box": (LEFT, TOP, RIGHT, BOTTOM),
        "size": (WIDTH, HEIGHT),
    }


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers at equal distances, from at most the lowest to at least the highest."""
    rough = (high - low or 1) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
    numbers = range(math.floor(low / step), math.ceil(high / step) + 1)
    return [round(number * step, 10) for number in numbers]
