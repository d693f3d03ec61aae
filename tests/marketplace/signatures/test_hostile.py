"""Signatures made by people who know the pitfalls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from marketplace.signatures import Evidence, Indication, Policy, Report, Sub, verify_bounded
from marketplace.signatures import sign as making
from marketplace.signatures.authority import DEFAULT_EKU, Authority, _certificate, _key_usage, new_key
from marketplace.signatures.sign import (
    MESSAGE_DIGEST,
    Credential,
    assemble,
    attribute,
    oid,
    sign,
    signed_attributes,
    with_unsigned,
)
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, Judge, issue

DAY = timedelta(days=1)
NULL = b"\x05\x00"
FORMAT = (Indication.FAILED, Sub.FORMAT_FAILURE)
BROKEN = (Indication.FAILED, Sub.SIG_CRYPTO_FAILURE)
PASSED = (Indication.PASSED, None)


def said(report: Report) -> tuple[Indication, Sub | None]:
    return report.indication, report.sub_indication


def in_time(judge: Judge, signature: bytes, **policy: Any) -> Report:
    """The verdict, when it came within two seconds."""
    started = time.process_time()
    report = judge(signature, **policy)
    assert time.process_time() - started < 2
    return report


# Form


def test_thousands_of_attributes(judge: Judge, signer: Credential) -> None:
    many = [attribute(oid(f"1.2.3.{number}"), NULL) for number in range(5000)]
    signature = sign(PAYLOAD, signer, AT)
    for one in many[:40]:
        signature = with_unsigned(signature, one)

    assert said(in_time(judge, assemble([*signed_attributes(PAYLOAD, signer, AT), *many], signer))) == FORMAT
    assert said(in_time(judge, signature)) == FORMAT


def test_attribute_with_thousands_of_values(judge: Judge, signer: Credential) -> None:
    crowded = attribute(oid("1.2.3.4"), *(making._integer(number) for number in range(5000)))

    assert in_time(judge, with_unsigned(sign(PAYLOAD, signer, AT), crowded)).passed
    _, *others = signed_attributes(PAYLOAD, signer, AT)
    assert not in_time(judge, assemble([crowded, *others], signer)).passed


def test_thousands_of_certificates(judge: Judge, signer: Credential) -> None:
    crowd = replace(signer)
    crowd.__dict__["certificate_set"] = making._tlv(0xA0, *[signer.der] * 300)
    junk = replace(signer)
    junk.__dict__["certificate_set"] = making._tlv(0xA0, signer.der, *[b"\x30\x00"] * 5)

    assert said(in_time(judge, sign(PAYLOAD, crowd, AT))) == FORMAT
    assert not in_time(judge, sign(PAYLOAD, junk, AT)).passed


def test_many_lists_beside_the_certificates(judge: Judge, signer: Credential, authority: Authority) -> None:
    """What the signature itself says of revocation is not asked: its sender would say so."""
    signature = sign(PAYLOAD, signer, AT)
    certificates = signer.certificate_set
    stuffed = signature.replace(certificates, certificates + making._tlv(0xA1, *authority.crls(AT) * 10))

    assert not judge(stuffed).passed


@pytest.mark.parametrize("twice", ["attribute", "values"])
def test_message_digest_stated_twice(judge: Judge, signer: Credential, twice: str) -> None:
    attributes = signed_attributes(PAYLOAD, signer, AT)
    values = [making._tlv(4, bytes(32)), making._tlv(4, hashlib_of(PAYLOAD))]
    if twice == "attribute":
        attributes.append(attribute(MESSAGE_DIGEST, values[0]))
    else:
        attributes[2] = attribute(MESSAGE_DIGEST, *sorted(values))

    assert said(judge(assemble(attributes, signer))) == FORMAT


def test_no_signer(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)
    _, (_, wrapped, _) = making.der.members(signature, *making.der.content(signature))
    ((_, inside, _),) = making.der.members(signature, *wrapped)
    parts = [signature[slice(*whole)] for _, _, whole in making.der.members(signature, *inside)]
    empty = making._sequence(making._SIGNED_DATA, making._tlv(0xA0, making._sequence(*parts[:-1], making._tlv(0x31))))

    assert said(judge(empty)) == FORMAT


def test_lengths_that_lie(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    for place in range(2, len(signature), 5):
        for lie in (b"\x84\xff\xff\xff\xff", b"\x80", b"\xff", b"\x81\x01", b"\x82\x00\x01"):
            changed = signature[:place] + lie + signature[place + 1 :]
            assert changed == signature or not judge(changed).passed


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x30\x83\x03\xff\xf0" + b"\x30\x00" * 131064,
        b"\x30\x82\xff\xff" + b"\x31\x80" * 32767,
        b"\xa0\x82\xff\xff" + bytes(65535),
        b"\x30\x84\x7f\xff\xff\xff\x06\x09",
    ],
)
def test_large_and_strange_files(judge: Judge, hostile: bytes) -> None:
    assert said(in_time(judge, hostile)) == FORMAT


# Value and algorithm


def changed_value(signature: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The signature with its value, which comes last, changed and every length put right."""
    place, end = making.der.content(signature)
    for _ in range(7):  # down to the last member each time: wrapper, signed data, signers, signer, value
        *_, (tag, (place, end), _) = making.der.members(signature, place, end)
        if tag == 0x04:
            break
    content = signature[place:end]
    return rebuilt(signature, making._tlv(4, content), making._tlv(4, change(content)))


