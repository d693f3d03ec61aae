"""Reading the audit trail."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet

from marketplace.models import AuditRecord


def records(*, stream: str = "", action: str = "", email: str = "") -> QuerySet[AuditRecord]:
    """The records of every stream, or of one; of one action; of one person."""
    found = AuditRecord.objects.select_related("person", "organisation")
    if stream:
        found = found.filter(stream=stream)
    if action:
        found = found.filter(action=action)
    if email:
        found = found.filter(person__email=email.lower())
    return found


def chain(stream: str) -> Iterator[AuditRecord]:
    """One stream in order, read in pieces: a busy stream does not fit into memory."""
    return AuditRecord.objects.filter(stream=stream).order_by("number").iterator(chunk_size=2000)


def actions() -> list[str]:
    """The actions recorded so far: a jump from one to the next over the index, however many records there are."""
    found: list[str] = []
    last = ""
    while (
        action := AuditRecord.objects.filter(action__gt=last)
        .order_by("action")
        .values_list("action", flat=True)
        .first()
    ):
        found.append(action)
        last = action
    return found
