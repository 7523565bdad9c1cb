"""Training in the browser, in WebAssembly and in JavaScript, compared with Keras."""

import json
import subprocess
import sys
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from onions.book.project import Project
from onions.images import sketches
from onions.packed import pack
from support.explorers import RunScript
from support.projects import ROOT

# For each network: a batch and 20 more; and from each of three starts its layers with their
# weights, the gradients of the loss of the first batch, the losses of 20 steps of Adam on the
# others, and the weights after them. The networks are the lesson's, but for `odd`, which has odd
# sides, strides, both paddings, and numbers of maps that 4 does not divide. `series` is the network
# of time_series, for windows as images of one row.
KERAS = """
import json, sys
import keras, numpy as np, tensorflow as tf
from onions.exports import layers_of
layers = keras.layers
conv = lambda count, **options: layers.Conv2D(count, 3, activation="relu", **options)
pool = layers.MaxPooling2D
end = lambda: [layers.Flatten(), layers.Dense(32, "relu"), layers.Dense(10)]
networks = {
    "odd": ((17, 14, 3), lambda: [
        pool(2),
        conv(6, padding="same", strides=2), pool(3, strides=2, padding="same"),
        layers.Conv2D(5, (2, 3), padding="same"), layers.Dropout(0.0), pool(2, padding="same"),
        layers.Dense(7, "relu"), layers.Flatten(), layers.Dense(10),
    ]),
    "dense": ((32, 32, 3), lambda: [
        layers.Flatten(), layers.Dense(100, "relu"), layers.Dense(10)
    ]),
    "series": ((1, 128, 3), lambda: [
        layers.Conv2D(8, (1, 9), activation="relu"), layers.GlobalAveragePooling2D(),
        layers.Dense(10),
    ]),
    "small": ((32, 32, 3), lambda: [conv(32), pool(2), conv(32), pool(2), *end()]),
    "deep": ((32, 32, 3), lambda: [conv(32), pool(2), conv(32), pool(2), conv(32), *end()]),
}
plain = lambda arrays: [{"shape": a.shape, "values": a.ravel().tolist()} for a in arrays]
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

def train(shape, stack, images, labels):
    model = keras.Sequential([keras.Input(shape), *stack])
    model.compile("adam", loss)
    exported = [layer | {"weights": None} for layer in layers_of(model)]
    for layer, real in zip(exported, model.layers, strict=True):
        if real.get_weights():
            real.set_weights([w + random.normal(0, 0.02, w.shape) for w in real.get_weights()])
            layer["weights"] = plain(real.get_weights())
    with tf.GradientTape() as tape:
        value = loss(labels[0], model(images[0], training=True))
    gradients = [gradient.numpy() for gradient in tape.gradient(value, model.trainable_variables)]
    losses = [float(model.train_on_batch(images[i], labels[i])) for i in range(1, 21)]
    weights = [np.asarray(variable) for variable in model.trainable_variables]
    return {
        "layers": exported, "gradients": plain(gradients), "losses": losses,
        "weights": plain(weights),
    }

results = {}
for name, (shape, stack) in networks.items():
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    bytes_ = random.integers(0, 256, (21, 8, *shape)).astype("uint8")
    labels = random.integers(0, 10, (21, 8))
    images = (bytes_ / 255).astype("float32")
    results[name] = {
        "shape": shape, "labels": labels.tolist(), "images": bytes_.reshape(21, 8, -1).tolist(),
        "starts": [train(shape, stack(), images, labels) for _ in range(3)],
    }
json.dump(results, open(sys.argv[1], "w"))
"""
TRAIN = """async ({ shape, images, labels, backend, starts }) => {
  const { openBackend } = await import("./backend.js");
  const { openModel } = await import("./model.js");
  const plain = (tensors) =>
    tensors.flat().map(({ shape, values }) => ({ shape, values: Array.from(values) }));
  const learn = (model, batch) =>
    images[batch].map((image, i) => {
      const values = image.map((value) => value / 255);
      return model.learn(values, labels[batch][i], 1 / images[batch].length).loss;
    });
  const results = [];
  for (const layers of starts) {
    const open = async () => openModel(await openBackend(backend), layers, shape, Math.random);
    const once = await open();
    learn(once, 0);
    const model = await open();
    const losses = images.slice(1).map((_, i) => {
      const all = learn(model, i + 1);
      model.update(0.001);
      return all.reduce((a, b) => a + b) / all.length;
    });
    results.push({ gradients: plain(once.gradients()), losses, weights: plain(model.weights()) });
  }
  return results;
}"""
NETWORKS = ["odd", "dense", "series", "small", "deep"]


@pytest.fixture(scope="module")
def by_keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("keras") / "results.json"
    subprocess.run([sys.executable, "-c", KERAS, str(path)], check=True, timeout=300)
    results: dict[str, Any] = json.loads(path.read_text())
    assert list(results) == NETWORKS
    return results


