"""Reading the audit trail."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection
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


# Jumps over the index from one action to the next, however many records each has.
_ACTIONS = """
WITH RECURSIVE known(action) AS (
    SELECT min(action) FROM marketplace_auditrecord
    UNION ALL
    SELECT (SELECT min(record.action) FROM marketplace_auditrecord record WHERE record.action > known.action)
    FROM known WHERE known.action IS NOT NULL
)
SELECT action FROM known WHERE action IS NOT NULL
"""


def actions() -> list[str]:
    """The actions recorded so far, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIONS)
        return [action for (action,) in cursor.fetchall()]
