"""Reading the trust store: authorities, their lists and sources, and what about them needs an operator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from marketplace.models import AuditRecord, RevocationList, RevocationSource, TrustedCertificate
from marketplace.signatures import certificate_id
from marketplace.signatures.lists import MAX_WHOLE_BYTES
from marketplace.signatures.payload import sha256_hex

_NAMED: Final = re.compile(r"(?:^|[,+])(CN|O)=((?:\\.|[^,+\\])+)")
#: So many times in a row an address may fail before the operators' first page speaks of it.
FAILURES_SHOWN: Final = 3


class Freshness(StrEnum):
    """How far a list is in its life."""

    CURRENT = "current"
    DUE = "due"
    OVERDUE = "overdue"


class State(StrEnum):
    """Whether an authority counts, and if not, why."""

    TRUSTED = "trusted"
    PROPOSED = "proposed"
    EXPIRED = "expired"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Dated:
    """A current list at a moment."""

    list: RevocationList
    freshness: Freshness
    age: timedelta
    #: Until the next one is due; since then where it is overdue.
    left: timedelta

    @property
    def is_too_large(self) -> bool:
        """It can neither be indexed nor be read whole: while it holds, those it may be about cannot sign."""
        unread = not self.list.is_indexed and self.list.size > MAX_WHOLE_BYTES
        return unread and self.freshness is not Freshness.OVERDUE


def name_of(subject: str) -> str:
    """What people call the owner of a certificate: its common name, or the organisation, or all of the subject."""
    found = dict(reversed(_NAMED.findall(subject)))
    name = found.get("CN") or found.get("O") or subject
    return re.sub(r"\\(.)", r"\1", name)


def authorities(*, at: datetime, text: str = "", kind: str = "", state: str = "") -> QuerySet[TrustedCertificate]:
    """The store, filtered by a part of the name or of the fingerprint, by what they are and whether they count."""
    found = TrustedCertificate.objects.defer("der").select_related("added_by", "proposed_by", "disabled_by")
    if text:
        digits = text.replace(":", "").replace(" ", "").lower()
        found = found.filter(Q(subject__icontains=text) | Q(sha256__startswith=digits))
    if kind:
        found = found.filter(kind=kind)
    match state:
        case State.TRUSTED:
            found = found.filter(enabled=True, not_after__gt=at)
        case State.EXPIRED:
            found = found.filter(enabled=True, not_after__lte=at)
        case State.PROPOSED:
            found = found.filter(proposed_at__isnull=False)
        case State.DISABLED:
            found = found.filter(enabled=False, proposed_at=None)
    return found


def is_issued_in_store(der: bytes) -> bool:
    """Whether an authority of the name that issued this certificate (DER) is trusted, or waits to be."""
    issuer = sha256_hex(certificate_id(der).issuer)
    return TrustedCertificate.objects.filter(
        Q(enabled=True) | Q(proposed_at__isnull=False), name_sha256=issuer
    ).exists()


def state_of(trusted: TrustedCertificate, at: datetime) -> State:
    if trusted.proposed_at is not None:
        return State.PROPOSED
    if not trusted.enabled:
        return State.DISABLED
    return State.EXPIRED if trusted.not_after <= at else State.TRUSTED


def proposed() -> QuerySet[TrustedCertificate]:
    """What waits for a second operator, the first proposed first."""
    return TrustedCertificate.objects.defer("der").filter(proposed_at__isnull=False).order_by("proposed_at", "pk")


def current_lists() -> QuerySet[RevocationList]:
    """The list in force of every trusted authority (by name, key and scope)."""
    trusted = TrustedCertificate.objects.filter(
        enabled=True, name_sha256=OuterRef("issuer_sha256"), key_sha256=OuterRef("issuer_key_sha256")
    )
    found = RevocationList.objects.filter(Exists(trusted), is_current=True)
    return found.defer("der").select_related("loaded_by", "source")


def lists_of(trusted: TrustedCertificate) -> QuerySet[RevocationList]:
    """Every version, the newest first."""
    return (
        RevocationList.objects.filter(issuer_sha256=trusted.name_sha256, issuer_key_sha256=trusted.key_sha256)
        .defer("der")
        .select_related("loaded_by", "source")
        .order_by("-is_current", "-this_update", "-pk")
    )


def dated(one: RevocationList, at: datetime) -> Dated:
    left = one.next_update - at
    if left <= timedelta(0):
        return Dated(one, Freshness.OVERDUE, at - one.this_update, -left)
    due = left <= warned_before(one)
    return Dated(one, Freshness.DUE if due else Freshness.CURRENT, at - one.this_update, left)


def warned_before(one: RevocationList) -> timedelta:
    """How long before the next list is due the operators are told: for a short-lived list, a quarter of its life."""
    return min(timedelta(hours=settings.REVOCATION_WARN_HOURS), (one.next_update - one.this_update) / 4)


def ageing(at: datetime) -> list[Dated]:
    """Current lists of trusted authorities that are overdue or about to be, the worst first."""
    soon = at + timedelta(hours=settings.REVOCATION_WARN_HOURS)
    rows = current_lists().filter(next_update__lte=soon).order_by("next_update", "pk")
    return [one for one in (dated(row, at) for row in rows) if one.freshness != Freshness.CURRENT]


def without_list(at: datetime) -> QuerySet[TrustedCertificate]:
    """Trusted authorities nothing is known about: neither a list nor a responder that has answered.

    Whatever they issued does not pass, as it could be revoked.
    """
    lists = RevocationList.objects.filter(
        is_current=True, issuer_sha256=OuterRef("name_sha256"), issuer_key_sha256=OuterRef("key_sha256")
    )
    responders = RevocationSource.objects.filter(
        authority=OuterRef("pk"), kind=RevocationSource.Kind.OCSP, enabled=True, fetched_at__isnull=False
    )
    store = TrustedCertificate.objects.defer("der").filter(enabled=True, not_after__gt=at)
    return store.exclude(Exists(lists)).exclude(Exists(responders)).order_by("subject", "pk")


def sources(*, authority_id: int | None = None) -> QuerySet[RevocationSource]:
    found = RevocationSource.objects.select_related("authority", "added_by").defer("authority__der")
    if authority_id is not None:
        found = found.filter(authority_id=authority_id)
    return found.order_by("authority__subject", "pk")


def failing_sources() -> QuerySet[RevocationSource]:
    """Addresses that have not answered as they should several times in a row."""
    return sources().filter(enabled=True, failures__gte=FAILURES_SHOWN)


def trail(stream: str, trusted: TrustedCertificate | None = None) -> QuerySet[AuditRecord]:
    """What changed in the trust store; with an authority, what happened to that one."""
    found = AuditRecord.objects.filter(stream=stream).select_related("person")
    if trusted is not None:
        found = found.filter(object_type=trusted._meta.model_name, object_id=str(trusted.pk))
    return found
