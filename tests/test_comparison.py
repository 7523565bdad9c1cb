"""The comparison with other tools: what the page shows, what the tools get, how they are pinned."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import nbformat
import pytest
import stock
import tools
import yaml
from conftest import ROOT, run_onions
from onions import extension
from onions.extension.comparison import TABLES, leaders
from onions.pages import Project

Small = Callable[..., Path]

PINS = ROOT / "benchmarks" / "peers"
PEERS = sorted(path.stem for path in PINS.glob("*.txt"))
SHOWN = "# Compared\n\n" + "\n".join(
    f"```{{comparison}} {what}\n```\n" for what in ("made", "plot", *TABLES)
)
LESSON = """---
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
    """Everything that is measured of a tool."""
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


def compared(ours: float = 2.0, theirs: float = 4.0) -> dict[str, Any]:
    titles = {"onions": "Ours", "other": "The <other>", "script": "The script"}
    return {
        "machine": "a machine",
        "python": "3.11.7",
        "data": "the stand-in",
        "profile": "smoke",
        "lighthouse": "12",
        "date": "2026-01-31",
        "tools": {
            name: {"title": title, "settings": "As it is.", "versions": {}}
            for name, title in titles.items()
        },
        "rows": {
            "onions": tool("Ours", ours),
            "other": tool("The <other>", theirs, right=False),
            "script": {"nothing": result(60.5)},
        },
    }


def write(root: Path, data: object) -> None:
    path = root / "book" / "reference" / "comparison.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))


def shown(root: Path) -> str:
    done = run_onions(root, "render")
    assert done.returncode == 0, done.stdout + done.stderr
    return (root / "_build" / "html" / "index.html").read_text("utf-8")


@pytest.fixture
def shows(small: Small) -> Path:
    """A project of one page that shows everything."""
    root = small(index=SHOWN)
    write(root, compared())
    assert run_onions(root, "execute").returncode == 0
    return root


def test_the_page_shows_what_was_measured_and_follows_it(shows: Path) -> None:
    page = shown(shows)
    (alt,) = re.findall('aria-label="(Whole book[^"]*)"', page)
    assert (
        alt == "Whole book, from nothing: Ours 2.0 s, The &lt;other&gt; 4.0 s, The script 60.5 s."
    )
    bars = re.findall(r'<rect x="\d+" y="\d+" width="([\d.]+)"', page)[:3]
    assert bars == ["4.0", "7.9", "120.0"]  # as long as the seconds are many
    for cell in ("60.5 s", "not measured", "exit code 3", "never ended: stopped after 4 s"):
        assert f"<p>{cell}</p>" in page
    for cell in ("the old output", "the broken page", "has not run", "1.00, 1.00", "1.2, 1.2"):
        assert f"<p>{cell}</p>" in page
    assert "Measured on 2026-01-31, on a machine" in page and "better with" not in page

    write(shows, compared(ours=8.0))
    page = shown(shows)
    assert "Nothing changed: better with The &lt;other&gt;." in page
    assert "axe finds: better" not in page


@pytest.mark.parametrize("damage", ["", "[]", '{"tools": {}}'])
def test_a_result_that_cannot_be_shown_is_named(shows: Path, damage: str) -> None:
    write(shows, damage)
    done = run_onions(shows, "render")
    assert done.returncode == 1 and "comparison.json: damaged" in done.stdout + done.stderr


def test_a_missing_result_is_named(small: Small) -> None:
    root = small(index=SHOWN)
    assert run_onions(root, "execute").returncode == 0
    done = run_onions(root, "render")
    assert done.returncode == 1
    assert "comparison.json: it is missing. Run `make bench`." in done.stdout + done.stderr


def test_who_leads() -> None:
    rows = {row.label: row for table in TABLES.values() for row in table}
    assert not any(leaders(row, compared()) for row in rows.values())
    assert leaders(rows["Nothing changed"], compared(ours=4.1)) == []  # a tie
    assert leaders(rows["Nothing changed"], compared(ours=4.3)) == ["other"]
    data = compared()
    data["rows"]["onions"]["dead"]["exit"] = None
    data["rows"]["other"]["dead"]["exit"] = 1
    assert leaders(rows["A kernel dies"], data) == ["other"]


@pytest.mark.parametrize("name", tools.TOOLS)
def test_every_tool_gets_the_same_pages(
    small: Small, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_rst", lambda text: f"{text}\n")  # pandoc is not here
    monkeypatch.setattr(tools, "CODE", tmp_path / "code")
    monkeypatch.setattr(tools, "SOURCE", small(index="# Start\n\nHere.\n", lesson=LESSON))
    tools.put(tools.SOURCE / "book" / "reference" / "reference_runs.json", "[]")
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


def test_others_get_none_of_our_directives() -> None:
    app = MagicMock()
    extension.setup(app)
    assert {call.args[0] for call in app.add_directive.call_args_list} == set(stock.OURS)


def test_a_copy_is_written_once(tmp_path: Path) -> None:
    """Otherwise a tool that goes by a file's time would run everything again."""
    path = tmp_path / "a" / "file"
    tools.put(path, "text")
    before = path.stat().st_mtime_ns
    tools.put(path, b"text")
    assert path.stat().st_mtime_ns == before
    tools.put(path, "other")
    assert path.read_text() == "other"


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_pinned(name: str) -> None:
    assert name in tools.TOOLS
    lock = (PINS / f"{name}.lock").read_text("utf-8")
    assert not re.search(r"https?:|--index-url|--find-links|\s@\s", lock)
    pins = [pin for pin in re.split(r"\n(?=[a-z])", lock) if re.match(r"[a-z0-9._-]+==", pin)]
    assert len(pins) >= 20 and all("--hash=sha256:" in pin for pin in pins)
    wanted = re.findall(r"^[a-z][a-z0-9_-]+", (PINS / f"{name}.txt").read_text("utf-8"), re.M)
    assert wanted and all(f"\n{one.replace('_', '-')}==" in lock for one in wanted)


def test_the_book_s_comparison_is_of_the_pinned_versions() -> None:
    path = ROOT / "book" / "reference" / "comparison.json"
    found = json.loads(path.read_text("utf-8"))["tools"]
    assert found.keys() == tools.TOOLS.keys()
    for name in PEERS:
        lock = (PINS / f"{name}.lock").read_text("utf-8")
        assert found[name]["versions"]
        for package, version in found[name]["versions"].items():
            assert f"\n{package}=={version} " in lock, f"{name}: run `make bench`"
