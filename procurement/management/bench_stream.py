"""How long after a bid's commit the last of 3,000 watchers knows it: the real gateway beside plain sockets, one process
each, both told by the same notification."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError

from marketplace.management.benching import Run
from marketplace.shared import clock
from procurement.auction.room import HELD, Answer, Desk, WaitingBid
from procurement.management import bench_world
from procurement.management.bench_bids import free_port
from procurement.management.bench_world import FIRST_PRICE, Seat
from procurement.services import pulse
from procurement.services.auction_log import CHANNEL

_CLIENTS: Final = 3000
_STREAMS_EACH: Final = 10
_EVERY_S: Final = 0.4
# One start of a process is the luckier: the median is of several.
_TURNS: Final = 4
_BIDS_A_TURN: Final = 5
# What the gateway sends of one bid to one bidder, about.
_FRAME_BYTES: Final = 700
_SPARE_FILES: Final = 200


def measure(run: Run) -> dict[str, Any]:
    """Milliseconds from the commit of a bid to the last watcher, the median of the bids; limit and product in turns."""
    clients = run.clients or _CLIENTS
    _allow_files(clients + _SPARE_FILES)
    with bench_world.own_database(run.say) as url, tempfile.TemporaryDirectory(prefix="openlot-bench-") as folder:
        bidders = max(clients // _STREAMS_EACH, 2)
        (seats,) = bench_world.running_auctions(1, bidders, bench_world.suppliers(bidders, run.at), run.at)
        run.say(f"{clients} streams of {bidders} bidders, a bid every {_EVERY_S} s; load {os.getloadavg()[0]:.1f}.")
        bench = _Bench(run, url, Path(folder), seats, clients)
        limits, products = [], []
        for _turn in range(_TURNS):
            limits += bench.plain_sockets()
            products += bench.gateway()
    limit, product = statistics.median(limits), statistics.median(products)
    run.say(
        f"plain sockets {limit:.0f} ms ({min(limits):.0f} to {max(limits):.0f}), gateway {product:.0f} ms "
        f"({min(products):.0f} to {max(products):.0f}), {len(products)} bids; load {os.getloadavg()[0]:.1f}"
    )
    figures = {"limit_ms": round(limit, 1), "product_ms": round(product, 1), "ratio": round(product / limit, 2)}
    return {"stream": {"clients": clients, **figures}}


class _Bench:
    def __init__(self, run: Run, url: str, folder: Path, seats: list[Seat], clients: int) -> None:
        self._url, self._folder, self._seats, self._clients = url, folder, seats, clients
        self._bids = max(round(run.seconds / _EVERY_S / _TURNS), _BIDS_A_TURN)
        self._desk = Desk()
        self._sent = 0

    def plain_sockets(self) -> list[float]:
        port = free_port()
        order = {"database": self._url, "channel": CHANNEL, "port": port, "bytes": _FRAME_BYTES}
        with _process("serve", order):
            return self._watched(port, [""] * self._clients)

    def gateway(self) -> list[float]:
        port = free_port()
        with bench_world.gateway(self._url, port, self._folder / "gateway.log"):
            tokens = [self._seats[n % len(self._seats)].token for n in range(self._clients)]
            return self._watched(port, tokens)

    def _watched(self, port: int, tokens: list[str]) -> list[float]:
        """From commit to the last client, in milliseconds, for every bid."""
        with _process("watch", {"port": port, "lot": self._seats[0].lot, "tokens": tokens}) as watchers:
            time.sleep(1.0)
            committed = dict(self._bid() for _ in range(self._bids))
            time.sleep(1.0)
            told = what_was_told(watchers)
        missing = [number for number in committed if told.get(number, (0, 0.0))[0] < self._clients]
        if missing:
            raise CommandError(f"Not every client was told of the events {missing}.")
        return [(told[number][1] - at) * 1000 for number, at in committed.items()]

    def _bid(self) -> tuple[int, float]:
        """Another gateway's bid: the number of its event, and when its commit was known."""
        time.sleep(_EVERY_S)
        self._sent += 1
        seat = self._seats[self._sent % len(self._seats)]
        amount = FIRST_PRICE - self._sent * Decimal("0.01")
        answer = decided(self._desk, bid_of(seat, amount, f"stream-{self._sent}"))
        if answer.number is None:
            raise CommandError(f"A bid of the benchmark was refused: {answer.code}.")
        return answer.number, time.monotonic()


def bid_of(seat: Seat, amount: Decimal, key: str) -> WaitingBid:
    """The seat's bid, received now."""
    return WaitingBid(seat.lot, seat.participant, seat.person, amount, key, clock.now())


def decided(desk: Desk, bid: WaitingBid) -> Answer:
    """What became of the bid, as soon as the other gateways have decided what they received before."""
    while (answer := desk.decide([bid])[0]) is HELD:
        pulse.ask_others(pulse.process_name(pulse.GATEWAY))
        time.sleep(0.005)
    return answer


def what_was_told(watchers: subprocess.Popen[str]) -> dict[int, tuple[int, float]]:
    """Stop the watchers: by event, how many of them were told, and when the last one was."""
    assert watchers.stdin is not None
    assert watchers.stdout is not None
    watchers.stdin.write("stop\n")
    watchers.stdin.flush()
    return {number: (count, at) for number, count, at in json.loads(watchers.stdout.readline())}


@contextmanager
def _process(errand: str, order: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A process of bench_watch that has said that it is ready; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "procurement.management.bench_watch", errand],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != '"ready"':
            raise CommandError("A process of the benchmark did not get ready; its words are above.")
        yield process
    finally:
        process.kill()
        process.wait()


def _allow_files(needed: int) -> None:
    """As many open files as connections are needed, for this process and those it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise CommandError(
                f"The system allows {hard} open files to a process, and {needed} are needed. "
                "Raise the limit (ulimit -Hn, LimitNOFILE=), or ask for fewer --clients."
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
