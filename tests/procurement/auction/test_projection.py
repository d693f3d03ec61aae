"""What is told to whom, in every kind: pure, from logs made on paper."""

from dataclasses import replace
from datetime import timedelta

import pytest

from procurement.auction.projection import state, update
from procurement.rules.auction.base import AuctionKind
from procurement.rules.auction.log import EventKind
from procurement.rules.auction.views import Shown
from tests.procurement.rules.test_auction_log_kinds import MOVES, START, Log


def told(kind, viewer, *, until, shown=Shown.BOTH):
    """The events and the state that a viewer is sent after the moves made by then."""
    log = Log(kind)
    for move in MOVES[kind]:
        if move[2] <= until:
            log.move(*move)
    now = START + timedelta(seconds=until)
    log.advance(now)
    hall = replace(log.hall, rules=replace(log.hall.rules, shown=shown))
    return update(hall, [event for event, _ in log.events], viewer, now)


def kinds_told(sent):
    return [event["kind"] for event in sent["events"]]


def test_a_proxy_limit_is_told_to_nobody_but_its_bidder():
    for viewer in ("1", "3", None):
        sent = told(AuctionKind.ENGLISH, viewer, until=30)
        assert "limit" not in kinds_told(sent)
        assert "90.00" not in str(sent)
    own = told(AuctionKind.ENGLISH, "2", until=30)
    assert ("limit" in kinds_told(own), own["state"]["own"]["limit"]) == (True, "90.00")


def test_automatic_bids_are_told_like_others_and_hidden_like_others():
    sent = told(AuctionKind.ENGLISH, "1", until=30)
    answers = [event["bids"] for event in sent["events"] if event["kind"] == "automatic_bids"]
    assert [(bid["label"], bid["amount"], bid["leads"]) for bids in answers for bid in bids] == [
        ("Bidder 1", "98.00", True),
        ("Bidder 1", "96.00", True),
        ("Bidder 1", "94.00", True),
    ]
    assert "automatic_bids" not in kinds_told(told(AuctionKind.ENGLISH, "1", until=30, shown=Shown.RANK))


def test_everybody_is_told_that_the_end_was_moved_and_no_more_than_that_of_a_hidden_bid():
    log = Log(AuctionKind.ENGLISH)
    log.move("1", "bid", 10.25, "97.00")
    hall = replace(log.hall, rules=replace(log.hall.rules, shown=Shown.RANK))
    ends = log.events[-1][0].detail["ends_at"]

    def last(viewer, *, moved_end):
        return update(hall, [log.events[-1][0]], viewer, START, lambda number: moved_end)["events"]

    told = {"number": 3, "kind": "extended", "at": "2026-03-04T12:00:10.000000Z", "ends_at": ends}
    assert last("2", moved_end=True) == [told]
    assert last("2", moved_end=False) == []
    for viewer in ("1", None):
        (plain,), (moved,) = (last(viewer, moved_end=one) for one in (False, True))
        assert (plain["amount"], moved) == ("97.00", plain | {"ends_at": ends})


@pytest.mark.parametrize("viewer", ["2", "3", None])
def test_a_bid_in_a_turn_is_told_when_the_turn_has_ended(viewer):
    before = told(AuctionKind.TURN_BASED, viewer, until=419)
    assert "bid" not in kinds_told(before)
    assert "98.00" not in str(before["events"])
    assert before["state"]["course"]["label"] == "Bidder 2"
    after = told(AuctionKind.TURN_BASED, viewer, until=421)
    published = next(event for event in after["events"] if event["kind"] == "published")
    assert published["bids"] == [{"own": False, "label": "Bidder 2", "amount": "98.00", "leads": True}]


def test_the_others_do_not_see_who_confirmed_a_tick():
    sent = told(AuctionKind.JAPANESE, "2", until=35)
    assert [event["own"] for event in sent["events"] if event["kind"] == "confirm"] == [True]
    assert sent["state"]["best"] is None
    assert sent["state"]["course"] == {
        "kind": "tick",
        "number": 1,
        "last": 4,
        "until": "2026-03-04T12:01:00.000000Z",
        "price": "95.00",
        "label": None,
        "own": False,
        "order": [],
    }
    left = told(AuctionKind.JAPANESE, "2", until=61)
    ticks = [event for event in left["events"] if event["kind"] == "tick"]
    assert ([tick["out"] for tick in ticks], left["state"]["refused"]) == ([[], [], ["Bidder 1"]], "bidder_out")
    assert told(AuctionKind.JAPANESE, "1", until=61)["events"][-2]["out"] == []


@pytest.mark.parametrize("kind", MOVES)
def test_an_observer_is_told_every_kind_and_no_name(kind):
    sent = told(kind, None, until=2000)
    assert sent["events"][0]["kind"] == EventKind.SCHEDULED
    assert "bidder" not in {name for event in sent["events"] for name in event}
    assert sent["state"]["kind"] == kind.value


def test_the_amounts_allowed_before_the_start_can_be_typed_already():
    hall = Log(AuctionKind.ENGLISH).hall
    assert state(hall, "1", START - timedelta(hours=1))["allowed"] == "98.00"
