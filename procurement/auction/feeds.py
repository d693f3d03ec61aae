"""Streams of live auctions: one LISTEN for the process, one memory of each lot that somebody watches, fanned out from
there.

A stream holds no database connection. What a viewer is sent is made once for all who see the same, at most ten times
a second.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from django.db import DatabaseError, connection, connections

from marketplace.shared import clock
from procurement.auction.projection import update
from procurement.auction.room import live_members
from procurement.auction.tokens import Ticket
from procurement.models import Auction
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import Event, Hall, iso
from procurement.services.auction_log import CHANNEL

log = logging.getLogger(__name__)

_COALESCE_S = 0.1
_HEARTBEAT_S = 15.0
_LISTEN_AGAIN_S = 1.0


class Subscriber:
    """One open stream: who looks, and up to which event it has been told."""

    def __init__(self, ticket: Ticket, viewer: str | None, seen: int) -> None:
        self.ticket = ticket
        self.viewer = viewer
        self.seen = seen
        self.closed = False
        self.beat = False
        self.news = asyncio.Event()

    def close(self) -> None:
        self.closed = True
        self.news.set()


class Feed:
    """What the process remembers of one lot: all its events and the room they fold to."""

    def __init__(self, auction: int) -> None:
        self.auction = auction
        self.hall: Hall | None = None
        self.events: list[Event] = []
        self.keys: set[tuple[str, str]] = set()
        self.subscribers: set[Subscriber] = set()
        self.dirty = asyncio.Event()
        self._frames: dict[tuple[str | None, int], bytes] = {}

    def read(self) -> tuple[Hall | None, list[Event]]:
        """What is new in the log. In a thread: asks the database."""
        hall, found = self.hall, []
        for event, head in rooms.events(self.auction, after=hall.number if hall else 0):
            hall = rooms.folded(self.auction, [(event, head)], hall)
            found.append(event)
        return hall, found

    def take(self, hall: Hall | None, found: list[Event]) -> None:
        """Remember what was read, and wake everybody if it was something."""
        if not found or (self.hall and found[0].number != self.hall.number + 1):
            return
        self.hall = hall
        self.events += found
        self.keys.update((event.bidder, event.key) for event in found if event.bidder is not None)
        self._frames.clear()
        for subscriber in self.subscribers:
            subscriber.news.set()

    def frame(self, subscriber: Subscriber) -> bytes | None:
        """What the subscriber has not been told yet, as one server-sent event; None when there is nothing."""
        if self.hall is None or subscriber.seen >= self.hall.number:
            return None
        wanted = (subscriber.viewer, subscriber.seen)
        if wanted not in self._frames:
            content = update(self.hall, self.events[subscriber.seen :], subscriber.viewer, clock.now())
            self._frames[wanted] = sent_event("update", content, self.hall.number)
        subscriber.seen = self.hall.number
        return self._frames[wanted]


class Feeds:
    """All feeds of the process, kept up to date by one LISTEN."""

    def __init__(self) -> None:
        self.listening = asyncio.Event()
        self._feeds: dict[int, Feed] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="feeds")

    def get(self, lot: int) -> Feed | None:
        """The lot's feed, if somebody watches it here."""
        return self._feeds.get(lot)

    async def subscribe(self, ticket: Ticket, viewer: str | None, seen: int) -> tuple[Feed, Subscriber] | None:
        """A subscription to the ticket's lot, to be ended with `leave`; None where the lot has no auction."""
        lot = ticket.lot
        feed = self._feeds.get(lot)
        if feed is None:
            auction = await self.in_thread(lambda: Auction.objects.filter(lot=lot).values_list("pk", flat=True).first())
            if auction is None:
                return None
            feed = self._feeds.get(lot) or self._open(lot, auction)
        if feed.hall is None:
            feed.take(*await self.in_thread(feed.read))
        last = feed.hall.number if feed.hall else 0
        subscriber = Subscriber(ticket, viewer, seen if seen <= last else 0)
        feed.subscribers.add(subscriber)
        return feed, subscriber

    def leave(self, lot: int, feed: Feed, subscriber: Subscriber) -> None:
        """End the subscription; a feed that nobody watches is forgotten."""
        feed.subscribers.discard(subscriber)
        if not feed.subscribers and self._feeds.get(lot) is feed:
            del self._feeds[lot]
            self._tasks.pop(lot).cancel()

    async def listen(self) -> None:
        """Follow the notifications, until cancelled. After every gap each feed is read again."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True) as listener:
                    await listener.execute(f"LISTEN {CHANNEL}")
                    self.listening.set()
                    self._all_dirty()
                    async for notice in listener.notifies():
                        self._heard(notice.payload)
            except psycopg.Error as error:
                log.warning("The gateway does not hear the database: %s", error)
            finally:
                self.listening.clear()
            await asyncio.sleep(_LISTEN_AGAIN_S)

    async def beat(self) -> None:
        """Wake every stream now and then, and look whether anything was missed, until cancelled."""
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            self._all_dirty()
            for subscriber in self._subscribers():
                subscriber.beat = True
                subscriber.news.set()
            try:
                await self._part_from_strangers()
            except DatabaseError as error:
                log.warning("Nobody knows who has left: %s", error)

    def close_streams(self) -> None:
        """Tell every stream to end: the process stops, and its viewers come back to another."""
        for subscriber in self._subscribers():
            subscriber.close()

    async def aclose(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._threads.shutdown()

    async def in_thread(self, ask: Callable[[], Any]) -> Any:
        """Run a question to the database in a thread, on a connection that is given back at once."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _asked, ask)

    def _subscribers(self) -> list[Subscriber]:
        return [subscriber for feed in self._feeds.values() for subscriber in feed.subscribers]

    async def _part_from_strangers(self) -> None:
        """End the streams of those who have left their organisation, or whose supplier was suspended, since they
        came."""
        watching = self._subscribers()
        if not watching:
            return
        members = await self.in_thread(lambda: live_members([subscriber.ticket.seat for subscriber in watching]))
        for subscriber in watching:
            if subscriber.ticket.seat not in members:
                subscriber.close()

    def _open(self, lot: int, auction: int) -> Feed:
        feed = self._feeds[lot] = Feed(auction)
        self._tasks[lot] = asyncio.get_running_loop().create_task(self._follow(feed))
        return feed

    async def _follow(self, feed: Feed) -> None:
        while True:
            await feed.dirty.wait()
            feed.dirty.clear()
            try:
                feed.take(*await self.in_thread(feed.read))
            except Exception:
                log.exception("The log of auction %s could not be read", feed.auction)
            await asyncio.sleep(_COALESCE_S)

    def _heard(self, payload: str) -> None:
        if payload == "*":
            self._all_dirty()
            return
        for named in payload.split(","):
            lot, _, number = named.partition(":")
            feed = self._feeds.get(int(lot))
            if feed is not None and (feed.hall is None or feed.hall.number < int(number)):
                feed.dirty.set()

    def _all_dirty(self) -> None:
        for feed in self._feeds.values():
            feed.dirty.set()


def sent_event(kind: str, content: dict[str, Any], number: int) -> bytes:
    """A server-sent event."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"id: {number}\nevent: {kind}\ndata: {text}\n\n".encode()


def heartbeat() -> bytes:
    """A comment that keeps the connection open and tells the server's time."""
    return f": {iso(clock.now())}\n\n".encode()


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
