"""How results vary from seed to seed, and whether one more result is as expected.

A result is compared on the scale of its measure, on which runs are spread about symmetrically. If
they are normally distributed, one more run minus their mean, divided by its standard deviation, has
Student's t distribution: https://en.wikipedia.org/wiki/Prediction_interval. On a wrong scale, or
for a count that seldom varies, a result is judged too strictly; tests/book/test_verdict.py shows by
how much.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean, median, stdev

# The probability that all numbers of a page are within their limits, if runs are normally
# distributed. Beyond EXPECTED a run is unusual; beyond UNUSUAL, something is different.
EXPECTED, UNUSUAL = 0.99, 0.999
FEWEST_VALUES = 5  # fewer say too little about how results vary
ROUNDING = 1e-4  # relative, since the file of reference runs keeps five digits of a value
SMALLEST_SHARE = 1e-4  # a share of 0 or 1 has no logit
SMALLEST_LOSS = 1e-9  # and 0 has no logarithm


def to_scale(value: float, scale: str) -> float:
    """Return a value on a scale of `onions.claims.measure`."""
    if scale == "logit":
        share = min(max(value, SMALLEST_SHARE), 1 - SMALLEST_SHARE)
        return math.log(share / (1 - share))
    return math.log(max(value, SMALLEST_LOSS)) if scale == "log" else value


def from_scale(value: float, scale: str) -> float:
    """Return the value whose place on the scale is `value`: the inverse of `to_scale`."""
    if scale == "logit":
        return 1 / (1 + math.exp(-value))
    return math.exp(value) if scale == "log" else value


# For each epoch the lowest, middle and highest value that one more run is expected to have.
Band = list[tuple[float, float, float]]


@dataclass(frozen=True)
class Spread:
    """A measure over the reference runs: its `values`, at least two, and its `scale`."""

    values: Sequence[float]
    scale: str = ""
    mean: float = field(init=False)
    sd: float = field(init=False)

    def __post_init__(self) -> None:
        scaled = [to_scale(value, self.scale) for value in self.values]
        deviation = stdev(scaled)
        if deviation and all(isinstance(value, int) for value in self.values):
            deviation = math.hypot(deviation, 1 / math.sqrt(12))  # of rounding to whole numbers
        object.__setattr__(self, "mean", fmean(scaled))
        object.__setattr__(self, "sd", deviation)

    @property
    def median(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def sd_of_prediction(self) -> float:
        """The standard deviation of one more run's difference from the mean of these runs."""
        return self.sd * math.sqrt(1 + 1 / len(self.values))

    @property
    def constant(self) -> bool:
        """Whether all runs have the same value."""
        return not self.sd

    def deviation(self, value: float) -> float:
        """Return how far one more run with this value is from the mean, in `sd_of_prediction`.

        For a constant, the deviation is 0 or infinite.
        """
        if math.isclose(value, self.values[0], rel_tol=ROUNDING) and self.constant:
            return 0.0
        difference = to_scale(value, self.scale) - self.mean
        if self.constant:
            return math.copysign(math.inf, difference)
        return difference / self.sd_of_prediction

    def left_out_deviations(self) -> list[float]:
        """Return the deviation of each value, without its sign, as judged by all others.

        https://en.wikipedia.org/wiki/Studentized_residual#Internal_and_external_studentization
        """
        runs = len(self.values)
        spread = self.sd * math.sqrt(1 - 1 / runs)
        residuals = [(to_scale(v, self.scale) - self.mean) / spread for v in self.values]
        return [
            math.sqrt(r * r * (runs - 2) / left) if (left := runs - 1 - r * r) > 1e-9 else math.inf
            for r in residuals
        ]

    def interval(self, deviation: float) -> tuple[float, float]:
        """Return the lowest and the highest value that deviate by at most `deviation`."""
        width = deviation * self.sd_of_prediction
        low, high = (from_scale(self.mean + sign * width, self.scale) for sign in (-1, 1))
        return low, high


def prediction_band(curves: list[list[float]], scale: str) -> Band:
    """Return the prediction interval of each epoch that all `curves` have, at least two of them.

    Of one more run, the value at an epoch is inside with probability EXPECTED. Raises ValueError if
    a value is not finite, as after a training that diverged.
    """
    if not all(math.isfinite(value) for curve in curves for value in curve):
        raise ValueError("a curve of the reference runs is not finite")
    limit = critical_deviation(len(curves), EXPECTED)
    spreads = [Spread(list(values), scale) for values in zip(*curves, strict=False)]
    return [
        (low, from_scale(spread.mean, scale), high)
        for spread in spreads
        for low, high in [spread.interval(limit)]
    ]


@cache
def critical_deviation(runs: int, level: float, count: int = 1) -> float:
    """Return the deviation that none of `count` results exceeds with probability `level`.

    The results are of one more run, judged by `runs` reference runs and normally distributed. For
    dependent results the probability is higher (Šidák's inequality).
    """
    if runs < 2:
        return math.inf
    single, low, high = level ** (1 / count), 0.0, 1.0
    while _within(high, runs - 1) < single:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, runs - 1) < single else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Return the probability that Student's t is between −t and t.

    Formulas 26.7.3 and 26.7.4 of Abramowitz and Stegun, Handbook of Mathematical Functions, 1964.
    """
    angle = math.atan(t / math.sqrt(freedom))
    cos = math.cos(angle)
    odd = freedom % 2
    term, total = (cos, 0.0) if odd else (1.0, 0.0)
    for n in range(2 if odd else 1, freedom, 2):
        total += term
        term *= cos * cos * n / (n + 1)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
