"""Who may see what in a live auction: projections of the room for a bidder and for an observer of the buyer or the
platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from procurement.rules.auction import kinds, proxies, turns
from procurement.rules.auction.base import Action, Allowance, Reference, Refused, Room
from procurement.rules.auction.concession import allowed_amount


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
    """The room in the eyes of one bidder. None means: not shown to this bidder, or there is none.

    `actions` is what the bidder may do, `until` when that may change; where it may do nothing `refused` says why.
    `made` is its bid in the turn that runs, `limit` its proxy limit; both are told to nobody else.
    """

    own_amount: Decimal | None
    own_rank: int | None
    leading: bool
    best_amount: Decimal | None
    allowed_amount: Decimal | None
    actions: tuple[Action, ...] = ()
    until: datetime | None = None
    refused: Refused | None = None
    made: Decimal | None = None
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the ranking under an anonymous label."""

    rank: int
    label: str
    amount: Decimal
    received_at: datetime


def bidder_view(room: Room, bidder: str, shown: Shown, at: datetime) -> BidderView:
    """What this bidder may know at that moment. The amount it may type is kept back where it would betray the leader's
    price, and what stands where the kind keeps it secret while it runs."""
    _, now = kinds.advance(room, at)
    may, own, made = kinds.allowed(now, bidder, at), now.standings.get(bidder), turns.made(now, bidder)
    best = now.leader if kinds.open_standings(now) else None
    ranked = shown.rank and kinds.open_standings(now)
    return BidderView(
        own_amount=own.amount if own else None,
        own_rank=now.ranks.get(bidder) if ranked else None,
        leading=best is not None and best.bidder == bidder,
        best_amount=best.amount if shown.price and best is not None else None,
        allowed_amount=_allowed_amount(now, bidder, may) if tells_allowed(now.terms.reference, shown) else None,
        actions=may.actions,
        until=may.until,
        refused=may.code,
        made=made.amount if made else None,
        limit=proxies.limit_of(now, bidder),
    )


def _allowed_amount(room: Room, bidder: str, may: Allowance) -> Decimal | None:
    """Time aside, where it is not the time that makes the price: it can be typed before the moment has come."""
    return allowed_amount(room, bidder) if room.terms.clock is None else may.amount


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