def rebuilt(signature: bytes, old: bytes, new: bytes) -> bytes:
    """The signature with a part of its signer's information replaced."""
    kind, (_, wrapped, _) = making.der.members(signature, *making.der.content(signature))
    ((_, inside, _),) = making.der.members(signature, *wrapped)
    *before, (_, signers, _) = making.der.members(signature, *inside)
    ((_, parts, _),) = making.der.members(signature, *signers)
    content = signature[slice(*parts)]
    assert content.count(old) == 1
    head = b"".join(signature[slice(*whole)] for _, _, whole in before)
    signer = making._sequence(content.replace(old, new))
    return making._sequence(
        signature[slice(*kind[2])], making._tlv(0xA0, making._sequence(head, making._tlv(0x31, signer)))
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value + b"\x00",
        lambda value: b"\x30\x81" + value[1:],
        lambda value: value[:1] + bytes([value[1] + 1]) + b"\x02" + bytes([value[3] + 1]) + b"\x00" + value[4:],
        lambda value: b"\x30\x06\x02\x01\x00\x02\x01\x00",
        lambda value: b"\x30\x06\x02\x01\x01\x02\x01\x01",
        lambda value: b"",
        lambda value: value[2:],
    ],
)
def test_ecdsa_value_that_is_not_in_der(judge: Judge, signer: Credential, change: Callable[[bytes], bytes]) -> None:
    signature = changed_value(sign(PAYLOAD, signer, AT), change)

    assert said(judge(signature)) in (BROKEN, FORMAT)


def test_ecdsa_parameters_beside_the_algorithm(judge: Judge, signer: Credential) -> None:
    """Nothing signs what stands there."""
    signature = sign(PAYLOAD, signer, AT)
    scheme = making._ECDSA_OIDS["sha256"]

    for extra in (NULL, making._integer(5)):
        stuffed = rebuilt(signature, making._sequence(scheme), making._sequence(scheme, extra))
        assert said(judge(stuffed)) == BROKEN


@pytest.mark.parametrize("extra", [making._integer(5), making._sequence(), oid("1.2.3")])
def test_rsa_parameters_beside_the_algorithm(authority: Authority, judge: Judge, extra: bytes) -> None:
    signature = sign(PAYLOAD, issue(authority, key_type="rsa-2048"), AT)
    scheme = making._RSA_OIDS["sha256"]

    assert said(judge(rebuilt(signature, making._sequence(scheme, NULL), making._sequence(scheme, extra)))) == BROKEN
    assert judge(rebuilt(signature, making._sequence(scheme, NULL), making._sequence(scheme))).passed


