"""Directives that show how this project's builds and pages compare with those of other tools.

``make bench`` measures them and writes ``book/reference/comparison.json``; nothing is typed here
but what a row means, and why another tool leads where one does.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import mean
from typing import Any

from docutils import nodes
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onions.extension.reader import site
from onions.extension.results import table

OURS = "onions"
TIE = 1.05  # of one run on a machine that does other things, too
HERE = Path(__file__).parent
BAR, LINE, NAMES, NUMBERS = 120, 22, 150, 90  # a plot's widths, and a line's height, in SVG units
MISSING = "not measured"
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of a table: `best` is what leads, `min` or `max`, of the `value` of each tool.

    `why` says why another tool can lead, for whoever reads that it does.
    """

    name: str
    label: str
    value: Callable[[Result], float]
    text: Callable[[Result], str]
    best: Callable[..., float] = min
    why: str = ""


def _seconds(result: Result) -> str:
    return f"{result['seconds']:.1f} s"


def _stopped(result: Result) -> float:
    return float(result["exit"] not in (0, None))


def _exit(result: Result) -> str:
    if result["exit"] is None:
        return f"never ended: stopped after {result['seconds']:.0f} s"
    return f"exit code {result['exit']}"


def _published(result: Result) -> str:
    if result["published"]:
        return "the broken page"
    return "the last good site" if result["site"] else "neither: pages are gone"


def _helped(result: Result) -> float:
    """Return how long an edit of a helper took; to show the old output is no answer at all."""
    return float(result["seconds"]) if result["right"] else inf


def _over(name: str, put_together: Callable[[Iterable[float]], float]) -> Callable[[Result], float]:
    """Return what puts a measure of several pages together."""
    return lambda result: put_together([page[name] for page in result["pages"].values()])


def _number(name: str, digits: int = 0) -> Callable[[Result], str]:
    """Return what shows a measure of several pages, in their order."""

    def shown(result: Result) -> str:
        return ", ".join(f"{page[name]:.{digits}f}" for page in result["pages"].values())

    return shown


LIGHT = (
    "A plainer theme and no explorers make a page lighter. Ours spends the difference on search, "
    "dark mode, terms that explain themselves and figures that move."
)
INSIDE = "mkdocs-jupyter writes figures into the page itself, which weighs more for it."
NO_HTML = "mystmd ends before the HTML, which its theme would make."
ALONE = "The bare script makes no pages, and imports TensorFlow once, not for each page."
TWICE = (
    "Here two commands do it: one looks which pages have to run, the other renders every page that "
    "shows something of the run."
)
TABLES = {
    "times": [
        Row("nothing", "Whole book, from nothing", lambda r: r["seconds"], _seconds, why=ALONE),
        Row("unchanged", "Nothing changed", lambda r: r["seconds"], _seconds, why=NO_HTML),
        Row("prose", "A sentence of one page", lambda r: r["seconds"], _seconds, why=NO_HTML),
        Row("code", "A code cell of one page", lambda r: r["seconds"], _seconds, why=TWICE),
        Row(
            "helper",
            "A helper that a page imports",
            _helped,
            lambda r: _seconds(r) + ("" if r["right"] else ", wrong"),
        ),
    ],
    "faults": [
        Row(
            "helper",
            "A helper changed: the page shows",
            lambda r: r["right"],
            lambda r: "the new output" if r["right"] else "the old output",
            max,
        ),
        Row("failing", "A cell fails", _stopped, _exit, max),
        Row("failing", "Then published", lambda r: r["site"] - r["published"], _published, max),
        Row("dead", "A kernel dies", _stopped, _exit, max),
        Row("dead", "Then published", lambda r: r["site"] - r["published"], _published, max),
        Row(
            "dead",
            "New code of another page",
            lambda r: r["others"],
            lambda r: "has run" if r["others"] else "has not run",
            max,
        ),
    ],
    "pages": [
        Row("weight", "First load, KiB", _over("KiB", sum), _number("KiB"), why=LIGHT),
        Row("weight", "Requests", _over("requests", sum), _number("requests"), why=INSIDE),
        Row("weight", "To other servers", _over("elsewhere", sum), _number("elsewhere")),
        Row(
            "weight",
            "Lighthouse, performance",
            _over("performance", mean),
            _number("performance", 2),
            max,
            LIGHT,
        ),
        Row(
            "weight",
            "Largest contentful paint, s",
            _over("LCP s", mean),
            _number("LCP s", 1),
            why=LIGHT,
        ),
        Row("weight", "Axe violations", _over("axe violations", sum), _number("axe violations")),
    ],
}


