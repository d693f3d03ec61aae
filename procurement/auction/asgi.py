"""The little HTTP that the gateway speaks, over bare ASGI: Django's handler starts a thread for every answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from procurement.auction.refusals import Refusal, refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_LONGEST_BODY_S = 10.0


class Refuse(Exception):
    """Ends the request with a problem document."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.code)
        self.why = why


def refuse(code: str, **members: Any) -> Refuse:
    """To be raised."""
    return Refuse(refusal(code, **members))


@dataclass
class Request:
    """One request, its headers decoded once."""

    scope: Scope
    receive: Receive
    send: Send

    @cached_property
    def headers(self) -> Mapping[str, str]:
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]}

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def bearer(self) -> str:
        """The token of the Authorization header; empty when there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    async def body(self, most: int) -> bytes:
        """The whole body. Refuses one longer than `most` bytes, and one that is not sent through."""
        parts, size, more = [], 0, True
        while more:
            try:
                message = await asyncio.wait_for(self.receive(), _LONGEST_BODY_S)
            except TimeoutError:
                raise refuse("body_incomplete") from None
            if message["type"] != "http.request":
                raise refuse("body_incomplete")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise refuse("body_too_large")
            more = message.get("more_body", False)
        return b"".join(parts)

    async def answer(self, status: int, content: Any, *, media: str = "application/json", extra: Headers) -> None:
        """A JSON answer, never cached."""
        body = json.dumps(content, ensure_ascii=False).encode()
        headers = [
            (b"content-type", media.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *extra,
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def problem(self, why: Refusal, extra: Headers) -> None:
        """The refusal as a problem document (RFC 9457)."""
        more: Headers = [(b"www-authenticate", b"Bearer")] if why.status == 401 else []
        more += [(b"retry-after", b"1")] if why.status == 503 else []
        media = "application/problem+json"
        await self.answer(why.status, why.problem(), media=media, extra=[*extra, *more])


def cors(request: Request) -> Headers:
    """The headers that let the web's own origin read the answer. Refuses every other origin.

    A request without Origin is not a browser's from elsewhere: its token decides.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return []
    if not _is_ours(origin, request.headers.get("host", "")):
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
