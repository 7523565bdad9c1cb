import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from onions.exports import MIME
from onions.store.build import StoreError
from onions.store.entries import Store, exported_files
from onions.store.fingerprint import fingerprint_of
from support.disks import disk_full

COMPONENTS = {"cells": {"cell 1": "ab"}}
FINGERPRINT = fingerprint_of(COMPONENTS)
FACTS: dict[str, Any] = {
    "page": "index",
    "executed": "2026-01-02T03:04:05+00:00",
    "seconds": 1.5,
    "build": {"profile": "full"},
    "components": COMPONENTS,
}


def notebook() -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("1 + 1")
    cell.outputs = [nbformat.v4.new_output("stream", text="2\n")]
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_entry_is_read_as_it_was_written(store: Store) -> None:
    assert store.read(FINGERPRINT) is None
    store.write(FINGERPRINT, notebook(), **FACTS)
    entry = store.read(FINGERPRINT)
    assert entry is not None and entry.cells[0].outputs[0].text == "2\n"
    assert entry.metadata["onions"]["seconds"] == 1.5
    assert [path.name for path in store.folder.iterdir()] == [f"{FINGERPRINT}.ipynb"]


def test_stores_merge_by_copying_files(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.write(FINGERPRINT, notebook(), **FACTS)
    store.folder.mkdir()
    store.path(FINGERPRINT).write_bytes(other.path(FINGERPRINT).read_bytes())
    assert store.read(FINGERPRINT) == other.read(FINGERPRINT)


@pytest.mark.parametrize("keep", [0, 1, 100, -20])
def test_a_truncated_entry_is_named(store: Store, keep: int) -> None:
    store.write(FINGERPRINT, notebook(), **FACTS)
    store.path(FINGERPRINT).write_text(store.path(FINGERPRINT).read_text()[:keep])
    with pytest.raises(StoreError, match=rf"{FINGERPRINT}\.ipynb: damaged .*Run `onions execute`"):
        store.read(FINGERPRINT)


def test_an_entry_under_another_name_is_refused(store: Store) -> None:
    store.write(FINGERPRINT, notebook(), **FACTS)
    store.path(FINGERPRINT).rename(store.path("cd" * 32))
    with pytest.raises(StoreError, match="checksum is wrong"):
        store.read("cd" * 32)


@pytest.mark.parametrize(
    ("before", "after"), [('"2\\n"', '"3\\n"'), ('"1 + 1"', '"1 + 2"'), ('"page"', '"pages"')]
)
def test_a_modified_entry_is_refused(store: Store, before: str, after: str) -> None:
    store.write(FINGERPRINT, notebook(), **FACTS)
    text = store.path(FINGERPRINT).read_text()
    assert before in text
    store.path(FINGERPRINT).write_text(text.replace(before, after))
    with pytest.raises(StoreError, match="checksum is wrong"):
        store.read(FINGERPRINT)
    assert [FINGERPRINT in message for message in store.verify()] == [True]


def test_an_entry_of_another_version_of_the_store_is_refused(store: Store) -> None:
    store.write(FINGERPRINT, notebook(), **FACTS)
    facts = json.loads(store.path(FINGERPRINT).read_text())
    facts["metadata"]["onions"]["format"] = 1
    store.path(FINGERPRINT).write_text(json.dumps(facts))
    with pytest.raises(StoreError, match="another version of the store"):
        store.read(FINGERPRINT)
    assert store.latest_runs() == {}


def test_verify_names_damaged_and_misnamed_entries(store: Store) -> None:
    store.write(FINGERPRINT, notebook(), **FACTS)
    assert list(store.verify()) == []
    other = fingerprint_of({"cells": {"cell 1": "cd"}})
    store.write(other, notebook(), **FACTS)  # with the components of another entry
    (cut := store.path("cd" * 32)).write_text("{")
    messages = list(store.verify())
    assert len(messages) == 2
    assert any(str(cut) in message for message in messages)
    assert any(other in m and "does not match its fingerprint" in m for m in messages)


def test_older_than_returns_old_and_damaged_entries(store: Store) -> None:
    week = (datetime.now(UTC) - timedelta(days=7)).isoformat(timespec="seconds")
    store.write(FINGERPRINT, notebook(), **{**FACTS, "executed": week})
    cut = store.path("cd" * 32)
    cut.write_text("{")
    assert store.older_than(8) == [cut]  # damaged
    assert store.older_than(6) == sorted([cut, store.path(FINGERPRINT)])


def with_file(name: str) -> nbformat.NotebookNode:
    """A notebook that exports a file."""
    exported = notebook()
    values = {"sets": [{"file": name, "count": 1}]}
    data = {MIME: {"name": "images", "values": values}}
    exported.cells[0].outputs.append(nbformat.v4.new_output("display_data", data))
    return exported


def test_an_entry_without_its_exported_file_is_refused(store: Store) -> None:
    store.write(FINGERPRINT, with_file("images.bin"), **FACTS)
    with pytest.raises(StoreError, match=r"its file images\.bin is missing"):
        store.read(FINGERPRINT)
    (store.folder / "images.bin").write_bytes(b"images")
    assert (entry := store.read(FINGERPRINT)) is not None
    assert exported_files(entry) == {"images.bin"}


def test_an_export_names_no_file_outside_the_store(store: Store) -> None:
    for name in ("../secret.bin", "/etc/passwd", "a/b.bin", "x.ipynb"):
        assert exported_files(with_file(name)) == set()


def test_unused_files_are_old_and_without_an_entry(store: Store) -> None:
    store.write(FINGERPRINT, with_file("used.bin"), **FACTS)
    for name in ("used.bin", "unused.bin"):
        (store.folder / name).write_bytes(b"images")
    assert store.unused_files(1) == []
    assert store.unused_files(0) == [store.folder / "unused.bin"]


def test_latest_runs_has_the_newest_run_of_a_page(store: Store) -> None:
    for seconds, day in ((1.0, "01"), (3.0, "03"), (2.0, "02")):
        facts = {**FACTS, "seconds": seconds, "executed": f"2026-01-{day}T00:00:00+00:00"}
        store.write(fingerprint_of({"cells": {"cell 1": day}}), notebook(), **facts)
    store.path("ef" * 32).write_text("{")  # skipped
    assert store.latest_runs()["index"]["seconds"] == 3.0


def test_a_full_disk_leaves_no_partial_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onions.base.files.os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        store.write(FINGERPRINT, notebook(), **FACTS)
    assert list(store.folder.iterdir()) == [] and store.read(FINGERPRINT) is None
