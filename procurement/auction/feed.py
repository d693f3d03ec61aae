"""What a process remembers of one lot that somebody watches, and what it sends of it: each viewer is told what it may
know, made once for all who see the same."""

from __future__ import annotations

import asyncio
import json
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from marketplace.shared import clock
from procurement.auction.projection import for_all, for_viewer, goes_unnoticed, looks_alike, told
from procurement.auction.tokens import Ticket
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import Event, Hall, is_confidential, iso

# Events of a lot that are kept in memory, and how many are sent at once of a longer history.
_WINDOW: Final = 1000
_PART: Final = 500
# Keys of bids that are remembered of a lot; beyond, no bid is refused without asking the room.
_MOST_KEYS: Final = 100_000
# Frames tell the time: one that was made this long ago is made again for who comes later.
_FRESH: Final = timedelta(milliseconds=50)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class Subscriber:
    """One open stream: who looks, and up to which event it has been told."""

    def __init__(self, ticket: Ticket, viewer: str | None, seen: int) -> None:
        self.ticket = ticket
        self.viewer = viewer
        self.seen = seen
        self.closed = False
        self.beat = False
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None
        # Since when its connection has not taken what it was sent; by the event loop's own clock.
        self.sending_since: float | None = None
        self.task = asyncio.current_task()

    def wake(self) -> None:
        """Have it look for what is new."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        else:
            self._woken = True

    def news(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """To be awaited until woken; at once where that has happened since the last time. A bare future: thousands are
        woken for every bid, and asyncio's Event takes half as long again."""
        self._waiter = loop.create_future()
        if self._woken:
            self._waiter.set_result(None)
        self._woken = False
        return self._waiter

    def close(self) -> None:
        self.closed = True
        self.wake()


