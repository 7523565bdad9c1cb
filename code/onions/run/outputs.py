"""A run's outputs: printed text as a terminal shows it, and a check of what the site can show."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from onions.book.links import Html
from onions.book.page import Page
from onions.claims import KEY
from onions.run.cells import PageFailed

# MIME types that the site and the EPUB show.
SHOWN = {
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/svg+xml",
    "text/html",
    "text/latex",
    "text/markdown",
    "text/plain",
}
# MyST-NB prefers these to all others, but they need scripts, which the site's policy blocks.
NEED_SCRIPTS = {"application/javascript", "application/vnd.jupyter.widget-view+json"}
ADDRESS = re.compile(r"<[^<>\n]* at 0x[0-9a-f]+>")
END = "End the cell's last line with a semicolon, or print something else."
# Parts of a printed line: a colour, another escape sequence, or a character.
PRINTED = re.compile(
    r"(?P<colour>\x1b\[[\d;]*m)|(?P<sequence>\x1b\[[^@-~]*[@-~])|(?P<text>.)", re.S
)
ERASE = re.compile(r"\x1b\[([012]?)K")  # to the end of the line, to its start, all of it
# All that a terminal does not print as a character, except what `shown_line` understands.
CONTROL = re.compile(
    r"\x1b\[[^@-~]*[@-JL-ln-~]|\x1b(?!\[)|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)


def merge_streams(notebook: NotebookNode) -> None:
    """Merge what each cell prints without a pause for other outputs, as a terminal shows it.

    A kernel sends text in pieces that depend on timing. The pieces of stdout and of stderr arrive
    in any order, so each becomes one output, stdout first.
    """
    for cell in notebook.cells:
        merged: list[NotebookNode] = []
        for is_stream, group in groupby(cell.outputs, lambda o: o.output_type == "stream"):
            outputs = [*group]
            merged.extend(_merge(outputs) if is_stream else outputs)
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


def check_outputs(page: Page, notebook: NotebookNode) -> None:
    """Raise PageFailed, which lists the place and reason of every output that can't be shown."""
    lines = [
        f"{page.path}:{page.cells[index].line}: {problem}"
        for index, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", ())
        if (problem := _problem(output))
    ]
    if lines:
        raise PageFailed("\n".join(lines))


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


def _problem(output: NotebookNode) -> str:
    """Return why an output can't be shown, and the remedy; empty if it can."""
    data: dict[str, Any] = output.get("data", {})
    if output.output_type == "stream" and output.name == "stderr":
        text = "\n".join(f"  {line}" for line in output.text.rstrip().splitlines())
        return f"the cell writes to stderr:\n{text}\nPrevent the message, or print the text."
    if KEY in output.get("metadata", {}):  # a record, which the page's text shows
        return ""
    if data and (data.keys() & NEED_SCRIPTS or not data.keys() & SHOWN):
        return f"the output is {', '.join(data)}, which the page can't show. Show an image or text."
    if control := CONTROL.search(output.get("text", "")):
        return f"the output has the control character {control[0]!r}. Print plain text."
    if blocked := Html(data.get("text/html", "") + data.get("text/markdown", "")).blocked:
        what = " and ".join(dict.fromkeys(what for _, what in blocked[:3]))
        return (
            f"the output contains {what}, which the site's policy blocks. Show an image, a video "
            "(to_html5_video) or text."
        )
    only_text = data.get("text/plain", "") if not data.keys() & (SHOWN - {"text/plain"}) else ""
    if address := ADDRESS.search(output.get("text", "") or only_text):
        return (
            f"the output shows a memory address ({address[0]}), which differs in every run. {END}"
        )
    return ""
