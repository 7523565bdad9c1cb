"""The scale of strip plots, in which each dot is a number."""

STRIP_WIDTH = 160  # in CSS pixels
MARGIN = 8  # at both ends, so that dots are not cut off; is_my_result_normal.js has it too


def strip_x(number: float, first: float, last: float) -> float:
    """Return the x coordinate, in CSS pixels, of a number on a strip from `first` to `last`."""
    return round(MARGIN + (number - first) / (last - first or 1) * (STRIP_WIDTH - 2 * MARGIN), 1)
