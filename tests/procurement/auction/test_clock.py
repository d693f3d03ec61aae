"""The clock: once, in order, and whatever else fails."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from marketplace.models import Heartbeat
from procurement.auction import clock
from procurement.auction.room import Desk
from procurement.models import Auction, AuctionEvent, Bid, DueMoment, MomentKind
from procurement.rules.lifecycle import AuctionStatus
from procurement.services import auctions
from tests.factories.auctions import START, evaluated_tender, running_auction, seats
from tests.factories.marketplace import NOON
from tests.factories.procurement import published_tender
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db


def later(seconds):
    return START + timedelta(seconds=seconds)


@pytest.fixture
def handlers(monkeypatch):
    """Handlers of the test's own, which note what they were given: `handlers[kind] = function`."""
    own = {}
    monkeypatch.setattr(clock, "HANDLERS", MappingProxyType(own))
    return own


def moment(**fields):
    tender = published_tender()
    DueMoment.objects.filter(tender=tender).update(**{"due_at": START, "next_try_at": START, **fields})
    return DueMoment.objects.get(tender=tender)


def test_every_kind_of_moment_has_a_handler():
    assert set(clock.HANDLERS) == set(MomentKind)


def test_a_due_moment_happens_once_and_one_that_is_not_due_waits(handlers):
    seen = []
    handlers[MomentKind.TENDER_ENDS] = lambda row, at: seen.append((row.pk, at))
    due, not_due = moment(), moment(next_try_at=later(1), due_at=later(1))
    assert clock.tick(START) == clock.Tick(done=1)
    assert clock.tick(START) == clock.Tick()
    assert seen == [(due.pk, START)]
    due.refresh_from_db()
    not_due.refresh_from_db()
    assert (due.done_at, not_due.done_at) == (START, None)


def test_what_is_due_together_happens_each_at_the_time_it_is_when_its_turn_comes(handlers):
    """An opening may take minutes; what comes after it in the round has not happened meanwhile."""
    seen, time = [], [START]

    def open_for_minutes(row, at):
        seen.append(at)
        time[0] += timedelta(minutes=9)

    handlers[MomentKind.TENDER_ENDS] = open_for_minutes
    first, second = moment(), moment()
    assert clock.tick(START, lambda: time[0]) == clock.Tick(done=2)
    assert seen == [START, later(540)]
    assert sorted(row.done_at for row in DueMoment.objects.filter(pk__in=[first.pk, second.pk])) == seen


def test_an_auction_whose_start_comes_after_a_long_opening_has_its_full_length(handlers):
    tender = evaluated_tender("98.00", "97.00")
    (auction,) = auctions.schedule(tender.pk, at=later(-30))
    time = [START]
    handlers[MomentKind.TENDER_ENDS] = lambda row, at: time.append(later(540))
    handlers[MomentKind.AUCTION_STARTS] = clock._start_auction
    moment(due_at=later(-1), next_try_at=later(-1))
    clock.tick(START, lambda: time[-1])
    auction.refresh_from_db()
    assert (auction.starts_at, auction.ends_at) == (later(540), later(1140))


def test_a_failing_moment_stops_no_other_and_is_tried_again_later_and_later(handlers):
    bad, good = moment(), moment(due_at=later(1), next_try_at=later(1))

    def handle(row, at):
        if row.pk == bad.pk:
            Heartbeat.objects.create(process="half done", at=at)
            raise ValueError("this tender is in a bad way")

    handlers[MomentKind.TENDER_ENDS] = handle
    assert clock.tick(later(1)) == clock.Tick(done=1, failed=1)
    assert not Heartbeat.objects.exists()
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.done_at, bad.attempts, bad.last_error) == (None, 1, "ValueError: this tender is in a bad way")
    assert (bad.next_try_at, good.done_at) == (later(2), later(1))
    assert clock.tick(later(2)) == clock.Tick(failed=1)
    bad.refresh_from_db()
    assert (bad.attempts, bad.next_try_at) == (2, later(4))


