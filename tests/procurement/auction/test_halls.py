"""What a page reads of a log that it has seen before."""

from datetime import timedelta

import pytest
from django.db import connection

from procurement.auction.halls import _MOST, Halls
from procurement.auction.room import Desk
from procurement.models import AuctionEvent
from procurement.queries import auctions as rooms
from tests.factories.auctions import START, running_auction, running_auctions, seats

pytestmark = pytest.mark.django_db


def read(monkeypatch):
    """The numbers after which events were read."""
    after, events = [], rooms.events

    def noted(auction_id, **given):
        after.append(given["after"])
        return events(auction_id, **given)

    monkeypatch.setattr(rooms, "events", noted)
    return after


def test_only_what_came_since_is_read(monkeypatch):
    auction = running_auction()
    (a, *_) = seats(auction)
    halls, after = Halls(), read(monkeypatch)
    assert halls.of(auction.pk).number == 2
    Desk().decide([a.bid("90.00", START + timedelta(seconds=1))])
    after.clear()
    hall = halls.of(auction.pk)
    assert (hall, after) == (rooms.hall(auction.pk), [2, 0])
    assert halls.of(0) is None


def test_a_log_that_was_set_back_is_read_from_its_beginning(monkeypatch):
    auction = running_auction()
    a, b, _ = seats(auction)
    halls, desk = Halls(), Desk()
    desk.decide([a.bid("90.00", START + timedelta(seconds=1))])
    assert halls.of(auction.pk).room.leader.bidder == rooms.bidder(a.participant.pk)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        AuctionEvent.objects.filter(auction=auction, number=3).delete()
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    head = AuctionEvent.objects.get(auction=auction, number=2).hash
    type(auction).objects.filter(pk=auction.pk).update(last_event=2, head_hash=head)
    Desk().decide([b.bid("91.00", START + timedelta(seconds=2), "b"), a.bid("80.00", START + timedelta(seconds=3))])
    assert halls.of(auction.pk) == rooms.hall(auction.pk)


def test_no_more_than_so_many_are_kept():
    halls = Halls()
    one, two = running_auctions(lots=2)
    hall = halls.of(one.pk)
    for number in range(_MOST):
        halls._keep(type(hall)(**{**hall.__dict__, "auction": -number}))
    halls.of(two.pk)
    assert len(halls._known) == _MOST
    assert one.pk not in halls._known
