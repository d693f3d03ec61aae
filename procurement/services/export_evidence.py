"""What the signatures of an export rest on: gathered while they are written, then written once each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from django.db.models import Q, QuerySet

from marketplace.models import (
    EvidenceKind,
    EvidenceObject,
    EvidenceRole,
    RevocationList,
    Signature,
    SignatureEvidence,
    StampedStatement,
    StatementEvidence,
    TrustedCertificate,
    TrustKind,
)

Part = tuple[str, bytes]

#: Objects read together, but for revocation lists, which may have megabytes each.
_AT_ONCE: Final = 100
_SMALL: Final = 64 * 1024
ANCHORS: Final = "trust/anchors/{}.der"
STAMP_ANCHORS: Final = "trust/stamps/{}.der"
_CERTIFICATES: Final = "evidence/certificates/{}.der"
_PATHS: Final = {
    EvidenceKind.CERTIFICATE.value: _CERTIFICATES,
    EvidenceKind.CRL.value: "evidence/lists/{}.crl",
    EvidenceKind.OCSP.value: "evidence/answers/{}.ocsp",
}


@dataclass(frozen=True, slots=True)
class Stamps:
    """The time stamps of one signature or statement (DER): its own, and those that renewed it, with their proofs."""

    own: bytes
    archives: tuple[tuple[bytes, Mapping[str, Any]], ...] = ()

    def parts(self, folder: str) -> Iterator[Part]:
        yield f"{folder}/timestamp.tsr", self.own
        for number, (token, proof) in enumerate(self.archives, start=1):
            yield f"{folder}/archive-{number}.tsr", token
            yield f"{folder}/archive-{number}.json", json.dumps(proof, sort_keys=True, indent=1).encode() + b"\n"


class Evidence:
    """Fingerprints of what is wanted, by where they go; the bytes are read at the end, few at a time."""

    def __init__(self) -> None:
        self._kept: set[tuple[str, str]] = set()  # SHA-256 of an evidence object, and the path it goes to
        self._chains: set[tuple[str, ...]] = set()
        self._lists: set[str] = set()
        self._stamped = False

    def of(self, signatures: Sequence[Signature]) -> dict[int, Stamps]:
        """Take note of what these rest on. Returns their time stamps by signature, where there are any."""
        links: dict[int, list[SignatureEvidence]] = defaultdict(list)
        found = SignatureEvidence.objects.filter(signature__in=signatures).select_related("object")
        for link in found.defer("object__der").order_by("signature_id", "role", "number"):
            links[link.signature_id].append(link)
        for signature in signatures:
            own = links[signature.pk]
            if not any(link.role == EvidenceRole.CHAIN for link in own):
                self._chains.add(tuple(signature.evidence.get("chain", ())))
                self._lists |= set(signature.evidence.get("revocation", ()))
        return self._take(links)

    def of_statements(self, statements: Iterable[StampedStatement]) -> dict[int, Stamps]:
        """The same of the platform's own statements."""
        links: dict[int, list[StatementEvidence]] = defaultdict(list)
        found = StatementEvidence.objects.filter(statement__in=list(statements)).select_related("object")
        for link in found.defer("object__der").order_by("statement_id", "role", "number"):
            links[link.statement_id].append(link)
        return self._take(links)

    def of_token(self, token: bytes) -> None:
        """Take note that a time stamp is in the export whose evidence was not kept with it."""
        self._stamped = self._stamped or bool(token)

    def parts(self) -> Iterator[Part]:
        """Every object once, in a fixed order."""
        digests = iter(sorted(self._kept))
        while some := list(islice(digests, _AT_ONCE)):
            wanted = {digest for digest, _path in some}
            objects = EvidenceObject.objects.filter(sha256__in=wanted, size__lte=_SMALL)
            small = {digest: bytes(der) for digest, der in objects.values_list("sha256", "der")}
            for digest, path in some:
                yield path.format(digest), small.get(digest) or _bytes(EvidenceObject.objects.filter(sha256=digest))
        yield from self._from_the_trust_store()
        if self._stamped:
            yield from _of_time_stamps()

    def _take(self, links: Mapping[int, Sequence[SignatureEvidence | StatementEvidence]]) -> dict[int, Stamps]:
        every = [link for some in links.values() for link in some]
        stamp_anchors = _stamp_anchors(link.object.sha256 for link in every if link.role == EvidenceRole.STAMP_CHAIN)
        for some in links.values():
            chain = [link.object.sha256 for link in some if link.role == EvidenceRole.CHAIN]
            self._kept |= {(digest, _CERTIFICATES) for digest in chain[:-1]}
            # An anchor of signatures that is above another somewhere is an anchor all the same.
            self._kept |= {(digest, ANCHORS) for digest in chain[-1:]}
        for link in every:
            digest = link.object.sha256
            if link.role == EvidenceRole.STAMP_CHAIN:
                self._kept.add((digest, STAMP_ANCHORS if digest in stamp_anchors else _CERTIFICATES))
            elif link.role in (EvidenceRole.REVOCATION, EvidenceRole.STAMP_REVOCATION):
                self._kept.add((digest, _PATHS[link.object.kind]))
        return _stamps(links)

    def _from_the_trust_store(self) -> Iterator[Part]:
        """For signatures older than the evidence kept with them: what the trust store still has."""
        anchors = {chain[-1] for chain in self._chains if chain}
        above = {digest for chain in self._chains for digest in chain[1:-1]}
        for digests, path in ((anchors, ANCHORS), (above - anchors, _CERTIFICATES)):
            for digest in sorted(digests):
                der = _bytes(TrustedCertificate.objects.filter(sha256=digest))
                if der:
                    yield path.format(digest), der
        for digest in sorted(self._lists):
            der = _bytes(RevocationList.objects.filter(sha256=digest))
            if der:
                yield _PATHS[EvidenceKind.CRL.value].format(digest), der


