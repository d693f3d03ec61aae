"""Outages of the platform, and the auctions to which they still owe their time."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from procurement.models import Auction, Outage, OutageEffect
from procurement.rules.lifecycle import AuctionStatus

_UNDER_WAY = [AuctionStatus.RUNNING.value, AuctionStatus.PAUSED.value]


def unsettled() -> QuerySet[Outage]:
    """Those of which some auction may not have had its due, the oldest first."""
    return Outage.objects.filter(settled_at=None).order_by("began_at")


def recent() -> QuerySet[Outage]:
    """The newest first, with how the auctions fared."""
    return Outage.objects.order_by("-began_at").prefetch_related("effects__auction__lot__tender")


def touched(outage: Outage) -> QuerySet[Auction]:
    """The auctions for which something is still to be done, the soonest end first.

    While the outage lasts: those that run, to be paused. After it: those it fell upon, to be given their time back, and
    those that should have started in it, to be put off.
    """
    mine = OutageEffect.objects.filter(outage=outage, auction=OuterRef("pk"))
    if outage.ended_at is None:
        running = Q(status=AuctionStatus.RUNNING.value, ends_at__gt=outage.began_at)
        return Auction.objects.filter(running & ~Exists(mine)).order_by("ends_at", "pk")
    under_way = Q(status__in=_UNDER_WAY, ends_at__gt=outage.began_at, starts_at__lt=outage.ended_at)
    missed = Q(
        status=AuctionStatus.SCHEDULED.value, starts_at__gte=outage.began_at, starts_at__lt=outage.ended_at
    )  # fmt: skip
    done = Exists(mine.filter(settled_at__isnull=False))
    return Auction.objects.filter((under_way | missed) & ~done).order_by("ends_at", "pk")


def owes(auction: Auction) -> bool:
    """Whether an outage fell upon the auction, or may have, that it has not had its time back for."""
    return owed_since(auction) is not None


def owed_since(auction: Auction) -> datetime | None:
    """When the first such outage began."""
    for outage in unsettled():
        if touched(outage).filter(pk=auction.pk).exists() or _holds(outage, auction):
            return outage.began_at
    return None


def _holds(outage: Outage, auction: Auction) -> bool:
    """An outage that still lasts keeps every auction from starting or ending that was not over before it."""
    return outage.ended_at is None and auction.ends_at > outage.began_at
