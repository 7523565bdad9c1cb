"""``onions diff``: which changes between two builds it reports."""

import base64
import io
import json
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from matplotlib import style
from matplotlib.figure import Figure
from nbformat import NotebookNode
from onions.book.project import Project
from onions.cli import main
from onions.compare.pictures import MOST_DIFFERING, compare_pixels, read_picture
from onions.figures import STYLE
from onions.images.sources import Source
from onions.store.build import Build
from onions.store.entries import PAGES_FILE, Store
from onions.store.fingerprint import components, fingerprint_of
from PIL import Image
from playwright.sync_api import Browser
from support.browsing import axe_violations
from support.git import git
from support.pages import PRINTING_PAGE, SILENT_PAGE
from support.projects import ROOT, Small, run_onions

Result = tuple[int, str, str]  # exit status, stdout, stderr
Diff = Callable[..., Result]

BUILD = Build(Source("sketches", "", "1", "the stand-in", "asked"), "full", "3.11.7")
SUMMARY = """\
Model: "network"
│ dense (Dense)    │ (None, {n})    │     {n} │
 Total params: {n} (1.00 KB)
 Trainable params: {n} (1.00 KB)
 Non-trainable params: 0 (0.00 B)
"""


def claim(sentence: str, holds: bool | None, **numbers: Any) -> NotebookNode:
    record = {"sentence": sentence, "holds": holds, "why": "", "measures": numbers}
    return display_output({"text/plain": ""}, {"onions": {"claim": record}})


def measure(name: str, value: Any) -> NotebookNode:
    return display_output(
        {"text/plain": ""}, {"onions": {"measure": {"name": name, "value": value}}}
    )


def display_output(data: dict[str, str], metadata: dict[str, Any] | None = None) -> NotebookNode:
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata or {})


def stream_outputs(text: str) -> list[NotebookNode]:
    """Return one output per line, as Keras prints a summary."""
    return [nbformat.v4.new_output("stream", text=line) for line in text.splitlines(keepends=True)]


def png(image: Image.Image) -> NotebookNode:
    file = io.BytesIO()
    image.save(file, "PNG")
    return display_output({"image/png": base64.b64encode(file.getvalue()).decode()})


def svg(text: str) -> NotebookNode:
    return display_output({"image/svg+xml": text})


def notebook(*outputs: NotebookNode) -> NotebookNode:
    cell = nbformat.v4.new_code_cell("1", outputs=list(outputs))
    return nbformat.v4.new_notebook(cells=[cell])


def entry_facts(page: str = "index", **others: Any) -> dict[str, Any]:
    return {
        "page": page,
        "executed": "2026-01-02T03:04:05+00:00",
        "seconds": 10.0,
        "device": "a computer",
        "build": asdict(BUILD),
        "components": {
            "facts": {"data": "sketches 1", "python": "3.11.7"},
            "cells": {"cell 1": "ab"},
            "packages": {"keras": "3.1"},
            "dependencies": {"numpy": "1.9", "six": "1.17"},
        },
        **others,
    }


