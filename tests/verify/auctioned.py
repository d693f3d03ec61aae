"""A live auction of each kind that has ended, from sealed first bids to its protocol."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from marketplace.models import OrganisationStatus
from marketplace.permissions import Actor
from procurement.auction.room import Desk
from procurement.models import Auction, AuctionEvent, Tender
from procurement.rules.auction.base import Action
from procurement.services import auctions, opening
from tests.factories.auctions import Seat, seats
from tests.factories.bids import CLOSES, LATER, bidder, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON

# Who did what when: seat (the first has bid worst), action, seconds after the start, amount.
MOVES: dict[str, list[tuple[int, Action, int, str | None]]] = {
    "auction_english_reverse": [
        (0, Action.LIMIT, 1, "100.00"),
        (1, Action.BID, 2, "200.00"),
        (2, Action.BID, 9, "150.00"),
    ],
    "auction_dutch": [(1, Action.ACCEPT, 70, "700.00")],
    "auction_japanese": [
        (0, Action.CONFIRM, 5, None),
        (1, Action.CONFIRM, 6, None),
        (1, Action.CONFIRM, 65, None),
    ],
    "auction_turn_based": [
        (0, Action.BID, 301, "90.00"),
        (0, Action.WITHDRAW, 302, None),
        (0, Action.BID, 303, "80.00"),
    ],
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "auction_english_reverse": {"auction_duration_minutes": 10, "proxy_bids": True},
    "auction_dutch": {"clock_interval_seconds": 60},
    "auction_japanese": {"clock_interval_seconds": 60},
    "auction_turn_based": {},
}


def auctioned(kind: str, *, end: bool = True) -> tuple[Tender, Actor]:
    """The tender, and who made the first of the moves. In the English auction that supplier is suspended after its
    proxy limit was answered once."""
    tender = tender_taking_bids(
        procedure=kind,
        settings={"auction_start_delay_minutes": 1, **_SETTINGS[kind]},
        auction_starts_at=CLOSES + timedelta(hours=1),
    )
    tender.lots.update(step_kind="amount", step_value="100.00", limit_price="2000.00", clock_price="600.00")
    if kind == "auction_english_reverse":
        tender.lots.update(step_value="1.00", clock_price=None)
    lot, people = tender.lots.get(), [bidder() for _ in range(3)]
    for place, (by, prices) in enumerate(zip(people, (["12", "22"], ["11", "21"], ["10", "20"]), strict=True)):
        sent_bid(lot, prices, by=by, at=NOON + timedelta(minutes=place))
    opening.open_tender(tender.pk, LATER)
    auction = auctions.start(Auction.objects.get(lot=lot).pk, at=CLOSES + timedelta(hours=1))
    _play(auction, kind)
    if end:
        auction.refresh_from_db()
        auctions.end(auction.pk, at=auction.ends_at + auctions.DRAIN)
    return Tender.objects.get(pk=tender.pk), people[MOVES[kind][0][0]]


def _play(auction: Auction, kind: str) -> None:
    bidders, desk = seats(auction), Desk()
    for place, action, seconds, amount in MOVES[kind]:
        if seconds == 9:
            _suspended(bidders[0], OrganisationStatus.SUSPENDED)
        bid = bidders[place].bid(amount or "0", auction.starts_at + timedelta(seconds=seconds), f"{action}-{seconds}")
        (answer,) = desk.decide([replace(bid, action=action, amount=Decimal(amount) if amount else None)])
        assert answer.accepted, (answer, action, seconds)
    dropped = AuctionEvent.objects.filter(auction=auction, kind="limit_dropped").exists()
    assert dropped == (kind == "auction_english_reverse")
    _suspended(bidders[0], OrganisationStatus.REGISTERED)


def _suspended(seat: Seat, status: OrganisationStatus) -> None:
    seat.participant.supplier.status = status
    seat.participant.supplier.save()
