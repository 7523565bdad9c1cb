"""The style of every figure.

Plots become SVG on a transparent background, and the site's style sheet inverts them in dark mode.
Figures with photographs become PNG, because photographs must not be inverted. Their background is
transparent, too, and their ink is readable both on white and on black.

Colour tells networks apart, dashes tell sets apart: training is solid, validation is dashed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2328"
QUIET = "#59636e"
# Of figures with photographs. Its contrast is 4.5 with white and with black; few greys have both.
# site.css draws the white or the black behind the figure.
MIDDLE = "#757575"
# Blue and orange are from Okabe and Ito's palette for colour-blind readers; the orange is darkened
# to a contrast of 3 against white. https://jfly.uni-koeln.de/color/
COLOURS = ("#0072b2", "#c15a00", "#007a5e", "#a64d79")

STYLE: dict[str, Any] = {
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler(color={list(COLOURS)})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "figure.figsize": (5.2, 3.4),
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.25,
    "grid.color": QUIET,
    "image.interpolation": "nearest",  # sharp pixels, which also compress well
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.dpi": 130,
    "savefig.facecolor": "none",
    "svg.fonttype": "path",  # independent of the reader's fonts
    "svg.hashsalt": "onions",  # makes the file's ids reproducible
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


def use_style() -> None:
    """Make matplotlib draw in the book's style."""
    from matplotlib import rcdefaults, style

    rcdefaults()  # ignore the machine's matplotlibrc
    style.use(STYLE)


def finish(figure: "Figure") -> None:
    """Prepare a figure for display: no grid over pixels; for photographs, frames and grey ink.

    Without a frame, a black picture on black has no edge, and so has a white one on white.
    """
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import same_color
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Rectangle
    from matplotlib.text import Text

    for axes in figure.axes:
        for image in axes.get_images():
            left, right, bottom, top = image.get_extent()
            frame = Rectangle((left, bottom), right - left, top - bottom, fill=False, lw=0.6)
            frame.set(color=MIDDLE, clip_on=False)
            axes.add_patch(frame)
        if axes.get_images() or any(isinstance(part, QuadMesh) for part in axes.collections):
            axes.grid(visible=False)
    if not holds_photographs(figure):
        return
    figure.draw_without_rendering()  # makes the ticks

    def is_ink(colour: Any) -> bool:
        return any(same_color(colour, ink) for ink in (INK, QUIET))

    for part in figure.findobj():
        if isinstance(part, Text | Line2D) and is_ink(part.get_color()):
            part.set_color(MIDDLE)
        if isinstance(part, Line2D) and is_ink(part.get_markeredgecolor()):
            part.set_markeredgecolor(MIDDLE)  # of a tick
        if isinstance(part, Patch) and is_ink(part.get_edgecolor()):
            part.set_edgecolor(MIDDLE)


def holds_photographs(figure: "Figure") -> bool:
    """Return whether a figure shows pixels rather than lines."""
    return any(axes.get_images() for axes in figure.axes)
