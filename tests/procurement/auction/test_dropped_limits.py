"""The system bids for nobody who may bid no more: that is asked again with every batch, as it is of bids."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import connection, transaction

from marketplace.models import OrganisationStatus
from procurement.auction import asking
from procurement.auction.projection import update
from procurement.auction.replay import replay_lot
from procurement.auction.room import Desk
from procurement.models import AuctionEvent, Bid
from procurement.queries import auctions as rooms
from procurement.rules.auction import kinds
from procurement.rules.auction.base import Action
from procurement.rules.auction.document import check
from procurement.rules.lifecycle import BidStatus
from procurement.services import auction_log, auction_pdf, auction_protocol, auctions
from tests.factories.at_once import wait_until_blocked
from tests.factories.auctions import START, running_auction, running_auctions, seats

pytestmark = pytest.mark.django_db


def later(seconds):
    return START + timedelta(seconds=seconds)


def limit(seat, amount, at):
    return replace(seat.bid(amount, at, key=f"limit-{amount}"), action=Action.LIMIT)


def logged(auction):
    """What followed the start: kind, bidder and amount."""
    events = AuctionEvent.objects.filter(auction=auction, number__gt=2).order_by("number")
    return [(event.kind, event.participant_id, event.amount) for event in events]


def suspended(supplier):
    supplier.status = OrganisationStatus.SUSPENDED
    supplier.save()


def rejected(supplier):
    Bid.objects.filter(supplier=supplier).update(status=BidStatus.REJECTED.value)


def revoked(supplier):
    assert supplier.accreditations.update(status="revoked", valid_until=None)


def lapsed(supplier):
    assert supplier.accreditations.update(valid_until=START)


def unpaid(supplier):
    assert supplier.subscriptions.update(status="cancelled")


@pytest.mark.parametrize("become", [suspended, rejected, revoked, lapsed, unpaid])
def test_a_limit_is_dropped_before_the_next_bid_is_decided(become):
    auction = running_auction(proxy_bids=True)
    a, b, c = seats(auction)
    desk, other_process = Desk(), Desk()
    assert [one.code for one in desk.decide([limit(b, "50.00", later(1)), a.bid("96.00", later(2))])] == [None, None]
    assert rooms.hall(auction.pk).room.leader.amount == D("95.00")
    become(b.participant.supplier)
    (answer,) = other_process.decide([c.bid("94.00", later(3))])
    # The others count neither the limit nor that it was dropped.
    assert (answer.code, answer.number) == (None, 6)
    (again,) = desk.decide([a.bid("93.00", later(4))])
    assert (again.code, again.number) == (None, 7)
    assert logged(auction)[3:] == [
        ("automatic_bids", None, None),
        ("limit_dropped", b.participant.pk, None),
        ("bid", c.participant.pk, D("94.00")),
        ("bid", a.participant.pk, D("93.00")),
    ]
    # What it had bid stands.
    b.participant.refresh_from_db()
    assert b.participant.standing_amount == D("95.00")
    assert replay_lot(auction.lot_id).differences == ()
    (repeated,) = Desk().decide([a.bid("93.00", later(5))])
    assert (repeated.repeated, repeated.number) == (True, 7)
    assert asking.kept(auction.lot_id, a.participant.pk, "key-93.00").number == 7


def test_who_set_it_is_told_and_the_others_learn_nothing_until_the_end():
    auction = running_auction(proxy_bids=True)
    a, b, _ = seats(auction)
    Desk().decide([limit(b, "50.00", later(1))])
    suspended(b.participant.supplier)
    Desk().decide([a.bid("94.00", later(2))])
    hall, events = rooms.hall(auction.pk), [event for event, _ in rooms.events(auction.pk)]
    told = {
        viewer: update(hall, events, viewer and rooms.bidder(viewer.participant.pk), later(3))
        for viewer in (a, b, None)
    }
    numbers = {viewer: [event["number"] for event in sent["events"]] for viewer, sent in told.items()}
    assert numbers[a] == [1, 2, 3, 4]
    assert all("limit" not in event["kind"] for viewer in (a, None) for event in told[viewer]["events"])
    assert [event["kind"] for event in told[b]["events"]][-2:] == ["limit_dropped", "bid"]
    assert told[b]["state"]["own"]["limit"] is None
    ended = auctions.end(auction.pk, at=auction.ends_at + auctions.DRAIN)
    document = auction_protocol.document(ended)
    assert check(document)[1]["winner"] == a.participant.label
    assert auction_pdf.of(document).startswith(b"%PDF")


def test_who_may_bid_again_before_anybody_did_keeps_its_limit_and_else_sets_one_anew():
    auction = running_auction(proxy_bids=True)
    a, b, c = seats(auction)
    desk, supplier = Desk(), b.participant.supplier
    desk.decide([limit(b, "50.00", later(1))])
    suspended(supplier)
    supplier.status = OrganisationStatus.REGISTERED
    supplier.save()
    desk.decide([a.bid("94.00", later(2))])
    assert rooms.hall(auction.pk).room.leader.bidder == rooms.bidder(b.participant.pk)
    suspended(supplier)
    assert [one.code for one in desk.decide([a.bid("94.00", later(3), "lost"), limit(b, "40.00", later(4))])] == [
        "step_not_met",
        "not_a_participant",
    ]
    assert kinds.limited(rooms.hall(auction.pk).room) == ()  # dropped all the same, by a bid that was refused
    supplier.status = OrganisationStatus.REGISTERED
    supplier.save()
    assert [one.code for one in desk.decide([c.bid("92.00", later(5)), limit(b, "45.00", later(6))])] == [None, None]
    assert rooms.hall(auction.pk).room.leader.amount == D("91.00")
    assert replay_lot(auction.lot_id).differences == ()


def test_in_a_batch_of_several_lots_each_keeps_and_loses_its_own():
    one, two = running_auctions(lots=2, proxy_bids=True)
    (a, b, c), (x, y, z) = seats(one), seats(two)
    desk = Desk()
    desk.decide([limit(b, "50.00", later(1)), limit(c, "60.00", later(2)), limit(y, "50.00", later(2))])
    suspended(b.participant.supplier)
    answers = desk.decide([x.bid("90.00", later(3)), a.bid("30.00", later(3)), z.bid("80.00", later(4))])
    assert [answer.code for answer in answers] == [None] * 3
    assert [kinds.limited(rooms.hall(each.pk).room) for each in (one, two)] == [
        (rooms.bidder(c.participant.pk),),
        (rooms.bidder(y.participant.pk),),
    ]
    assert replay_lot(one.lot_id).differences == replay_lot(two.lot_id).differences == ()


def test_what_ends_while_the_auction_runs_ends_no_limit():
    """As bids go on being taken until the end: nobody shall lose an auction to midnight."""
    auction = running_auction(proxy_bids=True)
    a, b, _ = seats(auction)
    Desk().decide([limit(b, "50.00", later(1))])
    b.participant.supplier.accreditations.update(valid_until=later(2))
    b.participant.supplier.subscriptions.update(ends_at=later(2))
    # The limit is the organisation's, also when who set it has gone.
    b.by.person.memberships.update(active=False)
    Desk().decide([a.bid("94.00", later(3))])
    assert rooms.hall(auction.pk).room.leader.bidder == rooms.bidder(b.participant.pk)


def test_it_is_asked_once_for_a_batch_and_only_where_somebody_has_a_limit(monkeypatch):
    sent = []
    execute = auction_log.execute
    auction = running_auction(*["100.00"] * 5, proxy_bids=True)
    bidders = seats(auction)
    desk = Desk()
    desk.decide([bidders[0].bid("99.00", later(1))])
    monkeypatch.setattr(auction_log, "execute", lambda *given: sent.append(given[0]) or execute(*given))
    desk.decide([bidders[1].bid("98.00", later(1))])
    without = len(sent)
    desk.decide([limit(seat, f"{n}0.00", later(2)) for n, seat in enumerate(bidders[:4], start=4)])
    for bids in ([(4, "30.00")], [(n % 5, f"{29 - n % 20}.00") for n in range(40)]):
        sent.clear()
        desk.decide([bidders[n].bid(amount, later(3), f"of-{n}-{amount}") for n, amount in bids])
        assert len(sent) == without + 1


@pytest.mark.django_db(transaction=True)
def test_a_suspension_while_the_batch_waits_for_the_lot_is_seen():
    auction = running_auction(proxy_bids=True)
    a, b, _ = seats(auction)
    Desk().decide([limit(b, "50.00", later(1))])

    def bid():
        try:
            return Desk().decide([a.bid("94.00", later(2))])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            auction_log.lock([auction.lot_id])
            waiting = pool.submit(bid)
            wait_until_blocked()
            suspended(b.participant.supplier)
        assert [answer.code for answer in waiting.result()] == [None]
    assert rooms.hall(auction.pk).room.leader.bidder == rooms.bidder(a.participant.pk)
    assert replay_lot(auction.lot_id).differences == ()