def _stamp_anchors(chain: Iterable[str]) -> set[str]:
    """Those that are, or were once, authorities for time stamps."""
    counted = Q(enabled=True) | Q(counted_at__isnull=False)
    found = TrustedCertificate.objects.filter(counted, kind=TrustKind.TSA, sha256__in=set(chain))
    return set(found.values_list("sha256", flat=True))


def _stamps(links: Mapping[int, Sequence[SignatureEvidence | StatementEvidence]]) -> dict[int, Stamps]:
    wanted = (EvidenceRole.TIME_STAMP, EvidenceRole.ARCHIVE)
    tokens = {link.object.sha256 for some in links.values() for link in some if link.role in wanted}
    found = dict(EvidenceObject.objects.filter(sha256__in=tokens).values_list("sha256", "der"))
    stamps = {}
    for owner, some in links.items():
        own = [link.object.sha256 for link in some if link.role == EvidenceRole.TIME_STAMP]
        archives = [
            (bytes(found[one.object.sha256]), one.proof or {}) for one in some if one.role == EvidenceRole.ARCHIVE
        ]
        if own:
            stamps[owner] = Stamps(bytes(found[own[0]]), tuple(archives))
    return stamps


def _of_time_stamps() -> Iterator[Part]:
    """The authorities of time stamps that the platform trusts, those between, and their revocation lists."""
    trusted = TrustedCertificate.objects.filter(enabled=True)
    anchors = list(trusted.filter(kind=TrustKind.TSA).order_by("sha256"))
    between = list(trusted.filter(kind=TrustKind.INTERMEDIATE).order_by("sha256"))
    for path, authorities in ((STAMP_ANCHORS, anchors), (_CERTIFICATES, between)):
        for authority in authorities:
            yield path.format(authority.sha256), bytes(authority.der)
    issuers = {authority.name_sha256 for authority in (*anchors, *between)}
    for found in RevocationList.objects.filter(issuer_sha256__in=issuers, is_current=True).order_by("sha256"):
        der = bytes(found.der)
        if der:
            yield _PATHS[EvidenceKind.CRL.value].format(sha256(der).hexdigest()), der


def _bytes(found: QuerySet[Any]) -> bytes:
    der = found.values_list("der", flat=True).first()
    return bytes(der) if der else b""