def pss(hash_oid: bytes, mask_oid: bytes, salt: int, trailer: int | None = None) -> bytes:
    return making._sequence(
        oid("1.2.840.113549.1.1.10"),
        making._sequence(
            making._tlv(0xA0, making._sequence(hash_oid)),
            making._tlv(0xA1, making._sequence(oid("1.2.840.113549.1.1.8"), making._sequence(mask_oid))),
            making._tlv(0xA2, making._integer(salt)),
            *([making._tlv(0xA3, making._integer(trailer))] if trailer else []),
        ),
    )


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (pss(making._HASH_OIDS["sha256"], making._HASH_OIDS["sha256"], 20), {Sub.SIG_CRYPTO_FAILURE}),
        (pss(making._HASH_OIDS["sha256"], making._HASH_OIDS["sha512"], 32), {Sub.SIG_CRYPTO_FAILURE}),
        (pss(making._HASH_OIDS["sha256"], making._HASH_OIDS["sha1"], 32), {Sub.CRYPTO_CONSTRAINTS_FAILURE}),
        (
            pss(making._HASH_OIDS["sha512"], making._HASH_OIDS["sha512"], 64),
            {Sub.SIG_CRYPTO_FAILURE, Sub.CRYPTO_CONSTRAINTS_FAILURE},
        ),
        (pss(making._HASH_OIDS["sha256"], making._HASH_OIDS["sha256"], 32, 2), {Sub.SIG_CRYPTO_FAILURE}),
        (pss(making._HASH_OIDS["sha256"], making._HASH_OIDS["sha256"], 2**40), {Sub.SIG_CRYPTO_FAILURE}),
        (making._sequence(oid("1.2.840.113549.1.1.10")), {Sub.FORMAT_FAILURE}),
        (pss(making._HASH_OIDS["sha256"], b"\x46\x03\x2a\x03\x04", 32), {Sub.FORMAT_FAILURE}),
        (pss(b"\x16\x01x", making._HASH_OIDS["sha256"], 32), {Sub.FORMAT_FAILURE}),
    ],
)
def test_rsa_pss_with_other_parameters(authority: Authority, judge: Judge, wrong: bytes, expected: set[Sub]) -> None:
    signature = sign(PAYLOAD, issue(authority, key_type="rsa-2048"), AT, pss=True)
    stated = making._signature(b"", issue(authority, key_type="rsa-2048").key, "sha256", True)[0]

    report = judge(rebuilt(signature, stated, wrong))

    assert not report.passed
    assert report.sub_indication in expected


def test_value_of_another_scheme(authority: Authority, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = issue(authority, key_type="rsa-2048")
    assert isinstance(signer.key, rsa.RSAPrivateKey)
    attributes = signed_attributes(PAYLOAD, signer, AT)
    message = making._tlv(0x31, *sorted(attributes))
    value = signer.key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    scheme = making._sequence(making._RSA_OIDS["sha256"], NULL)
    monkeypatch.setattr(making, "_signature", lambda *_: (scheme, value))

    assert said(judge(assemble(attributes, signer))) == BROKEN


@pytest.mark.parametrize("bits", [8200, 16384])
def test_huge_rsa_modulus(authority: Authority, judge: Judge, bits: int) -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << bits) - 159)

    report = in_time(judge, with_public_key(authority, numbers.public_key()))

    assert report.sub_indication in {Sub.SIG_CRYPTO_FAILURE, Sub.CRYPTO_CONSTRAINTS_FAILURE}


@pytest.mark.parametrize("exponent", [(1 << 2040) + 1, (1 << 64) + 1, 3])
def test_odd_rsa_exponent(authority: Authority, judge: Judge, exponent: int) -> None:
    modulus = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers().n
    numbers = rsa.RSAPublicNumbers(exponent, modulus)

    report = in_time(judge, with_public_key(authority, numbers.public_key()))

    assert not report.passed


def with_public_key(authority: Authority, key: rsa.RSAPublicKey) -> bytes:
    """A signature that cannot verify, with an authority's certificate over any key."""
    name = x509.Name([x509.NameAttribute(ObjectIdentifier("2.5.4.97"), IDENTIFIER)])
    builder = x509.CertificateBuilder(
        authority.issuing.certificate.subject, name, key, 77, AT - DAY, AT + DAY
    ).add_extension(_key_usage("digital_signature"), True)
    made = builder.sign(authority.issuing.key, hashes.SHA256())
    small = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return sign(PAYLOAD, Credential(made, small, authority.issuing.issuers), AT)


# Certificates


