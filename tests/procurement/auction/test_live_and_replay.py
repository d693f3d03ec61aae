"""An auction of each kind by random moves, decent and odd, handed to two processes while suppliers are suspended and
the auction is paused: what was answered, what the tables say and what the log replays to are the same.

Other moves than those of CI: OPENLOT_MOVES_SEED=7 pytest tests/procurement/auction/test_live_and_replay.py
"""

import json
import os
import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from marketplace.models import OrganisationStatus, StaffRole
from marketplace.shared import clock as edge
from procurement.auction import clock
from procurement.auction.projection import state
from procurement.auction.replay import replay_lot
from procurement.auction.room import Desk, WaitingBid
from procurement.models import Auction, AuctionEvent
from procurement.queries import auctions as rooms
from procurement.rules.auction.base import Action
from procurement.rules.auction.document import check
from procurement.rules.lifecycle import AuctionStatus
from procurement.services import auction_protocol, auctions
from tests.factories.auctions import START, evaluated_tender, seats
from tests.factories.marketplace import staff

pytestmark = pytest.mark.django_db

USUAL_SEED = 21
SEED = int(os.environ.get("OPENLOT_MOVES_SEED", USUAL_SEED))
ROUNDS, MOST_IN_BATCH = 16, 4
FIRST_BIDS = ("100.00", "99.00", "97.50")
ODD = ("5.12345", "95.005", "99999999999999999999.5", "9999999999999999.99", "0.00001", "0", "-1", "95.0000000")
BY_A_CLOCK = {"lot": {"clock_price": Decimal("60.00"), "step_value": Decimal("7.00")}, "clock_interval_seconds": 60}
# What each kind is set to, and how many seconds it lasts at least.
KINDS = {
    "auction_english_reverse": ({"proxy_bids": True, "reference": "leader", "shown": "both"}, 600),
    "auction_english_forward": (
        {"proxy_bids": True, "reference": "own", "lot": {"limit_price": Decimal("50.00")}},
        600,
    ),
    "auction_dutch": (BY_A_CLOCK, 420),
    "auction_japanese": (BY_A_CLOCK, 420),
    "auction_turn_based": ({}, 1740),
}


class World:
    """The auction and its seats, the time that has come, and what was answered, by key."""

    def __init__(self, procedure, luck, monkeypatch):
        settings, self.length = KINDS[procedure]
        self.luck, self.now = luck, START - timedelta(seconds=30)
        monkeypatch.setattr(edge, "now", lambda: self.now)
        tender = evaluated_tender(*FIRST_BIDS, procedure=procedure, **settings)
        (self.auction,) = auctions.schedule(tender.pk, at=self.now)
        self.seats, self.operator = seats(self.auction), staff(StaffRole.OPERATOR)
        self.desks = [Desk(), Desk()]
        self.keys = (f"move-number-{n}" for n in count())
        self.sent, self.taken = [], {}
        self.go_on(30)

    def go_on(self, seconds):
        self.now += timedelta(seconds=seconds)
        clock.tick(self.now)

    def moves(self):
        """A batch: what is allowed, what is not, and what was sent before."""
        return [self._again() or self._new() for _ in range(self.luck.randint(1, MOST_IN_BATCH))]

    def _new(self):
        luck, hall = self.luck, rooms.hall(self.auction.pk)
        seen = [(seat, state(hall, rooms.bidder(seat.participant.pk), self.now)) for seat in self.seats]
        able = [(seat, told) for seat, told in seen if told["actions"]]
        seat, told = luck.choice(able if able and luck.random() < 0.7 else seen)
        action = Action(luck.choice(told["actions"] if told["actions"] and luck.random() < 0.8 else list(Action)))
        amount = told["allowed"] or "90.00"
        if luck.random() < 0.3:
            amount = luck.choice(ODD)
        elif action in (Action.BID, Action.LIMIT):
            amount = Decimal(amount) + luck.choice([0, 0, 1, -1, 5, -5])
        elif luck.random() < 0.5:
            amount = None
        if action is Action.LIMIT and luck.random() < 0.2:
            amount = None
        received_at = self.now - timedelta(milliseconds=luck.choice([0, 0, 1, 300]))
        not_after = luck.choice([None, None, None, self.now + timedelta(seconds=1), received_at])
        decimal = None if amount is None else Decimal(amount)
        lot, person = self.auction.lot_id, seat.by.person.pk
        return WaitingBid(lot, seat.participant.pk, person, decimal, next(self.keys), received_at, action, not_after)

    def _again(self):
        return self.luck.choice(self.sent) if self.sent and self.luck.random() < 0.15 else None

    def decide(self, moves):
        for move, answer in zip(moves, self.luck.choice(self.desks).decide(moves), strict=True):
            self.sent.append(move)
            if answer.accepted:
                assert self.taken.setdefault(move.key, answer.number) == answer.number

    def disturb(self):
        """A supplier that may bid no more, or again; a pause, or its end."""
        if self.luck.random() < 0.6:
            supplier = self.luck.choice(self.seats).participant.supplier
            usual = supplier.status == OrganisationStatus.REGISTERED
            supplier.status = OrganisationStatus.SUSPENDED if usual else OrganisationStatus.REGISTERED
            supplier.save()
            return
        status = Auction.objects.get().status
        if status == AuctionStatus.RUNNING:
            auctions.pause(self.auction.pk, "a power cut", by=self.operator, at=self.now)
        elif status == AuctionStatus.PAUSED:
            auctions.resume(self.auction.pk, by=self.operator, at=self.now)

    def end(self):
        if Auction.objects.get().status == AuctionStatus.PAUSED:
            auctions.resume(self.auction.pk, by=self.operator, at=self.now)
        while Auction.objects.get().status == AuctionStatus.RUNNING:
            self.go_on(60)


@pytest.mark.parametrize("procedure", KINDS)
def test_what_was_answered_is_what_stands_and_what_the_log_replays_to(procedure, monkeypatch):
    luck = random.Random(SEED)
    world = World(procedure, luck, monkeypatch)
    for _ in range(ROUNDS):
        world.go_on(luck.uniform(0, 2 * world.length / ROUNDS))
        for _ in range(luck.randint(1, 3)):
            world.now += timedelta(seconds=1)
            world.decide(world.moves())
        if luck.random() < 0.2:
            world.disturb()
    world.end()
    found = Auction.objects.select_related("lot__tender__buyer").get()
    said = f"OPENLOT_MOVES_SEED={SEED}"
    assert replay_lot(found.lot_id).differences == (), said
    _hall, came_out = check(json.loads(json.dumps(auction_protocol.document(found))))
    assert (came_out["status"], came_out["events"]) == ("ended", found.last_event), said
    keys = Counter(AuctionEvent.objects.exclude(key="").values_list("key", flat=True))
    assert keys == Counter(world.taken.keys()), said
    assert world.taken or SEED != USUAL_SEED