def test_a_moment_moved_while_it_is_carried_out_is_not_finished(handlers):
    row = moment()

    def amend(row, at):
        DueMoment.objects.filter(pk=row.pk).update(due_at=later(60), next_try_at=later(60))

    handlers[MomentKind.TENDER_ENDS] = amend
    clock.tick(START)
    row.refresh_from_db()
    assert (row.done_at, row.next_try_at) == (None, later(60))


@contextmanager
def another_clock(row):
    """A clock that has taken the moment and is not done with it."""
    taken, release = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            assert clock._take(START).pk == row.pk
            taken.set()
            release.wait(PATIENCE_S)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(PATIENCE_S)
    try:
        yield
    finally:
        release.set()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_moment_that_another_clock_holds_is_passed_over_and_due_again_when_it_lets_go(handlers):
    seen = []
    handlers[MomentKind.TENDER_ENDS] = lambda row, at: seen.append(row.pk)
    held, free = moment(), moment()
    with another_clock(held):
        assert clock.tick(START) == clock.Tick(done=1)
        assert seen == [free.pk]
    assert clock.tick(START) == clock.Tick(done=1)
    assert seen == [free.pk, held.pk]


def test_a_clock_waits_for_what_comes_next_and_not_for_what_another_one_holds():
    held, now = moment(), later(0.02)
    assert clock._until_next(later(-0.3), later(-0.3)) == 0.3
    assert clock._until_next(START, now) == 0.25
    coming = moment(due_at=later(0.12), next_try_at=later(0.12))
    assert clock._until_next(START, now) == 0.1
    DueMoment.objects.filter(pk=held.pk).delete()
    DueMoment.objects.filter(pk=coming.pk).update(next_try_at=later(0.01))
    assert clock._until_next(START, now) == 0.01
    DueMoment.objects.filter(pk=coming.pk).delete()
    assert clock._until_next(START, now) == 1


@pytest.mark.django_db(transaction=True)
def test_a_clock_that_stands_still_keeps_its_locks_for_no_longer_than_the_server_waits(handlers):
    """On a machine that is gone it would keep an auction's lot from every bid; an opening reads large documents."""
    seen = []

    def shown(*_):
        with connection.cursor() as cursor:
            seen.append(cursor.execute("SHOW idle_in_transaction_session_timeout").fetchone()[0])

    handlers[MomentKind.TENDER_ENDS] = handlers[MomentKind.AUCTION_ENDS] = shown
    moment()
    moment(kind=MomentKind.AUCTION_ENDS)
    assert clock.tick(START) == clock.Tick(done=2)
    shown()
    auction = running_auction()
    with transaction.atomic():
        auctions.locked(auction.pk)
        shown()
    assert seen == ["10min", "1min", "0", "1min"]


@pytest.mark.django_db(transaction=True)
def test_a_deadlock_puts_a_moment_off_and_is_no_lost_connection(handlers):
    def handle(row, at):
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE deadlock_detected; END $$")

    handlers[MomentKind.TENDER_ENDS] = handle
    row = moment()
    assert clock.tick(START) == clock.Tick(failed=1)
    row.refresh_from_db()
    assert (row.attempts, row.next_try_at) == (1, later(1))
    assert row.last_error.startswith("OperationalError: deadlock_detected")


