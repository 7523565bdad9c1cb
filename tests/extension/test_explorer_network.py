"""The network explorer: equal to Keras, and usable by mouse and keyboard."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from onions.book.project import Project
from playwright.sync_api import Browser, Locator, expect
from support.browsing import axe_violations, record_messages
from support.explorers import RunScript, open_explorer
from support.projects import ROOT

Layer = dict[str, Any]

# Runs each network's code line by line, in a fresh Keras session.
KERAS = """
import contextlib, gc, io, json, sys
import keras

gc.freeze()  # clear_session then skips the 300,000 objects of TensorFlow

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
    results = [run(code) for code in json.load(sys.stdin)]
assert summaries.getvalue().count("Total params") == sum("total" in result for result in results)
print(json.dumps(results))
"""


def run_in_keras(codes: list[str]) -> list[dict[str, Any]]:
    """Run code in a separate process, because pytest turns warnings into errors in this one."""
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
    """Return a random layer with settings from the explorer, but few kernels and units."""
    activation = rng.choice(["relu", "none"])
    kind = rng.choices(["Conv2D", "MaxPooling2D", "Dropout", "Flatten", "Dense"], [5, 3, 1, 1, 2])[
        0
    ]
    settings: dict[str, Layer] = {
        "Conv2D": {
            "filters": rng.randint(1, 8),
            "size": rng.randint(1, 9),
            "padding": rng.choice(["valid", "same"]),
            "stride": rng.randint(1, 4),
            "activation": activation,
        },
        "MaxPooling2D": {"size": rng.randint(2, 8)},
        "Dropout": {"rate": rng.randint(1, 9) / 10},
        "Flatten": {},
        "Dense": {"units": rng.randint(1, 40), "activation": activation},
    }
    return {"kind": kind, **settings[kind]}


def summarise(run_script: RunScript, networks: list[list[Layer]]) -> list[dict[str, Any]]:
    """Return the rows and the code that the explorer shows for each network."""
    script = """async (networks) => {
        const { code, summary } = await import("./keras.js");
        return networks.map((layers) => ({ rows: summary(layers), code: code(layers) }));
    }"""
    return run_script(script, networks)


def test_random_networks_match_keras(run_script: RunScript) -> None:
    rng = random.Random(32)
    networks = [[random_layer(rng) for _ in range(rng.randint(0, 6))] for _ in range(100)]
    summaries = summarise(run_script, networks)
    codes = [summary["code"] for summary in summaries]
    errors = []
    for code, summary, result in zip(codes, summaries, run_in_keras(codes), strict=True):
        reached = [row for row in summary["rows"] if row["shape"] or "error" in row]
        assert len(reached) == len(result["rows"]), code
        for row, expected in zip(reached, result["rows"], strict=True):
            if "error" in expected:
                assert row["error"]["keras"].removesuffix(", …") in expected["error"], code
                errors.append(expected["error"])
            else:
                assert row == expected, code
        if "total" in result:
            assert result["total"] == sum(row["parameters"] for row in summary["rows"]), code
    # Every kind of error occurs, and many networks work.
    for part in ("min_ndim=4", " ndim=4", "kernel shape", "pool_size"):
        assert any(part in error for error in errors), part
    assert 20 < len(errors) < 80


def test_preset_networks_appear_on_the_pages(run_script: RunScript) -> None:
    script = """async () => {
        const { code, NETWORKS } = await import("./keras.js");
        return Object.entries(NETWORKS).map(([name, layers]) => [name, code(layers)]);
    }"""
    pages = [path.read_text("utf-8") for path in (ROOT / "book").glob("*.md")]
    written = re.sub(r" +#.*", "", "\n".join(pages))
    presets = run_script(script)
    assert len(presets) == 5
    for name, code in presets:
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
def test_dense_layer_on_maps_is_explained(
    run_script: RunScript, kind: str, before: list[int], hint: str
) -> None:
    script = "async ([kind, before]) => (await import('./network.js')).hintOf({ kind }, before)"
    text = run_script(script, [kind, before])
    assert hint in text
    assert bool(text) == bool(hint)


@pytest.fixture
def network(chromium: Browser, site_url: str) -> Iterator[Locator]:
    """The explorer on its page; a console message fails the test."""
    context = chromium.new_context(
        reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"]
    )
    tab = context.new_page()
    messages = record_messages(tab)
    yield open_explorer(tab, site_url, "network", "pooling")
    assert not messages
    context.close()


def status(network: Locator) -> Locator:
    return network.locator(".explorer-says")


def kinds(network: Locator) -> list[str]:
    return network.locator(".network-kind b").all_inner_texts()


def test_explorer_starts_with_the_network_of_the_page(book: Project, network: Locator) -> None:
    total = re.search(r"Total params: .*?([\d,]+)", network.page.locator("article").inner_text())
    assert total
    expect(status(network)).to_contain_text(f"Total: {total[1]} parameters.")
    assert kinds(network)[1:3] == ["1. Conv2D", "2. MaxPooling2D"]
    expect(network.locator(".explorer-still")).to_be_hidden()


def test_layer_is_added_changed_and_removed(network: Locator) -> None:
    expect(network.get_by_label("below")).to_have_value("4")  # above Flatten
    network.get_by_label("Start from").select_option("the first convolutional network")
    expect(status(network)).to_contain_text("Total: 261,034 parameters.")
    network.get_by_label("New layer").select_option("MaxPooling2D")
    network.get_by_label("below").select_option("1. Conv2D")
    network.get_by_role("button", name="Add layer").click()
    added = network.get_by_role("button", name="2. MaxPooling2D 2 × 2", exact=True)
    expect(added).to_be_focused()
    expect(status(network)).to_contain_text("Total: 64,234 parameters.")
    expect(network.get_by_label("Start from")).to_have_value("your own network")
    expect(network.get_by_label("below")).to_have_value("2")
    added.click()
    network.get_by_label("Block").select_option("3 × 3")
    expect(network.locator("pre")).to_contain_text("x = keras.layers.MaxPooling2D((3, 3))(x)")
    network.get_by_role("button", name="Remove 2. MaxPooling2D").click()
    expect(status(network)).to_contain_text("Total: 261,034 parameters.")
    expect(network.get_by_role("button", name="Remove 2. Conv2D")).to_be_focused()


def test_error_appears_at_its_layer_and_in_the_status(network: Locator) -> None:
    for _ in range(2):
        network.get_by_role("button", name=re.compile("Move .* Conv2D down")).last.click()
    rows = network.locator(".network-layer")
    expect(rows.nth(5)).to_contain_text("expected min_ndim=4, found ndim=2")
    expect(rows.nth(5)).to_contain_text("Move it above Flatten.")
    expect(rows.nth(6)).to_contain_text("not reached")
    expect(status(network)).to_contain_text("Keras stops at layer 5, Conv2D.")
    assert axe_violations(network.page, "onion-network") == []


def test_explorer_works_by_keyboard(network: Locator) -> None:
    press = network.page.keyboard.press
    network.get_by_role("button", name="Move 6. Dense down").focus()
    press("Enter")
    # In the last row, “Move down” is disabled.
    expect(network.get_by_role("button", name="Move 7. Dense up")).to_be_focused()
    expect(status(network)).to_contain_text("The network outputs 32 numbers.")
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
    press("Backspace")  # an empty field keeps the last number
    expect(network.locator("pre")).to_contain_text("Dense(100)(x)")


def test_network_without_layers_works(network: Locator) -> None:
    for _ in range(7):
        network.get_by_role("button", name=re.compile("Remove")).first.click()
    assert kinds(network) == ["Input"]
    expect(network.get_by_label("New layer")).to_be_focused()
    expect(status(network)).to_contain_text("Total: 0 parameters.")
    network.get_by_role("button", name="Add layer").click()
    assert kinds(network) == ["Input", "1. Conv2D"]


def test_code_can_be_copied(network: Locator) -> None:
    network.get_by_role("button", name="Copy the code").click()
    expect(network.get_by_text("Copied.")).to_be_visible()
    copied = network.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == network.locator("pre").inner_text()
    assert copied.startswith("import keras\n\ninputs = keras.Input(shape=(32, 32, 3))\n")


def test_figure_is_shown_without_javascript_and_in_print(
    chromium: Browser, site_url: str, network: Locator
) -> None:
    network.page.emulate_media(media="print")
    expect(network.locator("img").first).to_be_visible()
    expect(network.locator(".explorer-panel")).to_be_hidden()
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{site_url}pooling.html")
    explorer = tab.locator("onion-network")
    expect(explorer.locator("img").first).to_be_visible()
    assert explorer.get_by_role("button").count() == 0
    context.close()
