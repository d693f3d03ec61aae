"""Who may see what in a live auction: projections of the room for a bidder and for an observer of the buyer or the
platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from procurement.rules.auction import english
from procurement.rules.auction.base import Reference, Room


class Shown(StrEnum):
    """What a bidder sees of the others: the best price, its own rank, or both."""

    PRICE = "price"
    RANK = "rank"
    BOTH = "both"

    @property
    def price(self) -> bool:
        return self is not Shown.RANK

    @property
    def rank(self) -> bool:
        return self is not Shown.PRICE


@dataclass(frozen=True, slots=True)
class BidderView:
    """The room in the eyes of one bidder. None means: not shown to this bidder, or there is none."""

    own_amount: Decimal | None
    own_rank: int | None
    leading: bool
    best_amount: Decimal | None
    allowed_amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the ranking under an anonymous label."""

    rank: int
    label: str
    amount: Decimal
    received_at: datetime


def bidder_view(room: Room, bidder: str, shown: Shown) -> BidderView:
    """What this bidder may know. The amount it may type is kept back where it would betray the leader's price."""
    own = room.standings.get(bidder)
    leading = room.leader is not None and room.leader.bidder == bidder
    rank = next((line.rank for line in room.ranking if line.standing.bidder == bidder), None) if shown.rank else None
    best = room.leader.amount if shown.price and room.leader is not None else None
    return BidderView(
        own_amount=own.amount if own else None,
        own_rank=rank,
        leading=leading,
        best_amount=best,
        allowed_amount=english.allowed_amount(room, bidder) if tells_allowed(room.terms.reference, shown) else None,
    )


def tells_allowed(reference: Reference, shown: Shown) -> bool:
    """Whether the bidder may be told which amount would be admitted: by the leader's reference it is the leader's
    price."""
    return shown.price or reference is Reference.OWN


def observer_view(room: Room, labels: dict[str, str]) -> tuple[Row, ...]:
    """The whole ranking with amounts, under the labels: the bidders stay anonymous until the award."""
    return tuple(
        Row(line.rank, labels[line.standing.bidder], line.standing.amount, line.standing.received_at)
        for line in room.ranking
    )


def shows_amount(*, own: bool, leads: bool, shown: Shown) -> bool:
    """Whether a bidder may see the amount of an accepted bid: its own, or the new best price where prices are shown."""
    return own or (leads and shown.price)