def test_certificate_of_the_same_key_cannot_be_put_in_place(authority: Authority, judge: Judge) -> None:
    """Another certificate of the same person's key, naming another organisation."""
    signer = issue(authority, identifiers=["TINRU-1"])
    subject = x509.Name([x509.NameAttribute(ObjectIdentifier("2.5.4.97"), IDENTIFIER)])
    twin = authority.certify(subject, signer.key, AT - DAY, AT + DAY)
    attributes = signed_attributes(PAYLOAD, signer, AT)

    assert said(judge(assemble(attributes, twin))) == (Indication.INDETERMINATE, Sub.NO_SIGNING_CERTIFICATE_FOUND)
    assert judge(assemble(signed_attributes(PAYLOAD, twin, AT), twin)).passed
    both = replace(twin, issuers=(signer.certificate, *twin.issuers))
    assert judge(assemble(signed_attributes(PAYLOAD, twin, AT), both)).passed


def named(label: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])


def an_authority(
    subject: str, key: Any, issuer: str, issuer_key: Any, extra: Sequence[tuple[x509.ExtensionType, bool]] = ()
) -> x509.Certificate:
    ca = [(x509.BasicConstraints(True, None), True), (_key_usage("key_cert_sign", "crl_sign"), True), *extra]
    return _certificate(named(subject), key, named(issuer), issuer_key, AT - 99 * DAY, AT + 99 * DAY, ca)


