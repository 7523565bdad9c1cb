"""The build's changes to a page's kernel: data, logs, summaries, figures, timing, profile, seeds.

Pages need no code for these changes, so the code they show is the code that runs. A notebook
installs the changes with ``%load_ext onions.kernel``, a plain script with `install`. Import hooks
apply them when Keras or matplotlib is imported, so a page that uses neither loads neither.
"""

import functools
import importlib
import inspect
import json
import os
import platform
import random
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

from onions import claims, figures
from onions.base.cores import cores
from onions.images import sources

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib.figure import Figure

SMOKE_IMAGES = 512
PAGE_IMAGES = 10_000  # that a page takes of the training set: 5,000 train, 5,000 validate
CACHE = Path(__file__).parents[2] / "_build" / "sketches"  # of the stand-in's images
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow: errors only
    "GRPC_VERBOSITY": "ERROR",
    "TTY_COMPATIBLE": "0",  # rich: text without colours …
    "COLUMNS": "78",  # … as wide as a page's column
}


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Install the changes in a notebook's kernel, and set the formats of its figures."""
    install()
    wrapt.register_post_import_hook(
        lambda module: _display_figures(shell), "matplotlib_inline.backend_inline"
    )


def install() -> None:
    """Install the changes in this process. Call it before Keras is imported.

    Reads these environment variables:

    - ``ONIONS_SOURCE``: a resolved data source as JSON. If it is not set, ``ONIONS_DATA`` is used.
    - ``ONIONS_PROFILE``: ``full`` (the default) or ``smoke`` (one epoch of 512 images).
    - ``ONIONS_SEED_OFFSET``: the first seed, and a number added to every seed that the page sets
      (default 0).
    - ``ONIONS_IMAGES``: which images come first in the training set: the lesson's own (0, the
      default), or the n-th 10,000 after them (n from 1 to 4).

    Raises DataError if the data is missing, ValueError if the profile is unknown.
    """
    os.environ.update(ENVIRONMENT)
    random.seed(_seed_offset())  # Keras draws the seeds of its layers from it
    resolved = os.environ.get("ONIONS_SOURCE")
    choice = os.environ.get("ONIONS_DATA") or "auto"
    source = sources.Source(**json.loads(resolved)) if resolved else sources.resolve_source(choice)
    hooks = {
        # A hook on the public module keras.datasets.cifar10 would not change keras.src.
        "keras.src.datasets.cifar10": lambda module: _replace_load_data(module, source),
        "numpy": lambda module: module.random.seed(_seed_offset()),
        "tensorflow": lambda module: module.random.set_seed(_seed_offset()),
        "rich.console": _print_plain_text,
        "matplotlib": lambda module: figures.use_style(),
        "keras.src.models.model": _time_training,
        "keras.src.utils.rng_utils": _shift_seeds,
    }
    profile = os.environ.get("ONIONS_PROFILE") or "full"
    if profile == "smoke":
        wrapt.register_post_import_hook(_train_briefly, "keras.src.models.model")
    elif profile != "full":
        raise ValueError(f"ONIONS_PROFILE={profile}: unknown profile. Choose full or smoke.")
    for name, hook in hooks.items():
        wrapt.register_post_import_hook(hook, name)


def run_facts() -> dict[str, Any]:
    """Return facts about this run: its Python version (`python`) and its `device`.

    Also return the `device kind` (CPU or GPU), the `claimed` sentences, and the paths of our
    imported `modules`.
    """
    root = Path(__file__).parents[1]
    own = [module for name, module in sys.modules.items() if name.partition(".")[0] == "onions"]
    return {
        "python": platform.python_version(),
        "device": _accelerator() or _processor(),
        "device kind": "GPU" if _accelerator() else "CPU",
        "claimed": claims.claimed_sentences,
        "modules": [Path(str(module.__file__)).relative_to(root).as_posix() for module in own],
    }


