"""The frame of all explorers, and the pooling, dropout and replay explorers."""

import gzip
import json
import re
import subprocess
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onions.book.project import Project
from onions.extension.teaching.explorers import NAMES
from onions.store.entries import measures
from playwright.sync_api import Page, expect
from pypdf import PdfReader
from support.browsing import record_messages, record_requests
from support.explorers import (
    EXPLORERS,
    RunScript,
    decimals,
    numbers,
    open_explorer,
    reserved_height,
    unpack,
)
from support.pages import entry
from support.projects import ROOT, Small, address, run_onions
from support.runs import store_runs

PAGES = {  # a page with each explorer
    "class": "reference/instructor",
    "convolution": "convolution",
    "dropout": "dropout",
    "forward": "training",
    "network": "pooling",
    "pooling": "pooling",
    "prediction": "inspection",
    "replay": "dropout",
    "series": "time_series",
    "train": "training",
    "workbench": "workbench",
}
CHANGING = [("train", "diagnosis"), ("train", "dropout")]  # with fields for what may change
MAX_WEIGHT = 30 * 1024  # bytes of an explorer's module and all its imports, gzipped

EXPORT = """```{code-cell} python
:tags: [remove-cell, build-only, export]
from onions.exports import export
export("numbers", values=[1, 2])
```
"""
DRAWN = """```{code-cell} python
---
tags: [remove-cell, build-only]
mystnb:
  figure:
    name: fig-line
  image:
    alt: "A line that rises from the left to the right, as far as the figure goes."
---
import matplotlib.pyplot as plt
plt.plot([1, 2]);
```
"""
EXPLORER = """# Title

{cells}

::::{{explorer}} {name}
{options}

{content}
::::
"""
STILL = ":::{run-figure} index fig-line\nA line.\n:::"


def page(
    name: str = "dropout", options: str = ":title: Look", content: str = STILL, cells: str = DRAWN
) -> str:
    return EXPLORER.format(name=name, options=options, content=content, cells=cells)


def try_build(root: Path) -> subprocess.CompletedProcess[str]:
    store_runs(root)
    return run_onions(root, "render")


INCOMPLETE = [
    (
        page("nothing", cells=""),
        "unknown explorer nothing. Choose one of: class, convolution, dropout, forward, ",
    ),
    (page("shared", cells=""), "unknown explorer shared. Choose one of: "),
    (page(options=":export: x", cells=""), "the explorer dropout has no :title:"),
    (
        page(options=":title: Look\n:export: x", cells=EXPORT),
        "no cell of this page exports x. Call onions",
    ),
    (
        page(options=":title: Look\n:export: none:x", cells=""),
        ":export: none:x: there is no page none",
    ),
    (page(options=":title: Look\n:export: index:x", cells=""), "no cell of index exports x. Call"),
    (
        page(options=":title: Look\n:export: numbers index:numbers", cells=EXPORT),
        ":export: values: exported twice. Rename it in one export.",
    ),
    (
        page(options=":title: Look\n:training: none"),
        ":training: none: no cell of this page records such a training",
    ),
    (page(content="Words.", cells=""), "needs a figure for readers without JavaScript"),
    (page(content="", cells=""), "Content block expected"),
]


def test_incomplete_explorers_fail_the_build(small: Small) -> None:
    """Each page has one error, and each error names its page."""
    pages = {f"wrong{number}": text for number, (text, _) in enumerate(INCOMPLETE)}
    done = try_build(small(index=f"# Index\n\n{EXPORT}\n{DRAWN}", **pages))
    assert done.returncode == 1
    for number, (_, message) in enumerate(INCOMPLETE):
        warnings = re.findall(rf"wrong{number}\.md:\d+: (.*(?:\n(?!\S*\.md:).*)*)", done.stderr)
        assert message in " ".join(" ".join(warnings).split()), done.stderr


