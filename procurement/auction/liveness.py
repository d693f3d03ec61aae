"""The gateway's sign of life: every second, that it could write a bid, and how far it has got with its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from django.db import Error, connection

from marketplace.shared import clock
from procurement.services import outages, pulse

log = logging.getLogger(__name__)

# A bid that comes before the first sign waits for it so long.
_FIRST_SIGN_S: Final = 3.0
# No other gateway is asked or told more often.
_WORD_EVERY_S: Final = 0.005


class Liveness:
    """Writes the sign from a thread and on a connection of its own, and has the process follow the platform's time.

    With the first sign after an outage auctions get their time back, each before this gateway takes a bid for it: what
    would have been refused as late is then in time.
    """

    def __init__(self, progress: Callable[[datetime], pulse.Progress]) -> None:
        self._progress = progress
        self._process = pulse.process_name(pulse.GATEWAY)
        self._carried = clock.Carried()
        self._tolerated = pulse.tolerance().total_seconds()
        self._last: float | None = None
        self._first = asyncio.Event()
        self._called = asyncio.Event()
        self._asks = self._tells = False
        self._owed: set[int] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="liveness")
        # Of its own: while many auctions get their time back, the signs go on.
        self._amends = ThreadPoolExecutor(1, thread_name_prefix="amends")
        self._making = False

    @property
    def able(self) -> bool:
        """Whether the database has lately taken the sign, so that it would take a bid."""
        return self._last is not None and clock.counted() - self._last <= self._tolerated

    def owes(self, lot: int) -> bool:
        """Whether the lot's auction is still to get back time: what seems late now may be in time then."""
        return lot in self._owed

    async def ready(self) -> bool:
        """`able`, but a gateway that has just begun is given the time for its first sign."""
        if self._last is None:
            try:
                await asyncio.wait_for(self._first.wait(), _FIRST_SIGN_S)
            except TimeoutError:
                return False
        return self.able

    async def run(self) -> None:
        """Give sign after sign, until cancelled."""
        loop = asyncio.get_running_loop()
        clock.follow(self._carried)
        while True:
            # In the event loop: a bid is stamped and queued there in one step, so none falls between.
            progress = self._progress(clock.now())
            await loop.run_in_executor(self._thread, self._give, progress)
            if self._last is not None:
                self._first.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pulse.EVERY.total_seconds()):
                    await self._talk()

    def ask(self) -> None:
        """Have the other gateways say soon how far they have decided."""
        self._asks = True
        self._called.set()

    def heard(self, word: str) -> bool:
        """Take what gateways say to each other. Returns whether another one has got on."""
        what, _, process = word.partition(":")
        if process == self._process:
            return False
        if what == "asks":
            self._tells = True
            self._called.set()
        return what == "told"

    async def _talk(self) -> None:
        """Ask and tell the other gateways whenever there is need, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._called.wait()
            self._called.clear()
            asks, tells, self._asks, self._tells = self._asks, self._tells, False, False
            progress = self._progress(clock.now()) if tells else None
            await loop.run_in_executor(self._thread, self._say, asks, progress)
            await asyncio.sleep(_WORD_EVERY_S)

    def _say(self, asks: bool, progress: pulse.Progress | None) -> None:
        try:
            if progress is not None:
                pulse.tell_others(self._process, progress)
            if asks:
                pulse.ask_others(self._process)
        except Error as error:
            log.warning("The other gateways are not told: %s", error)
            connection.close()

    async def aclose(self) -> None:
        """Nobody need wait for this gateway. `run` has ended."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._farewell)
        self._thread.shutdown()
        self._amends.shutdown()
        clock.follow(None)

    def _give(self, progress: pulse.Progress) -> None:
        before = clock.counted()
        since_last = None if self._last is None else timedelta(seconds=before - self._last)
        try:
            found = pulse.gateway_beat(self._process, progress, since_last=since_last, carried=self._carried)
            counted = clock.counted()
            pending = outages.owed()
            self._owed = {one.lot for one in pending}
            # Only now: to bids that came later the auctions would be over that get their time back.
            self._carried.ahead = found.ahead
            if pending and not self._making:
                self._making = True
                self._amends.submit(self._make_up, pending)
            self._last = counted
        except Error as error:
            log.warning("No sign of this gateway could be written: %s", error)
            connection.close()
        except Exception:
            log.exception("No sign of this gateway could be written")

    def _make_up(self, pending: list[outages.Owed]) -> None:
        """What fails stays owed; the next sign tries again."""
        try:
            outages.make_up(pending, lambda one: self._owed.discard(one.lot))
        except Error as error:
            log.warning("Auctions wait for their time back: %s", error)
        finally:
            connection.close()
            self._making = False

    def _farewell(self) -> None:
        try:
            pulse.farewell(self._process)
        except Error as error:
            log.warning("The gateway stops without a word: %s", error)
        finally:
            connection.close()
