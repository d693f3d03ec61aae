"""Outages: noticed by the processes' own signs of life, made up for once, and told in the log."""

from datetime import timedelta

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from marketplace.models import AuditRecord, ClockStep, Heartbeat, Notification, StaffRole
from marketplace.services import timekeeping
from procurement.auction import clock
from procurement.auction.replay import replay_lot
from procurement.auction.room import Desk
from procurement.models import Auction, AuctionEvent, DueMoment, Outage, OutageEffect
from procurement.queries import auctions as rooms
from procurement.rules.auction.document import check
from procurement.rules.auction.log import replay
from procurement.services import auction_protocol, auctions, outages, pulse
from tests.database_time import look_at
from tests.factories.at_once import at_the_same_time
from tests.factories.auctions import START, evaluated_tender, running_auction, seats
from tests.factories.marketplace import staff

pytestmark = pytest.mark.django_db
GATEWAY = "gateway:one:1"


def later(seconds):
    return START + timedelta(seconds=seconds)


@pytest.fixture
def at(monkeypatch):
    """Hold the platform's time: `at(seconds)` after the auction's start."""
    held = [START]

    def hold(seconds):
        held[0] = later(seconds)
        return held[0]

    monkeypatch.setattr(timekeeping, "look", lambda: look_at(held[0]))
    return hold


@pytest.fixture
def sign(at):
    """A gateway's sign so many seconds after the start: it has decided everything, unless said otherwise."""

    def give(seconds, process=GATEWAY, decided=None, since_last=None):
        found = at(seconds)
        told = found if decided is None else later(decided)
        return pulse.gateway_beat(process, pulse.Progress(told), since_last=since_last)

    return give


def attend(seconds):
    outages.attend("clock:one:1")
    outages.settle_all(later(seconds))


def log_of(auction):
    return list(AuctionEvent.objects.filter(auction=auction).order_by("number").values_list("kind", flat=True))


def test_a_gap_between_signs_is_given_back_once_and_everybody_is_told(sign):
    auction = running_auction(hard_stop_minutes=15)
    operator = staff(StaffRole.OPERATOR)
    sign(100)
    sign(160)
    for _ in range(3):
        attend(160)
        outages.make_up(outages.owed())
    auction.refresh_from_db()
    assert (auction.status, auction.ends_at, auction.hard_stop_at) == ("running", later(660), later(960))
    assert log_of(auction) == ["scheduled", "started", "paused", "resumed"]
    paused, resumed = AuctionEvent.objects.filter(auction=auction, number__gt=2).order_by("number")
    assert paused.detail["reason"] == "The platform could not take bids for 60 seconds."
    assert (paused.person, resumed.person, resumed.detail["outage_s"]) == (None, None, 60)
    assert resumed.detail["outage_began_at"] == "2026-03-02T12:02:40.000000Z"
    assert replay(auction.pk, rooms.events(auction.pk)).room.ends_at == later(660)
    assert DueMoment.objects.get(kind="auction_ends", done_at=None).due_at == later(660)
    record = AuditRecord.objects.get(action="platform.outage")
    assert (record.details["seconds"], record.details["auctions"], record.person) == (60, [auction.pk], None)
    told = Notification.objects.filter(kind="auction_outage")
    assert {one.organisation_id for one in told} >= {seat.participant.supplier_id for seat in seats(auction)}
    assert Notification.objects.filter(kind="outage", person=operator.person).count() == 1
    a, *_ = seats(auction)
    assert [x.code for x in Desk().decide([a.bid("90.00", later(170))])] == [None]


@pytest.mark.parametrize("seen", [False, True])
def test_of_two_outages_in_a_row_no_time_is_given_back_twice(seen, sign, at):
    """The platform was there for one sign, and away again before it could make up for the first."""
    auction = running_auction()
    sign(100)
    if seen:
        at(111)
        attend(111)
    sign(160)
    sign(220)
    attend(220)
    auction.refresh_from_db()
    assert (auction.status, auction.ends_at) == ("running", later(600 + 120))
    assert log_of(auction) == ["scheduled", "started", "paused", "resumed"]
    assert [effect.moved_by for effect in OutageEffect.objects.all()] == [timedelta(seconds=120), None]
    assert not outages.owed()


