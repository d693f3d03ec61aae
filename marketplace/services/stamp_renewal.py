"""Stamping signatures again, thousands at a time, before what their stamps rest on stops proving anything."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from marketplace import audit
from marketplace.models import EvidenceKind, EvidenceObject, EvidenceRole, Signature, SignatureStamp
from marketplace.services import evidence, stamping, timestamps
from marketplace.services.evidence import Piece
from marketplace.services.timestamps import Stamped, TimeStampUnavailable
from marketplace.signatures import Sub, strengths
from marketplace.signatures.dossier import Archive, Batch, Dossier, Kept
from marketplace.signatures.timestamps import TimeStampError, read

_log = logging.getLogger(__name__)
#: For a stamp that proves nothing any more: it must not stand in the way of those that can still be renewed.
_LOST_PAUSE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Renewed:
    """What one go did; `error` says why it stopped before the end."""

    done: int = 0
    failed: int = 0
    error: str = ""


def renew(*, at: datetime, limit: int = stamping.BATCH) -> Renewed:
    """Stamp up to `limit` due signatures again with one archive time stamp over all of them.

    Whatever is interrupted is due again after its claim ran out: nothing is half done. An authority whose own stamps
    rest on an algorithm that fails is no help, and nothing is written then.
    """
    if not timestamps.configured():
        return Renewed()
    signatures = _claim_due(at, limit)
    if not signatures:
        return Renewed()
    try:
        whole, lost = _with_later_word(signatures, at)
        for why in set(lost.values()):
            stamping.put_off((one for one, reason in lost.items() if reason == why), why, at, _LOST_PAUSE)
        if not whole:
            return Renewed(failed=len(lost))
        algorithm = settings.TIMESTAMP_ARCHIVE_HASH
        batch = Batch.over([one.dossier for one in whole], algorithm)
        made = timestamps.stamped(batch.tree.root)
        require_help(made, algorithm, at)
        return Renewed(_record_archive(whole, batch, made, at), len(lost))
    except (TimeStampUnavailable, TimeStampError) as error:
        _log.warning("Signatures could not be stamped again: %s", error)
        stamping.put_off((signature.pk for signature in signatures), str(error), at, stamping.FIRST_PAUSE)
        return Renewed(0, len(signatures), str(error))


@dataclass(frozen=True, slots=True)
class _Whole:
    """A signature whose stamps still count, and what is to be kept about the newest of them before it is covered."""

    signature: Signature
    dossier: Dossier
    rounds: int
    pieces: tuple[Piece, ...]


def _claim_due(at: datetime, limit: int) -> list[Signature]:
    with transaction.atomic():
        free = stamping.to_renew(at).filter(Q(claimed_until=None) | Q(claimed_until__lte=at), next_try_at__lte=at)
        rows = list(free.order_by("ends_at", "pk").select_for_update(skip_locked=True)[:limit])
        ids = [row.pk for row in rows]
        SignatureStamp.objects.filter(pk__in=ids).update(claimed_until=at + stamping.CLAIM)
    return list(Signature.objects.filter(pk__in=ids).select_related("request", "stamp").order_by("pk"))


def _with_later_word(signatures: Sequence[Signature], at: datetime) -> tuple[list[_Whole], dict[int, str]]:
    """Each dossier with today's word about its newest stamp's authority; and those whose stamp counts no longer."""
    found = evidence.dossiers(signatures)
    whole, lost = [], {}
    words: dict[bytes, tuple[Piece, ...] | str] = {}
    for signature in signatures:
        dossier = found[signature.pk]
        newest = dossier.archives[-1].token if dossier.archives else dossier.stamp
        if newest is None:
            lost[signature.pk] = "The kept time stamp is missing."
            continue
        key = _authority_of(newest)
        if key not in words:
            words[key] = word_about(newest, at)
        said = words[key]
        if isinstance(said, str):
            lost[signature.pk] = said
            continue
        whole.append(_Whole(signature, with_pieces(dossier, said), signature.stamp.rounds, said))
    return whole, lost


def _authority_of(newest: Kept) -> bytes:
    """The certificate that speaks for a stamp: thousands of stamps have the same, which is asked about once."""
    try:
        return bytes(read(newest.der).authority.dump())
    except TimeStampError:
        return newest.der


def word_about(newest: Kept, at: datetime) -> tuple[Piece, ...] | str:
    """What is to be kept about a stamp before it is covered by the next; or why it counts no longer."""
    try:
        token = read(newest.der)
        trust, _found = timestamps.trusted_at(token, at, past=True)
    except TimeStampError as error:
        # An authority that was dropped publishes no lists for us any more; its stamps are still better covered.
        return () if error.sub is Sub.TRY_LATER else error.reason
    return tuple(evidence.pieces_of_trust(token, trust))


def with_pieces(dossier: Dossier, pieces: Iterable[Piece]) -> Dossier:
    """The dossier as it will be with these pieces."""
    known = {one.sha256 for one in (*dossier.stamp_certificates, *dossier.stamp_crls, *dossier.stamp_ocsps)}
    added = {piece.sha256: piece for piece in pieces if piece.sha256 not in known}

    def kept(kind: EvidenceKind) -> tuple[Kept, ...]:
        return tuple(Kept(sha256, piece.der) for sha256, piece in added.items() if piece.kind == kind)

    return replace(
        dossier,
        stamp_certificates=dossier.stamp_certificates + kept(EvidenceKind.CERTIFICATE),
        stamp_crls=dossier.stamp_crls + kept(EvidenceKind.CRL),
        stamp_ocsps=dossier.stamp_ocsps + kept(EvidenceKind.OCSP),
    )


def require_help(made: Stamped, algorithm: str, at: datetime) -> None:
    """The new stamp must not rest on what is about to fail."""
    horizon = at + timedelta(days=settings.RESTAMP_DAYS_BEFORE)
    weak = (strengths.of_token(made.token) | strengths.of_chain(made.trust.chain) | {algorithm}) & stamping.failing_by(
        horizon
    )
    if weak:
        raise TimeStampError(
            f"The authority {made.token.authority_name} itself still uses {', '.join(sorted(weak))}: set one that "
            "does not."
        )
    if made.token.ends_at <= horizon:
        raise TimeStampError(f"The certificate of {made.token.authority_name} ends too soon itself.")


@transaction.atomic
def _record_archive(whole: Sequence[_Whole], batch: Batch, made: Stamped, at: datetime) -> int:
    """Keep the archive time stamp of each, where no other task did meanwhile. Returns of how many."""
    token = Kept.of(made.token.encoded)
    locked = SignatureStamp.objects.select_for_update().order_by("pk").in_bulk([one.signature.pk for one in whole])
    pieces: dict[int, list[Piece]] = {}
    rows = []
    own = evidence.pieces_of_trust(made.token, made.trust)
    for index, one in enumerate(whole):
        row = locked[one.signature.pk]
        if row.rounds != one.rounds:
            continue
        archive = batch.archive(index, token)
        pieces[row.pk] = [*one.pieces, _piece(archive), *own]
        row.rounds, row.renewed_at, row.ends_at = row.rounds + 1, made.token.generated_at, made.token.ends_at
        row.claimed_until, row.error = None, ""
        after = replace(with_pieces(one.dossier, own), archives=(*one.dossier.archives, archive))
        row.algorithms = stamping.algorithms_of(row.pk, after, made.token, made.trust)
        rows.append(row)
    evidence.keep_for(pieces, at=at)
    changed = ["rounds", "renewed_at", "ends_at", "claimed_until", "error", "algorithms"]
    SignatureStamp.objects.bulk_update(rows, changed)
    if rows:
        kept = EvidenceObject.objects.only("pk").get(sha256=token.sha256)
        audit.record(
            "signatures_stamped_again", kept, by=None, at=at, stream="evidence", count=len(rows),
            first=rows[0].pk, last=rows[-1].pk, stamped_at=made.token.generated_at.isoformat(),
            authority=made.token.authority_name, token_sha256=token.sha256, hash=batch.algorithm,
        )  # fmt: skip
    return len(rows)


def _piece(archive: Archive) -> Piece:
    return Piece(EvidenceRole.ARCHIVE, EvidenceKind.TIME_STAMP, archive.token.der, archive.proof())
