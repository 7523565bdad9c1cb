"""The prediction explorer: equal to Keras, by pointer and keys, without JavaScript."""

import re
from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from onions.book.project import Project
from onions.exports import MIME
from onions.images import sketches
from onions.images.sources import load_images
from onions.kernel import CACHE
from onions.store.build import Build
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect
from pypdf import PdfReader
from support.explorers import RunScript, open_explorer
from support.pages import entry

UNPACK = "async (value) => Array.from((await import('./shared.js')).unpack(value).values)"
LOGITS = """async ({ layers, images, backend }) => {
  const { openNetwork } = await import("./compute.js");
  const { normalised, part, unpack } = await import("./shared.js");
  const network = await openNetwork(unpack(layers), backend);
  const all = unpack(images);
  const logits = [];
  for (let i = 0; i < all.shape[0]; i++) {
    logits.push(Array.from((await network.forward(normalised(part(all, i)))).at(-1).values));
  }
  return { logits, backend: network.backend };
}"""


def pack(array: Any) -> dict[str, Any]:
    text = b64encode(array.tobytes()).decode()
    return {"dtype": str(array.dtype), "shape": list(array.shape), "base64": text}


@pytest.fixture(scope="module")
def exports(book: Project) -> dict[str, Any]:
    """The exports of the page's run, by name."""
    notebook = entry(book.root, "inspection")
    assert notebook is not None
    outputs = [
        output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    return {data[MIME]["name"]: data[MIME]["values"] for data in outputs if MIME in data}


@pytest.fixture
def explorer(site_url: str, tab: Page) -> Locator:
    return open_explorer(tab, site_url, "prediction", "inspection")


@pytest.mark.parametrize("backend", ["wasm", "js"])
def test_logits_equal_keras(
    book: Project, exports: dict[str, Any], run_script: RunScript, backend: str
) -> None:
    """For the first 100 validation images, within 0.0001."""
    source = Build.read(book.store).source
    stand_in = source.name == "sketches"
    cache = CACHE / source.identity[:16]
    (images, _), _ = sketches.load_data(cache) if stand_in else load_images(source)
    network = {"layers": exports["prediction"]["layers"], "images": pack(images[5000:5100])}
    result = run_script(LOGITS, {"backend": backend, **network})
    assert result["backend"] == backend
    logits = np.array(result["logits"])
    reference = exports["prediction_reference"]["logits"]
    assert reference["shape"] == [100, 10] and reference["dtype"] == "float32"
    expected = np.array(run_script(UNPACK, reference))
    assert np.abs(logits - expected.reshape(100, 10)).max() < 1e-4
    assert np.ptp(expected) > 0.1  # otherwise the bound means nothing


def test_unknown_layer_is_rejected(run_script: RunScript) -> None:
    script = """async (layer) => {
      const { openModel } = await import("./model.js");
      try { return openModel(null, [layer], [2, 2, 1]); } catch (error) { return `${error}`; }
    }"""
    assert "RangeError: layer LSTM with" in run_script(script, {"kind": "LSTM"})
    assert "layer Dense with activation gelu is not" in run_script(
        script, {"kind": "Dense", "activation": "gelu"}
    )


def test_square_covers_only_the_pixels_under_it(run_script: RunScript) -> None:
    script = """async ({ row, column, size }) => {
      const { cover } = await import("./prediction.js");
      const image = { shape: [6, 5, 3], values: new Float32Array(90).fill(1) };
      const covered = Array.from(cover(image, { row, column, size }).values);
      return [covered, image.values.every((value) => value === 1)];
    }"""
    for row, column, size in ((2, 2, 3), (0, 4, 4), (5, 0, 2), (3, 3, 16)):
        covered, unchanged = run_script(script, {"row": row, "column": column, "size": size})
        expected = np.ones((6, 5, 3))
        top, left = row - size // 2, column - size // 2
        expected[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0.5
        assert unchanged and np.array_equal(np.reshape(covered, (6, 5, 3)), expected), (
            row,
            column,
            size,
        )


def test_reference_export_is_not_on_the_site(book: Project, exports: dict[str, Any]) -> None:
    assert {"prediction", "prediction_reference"} <= set(exports)
    folder = book.build / "html" / "_exports" / "inspection"
    assert [path.name for path in folder.iterdir()] == ["prediction.json"]


@pytest.mark.site
def test_square_moves_by_pointer_and_by_keys(explorer: Locator, tab: Page) -> None:
    status, canvas = explorer.get_by_role("status"), explorer.get_by_role("application").first
    expect(status).to_contain_text("With the square at row 17, column 17: ")
    canvas.focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowRight"):
        tab.keyboard.press(key)
    expect(status).to_contain_text("With the square at row 15, column 18: ")
    canvas.click(position={"x": 276, "y": 4})
    expect(status).to_contain_text("With the square at row 1, column 32: ")
    square = explorer.get_by_label("Side of the square")
    square.focus()
    tab.keyboard.press("Home")
    expect(status).to_have_text(re.compile(r"^Without a square: \w+ \d\.\d\d\.$"))


@pytest.mark.site
def test_table_and_status_show_the_same_numbers(explorer: Locator) -> None:
    status, rows = explorer.get_by_role("status"), explorer.locator("tbody tr")
    assert rows.count() == 10
    sentence = re.search(r": (\w+) (\d\.\d\d) \((\d\.\d\d) without\)", status.inner_text())
    assert sentence
    name, now, without = sentence.groups()
    answer = explorer.locator("tbody tr.answer")
    assert answer.get_by_role("rowheader").inner_text() == name
    assert answer.locator("td").all_inner_texts()[1:] == [now, without]
    table = np.array([row.locator("td").all_inner_texts()[1:] for row in rows.all()], "float")
    assert np.allclose(table.sum(axis=0), 1, atol=0.051)  # the sum of ten rounded numbers
    assert table[:, 0].max() == float(now)


@pytest.mark.site
def test_picture_and_layer_can_be_chosen(explorer: Locator) -> None:
    maps = explorer.locator(".explorer-maps canvas")
    expect(maps).to_have_count(32)
    first = maps.first
    expect(first).to_have_attribute("aria-label", re.compile(r"^map 1 of conv 1: \d+\.\d\d to "))
    assert first.evaluate("canvas => canvas.width") == 30
    explorer.get_by_label("Maps after the layer").select_option("conv 3")
    expect(first).to_have_attribute("aria-label", re.compile("^map 1 of conv 3: "))
    assert first.evaluate("canvas => canvas.width") == 4
    names = explorer.get_by_label("Image", exact=True).locator("option").all_inner_texts()
    assert len(names) == 8 and len({name.split(": ")[1] for name in names}) == 8
    explorer.get_by_label("Image", exact=True).select_option(names[2])
    expect(explorer.locator(".explorer-panel figcaption").first).to_have_text(
        f"true class: {names[2][3:]}"
    )


@pytest.mark.site
def test_trying_every_place_shows_the_worst(explorer: Locator, tab: Page) -> None:
    status = explorer.get_by_role("status")
    explorer.get_by_role("button", name="Try every place").press("Enter")
    expect(status).to_contain_text("Of 256 places, ", timeout=60_000)
    worst = re.search(r"row (\d+), column (\d+)", status.inner_text())
    assert worst and all(int(place) % 2 for place in worst.groups())
    explorer.get_by_role("application").last.hover(position={"x": 276, "y": 4})
    expect(status).to_contain_text("With the square at row 1, column 31: ")
    explorer.get_by_label("Image", exact=True).select_option(index=1)
    expect(explorer.locator(".explorer-panel figcaption").nth(1)).to_have_text(
        "every place: not tried yet"
    )


@pytest.mark.site
def test_own_picture_is_classified_and_a_text_file_rejected(explorer: Locator) -> None:
    field = explorer.locator("input[type=file]")
    field.set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    expect(explorer.get_by_role("alert")).to_contain_text("no image that your browser can read")
    picture = BytesIO()
    Image.new("RGB", (90, 60), (200, 30, 30)).save(picture, "PNG")
    content: FilePayload = {
        "name": "red.png",
        "mimeType": "image/png",
        "buffer": picture.getvalue(),
    }
    field.set_input_files(content)
    expect(explorer.locator(".explorer-panel figcaption").first).to_have_text("your own image")
    expect(explorer.get_by_label("Image", exact=True)).to_have_value("own")
    canvas = explorer.get_by_role("application").first
    pixel = canvas.evaluate("c => Array.from(c.getContext('2d').getImageData(0, 0, 1, 1).data)")
    assert np.allclose(pixel, [200, 30, 30, 255], atol=2)


@pytest.mark.site
def test_figure_is_shown_without_javascript_and_in_print(
    site_url: str, scriptless_tab: Page, explorer: Locator, tab: Page
) -> None:
    scriptless_tab.goto(f"{site_url}inspection.html")
    still = scriptless_tab.locator("onion-prediction figure img")
    still.scroll_into_view_if_needed()
    expect(still).to_be_visible()
    assert scriptless_tab.locator("onion-prediction .explorer-panel").count() == 0
    paper = PdfReader(BytesIO(tab.pdf()))
    text = " ".join(" ".join(sheet.extract_text() for sheet in paper.pages).split())
    assert "An image without a square" in text and "Try every place" not in text
