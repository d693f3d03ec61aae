"""Bids a second over HTTP on the real gateway, beside the fastest that one SQL function per bid can do.

The limit is the other way to build it: a transaction per bid, whose one function takes the lot's advisory lock,
decides, and leaves the same rows: the event chained by hash, what stands, the head of the log. It spares itself HTTP,
the passes, the bidder's right to bid and the notification. The bare limit spares itself that log, too, and the keys by
which a bid counts once: it leaves a bid and the lot's best price, which is no auction that anybody could check.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from django.core.management.base import CommandError
from django.db import connections
from psycopg import sql

from marketplace.embedded import EmbeddedError, postgres
from marketplace.management.benching import Run
from procurement.management import bench_world
from procurement.management.bench_world import Seat
from procurement.models import Auction, AuctionEvent
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay

_CLIENTS: Final = 256
_LOTS: Final = 100
_BIDDERS_A_LOT: Final = 10
_WARM_UP_S: Final = 1.0
_TURNS: Final = 3
# The limit is measured with whichever number of connections serves it best.
_CONNECTIONS: Final = (8, 32, 96)

# The same rows as a bid leaves behind in the room, chained, under the same lock; without asking whether the bidder may
# bid, and without telling anybody. The amount is always the best less a cent.
_LIMIT: Final = """
CREATE FUNCTION bench_bid(the_lot bigint, the_seat bigint, the_person bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  received timestamptz := clock_timestamp();
  the_key text := gen_random_uuid();
  room record;
  price numeric;
  outcome jsonb;
  chained text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('auction:' || the_lot, 0));
  SELECT id, status, ends_at, extensions, last_event + 1 AS number, head_hash INTO room
    FROM procurement_auction WHERE lot_id = the_lot;
  IF room.status <> 'running' OR received >= room.ends_at THEN RETURN NULL; END IF;
  IF EXISTS (SELECT FROM procurement_auctionevent WHERE participant_id = the_seat AND key = the_key) THEN
    RETURN NULL;
  END IF;
  SELECT coalesce(amount, 900000000) - 0.01 INTO price
    FROM procurement_auctionevent WHERE auction_id = room.id AND number = room.number - 1;
  outcome := jsonb_build_object('leads', true, 'ends_at', room.ends_at, 'extensions', room.extensions);
  chained := encode(sha256(convert_to(concat_ws('|', room.head_hash, room.number, the_seat, price, the_key, received,
    the_person, outcome), 'UTF8')), 'hex');
  INSERT INTO procurement_auctionevent
    (auction_id, number, kind, at, participant_id, amount, key, person_id, detail, previous_hash, hash)
    VALUES (room.id, room.number, 'bid', received, the_seat, price, the_key, the_person, outcome, room.head_hash,
      chained);
  UPDATE procurement_auctionparticipant
    SET standing_amount = price, standing_at = received, bids_accepted = bids_accepted + 1 WHERE id = the_seat;
  UPDATE procurement_auction SET last_event = room.number, head_hash = chained WHERE id = room.id;
  RETURN room.number;
END $$;
CREATE TABLE bench_lot (lot bigint PRIMARY KEY, price numeric, number int, ends_at timestamptz) WITH (fillfactor = 20);
CREATE TABLE bench_bid
  (lot bigint, number int, seat bigint, amount numeric, received timestamptz, PRIMARY KEY (lot, number));
CREATE FUNCTION bench_bare_bid(the_lot bigint, the_seat bigint, the_person bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  received timestamptz := clock_timestamp();
  best record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('auction:' || the_lot, 0));
  SELECT price - 0.01 AS price, number + 1 AS number, ends_at INTO best FROM bench_lot WHERE lot = the_lot;
  IF received >= best.ends_at THEN RETURN NULL; END IF;
  INSERT INTO bench_bid VALUES (the_lot, best.number, the_seat, best.price, received);
  UPDATE bench_lot SET price = best.price, number = best.number WHERE lot = the_lot;
  RETURN best.number;
