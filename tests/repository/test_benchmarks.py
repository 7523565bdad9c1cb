"""The benchmarks: the results in README.md, the pages for each tool, and the pins."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from xml.etree import ElementTree

import nbformat
import pytest
import results
import tools
import yaml
from onions import extension
from onions.book.project import Project
from page_text import OUR_DIRECTIVES
from support.locks import URL, pins
from support.projects import ROOT, Small

PINS = ROOT / "benchmarks" / "peers"
PEERS = sorted(path.stem for path in PINS.glob("*.txt"))
SVG = "{http://www.w3.org/2000/svg}"
LESSON_PAGE = """---
kernelspec: {name: python3, display_name: Python 3}
---
# A lesson

:::{quiz} one
What?

This.
: `one == 1` So.
:::

`````{exercise-start} Count
:label: count
`````
How many {term}`kernels <kernel>` are {glue:text}`n:,d`, {cite}`lin2014`?
See {doc}`../other` and {numref}`fig`.

:::{hint}
Few.
:::
`````{exercise-end}
`````

```{code-cell} python
:tags: [remove-cell]
n = "{term}`kernel`"
```
"""


def result(seconds: float, **facts: object) -> dict[str, Any]:
    return {"seconds": seconds, **facts}


def tool(title: str, seconds: float, right: bool = True) -> dict[str, Any]:
    """Return a tool's results for all rows."""
    page = {"KiB": seconds, "requests": 9, "elsewhere": 0, "performance": 1.0}
    page |= {"LCP s": 1.25, "axe violations": 0}
    ended = {"exit": 3, "published": not right, "site": True}
    return {
        **{name: result(seconds) for name in ("nothing", "unchanged", "prose", "code")},
        "helper": result(seconds, right=right),
        "failing": result(seconds, **ended),
        "dead": result(seconds, **ended | {"exit": 3 if right else None}, others=right),
        "weight": {"pages": {"one": page, "two": page}},
    }


def comparison(ours: float = 2.0, other: float = 4.0) -> dict[str, Any]:
    titles = {"onions": "Ours", "other": "The <other>", "script": "The script"}
    return {
        "machine": "a machine",
        "python": "3.11.7",
        "data": "the stand-in",
        "profile": "smoke",
        "lighthouse": "12",
        "date": "2026-01-31",
        "tools": {
            name: {
                "title": title,
                "settings": "As it is.",
                "versions": {"sphinx": "7", "myst-nb": "1"},
            }
            for name, title in titles.items()
        },
        "rows": {
            "onions": tool("Ours", ours),
            "other": tool("The <other>", other, right=False),
            "script": {"nothing": result(60.5)},
        },
    }


