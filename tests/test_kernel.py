import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onions import kernel
from onions.images import sources

INSTALL = "import onions.kernel; onions.kernel.install()\n"
# Runs the parts of a dictionary, each with its own names, and prints a line before each.
RUN_PARTS = """
import json, sys
for name, code in json.loads(sys.argv[1]).items():
    print(f"## {name}")
    exec(code, {"onions": onions})
"""
SET_SEED = """
import keras
from keras.utils import set_random_seed
for set_seed in (keras.utils.set_random_seed, set_random_seed):
    set_seed(1)
    print(float(keras.random.uniform((1,))[0]))
"""
NETWORK = """
import keras, numpy as np, tensorflow as tf
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile(loss="mse", metrics=["accuracy"])
x, y = np.ones((2000, 4)), np.ones((2000, 2))
"""
FULL = {
    "load_data": """
import keras, tensorflow as tf
from keras.datasets import cifar10
import keras.datasets.cifar10 as again
for way in (keras.datasets.cifar10, cifar10, again, tf.keras.datasets.cifar10):
    (images, labels), _ = way.load_data()
    print(type(images).__name__, images.shape, labels.shape)
""",
    "summary": """
import keras
keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).summary()
""",
    "facts": """
import json, keras
print(json.dumps(onions.kernel.run_facts()))
""",
    "seed 1": SET_SEED,
    "seed 3": SET_SEED.replace("set_seed(1)", "set_seed(3)"),
    "records": NETWORK
    + """
from onions import claims
claims._show = lambda kind, text, metadata: print(metadata["onions"]["training"])
history = model.fit(x, y, epochs=3, validation_data=(x, y), verbose=0)
assert history.seconds > 0
history.history["val_accuracy"] = [0.1, 0.3, 0.2]
claims.trained("a network", model, history)
claims.trained("a network", model, history, epoch=2)
for epoch in (0, 4, -1):
    try:
        claims.trained("a network", model, history, epoch=epoch)
    except ValueError as error:
        print(repr(str(error)))
""",
}
SMOKE = {
    "trainings": NETWORK
    + """
dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
for call in (
    lambda: model.fit(x, y, 16, 9, verbose=2),
    lambda: model.fit(x, y, sample_weight=np.ones(2000), epochs=4, verbose=2),
    lambda: model.fit(x, y, validation_data=None, epochs=4, verbose=2),
    lambda: model.fit(dataset, validation_data=dataset, epochs=4, verbose=2),
    lambda: model.fit(x, y, epochs=9, initial_epoch=2, verbose=2),
):
    print("epochs", len(call().epoch))
""",
    "time": NETWORK
    + """
import inspect
history = model.fit(x, y, epochs=3, verbose=0)
print(len(history.epoch), history.seconds > 0)
print("batch_size" in inspect.signature(model.fit).parameters)
""",
}


def run(code: str, *arguments: str, **environment: str) -> str:
    """Run code after `install` in a new process; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", INSTALL + code, *arguments],
        env={**os.environ, "ONIONS_DATA": "sketches", "MPLBACKEND": "agg", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_parts(parts: dict[str, str], **environment: str) -> dict[str, str]:
    """Run parts in one process, since TensorFlow takes seconds to import; return their outputs."""
    output = run(RUN_PARTS, json.dumps(parts), **environment)
    names, outputs = re.findall("^## (.*)$", output, re.M), re.split("^## .*\n", output, flags=re.M)
    return dict(zip(names, outputs[1:], strict=True))


@pytest.fixture(scope="module")
def full() -> dict[str, str]:
    return run_parts(FULL)


@pytest.fixture(scope="module")
def smoke() -> dict[str, str]:
    return run_parts(SMOKE, ONIONS_PROFILE="smoke")


@pytest.mark.kernel
def test_every_public_path_to_load_data_loads_the_chosen_data(full: dict[str, str]) -> None:
    assert full["load_data"] == "Sketches (50000, 32, 32, 3) (50000, 1)\n" * 4


@pytest.mark.kernel
def test_a_kernel_uses_the_source_that_execute_resolved() -> None:
    source = json.dumps(
        asdict(sources.Source("cifar10", "/nowhere/batches", "0", "a folder", "asked for"))
    )
    printed = run(
        "import keras\n"
        "try:\n    keras.datasets.cifar10.load_data()\n"
        "except Exception as error:\n    print(error)\n",
        ONIONS_SOURCE=source,
    )
    assert printed.startswith("/nowhere/batches: can't be read")


@pytest.mark.parametrize("name", ["cifar10", "sketches"])
def test_a_reference_run_may_draw_other_images(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CIFAR-10, the second ten thousand come first; the stand-in is drawn from a new seed."""
    images, test = np.arange(50_000), np.arange(10_000)
    loaded = (images, images % 10), (test, test % 10)
    monkeypatch.setattr(sources, "load_images", lambda source: loaded)

    def load(number: str) -> Any:
        monkeypatch.setenv("ONIONS_IMAGES", number)
        cifar10 = ModuleType("cifar10")
        kernel._replace_load_data(cifar10, sources.Source(name, "", "0" * 64, "", ""))
        return cifar10.load_data()

    (own, own_labels), _ = load("0")
    (others, labels), (test_images, _) = load("1")
    if name == "cifar10":
        assert np.array_equal(own, images) and np.array_equal(own_labels, images % 10)
        assert others[0] == 10_000 and others[-1] == 9_999
        assert np.array_equal(labels, others % 10)
        assert np.array_equal(test_images, test)  # all of them are measured, as always
        assert load("4")[0][0][0] == 40_000
    else:
        assert others.seed == own.seed + 1 == test_images.seed


