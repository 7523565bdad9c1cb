"""What a page's run hands on to the explorers: images, weights, curves.

They are outputs of a MIME type of their own, of the page's build-only cells; so they lie in the
store beside everything else that the run put out, and a render without Keras or NumPy writes them
out as small files.
"""

import base64
import functools
import math
import sys
from typing import Any

MIME = "application/vnd.onions.export+json"
TAG = "export"  # of the cells that export: they only read, so reference runs do without them
DTYPES = ("uint8", "int32", "float16", "float32")


def export(name: str, **values: Any) -> None:
    """Hand values on to the explorer that asks for them by ``:export: name``.

    A value is a NumPy array of one of `DTYPES`, kept bit by bit in little-endian order, or what
    JSON can say: numbers, strings, lists and dictionaries of them. Weights go out as float16: half
    the bytes, and an explorer rounds its pictures more than that. Raises TypeError for other
    values, ValueError for NaN and infinity.
    """
    from IPython import get_ipython
    from IPython.display import display

    record = {key: _packed(f"{name}: {key}", value) for key, value in values.items()}
    if get_ipython():  # in a plain script nobody reads it
        said = f"exported: {name} ({', '.join(values)})"
        display({MIME: {"name": name, "values": record}, "text/plain": said}, raw=True)


def weights_by_epoch(model: Any) -> list[list[Any]]:
    """Return a list into which every later ``fit`` of a Keras model puts its weights.

    There is an item for each epoch: what ``get_weights`` returns at its end, a list of float32
    arrays. The training stays as it is: nothing is computed in it, and no random number taken.
    """
    found: list[list[Any]] = []
    whole_fit = model.fit

    @functools.wraps(whole_fit)
    def fit(*args: Any, **kwargs: Any) -> Any:
        note = sys.modules["keras"].callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: found.append(model.get_weights())
        )
        return whole_fit(*args, **kwargs | {"callbacks": [*(kwargs.get("callbacks") or []), note]})

    model.fit = fit
    return found


def _packed(place: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _packed(place, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(place, inner) for inner in value]
    if getattr(value, "shape", ()):
        return _array(place, value)
    plain = value.item() if hasattr(value, "item") else value
    if not (plain is None or isinstance(plain, str | bool | int | float)):
        raise TypeError(f"{place}: {type(value)} can't be exported; make it an array or a list")
    if isinstance(plain, float) and not math.isfinite(plain):
        raise ValueError(f"{place}: {plain} can't be exported; did the training diverge?")
    return plain


def _array(place: str, array: Any) -> dict[str, Any]:
    kind = str(getattr(array, "dtype", ""))
    if kind not in DTYPES:
        kinds = ", ".join(DTYPES)
        raise TypeError(f"{place}: an array of {kind} can't be exported; use astype with {kinds}")
    if kind.startswith("float") and not all(map(math.isfinite, array.ravel().tolist())):
        raise ValueError(f"{place}: the array holds NaN or infinity")
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    text = base64.b64encode(data).decode()
    return {"dtype": kind, "shape": list(array.shape), "base64": text}