HEADS = {"times": "Build", "faults": "What happens", "pages": "Measure"}


class Comparison(SphinxDirective):
    """``{comparison} times``, ``faults`` or ``pages``: a table, a line for each row.

    ``{comparison} plot`` draws the times, ``{comparison} made`` says what was compared, and where.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table, the plot or the sentences."""
        path = site().project.book / "reference" / "comparison.json"
        self.env.note_dependency(str(path))
        try:
            data = json.loads(path.read_text("utf-8"))
            what = self.arguments[0]
            if what == "made":
                return _made(data)
            if what == "plot":
                return [nodes.raw("", _plots(data), format="html")]
            return _table(HEADS[what], TABLES[what], data)
        except FileNotFoundError:
            raise self.error(f"{path}: it is missing. Run `make bench`.") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.error(f"{path}: damaged ({error!r}). Run `make bench`.") from error


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("comparison", Comparison)


def leaders(row: Row, data: dict[str, Any]) -> list[str]:
    """Return the tools that do better than ours in a row, but for a tie."""
    values = {
        name: row.value(rows[row.name]) for name, rows in data["rows"].items() if row.name in rows
    }
    ours = values.pop(OURS)
    if row.best is min:
        return [name for name, value in values.items() if value * TIE < ours]
    return [name for name, value in values.items() if value > ours * TIE]


def _table(head: str, rows: list[Row], data: dict[str, Any]) -> list[nodes.Node]:
    """Return the table, and a list of the rows in which ours does not lead, with the reason."""
    kinds = {row.name for row in rows}
    names = [name for name in data["tools"] if kinds & data["rows"].get(name, {}).keys()]
    heads = [head, *(data["tools"][name]["title"] for name in names)]
    lines: list[list[Any]] = []
    behind = nodes.bullet_list()
    for row in rows:
        results = [data["rows"][name].get(row.name) for name in names]
        lines.append([row.label, *(row.text(r) if r else MISSING for r in results)])
        if better := leaders(row, data):
            who = " and ".join(data["tools"][name]["title"] for name in better)
            text = f"{row.label}: better with {who}. {row.why}"
            behind += nodes.list_item("", nodes.paragraph(text=text.strip()))
    return [table(heads, lines), *([behind] if behind.children else [])]


def _plots(data: dict[str, Any]) -> str:
    """Return a small bar chart for each kind of build, as HTML."""
    plots = []
    for row in TABLES["times"]:
        found = [
            (data["tools"][name]["title"], rows[row.name], name == OURS)
            for name, rows in data["rows"].items()
            if row.name in rows
        ]
        longest = max(result["seconds"] for _, result, _ in found)
        bars = [
            (title, row.text(result), max(1, round(BAR * result["seconds"] / longest, 1)), ours)
            for title, result, ours in found
        ]
        values = ", ".join(f"{title} {text}" for title, text, _, _ in bars)
        plots.append({"label": row.label, "bars": bars, "alt": f"{row.label}: {values}."})
    loader = FileSystemLoader(HERE / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    sizes = {"bar": BAR, "line": LINE, "names": NAMES, "width": NAMES + BAR + NUMBERS}
    return environment.get_template("comparison.html").render(plots=plots, **sizes)


def _made(data: dict[str, Any]) -> list[nodes.Node]:
    """Return what was compared, with versions and settings, and on what."""
    items = []
    for tool in data["tools"].values():
        versions = ", ".join(f"{name} {version}" for name, version in tool["versions"].items())
        settings = f"{versions}: {tool['settings']}" if versions else tool["settings"]
        term = nodes.term(text=tool["title"])
        definition = nodes.definition("", nodes.paragraph(text=settings))
        items.append(nodes.definition_list_item("", term, definition))
    text = (
        f"Measured on {data['date']}, on {data['machine']}, with Python {data['python']}, "
        f"Lighthouse {data['lighthouse']}, {data['data']} and the profile {data['profile']}."
    )
    return [nodes.paragraph(text=text), nodes.definition_list("", *items)]