def test_page_links_versioned_module_and_export(
    small: Small,
) -> None:
    options = ":title: Look & see\n:export: numbers"
    root = small(index=page(options=options, cells=DRAWN + EXPORT), other="# Other\n\nText.\n")
    assert (done := try_build(root)).returncode == 0, done.stderr
    site = root / "_build" / "html"
    html = (site / "index.html").read_text("utf-8")
    assert re.search(r'<onion-dropout class="explorer"[^>]*>', html)
    assert "Look &amp; see" in html
    module = re.search(r'data-module="(_static/explorers/dropout\.js)\?v=\w{8}"', html)
    data = re.search(r'data-exports="(_exports/index/numbers\.json)\?v=\w{8}"', html)
    assert module and data
    assert 'from "./shared.js?v=' in (site / module[1]).read_text("utf-8")
    assert json.loads((site / data[1]).read_text("utf-8")) == {"values": [1, 2]}
    assert "The figure" not in html
    scripts = (site / "_downloads").rglob("*.py") if (site / "_downloads").exists() else ()
    assert all("onions" not in path.read_text("utf-8") for path in scripts)


def test_explorer_loads_exports_of_two_pages_and_follows_a_change(
    small: Small,
) -> None:
    other = "# Other\n\n" + EXPORT.replace("values=", "more=")
    options = ":title: Look\n:export: numbers other:numbers"
    root = small(index=page(options=options, cells=DRAWN + EXPORT), other=other)
    site = root / "_build" / "html"
    for before, after in (("[1, 2]", "[1, 2]"), ("[1, 2]", "[3]")):
        path = root / "book" / "other.md"
        path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")
        assert (done := try_build(root)).returncode == 0, done.stderr
        html = (site / "index.html").read_text("utf-8")
        exports = re.search('data-exports="(.*?)"', html)
        assert exports
        paths = [address.partition("?v=")[0] for address in exports[1].split()]
        assert paths == ["_exports/index/numbers.json", "_exports/other/numbers.json"]
        values = [json.loads((site / path).read_text("utf-8")) for path in paths]
        assert values == [{"values": [1, 2]}, {"more": json.loads(after)}]


def test_files_of_an_export_are_copied_and_old_ones_deleted(small: Small) -> None:
    cell = EXPORT.replace("values=[1, 2]", 'part={"file": "images-1.bin", "count": 1}')
    root = small(index=page(options=":title: Look\n:export: numbers", cells=DRAWN + cell))
    for name in ("images-1.bin", "images-2.bin"):
        store_runs(root)
        (root / "_build" / "store" / name).write_bytes(name.encode())
        assert (done := run_onions(root, "render")).returncode == 0, done.stderr
        folder = root / "_build" / "html" / "_exports"
        assert [path.name for path in folder.glob("*.bin")] == [name]
        assert (folder / name).read_bytes() == name.encode()
        index = root / "book" / "index.md"
        index.write_text(index.read_text("utf-8").replace("images-1", "images-2"), "utf-8")


def test_module_and_imports_stay_within_the_size_limit() -> None:
    assert {"convolution", "dropout", "pooling", "replay"} <= set(NAMES)
    for name in NAMES:
        needed, waiting = set[str](), {f"{name}.js"}
        while waiting:
            needed |= waiting
            texts = [(EXPLORERS / file).read_text("utf-8") for file in waiting]
            waiting = {m for text in texts for m in re.findall(r'from "\./(.+)"', text)} - needed
        sizes = {file: len(gzip.compress((EXPLORERS / file).read_bytes())) for file in needed}
        assert sum(sizes.values()) <= MAX_WEIGHT, sizes


@pytest.mark.site
def test_figures_are_shown_without_javascript(
    book: Project, site_url: str, scriptless_tab: Page
) -> None:
    for name in ("convolution", "pooling", "dropout"):
        scriptless_tab.goto(f"{site_url}{name}.html")
        explorers = scriptless_tab.locator(".explorer")
        assert explorers.count() >= 1
        for number in range(explorers.count()):
            explorer = explorers.nth(number)
            explorer.scroll_into_view_if_needed()
            expect(explorer.locator("figure img")).to_be_visible()
            assert explorer.locator(".explorer-panel").count() == 0
            assert not explorer.locator("figcaption").inner_text().startswith("Fig.")


