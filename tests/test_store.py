from pathlib import Path

import nbformat
import pytest
from onions.store import Store, StoreError

PRINT = "ab" * 32


def notebook() -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("1 + 1")
    cell.outputs = [nbformat.v4.new_output("stream", text="2\n")]
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_entry_comes_back_as_it_was(store: Store) -> None:
    assert store.read(PRINT) is None
    store.write(PRINT, notebook(), page="a", seconds=1.5)
    entry = store.read(PRINT)
    assert entry is not None and entry.cells[0].outputs[0].text == "2\n"
    assert entry.metadata["onions"]["seconds"] == 1.5
    assert [path.name for path in store.folder.iterdir()] == [f"{PRINT}.ipynb"]


def test_stores_merge_by_copying_files(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.write(PRINT, notebook())
    store.folder.mkdir()
    store.path(PRINT).write_bytes(other.path(PRINT).read_bytes())
    assert store.read(PRINT) == other.read(PRINT)


@pytest.mark.parametrize("keep", [0, 1, 100, -20])
def test_a_cut_entry_is_named(store: Store, keep: int) -> None:
    store.write(PRINT, notebook())
    store.path(PRINT).write_text(store.path(PRINT).read_text()[:keep])
    with pytest.raises(StoreError, match=rf"{PRINT}\.ipynb: damaged .*Delete it"):
        store.read(PRINT)


def test_an_entry_under_another_name_is_refused(store: Store) -> None:
    store.write(PRINT, notebook())
    store.path(PRINT).rename(store.path("cd" * 32))
    with pytest.raises(StoreError, match="not an entry"):
        store.read("cd" * 32)


def test_a_full_disk_leaves_nothing_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onions.store.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.write(PRINT, notebook())
    assert list(store.folder.iterdir()) == [] and store.read(PRINT) is None
