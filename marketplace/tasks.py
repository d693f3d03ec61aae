"""Work that may be late by seconds: mail, and the hourly sweep. Nothing is enforced by one of these having run."""

from __future__ import annotations

from datetime import timedelta
from smtplib import SMTPException
from typing import Final

from celery import shared_task
from django.conf import settings
from django.core.mail import EmailMessage

from marketplace.models import Heartbeat, IdempotencyKey
from marketplace.services import (
    accreditation_decisions,
    audit_anchors,
    certificates,
    files,
    ocsp,
    receipt_stamps,
    reverification,
    revocation,
    revocation_sources,
    signature_queue,
    signing_requests,
    stamp_renewal,
    stamping,
    statement_stamps,
    tariffs,
    timekeeping,
    trust_notices,
)
from marketplace.shared import clock

# A double click comes within seconds; a month covers every form that was left open.
IDEMPOTENCY_KEPT: Final = timedelta(days=30)
# Batches of a thousand that one task stamps again, so that the worker stays free for others.
_RENEWALS_AT_MOST: Final = 20


@shared_task(
    name="marketplace.tasks.send_mail", autoretry_for=(SMTPException, OSError), retry_backoff=30, max_retries=8
)
def send_mail(to: str, subject: str, text: str) -> None:
    """Send one plain mail; a server that does not answer is tried again for about two hours."""
    EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to], headers={"Auto-Submitted": "auto-generated"}).send()


@shared_task(name="marketplace.tasks.expire")
def expire() -> None:
    """The sweep: say what ends soon; drop stored bytes without a row, payloads that nobody signed and
    keys of submissions long done."""
    now = clock.now()
    accreditation_decisions.remind(at=now)
    tariffs.remind(at=now)
    certificates.remind(at=now)
    trust_notices.warn(at=now)
    revocation.remove_older(at=now)
    ocsp.remove_unused(at=now)
    files.remove_orphans(at=now)
    stamping.find_forgotten(at=now)
    stamping.warn(at=now)
    receipt_stamps.warn(at=now)
    statement_stamps.warn(at=now)
    signing_requests.forget_unused(at=now)
    IdempotencyKey.objects.filter(created_at__lt=now - IDEMPOTENCY_KEPT).delete()


@shared_task(name="marketplace.tasks.refresh_revocation")
def refresh_revocation() -> None:
    """Have every source of revocation data asked whose time has come: each by a task of its own, as one may hang."""
    for source_id in revocation_sources.due(clock.now()):
        refresh_source.delay(source_id)


@shared_task(name="marketplace.tasks.refresh_source")
def refresh_source(source_id: int) -> None:
    """Ask one source. Nothing is tried again here: the source knows when it is due. Signatures that waited for what it
    sent are judged at once."""
    if revocation_sources.refresh(source_id, at=clock.now()):
        signature_queue.judge_due(clock.now)


@shared_task(name="marketplace.tasks.judge_signature")
def judge_signature(queued_id: int) -> None:
    """Judge a signature that began to wait. Not tried again here: `judge_signatures` takes those that still wait."""
    signature_queue.judge(queued_id, at=clock.now(), now=clock.now)


@shared_task(name="marketplace.tasks.judge_signatures")
def judge_signatures() -> None:
    """Every few seconds: judge the signatures that wait and are due, whatever became of the tasks that should have."""
    signature_queue.judge_due(clock.now)


@shared_task(name="marketplace.tasks.stamp_signature")
def stamp_signature(signature_id: int) -> None:
    """Stamp a signature that was just taken. Not tried again here: `stamp_waiting` takes those that still wait."""
    stamping.stamp(signature_id, at=clock.now())


@shared_task(name="marketplace.tasks.stamp_received")
def stamp_received(queued_id: int) -> None:
    """Stamp a signature that began to wait for its verdict. Not tried again here: `stamp_waiting` takes those."""
    receipt_stamps.stamp(queued_id, at=clock.now())


@shared_task(name="marketplace.tasks.stamp_waiting")
def stamp_waiting() -> None:
    """Every minute: stamp the signatures that still wait and whose next try is due, first those not judged yet."""
    receipt_stamps.stamp_waiting(at=clock.now())
    stamping.stamp_waiting(at=clock.now())


@shared_task(name="marketplace.tasks.renew_stamps")
def renew_stamps() -> None:
    """Every hour: stamp again what would stop proving anything, thousands at a time."""
    for _go in range(_RENEWALS_AT_MOST):
        done = stamp_renewal.renew(at=clock.now())
        if done.error or not (done.done or done.failed):
            break
    audit_anchors.renew(at=clock.now())


@shared_task(name="marketplace.tasks.anchor_audit")
def anchor_audit() -> None:
    """Every ten minutes: have what was recorded since the last time stamped by an authority."""
    audit_anchors.anchor(at=clock.now())


@shared_task(name="marketplace.tasks.reverify_sample")
def reverify_sample() -> None:
    """Once a night: judge a sample of the kept signatures again."""
    reverification.nightly(at=clock.now())


@shared_task(name="marketplace.tasks.beat")
def beat() -> None:
    """Say that tasks are carried out: sent by every worker to itself. By the time that whoever reads it knows."""
    Heartbeat.objects.update_or_create(process="worker", defaults={"at": timekeeping.now()})
