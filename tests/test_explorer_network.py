"""The explorer that builds networks: it says what Keras says, and works by mouse and keyboard."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import open_explorer
from onions.pages import Project
from playwright.sync_api import Browser, Locator, expect

Layer = dict[str, Any]
Module = Callable[..., Any]

# Runs the code of each network line by line, in Keras as a fresh session has it.
KERAS = """
import contextlib, io, json, sys
import keras

def run(code):
    names, rows = {}, []
    keras.backend.clear_session()
    for line in code.splitlines():
        name = line.partition(" = ")[0]
        try:
            exec(line, names)
        except ValueError as error:
            return {"rows": [*rows, {"error": str(error)}]}
        if name in ("x", "outputs"):
            layer = names[name]._keras_history.operation
            rows.append({"shape": list(layer.output.shape[1:]), "parameters": layer.count_params()})
    return {"rows": rows, "total": names["model"].count_params()}

with contextlib.redirect_stdout(io.StringIO()) as summaries:
    answers = [run(code) for code in json.load(sys.stdin)]
assert summaries.getvalue().count("Total params") == sum("total" in one for one in answers)
print(json.dumps(answers))
"""


def keras_says(codes: list[str]) -> list[dict[str, Any]]:
    """Let Keras run code, in a process of its own: here every warning is an error."""
    done = subprocess.run(
        [sys.executable, "-c", KERAS],
        input=json.dumps(codes),
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def random_layer(rng: random.Random) -> Layer:
    """Draw a layer with any of the settings that the explorer offers, but few kernels and units."""
    acts = rng.choice(["relu", "none"])
    kind = rng.choices(["Conv2D", "MaxPooling2D", "Dropout", "Flatten", "Dense"], [5, 3, 1, 1, 2])[
        0
    ]
    settings: dict[str, Layer] = {
        "Conv2D": {
            "filters": rng.randint(1, 8),
            "size": rng.randint(1, 9),
            "padding": rng.choice(["valid", "same"]),
            "stride": rng.randint(1, 4),
            "activation": acts,
        },
        "MaxPooling2D": {"size": rng.randint(2, 8)},
        "Dropout": {"rate": rng.randint(1, 9) / 10},
        "Flatten": {},
        "Dense": {"units": rng.randint(1, 40), "activation": acts},
    }
    return {"kind": kind, **settings[kind]}


def ours(module: Module, networks: list[list[Layer]]) -> list[dict[str, Any]]:
    """Return what the explorer says of networks."""
    script = """async (networks) => {
        const { code, summary } = await import("./keras.js");
        return networks.map((layers) => ({ rows: summary(layers), code: code(layers) }));
    }"""
    return module(script, networks)


def test_a_hundred_random_networks_are_as_keras_builds_them(module: Module) -> None:
    rng = random.Random(32)
    drawn = [[random_layer(rng) for _ in range(rng.randint(0, 6))] for _ in range(100)]
    said = ours(module, drawn)
    errors = []
    for mine, keras in zip(said, keras_says([one["code"] for one in said]), strict=True):
        context = mine["code"]
        reached = [row for row in mine["rows"] if row["shape"] or "error" in row]
        assert len(reached) == len(keras["rows"]), context
        for row, wanted in zip(reached, keras["rows"], strict=True):
            if "error" in wanted:
                assert row["error"]["keras"].removesuffix(", …") in wanted["error"], context
                errors.append(wanted["error"])
            else:
                assert row == wanted, context
        if "total" in keras:
            assert keras["total"] == sum(row["parameters"] for row in mine["rows"]), context
    # All ways to fail are among them, and as many that work.
    for part in ("min_ndim=4", " ndim=4", "kernel shape", "pool_size"):
        assert any(part in error for error in errors), part
    assert 20 < len(errors) < 80


def test_the_networks_to_start_from_are_those_of_the_pages(module: Module) -> None:
    script = """async () => {
        const { code, NETWORKS } = await import("./keras.js");
        return Object.entries(NETWORKS).map(([name, layers]) => [name, code(layers)]);
    }"""
    pages = [path.read_text("utf-8") for path in (Path(__file__).parents[1] / "book").glob("*.md")]
    written = re.sub(r" +#.*", "", "\n".join(pages))
    found = module(script)
    assert len(found) == 5
    for name, code in found:
        layers = code[code.index("inputs =") : code.index("model =")]
        assert layers + "model" in written, name


@pytest.mark.parametrize(
    ("kind", "before", "hint"),
    [
        ("Dense", [6, 6, 32], "at each of the 6 × 6 places"),
        ("Dense", [1152], ""),
        ("Dropout", [6, 6, 32], ""),
    ],
)
def test_a_dense_layer_on_maps_is_explained(
    module: Module, kind: str, before: list[int], hint: str
) -> None:
    script = "async ([kind, before]) => (await import('./network.js')).hintOf({ kind }, before)"
    said = module(script, [kind, before])
    assert hint in said
    assert bool(said) == bool(hint)


@pytest.fixture
def network(chromium: Browser, online: str) -> Iterator[Locator]:
    """The explorer on its page, with what the console said."""
    context = chromium.new_context(
        reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"]
    )
    tab = context.new_page()
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    yield open_explorer(tab, online, "network", "pooling")
    assert not messages
    context.close()


def said(network: Locator) -> Locator:
    return network.locator(".explorer-says")


def kinds(network: Locator) -> list[str]:
    return network.locator(".network-kind b").all_inner_texts()


def test_it_starts_with_the_network_that_the_page_builds(book: Project, network: Locator) -> None:
    total = re.search(r"Total params: .*?([\d,]+)", network.page.locator("article").inner_text())
    assert total
    expect(said(network)).to_contain_text(f"Total: {total[1]} parameters.")
    assert kinds(network)[1:3] == ["1. Conv2D", "2. MaxPooling2D"]
    expect(network.locator(".explorer-still")).to_be_hidden()


def test_a_layer_is_added_changed_and_removed(network: Locator) -> None:
    network.get_by_label("Start from").select_option("the first convolutional network")
    expect(said(network)).to_contain_text("Total: 261,034 parameters.")
    network.get_by_label("New layer").select_option("MaxPooling2D")
    network.get_by_label("below").select_option("1. Conv2D")
    network.get_by_role("button", name="Add layer").click()
    added = network.get_by_role("button", name="2. MaxPooling2D 2 × 2", exact=True)
    expect(added).to_be_focused()
    expect(said(network)).to_contain_text("Total: 64,234 parameters.")
    expect(network.get_by_label("Start from")).to_have_value("your own network")
    expect(network.get_by_label("below")).to_have_value("2")
    added.click()
    network.get_by_label("Block").select_option("3 × 3")
    expect(network.locator("pre")).to_contain_text("x = keras.layers.MaxPooling2D((3, 3))(x)")
    network.get_by_role("button", name="Remove 2. MaxPooling2D").click()
    expect(said(network)).to_contain_text("Total: 261,034 parameters.")
    expect(network.get_by_role("button", name="Remove 2. Conv2D")).to_be_focused()


def test_an_error_stands_at_its_layer_and_is_said(network: Locator) -> None:
    for _ in range(2):
        network.get_by_role("button", name=re.compile("Move .* Conv2D down")).last.click()
    rows = network.locator(".network-layer")
    expect(rows.nth(5)).to_contain_text("expected min_ndim=4, found ndim=2")
    expect(rows.nth(5)).to_contain_text("Move it above Flatten.")
    expect(rows.nth(6)).to_contain_text("not reached")
    expect(said(network)).to_contain_text("Keras stops at layer 5, Conv2D.")
    assert Axe().run(network.page, "onion-network").response["violations"] == []


def test_it_works_by_keyboard(network: Locator) -> None:
    press = network.page.keyboard.press
    network.get_by_role("button", name="Move 6. Dense down").focus()
    press("Enter")
    expect(network.get_by_role("button", name="Move 7. Dense up")).to_be_focused()  # down is off
    expect(said(network)).to_contain_text("The network gives out 32 numbers.")
    press("Tab")
    press("Enter")
    expect(network.get_by_role("button", name="Remove 6. Dense")).to_be_focused()
    for key in ("Shift+Tab", "Shift+Tab", "Enter", "Tab", "Tab", "Tab"):
        press(key)
    units = network.get_by_label("Units").locator("visible=true")
    expect(units).to_be_focused()
    press("End")
    units.press_sequentially("0")
    expect(network.locator("pre")).to_contain_text("Dense(100)(x)")
    press("ControlOrMeta+A")
    press("Backspace")  # no number for a moment: the last one counts
    expect(network.locator("pre")).to_contain_text("Dense(100)(x)")


def test_without_layers_it_still_stands(network: Locator) -> None:
    for _ in range(7):
        network.get_by_role("button", name=re.compile("Remove")).first.click()
    assert kinds(network) == ["Input"]
    expect(network.get_by_label("New layer")).to_be_focused()
    expect(said(network)).to_contain_text("Total: 0 parameters.")
    network.get_by_role("button", name="Add layer").click()
    assert kinds(network) == ["Input", "1. Conv2D"]


def test_the_code_can_be_copied(network: Locator) -> None:
    network.get_by_role("button", name="Copy the code").click()
    expect(network.get_by_text("Copied.")).to_be_visible()
    copied = network.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == network.locator("pre").inner_text()
    assert copied.startswith("import keras\n\ninputs = keras.Input(shape=(32, 32, 3))\n")


def test_without_javascript_and_on_paper_the_figure_stands_there(
    chromium: Browser, online: str, network: Locator
) -> None:
    network.page.emulate_media(media="print")
    expect(network.locator("img").first).to_be_visible()
    expect(network.locator(".explorer-panel")).to_be_hidden()
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{online}pooling.html")
    still = tab.locator("onion-network")
    expect(still.locator("img").first).to_be_visible()
    assert still.get_by_role("button").count() == 0
    context.close()


def test_nothing_moves_when_it_arrives(chromium: Browser, online: str) -> None:
    for width in (390, 1280):
        context = chromium.new_context(viewport={"width": width, "height": 900})
        tab = context.new_page()
        tab.goto(f"{online}pooling.html")
        place = tab.locator("onion-network")
        height = place.evaluate("element => element.offsetHeight")
        place.scroll_into_view_if_needed()
        expect(place).to_have_class(re.compile("ready"))
        assert place.evaluate("element => element.offsetHeight") == height, width
        context.close()
