import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from onions.fingerprint import digest
from onions.store import Store, StoreError

PARTS = {"cell 1": "ab"}
PRINT = digest(PARTS)
FACTS: dict[str, Any] = {
    "page": "index",
    "executed": "2026-01-02T03:04:05+00:00",
    "seconds": 1.5,
    "build": {"profile": "full"},
    "components": PARTS,
}


def notebook() -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("1 + 1")
    cell.outputs = [nbformat.v4.new_output("stream", text="2\n")]
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_entry_comes_back_as_it_was(store: Store) -> None:
    assert store.read(PRINT) is None
    store.write(PRINT, notebook(), **FACTS)
    entry = store.read(PRINT)
    assert entry is not None and entry.cells[0].outputs[0].text == "2\n"
    assert entry.metadata["onions"]["seconds"] == 1.5
    assert [path.name for path in store.folder.iterdir()] == [f"{PRINT}.ipynb"]


def test_stores_merge_by_copying_files(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.write(PRINT, notebook(), **FACTS)
    store.folder.mkdir()
    store.path(PRINT).write_bytes(other.path(PRINT).read_bytes())
    assert store.read(PRINT) == other.read(PRINT)


@pytest.mark.parametrize("keep", [0, 1, 100, -20])
def test_a_cut_entry_is_named(store: Store, keep: int) -> None:
    store.write(PRINT, notebook(), **FACTS)
    store.path(PRINT).write_text(store.path(PRINT).read_text()[:keep])
    with pytest.raises(StoreError, match=rf"{PRINT}\.ipynb: damaged .*Run `onions execute`"):
        store.read(PRINT)


def test_an_entry_under_another_name_is_refused(store: Store) -> None:
    store.write(PRINT, notebook(), **FACTS)
    store.path(PRINT).rename(store.path("cd" * 32))
    with pytest.raises(StoreError, match="checksum is wrong"):
        store.read("cd" * 32)


@pytest.mark.parametrize(
    ("before", "after"), [('"2\\n"', '"3\\n"'), ('"1 + 1"', '"1 + 2"'), ('"page"', '"pages"')]
)
def test_an_entry_that_was_changed_is_refused(store: Store, before: str, after: str) -> None:
    store.write(PRINT, notebook(), **FACTS)
    text = store.path(PRINT).read_text()
    assert before in text
    store.path(PRINT).write_text(text.replace(before, after))
    with pytest.raises(StoreError, match="checksum is wrong"):
        store.read(PRINT)
    assert [PRINT in message for message in store.verify()] == [True]


def test_an_entry_of_another_version_of_the_store_is_refused(store: Store) -> None:
    store.write(PRINT, notebook(), **FACTS)
    facts = json.loads(store.path(PRINT).read_text())
    facts["metadata"]["onions"]["format"] = 1
    store.path(PRINT).write_text(json.dumps(facts))
    with pytest.raises(StoreError, match="another version of this store"):
        store.read(PRINT)
    assert store.latest() == {}


def test_verify_names_what_is_wrong(store: Store) -> None:
    store.write(PRINT, notebook(), **FACTS)
    assert list(store.verify()) == []
    other = digest({"cell 1": "cd"})
    store.write(other, notebook(), **FACTS)  # whose components are another's
    (cut := store.path("cd" * 32)).write_text("{")
    found = list(store.verify())
    assert len(found) == 2
    assert any(str(cut) in message for message in found)
    assert any(other in message and "not what its name says" in message for message in found)


def test_entries_by_their_age(store: Store) -> None:
    week = (datetime.now(UTC) - timedelta(days=7)).isoformat(timespec="seconds")
    store.write(PRINT, notebook(), **{**FACTS, "executed": week})
    cut = store.path("cd" * 32)
    cut.write_text("{")
    assert store.older_than(8) == [cut]  # which nobody can use
    assert store.older_than(6) == sorted([cut, store.path(PRINT)])


def test_the_last_run_counts(store: Store) -> None:
    for seconds, day in ((1.0, "01"), (3.0, "03"), (2.0, "02")):
        facts = {**FACTS, "seconds": seconds, "executed": f"2026-01-{day}T00:00:00+00:00"}
        store.write(digest({"cell 1": day}), notebook(), **facts)
    store.path("ef" * 32).write_text("{")  # passed over
    assert store.latest()["index"]["seconds"] == 3.0


def test_a_full_disk_leaves_nothing_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onions.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.write(PRINT, notebook(), **FACTS)
    assert list(store.folder.iterdir()) == [] and store.read(PRINT) is None
