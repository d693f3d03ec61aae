"""The curve from chances given to chances that came about, by hand and against a truth that is known."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.rules import metrics
from analytics.rules.growth import calibration
from analytics.rules.growth.calibration import LEAST, MOST
from analytics.rules.growth.lookback import Suggested
from analytics.rules.history import BoolArray, FloatArray


def suggested(chance: FloatArray, bought: BoolArray, present: FloatArray | None = None, cutoff: int = 100) -> Suggested:
    rows = np.arange(len(chance), dtype=np.int32)
    return Suggested(cutoff, rows, rows, chance, np.ones(len(chance)) if present is None else present, bought)


def drawn(count: int, share: float, *, seed: int = 0) -> Suggested:
    """Chances of 0 to 1, of which `share` times as many come about."""
    random = np.random.default_rng(seed)
    chance = random.beta(1, 4, count)
    return suggested(chance, random.random(count) < share * chance)


def test_pool_adjacent_violators_by_hand() -> None:
    assert calibration.rising(np.array([0.2, 0.4, 0.3, 0.5]), np.ones(4)).tolist() == pytest.approx(
        [0.2, 0.35, 0.35, 0.5]
    )
    assert calibration.rising(np.array([0.6, 0.0]), np.array([1.0, 2.0])).tolist() == pytest.approx([0.2, 0.2])
    assert calibration.rising(np.array([0.3, 0.2, 0.1]), np.ones(3)).tolist() == pytest.approx([0.2] * 3)


def test_chances_twice_too_high_are_halved_and_keep_their_order() -> None:
    curve = calibration.learn([drawn(20_000, 0.5), drawn(20_000, 0.5, seed=1)])
    given = np.linspace(0.05, 0.7, 40)
    told = curve.apply(given, np.ones(40))
    assert told.tolist() == pytest.approx((given / 2).tolist(), abs=0.04)
    assert (np.diff(told) >= 0).all()
    unseen = drawn(20_000, 0.5, seed=2)
    assert metrics.calibration_error(unseen.bought, unseen.chance) > 0.09
    assert metrics.calibration_error(unseen.bought, curve.apply(unseen.chance, unseen.present)) < 0.01
    assert curve.suggestions == 40_000


def test_a_curve_that_turns_down_is_held_level() -> None:
    """Whoever has missed a thing the longest may want it least: given .5, none bought, yet no less than given .2."""
    chance = np.repeat([0.2, 0.5], 2_000)
    bought = np.concatenate([np.arange(2_000) % 5 == 0, np.zeros(2_000, dtype=bool)])
    told = calibration.learn([suggested(chance, bought)]).apply(np.array([0.2, 0.5]), np.ones(2))
    assert told.tolist() == pytest.approx([0.1, 0.1], abs=0.01)


def test_what_drifts_is_followed_as_far_as_the_latest_window_has_purchases() -> None:
    """Of 4,000 suggestions given .3 it came to .1 lately and to .3 before; and the same of 40."""
    given, present = np.array([0.3]), np.ones(1)
    for count, told in ((4_000, 0.125), (40, 0.2)):
        windows = [
            suggested(np.full(count, 0.3), np.arange(count) % 10 < came, cutoff=cutoff)
            for cutoff, came in ((100, 1), (70, 3))
        ]
        assert calibration.learn(windows).apply(given, present)[0] == pytest.approx(told, abs=0.02)


def test_with_little_to_see_the_chances_keep_their_shape_and_get_the_level_of_what_came() -> None:
    """Thirty suggestions given .2 and thirty given .6, one and three of them bought."""
    chance = np.repeat([0.2, 0.6], 30)
    bought = np.zeros(60, dtype=bool)
    bought[[0, 30, 31, 32]] = True
    told = calibration.learn([suggested(chance, bought)]).apply(np.array([0.2, 0.6]), np.ones(2))
    assert np.mean(told) == pytest.approx(4 / 60, abs=0.02)
    assert told[0] <= told[1] < 0.2


def test_an_account_that_will_hardly_order_is_told_lower_chances() -> None:
    random = np.random.default_rng(4)
    present = np.where(np.arange(6_000) % 2 == 0, 0.95, 0.2)
    bought = random.random(6_000) < 0.3 * present
    curve = calibration.learn([suggested(np.full(6_000, 0.2), bought, present)])
    told = curve.apply(np.array([0.2, 0.2]), np.array([0.95, 0.2]))
    assert told.tolist() == pytest.approx([0.285, 0.06], abs=0.03)


def test_nothing_is_told_with_certainty_and_without_a_look_back_chances_stay() -> None:
    sure = calibration.learn([suggested(np.repeat([0.01, 0.99], 5_000), np.repeat([False, True], 5_000))])
    assert sure.apply(np.array([0.0, 1.0]), np.ones(2)).tolist() == [LEAST, MOST]
    for nothing in ([], [suggested(np.empty(0), np.empty(0, dtype=bool))]):
        told = calibration.learn(nothing).apply(np.array([0.0, 0.4, 1.0]), np.ones(3))
        assert told.tolist() == [LEAST, 0.4, MOST]


def test_of_what_was_never_bought_little_is_told() -> None:
    never = suggested(np.full(500, 0.4), np.zeros(500, dtype=bool))
    told = calibration.learn([never, never]).apply(np.array([0.4]), np.ones(1))
    assert LEAST <= told[0] < 0.02
