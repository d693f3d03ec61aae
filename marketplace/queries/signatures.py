"""Reading kept signatures: which there are, how far their time stamps are, what was found on judging them again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from marketplace.models import (
    AuditRecord,
    EvidenceObject,
    EvidenceRole,
    Reverification,
    Signature,
    SignatureEvidence,
    SignatureStamp,
)
from marketplace.queries import keyset
from marketplace.queries.staff import Queue

#: What a list of signatures may be narrowed to.
WAITING, STAMPED, RENEWED = "waiting", "stamped", "renewed"


def signatures(*, state: str = "", text: str = "") -> QuerySet[Signature]:
    """With signer and stamp; by the state of the stamp, and by the signature's number or the organisation's name."""
    found = Signature.objects.select_related("organisation", "person", "request", "certificate", "stamp").defer(
        "cms", "request__payload", "certificate__der"
    )
    if state == WAITING:
        found = found.filter(Q(stamp=None) | Q(stamp__stamped_at=None))
    elif state == STAMPED:
        found = found.filter(stamp__stamped_at__isnull=False)
    elif state == RENEWED:
        found = found.filter(stamp__rounds__gt=0)
    text = text.strip()
    if text.isdecimal() and len(text) < 19:
        return found.filter(pk=int(text))
    return found.filter(organisation__short_name__icontains=text) if text else found


def one(signature_id: int) -> Signature | None:
    return signatures().filter(pk=signature_id).first()


def evidence_of(signature_id: int) -> list[SignatureEvidence]:
    """What is kept for it, in the order in which it is relied on; without the bytes."""
    order = [str(role) for role in EvidenceRole]
    links = SignatureEvidence.objects.filter(signature=signature_id).select_related("object").defer("object__der")
    return sorted(links, key=lambda link: (order.index(link.role), link.number))


def kept(signature_id: int, sha256: str) -> SignatureEvidence | None:
    """A piece of evidence of this signature, with its bytes."""
    links = SignatureEvidence.objects.filter(signature=signature_id, object__sha256=sha256)
    return links.select_related("object").first()


def contents(object_ids: Iterable[int]) -> dict[int, bytes]:
    """The bytes of kept objects by their key."""
    objects = EvidenceObject.objects.filter(pk__in=set(object_ids)).values_list("pk", "der")
    return {key: bytes(der) for key, der in objects}


def last_check(signature_id: int) -> AuditRecord | None:
    """The newest verdict on it since it was taken."""
    records = AuditRecord.objects.filter(stream=f"signature:{signature_id}", action="signature_checked_again")
    return records.select_related("person").order_by("-number").first()


def runs() -> QuerySet[Reverification]:
    """Newest first."""
    return Reverification.objects.select_related("started_by").order_by("-started_at")


def late_stamps(at: datetime) -> Queue:
    """Signatures whose stamp takes longer than an authority's short failure."""
    late = SignatureStamp.objects.filter(
        stamped_at=None, wanted_at__lte=at - timedelta(minutes=settings.TIMESTAMP_WARN_MINUTES)
    ).order_by("wanted_at")
    return Queue(keyset.capped_count(late), late.values_list("wanted_at", flat=True).first())
