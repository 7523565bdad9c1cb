import json
import sys
from base64 import b64decode
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onions.exports import MIME, _encode, export, weights_by_epoch
from support.pages import entry
from support.projects import Small
from support.runs import store_runs


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32"])
def test_an_encoded_array_keeps_every_bit(dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)[:, ::2]  # not contiguous
    encoded = _encode("x", array)
    decoded = np.frombuffer(b64decode(encoded["base64"]), dtype).reshape(encoded["shape"])
    assert encoded["dtype"] == dtype and np.array_equal(decoded, array)


def test_plain_values_are_encoded_unchanged() -> None:
    values = {"names": ("cat", "dog"), "n": np.int64(3), "share": np.float32(0.5), "none": None}
    assert _encode("x", values) == {"names": ["cat", "dog"], "n": 3, "share": 0.5, "none": None}


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones(2), TypeError, "x: an array of float64 can't be exported. Use astype"),
        (np.array([1, np.nan], "float32"), ValueError, "x: the array holds NaN"),
        (float("inf"), ValueError, "did the training diverge"),
        (object(), TypeError, "x: <class 'object'> can't be exported"),
        ({"inner": [{1, 2}]}, TypeError, "set"),
    ],
)
def test_values_that_an_explorer_can_t_read_are_refused(
    value: Any, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        export("name", x=value) if not isinstance(value, dict) else export("name", **value)


def test_a_plain_script_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    export("name", x=1)
    assert capsys.readouterr() == ("", "")


def test_an_export_is_in_the_store_entry(small: Small) -> None:
    root = small(
        index="# Title\n\n```{code-cell} python\n:tags: [remove-cell, build-only, export]\n"
        "import numpy as np\nfrom onions.exports import export\n"
        'export("grid", values=np.eye(2, dtype="float16"), names=["a"])\n```\n'
    )
    store_runs(root)
    notebook = entry(root, "index")
    assert notebook is not None
    (output,) = notebook.cells[0].outputs
    assert output["data"][MIME]["name"] == "grid"
    assert json.loads(json.dumps(output["data"][MIME]["values"]))["values"]["shape"] == [2, 2]


def test_weights_by_epoch_records_each_epoch_and_keeps_the_arguments_of_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    epoch_callbacks: list[Callable[[int, dict[str, float]], None]] = []

    def callback(on_epoch_end: Callable[[int, dict[str, float]], None]) -> str:
        epoch_callbacks.append(on_epoch_end)
        return "recorder"

    callbacks = SimpleNamespace(LambdaCallback=callback)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(callbacks=callbacks))

    class Model:
        weight = 0

        def get_weights(self) -> list[int]:
            return [self.weight]

        def fit(self, images: str, epochs: int, callbacks: list[str]) -> str:
            assert (images, callbacks) == ("images", ["given", "recorder"])
            for epoch in range(epochs):
                self.weight += 1
                epoch_callbacks[0](epoch, {})
            return "history"

    model = Model()
    weights = weights_by_epoch(model)
    assert model.fit("images", epochs=3, callbacks=["given"]) == "history"
    assert weights == [[1], [2], [3]]
