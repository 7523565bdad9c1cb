"""The built-in stand-in for CIFAR-10: generated images of its ten classes.

Each image has its own seed. It is drawn at four times its size, then reduced. Colours, position,
size, rotation, proportions, clutter, occlusion, light and noise are random. Everything except the
shape is drawn the same way for every class, so only the shape reveals the class. All random numbers
come from the standard library, and Pillow draws with integers, so a seed gives the same image on
every machine.
"""

import math
import os
import random
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np
import PIL
from numpy.lib.mixins import NDArrayOperatorsMixin
from PIL import Image, ImageDraw

from onions.images.shapes import SHAPES, Part, Point

CLASS_NAMES = tuple(SHAPES)  # in the order of the labels
SEED = 10
SPLITS = {"train": 50_000, "test": 10_000}
SIZE = 32  # pixels per side
BLOCK = 500  # images that are drawn and cached together

CANVAS = 4 * SIZE


def load_data(
    cache: Path | None = None, seed: int = SEED
) -> tuple[tuple["Sketches", np.ndarray], tuple["Sketches", np.ndarray]]:
    """Return ``(train_images, train_labels), (test_images, test_labels)``, as Keras' CIFAR-10 does.

    Images are uint8 of shape (50000, 32, 32, 3) and (10000, 32, 32, 3), drawn on first access;
    labels are uint8 of shape (n, 1), from 0 to 9. Processes share drawn blocks through `cache`, in
    a folder for each version of Pillow; None draws without a cache.
    """
    cache = cache and cache / f"pillow-{PIL.__version__}"
    train, test = (
        (Sketches(split, seed, cache), labels(split, seed)[:, np.newaxis]) for split in SPLITS
    )
    return train, test


def _in_own_order(blocks: list[int]) -> list[int]:
    """Return the blocks in an order that differs between processes.

    Parallel processes then find each other's blocks in the cache, and rarely draw the same block.
    """
    return random.Random(os.getpid()).sample(blocks, len(blocks))


def labels(split: str, seed: int = SEED) -> np.ndarray:
    """Return the shuffled labels of a split, uint8 of shape (n,): the same number of each class."""
    order = [i % len(CLASS_NAMES) for i in range(SPLITS[split])]
    random.Random(f"{seed} {split} labels").shuffle(order)
    return np.array(order, np.uint8)


