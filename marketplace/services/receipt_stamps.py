"""Time stamps of signatures that wait for their verdict: asked for on receipt, judged by, and handed on to what passes.

A stamp is asked for outside of every transaction, under a claim, and written down under its row's lock. The judge holds
that lock from looking for the stamp until the signature is taken: a stamp that comes in between is handed on by whoever
asked for it, and no second one is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import (
    EvidenceKind,
    EvidenceObject,
    EvidenceRole,
    QueuedSignature,
    QueuedStamp,
    QueuedState,
    Signature,
    SignatureStamp,
)
from marketplace.services import evidence, stamping, timestamps
from marketplace.services.evidence import Piece
from marketplace.services.timestamps import Stamped, TimeStampUnavailable
from marketplace.shared import jobs
from marketplace.signatures.cades import attach
from marketplace.signatures.timestamps import TimeStampError, Trusted, read

_log = logging.getLogger(__name__)
#: Some wait half an hour: an authority that is back is asked soon.
_LONGEST_PAUSE: Final = timedelta(minutes=5)
_BEHIND_KIND: Final = "receipt_stamps_behind"
_ROLES: Final = {"chain": EvidenceRole.STAMP_CHAIN, "revocation": EvidenceRole.STAMP_REVOCATION}


def want(row: QueuedSignature, *, at: datetime) -> None:
    """Have a signature stamped that begins to wait, once its transaction has committed."""
    QueuedStamp.objects.create(queued=row, wanted_at=at, next_try_at=at)
    jobs.enqueue("marketplace.tasks.stamp_received", row.pk)


# Asking --------------------------------------------------------------------------------------------------------------


def stamp(queued_id: int, *, at: datetime) -> bool:
    """Stamp a signature that waits; False where it has its stamp, waits no more, another task is at it, or no authority
    answers."""
    try:
        return timestamps.configured() and _claim(queued_id, at) and _ask_and_record(queued_id, at)
    except TimeStampUnavailable:
        return False


def stamp_waiting(*, at: datetime, limit: int = stamping.BATCH) -> int:
    """Stamp those that are due, until no authority answers. Returns how many were stamped."""
    if not timestamps.configured():
        return 0
    _find_forgotten(at)
    stamped = 0
    due = waiting().filter(next_try_at__lte=at).filter(Q(claimed_until=None) | Q(claimed_until__lte=at))
    for queued_id in list(due.order_by("next_try_at", "pk").values_list("pk", flat=True)[:limit]):
        try:
            stamped += _claim(queued_id, at) and _ask_and_record(queued_id, at)
        except TimeStampUnavailable:
            break  # the others would only wait for the same
    return stamped


def waiting() -> QuerySet[QueuedStamp]:
    """Signatures that wait for their verdict without a stamp. Of one that was not taken nobody needs one any more."""
    return QueuedStamp.objects.filter(stamped_at=None, queued__state=QueuedState.WAITING)


@transaction.atomic
def warn(*, at: datetime) -> None:
    """Tell the operators, once a day, that signatures which wait are not stamped."""
    late = waiting().filter(wanted_at__lte=at - timedelta(minutes=settings.TIMESTAMP_WARN_MINUTES))
    if timestamps.configured() and (count := late.count()):
        words = _(
            "%(count)s signatures that wait for their verdict have no time stamp of their receipt yet. The time-stamp "
            "authority answers: %(error)s"
        )
        error = late.exclude(error="").order_by("-attempts").values_list("error", flat=True).first()
        stamping.tell_operators(_BEHIND_KIND, words, {"count": count, "error": error or "—"}, at)


def _find_forgotten(at: datetime) -> None:
    """Those that began to wait before stamps were asked for on receipt."""
    unknown = QueuedSignature.objects.filter(
        ~Exists(QueuedStamp.objects.filter(queued=OuterRef("pk"))), state=QueuedState.WAITING
    )
    QueuedStamp.objects.bulk_create(
        [QueuedStamp(queued_id=pk, wanted_at=at, next_try_at=at) for pk in unknown.values_list("pk", flat=True)],
        ignore_conflicts=True,
    )


@transaction.atomic
def _claim(queued_id: int, at: datetime) -> bool:
    row = waiting().select_for_update(of=("self",)).filter(pk=queued_id).first()
    if row is None or (row.claimed_until is not None and row.claimed_until > at):
        return False
    row.claimed_until, row.attempts = at + stamping.CLAIM, row.attempts + 1
    row.save(update_fields=["claimed_until", "attempts"])
    return True


def _ask_and_record(queued_id: int, at: datetime) -> bool:
    """The stamp of a claimed signature. TimeStampUnavailable is raised on."""
    row = QueuedStamp.objects.select_related("queued").get(pk=queued_id)
    try:
        made = stamping.ask(bytes(row.queued.cms), at)
    except (TimeStampError, TimeStampUnavailable) as error:
        pause = stamping.pause_after(row.attempts, _LONGEST_PAUSE)
        QueuedStamp.objects.filter(pk=queued_id).update(
            error=str(error)[:300], claimed_until=None, next_try_at=at + pause
        )
        if isinstance(error, TimeStampUnavailable):
            raise
        return False
    _record(queued_id, made, at=at)
    return True


@transaction.atomic
def _record(queued_id: int, made: Stamped, *, at: datetime) -> None:
    """Keep the stamp that was got, unless somebody else got one (a claim that ran out).

    Where the signature passed meanwhile, it is that signature's.
    """
    row = QueuedStamp.objects.select_for_update(of=("self",)).get(pk=queued_id)
    if row.stamped_at is not None:
        return
    token = made.token
    pieces = evidence.pieces_of_trust(token, made.trust)
    found = {piece.sha256: (piece.kind, piece.der) for piece in pieces}
    kept = evidence.keep_objects(found | {token.sha256: (EvidenceKind.TIME_STAMP, token.encoded)}, at)
    row.token_id, row.stamped_at, row.authority = kept[token.sha256], token.generated_at, token.authority_name[:200]
    row.trust = {name: [piece.sha256 for piece in pieces if piece.role == role] for name, role in _ROLES.items()}
    row.claimed_until, row.error = None, ""
    row.save(update_fields=["token", "stamped_at", "authority", "trust", "claimed_until", "error"])
    queued = QueuedSignature.objects.select_related("signature__request", "signature__certificate").get(pk=queued_id)
    audit.record(
        "waiting_signature_stamped", queued, by=None, at=at, cms_sha256=queued.cms_sha256,
        stamped_at=token.generated_at.isoformat(), authority=row.authority, token_sha256=token.sha256,
    )  # fmt: skip
    if queued.signature is not None:
        stamping.record(queued.signature, token, made.trust, pieces, at=at)


# Using ---------------------------------------------------------------------------------------------------------------


def token_of(queued_id: int) -> bytes | None:
    """The stamp (DER) by which a signature is judged; None where no authority has answered yet."""
    row = QueuedStamp.objects.select_related("token").filter(pk=queued_id).first()
    return bytes(row.token.der) if row is not None and row.token is not None else None


def locked(queued_id: int) -> QueuedStamp | None:
    """The row of a signature that is about to be taken: until then no stamp comes unseen. After the signature's own."""
    return QueuedStamp.objects.select_for_update(of=("self",)).filter(pk=queued_id).first()


