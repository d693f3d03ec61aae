"""What waits for the members of committees that hold a procedure's key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db.models import Count, F, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from marketplace.models import Role
from marketplace.permissions import Actor
from marketplace.waiting import Task
from procurement.models import KeyCeremony, KeyShare
from procurement.rules.lifecycle import TenderStatus

ROWS: Final = 6
_BEFORE: Final = [TenderStatus.DRAFT.value, TenderStatus.APPROVAL.value, TenderStatus.PUBLISHED.value]


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """Shares to release and to try; for an officer, openings that wait for shares."""
    buyer = actor.organisation
    if buyer is None or actor.person is None or not buyer.is_buyer:
        return
    own = (
        KeyShare.objects.filter(
            member=actor.person,
            ceremony__tender__buyer=buyer,
            ceremony__replaced_at=None,
            ceremony__made_at__isnull=False,
            ceremony__tender__key_custody="committee",
        )
        .select_related("ceremony__tender")
        .order_by("ceremony__tender__tender_ends_at", "pk")
    )
    yield from _to_release(own)
    yield from _to_try(own)
    if actor.has(Role.OFFICER):
        yield from _openings(buyer.pk, actor.person.pk)


def _to_release(own: QuerySet[KeyShare]) -> Iterator[Task]:
    waiting = own.filter(
        released_at=None, ceremony__seed_received_at=None, ceremony__tender__status=TenderStatus.OPENING.value
    )
    for share in waiting[:ROWS]:
        tender = share.ceremony.tender
        yield Task(
            _("An opening waits for your share of the key"),
            reverse("tender_shares", args=[tender.number]),
            "key",
            tender.tender_ends_at,
            time_zone=tender.time_zone,
            note=tender.title,
            tone="bad",
        )


def _to_try(own: QuerySet[KeyShare]) -> Iterator[Task]:
    for share in own.filter(confirmed_at=None, ceremony__tender__status__in=_BEFORE)[:ROWS]:
        tender = share.ceremony.tender
        yield Task(
            _("Try that you can open your share of a key"),
            reverse("tender_shares", args=[tender.number]),
            "key",
            tender.tender_ends_at,
            time_zone=tender.time_zone,
            note=tender.title,
        )


def _openings(buyer_id: int, person_id: int) -> Iterator[Task]:
    found = (
        KeyCeremony.objects.filter(
            tender__buyer=buyer_id,
            tender__status=TenderStatus.OPENING.value,
            tender__key_custody="committee",
            replaced_at=None,
            made_at__isnull=False,
            seed_received_at=None,
        )
        .exclude(shares__in=KeyShare.objects.filter(member=person_id, released_at=None))
        .annotate(released=Count("shares", filter=Q(shares__released_at__isnull=False)))
        .select_related("tender")
        .order_by(F("tender__tender_ends_at"), "pk")[:ROWS]
    )
    for ceremony in found:
        counts = {"released": ceremony.released, "needed": ceremony.threshold}
        yield Task(
            _("Bids wait for the committee: %(released)s of %(needed)s shares are released") % counts,
            reverse("tender_shares", args=[ceremony.tender.number]),
            "key",
            ceremony.tender.tender_ends_at,
            time_zone=ceremony.tender.time_zone,
            note=ceremony.tender.title,
            tone="warn",
        )