def add_entry(folder: Path, *outputs: NotebookNode, **others: Any) -> Path:
    """Add a page of the last build to a store. Return the store's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build.json").write_text(json.dumps(asdict(BUILD)))
    facts, store = entry_facts(**others), Store(folder)
    fingerprint = fingerprint_of({**facts["components"], "page": {"name": facts["page"]}})
    store.write(fingerprint, notebook(*outputs), **facts)
    pages = store.pages() if (folder / PAGES_FILE).exists() else {}
    store.write_pages(pages | {facts["page"]: fingerprint})
    return folder


@pytest.fixture
def diff(project_folder: Path, small: Small, capsys: pytest.CaptureFixture[str]) -> Diff:
    """A function that compares two builds, with the reference runs of a small project."""

    def run(*arguments: object) -> Result:
        if not (project_folder / "_toc.yml").exists():
            small(index="# Title")
        status = main(["--project", str(project_folder), "diff", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def diff_outputs(tmp_path: Path, diff: Diff) -> Diff:
    """A function that compares two stores of one page with the given outputs."""

    def run(before: list[NotebookNode], after: list[NotebookNode], *options: object) -> Result:
        return diff(add_entry(tmp_path / "a", *before), add_entry(tmp_path / "b", *after), *options)

    return run


def write_reference_runs(root: Path, **measures: list[Any]) -> None:
    """Write reference runs of the page index, which measured the same in the first and second."""
    path = root / "book" / "reference" / "reference_runs.json"
    path.parent.mkdir(parents=True)
    page = {
        "code": "", "runs": [[seed, 0] for seed in range(1, 11)],
        "scales": {}, "measures": measures, "claims": {}, "curves": {},
    }  # fmt: skip
    runs = {
        "data": "sketches", "data identity": "1", "backend": "tensorflow", "device": "CPU",
        "pages": {"index": page},
    }  # fmt: skip
    other = {**runs, "data": "cifar10", "data identity": "2", "pages": {}}
    path.write_text(json.dumps([runs, other]))


def plot(level: float = 1.0, label: str = "validation", *, bars: bool = False) -> NotebookNode:
    """Return a figure of two curves, in the book's style."""
    with style.context(STYLE):
        figure = Figure()
        axes = figure.subplots()
        for curve, name in ((1.0, "training"), (level, label)):
            values = [curve * (1 - 0.8**epoch) for epoch in range(10)]
            (axes.bar if bars else axes.plot)(range(10), values, label=name)
        axes.legend()
        file = io.StringIO()
        figure.savefig(file, format="svg")
    return svg(file.getvalue())


def test_equal_builds_have_nothing_to_report(diff_outputs: Diff) -> None:
    outputs = [claim("It is so.", True), measure("x", 1), *stream_outputs(SUMMARY), plot()]
    for form in ("text", "markdown", "html"):
        status, out, err = diff_outputs(outputs, outputs, "--format", form)
        assert status == 0 and "othing to report" in out and err == "", form
        assert "All pages took 10 s → 10 s." in out
        assert "Ran with" in out and "the same data, versions and device" in out


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (True, False, "holds → does not hold (x = 1)"),
        (False, True, "does not hold → holds (x = 1)"),
        (True, None, "holds → not checked (x = 1)"),
        ("absent", True, "absent → holds (x = 1)"),
        (True, "absent", "holds → absent (x = 1)"),
        (True, True, ""),
        (None, None, ""),
    ],
)
def test_a_changed_claim_is_reported(
    diff_outputs: Diff, before: Any, after: Any, expected: str
) -> None:
    outputs = [
        [claim("It is so.", x, x=1) for x in (holds,) if x != "absent"] for holds in (before, after)
    ]
    status, out, _ = diff_outputs(*outputs)
    assert status == bool(expected)
    assert (f"index: It is so.: {expected}\n" in out) if expected else "Claims" not in out


def test_a_claim_that_no_longer_holds_comes_first(diff_outputs: Diff) -> None:
    was, now = {"One.": None, "Two.": True, "Three.": True}, {"One.": True, "Two.": None}
    before = [claim(sentence, holds) for sentence, holds in was.items()]
    after = [claim(sentence, holds) for sentence, holds in {**now, "Three.": False}.items()]
    _, out, _ = diff_outputs(before, after)
    assert re.findall("index: (.*?):", out) == ["Three.", "Two.", "One."]


