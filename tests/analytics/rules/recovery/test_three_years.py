"""Three years of a supplier: who leaves is found; seasonal, one-off and erratic buyers are not called lost."""

import numpy as np
import pytest

from analytics.rules import recovery
from analytics.rules.history import History
from analytics.rules.recovery import Reason
from tests.analytics.rules.recovery import simulated

CUTOFFS = (910, 1000)
LOST = 0.5

Book = tuple[History, list[str], list[int]]
Found = tuple[recovery.Scores, recovery.Scores]


@pytest.fixture(scope="module")
def book() -> Book:
    return simulated.supplier()


@pytest.fixture(scope="module")
def scored(book: Book) -> dict[int, Found]:
    history = book[0]
    found = {}
    for cutoff in CUTOFFS:
        scores = recovery.score(recovery.fit(history, cutoff), history, cutoff)
        found[cutoff] = (scores.accounts, scores.pairs)
    return found


def called_lost(scores: recovery.Scores) -> np.ndarray:
    return (scores.p >= LOST) & ~scores.suppressed


def shares(book: Book, scored: dict[int, Found], kind: str) -> tuple[int, int]:
    """Accounts of a kind that have not left, all cut-offs together: how many are scored, how many called lost."""
    _, kinds, left = book
    seen = lost = 0
    for cutoff, (accounts, _) in scored.items():
        here = accounts.account.tolist()
        of_kind = np.array([kinds[code] == kind and left[code] > cutoff for code in here])
        seen += int(of_kind.sum())
        lost += int((of_kind & called_lost(accounts)).sum())
    return seen, lost


@pytest.mark.parametrize(
    ("kind", "most"), [("regular", 0.02), ("one_off", 0.02), ("erratic", 0.08), ("seasonal", 0.10)]
)
def test_buyers_who_stay_are_hardly_ever_called_lost(
    book: Book, scored: dict[int, Found], kind: str, most: float
) -> None:
    seen, lost = shares(book, scored, kind)
    assert seen >= 50
    assert lost <= most * seen


def test_those_who_left_are_found(book: Book, scored: dict[int, Found]) -> None:
    _, kinds, left = book
    ranks = []
    for cutoff, (accounts, _) in scored.items():
        order = np.argsort(np.argsort(-np.where(accounts.suppressed, 0.0, accounts.p)))
        gone = [kinds[code] == "leaver" and left[code] <= cutoff - 30 for code in accounts.account.tolist()]
        ranks += (order[gone] / len(order)).tolist()
    assert len(ranks) >= 8
    assert np.mean(np.array(ranks) < 0.1) >= 0.8


def test_season_is_confirmed_by_two_years_and_told(book: Book, scored: dict[int, Found]) -> None:
    _, kinds, _ = book
    for accounts, pairs in scored.values():
        for scores in (accounts, pairs):
            confirmed = scores.suppressed
            seasonal = np.array([kinds[code] == "seasonal" for code in scores.account.tolist()])
            assert (seasonal & confirmed).sum() >= 0.3 * seasonal.sum()
            assert (confirmed & ~seasonal).sum() <= 0.03 * (~seasonal).sum()
            told = [Reason.OFF_SEASON in scores.reason_codes(row) for row in range(len(scores))]
            assert told == confirmed.tolist()


def test_buyers_of_one_or_two_orders_are_not_scored(book: Book, scored: dict[int, Found]) -> None:
    _, kinds, _ = book
    single = {code for code, kind in enumerate(kinds) if kind == "single"}
    assert single
    assert all(single.isdisjoint(accounts.account.tolist()) for accounts, _ in scored.values())


def test_large_order_and_uneven_gaps_are_told_as_reasons(book: Book, scored: dict[int, Found]) -> None:
    _, kinds, _ = book
    accounts = scored[CUTOFFS[-1]][0]
    by_kind = {
        kind: [row for row, code in enumerate(accounts.account.tolist()) if kinds[code] == kind]
        for kind in ("regular", "one_off", "erratic")
    }

    def share(kind: str, reason: Reason) -> float:
        return float(np.mean([reason in accounts.reason_codes(row) for row in by_kind[kind]]))

    assert share("one_off", Reason.ONE_OFF) > 0.5
    assert share("regular", Reason.ONE_OFF) == 0
    assert share("erratic", Reason.ERRATIC) > 0.5
    assert share("regular", Reason.ERRATIC) == 0
