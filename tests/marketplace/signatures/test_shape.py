"""What stands beside the parts of a signature that anybody has signed: refused, so that no two readers differ."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from marketplace.signatures import Sub, der, shape
from marketplace.signatures.sign import (
    _NULL,
    _SIGNED_DATA,
    Credential,
    _integer,
    _sequence,
    _tlv,
    attribute,
    oid,
    sign,
)
from tests.marketplace.signatures.conftest import AT, PAYLOAD, Judge

Parts = list[bytes]
SHA256 = "2.16.840.1.101.3.4.2.1"
SET, FIRST, SECOND = 0x31, 0xA0, 0xA1
NOTE = _tlv(SECOND, attribute(oid("1.2.3"), _NULL))


def parts_of(encoded: bytes) -> Parts:
    return [encoded[slice(*whole)] for _, _, whole in der.members(encoded, *der.content(encoded))]


def rebuilt(signature: bytes, change: Callable[[Parts], Parts]) -> bytes:
    """With other parts of the SignedData."""
    (signed,) = parts_of(parts_of(signature)[1])
    return _sequence(_SIGNED_DATA, _tlv(FIRST, _sequence(*change(parts_of(signed)))))


def resigned(signature: bytes, change: Callable[[Parts], Parts]) -> bytes:
    """With other parts of the SignerInfo."""

    def with_signer(parts: Parts) -> Parts:
        (signer,) = parts_of(parts[-1])
        return [*parts[:-1], _tlv(SET, _sequence(*change(parts_of(signer))))]

    return rebuilt(signature, with_signer)


def digest(*parameters: bytes) -> bytes:
    return _sequence(oid(SHA256), *parameters)


OF_THE_MESSAGE: dict[str, Callable[[Parts], Parts]] = {
    "a second set of signers": lambda parts: [*parts, parts[-1]],
    "an empty set of signers after the first": lambda parts: [*parts, _tlv(SET)],
    "an empty set of signers before the true one": lambda parts: [*parts[:-1], _tlv(SET), parts[-1]],
    "a number at the end": lambda parts: [*parts, _integer(5)],
    "certificates twice": lambda parts: [*parts[:4], parts[3], parts[4]],
    "a third kind of certificates": lambda parts: [*parts, _tlv(0xA2)],
    "no hash function": lambda parts: [parts[0], _tlv(SET), *parts[2:]],
    "a hash function twice": lambda parts: [parts[0], _tlv(SET, digest(), digest(_NULL)), *parts[2:]],
    "a hash function with a number": lambda parts: [parts[0], _tlv(SET, digest(_integer(7))), *parts[2:]],
    "a hash function with two parameters": lambda parts: [parts[0], _tlv(SET, digest(_NULL, _NULL)), *parts[2:]],
}
OF_THE_SIGNER: dict[str, Callable[[Parts], Parts]] = {
    "a number at the end": lambda parts: [*parts, _integer(5)],
    "unsigned attributes twice": lambda parts: [*parts, NOTE, NOTE],
    "unsigned attributes that are none": lambda parts: [*parts, _tlv(SECOND)],
    "an unsigned attribute without values": lambda parts: [*parts, _tlv(SECOND, _sequence(oid("1.2.3")))],
    "an unsigned attribute with more": lambda parts: [
        *parts, _tlv(SECOND, _sequence(oid("1.2.3"), _tlv(SET, _NULL), _NULL)),
    ],
    "a hash function with a number": lambda parts: [*parts[:2], digest(_integer(7)), *parts[3:]],
    "a hash function with an empty sequence": lambda parts: [*parts[:2], digest(_sequence()), *parts[3:]],
}  # fmt: skip


@pytest.mark.parametrize("trick", OF_THE_MESSAGE)
def test_a_message_has_no_room_for_more(judge: Judge, signer: Credential, trick: str) -> None:
    assert judge(rebuilt(sign(PAYLOAD, signer, AT), OF_THE_MESSAGE[trick])).sub_indication == Sub.FORMAT_FAILURE


@pytest.mark.parametrize("trick", OF_THE_SIGNER)
def test_a_signer_has_no_room_for_more(judge: Judge, signer: Credential, trick: str) -> None:
    assert judge(resigned(sign(PAYLOAD, signer, AT), OF_THE_SIGNER[trick])).sub_indication == Sub.FORMAT_FAILURE


def test_the_parameters_of_a_hash_function_are_absent_or_null(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    for stated in (digest(), digest(_NULL)):
        assert judge(rebuilt(signature, lambda parts, it=stated: [parts[0], _tlv(SET, it), *parts[2:]])).passed
        assert judge(resigned(signature, lambda parts, it=stated: [*parts[:2], it, *parts[3:]])).passed


def test_what_is_no_signature_has_another_shape(signer: Credential) -> None:
    for other in (signer.der, b"\x30\x00", sign(PAYLOAD, signer, AT)[:60]):
        with pytest.raises(der.DerError):
            shape.check(other)
