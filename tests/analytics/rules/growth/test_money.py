"""Money, quantities and packs by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.rules.growth import money
from analytics.rules.growth.money import Brought, Firsts, Measure, Purchases
from analytics.rules.history import OrderDays


def purchases(rows: list[tuple[int, int, int, float, float]]) -> Purchases:
    account, thing, day, amount, quantity = zip(*rows, strict=True)
    whole = (np.array(column, dtype=np.int32) for column in (account, thing, day))
    return Purchases(*whole, np.array(amount, dtype=float), np.array(quantity, dtype=float))


@pytest.mark.parametrize(
    ("quantities", "pack"),
    [
        ([12, 24, 12, 36, 48], 12),
        ([12, 24, 12, 36, 7], 12),  # four of five are enough
        ([12, 24, 7, 36, 7], 1),
        ([6, 12, 18, 6, 24], 6),
        ([12, 24, 12, 36], 1),  # too few to tell
        ([1.5, 2, 3, 4, 6], 0),  # sold by weight
    ],
)
def test_pack_is_the_largest_that_divides_most_quantities(quantities: list[float], pack: int) -> None:
    bought = purchases([(number, 0, 1, 1.0, quantity) for number, quantity in enumerate(quantities)])
    assert money.packs_of(bought, 1).tolist() == [pack]


def test_quantities_come_in_whole_packs_and_one_at_least() -> None:
    quantity, pack = np.array([1.0, 17.9, 18.0, 2.4, 0.371, 0.001]), np.array([12, 12, 12, 1, 0, 0], dtype=np.int32)
    assert money.in_packs(quantity, pack).tolist() == [12, 12, 24, 2, 0.37, 0.01]


def test_typical_is_drawn_to_the_mean_of_all() -> None:
    """Two purchases at e¹ and two at e³: all 2 on average; with five of doubt (2 + 10) / 7 and (6 + 10) / 7."""
    bought = purchases([(0, 0, 1, np.e, 1), (1, 0, 1, np.e, 1), (0, 1, 1, np.e**3, 1), (1, 1, 1, np.e**3, 1)])
    assert money.typical_logs(bought, bought.amount, 3).tolist() == pytest.approx([12 / 7, 16 / 7, 2])


def test_size_of_an_account_is_drawn_to_nothing() -> None:
    """One purchase a logarithm above the typical counts a sixth of it."""
    bought = purchases([(1, 0, 1, np.e**2, 1)])
    assert money.sizes(bought, bought.amount, np.array([1.0]), 3).tolist() == pytest.approx([0, 1 / 6, 0])


def test_first_purchases_bring_the_money_of_the_horizon_and_the_first_quantity() -> None:
    bought = purchases([(0, 0, 5, 1, 1), (0, 1, 12, 10, 2), (0, 1, 15, 20, 3), (0, 1, 40, 99, 9), (1, 1, 12, 7, 1)])
    caps = np.array([50.0, 50.0])
    spent, taken = money.firsts_of(bought, 10, 20, np.array([0], dtype=np.int32), caps, 2)
    assert spent.outcome.tolist() == [30]
    assert spent.cap.tolist() == [50]
    assert taken.outcome.tolist() == [2]


def test_money_adds_up_to_what_was_truly_spent_even_under_the_cap() -> None:
    random = np.random.default_rng(3)
    typical, size = random.normal(3, 1, 4000), random.normal(0, 1, 4000)
    outcome = np.exp(0.3 + 0.8 * typical + 0.6 * size + random.normal(0, 1, 4000))
    window = Firsts(typical, size, outcome, np.full(4000, 150.0))
    measure = money.learn(np.array([3.0]), [window], to_the_sum=True)
    assert measure.of_thing == pytest.approx(0.8, abs=0.05)
    assert measure.of_account == pytest.approx(0.6, abs=0.05)
    foretold = np.exp(measure.base + measure.of_thing * typical + measure.of_account * size) * measure.scale
    assert np.minimum(foretold, 150).sum() == pytest.approx(outcome.sum(), rel=0.01)


def test_what_suggestions_bring_adds_up_even_under_the_cap() -> None:
    """Two thousand suggestions of chance .2, each of 10 if bought: 400 came, as foretold, but of 5 each."""
    plain = Measure(np.array([0.0]), 0.0, 0.0, 0.0, 10.0)
    chance, none = np.full(2_000, 0.2), np.zeros(2_000)
    outcome = np.where(np.arange(2_000) % 5 == 0, 5.0, 0.0)
    latest = Brought(none, none, np.full(2_000, 1e9), chance, outcome)
    assert money.scaled(plain, latest).scale == pytest.approx(10 * (2_000 + 500) / (4_000 + 500), rel=0.15)
    low = Brought(none, none, np.where(np.arange(2_000) % 2 == 0, 1.0, 1e9), chance, outcome)
    scale = money.scaled(plain, low).scale
    assert 0.2 * (1_000 * 1 + 1_000 * scale) == pytest.approx(2_000, rel=0.15)
    few = Brought(none[:5], none[:5], np.full(5, 1e9), np.full(5, 0.2), np.zeros(5))
    assert money.scaled(plain, few).scale == pytest.approx(10, rel=0.35)
    assert money.scaled(plain, Brought(*[np.empty(0)] * 5)) == plain


def test_money_spent_on_a_thing_counts_from_the_day_after_to_the_last() -> None:
    bought = purchases([(0, 0, 5, 1, 1), (0, 1, 12, 10, 2), (0, 1, 30, 20, 3), (0, 1, 31, 99, 9), (1, 1, 12, 7, 1)])
    account, thing = np.array([0, 0, 1, 1, 9], np.int32), np.array([0, 1, 1, 4, 1], np.int32)
    assert bought.spent_on(account, thing, 5, 30).tolist() == [0, 30, 7, 0, 0]
    assert bought.spent_on(account, thing, 100, 130).tolist() == [0] * 5


def test_too_few_first_purchases_leave_the_plain_rule() -> None:
    window = Firsts(np.ones(3), np.ones(3), np.ones(3), np.ones(3))
    assert money.learn(np.array([1.0]), [window], to_the_sum=True) == Measure(np.array([1.0]), 0.0, 1.0, 0.5, 1.0)


def test_spend_in_a_horizon_is_the_pace_or_one_usual_order() -> None:
    days = OrderDays(
        np.array([0, 0, 1], dtype=np.int32),
        np.array([-1, -1, -1], dtype=np.int32),
        np.array([0, 179, 170], dtype=np.int32),
        np.array([100.0, 300.0, 40.0]),
        np.array([0, 2]),
    )
    assert money.spend_in_horizon(days, 179, 90, 3).tolist() == [200, 40, 0]