class Feed:
    """What the process remembers of one lot: its latest events and the room they all fold to."""

    def __init__(self, lot: int, auction: int) -> None:
        self.lot = lot
        self.auction = auction
        self.hall: Hall | None = None
        # Of the last event: asked for several times for each of thousands of viewers.
        self.number = 0
        self.events: deque[Event] = deque(maxlen=_WINDOW)
        self.keys: set[int] | None = set()
        # The numbers of moves that only their bidder notices: all, and each bidder's.
        self._unnoticed: list[int] = []
        self._noticed_by: dict[str, list[int]] = {}
        # The numbers of events that moved the end; in the closing minutes that can be every bid.
        self._extended = array("I")
        self._extensions = 0
        self.subscribers: set[Subscriber] = set()
        self.streams: Counter[int] = Counter()
        self.again_at = 0.0
        self.opening = asyncio.Lock()
        self._frames: dict[tuple[str | None, int], bytes] = {}
        # What all viewers are told alike, as JSON: the room after which event, made when; events by first and last, and
        # as which the first counts.
        self._room: tuple[int, datetime, str] = (0, _NEVER, "")
        self._told: dict[tuple[int, int, int], str] = {}

    def number_for(self, viewer: str | None, number: int) -> int:
        """The number of an event as the viewer counts them."""
        if viewer is None:
            return number
        return number - bisect_right(self._unnoticed, number) + bisect_right(self._noticed_by.get(viewer, ()), number)

    def seen_by(self, viewer: str | None, number: int) -> int:
        """The last event that a viewer has seen who was told all that it counts up to `number`; 0 where it cannot have
        been told so much."""
        if number > self.number_for(viewer, self.number):
            return 0
        return bisect_right(range(self.number + 1), number, key=lambda one: self.number_for(viewer, one)) - 1

    def moved_end(self, number: int) -> bool:
        """Whether the event of that number extended the auction."""
        place = bisect_left(self._extended, number)
        return place < len(self._extended) and self._extended[place] == number

    def known(self, bidder: str, key: str) -> bool:
        """Whether a move may have been written under that key; False is certain."""
        return self.keys is None or hash((bidder, key)) in self.keys

    def read(self) -> None:
        """All of the log. In a thread: asks the database."""
        hall: Hall | None = None
        for remembered in (self.events, self._unnoticed, self._noticed_by):
            remembered.clear()
        self._extended, self._extensions = array("I"), 0
        for event, head in rooms.events(self.auction):
            hall = rooms.folded(self.auction, [(event, head)], hall)
            self._remember(event, hall)
        self.number = hall.number if hall else 0
        self.hall = hall

    def take(self, found: list[tuple[Event, str]]) -> None:
        """Go on with what was read, and wake everybody if it was something."""
        fresh = [entry for entry in found if entry[0].number > self.number]
        if not fresh:
            return
        self.hall = rooms.folded(self.auction, fresh, self.hall)
        for event, _ in fresh:
            self._remember(event, self.hall)
        self.number = fresh[-1][0].number
        self.forget_frames()
        for subscriber in self.subscribers:
            subscriber.wake()

    def frame(self, subscriber: Subscriber) -> bytes | None:
        """What the subscriber has not been told yet, as one server-sent event; None when there is nothing, or when it
        is no longer kept: see `lags`."""
        number = self.number
        if subscriber.seen >= number:
            return None
        wanted = (subscriber.viewer, subscriber.seen)
        frame = self._frames.get(wanted)
        if frame is None:
            if self.lags(subscriber):
                return None
            fresh = [self.events[place] for place in range(subscriber.seen - number, 0)]
            frame = self._frames[wanted] = self._made(fresh, subscriber.viewer)
        subscriber.seen = number
        return frame or None

    def lags(self, subscriber: Subscriber) -> bool:
        """Whether the subscriber has missed more than is kept."""
        return self.number - subscriber.seen > min(len(self.events), _PART)

    def history(self, viewer: str | None, seen: int) -> tuple[bytes, int]:
        """The next part of what the viewer has missed, and the last event in it. In a thread: asks the database."""
        found = [event for event, _ in rooms.events(self.auction, after=seen, most=_PART)]
        return (self._made(found, viewer), found[-1].number) if found else (b"", self.number)

    def _made(self, events: list[Event], viewer: str | None) -> bytes:
        """Nothing where the viewer may notice none of the events: not even that something was sent."""
        hall = self.hall  # this is asked in threads, too
        assert hall is not None
        noticed = [event for event in events if not goes_unnoticed(hall, event, viewer)]
        if not noticed:
            return b""
        now, after = clock.now(), self.number_for(viewer, events[0].number - 1)
        number, happened = after + len(noticed), self._events(hall, noticed, viewer, after)
        room, own = self._for_all(hall, now), _members(for_viewer(hall, viewer, now))
        return _event(f'{{"events":{happened},"state":{{"number":{number},{room},{own}}}}}', number)

    def _for_all(self, hall: Hall, now: datetime) -> str:
        made_of, made_at, room = self._room
        if made_of != hall.number or now - made_at > _FRESH:
            room = _members(for_all(hall, now))
            self._room = hall.number, now, room
        return room

    def _events(self, hall: Hall, noticed: list[Event], viewer: str | None, after: int) -> str:
        """What the viewer is told of the events, as JSON: made once for all to whom they look alike."""
        same = noticed[0].number, noticed[-1].number, after
        if same[1] != hall.number or not all(looks_alike(event, viewer) for event in noticed):
            return _json(told(hall, noticed, viewer, after, self.moved_end))
        if same not in self._told:
            self._told[same] = _json(told(hall, noticed, viewer, after, self.moved_end))
        return self._told[same]

    def forget_frames(self) -> None:
        """What was made is out of date: of what happened, or by the time it tells."""
        self._frames.clear()
        self._told.clear()
        self._room = (0, _NEVER, "")

    def _remember(self, event: Event, hall: Hall | None) -> None:
        self.events.append(event)
        if (extensions := event.detail.get("extensions", 0)) > self._extensions:
            self._extensions = extensions
            self._extended.append(event.number)
        if hall is not None and event.bidder is not None and is_confidential(hall.rules, event):
            self._unnoticed.append(event.number)
            self._noticed_by.setdefault(event.bidder, []).append(event.number)
        if event.key and event.bidder is not None and self.keys is not None:
            self.keys.add(hash((event.bidder, event.key)))
            if len(self.keys) > _MOST_KEYS:
                self.keys = None


def heartbeat() -> bytes:
    """A comment that keeps the connection open and tells the server's time."""
    return f": {iso(clock.now())}\n\n".encode()


def _event(text: str, number: int) -> bytes:
    return f"id: {number}\nevent: update\ndata: {text}\n\n".encode()


def _members(content: dict[str, Any]) -> str:
    """The members of an object as JSON, without its braces."""
    return _json(content)[1:-1]
