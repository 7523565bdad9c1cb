"""Prediction intervals: Student's t, the scales, and the band of curves."""

import math
import random

import pytest
from onions.book.spread import Spread, critical_deviation, from_scale, prediction_band, to_scale


@pytest.mark.parametrize(
    ("runs", "level", "quantile"),
    [
        # Two-sided quantiles from tables of Student's t distribution, with runs - 1 degrees.
        (2, 0.99, 63.657), (3, 0.99, 9.925), (4, 0.99, 5.841), (10, 0.99, 3.250),
        (11, 0.95, 2.228), (20, 0.99, 2.861), (20, 0.999, 3.883), (101, 0.999, 3.390),
    ],
)  # fmt: skip
def test_a_single_limit_is_a_quantile_of_student_s_t(
    runs: int, level: float, quantile: float
) -> None:
    assert critical_deviation(runs, level) == pytest.approx(quantile, rel=2e-4)


def test_a_limit_for_several_numbers_is_that_of_one_at_a_higher_level() -> None:
    assert critical_deviation(20, 0.99, 7) == pytest.approx(critical_deviation(20, 0.99 ** (1 / 7)))
    assert critical_deviation(20, 0.99, 1) < critical_deviation(20, 0.99, 7)
    assert critical_deviation(1, 0.99) == math.inf


@pytest.mark.parametrize(("scale", "value"), [("", -3.0), ("log", 0.02), ("logit", 0.97)])
def test_a_scale_is_invertible(scale: str, value: float) -> None:
    assert from_scale(to_scale(value, scale), scale) == pytest.approx(value)


def test_shares_of_zero_and_one_have_a_place_on_the_scale() -> None:
    assert -math.inf < to_scale(0, "logit") < to_scale(0.5, "logit") == 0
    assert to_scale(1, "logit") < math.inf


def test_one_more_run_is_within_the_interval_as_often_as_stated() -> None:
    """Of 5,000 simulated runs, 99 % within two standard errors: 98.7 to 99.3 %."""
    rng = random.Random(1)
    limit, inside = critical_deviation(10, 0.99), 0
    for _ in range(5000):
        values = [math.exp(rng.gauss(0, 0.3)) for _ in range(11)]
        low, high = Spread(values[:10], "log").interval(limit)
        inside += low <= values[10] <= high
    assert 0.987 <= inside / 5000 <= 0.993


def test_a_deviation_is_in_standard_deviations_of_the_prediction() -> None:
    spread = Spread([1.0, 2.0, 3.0])
    assert (spread.mean, spread.sd, spread.median) == (2, 1, 2)
    assert spread.deviation(4.0) == pytest.approx(2 / math.sqrt(1 + 1 / 3))
    low, high = spread.interval(spread.deviation(4.0))
    assert (low, high) == pytest.approx((0, 4))
    assert Spread([0.5, 0.6], "log").deviation(0) < -9


@pytest.mark.parametrize("scale", ["", "log", "logit"])
def test_each_value_is_judged_by_all_others(scale: str) -> None:
    values = [0.31, 0.42, 0.5, 0.55, 0.9]
    for place, deviation in enumerate(Spread(values, scale).left_out_deviations()):
        others = Spread(values[:place] + values[place + 1 :], scale)
        assert deviation == pytest.approx(abs(others.deviation(values[place])))
    assert max(Spread([0.5, 0.5, 0.5, 0.6]).left_out_deviations()) == math.inf


def test_a_constant_is_compared_exactly_but_for_rounding() -> None:
    constant = Spread([3.1416, 3.1416])
    assert constant.constant
    assert constant.deviation(3.14159) == 0
    assert constant.deviation(3.15) == math.inf and constant.deviation(3.13) == -math.inf


def test_whole_numbers_deviate_less_than_their_rounding_suggests() -> None:
    """If 19 of 20 runs count 5, a count of 6 is not far off."""
    assert abs(Spread([5] * 19 + [6]).deviation(6)) < critical_deviation(20, 0.99)


def test_a_band_has_an_interval_for_each_epoch_of_all_curves() -> None:
    curves = [[0.1, 0.5, 0.9], [0.2, 0.6], [0.15, 0.4]]
    band = prediction_band(curves, "logit")
    assert len(band) == 2
    low, middle, high = band[1]
    assert low < 0.4 and high > 0.6 and middle == pytest.approx(0.5, abs=0.01)
    spread = Spread([0.5, 0.6, 0.4], "logit")
    assert (low, high) == pytest.approx(spread.interval(critical_deviation(3, 0.99)))
