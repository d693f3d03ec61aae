"""OCSP answers as evidence, where no revocation list is at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from marketplace.signatures import Evidence, Indication, Policy, Report, Sub, verification
from marketplace.signatures.authority import DEFAULT_EKU, Authority, new_key
from marketplace.signatures.publication import produced
from marketplace.signatures.sign import Credential, sign
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, issue

DAY = timedelta(days=1)
PASSED = (Indication.PASSED, None)
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


def answer(
    about: Credential,
    issuer: Credential,
    responder: Credential | None = None,
    *,
    status: ocsp.OCSPCertStatus = GOOD,
    this_update: datetime = AT - timedelta(hours=1),
    next_update: datetime | None = AT + DAY,
    revoked_at: datetime | None = None,
    reason: x509.ReasonFlags | None = None,
    id_hash: hashes.HashAlgorithm | None = None,
    certificates: Sequence[x509.Certificate] | None = None,
    extension: tuple[x509.ExtensionType, bool] | None = None,
    produced_at: datetime | None = None,
) -> bytes:
    signer = responder or issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=about.certificate,
        issuer=issuer.certificate,
        algorithm=id_hash or hashes.SHA1(),
        cert_status=status,
        this_update=this_update,
        next_update=next_update,
        revocation_time=revoked_at,
        revocation_reason=reason,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if responder:
        builder = builder.certificates(certificates if certificates is not None else [responder.certificate])
    if extension:
        builder = builder.add_extension(*extension)
    response = builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    return produced(response, signer, produced_at or max(this_update, AT))


def responder_of(
    authority: Authority, purpose: ObjectIdentifier | None = ExtendedKeyUsageOID.OCSP_SIGNING, **wanted: Any
) -> Credential:
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.OCSPNoCheck(), False)] if wanted.get("no_check") else []
    if purpose:
        extensions.append((x509.ExtendedKeyUsage([purpose]), False))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Responder")])
    start, end = wanted.get("start", AT - DAY), wanted.get("end", AT + DAY)
    return authority.certify(name, new_key("p256"), start, end, eku=None, extensions=extensions)


def judged(authority: Authority, signer: Credential, *ocsps: bytes, crls: tuple[bytes, ...] | None = None) -> Report:
    """By the root's list and these answers; the issuing authority's list is missing unless given."""
    policy = Policy(anchors=(authority.root.der,), eku=DEFAULT_EKU, identifiers=frozenset({IDENTIFIER}))
    lists = (authority.crls(AT)[0],) if crls is None else crls
    return verification.verify(sign(PAYLOAD, signer, AT), PAYLOAD, policy, AT, Evidence(crls=lists, ocsps=ocsps))


def fingerprint(evidence: bytes) -> str:
    return hashlib.sha256(evidence).hexdigest()


def said(report: Report) -> tuple[Indication, Sub | None]:
    return report.indication, report.sub_indication


def later(report: Report) -> bool:
    return said(report) == (Indication.INDETERMINATE, Sub.TRY_LATER)


@pytest.mark.parametrize("id_hash", [hashes.SHA1(), hashes.SHA256()])
def test_answer_of_the_issuer_is_evidence(
    authority: Authority, signer: Credential, id_hash: hashes.HashAlgorithm
) -> None:
    assert later(judged(authority, signer))
    assert said(judged(authority, signer, answer(signer, authority.issuing, id_hash=id_hash))) == PASSED


def test_answers_alone_suffice(authority: Authority, signer: Credential) -> None:
    answers = (answer(signer, authority.issuing), answer(authority.issuing, authority.root))

    report = judged(authority, signer, *answers, crls=())

    assert said(report) == PASSED
    assert len(report.revocation) == 2


@pytest.mark.parametrize("key_type", ["rsa-2048", "p384"])
def test_answer_of_an_authority_with_another_key(key_type: Any) -> None:
    authority = Authority.create(AT, key_type=key_type)
    signer = issue(authority)

    assert said(judged(authority, signer, answer(signer, authority.issuing))) == PASSED


def test_delegated_responder_is_evidence(authority: Authority, signer: Credential) -> None:
    delegated = answer(signer, authority.issuing, responder_of(authority, no_check=True))

    assert said(judged(authority, signer, delegated)) == PASSED


def test_responder_that_may_be_revoked_needs_a_list_itself(authority: Authority, signer: Credential) -> None:
    responder = responder_of(authority)
    delegated = answer(signer, authority.issuing, responder, this_update=AT - timedelta(minutes=5))
    above, own = authority.crls(AT)

    assert later(judged(authority, signer, delegated))
    report = judged(authority, signer, delegated, crls=(above, own))
    assert said(report) == PASSED
    # The list is kept with the signature: without it the answer would count no more when it is judged again.
    assert report.revocation == tuple(map(fingerprint, (above, delegated, own)))
    authority.revoke(responder.serial, AT - DAY)
    stale = authority.crls(AT - 40 * DAY)[1]
    assert later(judged(authority, signer, delegated, crls=(authority.crls(AT)[0], stale)))


def test_responder_without_the_purpose_is_none(authority: Authority, signer: Credential) -> None:
    for purpose in (None, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ExtendedKeyUsageOID.CLIENT_AUTH):
        responder = responder_of(authority, purpose, no_check=True)
        assert later(judged(authority, signer, answer(signer, authority.issuing, responder)))


def test_signer_cannot_answer_for_itself(authority: Authority, signer: Credential) -> None:
    assert later(judged(authority, signer, answer(signer, authority.issuing, signer)))


def test_responder_of_another_authority_is_none(authority: Authority, signer: Credential) -> None:
    namesake = Authority.create(AT)
    above = Authority(authority.root, authority.root)

    for stranger in (namesake, above):
        responder = responder_of(stranger, no_check=True)
        assert later(judged(authority, signer, answer(signer, authority.issuing, responder)))
    assert later(judged(authority, signer, answer(signer, namesake.issuing)))


def test_responder_outside_of_its_validity_is_none(authority: Authority, signer: Credential) -> None:
    expired = responder_of(authority, no_check=True, start=AT - 3 * DAY, end=AT - 2 * DAY)

    assert later(judged(authority, signer, answer(signer, authority.issuing, expired)))


def test_responders_certificate_must_be_at_hand(authority: Authority, signer: Credential) -> None:
    responder = responder_of(authority, no_check=True)
    others = [issue(authority).certificate]

    assert later(judged(authority, signer, answer(signer, authority.issuing, responder, certificates=others)))


def test_answer_about_another_certificate_is_none(authority: Authority, signer: Credential) -> None:
    assert later(judged(authority, signer, answer(issue(authority), authority.issuing)))
    assert later(judged(authority, signer, answer(authority.issuing, authority.root)))


def test_revoked_certificate(authority: Authority, signer: Credential) -> None:
    revoked = answer(
        signer, authority.issuing, status=REVOKED, revoked_at=AT - DAY, reason=x509.ReasonFlags.key_compromise
    )

    report = judged(authority, signer, revoked)

    assert said(report) == (Indication.INDETERMINATE, Sub.REVOKED_NO_POE)
    assert "2026-11-21 10:00 UTC" in report.reasons[0]


def test_revocation_goes_before_good_news(authority: Authority, signer: Credential) -> None:
    revoked = answer(signer, authority.issuing, status=REVOKED, revoked_at=AT - DAY)
    good = answer(signer, authority.issuing)

    for both in ((revoked, good), (good, revoked)):
        assert judged(authority, signer, *both).sub_indication == Sub.REVOKED_NO_POE
    assert judged(authority, signer, revoked, crls=authority.crls(AT)).sub_indication == Sub.REVOKED_NO_POE
    authority.revoke(signer.serial, AT - DAY)
    assert judged(authority, signer, good, crls=authority.crls(AT)).sub_indication == Sub.REVOKED_NO_POE


def test_revoked_authority(authority: Authority, signer: Credential) -> None:
    revoked = answer(authority.issuing, authority.root, status=REVOKED, revoked_at=AT - DAY)

    report = judged(authority, signer, revoked, crls=authority.crls(AT))

    assert said(report) == (Indication.INDETERMINATE, Sub.REVOKED_CA_NO_POE)


def test_certificate_on_hold_is_asked_again_later(authority: Authority, signer: Credential) -> None:
    hold = answer(
        signer, authority.issuing, status=REVOKED, revoked_at=AT - DAY, reason=x509.ReasonFlags.certificate_hold
    )
    lifted = answer(signer, authority.issuing, this_update=AT - timedelta(minutes=1))

    assert later(judged(authority, signer, hold))
    assert said(judged(authority, signer, hold, lifted)) == PASSED


def test_unknown_certificate_is_no_good_news(authority: Authority, signer: Credential) -> None:
    assert later(judged(authority, signer, answer(signer, authority.issuing, status=UNKNOWN)))


@pytest.mark.parametrize(
    ("this_update", "next_update", "counts"),
    [
        (AT - 3 * DAY, AT - DAY, False),
        (AT + DAY, AT + 2 * DAY, False),
        (AT - timedelta(minutes=29), None, True),
        (AT - timedelta(minutes=31), None, False),
    ],
)
def test_freshness(
    authority: Authority, signer: Credential, this_update: datetime, next_update: datetime | None, counts: bool
) -> None:
    said_then = answer(signer, authority.issuing, this_update=this_update, next_update=next_update)

    report = judged(authority, signer, said_then)

    assert report.passed is counts
    assert counts or later(report)


def test_nobody_answers_in_advance(authority: Authority, signer: Credential) -> None:
    for produced_at, counts in ((AT - timedelta(hours=1), True), (AT - timedelta(hours=1, seconds=1), False)):
        report = judged(authority, signer, answer(signer, authority.issuing, produced_at=produced_at))
        assert report.passed is counts
        assert counts or later(report)


def test_nonce_is_no_matter_but_unknown_critical_extension_is(authority: Authority, signer: Credential) -> None:
    strange = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")

    assert judged(authority, signer, answer(signer, authority.issuing, extension=(x509.OCSPNonce(b"7"), False))).passed
    assert judged(authority, signer, answer(signer, authority.issuing, extension=(strange, False))).passed
    assert later(judged(authority, signer, answer(signer, authority.issuing, extension=(strange, True))))


def test_changed_or_unreadable_answers_are_none(authority: Authority, signer: Credential) -> None:
    good = answer(signer, authority.issuing)

    for place in range(0, len(good), 3):
        changed = bytearray(good)
        changed[place] ^= 0x41
        report = judged(authority, signer, bytes(changed))
        assert later(report), place
    for hostile in (b"", b"\x30\x03\x0a\x01\x00", good[:-1], good + b"\x00", bytes(300_000)):
        assert later(judged(authority, signer, hostile))
    error = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    assert later(judged(authority, signer, error.public_bytes(serialization.Encoding.DER)))
