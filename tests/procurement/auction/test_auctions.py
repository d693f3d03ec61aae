"""The life of an auction: scheduled, started, paused, ended, cancelled."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from marketplace.models import AuditRecord, StaffRole
from marketplace.shared.errors import IllegalTransition, NotFound
from procurement.auction.room import Desk
from procurement.models import Auction, Bid, DueMoment, MomentKind
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from procurement.services import auctions
from tests.factories.auctions import START, evaluated_tender, running_auction, running_auctions, seats
from tests.factories.marketplace import member, staff

pytestmark = pytest.mark.django_db


def later(seconds):
    return START + timedelta(seconds=seconds)


def waiting(kind):
    return list(DueMoment.objects.filter(kind=kind, done_at=None).values_list("due_at", flat=True))


def test_lots_with_enough_bidders_get_an_auction_at_the_planned_time():
    tender = evaluated_tender("98.00", "97.00", lots=2)
    lonely = tender.lots.last()
    lonely.bids.first().delete()
    (auction,) = auctions.schedule(tender.pk, at=later(-30))
    tender.refresh_from_db()
    assert (tender.status, tender.auction_starts_at) == ("auction", START)
    assert (auction.lot.number, auction.status, auction.starts_at, auction.ends_at) == (
        1,
        "scheduled",
        START,
        later(600),
    )
    assert auction.rules["step"] == "1.00"
    assert auction.start_price == D("100")
    assert sorted(auction.participants.values_list("label", "initial_amount", "standing_amount")) == sorted(
        (seat.label, seat.bid.amount, seat.bid.amount) for seat in auction.participants.all()
    )
    assert {seat.label for seat in auction.participants.all()} == {"1", "2"}
    assert waiting(MomentKind.AUCTION_STARTS) == [START]
    assert AuditRecord.objects.filter(stream=f"tender:{tender.pk}", action="auction.scheduled").count() == 1
    assert replay(auction.pk, rooms.events(auction.pk)).number == 1


def test_a_planned_time_that_has_passed_is_put_off_by_the_procedures_delay():
    tender = evaluated_tender("98.00", "97.00")
    (auction,) = auctions.schedule(tender.pk, at=later(3600))
    assert auction.starts_at == later(3660)


def test_an_auction_whose_start_was_put_off_meanwhile_does_not_start():
    """Whoever was to start it waited for the lock of who put it off. No log with a start before its time holds."""
    (auction,) = auctions.schedule(evaluated_tender("98.00", "97.00").pk, at=later(-30))
    with pytest.raises(auctions.AuctionNotDue):
        auctions.start(auction.pk, at=START - timedelta(microseconds=1))
    assert auctions.start(auction.pk, at=START).status == "running"


def test_one_bidder_makes_no_auction_and_moves_nothing():
    tender = evaluated_tender("98.00")
    assert auctions.schedule(tender.pk, at=START) == []
    tender.refresh_from_db()
    assert tender.status == "evaluation"


def test_an_auction_is_scheduled_only_in_evaluation():
    tender = evaluated_tender("98.00", "97.00")
    tender.status = "published"
    tender.save()
    with pytest.raises(IllegalTransition):
        auctions.schedule(tender.pk, at=START)
    assert not Auction.objects.exists()


def test_a_start_that_comes_late_gives_the_full_length():
    tender = evaluated_tender("98.00", "97.00", hard_stop_minutes=20)
    (auction,) = auctions.schedule(tender.pk, at=later(-30))
    started = auctions.start(auction.pk, at=later(90))
    assert (started.starts_at, started.ends_at, started.hard_stop_at) == (later(90), later(690), later(1290))
    assert waiting(MomentKind.AUCTION_ENDS) == [later(690)]
    hall = rooms.hall(auction.pk)
    assert (hall.room.starts_at, hall.room.ends_at) == (later(90), later(690))


def test_a_start_within_seconds_keeps_the_times():
    auction = running_auction()
    assert (auction.starts_at, auction.ends_at) == (START, later(600))


def test_the_end_writes_amounts_and_ranks_and_sends_the_tender_to_awarding():
    first, second = running_auctions(lots=2)
    a, b, c = seats(first)
    Desk().decide([a.bid("90.00", later(10)), c.bid("80.00", later(20))])
    auctions.end(first.pk, at=later(602))
    tender = first.lot.tender
    tender.refresh_from_db()
    assert tender.status == "auction"
    bids = {seat: Bid.objects.get(pk=seat.participant.bid_id) for seat in (a, b, c)}
    assert [(bid.rank, bid.amount, bid.initial_amount) for bid in bids.values()] == [
        (2, D("90.00"), D("100.00")),
        (3, D("99.00"), D("99.00")),
        (1, D("80.00"), D("98.00")),
    ]
    assert bids[c].amount_received_at == later(20)
    auctions.end(second.pk, at=later(602))
    tender.refresh_from_db()
    assert tender.status == "awarding"
    assert replay(first.pk, rooms.events(first.pk)).room.leader.bidder == rooms.bidder(c.participant.pk)


def test_an_auction_does_not_end_before_its_extended_end():
    auction = running_auction()
    (a, *_) = seats(auction)
    Desk().decide([a.bid("90.00", later(590))])
    with pytest.raises(auctions.AuctionStillRunning):
        auctions.end(auction.pk, at=later(602))
    assert auctions.end(auction.pk, at=later(772)).ended_at == later(770)


def test_an_outage_gives_back_the_time_it_took():
    auction = running_auction(hard_stop_minutes=15)
    operator = staff(StaffRole.OPERATOR)
    auctions.pause(auction.pk, "The database was not reachable.", by=operator, at=later(100))
    (a, *_) = seats(auction)
    assert [x.code for x in Desk().decide([a.bid("90.00", later(110))])] == ["auction_paused"]
    resumed = auctions.resume(auction.pk, by=operator, at=later(160), outage_began_at=later(70))
    assert (resumed.status, resumed.ends_at, resumed.hard_stop_at) == ("running", later(690), later(990))
    assert waiting(MomentKind.AUCTION_ENDS) == [later(690)]
    assert [x.code for x in Desk().decide([a.bid("90.00", later(170))])] == [None]
    assert replay(auction.pk, rooms.events(auction.pk)).number == 5
    record = AuditRecord.objects.get(action="auction.resumed")
    assert (record.person, record.details["lost_seconds"]) == (operator.person, 90)


def test_an_outage_before_the_start_gives_back_no_more_than_the_auction_lost():
    auction, operator = running_auction(), staff(StaffRole.OPERATOR)
    auctions.pause(auction.pk, "The database was not reachable.", by=operator, at=later(100))
    resumed = auctions.resume(auction.pk, by=operator, at=later(160), outage_began_at=later(-3600))
    assert resumed.ends_at == later(600 + 160)


def test_what_one_pause_gave_back_is_not_given_back_by_the_next():
    auction, operator = running_auction(), staff(StaffRole.OPERATOR)
    auctions.pause(auction.pk, "The database was not reachable.", by=operator, at=later(100))
    auctions.resume(auction.pk, by=operator, at=later(160))
    auctions.pause(auction.pk, "It is not again.", by=operator, at=later(170))
    resumed = auctions.resume(auction.pk, by=operator, at=later(180), outage_began_at=later(50))
    assert resumed.ends_at == later(600 + 60 + 20)


def test_what_has_not_begun_does_not_go_on_and_what_is_paused_does_not_begin():
    """Either would be in the log, and in no log that holds."""
    operator = staff(StaffRole.OPERATOR)
    (scheduled,) = auctions.schedule(evaluated_tender("98.00", "97.00").pk, at=later(-30))
    with pytest.raises(IllegalTransition):
        auctions.resume(scheduled.pk, by=operator, at=later(1))
    paused = auctions.pause(running_auction().pk, "As it must be.", by=operator, at=later(1))
    with pytest.raises(IllegalTransition):
        auctions.start(paused.pk, at=later(2))
    assert sorted(Auction.objects.values_list("status", flat=True)) == ["paused", "scheduled"]


def test_only_an_operator_pauses():
    auction = running_auction()
    with pytest.raises(NotFound):
        auctions.pause(auction.pk, "I am losing.", by=member(seats(auction)[0].participant.supplier), at=later(1))
    auction.refresh_from_db()
    assert auction.status == "running"


def test_a_cancelled_auction_waits_for_nothing_any_more():
    auction = running_auction()
    auctions.cancel(auction.pk, "The need is gone.", at=later(10))
    assert (waiting(MomentKind.AUCTION_STARTS), waiting(MomentKind.AUCTION_ENDS)) == ([], [])
    with pytest.raises(IllegalTransition):
        auctions.end(auction.pk, at=later(700))
    assert replay(auction.pk, rooms.events(auction.pk)).room.status == "cancelled"
