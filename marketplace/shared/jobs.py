"""Background jobs, by name. Services enqueue them on commit, so that no service imports a task."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app
from django.db import transaction

# The closed list: a name that is not here is a typing error, found at once and not in the worker.
JOBS = frozenset(
    {
        "analytics.tasks.hear_request",
        "analytics.tasks.learn",
        "analytics.tasks.load_import",
        "analytics.tasks.look_at_file",
        "analytics.tasks.read_file",
        "analytics.tasks.refresh_cards",
        "analytics.tasks.score_part",
        "analytics.tasks.undo_import",
        "marketplace.tasks.send_mail",
        "marketplace.tasks.expire",
        "marketplace.tasks.judge_signature",
        "marketplace.tasks.refresh_source",
        "marketplace.tasks.stamp_received",
        "marketplace.tasks.stamp_signature",
        "procurement.tasks.announce",
        "procurement.tasks.build_export",
        "procurement.tasks.stamp_roll",
    }
)


_discarding = False


@contextmanager
def discarded() -> Iterator[None]:
    """Jobs enqueued in here are dropped: for a made-up past, about which nobody needs mail."""
    global _discarding
    _discarding = True
    try:
        yield
    finally:
        _discarding = False


def enqueue(name: str, *args: str | int | bool | None) -> None:
    """Send the job to the queue once the transaction has committed. Raises ValueError for an unknown name."""
    if name not in JOBS:
        raise ValueError(f"{name} is not in the list of jobs")
    if _discarding:
        return
    transaction.on_commit(lambda: _send(name, args), robust=True)


def _send(name: str, args: tuple[str | int | bool | None, ...]) -> None:
    if current_app.conf.task_always_eager:  # tests: run it here
        current_app.loader.import_default_modules()
        current_app.tasks[name].apply(args=args)
    else:
        current_app.send_task(name, args=args)
