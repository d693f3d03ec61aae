"""The gateway of live auctions: bids in, streams out, over bare ASGI. Run by
`granian --interface asgi --runtime-mode st procurement.auction.gateway:application` (with one thread taking requests,
they arrive here in the order in which they came); docs/procedures/live-auction.md says what it speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

import django
from django.db import DatabaseError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketplace.config.settings")
django.setup()

# Models can be imported only now.
from marketplace.shared import clock  # noqa: E402
from procurement.auction import tokens  # noqa: E402
from procurement.auction.asgi import PREFLIGHT, Headers, Receive, Refuse, Request, Scope, Send, cors, refuse  # noqa: E402
from procurement.auction.asking import LONGEST_ASK_S  # noqa: E402
from procurement.auction.clock import stand_in  # noqa: E402
from procurement.auction.feed import Feed, Subscriber, heartbeat  # noqa: E402
from procurement.auction.feeds import Feeds, TooManyStreams  # noqa: E402
from procurement.auction.intake import Intake  # noqa: E402
from procurement.auction.liveness import Liveness  # noqa: E402
from procurement.auction.moves import Moves  # noqa: E402
from procurement.auction.tokens import Ticket, TicketRefused  # noqa: E402
from procurement.queries import auctions as rooms  # noqa: E402
from procurement.rules.auction.base import Refused  # noqa: E402
from procurement.rules.auction.log import iso  # noqa: E402
from procurement.services import pulse  # noqa: E402

log = logging.getLogger(__name__)

_LOT_PATH = re.compile(r"/live/lots/(\d{1,18})/(bids|events)(?:/([A-Za-z0-9_-]{8,64}))?")
_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_BEGUN_ANEW_S = 1.0
_STANDS_IN_EVERY_S = 1.0


class Gateway:
    """One process's gateway. Starts its tasks with the first request where the server knows no lifespan."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            self._start()
            await self._answer(Request(scope, receive, send))

    async def aclose(self) -> None:
        """Stop: streams end, what is being decided is decided and told."""
        if not self._tasks:
            return
        self.feeds.close_streams()
        with contextlib.suppress(TimeoutError):
            await self.intake.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self.moves.close()
        await self.feeds.aclose()
        await self.intake.aclose()
        await self.liveness.aclose()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                _settle_memory()
                self._start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> None:
        if self._tasks:
            return
        self.intake, self.feeds = Intake(), Feeds()
        self.liveness = Liveness(self.intake.progress)
        self.intake.on_held = self.liveness.ask
        self.feeds.hears[pulse.GATEWAYS] = self._heard_gateway
        loop = asyncio.get_running_loop()
        self.moves = Moves(self.intake, self.feeds, self.liveness)
        runs = (
            self.intake.run,
            self.feeds.listen,
            self.feeds.beat,
            self.liveness.run,
            self.moves.patience.run,
            self.intake.tire,
            self.feeds.follow,
            self.feeds.receive_guests,
            self.feeds.let_go_of_the_slow,
            self._stand_in,
        )
        self._tasks = [loop.create_task(_kept_going(run)) for run in runs]

    async def _stand_in(self) -> None:
        """Have running auctions go on where no clock lives, until cancelled."""
        while True:
            await asyncio.sleep(_STANDS_IN_EVERY_S)
            try:
                if await self.feeds.in_thread(lambda: stand_in(clock.now())):
                    log.warning("No clock lives, or none keeps up: this gateway had auctions go on")
            except DatabaseError as error:
                log.warning("Nobody knows whether auctions should go on: %s", error)

    def _heard_gateway(self, word: str) -> None:
        if self.liveness.heard(word):
            self.intake.look()

    async def _answer(self, request: Request) -> None:
        allowed: Headers = []
        try:
            allowed = cors(request)
            await self._route(request, allowed)
        except Refuse as refused:
            await request.problem(refused.why, allowed)

    async def _route(self, request: Request, allowed: Headers) -> None:
        if request.method == "OPTIONS":
            headers: Headers = [*allowed, *PREFLIGHT]
            await request.send({"type": "http.response.start", "status": 204, "headers": headers})
            await request.send({"type": "http.response.body", "body": b""})
        elif request.path == "/live/time":
            await request.answer(200, {"now": iso(clock.now())}, extra=allowed)
        elif request.path in ("/live/healthz", "/healthz"):
            ready = self.feeds.listening.is_set() and await self.liveness.ready()
            content = {"status": "ready"} if ready else {"status": "unavailable", "reason": "the database is away"}
            await request.answer(200 if ready else 503, content, extra=allowed)
        elif found := _LOT_PATH.fullmatch(request.path):
            await self._lot(request, int(found[1]), found[2], found[3], allowed)
        else:
            raise refuse("not_found")

    async def _lot(self, request: Request, lot: int, what: str, key: str | None, allowed: Headers) -> None:
        if key is not None and what == "events":
            raise refuse("not_found")
        if request.method != ("POST" if what == "bids" and key is None else "GET"):
            raise refuse("method_not_allowed")
        try:
            ticket = tokens.bearer(request.authorization)
        except TicketRefused:
            raise refuse("ticket_refused") from None
        if ticket.lot != lot:
            raise refuse("ticket_refused")
        if what == "events":
            await self._stream(request, ticket, allowed)
        elif key is None:
            await self.moves.take(request, ticket, allowed)
        else:
            await self.moves.tell(request, ticket, key, allowed)

    # Streams -------------------------------------------------------------------------------------------------------

    async def _stream(self, request: Request, ticket: Ticket, allowed: Headers) -> None:
        viewer = None if ticket.participant is None else rooms.bidder(ticket.participant)
        try:
            async with asyncio.timeout(LONGEST_ASK_S):
                welcome = await self.feeds.welcome(ticket)
            if not welcome:
                raise refuse(Refused.NOT_A_PARTICIPANT)
            subscribed = await self.feeds.subscribe(ticket, viewer, _last_event(request))
        except TooManyStreams:
            raise refuse("too_many_streams", retry_after=30) from None
        except (DatabaseError, TimeoutError):
            raise refuse("unavailable") from None
        if subscribed is None:
            raise refuse("no_auction")
        feed, subscriber = subscribed
        watching = asyncio.create_task(_closed(request, subscriber.close))
        try:
            await self._send_stream(request, feed, subscriber, allowed)
        except (OSError, DatabaseError):
            pass  # the viewer or the database has gone; it comes back with its Last-Event-ID
        except asyncio.CancelledError:
            if not subscriber.closed:
                raise
        finally:
            watching.cancel()
            self.feeds.leave(feed, subscriber)

    async def _send_stream(self, request: Request, feed: Feed, subscriber: Subscriber, allowed: Headers) -> None:
        await request.send({"type": "http.response.start", "status": 200, "headers": [*_STREAM, *allowed]})
        loop = asyncio.get_running_loop()
        part: bytes | None = b"retry: 1000\n" + heartbeat()
        while not subscriber.closed:
            if part:
                subscriber.sending_since = loop.time()
                await request.send({"type": "http.response.body", "body": part, "more_body": True})
                subscriber.sending_since = None
            part = feed.frame(subscriber)
            if part is None and subscriber.seen < feed.number:
                part = await self.feeds.part(feed, subscriber)
            if part is None and subscriber.beat:
                part = heartbeat()
            subscriber.beat = False
            if part is None:
                await subscriber.news(loop)
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _kept_going(run: Callable[[], Awaitable[None]]) -> None:
    """Run it until cancelled. A failure nobody thought of ends none of the gateway's tasks for good: bids would wait,
    or streams stand still, and nobody would know."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("A task of the gateway failed, and is begun anew")
            await asyncio.sleep(_BEGUN_ANEW_S)


def _settle_memory() -> None:
    """What is loaded by now stays for good: the collector need not look through it again and again, nor for every few
    bids. It took a fifth of a bid's time, and held all bids up whenever it went through everything."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _last_event(request: Request) -> int:
    value = request.header(b"last-event-id")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0


async def _closed(request: Request, close: Any) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    close()


application = Gateway()
