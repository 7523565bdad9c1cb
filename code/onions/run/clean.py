"""Printed text as on a terminal, and tracebacks without the paths of this machine."""

import re
import sysconfig
from collections.abc import Iterator
from itertools import groupby

from nbformat import NotebookNode
from nbformat.v4 import new_output

# Parts of a printed line: a colour, another escape sequence, or a character.
PRINTED = re.compile(
    r"(?P<colour>\x1b\[[\d;]*m)|(?P<sequence>\x1b\[[^@-~]*[@-~])|(?P<text>.)", re.S
)
ERASE = re.compile(r"\x1b\[([012]?)K")  # to the end of the line, to its start, all of it
# The folders of installed packages and of Python's library, which contains them.
LIBRARIES = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")]


def clean_outputs(notebook: NotebookNode) -> None:
    """Make outputs independent of timing and of this machine.

    What a cell prints without another output in between becomes one output, as a terminal shows it.
    A kernel sends it in pieces that depend on timing. The pieces of stdout and of stderr arrive in
    any order, so each becomes one output, stdout first. Tracebacks name files of libraries by their
    paths in the library.
    """
    for cell in notebook.cells:
        merged: list[NotebookNode] = []
        for is_stream, group in groupby(cell.outputs, lambda o: o.output_type == "stream"):
            outputs = [*group]
            merged.extend(_merge(outputs) if is_stream else outputs)
        for output in merged:
            if output.output_type == "error":
                output.traceback = [*map(_without_library, output.traceback)]
        cell.outputs = merged


def shown_line(printed: str) -> str:
    """Return what a terminal shows of a printed line: later characters replace earlier ones.

    A carriage return goes back to the start, a backspace one character; a sequence that ends in K
    erases. Colours stay before the characters that they colour.
    """
    if not re.search(r"[\r\b\x1b]", printed):
        return printed
    line: list[str] = []
    column, colour = 0, ""
    for part in PRINTED.finditer(printed):
        if part["colour"]:
            colour += part["colour"]
        elif erased := ERASE.fullmatch(part[0]):
            line = _erase(line, column, erased[1])
        elif part[0] == "\r":
            column = 0
        elif part[0] == "\b":
            column = max(column - 1, 0)
        else:
            line += [" "] * (column - len(line))
            line[column : column + 1] = [colour + part[0]]
            column, colour = column + 1, ""
    return "".join(line).rstrip(" ") + colour


def _merge(streams: list[NotebookNode]) -> Iterator[NotebookNode]:
    for name in ("stdout", "stderr"):
        if text := "".join(stream.text for stream in streams if stream.name == name):
            lines = map(shown_line, text.split("\n"))
            yield new_output("stream", name=name, text="\n".join(lines))


def _erase(line: list[str], column: int, mode: str) -> list[str]:
    """Return a line after a sequence that ends in K; `mode` is the digit before it."""
    if mode == "2":
        return []
    return [" "] * (column + 1) + line[column + 1 :] if mode == "1" else line[:column]


def _without_library(text: str) -> str:
    for folder in LIBRARIES:
        text = text.replace(f"{folder}/", "")
    return text
