"""Check a page's outputs: what the site could not show fails the page."""

import re
import sys
from typing import Any

from docutils.utils.math import MathError, latex2mathml
from myst_nb.core.render import strip_latex_delimiters
from nbformat import NotebookNode

from onions.book.links import Html
from onions.book.page import Page
from onions.claims import KEY
from onions.run.cells import PageFailed
from onions.run.clean import LIBRARIES

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
# MyST-NB prefers these to LaTeX.
BEFORE_LATEX = SHOWN - {"image/gif", "text/latex", "text/plain"}
ADDRESS = re.compile(r"<[^<>\n]* at 0x[0-9a-f]+>")
# Installed packages, Python's library, Python itself, or the page's folder while it runs.
PATH = re.compile(
    rf"(?:{'|'.join(map(re.escape, [*LIBRARIES, sys.executable]))}|/\S*/onions-\w{{8}}/)[^\s'\"]*"
)
END = "End the cell's last line with a semicolon, or print something else."
# All that a terminal does not print as a character, except what `shown_line` understands.
CONTROL = re.compile(
    r"\x1b\[[^@-~]*[@-JL-ln-~]|\x1b(?!\[)|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)


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
    if not data.keys() & BEFORE_LATEX and (formula := data.get("text/latex")):
        try:
            latex2mathml.tex2mathml(strip_latex_delimiters(formula))
        except (MathError, SyntaxError) as error:
            reason = str(error).rstrip("!")
            return f"the output is LaTeX that the page can't show ({reason}). Print or plot it."
    return _varying_text(output)


def _varying_text(output: NotebookNode) -> str:
    """Return why an output's text differs in other runs, and the remedy; empty if it doesn't."""
    data: dict[str, Any] = output.get("data", {})
    only_text = data.get("text/plain", "") if not data.keys() & (SHOWN - {"text/plain"}) else ""
    text = "\n".join([output.get("text", ""), only_text, *output.get("traceback", ())])
    if address := ADDRESS.search(text):
        return (
            f"the output shows a memory address ({address[0]}), which differs in every run. {END}"
        )
    if path := PATH.search(text):
        return f"the output shows a path of this machine ({path[0]}). {END}"
    return ""
