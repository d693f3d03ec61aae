"""Anchoring the audit trails: every few minutes the heads of all trails with something new become the leaves of a
tree, whose root an authority time-stamps. From then on nothing before those heads can be changed, dropped or slipped in
unseen.

One stamp serves all trails, so that a platform with thousands of procedures asks an authority a few times an hour. The
roll of bids anchors a procedure's trail at its deadline besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from marketplace.models import AnchoredHead, AuditRecord, StampedStatement
from marketplace.services import statement_stamps, timestamps
from marketplace.services.stamp_renewal import Renewed
from marketplace.shared import keys
from marketplace.signatures import merkle
from marketplace.signatures.payload import canonical

LEAF_FORMAT: Final = "openlot-audit-head-1"
STATEMENT_KIND: Final = "audit_anchor"
ALGORITHM: Final = "RFC 9162 Merkle tree, SHA-256"
#: Records looked at in one round; a platform that has more takes several.
_AT_MOST: Final = 50_000
#: Numbers are given before transactions commit: so many before the last one seen are looked at again.
_LOOKED_BACK: Final = 10_000
_AT_ONCE: Final = 2000
_LOCK: Final = "audit-anchors"


@dataclass(frozen=True, slots=True)
class Anchor:
    """That a record was the head of its trail in one round, with the way from its leaf to the root."""

    statement: StampedStatement
    record: int
    number: int
    hash: str
    index: int
    size: int
    path: tuple[str, ...]


def anchor(*, at: datetime) -> StampedStatement | None:
    """Anchor what is new in all trails. None where nothing is, no authority is set, or none answers: then an earlier
    round still waits and is stamped first."""
    if not timestamps.configured():
        return None
    if (waiting := _waiting()) is not None:
        return waiting if statement_stamps.stamp(waiting, at=at) else None
    made = _round(at)
    return made if made is not None and statement_stamps.stamp(made, at=at) else None


def renew(*, at: datetime) -> Renewed:
    """Stamp the rounds again whose stamps would stop proving anything."""
    return statement_stamps.renew(StampedStatement.Kind.AUDIT_ANCHOR, _summed, at=at)


def of(stream: str) -> Iterator[Anchor]:
    """The stamped rounds in which the trail's head was anchored, in order."""
    heads = AnchoredHead.objects.filter(record__stream=stream, anchor__stamped_at__isnull=False)
    for head in heads.select_related("anchor", "record").order_by("record_id").iterator(chunk_size=_AT_ONCE):
        found = merkle.inclusion_of(_leaf(head.record), map(_leaf, _records(head.anchor)))
        yield Anchor(
            head.anchor,
            head.record_id,
            head.record.number,
            head.record.hash,
            found.index,
            found.size,
            tuple(step.hex() for step in found.path),
        )


def count(stream: str) -> int:
    """In how many rounds the trail's head was anchored."""
    return AnchoredHead.objects.filter(record__stream=stream).count()


def waits() -> bool:
    """Whether a round waits for its stamp: no authority answered."""
    return _waiting() is not None


def is_anchored(stream: str) -> bool:
    """Whether nothing was recorded in the trail since its head was anchored."""
    newest = AuditRecord.objects.filter(stream=stream).order_by("-number").values_list("pk", flat=True).first()
    return newest is None or AnchoredHead.objects.filter(record=newest, anchor__stamped_at__isnull=False).exists()


def leaf(stream: str, number: int, hash_: str) -> dict[str, Any]:
    """What stands in the tree for a trail. The hash is nobody's to guess: a neighbour's leaf tells nothing."""
    return {"format": LEAF_FORMAT, "stream": stream, "number": number, "hash": hash_}


@transaction.atomic
def _round(at: datetime) -> StampedStatement | None:
    """Write down which heads are anchored together; whoever comes at the same moment waits, and finds less that is
    new."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK])
    if _waiting() is not None:
        return None
    heads = _new_heads()
    if not heads:
        return None
    root = merkle.root_of([_leaf(record) for record in heads])
    before = StampedStatement.objects.filter(kind=StampedStatement.Kind.AUDIT_ANCHOR).order_by("-pk")
    statement = keys.sign_receipt(
        {
            "kind": STATEMENT_KIND,
            "platform": settings.SITE_URL,
            "made_at": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "algorithm": ALGORITHM,
            "size": len(heads),
            "root": root.hex(),
            "previous": before.values_list("sha256", flat=True).first(),
        }
    )
    made = statement_stamps.say(StampedStatement.Kind.AUDIT_ANCHOR, statement, at=at)
    AnchoredHead.objects.bulk_create(
        (AnchoredHead(anchor=made, record=record) for record in heads), batch_size=_AT_ONCE
    )
    return made


def _waiting() -> StampedStatement | None:
    waiting = StampedStatement.objects.filter(kind=StampedStatement.Kind.AUDIT_ANCHOR, stamped_at=None)
    return waiting.order_by("pk").first()


def _new_heads() -> list[AuditRecord]:
    """The newest record of each trail that has one since the last round, in the order of the records."""
    last = AnchoredHead.objects.aggregate(last=Max("record_id"))["last"] or 0
    window = AuditRecord.objects.filter(pk__gt=last - _LOOKED_BACK).order_by("pk").values_list("pk", flat=True)
    until = window.filter(pk__gt=last)[_AT_MOST : _AT_MOST + 1].first()
    records = AuditRecord.objects.filter(pk__gt=last - _LOOKED_BACK)
    if until is not None:
        records = records.filter(pk__lt=until)
    newest = records.order_by().values("stream").annotate(newest=Max("pk")).values("newest")
    found = AuditRecord.objects.filter(pk__in=newest, anchored=None).order_by("pk")
    return list(found.only("pk", "stream", "number", "hash"))


def _records(anchor: StampedStatement) -> Iterator[AuditRecord]:
    found = AuditRecord.objects.filter(anchored__anchor=anchor).order_by("pk")
    return found.only("pk", "stream", "number", "hash").iterator(chunk_size=_AT_ONCE)


def _leaf(record: AuditRecord) -> bytes:
    return merkle.leaf_hash(canonical(leaf(record.stream, record.number, record.hash)))


def _summed(statement: StampedStatement) -> bytes:
    return canonical({"leaves": [leaf.hex() for leaf in map(_leaf, _records(statement))]})
