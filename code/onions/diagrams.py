"""Diagrams whose code is too long to show on a page. Build-only cells draw them.

They are separate from `onions.figures`, on which every page depends: after a change to a diagram,
only the pages that import this module run again. One unit of an axis is one cell of a grid.
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
    """Draw an image, a kernel and their convolution, with one of its sums written out.

    `image` has shape (h, w) and one-digit numbers; `kernel` has shape (k, k) and whole numbers.
    `row` and `column` (from 0) select a value of the output, which is (h − k + 1, w − k + 1).
    """
    size = len(kernel)
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    output = (windows * kernel).sum(axis=(2, 3))
    kernel_left = image.shape[1] + 1
    output_left = kernel_left + size + 1
    right = output_left + output.shape[1]
    figure, ax = _canvas(right, len(image) + 6.2)
    window = np.zeros(image.shape, bool)
    window[row : row + size, column : column + size] = True
    result = np.zeros(output.shape, bool)
    result[row, column] = True
    for values, left, name, marked in (
        (image, 0, "image", window),
        (kernel, kernel_left, "kernel", np.ones(kernel.shape, bool)),
        (output, output_left, "output", result),
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
        _text(ax, right / 2, y, line, family="monospace")
        y += 1.2
    return figure


def max_pooling(values: np.ndarray) -> Figure:
    """Draw 2 × 2 max pooling: each block of a (2h, 2w) grid and its largest number.

    Raises ValueError if a side is odd.
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
    """Draw the receptive field of one output: one square for each layer, from image to output.

    `sizes` are the side lengths of the squares: how many values in a row of each layer the output
    depends on. The first size, of the image, is the largest; the last, of the output, is 1.
    """
    widths = [max(size, 4.6) + 1 for size in sizes]  # wide enough for the name below
    figure, ax = _canvas(sum(widths), sizes[0] + 4.2)
    start, middle = 0.0, sizes[0] / 2
    previous: tuple[float, float, int] | None = None
    for name, size, width in zip(names, sizes, widths, strict=True):
        left, top = start + (width - size) / 2, middle - size / 2
        if previous:
            previous_left, previous_top, previous_size = previous
            x = [previous_left + previous_size, left]
            ax.plot(x, [previous_top, top], color=ORANGE, lw=1, ls="--")
            bottoms = [previous_top + previous_size, top + size]
            ax.plot(x, bottoms, color=ORANGE, lw=1, ls="--")
        _grid(ax, np.full((size, size), ""), left, top, np.ones((size, size), bool))
        _text(ax, left + size / 2, sizes[0] + 0.8, f"{size} × {size}", weight="bold")
        _text(ax, left + size / 2, sizes[0] + 2.4, name)
        previous = (left, top, size)
        start += width
    return figure


def dropout_steps(steps: dict[str, np.ndarray]) -> Figure:
    """Draw each output of a dropout layer as a grid under its name, with zeros marked.

    `steps` maps the names to arrays of shape (rows, columns), all with the same number of columns.
    """
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
    """Return an empty figure as wide as a page; `height` is a cell's height over its width."""
    cell = WIDTH / (columns + 0.2)
    figure, ax = plt.subplots(figsize=(WIDTH, cell * height * (rows + 0.2)))
    ax.set(xlim=(-0.1, columns + 0.1), ylim=(rows - 0.9, -1.1), aspect=height)
    ax.axis("off")
    return figure, ax


def _grid(ax: Axes, values: np.ndarray, left: float, top: float, marked: np.ndarray) -> None:
    """Draw a grid of values. Marked values are tinted, and bold for those who can't see tints."""
    for (row, column), value in np.ndenumerate(values):
        is_marked = marked[row, column]
        tint = {"facecolor": ORANGE, "alpha": 0.22} if is_marked else {"facecolor": "none"}
        corner = (left + column, top + row)
        ax.add_patch(Rectangle(corner, 1, 1, edgecolor="none", **tint))
        ax.add_patch(Rectangle(corner, 1, 1, edgecolor=QUIET, facecolor="none", lw=0.8))
        weight = "bold" if is_marked else "normal"
        _text(ax, left + column + 0.5, top + row + 0.5, _number(value), weight=weight)


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    ax.text(x, y, text, **({"ha": "center", "va": "center", "color": INK} | style))


def _number(value: Any) -> str:
    """Format a number with up to six digits and a typographic minus sign; return a string as is."""
    return value if isinstance(value, str) else f"{value:g}".replace("-", "−")
