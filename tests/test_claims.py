import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from onions import claims, store
from onions.claims import claim, measure


def test_in_a_plain_script_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert not InteractiveShell.initialized()
    measure("a", 1)
    claim("It holds.", False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [3, 0.5, "word", True, np.float32(0.5), np.int64(3), np.bool_(1)])
def test_a_measure_is_a_scalar_or_a_word(value: object) -> None:
    measure("a", value)


@pytest.mark.parametrize("value", [[1], None, np.arange(2), {"a": 1}])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"a: a measure is a single number or a word"):
        measure("a", value)


@pytest.mark.parametrize("not_checked", [True, False])
@pytest.mark.parametrize("condition", [(1 > 2, "why"), len, 1, None, np.array([True, True]), "yes"])
def test_a_condition_is_true_or_false(
    monkeypatch: pytest.MonkeyPatch, condition: object, not_checked: bool
) -> None:
    monkeypatch.setattr(claims, "not_checked_because", "too short" if not_checked else "")
    with pytest.raises(TypeError, match=r"“It holds\.”: the condition is .* not true or false"):
        claim("It holds.", condition)


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf")])
def test_a_training_that_diverged_is_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"a: a measure can't be (nan|inf); did the training"):
        claim("It holds.", True, a=value)


def test_the_records_are_found_in_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, object]] = []
    monkeypatch.setattr(
        claims,
        "_show",
        lambda mime_type, text, metadata: shown.append(
            {"data": {mime_type: text}, "metadata": metadata}
        ),
    )
    measure("gap", np.float64(0.25))
    claim("It narrows.", np.bool_(True), before=0.5, after=0.25)
    monkeypatch.setattr(claims, "not_checked_because", "too short")
    claim("It falls.", False)
    import nbformat

    cells = [{"cell_type": "code", "outputs": shown}]
    notebook = nbformat.from_dict({"cells": cells})
    assert list(store.measures(notebook)) == [(0, {"name": "gap", "value": 0.25})]
    first, second = (record for _, record in store.claims(notebook))
    assert first["holds"] is True and first["measures"] == {"before": 0.5, "after": 0.25}
    assert second["holds"] is None and second["why"] == "too short"
