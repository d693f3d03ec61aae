"""Accreditation: which documents are asked for, the operator's queue, what runs out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from marketplace.models import Accreditation, AccreditationDocument, AccreditationStatus, Side
from marketplace.shared.errors import Sentence

OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A document that is asked for. Of two with the same `kind`, the one that names the country counts."""

    kind: str
    title: Sentence
    hint: Sentence
    sides: frozenset[str] = frozenset(Side.values)
    countries: frozenset[str] = frozenset()
    required: bool = True


REQUIREMENTS: Final = (
    Requirement(
        "register",
        _("Extract from the company register"),
        _("Not older than six months, with the full name, the registration number and the legal address."),
    ),
    Requirement(
        "register",
        _("Extract from the commercial register (Handelsregister)"),
        _("A current print (aktueller Abdruck), not older than six months."),
        countries=frozenset({"DE", "AT", "CH"}),
    ),
    Requirement(
        "register",
        _("Extract from EGRUL or EGRIP"),
        _("With the tax service’s signature, not older than six months."),
        countries=frozenset({"RU"}),
    ),
    Requirement(
        "register",
        _("Certificate of incorporation and a current Companies House record"),
        _("The record not older than six months."),
        countries=frozenset({"GB"}),
    ),
    Requirement(
        "authority",
        _("Authority of the person who signs"),
        _("A power of attorney or the minutes of appointment, unless the register itself names the person."),
    ),
    Requirement(
        "tax",
        _("Certificate of no tax debts"),
        _("Helps where a buyer asks for it with every bid; not older than three months."),
        sides=frozenset({Side.SUPPLIER.value}),
        required=False,
    ),
)


def requirements(side: str, country: str) -> list[Requirement]:
    """The documents asked of an organisation of this country, the required ones first."""
    found: dict[str, Requirement] = {}
    for asked in REQUIREMENTS:
        if side in asked.sides and (not asked.countries or country in asked.countries):
            found[asked.kind] = asked
    return sorted(found.values(), key=lambda asked: not asked.required)


def missing(accreditation: Accreditation) -> list[Requirement]:
    """The required documents that have not been added."""
    present = set(accreditation.documents.values_list("kind", flat=True))
    asked = requirements(accreditation.side, accreditation.organisation.country)
    return [one for one in asked if one.required and one.kind not in present]


def of_organisation(organisation_id: int) -> QuerySet[Accreditation]:
    return Accreditation.objects.filter(organisation_id=organisation_id).select_related("organisation")


def documents_of(accreditation_id: int) -> QuerySet[AccreditationDocument]:
    return AccreditationDocument.objects.filter(accreditation_id=accreditation_id).select_related("file")


def waiting() -> QuerySet[Accreditation]:
    """The operator's queue: who has waited longest comes first."""
    return (
        Accreditation.objects.filter(status=AccreditationStatus.SUBMITTED)
        .select_related("organisation", "submitted_by")
        .order_by("submitted_at", "pk")
    )


def decided() -> QuerySet[Accreditation]:
    """What operators have decided, the latest first."""
    return (
        Accreditation.objects.filter(decided_at__isnull=False)
        .exclude(status=AccreditationStatus.SUBMITTED)
        .select_related("organisation", "decided_by")
        .order_by("-decided_at", "-pk")
    )


def ending(at: datetime, within: timedelta) -> QuerySet[Accreditation]:
    """Valid now, ending within the span, and the organisation has not been reminded of this end."""
    return Accreditation.objects.filter(
        ~Q(status=AccreditationStatus.REVOKED),
        Q(reminded_for__isnull=True) | ~Q(reminded_for=F("valid_until")),
        valid_until__gt=at,
        valid_until__lte=at + within,
    )