def test_signs_within_the_tolerance_are_no_outage(sign):
    auction = running_auction()
    for seconds in (100, 110, 119):
        sign(seconds)
    attend(120)
    assert not Outage.objects.exists()
    assert log_of(auction) == ["scheduled", "started"]


def test_an_outage_that_a_clock_sees_pauses_auctions_until_a_gateway_is_back(sign, at):
    auction = running_auction()
    operator = staff(StaffRole.OPERATOR)
    (a, *_) = seats(auction)
    sign(100)
    at(111)
    attend(111)
    attend(115)
    auction.refresh_from_db()
    assert (auction.status, auction.paused_at) == ("paused", later(100))
    assert [x.code for x in Desk().decide([a.bid("90.00", later(116))])] == ["auction_paused"]
    with pytest.raises(auctions.PlatformNotTakingBids):
        auctions.resume(auction.pk, by=operator, at=later(120))
    sign(400)
    outages.make_up(outages.owed())
    attend(401)
    auction.refresh_from_db()
    assert (auction.status, auction.ends_at, auction.paused_at) == ("running", later(900), None)
    assert log_of(auction) == ["scheduled", "started", "paused", "resumed"]
    assert Outage.objects.get().noticed_by == "clock:one:1"
    assert OutageEffect.objects.get().moved_by == timedelta(seconds=300)
    assert replay(auction.pk, rooms.events(auction.pk)).room.ends_at == later(900)


def test_an_auction_whose_end_fell_into_the_outage_is_extended_and_not_closed(sign, at):
    auction = running_auction()
    (a, *_) = seats(auction)
    sign(599)
    for seconds in (602, 640):
        at(seconds)
        clock.tick(later(seconds))
        auction.refresh_from_db()
        assert auction.status == ("running" if seconds == 602 else "paused")
    sign(650)
    clock.tick(later(650))
    auction.refresh_from_db()
    assert (auction.status, auction.ends_at) == ("running", later(651))
    assert [x.code for x in Desk().decide([a.bid("90.00", later(650.5))])] == [None]
    auction.refresh_from_db()
    assert auction.ends_at == later(830.5)
    for seconds in range(660, 841, 10):
        sign(seconds)
    clock.tick(later(841))
    auction.refresh_from_db()
    assert (auction.status, auction.ended_at) == ("ended", later(830.5))
    assert log_of(auction).count("ended") == 1


def test_what_ended_before_the_outage_ends_when_a_gateway_is_back(sign, at):
    auction = running_auction()
    sign(600.5)
    at(640)
    clock.tick(later(640))
    sign(700)
    clock.tick(later(700))
    auction.refresh_from_db()
    assert (auction.status, auction.ended_at) == ("ended", later(600))
    assert OutageEffect.objects.count() == 0


def test_a_start_that_was_missed_is_put_off_with_notice(sign, at, settings):
    settings.AUCTION_RESTART_NOTICE_SECONDS = 60
    tender = evaluated_tender("98.00", "97.00", hard_stop_minutes=20)
    (auction,) = auctions.schedule(tender.pk, at=later(-30))
    sign(-20)
    at(1)
    clock.tick(later(1))
    auction.refresh_from_db()
    assert auction.status == "scheduled"
    sign(100)
    clock.tick(later(100))
    auction.refresh_from_db()
    tender.refresh_from_db()
    assert (auction.status, auction.starts_at, auction.ends_at) == ("scheduled", later(160), later(760))
    assert (auction.hard_stop_at, tender.auction_starts_at) == (later(160 + 1200), later(160))
    assert log_of(auction) == ["scheduled", "retimed"]
    assert rooms.hall(auction.pk).room.starts_at == later(160)
    sign(160)
    clock.tick(later(160))
    auction.refresh_from_db()
    assert (auction.status, auction.ends_at) == ("running", later(760))


