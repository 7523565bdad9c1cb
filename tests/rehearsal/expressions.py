"""GitHub's expressions, ``${{ … }}``: as much of the language as the workflows use."""

import json
import math
import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>==|!=|&&|\|\||[!().\[\]]))"
)
EXPRESSION = re.compile(r"\$\{\{((?:(?!\}\}).)*)\}\}", re.S)
CONSTANTS = {"true": True, "false": False, "null": None}
STATUS = ("success", "failure", "always", "cancelled")

Lazy = Callable[[], Any]


class ExpressionError(Exception):
    """An expression that GitHub, or this reading of it, does not understand."""


class Context(dict[str, Any]):
    """A context that knows all its names: another one is a mistake, not null."""

    def __missing__(self, name: str) -> Any:
        raise ExpressionError(f"there is no {name!r} here, only {', '.join(self) or 'nothing'}")


class Scope:
    """What an expression can name: contexts, and what success() and its like answer."""

    def __init__(self, status: dict[str, bool] | None = None, **contexts: Any):
        self.contexts = Context(contexts)
        self.functions: dict[str, Callable[..., Any]] = {"fromjson": _from_json, "tojson": _to_json}
        self.ask(status or {})

    def ask(self, status: dict[str, bool]) -> None:
        """Let success() and its like answer this."""
        self.functions.update({name: partial(bool, answer) for name, answer in status.items()})

    def fill(self, value: Any) -> Any:
        """Return a YAML value with its expressions' values in place, of their own type where an
        expression is all there is.
        """
        if isinstance(value, dict):
            return {key: self.fill(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.fill(part) for part in value]
        if not isinstance(value, str):
            return value
        if whole := EXPRESSION.fullmatch(value.strip()):
            return self.evaluate(whole[1])
        return EXPRESSION.sub(lambda match: text(self.evaluate(match[1])), value)

    def holds(self, condition: str | None) -> bool:
        """Tell whether an `if` lets a job or step run; without a status function it asks for
        success(), too.
        """
        source = bare(condition or "success()")
        asks = any(call in STATUS for call in calls(source))
        return truth(self.evaluate(source if asks else f"success() && ({source})"))

    def evaluate(self, source: str) -> Any:
        """Return an expression's value."""
        return _Reader(source, self).read()()


def check(source: str) -> None:
    """Raise ExpressionError where an expression can't be read, without asking for its value."""
    _Reader(source, Scope(dict.fromkeys(STATUS, True))).read()


def bare(condition: str) -> str:
    """Return an `if` without the ``${{ }}`` that may stand around it."""
    whole = EXPRESSION.fullmatch(condition.strip())
    if not whole and "${{" in condition:
        raise ExpressionError(f"an expression in a text is always true: {condition}")
    return whole[1] if whole else condition


def calls(source: str) -> list[str]:
    """Return the names of the functions that an expression calls; also checks its tokens."""
    tokens = _tokens(source)
    pairs = pairwise(tokens)
    return [name[1].lower() for name, sign in pairs if name[0] == "name" and sign[1] == "("]


def truth(value: Any) -> bool:
    """Tell whether a value counts as true: all but false, 0, '' and null."""
    return bool(value) if not isinstance(value, dict | list) else True


def text(value: Any) -> str:
    """Return a value as it stands in a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        raise ExpressionError("an object or array in a text; use toJSON")
    return f"{value:g}" if isinstance(value, float) else str(value)


class _Reader:
    """Reads one expression; the value is made when asked for, so that && and || can stop early."""

    def __init__(self, source: str, scope: Scope):
        self.source, self.scope = source, scope
        self.tokens = [*_tokens(source), ("end", "")]

    def read(self) -> Lazy:
        lazy = self._or()
        if self.tokens[0][0] != "end":
            raise ExpressionError(f"unexpected {self.tokens[0][1]!r} in: {self.source}")
        return lazy

    def _take(self, *signs: str) -> str:
        if self.tokens[0][0] == "sign" and self.tokens[0][1] in signs:
            return self.tokens.pop(0)[1]
        return ""

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise ExpressionError(
                f"{sign!r} is missing before {self.tokens[0][1]!r}: {self.source}"
            )

    def _or(self) -> Lazy:
        left = self._and()
        while self._take("||"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Lazy:
        left = self._equality()
        while self._take("&&"):
            left = _both(left, self._equality())
        return left

    def _equality(self) -> Lazy:
        left = self._not()
        while sign := self._take("==", "!="):
            left = _compare(left, self._not(), sign == "==")
        return left

    def _not(self) -> Lazy:
        if self._take("!"):
            inner = self._not()
            return lambda: not truth(inner())
        return self._path()

    def _path(self) -> Lazy:
        left = self._first()
        while sign := self._take(".", "["):
            if sign == "[":
                left = _part(left, self._or())
                self._need("]")
            else:
                left = _part(left, self._constant(self._token("name")))
        return left

    def _first(self) -> Lazy:
        if self._take("("):
            inner = self._or()
            self._need(")")
            return inner
        kind, token = self.tokens[0]
        self._token("number", "string", "name")
        if kind == "number":
            return self._constant(float(token) if "." in token else int(token))
        if kind == "string":
            return self._constant(token[1:-1].replace("''", "'"))
        if self._take("("):
            return self._call(token)
        if token in CONSTANTS:
            return self._constant(CONSTANTS[token])
        return lambda: self.scope.contexts[token]

    def _call(self, name: str) -> Lazy:
        function = self.scope.functions.get(name.lower())
        if function is None:
            raise ExpressionError(f"{name}() is not known here")
        if self._take(")"):
            return function
        argument = self._or()
        self._need(")")
        return lambda: function(argument())

    def _token(self, *kinds: str) -> str:
        kind, token = self.tokens.pop(0)
        if kind not in kinds:
            raise ExpressionError(f"unexpected {token or 'end'!r} in: {self.source}")
        return token

    @staticmethod
    def _constant(value: Any) -> Lazy:
        return lambda: value


def _tokens(source: str) -> list[tuple[str, str]]:
    found, at = [], 0
    source = source.rstrip()
    while at < len(source):
        match = TOKEN.match(source, at)
        if not match or not match.lastgroup:
            raise ExpressionError(f"not understood: {source[at:].strip()}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _either(left: Lazy, right: Lazy) -> Lazy:
    return lambda: value if truth(value := left()) else right()


def _both(left: Lazy, right: Lazy) -> Lazy:
    return lambda: right() if truth(value := left()) else value


def _compare(left: Lazy, right: Lazy, equal: bool) -> Lazy:
    return lambda: _same(left(), right()) is equal


def _same(left: Any, right: Any) -> bool:
    """Tell whether GitHub calls two values equal: texts whatever their case, others as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return left is right
    return _number(left) == _number(right)


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except ValueError:
        return math.nan


def _part(whole: Lazy, key: Lazy) -> Lazy:
    def part() -> Any:
        value, name = whole(), key()
        if isinstance(value, Context):
            return value[name]
        if isinstance(value, dict):
            return value.get(name)
        if isinstance(value, list) and isinstance(name, int):
            return value[name] if 0 <= name < len(value) else None
        return None

    return part


def _from_json(source: Any) -> Any:
    try:
        return json.loads(text(source))
    except ValueError as error:
        raise ExpressionError(f"fromJSON({source!r}): {error}") from error


def _to_json(value: Any) -> str:
    return json.dumps(value, indent=2)
