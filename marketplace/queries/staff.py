"""What waits for the platform's people, and how its processes are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Q, QuerySet

from marketplace.models import (
    Heartbeat,
    InvoiceStatus,
    Organisation,
    OrganisationIdentifier,
    Person,
    StaffRoleProposal,
)
from marketplace.queries import accreditations, keyset, tariffs

STALE_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait, counted to keyset.COUNT_CAP, and since when the first one does."""

    count: int
    oldest: datetime | None = None


def role_proposals() -> QuerySet[StaffRoleProposal]:
    """Roles that wait for a second operator."""
    return StaffRoleProposal.objects.select_related("person", "proposed_by")


def lacks_second_factor(person: Person) -> bool:
    """Whether this person of the platform's staff has yet to set up a passkey or an authenticator app."""
    if not (settings.STAFF_NEEDS_SECOND_FACTOR and person.staff_roles):
        return False
    factors = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return not Authenticator.objects.filter(user=person, type__in=factors).exists()


def accreditation_queue() -> Queue:
    waiting = accreditations.waiting()
    return Queue(keyset.capped_count(waiting), waiting.values_list("submitted_at", flat=True).first())


def unpaid_invoices() -> Queue:
    open_ones = tariffs.invoices(status=InvoiceStatus.ISSUED)
    oldest = open_ones.order_by("issued_at").values_list("issued_at", flat=True).first()
    return Queue(keyset.capped_count(open_ones), oldest)


def overdue_invoices(at: datetime) -> Queue:
    overdue = tariffs.invoices(overdue_at=at)
    return Queue(keyset.capped_count(overdue), overdue.order_by("due_at").values_list("due_at", flat=True).first())


def heartbeats(at: datetime) -> list[tuple[Heartbeat, bool]]:
    """Each process with whether it has said lately that it lives."""
    return [(beat, at - beat.at < STALE_AFTER) for beat in Heartbeat.objects.order_by("process")]


def organisations(*, text: str = "", status: str = "") -> QuerySet[Organisation]:
    """By a part of the short name, or by a registration number."""
    found = Organisation.objects.prefetch_related("identifiers")
    if status:
        found = found.filter(status=status)
    if text:
        number = "".join(text.split()).upper()
        named = OrganisationIdentifier.objects.filter(value=number).values("organisation_id")
        found = found.filter(Q(short_name__icontains=text) | Q(pk__in=named))
    return found


def people() -> QuerySet[Person]:
    """Everybody with a staff role."""
    return Person.objects.exclude(staff_roles=[]).order_by("full_name", "email", "pk")
