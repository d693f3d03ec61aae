from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as wire
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction

from marketplace import tasks
from marketplace.models import (
    AuditRecord,
    EvidenceKind,
    EvidenceObject,
    EvidenceRole,
    Notification,
    OcspAnswer,
    RevocationList,
    Signature,
    SignatureEvidence,
    SignatureStamp,
    StaffRole,
    TrustedCertificate,
)
from marketplace.services import evidence, reverification, revocation, signing, stamp_renewal, stamping, timestamps
from marketplace.services.timestamps import TimeStampUnavailable
from marketplace.signatures import cades, longterm
from marketplace.signatures import timestamps as tokens
from marketplace.signatures.publication import Publication
from marketplace.signatures.sign import Credential
from marketplace.signatures.timestamp_authority import DemoTimeStamps, TimeStampAuthority, credential
from tests.conftest import FrozenClock
from tests.factories import signatures
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, OrganisationFactory, member, staff

MINUTE, HOUR, DAY, YEAR = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=365)


@pytest.fixture
def trust(db: None) -> None:
    signatures.trust()


@pytest.fixture
def signature(trust: None) -> Signature:
    return signatures.taken()


@pytest.fixture
def dead(settings: Any) -> None:
    """An authority that nobody answers for."""
    cache.clear()
    settings.TIMESTAMP_AUTHORITY_URLS = ["http://127.0.0.1:1/"]
    settings.TIMESTAMP_SECONDS = 1


# The evidence


def test_the_evidence_of_the_verdict_is_kept_with_the_signature(signature: Signature) -> None:
    authority = signatures.authority()
    crls = {bytes(one.der) for one in RevocationList.objects.all()}

    kept = evidence.dossier(signature)

    assert [one.sha256 for one in kept.chain] == signature.evidence["chain"]
    assert [one.der for one in kept.chain[1:]] == [authority.issuing.der, authority.root.der]
    assert kept.chain[0].der == bytes(signature.certificate.der)
    assert {one.der for one in kept.crls} == crls
    assert {one.sha256 for one in kept.crls} == set(signature.evidence["revocation"])
    assert kept.payload == bytes(signature.request.payload)
    assert all(one.intact for one in kept.evidence)
    assert signature.evidence["policy"]["min_rsa"] == 2048


def test_a_list_is_kept_once_for_all_signatures_and_each_version_apart(trust: None) -> None:
    for _ in range(3):
        signatures.taken()
    assert EvidenceObject.objects.filter(kind=EvidenceKind.CRL).count() == 2
    assert SignatureEvidence.objects.filter(role=EvidenceRole.REVOCATION).count() == 6

    for crl in signatures.authority().crls(NOON, timedelta(days=400)):
        revocation.load_list(crl, by=None, at=NOON)
    signatures.taken()
    assert EvidenceObject.objects.filter(kind=EvidenceKind.CRL).count() == 4


