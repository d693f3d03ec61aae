"""Stamping signatures, each soon after its receipt. `stamp_renewal` stamps them again.

A signature is taken at once, whatever the time-stamp authorities do; that it still waits is a row here. Nobody is asked
under a lock: a task claims the row for a few minutes, asks, and writes what it got under the lock again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
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
    Notification,
    RevocationList,
    Signature,
    SignatureStamp,
    StaffRole,
)
from marketplace.services import evidence, notifications, timestamps
from marketplace.services.evidence import Piece
from marketplace.services.timestamps import Stamped, TimeStampUnavailable
from marketplace.shared import jobs
from marketplace.signatures import longterm, strengths
from marketplace.signatures.cades import stamped_value
from marketplace.signatures.dossier import Dossier
from marketplace.signatures.timestamps import TimeStampError, Token, Trusted

_log = logging.getLogger(__name__)
#: How long a claimed signature is another task's; a worker that was killed is forgotten after it.
CLAIM: Final = timedelta(minutes=5)
FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)
#: Signatures that one archive time stamp covers, and that are stamped in one go.
BATCH: Final = 1000
_BEHIND_KIND: Final = "time_stamps_behind"
_RENEWAL_KIND: Final = "time_stamps_not_renewed"
_TELL_AGAIN: Final = timedelta(hours=24)


def want(signature: Signature, *, at: datetime) -> None:
    """Have a signature stamped once its transaction has committed."""
    SignatureStamp.objects.create(signature=signature, wanted_at=at, next_try_at=at)
    jobs.enqueue("marketplace.tasks.stamp_signature", signature.pk)


# The signature's own stamp -----------------------------------------------------------------------------------------


def stamp(signature_id: int, *, at: datetime) -> bool:
    """Stamp a signature that waits; False where it has its stamp, another task is at it, or no authority answers.

    However many tasks try at the same moment, one asks.
    """
    if not timestamps.configured() or not _claim(signature_id, at):
        return False
    try:
        _ask_and_record(signature_id, at)
    except TimeStampUnavailable:
        return False
    return True


def stamp_waiting(*, at: datetime, limit: int = BATCH) -> int:
    """Stamp those that wait and are due, oldest first, until no authority answers. Returns how many were stamped."""
    if not timestamps.configured():
        return 0
    stamped = 0
    due = waiting().filter(next_try_at__lte=at).filter(Q(claimed_until=None) | Q(claimed_until__lte=at))
    for signature_id in list(due.order_by("next_try_at").values_list("pk", flat=True)[:limit]):
        if not _claim(signature_id, at):
            continue
        try:
            stamped += _ask_and_record(signature_id, at)
        except TimeStampUnavailable:
            break  # the others would only wait for the same
    return stamped


def find_forgotten(*, at: datetime, limit: int = 10_000) -> int:
    """Have those stamped that were taken before stamps were kept. Returns how many were found."""
    unknown = Signature.objects.filter(~Exists(SignatureStamp.objects.filter(signature=OuterRef("pk"))))
    forgotten = list(unknown.order_by("pk").values_list("pk", flat=True)[:limit])
    SignatureStamp.objects.bulk_create(
        [SignatureStamp(signature_id=signature_id, wanted_at=at, next_try_at=at) for signature_id in forgotten],
        ignore_conflicts=True,
    )
    return len(forgotten)


def waiting() -> QuerySet[SignatureStamp]:
    """Signatures without a time stamp of their own."""
    return SignatureStamp.objects.filter(stamped_at=None)


def behind(at: datetime) -> QuerySet[SignatureStamp]:
    """Those that wait longer than an authority's short failure takes."""
    return waiting().filter(wanted_at__lte=at - timedelta(minutes=settings.TIMESTAMP_WARN_MINUTES))


def overdue(at: datetime) -> QuerySet[SignatureStamp]:
    """Stamps that should have been renewed: half of the time for it is over."""
    return to_renew(at, timedelta(days=settings.RESTAMP_DAYS_BEFORE / 2))


@transaction.atomic
def warn(*, at: datetime) -> None:
    """Tell the operators, once a day, that stamps are behind, or that old ones come too close to their end."""
    if not timestamps.configured():
        return
    late = behind(at).count()
    if late:
        words = _("%(count)s signatures still wait for their time stamp. The time-stamp authority answers: %(error)s")
        error = behind(at).exclude(error="").order_by("-attempts").values_list("error", flat=True).first()
        tell_operators(_BEHIND_KIND, words, {"count": late, "error": error or "—"}, at)
    if count := overdue(at).count():
        words = _("%(count)s time stamps should have been renewed by now, before they stop proving anything.")
        tell_operators(_RENEWAL_KIND, words, {"count": count}, at)


@transaction.atomic
def _claim(signature_id: int, at: datetime) -> bool:
    row = SignatureStamp.objects.select_for_update().filter(pk=signature_id).first()
    if row is None or row.stamped_at is not None or (row.claimed_until is not None and row.claimed_until > at):
        return False
    row.claimed_until, row.attempts = at + CLAIM, row.attempts + 1
    row.save(update_fields=["claimed_until", "attempts"])
    return True


def _ask_and_record(signature_id: int, at: datetime) -> bool:
    """The stamp of a claimed signature; False where the signature is none any more, TimeStampUnavailable raised on."""
    signature = Signature.objects.select_related("request", "certificate").get(pk=signature_id)
    try:
        made = ask(bytes(signature.cms), at)
    except TimeStampError as error:
        put_off([signature_id], error.reason, at, _LONGEST_PAUSE)
        return False
    except TimeStampUnavailable as error:
        put_off([signature_id], str(error), at, _pause_after(signature_id))
        raise
    record(signature, made.token, made.trust, evidence.pieces_of_trust(made.token, made.trust), at=at)
    return True


