from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from marketplace.signatures.payload import canonical, sha256_hex
from procurement.rules.auction.base import Bid, ExtendFrom, Reference
from procurement.rules.auction.english import decide
from procurement.rules.auction.log import (
    GENESIS,
    Event,
    EventKind,
    LogBroken,
    LotRules,
    bid_detail,
    fold,
    iso,
    ranking_detail,
    replay,
    scheduled_detail,
    times_detail,
)
from procurement.rules.auction.views import Shown
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction

AUCTION = 7
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
END = START + timedelta(minutes=10)
MINUTES = timedelta(minutes=3)
RULES = LotRules(
    Direction.DOWN, D("0.01"), D("1.00"), Reference.LEADER, Shown.BOTH, MINUTES, MINUTES, ExtendFrom.RECEIPT, None
)
BIDDERS = [("1", "Bidder 2", D("100.00"), START - MINUTES), ("2", "Bidder 1", D("99.50"), START - MINUTES)]


def log(*bids):
    """A whole auction as events with their hashes: scheduled, started, the bids, ended."""
    events = []
    hall = None

    def append(kind, at, **fields):
        nonlocal hall
        event = Event(len(events) + 1, kind, at, **fields)
        head = event.hashed(AUCTION, events[-1][1] if events else GENESIS)
        events.append((event, head))
        hall = fold(hall, event, auction=AUCTION, head=head)

    detail = scheduled_detail(RULES, "EUR", D("100.00"), START, END, None, BIDDERS)
    append(EventKind.SCHEDULED, START - MINUTES, detail=detail)
    append(EventKind.STARTED, START, detail=times_detail(START, END, None))
    for bidder, amount, seconds in bids:
        bid = Bid(bidder, D(amount), START + timedelta(seconds=seconds))
        decision, after = decide(hall.room, bid)
        assert decision.accepted
        detail = bid_detail(after, bidder)
        append(EventKind.BID, bid.received_at, bidder=bidder, amount=bid.amount, key="k", person=3, detail=detail)
    append(EventKind.ENDED, hall.room.ends_at, detail={"ranking": ranking_detail(hall.room)})
    return events


LOG = log(("1", "98.00", 10), ("2", "97.00", 590), ("1", "90.00", 700))


def rechained(events):
    """The same events with hashes made anew: what a forger with the database would write."""
    head, chained = GENESIS, []
    for event, _ in events:
        head = event.hashed(AUCTION, head)
        chained.append((event, head))
    return chained


def test_a_log_replays_to_its_winner():
    hall = replay(AUCTION, LOG)
    assert (hall.room.leader.bidder, hall.room.leader.amount, hall.labels["1"]) == ("1", D("90.00"), "Bidder 2")
    assert (hall.room.status, hall.room.ends_at) == (AuctionStatus.ENDED, START + timedelta(seconds=880))
    assert (hall.room.extensions, hall.number, hall.head) == (2, 6, LOG[-1][1])


def test_the_hash_is_over_canonical_json():
    event, recorded = LOG[2]
    content = {
        "auction": AUCTION,
        "number": 3,
        "kind": "bid",
        "at": "2026-03-04T12:00:10.000000Z",
        "bidder": "1",
        "amount": "98.0000",
        "key": "k",
        "person": None,  # it would tell the same bidder elsewhere
        "detail": dict(event.detail),
        "previous": LOG[1][1],
    }
    assert recorded == sha256_hex(canonical(content))


@pytest.mark.parametrize("number", range(1, 7))
def test_a_changed_event_breaks_the_chain_at_its_place(number):
    event, head = LOG[number - 1]
    forged = [*LOG[: number - 1], (replace(event, at=event.at + timedelta(seconds=1)), head), *LOG[number:]]
    with pytest.raises(LogBroken) as broken:
        replay(AUCTION, forged)
    assert broken.value.number == number


def test_a_dropped_event_is_missed():
    with pytest.raises(LogBroken):
        replay(AUCTION, [*LOG[:3], *LOG[4:]])
    with pytest.raises(LogBroken, match="missing before"):
        replay(AUCTION, rechained([*LOG[:3], *LOG[4:]]))


def test_a_log_of_another_auction_does_not_hold():
    with pytest.raises(LogBroken):
        replay(AUCTION + 1, LOG)


def test_a_forged_bid_with_a_fresh_chain_is_refused_by_the_rules():
    event, _ = LOG[3]
    low = replace(event, amount=D("97.50"))
    with pytest.raises(LogBroken, match="this bid is refused"):
        replay(AUCTION, rechained([*LOG[:3], (low, ""), *LOG[4:]]))
    later = replace(event, detail={**event.detail, "ends_at": iso(END + timedelta(hours=1))})
    with pytest.raises(LogBroken, match="its consequences are others"):
        replay(AUCTION, rechained([*LOG[:3], (later, ""), *LOG[4:]]))


def test_a_forged_ranking_with_a_fresh_chain_is_refused():
    event, _ = LOG[-1]
    swapped = replace(event, detail={"ranking": list(reversed(event.detail["ranking"]))})
    with pytest.raises(LogBroken, match="ranking"):
        replay(AUCTION, rechained([*LOG[:-1], (swapped, "")]))


def test_an_empty_log_and_one_without_its_beginning_are_refused():
    with pytest.raises(LogBroken, match="empty"):
        replay(AUCTION, [])
    with pytest.raises(LogBroken):
        replay(AUCTION, rechained([(replace(LOG[1][0], number=1), "")]))


def test_a_pause_moves_the_times_by_what_it_lasted():
    hall = replay(AUCTION, LOG[:3])
    paused = fold(hall, Event(4, EventKind.PAUSED, END - MINUTES), auction=AUCTION, head="a")
    assert paused.room.status is AuctionStatus.PAUSED
    times = times_detail(START, END + MINUTES, END + 2 * MINUTES)
    resumed = fold(paused, Event(5, EventKind.RESUMED, END, detail=times), auction=AUCTION, head="b")
    assert (resumed.room.status, resumed.room.ends_at) == (AuctionStatus.RUNNING, END + MINUTES)
    assert resumed.room.terms.soft_close.hard_stop_at == END + 2 * MINUTES
    assert resumed.room.standings == hall.room.standings


def test_rules_survive_json():
    assert LotRules.from_json(RULES.as_json()) == RULES
