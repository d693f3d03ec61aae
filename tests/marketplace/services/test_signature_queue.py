"""Waiting signatures whatever they are for: how they are tried again, and what they are worth in ten years."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from marketplace.models import QueuedSignature, QueuedState, RevocationSource, TrustedCertificate
from marketplace.permissions import Actor
from marketplace.services import evidence, missing_revocation, reverification, signature_queue, signing, stamping
from marketplace.services.signing import SignatureWaits
from marketplace.shared import jobs
from marketplace.signatures import Indication, Report, Sub, longterm
from marketplace.signatures.sign import Credential
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.tasks import judge_signatures
from tests.factories.marketplace import NOON, OrganisationFactory, member
from tests.factories.signatures import bring_lists, certificate_of, lose_lists, signed, trust

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("try_action")]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def by() -> Actor:
    trust()
    return member(OrganisationFactory.create())


def waits(by: Actor, credential: Credential | None = None, at: datetime = NOON) -> Any:
    request = signing.prepare(
        action="try", actor=by, object_type="try", object_id=1, object_version=1, content={}, at=at,
        expires_at=at + HOUR,
    )  # fmt: skip
    cms = signed(request, credential)
    lose_lists()
    return signature_queue.take(request, cms, by=by, at=at)


def test_each_of_many_is_judged_at_its_own_turn(by: Actor) -> None:
    """Periods that begin with the verdict, and a deadline that passes meanwhile, go by the time it is then."""
    rows = [waits(by), waits(by)]
    bring_lists(NOON)
    turns = iter([NOON, NOON, NOON + MINUTE, NOON + MINUTE, NOON + 2 * MINUTE])

    assert signature_queue.judge_due(lambda: next(turns)) == 2

    decided = [QueuedSignature.objects.get(pk=row.pk).decided_at for row in rows]
    assert decided == [NOON + MINUTE, NOON + 2 * MINUTE]


def test_it_is_tried_less_and_less_often_but_at_once_when_data_comes(by: Actor) -> None:
    row = waits(by)
    tried = []
    at = NOON
    for _time in range(7):
        signature_queue.judge(row.pk, at=at)
        row.refresh_from_db()
        tried.append((row.next_try_at - at).total_seconds())
        at = row.next_try_at
    assert tried == [15, 30, 60, 120, 240, 300, 300]
    assert signature_queue.due(row.tried_at) == []

    RevocationSource.objects.create(
        authority=TrustedCertificate.objects.latest("pk"), kind="ocsp", url="http://ocsp.example/", added_at=NOON,
        next_at=at, fetched_at=at - MINUTE,
    )  # fmt: skip
    assert signature_queue.due(at - MINUTE) == [row.pk]
    assert signature_queue.judge_due(lambda: NOON + timedelta(hours=24)) == 1
    row.refresh_from_db()
    assert (row.state, row.code) == (QueuedState.EXPIRED, "not_judged_in_time")


def test_no_address_is_asked_more_than_once_a_minute_however_many_wait(
    by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(jobs, "enqueue", lambda name, *given: asked.append((name, *given)))
    source = RevocationSource.objects.create(
        authority=TrustedCertificate.objects.get(subject__contains="Issuing"), kind="crl", url="http://crl.example/",
        added_at=NOON, next_at=NOON + HOUR, tried_at=NOON - MINUTE,
    )  # fmt: skip
    ask = ("marketplace.tasks.refresh_source", source.pk)
    row = waits(by)
    assert asked.count(ask) == 1
    assert RevocationSource.objects.get().next_at == NOON

    RevocationSource.objects.update(tried_at=NOON)
    signature_queue.judge(row.pk, at=NOON + MINUTE / 2)
    missing_revocation.ask_for(certificate_of(row.organisation).der, NOON + MINUTE / 2)
    assert asked.count(ask) == 1
    signature_queue.judge(row.pk, at=NOON + MINUTE)
    assert asked.count(ask) == 2


def test_a_judge_that_is_not_at_hand_refuses_nothing(by: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    row = waits(by)
    with monkeypatch.context() as busy:
        reason = "Too many signatures are being checked at this moment."
        busy.setattr(signing, "judge", lambda *_g, **_n: Report(Indication.INDETERMINATE, Sub.GENERIC, (reason,)))
        signature_queue.judge(row.pk, at=NOON + MINUTE)
    row.refresh_from_db()
    assert (row.state, row.report["sub_indication"]) == (QueuedState.WAITING, "TRY_LATER")


def test_the_beat_finds_what_a_lost_task_left(by: Actor, freeze: Callable[..., Any]) -> None:
    row = waits(by)  # the task that was to judge it is never run
    bring_lists(NOON)
    freeze(NOON + MINUTE)

    judge_signatures()

    row.refresh_from_db()
    assert (row.state, row.signature.received_at) == (QueuedState.PASSED, NOON)


def test_so_many_wait_for_one_organisation_and_no_more(by: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_queue, "MOST_WAITING", 1)
    waits(by)
    with pytest.raises(SignatureWaits, match="again"):
        waits(by)
    assert QueuedSignature.objects.count() == 1


def test_a_revocation_between_receipt_and_time_stamp_undoes_nothing_in_ten_years(
    tsa: DemoTimeStamps, by: Actor, freeze: Callable[..., Any]
) -> None:
    assert by.organisation is not None
    credential = certificate_of(by.organisation)
    row = waits(by, credential)
    freeze(NOON + HOUR)
    bring_lists(NOON + HOUR, {credential.serial: NOON + MINUTE})
    signature_queue.judge(row.pk, at=NOON + HOUR)
    row.refresh_from_db()
    assert stamping.stamp(row.signature.pk, at=NOON + HOUR)

    kept = evidence.dossier(row.signature)
    again = reverification.judge(row.signature, kept, NOON + 2 * HOUR)
    without = replace(reverification.policy_of(row.signature), received_at=None)

    assert again.passed
    assert any("the platform’s word" in sentence for sentence in again.rests_on)
    assert longterm.reverify(kept, without, NOON + 2 * HOUR).report.sub_indication == Sub.REVOKED_NO_POE
