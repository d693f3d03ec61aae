"""Work that may be late by seconds: mail, and the hourly sweep. Nothing is enforced by one of these having run."""

from __future__ import annotations

from datetime import timedelta
from smtplib import SMTPException
from typing import Final

from celery import shared_task
from django.conf import settings
from django.core.mail import EmailMessage

from marketplace.models import Heartbeat, IdempotencyKey
from marketplace.services import accreditations, files, tariffs
from marketplace.shared import clock

# A double click comes within seconds; a month covers every form that was left open.
IDEMPOTENCY_KEPT: Final = timedelta(days=30)


@shared_task(
    name="marketplace.tasks.send_mail", autoretry_for=(SMTPException, OSError), retry_backoff=30, max_retries=8
)
def send_mail(to: str, subject: str, text: str) -> None:
    """Send one plain mail; a server that does not answer is tried again for about two hours."""
    EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to], headers={"Auto-Submitted": "auto-generated"}).send()


@shared_task(name="marketplace.tasks.expire")
def expire() -> None:
    """The sweep: say what ends soon; drop stored bytes without a row and keys of submissions long done."""
    now = clock.now()
    accreditations.remind(at=now)
    tariffs.remind(at=now)
    files.remove_orphans(at=now)
    IdempotencyKey.objects.filter(created_at__lt=now - IDEMPOTENCY_KEPT).delete()


@shared_task(name="marketplace.tasks.beat")
def beat() -> None:
    """Say that tasks are carried out: sent by every worker to itself."""
    Heartbeat.objects.update_or_create(process="worker", defaults={"at": clock.now()})
