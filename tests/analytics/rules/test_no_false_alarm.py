"""Three simulated years in which it is known who left: seasonal, one-off and erratic buyers must not be called lost."""

import numpy as np
import pytest

from analytics.features.simulation import Habit, Purchases, Shop, simulate
from analytics.rules import metrics, recovery
from analytics.rules.recovery import Scores

CUTOFF = 950
LOST = 0.5


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    return simulate(Shop(accounts=500, days=3 * 365, lines=2.0), seed=11)


@pytest.fixture(scope="module")
def scores(purchases: Purchases) -> Scores:
    history = purchases.history()
    return recovery.score(recovery.fit(history, CUTOFF), history, CUTOFF).accounts


def called_lost(scores: Scores) -> np.ndarray:
    return (scores.p >= LOST) & ~scores.suppressed


def test_one_off_buyers_have_no_score_at_all(purchases: Purchases, scores: Scores) -> None:
    assert (purchases.habit == Habit.ONE_OFF).sum() > 10
    assert not (purchases.habit[scores.account] == Habit.ONE_OFF).any()


@pytest.mark.parametrize(
    ("habit", "at_most"), [(Habit.STEADY, 0.01), (Habit.SEASONAL, 0.0), (Habit.ERRATIC, 0.05)], ids=lambda v: str(v)
)
def test_buyers_who_go_on_are_not_called_lost(
    habit: Habit, at_most: float, purchases: Purchases, scores: Scores
) -> None:
    of_habit = purchases.habit[scores.account] == habit
    assert of_habit.sum() >= 5
    assert called_lost(scores)[of_habit].mean() <= at_most


def test_those_who_stopped_stand_above_those_who_go_on(purchases: Purchases, scores: Scores) -> None:
    stopped = purchases.stopped[scores.account]
    gone = (stopped >= 0) & (stopped <= CUTOFF - 30)
    assert gone.sum() >= 5
    kept = ~gone & ~scores.suppressed & (stopped < 0)
    judged = gone | kept
    assert metrics.auc(gone[judged], scores.p[judged]) > 0.9
