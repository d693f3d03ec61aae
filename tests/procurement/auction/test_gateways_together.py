"""Two gateways on a lot: first received, first decided."""

import asyncio
import os
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import chain
from types import SimpleNamespace

import pytest
from django.db import connection

from marketplace.models import Heartbeat
from marketplace.services import timekeeping
from marketplace.shared import clock
from procurement.auction import intake as queue
from procurement.auction import room
from procurement.auction.intake import Intake, NotRecorded
from procurement.auction.room import HELD, Answer, Desk, WaitingBid
from procurement.models import AuctionEvent
from procurement.rules.auction.base import Action
from procurement.services import auctions, pulse
from tests.factories.auctions import evaluated_tender, running_auction, running_auctions, seats
from tests.gateway import A_DAY_S
from tests.patience import PATIENCE_S
from tests.procurement.auction.asgi_client import gateway, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def _patient(settings):
    """A sign of life given here stays one, however long this machine takes."""
    settings.OUTAGE_TOLERANCE_SECONDS = A_DAY_S


def started(procedure, began_before, **lot):
    begins = clock.now() - timedelta(seconds=began_before)
    lot = {"step_value": Decimal("10.00"), **lot}
    tender = evaluated_tender("98.00", "97.00", start=begins, procedure=procedure, clock_interval_seconds=5, lot=lot)
    (auction,) = auctions.schedule(tender.pk, at=begins - timedelta(seconds=30))
    return auctions.start(auction.pk, at=begins)


def move(seat, action, at):
    lot = seat.participant.auction.lot_id
    return WaitingBid(lot, seat.participant.pk, seat.by.person.pk, None, f"{action}-key", at, action)


def bid(seat, amount, at):
    lot = seat.participant.auction.lot_id
    return WaitingBid(lot, seat.participant.pk, seat.by.person.pk, Decimal(amount), f"bid-{amount}", at)


def other_gateway_decided(until, undecided=()):
    told = {"at": clock.now(), "detail": pulse.Progress(until, dict(undecided)).as_json()}
    Heartbeat.objects.update_or_create(process="gateway:another:1", defaults=told)


def test_gateways_on_machines_whose_names_begin_alike_are_two(monkeypatch):
    """In copies of a container every gateway has the same number: by one name each would pass over the other."""
    names = set()
    for machine in ("gateway-of-the-platform-7d9f8b6c5-abcde", "gateway-of-the-platform-7d9f8b6c5-fghij", "short"):
        monkeypatch.setattr(pulse.socket, "gethostname", lambda machine=machine: machine)
        names.add(pulse.process_name(pulse.GATEWAY))
    assert len(names) == 3
    assert f"gateway:short:{os.getpid()}" in names
    assert max(map(len, names)) <= Heartbeat._meta.get_field("process").max_length


@pytest.mark.usefixtures("_patient")
def test_of_two_acceptances_at_two_gateways_the_one_received_first_wins():
    auction = started("auction_dutch", 1, clock_price=Decimal("60.00"))
    first, second = seats(auction)
    earlier = clock.now() - timedelta(milliseconds=20)
    later = earlier + timedelta(milliseconds=10)
    other_gateway_decided(earlier)  # it still holds the earlier one
    here, there = Desk(), Desk()
    assert here.decide([move(second, Action.ACCEPT, later)]) == [HELD]
    (won,) = there.decide([move(first, Action.ACCEPT, earlier)])
    assert won.accepted
    other_gateway_decided(clock.now())
    (lost,) = here.decide([move(second, Action.ACCEPT, later)])
    assert (lost.code, lost.ends_at) == ("auction_over", earlier)


@pytest.mark.usefixtures("_patient")
def test_a_confirmation_received_before_the_tick_ended_is_not_shut_out_by_a_move_after_it():
    auction = started("auction_japanese", 6, clock_price=Decimal("60.00"))
    slow, quick = seats(auction)
    Desk().decide([move(quick, Action.CONFIRM, auction.starts_at + timedelta(seconds=1))])
    ends = auction.starts_at + timedelta(seconds=5)
    before, after = ends - timedelta(milliseconds=5), ends + timedelta(milliseconds=5)
    other_gateway_decided(before)
    again = replace(move(quick, Action.CONFIRM, after), key="second-tick")
    assert Desk().decide([again]) == [HELD]
    (confirmed,) = Desk().decide([move(slow, Action.CONFIRM, before)])
    assert confirmed.accepted
    other_gateway_decided(ends)
    (taken,) = Desk().decide([again])
    assert taken.accepted
    ticks = AuctionEvent.objects.filter(auction=auction, kind="tick").order_by("number")
    assert [tick.detail["out"] for tick in ticks] == [[], []]


