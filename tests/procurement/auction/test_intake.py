"""The queue before the room: how many bids go into a batch, which, and in which order. No database."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from procurement.auction import intake as queue
from procurement.auction.intake import Intake, TooBusy
from procurement.auction.room import HELD, Answer, WaitingBid
from tests.procurement.auction.asgi_client import run

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def bid(number, lot=1):
    received = NOW + timedelta(milliseconds=number)
    return WaitingBid(lot, lot, 1, Decimal(number + 1), f"key-{number}", received)


def numbers(batch):
    return [int(entry.bid.amount) - 1 for entry in batch]


def waiting(intake, bids):
    for one in bids:
        intake._queue(queue._Waiting(one, intake._loop.create_future(), 0.0))


def alone(errand):
    """Run it with an intake that nobody works for."""

    async def with_intake():
        intake = Intake()
        errand(intake)
        await intake.aclose()

    run(with_intake())


@pytest.mark.parametrize(
    ("bidders", "batches"),
    [
        (1, [1]),
        (20, [20]),
        (40, [32, 8]),
        (256, [128, 128]),
        (1_500, [500, 500, 500]),
    ],
)
def test_a_batch_is_half_of_those_who_bid_neither_small_nor_large(bidders, batches):
    def errand(intake):
        waiting(intake, map(bid, range(bidders)))
        taken = [numbers(intake._next_batch()) for _ in batches]
        assert [len(batch) for batch in taken] == batches
        assert [number for batch in taken for number in batch] == list(range(bidders))
        assert intake._next_batch() == []

    alone(errand)


def test_one_half_bids_again_while_the_other_is_decided():
    """256 bidders, each of whom bids again when it was told: while the batch after its own is in the room."""

    def errand(intake):
        waiting(intake, map(bid, range(100)))
        told, sent, sizes = [], 100, []
        for _ in range(8):
            batch = intake._next_batch()
            sizes.append(len(batch))
            again = len(told) or 156  # those who had not bid yet come first
            waiting(intake, map(bid, range(sent, sent + again)))
            told, sent = batch, sent + again
        assert sizes[-3:] == [128, 128, 128]
        assert sum(sizes) + len(intake._waiting) == sent

    alone(errand)


def test_whatever_is_held_and_comes_when_each_bid_has_its_turn_and_those_of_a_lot_theirs_in_order():
    luck = random.Random(4)

    def errand(intake):
        sent, decided, held_once = 0, [], set()
        while sent < 2_000 or intake._waiting or intake._held:
            if sent < 2_000:
                coming = [bid(sent + place, luck.randint(1, 4)) for place in range(luck.choice((0, 1, 30, 200)))]
                waiting(intake, coming)
                sent += len(coming)
            if luck.random() < 0.5:
                intake.look()
            batch = intake._next_batch()
            # As the room: some lots wait for another gateway, each bid of theirs in this batch, the first time.
            stuck = {entry.bid.lot for entry in batch if luck.random() < 0.01}
            for entry in batch:
                if entry.bid.lot in stuck and entry.bid.key not in held_once:
                    held_once.add(entry.bid.key)
                    intake._tell(entry, HELD)
                else:
                    decided.append(entry.bid)
        assert held_once
        assert len(decided) == sent == len({one.key for one in decided})
        for lot in range(1, 5):
            received = [one.received_at for one in decided if one.lot == lot]
            assert received == sorted(received)

    alone(errand)


def test_what_is_held_counts_among_what_waits_also_while_it_is_looked_at_again():
    async def errand():
        intake = Intake()
        waiting(intake, map(bid, range(queue._MOST_WAITING)))
        intake._held, intake._waiting = intake._waiting, []
        with pytest.raises(TooBusy):
            await intake.submit(bid(0, lot=2))
        intake.look()
        intake._deciding = intake._next_batch()
        assert not intake._held
        with pytest.raises(TooBusy):
            await intake.submit(bid(0, lot=2))
        await intake.aclose()

    run(errand())


def test_what_is_held_is_looked_at_again_in_time_though_other_lots_are_never_quiet(monkeypatch):
    monkeypatch.setattr(queue, "_LOOK_EVERY_S", 3_600.0)

    class HoldsTheFirstLot:
        def decide(self, bids):
            return [HELD if one.lot == 1 else Answer(None, 1) for one in bids]

    async def errand():
        intake = Intake()
        intake._desk = HoldsTheFirstLot()
        work = [asyncio.create_task(one) for one in (intake.run(), intake.submit(bid(0)))]
        await asyncio.sleep(0)
        await intake.submit(bid(1, lot=2))
        alarm = intake._alarm
        assert alarm is not None
        await intake.submit(bid(2, lot=2))
        assert intake._alarm is alarm
        assert not alarm.cancelled()
        intake.look()
        await intake.submit(bid(3, lot=2))
        assert alarm.cancelled()
        assert intake._alarm is not None
        for task in work:
            task.cancel()
        await intake.aclose()

    run(errand())


def test_all_that_came_in_is_decided_and_told_before_the_gateway_stops():
    taken = []

    class Quick:
        def decide(self, bids):
            taken.append(len(bids))
            return [Answer(None, int(one.amount)) for one in bids]

    async def errand():
        intake = Intake()
        intake._desk = Quick()
        told = [asyncio.create_task(intake.submit(bid(number))) for number in range(300)]
        await asyncio.sleep(0)
        running = asyncio.create_task(intake.run())
        await intake.drain()
        assert [task.result().number for task in told] == list(range(1, 301))
        running.cancel()
        await intake.aclose()

    run(errand())
    assert sum(taken) == 300
