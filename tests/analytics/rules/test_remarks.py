"""What is said of a history, judged by the days on which anybody bought."""

from datetime import date, timedelta

import pytest

from analytics.features.remark_words import sentences
from analytics.rules import protocol, remarks
from analytics.rules.remarks import Odd, Outline, Remark

BEGIN = date(2026, 1, 1)


def days(*spans: tuple[int, int], step: int = 1) -> list[date]:
    """Every `step`-th day of the spans [first, after), counted from BEGIN."""
    return [BEGIN + timedelta(days=n) for first, after in spans for n in range(first, after, step)]


def outline(of: list[date], accounts: int = 2, purchases: int = remarks.FEW_PURCHASES) -> Outline:
    return Outline(of, accounts, purchases)


def on(number: int) -> date:
    return BEGIN + timedelta(days=number)


def test_a_first_past_day_to_be_judged_lies_where_the_protocol_has_it() -> None:
    assert remarks.FIRST_WINDOW == protocol.FIRST_CUTOFF
    assert protocol.training_cutoffs(180) == (90,)  # day 180 is the 181st: the first day of which nothing is remarked
    assert remarks.of_history(outline(days((0, 181))), on(180)) == []
    assert remarks.of_history(outline(days((0, 180))), on(179)) == [Remark(Odd.SHORT, {"days": 180, "needed": 181})]


@pytest.mark.parametrize(
    ("of", "accounts", "purchases", "until", "codes"),
    [
        ([], 0, 0, 400, [Odd.NOTHING]),
        (days((0, 1)), 1, 1, 0, [Odd.ONE_DAY, Odd.ONE_ACCOUNT]),
        (days((0, 300)), 1, 300, 299, [Odd.ONE_ACCOUNT]),
        (days((0, 10)), 3, 10, 9, [Odd.FEW]),
        (days((0, 300)), 9, 900, 313, []),
        (days((0, 300)), 9, 900, 314, [Odd.ENDS_EARLY]),
        (days((0, 300)), 9, 900, 388, [Odd.ENDS_EARLY]),
        (days((0, 300)), 9, 900, 389, [Odd.OVER]),
        (days((0, 150), (240, 400)), 9, 900, 399, [Odd.HOLES]),
    ],
)
def test_each_oddity_has_its_bounds(
    of: list[date], accounts: int, purchases: int, until: int, codes: list[Odd]
) -> None:
    found = remarks.of_history(Outline(of, accounts, purchases), on(until))
    assert [remark.code for remark in found] == codes


def test_holes_go_by_the_rhythm_of_the_history() -> None:
    busy = days((0, 100), (120, 200))
    assert remarks.holes(busy) == []  # 21 days from one purchase to the next: a shop that was closed
    assert remarks.holes(days((0, 100), (121, 200))) == [remarks.Hole(on(100), on(120), left_out=True)]
    monthly = days((0, 700), step=30)
    assert remarks.holes(monthly) == []
    assert remarks.holes([*monthly[:10], *monthly[17:]]) == [remarks.Hole(on(271), on(509), left_out=False)]
    assert remarks.holes(days((0, 20), (80, 90))) == [remarks.Hole(on(20), on(79), left_out=False)]


def test_a_history_that_ends_is_known_to_its_end_unless_that_is_its_rhythm() -> None:
    daily, monthly = days((0, 300)), days((0, 300), step=30)
    assert (remarks.as_of(daily, on(313)), remarks.as_of(daily, on(314))) == (on(313), on(299))
    assert (remarks.as_of(monthly, on(330)), remarks.as_of(monthly, on(331))) == (on(330), on(270))
    assert remarks.as_of([], on(9)) == on(9)


