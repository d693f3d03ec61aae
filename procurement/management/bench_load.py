"""Bidders over real connections, for the benchmark: a process of its own that needs neither Django nor the database.

Reads one JSON object from standard input: `port`, `seconds`, `warm_up`, `clients`, `seats` (lot, participant, token),
`cents` (the amount to go below, by lot, or null) and `turn`, which keeps the keys of several runs apart. Each client
keeps one connection, sends a bid, waits for its answer, and sends the next one. Writes one JSON value per line: every
bid that was acknowledged, then a summary.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvloop

_STARTING_CENTS = 90_000_000_000


@dataclass
class Load:
    """What all clients share: the next amount of each lot, who bid last there, and what was answered."""

    seats: list[tuple[int, int, str]]
    turn: int
    cents: dict[int, int]
    last: dict[int, int] = field(default_factory=dict)
    answers: list[tuple[float, float, str, int, int, bytes]] = field(default_factory=list)
    broken: int = 0

    def amount(self, lot: int, participant: int) -> str:
        """A cent below whatever was sent for the lot before."""
        cents = self.cents[lot] = self.cents[lot] - 1
        self.last[lot] = participant
        return f"{cents // 100}.{cents % 100:02d}"


class Client(asyncio.Protocol):
    """One bidder's connection."""

    def __init__(self, load: Load, number: int, seats: list[tuple[int, int, str]], until: float) -> None:
        self._load, self._number, self._until = load, number, until
        self._heads = [(lot, participant, _head(lot, token)) for lot, participant, token in seats]
        self._turn = 0
        self._buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.index(b"content-length:") + 15
        stop = head.find(b"\r\n", start)
        length = int(head[start : stop if stop > 0 else None])
        if len(self._buffer) < end + 4 + length:
            return
        now = time.monotonic()
        status, body = int(head[9:12]), self._buffer[end + 4 :]
        self._load.answers.append((self._sent, now, self._key, self._participant, status, body))
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if time.monotonic() < self._until:
            self._load.broken += 1
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        for _ in self._heads:
            self._turn += 1
            lot, self._participant, head = self._heads[self._turn % len(self._heads)]
            if self._load.last.get(lot) != self._participant:
                break
        self._key = f"{self._load.turn}-{self._number}-{self._turn}-bid"
        amount = self._load.amount(lot, self._participant)
        body = f'{{"amount":"{amount}","idempotency_key":"{self._key}"}}'
        self._sent = time.monotonic()
        self._transport.write(b"%s%d\r\n\r\n%s" % (head, len(body), body.encode()))


def _head(lot: int, token: str) -> bytes:
    return (
        f"POST /live/lots/{lot}/bids HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()


async def run(order: dict[str, Any]) -> None:
    """Bid as ordered, then print what became of it."""
    cents = {int(lot): known or _STARTING_CENTS for lot, known in order["cents"].items()}
    load = Load([tuple(seat) for seat in order["seats"]], order["turn"], cents)
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    until = began + order["warm_up"] + order["seconds"]
    clients = []
    for number in range(order["clients"]):
        seats = load.seats[number :: order["clients"]] or [load.seats[number % len(load.seats)]]
        client = Client(load, number, seats, until)
        await loop.create_connection(partial(_same, client), "127.0.0.1", order["port"])
        clients.append(client.done)
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*clients), until - time.monotonic() + 20)
    _report(load, began + order["warm_up"], until)


def _same(client: Client) -> Client:
    return client


def _report(load: Load, after: float, until: float) -> None:
    statuses: dict[str, int] = {}
    took = []
    for sent, answered, key, participant, status, body in load.answers:
        content = json.loads(body) if body.startswith(b"{") else {"code": f"status_{status}"}
        if status in (200, 201):
            _tell([participant, key, content["number"], content["amount"]])
        name = "accepted" if status in (200, 201) else content["code"]
        statuses[name] = statuses.get(name, 0) + 1
        if after <= answered <= until:
            took.append((answered - sent, name))
    undecided = ("too_busy", "not_recorded", "too_many_bids", "status_500")
    _tell(
        {
            "took_ms": [round(seconds * 1000, 1) for seconds, name in took if name not in undecided],
            "answers": statuses,
            "broken": load.broken,
            "cents": load.cents,
        }
    )


def _tell(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    uvloop.run(run(json.load(sys.stdin)))
