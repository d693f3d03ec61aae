"""Replaying an auction from its log alone, against what the tables say."""

from __future__ import annotations

from dataclasses import dataclass

from procurement.models import Auction
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import Event, Hall, LogBroken, replay
from procurement.rules.lifecycle import AuctionStatus


@dataclass(frozen=True, slots=True)
class Replay:
    """What the log proves. `differences` are where the tables say something else; empty when all agrees."""

    hall: Hall
    events: tuple[Event, ...]
    differences: tuple[str, ...]


def replay_lot(lot_id: int) -> Replay:
    """Recompute every hash and decide every bid of the lot's auction again.

    Raises LogBroken at the first event that does not hold, Auction.DoesNotExist where the lot has no auction.
    """
    auction = Auction.objects.get(lot=lot_id)
    events = list(rooms.events(auction.pk))
    hall = replay(auction.pk, events)
    return Replay(hall, tuple(event for event, _recorded in events), tuple(_differences(auction, hall)))


def _differences(auction: Auction, hall: Hall) -> list[str]:
    found = []
    for name, told, kept in (
        ("last event", hall.number, auction.last_event),
        ("head of the chain", hall.head, auction.head_hash),
        ("status", hall.room.status.value, auction.status),
        ("end", hall.room.ends_at, auction.ends_at),
        ("extensions", hall.room.extensions, auction.extensions),
    ):
        if told != kept:
            found.append(f"{name}: the log says {told}, the table {kept}")
    for line in hall.room.ranking:
        seat = auction.participants.select_related("bid").get(pk=int(line.standing.bidder))
        if seat.standing_amount != line.standing.amount or seat.standing_at != line.standing.received_at:
            found.append(f"bidder {seat.label}: the log says {line.standing.amount}, the table {seat.standing_amount}")
        if auction.status == AuctionStatus.ENDED and seat.bid.amount != line.standing.amount:
            found.append(f"bid {seat.bid_id}: the log says {line.standing.amount}, the bid {seat.bid.amount}")
    return found


__all__ = ["LogBroken", "Replay", "replay_lot"]
