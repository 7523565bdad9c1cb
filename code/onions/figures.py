"""The style of every figure.

Plots become SVG on a transparent background, and the site's style sheet inverts them in dark mode.
Figures with photographs become PNG on white, since photographs must not be inverted.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2328"
QUIET = "#59636e"
# Blue and orange are from Okabe and Ito's palette for colour-blind readers; the orange is darkened
# to a contrast of 3 against white. https://jfly.uni-koeln.de/color/
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


def holds_photographs(figure: "Figure") -> bool:
    """Return whether a figure shows pixels rather than lines."""
    return any(axes.get_images() for axes in figure.axes)
