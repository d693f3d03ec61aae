"""The clocks of the application's machine, of the database's, and of both are set while bids arrive, an hour forward
and two back: nothing ends before its time or long after it, no bid is taken for an earlier or a later one, nothing is
lost."""

from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from marketplace.embedded import postgres
from marketplace.embedded.places import Places
from marketplace.models import ClockStep, Heartbeat, Notification, StaffRole
from marketplace.services import timekeeping
from marketplace.shared import clock
from procurement.auction.replay import replay_lot
from procurement.models import Auction, AuctionEvent, DueMoment, MomentKind, Outage
from procurement.queries import auctions as rooms
from tests.database_time import move_on
from tests.factories.auctions import running_auction
from tests.factories.marketplace import staff
from tests.factories.procurement import published_tender
from tests.gateway import running
from tests.machine_clock import machine_clock
from tests.patience import wait_until
from tests.procurement.auction.test_clock_process import clock_process
from tests.procurement.auction.test_faults import (
    BIDDERS,
    acknowledged,
    assert_nothing_lost,
    bidders_of,
    moved_to,
    tokens_of,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.system]

HOUR = timedelta(hours=1)
# No stall of this machine is an outage, nor is moving on to the end; a step would be one.
TOLERANCE = {"OUTAGE_TOLERANCE_SECONDS": "1800"}
# What agrees within this is no step.
CORRECTION = timedelta(seconds=1)
# How far the clocks of the application's machine and of the database's are ahead, one after the other.
STEPS = [(HOUR, 0 * HOUR), (-HOUR, 0 * HOUR), (0 * HOUR, HOUR), (0 * HOUR, -HOUR), (HOUR, HOUR), (-HOUR, -HOUR)]


@contextmanager
def at_a_server_of_its_own(folder, machine):
    """A PostgreSQL on that machine with a copy of the tests' database; our own connections, too, lead there."""
    places = Places(folder / "pg")
    ours = {name: connection.settings_dict[name] for name in ("NAME", "HOST")}
    try:
        with places.one_starter(), pytest.MonkeyPatch.context() as patch:
            for name, value in machine.environment.items():
                patch.setenv(name, value)
            postgres.start(places)
        url = moved_to(places, "stepped")
        connection.close()
        connection.settings_dict.update(NAME="stepped", HOST=str(places.sockets))
        yield url
    finally:
        connection.close()
        connection.settings_dict.update(ours)
        postgres.stop(places)


def test_clocks_that_are_set_move_no_end_and_no_bid(tmp_path):
    with ExitStack() as world:
        machines = [world.enter_context(machine_clock()) for _ in ("application", "database")]
        database = world.enter_context(at_a_server_of_its_own(tmp_path, machines[1]))
        environment = {**TOLERANCE, "DATABASE_URL": database, **machines[0].environment}
        gateway = world.enter_context(running(tmp_path / "gateway.log", **environment))
        world.enter_context(clock_process(tmp_path / "clock.log", **environment))
        wait_until(lambda: Heartbeat.objects.filter(process="clock").exists())
        operator = staff(StaffRole.OPERATOR)
        with transaction.atomic():  # else the clock starts it
            begun = datetime.now(UTC) - timedelta(seconds=1)
            terms = {"step_value": Decimal("0.01")}
            auction = running_auction(*["100.00"] * BIDDERS, reference="own", start=begun, lot=terms)
            sealed = published_tender(tender_ends_at=begun + HOUR / 2)
        bidders = bidders_of(auction, tokens_of(auction), gateway.address)
        first = counted_by(gateway)
        for steps in STEPS:
            for machine, ahead in zip(machines, steps, strict=True):
                machine.set_by(ahead)
            # The first may be of a look at the database that began before.
            wait_for_sign("gateway")
            wait_for_sign("gateway")
            if steps[0] == steps[1]:
                wait_for_sign("clock")
            wait_for_bids(bidders)
            earliest, latest = counted_by(gateway)
            assert earliest - CORRECTION < first[1]
            assert latest + CORRECTION > first[0]
            assert Auction.objects.get().status == "running"
        for bidder in bidders:
            bidder.stopping.set()
            bidder.join()
        move_on(auction.ends_at - timekeeping.now())
        wait_until(lambda: Auction.objects.get().status == "ended")
        log = list(rooms.events(auction.pk))
        assert_nothing_lost(auction, bidders, log[:-1], gateway.address)
        times = [event.at for event, _ in log]
        assert times == sorted(times)
        assert AuctionEvent.objects.filter(auction=auction).exclude(kind="bid").count() == 3
        found = replay_lot(auction.lot_id)
        assert (found.differences, found.hall) == ((), rooms.hall(auction.pk))
        assert Auction.objects.get().ended_at == auction.ends_at
        # What is due within the hour has not happened, and what is to be known is known.
        assert DueMoment.objects.get(kind=MomentKind.TENDER_ENDS).done_at is None
        sealed.refresh_from_db()
        assert sealed.status == "published"
        assert not Outage.objects.exists()
        hours = [round(step.by / HOUR) for step in ClockStep.objects.exclude(noticed_by="test").order_by("pk")]
        assert hours == [1, -2, 2, -2]
        told = Notification.objects.filter(person=operator.person, kind="clock_set")
        wait_until(lambda: told.count() == len(hours))


def counted_by(gateway):
    """Between which times the gateway's clock was when this machine had counted to 0, by what it says now."""
    before = clock.counted()
    says = gateway.now()
    return says - timedelta(seconds=clock.counted()), says - timedelta(seconds=before)


def wait_for_sign(process):
    """Of that kind of process, given from now on."""
    known = Heartbeat.objects.get(process=process).at
    wait_until(lambda: Heartbeat.objects.get(process=process).at != known)


def wait_for_bids(bidders):
    known = acknowledged(bidders)
    wait_until(lambda: acknowledged(bidders) > known + BIDDERS)
