from __future__ import annotations

import random

from cryptography import x509

from marketplace.signatures import CertificateId, certificate_id, certificates_in
from marketplace.signatures.sign import Credential, sign
from tests.marketplace.signatures.conftest import AT, PAYLOAD

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


def test_changed_bytes_never_raise(signer: Credential) -> None:
    signature, chance = sign(PAYLOAD, signer, AT), random.Random(7)

    for _ in range(3000):
        changed = bytearray(signature)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        certificates_in(bytes(changed))


def _id(certificate: x509.Certificate) -> CertificateId:
    return CertificateId(certificate.issuer.public_bytes(), certificate.serial_number)
