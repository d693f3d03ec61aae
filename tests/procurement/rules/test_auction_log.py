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


def whole(*events):
    """A log of these events, whatever they are: each is told by its kind, its seconds from the start and its detail."""
    written, hall = [], None
    for number, (kind, seconds, detail) in enumerate(events, start=1):
        at = START + timedelta(seconds=seconds)
        if kind == "bid":
            _, after = decide(hall.room, Bid("1", D(detail), at))
            event = Event(number, EventKind.BID, at, "1", D(detail), "k", detail=bid_detail(after, "1"))
        elif kind == "ended":
            event = Event(number, EventKind.ENDED, at, detail={"ranking": ranking_detail(hall.room)})
        else:
            event = Event(number, EventKind(kind), at, detail=detail)
        head = event.hashed(AUCTION, written[-1][1] if written else GENESIS)
        written.append((event, head))
        hall = fold(hall, event, auction=AUCTION, head=head)
    return written


def times(starts, ends, stop=900, **detail):
    """Times in seconds from the start that was planned."""
    starts_at, ends_at, stops_at = (START + timedelta(seconds=one) for one in (starts, ends, stop))
    return {**times_detail(starts_at, ends_at, stops_at), **detail}


STOP = START + timedelta(seconds=900)
SCHEDULED = ("scheduled", -180, scheduled_detail(RULES, "EUR", D("100.00"), START, END, STOP, BIDDERS))
STARTED = ("started", 1, times(0, 600))
BID = ("bid", 10, "98.00")
PAUSED = ("paused", 100, {"reason": "power"})
CANCELLED = ("cancelled", 100, {"reason": "no need"})


@pytest.mark.parametrize(
    "events",
    [
        [SCHEDULED, STARTED, BID, ("ended", 600, None)],
        [SCHEDULED, ("started", 8, times(8, 608, 908)), BID, ("ended", 620, None)],
        [SCHEDULED, ("retimed", 60, times(120, 720, 1020)), ("started", 120, times(120, 720, 1020)), CANCELLED],
        [SCHEDULED, STARTED, BID, PAUSED, ("resumed", 130, times(0, 630, 930, outage_s=30)), ("ended", 630, None)],
        [SCHEDULED, STARTED, BID, PAUSED, CANCELLED],
        [SCHEDULED, CANCELLED],
    ],
)
def test_a_life_as_auctions_have_it_holds(events):
    assert replay(AUCTION, whole(*events)).number == len(events)


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([SCHEDULED, STARTED, BID, ("ended", 599, None)], "its end had not come"),
        ([SCHEDULED, ("ended", 600, None)], "an auction that is scheduled cannot be ended"),
        ([SCHEDULED, STARTED, BID, PAUSED, ("ended", 600, None)], "that is paused cannot be ended"),
        ([SCHEDULED, STARTED, CANCELLED, ("ended", 600, None)], "that is cancelled cannot be ended"),
        ([SCHEDULED, STARTED, ("ended", 600, None), ("resumed", 700, times(0, 999))], "is ended cannot be resumed"),
        ([SCHEDULED, STARTED, BID, ("resumed", 100, times(0, 700))], "that is running cannot be resumed"),
        ([SCHEDULED, STARTED, BID, STARTED], "that is running cannot be started"),
        ([SCHEDULED, STARTED, BID, ("retimed", 20, times(0, 21))], "that is running cannot be retimed"),
        ([SCHEDULED, ("started", -9, times(-9, 591, 891))], "its start had not come"),
        ([SCHEDULED, ("started", 0, times(20, 620, 920))], "its start had not come"),
        ([SCHEDULED, ("started", 0, times(0, 30))], "it is given another length"),
        ([SCHEDULED, ("started", 8, times(8, 608))], "it is given another length"),
        ([SCHEDULED, ("retimed", 60, times(120, 630, 1020))], "not all times are moved alike"),
        ([SCHEDULED, STARTED, PAUSED, ("resumed", 130, times(0, 590, 890, outage_s=-10))], "more time is given back"),
        ([SCHEDULED, STARTED, PAUSED, ("resumed", 130, times(0, 900, 1200, outage_s=300))], "more time is given back"),
        ([SCHEDULED, STARTED, PAUSED, ("resumed", 130, times(0, 630, 930, outage_s=5))], "another time than it says"),
        ([SCHEDULED, STARTED, PAUSED, ("resumed", 130, times(0, 630, outage_s=30))], "not only the end is moved"),
        ([SCHEDULED, STARTED, PAUSED, ("resumed", 130, times(9, 630, 930, outage_s=30))], "not only the end is moved"),
    ],
)  # fmt: skip
def test_a_life_that_no_auction_has_does_not_hold_whatever_its_chain(events, why):
    with pytest.raises(LogBroken, match=why) as broken:
        replay(AUCTION, whole(*events))
    assert broken.value.number == len(events)
