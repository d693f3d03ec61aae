"""The time stamp of a signature that waits for its verdict: of its receipt, judged by, and the only one it gets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.models import (
    EvidenceRole,
    Notification,
    QueuedSignature,
    QueuedStamp,
    QueuedState,
    Signature,
    SignatureStamp,
    StaffRole,
    TrustedCertificate,
)
from marketplace.permissions import Actor
from marketplace.services import (
    evidence,
    receipt_stamps,
    reverification,
    signature_queue,
    signing,
    stamping,
    timestamps,
    tokens,
)
from marketplace.services.signing import Judged
from marketplace.services.timestamps import Stamped, TimeStampUnavailable
from marketplace.signatures import longterm
from marketplace.signatures.cades import tokens_in
from marketplace.signatures.sign import Credential
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signatures.timestamps import read
from marketplace.tasks import stamp_waiting
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.marketplace import NOON, OrganisationFactory, member, staff
from tests.factories.signatures import bring_lists, certificate_of, lose_lists, signed, trust

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("try_action")]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
Freeze = Callable[[datetime], Any]


@pytest.fixture
def by(tsa: DemoTimeStamps) -> Actor:
    trust()
    return member(OrganisationFactory.create())


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The authority does not answer, until this is called."""
    answer = timestamps._ask
    monkeypatch.setattr(timestamps, "_ask", lambda _url, _digest: _raise())
    return lambda: monkeypatch.setattr(timestamps, "_ask", answer)


def _raise() -> Stamped:
    raise TimeStampUnavailable("It is down.")


def waits(by: Actor, credential: Credential | None = None) -> QueuedSignature:
    request = signing.prepare(
        action="try", actor=by, object_type="try", object_id=1, object_version=1, content={}, at=NOON,
        expires_at=NOON + HOUR,
    )  # fmt: skip
    cms = signed(request, credential)
    lose_lists()
    row = signature_queue.take(request, cms, by=by, at=NOON)
    assert isinstance(row, QueuedSignature)
    return row


def judged(row: QueuedSignature, at: datetime) -> QueuedSignature:
    signature_queue.judge(row.pk, at=at)
    row.refresh_from_db()
    return row


def stamps_of(signature: Signature) -> list[bytes]:
    links = signature.evidence_links.filter(role=EvidenceRole.TIME_STAMP).select_related("object")
    return [bytes(link.object.der) for link in links]


def test_a_signature_judged_an_hour_later_has_the_stamp_of_its_receipt_and_no_other(by: Actor, freeze: Freeze) -> None:
    """Its certificate was revoked a minute after: by the stamp it counts, and in ten years too, on nobody's word."""
    assert by.organisation is not None
    credential = certificate_of(by.organisation)
    row = waits(by, credential)
    assert receipt_stamps.stamp(row.pk, at=NOON)
    assert not receipt_stamps.stamp(row.pk, at=NOON)  # it has one
    token = receipt_stamps.token_of(row.pk)
    assert token is not None
    assert tokens_in(receipt_stamps.stamped_cms(row)) == (token,)

    freeze(NOON + HOUR)
    bring_lists(NOON + HOUR, {credential.serial: NOON + MINUTE})
    judged(row, NOON + HOUR)

    signature = row.signature
    assert signature is not None
    assert (row.state, signature.received_at, signature.report["timestamp"]) == ("passed", NOON, "2026-03-02T12:00:00Z")
    work = SignatureStamp.objects.get()
    assert (work.stamped_at, work.attempts, stamps_of(signature)) == (NOON, 0, [token])
    assert not stamping.stamp(signature.pk, at=NOON + HOUR)
    assert tokens_in(evidence.stamped_cms(signature)) == (token,)
    kept, policy = evidence.dossier(signature), reverification.policy_of(signature)
    again = longterm.reverify(kept, replace(policy, received_at=None), NOON + 2 * HOUR)
    assert (again.passed, again.proven_at) == (True, read(token).latest)
    assert not any("the platform’s word" in sentence for sentence in again.rests_on)


def test_its_sender_keeps_the_stamp_and_sees_it(by: Actor, client: Client) -> None:
    assert by.person is not None
    client.force_login(by.person)
    row = waits(by)
    page = reverse("waiting_signature", args=[row.pk])
    assert b"with its time stamp" not in client.get(page).content
    receipt_stamps.stamp(row.pk, at=NOON)
    download = reverse("waiting_signature_stamped", args=[row.pk])
    assert download.encode() in client.get(page).content
    assert tokens_in(client.get(download).content) == (receipt_stamps.token_of(row.pk),)
    _token, secret = tokens.create("Program", by=by, at=NOON)
    told = client.get(reverse("api_waiting_signature", args=[row.pk]), headers={"Authorization": f"Bearer {secret}"})
    assert told.json()["stamped_at"] == "2026-03-02T12:00:00Z"