def test_an_operators_pause_lasts_through_an_outage_and_gives_back_what_was_lost_before_it(sign):
    auction, operator = running_auction(), staff(StaffRole.OPERATOR)
    sign(100)
    auctions.pause(auction.pk, "Bidders cannot reach us.", by=operator, at=later(130))
    sign(190)
    attend(190)
    auction.refresh_from_db()
    assert (auction.status, auction.paused_at) == ("paused", later(100))
    resumed = auctions.resume(auction.pk, by=operator, at=later(200))
    attend(201)
    assert (resumed.status, resumed.ends_at) == ("running", later(700))


def test_an_auction_that_began_after_the_outage_did_gets_back_no_more_than_it_lost(sign):
    sign(-5)
    auction = running_auction()
    sign(40)
    attend(40)
    auction.refresh_from_db()
    assert auction.ends_at == later(640)


def test_a_new_time_that_is_taken_over_takes_nothing_from_bidders_and_is_named(sign):
    auction = running_auction()
    sign(100)
    sign(3701, since_last=timedelta(seconds=1))
    attend(3701)
    auction.refresh_from_db()
    assert auction.ends_at == later(600 + 3601)
    assert Outage.objects.get().detail == {"ended_by": GATEWAY, "clock_forward_s": 3600}
    paused = AuctionEvent.objects.get(auction=auction, kind="paused")
    assert paused.detail["reason"] == "The platform’s clock was set forward by 3601 seconds."


def test_an_auction_closes_when_every_gateway_that_lives_has_decided_what_was_in_time(sign):
    auction = running_auction()
    sign(601, "gateway:two:1", decided=599)
    sign(601)
    clock.tick(later(602))
    auction.refresh_from_db()
    assert auction.status == "running"
    sign(602.5, "gateway:two:1")
    clock.tick(later(602.6))
    auction.refresh_from_db()
    assert (auction.status, auction.ended_at) == ("ended", later(600))


def test_neither_a_gateway_that_is_gone_nor_one_that_is_stuck_keeps_an_auction_open(sign):
    first, second = running_auction(), running_auction()
    Auction.objects.filter(pk=second.pk).update(ends_at=later(660))
    sign(595, "gateway:gone:1", decided=594)
    sign(604)
    clock.tick(later(606))
    first.refresh_from_db()
    assert first.status == "ended"
    for seconds in range(610, 700, 5):
        sign(seconds)
        sign(seconds, "gateway:stuck:1", decided=600)
    assert not pulse.drained(later(660), later(689))
    assert pulse.drained(later(660), later(690))


def test_a_process_that_stops_says_so_and_traces_of_the_others_go(sign, at):
    sign(0)
    sign(1, "gateway:two:1")
    pulse.farewell(GATEWAY)
    at(302)
    pulse.clock_beat("clock:one:1", overdue=0)
    assert set(Heartbeat.objects.values_list("process", flat=True)) == {"gateway", "clock", "clock:one:1"}


@pytest.mark.django_db(transaction=True)
def test_many_processes_that_make_up_for_an_outage_at_once_extend_it_once(sign):
    auction = running_auction()
    sign(100)
    sign(160)

    def process():
        outages.attend("clock")
        outages.settle_all(later(161))

    assert at_the_same_time(*[process] * 4) == [None] * 4
    auction.refresh_from_db()
    assert auction.ends_at == later(660)
    assert log_of(auction) == ["scheduled", "started", "paused", "resumed"]
    assert AuditRecord.objects.filter(action="platform.outage").count() == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bid"), st.integers(0, 2), st.integers(1, 4), st.sampled_from([0.000001, 1, 30, 170])),
        st.tuples(st.sampled_from(["pause", "resume", "outage", "seen outage", "wait"]), st.integers(1, 200)),
    ),
    max_size=15,
)


