"""Processes that decide bids, killed at random moments: nothing that was answered is lost, doubled or unchained.

The moments are those of a seed, as far as the machine's scheduling allows; a failure names it. For longer:
OPENLOT_KILLS=2000 OPENLOT_KILLS_SEED=7 pytest tests/procurement/auction/test_random_kills.py
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection

from procurement.auction.room import Desk, WaitingBid
from procurement.models import Auction
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from tests.factories.auctions import START, Seat, running_auctions, seats
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

KILLS = int(os.environ.get("OPENLOT_KILLS", "30"))
# However slow the machine: as many kills as it comes to by then, unless it was told how many.
SECONDS = PATIENCE_S * KILLS if "OPENLOT_KILLS" in os.environ else 12
SEED = int(os.environ.get("OPENLOT_KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
BATCHES, MOST_IN_BATCH = 6, 5
LONGEST_MS = 40


@dataclass
class World:
    """The seats of two lots; what was sent and not answered, and what was answered."""

    luck: random.Random
    seats: list[Seat]
    prices: dict[int, int] = field(default_factory=dict)
    moment: int = 0
    number: int = 0
    unanswered: dict[tuple[int, str], WaitingBid] = field(default_factory=dict)
    accepted: dict[tuple[int, str], int] = field(default_factory=dict)
    refused: set[tuple[int, str]] = field(default_factory=set)

    def batches(self) -> list[list[WaitingBid]]:
        """Bids of both lots, some for the first time, some sent again under their keys, answered before or not."""
        return [
            [self._again() or self._new() for _ in range(self.luck.randint(1, MOST_IN_BATCH))] for _ in range(BATCHES)
        ]

    def _new(self) -> WaitingBid:
        seat = self.luck.choice(self.seats)
        self.prices[seat.participant.pk] = self.prices.get(seat.participant.pk, 10_000) - self.luck.randint(0, 3)
        self.number += 1
        amount = f"{self.prices[seat.participant.pk] / 100:.2f}"
        bid = seat.bid(amount, self._received(), f"key-number-{self.number}")
        self.unanswered[bid.participant, bid.key] = bid
        return bid

    def _again(self) -> WaitingBid | None:
        if not self.unanswered or self.luck.random() < 0.7:
            return None
        return self.luck.choice(list(self.unanswered.values()))

    def _received(self) -> Any:
        self.moment += 1
        return START + timedelta(milliseconds=self.moment)

    def told(self, answers: list[list[Any]]) -> None:
        for participant, key, code, number in answers:
            bid = (participant, key)
            self.unanswered.pop(bid, None)
            if code is None:
                assert self.accepted.setdefault(bid, number) == number, "a bid was accepted twice"
            else:
                self.refused.add(bid)


class Worker:
    """A process with a desk of its own, as a gateway has one. It tells of a batch when it is committed."""

    def __init__(self, batches: list[list[WaitingBid]]) -> None:
        self._read, tells = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:  # a thread of its own has a database connection of its own
            thread = threading.Thread(target=_decide, args=(batches, tells))
            thread.start()
            thread.join()
            os._exit(0)
        os.close(tells)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def answers(self) -> list[list[Any]]:
        """All that it told before it ended."""
        with open(self._read, "rb") as pipe:
            lines = pipe.read().splitlines(keepends=True)
        os.waitpid(self.pid, 0)
        # What was cut off was told to nobody.
        return [answer for line in lines if line.endswith(b"\n") for answer in json.loads(line)]


def _decide(batches: list[list[WaitingBid]], tells: int) -> None:
    desk = Desk()
    for batch in batches:
        try:
            answers = desk.decide(batch)
        except DatabaseError:  # its connection was cut: nobody knows what became of the batch
            connection.close()
            continue
        told = [(bid.participant, bid.key, one.code, one.number) for bid, one in zip(batch, answers, strict=True)]
        os.write(tells, json.dumps(told).encode() + b"\n")


def _cut_a_connection(luck: random.Random) -> None:
    """As when PostgreSQL loses a process: one of those that decide is cut off."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        if found := sorted(cursor.fetchall()):
            cursor.execute("SELECT pg_terminate_backend(%s)", [luck.choice(found)[0]])


def test_nothing_that_was_answered_is_lost_doubled_or_unchained_whatever_is_killed_when() -> None:
    luck = random.Random(SEED)
    auctions = running_auctions(*["100.00"] * 3, lots=2, reference="own", lot={"step_value": Decimal("0.01")})
    world = World(luck, [seat for auction in auctions for seat in seats(auction)])
    begun, kills = time.monotonic(), 0
    while kills < KILLS and time.monotonic() - begun < SECONDS:
        workers = [Worker(world.batches()) for _ in range(2)]
        time.sleep(luck.uniform(0, LONGEST_MS) / 1000)  # the random moment
        if luck.random() < 0.7:
            luck.choice(workers).kill()
        else:
            _cut_a_connection(luck)
        kills += 1
        for worker in workers:
            world.told(worker.answers())
    last = Worker([list(world.unanswered.values())])
    world.told(last.answers())
    assert world.unanswered == {}, f"seed {SEED}"
    assert len(world.accepted) > kills, f"seed {SEED}"
    _check(world, auctions)


def _check(world: World, auctions: list[Auction]) -> None:
    kept: dict[tuple[int, str], int] = {}
    for auction in auctions:
        log = list(rooms.events(auction.pk))
        hall = replay(auction.pk, log)
        auction.refresh_from_db()
        assert (auction.last_event, auction.head_hash) == (hall.number, hall.head), f"seed {SEED}"
        moves = [(int(event.bidder or 0), event.key, event.number) for event, _head in log if event.key]
        assert len({move[:2] for move in moves}) == len(moves), f"seed {SEED}"
        kept |= {(participant, key): number for participant, key, number in moves}
        for seat in auction.participants.all():
            standing = hall.room.standings[rooms.bidder(seat.pk)]
            mine = [number for participant, _key, number in moves if participant == seat.pk]
            assert (seat.standing_amount, seat.bids_accepted) == (standing.amount, len(mine)), f"seed {SEED}"
    assert kept == world.accepted, f"seed {SEED}"
    assert not world.refused & kept.keys(), f"seed {SEED}"
