"""The images that readers train with: which of them, and in which files.

tests/extension/test_training.py unpacks them in a browser, pixel by pixel.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onions import packed
from onions.images import sketches
from onions.images.sources import Source, resolve_source

CIFAR = Source("cifar10", "/nowhere", "c1" * 32, "CIFAR-10", "a test")
PHOTOGRAPHS = np.full((8, 32, 32, 3), 7, "uint8"), np.arange(8, dtype="uint8")[:, np.newaxis]
DRAWINGS = np.full((8, 32, 32, 3), 9, "uint8"), PHOTOGRAPHS[1]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store's folder, and few images of each kind."""
    monkeypatch.setenv(packed.FOLDER, str(tmp_path))
    monkeypatch.setattr(packed, "IMAGES", 2)
    sets = {"train": (0, 0, 4), "validation": (0, 4, 8), "test": (1, 0, 2)}
    monkeypatch.setattr(packed, "SETS", sets)
    monkeypatch.setattr(packed, "load_images", lambda source: (PHOTOGRAPHS, PHOTOGRAPHS))
    monkeypatch.setattr(sketches, "load_data", lambda cache: (DRAWINGS, DRAWINGS))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "photographs", "drawings"),
    [
        (CIFAR, False, True),
        (CIFAR, True, False),
        (resolve_source("sketches"), False, True),
        (resolve_source("sketches"), True, True),
    ],
)
def test_photographs_are_packed_on_request_only(
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: Source,
    photographs: bool,
    drawings: bool,
) -> None:
    monkeypatch.setenv("ONIONS_SOURCE", json.dumps(asdict(source)))
    values = packed.pack_images(photographs=photographs)
    assert values["drawings"] is drawings
    files: dict[str, Any] = values["sets"]
    assert {name: len(parts) for name, parts in files.items()} == {
        "train": 2,
        "validation": 2,
        "test": 1,
    }
    images, labels = DRAWINGS if drawings else PHOTOGRAPHS
    second = files["validation"][1]  # the last two images of the training split
    content = (store / second["file"]).read_bytes()
    assert content == packed.pack(images[6:8], labels[6:8])
    assert (second["count"], second["bytes"]) == (2, len(content))
    names = [part["file"] for parts in files.values() for part in parts]
    assert sorted(path.name for path in store.iterdir()) == sorted(names)


def test_files_that_exist_are_kept(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONIONS_SOURCE", json.dumps(asdict(CIFAR)))
    packed.pack_images(photographs=True)
    times = {path: path.stat().st_mtime_ns for path in store.iterdir()}
    packed.pack_images(photographs=True)
    assert {path: path.stat().st_mtime_ns for path in store.iterdir()} == times


def test_other_images_and_another_form_get_files_of_their_own(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new Pillow draws other images of the same stand-in; a new version packs them otherwise."""
    monkeypatch.setenv("ONIONS_SOURCE", json.dumps(asdict(resolve_source("sketches"))))

    def files() -> set[str]:
        sets = packed.pack_images(photographs=False)["sets"]
        return {part["file"] for parts in sets.values() for part in parts}

    first = files()
    monkeypatch.setattr(sketches, "load_data", lambda cache: (PHOTOGRAPHS, PHOTOGRAPHS))
    second = files()
    pack = packed.pack
    monkeypatch.setattr(packed, "pack", lambda *arrays: pack(*arrays) + b"more")
    third = files()
    assert len(first | second | third) == 3 * 5
    assert first | second | third == {path.name for path in store.iterdir()}


def test_outside_a_build_nothing_is_written(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(packed.FOLDER)
    assert packed.pack_images(photographs=True) == {"sets": {}, "drawings": True}
    assert list(store.iterdir()) == []
