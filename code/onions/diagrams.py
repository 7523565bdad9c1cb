"""The diagrams whose code is too long to show on a page. Pages draw them in build-only cells.

They stand apart from `onions.figures`, which every page depends on: when a diagram changes, only
the pages that draw it run again. One unit of an axis is one cell of a grid.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from onions.figures import COLOURS, INK, QUIET, STYLE

BLUE, ORANGE = COLOURS[:2]
WIDTH = STYLE["figure.figsize"][0]  # inches


def sliding_kernel(image: np.ndarray, kernel: np.ndarray, row: int, column: int) -> Figure:
    """Draw an image, a kernel and what comes out, with the sum at one place written out.

    `image` is (h, w), of one-digit numbers, and `kernel` (k, k), of whole numbers; `row` and
    `column` are the place in the output, which is (h − k + 1, w − k + 1).
    """
    size = len(kernel)
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    output = (windows * kernel).sum(axis=(2, 3))
    second = image.shape[1] + 1
    third = second + size + 1
    figure, ax = _canvas(third + output.shape[1], len(image) + 6.2)
    beneath = np.zeros(image.shape, bool)
    beneath[row : row + size, column : column + size] = True
    here = np.zeros(output.shape, bool)
    here[row, column] = True
    for values, left, name, marked in (
        (image, 0, "image", beneath),
        (kernel, second, "kernel", np.ones(kernel.shape, bool)),
        (output, third, "output", here),
    ):
        _text(ax, left + values.shape[1] / 2, -0.6, name)
        _grid(ax, values, left, 0, marked)
    lines = [
        " + ".join(f"{_number(k):>2}·{_number(v)}" for k, v in zip(weights, pixels, strict=True))
        + f" = {_number((weights * pixels).sum()):>3}"
        for weights, pixels in zip(kernel, windows[row, column], strict=True)
    ]
    lines.append("together" + f"{_number(output[row, column]):>{len(lines[0]) - 8}}")
    y = len(image) + 1.4
    for line in lines:
        _text(ax, (third + output.shape[1]) / 2, y, line, family="monospace")
        y += 1.2
    return figure


def max_pooling(values: np.ndarray) -> Figure:
    """Draw 2 × 2 max pooling of a grid (2h, 2w) of numbers: each block and its largest.

    Raises ValueError for an odd side.
    """
    height, width = len(values) // 2, values.shape[1] // 2
    blocks = values.reshape(height, 2, width, 2)
    pooled = blocks.max(axis=(1, 3))
    largest = (blocks == pooled[:, None, :, None]).reshape(values.shape)
    left = values.shape[1] + 2
    figure, ax = _canvas(left + width, len(values) + 1.2)
    _text(ax, values.shape[1] / 2, -0.6, "before")
    _text(ax, left + width / 2, -0.6, "after")
    _grid(ax, values, 0, 0, largest)
    _grid(ax, pooled, left, 0, np.ones(pooled.shape, bool))
    for row in range(height):
        for column in range(width):
            corner = (2 * column, 2 * row)
            ax.add_patch(Rectangle(corner, 2, 2, edgecolor=BLUE, facecolor="none", lw=2.2))
    return figure


def receptive_field(names: Sequence[str], sizes: Sequence[int]) -> Figure:
    """Draw how far back one output looks: a square for each layer, each seeing the one before.

    `sizes` are the sides, in values, of the part that counts, from the picture, the largest, to
    the one output.
    """
    room = [max(size, 4.6) + 1 for size in sizes]  # for the name below
    figure, ax = _canvas(sum(room), sizes[0] + 4.2)
    start, middle = 0.0, sizes[0] / 2
    corner: tuple[float, float, int] | None = None
    for name, size, width in zip(names, sizes, room, strict=True):
        left, top = start + (width - size) / 2, middle - size / 2
        if corner:
            before, above, side = corner
            for y, y_before in ((top, above), (top + size, above + side)):
                ax.plot([before + side, left], [y_before, y], color=ORANGE, lw=1, ls="--")
        _grid(ax, np.full((size, size), ""), left, top, np.ones((size, size), bool))
        _text(ax, left + size / 2, sizes[0] + 0.8, f"{size} × {size}", weight="bold")
        _text(ax, left + size / 2, sizes[0] + 2.4, name)
        corner = (left, top, size)
        start += width
    return figure


def dropout_steps(steps: dict[str, np.ndarray]) -> Figure:
    """Draw what a dropout layer gives out, by name: grids (rows, columns), zeros marked."""
    rows = sum(len(values) + 1.3 for values in steps.values()) + 0.8
    columns = next(iter(steps.values())).shape[1]
    figure, ax = _canvas(columns, rows, height=0.62)
    top = 0.0
    for name, values in steps.items():
        _text(ax, 0, top - 0.55, name, ha="left")
        _grid(ax, values, 0, top, values == 0)
        top += len(values) + 1.3
    return figure


def _canvas(columns: float, rows: float, height: float = 1.0) -> tuple[Figure, Axes]:
    """Return an empty figure as wide as a page, `height` the height of a cell by its width."""
    cell = WIDTH / (columns + 0.2)
    figure, ax = plt.subplots(figsize=(WIDTH, cell * height * (rows + 0.2)))
    ax.set(xlim=(-0.1, columns + 0.1), ylim=(rows - 0.9, -1.1), aspect=height)
    ax.axis("off")
    return figure, ax


def _grid(ax: Axes, values: np.ndarray, left: float, top: float, marked: np.ndarray) -> None:
    """Draw a grid of values; the marked ones are tinted and bold, so colour is not all."""
    for (row, column), value in np.ndenumerate(values):
        mark = marked[row, column]
        tint = {"facecolor": ORANGE, "alpha": 0.22} if mark else {"facecolor": "none"}
        corner = (left + column, top + row)
        ax.add_patch(Rectangle(corner, 1, 1, edgecolor="none", **tint))
        ax.add_patch(Rectangle(corner, 1, 1, edgecolor=QUIET, facecolor="none", lw=0.8))
        weight = "bold" if mark else "normal"
        _text(ax, left + column + 0.5, top + row + 0.5, _number(value), weight=weight)


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    ax.text(x, y, text, **({"ha": "center", "va": "center", "color": INK} | style))


def _number(value: Any) -> str:
    """Return a number in at most six digits, with a real minus sign."""
    return value if isinstance(value, str) else f"{value:g}".replace("-", "−")
