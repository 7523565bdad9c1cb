"""The executed notebooks, one file each, named by their fingerprint.

An entry holds only code cells: their sources, outputs and execution counts, and the facts of the
run in its metadata. It is written whole and then renamed, so a half-written one is never read.
Two stores merge by copying their files together.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from onions.claims import KEY, Claim, Measure, Training

FORMAT = 1


class StoreError(Exception):
    """An entry can't be read; the message names the file and the remedy."""


class Store:
    """The entries in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, fingerprint: str) -> Path:
        """Return where the entry of a fingerprint lies, or would lie."""
        return self.folder / f"{fingerprint}.ipynb"

    def read(self, fingerprint: str) -> NotebookNode | None:
        """Return the entry, or None if there is none. Raises StoreError if it is damaged."""
        path = self.path(fingerprint)
        try:
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
        except FileNotFoundError:
            return None
        except Exception as error:  # nbformat raises many kinds on damaged files
            reason = str(error).partition("\n")[0][:200]
            raise StoreError(f"{path}: damaged ({reason}). Delete it and execute again.") from error
        facts = notebook.metadata.get(KEY, {})
        if facts.get("format") != FORMAT or facts.get("fingerprint") != fingerprint:
            raise StoreError(f"{path}: not an entry of this store. Delete it and execute again.")
        return notebook

    def latest(self) -> dict[str, dict[str, Any]]:
        """Return the facts of every page's last run, by page; what can't be read is passed over."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self.folder.glob("*.ipynb")):
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                facts = json.loads(path.read_text("utf-8"))["metadata"][KEY]
                if facts["format"] == FORMAT and facts["components"].keys() and facts["seconds"]:
                    before = found.get(facts["page"], {"executed": ""})
                    found[facts["page"]] = max(before, facts, key=lambda f: str(f["executed"]))
        return found

    def write(self, fingerprint: str, notebook: NotebookNode, **facts: Any) -> None:
        """Keep an executed notebook with the facts of its run."""
        notebook.metadata[KEY] = {"format": FORMAT, "fingerprint": fingerprint, **facts}
        write_notebook(self.path(fingerprint), notebook)


def write_notebook(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook under another name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            nbformat.write(notebook, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def claims(notebook: NotebookNode) -> Iterator[tuple[int, Claim]]:
    """Yield the claims of an executed notebook, each with its cell's index."""
    yield from _records(notebook, "claim")


def measures(notebook: NotebookNode) -> Iterator[tuple[int, Measure]]:
    """Yield the measures of an executed notebook, each with its cell's index."""
    yield from _records(notebook, "measure")


def trainings(notebook: NotebookNode) -> Iterator[tuple[int, Training]]:
    """Yield the trained networks of an executed notebook, each with its cell's index."""
    yield from _records(notebook, "training")


def _records(notebook: NotebookNode, kind: str) -> Iterator[tuple[int, Any]]:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            record = output.get("metadata", {}).get(KEY, {}).get(kind)
            if record:
                yield index, record