def lines(markdown: str) -> list[list[str]]:
    """Return the cells of each table row in a Markdown text."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in markdown.splitlines()
        if line.startswith("|")
    ]


def test_the_tables_show_the_measurements() -> None:
    text = results.block(comparison())
    assert text.startswith(
        "Measured on 2026-01-31 on a machine, with Python 3.11.7 and Lighthouse 12. "
        "Data: the stand-in. Profile: smoke.\n"
    )
    rows = lines(text)
    assert ["Build", "Ours", "The <other>", "The script"] in rows
    assert ["Failure", "Ours", "The <other>"] in rows and ["Page", "Ours", "The <other>"] in rows
    for line in (
        ["Whole book, from nothing", "2.0 s", "4.0 s", "60.5 s"],
        ["Nothing changed", "2.0 s", "4.0 s", "not measured"],
        ["A helper that a page imports", "2.0 s", "4.0 s, wrong", "not measured"],
        ["After a helper changed", "the new output", "the old output"],
        ["A cell fails", "exit code 3", "exit code 3"],
        ["Then published", "the last good site", "the broken page"],
        ["A kernel dies", "exit code 3", "never ended: stopped after 4 s"],
        ["New code of another page", "has run", "has not run"],
        ["Lighthouse, performance", "1.00, 1.00", "1.00, 1.00"],
        ["Largest contentful paint, s", "1.2, 1.2", "1.2, 1.2"],
        ["Ours", "sphinx 7, myst-nb 1", "As it is."],
    ):
        assert line in rows, line
    assert "led by" not in text
    without_site = comparison()
    without_site["rows"]["other"]["failing"] |= {"published": False, "site": False}
    line = ["Then published", "the last good site", "neither: pages are gone"]
    assert line in lines(results.block(without_site))


def test_a_row_led_by_another_tool_is_named() -> None:
    text = results.block(comparison(ours=8.0))
    assert "\n- Nothing changed: led by The <other>. mystmd stops before the HTML" in text
    assert "Axe violations: led" not in text


def test_a_tool_without_results_is_left_out_of_the_tables() -> None:
    data = comparison()
    del data["rows"]["onions"]
    text = results.block(data)
    assert ["Build", "The <other>", "The script"] in lines(text) and "led by" not in text
    assert ElementTree.fromstring(results.plot(data)) is not None


def test_the_plot_shows_the_measurements() -> None:
    svg = results.plot(comparison())
    root = ElementTree.fromstring(svg)
    assert root.findtext(f"{SVG}title") == (
        "How long each tool takes for each kind of build, in seconds"
    )
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for text in ("Whole book, from nothing", "Ours", "The <other>", "60.5 s", "4.0 s, wrong"):
        assert text in texts
    assert svg == results.plot(comparison())  # the same data gives the same file
    bars = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("clip-path")][:3]
    ends = [sorted({float(x) for x in re.findall(r"[ML] ([\d.]+)", bar)}) for bar in bars]
    widths = [right - left for left, right in ends]
    assert [round(120 * width / max(widths), 1) for width in widths] == [4.0, 7.9, 120.0]
    (alt,) = re.findall(r"!\[(.*)\]\(comparison.svg\)", results.block(comparison(ours=8.0)))
    assert "Whole book, from nothing: fastest correct build by The <other>." in alt
    assert "A helper that a page imports: fastest correct build by Ours." in alt


def test_write_replaces_only_the_results(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    around = "# Before\n\n{}\n\n## After\n"
    for data in (comparison(), comparison(ours=8.0), comparison()):
        old = f"{results.BEGIN}\nold\n{results.END}"
        readme.write_text(around.format(old), "utf-8")
        for _ in range(2):  # the second write replaces the results of the first
            results.write(data, readme)
            block = f"{results.BEGIN}\n\n{results.block(data)}\n\n{results.END}"
            assert readme.read_text("utf-8") == around.format(block)
    assert (tmp_path / results.PLOT).read_text("utf-8") == results.plot(comparison())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", results.PLOT]


@pytest.mark.parametrize("text", ["", results.BEGIN, results.END, results.END + results.BEGIN])
def test_a_missing_marker_is_named(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="a marker is missing"):
        results.write(comparison(), readme)
    assert readme.read_text("utf-8") == text and not (tmp_path / results.PLOT).exists()


def test_a_tool_leads_if_it_is_clearly_better_than_ours() -> None:
    rows = {row.label: row for table in results.TABLES.values() for row in table}
    assert not any(results.leaders(row, comparison()) for row in rows.values())
    assert results.leaders(rows["Nothing changed"], comparison(ours=4.1)) == []  # a tie
    assert results.leaders(rows["Nothing changed"], comparison(ours=4.3)) == ["other"]
    data = comparison()
    data["rows"]["onions"]["dead"]["exit"] = None
    data["rows"]["other"]["dead"]["exit"] = 1
    assert results.leaders(rows["A kernel dies"], data) == ["other"]


@pytest.mark.parametrize("name", tools.TOOLS)
def test_every_tool_gets_the_same_pages(
    small: Small, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_rst", lambda text: f"{text}\n")  # without pandoc
    monkeypatch.setattr(tools, "CODE", tmp_path / "code")
    monkeypatch.setattr(tools, "SOURCE", small(index="# Start\n\nHere.\n", lesson=LESSON_PAGE))
    tools.write_if_changed(tools.SOURCE / "book" / "reference" / "reference_runs.json", "[]")
    pages = Project(tools.SOURCE).pages()
    tool, work = tools.TOOLS[name], tmp_path / "work"
    tool.write(work, pages)
    (path,) = (path for path in work.rglob("*lesson.*") if path.is_file())
    lesson = path.read_text("utf-8")
    assert "Few." in lesson and "How many" in lesson and "{term}`kernel`" in lesson
    assert ("{quiz}" in lesson) == (name in ("onions", "script"))
    if name not in ("onions", "script", "jupyter-book"):
        assert "How many kernels are a number" in lesson and "See other and the figure." in lesson
        assert not re.search(r"\{(glue|quiz|cite|hint)|:::", lesson)
    assert all(Path(command[0]).is_absolute() for command in tool.commands(work))
    for path in work.rglob("*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))
        assert all(not cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)
    for path in [*work.glob("*.yml"), *work.glob("*.py")]:
        if path.suffix == ".py":
            compile(path.read_text("utf-8"), path, "exec")
        else:
            assert yaml.safe_load(path.read_text("utf-8"))


def test_all_directives_of_the_extension_are_removed_for_other_tools() -> None:
    app = MagicMock()
    extension.setup(app)
    assert {call.args[0] for call in app.add_directive.call_args_list} == set(OUR_DIRECTIVES)


def test_an_unchanged_file_is_not_rewritten(tmp_path: Path) -> None:
    """A rewritten file makes tools that compare modification times run everything again."""
    path = tmp_path / "a" / "file"
    tools.write_if_changed(path, "text")
    before = path.stat().st_mtime_ns
    tools.write_if_changed(path, b"text")
    assert path.stat().st_mtime_ns == before
    tools.write_if_changed(path, "other")
    assert path.read_text() == "other"


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_pinned(name: str) -> None:
    assert name in tools.TOOLS
    lock = (PINS / f"{name}.lock").read_text("utf-8")
    assert not URL.search(lock)
    assert len(pins(lock)) >= 20 and all("--hash=sha256:" in pin for pin in pins(lock))
    packages = re.findall(r"^[a-z][a-z0-9_-]+", (PINS / f"{name}.txt").read_text("utf-8"), re.M)
    assert packages
    assert all(f"\n{package.replace('_', '-')}==" in lock for package in packages)


def test_the_readme_lists_every_script() -> None:
    listed = re.findall(r"^\| `(\w+\.py)` \|", results.README.read_text("utf-8"), re.M)
    assert sorted(listed) == sorted(path.name for path in results.README.parent.glob("*.py"))


def test_the_results_show_the_pinned_versions() -> None:
    text = results.README.read_text("utf-8").partition("### Tools")[2].partition(results.END)[0]
    shown = {title: versions for title, versions, *_ in lines(text)[2:]}
    assert shown.keys() == {tool.title for tool in tools.TOOLS.values()}
    for name in PEERS:
        lock = (PINS / f"{name}.lock").read_text("utf-8")
        versions = dict(each.split() for each in shown[tools.TOOLS[name].title].split(", "))
        assert versions.keys() == {*tools.TOOLS[name].packages}
        for package, version in versions.items():
            assert f"\n{package}=={version} " in lock, f"{name}: run `make bench`"
