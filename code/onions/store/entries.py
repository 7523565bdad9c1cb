"""The store's entries: executed notebooks, one file each, named by their fingerprint.

An entry holds only code cells, with their sources, outputs and execution counts. Its metadata holds
the facts of the run, and a checksum of cells and facts. Files that its exports refer to are beside
it. To merge two stores, copy their files into one folder.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from onions.base.files import write_atomic
from onions.base.locks import folder_lock
from onions.claims import KEY, Claim, Measure, Training, Value
from onions.exports import MIME
from onions.store.build import StoreError
from onions.store.fingerprint import Components, fingerprint_of

FORMAT = 4
PAGES_FILE = "pages.json"
FILE = re.compile(r"[\w-]+\.bin")  # a name of an exported file


class Store:
    """The entries in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, fingerprint: str) -> Path:
        """Return the file of a fingerprint's entry, whether or not it exists."""
        return self.folder / f"{fingerprint}.ipynb"

    def pages(self) -> dict[str, str]:
        """Return the fingerprint of each page with code in the last build.

        Pages with the same code share an entry, so entries alone don't tell. Raises StoreError if
        the list is missing or damaged.
        """
        path = self.folder / PAGES_FILE
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(_damaged(path, error)) from error

    def write_pages(self, fingerprints: dict[str, str]) -> None:
        """Write the list that `pages` returns."""
        with folder_lock(self.folder):
            write_atomic(self.folder / PAGES_FILE, json.dumps(fingerprints, indent=1))

    def entries(self) -> list[Path]:
        """Return the files of all entries, sorted by name."""
        return sorted(self.folder.glob("*.ipynb"))

    def read(self, fingerprint: str) -> NotebookNode | None:
        """Return an entry; None if it does not exist. Raises StoreError if it can't be used."""
        path = self.path(fingerprint)
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(_damaged(path, error)) from error
        try:
            notebook = nbformat.v4.reads(text)
            recorded = [notebook.metadata[KEY][n] for n in ("format", "fingerprint", "checksum")]
            checksum = _checksum(notebook)
        except Exception as error:  # nbformat raises many kinds of errors for damaged files
            raise StoreError(_damaged(path, error)) from error
        if recorded[0] != FORMAT:
            raise StoreError(f"{path}: from another version of the store. Run `onions execute`.")
        if recorded[1:] != [fingerprint, checksum]:  # if equal, `write` has validated this notebook
            raise StoreError(_damaged(path, "its checksum is wrong"))
        for name in exported_files(notebook):
            if not (self.folder / name).exists():
                raise StoreError(_damaged(path, f"its file {name} is missing"))
        return notebook

    def verify(self) -> Iterator[str]:
        """Yield an error message for each damaged entry."""
        for path in self.entries():
            try:
                entry = self.read(path.stem)
            except StoreError as error:
                yield str(error)
            else:
                if entry and fingerprint_of(entry.metadata[KEY]["components"]) != path.stem:
                    yield _damaged(path, "its content does not match its fingerprint")

    def delete_damaged(self, fingerprints: Iterable[str]) -> None:
        """Delete the entries of these fingerprints that can't be used."""
        with folder_lock(self.folder):
            for fingerprint in fingerprints:
                try:
                    self.read(fingerprint)
                except StoreError:
                    self.path(fingerprint).unlink(missing_ok=True)

    def older_than(self, days: float) -> list[Path]:
        """Return the files of entries that are at least `days` days old or unreadable."""
        limit = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        dates = {facts["path"]: str(facts["executed"]) for facts in self.facts()}
        return [path for path in self.entries() if dates.get(path, "") <= limit]

    def unused_files(self, days: float) -> list[Path]:
        """Return the exported files that no readable entry refers to, at least `days` days old."""
        used: set[str] = set()
        for facts in self.facts():
            if (entry := self.read(facts["path"].stem)) is not None:
                used |= exported_files(entry)
        limit = datetime.now(UTC).timestamp() - timedelta(days=days).total_seconds()
        files = [path for path in self.folder.glob("*.bin") if path.name not in used]
        return sorted(path for path in files if path.stat().st_mtime <= limit)

    def latest_runs(
        self, seed_offset: int = 0, exclude: Collection[str] = ()
    ) -> dict[str, dict[str, Any]]:
        """Return the facts of every page's latest run with this seed offset, by page name.

        Fingerprints in `exclude` are skipped, as are unreadable entries.
        """
        latest: dict[str, dict[str, Any]] = {}
        for facts in self.facts(exclude):
            if facts["build"].get("seed_offset", 0) != seed_offset:
                continue
            other = latest.get(facts["page"], facts)
            latest[facts["page"]] = max(other, facts, key=lambda facts: str(facts["executed"]))
        return latest

    def facts(self, exclude: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Yield the facts and `path` of each readable entry; skip fingerprints in `exclude`."""
        for path in self.entries():
            with suppress(StoreError):
                if path.stem not in exclude and (entry := self.read(path.stem)):
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
        components: Components,
        **facts: Any,
    ) -> None:
        """Write an executed notebook with its run's facts.

        `executed` is an ISO time in UTC, `seconds` the run's duration, `build` the fields of the
        `Build`, and `components` the result of `onions.store.fingerprint.components`. Raises
        OSError if the write fails.
        """
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
        with folder_lock(self.folder):
            write_atomic(self.path(fingerprint), nbformat.writes(notebook) + "\n")


def _checksum(notebook: NotebookNode) -> str:
    facts = {name: fact for name, fact in notebook.metadata[KEY].items() if name != "checksum"}
    return hashlib.sha256(json.dumps([notebook.cells, facts], sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, reason: object) -> str:
    return f"{path}: damaged ({str(reason).splitlines()[0][:200]}). Run `onions execute`."


def exports(notebook: NotebookNode) -> dict[str, dict[str, Any]]:
    """Return the values that an executed notebook exports, by export name; arrays are in base64."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    records = (output.get("data", {}).get(MIME) for output in outputs)
    return {record["name"]: record["values"] for record in records if record}


def exported_files(notebook: NotebookNode) -> set[str]:
    """Return the names of the files beside a store's entry that its exports refer to."""
    return set(_files(exports(notebook)))


def _files(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("file"), str) and FILE.fullmatch(value["file"]):
            yield value["file"]
        for inner in value.values():
            yield from _files(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _files(inner)


def claims(notebook: NotebookNode) -> Iterator[tuple[int, Claim]]:
    """Yield ``(cell index, claim)`` for each claim of an executed notebook."""
    yield from _records(notebook, "claim")


def measures(notebook: NotebookNode) -> Iterator[tuple[int, Measure]]:
    """Yield ``(cell index, measure)`` for each measure of an executed notebook."""
    yield from _records(notebook, "measure")


def measure_values(notebook: NotebookNode) -> dict[str, Value]:
    """Return the values of an executed notebook's measures, by name."""
    return {measure["name"]: measure["value"] for _, measure in measures(notebook)}


def trainings(notebook: NotebookNode) -> Iterator[tuple[int, Training]]:
    """Yield ``(cell index, training)`` for each trained network of an executed notebook."""
    yield from _records(notebook, "training")


def _records(notebook: NotebookNode, kind: str) -> Iterator[tuple[int, Any]]:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            record = output.get("metadata", {}).get(KEY, {}).get(kind)
            if record:
                yield index, record
