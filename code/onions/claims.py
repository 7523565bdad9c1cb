"""What a page says about its own run: numbers it measures, networks it trains, sentences it claims.

All are recorded in the output of the cell that makes them, so they live in the executed notebook
and are read from there; nothing else has to be kept in step.
"""

import math
from typing import Any, TypedDict

Value = int | float | str | bool

KEY = "onions"  # under this key of an output's metadata
GLUE_PREFIX = "application/papermill.record/"  # what MyST-NB's `glue` looks for

# Set by onions.kernel once a training was cut short: what a claim would say no longer counts.
not_checked_because = ""
# Every sentence claimed in this kernel: a record that a page cleared away is missed.
claimed: list[str] = []


class Measure(TypedDict):
    """A number of the run, under the name by which the page's text shows it."""

    name: str
    value: Value


class Training(TypedDict):
    """A trained network, as one row of the lesson's table of all networks.

    The accuracies are shares from 0 to 1 after `epoch`; `epochs` is how many were trained, and
    `curves` has what ``fit`` recorded: for each metric a number by epoch.
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
    """A sentence of the page, whether it holds, and the numbers it rests on.

    `holds` is None where it was not checked, and `why` says why.
    """

    sentence: str
    holds: bool | None
    why: str
    measures: dict[str, Value]


def measure(name: str, value: Any) -> None:
    """Record a number or word of the run; the page shows it with ``{glue:text}`name```.

    `value` is a Python or NumPy scalar or a string. Raises TypeError for anything else, ValueError
    for NaN and infinity.
    """
    plain = _plain(name, value)
    record = Measure(name=name, value=plain)
    metadata = {KEY: {"measure": record}, "scrapbook": {"name": name, "mime_prefix": GLUE_PREFIX}}
    text = plain if isinstance(plain, str) else repr(plain)
    _show(f"{GLUE_PREFIX}text/plain", text, metadata)


def trained(name: str, model: Any, history: Any, *, epoch: int | None = None) -> None:
    """Record a network for the table of all networks.

    `name` says in words what sets it apart. Keras' ``fit`` was called on `model` and returned
    `history`, with the metric accuracy and validation data; `epoch` (from 1) is the one whose
    weights the network kept, by default the last. Raises KeyError without those accuracies,
    ValueError for an epoch that was not trained, and AttributeError where `onions.kernel`, which
    takes the time of every ``fit``, is not installed.
    """
    accuracies = history.history["accuracy"], history.history["val_accuracy"]
    epochs = len(accuracies[0])
    kept = epochs if epoch is None else int(epoch)
    if not 1 <= kept <= epochs:
        raise ValueError(f"{name}: epoch {kept} was not trained; there are 1 to {epochs}")
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


def claim(sentence: str, condition: Any, **measured: Any) -> None:
    """Record whether a sentence of this page is true of this run.

    `sentence` stands in the page word for word, without numbers; `condition` is a truth value and
    `measured` the scalars it rests on. A claim that does not hold fails the build after the page's
    last cell, so that all of them are listed at once. Raises TypeError where the condition is not
    a truth value, or a measure not a scalar.
    """
    values = {name: _plain(name, value) for name, value in measured.items()}
    truth = condition.item() if getattr(condition, "size", 0) == 1 else condition
    if not isinstance(truth, bool):
        raise TypeError(f"“{sentence}”: the condition is {type(condition)}, not true or false")
    claimed.append(sentence)
    holds = None if not_checked_because else truth
    record = Claim(sentence=sentence, holds=holds, why=not_checked_because, measures=values)
    mark = {True: "holds", False: "does not hold", None: "not checked"}[holds]
    _show("text/plain", f"{mark}: {sentence} {values}", {KEY: {"claim": record}})


def _plain(name: str, value: Any) -> Value:
    plain = value.item() if getattr(value, "size", 0) == 1 else value
    if not isinstance(plain, int | float | str | bool):
        raise TypeError(f"{name}: a measure is a single number or a word, not {type(value)}")
    if isinstance(plain, float) and not math.isfinite(plain):
        raise ValueError(f"{name}: a measure can't be {plain}; did the training diverge?")
    return plain


def _show(mime_type: str, text: str, metadata: dict[str, Any]) -> None:
    """Display where there is a notebook; in a plain script nobody reads the records."""
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython():
        display({mime_type: text}, raw=True, metadata=metadata)
