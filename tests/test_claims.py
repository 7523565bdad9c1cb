import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from onions import claims
from onions.claims import claim, measure
from onions.store import entries


def test_a_plain_script_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert not InteractiveShell.initialized()
    measure("a", 1)
    claim("It holds.", False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [3, 0.5, "word", True, np.float32(0.5), np.int64(3), np.bool_(1)])
def test_a_number_or_a_word_is_accepted_as_a_measure(value: object) -> None:
    measure("a", value)


@pytest.mark.parametrize("value", [[1], None, np.arange(2), {"a": 1}])
def test_any_other_value_is_refused_as_a_measure(value: object) -> None:
    with pytest.raises(TypeError, match=r"a: a measure is a single number or a word"):
        measure("a", value)


@pytest.mark.parametrize("not_checked", [True, False])
@pytest.mark.parametrize("condition", [(1 > 2, "why"), len, 1, None, np.array([True, True]), "yes"])
def test_a_condition_that_is_not_true_or_false_is_refused(
    monkeypatch: pytest.MonkeyPatch, condition: object, not_checked: bool
) -> None:
    monkeypatch.setattr(claims, "not_checked_reason", "too short" if not_checked else "")
    with pytest.raises(TypeError, match=r"“It holds\.”: the condition is .* not true or false"):
        claim("It holds.", condition)


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf")])
def test_a_measure_that_is_not_finite_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"a: a measure can't be (nan|inf); did the training"):
        claim("It holds.", True, a=value)


@pytest.mark.parametrize(
    ("value", "scale"), [(0, "logit"), (1.0, "logit"), (0.01, "log"), (-3, ""), ("word", "")]
)
def test_a_measure_has_a_scale(value: object, scale: str) -> None:
    measure("a", value, scale)


@pytest.mark.parametrize(
    ("value", "scale"), [(1.01, "logit"), (-0.1, "logit"), (0, "log"), ("word", "log"), (1, "ln")]
)
def test_a_measure_outside_its_scale_is_refused(value: object, scale: str) -> None:
    with pytest.raises(ValueError, match=f"a: {value} is not on the scale '{scale}'"):
        measure("a", value, scale)


def test_claims_and_measures_are_read_from_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setattr(claims, "not_checked_reason", "too short")
    claim("It falls.", False)
    cells = [{"cell_type": "code", "outputs": shown}]
    notebook = nbformat.from_dict({"cells": cells})
    assert list(entries.measures(notebook)) == [(0, {"name": "gap", "value": 0.25, "scale": ""})]
    first, second = (record for _, record in entries.claims(notebook))
    assert first["holds"] is True and first["measures"] == {"before": 0.5, "after": 0.25}
    assert second["holds"] is None and second["why"] == "too short"
