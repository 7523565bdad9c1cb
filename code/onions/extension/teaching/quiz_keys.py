"""Quiz keys: expressions that determine the right answer from the measures of a page's run.

If a key and the run disagree, the build fails with a message that says what the run shows.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onions.claims import Value

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class QuizKeyError(Exception):
    """A malformed quiz, a key that can't be evaluated, or a key that the run contradicts."""


def evaluate(expression: str, measures: Mapping[str, Value]) -> Value:
    """Return the value of an expression over `measures`.

    It may contain names of measures, numbers, strings, arithmetic, comparisons, ``and``, ``or`` and
    ``not``. Raises QuizKeyError if it contains anything else, uses no measure or can't be computed.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        value = _evaluate(tree.body, measures)
    except SyntaxError as error:
        raise QuizKeyError(f"`{expression}` is not a valid expression: {error.msg}") from error
    except (TypeError, ArithmeticError) as error:
        raise QuizKeyError(f"`{expression}` can't be computed: {error}") from error
    if not _measure_names(tree):
        raise QuizKeyError(f"`{expression}` uses no measure. Compute it from the run's measures.")
    return value


def check_choices(
    answers: Sequence[str], conditions: Sequence[str], measures: Mapping[str, Value], checked: bool
) -> None:
    """Raise QuizKeyError unless the first condition is true in this run and all others are false.

    If `checked` is False, as for a run that was cut short, each condition only has to be a bool.
    """
    truths = [evaluate(condition, measures) for condition in conditions]
    for condition, truth in zip(conditions, truths, strict=True):
        if not isinstance(truth, bool):
            raise QuizKeyError(f"`{condition}` is {truth}, not true or false. Write a comparison.")
    right = [index for index, truth in enumerate(truths) if truth]
    if right == [0] or not checked:
        return
    names = {
        name for condition in conditions for name in _measure_names(ast.parse(condition.strip()))
    }
    numbers = ", ".join(f"{name} = {measures[name]!r}" for name in sorted(names))
    if not right:
        raise QuizKeyError(
            f"no answer is right in this run, where {numbers}. Correct the conditions."
        )
    if len(right) > 1:
        texts = " and ".join(f"“{answers[index]}”" for index in right)
        raise QuizKeyError(
            f"{texts} are right in this run, where {numbers}. Only the first may be."
        )
    raise QuizKeyError(
        f"“{answers[right[0]]}”, not the first answer, is right in this run, where {numbers}. Put "
        "that answer first, and rewrite all reasons."
    )


def check_numbers(
    expressions: Sequence[str], tolerance: float, measures: Mapping[str, Value], checked: bool
) -> list[float]:
    """Return the values of the expressions: the right number, then known mistakes.

    Raises QuizKeyError if a value is not a number, or if `checked` is True and the tolerance ranges
    of two values overlap.
    """
    values: list[float] = []
    for expression in expressions:
        value = evaluate(expression, measures)
        if isinstance(value, bool | str):
            raise QuizKeyError(f"`{expression}` is {value}, not a number")
        # If ranges overlapped, a reader's number could be both right and wrong.
        if checked and any(abs(value - other) <= 2 * tolerance for other in values):
            raise QuizKeyError(
                f"`{expression}` is {value:,}, too close to another answer for this tolerance"
            )
        values.append(value)
    return values


def _evaluate(node: ast.expr, measures: Mapping[str, Value]) -> Any:
    match node:
        case ast.Constant(value=int() | float() | str()):
            return node.value
        case ast.Name(id=name) if name in measures:
            return measures[name]
        case ast.Name(id=name):
            known = ", ".join(measures) or "none"
            raise QuizKeyError(f"{name} is not a measure of this page. Its measures are: {known}")
        case ast.BinOp() if type(node.op) in OPERATORS:
            left, right = _evaluate(node.left, measures), _evaluate(node.right, measures)
            return OPERATORS[type(node.op)](left, right)
        case ast.UnaryOp() if type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](_evaluate(node.operand, measures))
        case ast.BoolOp():
            values = [_evaluate(part, measures) for part in node.values]
            return all(values) if isinstance(node.op, ast.And) else any(values)
        case ast.Compare() if all(type(op) in OPERATORS for op in node.ops):
            values = [_evaluate(part, measures) for part in (node.left, *node.comparators)]
            pairs = zip(node.ops, values, values[1:], strict=False)
            return all(OPERATORS[type(op)](left, right) for op, left, right in pairs)
    raise QuizKeyError(
        f"`{ast.unparse(node)}` is not allowed in a key. Use only measures, numbers, strings, "
        "arithmetic, comparisons, and, or, not."
    )


def _measure_names(tree: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
