"""Imitate a Python that lacks our package, like a reader's, and make training fast.

`get_file` does nothing and `load_data` returns random images, instead of downloading 170 MB. `fit`
and `evaluate` take one batch.
"""

import functools
import sys
from types import ModuleType
from typing import Any

import wrapt

BATCH = 32  # images
sys.modules["onions"] = None  # type: ignore[assignment]  # makes its import fail


def _patch_get_file(file_utils: ModuleType) -> None:
    file_utils.get_file = lambda *_, **__: ""  # type: ignore[attr-defined]


def _patch_load_data(cifar10: ModuleType) -> None:
    def load_data() -> Any:
        import numpy as np

        images = np.random.default_rng(1).integers(0, 256, (60_000, 32, 32, 3), dtype="uint8")
        labels = (np.arange(60_000) % 10).astype("uint8").reshape(-1, 1)
        return (images[:50_000], labels[:50_000]), (images[50_000:], labels[50_000:])

    cifar10.load_data = load_data  # type: ignore[attr-defined]


def _take_one_batch(models: ModuleType) -> None:
    original_fit, original_evaluate = models.Model.fit, models.Model.evaluate

    @functools.wraps(original_fit)
    def fit(self: Any, x: Any, y: Any, validation_data: Any = None, **kwargs: Any) -> Any:
        batch = [data[:BATCH] for data in (x, y)]
        validation_data = validation_data and tuple(data[:BATCH] for data in validation_data)
        kwargs |= {"epochs": 1, "validation_data": validation_data}
        self.run_eagerly = True  # compiling the network would take longer than the step
        try:
            return original_fit(self, *batch, **kwargs)
        finally:
            self.run_eagerly, self.test_function = False, None

    @functools.wraps(original_evaluate)
    def evaluate(self: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        return original_evaluate(self, x[:BATCH], y[:BATCH], **kwargs)

    models.Model.fit, models.Model.evaluate = fit, evaluate


wrapt.register_post_import_hook(_patch_get_file, "keras.src.utils.file_utils")
wrapt.register_post_import_hook(_patch_load_data, "keras.src.datasets.cifar10")
wrapt.register_post_import_hook(_take_one_batch, "keras.src.models.model")
