"""What may be late by seconds. Nothing is enforced by a task having run."""

from celery import shared_task

from marketplace.shared import clock
from procurement.services import bid_files, certificate_notices, publishing


@shared_task
def announce(tender_id: int) -> None:
    """Tell matching suppliers about a published tender."""
    publishing.announce(tender_id, at=clock.now())


@shared_task
def remind_of_certificates() -> None:
    """Tell whose certificate ends before a procedure needs it."""
    certificate_notices.remind(at=clock.now())


@shared_task
def sweep_ciphertexts() -> None:
    """Drop documents of bids that stopped coming, and stored ciphertext that belongs to nothing."""
    bid_files.sweep(clock.now())
