"""Who bought what from when to when, by hand."""

from __future__ import annotations

from datetime import date

import numpy as np

from analytics.rules import protocol
from analytics.rules.growth.ledger import NEVER, Calendar, ledger_of
from analytics.rules.history import History, collapse
from tests.analytics.rules.growth.shops import shop

LINES = (  # account, item, category, day
    (0, 0, 0, 1), (0, 0, 0, 5), (0, 1, 1, 5), (1, 1, 1, 2), (1, 1, 1, 40), (1, 2, 0, 41), (2, 2, 0, 3),
)  # fmt: skip


def history() -> History:
    account, item, category, day = (np.array(column, dtype=np.int32) for column in zip(*LINES, strict=True))
    ones = np.ones(len(LINES))
    return collapse(
        account=account, item=item, category=category, day=day, quantity=ones, amount=ones, accounts=("a", "b", "c"),
        items=("x", "y", "z"), categories=("k", "l"), first_day=date(2024, 1, 1),
    )  # fmt: skip


def test_pairs_know_first_and_last_day_of_any_past_day() -> None:
    found = history()
    ledger = ledger_of(found, found.item, np.arange(3, dtype=np.int32), 3)
    whole = ledger.at(100)
    assert list(zip(whole.account, whole.thing, whole.first, whole.last, strict=True)) == [
        (0, 0, 1, 5), (0, 1, 5, 5), (1, 1, 2, 40), (1, 2, 41, 41), (2, 2, 3, 3),
    ]  # fmt: skip
    early = ledger.at(4)
    assert list(zip(early.account, early.thing, early.first, early.last, strict=True)) == [
        (0, 0, 1, 1), (1, 1, 2, 2), (2, 2, 3, 3),
    ]  # fmt: skip
    assert ledger.first_bought(4, 40).toarray().tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert ledger.purchases(2, 41).tolist() == [1, 2, 2]


def test_things_left_out_leave_no_pairs() -> None:
    found = history()
    ledger = ledger_of(found, found.item, np.array([-1, 0, -1], dtype=np.int32), 1)
    whole = ledger.at(100)
    assert list(zip(whole.account, whole.thing, whole.first, strict=True)) == [(0, 0, 5), (1, 0, 2)]


def test_activity_is_that_of_the_day() -> None:
    calendar = Calendar.of(history())
    early = calendar.at(4)
    assert early.orders.tolist() == [1, 1, 1]
    assert early.last.tolist() == [1, 2, 3]
    assert early.eligible().tolist() == []
    assert early.active(2) == 1
    late = calendar.at(185)
    assert late.eligible().tolist() == [0, 1]
    assert calendar.at(0).last.tolist() == [NEVER] * 3


def test_eligible_accounts_are_the_protocols() -> None:
    found = shop(60, 200)
    for cutoff in (20, 60, 199):
        assert Calendar.of(found).at(cutoff).eligible().tolist() == protocol.growth_accounts(found, cutoff).tolist()
