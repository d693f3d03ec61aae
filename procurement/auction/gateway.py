"""The gateway of live auctions: bids in, streams out, over bare ASGI. Run by
`granian --interface asgi --runtime-mode st procurement.auction.gateway:application` (with one thread taking requests,
they arrive here in the order in which they came); docs/procedures/live-auction.md says what it speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import django
from django.conf import settings
from django.db import DatabaseError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketplace.config.settings")
django.setup()

# Models can be imported only now.
from marketplace.shared import clock  # noqa: E402
from marketplace.shared.money import parse_decimal  # noqa: E402
from procurement.auction import tokens  # noqa: E402
from procurement.auction.asgi import (  # noqa: E402
    JSON,
    PREFLIGHT,
    Headers,
    Patience,
    Receive,
    Refuse,
    Request,
    Scope,
    Send,
    cors,
    refuse,
)
from procurement.auction.asking import kept  # noqa: E402
from procurement.auction.feed import Feed, Subscriber, heartbeat  # noqa: E402
from procurement.auction.feeds import Feeds, TooManyStreams  # noqa: E402
from procurement.auction.intake import Intake, NotRecorded, TooBusy  # noqa: E402
from procurement.auction.liveness import Liveness  # noqa: E402
from procurement.auction.room import (  # noqa: E402
    ENDLESS,
    HELD,
    KEY_REUSED,
    NOT_ENTITLED,
    UNKNOWN_AUCTION,
    Answer,
    WaitingBid,
    answer_of,
)
from procurement.auction.throttle import Throttle  # noqa: E402
from procurement.auction.tokens import Ticket, TicketRefused  # noqa: E402
from procurement.queries import auctions as rooms  # noqa: E402
from procurement.rules.auction import kinds  # noqa: E402
from procurement.rules.auction.base import Action, Refused  # noqa: E402
from procurement.rules.auction.log import iso  # noqa: E402
from procurement.services import pulse  # noqa: E402

log = logging.getLogger(__name__)

_MOST_BODY = 2048
# A database that refuses is waited for longer than that elsewhere; whoever asks here is told.
_LONGEST_ASK_S = 4.0
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_PLAIN_AMOUNT = re.compile(r"[0-9]{1,16}(\.[0-9]{1,4})?")
_LOT_PATH = re.compile(r"/live/lots/(\d{1,18})/(bids|events)(?:/([A-Za-z0-9_-]{8,64}))?")
_ACTIONS = {action.value: action for action in Action}
_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
# What would be answered without end takes a third of a second to refuse; it is asked no more often than that.
_AFTER_ENDLESS_S = 10.0
# That a bidder takes part was lately found true by the room: then what is hopeless is refused without asking again.
_TAKES_PART_S = 10.0
_MOST_REMEMBERED = 20_000
_BEGUN_ANEW_S = 1.0
# What is answered before the room asks whether the bidder takes part.
_WITHOUT_ASKING = {KEY_REUSED, UNKNOWN_AUCTION, HELD.code}
# What a stale room may refuse: it can only have got harder since.
_CERTAIN = {Refused.STEP_NOT_MET, Refused.LIMIT_NOT_MET, Refused.NO_ROOM_LEFT, Refused.TOO_LARGE, Refused.NOT_POSITIVE}


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
        self.patience, self.throttle = Patience(), Throttle(settings.GATEWAY_BIDS_PER_SECOND)
        self._now = loop.time
        self._taking_part: dict[tuple[int, int, int], float] = {}
        runs = (
            self.intake.run,
            self.feeds.listen,
            self.feeds.beat,
            self.liveness.run,
            self.patience.run,
            self.intake.tire,
            self.feeds.follow,
            self.feeds.receive_guests,
            self.feeds.let_go_of_the_slow,
        )
        self._tasks = [loop.create_task(_kept_going(run)) for run in runs]

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
            await self._bid(request, ticket, allowed)
        else:
            await self._asked(request, ticket, key, allowed)

    # Bids ----------------------------------------------------------------------------------------------------------

    async def _bid(self, request: Request, ticket: Ticket, allowed: Headers) -> None:
        if ticket.participant is None or not ticket.may_bid:
            raise refuse("bidding_role_missing")
        if not self.liveness.able and not await self.liveness.ready():
            raise refuse("not_recorded")
        if self.liveness.owes(ticket.lot):
            raise refuse("not_recorded")
        body = await request.body(_MOST_BODY, self.patience)
        # The stamp: when the whole bid was here, before anything else takes time.
        bid = _parsed(body, ticket, ticket.participant, clock.now())
        if wait := self.throttle.wait(bid.lot, bid.participant, bid.key):
            raise refuse("too_many_bids", retry_after=wait)
        answer = self._at_once(ticket, bid)
        if answer is None:
            try:
                answer = await self.intake.submit(bid)
            except TooBusy:
                raise refuse("too_busy") from None
            except NotRecorded:
                raise refuse("not_recorded") from None
            self._note_whether_it_takes_part(ticket, answer)
        if answer.code == ENDLESS:
            self.throttle.charge(bid.lot, bid.participant, _AFTER_ENDLESS_S)
        if answer.code is not None:
            raise refuse(answer.code, allowed_amount=answer.allowed_amount, received_at=iso(bid.received_at))
        await request.send_json(200 if answer.repeated else 201, _accepted(bid, answer), JSON, allowed)

    def _at_once(self, ticket: Ticket, bid: WaitingBid) -> Answer | None:
        """The refusal of a bid that is hopeless by what is remembered here; None when only the room can tell."""
        feed = self.feeds.get(bid.lot)
        if feed is None or feed.hall is None:
            return None
        if self._now() - self._taking_part.get(ticket.seat, -_TAKES_PART_S) >= _TAKES_PART_S:
            return None
        move = bid.move
        if feed.known(move.bidder, bid.key) or not kinds.hopeless(feed.hall.room, move):
            return None
        decision, _ = kinds.decide(feed.hall.room, move)
        return answer_of(feed.hall, decision) if decision.code in _CERTAIN else None

    def _note_whether_it_takes_part(self, ticket: Ticket, answer: Answer) -> None:
        if answer.code in (Refused.NOT_A_PARTICIPANT, NOT_ENTITLED):
            self._taking_part.pop(ticket.seat, None)
            return
        if answer.repeated or answer.code in _WITHOUT_ASKING:
            return
        if len(self._taking_part) >= _MOST_REMEMBERED:
            self._taking_part.clear()
        self._taking_part[ticket.seat] = self._now()

    async def _asked(self, request: Request, ticket: Ticket, key: str, allowed: Headers) -> None:
        """What became of a bid whose answer was lost."""
        if ticket.participant is None:
            raise refuse("bidding_role_missing")
        if wait := self.throttle.wait(ticket.lot, ticket.participant, f"?{key}"):
            raise refuse("too_many_bids", retry_after=wait)
        await request.answer(200, await self._found(ticket, ticket.participant, key), extra=allowed)

    async def _found(self, ticket: Ticket, participant: int, key: str) -> dict[str, Any]:
        if self.intake.holds(participant, key):
            return {"status": "pending"}
        try:
            async with asyncio.timeout(_LONGEST_ASK_S):
                written = await self.feeds.in_thread(lambda: kept(ticket.lot, participant, key))
        except (DatabaseError, TimeoutError):
            raise refuse("not_recorded") from None
        if written is not None:
            return {
                "status": "accepted",
                "number": written.number,
                "action": written.action,
                "amount": written.amount,
                "received_at": iso(written.received_at),
            }
        refused = self.intake.refused(participant, key)
        return {"status": "unknown"} if refused is None else {"status": "refused", "code": refused.code}

    # Streams -------------------------------------------------------------------------------------------------------

    async def _stream(self, request: Request, ticket: Ticket, allowed: Headers) -> None:
        viewer = None if ticket.participant is None else rooms.bidder(ticket.participant)
        try:
            async with asyncio.timeout(_LONGEST_ASK_S):
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


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("two things are said under one name")
    return found


_decoded = json.JSONDecoder(object_pairs_hook=_once).decode


def _settle_memory() -> None:
    """What is loaded by now stays for good: the collector need not look through it again and again, nor for every few
    bids. It took a fifth of a bid's time, and held all bids up whenever it went through everything."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _accepted(bid: WaitingBid, answer: Answer) -> bytes:
    """The answer as JSON. Put together by hand, being most of what this process writes: no member needs escaping."""
    amount = "null" if answer.amount is None else f'"{answer.amount}"'
    ends_at = f'"{iso(answer.ends_at)}"' if answer.ends_at else "null"
    repeated = "true" if answer.repeated else "false"
    return (
        f'{{"accepted":true,"number":{answer.number},"amount":{amount},'
        f'"received_at":"{iso(bid.received_at)}","ends_at":{ends_at},"repeated":{repeated}}}'
    ).encode()