REFERENCE_MEASURES: dict[str, list[Any]] = {
    "n": [1.0, 1.1, 1.2, 1.3, 1.4] * 2,  # one more is expected from 0.692 to 1.708
    "flag": [True, False] * 5,
    "sure": [True] * 10,
    "word": ["a", "b"] * 5,
}
RANGE = "0.6919 to 1.708 in 99 of 100 runs"


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("n", 1.0, 1.71, f"1 → 1.71 ({RANGE})"),
        ("n", 1.0, 1.7, "noise"),
        ("n", 9.5, 1.0, f"9.5 → 1 ({RANGE})"),
        ("flag", True, False, "noise"),
        ("sure", True, False, "True → False"),
        ("word", "a", "b", "noise"),
        ("other", 1.0, 1.00001, "1 → 1.00001"),
        ("other", 1.0, 1.0 + 1e-8, ""),
        ("other", 3072, 3073, "3,072 → 3,073"),
        ("other", True, 1, "True → 1"),
        ("n", None, 1, f"absent → 1 ({RANGE})"),
        ("n", 1, None, f"1 → absent ({RANGE})"),
    ],
)
def test_a_measure_that_changes_beyond_what_is_expected_is_reported(
    project_folder: Path,
    diff_outputs: Diff,
    name: str,
    before: Any,
    after: Any,
    expected: str,
) -> None:
    write_reference_runs(project_folder, **REFERENCE_MEASURES)
    outputs = [[measure(name, v)] if v is not None else [] for v in (before, after)]
    status, out, _ = diff_outputs(*outputs)
    changed = expected not in ("noise", "")
    assert status == changed
    assert (f"index: {name}: {expected}\n" in out) if changed else "Measures" not in out
    noise = "1 measure" if expected == "noise" else "0 measures"
    assert f"{noise} changed as expected" in out


def test_the_spread_comes_from_reference_runs_with_the_second_build_s_data(
    project_folder: Path, diff_outputs: Diff, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference_runs(project_folder, **REFERENCE_MEASURES)
    assert diff_outputs([measure("n", 1.0)], [measure("n", 1.3)])[0] == 0
    other = replace(BUILD, source=replace(BUILD.source, name="cifar10", identity="2"))
    monkeypatch.setitem(globals(), "BUILD", other)
    assert diff_outputs([measure("n", 1.0)], [measure("n", 1.3)])[0] == 1


def test_a_changed_network_summary_is_reported_as_a_diff(diff_outputs: Diff) -> None:
    first = [*stream_outputs(SUMMARY.format(n=1)), *stream_outputs("Epoch 1, 3 s\n")]
    before = [*first, *stream_outputs(SUMMARY.format(n=20))]
    after = [*stream_outputs("Epoch 1, 4 s\n"), *first, *stream_outputs(SUMMARY.format(n=30))]
    status, out, _ = diff_outputs(before, after, "--format", "markdown")
    assert status == 1 and "<details><summary>index: summary 2</summary>\n\n```diff\n" in out
    assert "\n- Total params: 20 (1.00 KB)\n" in out and "\n+ Total params: 30 (" in out
    assert "summary 1<" not in out and "Epoch" not in out
    assert diff_outputs(before, [*stream_outputs("Epoch 2, 5 s\n"), *before])[0] == 0
    text = diff_outputs(before, stream_outputs(SUMMARY.format(n=1)))[1]
    assert "  index: summary 2\n" in text and "\n    - Total params: 20 (1.00 KB)\n" in text


def test_a_curve_that_moves_a_little_is_the_same_figure(diff_outputs: Diff) -> None:
    assert plot(0.8) != plot(0.83)
    assert diff_outputs([plot(0.8)], [plot(0.83)])[:1] == (0,)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([plot(0.8)], [plot(0.8, "test")], "figure 1: words “validation” → “test”"),
        ([plot(0.8)], [plot(0.8, bars=True)], r"figure 1: \d\d% of the pixels differ"),
        ([], [plot()], "figure 1: is new"),
        ([plot(), plot()], [plot()], "figure 2: is gone"),
        (
            [png(Image.new("RGB", (30, 20)))],
            [png(Image.new("RGB", (30, 30)))],
            "figure 1: size 30 × 20 → 30 × 30 pixels",
        ),
        (
            [png(Image.new("RGB", (30, 20), "red"))],
            [png(Image.new("RGB", (30, 20), "blue"))],
            "figure 1: 100% of the pixels differ",
        ),
    ],
)
def test_a_changed_figure_is_reported(
    diff_outputs: Diff,
    before: list[NotebookNode],
    after: list[NotebookNode],
    expected: str,
) -> None:
    status, out, _ = diff_outputs(before, after)
    assert status == 1 and re.search(f"index: {expected}\n", out), out