END $$;
CREATE TABLE bench_seat (lots int, number int, lot bigint, seat bigint, person bigint, PRIMARY KEY (lots, number));
"""
_CHAINED: Final = "bench_bid"
_BARE: Final = "bench_bare_bid"


def measure(run: Run) -> dict[str, Any]:
    """Decisions a second, of one lot and of a hundred, each over the limit measured in the same run."""
    clients = run.clients or _CLIENTS
    with bench_world.own_database(run.say) as url, tempfile.TemporaryDirectory(prefix="openlot-bench-") as folder:
        suppliers = bench_world.suppliers(clients, run.at)
        # The limit has auctions of its own: its chain is not the room's.
        (hot, limit_hot), (many, limit_many) = (
            [bench_world.running_auctions(lots, bidders, suppliers, run.at) for _ in range(2)]
            for lots, bidders in ((1, clients), (_LOTS, _BIDDERS_A_LOT))
        )
        bench = _Bench(run, url, Path(folder), clients)
        bench.set_up_limit(limit_hot, limit_many)
        run.say(f"{clients} clients, each with a connection of its own; load of the machine {os.getloadavg()[0]:.1f}.")
        figures = {"hot_lot": bench.part("one lot", 1, hot), "hundred_lots": bench.part(f"{_LOTS} lots", _LOTS, many)}
        if run.soak:
            figures["soak"] = bench.soak(hot)
    return figures


class _Bench:
    def __init__(self, run: Run, url: str, folder: Path, clients: int) -> None:
        self._run, self._url, self._folder, self._clients = run, url, folder, clients
        self._seconds = run.seconds
        self._drawn: dict[int, int] = {}
        self._cents: dict[int, int] = {}
        self._turns = 0
        self._pgbench = _pgbench()
        if self._pgbench is None:
            run.say("pgbench is not here: the limit is measured through psycopg, which is slower.")

    def part(self, name: str, lots: int, seats: Sequence[Sequence[Seat]]) -> dict[str, Any]:
        """Limit and product in turns, so that whatever else the machine does falls on both."""
        connections_ = {function: self._best_connections(lots, function) for function in (_CHAINED, _BARE)}
        limits: dict[str, list[float]] = {function: [] for function in connections_}
        loads, used = [], 0.0
        with self._gateway() as (port, process):
            for _turn in range(_TURNS):
                for function, count in connections_.items():
                    limits[function].append(self._limit(lots, function, count, self._seconds / _TURNS))
                before = bench_world.processor_seconds(process.pid)
                loads.append(self._bid(port, seats, self._seconds / _TURNS))
                used += bench_world.processor_seconds(process.pid) - before
        limit, bare = (statistics.mean(limits[function]) for function in (_CHAINED, _BARE))
        product = sum(load.decided for load in loads) / self._seconds
        p50, p99 = _percentiles(loads)
        lost = _lost([bid for load in loads for bid in load.acknowledged], {seat.lot for lot in seats for seat in lot})
        answers = sum((Counter(load.answers) for load in loads), Counter[str]())
        gateway_us = used / answers.total() * 1e6
        self._run.say(
            f"{name}: product {product:,.0f}/s; {product / limit:.2f} times the limit, which leaves the same chained "
            f"rows ({limit:,.0f}/s with {connections_[_CHAINED]} connections); {product / bare:.2f} times the bare "
            f"limit, which leaves a bid and the best price ({bare:,.0f}/s with {connections_[_BARE]})"
        )
        self._run.say(
            f"{name}: p50 {p50} ms, p99 {p99} ms, {gateway_us:.0f} µs of processor a bid in the gateway; answers "
            f"{dict(answers)}, connections broken {sum(load.broken for load in loads)}; load {os.getloadavg()[0]:.1f}"
        )
        return {
            "limit": round(limit),
            "product": round(product),
            "ratio": round(product / limit, 2),
            "bare_limit": round(bare),
            "bare_ratio": round(product / bare, 2),
            "p50_ms": p50,
            "p99_ms": p99,
            "gateway_us": round(gateway_us),
            "accepted": answers["accepted"],
            "lost": lost,
        }

    def soak(self, seats: Sequence[Sequence[Seat]]) -> dict[str, Any]:
        """The hot lot for long, the gateway's memory looked at every few seconds."""
        samples: list[int] = []
        with self._gateway() as (port, process):
            load = self._bid(
                port, seats, self._run.soak, lambda: samples.append(bench_world.resident_bytes(process.pid))
            )
        early, late = samples[len(samples) // 5], samples[-2]
        p50, p99 = _percentiles([load])
        self._run.say(
            f"soak of {self._run.soak:.0f} s: {load.decided:,} decisions; memory after a fifth of it "
            f"{early / 1e6:.0f} MB, at its end {late / 1e6:.0f} MB, at most {max(samples) / 1e6:.0f} MB; "
            f"p50 {p50} ms, p99 {p99} ms; answers {load.answers}"
        )
        return {
            "seconds": self._run.soak,
            "decisions": load.decided,
            "early_mb": round(early / 1e6, 1),
            "late_mb": round(late / 1e6, 1),
            "p50_ms": p50,
            "p99_ms": p99,
            "lost": _lost(load.acknowledged, {seat.lot for lot in seats for seat in lot}),
        }

    # The limit -----------------------------------------------------------------------------------------------------

    def set_up_limit(self, *worlds: Sequence[Sequence[Seat]]) -> None:
        """Make the functions, and number the seats of each world for pgbench to draw from."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_LIMIT)
            for world in worlds:
                seats = [seat for lot in world for seat in lot]
                self._drawn[len(world)] = len(seats)
                with connection.cursor() as cursor:
                    cursor.executemany(
                        "INSERT INTO bench_seat VALUES (%s, %s, %s, %s, %s)",
                        [(len(world), n, seat.lot, seat.participant, seat.person) for n, seat in enumerate(seats, 1)],
                    )
            connection.execute("INSERT INTO bench_lot SELECT lot_id, 900000000, 0, ends_at FROM procurement_auction")
            connection.execute("ANALYZE")

    def _best_connections(self, lots: int, function: str) -> int:
        tried = {count: self._limit(lots, function, count, 1.0) for count in _CONNECTIONS}
        return max(tried, key=tried.__getitem__)

    def _limit(self, lots: int, function: str, connections_: int, seconds: float) -> float:
        return (self._by_pgbench if self._pgbench else self._by_psycopg)(lots, function, connections_, seconds)

    def _by_pgbench(self, lots: int, function: str, connections_: int, seconds: float) -> float:
        script = self._folder / "bid.sql"
        script.write_text(
            f"\\set n random(1, {self._drawn[lots]})\n"
            f"SELECT {function}(lot, seat, person) FROM bench_seat WHERE lots = {lots} AND number = :n;\n"
        )
        options = ["-n", "-M", "prepared", "-c", str(connections_), "-j", "2", "-T", str(max(round(seconds), 1))]
        done = subprocess.run(
            [str(self._pgbench), *options, "-f", str(script), self._url], capture_output=True, text=True, check=False
        )
        for line in done.stdout.splitlines():
            if line.startswith("tps = "):
                return float(line.split()[2])
        raise CommandError(f"pgbench failed: {done.stderr}")

    def _by_psycopg(self, lots: int, function: str, connections_: int, seconds: float) -> float:
        until = time.monotonic() + seconds
        one_bid = sql.SQL("SELECT {}(lot, seat, person) FROM bench_seat WHERE lots = %s AND number = %s").format(
            sql.Identifier(function)
        )
        counts = [0] * connections_

        def bid(place: int) -> None:
            with psycopg.connect(self._url, autocommit=True) as connection:
                while time.monotonic() < until:
                    number = (place * 7919 + counts[place]) % self._drawn[lots] + 1
                    connection.execute(one_bid, [lots, number], prepare=True)
                    counts[place] += 1

        threads = [threading.Thread(target=bid, args=(place,)) for place in range(connections_)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / seconds

    # The product ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _gateway(self) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
        port, log = free_port(), self._folder / "gateway.log"
        with bench_world.gateway(self._url, port, log) as process:
            yield port, process

    def _bid(
        self,
        port: int,
        seats: Sequence[Sequence[Seat]],
        seconds: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> _Load:
        self._turns += 1
        order = {
            "port": port,
            "seconds": seconds,
            "warm_up": _WARM_UP_S,
            "clients": self._clients,
            "turn": self._turns,
            "seats": [(seat.lot, seat.participant, seat.token) for lot in seats for seat in lot],
            "cents": {seat[0].lot: self._cents.get(seat[0].lot) for seat in seats},
        }
        told = _run_load(order, meanwhile)
        summary = told.pop()
        self._cents.update({int(lot): cents for lot, cents in summary.pop("cents").items()})
        if not summary["took_ms"]:
            raise CommandError((self._folder / "gateway.log").read_text(errors="replace") or "No bid was answered.")
        return _Load(acknowledged=told, **summary)


@dataclass(frozen=True)
class _Load:
    """What the clients of one turn saw; the times of answer are those after the warm-up, in milliseconds."""

    acknowledged: list[Any]
    took_ms: list[float]
    answers: dict[str, int]
    broken: int

    @property
    def decided(self) -> int:
        return len(self.took_ms)


def _percentiles(loads: Sequence[_Load]) -> tuple[float, float]:
    """The half of the answers took no longer than the first, 99 of 100 no longer than the second; in milliseconds."""
    took = sorted(ms for load in loads for ms in load.took_ms)
    median, slow = (took[min(int(len(took) * share), len(took) - 1)] for share in (0.50, 0.99))
    return median, slow


def _run_load(order: dict[str, Any], meanwhile: Callable[[], None]) -> list[Any]:
    process = subprocess.Popen(
        [sys.executable, "-m", "procurement.management.bench_load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    reader = threading.Thread(target=lambda output: lines.extend(output), args=(process.stdout,))
    reader.start()
    while reader.is_alive():
        reader.join(2.0)
        meanwhile()
    if process.wait() != 0:
        raise CommandError("The clients of the benchmark failed; their words are above.")
    return [json.loads(line) for line in lines]


def _lost(acknowledged: Sequence[Sequence[Any]], lots: set[int]) -> int:
    """How many acknowledged bids the log does not have under their number and amount. Raises LogBroken for a log whose
    chain or decisions do not hold."""
    connections.close_all()
    rows = AuctionEvent.objects.filter(auction__lot__in=lots, kind="bid")
    log = {
        (participant, key): (number, amount)
        for participant, key, number, amount in rows.values_list("participant", "key", "number", "amount").iterator()
    }
    for auction in Auction.objects.filter(lot__in=lots).values_list("pk", flat=True):
        replay(auction, rooms.events(auction))
    found = 0
    for participant, key, number, amount in acknowledged:
        kept = log.get((participant, key))
        found += kept is None or kept[0] != number or f"{kept[1]:.2f}" != amount
    return found


def _pgbench() -> Path | None:
    try:
        here = postgres.program("pgbench")
    except EmbeddedError:
        here = None
    if here is not None and here.exists():
        return here
    found = shutil.which("pgbench")
    return Path(found) if found else None


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
