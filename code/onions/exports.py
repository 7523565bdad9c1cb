"""Values that a page exports to its explorers: images, weights, curves.

They are outputs of build-only cells, with their own MIME type. The store therefore keeps them with
the page's other outputs, and render writes them to small files without Keras or NumPy.
"""

import base64
import functools
import math
import sys
from typing import Any

MIME = "application/vnd.onions.export+json"
TAG = "export"  # of cells that export; they change no result, so reference runs skip them
DTYPES = ("uint8", "int32", "float16", "float32")


def export(name: str, **values: Any) -> None:
    """Export values to the explorers that have the option ``:export: name``.

    A value is a NumPy array with a dtype from `DTYPES`, stored bit for bit in little-endian order,
    or a JSON value, which may be nested. Export weights as float16, which halves the bytes and is
    precise enough for the explorers' pictures. Raises TypeError for other values, and ValueError
    for NaN and infinity.
    """
    from IPython import get_ipython
    from IPython.display import display

    record = {key: _encode(f"{name}: {key}", value) for key, value in values.items()}
    if get_ipython():  # in a plain script, nothing reads it
        summary = f"exported: {name} ({', '.join(values)})"
        display({MIME: {"name": name, "values": record}, "text/plain": summary}, raw=True)


def layers_of(model: Any) -> list[dict[str, Any]]:
    """Return what an explorer needs to know of each layer of a Keras model, for `export`.

    A layer is its kind, its settings as in Keras, and its weights as float16.
    """
    settings = ("filters", "kernel_size", "strides", "padding", "pool_size", "units", "rate")
    layers = []
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        config = layer.get_config()
        kept = {name: config[name] for name in (*settings, "activation") if name in config}
        weights = [array.astype("float16") for array in layer.get_weights()]
        layers.append({"kind": type(layer).__name__, **kept, "weights": weights})
    return layers


def weights_by_epoch(model: Any) -> list[list[Any]]:
    """Return a list to which every later ``fit`` of a Keras model appends the model's weights.

    Each epoch adds one item: the result of ``get_weights()`` at its end, a list of float32 arrays.
    Recording draws no random numbers, so the training does not change.
    """
    weights: list[list[Any]] = []
    original_fit = model.fit

    @functools.wraps(original_fit)
    def fit(*args: Any, **kwargs: Any) -> Any:
        recorder = sys.modules["keras"].callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
        )
        callbacks = [*(kwargs.get("callbacks") or []), recorder]
        return original_fit(*args, **kwargs | {"callbacks": callbacks})

    model.fit = fit
    return weights


def _encode(label: str, value: Any) -> Any:
    """Convert a value to JSON values; error messages begin with `label`."""
    if isinstance(value, dict):
        return {str(key): _encode(label, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(label, item) for item in value]
    if getattr(value, "shape", ()):
        return _encode_array(label, value)
    scalar = value.item() if hasattr(value, "item") else value
    if not (scalar is None or isinstance(scalar, str | bool | int | float)):
        raise TypeError(f"{label}: {type(value)} can't be exported. Make it an array or a list.")
    if isinstance(scalar, float) and not math.isfinite(scalar):
        raise ValueError(f"{label}: {scalar} can't be exported; did the training diverge?")
    return scalar


def _encode_array(label: str, array: Any) -> dict[str, Any]:
    dtype = str(getattr(array, "dtype", ""))
    if dtype not in DTYPES:
        choices = ", ".join(DTYPES)
        raise TypeError(
            f"{label}: an array of {dtype} can't be exported. Use astype with one of {choices}."
        )
    if dtype.startswith("float") and not all(map(math.isfinite, array.ravel().tolist())):
        raise ValueError(f"{label}: the array holds NaN or infinity; did the training diverge?")
    content = array.astype(array.dtype.newbyteorder("<")).tobytes()
    text = base64.b64encode(content).decode()
    return {"dtype": dtype, "shape": list(array.shape), "base64": text}
