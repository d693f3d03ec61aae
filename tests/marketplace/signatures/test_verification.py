"""One test per row of the table of verdicts that is reached without time stamps."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from marketplace.signatures import Evidence, Indication, Policy, Report, Sub, verification
from marketplace.signatures.authority import DEFAULT_EKU, Authority, _certificate, _key_usage, new_key
from marketplace.signatures.sign import (
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    Credential,
    assemble,
    attribute,
    oid,
    sign,
    signed_attributes,
)
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, Judge, issue

DAY = timedelta(days=1)


def verdict(report: Report) -> tuple[Indication, Sub | None]:
    assert report.reasons or report.passed
    return report.indication, report.sub_indication


def indeterminate(sub: Sub) -> tuple[Indication, Sub]:
    return Indication.INDETERMINATE, sub


def failed(sub: Sub) -> tuple[Indication, Sub]:
    return Indication.FAILED, sub


FORMAT = failed(Sub.FORMAT_FAILURE)


# Passed


@pytest.mark.parametrize(
    ("key_type", "digest", "pss"),
    [
        ("p256", "sha256", False),
        ("p384", "sha384", False),
        ("rsa-2048", "sha256", False),
        ("rsa-3072", "sha512", False),
        ("rsa-2048", "sha256", True),
        ("ed25519", "sha512", False),
        ("ed25519", "sha256", False),
    ],
)
def test_signature_passes_with_every_accepted_algorithm(
    authority: Authority, judge: Judge, key_type: str, digest: str, pss: bool
) -> None:
    signer = issue(authority, key_type=key_type)

    report = judge(sign(PAYLOAD, signer, AT, digest=digest, pss=pss))

    assert verdict(report) == (Indication.PASSED, None)
    assert report.passed


def test_report_tells_who_signed_when_and_what_was_relied_on(
    authority: Authority, judge: Judge, signer: Credential
) -> None:
    report = judge(sign(PAYLOAD, signer, AT - timedelta(minutes=5)))

    chain = [signer, authority.issuing, authority.root]
    assert report.chain == tuple(hashlib.sha256(credential.der).hexdigest() for credential in chain)
    assert len(report.revocation) == 2
    assert report.signer is not None
    assert report.signer.certificate == signer.der
    assert report.as_dict() == {
        "indication": "TOTAL-PASSED",
        "sub_indication": None,
        "reasons": [],
        "signer": {
            "subject": report.signer.subject,
            "serial": f"{signer.serial:X}",
            "identifiers": [IDENTIFIER],
        },
        "signed_at": "2026-11-22T09:55:00Z",
        "timestamp": None,
    }
    assert "Anna Petrova" in report.signer.subject


def test_intermediate_may_come_from_the_trust_store_instead(
    authority: Authority, judge: Judge, signer: Credential
) -> None:
    alone = sign(PAYLOAD, replace(signer, issuers=()), AT)

    assert verdict(judge(alone)) == indeterminate(Sub.NO_CERTIFICATE_CHAIN_FOUND)
    assert judge(alone, intermediates=(authority.issuing.der,)).passed


def test_one_of_several_identifiers_is_enough(authority: Authority, judge: Judge) -> None:
    signer = issue(authority, identifiers=["NTRRU-1027700132195", IDENTIFIER])

    assert judge(sign(PAYLOAD, signer, AT), identifiers=frozenset({IDENTIFIER, "VATDE-811569869"})).passed


# Format


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"garbage",
        bytes(1000),
        b"\x30" * 1000,
        b"\x30\x80" * 1000,
        b"\x30\x03\x02\x01\x01",
        b"\x30\x84\xff\xff\xff\xff",
        b"-----BEGIN CMS-----\nMIAG\n-----END CMS-----\n",
        b"\n-----BEGIN PKCS7-----\nMIAG\n-----END PKCS7-----\n",
        bytes(256 * 1024 + 1),
    ],
)
def test_garbage_is_a_format_failure(judge: Judge, signature: bytes) -> None:
    assert verdict(judge(signature)) == FORMAT


def test_every_cut_is_a_format_failure(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    assert {verdict(judge(signature[:end])) for end in range(0, len(signature), 13)} == {FORMAT}


def test_no_changed_byte_passes_or_raises(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    for place in range(len(signature)):
        changed = bytearray(signature)
        changed[place] ^= 0x41
        assert not judge(bytes(changed)).passed, place


def test_trailing_bytes_are_a_format_failure(judge: Judge, signer: Credential) -> None:
    assert verdict(judge(sign(PAYLOAD, signer, AT) + b"\x00")) == FORMAT


def test_indefinite_length_is_a_format_failure(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    assert verdict(judge(b"\x30\x80" + signature[4:] + b"\x00\x00")) == FORMAT


def test_deep_nesting_is_a_format_failure(judge: Judge) -> None:
    nested = b""
    for _ in range(200):
        size = len(nested)
        length = (
            bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big") if size > 255 else bytes([129, size])
        )
        nested = b"\x30" + length + nested

    assert verdict(judge(nested)) == FORMAT


def test_attached_content_is_a_format_failure(judge: Judge, signer: Credential) -> None:
    attributes = signed_attributes(PAYLOAD, signer, AT)

    assert verdict(judge(assemble(attributes, signer, content=PAYLOAD))) == FORMAT


def test_two_signers_are_a_format_failure(judge: Judge, signer: Credential) -> None:
    envelope = cms.ContentInfo.load(sign(PAYLOAD, signer, AT))
    signed = envelope["content"]
    signed["signer_infos"] = [signed["signer_infos"][0], signed["signer_infos"][0]]

    assert verdict(judge(envelope.dump(force=True))) == FORMAT


def test_no_signed_attributes_are_a_format_failure(judge: Judge, signer: Credential) -> None:
    assert verdict(judge(assemble([], signer))) == FORMAT


def test_eleven_certificates_are_a_format_failure(judge: Judge, signer: Credential) -> None:
    crowd = replace(signer, issuers=signer.issuers * 10)

    assert verdict(judge(sign(PAYLOAD, crowd, AT))) == FORMAT


def test_unsorted_attributes_are_a_format_failure(judge: Judge, signer: Credential) -> None:
    first, second, *_ = sorted(signed_attributes(PAYLOAD, signer, AT))
    signature = sign(PAYLOAD, signer, AT)

    assert first + second in signature
    assert verdict(judge(signature.replace(first + second, second + first))) == FORMAT


def test_repeated_attribute_is_a_format_failure(judge: Judge, signer: Credential) -> None:
    attributes = signed_attributes(PAYLOAD, signer, AT)

    assert verdict(judge(assemble([*attributes, signed_attributes(b"other", signer, AT)[2]], signer))) == FORMAT


def test_wrong_content_type_is_a_format_failure(judge: Judge, signer: Credential) -> None:
    _, *others = signed_attributes(PAYLOAD, signer, AT)
    wrong = attribute(CONTENT_TYPE, oid("1.2.840.113549.1.9.16.1.4"))

    assert verdict(judge(assemble([wrong, *others], signer))) == FORMAT


@pytest.mark.parametrize("missing", [CONTENT_TYPE, SIGNING_TIME, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2])
def test_missing_mandatory_attribute_is_a_constraints_failure(judge: Judge, signer: Credential, missing: bytes) -> None:
    attributes = [one for one in signed_attributes(PAYLOAD, signer, AT) if missing not in one]

    assert len(attributes) == 3
    assert verdict(judge(assemble(attributes, signer))) == indeterminate(Sub.SIG_CONSTRAINTS_FAILURE)


# What was signed, and by which key


def test_other_payload_is_a_hash_failure(judge: Judge, signer: Credential) -> None:
    assert verdict(judge(sign(b"something else", signer, AT))) == failed(Sub.HASH_FAILURE)


def test_missing_payload_is_said_so(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    assert verdict(judge(signature, payload=None)) == indeterminate(Sub.SIGNED_DATA_NOT_FOUND)


def test_value_of_another_key_is_a_crypto_failure(judge: Judge, signer: Credential) -> None:
    impostor = replace(signer, key=new_key("p256"))

    assert verdict(judge(sign(PAYLOAD, impostor, AT))) == failed(Sub.SIG_CRYPTO_FAILURE)


def test_changed_signing_time_is_a_crypto_failure(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    changed = signature.replace(b"261122100000Z", b"261122100001Z")

    assert changed != signature
    assert verdict(judge(changed)) == failed(Sub.SIG_CRYPTO_FAILURE)


def test_signature_without_the_signers_certificate(judge: Judge, authority: Authority, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)
    other = sign(PAYLOAD, issue(authority), AT)
    lost = assemble(
        signed_attributes(PAYLOAD, signer, AT), _with_certificates_of(signer, issue(authority).certificate_set)
    )

    assert judge(signature).passed
    assert judge(other).passed
    assert verdict(judge(lost)) == indeterminate(Sub.NO_SIGNING_CERTIFICATE_FOUND)


def test_certificate_other_than_the_one_referred_to(judge: Judge, authority: Authority, signer: Credential) -> None:
    *others, _ = signed_attributes(PAYLOAD, signer, AT)
    signature = assemble([*others, issue(authority).reference], signer)

    assert verdict(judge(signature)) == indeterminate(Sub.NO_SIGNING_CERTIFICATE_FOUND)


# Strength


def test_short_rsa_key_is_too_weak(authority: Authority, judge: Judge) -> None:
    signature = sign(PAYLOAD, issue(authority, key_type="rsa-1024"), AT)

    assert verdict(judge(signature)) == indeterminate(Sub.CRYPTO_CONSTRAINTS_FAILURE)


def test_minimum_rsa_is_the_policys(authority: Authority, judge: Judge) -> None:
    signature = sign(PAYLOAD, issue(authority, key_type="rsa-2048"), AT)

    assert judge(signature, min_rsa=2048).passed
    assert verdict(judge(signature, min_rsa=2049)) == indeterminate(Sub.CRYPTO_CONSTRAINTS_FAILURE)


def test_rsa_2048_has_a_sunset(authority: Authority, judge: Judge) -> None:
    signature = sign(PAYLOAD, issue(authority, key_type="rsa-2048"), AT)

    assert judge(signature, rsa_3072_from=AT + DAY).passed
    assert verdict(judge(signature, rsa_3072_from=AT)) == indeterminate(Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE)


def test_sha1_is_too_weak(judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT, digest="sha1")

    assert verdict(judge(signature)) == indeterminate(Sub.CRYPTO_CONSTRAINTS_FAILURE)


def test_wrong_hash_is_graver_than_a_weak_one(judge: Judge, signer: Credential) -> None:
    assert verdict(judge(sign(b"something else", signer, AT, digest="sha1"))) == failed(Sub.HASH_FAILURE)


def test_other_elliptic_curve_is_not_accepted(authority: Authority, judge: Judge) -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    signer = authority.certify(_name(), key, AT - DAY, AT + DAY)

    assert verdict(judge(sign(PAYLOAD, signer, AT))) == indeterminate(Sub.CRYPTO_CONSTRAINTS_FAILURE)


def test_weak_key_of_the_authority_is_too_weak(judge: Judge) -> None:
    weak = Authority.create(AT, key_type="rsa-1024")
    signature = sign(PAYLOAD, issue(weak), AT)

    report = judge(signature, anchors=(weak.root.der,), crls=weak.crls(AT))

    assert verdict(report) == indeterminate(Sub.CRYPTO_CONSTRAINTS_FAILURE)


# Validity and revocation


def test_expired_certificate_is_out_of_bounds(authority: Authority, judge: Judge) -> None:
    expired = issue(authority, at=AT - 40 * DAY, validity=10 * DAY)

    assert verdict(judge(sign(PAYLOAD, expired, AT))) == indeterminate(Sub.OUT_OF_BOUNDS_NO_POE)


def test_expired_certificate_known_not_revoked_until_its_end(authority: Authority, judge: Judge) -> None:
    expired = issue(authority, at=AT - 40 * DAY, validity=10 * DAY)
    crls = authority.crls(AT - 31 * DAY, 60 * DAY)

    assert verdict(judge(sign(PAYLOAD, expired, AT), crls=crls)) == indeterminate(Sub.OUT_OF_BOUNDS_NOT_REVOKED)


def test_expired_and_revoked_certificate_is_called_revoked(authority: Authority, judge: Judge) -> None:
    expired = issue(authority, at=AT - 40 * DAY, validity=10 * DAY)
    authority.revoke(expired.serial, AT - 35 * DAY)

    assert verdict(judge(sign(PAYLOAD, expired, AT))) == indeterminate(Sub.REVOKED_NO_POE)


def test_certificate_not_yet_valid_is_out_of_bounds(authority: Authority, judge: Judge) -> None:
    early = issue(authority, at=AT + DAY)

    assert verdict(judge(sign(PAYLOAD, early, AT))) == indeterminate(Sub.OUT_OF_BOUNDS_NO_POE)


def test_validity_is_judged_at_the_given_time_not_the_claimed_one(authority: Authority, judge: Judge) -> None:
    expired = issue(authority, at=AT - 40 * DAY, validity=10 * DAY)

    report = judge(sign(PAYLOAD, expired, AT - 35 * DAY))

    assert verdict(report) == indeterminate(Sub.OUT_OF_BOUNDS_NO_POE)
    assert report.signed_at == AT - 35 * DAY


def test_revoked_certificate(authority: Authority, judge: Judge) -> None:
    signer = issue(authority)
    authority.revoke(signer.serial, AT - DAY)

    assert verdict(judge(sign(PAYLOAD, signer, AT))) == indeterminate(Sub.REVOKED_NO_POE)


def test_revocation_of_another_certificate_changes_nothing(authority: Authority, judge: Judge) -> None:
    authority.revoke(issue(authority).serial, AT - DAY)

    assert judge(sign(PAYLOAD, issue(authority), AT)).passed


def test_revoked_authority(authority: Authority, judge: Judge) -> None:
    authority.issuing_revoked_at = AT - DAY

    assert verdict(judge(sign(PAYLOAD, issue(authority), AT))) == indeterminate(Sub.REVOKED_CA_NO_POE)


def test_without_revocation_lists_try_later(judge: Judge, signer: Credential) -> None:
    assert verdict(judge(sign(PAYLOAD, signer, AT), crls=())) == indeterminate(Sub.TRY_LATER)


def test_every_authority_of_the_chain_needs_its_list(authority: Authority, judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    for one in authority.crls(AT):
        assert verdict(judge(signature, crls=(one,))) == indeterminate(Sub.TRY_LATER)


def test_stale_revocation_lists_try_later(authority: Authority, judge: Judge, signer: Credential) -> None:
    crls = authority.crls(AT - 3 * DAY, 2 * DAY)

    assert verdict(judge(sign(PAYLOAD, signer, AT), crls=crls)) == indeterminate(Sub.TRY_LATER)


def test_list_signed_by_another_authority_of_the_same_name_is_none(
    authority: Authority, judge: Judge, signer: Credential
) -> None:
    namesake = Authority.create(AT)

    report = judge(sign(PAYLOAD, signer, AT), crls=namesake.crls(AT))

    assert verdict(report) == indeterminate(Sub.TRY_LATER)


def test_unreadable_revocation_lists_are_missing_ones(authority: Authority, judge: Judge, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)

    assert verdict(judge(signature, crls=(b"garbage",))) == indeterminate(Sub.TRY_LATER)
    assert judge(signature, crls=(b"garbage", *authority.crls(AT))).passed


def test_waiting_is_not_advised_where_it_would_not_help(authority: Authority, judge: Judge) -> None:
    signer = issue(authority, eku=None)

    report = judge(sign(PAYLOAD, signer, AT), crls=())

    assert verdict(report) == indeterminate(Sub.CHAIN_CONSTRAINTS_FAILURE)
    assert len(report.reasons) == 2


# Chain


def test_unknown_authority(judge: Judge) -> None:
    foreign = Authority.create(AT, name="Foreign")

    report = judge(sign(PAYLOAD, issue(foreign), AT), crls=foreign.crls(AT))

    assert verdict(report) == indeterminate(Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_no_trusted_authority_at_all(judge: Judge, signer: Credential) -> None:
    assert verdict(judge(sign(PAYLOAD, signer, AT), anchors=())) == indeterminate(Sub.NO_CERTIFICATE_CHAIN_FOUND)


@pytest.mark.parametrize("other", [b"garbage", b"", b"\x30\x00", oid("1.2.840.10045.3.1.7"), b"\x02\x01\x05"])
def test_what_is_no_certificate_in_the_trust_store_is_left_out(
    authority: Authority, judge: Judge, signer: Credential, other: bytes
) -> None:
    """A folder of certificates may hold keys and their parameters as well."""
    signature = sign(PAYLOAD, signer, AT)

    assert judge(signature, anchors=(other, authority.root.der), intermediates=(other,)).passed
    assert judge(signature, anchors=(other,)).sub_indication == Sub.POLICY_PROCESSING_ERROR


def test_self_signed_certificate(judge: Judge) -> None:
    key = new_key("p256")
    lonely = Authority(root=_credential(key), issuing=_credential(key))

    report = judge(sign(PAYLOAD, lonely.issuing, AT))

    assert verdict(report) == indeterminate(Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_authority_of_the_same_name_with_another_key(authority: Authority, judge: Judge) -> None:
    namesake = Authority.create(AT)

    report = judge(sign(PAYLOAD, issue(namesake), AT))

    assert verdict(report) == indeterminate(Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_trusted_certificate_itself_cannot_sign(authority: Authority, judge: Judge, signer: Credential) -> None:
    for own in (authority.root, authority.issuing):
        report = judge(sign(PAYLOAD, own, AT), anchors=(own.der, authority.root.der))
        assert verdict(report) == indeterminate(Sub.CHAIN_CONSTRAINTS_FAILURE)

    report = judge(sign(PAYLOAD, signer, AT), anchors=(signer.der,))
    assert verdict(report) == indeterminate(Sub.CHAIN_CONSTRAINTS_FAILURE)


def test_certificate_issued_by_a_signers_certificate(authority: Authority, judge: Judge, signer: Credential) -> None:
    pretender = replace(authority, issuing=signer)
    forged = issue(pretender)
    signature = sign(PAYLOAD, replace(forged, issuers=(signer.certificate, *signer.issuers)), AT)

    report = judge(signature, crls=(*authority.crls(AT), pretender.crls(AT)[1]))

    assert not report.passed
    assert report.sub_indication in {Sub.NO_CERTIFICATE_CHAIN_FOUND, Sub.CHAIN_CONSTRAINTS_FAILURE}


@pytest.mark.parametrize("eku", [None, "1.3.6.1.5.5.7.3.4", "2.5.29.37.0"])
def test_wrong_extended_key_usage(authority: Authority, judge: Judge, eku: str | None) -> None:
    signature = sign(PAYLOAD, issue(authority, eku=eku), AT)

    assert verdict(judge(signature)) == indeterminate(Sub.CHAIN_CONSTRAINTS_FAILURE)
    assert judge(signature, eku=None).passed


def test_extended_key_usage_with_a_name_of_its_own(authority: Authority, judge: Judge) -> None:
    signature = sign(PAYLOAD, issue(authority, eku="1.3.6.1.5.5.7.3.4"), AT)

    assert judge(signature, eku="1.3.6.1.5.5.7.3.4").passed


def test_no_key_usage(authority: Authority, judge: Judge) -> None:
    signature = sign(PAYLOAD, issue(authority, key_usage=False), AT)

    assert verdict(judge(signature)) == indeterminate(Sub.CHAIN_CONSTRAINTS_FAILURE)


def test_unknown_critical_extension(authority: Authority, judge: Judge) -> None:
    strange = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    signer = authority.certify(_name(), new_key("p256"), AT - DAY, AT + DAY, extensions=[(strange, True)])

    assert verdict(judge(sign(PAYLOAD, signer, AT))) == indeterminate(Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE)


def test_unknown_extension_that_is_not_critical_passes(authority: Authority, judge: Judge) -> None:
    strange = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    signer = authority.certify(_name(), new_key("p256"), AT - DAY, AT + DAY, extensions=[(strange, False)])

    assert judge(sign(PAYLOAD, signer, AT)).passed


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"\x30\x03\x02\x01", b"\x05\x00"])
@pytest.mark.parametrize("extension", ["2.5.29.30", "2.5.29.32", "2.5.29.31", "1.3.6.1.5.5.7.1.1", "2.5.29.17"])
def test_extension_that_cannot_be_read_is_a_verdict(
    authority: Authority, judge: Judge, extension: str, garbage: bytes
) -> None:
    odd = x509.UnrecognizedExtension(ObjectIdentifier(extension), garbage)
    signer = authority.certify(_name(), new_key("p256"), AT - DAY, AT + DAY, extensions=[(odd, True)])

    assert not judge(sign(PAYLOAD, signer, AT)).passed


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("path_length", Sub.CHAIN_CONSTRAINTS_FAILURE),
        ("names", Sub.CHAIN_CONSTRAINTS_FAILURE),
        ("policy", Sub.CHAIN_CONSTRAINTS_FAILURE),
        ("not_ca", Sub.CHAIN_CONSTRAINTS_FAILURE),
        ("key_usage", Sub.CHAIN_CONSTRAINTS_FAILURE),
        ("expired", Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE),
    ],
)
def test_constraint_of_an_authority(constraint: str, expected: Sub) -> None:
    authority = _constrained_authority(constraint)
    signature = sign(PAYLOAD, issue(authority), AT)
    policy = Policy(anchors=(authority.root.der,), intermediates=(authority.issuing.der,), eku=DEFAULT_EKU)

    report = verification.verify(signature, PAYLOAD, policy, AT, Evidence(crls=authority.crls(AT)))

    assert verdict(report) in (indeterminate(expected), indeterminate(Sub.NO_CERTIFICATE_CHAIN_FOUND))
    if constraint != "not_ca":  # not even taken for an authority
        assert report.sub_indication == expected


def test_constraints_of_the_anchor_hold_too() -> None:
    authority = _constrained_authority("root_path_length")
    policy = Policy(anchors=(authority.root.der,), intermediates=(authority.issuing.der,))

    report = verification.verify(
        sign(PAYLOAD, issue(authority), AT), PAYLOAD, policy, AT, Evidence(crls=authority.crls(AT))
    )

    assert verdict(report) == indeterminate(Sub.CHAIN_CONSTRAINTS_FAILURE)


# Identity


@pytest.mark.parametrize("identifiers", [[], ["TINRU-7701234568"], ["VATRU-7701234567"], ["TINRU-77012345670"]])
def test_identifier_of_another_organisation(authority: Authority, judge: Judge, identifiers: list[str]) -> None:
    signature = sign(PAYLOAD, issue(authority, identifiers=identifiers), AT)

    assert verdict(judge(signature)) == indeterminate(Sub.SIG_CONSTRAINTS_FAILURE)
    assert judge(signature, identifiers=frozenset()).passed


def test_same_name_is_not_the_same_organisation(authority: Authority, judge: Judge) -> None:
    namesake = issue(authority, identifiers=["TINRU-7701234568"], organisation="Romashka")

    assert not judge(sign(PAYLOAD, namesake, AT)).passed


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\x00", "\n", "\x7f"])
def test_name_that_misleads_the_reader(authority: Authority, judge: Judge, character: str) -> None:
    signature = sign(PAYLOAD, issue(authority, person=f"Anna{character}avorteP"), AT)

    report = judge(signature)

    assert verdict(report) == indeterminate(Sub.SIG_CONSTRAINTS_FAILURE)
    assert report.signer is not None
    assert character not in report.signer.subject


def test_persian_name_with_a_joiner_is_a_name(authority: Authority, judge: Judge) -> None:
    assert judge(sign(PAYLOAD, issue(authority, person="علی‌رضا"), AT)).passed


# Never an exception


def test_flaw_inside_is_a_verdict(judge: Judge, signer: Credential, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(verification.gate, "signer_certificate", broken)

    assert verdict(judge(sign(PAYLOAD, signer, AT))) == indeterminate(Sub.GENERIC)


def _name() -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Romashka"),
            x509.NameAttribute(ObjectIdentifier("2.5.4.97"), IDENTIFIER),
            x509.NameAttribute(NameOID.COMMON_NAME, "Anna Petrova"),
        ]
    )


def _credential(key: ec.EllipticCurvePrivateKey) -> Credential:
    usage = (_key_usage("digital_signature"), True)
    purpose = (x509.ExtendedKeyUsage([ObjectIdentifier(DEFAULT_EKU)]), False)
    certificate = _certificate(_name(), key, _name(), key, AT - DAY, AT + DAY, [usage, purpose])
    return Credential(certificate, key)


def _with_certificates_of(signer: Credential, encoded: bytes) -> Credential:
    lost = replace(signer)
    lost.__dict__["certificate_set"] = encoded
    return lost


def _constrained_authority(constraint: str) -> Authority:
    """An authority whose issuing certificate (or root) breaks one rule for what it issues."""

    def named(label: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])

    start, end = AT - 400 * DAY, AT + 400 * DAY
    root_key, middle_key, key = new_key("p256"), new_key("p256"), new_key("p256")

    def ca(length: int | None, **wrong: object) -> list[tuple[x509.ExtensionType, bool]]:
        usages = ("crl_sign",) if wrong.get("no_key_usage") else ("crl_sign", "key_cert_sign")
        basic = x509.BasicConstraints(ca=not wrong.get("not_ca"), path_length=None if wrong.get("not_ca") else length)
        return [(basic, True), (_key_usage(*usages), True)]

    root_length = 0 if constraint == "root_path_length" else None
    root = Credential(_certificate(named("R"), root_key, named("R"), root_key, start, end, ca(root_length)), root_key)
    if constraint == "path_length":
        # root → middle (path length 0) → issuing: one authority too many
        middle = _certificate(named("M"), middle_key, named("R"), root_key, start, end, ca(0))
        issuing = _certificate(named("I"), key, named("M"), middle_key, start, end, ca(None))
        return _ThreeTier(root, Credential(issuing, key, (middle,)), middle=Credential(middle, middle_key))
    extensions = ca(0, not_ca=constraint == "not_ca", no_key_usage=constraint == "key_usage")
    if constraint == "names":
        elsewhere = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]))
        extensions.append((x509.NameConstraints([elsewhere], None), True))
    if constraint == "policy":
        extensions.append((x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), True))
    if constraint == "expired":
        end = AT - DAY
    issuing = _certificate(named("I"), key, named("R"), root_key, start, end, extensions)
    return Authority(root, Credential(issuing, key, (root.certificate,)))


class _ThreeTier(Authority):
    def __init__(self, root: Credential, issuing: Credential, *, middle: Credential) -> None:
        super().__init__(root, issuing)
        self.middle = middle

    def certify(self, *args: object, **kwargs: object) -> Credential:
        credential = super().certify(*args, **kwargs)  # type: ignore[arg-type]
        return replace(credential, issuers=(*credential.issuers, self.middle.certificate))

    def crls(self, at: datetime, life: timedelta = 30 * DAY) -> tuple[bytes, ...]:  # type: ignore[override]
        between = Authority(self.root, self.middle).crls(at, life)[1]
        return (*super().crls(at, life), between)


assert AT.tzinfo is UTC


def test_what_is_known_to_have_been_received_is_judged_as_of_its_receipt(authority: Authority) -> None:
    """As with a time stamp over the signature: what happened to the certificate later does not touch it."""
    signer = issue(authority, validity=35 * DAY)  # until five days from now
    signature = sign(PAYLOAD, signer, AT)
    policy = Policy(anchors=(authority.root.der,), intermediates=(authority.issuing.der,), eku=DEFAULT_EKU)

    def verdict(*crls: bytes, received_at: datetime | None = AT, later: timedelta = DAY) -> Report:
        return verification.verify(signature, PAYLOAD, policy, AT + later, Evidence(crls=crls), received_at)

    def lists(start: datetime, revoked_at: datetime | None = None) -> list[bytes]:
        said = Authority(authority.root, authority.issuing)
        if revoked_at is not None:
            said.revoke(signer.serial, revoked_at)
        return said.crls(start, 400 * DAY)

    assert verdict().sub_indication is Sub.TRY_LATER
    assert verdict(*lists(AT + DAY)).passed
    assert verdict(*lists(AT + DAY, AT - DAY)).sub_indication is Sub.REVOKED_NO_POE
    assert verdict(*lists(AT + DAY, AT)).sub_indication is Sub.REVOKED_NO_POE
    after = lists(AT + DAY, AT + timedelta(seconds=1))
    assert (verdict(*after).passed, verdict(*after).timestamp) == (True, None)
    assert verdict(*after, received_at=None).sub_indication is Sub.REVOKED_NO_POE
    expired = lists(AT)
    assert verdict(*expired, later=30 * DAY).passed
    assert verdict(*expired, later=30 * DAY, received_at=None).sub_indication is Sub.OUT_OF_BOUNDS_NOT_REVOKED
    early = signer.certificate.not_valid_before_utc - timedelta(minutes=1)
    assert verdict(*lists(AT), received_at=early).sub_indication is Sub.NOT_YET_VALID
