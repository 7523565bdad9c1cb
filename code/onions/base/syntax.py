"""Normalized source code: without comments, docstrings and layout, which change no result."""

import ast
from functools import cache


@cache  # all pages of a book use the same few modules
def normalize(source: str) -> str:
    """Return the syntax tree of Python source code as text, without docstrings.

    Unlike `ast.dump`, it returns the same text in every supported version of Python. Raises
    SyntaxError if `source` is not Python.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        elif isinstance(node, ast.JoinedStr):  # Python 3.12.1 adds empty strings to some
            node.values = [part for part in node.values if getattr(part, "value", None) != ""]
    return _format(tree)


def _format(node: object) -> str:
    """Return a syntax tree as text, without empty fields: new versions of Python add some."""
    if isinstance(node, list):
        return f"[{' '.join(map(_format, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, getattr(node, name, None)) for name in node._fields]
    parts = [f"{name}={_format(value)}" for name, value in fields if value not in (None, [])]
    return f"({' '.join([type(node).__name__, *parts])})"
