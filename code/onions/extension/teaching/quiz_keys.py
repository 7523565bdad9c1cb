"""Keys of quizzes: expressions over the measures of a page's run that say which answer is right.

Where the page and its run disagree, the build fails with a message that says what the run shows.
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
    """A key can't be computed, or the run makes another answer right."""


def evaluate(expression: str, measures: Mapping[str, Value]) -> Value:
    """Return the value of an expression.

    It may have names of measures, numbers, strings, arithmetic, comparisons, ``and``, ``or`` and
    ``not``. Raises QuizKeyError for anything else, and where it names no measure.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        value = _evaluate(tree.body, measures)
    except SyntaxError as error:
        raise QuizKeyError(f"`{expression}` is no expression: {error.msg}") from error
    except (TypeError, ArithmeticError) as error:
        raise QuizKeyError(f"`{expression}` can't be computed: {error}") from error
    if not _measure_names(tree):
        raise QuizKeyError(f"`{expression}` names no measure of the run, so it proves nothing")
    return value


def check_choices(
    answers: Sequence[str], conditions: Sequence[str], measures: Mapping[str, Value], checked: bool
) -> None:
    """Raise QuizKeyError unless the first condition, and no other, is true of this run.

    Where `checked` is false, as after a run that was cut short, each condition only has to be true
    or false.
    """
    truths = [evaluate(condition, measures) for condition in conditions]
    for condition, truth in zip(conditions, truths, strict=True):
        if not isinstance(truth, bool):
            raise QuizKeyError(f"`{condition}` is {truth}, not true or false; compare it")
    right = [index for index, truth in enumerate(truths) if truth]
    if right == [0] or not checked:
        return
    names = {
        name for condition in conditions for name in _measure_names(ast.parse(condition.strip()))
    }
    numbers = ", ".join(f"{name} = {measures[name]!r}" for name in sorted(names))
    if not right:
        raise QuizKeyError(
            f"no answer is right in this run, where {numbers}; correct the conditions"
        )
    if len(right) > 1:
        both = " and ".join(f"“{answers[index]}”" for index in right)
        raise QuizKeyError(f"{both} are both right in this run, where {numbers}; one may be")
    raise QuizKeyError(
        f"the run makes “{answers[right[0]]}” right, where {numbers}. Put that answer first, and "
        "write all reasons anew"
    )


def check_numbers(
    expressions: Sequence[str], tolerance: float, measures: Mapping[str, Value], checked: bool
) -> list[float]:
    """Return the values; the first is right, the others are known mistakes.

    Raises QuizKeyError where a value is no number or, if `checked`, where the tolerance covers two
    of them.
    """
    values: list[float] = []
    for expression in expressions:
        value = evaluate(expression, measures)
        if isinstance(value, bool | str):
            raise QuizKeyError(f"`{expression}` is {value}, not a number")
        # Otherwise a reader's number could be both right and wrong.
        if checked and any(abs(value - other) <= 2 * tolerance for other in values):
            raise QuizKeyError(
                f"`{expression}` is {value:,}, within the tolerance of another entry"
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
            raise QuizKeyError(f"{name} is no measure of this page; there are: {known}")
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
        f"`{ast.unparse(node)}` can't stand in a key: only measures, numbers, strings, arithmetic, "
        "comparisons, and, or, not"
    )


def _measure_names(tree: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