def test_an_auction_is_started_extended_drained_and_ended_by_the_clock():
    tender = evaluated_tender("98.00", "97.00")
    auctions.schedule(tender.pk, at=later(-30))
    clock.tick(later(-1))
    auction = Auction.objects.get()
    assert auction.status == "scheduled"
    clock.tick(later(0.2))
    a, _ = seats(auction)
    # Received in time, still in a queue when the end has come; then the end has moved.
    clock.tick(later(600))
    Desk().decide([a.bid("90.00", later(599))])
    clock.tick(later(602))
    auction.refresh_from_db()
    assert (auction.status, auction.ends_at) == ("running", later(779))
    clock.tick(later(780.9))
    auction.refresh_from_db()
    assert auction.status == "running"
    clock.tick(later(781))
    auction.refresh_from_db()
    tender.refresh_from_db()
    assert (auction.status, tender.status) == ("ended", "awarding")
    assert Bid.objects.get(rank=1).pk == a.participant.bid_id
    assert not DueMoment.objects.filter(done_at=None).exists()
    assert clock.tick(later(3600)) == clock.Tick()


def test_the_clock_waits_while_an_auction_is_paused():
    auction = running_auction()
    Auction.objects.update(status=AuctionStatus.PAUSED.value)
    clock.tick(later(602))
    row = DueMoment.objects.get(kind=MomentKind.AUCTION_ENDS)
    assert (row.done_at, row.next_try_at) == (None, later(607))
    auction.refresh_from_db()
    assert auction.status == "paused"


def test_bids_are_opened_at_the_deadline():
    tender = published_tender()
    clock.tick(NOON + timedelta(days=10))
    tender.refresh_from_db()
    assert tender.status == "unsuccessful"


def test_a_clock_without_database_waits_and_goes_on(monkeypatch):
    stopping, rounds = threading.Event(), []

    def tick(at, now):
        rounds.append(at)
        if len(rounds) == 1:
            raise OperationalError("the connection is closed")
        stopping.set()

    monkeypatch.setattr(clock, "tick", tick)
    monkeypatch.setattr(clock, "_WITHOUT_DATABASE_SECONDS", 0)
    monkeypatch.setattr(clock.connection, "close", lambda: rounds.append("closed"))
    clock.run(stopping)
    assert len(rounds) == 3
    assert rounds[1] == "closed"
    assert Heartbeat.objects.get(process="clock").detail == {"overdue": 0}


@pytest.mark.django_db(transaction=True)
def test_a_moment_whose_connection_broke_happens_as_soon_as_there_is_another(handlers, monkeypatch):
    stopping, calls = threading.Event(), []
    monkeypatch.setattr(clock, "_WITHOUT_DATABASE_SECONDS", 0)

    def close_the_auction(row, at):
        calls.append(at)
        if len(calls) == 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        stopping.set()

    handlers[MomentKind.TENDER_ENDS] = close_the_auction
    row = moment()
    clock.run(stopping)
    row.refresh_from_db()
    assert len(calls) == 2
    assert row.done_at == calls[1]
    assert (row.attempts, row.last_error) == (0, "")


def test_the_command_carries_out_what_is_due(handlers, freeze, capsys):
    handlers[MomentKind.TENDER_ENDS] = lambda row, at: None
    moment()
    freeze(START)
    call_command("clock", "--once")
    assert capsys.readouterr().out == "1 done, 0 failed\n"


def test_an_auction_is_proved_from_its_log(capsys):
    auction = running_auction()
    a, *_ = seats(auction)
    Desk().decide([a.bid("90.00", later(1))])
    call_command("replay_auction", str(auction.lot_id))
    printed = capsys.readouterr().out
    assert f"1. bidder {a.participant.label}  90.00 EUR" in printed
    assert auction.participants.update(standing_amount=1) == 3
    with pytest.raises(CommandError, match="the tables differ: bidder"):
        call_command("replay_auction", str(auction.lot_id))
    with connection.cursor() as cursor:  # as somebody who owns the database could
        cursor.execute("SET LOCAL session_replication_role = replica")
    AuctionEvent.objects.filter(kind="bid").update(amount=91)
    with pytest.raises(CommandError, match="does not hold: event 3"):
        call_command("replay_auction", str(auction.lot_id))
    with pytest.raises(CommandError, match="has no auction"):
        call_command("replay_auction", "0")
