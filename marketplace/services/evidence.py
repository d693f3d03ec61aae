"""The evidence kept with each signature: what its verdict rested on, so that it can be judged again in ten years.

The platform's own statements (marketplace.services.statement_stamps) keep theirs in the same way, in a table of links
of their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from asn1crypto import cms as asn1_cms

from marketplace.models import (
    EvidenceKind,
    EvidenceObject,
    EvidenceRole,
    OcspAnswer,
    RevocationList,
    Signature,
    SignatureEvidence,
    StatementEvidence,
    TrustedCertificate,
)
from marketplace.signatures import certificate_id, certificates_in
from marketplace.signatures.cades import attach, tokens_in
from marketplace.signatures.dossier import Archive, Dossier, Kept
from marketplace.signatures.timestamps import TimeStampError, Token, Trusted, read

_log = logging.getLogger(__name__)
Link = SignatureEvidence | StatementEvidence
#: What a signature's verdict rests on (Report.evidence), by the role it is kept in.
_ROLES: Final = {
    "chain": EvidenceRole.CHAIN,
    "revocation": EvidenceRole.REVOCATION,
    "stamp_chain": EvidenceRole.STAMP_CHAIN,
    "stamp_revocation": EvidenceRole.STAMP_REVOCATION,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to be kept for a signature or a statement, in a role."""

    role: EvidenceRole
    kind: EvidenceKind
    der: bytes
    proof: Mapping[str, object] | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()


def keep_verdict(signature: Signature, *, at: datetime, stamp: bytes | None = None) -> None:
    """Keep the chains and the revocation data that the verdict rests on, in the signature's own transaction.

    `stamp` is the time stamp (DER) it was judged by, where it had to wait. A revocation list is kept once per version,
    however many signatures rest on it, and read only the first time.
    """
    prints = {role: list(dict.fromkeys(signature.evidence.get(name, ()))) for name, role in _ROLES.items()}
    chain = [*prints[EvidenceRole.CHAIN], *prints[EvidenceRole.STAMP_CHAIN]]
    revocation = [*prints[EvidenceRole.REVOCATION], *prints[EvidenceRole.STAMP_REVOCATION]]
    wanted = {*chain, *revocation}
    kept = dict(EvidenceObject.objects.filter(sha256__in=wanted).values_list("sha256", "pk"))
    missing = wanted - kept.keys()
    cms = bytes(signature.cms)
    came = (cms, stamp) if stamp else (cms,)
    found = _certificates(bytes(signature.certificate.der), came, missing.intersection(chain))
    found |= _lists_and_answers(missing.intersection(revocation), came, chain)
    kept |= keep_objects(found, at)
    if lost := wanted - kept.keys():
        # The signature stands; what is missing here will be missing when it is judged again, and is said then.
        _log.error("Evidence of signature %s is not there any more: %s", signature.pk, ", ".join(sorted(lost)))
    SignatureEvidence.objects.bulk_create(
        SignatureEvidence(signature=signature, object_id=kept[sha256], role=role, number=number, added_at=at)
        for role, them in prints.items()
        for number, sha256 in enumerate(them)
        if sha256 in kept
    )


def keep(signature_id: int, pieces: Iterable[Piece], *, at: datetime) -> None:
    """Keep more for a signature whose stamp row the caller holds locked; what is linked in its role stays as it is."""
    keep_for({signature_id: pieces}, at=at)


def keep_for(pieces: Mapping[int, Iterable[Piece]], *, at: datetime) -> None:
    """As `keep`, for many signatures in a handful of queries."""
    link(SignatureEvidence, "signature", pieces, at=at)


