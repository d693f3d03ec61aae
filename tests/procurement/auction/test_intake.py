"""The queue before the room: how many bids go into a batch, which, and in which order. No database."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import InternalError

from procurement.auction import intake as queue
from procurement.auction.intake import Intake, NotRecorded, TooBusy
from procurement.auction.room import HELD, Answer, WaitingBid
from procurement.rules.auction.base import Refused
from tests.procurement.auction.asgi_client import run

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def bid(number, lot=1):
    received = NOW + timedelta(milliseconds=number)
    return WaitingBid(lot, lot, 1, Decimal(number + 1), f"key-{number}", received)


class Quick:
    """A desk that accepts everything."""

    def __init__(self):
        self.taken = []

    def decide(self, bids):
        self.taken.append(len(bids))
        return [Answer(None, int(one.amount)) for one in bids]


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
        waiting(intake, map(bid, range(queue._MOST_OF_A_LOT)))
        intake._held, intake._waiting = intake._waiting, []
        with pytest.raises(TooBusy):
            await intake.submit(bid(0))
        intake.look()
        intake._deciding = intake._next_batch()
        assert not intake._held
        with pytest.raises(TooBusy):
            await intake.submit(bid(0))
        for entry in intake._deciding:
            intake._tell(entry, Answer(None, 1))
        intake._deciding = []
        intake._desk = Quick()
        running = asyncio.create_task(intake.run())
        assert (await intake.submit(bid(0))).accepted
        assert not intake._of_lot
        running.cancel()
        await intake.aclose()

    run(errand())


def test_a_lot_that_is_held_up_leaves_room_for_others_and_all_together_have_a_bound():
    async def errand():
        intake = Intake()
        for lot in range(1, queue._MOST_WAITING // queue._MOST_OF_A_LOT):
            waiting(intake, (bid(number, lot) for number in range(queue._MOST_OF_A_LOT)))
            intake._held += intake._waiting
            intake._waiting = []
        with pytest.raises(TooBusy):
            await intake.submit(bid(0))
        intake._desk = Quick()
        running = asyncio.create_task(intake.run())
        assert (await intake.submit(bid(0, lot=77))).accepted
        running.cancel()
        waiting(intake, (bid(number, 99) for number in range(queue._MOST_OF_A_LOT)))
        with pytest.raises(TooBusy):
            await intake.submit(bid(0, lot=77))
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
    async def errand():
        intake = Intake()
        intake._desk = desk
        told = [asyncio.create_task(intake.submit(bid(number))) for number in range(300)]
        await asyncio.sleep(0)
        running = asyncio.create_task(intake.run())
        await intake.drain()
        assert [task.result().number for task in told] == list(range(1, 301))
        running.cancel()
        await intake.aclose()

    desk = Quick()
    run(errand())
    assert sum(desk.taken) == 300


def test_who_is_looked_at_again_when_the_gateway_stops_is_told_and_whoever_else_waits_asks_by_the_key(monkeypatch):
    monkeypatch.setattr(queue, "_LONGEST_DRAIN_S", 2 * queue._LOOKS * queue._LOOK_EVERY_S)
    just_over = Answer(Refused.OVER, ends_at=NOW)

    class Late:
        def decide(self, bids):
            return [HELD if one.lot == 2 else just_over for one in bids]

    async def errand():
        intake = Intake()
        intake._desk = Late()
        late, held = (asyncio.create_task(intake.submit(bid(1, lot))) for lot in (1, 2))
        running = asyncio.create_task(intake.run())
        while not intake._looked_at_again:  # noqa: ASYNC110  (it tells nobody)
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):  # for the one that is held
            await intake.drain()
        assert await late == just_over
        again = asyncio.create_task(intake.submit(bid(2)))
        while not intake._looked_at_again:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()
        await intake.aclose()
        for task in (held, again):
            with pytest.raises(NotRecorded):
                await task

    run(errand())


def test_a_transaction_that_the_server_broke_off_is_told_in_a_line(caplog):
    class BrokenOff:
        def decide(self, bids):
            raise InternalError("terminating connection due to idle-in-transaction timeout")

    async def errand():
        intake = Intake()
        intake._desk = BrokenOff()
        assert await asyncio.to_thread(intake._decided, [bid(0), bid(1)]) == [None, None]
        await intake.aclose()

    run(errand())
    (line,) = caplog.records
    assert (line.levelname, line.exc_info) == ("WARNING", None)
