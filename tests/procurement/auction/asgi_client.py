"""A browser's part of the gateway's protocol, spoken to the ASGI application in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from django.test import override_settings

from marketplace.permissions import Actor
from procurement.auction import tokens
from procurement.auction.gateway import Gateway
from tests.factories.auctions import Seat
from tests.gateway import A_DAY_S
from tests.patience import PATIENCE_S


def token_of(seat: Seat, *, may_bid: bool = True) -> str:
    """A ticket of the seat's person."""
    assert seat.by.person is not None
    lot = seat.participant.auction.lot_id
    return tokens.issue(tokens.Ticket(lot, seat.by.person.pk, seat.participant.pk, may_bid))


def observer_token(lot: int, by: Actor) -> str:
    """A ticket of somebody who watches without a seat."""
    assert by.person is not None
    return tokens.issue(tokens.Ticket(lot, by.person.pk, None, may_bid=False))


def run(errand: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous errand to its end."""
    asyncio.run(asyncio.wait_for(errand, 3 * PATIENCE_S))


@asynccontextmanager
async def gateway() -> AsyncIterator[Client]:
    """A client of a gateway of its own, ready and stopped at the end.

    However long this machine keeps it from giving a sign of life, that is no outage.
    """
    with override_settings(OUTAGE_TOLERANCE_SECONDS=A_DAY_S):
        app = Gateway()
        client = Client(app)
        try:
            await asyncio.wait_for(_ready(client), PATIENCE_S)
            yield client
        finally:
            await app.aclose()


async def _ready(client: Client) -> None:
    while (await client.get("/live/healthz"))[0] != 200:  # noqa: ASYNC110  (it tells nobody when it is)
        await asyncio.sleep(0.01)


class Client:
    def __init__(self, app: Gateway) -> None:
        self.app = app

    async def get(self, path: str, **options: Any) -> tuple[int, dict[str, str], Any]:
        return await self.request("GET", path, **options)

    async def bid(self, seat: Seat, amount: Any, key: str, **options: Any) -> tuple[int, Any]:
        """Status and answer."""
        path = f"/live/lots/{seat.participant.auction.lot_id}/bids"
        body = json.dumps({"amount": amount, "idempotency_key": key}).encode()
        status, _, content = await self.request("POST", path, token=token_of(seat), body=body, **options)
        return status, content

    async def asked(self, seat: Seat, key: str) -> tuple[int, Any]:
        """What became of the move of that key: status and answer."""
        path = f"/live/lots/{seat.participant.auction.lot_id}/bids/{key}"
        status, _, content = await self.get(path, token=token_of(seat))
        return status, content

    async def request(
        self, method: str, path: str, *, token: str = "", body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        sent: list[Any] = []
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope_of(method, path, token, headers), receive, send)
        answer = b"".join(message.get("body", b"") for message in sent[1:])
        received = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], received, json.loads(answer) if answer else None

    @asynccontextmanager
    async def stream(self, lot: int, token: str, last_event: int | None = None) -> AsyncIterator[Stream]:
        """An open stream, closed as a browser closes it."""
        stream = Stream()
        headers = {} if last_event is None else {"last-event-id": str(last_event)}
        scope = scope_of("GET", f"/live/lots/{lot}/events", token, headers)
        serving = asyncio.create_task(self.app(scope, stream.receive, stream.send))
        try:
            yield stream
        finally:
            stream.gone.set()
            await asyncio.wait_for(serving, PATIENCE_S)


class Stream:
    """What a browser reads: updates by their ids, and comments."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.ended = asyncio.Event()
        self.status = 0
        self.comments: asyncio.Queue[str] = asyncio.Queue()
        self.messages: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self._asked = False

    async def receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if not message["more_body"]:
            self.ended.set()
        for block in message["body"].decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in lines:
                self.messages.put_nowait((int(lines["id"]), json.loads(lines["data"])))
            for line in block.splitlines():
                if line.startswith(":"):
                    self.comments.put_nowait(line)

    async def next(self) -> tuple[int, Any]:
        """The next update and its id."""
        return await asyncio.wait_for(self.messages.get(), PATIENCE_S)

    async def until(self, number: int) -> list[Any]:
        """All events up to that number."""
        events: list[Any] = []
        while True:
            last, content = await self.next()
            events += content["events"]
            if last >= number:
                return events


def scope_of(method: str, path: str, token: str, headers: dict[str, str] | None) -> dict[str, Any]:
    sent = {"host": "testserver", **({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
