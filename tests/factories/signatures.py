"""Signatures that pass: a demo authority in the trust store, and certificates of the factories' organisations."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from marketplace.models import Certificate, Organisation, SigningRequest, TrustKind
from marketplace.permissions import Actor
from marketplace.services import revocation, signing, trust_store
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential, sign
from tests.factories.marketplace import NOON


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
