"""Between the event loop and the room: bids wait here while the batch before them is being committed."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, InternalError, OperationalError, connection

from procurement.auction.room import HELD, Answer, Desk, WaitingBid
from procurement.rules.auction.base import Refused
from procurement.services.pulse import Progress

log = logging.getLogger(__name__)

# Beyond any of them, a bid is told at once that it was not taken. One lot that is held up leaves room for others.
_MOST_OF_A_LOT = 5_000
_MOST_WAITING = 20_000
_LONGEST_WAIT_S = 2.0
# What has waited for so long without being decided is not taken any more; what is being decided for so long is in the
# log or not, and what is held for another gateway will be or not: nobody knows yet. With the pause between two looks
# nobody is left without an answer for five seconds.
_TAKEN_BACK_S = 4.0
_UNKNOWN_S = 4.0
_LOOK_AGAIN_S = 0.5
# A batch is half of those who bid at the moment, within these bounds: while one half is being written, the other is
# being told and bids again. All in one would leave the database idle while HTTP works, and the other way round.
_SMALLEST_BATCH, _LARGEST_BATCH = 32, 500
_REMEMBERED = 10_000
# A bid that came just after the end is looked at again for so long: an earlier one, in the queue of another process,
# may still move the end.
_SECOND_LOOK = timedelta(milliseconds=500)
_LOOKS = 5
_LOOK_EVERY_S = 0.1
_LONGEST_DRAIN_S = 5.0
_ASK_FOR_S = 2.0


@dataclass
class _Waiting:
    bid: WaitingBid
    answer: asyncio.Future[Answer]
    since: float
    looks: int = 0


class TooBusy(Exception):
    """The bid was not taken: the queue is long or stands still, and that is better told than answered late."""


class NotRecorded(Exception):
    """The bid is not in the log, or nobody knows. Sent again under the same key it counts once."""


class Intake:
    """The queue of one process, and the one thread that decides its batches on one connection. Made in the event
    loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._desk = Desk()
        self._waiting: list[_Waiting] = []
        self._deciding: list[_Waiting] = []
        # How many were taken into the batch before.
        self._before = 0
        self._looked_at_again: list[_Waiting] = []
        # How many of each lot wait, are held, or are being decided.
        self._of_lot: Counter[int] = Counter()
        # What waits for other gateways, and whatever comes for its lots: nothing that was received later overtakes it.
        self._held: list[_Waiting] = []
        self._look = False
        self._alarm: asyncio.TimerHandle | None = None
        # Until then the other gateways are asked before something has to be held, which it would.
        self._ask_until = 0.0
        # Called when something is held, to have the other gateways say how far they are.
        self.on_held: Callable[[], None] = lambda: None
        self._refused: dict[tuple[int, str], Answer] = {}
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="room")

    async def submit(self, bid: WaitingBid) -> Answer:
        """What became of the bid, once it is on disk. Raises TooBusy or NotRecorded."""
        loop = self._loop
        now = loop.time()
        # What is held is decided again and again: it counts also while it is.
        if len(self._waiting) + len(self._held) + len(self._deciding) >= _MOST_WAITING:
            raise TooBusy
        if self._of_lot[bid.lot] >= _MOST_OF_A_LOT:
            raise TooBusy
        if self._waiting and now - self._waiting[0].since > _LONGEST_WAIT_S:
            raise TooBusy
        answer: asyncio.Future[Answer] = loop.create_future()
        self._queue(_Waiting(bid, answer, now))
        return await answer

    def holds(self, participant: int, key: str) -> bool:
        """Whether a bid of that key waits here, or is being decided."""
        return any(
            entry.bid.participant == participant and entry.bid.key == key
            for entry in (*self._deciding, *self._held, *self._waiting, *self._looked_at_again)
        )

    def refused(self, participant: int, key: str) -> Answer | None:
        """The refusal that was told under that key here lately."""
        return self._refused.get((participant, key))

    async def tire(self) -> None:
        """Take back what waits for too long, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            now = loop.time()
            tired = [entry for entry in self._waiting if now - entry.since > _TAKEN_BACK_S]
            if tired:
                self._waiting = [entry for entry in self._waiting if now - entry.since <= _TAKEN_BACK_S]
            for entry in tired:
                self._leaves(entry)
                self._fail(entry, TooBusy())
            for entry in (*self._deciding, *self._held):
                if now - entry.since > _UNKNOWN_S:
                    self._fail(entry, NotRecorded())

    async def run(self) -> None:
        """Decide batch after batch, until cancelled. Begun anew after a failure, it goes on with what waits."""
        loop = asyncio.get_running_loop()
        self._give_up([entry for entry in self._deciding if entry not in self._held])
        self._deciding = []
        self._of_lot = Counter(entry.bid.lot for entry in (*self._held, *self._waiting))
        self._arrived.set()
        while True:
            await self._arrived.wait()
            batch = self._deciding = self._next_batch()
            if not self._waiting:
                self._arrived.clear()
            if not batch:  # taken back meanwhile, or held with others of its lot
                if not self._held:
                    self._idle.set()
                continue
            if loop.time() < self._ask_until:
                self.on_held()
            answers = await loop.run_in_executor(self._thread, self._decided, [entry.bid for entry in batch])
            for entry, answer in zip(batch, answers, strict=True):
                self._tell(entry, answer)
            self._deciding = []
            if self._held:
                self.on_held()
                self._ask_until = loop.time() + _ASK_FOR_S
                # Not put off by what is decided meanwhile in other lots.
                if self._alarm is None:
                    self._alarm = loop.call_later(_LOOK_EVERY_S, self.look)
            elif not self._waiting:
                self._idle.set()

    def look(self) -> None:
        """Another gateway has got on: what is held, or will be, may be decided now."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._look = True
        self._arrived.set()

    def _next_batch(self) -> list[_Waiting]:
        most = min(max(_SMALLEST_BATCH, (len(self._waiting) + self._before) // 2), _LARGEST_BATCH)
        fresh, self._waiting = self._waiting[:most], self._waiting[most:]
        self._before = len(fresh)
        if self._look:
            held, self._held, self._look = self._held, [], False
            return held + fresh
        lots = {entry.bid.lot for entry in self._held}
        self._held += [entry for entry in fresh if entry.bid.lot in lots]
        return [entry for entry in fresh if entry.bid.lot not in lots] if lots else fresh

    def progress(self, now: datetime) -> Progress:
        """What is decided of all that came in, and what not yet; asked in the event loop, where bids are stamped."""
        oldest: dict[int, datetime] = {}
        for entry in (*self._deciding, *self._held, *self._waiting):
            lot, received_at = entry.bid.lot, entry.bid.received_at
            oldest[lot] = min(oldest.get(lot, received_at), received_at)
        return Progress(now, oldest)

    async def drain(self) -> None:
        """Wait until all that came in is decided and told, while `run` still runs."""
        async with asyncio.timeout(_LONGEST_DRAIN_S):
            while self._looked_at_again or not self._idle.is_set():
                await self._idle.wait()
                if self._looked_at_again:
                    await asyncio.sleep(_LOOK_EVERY_S)

    async def aclose(self) -> None:
        """Tell whoever still waits to ask by the key, and give the connection back. `run` has ended."""
        self._give_up([*self._deciding, *self._held, *self._waiting, *self._looked_at_again])
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: connection.close())
        self._thread.shutdown()

    def _queue(self, entry: _Waiting) -> None:
        self._of_lot[entry.bid.lot] += 1
        self._waiting.append(entry)
        self._arrived.set()
        self._idle.clear()

    def _leaves(self, entry: _Waiting) -> None:
        lot = entry.bid.lot
        self._of_lot[lot] -= 1
        if self._of_lot[lot] <= 0:
            del self._of_lot[lot]

    def _give_up(self, entries: Sequence[_Waiting]) -> None:
        """Whether they are in the log or will be, nobody here can say any more."""
        for entry in entries:
            self._fail(entry, NotRecorded())

    def _tell(self, entry: _Waiting, answer: Answer | None) -> None:
        if answer is HELD:
            self._held.append(entry)
            return
        self._leaves(entry)
        if answer is None:
            self._fail(entry, NotRecorded())
        elif _just_late(entry.bid, answer) and entry.looks < _LOOKS and not entry.answer.done():
            entry.looks += 1
            self._looked_at_again.append(entry)
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look_again, entry)
        else:
            if answer.code is not None:
                self.remember(entry.bid, answer)
            if not entry.answer.done():  # whoever sent it may have gone
                entry.answer.set_result(answer)

    def _look_again(self, entry: _Waiting) -> None:
        self._looked_at_again.remove(entry)
        self._queue(entry)

    def _fail(self, entry: _Waiting, error: Exception) -> None:
        if not entry.answer.done():
            entry.answer.set_exception(error)
            entry.answer.exception()  # whoever sent it may have gone, and nobody asks

    def remember(self, bid: WaitingBid, refusal: Answer) -> None:
        """Have `refused` tell it for a while."""
        self._refused.pop((bid.participant, bid.key), None)
        self._refused[bid.participant, bid.key] = refusal
        if len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]

    def _decided(self, bids: Sequence[WaitingBid]) -> Sequence[Answer | None]:
        """In the room's thread. Where a batch of several lots fails, each is tried alone: one bad lot stops no
        other."""
        try:
            return self._desk.decide(bids)
        except (OperationalError, InterfaceError, InternalError) as error:
            # Internal: the server broke the transaction off, because nothing came of it for too long.
            log.warning("A batch of %s bids could not be committed: %s", len(bids), error)
            connection.close()
            return [None] * len(bids)
        except Exception:
            log.exception("A batch of %s bids failed", len(bids))
            lots = {bid.lot for bid in bids}
            return [None] * len(bids) if len(lots) == 1 else self._decided_apart(bids, lots)

    def _decided_apart(self, bids: Sequence[WaitingBid], lots: set[int]) -> list[Answer | None]:
        answers: list[Answer | None] = [None] * len(bids)
        for lot in sorted(lots):
            places = [place for place, bid in enumerate(bids) if bid.lot == lot]
            for place, answer in zip(places, self._decided([bids[place] for place in places]), strict=True):
                answers[place] = answer
        return answers


def _just_late(bid: WaitingBid, answer: Answer) -> bool:
    return (
        answer.code == Refused.OVER
        and answer.ends_at is not None
        and answer.ends_at <= bid.received_at < answer.ends_at + _SECOND_LOOK
    )