def test_a_share_of_pixels_just_beyond_the_threshold_is_a_difference() -> None:
    white = Image.new("RGB", (100, 100), "white")
    for rows, beyond in ((9, False), (11, True)):
        other = white.copy()
        other.paste("black", (0, 0, 100, rows))
        pictures = [
            read_picture("image/png", png(image).data["image/png"]) for image in (white, other)
        ]
        assert (compare_pixels(*pictures)[0] > MOST_DIFFERING) is beyond


def huge_png(width: int) -> str:
    """Return a PNG without pixels whose header says that it is a square of this width."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)), (b"IDAT", b""))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, data in chunks:
        parts += [struct.pack(">I", len(data)), name, data]
        parts += [struct.pack(">I", zlib.crc32(name + data))]
    return base64.b64encode(b"".join(parts)).decode()


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" '


@pytest.mark.parametrize(
    ("unreadable", "reason"),
    [
        (display_output({"image/png": huge_png(3000)}), "it has 3,000 × 3,000 pixels"),
        (display_output({"image/png": huge_png(100_000)}), "it has far too many pixels"),
        (
            display_output({"image/png": base64.b64encode(b"no picture").decode()}),
            "its PNG is broken",
        ),
        (display_output({"image/png": "§"}), "its PNG is not valid Base64"),
        (svg("<svg"), "its SVG is broken"),
        (svg(f'{SVG} width="99999999" height="99999999"/>'), "its SVG can't be drawn"),
        (
            svg(f'{SVG} width="9" height="9"><image href="/a.png"/></svg>'),
            "its SVG refers to another file or URL",
        ),
        (
            svg(f'{SVG} width="9" height="9"><image x:href="http://a/b"/></svg>'),
            "its SVG refers to",
        ),
        (
            svg(
                '<!DOCTYPE svg [<!ENTITY a "/a.png">]>'
                f'{SVG} width="9" height="9"><image href="&a;"/></svg>'
            ),
            "its SVG refers to",
        ),
    ],
)
def test_an_unreadable_picture_is_reported_with_the_reason(
    diff_outputs: Diff, unreadable: NotebookNode, reason: str
) -> None:
    small = png(Image.new("RGB", (30, 20)))
    for pair in (([small], [unreadable]), ([unreadable], [small]), ([], [unreadable])):
        status, out, err = diff_outputs(*pair, "--format", "html")
        assert status == 1 and err == "" and "<img" not in out
        assert f"be compared: {reason}" in out.replace("&#39;", "'")


def test_an_svg_may_refer_to_itself() -> None:
    inside = png(Image.new("RGB", (2, 2), "red")).data["image/png"]
    text = (
        f'{SVG} width="9" height="9"><g id="a"><image width="9" height="9" '
        f'href="data:image/png;base64,{inside}"/></g><use x:href="#a"/></svg>'
    )
    assert read_picture("image/svg+xml", text).image.getpixel((4, 4)) == (255, 0, 0, 255)


@pytest.mark.parametrize(
    ("before", "after", "reported"),
    [(10, 16, True), (16, 10, True), (10, 14.9, False), (100, 149, False), (1, 5.5, False)],
)
def test_a_large_change_of_time_is_reported(
    tmp_path: Path, diff: Diff, before: float, after: float, reported: bool
) -> None:
    old_store, new_store = (add_entry(tmp_path / str(s), seconds=s) for s in (before, after))
    status, out, _ = diff(old_store, new_store)
    assert status == reported and ("index: seconds: " in out) is reported
    assert f"All pages took {before:.0f} s → {after:.0f} s." in out


def test_changed_versions_and_devices_are_reported(tmp_path: Path, diff: Diff) -> None:
    parts = entry_facts()["components"] | {
        "cells": {"cell 1": "cd"},
        "packages": {"keras": "3.2", "pandas": "3.0"},
        "dependencies": {"numpy": "2.0", "six": "1.18", "tzdata": "2026.1"},
    }
    before = add_entry(tmp_path / "a")
    after = add_entry(tmp_path / "b", device="a GPU", components=parts)
    status, out, _ = diff(before, after)
    assert status == 1
    (line,) = [line for line in out.splitlines() if line.startswith("Ran with: ")]
    assert "keras 3.1 → 3.2; pandas not used → 3.0" in line and "cell" not in line
    assert "numpy 1.9 → 2.0, and 2 other dependencies" in line and "six" not in line
    assert "device a computer → a GPU" in line


def test_claims_of_a_page_that_one_build_lacks_are_absent(tmp_path: Path, diff: Diff) -> None:
    before, after = (add_entry(tmp_path / name, claim("It is so.", True)) for name in "ab")
    add_entry(after, claim("Another.", False), page="second")
    status, out, _ = diff(before, after)
    assert status == 1 and "second: Another.: absent → does not hold" in out
    assert "index" not in out


def test_a_store_is_compared_by_the_pages_of_its_last_build(tmp_path: Path, diff: Diff) -> None:
    before = add_entry(tmp_path / "a", measure("n", 1))
    for value in (2, 3):  # the later run is of a later text
        parts = {**entry_facts()["components"], "cells": {"cell 1": str(value)}}
        after = add_entry(tmp_path / "b", measure("n", value), components=parts)
    later = Store(after).pages()["index"]
    [earlier] = [path.stem for path in Store(after).entries() if path.stem != later]
    Store(after).write_pages({"index": earlier})  # it was restored
    _, out, _ = diff(before, after)
    assert "n: 1 → 2" in out and "→ 3" not in out


def test_pages_that_share_an_entry_are_compared_each(tmp_path: Path, diff: Diff) -> None:
    before, after = (
        add_entry(tmp_path / name, measure("n", n)) for name, n in (("a", 1), ("b", 2))
    )
    for store in map(Store, (before, after)):
        store.write_pages(dict.fromkeys(["index", "second"], store.pages()["index"]))
    _, out, _ = diff(before, after)
    assert "index: n: 1 → 2" in out and "second: n: 1 → 2" in out


def test_damaged_and_missing_entries_of_a_store_are_named(tmp_path: Path, diff: Diff) -> None:
    before = add_entry(tmp_path / "a", measure("n", 1))
    after = add_entry(tmp_path / "b", measure("n", 1))
    Store(after).write_pages(Store(after).pages() | {"second": "ab", "third": "cd"})
    Store(after).path("ab").write_text("{")
    status, out, _ = diff(before, after)
    assert status == 1
    assert re.search(r"second: \S+ab\.ipynb: damaged", out)
    assert re.search(r"third: \S+cd\.ipynb: the file is missing", out)


def test_a_site_is_compared_by_its_published_store(tmp_path: Path, diff: Diff) -> None:
    add_entry(tmp_path / "site" / "store", measure("n", 1))
    status, out, _ = diff(tmp_path / "site", add_entry(tmp_path / "b", measure("n", 2)))
    assert status == 1 and "n: 1 → 2" in out


def store_page(root: Path, name: str, *outputs: NotebookNode, date: str = "2026-01-01") -> None:
    """Store a run of a project's page in its current state, with these outputs."""
    project = Project(root)
    BUILD.write(project.store)
    parts = components(project.page(name), project, BUILD)
    facts = entry_facts(name, executed=date, components=parts)
    Store(project.store).write(fingerprint_of(parts), notebook(*outputs), **facts)


