"""The forward explorer: every value of a trained network, with its sum and its receptive field."""

import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from support.browsing import axe_violations, record_requests
from support.explorers import RunScript, decimals, open_explorer, reserved_height

# A network of random weights, and some cells of each stage.
NETWORK = """
  const { openBackend } = await import("./backend.js");
  const { openModel } = await import("./model.js");
  const { products, receptiveFields, stagesOf } = await import("./sums.js");
  const { randomFrom } = await import("./random.js");
  const random = randomFrom(seed);
  const size = (shape) => shape.reduce((a, b) => a * b);
  const tensor = (shape, positive) => {
    const draw = () => random() - (positive ? 0 : 0.5);
    return { shape, values: Float32Array.from({ length: size(shape) }, draw) };
  };
  const backend = await openBackend("js");
  const forward = (layers, { shape, values }) => openModel(backend, layers, shape).forward(values);
  const weights = (shape) => [tensor(shape, positive), tensor(shape.slice(-1), true)];
  const conv = (shape, stride) => {
    const window = { kernel_size: shape.slice(0, 2), filters: shape[3], strides: [stride, stride] };
    return { kind: "Conv2D", ...window, padding, activation: "relu", weights: weights(shape) };
  };
  const dense = ([inputs, units], activation) =>
    ({ kind: "Dense", units, activation, weights: weights([inputs, units]) });
  const layers = [
    conv([3, 3, 3, 4], stride),
    { kind: "MaxPooling2D", pool_size: [2, 2], strides: [2, 2], padding: "valid" },
    conv([3, 3, 4, 2], 1),
    { kind: "Dropout" },
    { kind: "Flatten" },
  ];
  const image = tensor([13, 11, 3], true);
  const flattened = forward(layers, image).at(-1).values.length;
  layers.push(dense([flattened, 5], "relu"), dense([5, 3], "linear"));
  const stages = stagesOf(layers, image, forward(layers, image));
  const cellsOf = ([rows, columns, maps]) =>
    [[0, 0, 0], [rows - 1, columns - 1, maps - 1], [rows >> 1, columns >> 1, 1]]
      .map(([row, column, map]) => ({ row, column, map }));
  const at = ({ output: { shape: [, columns, maps], values } }, { row, column, map }) =>
    values[(row * columns + column) * maps + map];
"""
ALL_SUMS = f"""async ({{ seed, stride, padding, positive }}) => {{{NETWORK}
  const sumOf = (stage, input, cell) =>
    products(input, stage.kernel, cell, stage)
      .flat()
      .reduce((total, {{ product }}) => total + product, stage.bias.values[cell.map]);
  return stages.flatMap((stage, i) => !stage.kernel ? [] : cellsOf(stage.output.shape).map((cell) =>
    [stage.activation, sumOf(stage, stages[i - 1].output, cell), at(stage, cell)]));
}}"""
ALL_FIELDS = f"""async ({{ seed, stride, padding, positive }}) => {{{NETWORK}
  const brighter = Array.from({{ length: 13 * 11 }}, (_, pixel) => {{
    const values = image.values.slice();
    values[3 * pixel] += 1000; // so large that pooling chooses it
    const changed = {{ shape: image.shape, values }};
    return stagesOf(layers, changed, forward(layers, changed));
  }});
  const fieldOf = (i, cell) => {{
    const {{ top, left, height, width }} = receptiveFields(stages, i, cell)[0];
    const changed = brighter.map((changed) => at(changed[i], cell) !== at(stages[i], cell));
    return {{ field: [top, left, height, width], changed }};
  }};
  const fieldsOf = ({{ output }}, i) => cellsOf(output.shape).map((cell) => fieldOf(i, cell));
  return stages.flatMap((stage, i) => (i ? fieldsOf(stage, i) : []));
}}"""
SETTINGS = [{"stride": 1, "padding": "valid"}, {"stride": 2, "padding": "same"}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_products_and_the_bias_add_up_to_each_value(
    run_script: RunScript, settings: dict[str, Any]
) -> None:
    sums = run_script(ALL_SUMS, {"seed": 1, "positive": False, **settings})
    assert [activation for activation, *_ in sums] == ["relu"] * 9 + ["linear"] * 3
    for activation, total, value in sums:
        assert value == pytest.approx(max(total, 0) if activation == "relu" else total, abs=1e-5)
    assert any(total < 0 for _, total, _ in sums) and any(total > 0 for _, total, _ in sums)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_receptive_field_holds_exactly_the_pixels_that_change_a_value(
    run_script: RunScript, settings: dict[str, Any]
) -> None:
    """All weights are positive, so each pixel that a value depends on changes it."""
    fields = run_script(ALL_FIELDS, {"seed": 2, "positive": True, **settings})
    assert len({tuple(field["field"]) for field in fields}) > 5
    for field in fields:
        top, left, height, width = field["field"]
        inside = np.zeros((13, 11), bool)
        inside[top : top + height, left : left + width] = True
        assert field["changed"] == inside.ravel().tolist(), field["field"]


@pytest.fixture
def explorer(site_url: str, tab: Page) -> Locator:
    tab.set_viewport_size({"width": 1280, "height": 1400})
    return open_explorer(tab, site_url, "forward", "training")


def point(canvas: Locator, map_number: int, row: float, column: float, click: bool = False) -> None:
    """Point at a place of a map of the overview; row and column are shares of the map's side."""
    box = canvas.bounding_box()
    assert box
    tile = box["width"] / 252 * 64  # a map and the gap to the next, in CSS pixels
    position = {
        "x": tile * (map_number % 4 + column * 60 / 64),
        "y": tile * (map_number // 4 + row * 60 / 64),
    }
    if click:
        canvas.click(position=position)  # type: ignore[arg-type]
    else:
        canvas.hover(position=position)  # type: ignore[arg-type]


@pytest.mark.site
def test_a_value_opens_its_sum(explorer: Locator) -> None:
    status, overview = explorer.get_by_role("status"), explorer.locator(".forward-stages canvas")
    expect(status).to_contain_text(re.compile(r"First convolution, map \d+ of 32, .*: 27 products"))
    assert decimals(status)[-1] > 0.1  # it begins at the layer's largest value
    point(overview.nth(3), 17, 0.5, 0.12)
    expect(status).to_contain_text("Second convolution, map 18 of 32, row 7, column 2: 288 product")
    expect(status).to_contain_text("It depends on 8 × 8 pixels: rows 13–20, columns 3–10.")
    total, bias, both, value = decimals(status)[:4]
    assert both == pytest.approx(total + bias, abs=0.011) and value == max(both, 0)
    parts = explorer.get_by_role("radio")
    labels = [part.get_attribute("aria-label") or "" for part in parts.all()]
    assert len(labels) == 32
    sums = [float(label.split(": ")[1].replace("−", "-")) for label in labels]
    assert sum(sums) == pytest.approx(total, abs=0.17)  # 33 rounded numbers
    chosen = explorer.locator("input:checked")
    assert chosen.count() == 1
    largest = max(sums)
    assert f"sum {largest:.2f}".replace("-", "−") in explorer.locator("caption").inner_text()
    parts.nth(4).focus()
    parts.nth(4).press("ArrowRight")
    expect(explorer.locator("caption")).to_have_text(re.compile("^Map 6; sum "))


@pytest.mark.site
def test_pooling_shows_its_block_and_the_logits_their_neurons(explorer: Locator) -> None:
    status, overview = explorer.get_by_role("status"), explorer.locator(".forward-stages canvas")
    point(overview.nth(2), 0, 0.5, 0.5)
    *block, value = decimals(status)
    assert len(block) == 4 and value == max(block)
    assert explorer.locator("td").all_inner_texts() == [f"{v:.2f}" for v in block]
    expect(explorer.get_by_role("radio")).to_have_count(0)
    answers = explorer.get_by_role("group", name="How certain").get_by_role("button")
    shares = [float(text.split()[-1]) for text in answers.all_inner_texts()]
    assert len(shares) == 10 and sum(shares) == pytest.approx(1, abs=0.051)
    answers.nth(8).click()
    expect(status).to_contain_text("Logit of ship: 32 products add up to")
    expect(answers.nth(8)).to_have_attribute("aria-pressed", "true")
    expect(explorer.locator("td")).to_have_count(1)
    certainty = answers.nth(8).inner_text().split()[-1]
    expect(status).to_contain_text(f"Softmax of all ten logits makes it {certainty}.")
    neurons = explorer.locator(".explorer-large canvas").first
    neurons.click(position={"x": 100, "y": 5})  # goes on to a neuron
    expect(status).to_contain_text("Dense layer, neuron 2 of 32: ")
    explorer.locator(".explorer-large canvas").first.click(position={"x": 5, "y": 5})
    expect(status).to_contain_text(re.compile("Second pooling, map .* row 1, column 1: "))


@pytest.mark.site
def test_a_wrong_answer_is_compared_with_the_true_class(explorer: Locator) -> None:
    """The parts show by how much each neuron puts the answer ahead of the true class."""
    verdict = explorer.locator(".forward-verdict")
    for number in range(8):
        explorer.get_by_label("Image", exact=True).select_option(str(number))
        expect(verdict).to_contain_text(re.compile("right|wrong"))
        if "wrong" in verdict.inner_text():
            break
    match = re.match(
        r"The network answers (\w+), .*: wrong, it is an? (\w+)\.", verdict.inner_text()
    )
    assert match
    answers = explorer.get_by_role("group", name="How certain").get_by_role("button")
    answers.filter(has_text=match[1]).click()
    legend = explorer.locator(".forward-parts legend")
    expect(legend).to_contain_text(f"puts {match[1]} ahead of {match[2]} (hollow: behind).")
    labels = [
        part.get_attribute("aria-label") or "" for part in explorer.get_by_role("radio").all()
    ]
    parts = [float(label.split(": ")[1].replace("−", "-")) for label in labels]
    neuron = parts.index(max(parts))  # chosen at first
    words = f"Neuron {neuron + 1} adds (.+) to {match[1]} and (.+) to {match[2]}"
    added = re.search(words, legend.inner_text())
    assert added
    mine, others = (float(number.replace("−", "-")) for number in added.groups())
    assert mine - others == pytest.approx(parts[neuron], abs=0.015)
    status, sums = explorer.get_by_role("status"), []
    for name in (match[1], match[2]):
        answers.filter(has_text=name).click()
        expect(status).to_contain_text(f"Logit of {name}: ")
        sums.append(decimals(status)[0])
    assert sum(parts) == pytest.approx(sums[0] - sums[1], abs=0.18)  # 34 rounded numbers
    expect(legend).not_to_contain_text("ahead of")


@pytest.mark.site
def test_an_answer_is_followed_back_to_the_image(explorer: Locator) -> None:
    """Each step starts on the part that adds most, whatever was chosen in the layer before."""
    status = explorer.get_by_role("status")
    explorer.get_by_role("group", name="How certain").get_by_role("button").first.click()
    explorer.get_by_role("radio").nth(5).check()
    follow = explorer.get_by_role("button", name="Follow")
    expect(follow).to_have_text("Follow neuron 6 back")
    follow.click()
    expect(status).to_contain_text("Dense layer, neuron 6 of 32: ")
    for name in ("Second pooling", "Second convolution", "First pooling", "First convolution"):
        if explorer.locator(".forward-parts").is_visible():
            parts = explorer.get_by_role("radio").all()
            values = [part.get_attribute("aria-label") or "" for part in parts]
            numbers = [float(value.split(": ")[1].replace("−", "-")) for value in values]
            [chosen] = [i for i, part in enumerate(parts) if part.is_checked()]
            assert numbers[chosen] == max(numbers)
            expect(follow).to_have_text(f"Follow map {chosen + 1} back")
        number = follow.inner_text().split()[2]
        follow.click()
        expect(status).to_contain_text(f"{name}, map {number} of 32, ")
    expect(follow).to_be_hidden()


@pytest.mark.site
def test_a_click_holds_a_value_and_keys_reach_all(explorer: Locator, tab: Page) -> None:
    status, overview = explorer.get_by_role("status"), explorer.locator(".forward-stages canvas")
    point(overview.nth(4), 6, 0.6, 0.4, click=True)
    held = "Second pooling, map 7 of 32, row 4, column 3"
    expect(status).to_contain_text(held)
    point(overview.nth(1), 3, 0.52, 0.52)
    expect(status).to_contain_text(held)
    point(overview.nth(4), 6, 0.6, 0.4, click=True)
    point(overview.nth(1), 3, 0.52, 0.52)
    expect(status).to_contain_text("First convolution, map 4 of 32, row 16, column 16")
    point(overview.nth(5), 0, 0.5, 0.5, click=True)
    for key in ("ArrowRight", "ArrowDown"):
        tab.keyboard.press(key)
    expect(status).to_contain_text("Dense layer, neuron 6 of 32: 1152 products")
    overview.nth(4).focus()
    for _ in range(4):
        tab.keyboard.press("ArrowRight")  # from the last column to the next map
    expect(status).to_contain_text("Second pooling, map 8 of 32, row 4, column 1")
    for _ in range(7):
        tab.keyboard.press("ArrowUp")
    expect(status).to_contain_text("Second pooling, map 4 of 32, row 3, column 1")
    enlarged = explorer.locator(".explorer-large canvas")
    enlarged.last.press("ArrowLeft")  # at the edge of an enlarged map, nothing moves
    expect(status).to_contain_text("Second pooling, map 4 of 32, row 3, column 1")
    overview.nth(4).press("ArrowDown")
    enlarged.first.click(position={"x": 276, "y": 4})  # goes on to a value of the block's map
    expect(status).to_contain_text("Second convolution, map 4 of 32, row 1, column 13")
    enlarged.first.click(position={"x": 4, "y": 4})
    enlarged.first.hover(position={"x": 276, "y": 276})  # held
    expect(status).to_contain_text(re.compile("First pooling, map .* row 1, column 1: "))


@pytest.mark.site
def test_a_painted_image_is_answered(explorer: Locator, tab: Page) -> None:
    status = explorer.get_by_role("status")
    answers = explorer.get_by_role("group", name="How certain")
    before = answers.text_content() or ""
    explorer.get_by_label("Paint on the enlarged image").check()
    expect(status).to_contain_text("Image, row 17, column 17: ")
    image = explorer.locator(".explorer-large canvas").first
    image.click(position={"x": 150, "y": 22})
    expect(status).to_have_text("Image, row 3, column 18: red 1.00, green 0.47, blue 0.00.")
    explorer.get_by_label("Colour").fill("#0000ff")
    image.press("ArrowDown")
    image.press("Enter")
    expect(status).to_have_text("Image, row 4, column 18: red 0.00, green 0.00, blue 1.00.")
    expect(explorer.get_by_label("Image", exact=True)).to_have_value("own")
    for y in range(40, 250, 8):
        image.click(position={"x": 140, "y": y})
    expect(answers).not_to_have_text(before)
    explorer.get_by_label("Image", exact=True).select_option("0")
    expect(answers).to_have_text(before)


@pytest.mark.site
def test_the_front_page_loads_the_network_on_request(site_url: str, tab: Page) -> None:
    requests = record_requests(tab)
    tab.goto(f"{site_url}index.html")
    explorer = tab.locator("onion-forward")
    explorer.scroll_into_view_if_needed()
    expect(explorer.locator("img")).to_be_visible()
    tab.wait_for_load_state("networkidle")
    assert not any("explorers/" in request or "_exports" in request for request in requests)
    button = explorer.get_by_role("button", name="Open the network")
    button.press("Enter")
    expect(explorer).to_have_class("explorer ready")
    expect(button).to_be_hidden()
    expect(explorer.locator("canvas").first).to_be_focused()
    tab.keyboard.press("ArrowDown")
    expect(explorer.get_by_role("status")).to_contain_text("Image, row 18, column 17: ")
    expect(explorer.locator("canvas")).to_have_count(6)
    assert axe_violations(tab, "onion-forward") == []


@pytest.mark.site
@pytest.mark.parametrize("width", [390, 1280])
def test_no_choice_moves_the_text_below(site_url: str, tab: Page, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    height = "element => element.offsetHeight"
    heights = [reserved_height(tab, site_url, "forward", "training")]
    explorer = open_explorer(tab, site_url, "forward", "training")
    for canvas in explorer.locator(".forward-stages canvas").all():
        canvas.click()
        heights.append(explorer.evaluate(height))
        assert axe_violations(tab, "onion-forward") == []
    explorer.get_by_role("button").last.click()
    heights.append(explorer.evaluate(height))
    explorer.get_by_label("Image", exact=True).select_option("5")
    expect(explorer.locator(".forward-verdict")).to_contain_text("The network answers ")
    heights.append(explorer.evaluate(height))
    assert max(heights) - min(heights) <= 1  # rounded to whole pixels


@pytest.mark.site
@pytest.mark.parametrize(
    ("page", "lit", "first"),
    [
        ("training", 6, "First convolution"),
        ("convolution", 2, "First convolution"),
        ("pooling", 2, "First pooling"),
    ],
)
def test_layers_that_the_page_is_not_about_are_dim(
    site_url: str, tab: Page, page: str, lit: int, first: str
) -> None:
    explorer = open_explorer(tab, site_url, "forward", page)
    expect(explorer.locator(".forward-stages figure:not(.dim)")).to_have_count(lit)
    expect(explorer.get_by_role("status")).to_contain_text(f"{first}, map ")
