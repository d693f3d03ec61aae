"""Certificates that say a thing twice, or in two ways: whatever an authority signed, they count for nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from asn1crypto import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from marketplace.signatures import Report, Sub, der
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import (
    _NULL,
    SIGNING_CERTIFICATE_V2,
    Credential,
    _sequence,
    _tlv,
    assemble,
    attribute,
    sign,
    signed_attributes,
)
from tests.marketplace.signatures.conftest import AT, PAYLOAD, Judge, issue

OCTET_STRING, BIT_STRING, FIRST = 0x04, 0x03, 0xA0
Change = Callable[[Any], None]


def reissued(certificate: bytes, issuer: Credential, change: Change) -> bytes:
    """The certificate (DER) with another content, signed by its issuer again."""
    found = x509.Certificate.load(certificate)
    tbs = found["tbs_certificate"]
    change(tbs)
    content = tbs.dump(force=True)
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    value = issuer.key.sign(content, ec.ECDSA(hashes.SHA256()))
    return _sequence(content, found["signature_algorithm"].dump(), _tlv(BIT_STRING, b"\0" + value))


def signed_with(certificate: bytes, signer: Credential) -> bytes:
    """A signature that carries and names this certificate (DER) instead of the signer's own."""
    hashed = _sequence(_tlv(OCTET_STRING, hashlib.sha256(certificate).digest()))
    reference = attribute(SIGNING_CERTIFICATE_V2, _sequence(_sequence(hashed)))
    attributes = [*signed_attributes(PAYLOAD, signer, AT)[:3], reference]
    issuers = [issuer.public_bytes(Encoding.DER) for issuer in signer.issuers]
    sid = _sequence(
        x509.Certificate.load(certificate).issuer.dump(),
        x509.Certificate.load(certificate)["tbs_certificate"]["serial_number"].dump(),
    )
    stand_in: Any = SimpleNamespace(
        sid=sid, key=signer.key, certificate_set=_tlv(FIRST, *sorted([certificate, *issuers]))
    )
    return assemble(attributes, stand_in)


def twice(kind: str) -> Change:
    def change(tbs: Any) -> None:
        (one,) = (one for one in tbs["extensions"] if one["extn_id"].native == kind)
        tbs["extensions"].append(x509.Extension.load(one.dump()))

    return change


def another_purpose_first(tbs: Any) -> None:
    purpose = x509.ExtKeyUsageSyntax(["client_auth"])
    one = x509.Extension({"extn_id": "extended_key_usage", "critical": False, "extn_value": purpose})
    others = [x509.Extension.load(other.dump()) for other in tbs["extensions"]]
    tbs["extensions"] = [one, *others]


def setting(field: str, value: object) -> Change:
    def change(tbs: Any) -> None:
        tbs[field] = value

    return change


IRREGULAR: dict[str, Change] = {
    "a purpose twice": twice("extended_key_usage"),
    "key usage twice": twice("key_usage"),
    "being no authority twice": twice("basic_constraints"),
    "two purposes": another_purpose_first,
    "extensions of the first version": setting("version", "v1"),
    "another algorithm within": setting("signature", {"algorithm": "sha1_ecdsa"}),
}


@pytest.mark.parametrize("what", IRREGULAR)
def test_a_certificate_that_contradicts_itself_does_not_count(
    authority: Authority, judge: Judge, signer: Credential, what: str
) -> None:
    certificate = reissued(signer.der, authority.issuing, IRREGULAR[what])

    assert judge(signed_with(certificate, signer)).sub_indication == Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE
    assert judge(signed_with(reissued(signer.der, authority.issuing, lambda tbs: None), signer)).passed


@pytest.mark.parametrize("what", ["key usage twice", "another algorithm within"])
def test_neither_does_an_authoritys(authority: Authority, judge: Judge, what: str) -> None:
    issuing = reissued(authority.issuing.der, authority.root, IRREGULAR[what])
    signer = issue(authority)
    alone = Credential(signer.certificate, signer.key)

    assert judge(sign(PAYLOAD, alone, AT), intermediates=(authority.issuing.der,)).passed
    wrong = judge(sign(PAYLOAD, alone, AT), intermediates=(issuing,))
    assert wrong.sub_indication == Sub.NO_CERTIFICATE_CHAIN_FOUND


def test_a_time_without_its_zone_is_none() -> None:
    """It would be read as this machine's."""
    at_noon = b"\x17\x0d261122120000Z"
    for wrong in (b"\x17\x0c261122120000", b"\x17\x11261122120000+0300", b"\x18\x0e20261122120000", b"\x17\x00"):
        with pytest.raises(der.DerError):
            der.check(wrong)
    der.check(at_noon)


def test_nothing_follows_a_certificates_signature(judge: Judge, signer: Credential) -> None:
    parts = x509.Certificate.load(signer.der)
    longer = _sequence(
        parts["tbs_certificate"].dump(), parts["signature_algorithm"].dump(), parts["signature_value"].dump(), _NULL
    )

    assert judge(signed_with(longer, signer)).sub_indication == Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE


@pytest.mark.parametrize("serial", [-5, 0, 1, 2**159, 2**300])
def test_odd_serial_numbers_are_borne_and_revoked_as_any(
    authority: Authority, signer: Credential, judge: Judge, serial: int
) -> None:
    """RFC 5280, 4.1.2.2: they are not to be given, but handled gracefully."""
    certificate = reissued(signer.der, authority.issuing, setting("serial_number", serial))

    report = judge(signed_with(certificate, signer))

    assert report.passed
    assert report.signer is not None
    assert report.signer.serial == f"{serial:X}"


@pytest.mark.parametrize("identifier", ["T\u0131NRU-7701234567", "\u00a0TINRU-7701234567", "TINRU-770123456\uff17"])
def test_an_identifier_in_letters_that_only_look_alike_is_another(
    authority: Authority, judge: Judge, identifier: str
) -> None:
    report: Report = judge(sign(PAYLOAD, issue(authority, identifiers=[identifier]), AT))

    assert report.sub_indication == Sub.SIG_CONSTRAINTS_FAILURE