def hand_on(row: QueuedStamp | None, signature: Signature, *, at: datetime) -> None:
    """The signature that passed keeps the stamp of its receipt. Where one is being asked for, nobody asks for another.

    The caller holds the row locked.
    """
    if row is None:
        return
    if row.token_id is None:
        if row.claimed_until is not None and row.claimed_until > at:
            SignatureStamp.objects.filter(pk=signature.pk).update(claimed_until=row.claimed_until)
        return
    token = read(bytes(EvidenceObject.objects.get(pk=row.token_id).der))
    pieces = list(_pieces(row))
    chain = tuple(piece.der for piece in pieces if piece.role == EvidenceRole.STAMP_CHAIN)
    trust = Trusted(chain, tuple(row.trust.get("revocation", ())))
    stamping.record(signature, token, trust, pieces, at=at)


def stamped_cms(row: QueuedSignature) -> bytes:
    """The signature as CAdES-T, with its time stamp inside; as it was received while there is none."""
    received, token = bytes(row.cms), token_of(row.pk)
    return attach(received, token) if token is not None else received


def _pieces(row: QueuedStamp) -> Iterator[Piece]:
    """What the trust in a stamp rested on when it came."""
    wanted = [sha256 for prints in row.trust.values() for sha256 in prints]
    kept = {one.sha256: one for one in EvidenceObject.objects.filter(sha256__in=wanted)}
    for name, role in _ROLES.items():
        for sha256 in row.trust.get(name, ()):
            yield Piece(role, EvidenceKind(kept[sha256].kind), bytes(kept[sha256].der))
