import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onions.images import sketches
from onions.images.sketches import CLASS_NAMES, Sketches, draw, labels, load_data

draw_once = functools.cache(draw)  # images equal for all tests, since drawing takes long


def test_shapes_dtypes_and_labels_match_cifar10() -> None:
    (train_images, train_labels), (test_images, test_labels) = load_data()
    assert train_images.shape == (50_000, 32, 32, 3) and test_images.shape == (10_000, 32, 32, 3)
    assert train_labels.shape == (50_000, 1) and test_labels.shape == (10_000, 1)
    assert train_images.dtype == train_labels.dtype == test_labels.dtype == np.uint8
    assert len(train_images) == 50_000 and train_images.ndim == 4
    counts = np.bincount(train_labels[:, 0])
    assert counts.tolist() == [5_000] * 10
    assert np.bincount(train_labels[:5_000, 0]).min() > 400, "not shuffled"


def test_images_are_the_same_on_every_machine() -> None:
    images = b"".join(draw(name, f"fixed {name}").tobytes() for name in CLASS_NAMES)
    assert hashlib.sha256(images).hexdigest() == (
        "8fad6d44797dc21d7907e847cb0b6601ba5bd5b30153be80202fd522844d34d0"
    )


def test_different_seeds_give_different_images_and_labels() -> None:
    assert not np.array_equal(draw("cat", "a"), draw("cat", "b"))
    assert not np.array_equal(labels("train", 1), labels("train", 2))


@pytest.mark.parametrize(
    "key",
    [
        slice(3, 9), slice(None, 4), slice(495, 505), slice(0, 20, 5), 7, -1, [1, 499, 2],
        np.array([[0, 1], [2, 3]]), (0, slice(None), 3), (slice(0, 2), 1, 1, 0),
        ([0, 1], [3, 4]), ([0, 1], slice(2), 3), (), (Ellipsis, 0), (2, None),
        np.arange(1_000) % 300 == 0,
    ],
    ids=str,
)  # fmt: skip
def test_indexing_equals_indexing_the_whole_array(
    key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sketches, "SPLITS", {"train": 1_000, "test": 500})
    monkeypatch.setattr(sketches, "draw", draw_once)
    images = Sketches("train")
    np.testing.assert_array_equal(images[key], np.asarray(Sketches("train"))[key])


def test_arithmetic_and_methods_work_as_on_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "SPLITS", {"train": 500, "test": 500})
    monkeypatch.setattr(sketches, "draw", draw_once)
    images = Sketches("test")
    whole = np.asarray(images)
    np.testing.assert_array_equal(images / 255, whole / 255)
    assert images.max() == whole.max() and images.mean() == whole.mean()
    assert np.asarray(images, dtype="float32").dtype == np.float32
    np.testing.assert_array_equal(np.stack([images[i] for i in range(len(images))]), whole)


def test_only_accessed_blocks_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw_number(class_name: str, seed: str) -> np.ndarray:
        drawn.append(seed)
        return np.full((32, 32, 3), len(drawn) % 256, np.uint8)

    monkeypatch.setattr(sketches, "draw", draw_number)
    first = load_data(tmp_path)[0][0][:700]
    assert len(drawn) == 1_000, "not two blocks of 500"
    again = load_data(tmp_path)[0][0][:700]  # as in another kernel
    assert len(drawn) == 1_000, "not read from the cache"
    np.testing.assert_array_equal(first, again)


def test_a_damaged_block_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "draw", lambda *_: np.zeros((32, 32, 3), np.uint8))
    _ = load_data(tmp_path)[0][0][0]
    (block,) = tmp_path.rglob("*.npy")
    original = block.read_bytes()
    for damaged in (original[:1000], b"", original.replace(b"|u1", b"|i1")):
        block.write_bytes(damaged)
        assert load_data(tmp_path)[0][0][0].max() == 0
        assert block.read_bytes() == original


def test_colours_hardly_predict_the_class() -> None:
    """A linear classifier on colour histograms stays near the chance level of 0.1."""
    images, class_numbers = Sketches("train")[:4_000], labels("train")[:4_000]
    colour = (images // 64) @ np.array([16, 4, 1])
    histograms = np.stack([np.bincount(c.ravel(), minlength=64) for c in colour]) / 1024
    features = np.c_[np.sqrt(histograms), np.ones(len(images))]
    weights = np.linalg.lstsq(features[:3_000], np.eye(10)[class_numbers[:3_000]], rcond=None)[0]
    accuracy = (np.argmax(features[3_000:] @ weights, axis=1) == class_numbers[3_000:]).mean()
    assert accuracy < 0.2


def test_an_in_place_change_is_refused_with_a_remedy() -> None:
    images: Any = Sketches("test")
    with pytest.raises(TypeError, match="write images = images / 255"):
        images += 1