def link(model: type[Link], owner: str, pieces: Mapping[int, Iterable[Piece]], *, at: datetime) -> None:
    """Keep the pieces of each `owner` by its key, each once in its role but for archive time stamps.

    The caller holds the owners' locks.
    """
    wanted = {pk: list(them) for pk, them in pieces.items()}
    by_sha256 = {piece.sha256: piece for them in wanted.values() for piece in them}
    kept = dict(EvidenceObject.objects.filter(sha256__in=by_sha256).values_list("sha256", "pk"))
    kept |= keep_objects({key: (piece.kind, piece.der) for key, piece in by_sha256.items() if key not in kept}, at)
    numbers: dict[tuple[int, str], int] = defaultdict(int)
    linked: set[tuple[int, str, int]] = set()
    known = model._default_manager.filter(**{f"{owner}__in": wanted})
    for pk, role, object_id in known.values_list(f"{owner}_id", "role", "object_id"):
        numbers[pk, role] += 1
        linked.add((pk, role, object_id))
    rows: list[Any] = []
    for pk, them in wanted.items():
        for piece in them:
            role, object_id = str(piece.role), kept[piece.sha256]
            if (pk, role, object_id) in linked and piece.role != EvidenceRole.ARCHIVE:
                continue
            linked.add((pk, role, object_id))
            rows.append(
                model(
                    **{f"{owner}_id": pk}, object_id=object_id, role=role, number=numbers[pk, role], proof=piece.proof,
                    added_at=at,
                )
            )  # fmt: skip
            numbers[pk, role] += 1
    model._default_manager.bulk_create(rows)


def dossier(signature: Signature) -> Dossier:
    """The signature with everything kept for it."""
    return dossiers([signature])[signature.pk]


def dossiers(signatures: Iterable[Signature]) -> dict[int, Dossier]:
    """As `dossier`, for many in two queries; what several rest on is read once. Needs each one's `request`."""
    said = {one.pk: (bytes(one.cms), bytes(one.request.payload)) for one in signatures}
    return linked_dossiers(SignatureEvidence, "signature", said)


def linked_dossiers(
    model: type[Link], owner: str, said: Mapping[int, tuple[bytes, bytes | None]]
) -> dict[int, Dossier]:
    """What is kept of each `owner` by its key, around what stands for the signature in it and for the document."""
    links = model._default_manager.filter(**{f"{owner}__in": said}).order_by(f"{owner}_id", "role", "number")
    by_owner: dict[int, list[Link]] = defaultdict(list)
    for one in links:
        by_owner[getattr(one, f"{owner}_id")].append(one)
    objects = EvidenceObject.objects.filter(pk__in={one.object_id for them in by_owner.values() for one in them})
    kept = {one.pk: (one.kind, Kept(one.sha256, bytes(one.der))) for one in objects}
    return {pk: _dossier(cms, payload, by_owner[pk], kept) for pk, (cms, payload) in said.items()}


def stamped_cms(signature: Signature) -> bytes:
    """The signature as CAdES-T, with its time stamp inside; as it was received while there is none."""
    stamp = signature.evidence_links.filter(role=EvidenceRole.TIME_STAMP).select_related("object").first()
    received = bytes(signature.cms)
    return attach(received, bytes(stamp.object.der)) if stamp else received


def _dossier(cms: bytes, payload: bytes | None, links: Iterable[Link], kept: Mapping[int, tuple[str, Kept]]) -> Dossier:
    found: dict[tuple[str, str], list[Kept]] = defaultdict(list)
    archives = []
    for linked in links:
        kind, one = kept[linked.object_id]
        if linked.role == EvidenceRole.ARCHIVE:
            archives.append(_archive(one, linked.proof))
        else:
            found[linked.role, kind].append(one)
    stamps = found[EvidenceRole.TIME_STAMP, EvidenceKind.TIME_STAMP]
    return Dossier(
        cms=cms,
        payload=payload,
        chain=tuple(found[EvidenceRole.CHAIN, EvidenceKind.CERTIFICATE]),
        crls=tuple(found[EvidenceRole.REVOCATION, EvidenceKind.CRL]),
        ocsps=tuple(found[EvidenceRole.REVOCATION, EvidenceKind.OCSP]),
        stamp=stamps[0] if stamps else None,
        stamp_certificates=tuple(found[EvidenceRole.STAMP_CHAIN, EvidenceKind.CERTIFICATE]),
        stamp_crls=tuple(found[EvidenceRole.STAMP_REVOCATION, EvidenceKind.CRL]),
        stamp_ocsps=tuple(found[EvidenceRole.STAMP_REVOCATION, EvidenceKind.OCSP]),
        archives=tuple(archives),
    )


