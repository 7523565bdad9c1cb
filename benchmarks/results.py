"""Format the results of `make bench` as tables and a plot, for README.md in this folder.

This module contains the labels and reasons; every number comes from the run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from math import inf
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from measure import table
from onions.base.files import write_atomic

README = Path(__file__).with_name("README.md")
PLOT = "comparison.svg"  # beside README.md
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
OURS = "onions"
TIE = 1.05  # results within this factor count as equal
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of a table, made from the result called `name` of each tool.

    `text` formats a result and `value` ranks it, low values first unless `more_is_better`. `why` is
    the reason to show if another tool leads.
    """

    name: str
    label: str
    value: Callable[[Result], float]
    text: Callable[[Result], str]
    more_is_better: bool = False
    why: str = ""


def write(data: Result, readme: Path = README) -> None:
    """Replace the results in README.md, between its markers, and the plot beside it.

    Raises ValueError if README.md lacks a marker.
    """
    before, begin, rest = readme.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{readme}: a marker is missing. Add {BEGIN} and {END}.")
    write_atomic(readme.with_name(PLOT), plot(data))
    write_atomic(readme, f"{before}{BEGIN}\n\n{block(data)}\n\n{END}{after}")


def block(data: Result) -> str:
    """Return the results as Markdown."""
    conditions = (
        f"Measured on {data['date']} on {data['machine']}, with Python {data['python']} and "
        f"Lighthouse {data['lighthouse']}. Data: {data['data']}. Profile: {data['profile']}."
    )
    tools = [
        [tool["title"], ", ".join(map(" ".join, tool["versions"].items())), tool["settings"]]
        for tool in data["tools"].values()
    ]
    parts = [conditions, f"![{_alt(data)}]({PLOT})"]
    for head, rows in TABLES.items():
        parts += [f"### {head}", *_table(head, rows, data)]
    return "\n\n".join([*parts, "### Tools", table(["Tool", "Versions", "Settings"], tools)])


def leaders(row: Row, data: Result) -> list[str]:
    """Return the tools that beat this book in a row by more than the factor `TIE`.

    The list is empty if this book has no result for the row.
    """
    values = {name: row.value(result) for name, result in _results(row, data).items()}
    ours = values.pop(OURS, None)
    if ours is None:
        return []
    if row.more_is_better:
        return [name for name, value in values.items() if value > ours * TIE]
    return [name for name, value in values.items() if value * TIE < ours]


def plot(data: Result) -> str:
    """Return a bar chart of each kind of build as SVG, with a dark bar for this book."""
    charts = [(row.label, row.text, _results(row, data)) for row in TABLES["Build"]]
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9}):
        figure = Figure(figsize=(9, 6.6), layout="constrained")
        for number, (label, text, results) in enumerate(charts, 1):
            axes = figure.add_subplot(3, 2, number)
            axes.set_title(label, fontsize=10, loc="left")
            bars = axes.barh(
                [data["tools"][name]["title"] for name in results],
                [result["seconds"] for result in results.values()],
                color=["#1f4e79" if name == OURS else "#d9d9d9" for name in results],
                edgecolor="#1a1a1a",
            )
            axes.bar_label(bars, [text(result) for result in results.values()], padding=3)
            axes.invert_yaxis()
            axes.set_xmargin(0.3)  # room for the labels
            axes.set_xticks([])
            axes.spines[:].set_visible(False)
        svg = StringIO()
        title = "How long each tool takes for each kind of build, in seconds"
        figure.savefig(svg, format="svg", metadata={"Title": title, "Date": None, "Creator": None})
    return "".join(f"{line.rstrip()}\n" for line in svg.getvalue().splitlines())


def _results(row: Row, data: Result) -> dict[str, Result]:
    """Return the results for a row, by tool."""
    return {name: rows[row.name] for name, rows in data["rows"].items() if row.name in rows}


def _alt(data: Result) -> str:
    """Return the plot in words, with the fastest correct build of each kind."""
    text = "Bar charts of each tool's build times; the table below has the numbers."
    for row in TABLES["Build"]:
        if results := _results(row, data):
            name = min(results, key=lambda name: row.value(results[name]))
            text += f" {row.label}: fastest correct build by {data['tools'][name]['title']}."
    return text


