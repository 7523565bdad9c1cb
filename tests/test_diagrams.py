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
    patches = figure.axes[0].patches
    return sum(isinstance(p, Rectangle) and p.get_alpha() is not None for p in patches)


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
    assert tinted(figure) == 9 + 9 + 1 and len(bold(figure)) == 19
    assert bold(figure)[-1] == "2"  # rows 2 to 4, columns 1 to 3 of the identity


def test_pooling_marks_the_largest_of_each_block() -> None:
    figure = diagrams.max_pooling(
        np.array([[1, 3, 0, 2], [4, 2, 1, 1], [0, 5, 7, 6], [2, 1, 3, 8]])
    )
    assert bold(figure) == ["2", "4", "5", "8", "4", "2", "5", "8"]


def test_the_receptive_field_has_a_square_for_each_layer() -> None:
    figure = diagrams.receptive_field(["picture", "pooled", "output"], [6, 3, 1])
    assert tinted(figure) == 36 + 9 + 1 and len(figure.axes[0].lines) == 4
    assert bold(figure) == [*[""] * 36, "6 × 6", *[""] * 9, "3 × 3", "", "1 × 1"]


def test_dropout_marks_the_zeros() -> None:
    steps = {"a step": np.array([[1.25, 0.0, 1.25]]), "prediction": np.ones((1, 3))}
    figure = diagrams.dropout_steps(steps)
    assert bold(figure) == ["0"]
    assert texts(figure) == ["a step", "1.25", "0", "1.25", "prediction", "1", "1", "1"]


def test_all_text_is_inside_the_figure() -> None:
    figures.use_style()
    drawn = [
        diagrams.sliding_kernel(np.ones((6, 6), int), np.ones((3, 3), int), 0, 0),
        diagrams.max_pooling(np.ones((4, 4), int)),
        diagrams.receptive_field(
            ["picture", "a\nb", "c", "after the second\nconvolution"], [8, 6, 3, 1]
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
