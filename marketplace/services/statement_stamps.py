"""The time stamps of the platform's own statements (rolls of bids, heads of audit trails): kept with what they rest on,
and renewed before they stop proving anything, as those of signatures are (marketplace.services.stamping)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import EvidenceKind, EvidenceObject, EvidenceRole, StampedStatement, StatementEvidence
from marketplace.services import evidence, stamp_renewal, stamping, timestamps
from marketplace.services.evidence import Piece
from marketplace.services.stamp_renewal import Renewed
from marketplace.services.timestamps import Stamped, TimeStampUnavailable
from marketplace.signatures import strengths
from marketplace.signatures.dossier import Batch, Dossier, Kept
from marketplace.signatures.payload import canonical, sha256_hex
from marketplace.signatures.timestamps import TimeStampError, Token, Trusted, read

_log = logging.getLogger(__name__)
_BEHIND_KIND: Final = "statement_stamps_behind"
_RENEWAL_KIND: Final = "statement_stamps_not_renewed"
_PAUSE: Final = timedelta(hours=1)
#: For a stamp that proves nothing any more: it must not stand in the way of those that can still be renewed.
_LOST_PAUSE: Final = timedelta(days=7)
#: Statements that one archive time stamp covers.
BATCH: Final = 500

#: The bytes that a statement sums up (the leaves of its tree): an archive time stamp covers them besides.
Summed = Callable[[StampedStatement], bytes]


def say(kind: StampedStatement.Kind, statement: Mapping[str, Any], *, at: datetime) -> StampedStatement:
    """Keep a signed statement that waits for its stamp; the one that is kept already, where it is the same."""
    found, _made = StampedStatement.objects.get_or_create(
        sha256=sha256_hex(canonical(dict(statement))),
        defaults={"kind": kind, "statement": dict(statement), "made_at": at},
    )
    return found


def stamp(kept: StampedStatement, *, at: datetime) -> Token | None:
    """Ask an authority for the statement's stamp and keep it. None where none is set or answers. Asks under no lock."""
    if kept.stamped_at is not None or not timestamps.configured():
        return None
    try:
        made = timestamps.stamped(bytes.fromhex(kept.sha256))
    except TimeStampUnavailable:
        return None
    keep(kept.pk, made.token, made.trust, at=at)
    return made.token


@transaction.atomic
def keep(statement_id: int, token: Token, trust: Trusted, *, at: datetime) -> StampedStatement:
    """Keep the statement's first stamp with what the trust in it rests on, once."""
    row = StampedStatement.objects.select_for_update().get(pk=statement_id)
    if row.stamped_at is not None:
        return row
    pieces = [
        Piece(EvidenceRole.TIME_STAMP, EvidenceKind.TIME_STAMP, token.encoded),
        *evidence.pieces_of_trust(token, trust),
    ]
    evidence.link(StatementEvidence, "statement", {row.pk: pieces}, at=at)
    row.stamped_at, row.ends_at = token.generated_at, token.ends_at
    # The statement itself is under the receipt key.
    row.algorithms = sorted({*_algorithms(token, trust), "ed25519"})
    row.save(update_fields=["stamped_at", "ends_at", "algorithms"])
    return row


def adopt(kept: StampedStatement, token: bytes, *, at: datetime) -> bool:
    """Keep a stamp that was got before this table was there. False where it does not count; then it is put off."""
    try:
        found = read(token)
        trust, _found = timestamps.trusted_at(found, max(at, found.generated_at), past=True)
    except TimeStampError as error:
        _log.warning("The time stamp of statement %s does not count: %s", kept.sha256, error.reason)
        _put_off([kept.pk], error.reason, at + _LOST_PAUSE)
        return False
    keep(kept.pk, found, trust, at=at)
    return True


@transaction.atomic
def warn(*, at: datetime) -> None:
    """Tell the operators, once a day, that statements wait for their stamp, or that old stamps come close to their
    end."""
    if not timestamps.configured():
        return
    since = at - timedelta(minutes=settings.TIMESTAMP_WARN_MINUTES)
    if late := StampedStatement.objects.filter(stamped_at=None, next_try_at=None, made_at__lte=since).count():
        words = _("%(count)s rolls of bids or heads of audit trails still wait for their time stamp.")
        stamping.tell_operators(_BEHIND_KIND, words, {"count": late}, at)
    half = timedelta(days=settings.RESTAMP_DAYS_BEFORE / 2)
    if overdue := sum(to_renew(kind, at, half).count() for kind in StampedStatement.Kind):
        words = _("%(count)s time stamps of rolls or audit trails should have been renewed by now.")
        stamping.tell_operators(_RENEWAL_KIND, words, {"count": overdue}, at)


def to_renew(kind: StampedStatement.Kind, at: datetime, ahead: timedelta | None = None) -> QuerySet[StampedStatement]:
    """Stamps whose certificate ends, or one of whose algorithms reaches its sunset, within RESTAMP_DAYS_BEFORE."""
    horizon = at + (timedelta(days=settings.RESTAMP_DAYS_BEFORE) if ahead is None else ahead)
    due = Q(ends_at__lte=horizon)
    if failing := stamping.failing_by(horizon):
        due |= Q(algorithms__overlap=sorted(failing))
    return StampedStatement.objects.filter(due, kind=kind, stamped_at__isnull=False)


