"""Forward passes in a worker, in WebAssembly and in JavaScript, compared with Keras."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.explorers import EXPLORERS, RunScript
from support.projects import ROOT

# Odd sides, numbers of maps that are no multiples of 4, both paddings, strides of 1, 2 and 3.
KERAS = """
import json, sys
import keras, numpy as np
from onions.exports import _encode, layers_of
keras.utils.set_random_seed(1)
layers = keras.layers
model = keras.Sequential([
    keras.Input((17, 14, 3)),
    layers.Conv2D(6, 3, padding="same", strides=2, activation="relu"),
    layers.MaxPooling2D(3, strides=1, padding="same"),
    layers.Conv2D(37, (2, 3), bias_initializer="random_normal"),
    layers.MaxPooling2D(2, strides=3),
    layers.Dropout(0.5),
    layers.Flatten(),
    layers.Dense(32, activation="relu", bias_initializer="random_normal"),
    layers.Dense(10),
])
model.set_weights([weights.astype("float16") for weights in model.get_weights()])
images = np.random.default_rng(1).random((3, 17, 14, 3), "float32")
steps = keras.Model(model.inputs, [layer.output for layer in model.layers])
outputs = [output.tolist() for output in steps.predict(images, verbose=0)]
json.dump([_encode("layers", layers_of(model)), images.tolist(), outputs], open(sys.argv[1], "w"))
"""
COMPUTE = """async ({ layers, images, backend }) => {
  const { openNetwork } = await import("./compute.js");
  const { unpack } = await import("./shared.js");
  const network = await openNetwork(unpack(layers), backend);
  const tensor = (values) => ({ shape: [17, 14, 3], values: Float32Array.from(values) });
  const results = await Promise.all(images.map((image) => network.forward(tensor(image))));
  const plain = ({ shape, values }) => ({ shape, values: Array.from(values) });
  return { backend: network.backend, results: results.map((outputs) => outputs.map(plain)) };
}"""
REJECT = """async ([layer, backend]) => {
  const { openNetwork } = await import("./compute.js");
  const network = await openNetwork([layer], backend);
  return network.forward({ shape: [1], values: [0] }).catch((error) => error.message);
}"""


@pytest.fixture(scope="module")
def by_keras(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    """The layers of a network, three images, and the outputs of each layer for them."""
    path = tmp_path_factory.mktemp("keras") / "network.json"
    subprocess.run([sys.executable, "-c", KERAS, str(path)], check=True, timeout=300)
    layers, images, outputs = json.loads(path.read_text())
    return layers, images, outputs


@pytest.mark.parametrize("backend", ["wasm", "js", None])
def test_each_layer_equals_keras(
    run_script: RunScript, by_keras: tuple[Any, Any, Any], backend: str | None
) -> None:
    layers, images, outputs = by_keras
    flat = [np.ravel(image).tolist() for image in images]
    computed = run_script(COMPUTE, {"layers": layers, "images": flat, "backend": backend})
    assert computed["backend"] == (backend or "wasm")  # WebAssembly is the best that Chromium has
    assert len(computed["results"]) == 3
    for image, result in enumerate(computed["results"]):
        assert len(result) == len(outputs) == 8
        for output, expected in zip(result, outputs, strict=True):
            assert output["shape"] == list(np.shape(expected[image]))
            assert np.allclose(output["values"], np.ravel(expected[image]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", ["wasm", "js"])
def test_unknown_layer_is_rejected(run_script: RunScript, backend: str) -> None:
    layer = {"kind": "Dense", "activation": "gelu", "weights": []}
    message = run_script(REJECT, [layer, backend])
    assert message == "RangeError: layer Dense with activation gelu is not supported"


@pytest.mark.slow
def test_core_is_compiled_from_its_source(tmp_path: Path) -> None:
    """The compiler has 411 MB, so this runs in the scheduled workflow only."""
    core = tmp_path / "core.wasm"
    subprocess.run(["make", "core", f"WASM={core}"], cwd=ROOT, check=True, timeout=600)
    assert core.read_bytes() == (EXPLORERS / "core.wasm").read_bytes()