def test_a_revocation_between_the_receipt_and_a_late_stamp_refuses_and_the_stamp_is_kept(
    by: Actor, down: Callable[[], None], freeze: Freeze
) -> None:
    assert by.organisation is not None
    credential = certificate_of(by.organisation)
    row = waits(by, credential)
    assert not receipt_stamps.stamp(row.pk, at=NOON)
    work = QueuedStamp.objects.get()
    assert (work.attempts, work.claimed_until, work.next_try_at) == (1, None, NOON + MINUTE)
    assert "It is down." in work.error
    freeze(NOON + 2 * MINUTE)
    down()

    stamp_waiting()
    bring_lists(NOON + HOUR, {credential.serial: NOON + MINUTE})
    judged(row, NOON + HOUR)

    assert (row.state, row.code) == (QueuedState.REFUSED, "REVOKED_NO_POE")
    work.refresh_from_db()
    assert (work.stamped_at, work.error) == (NOON + 2 * MINUTE, "")
    assert len(tokens_in(receipt_stamps.stamped_cms(row))) == 1


def test_while_no_authority_answers_the_receipt_counts_and_what_passed_is_stamped_later(
    by: Actor, down: Callable[[], None], freeze: Freeze
) -> None:
    staff(StaffRole.OPERATOR)
    assert by.organisation is not None
    credential = certificate_of(by.organisation)
    row, never = waits(by, credential), waits(by)
    receipt_stamps.stamp_waiting(at=NOON)
    receipt_stamps.warn(at=NOON + HOUR)
    assert Notification.objects.get(kind="receipt_stamps_behind").text.startswith("2 signatures")
    bring_lists(NOON + HOUR, {credential.serial: NOON + MINUTE})
    signature_queue.withdraw(never.pk, by=by, at=NOON)
    judged(row, NOON + HOUR)
    assert (row.state, receipt_stamps.waiting().count()) == (QueuedState.PASSED, 0)
    assert row.signature is not None
    down()
    freeze(NOON + HOUR)

    stamp_waiting()

    assert [read(token).generated_at for token in stamps_of(row.signature)] == [NOON + HOUR]
    again = reverification.judge(row.signature, evidence.dossier(row.signature), NOON + 2 * HOUR)
    assert again.passed
    assert any("the platform’s word" in sentence for sentence in again.rests_on)


def test_a_stamp_whose_authority_is_trusted_no_more_leaves_the_receipt_to_judge_by(by: Actor) -> None:
    assert by.organisation is not None
    credential = certificate_of(by.organisation)
    row = waits(by, credential)
    receipt_stamps.stamp(row.pk, at=NOON)
    TrustedCertificate.objects.filter(kind="tsa").update(enabled=False)
    bring_lists(NOON + HOUR, {credential.serial: NOON + MINUTE})

    judged(row, NOON + HOUR)

    assert row.signature is not None
    assert (row.state, row.signature.report["timestamp"]) == (QueuedState.PASSED, None)
    assert len(stamps_of(row.signature)) == 1


def test_one_stamped_while_it_was_judged_without_is_judged_again_by_the_stamp(by: Actor) -> None:
    row = waits(by)
    bring_lists(NOON)
    claimed = signature_queue._claim(row.pk, NOON)
    assert claimed is not None
    cms, payload = bytes(row.cms), bytes(row.request.payload)
    report = signing.judge(cms, payload, identifiers=signing.named_in(payload), at=NOON, received_at=NOON)
    receipt_stamps.stamp(row.pk, at=NOON)

    signature_queue._settle(claimed, Judged(cms, payload, NOON, report), NOON)

    assert (Signature.objects.count(), signature_queue.due(NOON)) == (0, [row.pk])
    judged(row, NOON)
    assert row.signature is not None
    assert row.signature.report["timestamp"] == "2026-03-02T12:00:00Z"


def test_what_began_to_wait_before_there_were_stamps_on_receipt_is_stamped_by_the_sweep(by: Actor) -> None:
    row = waits(by)
    QueuedStamp.objects.all().delete()
    assert receipt_stamps.stamp_waiting(at=NOON) == 1
    assert receipt_stamps.token_of(row.pk) is not None


@pytest.mark.django_db(transaction=True)
def test_a_stamp_that_comes_while_the_signature_is_taken_is_handed_on_and_no_second_is_asked_for(
    by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock of the stamp's row the stamp is written down unseen, and the signature asks for its own."""
    monkeypatch.setattr("marketplace.shared.jobs._send", lambda *_job: None)
    row = waits(by)
    assert receipt_stamps._claim(row.pk, NOON)  # it is being asked for
    made = stamping.ask(bytes(row.cms), NOON)
    bring_lists(NOON)
    carry_out, answers = signature_queue._carry_out, []
    asker = threading.Thread(
        target=lambda: answers.extend(at_the_same_time(lambda: receipt_stamps._record(row.pk, made, at=NOON)))
    )

    def taken_while_it_comes(*given: Any) -> None:
        asker.start()
        wait_until_blocked()
        carry_out(*given)

    monkeypatch.setattr(signature_queue, "_carry_out", taken_while_it_comes)
    judged(row, NOON)
    asker.join(30)

    assert answers == [None]
    assert row.signature is not None
    assert not stamping.stamp(row.signature.pk, at=NOON)
    assert stamps_of(row.signature) == [made.token.encoded]
    assert SignatureStamp.objects.get().attempts == 0