@pytest.fixture
def repository(small: Small) -> Path:
    """A git repository of a project and our code, with the tags `old` and `new` (checked out)."""
    root = small(index=PRINTING_PAGE, other=SILENT_PAGE)
    shutil.copytree(ROOT / "code", root / "code", ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".gitignore").write_text("_build\n")
    store_page(root, "index", measure("n", 1), date="2026-01-02")
    store_page(root, "other", measure("m", 1))
    commit(root, "old")
    small(index=PRINTING_PAGE.replace("6", "7"), other=SILENT_PAGE)
    store_page(root, "index", measure("n", 2))  # older than the run of `old`
    commit(root, "new")
    return root


def commit(root: Path, tag: str) -> None:
    """Commit everything in a project and tag the commit; the first call makes the repository."""
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", tag], ["tag", tag]):
        git(root, *command)


def test_a_project_is_compared_by_its_current_pages(repository: Path, diff: Diff) -> None:
    before = add_entry(repository / "a", measure("n", 3))
    status, out, _ = diff(before, repository)
    assert status == 1 and "n: 3 → 2" in out and "other: m: absent → 1" in out


@pytest.mark.kernel
def test_git_revisions_are_compared(repository: Path, diff: Diff) -> None:
    status, out, _ = diff("old", "new")
    assert status == 1 and "old → new" in out and "index: n: 1 → 2" in out and "m:" not in out
    assert diff("new", repository)[0] == 0
    assert not list(repository.glob("onions-*"))
    page = repository / "book" / "index.md"
    page.write_text(page.read_text() + "\nIt is small{claim}`n < n`.\n")
    status, out, _ = diff("new", repository)
    assert status == 1 and "index: It is small.: absent → does not hold (n = 2)" in out
    git(repository, "checkout", "-q", "book/index.md")
    status, out, _ = diff("new~1", "HEAD")
    assert status == 1 and "index: n: 1 → 2" in out


