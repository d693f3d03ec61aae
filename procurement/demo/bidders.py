"""Bidders by machine, for the demonstration: each has an API token and uses the routes that anybody's program uses."""

from __future__ import annotations

import json
import logging
import random
import threading
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

log = logging.getLogger(__name__)

_TIMEOUT: Final = 10
_OVER: Final = ("ended", "cancelled")
# What a bidder would do the work for, as a share of its first bid; where the price moves by itself, how far on its way.
_FLOOR: Final = (0.72, 0.9)
_ON_THE_WAY: Final = (0.2, 0.9)
# Seconds a bidder thinks before it looks again: more at first, less towards the end.
_CALM: Final = (9.0, 28.0)
_BUSY: Final = (3.0, 9.0)
_BUSY_SECONDS: Final = 90


class Gone(Exception):
    """The auction is not this bidder's, or the platform said no for good."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the platform is, as a program outside sees it."""

    url: str

    def get(self, path: str, token: str) -> dict[str, Any]:
        return self._call(urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}))

    def post(self, url: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        target = url if "://" in url else f"{self.url}{url}"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._call(urllib.request.Request(target, json.dumps(body).encode(), headers, method="POST"))

    def _call(self, request: urllib.request.Request) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404):
                raise Gone(f"{error.code} {request.full_url}") from error
            if error.headers.get_content_type() == "application/problem+json":
                return dict(json.load(error))
            raise


def bid_in(site: Site, lot: int, token: str, seed: int, stopping: threading.Event) -> None:
    """Take part in one auction until it is over: go down by what is allowed, and a little more, to a floor; on a clock,
    take the price that the work is worth."""
    rng = random.Random(seed)
    floor: Decimal | None = None
    state: dict[str, Any] | None = None
    while not stopping.is_set():
        try:
            room = site.get(f"/api/v1/lots/{lot}/auction/", token)
            state = room["state"]
            if state["status"] in _OVER:
                return
            floor = floor or _floor(state, rng)
            if state["status"] == "running" and floor is not None:
                _move(site, room, floor, rng)
        except Gone as error:
            log.info("Bidder %s leaves lot %s: %s", seed, lot, error)
            return
        except (OSError, ValueError) as error:  # the platform starts again: so does the bidder
            log.info("Bidder %s waits: %s", seed, error)
        stopping.wait(_thinks(rng, state))


def _floor(state: dict[str, Any], rng: random.Random) -> Decimal | None:
    """None while nothing tells what the work may be worth: nobody has bid, and no clock runs."""
    own, allowed, clock = state["own"]["amount"], state["allowed"], state["clock"]
    if clock is not None:
        if allowed is None:
            return None
        first, last = Decimal(allowed), Decimal(clock["last"])
        return first + (last - first) * Decimal(str(round(rng.uniform(*_ON_THE_WAY), 3)))
    return None if own is None else Decimal(own) * Decimal(str(round(rng.uniform(*_FLOOR), 3)))


def _move(site: Site, room: dict[str, Any], floor: Decimal, rng: random.Random) -> None:
    """Bid, accept or confirm, whatever the bidder may do now; nothing below the floor."""
    state = room["state"]
    allowed, actions = state["allowed"], state["actions"]
    if allowed is None or Decimal(allowed) < floor:
        return
    action = next((one for one in ("bid", "accept", "confirm") if one in actions), None)
    amount = Decimal(allowed)
    if action is None or (action == "bid" and state["own"]["leading"]):
        return
    if action == "bid":
        lower = amount - Decimal(state["step"]) * rng.choice([0, 0, 0, 1, 2])
        amount = min(amount, max(lower, floor.quantize(amount)))
    key = uuid.uuid4().hex
    site.post(room["bids_url"], room["ticket"], {"action": action, "amount": f"{amount:f}", "idempotency_key": key})


def _thinks(rng: random.Random, state: dict[str, Any] | None) -> float:
    if state is None:
        return rng.uniform(*_BUSY)
    left = _seconds(state["ends_at"]) - _seconds(state["now"])
    if state["status"] == "scheduled":
        return min(max(_seconds(state["starts_at"]) - _seconds(state["now"]), 1.0), 20.0) + rng.uniform(1, 8)
    return rng.uniform(*(_BUSY if left < _BUSY_SECONDS else _CALM))


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def bid_together(site: Site, lot: int, tokens: list[str], stopping: threading.Event) -> None:
    """All bidders in one auction, each in a thread; returns when it is over for all of them."""
    threads = [
        threading.Thread(target=bid_in, args=(site, lot, token, number, stopping), daemon=True)
        for number, token in enumerate(tokens)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
