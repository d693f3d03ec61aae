"""Streams of live auctions: one LISTEN for the process, one memory of each lot that somebody watches, fanned out from
there.

A stream holds no database connection. What a viewer is sent is made once for all who see the same, at most ten times
a second; one query reads what is new in all lots. What is kept of a lot is bounded: a viewer that has been away for
longer is sent its history from the database, in parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import psycopg
from django.db import DatabaseError, connection, connections

from procurement.auction.feed import Feed, Subscriber
from procurement.auction.seats import live_members
from procurement.auction.tokens import Ticket
from procurement.models import Auction
from procurement.queries import auctions as rooms
from procurement.services.auction_log import CHANNEL

log = logging.getLogger(__name__)

_COALESCE_S: Final = 0.1
_HEARTBEAT_S = 15.0
_LISTEN_AGAIN_S: Final = 1.0
STREAMS_EACH = 10
_MOST_STREAMS = 20_000
# A viewer that has not taken an update for so long is let go: it comes back with its Last-Event-ID.
_LONGEST_SEND_S = 10.0
_LOOK_EVERY_S = 1.0
# A feed that nobody watches any more is kept up to date for so long, and so many of them.
_UNWATCHED_FOR_S = 60.0
_MOST_UNWATCHED = 20


class TooManyStreams(Exception):
    """This person watches the lot in too many places already, or the process has enough to do."""


class Feeds:
    """All feeds of the process, kept up to date by one LISTEN."""

    def __init__(self) -> None:
        self.listening = asyncio.Event()
        # What else is listened for on the same connection: who is told, by channel.
        self.hears: dict[str, Callable[[str], None]] = {}
        self._feeds: dict[int, Feed] = {}
        # Those that nobody watches any more, by their lots, the longest first, and since when.
        self._unwatched: dict[int, float] = {}
        self._streams = 0
        self._behind: set[Feed] = set()
        self._heard_something = asyncio.Event()
        self._welcomed: dict[tuple[int, int, int], asyncio.Future[bool]] = {}
        self._somebody_came = asyncio.Event()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="feeds")

    def get(self, lot: int) -> Feed | None:
        """The lot's feed, if somebody watches it here, or did lately."""
        return self._feeds.get(lot)

    async def welcome(self, ticket: Ticket) -> bool:
        """Whether the ticket's person may still watch from its seat. Asked for all who come at once in one query."""
        answer = self._welcomed.get(ticket.seat)
        if answer is None:
            answer = self._welcomed[ticket.seat] = asyncio.get_running_loop().create_future()
            self._somebody_came.set()
        return await asyncio.shield(answer)

    async def subscribe(self, ticket: Ticket, viewer: str | None, seen: int) -> tuple[Feed, Subscriber] | None:
        """A subscription to the ticket's lot, to be ended with `leave`; None where the lot has no auction. `seen` is
        the last event that the viewer was told, as it counts.

        Raises TooManyStreams.
        """
        lot = ticket.lot
        feed = self._feeds.get(lot)
        if feed is None:
            auction = await self.in_thread(lambda: Auction.objects.filter(lot=lot).values_list("pk", flat=True).first())
            if auction is None:
                return None
            feed = self._feeds.setdefault(lot, Feed(lot, auction))
        if feed.streams[ticket.person] >= STREAMS_EACH or self._streams >= _MOST_STREAMS:
            raise TooManyStreams
        feed.streams[ticket.person] += 1
        self._streams += 1
        subscriber = Subscriber(ticket, viewer, seen)
        feed.subscribers.add(subscriber)
        self._unwatched.pop(lot, None)
        try:
            async with feed.opening:
                if feed.hall is None:
                    await self.in_thread(feed.read)
                elif seen > feed.number_for(viewer, feed.number):
                    # Told by another gateway, or of what is not heard of here yet; else it would be told all again.
                    await self._read([feed])
        except BaseException:
            self.leave(feed, subscriber)
            raise
        subscriber.seen = feed.seen_by(viewer, seen)
        return feed, subscriber

    def leave(self, feed: Feed, subscriber: Subscriber) -> None:
        """End the subscription. A feed that nobody watches is kept for a while: whoever comes back would have the whole
        log read again, as often as it comes."""
        feed.subscribers.discard(subscriber)
        self._streams -= 1
        feed.streams[subscriber.ticket.person] -= 1
        if not feed.streams[subscriber.ticket.person]:
            del feed.streams[subscriber.ticket.person]
        if not feed.subscribers and self._feeds.get(feed.lot) is feed:
            self._unwatched[feed.lot] = asyncio.get_running_loop().time()
            if feed.hall is None:
                self._forget(feed.lot)
            elif len(self._unwatched) > _MOST_UNWATCHED:
                self._forget(next(iter(self._unwatched)))

    async def part(self, feed: Feed, subscriber: Subscriber) -> bytes | None:
        """What is to be sent to the subscriber next, None when it knows all."""
        while (frame := feed.frame(subscriber)) is None and feed.lags(subscriber):
            found, subscriber.seen = await self.in_thread(lambda: feed.history(subscriber.viewer, subscriber.seen))
            if found:
                return found
        return frame

    async def listen(self) -> None:
        """Follow the notifications, until cancelled. After every gap each feed is read again."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True) as listener:
                    for channel in (CHANNEL, *self.hears):
                        await listener.execute(f"LISTEN {channel}")
                    self.listening.set()
                    self._all_behind()
                    async for notice in listener.notifies():
                        self.hears.get(notice.channel, self._heard)(notice.payload)
            except psycopg.Error as error:
                log.warning("The gateway does not hear the database: %s", error)
            finally:
                self.listening.clear()
            await asyncio.sleep(_LISTEN_AGAIN_S)

    async def follow(self) -> None:
        """Read what is new, each lot at most ten times a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            soonest = min((feed.again_at for feed in self._behind), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(soonest):
                    await self._heard_something.wait()
            self._heard_something.clear()
            due = [feed for feed in self._behind if feed.again_at <= loop.time()]
            for feed in due:
                feed.again_at = loop.time() + _COALESCE_S
            # One that is being opened may have been read before what was heard of: it stays.
            opened = [feed for feed in due if feed.hall is not None]
            self._behind.difference_update(opened)
            if opened:
                await self._read(opened)

    async def _read(self, due: list[Feed]) -> None:
        known = {feed.auction: feed.number for feed in due}
        try:
            found = await self.in_thread(lambda: rooms.events_of(known))
        except Exception:
            log.exception("The logs of auctions %s could not be read", sorted(known))
            self._behind.update(feed for feed in due if self._feeds.get(feed.lot) is feed)
            return
        for feed in due:
            try:
                feed.take(found.get(feed.auction, []))
            except Exception:
                log.exception("The log of auction %s does not hold", feed.auction)

    async def beat(self) -> None:
        """Wake every stream now and then, and look whether anything was missed, until cancelled."""
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            self._forget_the_unwatched()
            self._all_behind()
            for feed in self._feeds.values():
                feed.forget_frames()
            for subscriber in self._subscribers():
                subscriber.beat = True
                subscriber.wake()
            try:
                await self._part_from_strangers()
            except DatabaseError as error:
                log.warning("Nobody knows who has left: %s", error)

    async def let_go_of_the_slow(self) -> None:
        """End the streams whose connection takes nothing, until cancelled. What they hold is what the system buffers,
        and one update."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for subscriber in self._subscribers():
                since = subscriber.sending_since
                if since is not None and loop.time() - since > _LONGEST_SEND_S and subscriber.task is not None:
                    subscriber.closed = True
                    subscriber.task.cancel()

    async def receive_guests(self) -> None:
        """Answer `welcome`, until cancelled."""
        while True:
            await self._somebody_came.wait()
            self._somebody_came.clear()
            asked, self._welcomed = self._welcomed, {}
            try:
                members = await self.in_thread(partial(live_members, list(asked)))
            except DatabaseError as error:
                for answer in asked.values():
                    answer.set_exception(error)
                    answer.exception()  # who asked may have gone
            else:
                for seat, answer in asked.items():
                    answer.set_result(seat in members)

    def close_streams(self) -> None:
        """Tell every stream to end: the process stops, and its viewers come back to another."""
        for subscriber in self._subscribers():
            subscriber.close()

    async def aclose(self) -> None:
        self._feeds.clear()
        self._threads.shutdown()

    async def in_thread(self, ask: Callable[[], Any]) -> Any:
        """Run a question to the database in a thread, on a connection that is given back at once."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _asked, ask)

    def _forget(self, lot: int) -> None:
        del self._unwatched[lot]
        self._behind.discard(self._feeds.pop(lot))

    def _forget_the_unwatched(self) -> None:
        long_ago = asyncio.get_running_loop().time() - _UNWATCHED_FOR_S
        for lot in [lot for lot, since in self._unwatched.items() if since <= long_ago]:
            self._forget(lot)

    def _subscribers(self) -> list[Subscriber]:
        return [subscriber for feed in self._feeds.values() for subscriber in feed.subscribers]

    async def _part_from_strangers(self) -> None:
        """End the streams of those who have left their organisation, or whose supplier was suspended, since they
        came."""
        watching = self._subscribers()
        if not watching:
            return
        seats = list({subscriber.ticket.seat for subscriber in watching})
        members = await self.in_thread(lambda: live_members(seats))
        for subscriber in watching:
            if subscriber.ticket.seat not in members:
                subscriber.close()

    def _heard(self, payload: str) -> None:
        if payload == "*":
            self._all_behind()
            return
        for named in payload.split(","):
            lot, _, number = named.partition(":")
            feed = self._feeds.get(int(lot))
            if feed is not None and feed.number < int(number):
                self._behind.add(feed)
                self._heard_something.set()

    def _all_behind(self) -> None:
        self._behind.update(self._feeds.values())
        self._heard_something.set()


def _asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    finally:
        connection.close()


def _parameters() -> dict[str, Any]:
    """How to reach the database, without what is Django's own."""
    parameters = connections["default"].get_connection_params()
    wanted = ("dbname", "host", "port", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile")
    return {name: parameters[name] for name in wanted if name in parameters} | {"application_name": "openlot-gateway"}
