"""Check a page's outputs: what the site could not show fails the page."""

import re
from typing import Any

from nbformat import NotebookNode

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
    only_text = data.get("text/plain", "") if not data.keys() & (SHOWN - {"text/plain"}) else ""
    if address := ADDRESS.search(output.get("text", "") or only_text):
        return (
            f"the output shows a memory address ({address[0]}), which differs in every run. {END}"
        )
    return ""
