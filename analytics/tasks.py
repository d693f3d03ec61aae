"""Account insights in the background: files of purchases, nightly runs, cards. What is dropped is swept up again."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task

from analytics.services import import_jobs, imports, requests_in, runs, scoring, steps
from marketplace.shared import clock

_log = logging.getLogger(__name__)


def _within(lease: timedelta) -> dict[str, float]:
    """A task is told to end when nine tenths of its lease are over, and is killed before another may take its work."""
    seconds = lease.total_seconds()
    return {"soft_time_limit": 0.9 * seconds, "time_limit": 0.98 * seconds}


@shared_task(**_within(imports.LEASE))
def look_at_file(import_id: int) -> None:
    """Find out the columns of an uploaded file."""
    import_jobs.look(import_id, clock.now)


@shared_task(**_within(imports.LEASE))
def read_file(import_id: int) -> None:
    """Read a file whose columns were confirmed."""
    import_jobs.read(import_id, clock.now)


@shared_task(**_within(imports.LEASE))
def load_import(import_id: int) -> None:
    """Load what was read."""
    import_jobs.load(import_id, clock.now)


@shared_task(**_within(imports.LEASE))
def undo_import(import_id: int) -> None:
    """Take an import back."""
    import_jobs.undo(import_id, clock.now)


@shared_task
def sweep_imports() -> None:
    """Every minute: what a worker dropped is sent again."""
    imports.sweep(at=clock.now())


@shared_task(**_within(runs.learning_lease()))
def learn(run_id: int) -> None:
    """Fit a run's models and share its accounts out."""
    scoring.learn(run_id, clock.now)


@shared_task(**_within(runs.part_lease()))
def score_part(part_id: int) -> None:
    """Score the accounts of one part of a run."""
    scoring.score_part(part_id, clock.now)


@shared_task
def sweep_runs() -> None:
    """Every minute: parts and runs that a worker dropped are sent again; runs that are due begin."""
    now = clock.now()
    runs.start_due(at=now)
    runs.sweep(at=now)


@shared_task
def drop_old_scores() -> None:
    """Every hour: scores that nobody is shown any more."""
    runs.drop_old_scores(at=clock.now())


@shared_task
def refresh_cards(run_id: int) -> None:
    """Make the cards of a run that is whole."""
    runs.make_cards(run_id, at=clock.now())


@shared_task
def remind_of_steps() -> None:
    """Every quarter of an hour: tell, once a day, whose steps of the pipeline are due."""
    steps.remind(at=clock.now())


@shared_task
def hear_request(request_id: int) -> None:
    """Take note of what happened to a request for an offer."""
    requests_in.hear(request_id, at=clock.now())


@shared_task
def hear_requests() -> None:
    """Every minute: what of them was not heard, because the job was lost or a worker died."""
    requests_in.sweep(at=clock.now())