def test_a_gateway_that_gives_no_sign_or_gets_nowhere_holds_nobody_up_for_long():
    auction = started("auction_dutch", 20, clock_price=Decimal("60.00"))
    first, second = seats(auction)
    other_gateway_decided(auction.starts_at)
    received = clock.now() - timedelta(seconds=11)
    assert Desk().decide([move(first, Action.ACCEPT, received)])[0].accepted
    auction = started("auction_dutch", 1, clock_price=Decimal("60.00"))
    first, second = seats(auction)
    Heartbeat.objects.update(at=clock.now() - timedelta(seconds=11))
    assert Desk().decide([move(second, Action.ACCEPT, clock.now())])[0].accepted


def test_of_two_equal_bids_at_two_gateways_the_one_received_first_is_taken(monkeypatch):
    monkeypatch.setattr(pulse, "QUIET", timedelta(seconds=PATIENCE_S))
    auction = running_auction("100.00", "99.00", start=clock.now() - timedelta(seconds=1))
    first, second = seats(auction)
    earlier = clock.now() - timedelta(milliseconds=20)
    later = earlier + timedelta(milliseconds=10)
    mine, theirs = bid(first, "90.00", earlier), bid(second, "90.00", later)
    other_gateway_decided(earlier)  # it still holds the earlier one
    here, there = Desk(), Desk()
    assert here.decide([theirs]) == [HELD]
    assert there.decide([mine])[0].accepted
    other_gateway_decided(later)
    assert here.decide([theirs])[0].code == "step_not_met"


def test_an_english_bid_waits_for_a_gateway_that_lives_but_for_none_that_is_quiet_or_gets_nowhere():
    now = clock.now()
    auction = running_auction("100.00", "99.00", start=now - timedelta(seconds=30))
    first, _ = seats(auction)
    other_gateway_decided(auction.starts_at)
    recent, old = (bid(first, "90.00", now - timedelta(seconds=waited)) for waited in (2, 11))
    assert Desk().decide([recent]) == [HELD]
    assert Desk().decide([old])[0].accepted
    Heartbeat.objects.update(at=clock.now() - 2 * pulse.QUIET)
    assert Desk().decide([bid(first, "80.00", clock.now())])[0].code == "already_leading"  # decided all the same


@pytest.mark.usefixtures("_patient")
def test_a_gateway_that_is_behind_in_one_lot_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(pulse, "QUIET", timedelta(seconds=PATIENCE_S))
    now = clock.now()
    one, two = running_auctions("100.00", "99.00", lots=2, start=now - timedelta(seconds=1))
    behind, ahead = (seats(auction)[0] for auction in (one, two))
    other_gateway_decided(now, {one.lot_id: now - timedelta(milliseconds=20)})
    received = now - timedelta(milliseconds=10)
    held, taken = Desk().decide([bid(behind, "90.00", received), bid(ahead, "90.00", received)])
    assert (held, taken.accepted) == (HELD, True)


@pytest.mark.usefixtures("_patient")
def test_a_bid_that_has_been_held_for_too_long_lets_none_overtake_it_that_was_received_a_moment_later(monkeypatch):
    monkeypatch.setattr(pulse, "QUIET", timedelta(seconds=PATIENCE_S))
    auction = running_auction("100.00", "99.00", start=clock.now() - timedelta(seconds=30))
    first, second = seats(auction)
    other_gateway_decided(auction.starts_at)
    received = clock.now() - timedelta(seconds=10)
    moment = timedelta(microseconds=1)
    # Time goes on while the batch, once read, is decided: past what the first bid waits for at most, and the second.
    times = chain([clock.now()], (received + pulse.tolerance() + moment * n for n in (0, 9, 9)))
    monkeypatch.setattr(room, "clock", SimpleNamespace(now=lambda: next(times)))
    bids = [bid(first, "90.00", received), bid(second, "89.00", received + moment)]
    assert Desk().decide(bids) == [HELD, HELD]


def test_with_more_lots_than_can_be_told_the_oldest_bid_stands_for_all():
    now = clock.now()
    oldest = now - timedelta(seconds=5)
    few, many = (pulse.Progress(now, dict.fromkeys(range(lots), oldest)) for lots in (2, pulse._MOST_LOTS + 1))
    assert few.as_json() == {
        "decided_until": oldest.isoformat(),
        "told_at": now.isoformat(),
        "undecided": {"0": oldest.isoformat(), "1": oldest.isoformat()},
    }
    told = oldest.isoformat()
    assert many.as_json() == {"decided_until": told, "told_at": told, "undecided": {}}