def test_kept_evidence_neither_changes_nor_goes(signature: Signature) -> None:
    for statement in (
        "UPDATE marketplace_evidenceobject SET der = ''",
        "DELETE FROM marketplace_signatureevidence",
        "UPDATE marketplace_signatureevidence SET number = 9",
        "DELETE FROM marketplace_evidenceobject",
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_evidence_that_is_lost_refuses_nobody(trust: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_lists_and_answers", lambda *_args: {})

    kept = evidence.dossier(signatures.taken())

    assert (len(kept.chain), len(kept.crls)) == (3, 0)


# The stamp


def test_a_signature_is_taken_at_once_and_stamped_on_commit(
    tsa: DemoTimeStamps, trust: None, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as after:
        signature = signatures.taken()
    row = SignatureStamp.objects.get(pk=signature.pk)
    assert (row.stamped_at, row.attempts, row.wanted_at) == (None, 0, NOON)

    for call in after:
        call()

    row.refresh_from_db()
    assert (row.stamped_at, row.authority, row.error) == (NOON, "Openlot Demo Time Stamps TSA", "")
    assert row.ends_at == tsa.server.credential.certificate.not_valid_after_utc
    assert row.algorithms == ["p256", "p384", "sha256", "sha384"]
    kept = evidence.dossier(signature)
    assert kept.stamp is not None
    assert tokens.read(kept.stamp.der).stamps(cades.stamped_value(bytes(signature.cms)))
    assert [one.der for one in kept.stamp_certificates] == [
        tsa.server.credential.der, tsa.above.issuing.der, tsa.above.root.der,
    ]  # fmt: skip
    assert len(kept.stamp_crls) == 2
    record = AuditRecord.objects.get(action="signature_stamped")
    assert record.details["token_sha256"] == kept.stamp.sha256


def test_the_stamp_joins_the_signature_in_a_copy(tsa: DemoTimeStamps, signature: Signature) -> None:
    received = bytes(signature.cms)
    assert evidence.stamped_cms(signature) == received

    stamping.stamp(signature.pk, at=NOON)

    stamped = evidence.stamped_cms(signature)
    assert len(cades.tokens_in(stamped)) == 1
    signature.refresh_from_db()
    assert bytes(signature.cms) == received
    identifiers = signing.identifiers_of(signature.organisation)
    report = signing.judge(stamped, bytes(signature.request.payload), identifiers=identifiers, at=NOON)
    assert report.passed, report.reasons
    assert report.timestamp == NOON


def test_a_dead_authority_refuses_nobody_and_is_asked_again(
    dead: None, signature: Signature, tsa_folder: Any, settings: Any, freeze: Callable[[datetime], FrozenClock]
) -> None:
    assert not stamping.stamp(signature.pk, at=NOON)

    row = SignatureStamp.objects.get(pk=signature.pk)
    assert (row.stamped_at, row.attempts, row.next_try_at) == (None, 1, NOON + MINUTE)
    assert "cannot be reached" in row.error
    assert not SignatureEvidence.objects.filter(role=EvidenceRole.TIME_STAMP).exists()

    assert stamping.stamp_waiting(at=NOON + MINUTE) == 0
    row.refresh_from_db()
    assert (row.attempts, row.next_try_at) == (2, NOON + 3 * MINUTE)
    SignatureStamp.objects.update(attempts=40)
    stamping.stamp(signature.pk, at=NOON)
    row.refresh_from_db()
    assert row.next_try_at == NOON + timedelta(hours=1)

    cache.clear()
    later = NOON + timedelta(hours=1)
    freeze(later)
    settings.TIMESTAMP_LOCAL_DIR, settings.TIMESTAMP_AUTHORITY_URLS = tsa_folder, ["local:"]
    timestamps.trust_demo(tsa_folder, at=NOON)
    assert stamping.stamp_waiting(at=later - MINUTE) == 0  # not due yet
    assert stamping.stamp_waiting(at=later) == 1
    row.refresh_from_db()
    assert (row.stamped_at, row.error, row.claimed_until) == (later, "", None)


def test_those_that_wait_do_not_all_try_a_dead_authority(dead: None, trust: None) -> None:
    for _ in range(3):
        signatures.taken()

    stamping.stamp_waiting(at=NOON)

    assert sum(SignatureStamp.objects.values_list("attempts", flat=True)) == 1


def test_without_an_authority_nothing_is_tried(signature: Signature, settings: Any) -> None:
    settings.TIMESTAMP_AUTHORITY_URLS = []

    assert not stamping.stamp(signature.pk, at=NOON)
    assert stamping.stamp_waiting(at=NOON) == 0
    assert SignatureStamp.objects.get().attempts == 0


def test_the_forgotten_are_found(tsa: DemoTimeStamps, signature: Signature) -> None:
    SignatureStamp.objects.all().delete()

    assert stamping.find_forgotten(at=NOON) == 1
    assert stamping.find_forgotten(at=NOON) == 0
    tasks.stamp_waiting()
    assert SignatureStamp.objects.get().stamped_at == NOON


def test_what_is_left_of_the_evidence_of_an_old_signature_is_kept_with_its_stamp(
    tsa: DemoTimeStamps, signature: Signature
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM marketplace_signatureevidence")
        cursor.execute("DELETE FROM marketplace_evidenceobject")
        cursor.execute("SET session_replication_role = DEFAULT")

    stamping.stamp(signature.pk, at=NOON)

    kept = evidence.dossier(signature)
    assert ([one.sha256 for one in kept.chain], len(kept.crls)) == (signature.evidence["chain"], 2)
    assert reverification.judge(signature, kept, NOON + 3 * YEAR).passed


def test_a_signature_that_cannot_be_read_holds_up_nobody(tsa: DemoTimeStamps, trust: None) -> None:
    broken, whole = signatures.taken(), signatures.taken()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE marketplace_signature SET cms = '\\x3003020101' WHERE id = %s", [broken.pk])
        cursor.execute("UPDATE marketplace_evidenceobject SET der = '\\x3003020101' WHERE kind = 'crl'")
        cursor.execute("SET session_replication_role = DEFAULT")

    assert stamping.stamp_waiting(at=NOON) == 1

    assert SignatureStamp.objects.get(pk=whole.pk).stamped_at == NOON
    row = SignatureStamp.objects.get(pk=broken.pk)
    assert (row.error, row.next_try_at) == ("The signature to be stamped cannot be read.", NOON + timedelta(hours=1))


def test_a_killed_workers_claim_runs_out(tsa: DemoTimeStamps, signature: Signature) -> None:
    SignatureStamp.objects.update(claimed_until=NOON + stamping.CLAIM)

    assert stamping.stamp_waiting(at=NOON) == 0
    assert stamping.stamp_waiting(at=NOON + stamping.CLAIM) == 1


@pytest.mark.django_db(transaction=True)
def test_two_tasks_stamp_a_signature_once(
    tsa_folder: Any, settings: Any, freeze: Callable[[datetime], FrozenClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock in `_claim` both find the row unclaimed, and both ask."""
    freeze(NOON)
    signatures.trust()
    signature = signatures.taken()
    settings.TIMESTAMP_LOCAL_DIR, settings.TIMESTAMP_AUTHORITY_URLS = tsa_folder, ["local:"]
    timestamps.trust_demo(tsa_folder, at=NOON)
    asked = []
    ask = timestamps.stamped

    def counted(digest: bytes) -> timestamps.Stamped:
        asked.append(digest)
        return ask(digest)

    monkeypatch.setattr(timestamps, "stamped", counted)

    answers = at_the_same_time(*[lambda: stamping.stamp(signature.pk, at=NOON)] * 4)

    assert sorted(map(str, answers)) == ["False", "False", "False", "True"]
    assert len(asked) == 1
    assert SignatureEvidence.objects.filter(role=EvidenceRole.TIME_STAMP).count() == 1
    assert SignatureStamp.objects.get(pk=signature.pk).attempts == 1


def test_a_stamp_that_comes_after_its_claim_ran_out_is_not_kept_twice(
    tsa: DemoTimeStamps, signature: Signature, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = timestamps.stamped

    def slow(digest: bytes) -> timestamps.Stamped:
        monkeypatch.setattr(timestamps, "stamped", ask)
        assert stamping.stamp(signature.pk, at=NOON + stamping.CLAIM)  # another task, meanwhile
        return ask(digest)

    monkeypatch.setattr(timestamps, "stamped", slow)
    stamping.stamp(signature.pk, at=NOON)

    assert SignatureEvidence.objects.filter(role=EvidenceRole.TIME_STAMP).count() == 1


def test_where_a_list_was_overdue_when_the_stamp_came_the_next_one_is_kept_too(
    tsa: DemoTimeStamps, db: None, freeze: Callable[[datetime], FrozenClock]
) -> None:
    signatures.trust()
    for crl in signatures.authority().crls(NOON, timedelta(days=2)):
        revocation.load_list(crl, by=None, at=NOON)
    signature = signatures.taken()
    later = NOON + timedelta(days=3)
    freeze(later)
    for crl in signatures.authority().crls(later, timedelta(days=2)):
        revocation.load_list(crl, by=None, at=later)

    assert stamping.stamp(signature.pk, at=later)

    assert len(evidence.dossier(signature).crls) == 4
    assert reverification.judge(signature, evidence.dossier(signature), later).passed


def test_where_an_answer_had_run_out_when_the_stamp_came_the_next_one_is_kept_too(
    tsa: DemoTimeStamps, freeze: Callable[[datetime], FrozenClock]
) -> None:
    """The authority publishes no list of its users' certificates, but answers about each for eight hours."""
    signatures.trust()
    authority = signatures.authority()
    RevocationList.objects.filter(issuer=authority.issuing.certificate.subject.rfc4514_string()).delete()
    actor = member(OrganisationFactory.create())
    assert actor.organisation is not None
    signer = signatures.certificate_of(actor.organisation)
    issuing = TrustedCertificate.objects.get(sha256=hashlib.sha256(authority.issuing.der).hexdigest())
    asked = OcspAnswer(authority=issuing, serial=f"{signer.serial:X}", not_after=NOON + YEAR, wanted_at=NOON)
    request = signatures.prepared(actor)

    first = answered(asked, signer, NOON)
    asked.save()
    taken = signing.complete(request, signatures.signed(request, signer), by=actor, at=NOON)
    second = answered(asked, signer, NOON + 9 * HOUR)
    asked.save()
    freeze(NOON + 10 * HOUR)
    assert stamping.stamp(taken.pk, at=NOON + 10 * HOUR)

    kept = evidence.dossier(taken)
    assert {one.der for one in kept.ocsps} == {first, second}
    found = reverification.judge(taken, kept, NOON + 3 * YEAR)
    assert found.passed, found.report.reasons


def answered(asked: OcspAnswer, signer: Credential, at: datetime) -> bytes:
    """What the authority's responder says about a certificate at a moment, put into the row."""
    authority = signatures.authority()
    builder = wire.OCSPRequestBuilder().add_certificate(
        signer.certificate, authority.issuing.certificate, hashes.SHA1()
    )
    asked.der = Publication(authority).answer(builder.build().public_bytes(Encoding.DER), at)
    asked.status, asked.fetched_at = "good", at
    asked.this_update, asked.next_update = at - MINUTE, at - MINUTE + 8 * HOUR
    return bytes(asked.der)


def test_operators_are_told_once_a_day_that_stamps_are_behind(dead: None, signature: Signature) -> None:
    operator = staff(StaffRole.OPERATOR)
    stamping.stamp(signature.pk, at=NOON)

    stamping.warn(at=NOON + 30 * MINUTE)
    assert Notification.objects.count() == 0
    for hours in (2, 3, 20):
        stamping.warn(at=NOON + timedelta(hours=hours))
    told = Notification.objects.get()
    assert told.person == operator.person
    assert told.text.startswith("1 signatures still wait for their time stamp.")
    assert "cannot be reached" in told.text
    stamping.warn(at=NOON + timedelta(hours=27))
    assert Notification.objects.count() == 2


# Stamping again


@pytest.fixture
def stamped(tsa: DemoTimeStamps, trust: None) -> list[Signature]:
    taken = [signatures.taken() for _ in range(5)]
    assert stamping.stamp_waiting(at=NOON) == 5
    return taken


def _renewing(tsa: DemoTimeStamps, at: datetime, freeze: Callable[[datetime], FrozenClock]) -> None:
    freeze(at)
    for crl in tsa.above.crls(at, timedelta(days=400)):
        revocation.load_list(crl, by=None, at=at)


def test_a_sunset_that_comes_near_has_signatures_stamped_again_under_one_token(
    tsa: DemoTimeStamps, stamped: list[Signature], settings: Any, freeze: Callable[[datetime], FrozenClock]
) -> None:
    at, sunset = NOON + YEAR, NOON + YEAR + timedelta(days=100)
    _renewing(tsa, at, freeze)
    assert stamp_renewal.renew(at=at).done == 0
    settings.ALGORITHM_SUNSETS = {"sha256": sunset, "p256": sunset}

    assert stamp_renewal.renew(at=at, limit=3).done == 3
    assert stamp_renewal.renew(at=at, limit=3).done == 2
    assert stamp_renewal.renew(at=at, limit=3).done == 0

    assert set(SignatureStamp.objects.values_list("rounds", "renewed_at")) == {(1, at)}
    assert SignatureStamp.objects.first().algorithms == ["p384", "sha384", "sha512"]  # type: ignore[union-attr]
    links = SignatureEvidence.objects.filter(role=EvidenceRole.ARCHIVE)
    assert (links.count(), links.values("object").distinct().count()) == (5, 2)
    long_after = sunset + YEAR
    for one in stamped:
        kept = evidence.dossier(one)
        assert kept.archives[0].hash_algorithm == "sha512"
        found = reverification.judge(one, kept, long_after)
        assert found.passed, found.report.reasons
        assert found.report.timestamp == NOON
    bare = longterm.replace(evidence.dossier(stamped[0]), archives=())
    assert not reverification.judge(stamped[0], bare, long_after).passed
    records = AuditRecord.objects.filter(action="signatures_stamped_again")
    assert [one.details["count"] for one in records.order_by("number")] == [3, 2]


def test_the_end_of_the_authoritys_certificate_has_signatures_stamped_again(
    tsa: DemoTimeStamps,
    stamped: list[Signature],
    settings: Any,
    freeze: Callable[[datetime], FrozenClock],
    tmp_path: Any,
) -> None:
    at = tsa.server.credential.certificate.not_valid_after_utc - timedelta(days=30)
    _renewing(tsa, at, freeze)
    same = stamp_renewal.renew(at=at)
    assert (same.done, same.error) == (0, "The certificate of Openlot Demo Time Stamps TSA ends too soon itself.")
    assert not SignatureEvidence.objects.filter(role=EvidenceRole.ARCHIVE).exists()

    renewed = DemoTimeStamps(tsa.above, TimeStampAuthority(credential(tsa.above, at, key_type="p384")))
    renewed.save(tmp_path / "renewed")
    settings.TIMESTAMP_LOCAL_DIR = tmp_path / "renewed"
    assert stamp_renewal.renew(at=at).done == 0  # not so soon after a failure
    assert stamp_renewal.renew(at=at + timedelta(hours=1)).done == 5
    found = reverification.judge(stamped[0], evidence.dossier(stamped[0]), at + 3 * YEAR)
    assert found.passed, found.report.reasons


def test_an_authority_that_uses_the_failing_algorithm_itself_is_no_help(
    tsa: DemoTimeStamps, stamped: list[Signature], settings: Any, freeze: Callable[[datetime], FrozenClock]
) -> None:
    at = NOON + YEAR
    _renewing(tsa, at, freeze)
    settings.ALGORITHM_SUNSETS = {"p384": at + DAY}

    found = stamp_renewal.renew(at=at)

    assert (found.done, found.failed) == (0, 5)
    assert found.error == ("The authority Openlot Demo Time Stamps TSA itself still uses p384: set one that does not.")
    assert not SignatureEvidence.objects.filter(role=EvidenceRole.ARCHIVE).exists()
    assert stamp_renewal.renew(at=at).failed == 0  # later


def test_an_interrupted_renewal_is_taken_up(
    tsa: DemoTimeStamps,
    stamped: list[Signature],
    settings: Any,
    freeze: Callable[[datetime], FrozenClock],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = NOON + YEAR
    _renewing(tsa, at, freeze)
    settings.ALGORITHM_SUNSETS = {"sha256": at + DAY}
    monkeypatch.setattr(stamp_renewal, "_record_archive", lambda *_args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stamp_renewal.renew(at=at, limit=2)
    monkeypatch.undo()

    freeze(at)
    settings.ALGORITHM_SUNSETS = {"sha256": at + DAY}
    assert stamp_renewal.renew(at=at).done == 3
    assert stamp_renewal.renew(at=at + stamping.CLAIM).done == 2
    assert set(SignatureStamp.objects.values_list("rounds", flat=True)) == {1}


def test_a_stamp_that_proves_nothing_any_more_is_not_covered_up(
    tsa: DemoTimeStamps, stamped: list[Signature], freeze: Callable[[datetime], FrozenClock]
) -> None:
    at = tsa.server.credential.certificate.not_valid_after_utc + DAY
    freeze(at)
    _renewing(tsa, at, freeze)

    found = stamp_renewal.renew(at=at)

    assert (found.done, found.failed) == (0, 5)
    assert SignatureStamp.objects.exclude(error="").count() == 5
    staff(StaffRole.OPERATOR)
    stamping.warn(at=at)
    assert Notification.objects.get().kind == "time_stamps_not_renewed"


def test_stamps_of_an_authority_that_is_trusted_no_longer_are_covered_by_the_next_one(
    tsa: DemoTimeStamps,
    stamped: list[Signature],
    settings: Any,
    freeze: Callable[[datetime], FrozenClock],
    tmp_path: Any,
) -> None:
    at = NOON + YEAR
    _renewing(tsa, at, freeze)
    TrustedCertificate.objects.filter(subject__contains="Time Stamps").update(enabled=False)
    other = timestamps.trust_demo(tmp_path / "other", at=at)
    settings.TIMESTAMP_LOCAL_DIR = tmp_path / "other"
    settings.ALGORITHM_SUNSETS = {"sha256": at + DAY}

    assert stamp_renewal.renew(at=at).done == 5
    found = reverification.judge(stamped[0], evidence.dossier(stamped[0]), at + YEAR)
    assert found.passed, found.report.reasons
    assert other.server.credential.der in [one.der for one in evidence.dossier(stamped[0]).stamp_certificates]


def test_the_hash_of_a_first_stamp_is_a_strong_one_when_sha_256_is_failing(
    tsa: DemoTimeStamps, signature: Signature, settings: Any
) -> None:
    settings.ALGORITHM_SUNSETS = {"sha256": NOON + DAY}

    assert stamping.stamp(signature.pk, at=NOON)

    kept = evidence.dossier(signature).stamp
    assert kept is not None
    assert tokens.read(kept.der).imprint == hashlib.sha512(cades.stamped_value(bytes(signature.cms))).digest()


def test_without_an_authority_nothing_is_renewed(stamped: list[Signature], settings: Any) -> None:
    settings.TIMESTAMP_AUTHORITY_URLS = []

    assert stamp_renewal.renew(at=NOON + 10 * YEAR) == stamp_renewal.Renewed()
    with pytest.raises(TimeStampUnavailable):
        timestamps.stamp(bytes(32))


@pytest.mark.django_db(transaction=True)
def test_two_tasks_stamp_each_signature_again_once(
    tsa_folder: Any, settings: Any, freeze: Callable[[datetime], FrozenClock]
) -> None:
    """Without SKIP LOCKED and the claim both would take the same batch."""
    freeze(NOON)
    signatures.trust()
    settings.TIMESTAMP_LOCAL_DIR, settings.TIMESTAMP_AUTHORITY_URLS = tsa_folder, []
    tsa = timestamps.trust_demo(tsa_folder, at=NOON)
    ids = [signatures.taken().pk for _ in range(4)]
    settings.TIMESTAMP_AUTHORITY_URLS = ["local:"]
    assert stamping.stamp_waiting(at=NOON) == 4
    at = NOON + YEAR
    _renewing(tsa, at, freeze)
    settings.ALGORITHM_SUNSETS = {"sha256": at + DAY}

    answers = at_the_same_time(*[lambda: stamp_renewal.renew(at=at, limit=3)] * 3)

    assert sum(one.done for one in answers if isinstance(one, stamp_renewal.Renewed)) == 4
    assert set(SignatureStamp.objects.values_list("rounds", flat=True)) == {1}
    archives = SignatureEvidence.objects.filter(role=EvidenceRole.ARCHIVE)
    assert sorted(archives.values_list("signature_id", flat=True)) == ids