@hypothesis.settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_to_an_auction_replay_comes_to_the_same(steps, sign, at, settings):
    settings.OUTAGE_TOLERANCE_SECONDS = 100
    OutageEffect.objects.all().delete()
    Outage.objects.all().delete()
    Heartbeat.objects.all().delete()
    auction, operator = running_auction(hard_stop_minutes=40), staff(StaffRole.OPERATOR)
    places, now, lost, stopped = seats(auction), 0.0, timedelta(), None
    sign(now)

    def signs(seconds):
        """Signs often enough, as of a platform that is well."""
        nonlocal now
        for _ in range(int(seconds // 90)):
            now += 90
            sign(now)
        now += seconds % 90
        sign(now)

    def status():
        auction.refresh_from_db()
        return auction.status

    for step, *what in steps:
        if status() == "ended":
            break
        if step == "bid":
            place, steps_down, wait = what
            signs(wait)
            best = min(seat.standing_amount for seat in auction.participants.all())
            Desk().decide([places[place].bid(str(best - steps_down), later(now), key=f"key-{now}")])
        elif step == "pause" and status() == "running":
            auctions.pause(auction.pk, "As it must be.", by=operator, at=later(now))
            stopped = now
        elif step == "resume" and status() == "paused":
            auctions.resume(auction.pk, by=operator, at=later(now))
            lost, stopped = lost + timedelta(seconds=now - stopped), None
        elif step in ("outage", "seen outage"):
            began, length = now, what[0] + 100.5
            if step == "seen outage":
                at(now + 100.4)
                clock.tick(later(now + 100.4))
            now += length
            sign(now)
            if stopped is None and later(began) < Auction.objects.get(pk=auction.pk).ends_at:
                lost += timedelta(seconds=length)
            outages.attend("clock:one:1")
        elif step == "wait":
            signs(what[0])
        clock.tick(later(now))
    if status() == "paused":
        auctions.resume(auction.pk, by=operator, at=later(now))
        lost += timedelta(seconds=now - stopped)
    while status() != "ended":
        signs((auction.ends_at - later(now)).total_seconds() + 3)
        clock.tick(later(now))
    found = replay_lot(auction.lot_id)
    assert found.differences == ()
    assert found.hall == rooms.hall(auction.pk)
    assert found.hall.room.delay == lost
    assert log_of(auction).count("ended") == 1
    check(auction_protocol.document(Auction.objects.select_related("lot__tender__buyer").get(pk=auction.pk)))


@pytest.mark.parametrize("count", [1, 3])
def test_the_operators_page_shows_what_runs_what_is_late_and_outages(
    count, sign, at, client, django_assert_max_num_queries
):
    found = [running_auction() for _ in range(count)]
    for number in range(count):
        sign(100 * number)
        sign(100 * number + 60)
        attend(100 * number + 60)
    DueMoment.objects.filter(tender=found[0].lot.tender).update(attempts=3, last_error="ValueError: in a bad way")
    client.force_login(staff(StaffRole.OPERATOR).person)
    at(3600)
    with django_assert_max_num_queries(26):
        page = client.get("/staff/outages/").content.decode()
    assert page.count("Extended by the time lost") >= count
    assert "ValueError: in a bad way" in page
    assert found[0].lot.tender.number in page
    assert "gateway:one:1" in page


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
def test_operators_see_what_the_databases_clock_was_set_by_and_may_take_its_time_over(step, client):
    ClockStep.objects.create(at=START, by=step, noticed_by=GATEWAY)
    client.force_login(staff(StaffRole.AUDITOR).person)
    assert "Take over" not in client.get("/staff/outages/").content.decode()
    client.force_login(staff(StaffRole.OPERATOR).person)
    page = client.get("/staff/outages/").content.decode()
    forward = step > timedelta()
    assert f"It is 1 hour {'ahead of' if forward else 'behind'} the platform’s time" in page
    assert f"{'forward' if forward else 'back'} by 1 hour, noticed by <bdi>{GATEWAY}</bdi>" in page
    assert ("/staff/outages/clock/" in page) == forward
    assert "Take over the database’s time?" in client.get("/staff/outages/clock/").content.decode()
    page = client.post("/staff/outages/clock/", follow=True).content.decode()
    told = "The platform goes by the database’s clock." if forward else "would go back by 3600 seconds"
    assert told in page
    assert timekeeping.left_out().exists() != forward
