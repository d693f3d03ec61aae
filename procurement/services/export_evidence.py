"""What the signatures of an export rest on: gathered while they are written, then written once each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from django.db.models import QuerySet

from marketplace.models import (
    EvidenceKind,
    EvidenceObject,
    EvidenceRole,
    RevocationList,
    Signature,
    SignatureEvidence,
    TrustedCertificate,
    TrustKind,
)

Part = tuple[str, bytes]

#: Objects read together, but for revocation lists, which may have megabytes each.
_AT_ONCE: Final = 100
_SMALL: Final = 64 * 1024
ANCHORS: Final = "trust/anchors/{}.der"
STAMP_ANCHORS: Final = "trust/stamps/{}.der"
_PATHS: Final = {
    EvidenceKind.CERTIFICATE.value: "evidence/certificates/{}.der",
    EvidenceKind.CRL.value: "evidence/lists/{}.crl",
    EvidenceKind.OCSP.value: "evidence/answers/{}.ocsp",
}
_CHAINS: Final = {EvidenceRole.CHAIN.value: ANCHORS, EvidenceRole.STAMP_CHAIN.value: STAMP_ANCHORS}


class Evidence:
    """Fingerprints of what is wanted, by where they go; the bytes are read at the end, few at a time."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}  # evidence objects: SHA-256 → path
        self._chains: set[tuple[str, ...]] = set()
        self._lists: set[str] = set()
        self._stamped = False

    def of(self, signatures: Sequence[Signature]) -> dict[int, bytes]:
        """Take note of what these rest on. Returns their time stamps (DER) by signature, where there are any."""
        links: dict[int, list[SignatureEvidence]] = {}
        for link in (
            SignatureEvidence.objects.filter(signature__in=signatures)
            .select_related("object")
            .defer("object__der")
            .order_by("number")
        ):
            links.setdefault(link.signature_id, []).append(link)
        stamps: dict[int, str] = {}
        for signature in signatures:
            own = links.get(signature.pk, [])
            self._take(own)
            if not any(link.role == EvidenceRole.CHAIN for link in own):
                self._chains.add(tuple(signature.evidence.get("chain", ())))
                self._lists |= set(signature.evidence.get("revocation", ()))
            for link in own:
                if link.role == EvidenceRole.TIME_STAMP:
                    stamps[signature.pk] = link.object.sha256
        found = dict(EvidenceObject.objects.filter(sha256__in=stamps.values()).values_list("sha256", "der"))
        return {signature: bytes(found[digest]) for signature, digest in stamps.items()}

    def of_token(self, token: bytes) -> None:
        """Take note that a time stamp of the roll is in the export."""
        self._stamped = bool(token)

    def parts(self) -> Iterator[Part]:
        """Every object once, in a fixed order."""
        digests = iter(sorted(self._kept))
        while some := list(islice(digests, _AT_ONCE)):
            small = dict(EvidenceObject.objects.filter(sha256__in=some, size__lte=_SMALL).values_list("sha256", "der"))
            for digest in some:
                der = bytes(small.get(digest, b"")) or _bytes(EvidenceObject.objects.filter(sha256=digest))
                yield self._kept[digest].format(digest), der
        yield from self._from_the_trust_store()
        if self._stamped:
            yield from _of_time_stamps()

    def _take(self, links: Sequence[SignatureEvidence]) -> None:
        for role, anchors in _CHAINS.items():
            chain = [link.object.sha256 for link in links if link.role == role]
            for digest in chain[:-1]:
                self._kept.setdefault(digest, _PATHS[EvidenceKind.CERTIFICATE.value])
            # An anchor of signatures that is above another somewhere is an anchor all the same.
            self._kept |= dict.fromkeys(chain[-1:], anchors)
        for link in links:
            if link.role in (EvidenceRole.REVOCATION, EvidenceRole.STAMP_REVOCATION):
                self._kept.setdefault(link.object.sha256, _PATHS[link.object.kind])

    def _from_the_trust_store(self) -> Iterator[Part]:
        """For signatures older than the evidence kept with them: what the trust store still has."""
        anchors = {chain[-1] for chain in self._chains if chain}
        above = {digest for chain in self._chains for digest in chain[1:-1]}
        for digests, path in ((anchors, ANCHORS), (above - anchors, _PATHS[EvidenceKind.CERTIFICATE.value])):
            for digest in sorted(digests):
                der = _bytes(TrustedCertificate.objects.filter(sha256=digest))
                if der:
                    yield path.format(digest), der
        for digest in sorted(self._lists):
            der = _bytes(RevocationList.objects.filter(sha256=digest))
            if der:
                yield _PATHS[EvidenceKind.CRL.value].format(digest), der


def _of_time_stamps() -> Iterator[Part]:
    """The authorities of time stamps that the platform trusts, those between, and their revocation lists."""
    trusted = TrustedCertificate.objects.filter(enabled=True)
    anchors = list(trusted.filter(kind=TrustKind.TSA).order_by("sha256"))
    between = list(trusted.filter(kind=TrustKind.INTERMEDIATE).order_by("sha256"))
    for path, authorities in ((STAMP_ANCHORS, anchors), (_PATHS[EvidenceKind.CERTIFICATE.value], between)):
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
