"""Time stamps inside a signature: what they prove, and what proves nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from asn1crypto import cms

from marketplace.signatures import Evidence, Indication, Policy, Report, Sub, cades, timestamps, verification
from marketplace.signatures.authority import DEFAULT_EKU, Authority
from marketplace.signatures.sign import Credential, assemble, attribute, oid, sign, signed_attributes, with_unsigned
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, issue

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CONTENT_STAMP, SIGNATURE_STAMP = oid("1.2.840.113549.1.9.16.2.20"), "signature_time_stamp_token"
PASSED = (Indication.PASSED, None)
Judge = Callable[..., Report]


@pytest.fixture(scope="module")
def demo() -> DemoTimeStamps:
    return DemoTimeStamps.create(AT)


@pytest.fixture
def judge(authority: Authority, demo: DemoTimeStamps) -> Judge:
    def judge(signature: bytes, at: datetime = AT, **policy: Any) -> Report:
        crls = policy.pop("crls", None)
        lists = (*authority.crls(at), *demo.above.crls(at)) if crls is None else crls
        stated = {
            "anchors": (authority.root.der,),
            "tsa_anchors": (demo.above.root.der,),
            "eku": DEFAULT_EKU,
            "identifiers": frozenset({IDENTIFIER}),
        }
        return verification.verify(signature, PAYLOAD, Policy(**(stated | policy)), at, Evidence(crls=lists))

    return judge


def token(demo: DemoTimeStamps, message: bytes, at: datetime, digest: str = "sha256") -> bytes:
    asked = timestamps.request(hashlib.new(digest, message).digest())
    return timestamps.read_answer(demo.server.answer(asked.encoded, at), asked).encoded


def stamped(signature: bytes, demo: DemoTimeStamps, at: datetime) -> bytes:
    return cades.attach(signature, token(demo, cades.stamped_value(signature), at))


def stamped_before(signer: Credential, demo: DemoTimeStamps, at: datetime, message: bytes = PAYLOAD) -> bytes:
    """A signature with a content time stamp of this time."""
    attributes = signed_attributes(PAYLOAD, signer, AT)
    return assemble([*attributes, attribute(CONTENT_STAMP, token(demo, message, at))], signer)


def said(report: Report) -> tuple[Indication, Sub | None]:
    return report.indication, report.sub_indication


def test_time_stamp_of_a_good_signature_is_reported(judge: Judge, signer: Credential, demo: DemoTimeStamps) -> None:
    report = judge(stamped(sign(PAYLOAD, signer, AT), demo, AT - DAY))

    assert said(report) == PASSED
    assert report.timestamp == AT - DAY
    assert report.reasons == ()
    assert report.as_dict()["timestamp"] == "2026-11-21T10:00:00Z"


def test_content_time_stamp_alone_is_no_proof_of_existence(
    judge: Judge, signer: Credential, demo: DemoTimeStamps
) -> None:
    report = judge(stamped_before(signer, demo, AT - DAY))

    assert said(report) == PASSED
    assert report.timestamp is None


def test_earliest_of_several_time_stamps_counts(judge: Judge, signer: Credential, demo: DemoTimeStamps) -> None:
    signature = stamped(stamped(sign(PAYLOAD, signer, AT), demo, AT - DAY), demo, AT - 2 * DAY)

    assert judge(signature).timestamp == AT - 2 * DAY


def test_signature_from_before_the_revocation_passes(authority: Authority, judge: Judge, demo: DemoTimeStamps) -> None:
    signer = issue(authority)
    authority.revoke(signer.serial, AT - DAY)
    signature = sign(PAYLOAD, signer, AT)

    assert said(judge(signature)) == (Indication.INDETERMINATE, Sub.REVOKED_NO_POE)
    assert said(judge(stamped(signature, demo, AT - 2 * DAY))) == PASSED
    for late in (AT - DAY, AT):
        assert said(judge(stamped(signature, demo, late))) == (Indication.INDETERMINATE, Sub.REVOKED_NO_POE)


def test_signature_from_before_its_authoritys_revocation_passes(
    authority: Authority, judge: Judge, demo: DemoTimeStamps
) -> None:
    authority.issuing_revoked_at = AT - DAY
    signature = sign(PAYLOAD, issue(authority), AT)

    assert said(judge(stamped(signature, demo, AT - 2 * DAY))) == PASSED
    assert said(judge(stamped(signature, demo, AT))) == (Indication.INDETERMINATE, Sub.REVOKED_CA_NO_POE)


def test_signature_from_before_the_certificates_end_passes(
    authority: Authority, judge: Judge, demo: DemoTimeStamps
) -> None:
    expired = issue(authority, at=AT - 40 * DAY, validity=10 * DAY)
    signature, then = sign(PAYLOAD, expired, AT - 35 * DAY), AT - 34 * DAY
    lists = (*authority.crls(then), *demo.above.crls(AT))

    assert said(judge(stamped(signature, demo, then), crls=lists)) == PASSED
    late = judge(stamped(signature, demo, AT - 20 * DAY), crls=lists)
    assert late.sub_indication in {Sub.OUT_OF_BOUNDS_NO_POE, Sub.OUT_OF_BOUNDS_NOT_REVOKED}


def test_lists_that_forgot_the_expired_prove_nothing(authority: Authority, judge: Judge, demo: DemoTimeStamps) -> None:
    expired = issue(authority, at=AT - 40 * DAY, validity=10 * DAY)
    signature = sign(PAYLOAD, expired, AT - 35 * DAY)

    assert not judge(stamped(signature, demo, AT - 34 * DAY)).passed


def test_stale_lists_suffice_for_when_they_were_fresh(
    authority: Authority, judge: Judge, signer: Credential, demo: DemoTimeStamps
) -> None:
    signature = sign(PAYLOAD, signer, AT)
    stale = (*authority.crls(AT - 3 * DAY, 2 * DAY), *demo.above.crls(AT))

    assert said(judge(signature, crls=stale)) == (Indication.INDETERMINATE, Sub.TRY_LATER)
    assert said(judge(stamped(signature, demo, AT - 2 * DAY), crls=stale)) == PASSED


@pytest.mark.parametrize("kind", ["revoked", "expired"])
def test_signature_proven_to_be_made_too_late_fails_for_certain(
    authority: Authority, judge: Judge, demo: DemoTimeStamps, kind: str
) -> None:
    signer = issue(authority, at=AT - 40 * DAY, validity=(10 if kind == "expired" else 365) * DAY)
    if kind == "revoked":
        authority.revoke(signer.serial, AT - 30 * DAY)
    sure = {"revoked": Sub.REVOKED, "expired": Sub.EXPIRED}[kind]
    doubtful = {"revoked": {Sub.REVOKED_NO_POE}, "expired": {Sub.OUT_OF_BOUNDS_NO_POE}}[kind]

    assert said(judge(stamped_before(signer, demo, AT - DAY))) == (Indication.FAILED, sure)
    assert judge(stamped_before(signer, demo, AT - 35 * DAY)).sub_indication in doubtful
    assert said(judge(stamped(stamped_before(signer, demo, AT - DAY), demo, AT))) == (Indication.FAILED, sure)


def test_signature_older_than_its_certificate_fails(authority: Authority, judge: Judge, demo: DemoTimeStamps) -> None:
    signer = issue(authority, at=AT - DAY)

    report = judge(stamped(sign(PAYLOAD, signer, AT), demo, AT - 2 * DAY))

    assert said(report) == (Indication.FAILED, Sub.NOT_YET_VALID)
    assert said(judge(sign(PAYLOAD, signer, AT))) == PASSED


def test_stamps_in_the_wrong_order(judge: Judge, signer: Credential, demo: DemoTimeStamps) -> None:
    signature = stamped(stamped_before(signer, demo, AT - DAY), demo, AT - 2 * DAY)

    assert said(judge(signature)) == (Indication.INDETERMINATE, Sub.TIMESTAMP_ORDER_FAILURE)
    assert said(judge(stamped(stamped_before(signer, demo, AT - 2 * DAY), demo, AT - DAY))) == PASSED


@pytest.fixture(scope="module")
def vague(demo: DemoTimeStamps) -> DemoTimeStamps:
    """An authority whose clock is good to an hour."""
    return replace(demo, server=replace(demo.server, accuracy_seconds=3600))


def test_a_stamp_proves_no_more_than_its_authoritys_clock_is_good_for(
    authority: Authority, judge: Judge, vague: DemoTimeStamps
) -> None:
    signer = issue(authority)
    authority.revoke(signer.serial, AT - DAY)
    signature = sign(PAYLOAD, signer, AT)

    near, sure = judge(stamped(signature, vague, AT - DAY - HOUR / 2)), judge(stamped(signature, vague, AT - 26 * HOUR))

    assert said(near) == (Indication.INDETERMINATE, Sub.REVOKED_NO_POE)
    assert (said(sure), sure.timestamp) == (PASSED, AT - 26 * HOUR)
    made = judge(stamped_before(signer, vague, AT - DAY + HOUR / 2))
    assert said(made) == (Indication.INDETERMINATE, Sub.REVOKED_NO_POE)
    assert said(judge(stamped_before(signer, vague, AT - DAY + HOUR))) == (Indication.FAILED, Sub.REVOKED)


def test_stamps_are_out_of_order_only_where_no_clock_can_have_erred(
    judge: Judge, signer: Credential, vague: DemoTimeStamps
) -> None:
    def stamped_twice(apart: timedelta) -> Report:
        return judge(stamped(stamped_before(signer, vague, AT - DAY), vague, AT - DAY - apart))

    assert said(stamped_twice(2 * HOUR)) == PASSED
    assert said(stamped_twice(2 * HOUR + timedelta(seconds=2))) == (
        Indication.INDETERMINATE, Sub.TIMESTAMP_ORDER_FAILURE,
    )  # fmt: skip


def test_the_earliest_proof_counts_and_not_the_earliest_word(
    judge: Judge, signer: Credential, demo: DemoTimeStamps, vague: DemoTimeStamps
) -> None:
    report = judge(stamped(stamped(sign(PAYLOAD, signer, AT), demo, AT - DAY), vague, AT - DAY - HOUR / 2))

    assert report.timestamp == AT - DAY
    assert len(report.stamp_chain) == 3


def test_key_that_was_strong_enough_then(authority: Authority, judge: Judge, demo: DemoTimeStamps) -> None:
    signer = issue(authority, key_type="rsa-2048")
    signature = sign(PAYLOAD, signer, AT)

    def judged(signature: bytes) -> tuple[Indication, Sub | None]:
        return said(judge(signature, rsa_3072_from=AT - DAY))

    assert judged(signature) == (Indication.INDETERMINATE, Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE)
    assert judged(stamped(signature, demo, AT - 2 * DAY)) == PASSED
    assert judged(stamped(signature, demo, AT)) == (Indication.INDETERMINATE, Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE)
    late = stamped_before(signer, demo, AT)
    assert judged(late) == (Indication.INDETERMINATE, Sub.CRYPTO_CONSTRAINTS_FAILURE)


# Stamps that prove nothing


def _revoked_signature(authority: Authority) -> bytes:
    signer = issue(authority)
    authority.revoke(signer.serial, AT - DAY)
    return sign(PAYLOAD, signer, AT)


@pytest.mark.parametrize("problem", ["no trust", "other trust", "revoked", "no list", "future", "other", "changed"])
def test_stamp_that_does_not_count_proves_nothing_and_is_told(
    authority: Authority, judge: Judge, demo: DemoTimeStamps, problem: str
) -> None:
    signature, then = _revoked_signature(authority), AT - 2 * DAY
    value = cades.stamped_value(signature)
    wanted: dict[str, Any] = {}
    if problem == "no trust":
        wanted["tsa_anchors"] = ()
    if problem == "other trust":
        wanted["tsa_anchors"] = (authority.root.der,)
    if problem == "revoked":
        above = replace(demo.above, revoked={demo.server.credential.serial: AT - 10 * DAY})
        wanted["crls"] = (*authority.crls(AT), *above.crls(AT))
    if problem == "no list":
        wanted["crls"] = authority.crls(AT)
    if problem == "future":
        then = AT + DAY
    stamp = token(demo, b"else" if problem == "other" else value, then)
    if problem == "changed":
        stamp = stamp.replace(b"20261120", b"20251120")
    signature = _with_unsigned(signature, SIGNATURE_STAMP, stamp)

    report = judge(signature, **wanted)

    assert said(report) == (Indication.INDETERMINATE, Sub.REVOKED_NO_POE)
    assert report.timestamp is None
    assert report.reasons[-1].endswith("It was not counted.")


def test_bad_stamp_beside_a_good_signature_refuses_nothing(
    judge: Judge, signer: Credential, demo: DemoTimeStamps
) -> None:
    """Whoever passes a signature on may add one."""
    signature = _with_unsigned(sign(PAYLOAD, signer, AT), SIGNATURE_STAMP, token(demo, b"else", AT))

    report = judge(signature)

    assert said(report) == PASSED
    assert report.timestamp is None
    assert len(report.reasons) == 1


def test_content_stamp_of_another_document_proves_nothing(
    judge: Judge, signer: Credential, demo: DemoTimeStamps
) -> None:
    report = judge(stamped_before(signer, demo, AT, message=b"else"))

    assert said(report) == PASSED
    assert "for something else" in report.reasons[0]


def test_authority_that_is_trusted_itself_needs_no_list(
    authority: Authority, judge: Judge, demo: DemoTimeStamps
) -> None:
    signature = stamped(_revoked_signature(authority), demo, AT - 2 * DAY)

    report = judge(signature, crls=authority.crls(AT), tsa_anchors=(demo.server.credential.der,))

    assert said(report) == PASSED


def test_signers_authority_stamps_no_times(authority: Authority, judge: Judge, signer: Credential) -> None:
    """A certificate for signing documents does not pass for a time-stamp authority's, though its root be trusted."""
    pretender = DemoTimeStamps(authority, replace(DemoTimeStamps.create(AT).server, credential=signer))
    signature = sign(PAYLOAD, signer, AT)
    stamp = pretender.server._token(_asked(cades.stamped_value(signature)), AT - DAY).dump()

    report = judge(_with_unsigned(signature, SIGNATURE_STAMP, stamp), tsa_anchors=(authority.root.der,))

    assert said(report) == PASSED
    assert report.timestamp is None


def test_too_many_stamps_are_a_format_failure(judge: Judge, signer: Credential, demo: DemoTimeStamps) -> None:
    signature = sign(PAYLOAD, signer, AT)
    for _ in range(5):
        signature = stamped(signature, demo, AT)

    assert said(judge(signature)) == (Indication.FAILED, Sub.FORMAT_FAILURE)


def test_unknown_unsigned_attribute_changes_nothing(judge: Judge, signer: Credential) -> None:
    signature = _with_unsigned(sign(PAYLOAD, signer, AT), "1.2.3.4.5", b"\x05\x00")

    assert said(judge(signature)) == PASSED


def _asked(message: bytes) -> Any:
    return timestamps.tsp.TimeStampReq.load(timestamps.request(hashlib.sha256(message).digest()).encoded)


def _with_unsigned(signature: bytes, kind: str, value: bytes) -> bytes:
    return with_unsigned(signature, attribute(oid(cms.CMSAttributeType(kind).dotted), value))