def _replace_load_data(cifar10: ModuleType, source: sources.Source) -> None:
    images = int(os.environ.get("ONIONS_IMAGES") or 0)

    def load_data() -> Any:
        from numpy import roll  # imported here, so a page that loads no images loads no NumPy

        if source.name == "sketches":
            sketches = importlib.import_module(source.module)
            return sketches.load_data(CACHE / source.identity[:16], sketches.SEED + images)
        train, test = sources.load_images(source)
        first = PAGE_IMAGES * images
        return (tuple(roll(array, -first, axis=0) for array in train) if first else train), test

    cifar10.load_data = load_data  # type: ignore[attr-defined]
    if public := sys.modules.get("keras.datasets.cifar10"):
        public.load_data = load_data  # type: ignore[attr-defined]


def _print_plain_text(console: ModuleType) -> None:
    """Make rich, which prints Keras' summaries, write plain text instead of coloured HTML."""
    console._is_jupyter = lambda: False  # type: ignore[attr-defined]


def _shift_seeds(utils: ModuleType) -> None:
    """Make ``set_random_seed`` add the seed offset, for the reference runs."""
    set_random_seed = utils.set_random_seed

    @functools.wraps(set_random_seed)
    def shifted(seed: int) -> None:
        set_random_seed(seed + _seed_offset())

    utils.set_random_seed = shifted  # type: ignore[attr-defined]


def _seed_offset() -> int:
    return int(os.environ.get("ONIONS_SEED_OFFSET") or 0)


def _time_training(models: ModuleType) -> None:
    """Make every ``fit`` store its duration as `seconds` on the history that it returns."""
    original_fit = models.Model.fit

    @functools.wraps(original_fit)  # `_train_briefly` reads its signature
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        history = original_fit(self, *args, **kwargs)
        history.seconds = time.perf_counter() - started
        return history

    models.Model.fit = fit


def _train_briefly(models: ModuleType) -> None:
    """Cap every ``fit`` at one epoch of SMOKE_IMAGES images."""
    original_fit = models.Model.fit
    signature = inspect.signature(original_fit)

    def truncate(data: Any) -> Any:
        if isinstance(data, tuple):
            return tuple(truncate(part) for part in data)
        if hasattr(data, "take") and not hasattr(data, "shape"):  # a tf.data.Dataset of batches
            return data.take(SMOKE_IMAGES // 32)
        return data[:SMOKE_IMAGES] if hasattr(data, "shape") else data

    @functools.wraps(original_fit)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        claims.not_checked_reason = claims.CUT_SHORT
        arguments = signature.bind(self, *args, **kwargs).arguments
        for name in {"x", "y", "sample_weight", "validation_data"} & arguments.keys():
            arguments[name] = truncate(arguments[name])
        arguments["epochs"] = arguments.get("initial_epoch", 0) + 1
        return original_fit(**arguments)

    models.Model.fit = fit


def _display_figures(shell: "InteractiveShell") -> None:
    """Show plots as SVG and photographs as PNG, instead of the inline backend's formats."""
    from IPython.core.pylabtools import print_figure
    from matplotlib.figure import Figure

    def svg(figure: "Figure") -> Any:
        if figures.holds_photographs(figure):
            return None
        figures.finish(figure)
        return print_figure(figure, "svg", metadata={"Date": None})

    def png(figure: "Figure") -> Any:
        if not figures.holds_photographs(figure):
            return None
        figures.finish(figure)
        return print_figure(figure, "png", base64=True)

    formatters = shell.display_formatter.formatters  # type: ignore[union-attr]
    formatters["image/svg+xml"].for_type(Figure, svg)
    formatters["image/png"].for_type(Figure, png)


def _accelerator() -> str:
    """Return the name of the first GPU that TensorFlow uses; "" if there is none."""
    if tensorflow := sys.modules.get("tensorflow"):
        config = tensorflow.config
        for device in config.list_physical_devices("GPU"):
            return str(config.experimental.get_device_details(device).get("device_name", "GPU"))
    return ""


def _processor() -> str:
    """Return the processor's name and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {cores()} cores"
