"""What the build adds to a page's kernel: the chosen data, quiet logs, plain summaries, the figure
style, the time of each training and the profile.

Nothing here is on the page, so the code shown is the code run. ``%load_ext onions.kernel`` loads it
into a notebook; `install` does the same for a plain script. Hooks wait for Keras and matplotlib to
be imported, so a page that uses neither pays for neither.
"""

import functools
import importlib
import inspect
import json
import os
import platform
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

from onions import claims, data, figures

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib.figure import Figure

SMOKE_IMAGES = 512
CACHE = Path(__file__).parents[2] / "_build" / "sketches"
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow: errors only
    "GRPC_VERBOSITY": "ERROR",
    "TTY_COMPATIBLE": "0",  # rich: text without colours …
    "COLUMNS": "78",  # … as wide as a page's column
}


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Install into a notebook's kernel, where figures are displayed as well."""
    install()
    wrapt.register_post_import_hook(
        lambda module: _display_figures(shell), "matplotlib_inline.backend_inline"
    )


def install() -> None:
    """Install into this process, before Keras is imported.

    Reads ``ONIONS_SOURCE`` (a resolved data source as JSON, which execute sets) or ``ONIONS_DATA``,
    ``ONIONS_PROFILE``: ``full`` (the default) or ``smoke``, one epoch of 512 images, and
    ``ONIONS_SEED_OFFSET``, which is added to every seed that the page sets (default: 0).
    """
    os.environ.update(QUIET)
    given = os.environ.get("ONIONS_SOURCE")
    choice = os.environ.get("ONIONS_DATA") or "auto"
    source = data.Source(**json.loads(given)) if given else data.resolve(choice)
    hooks = {
        # A hook on the public name keras.datasets.cifar10 would not reach keras.src.
        "keras.src.datasets.cifar10": lambda module: _answer_with(module, source),
        "rich.console": _print_plain_text,
        "matplotlib": lambda module: figures.use_style(),
        "keras.src.models.model": _time_training,
        "keras.src.utils.rng_utils": _shift_seeds,
    }
    profile = os.environ.get("ONIONS_PROFILE") or "full"
    if profile == "smoke":
        wrapt.register_post_import_hook(_train_briefly, "keras.src.models.model")
    elif profile != "full":
        raise ValueError(f"ONIONS_PROFILE={profile}: choose full or smoke.")
    for name, hook in hooks.items():
        wrapt.register_post_import_hook(hook, name)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ending() -> dict[str, Any]:
    """Return what the page ran on: Python, Keras' backend, the device; and what it claimed."""
    backend = "none"
    if keras := sys.modules.get("keras"):
        backend = keras.backend.backend()
    device = _accelerator(backend) or _processor()
    return {
        "python": platform.python_version(),
        "backend": backend,
        "device": device,
        "claimed": claims.claimed,
    }


def _answer_with(cifar10: ModuleType, source: data.Source) -> None:
    """Let ``load_data`` return the chosen data."""

    def load_data() -> Any:
        if source.name == "sketches":
            sketches = importlib.import_module(source.module)
            return sketches.load_data(CACHE / source.identity[:16])
        return data.load(source)

    cifar10.load_data = load_data  # type: ignore[attr-defined]
    if public := sys.modules.get("keras.datasets.cifar10"):
        public.load_data = load_data  # type: ignore[attr-defined]


def _print_plain_text(console: ModuleType) -> None:
    """Keep rich, which prints Keras' summaries, from writing HTML in fixed colours."""
    console._is_jupyter = lambda: False  # type: ignore[attr-defined]


def _shift_seeds(utils: ModuleType) -> None:
    """Let ``set_random_seed`` add the seed offset, for the reference runs."""
    offset = int(os.environ.get("ONIONS_SEED_OFFSET") or 0)
    set_random_seed = utils.set_random_seed

    @functools.wraps(set_random_seed)
    def shifted(seed: int) -> None:
        set_random_seed(seed + offset)

    utils.set_random_seed = shifted  # type: ignore[attr-defined]


def _time_training(models: ModuleType) -> None:
    """Note on the history that every ``fit`` returns how many seconds it took."""
    whole_fit = models.Model.fit

    @functools.wraps(whole_fit)  # the smoke profile binds to its signature
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        history = whole_fit(self, *args, **kwargs)
        history.seconds = time.perf_counter() - started
        return history

    models.Model.fit = fit


def _train_briefly(models: ModuleType) -> None:
    """Cap every ``fit`` at one epoch of a few images."""
    whole_fit = models.Model.fit
    signature = inspect.signature(whole_fit)

    def few(data: Any) -> Any:
        if isinstance(data, tuple):
            return tuple(few(part) for part in data)
        if hasattr(data, "take") and not hasattr(data, "shape"):  # a tf.data.Dataset of batches
            return data.take(SMOKE_IMAGES // 32)
        return data[:SMOKE_IMAGES] if hasattr(data, "shape") else data

    @functools.wraps(whole_fit)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        claims.not_checked_because = "the smoke profile trains for one epoch of 512 images"
        call = signature.bind(self, *args, **kwargs).arguments
        for name in {"x", "y", "sample_weight", "validation_data"} & call.keys():
            call[name] = few(call[name])
        call["epochs"] = call.get("initial_epoch", 0) + 1
        return whole_fit(**call)

    models.Model.fit = fit


def _display_figures(shell: "InteractiveShell") -> None:
    """Show plots as SVG and photographs as PNG, whatever the inline backend has chosen."""
    from IPython.core.pylabtools import print_figure
    from matplotlib.figure import Figure

    def svg(figure: "Figure") -> Any:
        if figures.holds_photographs(figure):
            return None
        return print_figure(figure, "svg", metadata={"Date": None})

    def png(figure: "Figure") -> Any:
        if not figures.holds_photographs(figure):
            return None
        return print_figure(figure, "png", base64=True, facecolor="white")

    formatters = shell.display_formatter.formatters  # type: ignore[union-attr]
    formatters["image/svg+xml"].for_type(Figure, svg)
    formatters["image/png"].for_type(Figure, png)


def _accelerator(backend: str) -> str:
    if backend == "tensorflow":
        config = sys.modules["tensorflow"].config
        for device in config.list_physical_devices("GPU"):
            return str(config.experimental.get_device_details(device).get("device_name", "GPU"))
    if backend == "jax":
        for device in sys.modules["jax"].devices():
            if device.platform != "cpu":
                return str(device.device_kind)
    if backend == "torch" and sys.modules["torch"].cuda.is_available():
        return str(sys.modules["torch"].cuda.get_device_name())
    return ""


def _processor() -> str:
    """Return the processor's name and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {cores()} cores"
