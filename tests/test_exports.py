import json
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import run_onions
from onions.exports import MIME, _packed, export, weights_by_epoch
from onions.fingerprint import Build, fingerprint
from onions.pages import Project
from onions.store import Store

Small = Callable[..., Path]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32"])
def test_an_array_is_kept_bit_by_bit(dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)[:, ::2]  # not contiguous
    packed = _packed("x", array)
    again = np.frombuffer(b64decode(packed["base64"]), dtype).reshape(packed["shape"])
    assert packed["dtype"] == dtype and np.array_equal(again, array)


def test_plain_values_stay_what_they_are() -> None:
    values = {"names": ("cat", "dog"), "n": np.int64(3), "share": np.float32(0.5), "none": None}
    assert _packed("x", values) == {"names": ["cat", "dog"], "n": 3, "share": 0.5, "none": None}


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (np.ones(2), TypeError, "x: an array of float64 can't be exported; use astype"),
        (np.array([1, np.nan], "float32"), ValueError, "x: the array holds NaN"),
        (float("inf"), ValueError, "did the training diverge"),
        (object(), TypeError, "x: <class 'object'> can't be exported"),
        ({"inner": [{1, 2}]}, TypeError, "set"),
    ],
)
def test_what_no_explorer_could_read_is_refused(value: Any, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        export("name", x=value) if not isinstance(value, dict) else export("name", **value)


def test_in_a_plain_script_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    export("name", x=1)
    assert capsys.readouterr() == ("", "")


def test_an_export_lies_in_the_store(small: Small) -> None:
    root = small(
        index="# Title\n\n```{code-cell} python\n:tags: [remove-cell, build-only, export]\n"
        "import numpy as np\nfrom onions.exports import export\n"
        'export("grid", values=np.eye(2, dtype="float16"), names=["a"])\n```\n'
    )
    done = run_onions(root, "execute")
    assert done.returncode == 0, done.stderr
    project = Project(root)
    entry = Store(project.store).read(
        fingerprint(project.page("index"), project, Build.read(project))
    )
    assert entry is not None
    (output,) = entry.cells[0].outputs
    assert output["data"][MIME]["name"] == "grid"
    assert json.loads(json.dumps(output["data"][MIME]["values"]))["values"]["shape"] == [2, 2]


def test_the_weights_of_each_epoch_are_kept_and_fit_is_called_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Callable[[int, dict[str, float]], None]] = []

    def callback(on_epoch_end: Callable[[int, dict[str, float]], None]) -> str:
        made.append(on_epoch_end)
        return "ours"

    callbacks = SimpleNamespace(LambdaCallback=callback)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(callbacks=callbacks))

    class Model:
        weight = 0

        def get_weights(self) -> list[int]:
            return [self.weight]

        def fit(self, images: str, epochs: int, callbacks: list[str]) -> str:
            assert (images, callbacks) == ("images", ["theirs", "ours"])
            for epoch in range(epochs):
                self.weight += 1
                made[0](epoch, {})
            return "history"

    model = Model()
    found = weights_by_epoch(model)
    assert model.fit("images", epochs=3, callbacks=["theirs"]) == "history"
    assert found == [[1], [2], [3]]
