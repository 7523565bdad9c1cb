"""The executed notebooks, one file each, named by their fingerprint.

An entry holds only code cells: their sources, outputs and execution counts, and the facts of the
run in its metadata, among them a checksum of all this. It is written whole and then renamed, so a
half-written one is never read. Two stores merge by copying their files together.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from onions.claims import KEY, Claim, Measure, Training, Value
from onions.files import write_whole
from onions.fingerprint import digest

FORMAT = 3


class StoreError(Exception):
    """An entry can't be read; the message names the file and the remedy."""


class Store:
    """The entries in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, fingerprint: str) -> Path:
        """Return where the entry of a fingerprint lies, or would lie."""
        return self.folder / f"{fingerprint}.ipynb"

    def entries(self) -> list[Path]:
        """Return the files of all entries, in the order of their names."""
        return sorted(self.folder.glob("*.ipynb"))

    def read(self, fingerprint: str) -> NotebookNode | None:
        """Return the entry, or None if there is none. Raises StoreError if it is damaged."""
        path = self.path(fingerprint)
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(_damaged(path, error)) from error
        try:
            notebook = nbformat.v4.reads(text)
            kept = [notebook.metadata[KEY][name] for name in ("format", "fingerprint", "checksum")]
            checksum = _checksum(notebook)
        except Exception as error:  # nbformat raises many kinds on damaged files
            raise StoreError(_damaged(path, error)) from error
        if kept[0] != FORMAT:
            raise StoreError(f"{path}: of another version of this store. Run `onions execute`.")
        if kept[1:] != [fingerprint, checksum]:  # if they are right, it is as `write` checked it
            raise StoreError(_damaged(path, "its checksum is wrong"))
        return notebook

    def verify(self) -> Iterator[str]:
        """Yield what is wrong with each entry that is not as it was written."""
        for path in self.entries():
            try:
                entry = self.read(path.stem)
            except StoreError as error:
                yield str(error)
            else:
                if entry and digest(entry.metadata[KEY]["components"]) != path.stem:
                    yield _damaged(path, "it is not what its name says")

    def older_than(self, days: float) -> list[Path]:
        """Return the entries that were executed at least so long ago, or can't be dated."""
        limit = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        dates = {facts["path"]: str(facts["executed"]) for facts in self.facts()}
        return [path for path in self.entries() if dates.get(path, "") <= limit]

    def latest(
        self, seed_offset: int = 0, besides: Collection[str] = ()
    ) -> dict[str, dict[str, Any]]:
        """Return the facts of every page's last run from these seeds, by page.

        Entries with the fingerprints `besides` are not looked at; what can't be read is passed
        over.
        """
        found: dict[str, dict[str, Any]] = {}
        for facts in self.facts(besides):
            if facts["build"].get("seed_offset", 0) != seed_offset:
                continue
            before = found.get(facts["page"], facts)
            found[facts["page"]] = max(before, facts, key=lambda facts: str(facts["executed"]))
        return found

    def facts(self, besides: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Yield the facts of each entry that can be read, and its `path`."""
        for path in self.entries():
            with suppress(StoreError):
                if path.stem not in besides and (entry := self.read(path.stem)):
                    yield {**entry.metadata[KEY], "path": path}

    def write(
        self,
        fingerprint: str,
        notebook: NotebookNode,
        *,
        page: str,
        executed: str,
        seconds: float,
        build: dict[str, Any],
        components: dict[str, str],
        **facts: Any,
    ) -> None:
        """Keep an executed notebook with the facts of its run."""
        notebook.metadata[KEY] = {
            "format": FORMAT,
            "fingerprint": fingerprint,
            "page": page,
            "executed": executed,
            "seconds": seconds,
            "build": build,
            "components": components,
            **facts,
        }
        notebook.metadata[KEY]["checksum"] = _checksum(notebook)
        nbformat.validate(notebook)
        write_whole(self.path(fingerprint), nbformat.writes(notebook) + "\n")


def _checksum(notebook: NotebookNode) -> str:
    facts = {name: fact for name, fact in notebook.metadata[KEY].items() if name != "checksum"}
    return hashlib.sha256(json.dumps([notebook.cells, facts], sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, reason: object) -> str:
    return f"{path}: damaged ({str(reason).splitlines()[0][:200]}). Run `onions execute`."


def claims(notebook: NotebookNode) -> Iterator[tuple[int, Claim]]:
    """Yield the claims of an executed notebook, each with its cell's index."""
    yield from _records(notebook, "claim")


def measures(notebook: NotebookNode) -> Iterator[tuple[int, Measure]]:
    """Yield the measures of an executed notebook, each with its cell's index."""
    yield from _records(notebook, "measure")


def measured(notebook: NotebookNode) -> dict[str, Value]:
    """Return the values of an executed notebook's measures, by name."""
    return {measure["name"]: measure["value"] for _, measure in measures(notebook)}


def trainings(notebook: NotebookNode) -> Iterator[tuple[int, Training]]:
    """Yield the trained networks of an executed notebook, each with its cell's index."""
    yield from _records(notebook, "training")


def _records(notebook: NotebookNode, kind: str) -> Iterator[tuple[int, Any]]:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            record = output.get("metadata", {}).get(KEY, {}).get(kind)
            if record:
                yield index, record
