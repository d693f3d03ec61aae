"""What may be late by seconds. Nothing is enforced by a task having run."""

from celery import shared_task

from marketplace.shared import clock
from procurement.services import bid_files, bid_roll, certificate_notices, export_jobs, publishing


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


@shared_task
def stamp_roll(roll_id: int) -> None:
    """Stamp a roll that was just closed. Not tried again here: `stamp_rolls` takes those that still wait."""
    bid_roll.stamp(roll_id, at=clock.now())


@shared_task
def stamp_rolls() -> None:
    """Every minute: stamp the rolls that still wait."""
    bid_roll.stamp_waiting(at=clock.now())


@shared_task
def renew_roll_stamps() -> None:
    """Every hour: stamp rolls again before their stamps stop proving anything."""
    bid_roll.renew_stamps(at=clock.now())


@shared_task
def build_export(export_id: int) -> None:
    """Build the export of a large procedure."""
    export_jobs.run(export_id, clock.now)


@shared_task
def remove_exports() -> None:
    """Drop exports that were built long ago: they can be built again."""
    export_jobs.remove_old(at=clock.now())
