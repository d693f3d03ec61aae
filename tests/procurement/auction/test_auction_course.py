"""What time alone brings about, written by the clock: in order, never ahead of a move on its way, through pauses."""

from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace.models import Heartbeat, Notification, StaffRole
from marketplace.services import timekeeping
from procurement.auction import clock
from procurement.auction.replay import replay_lot
from procurement.auction.room import Desk, WaitingBid
from procurement.models import Auction, AuctionEvent, DueMoment, MomentKind
from procurement.queries import auctions as rooms
from procurement.rules.auction import kinds
from procurement.rules.auction.base import Action
from procurement.rules.auction.document import check
from procurement.services import auction_protocol, auctions, outages, pulse
from tests.database_time import look_at
from tests.factories.auctions import START, evaluated_tender, seats
from tests.factories.marketplace import staff
from tests.factories.procurement import published_tender

pytestmark = pytest.mark.django_db


def later(seconds):
    return START + timedelta(seconds=seconds)


@pytest.fixture
def dutch():
    """A price clock from 60.00 up to the limit of 100.00, by 10.00 every minute."""
    tender = evaluated_tender("98.00", "97.00")
    tender.procedure, tender.settings = "auction_dutch", {"clock_interval_seconds": 60}
    tender.save()
    tender.lots.update(clock_price=Decimal("60.00"), step_value=Decimal("10.00"))
    (auction,) = auctions.schedule(tender.pk, at=later(-30))
    clock.tick(later(0.1))
    return auction


def told(auction, kind="tick"):
    """When each happened, in seconds after the start."""
    found = AuctionEvent.objects.filter(auction=auction, kind=kind).order_by("number")
    return [(at - START).total_seconds() for at in found.values_list("at", flat=True)]


def accept(seat, seconds):
    lot = seat.participant.auction.lot_id
    move = WaitingBid(lot, seat.participant.pk, seat.by.person.pk, None, "accept-1", later(seconds), Action.ACCEPT)
    return Desk().decide([move])[0]


def test_ticks_are_written_at_their_times_however_late_the_clock_comes(dutch):
    assert told(dutch) == [0]
    for seconds in (59.9, 60.2, 185):
        clock.tick(later(seconds))
    assert told(dutch) == [0, 60, 120, 180]
    waiting = DueMoment.objects.get(kind=MomentKind.AUCTION_MOVES, done_at=None)
    assert waiting.due_at == waiting.next_try_at == later(240)
    assert replay_lot(dutch.lot_id).differences == ()


def test_a_gateway_stands_in_for_the_clock_where_none_lives_and_for_nothing_but_the_course(dutch):
    another = published_tender()
    DueMoment.objects.filter(tender=another).update(next_try_at=later(-100))
    late = 60 + clock.STANDS_IN_AFTER.total_seconds()
    assert clock.stand_in(later(late - 0.1)) == 0
    assert told(dutch) == [0]
    assert clock.stand_in(later(late)) == 1
    assert clock.stand_in(later(late)) == 0
    assert told(dutch) == [0, 60]
    assert clock.stand_in(later(400)) == 1
    # The end is the clock's, and comes with it: no price is left out, and none is named that was not reached.
    assert told(dutch) == [0, 60, 120, 180, 240]
    assert list(DueMoment.objects.filter(done_at=None).order_by("kind").values_list("kind", flat=True)) == [
        MomentKind.AUCTION_ENDS,
        MomentKind.TENDER_ENDS,
    ]
    assert replay_lot(dutch.lot_id).differences == ()


def test_no_tick_is_written_before_a_move_that_a_gateway_still_decides(dutch, monkeypatch):
    monkeypatch.setattr(timekeeping, "look", lambda: look_at(later(61)))
    pulse.gateway_beat("gateway:one:1", pulse.Progress(later(59)), since_last=None)
    clock.tick(later(61))
    assert told(dutch) == [0]
    answer = accept(seats(dutch)[0], 59.5)
    assert (answer.code, answer.amount) == (None, "60.00")
    clock.tick(later(61.3))
    assert told(dutch) == [0]


def test_a_round_of_the_clock_ends_though_a_gateway_decides_neither_the_next_tick_nor_the_end(dutch, monkeypatch):
    """The tick and the end both have to come again, and neither makes the other due at once."""
    pulse.gateway_beat("gateway:one:1", pulse.Progress(later(59)), since_last=None)
    Heartbeat.objects.update(at=later(302.5))
    rounds, carry_out_next = [], clock._carry_out_next

    def carry_out(at, **more):
        rounds.append(at)
        assert len(rounds) < 20, "the round does not end"
        return carry_out_next(at, **more)

    monkeypatch.setattr(clock, "_carry_out_next", carry_out)
    for seconds in (302.5, 302.8):
        Heartbeat.objects.update(at=later(seconds))
        clock.tick(later(seconds))
    assert told(dutch) == [0]
    waiting = DueMoment.objects.filter(done_at=None, kind__startswith="auction_").values_list("next_try_at", flat=True)
    assert set(waiting) == {later(302.8) + timedelta(milliseconds=250)}


def test_a_pause_moves_the_ticks_that_are_to_come(dutch):
    operator = staff(StaffRole.OPERATOR)
    auctions.pause(dutch.pk, "Bidders cannot reach us.", by=operator, at=later(90))
    clock.tick(later(150))
    assert told(dutch) == [0, 60]
    auctions.resume(dutch.pk, by=operator, at=later(190))
    clock.tick(later(225))
    assert told(dutch) == [0, 60, 220]
    assert replay_lot(dutch.lot_id).differences == ()


