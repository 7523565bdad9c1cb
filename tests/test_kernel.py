import ast
import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from onions.images import sources


def run(code: str, **environment: str) -> str:
    """Run code after `install` in a new process; return its output."""
    install = "import onions.kernel; onions.kernel.install()\n"
    done = subprocess.run(
        [sys.executable, "-c", install + code],
        env={**os.environ, "ONIONS_DATA": "sketches", "MPLBACKEND": "agg", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_path_to_load_data_loads_the_chosen_data() -> None:
    printed = run(
        "import keras, tensorflow as tf\n"
        "from keras.datasets import cifar10\n"
        "import keras.datasets.cifar10 as again\n"
        "for way in (keras.datasets.cifar10, cifar10, again, tf.keras.datasets.cifar10):\n"
        "    (images, labels), _ = way.load_data()\n"
        "    print(type(images).__name__, images.shape, labels.shape)\n"
    )
    assert printed == "Sketches (50000, 32, 32, 3) (50000, 1)\n" * 4


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


def test_install_imports_no_heavy_package() -> None:
    code = "import sys\nprint([m for m in ('keras', 'matplotlib', 'numpy') if m in sys.modules])"
    assert run(code) == "[]\n"


def test_summaries_are_plain_text_of_a_page_s_width() -> None:
    printed = run(
        "import keras\nkeras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).summary()\n"
    )
    assert "Dense" in printed and "\x1b" not in printed
    assert max(len(line) for line in printed.splitlines()) <= 78


def test_install_sets_the_figure_style() -> None:
    printed = run(
        "import matplotlib.pyplot as plt\n"
        "print(plt.rcParams['axes.spines.top'], plt.rcParams['svg.hashsalt'])\n"
    )
    assert printed == "False onions\n"


def test_run_facts_name_the_device_and_the_python_version() -> None:
    facts: dict[str, Any] = json.loads(
        run("import json, keras\nprint(json.dumps(onions.kernel.run_facts()))")
    )
    assert facts["device"]
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


def test_the_smoke_profile_shortens_every_kind_of_training() -> None:
    printed = run(
        "import keras, numpy as np, tensorflow as tf\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])\n"
        'model.compile(loss="mse")\n'
        "x, y = np.ones((2000, 4)), np.ones((2000, 2))\n"
        "dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)\n"
        "for call in (\n"
        "    lambda: model.fit(x, y, 16, 9, verbose=2),\n"
        "    lambda: model.fit(x, y, sample_weight=np.ones(2000), epochs=4, verbose=2),\n"
        "    lambda: model.fit(x, y, validation_data=None, epochs=4, verbose=2),\n"
        "    lambda: model.fit(dataset, validation_data=dataset, epochs=4, verbose=2),\n"
        "    lambda: model.fit(x, y, epochs=9, initial_epoch=2, verbose=2),\n"
        "):\n"
        "    print('epochs', len(call().epoch))\n",
        ONIONS_PROFILE="smoke",
    )
    assert printed.count("epochs 1\n") == 5
    assert printed.count("32/32") == 1 and printed.count("16/16") == 4


def test_every_training_is_timed_and_can_be_recorded() -> None:
    printed = run(
        "import keras, numpy as np\n"
        "from onions import claims\n"
        "claims._show = lambda kind, text, metadata: print(metadata['onions']['training'])\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])\n"
        'model.compile(loss="mse", metrics=["accuracy"])\n'
        "x, y = np.ones((64, 4)), np.ones((64, 2))\n"
        "history = model.fit(x, y, epochs=3, validation_data=(x, y), verbose=0)\n"
        "assert history.seconds > 0\n"
        "history.history['val_accuracy'] = [0.1, 0.3, 0.2]\n"
        "claims.trained('a network', model, history)\n"
        "claims.trained('a network', model, history, epoch=2)\n"
        "for epoch in (0, 4, -1):\n"
        "    try:\n"
        "        claims.trained('a network', model, history, epoch=epoch)\n"
        "    except ValueError as error:\n"
        "        print(repr(str(error)))\n"
    )
    last, best, *refused = (ast.literal_eval(line) for line in printed.splitlines())
    assert last["parameters"] == 10 and last["epochs"] == last["epoch"] == 3
    assert (last["val_accuracy"], best["val_accuracy"]) == (0.2, 0.3)
    assert best["epoch"] == 2 and best["epochs"] == 3 and best["name"] == "a network"
    assert len(refused) == 3
    assert refused[0] == "a network: epoch 0 was not trained. Choose 1 to 3."


def test_a_shortened_training_is_timed() -> None:
    printed = run(
        "import inspect, keras, numpy as np\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])\n"
        'model.compile(loss="mse")\n'
        "history = model.fit(np.ones((64, 4)), np.ones((64, 2)), epochs=3, verbose=0)\n"
        "print(len(history.epoch), history.seconds > 0)\n"
        "print('batch_size' in inspect.signature(model.fit).parameters)\n",
        ONIONS_PROFILE="smoke",
    )
    assert printed == "1 True\nTrue\n"


def test_a_seed_offset_is_added_to_every_seed_that_a_page_sets() -> None:
    code = (
        "import keras\n"
        "from keras.utils import set_random_seed\n"
        "for set_seed in (keras.utils.set_random_seed, set_random_seed):\n"
        "    set_seed(1)\n"
        "    print(float(keras.random.uniform((1,))[0]))\n"
    )
    by_offset = {n: run(code, ONIONS_SEED_OFFSET=f"{n}").splitlines() for n in (0, 2)}
    by_seed = run(code.replace("set_seed(1)", "set_seed(3)")).splitlines()
    assert by_offset[2] == by_seed and by_offset[0] != by_seed
    assert len(set(by_seed)) == 1
