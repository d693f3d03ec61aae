"""The audit trail: append-only and hash-chained per stream, written in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection, models, transaction

from marketplace.models import AuditRecord
from marketplace.signatures.payload import canonical, sha256_hex

if TYPE_CHECKING:
    from marketplace.permissions import Actor

GENESIS = "0" * 64


def record(
    action: str, obj: models.Model, *, by: Actor | None, at: datetime, stream: str | None = None, **details: Any
) -> AuditRecord:
    """Append to `stream`: the object's own by default ("organisation:4"); a tender's parts pass "tender:7".

    `by` is None for what the platform does by itself. `details` must be fit for JSON; amounts as strings, never a
    sealed price. Must be called inside the transaction that makes the change.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("audit.record belongs into the transaction of the change")
    kind = obj._meta.model_name or ""
    stream = stream or f"{kind}:{obj.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"audit:{stream}"])
    newest = AuditRecord.objects.filter(stream=stream).order_by("-number").values_list("number", "hash")
    number, previous = newest.first() or (0, GENESIS)
    entry = AuditRecord(
        stream=stream,
        number=number + 1,
        at=at,
        action=action,
        person=by.person if by else None,
        organisation=by.organisation if by else None,
        object_type=kind,
        object_id=str(obj.pk),
        details=details,
        previous_hash=previous,
    )
    entry.hash = hash_of(entry)
    entry.save(force_insert=True)
    return entry


def hash_of(entry: AuditRecord) -> str:
    """The hash a record must carry: over its content and the hash before it."""
    return sha256_hex(canonical(content_of(entry)))


def content_of(entry: AuditRecord) -> dict[str, Any]:
    """What of a record is hashed, in the form in which it is: for whoever checks the chain elsewhere."""
    return {
        "stream": entry.stream,
        "number": entry.number,
        "at": entry.at.isoformat(),
        "action": entry.action,
        "person": entry.person_id,
        "organisation": entry.organisation_id,
        "object": f"{entry.object_type}:{entry.object_id}",
        "details": entry.details,
        "previous": entry.previous_hash,
    }


def broken_at(records: Iterable[AuditRecord]) -> int | None:
    """The number of the first record, of one stream in order, at which the chain breaks; None when it is whole."""
    previous = GENESIS
    for number, entry in enumerate(records, start=1):
        if entry.number != number or entry.previous_hash != previous or entry.hash != hash_of(entry):
            return number
        previous = entry.hash
    return None