def test_authorities_that_certify_each_other(judge: Judge) -> None:
    """Every way round the circle is another path."""
    keys = [new_key("p256") for _ in range(3)]
    crossed = [
        an_authority(f"C{one}", keys[one], f"C{other}", keys[other])
        for one in range(3)
        for other in range(3)
        if one != other
    ]
    ring = Authority(Credential(crossed[0], keys[0]), Credential(crossed[0], keys[0]))
    signature = sign(PAYLOAD, replace(issue(ring), issuers=tuple(crossed)), AT)

    report = in_time(judge, signature, anchors=(Authority.create(AT).root.der,))

    assert said(report) == (Indication.INDETERMINATE, Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_cross_certificate_leads_to_the_anchor(judge: Judge) -> None:
    """One authority, certified by two roots of which one is trusted."""
    root, foreign, middle = new_key("p256"), new_key("p256"), new_key("p256")
    top = Credential(an_authority("R", root, "R", root), root)
    crossed = Credential(an_authority("M", middle, "R", root), middle)
    other = an_authority("M", middle, "F", foreign)
    authority = Authority(top, crossed)
    signature = sign(PAYLOAD, replace(issue(authority), issuers=(other, crossed.certificate)), AT)

    report = judge(signature, anchors=(top.der,), crls=authority.crls(AT))

    assert said(report) == PASSED


def test_many_authorities_of_one_name(judge: Judge) -> None:
    keys = [new_key("p256") for _ in range(9)]
    crowd = tuple(an_authority("X", key, "X", keys[0]) for key in keys)
    ring = Authority(Credential(crowd[0], keys[0]), Credential(crowd[0], keys[0]))

    report = in_time(judge, sign(PAYLOAD, replace(issue(ring), issuers=crowd), AT))

    assert said(report) == (Indication.INDETERMINATE, Sub.NO_CERTIFICATE_CHAIN_FOUND)


@pytest.mark.parametrize(
    "constraint",
    [
        x509.NameConstraints([x509.DNSName("example.org")], None),
        x509.NameConstraints(None, [x509.DirectoryName(x509.Name([]))]),
        x509.NameConstraints([x509.RFC822Name("a@example.org")], [x509.UniformResourceIdentifier("example.org")]),
        x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.30"), b"\x30\x00"),
        x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.30"), b"\x30\x04\xa0\x02\x30\x00"),
        x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.30"), b"\x31\x80"),
        x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.30"), b"\x30\x06\xa0\x04\x30\x02\x88\x00"),
    ],
)
def test_odd_name_constraints_raise_nothing(judge: Judge, constraint: x509.ExtensionType) -> None:
    root, middle = new_key("p256"), new_key("p256")
    top = Credential(an_authority("R", root, "R", root), root)
    below = Credential(an_authority("M", middle, "R", root, [(constraint, True)]), middle)
    authority = Authority(top, below)
    signature = sign(PAYLOAD, issue(authority), AT)

    report = in_time(
        judge,
        signature,
        anchors=(top.der,),
        intermediates=(below.der,),
        crls=authority.crls(AT),
        identifiers=frozenset(),
    )

    assert report.sub_indication not in {Sub.GENERIC, Sub.POLICY_PROCESSING_ERROR}


def odd_authority(name: str, key: Any, above: str, key_above: Any) -> x509.Certificate:
    """One with a name constraint that pyHanko cannot read."""
    other = x509.NameConstraints([x509.OtherName(ObjectIdentifier("1.2.3"), NULL)], None)
    return an_authority(name, key, above, key_above, [(other, True)])


def test_an_odd_authority_in_the_trust_store_spoils_nothing(judge: Judge) -> None:
    root, middle = new_key("p256"), new_key("p256")
    top = Credential(an_authority("R", root, "R", root), root)
    below = Credential(an_authority("M", middle, "R", root), middle)
    authority = Authority(top, below)
    signature = sign(PAYLOAD, replace(issue(authority), issuers=()), AT)
    stranger, twin = (
        Credential(odd_authority(*names), root).der for names in (("X", root, "X", root), ("M", middle, "R", root))
    )
    wanted = {"crls": authority.crls(AT), "identifiers": frozenset()}

    def judged(*anchors: bytes, intermediates: tuple[bytes, ...]) -> Report:
        return judge(signature, anchors=anchors, intermediates=intermediates, **wanted)

    assert judged(stranger, top.der, intermediates=(below.der,)).passed
    assert judged(top.der, intermediates=(twin, below.der)).passed
    assert judged(top.der, intermediates=(below.der, twin)).passed
    assert not judged(top.der, intermediates=(twin,)).passed
    assert judged(stranger, intermediates=(below.der,)).sub_indication == Sub.POLICY_PROCESSING_ERROR


def test_anchor_past_its_end_vouches_for_nothing(judge: Judge) -> None:
    old = Authority.create(AT - 8000 * DAY)
    signature = sign(PAYLOAD, issue(replace(old, issuing=Authority.create(AT).issuing)), AT)
    root = Credential(
        _certificate(named("R"), old.root.key, named("R"), old.root.key, AT - 9 * DAY, AT - DAY, []), old.root.key
    )
    middle = an_authority("M", old.issuing.key, "R", root.key)
    authority = Authority(root, Credential(middle, old.issuing.key))

    report = judge(
        sign(PAYLOAD, replace(issue(authority), issuers=(middle,)), AT), anchors=(root.der,), crls=authority.crls(AT)
    )

    assert said(report) == (Indication.INDETERMINATE, Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE)
    assert not judge(signature).passed


# Policy


@pytest.mark.parametrize(
    "policy",
    [
        {"eku": "not an identifier"},
        {"eku": ""},
        {"min_rsa": 0},
        {"rsa_3072_from": datetime(2030, 1, 1)},  # noqa: DTZ001 – no zone: that is the mistake
        {"anchors": (b"garbage",)},
    ],
)
def test_policy_that_means_nothing(judge: Judge, signer: Credential, policy: dict[str, Any]) -> None:
    report = judge(sign(PAYLOAD, signer, AT), **policy)

    assert said(report) == (Indication.INDETERMINATE, Sub.POLICY_PROCESSING_ERROR)


def test_time_without_a_zone_is_a_policy_error(judge: Judge, signer: Credential) -> None:
    report = judge(sign(PAYLOAD, signer, AT), at=AT.replace(tzinfo=None))

    assert report.sub_indication == Sub.POLICY_PROCESSING_ERROR


def test_worker_bears_what_is_hostile(authority: Authority, signer: Credential) -> None:
    policy = Policy(anchors=(authority.root.der,), eku=DEFAULT_EKU)
    hostile = b"\x30\x83\x03\xff\xf0" + b"\x30\x00" * 131064

    assert verify_bounded(hostile, PAYLOAD, policy, AT, Evidence(), seconds=20).sub_indication == Sub.FORMAT_FAILURE


def hashlib_of(content: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(content)
    return digest.finalize()