def renew(kind: StampedStatement.Kind, summed: Summed, *, at: datetime, limit: int = BATCH) -> Renewed:
    """Stamp up to `limit` due statements again with one archive time stamp over all of them. Asks under no lock.

    An authority whose own stamps rest on an algorithm that fails is no help, and nothing is written then.
    """
    if not timestamps.configured():
        return Renewed()
    free = to_renew(kind, at).filter(Q(next_try_at=None) | Q(next_try_at__lte=at))
    due = list(free.order_by("ends_at", "pk")[:limit])
    if not due:
        return Renewed()
    try:
        whole, lost = _with_later_word(due, summed, at)
        for pk, why in lost.items():
            _put_off([pk], why, at + _LOST_PAUSE)
        if not whole:
            return Renewed(failed=len(lost))
        algorithm = settings.TIMESTAMP_ARCHIVE_HASH
        batch = Batch.over([one.dossier for one in whole], algorithm)
        made = timestamps.stamped(batch.tree.root)
        stamp_renewal.require_help(made, algorithm, at)
        return Renewed(_record(whole, batch, made, at), len(lost))
    except (TimeStampUnavailable, TimeStampError) as error:
        _log.warning("Statements could not be stamped again: %s", error)
        _put_off([one.pk for one in due], str(error), at + _PAUSE)
        return Renewed(0, len(due), str(error))


def dossiers(them: Sequence[StampedStatement], summed: Summed | None = None) -> dict[int, Dossier]:
    """Each statement with everything kept for it; it stands where the dossier of a signature has the signature, and
    what it sums up where that has the document."""
    said = {one.pk: (canonical(one.statement), summed(one) if summed is not None else None) for one in them}
    return evidence.linked_dossiers(StatementEvidence, "statement", said)


@dataclass(frozen=True, slots=True)
class _Whole:
    row: StampedStatement
    dossier: Dossier
    pieces: tuple[Piece, ...]


def _with_later_word(
    rows: Sequence[StampedStatement], summed: Summed, at: datetime
) -> tuple[list[_Whole], dict[int, str]]:
    """Each dossier with today's word about its newest stamp's authority; and those whose stamp counts no longer."""
    found, whole, lost = dossiers(rows, summed), [], {}
    for row in rows:
        dossier = found[row.pk]
        newest = dossier.archives[-1].token if dossier.archives else dossier.stamp
        said = stamp_renewal.word_about(newest, at) if newest is not None else "The kept time stamp is missing."
        if isinstance(said, str):
            lost[row.pk] = said
        else:
            whole.append(_Whole(row, stamp_renewal.with_pieces(dossier, said), said))
    return whole, lost


@transaction.atomic
def _record(whole: Sequence[_Whole], batch: Batch, made: Stamped, at: datetime) -> int:
    """Keep the archive time stamp of each, where no other task did meanwhile. Returns of how many."""
    token = Kept.of(made.token.encoded)
    locked = StampedStatement.objects.select_for_update().order_by("pk").in_bulk([one.row.pk for one in whole])
    own, algorithms = evidence.pieces_of_trust(made.token, made.trust), _algorithms(made.token, made.trust)
    pieces: dict[int, list[Piece]] = {}
    for index, one in enumerate(whole):
        row = locked[one.row.pk]
        if row.rounds != one.row.rounds:
            continue
        proof = batch.archive(index, token).proof()
        pieces[row.pk] = [
            *one.pieces, Piece(EvidenceRole.ARCHIVE, EvidenceKind.TIME_STAMP, token.der, proof), *own,
        ]  # fmt: skip
        row.rounds, row.renewed_at, row.ends_at = row.rounds + 1, made.token.generated_at, made.token.ends_at
        row.algorithms, row.next_try_at, row.error = algorithms, None, ""
        row.save(update_fields=["rounds", "renewed_at", "ends_at", "algorithms", "next_try_at", "error"])
    evidence.link(StatementEvidence, "statement", pieces, at=at)
    if pieces:
        kept = EvidenceObject.objects.only("pk").get(sha256=token.sha256)
        audit.record(
            "statements_stamped_again", kept, by=None, at=at, stream="evidence", count=len(pieces),
            first=min(pieces), last=max(pieces), stamped_at=made.token.generated_at.isoformat(),
            authority=made.token.authority_name, token_sha256=token.sha256, hash=batch.algorithm,
        )  # fmt: skip
    return len(pieces)


def _algorithms(token: Token, trust: Trusted) -> list[str]:
    """What a stamp rests on."""
    return sorted(strengths.of_token(token) | strengths.of_chain(trust.chain))


def _put_off(pks: Iterable[int], error: str, until: datetime) -> None:
    StampedStatement.objects.filter(pk__in=list(pks)).update(error=error[:300], next_try_at=until)
