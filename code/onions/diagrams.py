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
from matplotlib.patches import Circle, Rectangle

from onions.figures import COLOURS, INK, QUIET, STYLE

BLUE, ORANGE = COLOURS[:2]
WIDTH = STYLE["figure.figsize"][0]  # inches
GREYS = 8  # levels in the maps of a forward pass
CHANNELS = ("red", "green", "blue")
CHANNEL_COLOURS = ("#d1242f", COLOURS[2], BLUE)


def sliding_kernel(image: np.ndarray, kernel: np.ndarray, row: int, column: int) -> Figure:
    """Draw an image, a kernel and their convolution, with one of its sums written out.

    `image` has shape (h, w) and one-digit numbers; `kernel` has shape (k, k) and whole numbers.
    `row` and `column` (from 0) select a value of the output, which is (h − k + 1, w − k + 1).
    Cells of the image and of the output are shaded as in a picture: the larger, the brighter.
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
        _grid(ax, values, left, 0, marked, shaded=values is not kernel)
    _frame(ax, column, row, size, size)
    _frame(ax, output_left + column, row, 1, 1)
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


def receptive_field(
    names: Sequence[str], sides: Sequence[int], fields: Sequence[int], starts: Sequence[int]
) -> Figure:
    """Draw the receptive field of one output in a grid for each layer, from image to output.

    `sides` are the side lengths of the grids, the first the largest. `fields` are those of the
    squares of values that the output depends on, and `starts` their first rows and columns, from 0.
    """
    widths = [max(side, 19) + 4 for side in sides]  # wide enough for the name below
    figure, ax = _canvas(sum(widths) - 4, sides[0] + 17)
    middle = sides[0] / 2
    left, previous = 0.0, (0.0, 0.0, 0)
    for name, side, field, start, width in zip(names, sides, fields, starts, widths, strict=True):
        grid_left, top = left + (width - 4 - side) / 2, middle - side / 2
        _lines(ax, grid_left, top, side)
        x, y = grid_left + start, top + start
        ax.add_patch(Rectangle((x, y), field, field, facecolor=ORANGE, edgecolor="none", alpha=0.5))
        ax.add_patch(Rectangle((x, y), field, field, facecolor="none", edgecolor=ORANGE, lw=1.6))
        if previous[2]:
            ends = [previous[0] + previous[2], x]
            ax.plot(ends, [previous[1], y], color=ORANGE, lw=1, ls="--")
            ax.plot(ends, [previous[1] + previous[2], y + field], color=ORANGE, lw=1, ls="--")
        centre = left + (width - 4) / 2
        _text(ax, centre, sides[0] + 2, f"{field} × {field}", weight="bold")
        _text(ax, centre, sides[0] + 5.7, f"of {side} × {side}")
        _text(ax, centre, sides[0] + 8.4, name, va="top")
        left, previous = left + width, (x, y, field)
    return figure


def dense_layer(side: int, neurons: int) -> Figure:
    """Draw a dense layer on a small image: pixels, the same in one row, neurons, and all lines.

    `side` is the image's side in pixels. The first neuron's lines are marked.
    """
    count = side * side
    column, right = side + 4.0, side + 15.0  # left edge of the flattened pixels; the neurons
    figure, ax = _canvas(right + 3.6, count + 2.2)
    middle = count / 2
    numbers = np.arange(1, count + 1).astype(str)
    nothing = np.zeros((count, count), bool)
    _grid(ax, numbers.reshape(side, side), 0, middle - side / 2, nothing, size=10)
    _grid(ax, numbers[:, None], column, 0, nothing, size=10)
    arrow = {"arrowstyle": "->", "color": QUIET, "lw": 1.5}
    ax.annotate("", (column - 0.4, middle), (side + 0.4, middle), arrowprops=arrow)
    _text(ax, side / 2, middle + side / 2 + 0.8, "image")
    _text(ax, column + 0.5, -0.7, "in one row")
    _text(ax, right, -0.7, "neurons")
    ends = np.linspace(0.2, 0.8, neurons) * count
    for neuron in reversed(range(neurons)):  # the marked lines come last, on top
        marked, end = neuron == 0, ends[neuron]
        x, starts = [[column + 1] * count, [right] * count], np.arange(count) + 0.5
        colour = ORANGE if marked else QUIET
        ax.plot(
            x,
            np.stack([starts, np.full(count, end)]),
            color=colour,
            lw=1.8 if marked else 0.6,
        )
        ax.add_patch(Circle((right, end), 1, facecolor="white", edgecolor=colour, lw=1.8, zorder=3))
        _text(ax, right + 2.2, end, str(neuron + 1), weight="bold" if marked else "normal")
    return figure


def colour_patch(patch: np.ndarray, kernel: np.ndarray, bias: int) -> Figure:
    """Draw a kernel on a patch of a colour image: one product sum per channel, and their total.

    `patch` and `kernel` have shape (3, 3, 3): rows, columns, channels, with whole numbers.
    """
    figure, ax = _canvas(17, 18.4, height=0.8)
    for left, name in ((3, "image"), (8, "kernel"), (13, "sum")):
        _text(ax, left + 1.5, -0.6, name)
    marked = np.ones((3, 3), bool)
    sums = (patch * kernel).sum(axis=(0, 1))
    for channel, (name, tint) in enumerate(zip(CHANNELS, CHANNEL_COLOURS, strict=True)):
        top = 4 * channel
        _text(ax, 2.6, top + 1.5, name, ha="right")
        _grid(ax, patch[:, :, channel], 3, top, marked, tint=tint)
        _text(ax, 7, top + 1.5, "·", size=18)
        _grid(ax, kernel[:, :, channel], 8, top, marked, tint=tint)
        _text(ax, 12, top + 1.5, "=")
        _text(ax, 15, top + 1.5, _number(sums[channel]), ha="right", weight="bold")
    _text(ax, 12.6, 12.6, "bias", ha="right")
    _text(ax, 15, 12.6, _number(bias), ha="right", weight="bold")
    ax.plot([13, 15.3], [13.5, 13.5], color=INK, lw=1.2)
    _text(ax, 12.6, 14.5, "together", ha="right")
    total = sums.sum() + bias
    _text(ax, 15, 14.5, _number(total), ha="right", weight="bold")
    _text(ax, 12.6, 16.3, "after ReLU: one number of one map", ha="right")
    _grid(ax, np.array([[max(total, 0)]]), 14.3, 15.8, marked[:1, :1])
    return figure


def kernels_and_maps(image: np.ndarray, kernels: np.ndarray, maps: np.ndarray) -> Figure:
    """Draw an image, all kernels of a layer and the feature map of each, with their counts.

    `image` has shape (h, w, 3), `kernels` (k, k, 3, n) and `maps` (h', w', n); n is a multiple
    of 8. The first kernel and its map are marked. In each map, grey is zero.
    """
    count = kernels.shape[3]
    rows = count // 8
    figure, ax = _canvas(26, 13.4 + 3.25 * rows)
    _image(ax, image, 0, 0, 8.4)
    largest = np.abs(kernels).max()
    for i in range(count):
        row, column = divmod(i, 8)
        _image(ax, 0.5 + kernels[..., i] / largest / 2, 9.4 + 2.1 * column, 2.1 * row, 1.9)
        place, limit = (3.27 * column, 12.6 + 3.25 * row), np.abs(maps[..., i]).max()
        _image(ax, maps[..., i], *place, 3.1, cmap="gray", vmin=-limit, vmax=limit)
    _frame(ax, 9.4, 0, 1.9, 1.9)
    _frame(ax, 0, 12.6, 3.1, 3.1)
    height, width = image.shape[:2]
    _text(ax, 4.2, 9.7, f"{height} × {width} pixels,\n3 channels")
    depth = " × ".join(map(str, kernels.shape[:3]))
    _text(ax, 9.4 + 8.3, 9.7, f"{count} kernels\nof {depth}")
    _text(ax, 13, 11.7, f"{count} feature maps of {maps.shape[0]} × {maps.shape[1]}")
    ax.set(xlim=(-0.1, 26.1), ylim=(12.6 + 3.25 * rows + 0.1, -0.2))
    return figure


def forward_pass(
    stages: dict[str, np.ndarray],
    answers: dict[str, float],
    kernels: np.ndarray,
    biases: np.ndarray,
) -> Figure:
    """Draw a network at work on an image: the maps after each layer, and the answers as bars.

    `stages` maps names to arrays (h, w, 3) for the image, then (h, w, n) for maps and (n,) for
    neurons, with n a multiple of 4. The largest value of the first maps is worked out from the
    layer's `kernels` (k, k, 3, n) and `biases` (n,), without padding, with a stride of 1 and ReLU.
    """
    figure, ax = _canvas(21.5, 18.2)
    image, first, *_ = stages.values()
    for place, (name, values) in enumerate(stages.items()):
        left, top = 7.5 * (place % 3), 5.6 * (place // 3)
        maps = np.moveaxis(values, 2, 0) if values.ndim == 3 else values[:, None, None]
        tiles, side = ([image], 3.2) if values is image else (maps, 0.8)
        for i, pixels in enumerate(tiles):
            corner = (left + side * (i % 8), top + side * (i // 8))
            if values is not image:  # few greys make a small file
                pixels = np.round(GREYS * pixels / values.max()) / GREYS
            style: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1}
            _image(ax, pixels, *corner, 0.93 * side, interpolation="nearest", **style)
        shape = " × ".join(map(str, values.shape))
        _text(ax, left, top + 3.4, f"{name}\n{shape}", ha="left", va="top", size=9)
    for i, (name, share) in enumerate(answers.items()):
        top = 11.1 + 0.62 * i
        ax.add_patch(Rectangle((17, top), 3.2 * share, 0.42, color=ORANGE))
        _text(ax, 16.8, top + 0.21, f"{name} {share:.2f}", ha="right", size=9)
    row, column, number = np.unravel_index(first.argmax(), first.shape)
    kernel, size = kernels[..., number], kernels.shape[0]
    patch, pixel = image[row : row + size, column : column + size], 3.2 / image.shape[1]
    _frame(ax, column * pixel, row * pixel, size * pixel, size * pixel)
    _image(ax, patch, 0, 11.1, 2.4)
    _text(ax, 3, 12.3, "·", size=18)
    _image(ax, 0.5 + kernel / np.abs(kernel).max() / 2, 3.6, 11.1, 2.4)
    sums = (patch * kernel).sum(axis=(0, 1))
    lines = [
        f"Framed pixels · kernel {number + 1}:",
        ", ".join(f"{name} {value:.2f}" for name, value in zip(CHANNELS, sums, strict=True)),
        f"and the bias {biases[number]:.2f} add up to {sums.sum() + biases[number]:.2f},",
        "the largest value of the first maps.",
    ]
    _text(ax, 0, 13.9, "\n".join(lines).replace("-", "−"), ha="left", va="top", size=9)
    return figure


def padding_and_stride(side: int, size: int, cases: Sequence[tuple[int, int]]) -> Figure:
    """Draw the places of a kernel on one row of `side` pixels, for each padding and stride.

    A bar below the row marks the `size` pixels beneath the kernel at one of its places.
    """
    widest = side + 2 * max(padding for padding, _ in cases)
    most = max((side + 2 * p - size) // s + 1 for p, s in cases)
    figure, ax = _canvas(len(cases) * (widest + 1.5) - 1.5, most + 4.4)
    for i, (padding, stride) in enumerate(cases):
        centre = i * (widest + 1.5) + widest / 2
        row = np.array(["0"] * padding + [""] * side + ["0"] * padding)
        left = centre - len(row) / 2
        _text(ax, centre, -0.6, f"p = {padding}, s = {stride}", weight="bold")
        _grid(ax, row[None], left, 0.2, np.zeros((1, len(row)), bool), size=10)
        inside = Rectangle((left + padding, 0.2), side, 1, edgecolor=INK, facecolor="none", lw=2)
        ax.add_patch(inside)
        starts = range(0, len(row) - size + 1, stride)
        for line, start in enumerate(starts):
            corner = (left + start, 1.75 + line)
            ax.add_patch(Rectangle(corner, size, 0.6, facecolor=ORANGE, edgecolor="none"))
        _text(ax, centre, most + 2.6, f"{len(starts)} places")
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


def _grid(
    ax: Axes,
    values: np.ndarray,
    left: float,
    top: float,
    marked: np.ndarray,
    *,
    tint: str = ORANGE,
    shaded: bool = False,
    size: float = STYLE["font.size"],
) -> None:
    """Draw a grid of values. Marked values are tinted, and bold for those who can't see tints.

    With `shaded`, the cells are shaded by their values instead of tinted.
    """
    if shaded:
        low, high = values.min(), values.max()
        black = low - 1.5 * (high - low)  # so that text is readable on the darkest cell
        _image(ax, values, left, top, values.shape[1], cmap="gray", vmin=black, vmax=high)
    for (row, column), value in np.ndenumerate(values):
        is_marked = marked[row, column]
        corner = (left + column, top + row)
        if is_marked and not shaded:
            ax.add_patch(Rectangle(corner, 1, 1, edgecolor="none", facecolor=tint, alpha=0.22))
        ax.add_patch(Rectangle(corner, 1, 1, edgecolor=QUIET, facecolor="none", lw=0.8))
        weight = "bold" if is_marked else "normal"
        x, y = left + column + 0.5, top + row + 0.5
        _text(ax, x, y, _number(value), weight=weight, size=size)


def _image(
    ax: Axes, pixels: np.ndarray, left: float, top: float, width: float, **style: Any
) -> None:
    """Draw an image of a given width in cells; the limits of the axes stay as they are."""
    height = width * pixels.shape[0] / pixels.shape[1]
    limits = ax.axis()
    ax.imshow(
        pixels, extent=(left, left + width, top + height, top), aspect=ax.get_aspect(), **style
    )
    ax.axis(limits)


def _frame(ax: Axes, left: float, top: float, width: float, height: float) -> None:
    frame = Rectangle((left, top), width, height, edgecolor=ORANGE, facecolor="none", lw=2.5)
    ax.add_patch(frame)


def _lines(ax: Axes, left: float, top: float, side: int) -> None:
    """Draw the lines of a square grid without values."""
    offsets = np.arange(side + 1)
    style: dict[str, Any] = {"colors": QUIET, "lw": 0.4, "alpha": 0.6}
    ax.vlines(left + offsets, top, top + side, **style)
    ax.hlines(top + offsets, left, left + side, **style)


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    ax.text(x, y, text, **({"ha": "center", "va": "center", "color": INK} | style))


def _number(value: Any) -> str:
    """Format a number with up to six digits and a typographic minus sign; return a string as is."""
    return value if isinstance(value, str) else f"{value:g}".replace("-", "−")
