from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from marketplace.models import (
    AuditRecord,
    EvidenceRole,
    Notification,
    Reverification,
    Signature,
    StaffRole,
    TrustedCertificate,
)
from marketplace.permissions import Actor
from marketplace.services import evidence, reverification, revocation, signing, stamp_renewal, stamping
from marketplace.shared.errors import NotFound
from marketplace.signatures import Sub, cades, timestamps
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from tests.conftest import FrozenClock
from tests.factories import signatures
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, OrganisationFactory, member, staff

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
LATER = NOON + 3 * YEAR  # the signers' certificates lasted one


@pytest.fixture
def signature(tsa: DemoTimeStamps) -> Signature:
    """Taken and stamped at noon."""
    signatures.trust()
    taken = signatures.taken()
    assert stamping.stamp(taken.pk, at=NOON)
    return taken


@pytest.fixture
def auditor(db: None) -> Actor:
    return staff(StaffRole.AUDITOR)


def tamper(sql: str, *values: object) -> None:
    """As somebody could who rules over the database."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET session_replication_role = DEFAULT")


def test_a_signature_passes_years_later_and_its_history_says_so(signature: Signature, auditor: Actor) -> None:
    found = reverification.check_again(signature.pk, by=auditor, at=LATER)

    assert found.passed
    assert found.report.timestamp == NOON
    record = AuditRecord.objects.get(action="signature_checked_again")
    assert (record.stream, record.person) == (f"signature:{signature.pk}", auditor.person)
    assert record.details["indication"] == "TOTAL-PASSED"
    assert record.details["rests_on"] == list(found.rests_on)


def test_a_signature_passes_after_its_certificate_was_revoked_and_its_authority_dropped(
    signature: Signature, auditor: Actor
) -> None:
    authority = signatures.authority()
    authority.revoke(int(signature.certificate.serial, 16), NOON + YEAR)
    try:
        for crl in authority.crls(NOON + YEAR, YEAR):
            revocation.load_list(crl, by=None, at=NOON + YEAR)
    finally:
        authority.revoked.clear()
    TrustedCertificate.objects.update(enabled=False)

    assert reverification.check_again(signature.pk, by=auditor, at=LATER).passed


def test_a_signature_that_its_own_time_stamp_saved_passes_later(tsa: DemoTimeStamps, auditor: Actor) -> None:
    """Its certificate was revoked before it came; the stamp it came with is older than that."""
    signatures.trust()
    actor = member(OrganisationFactory.create())
    assert actor.organisation is not None
    signer, authority = signatures.certificate_of(actor.organisation), signatures.authority()
    request = signatures.prepared(actor)
    bare = signatures.signed(request, signer)
    asked = timestamps.request(hashlib.sha256(cades.stamped_value(bare)).digest())
    token = timestamps.read_answer(tsa.server.answer(asked.encoded, NOON - 2 * HOUR), asked).encoded
    authority.revoke(signer.serial, NOON - HOUR)
    try:
        for crl in authority.crls(NOON, YEAR):
            revocation.load_list(crl, by=None, at=NOON)
    finally:
        authority.revoked.clear()
    with pytest.raises(signing.SignatureRefused):
        signing.complete(request, bare, by=actor, at=NOON)

    taken = signing.complete(request, cades.attach(bare, token), by=actor, at=NOON)

    assert stamping.stamp(taken.pk, at=NOON)
    found = reverification.check_again(taken.pk, by=auditor, at=LATER)
    assert found.passed, found.report.reasons
    assert taken.evidence_links.filter(role=EvidenceRole.STAMP_CHAIN).count() == 3


def test_an_authority_that_never_counted_does_not_count_later(signature: Signature, auditor: Actor) -> None:
    TrustedCertificate.objects.update(enabled=False, counted_at=None)

    found = reverification.check_again(signature.pk, by=auditor, at=LATER)
    assert not found.passed
    assert found.report.sub_indication is Sub.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.parametrize(
    "role", [StaffRole.TARIFF_MANAGER, StaffRole.REPRESENTATIVE, None], ids=["tariffs", "representative", "nobody"]
)
def test_only_operators_and_auditors_have_it_checked(signature: Signature, role: StaffRole | None) -> None:
    actor = staff(role) if role else member(OrganisationFactory.create())

    with pytest.raises(NotFound):
        reverification.check_again(signature.pk, by=actor, at=LATER)
    assert not AuditRecord.objects.filter(action="signature_checked_again").exists()


def test_there_is_no_verdict_on_what_does_not_exist(auditor: Actor) -> None:
    with pytest.raises(NotFound):
        reverification.check_again(123, by=auditor, at=LATER)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE marketplace_evidenceobject SET der = '\\x3003020101' WHERE kind = %s", "certificate"),
        ("UPDATE marketplace_evidenceobject SET der = '\\x3003020101' WHERE kind = %s", "crl"),
        ("UPDATE marketplace_evidenceobject SET der = '\\x3003020101' WHERE kind = %s", "timestamp"),
        ("DELETE FROM marketplace_signatureevidence WHERE role = %s", "chain"),
        ("DELETE FROM marketplace_signatureevidence WHERE role = %s", "revocation"),
        ("DELETE FROM marketplace_signatureevidence WHERE role = %s", "timestamp"),
        ("DELETE FROM marketplace_signatureevidence WHERE role = %s", "stamp_revocation"),
        ("UPDATE marketplace_signature SET cms = '\\x3003020101' WHERE '' <> %s", "x"),
        ("UPDATE marketplace_signingrequest SET payload = '{}' WHERE '' <> %s", "x"),
    ],
)
def test_tampered_evidence_is_a_verdict(signature: Signature, auditor: Actor, sql: str, what: str) -> None:
    tamper(sql, what)

    found = reverification.check_again(signature.pk, by=auditor, at=LATER)
    assert not found.passed
    assert found.report.reasons


@pytest.mark.parametrize("proof", ["null", "{}", '{"format": "openlot-archive-1", "hash": 1}', "[]"])
def test_a_tampered_archive_proof_is_a_verdict(
    tsa: DemoTimeStamps,
    signature: Signature,
    auditor: Actor,
    settings: Any,
    freeze: Callable[[datetime], FrozenClock],
    proof: str,
) -> None:
    freeze(NOON + YEAR)
    for crl in tsa.above.crls(NOON + YEAR, YEAR):
        revocation.load_list(crl, by=None, at=NOON + YEAR)
    settings.ALGORITHM_SUNSETS = {"sha256": NOON + YEAR + timedelta(days=1)}
    assert stamp_renewal.renew(at=NOON + YEAR).done == 1
    assert reverification.check_again(signature.pk, by=auditor, at=LATER).passed

    tamper("UPDATE marketplace_signatureevidence SET proof = %s WHERE role = 'archive'", proof)
    assert not reverification.check_again(signature.pk, by=auditor, at=LATER).passed


def test_a_signature_from_before_evidence_was_kept_is_told_apart(signature: Signature, auditor: Actor) -> None:
    tamper("DELETE FROM marketplace_signatureevidence")
    tamper("UPDATE marketplace_signature SET evidence = '{}'")

    found = reverification.check_again(signature.pk, by=auditor, at=LATER)
    assert found.report.reasons[0] == "No chain of certificates was kept with this signature."


# Many


def test_a_run_counts_and_keeps_what_failed(signature: Signature) -> None:
    broken = signatures.taken()
    seen: list[int] = []

    done = reverification.run(
        Reverification.Reason.COMMAND,
        [signature.pk, broken.pk],
        at=LATER,
        progress=lambda one, _found: seen.append(one.pk),
    )

    assert (done.checked, done.passed, done.finished_at) == (2, 1, LATER)
    assert seen == [signature.pk, broken.pk]
    (failure,) = done.failures
    assert failure["signature"] == broken.pk  # it has no stamp, and its certificate has expired
    assert failure["sub_indication"]


def test_many_are_judged_in_the_same_number_of_queries(
    signature: Signature, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    ids = [signature.pk]
    for _ in range(3):
        one = signatures.taken()
        stamping.stamp(one.pk, at=NOON)
        ids.append(one.pk)
    with django_assert_max_num_queries(3 * len(ids) + 20):
        found = evidence.dossiers(Signature.objects.filter(pk__in=ids).select_related("request"))
    assert len(found) == 4
    with django_assert_num_queries(3):
        evidence.dossiers(Signature.objects.filter(pk__in=ids).select_related("request"))


def test_a_night_has_one_sample_and_its_failures_are_told(signature: Signature, settings: Any) -> None:
    settings.REVERIFY_NIGHTLY = signature.pk  # all of them, whatever numbers other tests used up
    auditor, operator = staff(StaffRole.AUDITOR), staff(StaffRole.OPERATOR)

    first = reverification.nightly(at=LATER)
    assert first is not None
    assert (first.reason, first.checked, first.passed) == ("nightly", 1, 1)
    assert reverification.nightly(at=LATER + timedelta(hours=1)) is None
    assert Notification.objects.count() == 0

    tamper("DELETE FROM marketplace_signatureevidence WHERE role = 'timestamp'")
    second = reverification.nightly(at=LATER + timedelta(hours=21))
    assert second is not None
    assert (second.checked, second.passed) == (1, 0)
    told = Notification.objects.order_by("pk")
    assert {one.person for one in told} == {auditor.person, operator.person}
    assert told[0].text == "1 of 1 kept signatures of tonight’s sample do not pass any more."


@pytest.mark.django_db(transaction=True)
def test_two_workers_take_one_sample() -> None:
    answers = at_the_same_time(*[lambda: reverification.nightly(at=LATER)] * 3)

    assert sum(isinstance(one, Reverification) for one in answers) == 1
    assert Reverification.objects.count() == 1


def test_a_sample_of_a_large_platform_is_bounded(signature: Signature, settings: Any) -> None:
    for _ in range(4):
        signatures.taken()

    settings.REVERIFY_NIGHTLY = 1000 + signature.pk
    assert reverification.nightly(at=LATER).checked == 5  # type: ignore[union-attr]
    settings.REVERIFY_NIGHTLY = 3
    assert reverification.nightly(at=LATER + YEAR).checked <= 3  # type: ignore[union-attr]
    settings.REVERIFY_NIGHTLY = 0
    assert reverification.nightly(at=LATER + 2 * YEAR).checked == 0  # type: ignore[union-attr]