@pytest.mark.site
@pytest.mark.parametrize("width", [390, 640, 1280])
def test_height_is_reserved(site_url: str, tab: Page, width: int) -> None:
    """Nothing moves when an explorer loads, also at 1280 pixels and 200 % zoom, which are 640."""
    tab.set_viewport_size({"width": width, "height": 900})
    for name, page in [*PAGES.items(), *CHANGING]:
        reserved = reserved_height(tab, site_url, name, page)
        explorer = open_explorer(tab, site_url, name, page)
        height = explorer.evaluate("element => element.offsetHeight")
        assert abs(height - reserved) <= 1, (name, height / 16)  # rounded to whole pixels
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth"), name


@pytest.mark.site
def test_figure_is_shown_if_the_page_is_opened_as_a_file(book: Project, tab: Page) -> None:
    messages = record_messages(tab)
    tab.goto(address(book, "pooling"))
    explorer = tab.locator("onion-pooling")
    explorer.scroll_into_view_if_needed()
    expect(explorer.locator("figure img")).to_be_visible()
    assert explorer.evaluate("element => getComputedStyle(element).minHeight") == "0px"
    assert messages == []


@pytest.mark.site
def test_module_loads_when_the_reader_scrolls_near_its_explorer(site_url: str, tab: Page) -> None:
    requests = record_requests(tab)
    tab.goto(f"{site_url}pooling.html")
    assert not [url for url in requests if "explorers" in url or "_exports" in url]
    explorer = tab.locator("onion-pooling")
    explorer.scroll_into_view_if_needed()
    expect(explorer).to_have_class("explorer ready")
    exports = {Path(url.partition("?")[0]).name for url in requests if "_exports" in url}
    assert exports == {"network.json", "pooling.json"}
    assert not explorer.locator(".explorer-still").is_visible()


@pytest.mark.site
def test_figure_stays_if_the_data_does_not_load(site_url: str, tab: Page) -> None:
    tab.route("**/_exports/**", lambda route: route.abort())
    messages = record_messages(tab)
    tab.goto(f"{site_url}pooling.html")
    explorer = tab.locator("onion-pooling")
    explorer.scroll_into_view_if_needed()
    tab.wait_for_event("console", lambda message: "onion-pooling" in message.text)
    expect(explorer.locator(".explorer-still img")).to_be_visible()
    assert explorer.locator(".explorer-panel").count() == 0
    assert any("onion-pooling: TypeError" in text for text in messages)


@pytest.mark.site
def test_figure_is_shown_in_print(site_url: str, tab: Page) -> None:
    tab.goto(f"{site_url}dropout.html")
    explorer = tab.locator("onion-dropout")
    explorer.scroll_into_view_if_needed()
    expect(explorer).to_have_class("explorer ready")
    paper = PdfReader(BytesIO(tab.pdf()))
    text = " ".join(sheet.extract_text() for sheet in paper.pages)
    assert "Sixteen outputs of a layer" in " ".join(text.split())
    assert "A hundred steps" not in text


def test_half_precision_numbers_are_unpacked(run_script: RunScript) -> None:
    halves = np.array([0, -0.0, 1, -2.5, 65504, 6e-8, 6.1e-5, 0.1, 1 / 3], "float16")
    unpacked = run_script(
        "async (value) => Array.from((await import('./shared.js')).unpack(value).values)",
        {"dtype": "float16", "shape": [9], "base64": b64encode(halves.tobytes()).decode()},
    )
    assert np.array_equal(np.array(unpacked, "float16"), halves)


def explorers() -> list[tuple[str, str]]:
    """Return the name and the page of every explorer of the book."""
    texts = {page.name: page.text for page in Project(ROOT).pages()}
    return [
        (name, page)
        for page, text in texts.items()
        for name in re.findall(r"^:::+\{explorer\} (\w+)", text, re.M)
    ]


def test_every_explorer_module_is_used_on_a_page() -> None:
    defined = [n for n in NAMES if "define(" in (EXPLORERS / f"{n}.js").read_text("utf-8")]
    assert {name for name, _ in explorers()} == set(defined) - {"shared"}


# Pooling