def _table(head: str, rows: list[Row], data: Result) -> list[str]:
    """Return a table and, if another tool leads in a row, a list of such rows with reasons."""
    kinds = {row.name for row in rows}
    titles = {
        name: tool["title"]
        for name, tool in data["tools"].items()
        if kinds & data["rows"].get(name, {}).keys()
    }
    lines, behind = [], []
    for row in rows:
        texts = {name: row.text(result) for name, result in _results(row, data).items()}
        lines.append([row.label, *(texts.get(name, "not measured") for name in titles)])
        if better := " and ".join(titles[name] for name in leaders(row, data)):
            behind.append(f"- {row.label}: led by {better}. {row.why}".rstrip())
    return [table([head, *titles.values()], lines), *(["\n".join(behind)] if behind else [])]


def _seconds(result: Result) -> float:
    """Return a build's seconds; infinity if it shows an old output."""
    return float(result["seconds"]) if result.get("right", True) else inf


def _time(result: Result) -> str:
    return f"{result['seconds']:.1f} s{'' if result.get('right', True) else ', wrong'}"


def _stops(result: Result) -> bool:
    return result["exit"] not in (0, None)


def _exit(result: Result) -> str:
    if result["exit"] is None:
        return f"never ended: stopped after {result['seconds']:.0f} s"
    return f"exit code {result['exit']}"


def _keeps(result: Result) -> int:
    """Return 1 if the last good site is still there, otherwise 0 or less."""
    return int(result["site"] - result["published"])


def _published(result: Result) -> str:
    if result["published"]:
        return "the broken page"
    return "the last good site" if result["site"] else "neither: pages are gone"


def _flag(name: str, label: str, fact: str, yes: str, no: str) -> Row:
    return Row(name, label, lambda r: r[fact], lambda r: yes if r[fact] else no, True)


def _pages(label: str, measure: str, digits: int, more: bool = False, why: str = "") -> Row:
    """Return the row of a measure of several pages, shown in order and ranked by their sum."""

    def values(result: Result) -> list[float]:
        return [page[measure] for page in result["pages"].values()]

    def text(result: Result) -> str:
        return ", ".join(f"{value:.{digits}f}" for value in values(result))

    return Row("weight", label, lambda r: sum(values(r)), text, more, why)


LIGHT = "Its pages have a plainer theme and no explorers."
INSIDE = "mkdocs-jupyter embeds figures in the page, which makes the page heavier."
NO_HTML = "mystmd stops before the HTML, which its theme would make."
ALONE = "The bare script makes no pages, and imports TensorFlow once instead of once per page."
TWICE = "This book also renders every page that shows results of the run."
TABLES = {
    "Build": [
        Row("nothing", "Whole book, from nothing", _seconds, _time, why=ALONE),
        Row("unchanged", "Nothing changed", _seconds, _time, why=NO_HTML),
        Row("prose", "A sentence of one page", _seconds, _time, why=NO_HTML),
        Row("code", "A code cell of one page", _seconds, _time, why=TWICE),
        Row("helper", "A helper that a page imports", _seconds, _time),
    ],
    "Failure": [
        _flag("helper", "After a helper changed", "right", "the new output", "the old output"),
        Row("failing", "A cell fails", _stops, _exit, True),
        Row("failing", "Then published", _keeps, _published, True),
        Row("dead", "A kernel dies", _stops, _exit, True),
        Row("dead", "Then published", _keeps, _published, True),
        _flag("dead", "New code of another page", "others", "has run", "has not run"),
    ],
    "Page": [
        _pages("First load, KiB", "KiB", 0, why=LIGHT),
        _pages("Requests", "requests", 0, why=INSIDE),
        _pages("Third-party requests", "elsewhere", 0),
        _pages("Lighthouse, performance", "performance", 2, True, LIGHT),
        _pages("Largest contentful paint, s", "LCP s", 1, why=LIGHT),
        _pages("Axe violations", "axe violations", 0),
    ],
}
