"""The little HTTP that the gateway speaks, over bare ASGI: Django's handler starts a thread for every answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from procurement.auction.refusals import Refusal, refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

LONGEST_BODY_S = 10.0
_LOOK_EVERY_S = 1.0
JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")
_EVERY_ANSWER: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_NOTHING: Final[Headers] = []


class Refuse(Exception):
    """Ends the request with a problem document."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.code)
        self.why = why


def refuse(code: str, **members: Any) -> Refuse:
    """To be raised."""
    return Refuse(refusal(code, **members))


class Patience:
    """Ends the reading of bodies that do not come: one look a second at all of them, for a timer each costs a bid more
    than its reading. Made in the event loop."""

    def __init__(self) -> None:
        # To ask for the running loop is to ask the system for the process each time.
        self._loop = asyncio.get_running_loop()
        self._since: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            now = time.monotonic()
            for reader in [reader for reader, since in self._since.items() if now - since > LONGEST_BODY_S]:
                self._late.add(reader)
                reader.cancel()

    def begin(self) -> asyncio.Task[Any]:
        """The task that reads from now on."""
        reader = asyncio.current_task(self._loop)
        assert reader is not None
        self._since[reader] = time.monotonic()
        return reader

    def ran_out(self, reader: asyncio.Task[Any]) -> bool:
        """Whether it was this that cancelled the reader; it lives on."""
        if reader not in self._late:
            return False
        reader.uncancel()
        return True

    def end(self, reader: asyncio.Task[Any]) -> None:
        self._since.pop(reader, None)
        self._late.discard(reader)


class Request:
    """One request. Its headers are looked up as they came: a bid needs three of them."""

    __slots__ = ("_headers", "method", "path", "receive", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.receive, self.send = receive, send
        # ASGI gives names in lower case.
        self._headers: dict[bytes, bytes] = dict(scope["headers"])

    def header(self, name: bytes) -> str:
        """The header's value; empty when there is none."""
        return self._headers.get(name, b"").decode("latin-1")

    @property
    def authorization(self) -> bytes:
        """The Authorization header as it came; empty when there is none."""
        return self._headers.get(b"authorization", b"")

    async def body(self, most: int, patience: Patience) -> bytes:
        """The whole body. Refuses one longer than `most` bytes, and one that is not sent through in time."""
        declared = self._headers.get(b"content-length", b"")
        length = None
        if declared.isdigit():
            length = int(declared[:19])
            if length > most:
                raise refuse("body_too_large")
        reader = patience.begin()
        try:
            return await self._body(most, length)
        except asyncio.CancelledError:
            if patience.ran_out(reader):
                raise refuse("body_incomplete") from None
            raise
        finally:
            patience.end(reader)

    async def _body(self, most: int, length: int | None) -> bytes:
        message = await self.receive()
        whole = message.get("body", b"")
        # The server says that there is more until it has asked the connection once more, which takes a tenth of a
        # bid's time: what was declared is all there is.
        while message["type"] == "http.request" and message.get("more_body", False) and len(whole) <= most:
            if len(whole) == length:
                break
            message = await self.receive()
            whole += message.get("body", b"")
        if message["type"] != "http.request":
            raise refuse("body_incomplete")
        if len(whole) > most:
            raise refuse("body_too_large")
        return bytes(whole)

    async def answer(self, status: int, content: Any, *, extra: Headers = _NOTHING) -> None:
        """A JSON answer, never cached."""
        await self.send_json(status, json.dumps(content, ensure_ascii=False).encode(), JSON, extra)

    async def send_json(self, status: int, body: bytes, media: tuple[bytes, bytes], extra: Headers) -> None:
        """The same of text that is JSON already."""
        headers = [media, *_EVERY_ANSWER, (b"content-length", b"%d" % len(body)), *extra]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def problem(self, why: Refusal, extra: Headers) -> None:
        """The refusal as a problem document (RFC 9457)."""
        more: Headers = [(b"www-authenticate", b"Bearer")] if why.status == 401 else []
        if why.status in (429, 503):
            more.append((b"retry-after", b"%d" % why.members.get("retry_after", 1)))
        body = json.dumps(why.problem(), ensure_ascii=False).encode()
        await self.send_json(why.status, body, _PROBLEM, [*extra, *more])


def cors(request: Request) -> Headers:
    """The headers that let the web's own origin read the answer. Refuses every other origin.

    A request without Origin is not a browser's from elsewhere: its token decides.
    """
    origin = request.header(b"origin")
    if not origin:
        return _NOTHING
    if not _is_ours(origin, request.header(b"host")):
        raise refuse("origin_not_allowed")
    return [(b"access-control-allow-origin", origin.encode()), (b"vary", b"Origin")]


PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
    (b"access-control-max-age", b"600"),
]


def _is_ours(origin: str, host: str) -> bool:
    site = urlsplit(settings.SITE_URL)
    if origin in (f"{site.scheme}://{site.netloc}", *settings.CSRF_TRUSTED_ORIGINS):
        return True
    try:
        asked, here = urlsplit(origin), urlsplit(f"//{host}")
        if asked.hostname is None or asked.hostname != here.hostname:
            return False
        # The gateway behind the web's own address, or beside it on another port of the same host.
        return asked.netloc == host or (settings.GATEWAY_ORIGIN.startswith(":") and asked.port == site.port)
    except ValueError:
        return False