def _archive(token: Kept, proof: object) -> Archive:
    """An archive time stamp; where its proof was made unreadable, one that covers nothing, which the verdict says."""
    try:
        return Archive.from_proof(token, proof if isinstance(proof, dict) else {})
    except (KeyError, TypeError, ValueError):
        return Archive(token, "sha256", (), 0, 1, ())


def pieces_of_trust(token: Token, trust: Trusted) -> list[Piece]:
    """What the trust in a time stamp rests on: its authority's chain, and revocation data where it is still there."""
    prints = [hashlib.sha256(der).hexdigest() for der in trust.chain]
    found = _lists_and_answers(set(trust.revocation), (token.encoded,), prints)
    return [
        *(Piece(EvidenceRole.STAMP_CHAIN, EvidenceKind.CERTIFICATE, der) for der in trust.chain),
        *(Piece(EvidenceRole.STAMP_REVOCATION, kind, der) for _sha256, (kind, der) in sorted(found.items())),
    ]


def keep_objects(found: Mapping[str, tuple[EvidenceKind, bytes]], at: datetime) -> dict[str, int]:
    """Insert objects that are new, in one order for all so that nobody waits in a circle. Returns their keys."""
    if not found:
        return {}
    EvidenceObject.objects.bulk_create(
        [
            EvidenceObject(sha256=sha256, kind=kind, der=der, size=len(der), kept_at=at)
            for sha256, (kind, der) in sorted(found.items())
        ],
        ignore_conflicts=True,  # somebody else kept it at the same moment: it is the same
    )
    return dict(EvidenceObject.objects.filter(sha256__in=found).values_list("sha256", "pk"))


def _certificates(signer: bytes, came: tuple[bytes, ...], wanted: set[str]) -> dict[str, tuple[EvidenceKind, bytes]]:
    """Those of the chains: the signer's, the trust store's, or come with the signature and its time stamps."""
    if not wanted:
        return {}
    cms, *stamps = came
    known = [bytes(der) for der in TrustedCertificate.objects.filter(sha256__in=wanted).values_list("der", flat=True)]
    carried = asn1_cms.ContentInfo.load(cms)["content"]["certificates"] or ()
    known += [signer, *(choice.chosen.dump() for choice in carried if choice.name == "certificate")]
    for encoded in (*tokens_in(cms), *stamps):
        with contextlib.suppress(TimeStampError):  # one that did not count
            known += [one.dump() for one in read(encoded).certificates]
    by_print = {hashlib.sha256(der).hexdigest(): der for der in known}
    return {one: (EvidenceKind.CERTIFICATE, by_print[one]) for one in wanted if one in by_print}


def answers_about(cms: bytes, chain: Iterable[str], at: datetime | None = None) -> list[bytes]:
    """The OCSP answers kept about certificates that come with a signature or, by their SHA-256, from the trust store.

    With `at`, those that hold then.
    """
    store = TrustedCertificate.objects.filter(sha256__in=list(chain)).values_list("der", flat=True)
    asked = [*certificates_in(cms), *(certificate_id(bytes(der)) for der in store)]
    answers = OcspAnswer.objects.filter(serial__in={f"{one.serial:X}" for one in asked}).exclude(der=b"")
    if at is not None:
        answers = answers.filter(this_update__lte=at, next_update__gt=at)
    return [bytes(der) for der in answers.order_by("pk").values_list("der", flat=True)]


def _lists_and_answers(
    wanted: set[str], came: Iterable[bytes], chain: Iterable[str]
) -> dict[str, tuple[EvidenceKind, bytes]]:
    """Revocation lists and OCSP answers by their SHA-256; the answers are about these certificates."""
    if not wanted:
        return {}
    lists = RevocationList.objects.filter(sha256__in=wanted, size__gt=0).values_list("sha256", "der")
    found = {sha256: (EvidenceKind.CRL, bytes(der)) for sha256, der in lists if der}
    if wanted - found.keys():
        for der in (der for cms in came for der in answers_about(cms, chain)):
            sha256 = hashlib.sha256(der).hexdigest()
            if sha256 in wanted:
                found[sha256] = (EvidenceKind.OCSP, der)
    return found