def test_time_given_back_runs_no_tick_a_second_time(dutch):
    """An operator says that bidders were cut off for a minute before the pause: the tick that runs becomes longer."""
    operator = staff(StaffRole.OPERATOR)
    clock.tick(later(125))
    auctions.pause(dutch.pk, "Bidders cannot reach us.", by=operator, at=later(130))
    auctions.resume(dutch.pk, by=operator, at=later(200), outage_began_at=later(65))
    hall = rooms.hall(dutch.pk)
    course = kinds.course(hall.room, later(201))
    assert (course.number, course.price, course.until) == (2, 80, later(315))
    assert accept(seats(dutch)[0], 201).amount == "80.00"
    assert told(dutch) == [0, 60, 120]
    assert replay_lot(dutch.lot_id).differences == ()


def test_a_pause_writes_no_tick_before_a_move_that_a_gateway_still_decides(dutch, monkeypatch):
    """It is refused as paused then, and has the rest of its tick when the auction goes on."""
    operator = staff(StaffRole.OPERATOR)
    monkeypatch.setattr(timekeeping, "look", lambda: look_at(later(61)))
    pulse.gateway_beat("gateway:one:1", pulse.Progress(later(59)), since_last=None)
    auctions.pause(dutch.pk, "Bidders cannot reach us.", by=operator, at=later(61))
    assert (told(dutch), accept(seats(dutch)[0], 59.5).code) == ([0], "auction_paused")
    Heartbeat.objects.update(at=later(99))
    auctions.resume(dutch.pk, by=operator, at=later(100))
    assert accept(seats(dutch)[0], 100.5).amount == "60.00"
    assert replay_lot(dutch.lot_id).differences == ()


def test_an_outage_moves_the_ticks_that_are_to_come(dutch, monkeypatch):
    for seconds in (58, 158):
        monkeypatch.setattr(timekeeping, "look", lambda at=seconds: look_at(later(at)))
        pulse.gateway_beat("gateway:one:1", pulse.Progress(later(seconds)), since_last=None)
        outages.attend("clock:one:1")
        clock.tick(later(seconds))
    assert told(dutch) == [0]
    monkeypatch.setattr(timekeeping, "look", lambda: look_at(later(161)))
    pulse.gateway_beat("gateway:one:1", pulse.Progress(later(161)), since_last=None)
    clock.tick(later(161))
    assert told(dutch) == [0, 160]
    dutch.refresh_from_db()
    assert dutch.ends_at == later(400)


def test_no_tick_of_an_outage_is_written_where_its_end_is_told_while_a_gateway_stands_in(dutch, monkeypatch):
    """Nobody had noticed it: it is recorded with the sign that ends it, by which the ticks would have been decided."""
    decided = pulse.decided_by_all

    def sign(seconds):
        monkeypatch.setattr(timekeeping, "look", lambda: look_at(later(seconds)))
        pulse.gateway_beat("gateway:one:1", pulse.Progress(later(seconds)), since_last=None)

    def decided_once_a_sign_came(at):
        sign(158)
        return decided(at)

    sign(58)
    monkeypatch.setattr(pulse, "decided_by_all", decided_once_a_sign_came)
    assert auctions.advance(dutch.pk, at=later(158)) is None
    assert told(dutch) == [0]


def test_a_pause_before_an_outage_is_made_up_for_writes_none_of_its_ticks(dutch, monkeypatch):
    operator = staff(StaffRole.OPERATOR)
    for seconds in (70, 170):
        monkeypatch.setattr(timekeeping, "look", lambda at=seconds: look_at(later(at)))
        pulse.gateway_beat("gateway:one:1", pulse.Progress(later(seconds)), since_last=None)
    auctions.pause(dutch.pk, "Bidders cannot reach us.", by=operator, at=later(170))
    outages.attend("clock:one:1")
    assert told(dutch) == [0, 60]
    resumed = auctions.resume(dutch.pk, by=operator, at=later(175))
    assert resumed.ends_at == later(300 + 105)
    assert replay_lot(dutch.lot_id).differences == ()


def test_an_accepted_price_ends_the_auction_at_once_and_its_protocol_holds(dutch):
    clock.tick(later(65))
    assert accept(seats(dutch)[1], 70).amount == "70.00"
    clock.tick(later(72.1))
    found = Auction.objects.select_related("lot__tender__buyer").get()
    assert (found.status, found.ended_at) == ("ended", later(70))
    _hall, came_out = check(auction_protocol.document(found))
    assert (came_out["winner"], came_out["price"]) == (seats(dutch)[1].participant.label, "70.00")
    assert not DueMoment.objects.filter(done_at=None, kind__startswith="auction_").exists()


def test_a_clock_that_nobody_stops_leaves_the_lot_unsuccessful_and_says_why(dutch):
    pulse.gateway_beat("gateway:here:1", pulse.Progress(later(400)), since_last=None)
    Heartbeat.objects.update(at=later(302.5))
    clock.tick(later(302.5))
    dutch.refresh_from_db()
    lot = dutch.lot
    assert (dutch.status, lot.status) == ("ended", "unsuccessful")
    assert lot.closing_reason == "No bidder took a price in the auction."
    assert {bid.decision_reason for bid in lot.bids.all()} == {"It took no price in the auction."}
    told = Notification.objects.filter(kind="bid_rejected", text__contains="you took no price in it").count()
    assert told == lot.bids.count()
    lot.tender.refresh_from_db()
    assert lot.tender.status == "unsuccessful"
    assert "No bidder took a price" in lot.tender.closing_reason
    assert replay_lot(lot.pk).differences == ()
