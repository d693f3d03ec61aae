"""The logs of all kinds: what time alone brought about is in them, and they replay to the same room."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from procurement.rules.auction import kinds
from procurement.rules.auction.base import Action, AuctionKind, Move, Reference
from procurement.rules.auction.log import (
    GENESIS,
    Event,
    EventKind,
    LogBroken,
    LotRules,
    bid_detail,
    canonical,
    fold,
    happened,
    ranking_detail,
    replay,
    scheduled_detail,
    times_detail,
)
from procurement.rules.auction.timetable import PriceClock
from procurement.rules.auction.views import Shown
from procurement.rules.effective import by_features, by_life_cycle_cost
from procurement.rules.ranking import Direction

AUCTION = 7
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOCK = PriceClock(D("100.00"), D("5.00"), timedelta(seconds=30), D("80.00"))
FIRST = [
    ("1", "Bidder 2", D("100.00"), START - HOUR),
    ("2", "Bidder 1", D("99.50"), START - HOUR),
    ("3", "Bidder 3", D("99.00"), START - HOUR),
]
FORMULAS = {
    "1": by_features([D("0.1")], [D("0.3")], Direction.DOWN),
    "2": by_life_cycle_cost(D("-1.00")),
}
MOVES = {
    AuctionKind.ENGLISH: [("2", "limit", 5, "90.00"), ("1", "bid", 10, "97.00"), ("3", "bid", 20, "95.00")],
    AuctionKind.DUTCH: [("2", "accept", 65, None)],
    AuctionKind.JAPANESE: [
        *((bidder, "confirm", 3, None) for bidder in "123"),
        *((bidder, "confirm", 33, None) for bidder in "31"),
        ("1", "confirm", 61, None),
    ],
    AuctionKind.TURN_BASED: [
        ("1", "bid", 310, "97.00"),
        ("1", "bid", 320, "98.00"),
        ("2", "bid", 430, "96.00"),
        ("2", "withdraw", 440, None),
    ],
}


def rules(kind):
    return LotRules(
        Direction.DOWN,
        D("0.01"),
        D("1.00"),
        Reference.LEADER,
        Shown.BOTH,
        kind=kind,
        proxy_bids=True,
        clock=CLOCK if kind in (AuctionKind.DUTCH, AuctionKind.JAPANESE) else None,
    )


class Log:
    """A log as it is written in the room: what happened before each move first."""

    def __init__(self, kind, formulas=None):
        self.events, self.hall = [], None
        terms = rules(kind).terms(D("100.00"), None)
        end = START + (kinds.length(terms, len(FIRST)) or timedelta(minutes=10))
        detail = scheduled_detail(rules(kind), "EUR", D("100.00"), START, end, None, FIRST, formulas or {})
        self.append(Event(1, EventKind.SCHEDULED, START - HOUR, detail=detail))
        self.append(Event(2, EventKind.STARTED, START, detail=times_detail(START, end, None)))

    @property
    def room(self):
        return self.hall.room

    def append(self, event):
        event = replace(event, number=len(self.events) + 1)
        head = event.hashed(AUCTION, self.events[-1][1] if self.events else GENESIS)
        self.events.append((event, head))
        self.hall = fold(self.hall, event, auction=AUCTION, head=head)

    def advance(self, at):
        while (comes := kinds.coming(self.room)) and comes[0].at <= at:
            self.append(happened(0, *comes))

    def move(self, bidder, action, seconds, amount):
        at = START + timedelta(seconds=seconds)
        self.advance(at)
        move = Move(bidder, None if amount is None else D(amount), at, Action(action))
        decision, after = kinds.decide(self.room, move)
        if decision.accepted:
            kept = decision.allowed_amount if action in ("accept", "confirm") else move.amount
            detail = bid_detail(after, bidder)
            self.append(Event(0, EventKind(action), at, bidder, kept, "key", detail=detail))
        self.advance(at)
        return decision

    def end(self):
        self.advance(self.room.ends_at)
        self.append(Event(0, EventKind.ENDED, self.room.ends_at, detail={"ranking": ranking_detail(self.room)}))
        return self.events


def log(kind, formulas=None):
    written = Log(kind, formulas)
    for move in MOVES[kind]:
        assert written.move(*move).accepted, move
    written.end()
    return written


def rechained(events):
    head, chained = GENESIS, []
    for number, (event, _) in enumerate(events, start=1):
        event = replace(event, number=number)
        head = event.hashed(AUCTION, head)
        chained.append((event, head))
    return chained


@pytest.mark.parametrize("formulas", [None, FORMULAS], ids=["price", "criteria"])
@pytest.mark.parametrize("kind", MOVES)
def test_the_log_of_every_kind_replays_to_the_same_room(kind, formulas):
    if formulas and kind is not AuctionKind.JAPANESE:
        written = Log(kind, formulas)
        for move in MOVES[kind]:
            written.move(*move)
        written.end()
    else:
        written = log(kind, formulas)
    again = replay(AUCTION, written.events)
    assert again == written.hall
    assert (again.room.ranking, again.head) == (written.room.ranking, written.events[-1][1])


@pytest.mark.parametrize("kind", MOVES)
def test_what_is_hashed_is_the_canonical_json_of_the_content(kind):
    previous = GENESIS
    for event, head in log(kind).events:
        for one in (event, replace(event, key='"\\\n€', person=3), replace(event, bidder=None, person=3)):
            assert one.spelled(AUCTION, previous) == canonical(one.content(AUCTION, previous))
        previous = head


def test_what_came_of_each():
    won = {kind: kinds.outcome(log(kind).room) for kind in MOVES}
    assert {kind: (outcome.winner, str(outcome.price)) for kind, outcome in won.items()} == {
        # 2 answers 97 with 96 and 95 with 94.
        AuctionKind.ENGLISH: ("2", "94.00"),
        AuctionKind.DUTCH: ("2", "90.00"),
        AuctionKind.JAPANESE: ("1", "90.00"),
        AuctionKind.TURN_BASED: ("1", "98.00"),
    }


@pytest.mark.parametrize("kind", MOVES)
def test_nothing_that_happened_can_be_left_out_or_changed(kind):
    events = log(kind).events
    told = [place for place, (event, _) in enumerate(events) if "out" in event.detail]
    assert told
    for place in told:
        with pytest.raises(LogBroken):
            replay(AUCTION, rechained([*events[:place], *events[place + 1 :]]))
        event, _ = events[place]
        for forged in (
            replace(event, at=event.at + timedelta(seconds=1)),
            replace(event, detail={**event.detail, "out": ["3"], "bids": []}),
        ):
            if forged != event:
                with pytest.raises(LogBroken):
                    replay(AUCTION, rechained([*events[:place], (forged, ""), *events[place + 1 :]]))


def dropped(seconds, bidder="2", **more):
    return Event(0, EventKind.LIMIT_DROPPED, START + timedelta(seconds=seconds), bidder, **more)


def log_with_a_dropped_limit():
    """2 has bid 96 for the 97 of 1, and answers no more."""
    written = Log(AuctionKind.ENGLISH)
    written.move("2", "limit", 5, "90.00")
    written.move("1", "bid", 10, "97.00")
    written.append(dropped(15))
    written.move("3", "bid", 20, "95.00")
    written.end()
    return written


def test_the_system_bids_no_more_for_whom_the_limit_was_dropped():
    written = log_with_a_dropped_limit()
    standing = {name: str(bid.amount) for name, bid in written.room.standings.items()}
    assert standing == {"1": "97.00", "2": "96.00", "3": "95.00"}
    assert kinds.limited(written.room) == ()
    assert replay(AUCTION, written.events) == written.hall
    assert written.hall.number_for("1") == len(written.events) - 2


@pytest.mark.parametrize(
    ("place", "event", "said"),
    [
        (2, dropped(1), "event 3: there is no limit to drop"),  # 2 has not set it yet
        (3, dropped(5, "1"), "event 4: “automatic_bids” is missing before it"),
        (6, dropped(15, "1"), "event 7: there is no limit to drop"),
        (6, dropped(15, None), "event 7: there is no limit to drop"),
        (7, dropped(16), "event 8: there is no limit to drop"),  # for the second time
        (9, dropped(700), "event 10: there is no limit to drop"),  # after the end
        (6, dropped(15, amount=D("95.00")), "event 7: of a limit that is dropped"),
        (6, dropped(15, key="key"), "event 7: of a limit that is dropped"),
        (6, dropped(15, detail={"leads": True}), "event 7: of a limit that is dropped"),
    ],
)
def test_no_limit_is_dropped_that_is_not_there_nor_with_more_than_that(place, event, said):
    events = log_with_a_dropped_limit().events
    with pytest.raises(LogBroken, match=said):
        replay(AUCTION, rechained([*events[:place], (event, ""), *events[place:]]))


def test_that_a_limit_was_dropped_can_be_left_out_or_moved_no_more_than_a_bid():
    events = log_with_a_dropped_limit().events
    assert events[6][0].kind is EventKind.LIMIT_DROPPED
    with pytest.raises(LogBroken, match="event 8: “automatic_bids” is missing"):
        replay(AUCTION, rechained([*events[:6], *events[7:]]))
    with pytest.raises(LogBroken, match="event 7: by the rules something else"):
        replay(AUCTION, rechained([*events[:4], events[6], *events[4:6], *events[7:]]))


@pytest.mark.parametrize("swallows", ["dropped", "taken back", "another bid"])
def test_nothing_comes_before_what_a_proxy_answers_whatever_time_it_names(swallows):
    """2 has set a limit of 90, which is to be answered at once; by an event of an earlier time it never would be."""
    written = Log(AuctionKind.ENGLISH)
    written.move("1", "limit", 3, "97.50")
    room = written.room
    move = Move("2", D("90.00"), START + timedelta(seconds=5), Action.LIMIT)
    decision, after = kinds.decide(room, move)
    assert decision.accepted
    written.append(Event(0, EventKind.LIMIT, move.received_at, "2", D("90.00"), "key", detail=bid_detail(after, "2")))
    before = START + timedelta(seconds=4)
    detail = bid_detail(written.room, "1")
    written.append(
        {
            "dropped": dropped(4, "1"),
            "taken back": Event(0, EventKind.LIMIT, before, "1", None, "back", detail=detail),
            "another bid": Event(0, EventKind.BID, before, "3", D("96.00"), "key", detail=detail | {"leads": True}),
        }[swallows]
    )
    number = len(written.events)
    written.append(Event(0, EventKind.ENDED, written.room.ends_at, detail={"ranking": ranking_detail(written.room)}))
    with pytest.raises(LogBroken, match=f"event {number}: “automatic_bids” is missing before it"):
        replay(AUCTION, written.events)


@pytest.mark.parametrize("kind", [AuctionKind.DUTCH, AuctionKind.JAPANESE, AuctionKind.TURN_BASED])
def test_time_that_was_lost_moves_all_that_is_still_to_come(kind):
    written = Log(kind)
    written.advance(START + timedelta(seconds=20))
    due, ends_at = kinds.coming(written.room)[0].at, written.room.ends_at
    written.append(Event(0, EventKind.PAUSED, START + timedelta(seconds=20), detail={"reason": "power"}))
    assert kinds.coming(written.room) is None
    times = {**times_detail(START, ends_at + HOUR, None), "outage_s": 3600}
    written.append(Event(0, EventKind.RESUMED, START + timedelta(seconds=20) + HOUR, detail=times))
    assert (kinds.coming(written.room)[0].at, written.room.ends_at) == (due + HOUR, ends_at + HOUR)
    written.end()
    assert replay(AUCTION, written.events) == written.hall


def test_a_start_put_off_is_no_time_that_was_lost():
    written = Log(AuctionKind.DUTCH)
    state = fold(None, written.events[0][0], auction=AUCTION, head="a")
    times = times_detail(START + HOUR, state.room.ends_at + HOUR, None)
    later = fold(state, Event(2, EventKind.STARTED, START + HOUR, detail=times), auction=AUCTION, head="b")
    assert (later.room.delay, kinds.coming(later.room)[0].at) == (timedelta(), START + HOUR)


@pytest.mark.parametrize("kind", MOVES)
def test_rules_of_every_kind_survive_json(kind):
    assert LotRules.from_json(rules(kind).as_json()) == rules(kind)


def test_first_bids_that_only_let_their_bidders_in_are_not_told():
    detail = log(AuctionKind.JAPANESE).events[0][0].detail
    assert [row["amount"] for row in detail["bidders"]] == [None, None, None]