def _parsed(body: bytes, ticket: Ticket, participant: int, received_at: datetime) -> WaitingBid:
    try:
        content = _decoded(str(body, "utf-8"))
    except (ValueError, RecursionError):
        raise refuse("not_json") from None
    if not isinstance(content, dict):
        raise refuse("not_json")
    key = content.get("idempotency_key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise refuse("key_malformed", field="idempotency_key")
    action = _ACTIONS.get(str(content.get("action", "bid")))
    if action is None:
        raise refuse("action_unknown", field="action")
    amount = None
    if content.get("amount") is not None or action is Action.BID:
        amount = _amount(content.get("amount"))
    return WaitingBid(ticket.lot, participant, ticket.person, amount, key, received_at, action)


def _amount(value: Any) -> Decimal:
    if not isinstance(value, str):  # a JSON number has already been through a float
        raise refuse("amount_not_a_number", field="amount")
    if _PLAIN_AMOUNT.fullmatch(value):  # as the page sends it
        return Decimal(value)
    try:
        return parse_decimal(value)
    except ValueError:
        raise refuse("amount_not_a_number", field="amount") from None


def _last_event(request: Request) -> int:
    value = request.header(b"last-event-id")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0


async def _closed(request: Request, close: Any) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    close()


application = Gateway()
