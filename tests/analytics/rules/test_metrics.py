import math

import numpy as np
import pytest

from analytics.rules import metrics
from analytics.rules.protocol import GrowthCase


def lost(*flags: int) -> np.ndarray:
    return np.array(flags, dtype=bool)


def scores(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_auc_counts_pairs_in_order_and_halves_ties() -> None:
    # Pairs (lost, kept): .9>.5, .9>.1, .5=.5, .5>.1 → 3.5 of 4
    assert metrics.auc(lost(1, 0, 1, 0), scores(0.9, 0.5, 0.5, 0.1)) == 0.875
    assert metrics.auc(lost(1, 0), scores(0, 1)) == 0.0
    assert math.isnan(metrics.auc(lost(1, 1), scores(0, 1)))


def test_average_precision_weighs_precision_by_steps_of_recall() -> None:
    # Found at ranks 1 and 3: ½ × 1 + ½ × ⅔
    assert metrics.average_precision(lost(1, 0, 1, 0), scores(4, 3, 2, 1)) == pytest.approx(1 / 2 + 1 / 3)
    # A tie is one step: both found by rank 2 of which 1 is right
    assert metrics.average_precision(lost(0, 1), scores(1, 1)) == 0.5


def test_lift_is_the_top_tenth_against_all() -> None:
    flags = lost(1, 0, 0, 0, 0, 1, 0, 0, 0, 0)
    assert metrics.lift(flags, scores(*range(10, 0, -1))) == 5.0
    assert metrics.lift(flags, scores(*range(10))) == 0.0


def test_precision_at_k_takes_what_there_is() -> None:
    assert metrics.precision_at(2, lost(1, 0, 1), scores(3, 2, 1)) == 0.5
    assert metrics.precision_at(100, lost(1, 0, 1, 0), scores(4, 3, 2, 1)) == 0.5


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    flags, foretold = lost(0, 1, 1, 1), scores(0.1, 0.3, 0.6, 0.8)
    # Bins of two: foretold .2 against ½, .7 against 1
    assert metrics.calibration_error(flags, foretold, bins=2) == pytest.approx((0.3 + 0.3) / 2)
    assert [b.count for b in metrics.calibration(flags, foretold)] == [1, 1, 1, 1]


def test_capture_is_money_of_the_lost_and_stands_beside_its_control() -> None:
    flags, expected = lost(1, 0, 1, 1), scores(50, 100, 30, 20)
    assert metrics.capture(2, flags, scores(0.9, 0.1, 0.8, 0.2), expected) == 0.8
    assert metrics.capture(2, flags, expected, expected) == 0.5
    assert metrics.capture(2, flags, metrics.unbeaten(flags, expected), expected) == 0.8


def test_growth_figures_are_those_computed_by_hand() -> None:
    # Account 0: codes 1 and 2 are relevant; account 3: code 0; account 5: nothing, so it is not counted.
    case = GrowthCase(np.array([0, 3, 5], dtype=np.int32), np.array([0]), np.array([1, 2, 12]), codes=4)
    account = np.array([0, 0, 5], dtype=np.int32)
    code, rank = np.array([1, 3, 1], dtype=np.int32), np.array([2, 1, 1], dtype=np.int32)
    figures = metrics.growth_figures(case, account, code, rank)
    assert figures.accounts == 2
    assert figures.recall == pytest.approx((1 / 2 + 0) / 2)
    assert figures.hit == 0.5
    ideal = 1 + 1 / math.log2(3)
    assert figures.ndcg == pytest.approx((1 / math.log2(3)) / ideal / 2)


def test_a_hit_counts_in_the_first_five_only() -> None:
    case = GrowthCase(np.array([0], dtype=np.int32), np.array([], dtype=np.int64), np.array([1]), codes=4)
    one = np.array([0], dtype=np.int32), np.array([1], dtype=np.int32)
    assert metrics.growth_figures(case, *one, np.array([5], dtype=np.int32)).hit == 1.0
    assert metrics.growth_figures(case, *one, np.array([6], dtype=np.int32)).hit == 0.0
    assert metrics.growth_figures(case, *one, np.array([11], dtype=np.int32)).recall == 0.0
