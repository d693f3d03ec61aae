"""What the live page says of how an auction goes is what the rules do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from procurement.rules.auction.base import AuctionKind, ExtendFrom, Reference
from procurement.rules.auction.judging import end_after
from procurement.rules.auction.lot_rules import LotRules
from procurement.rules.auction.views import Shown
from procurement.rules.ranking import Direction
from procurement.web.auction_words import how_it_goes

END = datetime(2026, 3, 4, 12, tzinfo=UTC)
RULES = LotRules(Direction.DOWN, D("0.01"), D("1.00"), Reference.LEADER, Shown.BOTH, max_extensions=None)


def told(rules: LotRules, hard_stop_at: datetime | None = None) -> str:
    room = SimpleNamespace(terms=rules.terms(None, hard_stop_at))
    hall: Any = SimpleNamespace(rules=rules, currency="EUR", room=room)
    return how_it_goes(hall, ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("window", "extend", "counted_from", "said"),
    [
        (180, 180, "receipt", "A bid with 3 minutes or less to go moves the end: it is then 3 minutes after the bid."),
        (300, 60, "receipt", "A bid with 1 minute or less to go moves the end: it is then 1 minute after the bid."),
        (60, 300, "receipt", "A bid with 1 minute or less to go moves the end: it is then 5 minutes after the bid."),
        (300, 60, "end", "A bid with 5 minutes or less to go moves the end by 1 minute."),
    ],
)
def test_the_last_bids_are_said_to_move_the_end_where_they_do(
    window: int, extend: int, counted_from: str, said: str
) -> None:
    parts: dict[str, Any] = {
        "soft_close_window": timedelta(seconds=window),
        "soft_close_extend": timedelta(seconds=extend),
    }
    rules = replace(RULES, soft_close_from=ExtendFrom(counted_from), **parts)
    assert told(rules).endswith(said)
    room: Any = SimpleNamespace(ends_at=END, extensions=0, terms=rules.terms(None, None))
    moves = [left for left in range(1, 401) if end_after(room, END - timedelta(seconds=left)) > END]
    minutes = int(said.split()[3])
    assert max(moves) in (60 * minutes, 60 * minutes - 1)


def test_an_end_that_moves_is_said_to_stop_where_it_does() -> None:
    minute = timedelta(minutes=1)
    rules = replace(RULES, soft_close_window=minute, soft_close_extend=minute, max_extensions=3)
    assert told(rules, END + minute).endswith(
        "That happens 3 times at most. "
        "The end never moves past 4 Mar 2026, 13:01:00 (Berlin, UTC+1), unless the auction is paused."
    )
    # An end that stands is not said to move.
    assert told(replace(rules, max_extensions=0), END + minute) == told(RULES)


def test_a_clock_that_bidders_leave_tells_who_wins_of_those_who_stay_as_long() -> None:
    said = told(replace(RULES, kind=AuctionKind.JAPANESE))
    assert said.endswith("The last one in wins, at the last price it confirmed; of several, the first to confirm it.")
