"""Due moments: rows that the clock process takes at their time. Called inside the transaction that makes the change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import F

from procurement.models import DueMoment, Lot, MomentKind, Tender
from procurement.rules.lifecycle import AuctionStatus


def schedule(kind: MomentKind, tender: Tender, due_at: datetime, lot: Lot | None = None) -> DueMoment:
    """The one waiting moment of this kind, made or moved to `due_at`; failures before the move are forgotten.

    One that waits for that time already stays as it is: what was put off is not due at once because somebody else
    looked at its auction.
    """
    waiting = DueMoment.objects.filter(kind=kind, tender=tender, lot=lot, done_at=None, due_at=due_at).first()
    if waiting is not None:
        return waiting
    moment, _made = DueMoment.objects.update_or_create(
        kind=kind,
        tender=tender,
        lot=lot,
        done_at=None,
        defaults={"due_at": due_at, "next_try_at": due_at, "attempts": 0, "last_error": ""},
    )
    return moment


def cancel(tender: Tender, lot: Lot | None = None, kinds: Iterable[MomentKind] = MomentKind) -> int:
    """Drop what still waits: of the lot when one is given, else of the whole tender. How many were dropped."""
    waiting = DueMoment.objects.filter(tender=tender, done_at=None, kind__in=list(kinds))
    if lot is not None:
        waiting = waiting.filter(lot=lot)
    return waiting.delete()[0]


def call_forward() -> int:
    """Have auctions end that a move has ended before their time (the price of a clock was accepted). How many."""
    early = DueMoment.objects.filter(
        kind=MomentKind.AUCTION_ENDS, done_at=None, lot__auction__status=AuctionStatus.RUNNING.value,
        due_at__gt=F("lot__auction__ends_at"),
    )  # fmt: skip
    found = list(early.values_list("pk", "due_at", "lot__auction__ends_at"))
    for moment, due_at, ends_at in found:
        DueMoment.objects.filter(pk=moment, done_at=None, due_at=due_at).update(due_at=ends_at, next_try_at=ends_at)
    return len(found)