def test_a_gateway_that_stands_still_in_a_transaction_keeps_its_locks_for_no_longer_than_the_server_waits(monkeypatch):
    """Stopped, or on a machine that is gone, it would keep the others from their signs and its lots from every bid."""
    names = "idle_in_transaction_session_timeout", "enable_seqscan"
    seen, usual = [], ("0", "on")

    def shown():
        with connection.cursor() as cursor:
            return tuple(cursor.execute(f"SHOW {name}").fetchone()[0] for name in names)

    def in_the_midst():
        seen.append(shown())
        raise NotRecorded  # nothing is to be kept of it

    def work():  # on a connection of its own, where these transactions are not part of the test's
        with suppress(NotRecorded):
            pulse.gateway_beat("gateway:test:1", pulse.Progress(clock.now()), since_last=None)
        with suppress(NotRecorded):
            Desk().decide([WaitingBid(0, 0, 0, Decimal(1), "of-no-lot", clock.now())])
        seen.append(shown())
        connection.close()

    monkeypatch.setattr(timekeeping, "look", in_the_midst)
    monkeypatch.setattr(room._Batch, "write", lambda _: in_the_midst())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [("5s", "on"), ("15s", "off"), usual]


@pytest.mark.django_db(transaction=True)
def test_a_gateway_waits_for_what_another_received_before_and_both_answer_in_that_order(monkeypatch):
    """The other is busy with the earlier bid; as soon as it has decided, it says so, and the later one is decided."""
    monkeypatch.setattr(pulse, "QUIET", timedelta(seconds=PATIENCE_S))
    auction = running_auction("100.00", "99.00", start=clock.now() - timedelta(seconds=1))
    first, second = seats(auction)
    names = iter(f"gateway:test:{number}" for number in range(10))
    busy, decide = threading.Event(), Desk.decide

    async def errand():
        with monkeypatch.context() as named:
            # Desk and sign of life of one gateway go by one name.
            current = [next(names)]
            named.setattr(pulse, "process_name", lambda _kind: current[0])
            async with gateway() as one:
                current[0] = next(names)
                async with gateway() as other:
                    desk = other.app.intake._desk
                    monkeypatch.setattr(desk, "decide", lambda bids: busy.wait(PATIENCE_S) and decide(desk, bids))
                    earlier = asyncio.create_task(other.bid(first, "90.00", "earlier-bid"))
                    while not other.app.intake.holds(first.participant.pk, "earlier-bid"):  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
                    later = asyncio.create_task(one.bid(second, "90.00", "later-bid"))
                    while not one.app.intake._held:  # noqa: ASYNC110  (they tell nobody)
                        await asyncio.sleep(0.001)
                    assert not later.done()
                    busy.set()
                    assert (await earlier)[0] == 201
                    status, answer = await later
                    assert (status, answer["code"]) == (409, "step_not_met")

    run(errand())


def test_what_is_held_goes_before_what_came_later_and_counts_as_undecided():
    now = clock.now()
    early, late = (WaitingBid(1, 1, 1, None, f"key-{n}", now + timedelta(seconds=n), Action.ACCEPT) for n in (0, 1))
    batches = []

    class Held:
        def decide(self, bids):
            batches.append([bid.key for bid in bids])
            return [HELD if len(batches) == 1 else Answer(None, number) for number in range(len(bids))]

    async def errand():
        intake = Intake()
        intake._desk = Held()
        running = asyncio.create_task(intake.run())
        first = asyncio.create_task(intake.submit(early))
        while not intake._held:  # noqa: ASYNC110  (it tells nobody)
            await asyncio.sleep(0.001)
        assert batches == [["key-0"]]
        assert intake.holds(1, "key-0")
        assert intake.progress(now + timedelta(hours=1)).decided_until == now
        second = asyncio.create_task(intake.submit(late))
        assert [(await answer).number for answer in (first, second)] == [0, 1]
        await intake.drain()
        running.cancel()
        await intake.aclose()

    run(errand())
    assert batches == [["key-0"], ["key-0", "key-1"]]


def test_who_waits_for_another_gateway_is_told_in_time_that_nobody_knows_yet_and_finds_out_by_the_key(monkeypatch):
    monkeypatch.setattr(queue, "_UNKNOWN_S", 0.0)
    monkeypatch.setattr(queue, "_LOOK_AGAIN_S", 0.0)
    held = WaitingBid(1, 1, 1, None, "the-key", clock.now(), Action.ACCEPT)
    answers = [HELD]

    class Holding:
        def decide(self, bids):
            return [answers[-1] for _ in bids]

    async def errand():
        intake = Intake()
        intake._desk = Holding()
        running = [asyncio.create_task(work) for work in (intake.run(), intake.tire())]
        with pytest.raises(NotRecorded):
            await intake.submit(held)
        assert intake.holds(1, "the-key")
        answers.append(Answer("auction_over"))
        intake.look()
        await intake.drain()
        assert not intake.holds(1, "the-key")
        assert intake.refused(1, "the-key").code == "auction_over"
        for task in running:
            task.cancel()
        await intake.aclose()

    run(errand())
