"""Lists of live auctions: those an organisation takes part in, as buyer or with a seat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from marketplace.shared.money import Money
from procurement.models import Auction, AuctionEvent, AuctionParticipant, Lot
from procurement.rules.auction.log import EventKind
from procurement.rules.lifecycle import AuctionStatus

_OPEN = [AuctionStatus.SCHEDULED.value, AuctionStatus.RUNNING.value, AuctionStatus.PAUSED.value]


def of_organisation(organisation_id: int) -> QuerySet[Auction]:
    """The auctions the organisation runs, and those in which it has a seat; with lot, tender and buyer."""
    seats = AuctionParticipant.objects.filter(auction=OuterRef("pk"), supplier=organisation_id)
    mine = Q(lot__tender__buyer=organisation_id) | Exists(seats)
    return Auction.objects.filter(mine).select_related("lot__tender__buyer")


def all_of_platform() -> QuerySet[Auction]:
    """Every auction, for the platform's operators and auditors."""
    return Auction.objects.select_related("lot__tender__buyer")


def still_open(auctions: QuerySet[Auction]) -> QuerySet[Auction]:
    """Scheduled, running or paused, the next to end first."""
    return auctions.filter(status__in=_OPEN).order_by("ends_at", "pk")


def over(auctions: QuerySet[Auction]) -> QuerySet[Auction]:
    """Ended or cancelled."""
    return auctions.exclude(status__in=_OPEN)


@dataclass(frozen=True, slots=True)
class Result:
    """How an auction came out by its log. `own`: the one who asks had a seat in it, and then `rank` and `price` are its
    own; otherwise `price` is the best. None where there is none."""

    own: bool
    price: Money | None
    rank: int | None
    ranked: int


def results(auctions: Sequence[Auction], organisation_id: int | None) -> dict[int, Result]:
    """The results of those that have ended, by primary key. Two queries."""
    ended = AuctionEvent.objects.filter(
        auction__in=auctions, number=F("auction__last_event"), kind=EventKind.ENDED.value
    )
    rankings = {event.auction_id: event.detail["ranking"] for event in ended}
    seats = AuctionParticipant.objects.filter(auction__in=auctions, supplier=organisation_id)
    own = {seat.auction_id: str(seat.pk) for seat in seats}
    return {
        auction.pk: _result(rankings[auction.pk], own.get(auction.pk), auction.currency)
        for auction in auctions
        if auction.pk in rankings
    }


def _result(ranking: Sequence[dict[str, Any]], own: str | None, currency: str) -> Result:
    line = next((line for line in ranking if own is None or line["bidder"] == own), None)
    price = Money(Decimal(line["amount"]), currency) if line else None
    return Result(own is not None, price, line["rank"] if line else None, len(ranking))


def lot_of(number: str, lot: int) -> Lot | None:
    """The lot with its tender, buyer and auction; None where there is no such lot, or it has no auction."""
    found = Lot.objects.filter(tender__number=number, number=lot, auction__isnull=False)
    return found.select_related("tender__buyer", "auction").first()
