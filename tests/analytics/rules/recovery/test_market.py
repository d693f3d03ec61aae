"""What the others say of a pair: accounts alike, and the items that it buys. Worked out by hand."""

from math import log

import numpy as np
import pytest

from analytics.rules.clock import Clock
from analytics.rules.history import History, collapse
from analytics.rules.recovery import alike, goods
from analytics.rules.recovery.goods import Goods
from analytics.rules.recovery.visits import collect
from tests.analytics.rules.recovery import simulated

LN2 = log(2.0)


def of_items(account: list[int], day: list[int], item: list[int]) -> History:
    """Everything in one category; three items."""
    return collapse(
        account=np.array(account, dtype=np.int32),
        day=np.array(day, dtype=np.int32),
        quantity=np.ones(len(day)),
        amount=np.ones(len(day)),
        accounts=("a", "b", "c"),
        first_day=simulated.FIRST_DAY,
        category=np.zeros(len(day), dtype=np.int32),
        item=np.array(item, dtype=np.int32),
        categories=("all",),
        items=("x", "y", "z"),
    )


def test_expectation_of_a_category_follows_from_the_other_categories_of_accounts_alike() -> None:
    # One order day each: two accounts buy in both categories, one in the second alone; an order of long ago is nothing.
    bought = simulated.history([0, 0, 1, 1, 2, 2], [95, 96, 95, 99, 98, 5], category=[0, 1, 0, 1, 1, 0])
    _, pairs = collect(bought, Clock())
    weights = alike.learn(pairs, 2, 100)
    first, second = 2 * LN2**2 / (2 * LN2**2 + 20), 2 * LN2**2 / (3 * LN2**2 + 20)  # b / (a + λ), b / (d + λ)
    assert weights == pytest.approx(np.array([[0, first, 0], [second, 0, 0], [0, 0, 0]]), abs=1e-6)
    found = alike.columns(pairs, pairs, weights, 100)
    expected = [second * LN2, first * LN2, second * LN2, first * LN2, second * LN2, 0]
    assert found["alike"] == pytest.approx(expected, abs=1e-6)
    own = np.array([LN2, LN2, LN2, LN2, 0, LN2])
    assert found["beyond_alike"] == pytest.approx(own - found["alike"])


def test_categories_beyond_the_most_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "MOST_CATEGORIES", 1)
    bought = simulated.history([0, 0, 1], [95, 96, 95], category=[0, 1, 0])
    assert not alike.learn(collect(bought, Clock())[1], 2, 100).any()


def test_items_are_gone_since_their_last_sale_and_kept_by_those_who_come_back() -> None:
    # x: a and b bought it 50 and 60 days ago, a again 10 days ago. y: c did 89 days ago. z: nobody before today + 1.
    bought = of_items([0, 1, 0, 2, 1], [50, 40, 90, 11, 101], [0, 0, 0, 1, 2])
    sold = goods.collect_sold(bought, Clock())
    assert sold
    found = sold.goods(100)
    of_all = (1 + 0.5) / (3 + 1)
    kept = [(1 + 10 * of_all) / 12, 10 * of_all / 11, of_all, of_all]
    usual = (log(11) + log(90)) / 2
    assert found.gone == pytest.approx([log(11), log(90), usual, usual], abs=1e-4)
    assert found.kept == pytest.approx([log(share / (1 - share)) for share in kept], abs=1e-4)


def test_pair_is_told_by_what_it_bought_lately_and_by_its_last_order() -> None:
    # Account b: x and y on day 100, and x alone 60 days before, which counts half; day 130 is not known yet.
    bought = of_items([0, 1, 1, 1, 1], [90, 40, 100, 100, 130], [2, 0, 0, 1, 2])
    _, pairs = collect(bought.until(110), Clock())
    lines = goods.collect_lines(bought, Clock())
    told = goods.columns(lines, pairs, Goods((1.0, 4.0, 9.0, 7.0), (0.0, -1.0, -2.0, -3.0)), 110)
    assert told["item_gone"] == pytest.approx([9.0, (0.5 * 1 + 1 + 4) / 2.5])
    assert told["item_kept"] == pytest.approx([-2.0, -1 / 2.5])
    assert told["item_gone_last"] == pytest.approx([9.0, 2.5])
    assert told["item_kept_last"] == pytest.approx([-2.0, -0.5])


def test_model_keeps_the_items_with_the_most_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    every = Goods((1.0, 2.0, 4.0, 0.0), (-1.0, -2.0, -4.0, 0.0))
    assert every.most_sold(np.array([5, 9, 7]))[1] == every
    monkeypatch.setattr(goods, "MOST_ITEMS", 1)
    codes, kept = every.most_sold(np.array([5, 9, 7]))
    assert (codes.tolist(), kept) == ([1], Goods((2.0, 2.5), (-2.0, -2.5)))
    assert kept.reordered([-1, 0]) == Goods((2.5, 2.0, 2.5), (-2.5, -2.0, -2.5))
