"""Lists of live auctions: those an organisation takes part in, as buyer or with a seat."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from procurement.models import Auction, AuctionParticipant, Lot
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


def lot_of(number: str, lot: int) -> Lot | None:
    """The lot with its tender, buyer and auction; None where there is no such lot, or it has no auction."""
    found = Lot.objects.filter(tender__number=number, number=lot, auction__isnull=False)
    return found.select_related("tender__buyer", "auction").first()