def ask(cms: bytes, at: datetime) -> Stamped:
    """A stamp of a signature, from the first authority that answers. Never under a lock.

    Raises TimeStampUnavailable, and TimeStampError for what is no signature.
    """
    return timestamps.stamped(hashlib.new(_hash_now(at), stamped_value(cms)).digest())


@transaction.atomic
def record(signature: Signature, token: Token, trust: Trusted, pieces: Iterable[Piece], *, at: datetime) -> None:
    """Keep a signature's stamp, and what the trust in it rests on (`pieces`), unless it has one."""
    row = SignatureStamp.objects.select_for_update().get(pk=signature.pk)
    if row.stamped_at is not None:  # a claim that ran out: somebody else got one meanwhile
        return
    if not signature.evidence_links.filter(role=EvidenceRole.CHAIN).exists():
        evidence.keep_verdict(signature, at=at)  # taken before evidence was kept: what is still there
    stamp = Piece(EvidenceRole.TIME_STAMP, EvidenceKind.TIME_STAMP, token.encoded)
    evidence.keep(signature.pk, [stamp, *pieces, *_fresh(signature, token.latest)], at=at)
    row.stamped_at, row.ends_at = token.generated_at, token.ends_at
    row.authority, row.error, row.claimed_until = token.authority_name[:200], "", None
    row.algorithms = algorithms_of(signature.pk, evidence.dossier(signature), token, trust)
    row.save(update_fields=["stamped_at", "ends_at", "authority", "error", "claimed_until", "algorithms"])
    audit.record(
        "signature_stamped", signature, by=None, at=at,
        stamped_at=token.generated_at.isoformat(), authority=row.authority, token_sha256=token.sha256,
    )  # fmt: skip


def _fresh(signature: Signature, stamped_at: datetime) -> list[Piece]:
    """Where a list or an answer it was taken by was overdue when the stamp came at last, the one of then as well."""
    pieces = []
    for name, role in (("revocation", EvidenceRole.REVOCATION), ("stamp_revocation", EvidenceRole.STAMP_REVOCATION)):
        kept = signature.evidence.get(name, [])
        old = RevocationList.objects.filter(sha256__in=kept, next_update__lte=stamped_at)
        current = RevocationList.objects.filter(
            is_current=True, issuer_sha256__in=old.values("issuer_sha256"), next_update__gt=stamped_at
        ).exclude(sha256__in=kept)
        pieces += [Piece(role, EvidenceKind.CRL, bytes(one.der)) for one in current]
        if EvidenceObject.objects.filter(sha256__in=kept, kind=EvidenceKind.OCSP).exists():
            chain = signature.evidence.get("chain" if name == "revocation" else "stamp_chain", [])
            answers = evidence.answers_about(bytes(signature.cms), chain, stamped_at)
            pieces += [Piece(role, EvidenceKind.OCSP, der) for der in answers]
    return pieces


def _pause_after(signature_id: int) -> timedelta:
    attempts: int = SignatureStamp.objects.values_list("attempts", flat=True).get(pk=signature_id)
    return pause_after(attempts, _LONGEST_PAUSE)


def pause_after(attempts: int, longest: timedelta) -> timedelta:
    """Twice as long after every try."""
    doublings = min(max(attempts, 1) - 1, 10)
    return min(FIRST_PAUSE * (1 << doublings), longest)


def put_off(signature_ids: Iterable[int], error: str, at: datetime, pause: timedelta) -> None:
    """Give claimed rows back, to be tried again after a pause."""
    rows = SignatureStamp.objects.filter(pk__in=list(signature_ids))
    rows.update(error=error[:300], claimed_until=None, next_try_at=at + pause)


def algorithms_of(signature_id: int, dossier: Dossier, token: Token, trust: Trusted) -> list[str]:
    """What the dossier's proof rests on. Evidence that cannot be read holds up nobody: judged again, it is told."""
    try:
        return sorted(longterm.algorithms_of(dossier, trust))
    except (ValueError, TypeError, KeyError, TimeStampError):
        _log.exception("The evidence of signature %s cannot be read", signature_id)
        return sorted(strengths.of_token(token))


# Shared with what is stamped again -----------------------------------------------------------------------------------


def to_renew(at: datetime, ahead: timedelta | None = None) -> QuerySet[SignatureStamp]:
    """Stamps whose certificate ends, or one of whose algorithms reaches its sunset, within RESTAMP_DAYS_BEFORE."""
    horizon = at + (timedelta(days=settings.RESTAMP_DAYS_BEFORE) if ahead is None else ahead)
    failing = failing_by(horizon)
    found = Q(ends_at__lte=horizon)
    if failing:
        found |= Q(algorithms__overlap=sorted(failing))
    return SignatureStamp.objects.exclude(stamped_at=None).filter(found)


def failing_by(horizon: datetime) -> set[str]:
    """Algorithms whose sunset is reached by then."""
    return {name for name, sunset in settings.ALGORITHM_SUNSETS.items() if sunset <= horizon}


def _hash_now(at: datetime) -> str:
    """SHA-256, unless its sunset is near."""
    near = failing_by(at + timedelta(days=settings.RESTAMP_DAYS_BEFORE))
    return str(settings.TIMESTAMP_ARCHIVE_HASH) if "sha256" in near else "sha256"


def tell_operators(kind: str, words: object, values: dict[str, object], at: datetime) -> None:
    """Of something about time stamps that goes wrong, once a day."""
    if Notification.objects.filter(kind=kind, created_at__gt=at - _TELL_AGAIN).exists():
        return
    text = str(words) % values
    notifications.notify_staff([StaffRole.OPERATOR], kind, text, "/staff/signatures/", at=at, mail=True)
