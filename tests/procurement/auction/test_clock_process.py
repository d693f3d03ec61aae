"""The clock as a process of its own, killed while it carries out a moment, and together with the gateway."""

import os
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from marketplace.models import AuditRecord
from procurement.models import Auction, AuctionEvent, DueMoment, Outage, OutageEffect
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from procurement.services import auction_log
from tests.database_time import movable
from tests.factories.auctions import running_auction, seats
from tests.gateway import GIVES_UP_SOON, database_url, kill, running, started
from tests.patience import PATIENCE_S, wait_until
from tests.procurement.auction.asgi_client import token_of
from tests.procurement.auction.test_process import post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

HOUR = timedelta(hours=1)


@contextmanager
def clock_process(log, name="clock", **environment):
    """`manage.py clock`; its connections bear `name`. Killed outright at the end, if it was not before."""
    usual = {"DATABASE_URL": database_url(), "OPENLOT_ENVIRONMENT": "development", "OPENLOT_PROCESS": name}
    process = started([sys.executable, "manage.py", "clock"], {**os.environ, **usual, **environment}, log)
    try:
        yield process
    finally:
        kill(process)


def backends(name, waiting=False):
    """How many connections of that name the server has, or how many of them wait for a lock."""
    with connection.cursor() as cursor:
        wait = "AND wait_event_type = 'Lock'" if waiting else ""
        cursor.execute(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = %s {wait}", [name])
        return cursor.fetchone()[0]


@contextmanager
def held(lot):
    """The lot's lock, held by somebody else until the function that is given lets it go."""
    taken, release = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            auction_log.lock([lot])
            taken.set()
            release.wait()
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(PATIENCE_S)
    try:
        yield release.set
    finally:
        release.set()
        thread.join()


@contextmanager
def no_connections():
    """The database as after a crash, for everybody but us: every connection breaks, and there is no other."""
    name, ours = connection.settings_dict["NAME"], connection.connection.info.backend_pid
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s", [name, ours]
        )
        try:
            yield
        finally:
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_a_clock_killed_between_taking_a_moment_and_doing_it_leaves_it_to_the_next_at_once(tmp_path):
    auction = running_auction(start=datetime.now(UTC) - timedelta(minutes=11))
    log = tmp_path / "clock.log"
    with held(auction.lot_id) as let_go:
        with clock_process(log, "first clock") as first:
            wait_until(lambda: backends("first clock", waiting=True))
            kill(first)
        # The server does not wait on behalf of the dead: nothing keeps the next clock from the moment.
        wait_until(lambda: not backends("first clock"))
        with clock_process(log, "next clock"), clock_process(log, "next clock"):
            wait_until(lambda: backends("next clock", waiting=True))
            assert Auction.objects.get().status == "running"
            let_go()
            wait_until(lambda: Auction.objects.get().status == "ended")
    assert AuctionEvent.objects.filter(kind="ended").count() == 1
    assert AuditRecord.objects.filter(action="auction.ended").count() == 1
    assert not DueMoment.objects.filter(done_at=None).exists()
    assert replay(auction.pk, rooms.events(auction.pk)).room.status == "ended"


def test_what_a_kill_of_everything_and_a_lost_database_took_from_an_auction_is_given_back(tmp_path):
    with movable() as time:
        _kill_of_everything(tmp_path / "log", time, {"OUTAGE_TOLERANCE_SECONDS": "600", **GIVES_UP_SOON})


def _kill_of_everything(log, time, environment):
    with running(log, **environment) as gateway, clock_process(log, **environment) as clock:
        wait_until(lambda: backends("clock"))
        with transaction.atomic():  # else the clock starts it
            auction = running_auction(start=datetime.now(UTC) - timedelta(minutes=5))
        gateway.kill()
        kill(clock)
    a, b, _ = seats(auction)
    old_end = auction.ends_at
    time.move_by(HOUR)
    assert not Outage.objects.exists()
    with clock_process(log, **environment), clock_process(log, **environment):
        wait_until(lambda: AuctionEvent.objects.filter(kind="paused").exists())
        assert Auction.objects.get().status == "paused"
        with running(log, **environment) as gateway:
            wait_until(lambda: Outage.objects.filter(settled_at__isnull=False).exists())
            status, answer = post(gateway.address, auction.lot_id, token_of(a), "95.00", "after-the-outage")
            assert (status, answer["accepted"]) == (201, True)
            outage, (resumed,) = Outage.objects.get(), AuctionEvent.objects.filter(kind="resumed")
            assert outage.began_at < old_end < outage.ended_at <= resumed.at
            assert datetime.fromisoformat(resumed.detail["ends_at"]) == old_end + (resumed.at - outage.began_at)
            end = Auction.objects.get().ends_at
            with no_connections():
                assert post(gateway.address, auction.lot_id, token_of(b), "90.00", "into-the-void")[0] == 503
                time.move_by(HOUR)
            wait_until(lambda: Outage.objects.filter(settled_at__isnull=False).count() == 2)
    assert AuctionEvent.objects.filter(kind="resumed").count() == 2
    again = OutageEffect.objects.order_by("pk").last()
    assert again.moved_by >= HOUR - timedelta(minutes=10)
    assert Auction.objects.get().ends_at == end + again.moved_by
    hall = replay(auction.pk, rooms.events(auction.pk))
    assert (hall.room.status, hall.number) == ("running", 7)