def test_install_imports_no_heavy_package() -> None:
    code = "import sys\nprint([m for m in ('keras', 'matplotlib', 'numpy') if m in sys.modules])"
    assert run(code) == "[]\n"


@pytest.mark.kernel
def test_summaries_are_plain_text_of_a_page_s_width(full: dict[str, str]) -> None:
    printed = full["summary"]
    assert "Dense" in printed and "\x1b" not in printed
    assert max(len(line) for line in printed.splitlines()) <= 78


def test_install_sets_the_figure_style() -> None:
    printed = run(
        "import matplotlib.pyplot as plt\n"
        "print(plt.rcParams['axes.spines.top'], plt.rcParams['svg.hashsalt'])\n"
    )
    assert printed == "False onions\n"


@pytest.mark.kernel
def test_run_facts_name_the_device_and_the_python_version(full: dict[str, str]) -> None:
    facts: dict[str, Any] = json.loads(full["facts"])
    assert facts["device"] and facts["device kind"] in ("CPU", "GPU")
    assert facts["python"] == ".".join(str(part) for part in sys.version_info[:3])
    without_keras = json.loads(run("import json\nprint(json.dumps(onions.kernel.run_facts()))"))
    assert without_keras["device"] and without_keras.keys() == facts.keys()


def test_an_unknown_profile_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import onions.kernel; onions.kernel.install()"],
        env={**os.environ, "ONIONS_DATA": "sketches", "ONIONS_PROFILE": "fast"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "ONIONS_PROFILE=fast: unknown profile. Choose full or smoke" in done.stderr


@pytest.mark.kernel
def test_the_smoke_profile_shortens_every_kind_of_training(smoke: dict[str, str]) -> None:
    printed = smoke["trainings"]
    assert printed.count("epochs 1\n") == 5
    assert printed.count("32/32") == 1 and printed.count("16/16") == 4


@pytest.mark.kernel
def test_every_training_is_timed_and_can_be_recorded(full: dict[str, str]) -> None:
    last, best, *refused = (ast.literal_eval(line) for line in full["records"].splitlines())
    assert last["parameters"] == 10 and last["epochs"] == last["epoch"] == 3
    assert (last["val_accuracy"], best["val_accuracy"]) == (0.2, 0.3)
    assert best["epoch"] == 2 and best["epochs"] == 3 and best["name"] == "a network"
    assert len(refused) == 3
    assert refused[0] == "a network: epoch 0 was not trained. Choose 1 to 3."


@pytest.mark.kernel
def test_a_shortened_training_is_timed(smoke: dict[str, str]) -> None:
    assert smoke["time"] == "1 True\nTrue\n"


@pytest.mark.kernel
def test_a_seed_offset_is_added_to_every_seed_that_a_page_sets(full: dict[str, str]) -> None:
    with_offset = run(SET_SEED, ONIONS_SEED_OFFSET="2").splitlines()
    assert with_offset == full["seed 3"].splitlines() != full["seed 1"].splitlines()
    assert len(set(with_offset)) == 1
