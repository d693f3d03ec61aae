"""What a bidder is sent where only ranks are shown: the same to the byte, whatever the others' amounts are."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace.models import StaffRole
from marketplace.shared import clock
from procurement.auction.feed import Feed, Subscriber, _event, _json
from procurement.auction.projection import state, update
from procurement.auction.room import Desk, WaitingBid, answer_of
from procurement.auction.tokens import Ticket
from procurement.queries import auctions as rooms
from procurement.rules.auction import kinds
from procurement.rules.auction.base import Action
from procurement.services import auctions
from tests.factories.auctions import START, evaluated_tender, running_auction, seats
from tests.factories.marketplace import staff

pytestmark = pytest.mark.django_db


def later(seconds):
    return START + timedelta(seconds=seconds)


def sent(content, number):
    """An update as a server-sent event."""
    return _event(_json(content), number)


def told(rival_first, rival_bids, **settings):
    """All that the third bidder is sent in an auction where a rival bids those amounts: stream, and the answers to its
    own bids."""
    auction = running_auction("100.00", rival_first, "100.00", shown="rank", reference="own", **settings)
    own, rival, _ = seats(auction)
    desk, now = Desk(), later(500)
    answers = []
    for second, amount in enumerate(rival_bids, start=1):
        desk.decide([rival.bid(amount, later(2 * second), key=f"rival-{second}")])
        for mine in (f"{90 - second}.00", "99.99"):
            (answer,) = desk.decide([own.bid(mine, later(2 * second + 1), key=f"own-{second}-{mine}")])
            answers.append(answer)
    hall = rooms.hall(auction.pk)
    viewer = rooms.bidder(own.participant.pk)
    events = [event for event, _ in rooms.events(auction.pk)]
    frames = [sent(update(hall, events[seen:], viewer, now), hall.number) for seen in range(len(events))]
    labels = {hall.labels[viewer]: "me"}
    text = b"".join(frames).decode()
    # Labels are drawn by lot; which one is ours says nothing.
    text = re.sub(r'"label":"(\d+)"', lambda found: f'"label":"{labels.get(found[1], "other")}"', text)
    return text, answers


@pytest.mark.parametrize("terms", [{}, {"soft_close_window_seconds": 540}], ids=["plain", "soft close"])
def test_a_rivals_amounts_change_nothing_where_only_ranks_are_shown(terms):
    # The rival leads in one run by a cent, in the other by far: the same ranks, other amounts.
    near, near_answers = told("95.00", ["70.00", "60.00", "50.00"], **terms)
    far, far_answers = told("91.50", ["71.99", "41.00", "12.34"], **terms)
    assert near == far
    assert near_answers == far_answers
    assert '"own"' in near
    assert not re.search(r"\b(95|91|70|71|60|41|50|12)\.\d\d\b", near)


def test_a_refusal_tells_nothing_of_the_leader_where_only_ranks_are_shown():
    auction = running_auction("100.00", "50.00", shown="rank", reference="own")
    own, _ = seats(auction)
    hall = rooms.hall(auction.pk)
    move = own.bid("99.50", later(5)).move
    decision, _ = kinds.decide(hall.room, move)
    answer = answer_of(hall, decision)
    assert (answer.code, answer.allowed_amount) == ("step_not_met", "99.00")


def test_the_seat_of_another_is_never_named():
    auction = running_auction("100.00", "99.00", "98.00")
    own, rival, other = seats(auction)
    Desk().decide([rival.bid("90.00", later(1))])
    hall = rooms.hall(auction.pk)
    events = [event for event, _ in rooms.events(auction.pk)]
    text = json.dumps(update(hall, events, rooms.bidder(own.participant.pk), later(2)))
    for seat in (rival, other):
        assert seat.participant.supplier.short_name not in text
        assert f'"{seat.participant.pk}"' not in text
        assert "key-90.00" not in text


@pytest.mark.parametrize("shown", ["price", "rank", "both"])
def test_what_is_sent_is_what_each_viewer_may_be_told(monkeypatch, shown):
    monkeypatch.setattr("asyncio.current_task", lambda: None)
    auction = running_auction(
        "100.00", "99.00", "98.00", shown=shown, reference="own" if shown == "rank" else "leader",
        soft_close_window_seconds=600, soft_close_extend_seconds=600,
    )  # fmt: skip
    desk, bidders = Desk(), seats(auction)
    feed = Feed(auction.lot_id, auction.pk)
    desk.decide([bidders[0].bid("97.00", later(1))])
    feed.read()
    desk.decide([bidders[1].bid("96.00", later(2)), bidders[2].bid("95.00", later(3))])
    feed.take(list(rooms.events(auction.pk, after=feed.number)))
    hall, events = rooms.hall(auction.pk), [event for event, _ in rooms.events(auction.pk)]
    with clock.frozen(later(4)):
        for viewer in (*(rooms.bidder(seat.participant.pk) for seat in bidders), None):
            for seen in range(len(events)):
                frame = feed.frame(Subscriber(Ticket(auction.lot_id, 1, None, False), viewer, seen))
                told = update(hall, events[seen:], viewer, later(4), feed.moved_end)
                assert frame == sent(told, hall.number)
    # Scheduled and started; then each bid moved the end by a second.
    assert [event.number for event in events if feed.moved_end(event.number)] == [3, 4, 5]


def test_the_others_do_not_notice_a_confirmation_while_its_tick_runs(monkeypatch):
    monkeypatch.setattr("asyncio.current_task", lambda: None)
    now = clock.now()
    tender = evaluated_tender(
        "98.00", "97.00", start=now, procedure="auction_japanese", clock_interval_seconds=60,
        lot={"step_value": Decimal("10.00"), "clock_price": Decimal("60.00")},
    )  # fmt: skip
    (auction,) = auctions.schedule(tender.pk, at=now - timedelta(seconds=30))
    auctions.start(auction.pk, at=now)
    own, rival = seats(auction)
    viewer, lot = rooms.bidder(own.participant.pk), auction.lot_id
    auctions.advance(auction.pk, at=now)
    feed = Feed(lot, auction.pk)
    watcher = Subscriber(Ticket(lot, own.by.person.pk, own.participant.pk, True), viewer, 0)
    feed.read()
    assert feed.frame(watcher)

    def seen():
        hall = rooms.hall(auction.pk)
        return state(hall, viewer, now)

    before, known = seen(), feed.number
    confirmation = WaitingBid(
        lot, rival.participant.pk, rival.by.person.pk, None, "rivals-key", now + timedelta(seconds=1), Action.CONFIRM
    )
    assert Desk().decide([confirmation])[0].accepted
    feed.take(list(rooms.events(auction.pk, after=feed.number)))
    # Neither an empty frame, nor another number on a page that is loaded anew.
    assert feed.frame(watcher) is None
    assert watcher.seen == feed.number > known
    assert seen() == before
    observer = Subscriber(Ticket(lot, own.by.person.pk, None, False), None, known)
    assert b'"ranking":[{"rank":1' in (feed.frame(observer) or b"")
    mine = Subscriber(watcher.ticket, rooms.bidder(rival.participant.pk), known)
    assert b'"confirm"' in (feed.frame(mine) or b"")
    # What follows has the number after the last one told: nobody can count what it missed.
    auctions.pause(auction.pk, "A word.", by=staff(StaffRole.OPERATOR), at=now + timedelta(seconds=2))
    feed.take(list(rooms.events(auction.pk, after=feed.number)))
    told, update_of = before["number"] + 1, feed.frame(watcher) or b""
    assert update_of.startswith(f"id: {told}\n".encode())
    assert f'"number":{told},"kind":"paused"'.encode() in update_of
    assert seen()["number"] == told == feed.number - 1
    assert feed.seen_by(viewer, told) == feed.number
    assert [feed.seen_by(viewer, number) for number in (before["number"], told + 1)] == [known + 1, 0]