class Sketches(NDArrayOperatorsMixin):
    """The images of one split, as an array that draws each block of images on first access."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, split: str, seed: int = SEED, cache: Path | None = None):
        self.split, self.seed, self.cache = split, seed, cache
        self.shape = (SPLITS[split], SIZE, SIZE, 3)
        self._labels = labels(split, seed)
        self._blocks: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """Index like an array. Only a number, slice or list of images avoids drawing all blocks."""
        first, *rest = key if isinstance(key, tuple) and key else (key,)
        basic = all(item is None or isinstance(item, int | slice | EllipsisType) for item in rest)
        lazy = isinstance(first, int | slice) or (np.ndim(first) == 1 and not rest)
        if not lazy or not basic:
            return np.asarray(self)[key]
        wanted = np.arange(len(self))[first]
        picked = np.empty((wanted.size, SIZE, SIZE, 3), np.uint8)
        numbers = wanted.reshape(-1)
        for block in _in_own_order(np.unique(numbers // BLOCK).tolist()):
            inside = numbers // BLOCK == block
            picked[inside] = self._block(block)[numbers[inside] % BLOCK]
        images = picked.reshape(*wanted.shape, SIZE, SIZE, 3)
        return images[(slice(None),) * wanted.ndim + tuple(rest)] if rest else images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(out, Sketches) for out in kwargs.get("out", ())):
            raise TypeError("these images can't be changed in place; write images = images / 255")
        arrays = [np.asarray(x) if isinstance(x, Sketches) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def _block(self, block: int) -> np.ndarray:
        if block not in self._blocks:
            self._blocks[block] = self._kept(block)
        return self._blocks[block]

    def _kept(self, block: int) -> np.ndarray:
        path = self.cache and self.cache / f"{self.split}-{self.seed}-{block:03}.npy"
        if path and path.exists():
            kept = _read_block(path)
            if kept is not None:
                return kept
        images = np.stack(
            [
                draw(CLASS_NAMES[self._labels[i]], f"{self.seed} {self.split} {i}")
                for i in range(block * BLOCK, (block + 1) * BLOCK)
            ]
        )
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = path.with_suffix(f".{os.getpid()}.tmp")
            with whole.open("wb") as file:
                np.save(file, images)
            whole.replace(path)
        return images


def _read_block(path: Path) -> np.ndarray | None:
    """Return a cached block; None if the file is truncated or invalid."""
    try:
        block = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = block.dtype == np.uint8 and block.shape == (BLOCK, SIZE, SIZE, 3)
    return block if fits else None


def draw(class_name: str, seed: str) -> np.ndarray:
    """Return one image of a class, uint8 of shape (32, 32, 3)."""
    rng = random.Random(seed)
    picture = _background(rng)
    _paint(picture, rng, SHAPES[class_name](rng))
    _occlude(picture, rng)
    small = np.asarray(picture.reduce(CANVAS // SIZE), np.int32)
    return _light_and_noise(small, rng)


def _background(rng: random.Random) -> Image.Image:
    """Return a canvas with a gradient of two colours and some clutter."""
    ramp = Image.linear_gradient("L").resize((CANVAS, CANVAS))
    ramp = ramp.rotate(rng.choice([0, 90, 180, 270]))
    near, far = (Image.new("RGB", ramp.size, _colour(rng, 60, 210)) for _ in range(2))
    picture = Image.composite(near, far, ramp)
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.randint(1, 5)):
        middle = (rng.uniform(0, CANVAS), rng.uniform(0, CANVAS))
        sides, radius = rng.randint(3, 7), rng.uniform(4, 20)
        pen.polygon(_blob(rng, middle, sides, radius), fill=_colour(rng, 0, 255))
    return picture


def _paint(picture: Image.Image, rng: random.Random, parts: list[Part]) -> None:
    """Draw the parts on the canvas: rotated, mirrored, stretched and moved."""
    pen = ImageDraw.Draw(picture)
    colours = [_colour(rng, 0, 90)] + [_colour(rng, 0, 255) for _ in range(3)]
    size = rng.uniform(0.27, 0.46) * CANVAS
    turn, mirror = rng.gauss(0, 0.28), rng.choice([-1, 1])
    wide, high, slant = rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.2), rng.gauss(0, 0.12)
    room = CANVAS / 2 - 0.75 * size
    x0, y0 = (CANVAS / 2 + rng.uniform(-room, room) / 2 for _ in range(2))
    cos, sin = math.cos(turn) * size, math.sin(turn) * size
    for colour, polygon in parts:
        placed = []
        for x, y in polygon:
            x, y = mirror * wide * (x + slant * y), high * y
            placed.append((round(x0 + cos * x - sin * y), round(y0 + sin * x + cos * y)))
        pen.polygon(placed, fill=colours[colour])


def _occlude(picture: Image.Image, rng: random.Random) -> None:
    """Draw one to four blobs over the shape."""
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.randint(1, 4)):
        middle = (rng.uniform(0, CANVAS), rng.uniform(0, CANVAS))
        outline = _blob(rng, middle, rng.randint(3, 6), rng.uniform(8, 20))
        pen.polygon(outline, fill=_colour(rng, 0, 255))


def _light_and_noise(pixels: np.ndarray, rng: random.Random) -> np.ndarray:
    """Change contrast and brightness, then add noise, in exact integer arithmetic."""
    contrast, brightness = rng.randint(50, 110), rng.randint(-50, 10)
    strength = rng.randint(14, 40)
    raw = np.frombuffer(rng.randbytes(2 * pixels.size), np.uint8).astype(np.int32)
    noise = (raw[::2] + raw[1::2] - 255).reshape(pixels.shape) * strength // 128
    lit = (pixels - 128) * contrast // 100 + 128 + brightness + noise
    return np.clip(lit, 0, 255).astype(np.uint8)


def _colour(rng: random.Random, darkest: int, lightest: int) -> tuple[int, int, int]:
    red, green, blue = (rng.randint(darkest, lightest) for _ in range(3))
    return red, green, blue


def _blob(rng: random.Random, middle: Point, sides: int, radius: float) -> list[Point]:
    start = rng.uniform(0, math.tau)
    points: list[Point] = []
    for i in range(sides):
        reach = radius * rng.uniform(0.6, 1.3)
        angle = start + math.tau * i / sides
        points.append(
            (round(middle[0] + reach * math.cos(angle)), round(middle[1] + reach * math.sin(angle)))
        )
    return points