@pytest.mark.site
def test_pooling_window_moves_by_pointer_and_by_keys(site_url: str, tab: Page) -> None:
    tab.set_viewport_size({"width": 1280, "height": 1200})
    explorer = open_explorer(tab, site_url, "pooling", "pooling")
    height = explorer.evaluate("element => element.offsetHeight")
    status = explorer.get_by_role("status")
    before, after, _, change_after = explorer.get_by_role("application").all()
    after.focus()
    for key in ("ArrowUp",) * 5 + ("ArrowLeft",) * 4 + ("ArrowRight",):
        tab.keyboard.press(key)
    expect(status).to_contain_text("Row 1, column 2: the max of")
    pooled = decimals(status)
    assert len(pooled) == 6 and pooled[4] == max(pooled[:4])
    explorer.get_by_label("Kind").select_option("mean")
    expect(status).to_contain_text("Row 1, column 2: the mean of")
    pooled = decimals(status)
    assert abs(pooled[4] - np.mean(pooled[:4])) <= 0.011
    after.hover(position={"x": 276, "y": 276})  # the keys hold their value
    expect(status).to_contain_text("Row 1, column 2: ")
    for canvas, row, column in ((after, 15, 13), (before, 15, 13), (change_after, 1, 1)):
        corner = 276 if row > 1 else 3
        canvas.click(position={"x": corner, "y": corner})
        expect(status).to_contain_text(f"Row {row}, column {column}: ")
    change_after.click(position={"x": 3, "y": 3})  # lets go
    before.hover(position={"x": 276, "y": 3})
    expect(status).to_contain_text("Row 1, column 13: ")
    explorer.get_by_label("Size").press("End")
    expect(explorer.locator(".explorer-value").nth(1)).to_have_text("4 × 4")
    assert len(decimals(status)) == 18
    explorer.get_by_label("Shift the image by").fill("0")
    assert len(decimals(status)) == 17  # no value after a shift
    assert explorer.evaluate("element => element.offsetHeight") == height


@pytest.mark.site
def test_change_of_maps_under_a_shift_equals_numpy(book: Project, site_url: str, tab: Page) -> None:
    """The page's measure is a mean over 64 images. NumPy computes the change of the shown image."""
    explorer = open_explorer(tab, site_url, "pooling", "pooling")
    exported: dict[str, Any] = {}
    for path in ("pooling/pooling.json", "training/network.json"):
        exported |= json.loads((book.build / "html/_exports" / path).read_text("utf-8"))
    images, kernel, bias = (unpack(exported[name]) for name in ("images", "kernel", "bias"))
    image = images[0] / 255
    for shift in (1, 4, 0):
        explorer.get_by_label("Shift the image by").fill(str(shift))
        text = explorer.locator("p", has_text="maps together").inner_text()
        changes = [float(number) for number in re.findall(r"\d\.\d{3}", text)]
        parts = (image[:, :28], image[:, shift : 28 + shift])
        maps = [np.maximum(convolve(part, kernel) + bias, 0) for part in parts]
        pooled = [m.reshape(15, 2, 13, 2, -1).max(axis=(1, 3)) for m in maps]
        expected = [np.abs(b - a)[..., 0].mean() for a, b in (maps, pooled)]
        expected += [np.abs(b - a).mean() / a.mean() for a, b in (maps, pooled)]
        assert np.allclose(changes, expected, atol=0.00051) and (max(changes) > 0) == (shift > 0)
        left = re.search(r"(\d+) % of it is left", text)
        assert bool(left) == (shift > 0)
        if left:
            assert int(left[1]) == pytest.approx(100 * expected[1] / expected[0], abs=3)
        status = decimals(explorer.get_by_role("status"))
        if shift:
            assert status[5] == pytest.approx(pooled[1][4, 4, 0], abs=0.006)
    explorer.get_by_label("Shift the image by").fill("1")
    text = explorer.locator("p", has_text="maps together").inner_text()
    change = float(re.findall(r"\d\.\d{3}", text)[2])
    notebook = entry(book.root, "pooling")
    assert notebook is not None
    measured = {m["name"]: m["value"] for _, m in measures(notebook)}
    assert 0.3 < change / float(measured["unpooled_change"]) < 3  # the same order of magnitude


