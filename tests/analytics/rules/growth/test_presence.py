"""Whether an account orders at all, by hand and where it is known who has stopped."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.rules.growth import chance_of_ordering, presence
from analytics.rules.growth.ledger import Calendar


def calendar(days: list[list[int]]) -> Calendar:
    account = np.repeat(np.arange(len(days), dtype=np.int32), [len(of_account) for of_account in days])
    return Calendar(account, np.concatenate(days).astype(np.int32), len(days))


def test_signals_by_hand() -> None:
    """Orders on days 0, 10, 20 and 30: a gap of 10; at day 50 silent for 20 days, two gaps, of 50 in all."""
    activity = calendar([[0, 10, 20, 30], [50, 60]]).at(50)
    found = presence.signals_of(activity, np.array([0], dtype=np.int32))[0]
    assert dict(zip(presence.SIGNALS, found.tolist(), strict=True)) == pytest.approx(
        {"silence": np.log(21), "overdue": np.log(3), "orders": np.log(5), "pace": np.log(10), "tenure": np.log(51)}
    )


def test_who_has_been_silent_for_many_gaps_hardly_orders_again() -> None:
    """Of 200 accounts that order each ten days 100 stop, one every three days."""
    ends = [300 if number % 2 else 1 + 3 * (number // 2) for number in range(200)]
    book = calendar([list(range(number % 10, end, 10)) for number, end in enumerate(ends)])
    learnt = presence.learn(book, (180, 150), 90)
    assert learnt is not None
    activity = book.at(270)
    accounts = activity.eligible()
    chance = presence.chance(learnt, activity, accounts)
    goes_on = accounts % 2 == 1
    assert chance[goes_on].min() > 0.85
    assert chance[~goes_on & (270 - activity.last[accounts] > 60)].max() < 0.2


def test_with_nobody_who_stopped_nothing_is_said() -> None:
    book = calendar([list(range(number % 10, 300, 10)) for number in range(50)])
    assert presence.learn(book, (180,), 90) is None
    assert presence.learn(book, (), 90) is None
    assert presence.chance(None, book.at(200), np.array([3, 4], dtype=np.int32)).tolist() == [1, 1]


def test_other_scores_are_by_account_and_unknown_where_they_have_none() -> None:
    found = chance_of_ordering(np.array([0, 2], dtype=np.int32), np.array([0.25, 0.9]), 4)
    assert found.tolist() == pytest.approx([0.75, np.nan, 0.1, np.nan], nan_ok=True)
