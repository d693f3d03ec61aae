"""The learner itself, where the answer is known, and which past windows it is given."""

import numpy as np
import pytest
from scipy import special

from analytics.rules.recovery import cases, logistic


def test_intercept_of_nothing_else_is_the_log_odds_of_the_weighted_share() -> None:
    labels, weights = np.array([1.0, 0.0, 0.0, 0.0]), np.array([2.0, 1.0, 1.0, 1.0])
    beta = logistic.fit(np.zeros((4, 1)), labels, weights, penalty=0.1)
    assert beta.tolist() == pytest.approx([0.0, np.log(0.4 / 0.6)], abs=1e-4)


def test_weights_are_those_that_made_the_labels_and_the_penalty_draws_them_in() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(20_000, 2))
    labels = (random.random(20_000) < special.expit(1.5 * rows[:, 0] - 1)).astype(np.float64)
    free = logistic.fit(rows, labels, np.ones(20_000), penalty=1e-6)
    held = logistic.fit(rows, labels, np.ones(20_000), penalty=1.0)
    assert free.tolist() == pytest.approx([1.5, 0.0, -1.0], abs=0.06)
    assert 0 < held[0] < 0.3


def test_recalibration_follows_many_labels_and_hardly_a_few() -> None:
    log_odds = np.tile([-2.0, 0.0, 2.0], 2000)
    random = np.random.default_rng(0)
    labels = (random.random(len(log_odds)) < special.expit(log_odds + 0.5)).astype(np.float64)
    many = logistic.recalibrate(labels, log_odds, (40.0, 40.0))
    few = logistic.recalibrate(labels[:30], log_odds[:30], (40.0, 40.0))
    assert many.shift == pytest.approx(0.5, abs=0.1)
    assert many.slope == pytest.approx(1.0, abs=0.1)
    assert abs(few.shift) < 0.1
    assert logistic.recalibrate(labels[:0], log_odds[:0], (40.0, 40.0)) == logistic.Recalibration()


def test_two_scalings_in_one_are_one_after_the_other() -> None:
    rows = np.random.default_rng(0).normal(3, 2, size=(50, 2))
    first = logistic.scaling(rows)
    second = logistic.Scaling(np.array([0.1, 0.2]), np.array([0.9, 1.1]))
    both = second.after(first)
    assert both.apply(rows) == pytest.approx(second.apply((rows - first.means) / first.scales))


def test_windows_learnt_from_have_closed_and_have_ninety_days_behind_them() -> None:
    # Of cut-off 192: the whole horizon from day 102; shorter ones (45, 60, 75 days) only after that day.
    assert dict(cases.windows(0, 192, 90)) == {147: (45,), 132: (60,), 117: (45, 75), 102: (90,)}
    assert dict(cases.windows(0, 130, 90)) == {}
    for cutoff in (222, 252, 283, 700):
        for day, horizons in cases.windows(0, cutoff, 90):
            assert day >= 90
            assert all(day + horizon <= cutoff for horizon in horizons)


def test_shift_gives_the_chances_the_mean() -> None:
    assert logistic.shift_to(np.zeros(3), 0.2) == pytest.approx(np.log(0.25))
    spread = np.array([-2.0, 0.0, 1.0])
    assert special.expit(spread + logistic.shift_to(spread, 0.7)).mean() == pytest.approx(0.7)