def test_contracts_do_not_hide_that_a_system_stopped_telling() -> None:
    fed = outline(days((0, 300)))
    own = {after: remarks.of_history(fed, on(299), own_until=on(after)) for after in (299, 285, 284)}
    assert own == {299: [], 285: [], 284: [Remark(Odd.OWN_ENDS_EARLY, {"last": on(284).isoformat()})]}
    [ended] = remarks.of_history(fed, on(340), own_until=on(290))
    assert ended.code is Odd.ENDS_EARLY  # all of it ended
    thin = outline([*days((0, 300)), *days((310, 500), step=40)])
    assert [one.code for one in remarks.of_history(thin, on(475))] == [Odd.HOLES]
    assert [one.code for one in remarks.of_history(thin, on(475), own_until=on(299))] == [Odd.OWN_ENDS_EARLY]


def test_only_some_holes_and_examples_are_named() -> None:
    often = days(*((60 * n, 60 * n + 30 - n) for n in range(9)))
    [found] = [one for one in remarks.of_history(outline(often), often[-1]) if one.code is Odd.HOLES]
    named = found.details["holes"]
    assert (found.details["count"], len(named)) == (8, remarks.MOST_NAMED)
    assert [one["from"] for one in named] == sorted(one["from"] for one in named)
    assert "and 3 times more" in sentences([found.as_json()])[0]


HOLE = remarks.of_history(outline(days((0, 150), (240, 400))), on(399))[0]


@pytest.mark.parametrize(
    ("remark", "words"),
    [
        *[(Remark(code), "") for code in (Odd.NOTHING, Odd.NOTHING_LEFT, Odd.ONE_ACCOUNT)],
        (Remark(Odd.ONE_DAY, {"day": "2026-01-01"}), "of one day, 2026-01-01"),
        (Remark(Odd.FEW, {"purchases": 1}), "only 1 purchase (what"),
        (Remark(Odd.SHORT, {"days": 80, "needed": 181}), "covers 80 days. From 181 days on"),
        (HOLE, "Nobody bought anything from 2026-05-31 to 2026-08-28 (90 days). If"),
        (Remark(Odd.ENDS_EARLY, {"last": "2026-01-01", "days": 1200}), "of the 1,200 days since nothing is known"),
        (Remark(Odd.OWN_ENDS_EARLY, {"last": "2026-01-01"}), "known to 2026-01-01, newer ones"),
        (Remark(Odd.OVER, {"last": "2026-01-01", "days": 100}), "100 days ago"),
        (remarks.of_currencies("EUR", ["USD", "GBP", "SEK"])[0], "those in GBP, SEK and USD are neither"),
        (remarks.of_equal_rows(2, has_orders=True)[0], "2 rows repeat"),
        (remarks.of_equal_rows(1, has_orders=False)[0], "1 row is equal"),
        (remarks.renamed(7, [("K1", "A", "B")])[0], "7 customers have another name under the same number: K1 (“A”"),
        (remarks.namesakes(1, [("A", ["K1", "K2"])])[0], "“A” (K1, K2)"),
        (remarks.merged(1, [("K1", "K2")])[0], "K1 → K2"),
        (Remark(Odd.ALL_NEW, {"customers": 50}), "None of the file’s 50 customers"),
        (remarks.of_rows(10, 6)[0], "6 of 10 rows"),
    ],
)  # fmt: skip
def test_every_remark_has_its_sentence(remark: Remark, words: str) -> None:
    [said] = sentences([remark.as_json()])
    assert words in said
    assert said.endswith((".", "?"))


def test_a_code_of_another_release_says_nothing() -> None:
    assert sentences([{"code": "of_tomorrow"}]) == []


def test_an_account_has_moved_on_a_month_after_it_last_bought_in_this_currency() -> None:
    assert remarks.has_moved_on(here=10, elsewhere=11, until=10 + remarks.MOVED_AFTER + 1)
    assert not remarks.has_moved_on(here=10, elsewhere=11, until=10 + remarks.MOVED_AFTER)
    assert not remarks.has_moved_on(here=10, elsewhere=10, until=100)
