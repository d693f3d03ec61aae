"""Profiles of the best customers, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.rules.growth import profiles
from analytics.rules.growth.ledger import Pairs
from analytics.rules.growth.money import Purchases


def tastes(accounts: int) -> Purchases:
    """Even accounts spend 81 on category 0 and 19 on 1, odd ones all on category 3; nobody buys in 2."""
    rows = [(code, 0, 81.0) if code % 2 == 0 else (code, 3, 100.0) for code in range(accounts)]
    rows += [(code, 1, 19.0) for code in range(0, accounts, 2)]
    account, thing, amount = zip(*sorted(rows), strict=True)
    ones = np.ones(len(rows))
    return Purchases(
        np.array(account, np.int32), np.array(thing, np.int32), ones.astype(np.int32), np.array(amount), ones
    )


def learnt(accounts: int = 500) -> profiles.Profiles:
    bought = tastes(accounts)
    column = profiles.columns_of(bought, 4, most=None)
    eligible = np.arange(accounts, dtype=np.int32)
    return profiles.learn(bought, column, np.arange(accounts, dtype=float), eligible, 100, 0)


def test_mix_is_square_roots_of_shares() -> None:
    bought = tastes(2)
    mix = profiles.mix_of(bought, profiles.columns_of(bought, 4, most=None), 3, 2, 100).toarray()
    assert mix.tolist() == [pytest.approx([0.9, 0.19**0.5, 0]), pytest.approx([0, 0, 1])]


def test_best_fifth_is_grouped_by_taste() -> None:
    found = learnt()
    assert len(found) == 2  # tastes, though 100 best ones would make two profiles of any
    assert found.members.tolist() == list(range(400, 500))
    assert found.size.tolist() == [50, 50]
    first = int(found.profile[0])
    assert found.top[first].tolist() == [0, 1, -1]
    assert found.top[1 - first].tolist() == [3, -1, -1]


def test_nearest_profile_and_its_shares() -> None:
    found = learnt()
    bought = tastes(500)
    mix = profiles.mix_of(bought, found.column, 3, 500, 100)
    nearest = found.nearest(mix)
    assert (nearest[::2] == nearest[400]).all()
    assert (nearest[1::2] == nearest[401]).all()
    account = np.array([400, 402, 499], dtype=np.int32)
    pairs = Pairs(account, np.zeros(3, np.int32), account, account, 500, 2)
    shares = found.shares(pairs)
    assert shares[nearest[400]].tolist() == pytest.approx([2 / 50, 0])
    assert shares[nearest[401]].tolist() == pytest.approx([1 / 50, 0])


def test_mix_of_items_is_bounded_to_those_with_the_most_money() -> None:
    assert profiles.columns_of(tastes(10), 5, most=2).tolist() == [0, -1, -1, 1, -1]