@pytest.mark.parametrize("backend", ["wasm", "js"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_twenty_steps_equal_keras(
    run_script: RunScript, by_keras: dict[str, Any], name: str, backend: str
) -> None:
    """At least from two of three starts.

    In millions of sums, a few come so close to zero that rounding decides whether ReLU lets their
    gradient through. From there on, the two part.
    """
    expected = by_keras[name]
    given = {key: expected[key] for key in ("shape", "images", "labels")}
    layers = [start["layers"] for start in expected["starts"]]
    trained = run_script(TRAIN, {**given, "backend": backend, "starts": layers})
    pairs = list(zip(trained, expected["starts"], strict=True))
    assert len(pairs) == 3
    assert np.median([gradients_differ_by(*pair) for pair in pairs]) < 2e-6
    assert np.median([losses_differ_by(*pair) for pair in pairs]) < 1e-5
    assert np.median([weights_differ_by(*pair) for pair in pairs]) < 1e-3


def gradients_differ_by(mine: dict[str, Any], theirs: dict[str, Any]) -> float:
    assert [a["shape"] for a in mine["gradients"]] == [a["shape"] for a in theirs["gradients"]]
    # Otherwise the bound means nothing.
    assert all(np.ptp(tensor["values"]) > 1e-3 for tensor in theirs["gradients"])
    pairs = zip(mine["gradients"], theirs["gradients"], strict=True)
    return max(np.abs(np.subtract(a["values"], b["values"])).max() for a, b in pairs)


def losses_differ_by(mine: dict[str, Any], theirs: dict[str, Any]) -> float:
    assert len(theirs["losses"]) == 20
    return float(np.abs(np.subtract(mine["losses"], theirs["losses"])).max())


def weights_differ_by(mine: dict[str, Any], theirs: dict[str, Any]) -> float:
    """As a share of the way that the weights of a tensor went.

    Where a gradient is close to zero, Adam divides a rounding error by its own size.
    """
    starts = [start for layer in theirs["layers"] for start in layer["weights"] or ()]
    shares = []
    for start, a, b in zip(starts, mine["weights"], theirs["weights"], strict=True):
        way = np.abs(np.subtract(b["values"], start["values"])).mean()
        shares.append(np.abs(np.subtract(a["values"], b["values"])).mean() / way)
    return float(max(shares))


UNPACK = """async (files) => {
  const { loadImages } = await import("./images.js");
  const reports = [];
  const loaded = loadImages(files, ({ bytes }) => reports.push(bytes));
  return loaded.then(
    ({ images, labels }) => ({ images: images.map((image) => Array.from(image)), labels, reports }),
    (error) => ({ problem: error.message }),
  );
}"""
# Trains once for each of `runs`, [backend, seed, number of workers, whether a trial of another
# network has just begun], and evaluates the network before and after another such trial.
TRAIN_IN_WORKER = """async ({ file, layers, runs }) => {
  const { startWorker } = await import("./compute.js");
  const steps = { epochs: 5, batch: 32, rate: 0.003, inputs: 1, noise: 0 };
  const settings = { layers, shape: [32, 32, 3], ...steps };
  const results = [];
  for (const [backend, seed, workers, disturbed] of runs) {
    const ask = startWorker(new URL("./trainer.js", location));
    for (const set of ["train", "validation"]) {
      await ask({ task: "load", set, files: [file] }, () => {});
    }
    const epochs = [];
    const report = (progress) => progress.values && epochs.push(progress);
    const other = { ...settings, layers: layers.slice(-2), backend, workers };
    const trial = () => ask({ task: "trial", ...other });
    const begun = disturbed && trial();
    await ask({ task: "train", ...settings, backend, seed, workers }, report);
    const evaluate = () => ask({ task: "evaluate", set: "train" });
    const before = await evaluate();
    await Promise.all([begun, trial()]);
    const plain = epochs.map(({ values, confusion }) => ({ values, confusion }));
    results.push({ epochs: plain, evaluations: [before, await evaluate()] });
  }
  return results;
}"""


def data_url(content: bytes) -> str:
    return f"data:application/octet-stream;base64,{b64encode(content).decode()}"


def test_packed_images_arrive_pixel_by_pixel(run_script: RunScript) -> None:
    """Random pixels, extreme ones, and drawings."""
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (4, 32, 32, 3), "uint8")
    extremes = random.choice(np.array([0, 255], "uint8"), (4, 32, 32, 3))
    drawings = np.stack([sketches.draw(name, "1") for name in ("cat", "ship")])
    images = np.concatenate([noise, extremes, drawings])
    labels = np.arange(10, dtype="uint8")[:, np.newaxis]
    parts = [slice(0, 3), slice(3, 10)]
    contents = [pack(images[part], labels[part]) for part in parts]
    files = [
        {"url": data_url(content), "count": len(images[part])}
        for content, part in zip(contents, parts, strict=True)
    ]
    loaded = run_script(UNPACK, files)
    assert loaded["labels"] == labels.ravel().tolist()
    assert np.array_equal(np.reshape(loaded["images"], images.shape), images)
    assert loaded["reports"][-1] == sum(map(len, contents))


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_packed_images_are_rejected(run_script: RunScript, damage: str) -> None:
    content = pack(np.zeros((2, 32, 32, 3), "uint8"), np.zeros((2, 1), "uint8"))
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    url = data_url(content[:middle] if damage == "cut" else changed)
    loaded = run_script(UNPACK, [{"url": url, "count": 2}])
    assert loaded["problem"]


@pytest.fixture(scope="module")
def greys() -> dict[str, Any]:
    """A file of 200 images of ten levels of grey, a class each."""
    levels = np.arange(200) % 10
    noise = np.random.default_rng(1).integers(0, 20, (200, 32, 32, 3))
    images = (noise + 23 * levels[:, np.newaxis, np.newaxis, np.newaxis]).astype("uint8")
    content = pack(images, levels.astype("uint8")[:, np.newaxis])
    return {"url": data_url(content), "count": 200}


LAYERS: list[dict[str, Any]] = [
    {
        **{"kind": "Conv2D", "filters": 5, "kernel_size": [3, 3], "activation": "relu"},
        **{"strides": [2, 2], "padding": "same"},
    },
    {"kind": "Dropout", "rate": 0.1},
    {"kind": "Flatten"},
    {"kind": "Dense", "units": 10, "activation": "linear"},
]


def test_network_that_has_diverged_answers_wrongly(run_script: RunScript) -> None:
    """Like argmax, which takes the first class if all logits are NaN; a count needs an answer."""
    script = """async () => {
      const { openBackend } = await import("./backend.js");
      const { openModel } = await import("./model.js");
      const nothing = { shape: [2, 3], values: new Array(6).fill(NaN) };
      const weights = [nothing, { shape: [3], values: [0, 0, 0] }];
      const layers = [{ kind: "Dense", units: 3, weights }];
      return openModel(await openBackend("js"), layers, [2]).evaluate([1, 1], 2).answer;
    }"""
    assert run_script(script) == 0


def losses_of(run: dict[str, Any]) -> list[float]:
    return [epoch["values"]["loss"] for epoch in run["epochs"]]


def test_training_depends_on_its_seed_only(run_script: RunScript, greys: dict[str, Any]) -> None:
    runs = [["wasm", 1, 1], ["wasm", 1, 1, True], ["js", 1, 1], ["wasm", 2, 1]]
    first, again, in_javascript, other = run_script(
        TRAIN_IN_WORKER, {"file": greys, "layers": LAYERS, "runs": runs}
    )
    assert first == again
    assert first != other
    for mine, theirs in zip(first["epochs"], in_javascript["epochs"], strict=True):
        assert mine["values"] == pytest.approx(theirs["values"], abs=0.02)
    losses = losses_of(first)
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


def test_two_workers_train_like_one(run_script: RunScript, greys: dict[str, Any]) -> None:
    """With dropout they differ, since each worker draws random numbers of its own."""
    runs = [["wasm", 1, 1], ["wasm", 1, 2], ["wasm", 1, 2, True]]
    layers = [layer for layer in LAYERS if layer["kind"] != "Dropout"]
    alone, both, again = run_script(
        TRAIN_IN_WORKER, {"file": greys, "layers": layers, "runs": runs}
    )
    assert both == again
    assert both["evaluations"][0] == both["evaluations"][1]
    assert losses_of(both) == pytest.approx(losses_of(alone), rel=1e-3)
    for mine, theirs in zip(both["epochs"], alone["epochs"], strict=True):
        assert mine["values"] == pytest.approx(theirs["values"], abs=0.02)
        assert [sum(row) for row in mine["confusion"]] == [20] * 10
    alone, both, again = run_script(
        TRAIN_IN_WORKER, {"file": greys, "layers": LAYERS, "runs": runs}
    )
    assert both == again
    assert losses_of(both) != pytest.approx(losses_of(alone), rel=1e-6)
    assert losses_of(both)[-1] < losses_of(both)[0]


def test_windows_are_those_of_the_page(run_script: RunScript) -> None:
    """The same shares of classes, and for each class the same mean power spectrum."""
    script = """async (count) => {
      const { makeWindows } = await import("./windows.js");
      const { images, labels } = makeWindows(count, 1);
      return { windows: images.map((window) => Array.from(window)), labels };
    }"""
    count = 3000
    made = run_script(script, count)
    [cell] = [c for c in Project(ROOT).page("time_series").cells if "def make_windows" in c.source]
    names: dict[str, Any] = {"np": np}
    exec(cell.source, names)  # noqa: S102 - code of our own page
    theirs, their_labels = names["make_windows"](count, np.random.default_rng(1))
    mine = np.reshape(made["windows"], theirs.shape)
    my_labels = np.array(made["labels"])
    for label in range(3):
        share = (my_labels == label).mean()
        assert share == pytest.approx(1 / 3, abs=0.04)
        my_power, their_power = (
            (np.abs(np.fft.rfft(windows, axis=1)) ** 2).mean(axis=(0, 2))
            for windows in (mine[my_labels == label], theirs[their_labels[:, 0] == label])
        )
        assert my_power == pytest.approx(their_power, rel=0.25)