def convolve(image: np.ndarray[Any, Any], kernel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape[:2], (0, 1))
    maps: np.ndarray[Any, Any] = np.einsum("yxcij,ijck->yxk", windows, kernel)
    return maps


# Dropout


def test_dropout_silences_and_scales(run_script: RunScript) -> None:
    values = [1.0, 2.0, 0.5] * 2000
    result = run_script(
        """async (values) => {
          const { dropout } = await import("./dropout.js");
          const { randomFrom } = await import("./random.js");
          return dropout(values, 0.2, randomFrom(1));
        }""",
        values,
    )
    out = np.array(result)
    kept = out != 0
    assert np.allclose(out[kept], np.array(values)[kept] / 0.8)
    assert abs(kept.mean() - 0.8) < 0.02  # four standard deviations
    assert abs(out.mean() - np.mean(values)) < 0.03


@pytest.mark.site
def test_mean_of_many_dropout_steps_approaches_the_prediction(site_url: str, tab: Page) -> None:
    explorer = open_explorer(tab, site_url, "dropout", "dropout")
    status = explorer.get_by_role("status")

    def off() -> float:
        match = re.search(r"off by (\d\.\d\d)", status.inner_text())
        assert match
        return float(match[1])

    expect(status).to_contain_text("Step 1:")
    first = off()
    explorer.get_by_role("button", name="A hundred steps").click()
    expect(status).to_contain_text("Step 101:")
    assert off() < 0.1 < first
    explorer.get_by_role("button", name="One step").press("Enter")
    expect(status).to_contain_text("Step 102:")
    explorer.get_by_label("Rate").focus()
    tab.keyboard.press("ArrowRight")
    expect(status).to_contain_text("Step 1:")
    expect(status).to_contain_text("multiplied by 1.43")
    explorer.get_by_label("Mode").select_option("prediction")
    expect(status).to_contain_text("none is silenced")
    assert off() == 0
    crosses = explorer.locator("svg .cross")
    assert crosses.count() == 0


# Training replay


@pytest.mark.site
def test_each_epoch_shows_what_the_run_recorded(book: Project, site_url: str, tab: Page) -> None:
    replay = json.loads((book.build / "html/_exports/dropout/replay.json").read_text("utf-8"))
    explorer = open_explorer(tab, site_url, "replay", "dropout")
    status, scrub = explorer.get_by_role("status"), explorer.get_by_role("slider", name="Epoch")
    epochs = len(replay["curves"][0]["loss"])
    assert scrub.get_attribute("max") == str(epochs)
    explorer.get_by_label("Curves of").select_option("loss")
    for key, epoch in (("Home", 1), ("End", epochs)):
        scrub.focus()
        tab.keyboard.press(key)
        text = f"Epoch {epoch} of {epochs}, loss: "
        for name, run in zip(replay["names"], replay["curves"], strict=True):
            text += f"{name} {run['loss'][epoch - 1]:.2f} in training, "
            text += f"{run['val_loss'][epoch - 1]:.2f} in validation; "
        assert words(status.inner_text()) == words(text)
        assert np.allclose(numbers(status.inner_text()), numbers(text), atol=0.0101)  # rounded
        shown = explorer.locator("tbody td").all_inner_texts()
        by_class = unpack(replay["by_class"])[:, epoch - 1].T.ravel()
        assert np.allclose([float(number) for number in shown], by_class, atol=0.0051)


@pytest.mark.site
def test_replay_kernels_use_the_whole_range_and_differ_between_networks(book: Project) -> None:
    replay = json.loads((book.build / "html/_exports/dropout/replay.json").read_text("utf-8"))
    kernels = unpack(replay["kernels"])
    assert kernels.shape[0] == 2 and kernels.shape[2:] == (32, 3, 3, 3)
    assert {kernels.min(), kernels.max()} & {0, 255}  # the largest weight uses the whole range
    assert (kernels[0, 0] != kernels[1, 0]).any()  # dropout differs from the first epoch on


def words(text: str) -> list[str]:
    return re.findall("[a-zA-Z]+", text)
