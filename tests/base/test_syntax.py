"""The parts of a source that a fingerprint covers."""

import pytest
from onions.base.syntax import normalize

SOURCE = '''"""A module."""

def area(width, height=2):
    """Return an area."""
    return f"{width * height:.1f} pixels"
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""A module."""', ""),
        ('"""A module."""', "'''Another text.'''"),
        ('    """Return an area."""\n', ""),
        ("height=2):", "height = 2):  # pixels"),
        ("\n\n", "\n\n\n\n"),
        ("(width, height=2)", "(\n    width,\n    height=2,\n)"),
    ],
)
def test_comments_docstrings_and_layout_are_ignored(before: str, after: str) -> None:
    assert before in SOURCE
    assert normalize(SOURCE.replace(before, after)) == normalize(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("height=2", "height=3"),
        ("height=2", "height=2.0"),
        ("height=2", "height=True"),
        ("height=2", 'height="2"'),
        ("height=2", "height=None"),
        ("height=2", "height"),
        (" * ", " + "),
        (".1f", ".2f"),
        (" pixels", ""),
        ("return ", ""),
        ("area(", "size("),
    ],
)
def test_code_is_not_ignored(before: str, after: str) -> None:
    assert before in SOURCE
    assert normalize(SOURCE.replace(before, after)) != normalize(SOURCE)


def test_the_text_is_the_same_in_every_version_of_python() -> None:
    assert normalize("def f(x, /):\n    '''Text.'''\n    print(f'{x}')\n") == (
        "(Module body=[(FunctionDef name='f' args=(arguments posonlyargs=[(arg arg='x')]) body=["
        "(Expr value=(Call func=(Name id='print' ctx=(Load)) args=[(JoinedStr values=["
        "(FormattedValue value=(Name id='x' ctx=(Load)) conversion=-1)])]))])])"
    )
