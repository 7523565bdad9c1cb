"""The numbers, marks and texts in the diagrams."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from onions import diagrams, figures


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    with plt.rc_context({"figure.constrained_layout.use": True}):
        yield
    plt.close("all")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def bold(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.axes[0].texts if t.get_fontweight() == "bold"]


def tinted(figure: Figure) -> int:
    return sum(patch.get_alpha() is not None for patch in rectangles(figure))


def rectangles(figure: Figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def framed(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Return left, top, width and height of each frame."""
    frames = [patch for patch in rectangles(figure) if patch.get_linewidth() == 2.5]
    return [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in frames]


def test_the_sum_of_the_sliding_kernel_is_written_out() -> None:
    image = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 1, 2, 3]])
    kernel = np.array([[-1, 0, 1]] * 3)
    lines = texts(diagrams.sliding_kernel(image, kernel, row=0, column=1))
    assert lines[-4:-1] == [
        "−1·2 +  0·3 +  1·4 =   2",
        "−1·6 +  0·7 +  1·8 =   2",
        "−1·1 +  0·2 +  1·3 =   2",
    ]
    assert lines[-1].split() == ["together", "6"] and len(lines[-1]) == len(lines[-2])


def test_the_sliding_kernel_marks_one_place() -> None:
    figure = diagrams.sliding_kernel(np.eye(5, dtype=int), np.ones((3, 3), int), 2, 1)
    assert tinted(figure) == 9 and framed(figure) == [(1, 2, 3, 3), (11, 2, 1, 1)]
    assert len(bold(figure)) == 9 + 9 + 1
    assert bold(figure)[-1] == "2"  # rows 2 to 4, columns 1 to 3 of the identity


def test_the_larger_a_number_the_brighter_its_cell() -> None:
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    figure = diagrams.sliding_kernel(image, np.array([[1, -1], [0, 0]]), 0, 0)
    shown, _output = figure.axes[0].get_images()
    brightness = np.asarray(shown.norm(image.astype(float)))
    assert shown.get_cmap().name == "gray" and brightness.max() == 1
    assert np.allclose(brightness, 0.6 + 0.05 * (image - 1))


def test_every_pixel_is_joined_to_every_neuron() -> None:
    figure = diagrams.dense_layer(side=4, neurons=3)
    lines = figure.axes[0].lines
    ends = [(*np.asarray(line.get_ydata()),) for line in lines]
    assert len(set(ends)) == 16 * 3
    marked = [line.get_color() == diagrams.ORANGE for line in lines]
    assert marked == [False] * 32 + [True] * 16
    assert len({end for _, end in ends[32:]}) == 1, "the marked lines lead to one neuron"
    assert texts(figure).count("7") == 2, "the picture and the row number the pixels"


def test_a_colour_patch_has_one_sum() -> None:
    patch = np.arange(27).reshape(3, 3, 3)
    figure = diagrams.colour_patch(patch, np.ones((3, 3, 3), int), bias=-400)
    sums = [patch[:, :, channel].sum() for channel in range(3)]
    assert bold(figure)[-4:] == [str(sums[2]), "−400", "−49", "0"]
    assert tinted(figure) == 2 * 27 + 1


def test_each_kernel_has_a_map() -> None:
    rng = np.random.default_rng(1)
    kernels, maps = rng.normal(size=(3, 3, 3, 16)), rng.normal(size=(10, 10, 16))
    figure = diagrams.kernels_and_maps(rng.random((12, 12, 3)), kernels, maps)
    assert len(figure.axes[0].get_images()) == 1 + 16 + 16
    assert "12 × 12 pixels,\n3 channels" in texts(figure)
    assert "16 kernels\nof 3 × 3 × 3" in texts(figure)
    assert "16 feature maps of 10 × 10" in texts(figure)


def test_padding_and_stride_change_the_places() -> None:
    figure = diagrams.padding_and_stride(6, 3, [(0, 1), (1, 1), (1, 2)])
    assert [text for text in texts(figure) if "places" in text] == [
        "4 places",
        "6 places",
        "3 places",
    ]
    assert texts(figure).count("0") == 4
    bars = [patch for patch in rectangles(figure) if patch.get_height() == 0.6]
    assert len(bars) == 4 + 6 + 3 and {bar.get_width() for bar in bars} == {3}


def test_pooling_marks_the_largest_of_each_block() -> None:
    figure = diagrams.max_pooling(
        np.array([[1, 3, 0, 2], [4, 2, 1, 1], [0, 5, 7, 6], [2, 1, 3, 8]])
    )
    assert bold(figure) == ["2", "4", "5", "8", "4", "2", "5", "8"]


def test_the_receptive_field_lies_in_the_grid_of_each_layer() -> None:
    figure = diagrams.receptive_field(
        ["picture", "pooled", "output"], [12, 6, 4], [6, 3, 1], [4, 2, 2]
    )
    fields = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_alpha()]
    assert [p.get_width() for p in fields] == [p.get_height() for p in fields] == [6, 3, 1]
    assert [p.get_y() for p in fields] == [4, 2 + 3, 2 + 4]  # grids are centred in 12 rows
    assert bold(figure) == ["6 × 6", "3 × 3", "1 × 1"] and len(figure.axes[0].lines) == 4
    assert {"of 12 × 12", "of 6 × 6", "of 4 × 4"} <= set(texts(figure))


def test_dropout_marks_the_zeros() -> None:
    steps = {"a step": np.array([[1.25, 0.0, 1.25]]), "prediction": np.ones((1, 3))}
    figure = diagrams.dropout_steps(steps)
    assert bold(figure) == ["0"]
    assert texts(figure) == ["a step", "1.25", "0", "1.25", "prediction", "1", "1", "1"]


def test_all_text_is_inside_the_figure() -> None:
    figures.use_style()
    drawn = [
        diagrams.sliding_kernel(np.ones((6, 6), int), np.ones((3, 3), int), 0, 0),
        diagrams.dense_layer(side=4, neurons=3),
        diagrams.colour_patch(np.ones((3, 3, 3), int), np.ones((3, 3, 3), int), -1),
        diagrams.kernels_and_maps(
            np.ones((32, 32, 3)), np.ones((3, 3, 3, 32)), np.ones((30, 30, 32))
        ),
        diagrams.padding_and_stride(6, 3, [(0, 1), (1, 1), (1, 2)]),
        diagrams.max_pooling(np.ones((4, 4), int)),
        diagrams.receptive_field(
            ["picture", "first\nconvolution", "pooling", "second\nconvolution"],
            [32, 30, 15, 13],
            [8, 6, 3, 1],
            [12, 12, 6, 6],
        ),
        diagrams.dropout_steps({"a": np.ones((2, 10)), "b": np.ones((2, 10))}),
    ]
    for figure in drawn:
        figure.canvas.draw()
        whole = figure.bbox
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            assert whole.x0 <= box.x0 and box.x1 <= whole.x1, text.get_text()
            assert whole.y0 <= box.y0 and box.y1 <= whole.y1, text.get_text()
