"""The style of every figure.

Plots come out as SVG on a transparent ground, which the site's style sheet inverts in dark mode;
figures that hold photographs come out as PNG on white, since photographs must not be inverted.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2328"
QUIET = "#59636e"
# Blue and orange of Okabe and Ito's palette for colour-blind readers (https://jfly.uni-koeln.de/color/),
# the orange darkened to a contrast of 3 against white.
COLOURS = ("#0072b2", "#c15a00", "#007a5e", "#a64d79")

STYLE: dict[str, Any] = {
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler(color={list(COLOURS)}, linestyle=['-', '--', '-.', ':'])",
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
    "image.interpolation": "nearest",  # pixels look like pixels, and compress well
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.dpi": 130,
    "savefig.facecolor": "none",
    "svg.fonttype": "path",  # the reader's fonts can't move a label
    "svg.hashsalt": "onions",  # the same plot is the same file
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


def use_style() -> None:
    """Make matplotlib draw in the book's style."""
    from matplotlib import rcdefaults, style

    rcdefaults()  # not what a matplotlibrc of the machine says
    style.use(STYLE)


def holds_photographs(figure: "Figure") -> bool:
    """Tell whether a figure shows pixels rather than lines."""
    return any(axes.get_images() for axes in figure.axes)
