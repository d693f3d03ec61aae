from __future__ import annotations

import random

from cryptography import x509

from marketplace.signatures import CertificateId, certificate_id, certificates_in, certificates_in_answer
from marketplace.signatures.authority import Authority
from marketplace.signatures.outline import MAX_RESPONDERS
from marketplace.signatures.sign import Credential, attribute, oid, sign, with_unsigned
from tests.marketplace.signatures.conftest import AT, PAYLOAD, issue
from tests.marketplace.signatures.test_answers import answer, responder_of

#: A signature with nothing inside.
EMPTY = bytes.fromhex("300d06092a864886f70d010702a000")


def test_certificates_of_a_signature_are_named_by_issuer_and_serial(signer: Credential) -> None:
    found = certificates_in(sign(PAYLOAD, signer, AT))

    assert set(found) == {_id(signer.certificate), *map(_id, signer.issuers)}


def test_certificate_is_named_by_issuer_and_serial(signer: Credential) -> None:
    assert certificate_id(signer.der) == _id(signer.certificate)


def test_what_is_no_signature_holds_none(signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    for hostile in (
        b"",
        b"\x30\x00",
        b"\x30\x80",
        signature[:-1],
        signature + b"\x00",
        bytes(300_000),
        signer.der,
        EMPTY,
    ):
        assert certificates_in(hostile) == ()


def test_a_stamp_that_is_none_hides_no_certificate(signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    for junk in (b"\x05\x00", b"\x30\x00", b"\x30\x04\x05\x00\xa0\x00"):
        stamped = with_unsigned(signature, attribute(oid("1.2.840.113549.1.9.16.2.14"), junk))
        assert certificates_in(stamped) == certificates_in(signature)


def test_changed_bytes_never_raise(signer: Credential) -> None:
    signature, chance = sign(PAYLOAD, signer, AT), random.Random(7)

    for _ in range(3000):
        changed = bytearray(signature)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        certificates_in(bytes(changed))


def test_certificates_of_an_answer_are_named_and_bounded(authority: Authority, signer: Credential) -> None:
    responder = responder_of(authority)
    many = [responder.certificate, *(issue(authority).certificate for _ in range(MAX_RESPONDERS))]

    assert certificates_in_answer(answer(signer, authority.issuing)) == ()
    assert certificates_in_answer(answer(signer, authority.issuing, responder)) == (_id(responder.certificate),)
    crowded = answer(signer, authority.issuing, responder, certificates=many)
    assert certificates_in_answer(crowded) == tuple(map(_id, many[:MAX_RESPONDERS]))


def test_changed_answers_never_raise(authority: Authority, signer: Credential) -> None:
    response, chance = answer(signer, authority.issuing, responder_of(authority)), random.Random(7)

    for _ in range(2000):
        changed = bytearray(response)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        certificates_in_answer(bytes(changed))
    for hostile in (b"", b"\x30\x00", response[:-1], bytes(300_000), signer.der, EMPTY):
        assert certificates_in_answer(hostile) == ()


def _id(certificate: x509.Certificate) -> CertificateId:
    return CertificateId(certificate.issuer.public_bytes(), certificate.serial_number)
