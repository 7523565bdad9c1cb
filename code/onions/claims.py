"""Records of a page's run: measures, trainings and claims.

Each record is an output of the cell that makes it. The executed notebook is therefore the only copy
of all records, and no other file can contradict it.
"""

import math
from typing import Any, TypedDict

Value = int | float | str | bool

KEY = "onions"  # the key of a record in an output's metadata
GLUE_PREFIX = "application/papermill.record/"  # of the MIME types that MyST-NB's `glue` reads

CUT_SHORT = "the smoke profile trains for one epoch of 512 images"
# Set by onions.kernel when it shortens a training; later claims are not checked.
not_checked_reason = ""
# Every sentence claimed in this kernel; execute uses it to find claims whose output was cleared.
claimed_sentences: list[str] = []


class Measure(TypedDict):
    """A number or word from the run; the page's text shows it by its name.

    `scale` says on which scale runs with other seeds are compared: ``logit`` for a share, ``log``
    for a loss, and "" for the number itself.
    """

    name: str
    value: Value
    scale: str


class Training(TypedDict):
    """A trained network: one row of the lesson's table of all networks.

    `epochs` is the number of epochs trained. The accuracies, from 0 to 1, are those after `epoch`,
    counted from 1. `seconds` is the duration of ``fit``, and `curves` holds its history: for each
    metric, one value per epoch.
    """

    name: str
    parameters: int
    epochs: int
    epoch: int
    seconds: float
    accuracy: float
    val_accuracy: float
    curves: dict[str, list[float]]


class Claim(TypedDict):
    """A sentence of the page, whether it holds, and the measures behind it.

    `holds` is None if the claim was not checked; then `why` gives the reason.
    """

    sentence: str
    holds: bool | None
    why: str
    measures: dict[str, Value]


def measure(name: str, value: Any, scale: str = "") -> None:
    """Record a number or word from the run; the page shows it with ``{glue:text}`name```.

    `value` is a Python or NumPy scalar, or a string. `scale` is ``logit`` for a share between 0 and
    1, such as an accuracy, ``log`` for a positive number such as a loss, and "" for any other:
    on these scales, runs with other seeds are spread about symmetrically. Raises TypeError for
    anything else, and ValueError for NaN and infinity and for a number outside its scale.
    """
    scalar = _scalar(name, value)
    if scale and not (
        isinstance(scalar, int | float)
        and {"logit": 0 <= scalar <= 1, "log": scalar > 0}.get(scale, False)
    ):
        raise ValueError(f"{name}: {scalar} is not on the scale {scale!r}. Use logit, log or none.")
    record = Measure(name=name, value=scalar, scale=scale)
    metadata = {KEY: {"measure": record}, "scrapbook": {"name": name, "mime_prefix": GLUE_PREFIX}}
    text = scalar if isinstance(scalar, str) else repr(scalar)
    _show(f"{GLUE_PREFIX}text/plain", text, metadata)


def trained(name: str, model: Any, history: Any, *, epoch: int | None = None) -> None:
    """Record a trained network for the table of all networks.

    `name` describes the network in words. `history` is the return value of the ``fit`` of `model`,
    called with the metric accuracy and with validation data. `epoch` (from 1) is the epoch whose
    weights the network kept; by default the last. Raises KeyError if an accuracy is missing,
    ValueError if `epoch` was not trained, and AttributeError if `onions.kernel`, which times every
    ``fit``, is not installed.
    """
    accuracies = history.history["accuracy"], history.history["val_accuracy"]
    epochs = len(accuracies[0])
    kept = epochs if epoch is None else int(epoch)
    if not 1 <= kept <= epochs:
        raise ValueError(f"{name}: epoch {kept} was not trained. Choose 1 to {epochs}.")
    record = Training(
        name=name,
        parameters=model.count_params(),
        epochs=epochs,
        epoch=kept,
        seconds=round(history.seconds, 1),
        accuracy=float(accuracies[0][kept - 1]),
        val_accuracy=float(accuracies[1][kept - 1]),
        curves={
            metric: [round(float(value), 5) for value in values]
            for metric, values in history.history.items()
        },
    )
    _show("text/plain", f"trained: {name}", {KEY: {"training": record}})


def claim(sentence: str, condition: Any, **measures: Any) -> None:
    """Record whether a sentence of this page is true of this run.

    `sentence` repeats a sentence of the page word for word, without numbers. `condition` is a truth
    value, and `measures` are the scalars it depends on. A false claim fails the build after the
    page's last cell (see `onions.run.claims`), so the error lists every false claim. Raises
    TypeError if the condition is not a truth value or a measure is not a scalar, and ValueError for
    NaN and infinity.
    """
    values = {name: _scalar(name, value) for name, value in measures.items()}
    truth = condition.item() if getattr(condition, "size", 0) == 1 else condition
    if not isinstance(truth, bool):
        raise TypeError(f"“{sentence}”: the condition is {type(condition)}, not true or false")
    claimed_sentences.append(sentence)
    holds = None if not_checked_reason else truth
    record = Claim(sentence=sentence, holds=holds, why=not_checked_reason, measures=values)
    outcome = {True: "holds", False: "does not hold", None: "not checked"}[holds]
    _show("text/plain", f"{outcome}: {sentence} {values}", {KEY: {"claim": record}})


def _scalar(name: str, value: Any) -> Value:
    scalar = value.item() if getattr(value, "size", 0) == 1 else value
    if not isinstance(scalar, int | float | str | bool):
        raise TypeError(f"{name}: a measure is a single number or a word, not {type(value)}")
    if isinstance(scalar, float) and not math.isfinite(scalar):
        raise ValueError(f"{name}: a measure can't be {scalar}; did the training diverge?")
    return scalar


def _show(mime_type: str, text: str, metadata: dict[str, Any]) -> None:
    """Display a record in a notebook; do nothing in a plain script, where nothing reads it."""
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython():
        display({mime_type: text}, raw=True, metadata=metadata)
