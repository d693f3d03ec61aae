"""Signatures that pass: a demo authority in the trust store, and certificates of the factories' organisations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from marketplace.models import Certificate, Organisation, RevocationList, Signature, SigningRequest, TrustKind
from marketplace.permissions import Actor
from marketplace.services import revocation, signing, trust_store
from marketplace.signatures import der
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential, sign
from tests.factories.marketplace import NOON, OrganisationFactory, member


@lru_cache(maxsize=1)
def authority() -> Authority:
    """One authority for the whole run: making keys takes time."""
    return Authority.create(NOON - timedelta(days=30), name="Test")


def trust() -> None:
    """Put the authority and its revocation lists into the trust store."""
    trust_store.add(TrustKind.ANCHOR, authority().root.der, by=None, at=NOON)
    trust_store.add(TrustKind.INTERMEDIATE, authority().issuing.der, by=None, at=NOON)
    for crl in authority().crls(NOON - timedelta(days=1), timedelta(days=400)):
        revocation.load_list(crl, by=None, at=NOON)


def lose_lists() -> None:
    """From now on nobody knows what the authority revoked: signatures have to wait."""
    lost = RevocationList.objects.filter(is_current=True, issuer__contains="CN=Test ")
    lost.update(is_current=False, superseded_at=NOON)


def bring_lists(at: datetime, revoked: Mapping[int, datetime] | None = None) -> None:
    """The authority's lists of `at` arrive, with these certificates (by serial number) revoked."""
    said = Authority(authority().root, authority().issuing, dict(revoked or {}))
    for crl in said.crls(at, timedelta(days=400)):
        revocation.load_list(crl, by=None, at=at)


def certificate_of(organisation: Organisation) -> Credential:
    """A certificate that names the organisation by its numbers."""
    return authority().issue(
        person="A Signer",
        organisation=organisation.full_name,
        identifiers=signing.identifiers_of(organisation),
        at=NOON - timedelta(days=10),
    )


def signed(request: SigningRequest, credential: Credential | None = None) -> bytes:
    """The request's payload, signed as its organisation would."""
    return sign(bytes(request.payload), credential or certificate_of(request.organisation), request.created_at)


def recorded_certificate(actor: Actor, ends: datetime, serial: str = "1") -> Certificate:
    """The record of a certificate that signed for the actor's organisation and ends at `ends`."""
    assert actor.organisation is not None
    return Certificate.objects.create(
        organisation=actor.organisation,
        person=actor.person,
        sha256=f"{actor.organisation.pk:032}{serial:>32}",
        der=b"",
        subject="CN=A",
        issuer="CN=B",
        serial=serial,
        not_before=NOON - timedelta(days=300),
        not_after=ends,
        first_used_at=NOON - timedelta(days=10),
    )


def large_list(authority: Authority, at: datetime, count: int) -> bytes:
    """A revocation list of the issuing authority with `count` entries, put together by hand: a builder takes long."""
    moment = core.UTCTime(at).dump()
    entries = (_sequence(core.Integer((number << 64) + 7).dump() + moment) for number in range(1, count + 1))
    return list_of(authority, at, b"".join(entries))


def list_of(authority: Authority, at: datetime, entries: bytes) -> bytes:
    """A revocation list of the issuing authority with these entries, whatever they are."""
    key = authority.issuing.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    empty = x509.load_der_x509_crl(Authority(authority.root, authority.issuing).crls(at)[1])
    tbs = empty.tbs_certlist_bytes
    parts = [tbs[slice(*whole)] for _tag, _inside, whole in der.members(tbs, *der.content(tbs))]
    # version, algorithm, issuer, both times; then the entries; then the extensions
    signed = _sequence(b"".join(parts[:5]) + _sequence(entries) + b"".join(parts[5:]))
    signature = core.OctetBitString(key.sign(signed, ec.ECDSA(hashes.SHA256()))).dump()
    return _sequence(signed + parts[1] + signature)


def _sequence(content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([0x30, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x30, 0x80 | len(octets)]) + octets + content


def taken(actor: Actor | None = None, at: datetime = NOON) -> Signature:
    """A signature of a bid by an organisation of its own or `actor`'s, just taken."""
    actor = actor or member(OrganisationFactory.create())
    request = prepared(actor, at)
    return signing.complete(request, signed(request), by=actor, at=at)


def prepared(actor: Actor, at: datetime = NOON) -> SigningRequest:
    """A bid to be signed."""
    return signing.prepare(
        action="bid.submit", actor=actor, object_type="bid", object_id=7, object_version=1, content={"lot": 1},
        at=at, expires_at=at + timedelta(days=1),
    )  # fmt: skip
