"""The style of figures: ink for both schemes, no grid over pixels, dashes for sets only."""

from collections.abc import Callable, Iterator

import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from onions.figures import INK, MIDDLE, QUIET, finish, use_style


@pytest.fixture
def axes() -> Iterator[Axes]:
    use_style()
    yield plt.figure().subplots()
    plt.close("all")


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours by WCAG 2.2."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    shares = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in to_rgb(colour)]
    return sum(w * share for w, share in zip((0.2126, 0.7152, 0.0722), shares, strict=True))


def ink_of(figure: Figure) -> set[str]:
    [axes] = figure.axes
    texts = [axes.title, axes.xaxis.label, *axes.get_xticklabels(), *axes.texts]
    return {str(text.get_color()) for text in texts}


def test_ink_of_photographs_is_readable_in_both_schemes(axes: Axes) -> None:
    axes.imshow([[0, 1], [1, 0]], cmap="gray")
    axes.set(title="A picture", xlabel="column")
    axes.text(0, 0, "white", color="white")
    assert ink_of(plt.gcf()) == {INK, QUIET, "white"}
    finish(plt.gcf())
    assert ink_of(plt.gcf()) == {MIDDLE, "white"}
    [frame] = axes.patches
    assert isinstance(frame, Rectangle) and frame.get_bbox().bounds == (-0.5, 1.5, 2, -2)
    assert to_rgb(MIDDLE) == frame.get_edgecolor()[:3]
    assert min(contrast(MIDDLE, "white"), contrast(MIDDLE, "black")) >= 4.5


def test_ink_of_plots_is_kept(axes: Axes) -> None:
    axes.plot([1, 2])
    finish(plt.gcf())
    assert ink_of(plt.gcf()) == {INK, QUIET}
    assert all(line.get_visible() for line in axes.get_xgridlines())


@pytest.mark.parametrize("draw", [Axes.imshow, Axes.pcolormesh])
def test_no_grid_covers_the_pixels_of_a_heat_map(axes: Axes, draw: Callable[..., object]) -> None:
    draw(axes, [[0, 1], [1, 0]])
    finish(plt.gcf())
    assert not any(line.get_visible() for line in axes.get_xgridlines())


def test_only_colour_tells_the_lines_of_a_plot_apart(axes: Axes) -> None:
    lines = [*axes.plot([1, 2]), *axes.plot([2, 1])]
    assert len({line.get_color() for line in lines}) == 2
    assert {line.get_linestyle() for line in lines} == {"-"}
