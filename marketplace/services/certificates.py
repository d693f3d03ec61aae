"""Signing certificates that end: their owners are told in time, once for each step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.translation import ngettext

from marketplace.models import Certificate, Membership
from marketplace.services import notifications

#: Days before the end. A new certificate takes days to get; the last step is for whoever put it off.
STEPS: Final = (30, 14, 3)


def remind(*, at: datetime) -> int:
    """Tell the owners of certificates that end within 30, 14 and 3 days, once each. Returns how many were told.

    Nobody is told who signs with a newer one already, or no longer acts for the organisation.
    """
    due = sorted(set().union(*(_due(days, at).values_list("pk", flat=True) for days in STEPS)))
    return sum(_remind_one(pk, at) for pk in due)


def outlived() -> Exists:
    """Whether the same person has a certificate for the same organisation that ends later."""
    newer = Certificate.objects.filter(
        organisation=OuterRef("organisation"), person=OuterRef("person"), not_after__gt=OuterRef("not_after")
    )
    return Exists(newer)


def in_office() -> Exists:
    """Whether the certificate's person still acts for its organisation."""
    return Exists(
        Membership.objects.filter(
            organisation=OuterRef("organisation"), person=OuterRef("person"), active=True, person__is_active=True
        )
    )


def _due(days: int, at: datetime) -> QuerySet[Certificate]:
    untold = Q(reminded_days=None) | Q(reminded_days__gt=days)
    ending = Certificate.objects.filter(untold, not_after__gt=at, not_after__lte=at + timedelta(days=days))
    return ending.filter(in_office()).exclude(outlived())


@transaction.atomic
def _remind_one(certificate_id: int, at: datetime) -> int:
    certificate = (
        Certificate.objects.select_for_update(of=("self",))
        .select_related("person", "organisation")
        .defer("der")
        .get(pk=certificate_id)
    )
    left = certificate.not_after - at
    step = min((days for days in STEPS if left <= timedelta(days=days)), default=None)
    if step is None or (certificate.reminded_days is not None and certificate.reminded_days <= step):
        return 0
    certificate.reminded_days = step
    certificate.save(update_fields=["reminded_days"])
    days = max(1, -(-left // timedelta(days=1)))
    words = ngettext(
        "Your signing certificate for %(organisation)s ends within %(days)s day, on %(end)s. Get a new one from your "
        "certification authority before you have to sign.",
        "Your signing certificate for %(organisation)s ends within %(days)s days, on %(end)s. Get a new one from your "
        "certification authority before you have to sign.",
        days,
    ) % {
        "organisation": certificate.organisation.short_name,
        "days": days,
        "end": f"{certificate.not_after:%Y-%m-%d %H:%M} UTC",
    }
    url = reverse("organisation_certificates")
    notifications.notify(certificate.person, "certificate_ends_soon", words, url, at=at)
    return 1
