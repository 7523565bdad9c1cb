"""The convolution explorer: a kernel slides over an image."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onions.book.project import Project
from PIL import Image
from playwright.sync_api import Page, expect
from support.browsing import record_requests
from support.explorers import RunScript, decimals, numbers, open_explorer, unpack

COMPUTE = """async ({ shape, pixels, depth, weights, bias, row, column, options }) => {
  const { conv2d } = await import("./layers.js");
  const { grey } = await import("./convolution.js");
  const { products } = await import("./sums.js");
  let image = { shape, values: Float32Array.from(pixels) };
  if (depth === 1) image = grey(image);
  const kernel = { shape: [3, 3, depth, 1], values: Float32Array.from(weights) };
  const output = conv2d(image, kernel, { values: [bias] }, options);
  return {
    shape: output.shape,
    values: Array.from(output.values),
    products: products(image, kernel, { row, column }, options),
  };
}"""
SETTINGS = [*itertools.product((1, 3), ("valid", "same"), (1, 2, 3))]


def test_output_equals_keras(run_script: RunScript) -> None:
    for depth, padding, stride in SETTINGS:
        compare_with_keras(run_script, depth, padding, stride)


def compare_with_keras(run_script: RunScript, depth: int, padding: str, stride: int) -> None:
    import keras  # type: ignore[import-untyped]

    rng = np.random.default_rng(1)
    image = rng.random((9, 12, 3)).astype("float32")
    kernel = rng.normal(size=(3, 3, depth, 1)).astype("float32")
    layer_input = image if depth == 3 else image.mean(axis=2, keepdims=True)
    layer = keras.layers.Conv2D(1, 3, strides=stride, padding=padding)
    layer.build((None, *layer_input.shape))
    layer.set_weights([kernel, np.array([0.25], "float32")])
    expected = keras.ops.convert_to_numpy(layer(layer_input[None]))[0]
    row, column = expected.shape[0] - 1, 0  # a corner, where padding matters
    result = run_script(
        COMPUTE,
        {
            "shape": image.shape,
            "pixels": image.ravel().tolist(),
            "depth": depth,
            "weights": kernel.ravel().tolist(),
            "bias": 0.25,
            "row": row,
            "column": column,
            "options": {"padding": padding, "stride": stride},
        },
    )
    assert result["shape"] == list(expected.shape)
    assert np.allclose(result["values"], expected.ravel(), rtol=0, atol=1e-5)
    products = [product for channel in result["products"] for product in channel]
    total = sum(product["product"] for product in products) + 0.25
    assert total == pytest.approx(float(expected[row, column, 0]), abs=1e-5)
    if padding == "valid":
        assert not any(product["outside"] for product in products)
    assert all(product["pixel"] == 0 for product in products if product["outside"])


@pytest.mark.site
def test_edited_kernel_slides_by_pointer_and_by_keys(
    book: Project, site_url: str, tab: Page
) -> None:
    image = exported(book)["images"][0].mean(axis=2) / 255
    explorer = open_explorer(tab, site_url, "convolution", "convolution")
    status, canvas = explorer.get_by_role("status"), explorer.get_by_role("application").last
    edges = np.array([[-1], [0], [1]]) * np.ones(3)
    expect(status).to_contain_text("Row 15, column 15")
    assert decimals(status) == near([(image[14:17, 14:17] * edges).sum()])
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        tab.keyboard.press(key)
    expect(status).to_contain_text("Row 17, column 14")
    assert decimals(status) == near([(image[16:19, 13:16] * edges).sum()])
    explorer.get_by_role("application").first.click(position={"x": 140, "y": 5})
    expect(status).to_contain_text("Row 1, column 16")
    canvas.click(position={"x": 276, "y": 276})
    expect(status).to_contain_text("Row 30, column 30")
    last = image[29:32, 29:32]
    assert decimals(status) == near([(last * edges).sum()])
    expect(explorer.get_by_role("table")).to_have_count(1)

    corner = explorer.get_by_label("row 3, column 3")
    corner.fill("-2.5")
    edges[2, 2] = -2.5
    expect(explorer.get_by_label("your own numbers")).to_be_checked()
    assert decimals(status) == near([(last * edges).sum()])
    product = explorer.locator("td").last.inner_text()
    assert np.allclose(numbers(product), [last[2, 2], -2.5, -2.5 * last[2, 2]], atol=0.0051)
    corner.fill("1000")
    corner.press("Tab")
    expect(corner).to_have_value("99")  # the largest value allowed
    corner.fill("")
    corner.press("Tab")
    expect(corner).to_have_value("0")
    explorer.get_by_label("blur").check()
    expect(corner).to_have_value("0.111")
    assert decimals(status) == near([last.mean()])


@pytest.mark.site
def test_padding_and_stride_move_the_window(book: Project, site_url: str, tab: Page) -> None:
    image = exported(book)["images"][1].mean(axis=2) / 255
    explorer = open_explorer(tab, site_url, "convolution", "convolution")
    status, canvas = explorer.get_by_role("status"), explorer.get_by_role("application").last
    explorer.get_by_label("Image", exact=True).select_option("1")
    explorer.get_by_label("sharpen").check()
    expect(status).to_contain_text("Row 15, column 15: ")
    expect(explorer.get_by_text("the output, 30 × 30: ")).to_be_visible()
    before = decimals(status)
    explorer.get_by_label("Padding").select_option("same")
    expect(status).to_contain_text("Row 16, column 16: ")  # the kernel stays on its pixels
    expect(explorer.get_by_text("the output, 32 × 32: ")).to_be_visible()
    assert decimals(status) == before
    canvas.focus()
    for _ in range(20):
        tab.keyboard.press("ArrowUp")
        tab.keyboard.press("ArrowLeft")
    expect(status).to_contain_text("Row 1, column 1: ")
    expect(status).to_contain_text("5 of the 9 places lie outside and count as zero.")
    expect(explorer.locator("td.outside")).to_have_count(5)
    value = 5 * image[0, 0] - image[0, 1] - image[1, 0]
    assert decimals(status) == near([value])
    explorer.get_by_label("Stride").focus()
    tab.keyboard.press("End")
    last = {"x": 276, "y": 276}
    canvas.click(position=last)  # type: ignore[arg-type]
    expect(status).to_contain_text("Row 11, column 11")
    explorer.get_by_label("Padding").select_option("valid")
    expect(status).to_contain_text("Row 10, column 10")
    canvas.focus()
    for _ in range(9):
        tab.keyboard.press("ArrowUp")
        tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowRight")
    value = 5 * image[1, 4] - image[0, 4] - image[2, 4] - image[1, 3] - image[1, 5]
    assert decimals(status) == near([value])


@pytest.mark.site
def test_learned_kernel_reads_three_colours(book: Project, site_url: str, tab: Page) -> None:
    values = exported(book)
    kernels, biases = values["kernels"], values["biases"]
    assert kernels.shape == (3, 3, 3, 32) and biases.shape == (32,)
    window = values["images"][0][14:17, 14:17] / 255
    explorer = open_explorer(tab, site_url, "convolution", "convolution")
    status = explorer.get_by_role("status")
    explorer.get_by_label("ReLU").check()
    for number in (0, 4, 31):
        explorer.get_by_label(f"learned, number {number + 1}", exact=True).check()
        total = (window * kernels[..., number]).sum()
        value = total + biases[number]
        assert decimals(status) == near([total, biases[number], value, max(value, 0)])
    captions = explorer.locator("caption").all_inner_texts()
    assert [text.split(";")[0] for text in captions] == ["Red", "Green", "Blue"]
    by_channel = (window * kernels[..., 31]).sum(axis=(0, 1))
    assert [numbers(text)[-1] for text in captions] == near(by_channel)
    expect(explorer.get_by_label("row 1, column 1")).to_be_hidden()
    explorer.get_by_label("vertical edges").check()
    expect(explorer.get_by_label("row 1, column 1")).to_have_value("-1")


@pytest.mark.site
def test_own_picture_is_read_and_not_uploaded(site_url: str, tab: Page, tmp_path: Path) -> None:
    explorer = open_explorer(tab, site_url, "convolution", "convolution")
    status = explorer.get_by_role("status")
    explorer.get_by_label("blur").check()
    requests = record_requests(tab)
    for share in (51, 204):  # the second replaces the first
        path = tmp_path / f"{share}.png"
        Image.new("RGB", (60, 40), (share, share, share)).save(path)
        explorer.get_by_label("Your own image").set_input_files(path)
        expect(status).to_contain_text(f"the sum is {share / 255:.2f}.")
    options = explorer.get_by_label("Image", exact=True).locator("option")
    assert options.all_inner_texts()[-2:] == ["8: " + options.nth(7).inner_text()[3:], "your own"]
    assert requests == []
    (tmp_path / "own.txt").write_text("no picture", "utf-8")
    explorer.get_by_label("Your own image").set_input_files(tmp_path / "own.txt")
    expect(explorer.get_by_role("alert")).to_contain_text("no image that your browser can read")


@pytest.mark.site
def test_figure_is_shown_without_javascript(site_url: str, scriptless_tab: Page) -> None:
    scriptless_tab.goto(f"{site_url}convolution.html")
    explorer = scriptless_tab.locator("onion-convolution")
    explorer.scroll_into_view_if_needed()
    expect(explorer.get_by_role("img", name="face blurred")).to_be_visible()
    assert explorer.get_by_role("combobox").count() == 0


def exported(book: Project) -> dict[str, Any]:
    """Return the images and the first layer that the explorer gets, with arrays unpacked."""
    values = json.loads((book.build / "html/_exports/training/network.json").read_text("utf-8"))
    kernels, biases = map(unpack, values["layers"][0]["weights"])
    return {"images": unpack(values["images"]), "kernels": kernels, "biases": biases}


def near(values: Any) -> Any:
    return pytest.approx(list(map(float, values)), abs=0.0051)
