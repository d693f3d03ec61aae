"""The rules of cards, by examples reckoned by hand."""

from __future__ import annotations

from datetime import date

import pytest

from analytics.rules import cards
from analytics.rules.cards import CardState, Confidence, Dismissed, Kind, Order

MONDAY = date(2026, 11, 23)


def test_the_two_orders_rank_differently() -> None:
    large, sure = (0.3, 10_000.0), (0.9, 2_500.0)

    assert cards.worth(Order.MONEY, *large) == 3_000 > cards.worth(Order.MONEY, *sure) == 2_250
    assert cards.worth(Order.CERTAIN, *large) == 30 < cards.worth(Order.CERTAIN, *sure) == 45


def test_every_state_has_its_next_ones() -> None:
    assert set(cards.NEXT) == set(CardState)
    for act in (CardState.ACCEPTED, CardState.SNOOZED, CardState.DISMISSED):
        assert cards.allowed(CardState.OPEN, act)
        assert cards.allowed(CardState.SNOOZED, act)
    assert not cards.allowed(CardState.WITHHELD, CardState.ACCEPTED)
    assert not any(cards.NEXT[over] for over in (CardState.DISMISSED, CardState.DONE, CardState.EXPIRED))


def test_an_act_is_taken_back_the_way_it_came() -> None:
    ways = {(now, before) for now in CardState for before in CardState if cards.may_be_taken_back(now, before)}
    S = CardState
    assert {way for way in ways if way[0] is not way[1]} == {
        (S.ACCEPTED, S.OPEN), (S.ACCEPTED, S.SNOOZED), (S.OPEN, S.SNOOZED),
        (S.SNOOZED, S.OPEN), (S.SNOOZED, S.ACCEPTED),
        (S.DISMISSED, S.OPEN), (S.DISMISSED, S.SNOOZED), (S.DISMISSED, S.ACCEPTED),
        (S.DONE, S.OPEN), (S.DONE, S.SNOOZED), (S.DONE, S.ACCEPTED),
    }  # fmt: skip
    assert all(cards.allowed(before, after) for before, after in cards.AFTER_OUTCOME.items())


def test_the_few_that_bring_four_fifths() -> None:
    assert cards.vital_few({1: 70.0, 2: 10.0, 3: 10.0, 4: 5.0, 5: 5.0}) == {1, 2}
    assert cards.vital_few({1: 0.0}) == frozenset()


@pytest.mark.parametrize(
    ("vital", "tail", "places", "taken"),
    [
        (30, 30, 15, (7, 8)),
        (3, 30, 15, (3, 12)),
        (30, 2, 15, (13, 2)),
        (1, 1, 15, (1, 1)),
        (5, 5, 0, (0, 0)),
    ],
)
def test_the_tail_keeps_its_share_of_the_day(vital: int, tail: int, places: int, taken: tuple[int, int]) -> None:
    assert cards.mixed(range(vital), range(tail), places) == taken


def test_a_tenth_is_withheld_and_always_the_same() -> None:
    names = [f"A-{number}" for number in range(5_000)]
    out = {name for name in names if cards.withheld(1, name, Kind.RECOVERY, 2026)}

    assert 400 < len(out) < 600
    assert out == {name for name in names if cards.withheld(1, name, Kind.RECOVERY, 2026)}
    assert out != {name for name in names if cards.withheld(1, name, Kind.GROWTH, 2026)}
    assert out != {name for name in names if cards.withheld(1, name, Kind.RECOVERY, 2027)}
    assert out != {name for name in names if cards.withheld(2, name, Kind.RECOVERY, 2026)}


def test_a_dismissed_card_comes_back_after_its_period_if_the_chance_has_grown() -> None:
    until = cards.quiet_until(Dismissed.WRONG_DATA, MONDAY)

    assert until == date(2026, 12, 23)
    assert not cards.may_return(until, 0.5, date(2026, 12, 22), 0.9)
    assert not cards.may_return(until, 0.5, date(2026, 12, 23), 0.54)
    assert cards.may_return(until, 0.5, date(2026, 12, 23), 0.55)


def test_some_reasons_hold_for_good() -> None:
    assert cards.quiet_until(Dismissed.CLOSED, MONDAY) is None
    assert not cards.may_return(None, 0.1, date(2036, 1, 1), 1.0)
    assert set(cards.QUIET) == set(Dismissed)


def test_an_untouched_card_expires_after_four_weeks() -> None:
    assert not cards.is_old(MONDAY, date(2026, 12, 20))
    assert cards.is_old(MONDAY, date(2026, 12, 21))


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.8, Confidence.VERY_LIKELY), (0.79, Confidence.LIKELY), (0.4, Confidence.EVEN), (0.1, Confidence.HINT)],
)
def test_a_chance_in_words(p: float, words: Confidence) -> None:
    assert cards.confidence(p) is words
