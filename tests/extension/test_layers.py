"""The explorers' layers, compared with Keras and NumPy on random tensors.

`layers.js` runs in a real browser. Keras computes the expected results in one separate process,
because its import takes seconds.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.explorers import RunScript

Array = np.ndarray[Any, Any]

PADDINGS = ("valid", "same")
CONVOLUTIONS = [
    (side, window, stride, padding)
    for side in ((7, 7), (8, 5))
    for window in ((1, 1), (3, 3), (2, 4))
    for stride in (1, 2, 3)
    for padding in PADDINGS
]
POOLINGS = [
    (kind, size, stride, padding)
    for kind in ("max", "mean")
    for size, stride in ((2, 2), (3, 2), (2, 3), (4, 1))
    for padding in PADDINGS
]
# Reads cases, and writes Keras' results.
KERAS = """
import json, sys
import keras, numpy as np
results = []
for case in json.load(open(sys.argv[1])):
    options = {"strides": case["stride"], "padding": case["padding"]}
    image = np.array(case["image"], "float32")[None]
    if case["kind"] == "conv":
        kernel, bias = (np.array(case[name], "float32") for name in ("kernel", "bias"))
        layer = keras.layers.Conv2D(kernel.shape[3], kernel.shape[:2], **options)
        layer.build(image.shape)
        layer.set_weights([kernel, bias])
    else:
        kinds = {"max": keras.layers.MaxPooling2D, "mean": keras.layers.AveragePooling2D}
        layer = kinds[case["kind"]](case["size"], **options)
    results.append(keras.ops.convert_to_numpy(layer(image))[0].tolist())
json.dump(results, open(sys.argv[2], "w"))
"""
COMPUTE_ALL = """async (cases) => {
  const { conv2d, pool2d } = await import("./layers.js");
  const tensor = (shape, values) => ({ shape, values: Float32Array.from(values) });
  return cases.map(({ kind, shapes, flat, size, stride, padding }) => {
    const [image, kernel, bias] = shapes.map((shape, i) => tensor(shape, flat[i]));
    const output = kind === "conv"
      ? conv2d(image, kernel, bias, { stride, padding })
      : pool2d(image, kind, { size, stride, padding });
    return { shape: output.shape, values: Array.from(output.values) };
  });
}"""


def make_cases() -> list[dict[str, Any]]:
    random = np.random.default_rng(1)

    def tensor(*shape: int) -> Any:
        return random.normal(size=shape).astype("float32")

    cases = []
    for side, window, stride, padding in CONVOLUTIONS:
        image = np.maximum(tensor(*side, 3), 0)  # with zeros, which the loop skips
        tensors = {"image": image, "kernel": tensor(*window, 3, 5), "bias": tensor(5)}
        cases.append({"kind": "conv", **tensors, "stride": stride, "padding": padding})
    for kind, size, stride, padding in POOLINGS:
        image = tensor(8, 7, 4) - 1  # mostly negative, so a padding of zeros would win
        case = {"kind": kind, "image": image, "size": size, "stride": stride, "padding": padding}
        cases.append(case)
    return cases


@pytest.fixture(scope="module")
def by_keras(tmp_path_factory: pytest.TempPathFactory) -> list[Array]:
    folder: Path = tmp_path_factory.mktemp("keras")
    cases = [{k: getattr(v, "tolist", lambda v=v: v)() for k, v in c.items()} for c in make_cases()]
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [
        sys.executable,
        "-c",
        KERAS,
        str(folder / "cases.json"),
        str(folder / "results.json"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return [np.array(result) for result in json.loads((folder / "results.json").read_text())]


def test_convolution_and_pooling_equal_keras(run_script: RunScript, by_keras: list[Array]) -> None:
    cases = [
        {
            **{k: v for k, v in case.items() if not isinstance(v, np.ndarray)},
            "shapes": [v.shape for v in case.values() if isinstance(v, np.ndarray)],
            "flat": [v.ravel().tolist() for v in case.values() if isinstance(v, np.ndarray)],
        }
        for case in make_cases()
    ]
    results = run_script(COMPUTE_ALL, cases)
    assert len(results) == len(by_keras) == len(CONVOLUTIONS) + len(POOLINGS)
    for case, result, expected in zip(cases, results, by_keras, strict=True):
        settings = {k: v for k, v in case.items() if k != "flat"}
        assert result["shape"] == list(expected.shape), settings
        assert np.allclose(result["values"], expected.ravel(), atol=1e-5), settings


def test_conv2d_without_bias(run_script: RunScript) -> None:
    output = run_script(
        """async () => {
          const { conv2d } = await import("./layers.js");
          const image = { shape: [1, 1, 1], values: [2] };
          return Array.from(conv2d(image, { shape: [1, 1, 1, 2], values: [3, 4] }).values);
        }"""
    )
    assert output == [6, 8]


def test_window_larger_than_the_input_is_rejected(run_script: RunScript) -> None:
    script = """async (padding) => {
      const { places } = await import("./formulas.js");
      try { return places(2, 3, 1, padding); } catch (error) { return `${error}`; }
    }"""
    assert run_script(script, "valid") == "RangeError: a window of 3 does not fit into a side of 2"
    assert run_script(script, "same") == [2, 1]


def test_relu_and_softmax(run_script: RunScript) -> None:
    x = np.random.default_rng(2).normal(size=7)
    outputs = run_script(
        """async (x) => {
          const { relu } = await import("./layers.js");
          const { softmax } = await import("./formulas.js");
          const { values } = relu({ values: Float32Array.from(x) });
          return [Array.from(values), softmax(x)];
        }""",
        x.tolist(),
    )
    expected = np.maximum(x, 0), np.exp(x) / np.exp(x).sum()
    assert np.allclose(outputs, expected, atol=1e-6)


def test_softmax_does_not_overflow(run_script: RunScript) -> None:
    script = "async (all) => (await import('./formulas.js')).softmax(all)"
    assert run_script(script, [1000, 1000, -1000]) == [0.5, 0.5, 0]
