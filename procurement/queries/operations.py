"""How the work on live auctions and deadlines goes, for the platform's operators: what runs, what is late, outages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace.models import Heartbeat, QueuedSignature, QueuedState, StaffRole
from marketplace.permissions import Actor
from marketplace.queries.keyset import capped_count
from marketplace.waiting import Task
from procurement.models import Auction, DueMoment, MomentKind, Outage
from procurement.queries.bids import OPENING
from procurement.rules.lifecycle import AuctionStatus

# What waits for longer than this is late.
OVERDUE: Final = timedelta(seconds=120)
ROWS: Final = 50
_SOON: Final = timedelta(hours=1)
_ALIVE: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Hall:
    """The live auctions of the platform, counted."""

    running: int
    paused: int
    soon: int
    gateways: int
    clocks: int


def overdue(at: datetime) -> QuerySet[DueMoment]:
    """What should have happened, the longest overdue first. What is late by design is left out: a paused auction's end,
    and an opening that waits for signatures received in time."""
    judged = QueuedSignature.objects.filter(
        state=QueuedState.WAITING, holds=Concat(Value(OPENING), Cast(OuterRef("tender_id"), TextField()))
    )
    late = DueMoment.objects.filter(done_at=None, due_at__lt=at - OVERDUE)
    late = late.exclude(lot__auction__status=AuctionStatus.PAUSED.value, kind__startswith="auction_")
    late = late.exclude(Exists(judged), kind=MomentKind.TENDER_ENDS.value)
    return late.select_related("tender", "lot").order_by("due_at", "pk")


def hall(at: datetime) -> Hall:
    """How many auctions run, stand still and start within the hour, and how many processes serve them."""
    status = Auction.objects.aggregate(
        running=Count("pk", filter=Q(status=AuctionStatus.RUNNING.value)),
        paused=Count("pk", filter=Q(status=AuctionStatus.PAUSED.value)),
        soon=Count("pk", filter=Q(status=AuctionStatus.SCHEDULED.value, starts_at__lt=at + _SOON)),
    )
    alive = Heartbeat.objects.filter(at__gte=at - _ALIVE)
    processes = alive.aggregate(
        gateways=Count("pk", filter=Q(process__startswith="gateway:")),
        clocks=Count("pk", filter=Q(process__startswith="clock:")),
    )
    return Hall(**status, **processes)


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """For an operator: an outage that lasts, and what is late."""
    if not actor.is_a(StaffRole.OPERATOR):
        return
    lasting = Outage.objects.filter(ended_at=None).first()
    url = reverse("outages")
    if lasting is not None:
        yield Task(_("No gateway takes bids"), url, icon="alert-triangle", due_at=lasting.began_at, tone="bad")
    if count := capped_count(overdue(at)):
        words = ngettext("%(n)s deadline has not been carried out", "%(n)s deadlines have not been carried out", count)
        yield Task(words % {"n": count}, url, icon="clock", tone="bad", count=count)
