"""What is learnt from, and the signals of things, by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from analytics.rules.clock import Clock
from analytics.rules.growth import learning, signals
from analytics.rules.growth.ledger import Calendar, ledger_of
from analytics.rules.history import NONE, History, collapse


def history(lines: list[tuple[int, int, int]]) -> History:
    """Of account, category, day."""
    account, category, day = (np.array(column, dtype=np.int32) for column in zip(*lines, strict=True))
    ones = np.ones(len(lines))
    return collapse(
        account=account, category=category, day=day, quantity=ones, amount=ones, first_day=date(2023, 1, 1),
        accounts=tuple(map(str, range(max(account) + 1))), categories=tuple(map(str, range(max(category) + 1))),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cutoff", "windows"),
    [
        (179, ()),
        (180, (90,)),
        (283, (193, 163, 133, 103)),
        (500, (410, 380, 350, 320, 140)),  # the last one saw this season a year ago
    ],
)
def test_windows_have_ended_and_the_season_of_a_year_ago_is_among_them(cutoff: int, windows: tuple[int, ...]) -> None:
    assert learning.windows_of(cutoff, 90) == windows


def test_beyond_the_bound_every_category_keeps_its_most_bought_items() -> None:
    """Item 0 of category 0 is bought 10 times, item 1 9 times … ; item 9 of category 1 once, and item 10 never."""
    column = np.repeat(np.arange(10, dtype=np.int32), np.arange(10, 0, -1))
    group = np.array([0] * 9 + [1, 1], dtype=np.int32)
    found = history([(0, 0, 1)])
    assert learning.most_bought(found, column, group, 20).tolist() == list(range(10))
    assert learning.most_bought(found, column, group, 4).tolist() == [0, 1, 2, 9]
    assert learning.most_bought(found, np.array([NONE, 2], dtype=np.int32), group, 4).tolist() == [2]


def test_signals_of_things_by_hand() -> None:
    """At day 20: category 0 first bought on days 1 and 12 and again on 19; category 1 once, on day 2."""
    found = history([(0, 0, 1), (1, 1, 2), (1, 0, 12), (0, 0, 19), (2, 1, 30)])
    ledger = ledger_of(found, found.category, np.arange(2, dtype=np.int32), 2)
    traits = signals.traits_of(ledger, ledger.at(20), Calendar.of(found).at(20), 90)
    named = dict(zip(signals.OF_THINGS, traits.T.tolist(), strict=True))
    assert named["first_7"] == pytest.approx(np.log([0.5, 0.5]).tolist())
    assert named["first_15"] == pytest.approx(np.log([1.5 / 2, 0.5 / 2]).tolist())
    assert named["buyers_7"] == pytest.approx(np.log([1.5, 0.5]).tolist())
    assert named["buyers_15"] == pytest.approx(np.log([2.5 / 2, 0.5 / 2]).tolist())
    assert named["buyers_ever"] == pytest.approx(np.log([2.5 / 2, 1.5 / 2]).tolist())
    assert named["silent"] == pytest.approx(np.log1p([1, 18]).tolist())
    assert named["season"] == [0, 0]


def test_season_compares_the_same_days_of_last_year_with_that_whole_year() -> None:
    """Ten purchases of category 0, all in the season; ten of category 1, none of them in it."""
    lines = [(number, 0, 40) for number in range(10)] + [(number, 1, 300) for number in range(10)]
    found = history(lines)
    ledger = ledger_of(found, found.category, np.arange(2, dtype=np.int32), 2)
    traits = signals.traits_of(ledger, ledger.at(380), Calendar.of(found).at(380), 73)
    season = traits[:, signals.OF_THINGS.index("season")]
    assert season.tolist() == pytest.approx(np.log([(10 + 1) / (15 / 5), 1 / (15 / 5)]).tolist())


def test_season_is_the_calendars_where_the_clock_has_left_days_out() -> None:
    """Day 40 has become 100: sixty days after 100 are no days. The season of 73 days a year before 380 is (15, 88] of
    the calendar, (75, 148] of the clock's 305 days since. Where a hole took all of it nothing is known."""
    lines = [(number, 0, 100) for number in range(10)] + [(number, 1, 300) for number in range(10)]
    found = history(lines)
    ledger = ledger_of(found, found.category, np.arange(2, dtype=np.int32), 2)
    known = ledger, ledger.at(380), Calendar.of(found).at(380), 73
    place, share = signals.OF_THINGS.index("season"), 73 / 305
    season = signals.traits_of(*known, Clock(((100, 60),)))[:, place]
    assert season.tolist() == pytest.approx(np.log([(10 + 5 * share) / (15 * share), 1 / 3]).tolist())
    assert signals.traits_of(*known, Clock(((10, 100),)))[:, place].tolist() == [0, 0]


def test_base_chances_count_first_purchases_over_the_time_accounts_were_known() -> None:
    """Two accounts known for all of 50 days: both had category 0, one of them came to 1, whose chance is then, with
    ten accounts' worth of the mean of .5, 1 - exp(-(1 + 5) / (2 + 10)); of 0 nothing but the mean is known. The third
    came 25 days ago, and what was in its first order tells nothing."""
    lines = [(0, 0, 0), (0, 1, 60), (1, 0, 0), (1, 0, 70)]
    for newcomer, time in (([], 2.0), ([(2, 1, 75), (2, 0, 80), (2, 0, 90)], 2.5)):
        found = history([*lines, *newcomer])
        ledger = ledger_of(found, found.category, np.arange(2, dtype=np.int32), 2)
        firsts = np.array([len(newcomer) / 3, 1.0])
        known = np.array([time - 2, time])
        usual = firsts.sum() / known.sum()
        chances = learning.base_chances(ledger.at(100), Calendar.of(found).at(100), 50)
        assert chances.tolist() == pytest.approx((1 - np.exp(-(firsts + 10 * usual) / (known + 10))).tolist())