@pytest.mark.kernel
def test_stale_pages_are_named(repository: Path, diff: Diff, small: Small) -> None:
    small(index=PRINTING_PAGE.replace("6", "8"), other=SILENT_PAGE)
    commit(repository, "newer")
    status, out, _ = diff("new", "newer")
    assert status == 1 and "n: " not in out
    assert "index: stale in newer (cell 1 changed)." in out
    assert "Run `git switch --detach newer && onions execute`." in out
    small(index=PRINTING_PAGE.replace("6", "8"), other=SILENT_PAGE.replace("1", "8"))
    status, _, err = diff("new", repository)
    assert status == 2 and "all pages are stale" in err
    assert f"Run `onions execute` in {repository}." in err


def test_a_revision_whose_code_lists_no_fingerprints_is_refused(
    repository: Path, diff: Diff
) -> None:
    path = repository / "code" / "onions" / "commands.py"
    path.write_text(path.read_text().replace('"--json"', '"--jason"'))
    commit(repository, "ancient")
    status, _, err = diff("ancient", "new")
    assert status == 2 and "ancient: its own code can't list its pages' fingerprints" in err
    assert "Run `git switch --detach ancient && onions execute`" in err


def test_an_argument_that_names_no_build_is_refused(tmp_path: Path, diff: Diff) -> None:
    good = add_entry(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    cases = {
        tmp_path / "nowhere": "neither a folder nor a git revision",
        "--upload-pack": "neither a folder nor a git revision",
        tmp_path / "empty": r"no build in this folder.*Run `onions execute`",
    }
    for name, message in cases.items():
        for pair in ((name, good), (good, name)):
            status, out, err = diff("--", *pair)
            assert status == 2 and out == "" and re.search(f"{name}: {message}", err), err
    for path in good.glob("*.ipynb"):
        path.write_text("{")
    status, _, err = diff(good, good)
    assert status == 2 and f"{good}: no readable page of the last build" in err
    (good / "build.json").write_text("{")
    status, _, err = diff(good, good)
    assert status == 2 and "build.json: damaged" in err and "Run `onions execute`" in err


def test_revisions_without_a_store_are_refused(repository: Path, diff: Diff) -> None:
    shutil.rmtree(repository / "_build")
    status, _, err = diff("old", "new")
    assert status == 2 and f"{repository / '_build' / 'store'}: nothing executed yet" in err


@pytest.mark.kernel
def test_a_damaged_entry_of_a_revision_is_named(repository: Path, diff: Diff) -> None:
    path = next(path for path in Store(repository / "_build" / "store").entries())
    path.write_text("{")
    status, out, err = diff("old", "new")
    assert (status, str(path.name) in out + err) == (1, True)


MARKUP = 'x | <script>alert("1")</script> [a](http://b) `c` *d* @e \x1b[31m\n# f'


def test_markup_in_an_entry_is_escaped(diff_outputs: Diff) -> None:
    network = SUMMARY.format(n=1).replace("dense (Dense)", "`````</pre></details><b>\x1b[1m")
    words = MARKUP.replace("\x1b", "")  # XML forbids this character
    figure = svg(plot().data["image/svg+xml"].replace("validation", words))
    after = [
        claim(MARKUP, True),
        measure(MARKUP, MARKUP),
        *stream_outputs(network),
        figure,
    ]
    status, out, _ = diff_outputs([plot()], after, "--format", "html")
    assert status == 1 and "<script" not in out and "<b>" not in out and "\x1b" not in out
    assert out.count("&lt;script&gt;") == 4
    _, out, _ = diff_outputs([plot()], after, "--format", "markdown")
    assert "<script" not in out and "\x1b" not in out and "\n# f" not in out
    assert r"x \| &lt;script&gt;" in out and r"\[a\](" not in out and r"\`c\` \*d\*" in out
    assert "@e" not in out and r"http\://" in out
    block = out.partition("<details>")[2]
    assert "\n``````diff\n" in block and block.count("``````") == 2
    _, out, _ = diff_outputs([plot()], after)
    assert "\x1b" not in out and "\n#" not in out


def test_status_json_has_the_state_and_reasons_of_each_page(repository: Path) -> None:
    done = run_onions(repository, "status", "--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 0 and [row["page"] for row in rows] == ["index", "other"]
    assert all(row["fresh"] and row["why"] == [] for row in rows)
    assert (repository / "_build" / "store" / f"{rows[0]['fingerprint']}.ipynb").exists()
    (repository / "book" / "index.md").write_text(PRINTING_PAGE.replace("6", "9"))
    done = run_onions(repository, "status", "--json")
    row = json.loads(done.stdout)[0]
    assert done.returncode == 1 and not row["fresh"] and row["why"] == ["cell 1 changed"]


@pytest.fixture
def report_url(tmp_path: Path, diff_outputs: Diff) -> Iterator[str]:
    """The URL of a report with every section."""
    before = [
        claim("It is so.", True),
        measure("n", 1),
        *stream_outputs(SUMMARY.format(n=1)),
        plot(0.8),
    ]
    after = [
        claim("It is so.", False),
        measure("n", 2),
        *stream_outputs(SUMMARY.format(n=2)),
    ]
    path = tmp_path / "diff.html"
    after += [plot(0.8, "test"), plot()]
    status, out, _ = diff_outputs(before, after, "--format", "html")
    assert status == 1
    path.write_text(out, "utf-8")
    yield path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_accessible_and_requests_nothing(
    report_url: str, chromium: Browser, scheme: str
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    tab = context.new_page()
    urls: list[str] = []
    messages: list[str] = []
    tab.on("request", lambda request: urls.append(request.url))
    tab.on("console", lambda message: messages.append(message.text))
    tab.goto(report_url)
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == messages == []
    assert tab.locator("html[lang=en] main h2").all_inner_texts() == [
        "Claims",
        "Measures",
        "Networks",
        "Figures",
    ]
    image_states = "[...document.images].map(i => [i.alt, i.naturalWidth > 0])"
    assert tab.evaluate(image_states) == [
        ["Figure 1 of index: before.", True],
        ["Figure 1 of index: after.", True],
        ["Figure 1 of index: difference.", True],
        ["Figure 2 of index: after.", True],
    ]
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390, "wider than a phone"
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (scheme == "light")
    assert axe_violations(tab) == []
    context.close()
